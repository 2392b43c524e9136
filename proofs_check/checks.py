"""An obligation: one statement, the claims that rest on it, and a check that proves it or says why it did not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROVED, FAILED, MISSING = "proved", "FAILED", "not checked here"


@dataclass(frozen=True)
class Obligation:
    """`check` returns "" when the statement is proved, otherwise what was found instead."""

    id: str
    tool: str
    statement: str
    claims: tuple[str, ...]
    check: Callable[[], str]


@dataclass(frozen=True)
class Outcome:
    obligation: Obligation
    verdict: str
    note: str = ""


def run(obligation: Obligation) -> Outcome:
    """Run one check. A missing tool is no proof and no failure; an exception is a failure."""
    try:
        found = obligation.check()
    except ModuleNotFoundError as error:
        return Outcome(obligation, MISSING, f"{error.name} is not installed")
    except Exception as error:
        return Outcome(obligation, FAILED, f"{type(error).__name__}: {error}")
    return Outcome(obligation, FAILED if found else PROVED, found)


def prover() -> Any:
    """z3, untyped: its operators build formulas, which no type checker follows."""
    import z3

    return z3


def zero(*expressions: Any) -> str:
    """Sympy: each expression simplifies to 0."""
    import sympy

    left = [str(rest) for rest in (sympy.simplify(expression) for expression in expressions) if rest != 0]
    return "; ".join(f"{rest} is not 0" for rest in left)


def unsatisfiable(hypotheses: list[Any], conclusion: Any, milliseconds: int = 20_000) -> str:
    """Z3: the hypotheses hold somewhere (else the statement is empty), and nowhere with the conclusion negated."""
    z3 = prover()
    for constraints, wanted in ((hypotheses, z3.sat), ([*hypotheses, z3.Not(conclusion)], z3.unsat)):
        solver = z3.Solver()
        solver.set("timeout", milliseconds)
        solver.add(*constraints)
        found = solver.check()
        if found != wanted:
            witness = f": {solver.model()}" if found == z3.sat else ""
            return f"{'hypotheses' if wanted == z3.sat else 'negation'} {found}{witness}"
    return ""
