"""EMP-D1..D3 and facts 1-7: known answers, the exact floor, equality instances, and the wrong floors as controls."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory.emp.effective_number import (
    effective_number,
    effective_number_exact,
    keep_mask,
    kept_count,
    kept_count_exact,
    merged_number,
    number_range,
    removed_energy_upper,
    removed_mass,
    retained_mass,
    retained_mass_exact,
    rounded_up,
    sums_exact,
    sure_threshold,
)
from theory.emp_strategies import BETAS, scores, whole_scores

UNIT = 2.0**-53


def rationals(values):
    return [Fraction(float(value)) for value in values]


def naive_floor(values):
    return math.floor(sum(values) ** 2 / sum(value * value for value in values))


@pytest.mark.claim("EMP-D1", "EMP-D2")
def test_known_numbers():
    assert effective_number([3.0, 4.0]) == 49 / 25
    assert effective_number_exact([3, 4]) == Fraction(49, 25)
    assert effective_number([10.0, 10.0, 1.0]) == 441 / 201
    assert effective_number([-2.0, 2.0, 0.0, 2.0]) == 3.0
    assert effective_number([7.0]) == 1.0
    assert kept_count([3.0, 4.0]) == 1
    assert effective_number_exact(list(np.full(4, 2**40))) == 4
    assert retained_mass([3.0, -4.0], 1) == 4 / 7
    assert retained_mass_exact([Fraction(1, 2), Fraction(1, 3)], 1) == Fraction(3, 5)
    assert removed_mass([10.0, 10.0, 1.0], np.array([True, True, False])) == rounded_up(Fraction(1, 21))
    assert sure_threshold([3.0, 4.0]) == rounded_up(Fraction(25, 7))


@pytest.mark.claim("EMP-D2")
@pytest.mark.parametrize("n", [1, 2, 3, 10, 49, 257, 1000, 2000])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1.0, 5e-324, 1.7e308, 0.7e-200])
def test_equal_scores_are_all_kept(n, value):
    assert kept_count(np.full(n, value)) == n
    assert effective_number(np.full(n, value)) == n
    assert kept_count([value] * n + [0.0] * 5) == n


def test_the_naive_floor_is_the_wrong_one():
    """Negative control: rounded sums lose one at an integer."""
    assert [naive_floor([0.1] * n) for n in (10, 49, 1000)] == [9, 48, 999]
    assert [kept_count([0.1] * n) for n in (10, 49, 1000)] == [10, 49, 1000]


@pytest.mark.claim("EMP-D2", kind="exact")
@pytest.mark.parametrize("factor", [1 - UNIT * 2, 1 + UNIT * 4])
def test_one_ulp_below_an_integer(factor):
    """D is within 1e-31 of 10, its float is 10.0, and its floor is 9."""
    values = [0.1] * 9 + [0.1 * factor]
    assert effective_number(values) == 10.0
    assert 10 > effective_number_exact(values) > 10 - Fraction(1, 10**30)
    assert kept_count(values) == kept_count_exact(rationals(values)) == 9


@pytest.mark.claim("EMP-D2", kind="exact")
def test_beta_is_a_rational():
    """Errata: at D = 10 the rational 3/10 keeps 3, the float 0.3 as a dyadic 2, and a float product 3."""
    values = [1.0] * 10
    assert kept_count(values, Fraction(3, 10)) == 3
    assert kept_count(values, Fraction(0.3)) == 2
    assert math.floor(0.3 * effective_number(values)) == 3
    with pytest.raises(Refused, match="rational"):
        kept_count(values, 0.3)  # type: ignore[arg-type]


def test_kept_count_is_clipped():
    assert kept_count([1.0, 2.0, 3.0], Fraction(1, 100)) == 1
    assert kept_count([1.0, 2.0, 3.0], 100) == 3
    assert [kept_count([0.0, 0.0], on_zero=rule) for rule in ("keep_all", "drop_all")] == [2, 0]
    assert keep_mask([0.0, 0.0]).all()
    assert not keep_mask([0.0, 0.0], on_zero="drop_all").any()


def test_ties_go_by_position():
    assert keep_mask([1.0, 2.0, 1.0, 2.0, 1.0], Fraction(3, 4)).tolist() == [True, True, False, True, False]
    assert keep_mask([0.0, -5.0, 0.1]).tolist() == [False, True, False]


@given(scores())
def test_sums_without_rounding(values):
    total, square = sums_exact(values)
    exact = rationals(values)
    assert total == sum(map(abs, exact))
    assert square == sum(value * value for value in exact)


def test_sums_of_many_entries():
    """Entries of one exponent by the thousand: the limbs must not overflow or mix."""
    values = np.random.default_rng(0).normal(size=5000) * 2.0 ** np.random.default_rng(1).integers(-60, 60, 5000)
    exact = rationals(values)
    assert sums_exact(values) == (sum(map(abs, exact)), sum(value * value for value in exact))
    largest = np.full(70_000, math.nextafter(1.0, 0.0))
    assert sums_exact(largest)[1] == 70_000 * (1 - Fraction(1, 2**53)) ** 2


@pytest.mark.claim("EMP-D1", "EMP-D2", "EMP-D3", kind="exact")
@given(scores(), BETAS)
def test_array_and_rational_twins_agree(values, beta):
    exact = rationals(values)
    assert kept_count(values, beta) == kept_count_exact(exact, beta)
    assert effective_number(values) == float(effective_number_exact(exact))
    for kept in range(len(values) + 1):
        assert retained_mass(values, kept) == float(retained_mass_exact(exact, kept))


@pytest.mark.claim("EMP-D2")
@given(scores(), BETAS)
def test_the_guarded_float_rule_never_disagrees(values, beta):
    """fsum after scaling by a power of two is within 10u of D; outside a 16u guard on beta D its floor is right."""
    scaled = np.abs(values) / 2.0 ** np.frexp(np.abs(values).max())[1]
    number = math.fsum(scaled) ** 2 / math.fsum(scaled * scaled)
    exact = effective_number_exact(values)
    assert abs(Fraction(number) - exact) <= 10 * Fraction(UNIT) * exact
    product = float(beta) * number
    if abs(product - round(product)) > 16 * UNIT * product:
        assert kept_count(values, beta) == min(len(values), max(1, math.floor(product)))


@pytest.mark.claim("EMP-D2", "EMP-D3")
@given(scores(), BETAS, BETAS)
def test_mask_and_monotonicity(values, one, other):
    low, high = sorted((one, other))
    assert kept_count(values, low) <= kept_count(values, high)
    mask = keep_mask(values, one)
    size = np.abs(values)
    assert mask.sum() == kept_count(values, one)
    assert mask.all() or size[mask].min() >= size[~mask].max()
    again = np.where(keep_mask(values), values, 0.0)
    assert kept_count(again) <= kept_count(values)


@pytest.mark.claim("EMP-F2")
@given(scores(), st.integers(-30, 30), st.integers(0, 3), st.randoms())
def test_invariances(values, power, zeros, random):
    """Fact 2: scale, permutation, padding."""
    number = effective_number_exact(values)
    order = list(range(len(values)))
    random.shuffle(order)
    assert effective_number_exact(values[order]) == number
    assert effective_number_exact(np.concatenate([values, np.zeros(zeros)])) == number
    if np.abs(values).max() < 1e300 and np.abs(values[values != 0]).min() > 1e-280:
        assert effective_number_exact(values * -(2.0**power)) == number


@pytest.mark.claim("EMP-F2", kind="exact")
@given(whole_scores(), whole_scores())
def test_products(s, t):
    product = [x * y for x in s for y in t]
    assert effective_number_exact(product) == effective_number_exact(s) * effective_number_exact(t)


@pytest.mark.claim("EMP-F1", "EMP-D1")
@given(scores())
def test_largest_share(values):
    """D between 1 and nnz, and fact 1."""
    exact, nonzero = effective_number_exact(values), int(np.count_nonzero(values))
    total = sums_exact(values)[0]
    ratio = total / Fraction(float(np.abs(values).max()))
    assert 1 <= ratio <= exact <= min(nonzero, ratio**2)
    assert number_range(values) == (float(ratio), float(min(nonzero, ratio**2)))
    assert (exact == nonzero) == (len(set(np.abs(values[values != 0]))) == 1)


@pytest.mark.claim("EMP-F3")
@given(whole_scores(), st.data())
def test_schur_concavity(values, data):
    """Fact 3: moving mass from a larger to a smaller score raises D; powers lower it."""
    i, j = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
    high, low = max(values[i], values[j]), min(values[i], values[j])
    amount = data.draw(st.integers(0, (high - low) // 2))
    flatter = list(values)
    flatter[i], flatter[j] = (high - amount, low + amount) if i != j else (values[i], values[j])
    assert effective_number_exact(flatter) >= effective_number_exact(values)
    powers = [effective_number_exact([x**p for x in values]) for p in (1, 2, 3, 7)]
    assert powers == sorted(powers, reverse=True)


def test_the_ranking_does_not_decide():
    weights = np.random.default_rng(2).normal(size=20_000)
    assert abs(kept_count(weights) / 20_000 - 2 / math.pi) < 0.02
    assert abs(kept_count(weights**2) / 20_000 - 1 / 3) < 0.02


@pytest.mark.claim("EMP-F4")
@given(st.lists(whole_scores(), min_size=1, max_size=4), st.fractions("1/8", 1, max_denominator=9))
def test_pooling_blocks(blocks, beta):
    """Fact 4, with beta <= 1."""
    pool = [value for block in blocks for value in block]
    numbers, masses = [effective_number_exact(block) for block in blocks], [sum(block) for block in blocks]
    exact = effective_number_exact(pool)
    assert 1 / exact == sum(Fraction(m, sum(masses)) ** 2 / d for m, d in zip(masses, numbers, strict=True))
    assert exact <= sum(numbers)
    proportional = len({m / d for m, d in zip(masses, numbers, strict=True)}) == 1
    assert (exact == sum(numbers)) == proportional
    assert merged_number(masses, [max(1.0, float(d)) for d in numbers]) == pytest.approx(float(exact), rel=1e-13)
    apart = sum(kept_count_exact(block, beta) for block in blocks)
    assert kept_count_exact(pool, beta) <= apart + len(blocks) - 1


def test_pooling_beyond_beta_one():
    """Errata: beta = 2 keeps 20 in one pool and 12 in two."""
    blocks = [[1] * 10, [1] + [0] * 9]
    assert kept_count_exact(blocks[0] + blocks[1], 2) == 20
    assert sum(kept_count_exact(block, 2) for block in blocks) == 12


@pytest.mark.claim("EMP-F5")
@given(whole_scores(), st.data())
def test_group_sums(values, data):
    """Fact 5."""
    labels = data.draw(st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    groups = [[v for v, g in zip(values, labels, strict=True) if g == name] for name in set(labels)]
    exact, grouped = effective_number_exact(values), effective_number_exact([sum(group) for group in groups])
    assert exact / max(map(len, groups)) <= grouped <= min(len(groups), exact)


@pytest.mark.claim("EMP-F6", kind="exact")
@given(scores(), st.fractions(1, 3, max_denominator=9))
def test_threshold_lemma(values, beta):
    """Fact 6, exactly: |s_i| P >= Q is kept, everything removed is below."""
    total, square = sums_exact(values)
    mask = keep_mask(values, beta)
    for value, kept in zip(rationals(np.abs(values)), mask, strict=True):
        assert kept or value * total < square
    assert np.all(mask[np.abs(values) >= sure_threshold(values)])
    assert sum(value * total >= square for value in rationals(np.abs(values))) <= kept_count(values)


@pytest.mark.claim("EMP-F7", kind="exact")
@given(whole_scores())
def test_energy_lemma(values):
    """Fact 7 for every kept count; equality at K = 0 and for equal scores."""
    down = sorted(values, reverse=True)
    square = sum(v * v for v in values)
    for kept in range(len(values) + 1):
        phi = retained_mass_exact(values, kept)
        removed = sum(v * v for v in down[kept:])
        assert removed <= (1 - phi) * square
        assert removed <= removed_energy_upper(float(phi), float(square)) * (1 + 1e-12) + 1e-9
    assert removed_energy_upper(0.0, 4.0) == 4.0
    assert removed_energy_upper(0.75, 4.0) == 1.0


def test_energy_lemma_needs_the_smallest():
    """Negative control: removing the largest of (2, 1, 1) takes half the mass and two thirds of the energy."""
    assert Fraction(4, 6) > Fraction(2, 4)
    assert removed_energy_upper(0.5, 6.0) < 4.0


@pytest.mark.claim("EMP-D3")
@given(scores(), st.data())
def test_removed_mass_is_rounded_up(values, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    exact = sum(rationals(np.abs(values[~mask])), Fraction(0)) / sums_exact(values)[0]
    found = removed_mass(values, mask)
    assert exact <= Fraction(found) <= exact * (1 + Fraction(1, 2**50)) + Fraction(5e-324)


@pytest.mark.parametrize(
    "call",
    [
        lambda: effective_number([0.0, 0.0]),
        lambda: effective_number([np.nan, 1.0]),
        lambda: effective_number([np.inf, 1.0]),
        lambda: effective_number([]),
        lambda: effective_number([[1.0, 2.0]]),
        lambda: effective_number_exact([]),
        lambda: effective_number_exact([math.nan]),
        lambda: effective_number_exact(["1"]),
        lambda: effective_number_exact([0, 0]),
        lambda: kept_count([1.0], 0),
        lambda: kept_count([1.0], -1),
        lambda: kept_count([1.0], True),
        lambda: kept_count([0.0], on_zero="raise"),
        lambda: kept_count([1.0], on_zero="keep"),
        lambda: retained_mass([1.0], 2),
        lambda: retained_mass([0.0], 1),
        lambda: retained_mass_exact([0], 1),
        lambda: removed_mass([1.0, 2.0], np.array([True])),
        lambda: removed_mass([1.0, 2.0], np.array([1, 0])),
        lambda: removed_mass([0.0], np.array([True])),
        lambda: number_range([0.0]),
        lambda: sure_threshold([0.0]),
        lambda: merged_number([1.0, 0.0], [1.0, 1.0]),
        lambda: merged_number([1.0], [0.5]),
        lambda: merged_number([1.0], [1.0, 1.0]),
        lambda: removed_energy_upper(1.5, 1.0),
        lambda: removed_energy_upper(0.5, math.nan),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
