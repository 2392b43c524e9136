"""Symbolic checks: all stand, and wrong versions of what they state fall."""

from __future__ import annotations

from itertools import chain

import pytest
import sympy as sp

from proofs_check import checks, symbolic
from proofs_check.checks import PROVED, prover, run, unsatisfiable, zero
from proofs_check.symbolic import gaussian, laws, ranking, spikes

ALL = {item.id: item for item in chain(symbolic.CHECKS, ranking.CHECKS)}


@pytest.mark.proof
@pytest.mark.parametrize("item", ALL.values(), ids=ALL)
def test_check(item):
    if item.tool == "z3":
        pytest.importorskip("z3")
    outcome = run("symbolic", item)
    assert outcome.verdict == PROVED, outcome.detail


def test_every_obligation_of_the_specification_is_there():
    for number in range(1, 22):
        assert any(id.startswith(f"SYM-{number:02d}") for id in ALL), f"SYM-{number:02d}"


def test_whole_claims_are_among_the_claims():
    for item in ALL.values():
        assert set(item.whole) <= set(item.claims), item.id


def test_zero_needs_both_roads(monkeypatch):
    x, y = sp.symbols("x y", positive=True)
    assert zero((x + y) ** 2 - x**2 - 2 * x * y - y**2, sp.exp(x) * sp.exp(y) - sp.exp(x + y)) == ""
    assert zero(x - y).endswith("is not 0")
    monkeypatch.setattr(sp, "simplify", lambda expression: sp.Integer(0))
    assert zero(x * (x + y) - x * x) != ""
    assert " is " in zero(sp.erf(x) - sp.erf(x + sp.Rational(1, 10**12)))
    assert zero(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1) == ""


def test_zero_respects_assumptions():
    positive, real = sp.symbols("x", positive=True), sp.symbols("x", real=True)
    whole, count = sp.symbols("n", integer=True, nonnegative=True), sp.symbols("k", integer=True, positive=True)
    negative = sp.symbols("x", negative=True)
    assert zero(sp.sqrt(positive**2) - positive, sp.sqrt(negative**2) + negative) == ""
    assert zero(sp.sqrt(real**2) - real) != ""
    assert zero(sp.sin(sp.pi * whole), sp.factorial(count) - count * sp.factorial(count - 1)) == ""


def test_zero_looks_past_poles(monkeypatch):
    x = sp.symbols("x", real=True)
    assert zero(1 / x - 1 / x, (x**2 - 1) / (x - 1) - x - 1) == ""
    monkeypatch.setattr(sp, "simplify", lambda expression: sp.Integer(0))
    assert "no finite value" in zero(1 / sp.Function("f")(x))


def test_unknown_is_not_proved():
    """Fermat's theorem for cubes is true, and out of reach of z3 within the time."""
    z3 = pytest.importorskip("z3")
    x, y, z = z3.Ints("x y z")
    found = unsatisfiable([x > 0, y > 0, z > 0], x * x * x + y * y * y != z * z * z, milliseconds=300)
    assert found.startswith("negation unknown within 0.3 s")


def counterexample(found):
    assert found.startswith("negation sat"), found


def test_wrong_budget_algebra_is_refuted():
    z3 = prover()
    weight, r, eps, q, b = z3.Reals("lambda r eps q b")
    hypotheses = [weight > 0, r >= 0, eps >= 0, q >= 0, 2 * weight * r * r <= r * b + eps, 2 * weight * q * q == eps]
    counterexample(unsatisfiable(hypotheses, 2 * weight * r <= z3.If(b > 0, b, 0)))
    counterexample(unsatisfiable(hypotheses, 2 * weight * (r - q) <= b))
    s, t = z3.Reals("s t")

    def size(value):
        return z3.If(value >= 0, value, -value)

    counterexample(unsatisfiable([size(r) <= t], z3.Implies(size(s) > t, size(s + r) > t)))
    counterexample(unsatisfiable([size(r) <= t], z3.Implies(size(s) >= 2 * t, size(s + r) > t)))
    bound, theta = z3.Reals("B theta")
    counterexample(unsatisfiable([theta >= 0, theta <= 1, bound == 2], (1 - theta) * bound > 0))


def test_the_restoring_criterion_needs_one_plus_theta():
    z3 = prover()
    both, kept, theta, q2 = z3.Reals("B_R B_P theta q2")
    better = (1 - theta) * kept < (1 - theta) * both - (1 - theta * theta) * q2
    hypotheses = [theta >= 0, theta < 1, both >= 0, kept >= 0, q2 >= 0]
    counterexample(unsatisfiable(hypotheses, better == (both - kept > q2)))
    assert unsatisfiable([*hypotheses, theta == 0], better == (both - kept > q2)) == ""


def test_wrong_laws_fall():
    g, k, low, high = spikes.edges()
    x = sp.symbols("x", positive=True)
    assert zero(high - low - 4 * g * k) == ""
    assert zero(high - low - 2 * g * k) != ""
    n, m = sp.symbols("n m", positive=True)
    pairings = list(laws._pairings(list(range(6))))
    assert len(pairings) == 15
    total = sum(n**rows * m**cols for rows, cols in (laws._loops(pairing, 3) for pairing in pairings))
    assert zero(total - n * m * (n**2 + 3 * n * m + m**2 + 3 * n + 3 * m + 4)) == ""
    assert zero(total - n * m * (n**2 + 3 * n * m + m**2 + 3 * n + 3 * m + 3)) != ""
    assert total.subs({n: 1, m: 1}) == 15
    assert zero(sp.diff(sp.erf(x), x) - 2 * sp.exp(-(x**2)) / sp.sqrt(sp.pi)) == ""


def test_wrong_tails_fall():
    y = prover().Real("y")
    counterexample(unsatisfiable([y > 0, y < 1], 3 * (1 - y) >= 2 * (1 - y * y)))
    counterexample(unsatisfiable([y > 0, y < 1], 2 * (1 - y) <= 1 - y * y))
    assert gaussian.bernoulli() == ""


def test_wrong_extremal_masses_fall():
    """k <= 2 K - 1 is needed: at k = 2 K the mass on [zeta_k, zeta_1] can be below that at k + 1."""
    z3 = prover()
    kept, k, r, q = z3.Reals("K k r q")
    hypotheses = [kept >= 1, k >= kept + 1, k <= 2 * kept, r >= 0, r < 1, q >= 0, q * q == 1 + (k * k - 1) * r * r]
    held = kept + (k - kept) * (k + 1) * r - (k + 1 - kept) * q
    counterexample(unsatisfiable(hypotheses, held >= 0))
    assert unsatisfiable([*hypotheses, k <= 2 * kept - 1], held >= (2 * kept - 1 - k) * (1 - r)) == ""


def test_wrong_shrinkers_fall():
    """eta = theta (Gavish and Donoho) leaves theta sqrt(1 - v^2) only for u = v: here u^2 = 9/10, v^2 = 1/2."""
    theta, u, v = sp.Integer(1), sp.sqrt(sp.Rational(9, 10)), sp.sqrt(sp.Rational(1, 2))

    def loss(eta):
        s, t = sp.sqrt(1 - u**2), sp.sqrt(1 - v**2)
        matrix = sp.Matrix([[theta - eta * u * v, -eta * u * t], [-eta * s * v, -eta * s * t]])
        return max(matrix.singular_values(), key=lambda value: sp.N(value))

    best = loss(theta * v / u)
    assert sp.N(best**2 - sp.Rational(1, 2), 30, maxn=200) < sp.Float("1e-25")
    assert sp.N(loss(theta)) > sp.N(best) + 0.02


def test_a_wrong_moment_falls(monkeypatch):
    z = sp.symbols("z", positive=True)
    bell = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    assert zero(2 * sp.integrate(z * bell, (z, 0, sp.oo)) - sp.sqrt(2 / sp.pi)) == ""
    assert zero(2 * sp.integrate(z * bell, (z, 0, sp.oo)) - sp.sqrt(1 / sp.pi)) != ""
    monkeypatch.setattr(ranking, "PAIRS", [(1, 0), *ranking.PAIRS[1:]])
    assert ranking.node_removal() == ""  # the orientation of an edge does not matter


def test_the_runner_sees_a_failing_identity():
    x = sp.symbols("x", positive=True)
    item = checks.Check("T", "sympy", "", (), lambda: zero(sp.exp(2 * x) - sp.exp(x)))
    assert run("symbolic", item).verdict == checks.FAILED
