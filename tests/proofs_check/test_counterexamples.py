"""Every counterexample refutes, every one of them can fail; and what is true of the defects that no instance refutes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.theory import additive, gaussian, perturbation
from certify.theory.budget import budget, data_path_size
from certify.theory.elastic_net import break_even_scale, is_improvement, reward
from certify.theory.exact import objective as exact
from certify.theory.stationarity import descent_lower, energy_upper, noise_energy_upper
from certify.theory.three_layer import confidence_radius
from proofs_check.checks import FAILED, PASSED, run
from proofs_check.counterexamples import CHECKS, REFUTATIONS
from proofs_check.counterexamples.core import Refutation, Relation, refute
from proofs_check.ledger import BY_ID, CLAIMS
from tests.strategies import LATTICE, MODERATE, weight_matrices

BY_CHECK = {check.id: check for check in CHECKS}
MATRICES = weight_matrices(kinds=("lattice", "moderate"))
LATTICE_MATRICES = weight_matrices(kinds=("lattice",))
RATIONALS = st.fractions(-4, 4, max_denominator=12)
POSITIVE = st.fractions(Fraction(1, 12), 4, max_denominator=12)


def name(item):
    return f"{item.claim}{item.suffix}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_stands(check):
    outcome = run("counterexample", check)
    assert outcome.verdict == PASSED, outcome.detail
    assert set(check.claims) <= set(BY_ID)
    assert len(BY_CHECK) == len(CHECKS)


@pytest.mark.parametrize("item", REFUTATIONS, ids=name)
def test_no_counterexample_where_the_statement_holds(item):
    assert refute(item, item.harmless).failure.startswith("no counterexample")


@pytest.mark.parametrize("item", REFUTATIONS, ids=name)
def test_no_counterexample_to_the_form_that_holds(item):
    assert refute(item, statement=item.instead).failure.startswith("no counterexample")


@pytest.mark.parametrize("item", REFUTATIONS, ids=name)
def test_detail_says_both(item):
    found = refute(item)
    assert "as stated" in found.detail and "instead" in found.detail
    assert item.words


@pytest.mark.parametrize("entry", [entry for entry in CLAIMS if entry.repair], ids=lambda entry: entry.id)
def test_every_refuted_claim_has_one(entry):
    assert any(entry.id in check.claims for check in CHECKS)
    assert "counterexample" in entry.checks
    assert entry.repair.count("$") % 2 == 0
    assert entry.repair.count("{") == entry.repair.count("}")


def test_all_defects_are_here():
    assert {f"F{number}" for number in range(1, 32)} | {"F17-ii", "F17-iii"} <= set(BY_ID)


def relation(left, right, sign="<="):
    return lambda x: Relation("x", left, sign, right)


def one(hypothesis=True, stated=(1, 0), instead=(0, 1)):
    return Refutation("T", "", "", lambda x: {"h": hypothesis}, relation(*stated), relation(*instead), {"x": 0}, {"x": 0})


@pytest.mark.parametrize(
    "item, word",
    [
        (one(hypothesis=False), "hypothesis not met: h"),
        (one(stated=(0, 1)), "no counterexample"),
        (one(stated=(1.0 + 1e-9, 1.0)), "undecided"),
        (one(stated=(float("nan"), 1.0)), "undecided"),
        (one(instead=(1, 0)), "the other form is no better"),
        (one(instead=(float("nan"), 1.0)), "the other form is no better"),
    ],
)
def test_what_does_not_refute(item, word):
    assert word in refute(item).failure
    assert run("counterexample", item.check()).verdict == FAILED


@pytest.mark.parametrize(
    "left, sign, right, verdict",
    [
        (1, "<=", 1, True),
        (1, "<", 1, False),
        (1, "=", 1, True),
        (Fraction(1, 3), "<", Fraction(1, 3) + Fraction(1, 10**30), True),
        (Fraction(1, 3) + Fraction(1, 10**30), "<=", Fraction(1, 3), False),
        (0.0, "<=", -0.0, True),
        (0.0, "<", 0.0, False),
        (1.0, "<=", 1.0 + 1e-15, True),
        (1.0 + 1e-13, "<=", 1.0, True),
        (1.1, "<=", 1.0, False),
        (1.1, "<", 1.0, False),
        (1.0, "<", 1.1, True),
        (1.0, "<", 1.0 + 1e-12, None),
        (1.0, "=", 1.0 + 1e-8, None),
        (1.0, "=", 1.1, False),
        (1.0, "<=", math.inf, True),
        (math.inf, "<=", 1.0, False),
        (math.inf, "=", 1.0, False),
        (math.nan, "=", math.nan, None),
    ],
)
def test_relation(left, sign, right, verdict):
    assert Relation("", left, sign, right).verdict is verdict


def test_a_relation_shows_what_rounding_hides():
    assert "+ 1e-30" in str(Relation("x", Fraction(1, 3) + Fraction(1, 10**30), "<=", Fraction(1, 3)))
    assert str(Relation("x", math.nan, "<", math.inf)) == "x: nan < inf"


@pytest.mark.claim("F5")
@given(LATTICE_MATRICES, st.data())
def test_constants_may_depend_on_the_noise(R, data):
    samples = data.draw(st.integers(1, 3))
    v = data.draw(
        st.lists(st.lists(st.integers(-3, 3), min_size=R.shape[1], max_size=R.shape[1]), min_size=samples, max_size=samples)
    )
    inputs = np.array(v, dtype=float)[:, None, :]
    norms = np.linalg.norm(inputs, axis=2).max(axis=1)
    multiplier = gaussian.gaussian_multiplier(R.shape[0], samples, 0.1)
    sizes = data_path_size(R, inputs)
    assume(np.any(sizes > 0.0))
    share = np.min(multiplier * norms[sizes > 0.0] / sizes[sizes > 0.0])
    sizes = data_path_size(share * R, inputs)
    constants = 1.0 + sizes
    bound = gaussian.gaussian_budget(constants, norms, np.ones(samples, int), rows=R.shape[0], entry_variance=1.0, delta=0.1)
    assert budget(constants, sizes) <= bound * (1.0 + 1e-12)
    if samples == 1:
        assert budget(constants, sizes) == pytest.approx(bound, rel=1e-12)


@pytest.mark.claim("F6", kind="exact")
@given(st.lists(RATIONALS, min_size=1, max_size=4), POSITIVE, POSITIVE, POSITIVE, st.fractions(0, 1, max_denominator=20))
def test_one_theta_is_enough_and_all_of_them_say_no_more(entries, bound, l2, l1, theta):
    assume(theta < 1)
    R = [entries]
    square, size = l2 * sum(r * r for r in entries), l1 * sum(map(abs, entries))
    epsilon = -exact.change_upper(theta, bound, R, [[0] * len(entries)], l2, l1) / (1 - theta)
    assert (1 + theta) * square + size == bound + epsilon
    at_once = 2 * square + size - bound
    assert (1 + theta) * square + size <= bound + at_once
    assert descent_lower(float(bound), [[float(r) for r in entries]], float(l2), float(l1), float(theta)) == pytest.approx(
        float(epsilon), abs=1e-9
    )


@pytest.mark.claim("F7", kind="exact")
@given(st.lists(st.tuples(RATIONALS, RATIONALS), min_size=1, max_size=4), POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_collapse_at_finite_size(pairs, bound, l2, more, step):
    assume(step <= 1)
    S, R = [[s for s, _ in pairs]], [[r for _, r in pairs]]
    square, cross = sum(r * r for _, r in pairs), sum(s * r for s, r in pairs)
    quotient = exact.change_upper_additive(1 - step, bound, R, S, l2) / step
    assert quotient == bound - l2 * (2 - step) * square - 2 * l2 * cross
    epsilon = max(Fraction(0), -(bound - 2 * l2 * (square + cross)))
    limit = (bound + epsilon) / (2 * l2)
    assert square <= limit + abs(cross)
    assert square <= limit + abs(cross) + more
    if epsilon and cross <= 0:
        assert square == limit - cross
    assert noise_energy_upper(float(bound), float(abs(cross)), float(l2), float(epsilon)) == pytest.approx(
        float(limit + abs(cross))
    )


@pytest.mark.claim("F14")
def test_failure_of_the_gaussian_example():
    for rows in range(1, 10_001):
        assert additive.gaussian_failure(rows) <= 1.0 / (8.0 * rows**3) <= 1.0 / rows
        assert additive.gaussian_failure(rows, 2.0) <= 1.0 / (2.0 * rows)
    assert additive.gaussian_failure(5) == pytest.approx(8.9e-5, rel=0.01)
    assert additive.gaussian_failure(5, 2.0) == pytest.approx(1.2e-2, rel=0.05)
    assert additive.gaussian_failure(5, 1.0) > 1.0 / 10.0


@pytest.mark.claim("F20", kind="exact")
@given(st.lists(st.tuples(st.integers(1, 5), POSITIVE, POSITIVE), min_size=1, max_size=6), POSITIVE)
def test_liminf_needs_no_atom_condition(points, level):
    total = sum(weight for weight, *_ in points)

    def probability(event):
        return Fraction(sum(weight for weight, limit, now in points if event(limit, now)), total)

    reached = probability(lambda limit, now: now <= level)
    half = probability(lambda limit, now: limit <= level / 2)
    apart = probability(lambda limit, now: abs(now - limit) > level / 2)
    assert reached >= half - apart
    above = probability(lambda limit, now: limit <= 3 * level / 2)
    low, high = additive.threshold_interval(float(half), float(above), float(apart))
    assert low - 1e-12 <= float(reached) <= high + 1e-12


@pytest.mark.claim("F21")
@given(MATRICES, st.data())
def test_the_corrected_value_needs_no_rank(S, data):
    R = data.draw(arrays(np.float64, S.shape, elements=LATTICE)) / 4.0
    s, top = (np.linalg.svd(matrix, compute_uv=False) for matrix in (S + R, S))
    g = data.draw(st.floats(0.0, 1.0)) * float(s[-1] ** 2) / 4.0
    corrected = (s + np.sqrt(np.maximum(s * s - 4.0 * g, 0.0))) / 2.0
    assert np.all(np.abs(corrected - top) <= perturbation.corrected_value_error_upper(R, g) + 1e-7 * (1.0 + s[0]))


@pytest.mark.claim("F21")
@pytest.mark.parametrize("width, sigma", [(100, 1.0), (10_000, 2.0)])
def test_the_correction_is_below_the_noise(width, sigma):
    g = 1e-9
    correction = 2.0 * g / (sigma + math.sqrt(sigma**2 - 4.0 * g))
    assert correction / math.sqrt(g / width) == pytest.approx(math.sqrt(g * width) / sigma, rel=1e-6)


@pytest.mark.claim("F22")
@given(MATRICES, st.data())
def test_all_values_move_together(S, data):
    R = data.draw(arrays(np.float64, S.shape, elements=st.one_of(LATTICE, MODERATE)))
    moved, before = (np.linalg.svd(matrix, compute_uv=False) for matrix in (S + R, S))
    slack = 1e-12 * (1.0 + moved[0] + before[0])
    together = float(np.sqrt(np.sum((moved - before) ** 2)))
    assert together <= perturbation.spectrum_shift_upper(R) + slack
    rank, level = data.draw(st.integers(0, len(moved))), data.draw(st.floats(0.1, 5.0))
    tail = perturbation.tail_upper(S, R, rank) ** 2 + slack
    assert float(np.mean(moved > level)) <= perturbation.share_above_upper(tail, rank, level, *S.shape) + 1e-12


@pytest.mark.claim("F22")
def test_a_multiple_moves_all_values_by_the_whole_norm():
    S = np.diag([3.0, 4.0])
    moved, before = np.linalg.svd(1.5 * S, compute_uv=False), np.linalg.svd(S, compute_uv=False)
    assert float(np.sqrt(np.sum((moved - before) ** 2))) == pytest.approx(2.5)
    assert perturbation.spectrum_shift_upper(0.5 * S) == pytest.approx(2.5)


@pytest.mark.claim("F25")
@given(LATTICE_MATRICES, st.data(), st.floats(0.01, 2.0))
def test_no_small_component_is_certified(R, data, l2):
    v = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=R.shape[1], max_size=R.shape[1])), dtype=float)
    spent = budget([1.5], data_path_size(R, v[None])[None])
    assume(spent > 1e-6)
    scale = break_even_scale(spent, R, l2, 0.0)
    assert scale == pytest.approx(spent / (l2 * float(np.sum(R**2))))
    for share, certified in ((1e-6, False), (0.99, False), (1.01, True), (100.0, True)):
        t = share * scale
        assert is_improvement(budget([1.5], data_path_size(t * R, v[None])[None]), reward(t * R, l2, 0.0)) is certified


@pytest.mark.claim("F25")
def test_noise_of_bulk_scale_has_more_energy_than_a_trained_point_may_hold():
    assert energy_upper(10, 1e-4) == pytest.approx(math.log(10) / 1e-4)
    assert additive.expected_energy(20_000, 2.0) == 40_000.0
    assert additive.expected_energy(20_000, 2.0) > energy_upper(10, 1e-4)


@pytest.mark.claim("F30")
def test_conventions_at_zero():
    call = {"rows": 4, "delta": 0.1}
    assert gaussian.gaussian_budget([2.0], [0.0], [1], entry_variance=1.0, **call) == 0.0
    assert gaussian.gaussian_budget([2.0], [3.0], [1], entry_variance=0.0, **call) == 0.0
    assert gaussian.gaussian_budget([0.0], [3.0], [1], entry_variance=1.0, **call) == 0.0
    assert gaussian.gaussian_budget([2.0], [3.0], [1], entry_variance=1.0, **call) > 0.0
    assert additive.cross_failure(0.0, 0.0) == additive.cross_failure(1.0, 0.0) == 0.0
    assert additive.cross_failure(0.0, additive.cross_variance(np.ones((2, 2)), 1.0)) == 1.0
    assert not np.any(confidence_radius([[1.0, -2.0]], [[0.0, 0.0]], 1.0, 0.1))
