"""Every road in one form: what it says of each class, each difference to class C, and the length of the path."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from certify.bounds.measured import both_ends
from certify.bounds.norms import norms
from certify.bounds.proved import prove
from certify.bounds.resolved import resolve
from certify.bounds.rungs import measured, proved
from certify.networks.loading import State
from certify.records import Bound, Usage
from certify.records.recipe import ROADS as PROVEN
from certify.records.recipe import BoundsRecipe

ROADS = ("measured", "resolved", *PROVEN, "norms")


def along(
    model: nn.Module,
    reference: State,
    shipped: State,
    images: Tensor,
    labels: np.ndarray | None = None,
    *,
    road: str = "resolved",
    settings: BoundsRecipe | None = None,
) -> tuple[Bound, ...]:
    """Per sample, logit units: `change.k` >= |z_k(theta) - z_k(1)|, `pairwise.j` the same of z_j - z_C, `path_variation`.

    measured : both ends alone, which is no bound on what lies between them; two evaluations. Tier resolved.
    resolved : the whole segment, by orders that rise to `settings.max_order`; of differences their variation. Tier resolved.
    exact, enclosed, auto : see `prove`; no path variation but by exact. Tier proved; inf is VACUOUS.
    norms    : products of operator norms, all classes together: `change` alone. Tier proved; inf is VACUOUS.
    labels   : (T,) class C; None takes the reference's own decisions.
    """
    settings = settings or BoundsRecipe()
    if road not in ROADS:
        raise Usage(f"road {road!r} is none of {', '.join(ROADS)}")
    if road == "norms":
        return (_proved("change", norms(model, reference, shipped, images).change, "D5.0-layer"),)
    if road in PROVEN:
        path = prove(model, reference, shipped, images, labels=labels, road=road)
        found = _by_class(path.change, path.labelled.change, path.labelled.classes)
        claim = proved.CLAIM[path.road]
        rungs = [_proved(name, values, claim) for name, values in found]
        return (*rungs, _proved("path_variation", path.variation, claim)) if np.isfinite(path.variation).all() else tuple(rungs)
    ends = both_ends(model, reference, shipped, images, labels)
    classes, error = ends.classes, ends.error
    if road == "measured":
        change = ends.logits[1] - ends.logits[0]
        against = change - np.take_along_axis(change, classes[:, None], axis=1)
        found = _by_class(np.abs(change), np.abs(against), classes)
        return tuple(_resolved(name, values, (2 if name.startswith("change") else 4) * error) for name, values in found)
    path = resolve(ends.segment, images, classes, tolerance=settings.tolerance, max_order=settings.max_order, evaluation=error)
    values, errors = (
        _by_class(*parts, classes) for parts in ((path.change, path.pairwise), (path.change_error, path.pairwise_error))
    )
    rungs = [_resolved(name, value, off) for (name, value), (_, off) in zip(values, errors, strict=True)]
    return (*rungs, _resolved("path_variation", path.max_norm, path.max_norm_error))


def _by_class(change: np.ndarray, pairwise: np.ndarray, classes: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Columns by name. At j = C, where the difference is 0, so is pairwise."""
    rows = np.arange(len(classes))
    pairwise = pairwise.copy()
    pairwise[rows, classes] = 0.0
    columns = [(f"change.{k}", change[:, k]) for k in range(change.shape[1])]
    return [*columns, *((f"pairwise.{k}", pairwise[:, k]) for k in range(change.shape[1]))]


def _label(name: str) -> str:
    kind, _, number = name.partition(".")
    words = {"change": "change of logit", "pairwise": "change of the difference to class C of logit"}
    return f"{words[kind]} {number}" if number else {"change": "largest change of a logit"}.get(name, "path variation")


def _proved(name: str, values: np.ndarray, claim: str) -> Bound:
    return proved.proved_rung(len(values), name, _label(name), "logit", claim, values)


def _resolved(name: str, values: np.ndarray, error: np.ndarray) -> Bound:
    return measured.resolved_rung(name, _label(name), "logit", "X8-path-variation", values, error)
