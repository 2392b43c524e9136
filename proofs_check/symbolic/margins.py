"""SYM-09: what a move of at most eta in each logit can do to a decision, three or four classes; the same under rounding."""

from __future__ import annotations

from proofs_check.checks import Check, prover, unsatisfiable


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


def stays_wrong() -> str:
    """X6: with d_C - d_j <= pi_j and z_j - z_C >= pi_j for some j, the true class is not strictly ahead."""
    z3 = prover()
    z, d = [z3.Real(f"z{j}") for j in range(3)], [z3.Real(f"d{j}") for j in range(3)]
    bound = [z3.Real(f"pi{j}") for j in range(1, 3)]
    hypotheses = [d[0] - move <= most for move, most in zip(d[1:], bound, strict=True)]
    hypotheses.append(z3.Or(*(other - z[0] >= most for other, most in zip(z[1:], bound, strict=True))))
    return unsatisfiable(hypotheses, z3.Or(*(z[0] + d[0] <= z[j] + d[j] for j in (1, 2))))


def top_two() -> str:
    """X7, K = 4, k = 2: two of the three others more than 2 eta behind keeps two of them behind."""
    z3 = prover()
    z, d, eta = [z3.Real(f"z{j}") for j in range(4)], [z3.Real(f"d{j}") for j in range(4)], z3.Real("eta")

    def behind(values, gap):
        return z3.AtLeast(*(values[0] - other > gap for other in values[1:]), 2)

    box = [z3.And(move <= eta, -move <= eta) for move in d]
    return unsatisfiable([*box, behind(z, 2 * eta)], behind([a + b for a, b in zip(z, d, strict=True)], 0))


def rounded() -> str:
    """X29: computed margin D, true one within 2 e; D > 2 eta + 2 e keeps, a loss needs -2 e < D <= 2 eta + 2 e."""
    z3 = prover()
    computed, before, after, eta, e = z3.Reals("D before after eta e")
    hypotheses = [eta >= 0, e >= 0, computed - before <= 2 * e, before - computed <= 2 * e]
    hypotheses += [after - before <= 2 * eta, before - after <= 2 * eta]
    conclusion = z3.And(
        z3.Implies(computed > 2 * eta + 2 * e, after > 0),
        z3.Implies(z3.And(before > 0, after <= 0), z3.And(-2 * e < computed, computed <= 2 * eta + 2 * e)),
        z3.Implies(z3.And(before <= 0, after > 0), z3.And(-2 * eta - 2 * e < computed, computed <= 2 * e)),
    )
    return unsatisfiable(hypotheses, conclusion)


def enclosed_inputs() -> str:
    """X29: |R - r| <= E and |v - w| <= e give |R v - r w| <= E |w| + (|r| + E) e, one product; sums follow."""
    z3 = prover()
    true, stored, far, exact, given, near = z3.Reals("R r E v w e")

    def size(value):
        return z3.If(value >= 0, value, -value)

    hypotheses = [size(true - stored) <= far, size(exact - given) <= near]
    return unsatisfiable(hypotheses, size(true * exact - stored * given) <= far * size(given) + (size(stored) + far) * near)


def rounded_cumulant() -> str:
    """X29: p + q w increases in both; with p down alone (p = .49, q = .5, w = 1) it falls below 1 = the true value."""
    z3 = prover()
    p, q, up, over, w = z3.Reals("p q p_up q_up w")
    hypotheses = [p >= 0, q >= 0, w > 0, p + q == 1, up >= p, over >= q]
    found = unsatisfiable(hypotheses, z3.And(up + over * w >= p + q * w))
    return found or ("" if 0.49 + 0.5 * 1.0 < 1.0 else "the instance does not fail")


CHECKS = (
    Check("SYM-09a", "z3", "Delta > 2 eta keeps the label", ("C5.2-margin",), stays),
    Check("SYM-09b", "z3", "a loss needs 0 < Delta <= 2 eta", ("X5-margin-signed",), loses),
    Check("SYM-09c", "z3", "a gain needs -2 eta < Delta <= 0", ("X5-margin-signed", "F4"), gains),
    Check("SYM-09d", "z3", "z_C - z_j > pi_j for all j keeps the label", ("X6-margin-pairwise",), pairwise),
    Check("SYM-09e", "z3", "z_j - z_C >= pi_j for some j keeps the error", ("X6-margin-pairwise",), stays_wrong),
    Check("SYM-09f", "z3", "two others 2 eta behind stay behind", ("X7-topk",), top_two),
    Check("SYM-76a", "z3", "margins computed with an error", ("X29-margin",), rounded, whole=("X29-margin",)),
    Check("SYM-76b", "z3", "products of enclosed numbers", ("X29-inputs",), enclosed_inputs),
    Check("SYM-76c", "z3", "p + q w from both parts rounded up", ("X29-lambda",), rounded_cumulant),
)
