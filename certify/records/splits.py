"""Splits: which sample serves which purpose, fixed once from a seed, and disjoint by content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from certify.records.errors import Refused
from certify.records.hashing import sha256_json

PURPOSES = ("train", "calibration", "tuning", "certification")


@dataclass(frozen=True)
class Splits:
    """Four disjoint sets of samples.

    indices : purpose -> positions in the data set.
    samples : purpose -> digest of each sample's content (pixels and label), in the same order.
    groups  : how samples that share a source were kept together, or why they could not be.
    """

    dataset: str
    seed: int
    indices: Mapping[str, tuple[int, ...]]
    samples: Mapping[str, tuple[str, ...]]
    groups: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", {name: tuple(int(i) for i in self.indices[name]) for name in self.indices})
        object.__setattr__(self, "samples", {name: tuple(self.samples[name]) for name in self.samples})
        if set(self.indices) != set(PURPOSES) or set(self.samples) != set(PURPOSES):
            raise Refused(f"splits: expected {', '.join(PURPOSES)}, found {', '.join(sorted(self.indices))}")
        owner_of_index: dict[int, str] = {}
        owner_of_sample: dict[str, str] = {}
        for name in PURPOSES:
            if len(self.indices[name]) != len(self.samples[name]):
                raise Refused(f"splits: {name} lists {len(self.indices[name])} positions and {len(self.samples[name])} samples")
            for index, sample in zip(self.indices[name], self.samples[name], strict=True):
                first = owner_of_index.setdefault(index, name)
                twin = owner_of_sample.setdefault(sample, name)
                if first != name or twin != name:
                    raise Refused(f"splits overlap: sample {index} serves {first if first != name else twin} and {name}")
            if len(set(self.indices[name])) != len(self.indices[name]):
                raise Refused(f"splits: a sample stands twice in {name}")

    def digest(self, purpose: str) -> str:
        """Name of one split: hash of its samples' digests, in order."""
        return sha256_json(list(self.samples[purpose]))

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "seed": self.seed,
            "groups": self.groups,
            "indices": {name: list(self.indices[name]) for name in PURPOSES},
            "samples": {name: list(self.samples[name]) for name in PURPOSES},
            "digests": {name: self.digest(name) for name in PURPOSES},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Splits:
        try:
            splits = cls(value["dataset"], int(value["seed"]), value["indices"], value["samples"], value["groups"])
            stated = value["digests"]
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"splits: not a splits record ({type(error).__name__}: {error})") from None
        for name in PURPOSES:
            if stated.get(name) != splits.digest(name):
                raise Refused(f"splits: the {name} split does not hash to the digest stated for it")
        return splits
