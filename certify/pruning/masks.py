"""From scores to masks with exact counts."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np


def share_of(total: int, sparsity: float) -> int:
    """floor(sparsity · total), `sparsity` read as the decimal it prints as: 0.29 of 100 is 29 and not 28."""
    return int(Fraction(repr(float(sparsity))) * total)


def keep_largest(scores: Mapping[str, np.ndarray], sparsity: float) -> dict[str, np.ndarray]:
    """Masks that remove exactly floor(sparsity · total) entries with the smallest scores over all targets together.

    Equal scores are removed in order of target and position, so the count is exact and the choice repeatable.
    """
    flat = np.concatenate([score.reshape(-1) for score in scores.values()])
    kept = keep_all_but(flat, share_of(flat.size, sparsity))
    ends = np.cumsum([score.size for score in scores.values()])[:-1]
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, np.split(kept, ends), strict=True)}


def keep_all_but(scores: np.ndarray, count: int) -> np.ndarray:
    """(N,) mask that removes exactly the `count` smallest scores; of equal ones the earlier go. O(N)."""
    if count == 0:
        return np.ones(scores.shape, dtype=bool)
    cut = np.partition(scores, count - 1)[count - 1]
    kept = scores > cut
    tied = np.flatnonzero(scores == cut)
    kept[tied[count - np.count_nonzero(scores < cut) :]] = True
    return kept


def group_top(scores: np.ndarray, keep: int) -> np.ndarray:
    """(rows, groups, group) mask of the `keep` largest of each group; of equal ones the earlier stay."""
    order = np.argsort(-scores, axis=2, kind="stable")[:, :, :keep]
    kept = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(kept, order, True, axis=2)
    return kept
