"""The table `guarantees` of a recipe: what is to be said of the population, and which plan is to be chosen by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from certify.records.errors import Usage
from certify.records.fields import as_floats, between
from certify.records.outcomes import DEFAULT_STATEMENTS, LABELLED, STATEMENTS

PROCEDURES = ("fixed-sequence", "holm", "graph")
CHOOSABLE = ("disagreement", "accuracy_drop")
# Weights may sum to 1 up to float64 rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class ChooseRecipe:
    """A plan chosen on the certification split, with the chance of choosing an unsafe one controlled over all plans.

    statement   : the risk a plan must keep below `level`: "disagreement", or "accuracy_drop" (by betting).
    level       : the allowed risk, a share.
    procedure   : "fixed-sequence" (plans in the order of the recipe), "holm", or "graph".
    share       : part of what the look spends that goes to the choice; the statements share the rest.
    prefer      : among the plans that pass, the one with the largest value of this: "sparsity".
    weights     : graph: one per plan, >= 0, of sum <= 1; empty shares equally.
    transitions : graph: row i says what each plan receives of i's weight once i has passed; empty shares equally.
    """

    level: float
    statement: str = "disagreement"
    procedure: str = "fixed-sequence"
    share: float = 0.5
    prefer: str = "sparsity"
    weights: tuple[float, ...] = ()
    transitions: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        as_floats(self)
        object.__setattr__(self, "weights", tuple(float(each) for each in self.weights))
        object.__setattr__(self, "transitions", tuple(tuple(float(each) for each in row) for row in self.transitions))
        for name, known in (("statement", CHOOSABLE), ("procedure", PROCEDURES), ("prefer", ("sparsity",))):
            if getattr(self, name) not in known:
                raise Usage(f"recipe: guarantees.choose.{name} = {getattr(self, name)!r} is not one of {', '.join(known)}")
        between(self.level, 0.0 if self.statement == "disagreement" else -1.0, 1, "guarantees.choose.level", open_high=True)
        between(self.share, 0, 1, "guarantees.choose.share", open_low=True, open_high=True)
        if self.procedure != "graph" and (self.weights or self.transitions):
            raise Usage(f"recipe: guarantees.choose: weights and transitions belong to a graph, not to {self.procedure}")
        if not all(each >= 0 for each in self.weights) or not sum(self.weights) <= 1 + ROUNDING:
            raise Usage("recipe: guarantees.choose.weights must be at least 0 and sum to at most 1")
        for number, row in enumerate(self.transitions):
            if not all(each >= 0 for each in row) or not sum(row) <= 1 + ROUNDING or any(row[number : number + 1]):
                raise Usage(
                    f"recipe: guarantees.choose.transitions: row {number} must be at least 0, sum to at most 1 and give itself 0"
                )

    def check_plans(self, plans: int) -> None:
        """Refuse a choice among no plans, or a graph of another size."""
        if not plans:
            raise Usage("recipe: guarantees.choose chooses among [[plan]] tables, and there are none")
        if self.weights and len(self.weights) != plans:
            raise Usage(f"recipe: guarantees.choose.weights holds {len(self.weights)} numbers for {plans} plans")
        if self.transitions and {len(self.transitions), *map(len, self.transitions)} != {plans}:
            raise Usage(f"recipe: guarantees.choose.transitions must have {plans} rows of {plans} numbers, one per plan")

    def graph(self, plans: int) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """Weights and transitions; equal where the recipe gives none."""
        equal = tuple(tuple(0.0 if i == j else 1 / (plans - 1) for j in range(plans)) for i in range(plans))
        return self.weights or (1 / plans,) * plans, self.transitions or equal


@dataclass(frozen=True)
class GuaranteeRecipe:
    """All statements of the job share one `delta`. `share` of it is spent by this look at the certification split.

    shift_kl, shift_chi_square : rates are also limited in every population within this divergence (nats; chi-square) of the
                                 one that was sampled; 0 leaves it out.
    """

    delta: float = 0.05
    share: float = 1.0
    statements: tuple[str, ...] = DEFAULT_STATEMENTS
    shift_kl: float = 0.0
    shift_chi_square: float = 0.0
    choose: ChooseRecipe | None = None

    def __post_init__(self) -> None:
        as_floats(self)
        object.__setattr__(self, "statements", tuple(self.statements))
        between(self.delta, 0, 1, "guarantees.delta", open_low=True, open_high=True)
        between(self.share, 0, 1, "guarantees.share", open_low=True)
        for name in self.statements:
            if name not in STATEMENTS:
                raise Usage(f"recipe: guarantees.statements: {name!r} is not one of {', '.join(STATEMENTS)}")
        if not self.statements:
            raise Usage("recipe: guarantees.statements is empty; name at least one")
        if len(set(self.statements)) != len(self.statements):
            raise Usage("recipe: guarantees.statements names one of them twice")
        between(self.shift_kl, 0, 1e3, "guarantees.shift_kl")
        between(self.shift_chi_square, 0, 1e9, "guarantees.shift_chi_square")

    @property
    def labelled(self) -> tuple[str, ...]:
        """What is asked for that labels are needed for."""
        chosen = () if self.choose is None else (self.choose.statement,)
        return tuple(name for name in (*self.statements, *chosen) if name in LABELLED)

    @property
    def shift(self) -> dict[str, float]:
        """Divergence -> radius, of those asked for."""
        radii = {"kl": self.shift_kl, "chi_square": self.shift_chi_square}
        return {name: radius for name, radius in radii.items() if radius}

    @property
    def spent(self) -> float:
        """Part of delta that the statements share; the rest of `share` goes to the choice."""
        return self.share * (1.0 - self.choose.share) if self.choose is not None else self.share

    @property
    def alpha(self) -> float:
        """Error probability of the choice; 0 where none is asked for."""
        return self.delta * self.share * self.choose.share if self.choose is not None else 0.0

    def to_json(self) -> dict[str, Any]:
        """Fields that came later stand here only where they are used, so that older recipes keep their name."""
        later = {"shift_kl", "shift_chi_square", "choose"}
        unused = {entry.name for entry in fields(self) if entry.name in later and getattr(self, entry.name) == entry.default}
        return {name: value for name, value in asdict(self).items() if name not in unused}
