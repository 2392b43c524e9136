"""Edit and Plan: which entries of which matrices are kept. Data, not behaviour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused, Usage
from certify.records.fields import finite, frozen
from certify.records.files import read_json, read_tensors, tensors_about, write_json, write_tensors
from certify.records.hashing import canonical_json, network_digest
from certify.records.networks import check_digest

PATTERN = re.compile(r"([1-9][0-9]*):([1-9][0-9]*)")


def parse_pattern(pattern: str) -> tuple[int, int]:
    """`"2:4"` to (2, 4): at most 2 of each 4 consecutive inputs are kept."""
    match = PATTERN.fullmatch(pattern)
    if match is None:
        raise Usage(f"pattern {pattern!r} is not of the form K:N, such as 2:4")
    kept, group = int(match[1]), int(match[2])
    if kept >= group:
        raise Usage(f"pattern {pattern}: K must be smaller than N, or nothing is removed")
    return kept, group


def check_pattern(name: str, kept: np.ndarray, pattern: str, *, order: np.ndarray | None = None, padded: bool = False) -> None:
    """Refuse a mask that keeps more than the pattern allows, naming the first group that does.

    order  : (cols,) the inputs in the order in which groups are formed; None is the stored order.
    padded : a last group of fewer than N inputs counts as filled up with zeros; without it the inputs must divide.
    """
    allowed, group = parse_pattern(pattern)
    cols = kept.shape[1]
    if cols % group and not padded:
        raise Refused(f"{name}: {cols} inputs do not divide into groups of {group}; pattern {pattern} cannot apply")
    counts = np.add.reduceat((kept if order is None else kept[:, order]).astype(np.int64), np.arange(0, cols, group), axis=1)
    if counts.max(initial=0) > allowed:
        row, slot = (int(index) for index in np.argwhere(counts > allowed)[0])
        raise Refused(
            f"{name}: group {slot} of row {row} keeps {int(counts[row, slot])} of {group}; pattern {pattern} allows {allowed}. "
            f"Re-project with certify prune --pattern {pattern}."
        )


@dataclass(frozen=True)
class Edit:
    """What a plan does to one target.

    kept    : (rows, cols) boolean mask, True where the weight stays.
    values  : (rows, cols) float32, the weights that are shipped at kept entries; None keeps the reference's. Zero elsewhere.
    order   : (cols,) permutation: the inputs in the order in which the pattern's groups are formed; None is the stored order.
              The network's function does not depend on it; a deployment that needs the pattern in memory gathers its inputs so.
    pattern : "K:N" where this target differs from the plan's pattern (mixed plans).
    padded  : the last, shorter group counts as filled up with zeros.
    """

    target: str
    kept: np.ndarray
    values: np.ndarray | None = None
    order: np.ndarray | None = None
    pattern: str | None = None
    padded: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", frozen(self.kept, bool))
        if self.kept.ndim != 2 or self.kept.size == 0:
            raise Refused(f"{self.target}: a mask is a (rows, cols) matrix, found shape {self.kept.shape}")
        if self.values is not None:
            if np.shape(self.values) != self.kept.shape:
                raise Refused(f"{self.target}: changed weights of shape {np.shape(self.values)} for a mask of {self.kept.shape}")
            values = frozen(np.where(self.kept, self.values, 0), np.float32)
            object.__setattr__(self, "values", finite(values, f"{self.target}: changed weights"))
        if self.order is not None:
            _check_order(self.target, np.asarray(self.order), self.kept.shape[1])
            object.__setattr__(self, "order", frozen(self.order, np.int32))
        if self.pattern is not None:
            self.check(self.pattern)

    def check(self, pattern: str) -> None:
        """Refuse unless the mask obeys `pattern` in this edit's order."""
        check_pattern(self.target, self.kept, pattern, order=self.order, padded=self.padded)

    @property
    def removed(self) -> int:
        return int(self.kept.size - np.count_nonzero(self.kept))


def _check_order(name: str, order: np.ndarray, cols: int) -> None:
    """Refuse anything but a permutation of 0 .. cols - 1, before a conversion could make one of it."""
    if order.shape != (cols,) or order.dtype.kind not in "iu":
        raise Refused(f"{name}: its order is {order.size} numbers of type {order.dtype}, not a permutation of its {cols} inputs")
    outside = order[(order < 0) | (order >= cols)]
    if outside.size:
        raise Refused(f"{name}: its order names input {int(outside[0])}; it is not a permutation of its {cols} inputs")
    counts = np.bincount(order.astype(np.intp), minlength=cols)
    if counts.max() > 1:
        most = int(counts.argmax())
        raise Refused(f"{name}: its order names input {most} {counts[most]} times; it is not a permutation of its {cols} inputs")


@dataclass(frozen=True)
class Plan:
    """The edits of all targets and how they were made.

    reference : digest of the network the plan was made for.
    sparsity  : the wanted share of zeros over the edited targets, in [0, 1), or None.
    pattern   : "K:N", or None. Each edit obeys it, or the pattern of its own.
    options   : of the method, as chosen.
    facts     : what the method found, as a JSON value: allocations, masses, overlaps.
    skipped   : (target, reason) of every prunable matrix the plan leaves alone.
    """

    name: str
    method: str
    reference: str
    edits: tuple[Edit, ...]
    sparsity: float | None = None
    pattern: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_digest(self.reference, f"plan {self.name}: reference")
        object.__setattr__(self, "edits", tuple(self.edits))
        object.__setattr__(self, "skipped", tuple((str(name), str(reason)) for name, reason in self.skipped))
        names = [edit.target for edit in self.edits]
        if not names:
            raise Refused(f"plan {self.name}: no target is edited")
        if len(set(names)) != len(names):
            raise Refused(f"plan {self.name}: a target is edited twice")
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise Usage(f"plan {self.name}: sparsity {self.sparsity} is not in [0, 1)")
        if self.pattern is not None:
            for edit in self.edits:
                if edit.pattern is None:
                    edit.check(self.pattern)
        canonical_json({"options": dict(self.options), "facts": dict(self.facts)})

    @property
    def removed(self) -> int:
        return sum(edit.removed for edit in self.edits)

    @property
    def total(self) -> int:
        return sum(edit.kept.size for edit in self.edits)

    def counts(self) -> dict[str, dict[str, int]]:
        """Removed and total entries of each edited target."""
        return {edit.target: {"removed": edit.removed, "total": int(edit.kept.size)} for edit in self.edits}

    def save(self, folder: Path) -> None:
        """Write plan.safetensors (bit-packed masks, orders, changed values) and plan.json (the rest, with exact counts).

        The hash of all arrays stands in the header of plan.safetensors, so that a damaged file is not taken for another plan.
        """
        arrays = {}
        for edit in self.edits:
            arrays[f"{edit.target}.kept"] = np.packbits(edit.kept)
            if edit.order is not None:
                arrays[f"{edit.target}.order"] = edit.order
            if edit.values is not None:
                arrays[f"{edit.target}.values"] = edit.values[edit.kept]
        write_tensors(folder / "plan.safetensors", arrays, {"arrays": _digest(arrays)})
        write_json(
            folder / "plan.json",
            {
                "name": self.name,
                "method": self.method,
                "reference": self.reference,
                "sparsity": self.sparsity,
                "pattern": self.pattern,
                "options": dict(self.options),
                "facts": dict(self.facts),
                "skipped": [list(entry) for entry in self.skipped],
                "removed": self.removed,
                "total": self.total,
                "edits": [
                    {
                        "target": edit.target,
                        "shape": list(edit.kept.shape),
                        "removed": edit.removed,
                        "pattern": edit.pattern,
                        "padded": edit.padded,
                        "arrays": _parts(edit),
                    }
                    for edit in self.edits
                ],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read a plan; names, counts, orders, pattern and the hash of the arrays are checked, not believed."""
        about = read_json(folder / "plan.json")
        arrays = read_tensors(folder / "plan.safetensors")
        try:
            _check_names(folder, about["edits"], arrays)
            edits = [_edit(entry, arrays) for entry in about["edits"]]
            plan = cls(
                name=about["name"],
                method=about["method"],
                reference=about["reference"],
                edits=tuple(edits),
                sparsity=about["sparsity"],
                pattern=about["pattern"],
                options=about["options"],
                skipped=tuple((name, reason) for name, reason in about["skipped"]),
                facts=about["facts"],
            )
            stated = about["removed"], about["total"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Refused(f"{folder / 'plan.json'}: not a plan ({type(error).__name__}: {error})") from None
        if (plan.removed, plan.total) != stated:
            raise Refused(f"{folder / 'plan.json'}: states {stated[0]} of {stated[1]}, masks say {plan.removed} of {plan.total}")
        header = tensors_about(folder / "plan.safetensors")
        if header is not None and header != {"arrays": _digest(arrays)}:
            raise Refused(f"{folder / 'plan.safetensors'}: its arrays do not hash to what its header states; restore the file")
        return plan


def _parts(edit: Edit) -> list[str]:
    """Names of the arrays that hold an edit."""
    present = {"kept": edit.kept, "order": edit.order, "values": edit.values}
    return [part for part, array in present.items() if array is not None]


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    return network_digest((name, array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items())


def _check_names(folder: Path, entries: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that plan.json does not name, and names without their array."""
    named = [f"{entry['target']}.{part}" for entry in entries for part in entry["arrays"]]
    for found, what in ((set(named) - set(arrays), "lacks"), (set(arrays) - set(named), "holds an unknown")):
        if found:
            raise Refused(f"{folder}: not a plan (plan.safetensors {what} {min(found)}); restore both files")


def _edit(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Edit:
    """One edit from its JSON entry and its arrays; sizes and counts are compared."""
    name, (rows, cols) = entry["target"], entry["shape"]
    packed = arrays[f"{name}.kept"]
    if packed.size != (rows * cols + 7) // 8:
        raise Refused(f"{name}: mask holds {packed.size} bytes, {(rows * cols + 7) // 8} expected")
    kept = np.unpackbits(packed, count=rows * cols).reshape(rows, cols).astype(bool)
    stored, values = arrays.get(f"{name}.values"), None
    if stored is not None:
        if stored.size != np.count_nonzero(kept):
            raise Refused(f"{name}: {stored.size} changed weights for {np.count_nonzero(kept)} kept entries")
        values = np.zeros((rows, cols), np.float32)
        values[kept] = stored
    edit = Edit(name, kept, values, arrays.get(f"{name}.order"), entry["pattern"], entry["padded"])
    if edit.removed != entry["removed"]:
        raise Refused(f"{name}: mask removes {edit.removed} entries, the plan states {entry['removed']}")
    return edit
