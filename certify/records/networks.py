"""Target, Pair, Claim: what is pruned, which two networks are compared, and which theorem says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from certify.records.errors import Refused

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
