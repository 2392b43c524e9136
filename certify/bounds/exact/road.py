"""The exact road: how far each logit goes along the segment of one layer, in a piecewise linear network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from certify.bounds.exact.graph import Network, State, changed_tensors, fractions, read
from certify.bounds.exact.proof import enclose, still_tubes
from certify.bounds.exact.summary import Extent, Variation, extent, lower_extent, variation
from certify.bounds.exact.trace import knots_of, logits_at, still
from certify.bounds.exact.tubes import Tube, Values
from certify.networks.loading import State as Loaded
from certify.networks.segment import Segment, between
from certify.records import Refused
from certify.theory._arrays import Array, Whole, logits_and_labels
from certify.theory.outward._rounding import require_full_products, require_ieee


@dataclass(frozen=True)
class ExactPath:
    """The path of the logits of each sample, and what follows from it. Upper values are rounded up, tier `proved`.

    z(theta) are the logits in real arithmetic at shipped + theta (reference - shipped), stored weights and inputs taken as exact.

    labels          : (T,) the class C of the pairwise differences.
    change          : (T, K) max over theta of |z_k(theta) - z_k(1)|, from above; change_lower from below.
    pairwise_change : (T, K) max over theta of |(z_j - z_C)(theta) - (z_j - z_C)(1)|; 0 at j = C.
    variation       : (T, K) int |z_k'|.
    pairwise        : (T, K) int |z_j' - z_C'|; 0 at j = C.
    max_norm        : (T,) int max_k |z_k'|.   oscillation : (T,) int (max_j z_j' - min_j z_j').
    bends           : (T,) knots strictly inside the segment.
    tubes           : per sample the knots (m + 1,) and the logits' `Tube`: z is within rem of the line between two knots.
    Claims X8-path-variation, X2-ce-pairwise.
    """

    labels: Whole
    change: Array
    change_lower: Array
    pairwise_change: Array
    variation: Array
    pairwise: Array
    max_norm: Array
    oscillation: Array
    bends: Whole
    tubes: tuple[tuple[Array, Tube], ...]

    @property
    def reference(self) -> Array:
        """(T, K) logits at theta = 1, as evaluated."""
        return np.stack([tube.centre[-1] for _, tube in self.tubes])

    @property
    def shipped(self) -> Array:
        """(T, K) logits at theta = 0, as evaluated."""
        return np.stack([tube.centre[0] for _, tube in self.tubes])


@dataclass(frozen=True)
class ExactSequence:
    """Several layers, changed one after another: the piecewise path from the reference to the shipped network.

    The path goes along straight lines from network to network: stage j moves layer j alone, from its reference to its shipped
    weights, with layers 1..j-1 already shipped and the later ones still those of the reference. This is not the straight segment
    on which all layers move together; both ends are the same. With z* the reference's logits,

        summed_k = sum_j max |z_k - z_k(start of j)|   >=   change_k = max over the whole path of |z_k - z*_k|

    layers : names in order.   stages : an `ExactPath` each; theta = 1 is the start of the stage.
    change, pairwise_change, summed, variation, pairwise : (T, K), max_norm, oscillation : (T,); of the whole path, tier `proved`.
    Claim T5.8-multilayer (Theorem 5.8 of arXiv:2606.02608), X14-multilayer (c).
    """

    layers: tuple[str, ...]
    stages: tuple[ExactPath, ...]
    change: Array
    pairwise_change: Array
    summed: Array
    variation: Array
    pairwise: Array
    max_norm: Array
    oscillation: Array


def exact(model: nn.Module, reference: State, shipped: State, images: Tensor, labels: npt.ArrayLike | None = None) -> ExactPath:
    """Trace the path of every sample and prove it.

        z(theta) piecewise linear in theta:   max |z_k - z_k(1)|, int |z_k'| are maxima and sums over the knots

    The knots are found in float64 and need not be right: between any knots the logits are enclosed a posteriori, with
    gamma_n |W| |x| for each product and a relaxed kink wherever a sign or a winner is not decided.

    model              : a module of the operations in `certify.bounds.exact.graph`; the argument is untouched.
    reference, shipped : states that differ in the weight and bias of at most one Linear or Conv2d.
    images             : (T, ...) taken as exact numbers.
    labels             : (T,) classes of the pairwise differences; None takes the reference's own decisions.
    Refused: an operation that is not known, NaN and infinity, overflow. Vacuous never.
    Siblings: `exact_sequence` for several layers, `rational_path` without any rounding, `resolve` for other networks.
    Claims X8-path-variation, X2-ce-pairwise.
    """
    require_ieee()
    _require_plain_products()
    images = _checked(images)
    network = read(model, reference, shipped, images[:1])
    arrays = images.to(torch.float64).numpy()
    tubes = [_path(network, arrays[i : i + 1]) for i in range(len(arrays))]
    _compare(Segment(model, reference, shipped), images[:1], tubes[0][1])
    ends = np.stack([tube.centre[-1] for _, tube in tubes])
    _, classes = logits_and_labels(ends, ends.argmax(axis=1) if labels is None else labels)
    still_standing = not network.steps[-1].moves
    extents, variations, lowers = [], [], []
    for (_, tube), label in zip(tubes, classes, strict=True):
        if still_standing:
            tube = Tube(np.zeros_like(tube.centre), np.zeros_like(tube.rem), np.zeros_like(tube.drift))
        walked = variation(tube, label)
        reached = extent(tube, label, tube.centre[-1], tube.rem[-1])
        extents.append(Extent(np.minimum(reached.change, walked.variation), np.minimum(reached.pairwise, walked.pairwise)))
        variations.append(walked)
        lowers.append(lower_extent(tube))
    return ExactPath(
        labels=classes,
        change=np.stack([reached.change for reached in extents]) * (not still_standing),
        change_lower=np.stack(lowers),
        pairwise_change=np.stack([reached.pairwise for reached in extents]) * (not still_standing),
        bends=np.array([len(knots) - 2 for knots, _ in tubes]),
        tubes=tuple(tubes),
        **{name: np.stack([getattr(v, name) for v in variations]) * (not still_standing) for name in Variation._fields},
    )


def exact_sequence(
    model: nn.Module,
    reference: Loaded,
    shipped: Loaded,
    images: Tensor,
    labels: npt.ArrayLike | None = None,
    *,
    order: Sequence[str] | None = None,
) -> ExactSequence:
    """Change the layers one after another and prove the piecewise path; see `ExactSequence`.

    order : names of all layers that change, first one first; None takes the order of the reference's tensors.
    The rest as in `exact`.
    Claim T5.8-multilayer, X14-multilayer (c).
    """
    changed = changed_tensors(reference, shipped)
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in changed))
    if order is not None and sorted(order) != sorted(layers):
        raise Refused(f"exact: order {list(order)}; the layers that change are {layers}")
    layers = list(order) if order is not None else layers
    done: set[str] = set()
    stages: list[ExactPath] = []
    before = reference
    for layer in layers or [""]:
        done |= {name for name in changed if name.rpartition(".")[0] == layer}
        after = between(reference, shipped, done)
        stages.append(exact(model, before, after, images, stages[0].labels if stages else labels))
        before = after
    extents = [
        [extent(tube, label, first.centre[-1], first.rem[-1]) for (_, tube), (_, first), label in _along(stage, stages[0])]
        for stage in stages
    ]
    sums = {name: _summed([getattr(stage, name) for stage in stages]) for name in ("change", *Variation._fields)}
    whole = {
        "change": np.max([[reached.change for reached in row] for row in extents], axis=0),
        "pairwise_change": np.max([[reached.pairwise for reached in row] for row in extents], axis=0),
    }
    pairwise_sum = _summed([stage.pairwise_change for stage in stages])
    return ExactSequence(
        layers=tuple(layers),
        stages=tuple(stages),
        change=np.minimum(whole["change"], sums["change"]),
        pairwise_change=np.minimum(whole["pairwise_change"], pairwise_sum),
        summed=sums.pop("change"),
        **sums,
    )


def rational_path(model: nn.Module, reference: State, shipped: State, image: Tensor) -> tuple[Values, Values]:
    """The path of one sample in fractions: nothing is rounded. For tiny networks; a few hundred weights take a second.

    image : (1, ...). Batch norm is refused: it takes a square root.
    Returns (m + 1,) knots from 0 to 1 and (m + 1, K) logits; straight lines in between.
    """
    image = _checked(image)
    if len(image) != 1:
        raise Refused(f"exact: {len(image)} images; the rational road takes one")
    network = read(model, reference, shipped, image, rational=True)
    fixed = still(network, fractions(image.to(torch.float64).numpy()))
    knots = fractions(np.array([0.0, 1.0]))
    if not network.steps[-1].moves:
        return knots, np.repeat(fixed[len(network.steps)], 2, axis=0)
    knots = knots_of(network, fixed, knots)
    return knots, logits_at(network, fixed, knots)


@lru_cache(maxsize=1)
def _require_plain_products() -> None:
    """Asked once: numpy's product has no modes to change."""
    require_full_products(np.matmul)


def _checked(images: Tensor) -> Tensor:
    if images.ndim < 2 or not len(images) or images.is_complex():
        raise Refused(f"exact: images of shape {tuple(images.shape)}; (samples, ...) with at least one sample are expected")
    if images.is_floating_point() and not bool(torch.isfinite(images).all()):
        raise Refused("exact: images hold NaN or infinite numbers; nothing can be certified about them")
    return images.detach().cpu()


def _path(network: Network, image: Array) -> tuple[Array, Tube]:
    fixed = still_tubes(network, image)
    knots = np.array([0.0, 1.0])
    if not network.steps[-1].moves:
        rest = fixed[len(network.steps)]
        return knots, Tube(np.repeat(rest.centre, 2, axis=0), rest.rem, rest.drift)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        knots = knots_of(network, {number: tube.centre for number, tube in fixed.items()}, knots)
    return knots, enclose(network, fixed, knots)


def _compare(segment: Segment, image: Tensor, tube: Tube) -> None:
    """The steps as read against the network as run, at both ends of one sample: a wrong reading is refused."""
    for theta, centre, rem in ((0.0, tube.centre[0], tube.rem[0]), (1.0, tube.centre[-1], tube.rem[-1])):
        run = segment.logits(image, theta)[0]
        if np.any(np.abs(run - centre) > 1e3 * rem + 1e-9 * np.abs(centre).max()):
            off = float(np.abs(run - centre).max())
            raise Refused(f"exact: the network as read and as run differ by {off:.3g} at theta = {theta:g}; it cannot be traced")


def _along(stage: ExactPath, first: ExactPath) -> list[tuple[tuple[Array, Tube], tuple[Array, Tube], int]]:
    return list(zip(stage.tubes, first.tubes, first.labels.tolist(), strict=True))


def _summed(parts: Sequence[Array]) -> Array:
    """Sum of numbers >= 0, rounded up; exactly 0 where all are."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total = np.where(part > 0.0, np.nextafter(total + part, np.inf), total)
    return total
