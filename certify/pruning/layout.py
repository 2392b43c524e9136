"""How the inputs of a target form the groups of a k:n pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from certify.records import Edit, Evidence, Refused


@dataclass(frozen=True)
class Layout:
    """Of each `group` consecutive inputs, in `order`, `keep` are kept.

    rows, cols : shape of the target. order : (cols,) permutation, None for the stored order.
    Groups are counted in the order; where `group` does not divide `cols` the last one is filled up with zeros.
    Arrays over groups are (rows, groups, group): `slots` makes them from a matrix, `matrix` goes back.
    """

    target: str
    rows: int
    cols: int
    keep: int
    group: int
    order: np.ndarray | None = None

    @property
    def pattern(self) -> str:
        return f"{self.keep}:{self.group}"

    @property
    def padded(self) -> bool:
        return bool(self.cols % self.group)

    @property
    def groups(self) -> int:
        return -(-self.cols // self.group)

    def slots(self, matrix: np.ndarray, fill: float | bool = 0) -> np.ndarray:
        """(rows, cols) to (rows, groups, group); slots beyond the last input hold `fill`."""
        ordered = matrix if self.order is None else matrix[:, self.order]
        if self.padded:
            ordered = np.pad(ordered, ((0, 0), (0, self.groups * self.group - self.cols)), constant_values=fill)
        return ordered.reshape(self.rows, self.groups, self.group)

    def matrix(self, slots: np.ndarray) -> np.ndarray:
        """(rows, groups, group) to (rows, cols): the inverse of `slots`."""
        ordered = slots.reshape(self.rows, -1)[:, : self.cols]
        if self.order is None:
            return ordered
        found = np.empty_like(ordered)
        found[:, self.order] = ordered
        return found

    def moments(self, evidence: Evidence) -> np.ndarray:
        """(groups, group, group) means of v v^T within each group, from the evidence's grams; zero in padded slots.

        Groups that lie within one stored block of b inputs need no more than that block; others need the whole matrix.
        """
        blocks = evidence.part("grams", self.target)
        width = blocks.shape[1]
        index = np.zeros(self.groups * self.group, dtype=np.intp)
        index[: self.cols] = np.arange(self.cols) if self.order is None else self.order
        index = index.reshape(self.groups, self.group)
        block = index // width
        real = (np.arange(index.size) < self.cols).reshape(index.shape)
        if np.any((block != block[:, :1]) & real):
            raise Refused(
                f"{self.target}: the evidence holds second moments within blocks of {width} inputs, and groups of {self.group} "
                f"{'in another order ' if self.order is not None else ''}cross them; collect grams with gram_block = 0"
            )
        inside = index % width
        found = blocks[block[:, :1, None], inside[:, :, None], inside[:, None, :]]
        return found * (real[:, :, None] & real[:, None, :])

    def edit(self, kept: np.ndarray, values: np.ndarray | None = None, *, own_pattern: bool = False) -> Edit:
        """The edit of masks and values given over groups. `own_pattern` states the pattern in the edit, for mixed plans."""
        return Edit(
            self.target,
            self.matrix(kept),
            None if values is None else self.matrix(values),
            self.order,
            self.pattern if own_pattern else None,
            self.padded,
        )
