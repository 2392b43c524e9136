"""From scores to masks with exact counts."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np


def keep_largest(scores: Mapping[str, np.ndarray], sparsity: float) -> dict[str, np.ndarray]:
    """Masks that remove exactly floor(sparsity · total) entries with the smallest scores over all targets together.

    `sparsity` is read as the decimal it prints as, so that 0.29 of 100 entries is 29 and not 28. Equal scores are removed in
    order of target and position, so the count is exact and the choice repeatable.
    """
    names = list(scores)
    flat = np.concatenate([scores[name].reshape(-1) for name in names])
    kept = np.ones(flat.size, dtype=bool)
    kept[np.argsort(flat, kind="stable")[: int(Fraction(repr(float(sparsity))) * flat.size)]] = False
    ends = np.cumsum([scores[name].size for name in names])
    return {name: part.reshape(scores[name].shape) for name, part in zip(names, np.split(kept, ends[:-1]), strict=True)}


def group_top(scores: np.ndarray, keep: int, group: int) -> np.ndarray:
    """Mask that keeps exactly the `keep` largest of each `group` consecutive inputs; of equal ones the earlier stay."""
    rows, cols = scores.shape
    groups = scores.reshape(rows, cols // group, group)
    order = np.argsort(-groups, axis=2, kind="stable")[:, :, :keep]
    kept = np.zeros(groups.shape, dtype=bool)
    np.put_along_axis(kept, order, True, axis=2)
    return kept.reshape(rows, cols)
