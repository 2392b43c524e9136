"""The rungs of a ladder on some of its samples: network evaluations on an even grid, and the formulas of the claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from certify.records import Ladder, Refused
from certify.verifier.network import Line

Array = np.ndarray

SLACK = 1e-6
REPRODUCED = 0.9
STEPS = 64
FINER = 256
MEASURED = ("logit_change", "ce_change", "loses_decision", "path_variation")


@dataclass(frozen=True)
class Rerun:
    """A pair on some samples, in float64. theta = 1 is the reference, theta = 0 the shipped network.

    labels : (n,) class C of each sample: its label, or the reference's own decision where the data have none.
    """

    line: Line
    images: Array
    labels: Array

    @cached_property
    def path(self) -> Array:
        """(STEPS + 1, n, K) logits along the segment."""
        return self.line.grid(STEPS, self.images)

    @cached_property
    def finer_path(self) -> Array:
        """(FINER + 1, n, K) logits, for paths that bend more than the coarse grid sees."""
        return self.line.grid(FINER, self.images)

    @property
    def shipped(self) -> Array:
        return self.path[0]

    @property
    def reference(self) -> Array:
        return self.path[-1]

    def loss(self, logits: Array) -> Array:
        """(n,) cross-entropy of C."""
        return _log_sum(logits) - _of(logits, self.labels)

    def margin(self, logits: Array) -> Array:
        """(n,) lead of C over every other class."""
        return _of(logits, self.labels) - self._rest(logits).max(axis=1)

    def cumulant(self, x: Array) -> Array:
        """(n,) log(p + (1 - p) e^x) with p the reference's probability of C (X1, X2)."""
        whole = _log_sum(self.reference)
        return np.logaddexp(_of(self.reference, self.labels) - whole, _log_sum(self._rest(self.reference)) - whole + x)

    def gained(self, pairwise: Array) -> Array:
        """(n,) log(p + sum_{j != C} q_j e^{pi_j}) (X2)."""
        raised = self.reference + pairwise
        raised[np.arange(len(raised)), self.labels] = _of(self.reference, self.labels)
        return _log_sum(raised) - _log_sum(self.reference)

    def leads(self) -> Array:
        """(n, K) z_C - z_j of the reference; infinite at j = C."""
        return _of(self.reference, self.labels)[:, None] - self._rest(self.reference)

    def _rest(self, logits: Array) -> Array:
        rest = logits.copy()
        rest[np.arange(len(logits)), self.labels] = -np.inf
        return rest


def check_rungs(name: str, ladder: Ladder, chosen: Array, rerun: Rerun) -> str:
    """Refuse a ladder whose rungs are not those of the rerun on the chosen samples; says which rungs were compared."""
    for quantity in MEASURED:
        _ = ladder[quantity]
    comparer = _Comparer(name, chosen, ladder)
    known = comparer.known
    for quantity, found in _measured(rerun).items():
        comparer.equal(quantity, found)
    for quantity, found in _formulas(rerun, {quantity: upper for quantity, (upper, _) in known.items()}).items():
        comparer.equal(quantity, found)
    _decisions(comparer, rerun, _paths(comparer, rerun))
    _proved(comparer, rerun, rerun.path, in_order=True)
    rest = [bound.quantity for bound in ladder.bounds if bound.quantity not in (*comparer.seen, *comparer.half_seen)]
    parts = [
        f"{len(comparer.seen)} rungs come out the same on {len(chosen)} samples",
        f"not undercut: {', '.join(comparer.half_seen)}" if comparer.half_seen else "",
        f"not recomputed: {', '.join(rest)}" if rest else "",
    ]
    return "; ".join(part for part in parts if part)


class _Comparer:
    """Compares rungs by name; a rung the ladder does not have, or not for these samples, is passed over."""

    def __init__(self, name: str, chosen: Array, ladder: Ladder) -> None:
        self.name, self.chosen = name, chosen
        self.known = {bound.quantity: (bound.upper[chosen], bound.tolerance[chosen]) for bound in ladder.bounds}
        self.silent = {bound.quantity: chosen >= bound.first for bound in ladder.bounds if bound.first is not None}
        self.seen: list[str] = []
        self.half_seen: list[str] = []

    def has(self, quantity: str) -> bool:
        return quantity in self.known

    def fits(self, quantity: str, low: Array | float, high: Array | float) -> Array:
        """(n,) whether low <= stated <= high within the stated tolerance and rounding."""
        stated, tolerance = self.known[quantity]
        room = tolerance + SLACK * (1 + np.abs(np.where(np.isinf(stated), 0.0, stated)))
        return (low <= stated + room) & (stated - room <= high)

    def equal(self, quantity: str, found: Array) -> None:
        self.within(quantity, found, found)

    def within(self, quantity: str, low: Array, high: Array) -> None:
        if self.has(quantity):
            self.seen.append(quantity)
            self._hold(quantity, self.fits(quantity, low, high), low)

    def at_least(self, quantity: str, low: Array) -> None:
        if self.has(quantity):
            self.half_seen.append(quantity)
            self._hold(quantity, self.fits(quantity, low, np.inf), low)

    def decided(self, quantity: str, must: Array, may: Array) -> None:
        """1 where it must be, 0 where it may not be; what lies between is too close to call."""
        if self.has(quantity):
            self.seen.append(quantity)
            stated = self.known[quantity][0]
            holds = np.where(must, stated == 1, True) & np.where(may, True, stated == 0)
            self._hold(quantity, holds, np.where(must, 1.0, 0.0))

    def _hold(self, quantity: str, holds: Array, found: Array) -> None:
        holds = holds | self.silent.get(quantity, False)
        if not np.all(holds):
            worst = int(np.flatnonzero(~holds)[0])
            raise Refused(
                f"{self.name}: {quantity} is not reproduced on {int(np.sum(~holds))} of {len(holds)} samples; "
                f"sample {int(self.chosen[worst])}: {self.known[quantity][0][worst]:.9g} stated, "
                f"{found[worst]:.9g} found"
            )


def _measured(rerun: Rerun) -> dict[str, Array]:
    change = rerun.shipped - rerun.reference
    increase = rerun.loss(rerun.shipped) - rerun.loss(rerun.reference)
    return {
        "logit_change": np.abs(change).max(axis=1),
        "logit_oscillation": change.max(axis=1) - change.min(axis=1),
        "ce_change": increase,
        "ce_gain": -increase,
    }


def _formulas(rerun: Rerun, stated: dict[str, Array]) -> dict[str, Array]:
    """Rungs that follow from other rungs of the same ladder."""
    formulas: dict[str, tuple[str, Callable[[Array], Array]]] = {
        "ce_oscillation": ("path_oscillation", lambda omega: rerun.cumulant(omega)),
        "ce_sharp": ("path_variation", lambda eta: rerun.cumulant(2 * eta)),
        "ce_gain_sharp": ("path_variation", lambda eta: -rerun.cumulant(-2 * eta)),
        "ce_published": ("path_variation", lambda eta: 2 * eta),
        "ce_layers": ("layer_variation", lambda eta: rerun.cumulant(2 * eta)),
        "ce_budget": ("layer_speed", lambda eta: 2 * eta),
        "ce_mass": ("layer_mass", lambda eta: 2 * eta),
    }
    return {quantity: formula(stated[of]) for quantity, (of, formula) in formulas.items() if of in stated}


def _paths(comparer: _Comparer, rerun: Rerun) -> Array:
    """Sums over steps never exceed the variation, and reach nine tenths of it on a grid that is fine enough.

    Returns the (n, K) pairwise variation of that grid.
    """
    sums = _Sums(rerun, rerun.path)
    most = {quantity: high for quantity, (_, high) in sums.ranges().items() if comparer.has(quantity)}
    if not all(np.all(comparer.fits(quantity, -np.inf, high)) for quantity, high in most.items()):
        sums = _Sums(rerun, rerun.finer_path)
    for quantity, (low, high) in sums.ranges().items():
        comparer.within(quantity, low, high)
    # A supremum over a path with kinks can sit between any nodes, so a tenth is conceded to it.
    comparer.at_least("path_speed", REPRODUCED * _largest(sums.steps).max(axis=0) * len(sums.steps))
    comparer.at_least("layer_variation", _largest(rerun.shipped - rerun.reference))
    return sums.pairwise


class _Sums:
    """Variations along a grid, each a lower bound of its integral."""

    def __init__(self, rerun: Rerun, path: Array) -> None:
        self.rerun, self.steps = rerun, np.diff(path, axis=0)
        self.pairwise = np.abs(self.steps - _of(self.steps, rerun.labels)[..., None]).sum(axis=0)

    def ranges(self) -> dict[str, tuple[Array, Array]]:
        """What a rung may state when the grid sees between nine tenths and all of the variation."""
        largest = _largest(self.steps).sum(axis=0)
        path = np.concatenate([np.zeros_like(self.steps[:1]), np.cumsum(self.steps, axis=0)])
        change = _largest(path - path[-1]).max(axis=0)
        spread = (self.steps.max(axis=-1) - self.steps.min(axis=-1)).sum(axis=0)
        return {
            "path_change": (change, change / REPRODUCED),
            "path_variation": (largest, largest / REPRODUCED),
            "path_oscillation": (spread, spread / REPRODUCED),
            "ce_pairwise": (self.rerun.gained(self.pairwise), self.rerun.gained(self.pairwise / REPRODUCED)),
        }


def _decisions(comparer: _Comparer, rerun: Rerun, pairwise: Array) -> None:
    before, after = rerun.margin(rerun.reference), rerun.margin(rerun.shipped)
    comparer.decided("loses_decision", (before > SLACK) & (after < -SLACK), (before > -SLACK) & (after <= SLACK))
    lead, lead_after = _predicted(rerun.reference), _predicted(rerun.shipped)
    clear = (lead > SLACK) & (lead_after > SLACK)
    moved = rerun.reference.argmax(axis=1) != rerun.shipped.argmax(axis=1)
    comparer.decided("changes_label", moved & clear, moved | ~clear)
    # eta = variation + its error + the error of one evaluation, which is half the tolerance of the measured change.
    evaluation = comparer.known["logit_change"][1]
    eta = sum(comparer.known["path_variation"]) + evaluation / 2
    near = SLACK * (1 + 2 * eta)
    low, high = 2 * eta - near, 2 * eta + near
    comparer.decided("may_lose_signed", (before > near) & (before <= low), (before > -near) & (before <= high))
    comparer.decided("may_change_published", np.abs(before) <= low, np.abs(before) <= high)
    comparer.decided("may_change_label", lead <= low, lead <= high)
    if comparer.has("ce_pairwise"):
        most = pairwise / REPRODUCED + (comparer.known["ce_pairwise"][1] + evaluation + near)[:, None]
        must = (before > near) & np.any(rerun.leads() <= pairwise - near[:, None], axis=1)
        comparer.decided("may_lose_pairwise", must, (before > -near) & np.any(rerun.leads() <= most, axis=1))


def check_proved(name: str, ladder: Ladder, chosen: Array, rerun: Rerun, path: Array) -> None:
    """Refuse a ladder with a proved rung that one of the networks on the path, (m, n, K) logits, escapes."""
    _proved(_Comparer(name, chosen, ladder), rerun, path, in_order=False)


def _proved(comparer: _Comparer, rerun: Rerun, path: Array, *, in_order: bool) -> None:
    """Every point of the path lies inside what was proved: no value a sample of points gives is larger.

    in_order : the points are in the order of the segment, both ends included.
    """
    change = path - rerun.reference
    size = np.abs(change).max(axis=(0, 2))
    pairwise = np.abs(change - _of(change, rerun.labels)[..., None]).max(axis=0)
    for quantity in ("proved_change", "norms_change", "box_change"):
        comparer.at_least(quantity, size)
    comparer.at_least("proved_variation", _largest(np.diff(path, axis=0)).sum(axis=0) if in_order else size)
    comparer.at_least("ce_proved_pairwise", rerun.gained(pairwise))
    if comparer.has("proved_change"):
        comparer.at_least("ce_proved", rerun.cumulant(2 * comparer.known["proved_change"][0]))
    before = rerun.margin(rerun.reference)
    lost = np.min([rerun.margin(logits) for logits in path], axis=0) < -SLACK
    comparer.decided("may_lose_proved", (before > SLACK) & lost, before > -SLACK)
    clear = np.array([_predicted(logits) > SLACK for logits in path]) & (_predicted(rerun.reference) > SLACK)
    moved = np.any((path.argmax(axis=2) != rerun.reference.argmax(axis=1)) & clear, axis=0)
    comparer.decided("may_change_proved", moved, np.full(len(moved), True))


def _predicted(logits: Array) -> Array:
    """(n,) lead of the largest logit over the next."""
    order = np.sort(logits, axis=1)
    return order[:, -1] - order[:, -2]


def _largest(steps: Array) -> Array:
    return np.abs(steps).max(axis=-1)


def _log_sum(logits: Array) -> Array:
    top = logits.max(axis=1)
    return top + np.log(np.exp(logits - top[:, None]).sum(axis=1))


def _of(logits: Array, labels: Array) -> Array:
    """(..., n) logit of class C."""
    return logits[..., np.arange(len(labels)), labels]
