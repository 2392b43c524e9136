"""C5.10, C5.11, X15 to X19, X21, C1.4, E2.6, M9: known answers, the table of the specification, 60-digit references."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import erf
from strategies import token_inputs

from certify.laws.maxima import MaxAbsGaussian
from certify.records import Refused
from certify.theory.budget import budget, data_path_size
from certify.theory.gaussian import (
    METHODS,
    budget_deviation,
    budget_frobenius_lipschitz,
    budget_mean,
    edge_budget,
    entry_deviation_upper,
    gaussian_budget,
    gaussian_multiplier,
    random_sign_multiplier,
    rank_multiplier,
    sign_symmetric_size,
    sphere_multiplier,
    subgaussian_budget,
    subgaussian_multiplier,
)
from proofs_check.coverage.protocols import held

CALL = {"rows": 16, "entry_variance": 0.25, "delta": 0.1}
DELTAS = st.one_of(st.floats(1e-300, 0.999), st.sampled_from([1e-300, 1e-12, 0.5, 1.0 - 2.0**-53]))


def share(delta, count):
    """1 - (1 - delta)^(1 / count) at the working precision."""
    return -mpmath.expm1(mpmath.log1p(-mpmath.mpf(delta)) / count)


@pytest.mark.claim("X15-gauss-exact", "X16-gauss-mean", "X17-rank-uniform")
@pytest.mark.parametrize(
    "rows, count, delta, expected",
    [
        (1, 1, 0.05, (2.716, 2.448, 1.960, 1.960, 3.246, 3.938)),
        (64, 100, 0.05, (4.991, 4.850, 4.470, 4.465, 5.044, 5.166)),
        (768, 1000, 0.01, (6.140, 6.026, 5.686, 5.685, 6.398, 6.058)),
        (768, 50000, 0.01, (6.747, 6.644, 6.321, 6.320, 6.398, 6.058)),
        (768, 1281167, 0.01, (7.212, 7.115, 6.804, 6.803, 6.398, 6.058)),
    ],
)
def test_multiplier_table_of_the_specification(rows, count, delta, expected):
    found = [gaussian_multiplier(rows, count, delta, method) for method in METHODS]
    mean = budget_mean([0.5], [1.0], [MaxAbsGaussian(rows).mean()], 1.0)
    found += [mean + budget_deviation(1.0, 1.0, delta), rank_multiplier(rows, 8, delta)]
    assert [round(x, 3) for x in found] == list(expected)


@pytest.mark.claim("X15-gauss-exact", "X19-tokens")
@given(st.integers(1, 5000), st.integers(1, 10**15), DELTAS)
def test_multipliers_are_ordered_and_count_coordinates(rows, count, delta):
    found = [gaussian_multiplier(rows, count, delta, method) for method in METHODS]
    paper, drop2, bonferroni, sidak = found
    assert 0.0 < sidak <= bonferroni * (1 + 1e-12)
    assert bonferroni <= drop2 * (1 + 1e-12)
    assert drop2 < paper
    assert paper**2 - drop2**2 == pytest.approx(2.0 * math.log(2.0), rel=1e-9)
    assert found == pytest.approx([gaussian_multiplier(1, rows * count, delta, method) for method in METHODS], rel=1e-12)


@pytest.mark.claim("X15-gauss-exact", "M9-max-gaussian")
@given(st.integers(1, 400), st.floats(1e-6, 0.9))
def test_sidak_is_the_quantile_of_the_largest_of_k_gaussians(rows, delta):
    x = gaussian_multiplier(rows, 1, delta)
    assert erf(x / np.sqrt(2.0)) ** rows == pytest.approx(1.0 - delta, rel=1e-10)
    assert x == pytest.approx(float(MaxAbsGaussian(rows).isf(delta)), rel=1e-12)


@pytest.mark.claim("M9-max-gaussian")
@pytest.mark.parametrize("count, mean", [(1, 0.798), (10, 1.881), (64, 2.596), (768, 3.363), (3072, 3.730)])
def test_mean_of_the_largest_lies_below_the_union_bound(count, mean):
    found = MaxAbsGaussian(count).mean()
    assert round(found, 3) == mean
    assert found <= math.sqrt(2.0 * math.log(2.0 * count))


@pytest.mark.parametrize("delta", ["1e-300", "1e-9", "0.3"])
@pytest.mark.parametrize("count", [1, 7, 10**15])
def test_sidak_and_bonferroni_at_sixty_digits(count, delta):
    with mpmath.workdps(60):
        wanted = share(delta, count)
        for method, tail in (("sidak", wanted), ("bonferroni", mpmath.mpf(delta) / count)):
            x = mpmath.mpf(gaussian_multiplier(1, count, float(delta), method))
            assert abs(mpmath.erfc(x / mpmath.sqrt(2)) / tail - 1) < mpmath.mpf("1e-12") * (1 + x * x)


@pytest.mark.claim("X17-rank-uniform")
@pytest.mark.parametrize("rank", [1, 2, 3, 8, 768])
@pytest.mark.parametrize("rows, delta", [(1, 0.9), (1, 0.05), (768, 1e-6), (10**9, 1e-280), (10**15, 1e-300)])
def test_rank_multiplier_at_sixty_digits(rank, rows, delta):
    with mpmath.workdps(60):
        x = mpmath.mpf(rank_multiplier(rows, rank, delta))
        tail = mpmath.gammainc(mpmath.mpf(rank) / 2, x * x / 2, mpmath.inf, regularized=True)
        wanted = share(delta, rows)
        continued = wanted < 1e-300
        assert tail <= wanted * (1 + mpmath.mpf("1e-10"))
        assert tail >= wanted * (mpmath.mpf("0.5") if continued else 1 - mpmath.mpf("1e-10"))


@pytest.mark.claim("X17-rank-uniform")
def test_rank_two_is_elementary_and_rank_one_is_sidak():
    assert rank_multiplier(1, 2, math.exp(-2.0)) == pytest.approx(2.0, rel=1e-14)
    assert rank_multiplier(5, 2, 0.1) == pytest.approx(math.sqrt(-2.0 * math.log(1.0 - 0.9**0.2)), rel=1e-13)
    assert rank_multiplier(5, 1, 0.1) == pytest.approx(gaussian_multiplier(5, 1, 0.1), rel=1e-14)
    assert rank_multiplier(5, 1, 1e-310) > 0.0


@pytest.mark.claim("X18-g-free")
def test_sphere_of_low_dimension_is_elementary():
    assert sphere_multiplier(1, 1, 5, 0.1) == 1.0
    assert sphere_multiplier(1, 2, 1, 0.1) == pytest.approx(math.cos(math.pi * 0.05), rel=1e-14)
    assert sphere_multiplier(2, 1, 1, 0.1) == pytest.approx(math.cos(math.pi * 0.025), rel=1e-14)
    assert sphere_multiplier(1, 3, 1, 0.1) == pytest.approx(0.9, rel=1e-14)
    assert sphere_multiplier(3, 1, 2, 0.1) == pytest.approx(1.0 - 0.1 / 6.0, rel=1e-14)
    assert math.sqrt(48 * 32) * sphere_multiplier(48, 32, 40, 0.1) == pytest.approx(4.037, abs=5e-4)
    assert gaussian_multiplier(48, 40, 0.1, "bonferroni") == pytest.approx(4.046, abs=5e-4)


@pytest.mark.claim("X18-g-free")
@pytest.mark.parametrize("size", [4, 10, 1000, 10**6])
@pytest.mark.parametrize("count, delta", [(1, 0.5), (10**6, 1e-9), (10**9, 1e-280), (10**15, 1e-300)])
def test_sphere_multiplier_at_sixty_digits(size, count, delta):
    x = sphere_multiplier(1, size, count, delta)
    assert 0.0 < x <= 1.0
    with mpmath.workdps(60):
        wanted, b, square = mpmath.mpf(delta) / count, mpmath.mpf(size - 1) / 2, mpmath.mpf(x) ** 2
        y = 1 - square
        tail = y**b * mpmath.sqrt(square) / (b * mpmath.beta(b, 0.5)) * mpmath.hyp2f1(1, b + mpmath.mpf("0.5"), b + 1, y)
        if y > 1e-10:
            near = mpmath.mpf("1e-4") if size == 4 else mpmath.mpf("1e-9")
            assert tail <= wanted * (1 + near)
            assert tail >= wanted * (mpmath.mpf("0.5") if wanted < 1e-300 else 1 - near)


@pytest.mark.claim("X18-g-free")
def test_rows_of_the_matrix_are_not_independent_vectors():
    """The errata's instance: v = first row of R leaves the level far more often than delta; a fresh v does not."""
    rng, draws, rows, cols, delta = np.random.default_rng(3), 1000, 4, 6, 0.1
    noise = rng.standard_normal((draws, rows, cols))
    level = sphere_multiplier(rows, cols, 1, delta) * np.linalg.norm(noise, axis=(1, 2))
    beyond = {}
    for name, v in {"own": noise[:, 0], "fresh": rng.standard_normal((draws, cols))}.items():
        sent = np.abs(np.einsum("drc,dc->dr", noise, v)).max(axis=1)
        beyond[name] = int(np.sum(sent > level * np.linalg.norm(v, axis=1)))
    assert held(beyond["own"], draws, delta).failure
    assert beyond["own"] > 300
    assert not held(beyond["fresh"], draws, delta).failure


@pytest.mark.claim("X18-g-free")
def test_deviation_of_an_entry():
    assert entry_deviation_upper(3.0, 1, 2, 0.1) == pytest.approx(3.0 / math.sqrt(-2.0 * math.log(0.9)), rel=1e-13)
    assert entry_deviation_upper(0.0, 3, 2, 0.1) == 0.0
    tiny = entry_deviation_upper(1e-10, 1, 1, 1e-290)
    assert tiny == pytest.approx(1e-10 / (1e-290 * math.sqrt(math.pi / 2.0)), rel=1e-10)
    assert entry_deviation_upper(1.0, 40, 30, 0.01) > 1.0 / math.sqrt(1200.0) > entry_deviation_upper(1.0, 40, 30, 0.99)
    with mpmath.workdps(40):
        z = 0.5 / entry_deviation_upper(1.0, 7, 3, 1e-20) ** 2
        assert mpmath.gammainc(10.5, 0, z, regularized=True) == pytest.approx(1e-20, rel=1e-11)


@pytest.mark.claim("ESM1-C1.4-subgauss-budget", "ESM1-E2.6-subgauss-rows", "X21-sign-symmetric", "EMP-H1")
def test_known_subgaussian_multipliers():
    assert subgaussian_multiplier(1, 1, 2.0 / math.e**2) == pytest.approx(2.0)
    assert subgaussian_multiplier(3, 2, 12.0 / math.e**4, 1.0) == pytest.approx(2.0)
    assert subgaussian_multiplier(3, 2, 12.0 / math.e**4, 4.0) == pytest.approx(1.0)
    assert random_sign_multiplier(3, 2, 12.0 / math.e**8) == pytest.approx(4.0)
    for rows, count in ((1, 1), (10**15, 10**15)):
        assert subgaussian_multiplier(rows, count, 1e-300) == gaussian_multiplier(rows, count, 1e-300, "paper")


@pytest.mark.claim("X21-sign-symmetric", "X19-tokens")
def test_sign_symmetric_size_counts_tokens_and_takes_the_largest():
    removed = np.array([[3.0, 0.0], [1.0, 1.0]])
    inputs = np.array([[[1.0, 1.0], [0.0, 4.0]], [[0.0, 2.0], [0.0, 0.0]]])
    x = math.sqrt(2.0 * math.log(2.0 * 2 * 4 / 0.1))
    assert sign_symmetric_size(removed, inputs, 0.1) == pytest.approx([4.0 * x, 2.0 * x])
    assert sign_symmetric_size([[1e-200]], [[[1e-150]], [[1.0]]], 0.5) == pytest.approx(
        np.array([0.0, 1e-200]) * math.sqrt(2.0 * math.log(8.0))
    )
    assert sign_symmetric_size([[1.0, 1e-200]], [[[0.0, 1e-100]], [[1.0, 0.0]]], 0.5)[0] > 0.0


@pytest.mark.claim("C5.10-gauss-budget", "X19-tokens")
def test_gaussian_budget_counts_every_token():
    one = gaussian_budget([2.0, 1.0], [3.0, 4.0], [1, 1], **CALL)
    assert one == pytest.approx((2 * 3 + 1 * 4) * 0.5 * gaussian_multiplier(16, 2, 0.1), rel=1e-14)
    many = gaussian_budget([2.0, 1.0], [3.0, 4.0], [30, 20], **CALL)
    assert many == pytest.approx(5.0 * gaussian_multiplier(16, 50, 0.1), rel=1e-14)
    published = gaussian_budget([2.0, 1.0], [3.0, 4.0], [1, 1], **CALL, method="paper")
    assert published == pytest.approx(5.0 * np.sqrt(2 * np.log(2 * 16 * 2 / 0.1)), rel=1e-14)
    assert gaussian_budget([1.0], [1.0], [4], rows=1, entry_variance=0.0, delta=0.5) == 0.0
    assert gaussian_budget([1.0], [0.0], [4], rows=1, entry_variance=1.0, delta=0.5) == 0.0
    assert gaussian_budget([1.0], [1.0], [10**15], rows=10**15, entry_variance=1.0, delta=1e-300) < 78.0


@pytest.mark.claim("ESM1-C1.4-subgauss-budget")
def test_subgaussian_budget_at_one_half_is_the_published_one():
    arguments = ([2.0, 1.0], [3.0, 4.0], [30, 20])
    published = gaussian_budget(*arguments, **CALL, method="paper")
    assert subgaussian_budget(*arguments, **CALL, c=0.5) == pytest.approx(published, rel=1e-14)
    assert subgaussian_budget(*arguments, **CALL, c=2.0) == pytest.approx(published / 2.0, rel=1e-14)
    known = subgaussian_budget([1.0], [3.0], [2], rows=3, entry_variance=4.0, delta=12.0 / math.e**4, c=1.0)
    assert known == pytest.approx(2.0 * 3.0 * 2.0 * 2.0)


@pytest.mark.claim("C5.11-mp-edge-budget")
def test_edge_budget_is_a_change_of_variables():
    """rows = 4, cols = 9, entry deviation 1: the edge is 2 + 3."""
    found = edge_budget([2.0, 1.0], [3.0, 4.0], [1, 5], rows=4, cols=9, edge=5.0, delta=0.1)
    assert found == pytest.approx(10.0 * math.sqrt(2.0 * math.log(2.0 * 4 * 6 / 0.1)), rel=1e-14)
    sharp = edge_budget([2.0, 1.0], [3.0, 4.0], [1, 5], rows=4, cols=9, edge=5.0, delta=0.1, method="sidak")
    assert sharp == pytest.approx(gaussian_budget([2.0, 1.0], [3.0, 4.0], [1, 5], rows=4, entry_variance=1.0, delta=0.1))
    assert edge_budget([1.0], [1.0], [1], rows=4, cols=9, edge=0.0, delta=0.1) == 0.0


@pytest.mark.claim("X16-gauss-mean")
def test_known_mean_and_deviation():
    assert budget_mean([2.0, 1.0], [3.0, 4.0], [1.5, 0.5], 4.0) == pytest.approx(2.0 * (9.0 + 2.0))
    assert budget_mean([2.0], [3.0], [1.0], 0.0) == 0.0
    assert budget_deviation(2.0, 0.25, math.exp(-2.0)) == pytest.approx(2.0)
    assert budget_deviation(2.0, 0.25, 2.0 * math.exp(-2.0), 2) == pytest.approx(2.0)
    assert budget_deviation(0.0, 1.0, 1e-300) == 0.0


@pytest.mark.claim("X16-gauss-mean")
def test_both_forms_of_kappa():
    assert budget_frobenius_lipschitz([1.0, 3.0], [[[3.0, 4.0]], [[6.0, 8.0]]]) == pytest.approx(5.0 + 30.0)
    assert budget_frobenius_lipschitz(np.full(4, 2.0), np.eye(4)[:, None]) == pytest.approx(math.sqrt(4.0) * 1.0)
    tokens = np.array([[[3.0, 4.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]])
    assert budget_frobenius_lipschitz([1.0, 1.0], tokens) == pytest.approx(5.0 + 2.0)
    assert budget_frobenius_lipschitz(np.full(4, 2.0), np.eye(8).reshape(4, 2, 8)) == pytest.approx(2.0)
    assert budget_frobenius_lipschitz([1.0], [[[0.0]]]) == 0.0
    assert budget_frobenius_lipschitz([1.0], [[[1e-200, 0.0]]]) == pytest.approx(2e-200)


@pytest.mark.claim("X16-gauss-mean")
@given(st.data(), st.integers(0, 2**32))
def test_kappa_bounds_every_move_and_is_attained_by_parallel_inputs(data, seed):
    rng = np.random.default_rng(seed)
    inputs = data.draw(token_inputs(3))
    constants = data.draw(arrays(np.float64, len(inputs), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])))
    a, b = rng.standard_normal((2, 4, 3))
    kappa = budget_frobenius_lipschitz(constants, inputs)
    moved = abs(budget(constants, data_path_size(a, inputs)) - budget(constants, data_path_size(b, inputs)))
    assert moved <= kappa * np.linalg.norm(a - b) * (1.0 + 1e-9)
    direction = rng.standard_normal(3)
    parallel = rng.standard_normal((len(inputs), 1, 1)) * direction
    noise = np.zeros((4, 3))
    noise[2] = direction
    spent = budget(constants, data_path_size(noise, parallel))
    assert spent == pytest.approx(budget_frobenius_lipschitz(constants, parallel) * np.linalg.norm(noise), rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: gaussian_multiplier(0, 1, 0.1),
        lambda: gaussian_multiplier(1, 0, 0.1),
        lambda: gaussian_multiplier(1, 1.0, 0.1),  # type: ignore[arg-type]
        lambda: gaussian_multiplier(1, 1, 0.0),
        lambda: gaussian_multiplier(1, 1, 1.0),
        lambda: gaussian_multiplier(1, 1, np.nan),
        lambda: gaussian_multiplier(1, 1, 0.1, "rank"),
        lambda: gaussian_budget([1.0], [1.0], [0], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [1.0], [1.5], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [1.0], [1, 1], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([], [], np.array([], int), rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [1.0], [1], rows=1, entry_variance=-1.0, delta=0.1),
        lambda: gaussian_budget([-1.0], [1.0], [1], rows=1, entry_variance=1.0, delta=0.1),
        lambda: gaussian_budget([1.0], [np.nan], [1], rows=1, entry_variance=1.0, delta=0.1),
        lambda: subgaussian_multiplier(1, 1, 0.1, 0.0),
        lambda: subgaussian_multiplier(1, 1, 0.1, -1.0),
        lambda: subgaussian_budget([1.0], [1.0], [1], rows=1, entry_variance=1.0, delta=0.1, c=np.nan),
        lambda: random_sign_multiplier(1, 1, 1.0),
        lambda: sign_symmetric_size([[1.0]], [[1.0]], 0.1),
        lambda: sign_symmetric_size([[1.0]], [[[np.inf]]], 0.1),
        lambda: sign_symmetric_size([[1e200]], [[[1e200]]], 0.1),
        lambda: rank_multiplier(1, 0, 0.1),
        lambda: rank_multiplier(0, 1, 0.1),
        lambda: rank_multiplier(1, 1, 0.0),
        lambda: sphere_multiplier(1, 0, 1, 0.1),
        lambda: sphere_multiplier(1, 1, 0, 0.1),
        lambda: sphere_multiplier(1, 1, 1, 1.0),
        lambda: entry_deviation_upper(-1.0, 1, 1, 0.1),
        lambda: entry_deviation_upper(1.0, 1, 1, 0.0),
        lambda: entry_deviation_upper(1e200, 1, 1, 1e-300),
        lambda: edge_budget([1.0], [1.0], [1], rows=1, cols=0, edge=1.0, delta=0.1),
        lambda: edge_budget([1.0], [1.0], [1], rows=1, cols=1, edge=-1.0, delta=0.1),
        lambda: budget_mean([1.0], [1.0], [1.0, 2.0], 1.0),
        lambda: budget_mean([1.0], [1.0], [-1.0], 1.0),
        lambda: budget_frobenius_lipschitz([-1.0], [[[1.0]]]),
        lambda: budget_frobenius_lipschitz([1.0], [[1.0]]),
        lambda: budget_frobenius_lipschitz([1.0, 1.0], [[[1.0]]]),
        lambda: budget_deviation(1.0, 1.0, 0.1, 3),
        lambda: budget_deviation(-1.0, 1.0, 0.1),
        lambda: budget_deviation(1.0, -1.0, 0.1),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
