"""A check: one statement, the claims that rest on it, and a function that runs it or says what it found instead.

Kinds of checks, and what each can show:

symbolic        identities by sympy, polynomial inequalities by z3
ball            an inequality on a whole box, by interval arithmetic that rounds outward
coq             a machine-checked proof for every dimension
exact           both sides in rational arithmetic, no tolerance
property        random and edge instances in float64, by Hypothesis
coverage        a probability, by Monte Carlo with a stated false-alarm rate
counterexample  an instance on which the published statement fails
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

PROVED, PASSED, FAILED, MISSING = "proved", "passed", "FAILED", "not checked here"
KINDS = ("symbolic", "ball", "coq", "exact", "property", "coverage", "counterexample")
PROOFS = ("symbolic", "ball", "coq")


class Finding(NamedTuple):
    """What a check found: `failure` is "" when nothing failed; `detail` says what was measured on the way."""

    failure: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Check:
    """`function` returns "" or a Finding without failure when the statement stands; otherwise what was found instead.

    tool  : what decides: sympy, z3, flint, mpmath, rationals, Monte Carlo, by hand.
    whole : the claims whose full statement this proves, not a step of it (kinds `symbolic` and `ball`).
    """

    id: str
    tool: str
    statement: str
    claims: tuple[str, ...]
    function: Callable[[], str | Finding]
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One check after it ran (or could not). Checks of other tools (Coq, pytest) end in the same form."""

    kind: str
    id: str
    tool: str
    statement: str
    claims: tuple[str, ...]
    verdict: str
    detail: str = ""
    seconds: float = 0.0
    whole: tuple[str, ...] = ()


def run(kind: str, check: Check) -> Outcome:
    """Run one check. A missing tool is no proof and no failure; an exception is a failure."""
    start = time.perf_counter()
    verdict, detail = _decide(kind, check)
    seconds = time.perf_counter() - start
    return Outcome(kind, check.id, check.tool, check.statement, check.claims, verdict, detail, seconds, check.whole)


def _decide(kind: str, check: Check) -> tuple[str, str]:
    try:
        found = check.function()
    except ModuleNotFoundError as error:
        return MISSING, f"{error.name} is not installed"
    except Exception as error:
        return FAILED, f"{type(error).__name__}: {error}"
    found = Finding(found) if isinstance(found, str) else found
    if found.failure:
        return FAILED, found.failure
    return PROVED if kind in PROOFS else PASSED, found.detail


def prover() -> Any:
    """z3, untyped: its operators build formulas, which no type checker follows."""
    import z3

    return z3


def zero(*expressions: Any, points: int = 4) -> str:
    """Sympy: each expression simplifies to 0, and is 0 at random exact rationals that its symbols' assumptions allow.

    Rational values must be 0 exactly, others below 1e-30 of the size of their terms at 50 digits. A point where the
    expression has no finite value is drawn again.
    """
    import random

    import sympy

    rng = random.Random(0)

    def draw(symbol: Any) -> Any:
        size = sympy.Rational(rng.randint(1, 400), rng.randint(101, 199))
        size = sympy.ceiling(3 * size) if symbol.is_integer else size
        return size if symbol.is_nonnegative else -size if symbol.is_nonpositive or rng.random() < 0.5 else size

    def off(expression: Any) -> str:
        left = points
        for _ in range(20 * points):
            point = {symbol: draw(symbol) for symbol in sorted(expression.free_symbols, key=str)}
            terms = [term.subs(point) for term in sympy.Add.make_args(expression)]
            value = sum(terms, sympy.Integer(0))
            if not value.is_Rational:
                value, terms = sympy.N(value, 50), [sympy.N(term, 50) for term in terms]
            if value.has(sympy.nan, sympy.zoo, sympy.oo) or not value.is_number:
                continue
            size = 0 if value.is_Rational else sum(abs(term) for term in terms)
            if abs(value) > sympy.Float("1e-30") * size:
                return f"{expression} is {sympy.N(value, 5)} at {point}"
            left -= 1
            if left == 0:
                return ""
        return f"{expression} has no finite value at {20 * points} random points"

    for expression in map(sympy.sympify, expressions):
        rest = sympy.simplify(expression)
        if rest != 0:
            return f"{rest} is not 0"
        found = off(expression)
        if found:
            return found
    return ""


def unsatisfiable(hypotheses: list[Any], conclusion: Any, milliseconds: int = 20_000) -> str:
    """Z3: the hypotheses hold somewhere (else the statement is empty), and nowhere with the conclusion negated.

    `unknown` within the time, per question, is no proof.
    """
    z3 = prover()
    for constraints, wanted in ((hypotheses, z3.sat), ([*hypotheses, z3.Not(conclusion)], z3.unsat)):
        solver = z3.Solver()
        solver.set("timeout", milliseconds)
        solver.add(*constraints)
        found = solver.check()
        if found != wanted:
            witness = f": {solver.model()}" if found == z3.sat else ""
            if found == z3.unknown:
                witness = f" within {milliseconds / 1000:g} s: {solver.reason_unknown()}"
            return f"{'hypotheses' if wanted == z3.sat else 'negation'} {found}{witness}"
    return ""
