"""D5.0, X9, X19, F18: known answers and equality."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import token_inputs, weight_matrices

from certify.records import Refused
from certify.theory.budget import (
    budget,
    data_path_size,
    data_path_upper_euclidean,
    data_path_upper_rows,
    lipschitz_by_row_sums,
    restoration_can_help,
    smallest_lipschitz,
    telescoped,
)
from certify.theory.cross_entropy import cross_entropy, increase_upper, log_probabilities
from certify.theory.margins import true_margin


def test_known_budget():
    assert budget([1.0, 3.0], [2.0, 4.0]) == 14.0
    assert budget([1.0, 3.0, 1.0, 3.0], [2.0, 4.0, 2.0, 4.0]) == 14.0
    assert budget([0.0], [5.0]) == 0.0


def test_known_sizes():
    removed = np.array([[1.0, -2.0], [0.5, 0.0]])
    tokens = np.array([[1.0, 1.0], [2.0, -1.0], [0.0, 0.0]])
    assert data_path_size(removed, tokens) == 4.0
    assert data_path_size(removed, tokens[:1]) == 1.0
    assert data_path_upper_rows(removed, tokens) == 6.0
    assert data_path_upper_euclidean(removed, tokens) == pytest.approx(5.0)


@pytest.mark.claim("X19-tokens", "N0-norms", "F18")
@given(st.data())
def test_sizes_are_maxima_over_rows_and_tokens_and_lie_below_their_bounds(data):
    removed = data.draw(weight_matrices())
    inputs = data.draw(token_inputs(removed.shape[1]))
    sizes = data_path_size(removed, inputs)
    assert sizes.shape == (len(inputs),)
    for sample, size in zip(inputs, sizes, strict=True):
        assert size == data_path_size(removed, sample)
        each = [abs(float(np.dot(row, token))) for row in removed for token in sample]
        assert size == pytest.approx(max(each), rel=1e-12, abs=1e-300)
    slack = 1e-12 * sizes + 2.0**-1070
    assert np.all(sizes <= data_path_upper_rows(removed, inputs) + slack)
    assert np.all(sizes <= data_path_upper_euclidean(removed, inputs) + slack)


@pytest.mark.claim("N0-norms", "F18")
@given(weight_matrices(kinds=("lattice", "moderate")))
def test_upper_bounds_are_attained(removed):
    row = removed[np.abs(removed).sum(axis=1).argmax()]
    assert data_path_upper_rows(removed, [np.sign(row)]) == pytest.approx(float(data_path_size(removed, [np.sign(row)])))
    long = removed[np.linalg.norm(removed, axis=1).argmax()]
    assert data_path_upper_euclidean(removed, [long]) == pytest.approx(float(data_path_size(removed, [long])), rel=1e-12)


def test_operator_norm_proxy_is_no_bound():
    """F18: R = 1^T, psi = 1 gives m against sqrt(m)."""
    removed, ones = np.ones((1, 9)), np.ones((1, 9))
    size = data_path_size(removed, ones)
    assert size == 9.0
    assert np.linalg.norm(removed, 2) * np.abs(ones).max() == pytest.approx(3.0)
    assert data_path_upper_rows(removed, ones) == size
    assert data_path_upper_euclidean(removed, ones) == pytest.approx(size)


def test_tiny_weights_do_not_make_a_zero_bound():
    removed, inputs = np.full((1, 4), 1e-200), np.full((1, 4), 1e190)
    assert data_path_upper_euclidean(removed, inputs) >= data_path_size(removed, inputs) > 0.0


@pytest.mark.claim("X9-best-L", "A4.1-architecture")
def test_smallest_constant():
    found = smallest_lipschitz([6.0, 1.0, 0.0, 1.0], [2.0, 0.0, 3.0, 5e-324])
    assert found[0] == 3.0
    assert np.isnan(found[1])
    assert found[2] == 0.0
    assert np.isnan(found[3])


@pytest.mark.claim("ESM1-C1.3-multilayer-margin")
@given(st.integers(0, 4), st.integers(1, 3), st.data())
def test_telescoped_is_the_sum_over_steps(steps, samples, data):
    moves = data.draw(arrays(np.float64, (steps, samples), elements=st.floats(0, 10)))
    assert telescoped(moves) == pytest.approx(np.array([sum(moves[:, s]) for s in range(samples)]))


@pytest.mark.claim("ESM1-C1.3-multilayer-margin")
def test_no_removal_and_aligned_steps():
    """M = 0 leaves every logit; steps along one direction add up with equality, in the margin twice."""
    assert telescoped(np.zeros((0, 2))).tolist() == [0.0, 0.0]
    direction, logits = np.array([[-1.0, 1.0]]), np.array([[3.0, 0.0]])
    steps = [0.25 * direction, 0.5 * direction]
    eta = telescoped([[np.abs(step).max()] for step in steps])
    after = logits + sum(steps)
    assert eta.tolist() == [0.75]
    assert true_margin(logits, [0]) - true_margin(after, [0]) == 2.0 * eta
    change = cross_entropy(after, [0]) - cross_entropy(logits, [0])
    assert change == pytest.approx(increase_upper(*log_probabilities(logits, [0]), eta), rel=1e-14)


@pytest.mark.claim("X12-budget-calculus")
def test_budgets_add_with_equality_only_within_a_row():
    """Errata to 8.4: disjoint entries of one row, R_ij v_j of equal sign, add up; disjoint rows give the maximum."""
    inputs = np.array([[[1.0, -2.0]], [[2.0, -1.0]]])
    one, other = np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[0.0, -1.0], [0.0, 0.0]])

    def of(removed):
        return budget([1.0, 2.0], data_path_size(removed, inputs))

    assert (of(one), of(other), of(one + other)) == (15.0, 4.0, 19.0)
    elsewhere = np.array([[0.0, 0.0], [0.0, -1.0]])
    assert of(elsewhere) == of(other)
    assert of(one + elsewhere) == max(of(one), of(elsewhere)) == 15.0
    assert of(one - other) == 11.0 < of(one)


@pytest.mark.claim("X12-budget-calculus")
def test_restoring_a_certified_part_cannot_help():
    assert restoration_can_help(1.0, 0.5)
    assert not restoration_can_help(0.5, 1.0)
    assert not restoration_can_help(1.0, 1.0)
    assert not restoration_can_help(0.0, 0.0)


@pytest.mark.claim("X12-budget-calculus", kind="exact")
@given(st.data())
def test_calculus_in_fractions(data):
    """(a), (b), (c) with rationals for weights, inputs, constants and penalties; no rounding anywhere."""
    rows, cols, samples = (data.draw(st.integers(1, 3)) for _ in range(3))
    signed, positive = st.fractions(-3, 3, max_denominator=7), st.fractions(0, 3, max_denominator=7)
    weight = [[data.draw(signed) for _ in range(cols)] for _ in range(rows)]
    inputs = [[data.draw(signed) for _ in range(cols)] for _ in range(samples)]
    constants, l2, l1 = [data.draw(positive) for _ in range(samples)], data.draw(positive), data.draw(positive)
    owner = [[data.draw(st.integers(0, 1)) for _ in range(cols)] for _ in range(rows)]
    q, p = ([[w * (o == k) for w, o in zip(a, b, strict=True)] for a, b in zip(weight, owner, strict=True)] for k in (0, 1))

    def of(matrix):
        sizes = [max(abs(sum(w * x for w, x in zip(row, v, strict=True))) for row in matrix) for v in inputs]
        return 2 * sum((c * size for c, size in zip(constants, sizes, strict=True)), Fraction(0)) / samples

    def paid(matrix):
        return sum(l2 * w * w + l1 * abs(w) for row in matrix for w in row)

    assert of(weight) <= of(q) + of(p)
    assert paid(weight) == paid(q) + paid(p)
    assert of(weight) - paid(weight) <= (of(q) - paid(q)) + (of(p) - paid(p))
    if of(q) <= paid(q):
        assert of(weight) - paid(weight) <= of(p) - paid(p)
    restored = data.draw(st.integers(0, rows - 1))
    assert of([row if i != restored else [Fraction(0)] * cols for i, row in enumerate(weight)]) <= of(weight)


@pytest.mark.claim("ESM1-R2.9-local-lipschitz")
def test_row_sums_known_and_attained():
    first, last = np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([[2.0, -1.0]])
    assert lipschitz_by_row_sums([first]) == 3.0
    assert lipschitz_by_row_sums([first, last]) == 9.0
    assert lipschitz_by_row_sums([]) == 1.0
    assert lipschitz_by_row_sums([np.zeros((2, 2)), np.full((1, 2), 1e300)]) == 0.0
    moved = np.array([1.0, -1.0])
    assert np.abs(first[:1] @ moved).max() == lipschitz_by_row_sums([first[:1]])


@pytest.mark.parametrize(
    "call",
    [
        lambda: budget([-1.0], [1.0]),
        lambda: budget([1.0], [-1.0]),
        lambda: budget([], []),
        lambda: budget([np.nan], [1.0]),
        lambda: budget([1e200], [1e200]),
        lambda: budget([1.0, 1.0], [1.0]),
        lambda: data_path_size([[1.0]], [[np.inf]]),
        lambda: data_path_size([[1.0, 2.0]], [[1.0]]),
        lambda: data_path_size([[1e200]], [[1e200]]),
        lambda: data_path_size([[1.0]], np.zeros((0, 1))),
        lambda: data_path_upper_rows([[1.0]], [1.0]),
        lambda: smallest_lipschitz([np.nan], [1.0]),
        lambda: restoration_can_help(np.nan, 1.0),
        lambda: restoration_can_help(-1.0, 1.0),
        lambda: restoration_can_help(1.0, -1.0),
        lambda: lipschitz_by_row_sums([[1.0]]),
        lambda: lipschitz_by_row_sums([[[np.nan]]]),
        lambda: lipschitz_by_row_sums([np.ones((2, 3)), np.ones((1, 3))]),
        lambda: lipschitz_by_row_sums([[[1e200]], [[1e200]]]),
        lambda: lipschitz_by_row_sums([np.full((1, 2), 1e308)]),
        lambda: smallest_lipschitz([1.0], [-1.0]),
        lambda: telescoped([1.0]),
        lambda: telescoped([[-1.0]]),
        lambda: telescoped(np.zeros((2, 0))),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
