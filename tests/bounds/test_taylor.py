"""Taylor models stand for what they say, at 60 digits: sums, products, functions; constants planted too small are caught."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.bounds.enclosed import elementary, taylor
from certify.bounds.enclosed.elementary import exp, exponential, gelu, power, sup_gelu
from certify.bounds.enclosed.spectral import norm_upper
from certify.bounds.enclosed.taylor import Model, Weights, add, compose, linear, product, scaled

mpmath.mp.dps = 60
POINTS = [-1.0, -0.75, -0.1, 0.0, 0.3, 0.6, 1.0]


def model(seed: int, degree: int, shape: tuple[int, ...], swing: float = 0.3, centre: float = 1.0) -> Model:
    generator = torch.Generator().manual_seed(seed)
    coef = torch.randn((degree + 1, *shape), generator=generator, dtype=torch.float64) * swing / 2
    coef[1:] /= torch.arange(1, degree + 1, dtype=torch.float64).reshape(-1, *(1,) * len(shape)) ** 2
    coef[0] = centre + coef[0]
    return Model(coef, torch.zeros(shape, dtype=torch.float64))


def value(found: Model, u: float, *index: int) -> mpmath.mpf:
    return sum(mpmath.mpf(float(c[index])) * mpmath.mpf(u) ** k for k, c in enumerate(found.coef))


def holds(found: Model, truth, index: tuple[int, ...]) -> bool:
    """Whether |truth(u) - polynomial| <= rem at all POINTS."""
    rem = mpmath.mpf(float(found.rem[index]))
    return all(abs(truth(u) - value(found, u, *index)) <= rem for u in POINTS)


def phi(x: mpmath.mpf) -> mpmath.mpf:
    return x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2


FUNCTIONS = {
    "gelu": (gelu, phi, 0.0),
    "exp": (exponential, mpmath.exp, -2.0),
    "inverse": (lambda a: power(a, -1.0), lambda x: 1 / x, 3.0),
    "root": (lambda a: power(a, -0.5), lambda x: 1 / mpmath.sqrt(x), 3.0),
}


@pytest.mark.claim("PE3-taylor-compose")
@pytest.mark.parametrize("name", FUNCTIONS)
@given(seed=st.integers(0, 10**6), degree=st.integers(1, 9), swing=st.sampled_from([0.0, 1e-9, 1e-3, 0.1, 1.0]))
@settings(max_examples=25)
def test_functions_of_models(name: str, seed: int, degree: int, swing: float) -> None:
    expand, exact, centre = FUNCTIONS[name]
    a = model(seed, degree, (2,), swing, centre)
    found = compose(a, expand(a))
    assert torch.isfinite(found.rem).all()
    for index in ((0,), (1,)):
        assert holds(found, lambda u, index=index: exact(value(a, u, *index)), index)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_models_with_a_remainder(name: str) -> None:
    """Any function within the remainder: here the polynomial shifted by all of it, up and down."""
    expand, exact, centre = FUNCTIONS[name]
    for seed in range(8):
        a = model(seed, 5, (1,), 0.4, centre)
        a = Model(a.coef, torch.full((1,), 10.0 ** -(seed + 1), dtype=torch.float64))
        found = compose(a, expand(a))
        for sign in (-1, 1):
            assert holds(found, lambda u, sign=sign, a=a: exact(value(a, u, 0) + sign * mpmath.mpf(float(a.rem[0]))), (0,))


SLOPES = {
    "gelu": lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x),
    "exp": mpmath.exp,
    "inverse": lambda x: -1 / x**2,
    "root": lambda x: -1 / (2 * x * mpmath.sqrt(x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("swing", "rem"), [(0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3), (0.25, 0.5)])
def test_slopes_hold_wherever_the_argument_may_lie(name: str, swing: float, rem: float) -> None:
    """At the inflections and the steepest places of GELU the bound of its slope is nearly attained."""
    centres = [-1.4142135, -0.5, 0.0, 1e-3, 0.5, 1.4142135, 6.0] if name in ("gelu", "exp") else [1.0, 1.5, 40.0]
    for centre in centres:
        a = Model(torch.tensor([[centre], [swing]], dtype=torch.float64), torch.tensor([rem], dtype=torch.float64))
        slope = mpmath.mpf(float(FUNCTIONS[name][0](a).slope))
        for share in (-1, -0.5, 0, 0.5, 1):
            assert abs(SLOPES[name](mpmath.mpf(centre) + share * (mpmath.mpf(swing) + mpmath.mpf(rem)))) <= slope


def test_exponentials_that_underflow_at_the_centre_alone() -> None:
    """exp(-746) is no float64, exp(-746 + 699 u) at u = 1 is 4e-21."""
    a = Model(torch.zeros((9, 1), dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    a.coef[0], a.coef[1] = -746.0, 699.0
    assert holds(compose(a, exponential(a)), lambda u: mpmath.exp(value(a, u, 0)), (0,))


@given(st.floats(-690, 690, allow_nan=False))
def test_exp_keeps_its_promise(x: float) -> None:
    found, loss = exp(torch.tensor([x], dtype=torch.float64))
    truth = mpmath.exp(mpmath.mpf(x))
    assert abs(mpmath.mpf(float(found)) - truth) <= mpmath.mpf(float(loss)) * truth


def test_exp_at_the_ends_and_powers_of_two() -> None:
    assert (
        math.isinf(float(exp(torch.tensor([701.0], dtype=torch.float64))[0]))
        and float(exp(torch.tensor([-2000.0], dtype=torch.float64))[0]) == 0
    )
    one = torch.ones((), dtype=torch.float64)
    for k in range(-1022, 1024):
        assert float(torch.ldexp(one, torch.tensor(k, dtype=torch.int32))) == math.ldexp(1.0, k)


@given(st.one_of(st.floats(-9, 9), st.floats(-60, 60)), st.integers(1, 12))
@settings(max_examples=60)
def test_expansion_terms_of_gelu(x: float, degree: int) -> None:
    a = Model(torch.zeros((degree + 1, 1), dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    a.coef[0] = x
    expansion = gelu(a)
    truth = mpmath.taylor(phi, mpmath.mpf(x), degree)
    for term, error, exact in zip(expansion.terms, expansion.errors, truth, strict=True):
        assert abs(mpmath.mpf(float(term)) - exact) <= mpmath.mpf(float(error)) + mpmath.mpf(10) ** -45


@pytest.mark.claim("PE2-gelu-derivatives")
@pytest.mark.parametrize("n", range(2, 14))
def test_the_bound_of_gelu_derivatives(n: int) -> None:
    def derivative(x: float) -> mpmath.mpf:
        density = mpmath.exp(-(mpmath.mpf(x) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi)
        hermite = [mpmath.mpf(1), mpmath.mpf(x)]
        for k in range(1, n):
            hermite.append(x * hermite[k] - k * hermite[k - 1])
        return (-1) ** (n - 1) * (x * hermite[n - 1] - n * hermite[n - 2]) * density

    largest = max(abs(derivative(k / 50)) for k in range(-400, 401))
    assert largest <= sup_gelu(n) <= 12 * largest


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=25)
def test_products_sums_and_weights_that_move(seed: int, degree: int) -> None:
    a, b = model(seed, degree, (2, 3)), model(seed + 1, degree, (2, 3))
    both, dot = product(a, b, torch.mul, 1), product(a, b, lambda x, y: (x * y).sum(-1), 3)
    total = add(a, b)
    generator = torch.Generator().manual_seed(seed)
    start, step = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    bias = Weights(start[:, 0], step[:, 0])
    mid, half = torch.tensor([0.25, 0.75], dtype=torch.float64), torch.tensor([0.25, 0.125], dtype=torch.float64)
    moved = linear(a, Weights(start, step), bias, mid, half)
    stretched = scaled(a, Weights(start[0], step[0]), Weights(start[1], step[1]), mid, half)

    def theta(u: float, piece: int) -> mpmath.mpf:
        return mpmath.mpf(float(mid[piece])) + mpmath.mpf(float(half[piece])) * mpmath.mpf(u)

    def weight(row: int, column: int, u: float, piece: int) -> mpmath.mpf:
        return mpmath.mpf(float(start[row, column])) + theta(u, piece) * mpmath.mpf(float(step[row, column]))

    for p in range(2):
        assert holds(both, lambda u, p=p: value(a, u, p, 1) * value(b, u, p, 1), (p, 1))
        assert holds(total, lambda u, p=p: value(a, u, p, 1) + value(b, u, p, 1), (p, 1))
        assert holds(dot, lambda u, p=p: sum(value(a, u, p, j) * value(b, u, p, j) for j in range(3)), (p,))
        for row in range(4):
            assert holds(
                moved,
                lambda u, p=p, row=row: sum(weight(row, j, u, p) * value(a, u, p, j) for j in range(3)) + weight(row, 0, u, p),
                (p, row),
            )
        for j in range(3):
            assert holds(stretched, lambda u, p=p, j=j: weight(0, j, u, p) * value(a, u, p, j) + weight(1, j, u, p), (p, j))


def test_a_model_that_may_reach_zero_has_no_inverse() -> None:
    a = Model(torch.tensor([[0.5], [0.6]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    for exponent in (-1.0, -0.5):
        found = compose(a, power(a, exponent))
        assert not bool((found.rem <= 1e300).any()), "NaN or inf, never a number"


@pytest.mark.claim("PE4-norm-by-squaring")
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1e-8, 1.0, 1e8]))
def test_norms_from_above(seed: int, rows: int, cols: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = scale * torch.randn(rows, cols, generator=generator, dtype=torch.float64)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    for squarings in (1, 3, 5):
        found = float(norm_upper(matrix, squarings))
        assert exact * (1 - 1e-13) <= found <= exact * min(rows, cols) ** (0.5**squarings / 2) * (1 + 1e-6)
    assert float(norm_upper(torch.zeros(rows, cols, dtype=torch.float64))) < 1e-90


@pytest.mark.parametrize(
    "planted",
    ["no rounding of products", "no Lagrange term", "no slope", "exp without its error", "series without its error"],
)
def test_a_constant_too_small_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the checks above would fail if one constant were left out."""
    if planted == "no rounding of products":
        monkeypatch.setattr(taylor, "gamma", lambda n: 0.0)
        monkeypatch.setattr(taylor, "UP", 1.0)
        monkeypatch.setattr(taylor, "TINY", 0.0)
        pairs = [(model(k, 6, (1,)), model(k + 1, 6, (1,))) for k in range(40)]
        # A tail that is cut off exactly hides rounding: compare where the product has no tail.
        short = [
            (Model(torch.cat([a.coef[:3], a.coef[3:] * 0]), a.rem), Model(torch.cat([b.coef[:3], b.coef[3:] * 0]), b.rem))
            for a, b in pairs
        ]
        found = [product(a, b, torch.mul, 1) for a, b in short]
        assert not all(
            holds(f, lambda u, a=a, b=b: value(a, u, 0) * value(b, u, 0), (0,)) for f, (a, b) in zip(found, short, strict=True)
        )
        return
    a = model(3, 2, (1,), 1.0, 0.3)
    a = Model(a.coef, torch.full((1,), 1e-3, dtype=torch.float64))
    expansion = gelu(a)
    if planted == "no Lagrange term":
        line = model(3, 1, (1,), 1.0, 0.3)
        whole = exponential(line)
        broken = taylor.Expansion(whole.terms, whole.errors, whole.left * 0.3, whole.slope)
        assert holds(compose(line, whole), lambda u: mpmath.exp(value(line, u, 0)), (0,))
        assert not holds(compose(line, broken), lambda u: mpmath.exp(value(line, u, 0)), (0,))
    elif planted == "no slope":
        broken = taylor.Expansion(expansion.terms, expansion.errors, expansion.left * 1e-3, expansion.slope * 0)
        assert not holds(compose(a, broken), lambda u: phi(value(a, u, 0) + mpmath.mpf("1e-3")), (0,))
    elif planted == "exp without its error":
        xs = torch.linspace(-30, 30, 4001, dtype=torch.float64)
        found, _ = exp(xs)
        off = [
            abs(mpmath.mpf(float(v)) / mpmath.exp(mpmath.mpf(float(x))) - 1) for x, v in zip(xs[::40], found[::40], strict=True)
        ]
        assert max(off) > 0.5 * 2.0**-53
    else:
        point = Model(torch.zeros((2, 200), dtype=torch.float64), torch.zeros(200, dtype=torch.float64))
        point.coef[0] = torch.linspace(0.1, 6, 200, dtype=torch.float64)
        terms = gelu(point).terms[0]
        off = [abs(mpmath.mpf(float(t)) - phi(mpmath.mpf(float(x)))) for t, x in zip(terms, point.coef[0], strict=True)]
        assert max(off) > 2.0**-53 and elementary.SERIES > 100


@pytest.mark.parametrize("n", [1, 128, 129, 192, 200, 384])
def test_long_sums_are_added_run_by_run(n: int) -> None:
    """Every term is there once, and what rounding there is stays below `gamma(runs)`."""
    assert float(taylor.summed(torch.arange(n).double())) == n * (n - 1) / 2
    numbers = torch.arange(3 * n).double().reshape(3, n)
    assert torch.equal(taylor.matmul(numbers, numbers + 1), numbers @ (numbers + 1).T)
    generator = torch.Generator().manual_seed(n)
    x, weight = (torch.randn(4, n, generator=generator, dtype=torch.float64) for _ in range(2))
    exact = [[sum(mpmath.mpf(float(a)) * mpmath.mpf(float(b)) for a, b in zip(p, q, strict=True)) for q in weight] for p in x]
    found, bound = taylor.matmul(x, weight), taylor.gamma(taylor.runs(n)) * (x.abs() @ weight.abs().T)
    assert all(abs(mpmath.mpf(float(found[i, j])) - exact[i][j]) <= float(bound[i, j]) for i in range(4) for j in range(4))
    assert taylor.runs(n) <= n and (n <= 128 or taylor.runs(n) <= 64 + n // 64 + 1)
