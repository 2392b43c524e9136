"""The resolved road: logits at Chebyshev nodes of the segment, order raised until the coefficients have decayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from certify.networks.segment import Segment
from certify.theory.path import (
    PathVariation,
    chebyshev_coefficients,
    clenshaw_curtis_nodes,
    clenshaw_curtis_weights,
    derivative_coefficients,
    evaluate,
    variation,
)

FIRST_ORDER = 4
FIELDS = ("max_norm", "oscillation", "pairwise", "speed_sup")
# Points of the quadrature of a difference of speeds per degree, and numbers held at once.
OVERSAMPLING = 8
BLOCK_SIZE = 1 << 22


@dataclass(frozen=True)
class ResolvedPath:
    """Variation of the logits along one segment, per sample, with the error each value is resolved to.

    reference, shipped : (T, K) logits at theta = 1 and theta = 0.
    max_norm, oscillation, speed_sup : (T,);  change, pairwise : (T, K). See `certify.theory.path.PathVariation`.
    *_error   : same shapes: how far the last doubling moved the speed (`_unresolved`), plus quadrature and evaluation error.
    order     : (T,) degree of the last interpolant.
    converged : (T,) False where the highest order allowed was not enough; the errors then say how much it still moved.
    """

    reference: np.ndarray
    shipped: np.ndarray
    change: np.ndarray
    max_norm: np.ndarray
    oscillation: np.ndarray
    pairwise: np.ndarray
    speed_sup: np.ndarray
    change_error: np.ndarray
    max_norm_error: np.ndarray
    oscillation_error: np.ndarray
    pairwise_error: np.ndarray
    speed_sup_error: np.ndarray
    order: np.ndarray
    converged: np.ndarray


def resolve(
    segment: Segment,
    images: Tensor,
    labels: np.ndarray | None,
    *,
    tolerance: float,
    max_order: int,
    evaluation: np.ndarray | float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> ResolvedPath:
    """Resolve the path of every sample to `tolerance` relative to its variation, or to `max_order`.

    Orders double (4, 8, 16, …) and keep their nodes. A sample is done when the doubling changed its variation by less than
    the tolerance and the last quarter of its coefficients adds less than ten times that; the others go on.

    labels     : (T,) the class pairwise differences are taken against; None takes the reference's own decision.
    evaluation : (T,) error of one logit evaluation, see `measured.evaluation_error`.
    """
    count = len(images)
    active = np.arange(count)
    nodes = clenshaw_curtis_nodes(FIRST_ORDER)
    values = segment.path(images, nodes)
    reference, shipped = values[-1].copy(), values[0].copy()
    classes = reference.argmax(axis=1) if labels is None else np.asarray(labels)
    floor = 1e-9 * (1.0 + np.abs(values).max(axis=(0, 2)))
    evaluation = np.broadcast_to(np.asarray(evaluation, dtype=np.float64), (count,))
    found: dict[str, np.ndarray] = {}
    order, converged = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    coarse = variation(values[::2], classes)
    while True:
        fine = variation(values, classes[active])
        settled = _settled(coarse, fine, tolerance, floor[active])
        _keep(found, active, fine, _unresolved(values, classes[active], coarse, fine, settled), evaluation[active], count)
        order[active], converged[active] = fine.order, settled
        going = np.flatnonzero(~settled)
        if progress is not None:
            progress(1.0 - len(going) / count)
        if fine.order >= max_order or not len(going):
            break
        active = active[going]
        nodes = clenshaw_curtis_nodes(2 * fine.order)
        doubled = np.empty((len(nodes), len(active), values.shape[2]))
        doubled[::2] = values[:, going]
        doubled[1::2] = segment.path(images[active.tolist()], nodes[1::2])
        coarse, values = _subset(fine, going), doubled
    return ResolvedPath(reference=reference, shipped=shipped, order=order, converged=converged, **found)


def _settled(coarse: PathVariation, fine: PathVariation, tolerance: float, floor: np.ndarray) -> np.ndarray:
    allowed = np.maximum(tolerance * fine.max_norm, floor)
    steady = np.abs(fine.max_norm - coarse.max_norm) <= allowed
    top_steady = np.abs(fine.speed_sup - coarse.speed_sup) <= np.maximum(10 * tolerance * fine.speed_sup, floor)
    return steady & top_steady & (fine.tail <= 10 * allowed)


def _unresolved(
    values: np.ndarray, classes: np.ndarray, coarse: PathVariation, fine: PathVariation, settled: np.ndarray
) -> dict[str, np.ndarray]:
    """What the interpolant may still miss, by field: the smaller of two estimates.

        int max_j |p_n' - p_{n/2}'|_j   and   |V_n - V_{n/2}| + tail_n

    The first falls with n on a path with kinks, where V_n and V_{n/2} can agree by accident and the coefficients decay too
    slowly to add up; the second is far smaller on a smooth path. The sup over theta takes the same two in the largest norm,
    and the larger of them where the path did not settle: an interpolant's speed does not converge at a kink.
    """
    moved = derivative_coefficients(chebyshev_coefficients(values))
    moved[: fine.order // 2] -= derivative_coefficients(chebyshev_coefficients(values[::2]))
    block = max(1, BLOCK_SIZE // (OVERSAMPLING * fine.order * values.shape[2]))
    parts = [_sizes(moved[:, i : i + block], classes[i : i + block], fine.order) for i in range(0, len(classes), block)]
    by_speed = {name: np.concatenate([part[name] for part in parts]) for name in FIELDS}
    factors = {"max_norm": 1, "oscillation": 2, "pairwise": 2, "speed_sup": fine.order}
    found = {}
    for name, factor in factors.items():
        value = getattr(fine, name)
        tail = factor * (fine.tail if value.ndim == 1 else fine.tail[:, None])
        by_order = np.abs(value - getattr(coarse, name)) + tail
        found[name] = np.minimum(by_speed[name], by_order)
        if name == "speed_sup":
            found[name] = np.where(settled, found[name], np.maximum(by_speed[name], by_order))
    found["change"] = np.abs(fine.change - coarse.change) + fine.change_tail[:, None]
    return found


def _sizes(derivative: np.ndarray, classes: np.ndarray, order: int) -> dict[str, np.ndarray]:
    """The fields of a path whose speed has these coefficients, on a grid fine enough for a difference of two interpolants."""
    speed = evaluate(derivative, clenshaw_curtis_nodes(OVERSAMPLING * order))
    weights = clenshaw_curtis_weights(OVERSAMPLING * order)
    size = np.abs(speed).max(axis=2)
    relative = np.abs(speed - np.take_along_axis(speed, classes[None, :, None], axis=2))
    return {
        "max_norm": weights @ size,
        "oscillation": weights @ (speed.max(axis=2) - speed.min(axis=2)),
        "pairwise": np.tensordot(weights, relative, axes=1),
        "speed_sup": size.max(axis=0),
    }


def _keep(
    found: dict[str, np.ndarray],
    active: np.ndarray,
    fine: PathVariation,
    unresolved: dict[str, np.ndarray],
    evaluation: np.ndarray,
    count: int,
) -> None:
    """Write the active samples' values and errors.

    An interpolant magnifies evaluation errors by less than 4, its derivative by at most 2 n^2.
    """
    noise = fine.quadrature + 2.0 * fine.order**2 * evaluation
    for name in (*FIELDS, "change"):
        value, extra = getattr(fine, name), 8.0 * evaluation if name == "change" else noise
        error = unresolved[name] + (extra if value.ndim == 1 else extra[:, None])
        for key, entry in ((name, value), (f"{name}_error", error)):
            found.setdefault(key, np.empty((count, *value.shape[1:])))[active] = entry


def _subset(path: PathVariation, rows: np.ndarray) -> PathVariation:
    parts = {name: getattr(path, name)[rows] for name in path.__dataclass_fields__ if name != "order"}
    return PathVariation(**parts, order=path.order)
