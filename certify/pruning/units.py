"""Hidden units as groups of weights: the columns of the layer that reads a unit, and the rows of the layer that writes it.

A removed unit is a removed set of weights, so plans of units are plans like any other: bounds, masses and guarantees apply as
they stand. Biases are not edited: the writer's is not read any more, the reader's stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from certify.pruning.method import Request
from certify.records import Edit, Target, Usage

UNITS = ("neurons", "heads")


@dataclass(frozen=True)
class Group:
    """The removable units of one reader.

    reader : the target whose inputs they are. writer : the target whose rows they are, where it is edited too.
    width  : inputs of a unit: 1 of a neuron, the dimension of a head.
    """

    reader: Target
    writer: Target | None
    width: int

    @property
    def count(self) -> int:
        return self.reader.cols // self.width


def groups_of(request: Request, unit: str, width: int = 1) -> list[Group]:
    """Groups of a request's targets: neurons, inputs of a layer that another layer alone writes unit by unit; or heads, `width`
    consecutive inputs of ..attn.proj.

    Which layer writes another's inputs is known where the evidence holds states; else by name, ..fc1 and ..fc2.
    """
    if unit not in UNITS:
        raise Usage(f"unit = {unit!r} is none of {', '.join(UNITS)}")
    targets = {target.name: target for target in request.targets}
    producers = request.evidence.producers
    found = []
    for target in request.targets:
        if unit == "heads":
            if target.name.endswith("attn.proj"):
                found.append(Group(target, None, width))
            continue
        named = target.name.endswith("fc2") and target.name.removesuffix("2") + "1"
        writer = targets.get(producers.get(target.name, "") if producers else named or "")
        by_states = target.name in producers and not target.name.endswith("attn.proj")
        if by_states or (named and not producers):
            found.append(Group(target, writer if writer is not None and writer.rows == target.cols else None, width))
    if not found:
        raise Usage(
            f"there are no {unit} to remove; neurons are written by one layer and read by one, heads are read by ..attn.proj"
        )
    uneven = next((group for group in found if width < 1 or group.reader.cols % width), None)
    if uneven:
        raise Usage(f"{uneven.reader.name}: units of {width} columns do not divide {uneven.reader.cols} inputs")
    return found


def unit_edits(request: Request, groups: Iterable[Group], kept: Mapping[str, np.ndarray]) -> tuple[Edit, ...]:
    """Edits of all targets. kept : reader -> (units,) bool. Targets without units stay whole."""
    masks = {target.name: np.ones((target.rows, target.cols), dtype=bool) for target in request.targets}
    for group in groups:
        columns = np.repeat(kept[group.reader.name], group.width)
        masks[group.reader.name][:, ~columns] = False
        if group.writer is not None:
            masks[group.writer.name][~columns, :] = False
    return tuple(Edit(name, mask) for name, mask in masks.items())


def kept_count(total: int, sparsity: float) -> int:
    """K = n - round(S n), a half rounded to even."""
    if not 0.0 <= sparsity <= 1.0:
        raise Usage(f"sparsity {sparsity} is not in [0, 1]")
    return total - round(sparsity * total)
