"""One door to the proven roads: how far logits move on the whole segment, and whose decision cannot change on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.enclosed import Encloser, Enclosure
from certify.bounds.exact import exact, extent
from certify.records import Refused, Usage
from certify.records.recipe import ROADS

# Road "auto" leaves larger networks alone: what they would take is hours. Named, a road tries any size.
AUTO_PARAMETERS, AUTO_BENDS = 2**21, 500
# Called with samples done and samples in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Lead:
    """Of one class C a sample: how it leads the others at theta = 1, and how far that moves on the segment.

    classes : (T,) C.   change : (T, K) max over theta of |(z_k - z_C)(theta) - (z_k - z_C)(1)|; 0 at C.
    least, most : (T, K) bounds on z_C(1) - z_k(1); 0 at C.
    """

    classes: np.ndarray
    change: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """(T,) whether C stays ahead of every other class at every theta: change < least."""
        stays = self.change < self.least
        stays[np.arange(len(self.classes)), self.classes] = True
        return np.asarray(stays.all(axis=1))

    @property
    def behind(self) -> np.ndarray:
        """(T,) whether C does not lead at theta = 1: some other class is level or ahead."""
        below = self.most <= 0.0
        below[np.arange(len(self.classes)), self.classes] = False
        return np.asarray(below.any(axis=1))


@dataclass(frozen=True)
class ProvedPath:
    """Bounds of tier `proved` on the segment shipped + theta (reference - shipped), theta in [0, 1], per sample.

    Of the networks in real arithmetic, weights and inputs as stored: what a float32 run adds is not in them. inf is vacuous.

    road          : "exact" or "enclosed".
    logits, error : (T, K) logits at theta = 1, and how far they may be off.
    change        : (T, K) max over theta of |z_k(theta) - z_k(1)|, logit units.
    variation     : (T,) int max_k |z_k'|; inf on road "enclosed", which does not bound it.
    decided       : lead of argmax_k z_k(1).   labelled : lead of the true class, or of the decision where there are no labels.
    """

    road: str
    logits: np.ndarray
    error: np.ndarray
    change: np.ndarray
    variation: np.ndarray
    decided: Lead
    labelled: Lead

    @property
    def unchanged(self) -> np.ndarray:
        """(T,) whether the decision is the same at every theta."""
        return self.decided.kept


def prove(
    model: nn.Module,
    reference: Mapping[str, Tensor],
    shipped: Mapping[str, Tensor],
    images: Tensor,
    *,
    labels: np.ndarray | None = None,
    road: str = "auto",
    radius: float = 0.0,
    progress: Progress = lambda done, all_of_them: None,
) -> ProvedPath:
    """Bound the logits of each image (T, channels, height, width) along the whole segment.

    labels : (T,) true classes, or None.
    road   : "exact" traces piecewise linear networks whose change lies in one layer; "enclosed" knows the same operations and
             GELU, wherever the change lies, and timm's ViT and DeiT; "auto" takes the first that knows the network, if that has
             at most 2^21 parameters and its path bends at most 500 times. Anything else is refused, with what each road said.
    radius : everything then holds for every input no entry of which is farther than this from the image's; "enclosed" alone.
    """
    if road not in ROADS:
        raise Usage(f"road {road!r} is none of {', '.join(ROADS)}")
    size = sum(tensor.numel() for tensor in reference.values())
    if road == "auto" and size > AUTO_PARAMETERS:
        raise Refused(f"{size:,} parameters; road auto tries up to {AUTO_PARAMETERS:,}, road exact or enclosed any number")
    most_bends = AUTO_BENDS if road == "auto" else None
    ways = {
        "exact": lambda: _exact(model, reference, shipped, images, labels, radius, progress),
        "enclosed": lambda: _enclosed(model, reference, shipped, images, labels, radius, most_bends, progress),
    }
    said = []
    for name, way in ways.items():
        if road in ("auto", name):
            try:
                return way()
            except Refused as error:
                if road == name:
                    raise
                said.append(f"{name}: {error}")
    raise Refused(f"no proven road for this network. {'. '.join(said)}")


def _exact(
    model: nn.Module,
    reference: Mapping[str, Tensor],
    shipped: Mapping[str, Tensor],
    images: Tensor,
    labels: np.ndarray | None,
    radius: float,
    progress: Progress,
) -> ProvedPath:
    if radius:
        raise Refused("a ball of inputs is not traced")
    found = exact(model, dict(reference), dict(shipped), images)
    progress(len(images), len(images))
    error = np.stack([tube.rem[-1] for _, tube in found.tubes])

    def against(classes: np.ndarray) -> np.ndarray:
        if np.array_equal(classes, found.labels):
            return found.pairwise_change
        ends = [(tube, int(c), tube.centre[-1], tube.rem[-1]) for (_, tube), c in zip(found.tubes, classes, strict=True)]
        return np.stack([extent(*end).pairwise for end in ends])

    return _assembled("exact", found.reference, error, found.change, found.max_norm, labels, against)


def _enclosed(
    model: nn.Module,
    reference: Mapping[str, Tensor],
    shipped: Mapping[str, Tensor],
    images: Tensor,
    labels: np.ndarray | None,
    radius: float,
    most_bends: int | None,
    progress: Progress,
) -> ProvedPath:
    encloser, found = Encloser(model, reference, shipped), []

    def enclose(image: Tensor) -> Enclosure:
        return encloser.enclose(image, radius=radius, most_bends=most_bends)

    with _workers() as each:
        # The first alone: it reads the network and runs it once.
        first = enclose(images[0])
        for number, path in enumerate(chain([first], each(enclose, images[1:]))):
            found.append(path)
            progress(number + 1, len(images))
    logits, error = (np.array(each) for each in zip(*(each.last_logits() for each in found), strict=True))

    def against(classes: np.ndarray) -> np.ndarray:
        return np.array([each.against(int(c)) for each, c in zip(found, classes, strict=True)])

    change = np.array([each.deviation() for each in found])
    return _assembled("enclosed", logits, error, change, np.full(len(change), np.inf), labels, against)


@contextmanager
def _workers() -> Iterator[Callable[..., Iterable[Enclosure]]]:
    """map() over as many samples at once as torch has threads, each sample on one: the same numbers for any count."""
    count = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=lambda: torch.set_num_threads(1)) as pool:
            torch.set_num_threads(1)
            yield pool.map
    finally:
        torch.set_num_threads(count)


def _assembled(
    road: str,
    logits: np.ndarray,
    error: np.ndarray,
    change: np.ndarray,
    variation: np.ndarray,
    labels: np.ndarray | None,
    against: Callable[[np.ndarray], np.ndarray],
) -> ProvedPath:
    decided = _lead(logits, error, change, logits.argmax(axis=1), against)
    labelled = decided if labels is None else _lead(logits, error, change, np.asarray(labels), against)
    return ProvedPath(road, logits, error, change, variation, decided, labelled)


def _lead(
    logits: np.ndarray,
    error: np.ndarray,
    change: np.ndarray,
    classes: np.ndarray,
    against: Callable[[np.ndarray], np.ndarray],
) -> Lead:
    rows = np.arange(len(logits))
    gap = logits[rows, classes][:, None] - logits
    # One subtraction and two sums, rounded; four units cover them.
    both = error + error[rows, classes][:, None]
    both += 4 * np.spacing(np.abs(gap) + both)
    moved = np.minimum(against(classes), np.nextafter(change + change[rows, classes][:, None], np.inf))
    least, most = gap - both, gap + both
    for each in (moved, least, most):
        each[rows, classes] = 0.0
    return Lead(classes, moved, least, most)
