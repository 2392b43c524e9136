"""What can be chosen about a synthetic network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from certify.records import Refused

FAMILIES = ("mlp", "cnn", "transformer")
NOISES = ("gaussian", "rademacher", "student", "correlated")
SPLITS = ("additive", "mask")
STRUCTURES = ("low-rank", "blocks")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A family of networks W = S + R, one for each random generator.

    family    : one of FAMILIES.
    noise     : law of the entries of R, one of NOISES; mean 0 and the same variance in all of them.
    split     : "additive": R is dense. "mask": S lives on a random half of the entries and R on the other half.
    structure : of S: "low-rank" with the given strengths as singular values, or "blocks" (block diagonal, of full rank).
    samples   : T >= 1.
    classes   : K >= 2.
    width     : units (MLP), channels (CNN) or model dimension (transformer), >= 2.
    aspect    : columns over rows of the second layer (width of the first hidden layer over that of the second), > 0.
    strengths : singular values of a low-rank S, > 0.
    variance  : g >= 0; an entry of R in a (rows, cols) layer has variance g / rows.
    margin    : smallest |true margin| of the signal network S on its samples, > 0, logit units.
    errors    : share of the samples whose label is the runner-up, in [0, 1).
    dependent : the inputs repeat rows of the first layer's R.
    """

    family: str = "mlp"
    noise: str = "gaussian"
    split: str = "additive"
    structure: str = "low-rank"
    samples: int = 6
    classes: int = 3
    width: int = 8
    aspect: float = 1.0
    strengths: tuple[float, ...] = (3.0, 2.0)
    variance: float = 0.25
    margin: float = 0.5
    errors: float = 0.25
    dependent: bool = False

    def __post_init__(self) -> None:
        for name, known in (("family", FAMILIES), ("noise", NOISES), ("split", SPLITS), ("structure", STRUCTURES)):
            if getattr(self, name) not in known:
                raise Refused(f"recipe: {name} = {getattr(self, name)!r} is not one of {', '.join(known)}")
        for name, least in (("samples", 1), ("classes", 2), ("width", 2)):
            if type(getattr(self, name)) is not int or getattr(self, name) < least:
                raise Refused(f"recipe: {name} = {getattr(self, name)!r} is not a whole number of at least {least}")
        for name in ("aspect", "margin"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise Refused(f"recipe: {name} = {getattr(self, name)!r} is not a number above 0")
        if not 0.0 <= self.variance < math.inf:
            raise Refused(f"recipe: variance = {self.variance!r} is not a number of at least 0")
        if not 0.0 <= self.errors < 1.0:
            raise Refused(f"recipe: errors = {self.errors!r} is not a share below 1")
        if not self.strengths or not all(0.0 < strength < math.inf for strength in self.strengths):
            raise Refused(f"recipe: strengths = {self.strengths!r}; at least one singular value above 0 is expected")
