"""One door to the proven roads: how far logits move on the whole segment, and whose decision cannot change on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from certify.bounds.enclosed import Encloser
from certify.bounds.exact import exact
from certify.records import Refused, Usage

ROADS = ("auto", "exact", "enclosed")
# Called with samples done and samples in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ProvedPath:
    """Bounds of tier `proved` on the segment shipped + theta (reference - shipped), theta in [0, 1], per sample.

    Of the networks in real arithmetic, weights and inputs as stored: what a float32 run adds is not in them. inf is vacuous.

    road            : "exact" or "enclosed".
    change          : (T, K) max over theta of |z_k(theta) - z_k(1)|, logit units.
    decision        : (T,) argmax_k z_k(1). pairwise_change : (T, K) the same of z_k - z_decision.
    margin          : (T, K) at most z_decision(1) - z_k(1); 0 at the decision.
    """

    road: str
    change: np.ndarray
    decision: np.ndarray
    pairwise_change: np.ndarray
    margin: np.ndarray

    @property
    def unchanged(self) -> np.ndarray:
        """(T,) whether the decision is the same at every theta: pairwise_change < margin against every other class."""
        rows = np.arange(len(self.decision))
        stays = self.pairwise_change < self.margin
        stays[rows, self.decision] = True
        return np.asarray(stays.all(axis=1))


def prove(
    model: nn.Module,
    reference: Mapping[str, Tensor],
    shipped: Mapping[str, Tensor],
    images: Tensor,
    *,
    road: str = "auto",
    progress: Progress = lambda done, all_of_them: None,
) -> ProvedPath:
    """Bound the logits of each image (T, channels, height, width) along the whole segment.

    road : "exact" traces piecewise linear networks whose change lies in one layer; "enclosed" knows the same operations and GELU,
           wherever the change lies, and timm's ViT and DeiT; "auto" takes the first that knows the network. Anything else is
           refused, with what each road said.
    """
    if road not in ROADS:
        raise Usage(f"road {road!r} is none of {', '.join(ROADS)}")
    said = []
    for name, way in (("exact", _exact), ("enclosed", _enclosed)):
        if road in ("auto", name):
            try:
                return way(model, reference, shipped, images, progress)
            except Refused as error:
                if road == name:
                    raise
                said.append(f"{name}: {error}")
    raise Refused(f"no proven road for this network. {'. '.join(said)}")


def _exact(
    model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], images: Tensor, progress: Progress
) -> ProvedPath:
    found = exact(model, dict(reference), dict(shipped), images)
    progress(len(images), len(images))
    logits = found.reference
    error = np.stack([tube.rem[-1] for _, tube in found.tubes])
    return _assembled("exact", logits, error, found.change, found.labels, found.pairwise_change)


def _enclosed(
    model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], images: Tensor, progress: Progress
) -> ProvedPath:
    encloser = Encloser(model, reference, shipped)
    logits, errors, changes, decisions, pairwise = [], [], [], [], []
    for number, image in enumerate(images):
        found = encloser.enclose(image)
        value, error = found.last_logits()
        decisions.append(int(value.argmax()))
        logits.append(value)
        errors.append(error)
        changes.append(found.deviation())
        pairwise.append(found.against(decisions[-1]))
        progress(number + 1, len(images))
    return _assembled("enclosed", *(np.array(each) for each in (logits, errors, changes, decisions, pairwise)))


def _assembled(
    road: str, logits: np.ndarray, error: np.ndarray, change: np.ndarray, decision: np.ndarray, pairwise: np.ndarray
) -> ProvedPath:
    rows = np.arange(len(logits))
    both = error + error[rows, decision][:, None]
    gap = logits[rows, decision][:, None] - logits
    # One subtraction and two sums, rounded; four units cover them.
    margin = gap - both - 4 * np.spacing(np.abs(gap) + both)
    margin[rows, decision] = 0.0
    return ProvedPath(road, change, decision, pairwise, margin)
