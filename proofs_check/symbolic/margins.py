"""SYM-09: what a move of at most eta in each logit can do to a decision, three classes."""

from __future__ import annotations

from proofs_check.obligations import Obligation, prover, unsatisfiable


def _instance():
    z3 = prover()
    z, d, eta = [z3.Real(f"z{j}") for j in range(3)], [z3.Real(f"d{j}") for j in range(3)], z3.Real("eta")
    box = [eta >= 0, *(z3.And(move <= eta, -move <= eta) for move in d)]
    after = [a + b for a, b in zip(z, d, strict=True)]
    return z3, z, after, eta, box


def stays() -> str:
    z3, z, after, eta, box = _instance()
    ahead = [z[0] - other > 2 * eta for other in z[1:]]
    return unsatisfiable([*box, *ahead], z3.And(*(after[0] > other for other in after[1:])))


def loses() -> str:
    z3, z, after, eta, box = _instance()
    right = [z[0] > other for other in z[1:]]
    wrong = z3.Or(*(after[0] <= other for other in after[1:]))
    return unsatisfiable([*box, *right, wrong], z3.Or(*(z[0] - other <= 2 * eta for other in z[1:])))


def gains() -> str:
    z3, z, after, eta, box = _instance()
    wrong = z3.Or(*(z[0] <= other for other in z[1:]))
    right = [after[0] > other for other in after[1:]]
    return unsatisfiable([*box, wrong, *right], z3.And(*(z[0] - other > -2 * eta for other in z[1:])))


def pairwise() -> str:
    z3 = prover()
    z, d = [z3.Real(f"z{j}") for j in range(3)], [z3.Real(f"d{j}") for j in range(3)]
    bound = [z3.Real(f"pi{j}") for j in range(1, 3)]
    hypotheses = [move - d[0] <= most for move, most in zip(d[1:], bound, strict=True)]
    hypotheses += [z[0] - other > most for other, most in zip(z[1:], bound, strict=True)]
    return unsatisfiable(hypotheses, z3.And(*(z[0] + d[0] > z[j] + d[j] for j in (1, 2))))


OBLIGATIONS = (
    Obligation("SYM-09a", "z3", "Delta > 2 eta keeps the label", ("C5.2-margin",), stays),
    Obligation("SYM-09b", "z3", "a loss needs 0 < Delta <= 2 eta", ("X5-margin-signed",), loses),
    Obligation("SYM-09c", "z3", "a gain needs -2 eta < Delta <= 0", ("X5-margin-signed", "F4"), gains),
    Obligation("SYM-09d", "z3", "z_C - z_j > pi_j for all j keeps the label", ("X6-margin-pairwise",), pairwise),
)
