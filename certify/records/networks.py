"""Target, Pair, Claim, Evidence: what is pruned, which two networks are compared, and what was learned before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused
from certify.records.fields import frozen
from certify.records.files import read_tensors, tensors_about, write_tensors

DIGEST = re.compile(r"[0-9a-f]{64}")


def check_digest(value: str, what: str) -> None:
    """Refuse anything that is not a hexadecimal SHA-256."""
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise Refused(f"{what}: {value!r} is not a SHA-256 digest")


@dataclass(frozen=True)
class Target:
    """One weight matrix, (rows = outputs, cols = inputs), under its exact module name.

    A convolution is lowered to (out, in·kh·kw). `skipped` says why it is not prunable; empty when it is.
    `role` is "stem", "block" or "classifier"; k:n patterns are projected on blocks only.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    role: str = "block"
    skipped: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise Refused(f"{self.name}: weight of shape {self.shape} is not a matrix")

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def cols(self) -> int:
        return int(np.prod(self.shape[1:]))

    @property
    def size(self) -> int:
        return self.rows * self.cols

    @property
    def weight(self) -> str:
        """Name of the weight tensor in the network's state."""
        return f"{self.name}.weight"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Target:
        return cls(**value)


@dataclass(frozen=True)
class Pair:
    """The reference network and the shipped network, each named by the hash of every tensor and buffer.

    `kind` says how the shipped network came about: "masked", "recovered", "given".
    """

    reference: str
    shipped: str
    architecture: str
    kind: str

    def __post_init__(self) -> None:
        check_digest(self.reference, "pair.reference")
        check_digest(self.shipped, "pair.shipped")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Pair:
        return cls(**value)


@dataclass(frozen=True)
class Evidence:
    """What was learned from the weights and the calibration split, once, for every method.

    weights : target name -> (rows, cols) float64, the weights the scores are taken from.
    moments : target name -> (cols,) float64, mean of v_j^2 over samples and tokens of the calibration split.
    """

    reference: str
    split: str
    samples: int
    weights: Mapping[str, np.ndarray]
    moments: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_digest(self.reference, "evidence.reference")
        object.__setattr__(self, "weights", {name: frozen(value, np.float64) for name, value in self.weights.items()})
        object.__setattr__(self, "moments", {name: frozen(value, np.float64) for name, value in self.moments.items()})
        for name, weight in self.weights.items():
            if weight.ndim != 2:
                raise Refused(f"{name}: evidence wants a (rows, cols) matrix, found shape {weight.shape}")
            if not np.all(np.isfinite(weight)):
                raise Refused(f"{name}: weights hold NaN or infinity; nothing can be certified about them")

    def save(self, path: Path) -> None:
        """Write one safetensors file; the order of the targets is kept beside the arrays."""
        arrays = {f"weight/{name}": value for name, value in self.weights.items()}
        arrays |= {f"moment/{name}": value for name, value in self.moments.items()}
        order = list(self.weights)
        write_tensors(path, arrays, {"reference": self.reference, "split": self.split, "samples": self.samples, "order": order})

    @classmethod
    def load(cls, path: Path) -> Evidence:
        arrays, about = read_tensors(path), tensors_about(path)
        try:
            return cls(
                about["reference"],
                about["split"],
                about["samples"],
                {name: arrays[f"weight/{name}"] for name in about["order"]},
                {name: arrays[f"moment/{name}"] for name in about["order"] if f"moment/{name}" in arrays},
            )
        except (KeyError, TypeError) as error:
            raise Refused(f"{path}: not an evidence file ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class Claim:
    """One theorem of the ledger: what it says, what it needs, where it stands, which function computes it.

    statement, hypotheses : LaTeX. Of a refuted claim, the statement as published.
    function              : full name of the function that computes it; of a refuted claim, of the repaired form.
    checks                : kinds of checks it promises; the ledger fails where one is absent, did not run or failed.
    depends_on            : IDs of the claims its proof uses.
    repair                : of a refuted claim alone, the statement that holds instead.
    """

    id: str
    title: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    function: str
    checks: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    repair: str = ""
