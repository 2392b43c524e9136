"""Edit and Plan: which entries of which matrices are kept. Data, not behaviour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused, Usage
from certify.records.fields import frozen
from certify.records.files import read_json, read_tensors, write_json, write_tensors
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


def check_pattern(name: str, kept: np.ndarray, pattern: str) -> None:
    """Refuse a mask that keeps more than the pattern allows, naming the first group that does."""
    allowed, group = parse_pattern(pattern)
    rows, cols = kept.shape
    if cols % group:
        raise Refused(f"{name}: {cols} inputs do not divide into groups of {group}; pattern {pattern} cannot apply")
    counts = kept.reshape(rows, cols // group, group).sum(axis=2)
    if counts.max(initial=0) > allowed:
        row, slot = (int(index) for index in np.argwhere(counts > allowed)[0])
        raise Refused(
            f"{name}: group {slot} of row {row} keeps {int(counts[row, slot])} of {group}; pattern {pattern} allows {allowed}. "
            f"Re-project with certify prune --pattern {pattern}."
        )


@dataclass(frozen=True)
class Edit:
    """What a plan does to one target: `kept` is a (rows, cols) boolean mask, True where the weight stays."""

    target: str
    kept: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", frozen(self.kept, bool))
        if self.kept.ndim != 2 or self.kept.size == 0:
            raise Refused(f"{self.target}: a mask is a (rows, cols) matrix, found shape {self.kept.shape}")

    @property
    def removed(self) -> int:
        return int(self.kept.size - np.count_nonzero(self.kept))


@dataclass(frozen=True)
class Plan:
    """The edits of all targets and how they were made.

    reference : digest of the network the plan was made for.
    sparsity  : the wanted share of zeros over the edited targets, in [0, 1), or None.
    pattern   : "K:N", or None. Each edit obeys it.
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
                check_pattern(edit.target, edit.kept, self.pattern)

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
        """Write plan.safetensors (bit-packed masks) and plan.json (everything else, with exact counts)."""
        masks = {f"{edit.target}.kept": np.packbits(edit.kept) for edit in self.edits}
        write_tensors(folder / "plan.safetensors", masks)
        write_json(
            folder / "plan.json",
            {
                "name": self.name,
                "method": self.method,
                "reference": self.reference,
                "sparsity": self.sparsity,
                "pattern": self.pattern,
                "options": dict(self.options),
                "skipped": [list(entry) for entry in self.skipped],
                "removed": self.removed,
                "total": self.total,
                "edits": [
                    {"target": edit.target, "shape": list(edit.kept.shape), "removed": edit.removed} for edit in self.edits
                ],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read a plan; counts and pattern are checked, not believed."""
        about = read_json(folder / "plan.json")
        masks = read_tensors(folder / "plan.safetensors")
        edits = []
        try:
            for entry in about["edits"]:
                rows, cols = entry["shape"]
                packed = masks[f"{entry['target']}.kept"]
                if packed.size != (rows * cols + 7) // 8:
                    raise Refused(f"{entry['target']}: mask holds {packed.size} bytes, {(rows * cols + 7) // 8} expected")
                kept = np.unpackbits(packed, count=rows * cols).reshape(rows, cols).astype(bool)
                edit = Edit(entry["target"], kept)
                if edit.removed != entry["removed"]:
                    raise Refused(f"{edit.target}: mask removes {edit.removed} entries, the plan states {entry['removed']}")
                edits.append(edit)
            plan = cls(
                name=about["name"],
                method=about["method"],
                reference=about["reference"],
                edits=tuple(edits),
                sparsity=about["sparsity"],
                pattern=about["pattern"],
                options=about["options"],
                skipped=tuple((name, reason) for name, reason in about["skipped"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"{folder / 'plan.json'}: not a plan ({type(error).__name__}: {error})") from None
        if (plan.removed, plan.total) != (about["removed"], about["total"]):
            raise Refused(
                f"{folder / 'plan.json'}: states {about['removed']} of {about['total']}, masks say {plan.removed} of {plan.total}"
            )
        return plan
