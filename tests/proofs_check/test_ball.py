"""Ball arithmetic: what it encloses, what it refuses to prove, and the checks built on it."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory import activations
from proofs_check import ball
from proofs_check.ball import activations as shapes
from proofs_check.ball import cross_entropy, effective_number, laws
from proofs_check.ball.arithmetic import Flint, Mpmath, Slope, Slopes, partial
from proofs_check.ball.engine import every, integral, positive
from proofs_check.checks import FAILED, PROVED, Check, Finding, run

SLOW = {"BALL-09"}


def flint():
    pytest.importorskip("flint")
    return Flint()


ARITHMETICS = pytest.mark.parametrize("make", [flint, Mpmath], ids=["flint", "mpmath"])
FUNCTIONS = {
    "exp": (mpmath.exp, -5, 5),
    "expm1": (mpmath.expm1, -5, 5),
    "log": (mpmath.log, 0.01, 9),
    "log1p": (mpmath.log1p, -0.9, 9),
    "sqrt": (mpmath.sqrt, 0, 9),
    "square": (lambda x: x * x, -5, 5),
    "erf": (mpmath.erf, -7, 7),
    "erfc": (mpmath.erfc, -7, 7),
    "atan": (mpmath.atan, -9, 9),
    "cos": (mpmath.cos, -9, 9),
    "sin": (mpmath.sin, -9, 9),
}


@pytest.mark.proof
@pytest.mark.parametrize(
    "item", [pytest.param(c, marks=[pytest.mark.slow] * (c.id in SLOW)) for c in ball.CHECKS], ids=lambda c: c.id
)
def test_check(item):
    outcome = run("ball", item)
    assert outcome.verdict == PROVED, outcome.detail
    assert outcome.detail


@ARITHMETICS
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_enclose(make, name):
    a, rng = make(), np.random.default_rng(0)
    exact, low, high = FUNCTIONS[name]
    with a.precise(), mpmath.workdps(40):
        for _ in range(25):
            left, right = sorted(rng.uniform(low, high, 2))
            found = a.ends(getattr(a, name)(a.interval(left, right)))
            values = [exact(mpmath.mpf(left) + (mpmath.mpf(right) - left) * i / 8) for i in range(9)]
            assert found[0] <= min(values) and max(values) <= found[1]
            thin = a.ends(getattr(a, name)(a.number(left)))
            assert thin[0] <= values[0] <= thin[1]
            assert thin[1] - thin[0] <= 1e-13 * (1 + abs(float(values[0])))


@ARITHMETICS
def test_slopes_are_derivatives(make):
    a = make()
    x, y = sympy.symbols("x y")
    cases = {
        sympy.exp(x * y) - x / y: lambda a, x, y: a.exp(x * y) - x / y,
        sympy.log(1 + x**2) * sympy.sqrt(y): lambda a, x, y: a.log1p(a.square(x)) * a.sqrt(y),
        sympy.erf(x) + sympy.erfc(y) + sympy.atan(x * y): lambda a, x, y: a.erf(x) + a.erfc(y) + a.atan(x * y),
        sympy.cos(x) * sympy.sin(y) - (sympy.exp(y) - 1): lambda a, x, y: a.cos(x) * a.sin(y) - a.expm1(y),
        2 / (3 - x) + sympy.log(y): lambda a, x, y: 2 / (3 - x) + a.log(y),
    }
    at = {x: Fraction(3, 4), y: Fraction(5, 4)}
    with a.precise():
        values = [a.number(at[x]), a.number(at[y])]
        for formula, function in cases.items():
            for axis, name in enumerate((x, y)):
                exact = sympy.diff(formula, name).subs({k: sympy.Rational(v) for k, v in at.items()}).evalf(25)
                low, high = a.ends(partial(a, function, values, axis))
                assert low <= exact <= high and high - low < 1e-12
            twice = partial(a, lambda b, u, v, f=function: partial(b, f, (u, v), 0), values, 1)
            mixed = sympy.diff(formula, x, y).subs({k: sympy.Rational(v) for k, v in at.items()}).evalf(25)
            low, high = a.ends(twice)
            assert low <= mixed <= high and high - low < 1e-12


@ARITHMETICS
def test_both_arithmetics_prove_and_refute(make):
    box = {"x": (0, 2), "y": (Fraction(1, 3), 1)}
    proved = positive(lambda a, x, y: a.exp(x) - 1 - x + y / 8, box, on=make())
    assert proved.failure == "" and "box x in [0, 2], y in [1/3, 1]" in proved.detail and "cells" in proved.detail
    refuted = positive(lambda a, x, y: a.exp(x) - 1 - x - y / 8, box, on=make())
    assert refuted.failure.startswith("false at x in [")


@ARITHMETICS
def test_a_check_through_each_arithmetic(make):
    def gap(a, x):
        return a.number(1.128905) - shapes.gelu_slope(a, x)

    assert positive(gap, {"x": (1, 2)}, on=make()).failure == ""
    assert "false at" in positive(lambda a, x: gap(a, x) - a.number(1e-6), {"x": (1, 2)}, on=make()).failure


def test_the_failing_cell_contains_the_violation():
    """cos has its minimum -1 at pi: only a narrow part of the box is wrong."""
    failure = positive(lambda a, x: a.cos(x) + a.number(Fraction(9999, 10_000)), {"x": (0, 6)}).failure
    low, high = (float(word.strip("[],:")) for word in failure.split("x in ")[1].split(":")[0].split(", "))
    assert low <= math.pi + 0.02 and high >= math.pi - 0.02 and high - low < 0.1


def test_a_touching_point_is_never_proved():
    """(x - y)^2 vanishes on the diagonal: a middle on it refutes; where no middle meets the zero, the cells run out."""
    assert positive(lambda a, x, y: a.square(x - y), {"x": (0, 1), "y": (0, 1)}).failure.startswith("false")
    third = Fraction(1, 3)
    assert positive(lambda a, x: a.square(x - a.number(third)), {"x": (0, 1)}, cells=500).failure.startswith("undecided after")


def test_limits_are_failures():
    wide = {"x": (-1, 1), "y": (-1, 1)}

    def hard(a, x, y):
        return x * x * x * x - 2 * x * x * y + y * y + a.number(1e-9)

    assert positive(hard, wide, cells=50).failure.startswith("undecided after 50 cells")
    start = time.process_time()
    assert positive(hard, wide, seconds=0.2).failure.startswith("undecided after 0.2 s")
    assert time.process_time() - start < 2.0


def test_ends_that_are_no_floats_move_outward():
    assert positive(lambda a, x: a.number(Fraction(1, 3)) - x, {"x": (0, Fraction(1, 3))}).failure
    assert positive(lambda a, x: a.number(0.5) - x, {"x": (0, Fraction(1, 3))}).failure == ""


def test_undefined_is_not_positive():
    assert positive(lambda a, x: 1 / x, {"x": (-1, 1)}, cells=200).failure
    assert positive(lambda a, x: a.log(x) + 10, {"x": (-1, 1)}, cells=200).failure


@ARITHMETICS
def test_integrals(make):
    low, high = integral(lambda a, x: a.exp(x), 0, 1, pieces=100, on=make())
    assert low < math.e - 1 < high and high - low < 1e-5
    low, high = integral(lambda a, x: a.square(a.square(x)), 0, 1, pieces=100, on=make())
    assert low < 0.2 < high


def test_constants_have_no_slope():
    slopes = Slopes(Mpmath(), 2)
    x, y = slopes.variables([Mpmath().number(2), Mpmath().number(3)])
    product = slopes.number(5) * x * y + slopes.pi
    assert isinstance(product, Slope) and [float(part.mid) for part in product.parts] == [15.0, 10.0]


def test_every_reports_the_first_failure():
    assert every(Finding("", "a"), "", Finding("", "b")) == Finding("", "a; b")
    assert every(Finding("", "a"), "wrong", Finding("later")).failure == "wrong"
    assert run("ball", Check("T", "flint", "", (), lambda: every("wrong"))).verdict == FAILED


def refuted(f, box):
    failure = positive(f, box).failure
    assert failure.startswith("false at"), failure


def test_the_published_gelu_constant_is_refuted():
    assert shapes.slope_of_gelu(upper=1.1289).failure.startswith("false at x in [1.")
    assert shapes.slope_of_gelu(lower=-0.1289).failure.startswith("false at x in [-1.")
    assert "away from" in shapes.slope_of_gelu(upper=1.13).failure
    refuted(lambda a, x: a.number(0.79) - shapes.gelu_curvature(a, x), {"x": (-8, 8)})
    refuted(lambda a, x: a.number(1.0998) - shapes.silu_slope(a, x), {"x": (-24, 24)})


def test_wrong_cross_entropy_bounds_are_refuted():
    box, cumulant = {"p": (Fraction(1, 64), 1), "x": (Fraction(1, 4), 16)}, cross_entropy.cumulant
    refuted(lambda a, p, x: (1 - p) * x + a.square(x) / 16 - cumulant(a, p, x), box)
    refuted(lambda a, p, x: -cumulant(a, p, -x) - cumulant(a, p, x), box)
    refuted(lambda a, p, x: (1 - p) * x - cumulant(a, p, x), box)
    refuted(lambda a, e: 1 - 2 / (1 + a.exp(e / 2)) - cross_entropy._gained(a, a.exp(e), 1 / (1 + a.exp(e))), {"E": (1, 2)})
    refuted(lambda a, t: a.square(t) / 3 - t - a.log((1 + a.exp(-2 * t)) / 2), {"t": (Fraction(1, 4), 4)})


def test_wrong_laws_are_refuted():
    half = Fraction(1, 2)
    refuted(lambda a, x: a.exp(-a.square(x)) - a.erfc(x / a.sqrt(a.number(2))), {"x": (Fraction(1, 8), 4)})
    refuted(lambda a, d, s: 1 - a.exp(s * a.log(1 - d)) - 2 * s * d, {"d": (Fraction(1, 8), half), "1/k": (Fraction(1, 8), half)})
    refuted(lambda a, k, t: laws._place(a, k, t) - 2 * a.square(1 + k) * a.square(t), laws.BEYOND)
    low, high = integral(lambda a, t: a.square(a.cos(t / 2)), 0, 3, pieces=50)
    assert not low <= 1.0 <= high


def test_wrong_extremal_masses_are_refuted():
    """The repaired cell bound at K = 2 is false with nu in place of nu + 1, and (P1) is no bound at nu = 1."""
    refuted(lambda a, u, v: 1 / (1 + u) - v, {"u": (0, 1), "v": (0, 1)})
    shares = sorted([0.51, 0.49, 0.0])
    assert sum(shares[-1:]) < 2 / 3 and effective_number.published().failure == ""

    def gap(a, n):
        """Infimum of the cell nu = 2 against 1/sqrt nu."""
        return 2 / n + (1 - 2 / n) * a.sqrt((n - 3) / (3 * (n - 1))) - 1 / a.sqrt(a.number(2))

    refuted(gap, {"N": (4, 100)})


@pytest.mark.claim("PE-gelu-slope", "PE-gelu-curvature", "PE-silu-slope")
@given(st.floats(-40, 40))
def test_slopes_stay_in_their_ranges(x):
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    share = 1 / (1 + math.exp(-x))
    found = (
        (0.5 * math.erfc(-x / math.sqrt(2)) + x * density, activations.gelu_slope_range()),
        ((2 - x * x) * density, activations.gelu_curvature_range()),
        (share * (1 + x * (1 - share)), activations.silu_slope_range()),
    )
    for value, (low, high) in found:
        assert low < value < high


@pytest.mark.claim("PE-gelu-slope", "PE-gelu-curvature", "PE-silu-slope")
def test_the_ranges_are_attained():
    """1.128904145..., -0.128904145...; 0.797884560..., -0.107981933...; 1.099839320..., -0.099839320..."""
    np.testing.assert_allclose(activations.gelu_slope_range(), (-0.12890414515, 1.12890414515), atol=9e-7)
    np.testing.assert_allclose(activations.gelu_curvature_range(), (-0.10798193303, 0.79788456080), atol=5e-7)
    np.testing.assert_allclose(activations.silu_slope_range(), (-0.09983932013, 1.09983932013), atol=7e-7)
    assert activations.gelu_slope_range()[1] > 1.12890414515 and activations.gelu_slope_range()[0] < -0.12890414515


@pytest.mark.claim("PE-softmax-tv")
@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(-1, 1), st.floats(-5, 5)), min_size=2, max_size=8),
    st.sampled_from([0.0, 1e-9, 0.1, 1.0, 5.0]),
)
def test_softmax_moves_no_further(rows, move):
    z, share, v = (np.array(column) for column in zip(*rows, strict=True))

    def softmax(scores):
        weights = np.exp(scores - scores.max())
        return weights / weights.sum()

    change = softmax(z + move * share) - softmax(z)
    bound = float(activations.softmax_variation_upper(move))
    assert 0.5 * np.abs(change).sum() <= bound + 1e-14
    assert abs(change @ v) <= bound * np.ptp(v) + 1e-12


@pytest.mark.claim("PE-softmax-tv")
@pytest.mark.parametrize("move", [0.01, 0.5, 3.0])
def test_softmax_variation_is_attained(move):
    z = np.array([0.0, move])
    before, after = (np.exp(x) / np.exp(x).sum() for x in (z, z + move * np.array([1.0, -1.0])))
    assert activations.softmax_variation_upper(move) == pytest.approx(after[0] - before[0], rel=1e-12)
    assert activations.softmax_variation_upper(move) == pytest.approx(np.expm1(move) / (np.exp(move) + 1), rel=1e-12)


def test_bad_moves_are_refused():
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(Refused, match="move"):
            activations.softmax_variation_upper(bad)
