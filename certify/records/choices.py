"""Choice: which plans of a job were shown to be safe on the certification split, and which of them was taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from certify.records.errors import Refused
from certify.records.fields import one_of
from certify.records.guaranteeing import CHOOSABLE, PROCEDURES
from certify.records.networks import check_digest


@dataclass(frozen=True)
class Choice:
    """Plans judged together: with probability at least 1 - alpha, every plan that passed has a risk below `level`.

    statement : the risk: "disagreement" or "accuracy_drop".
    procedure : "fixed-sequence", "holm" or "graph"; with `weights` and `transitions` where it is a graph.
    alpha     : family-wise error probability, the part of the job's delta spent here.
    plans     : per plan, in the order of the recipe: {plan, shipped, counts, p_value, score, passed}.
    chosen    : the plan of the largest score among those that passed; None where none did.
    """

    statement: str
    level: float
    procedure: str
    prefer: str
    alpha: float
    split: str
    plans: tuple[Mapping[str, Any], ...]
    weights: tuple[float, ...]
    transitions: tuple[tuple[float, ...], ...]
    chosen: str | None
    claims: tuple[str, ...]
    assumptions: tuple[str, ...]
    sentence: str

    def __post_init__(self) -> None:
        one_of(self.statement, CHOOSABLE, "choice")
        one_of(self.procedure, PROCEDURES, "choice")
        check_digest(self.split, "choice.split")
        for name in ("plans", "weights", "claims", "assumptions"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "transitions", tuple(map(tuple, self.transitions)))
        if not 0 < self.alpha < 1 or not math.isfinite(self.level):
            raise Refused(
                f"choice: alpha {self.alpha} and level {self.level}; an error probability and a finite risk are expected"
            )
        passed = [row["plan"] for row in self.plans if row["passed"]]
        if self.chosen is not None and self.chosen not in passed:
            raise Refused(f"choice: {self.chosen} is chosen, and the plans that passed are {', '.join(passed) or 'none'}")

    def to_json(self) -> dict[str, Any]:
        lists = {name: list(getattr(self, name)) for name in ("plans", "weights", "claims", "assumptions")}
        return asdict(self) | lists | {"transitions": [list(row) for row in self.transitions]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        try:
            return cls(**value)
        except (KeyError, TypeError) as error:
            raise Refused(f"choice: not a record of a choice ({type(error).__name__}: {error})") from None
