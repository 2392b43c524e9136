"""Drawing some samples of a split, the same number of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from certify.records.errors import Usage
from certify.records.hashing import sha256_json


def balanced(labels: np.ndarray | None, indices: Sequence[int], count: int, seed: int) -> tuple[int, ...]:
    """`count` of `indices`, drawn so that the classes' numbers differ only where a class has no more samples.

        n_c = min(available_c, level), up to one more where `count` asks for it

    labels  : (n,) class of every sample of the data set, or None: then all are of one class.
    indices : positions in `labels` to draw from, without repeats.
    Which samples of a class, and which classes get one more, follow from `seed` and the positions alone, through SHA-256.
    Returns the drawn positions in the order of `indices`.
    """
    if not 1 <= count <= len(indices):
        raise Usage(f"evidence: {count} samples are to be drawn from {len(indices)}; ask for 1 to {len(indices)}")
    waiting: dict[int, list[int]] = {}
    for index in sorted(indices, key=lambda index: sha256_json([seed, int(index)])):
        waiting.setdefault(0 if labels is None else int(labels[index]), []).append(int(index))
    # The n-th sample of a class goes in round n; within a round, classes stand in an order of their own.
    rounds = sorted(
        (turn, sha256_json([seed, "class", label]), index)
        for label, members in waiting.items()
        for turn, index in enumerate(members)
    )
    drawn = {index for _, _, index in rounds[:count]}
    return tuple(int(index) for index in indices if int(index) in drawn)
