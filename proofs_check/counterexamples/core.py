"""A counterexample: an instance that meets the hypotheses, on which the stated conclusion fails and another one holds.

Each comes with a harmless instance, on which the stated conclusion does hold: a check that could not tell the two apart
would show nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from proofs_check.checks import Check, Finding

SIGNS = ("<=", "<", "=")
# Two floats this close (relative) count as equal; a violation has to be this large to count as one.
HOLDS, FAILS = 1e-10, 1e-6
Number = int | Fraction | float


@dataclass(frozen=True)
class Relation:
    """left (<=, <, =) right, in words and in numbers. Whole numbers and fractions are compared exactly."""

    text: str
    left: Number
    sign: str
    right: Number

    @property
    def verdict(self) -> bool | None:
        """Whether it holds; None where floats are too close to tell, or where NaN enters."""
        left, right = self.left, self.right
        if all(isinstance(value, int | Fraction) for value in (left, right)):
            return {"<=": left <= right, "<": left < right, "=": left == right}[self.sign]
        a, b = float(left), float(right)
        if math.isnan(a) or math.isnan(b):
            return None
        if a == b:
            return self.sign != "<"
        if math.isinf(a) or math.isinf(b):
            return self.sign != "=" and a < b
        excess = (a - b) / max(abs(a), abs(b))
        if self.sign == "=":
            return True if abs(excess) <= HOLDS else False if abs(excess) >= FAILS else None
        if excess <= (-HOLDS if self.sign == "<" else HOLDS):
            return True
        return False if excess >= FAILS else None

    def __str__(self) -> str:
        left, right = _shown(self.left, self.right)
        if left == right and self.left != self.right and math.isfinite(self.left):
            gap = float(abs(Fraction(self.left) - Fraction(self.right)))
            left = f"{right} {'+' if self.left > self.right else '-'} {gap:.6g}"
        return f"{self.text}: {left} {self.sign} {right}"


@dataclass(frozen=True)
class Refutation:
    """One statement on one instance.

    claim      : its ID in the ledger.
    tool       : rationals where both sides are exact; floats, erf, Monte Carlo where they are not.
    words      : the instance and what fails on it, for a reader with a pencil.
    hypotheses : what the statement assumes, by name, on an instance.
    stated     : its conclusion as stated.
    instead    : the conclusion that holds.
    instance   : arguments of the three, where `stated` fails.
    harmless   : arguments where the hypotheses and `stated` hold.
    """

    claim: str
    tool: str
    words: str
    hypotheses: Callable[..., Mapping[str, bool]]
    stated: Callable[..., Relation]
    instead: Callable[..., Relation]
    instance: Mapping[str, Any]
    harmless: Mapping[str, Any]
    suffix: str = ""

    def check(self) -> Check:
        return Check(f"CX-{self.claim}{self.suffix}", self.tool, self.words, (self.claim,), lambda: refute(self))


def refute(
    item: Refutation,
    instance: Mapping[str, Any] | None = None,
    statement: Callable[..., Relation] | None = None,
) -> Finding:
    """Without failure only if the hypotheses hold on the instance, the statement fails there and the other form holds.

    `instance` and `statement` replace those of the item; with the harmless instance, or with the form that holds as the
    statement, there must be no counterexample.
    """
    values = dict(item.instance if instance is None else instance)
    missed = [name for name, met in item.hypotheses(**values).items() if not met]
    if missed:
        return Finding(f"hypothesis not met: {', '.join(missed)}")
    stated, instead = (item.stated if statement is None else statement)(**values), item.instead(**values)
    if stated.verdict is not False:
        return Finding(f"no counterexample: {stated} {'holds' if stated.verdict else 'is undecided'}")
    if instead.verdict is not True:
        return Finding(f"the other form is no better: {instead}")
    return Finding("", f"as stated, {stated} is false; instead, {instead}")


def exact(rows: Any) -> np.ndarray:
    """Nested lists of whole numbers or fractions as an array of fractions."""
    array = np.array(rows, dtype=object)
    return np.vectorize(Fraction, otypes=[object])(array)


def doubles(array: np.ndarray) -> np.ndarray:
    """An array of fractions as float64."""
    return array.astype(np.float64)


def disjoint(*parts: np.ndarray) -> bool:
    """Whether no entry is nonzero in two of the arrays."""
    return bool(np.all(sum((part != 0).astype(int) for part in parts) <= 1))


def log_loss(margin: float) -> float:
    """Cross-entropy of two classes: log(1 + exp(-(z_C - z_other)))."""
    return float(np.logaddexp(0.0, -margin))


def _shown(*values: Number) -> list[str]:
    """All of them as they are where they are short whole numbers or fractions, else to six digits."""
    short = all(isinstance(value, int | Fraction) and len(str(value)) < 12 for value in values)
    return [str(value) if short else f"{float(value):.6g}" for value in values]
