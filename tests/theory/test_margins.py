"""C5.2, P5.2, X5, X6, X7, F4: exact on a lattice where ties and margins of exactly 2 eta occur."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import labelled_logits, lattice_logits

from certify.records import Refused
from certify.theory.margins import (
    accuracy_change_interval,
    may_change_published,
    may_gain,
    may_gain_pairwise,
    may_lose,
    may_lose_pairwise,
    predicted_label_stable,
    predicted_margin,
    topk_margin,
    true_margin,
)

HALVES = st.integers(0, 8).map(lambda k: k / 4)


def correct(logits, labels):
    return true_margin(logits, labels) > 0.0


def worst_direction(labels, classes):
    return 1.0 - 2.0 * np.eye(classes)[labels]


def test_known_margins():
    logits = [[3.0, 1.0, 2.5], [0.0, 0.0, -1.0], [-1.0, 4.0, 4.0]]
    assert true_margin(logits, [0, 1, 0]).tolist() == [0.5, 0.0, -5.0]
    assert predicted_margin(logits).tolist() == [0.5, 0.0, 0.0]


def test_sets_at_their_ends():
    margin = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    eta = np.full(7, 0.5)
    assert may_lose(margin, eta).tolist() == [False, False, False, False, True, True, False]
    assert may_gain(margin, eta).tolist() == [False, False, True, True, False, False, False]
    assert may_change_published(margin, eta).tolist() == [False, True, True, True, True, True, False]
    assert predicted_label_stable(np.abs(margin), eta).tolist() == [True, False, False, False, False, False, True]


@pytest.mark.claim("C5.2-margin")
def test_a_tie_is_reached_at_two_eta():
    """C5.2(a) is attained: z = (1, 0), eta = 1/2, d = (-1/2, 1/2)."""
    assert not predicted_label_stable(predicted_margin([[1.0, 0.0]]), [0.5])[0]
    assert predicted_margin([[0.5, 0.5]])[0] == 0.0
    assert predicted_label_stable([1.0], [0.4999])[0]


@pytest.mark.claim("P5.2-zero-budget")
def test_zero_budget_with_a_tie():
    """F4: the published set allows a change where nothing moves; the signed sets do not."""
    margin, eta = true_margin([[1.0, 1.0]], [0]), [0.0]
    assert may_change_published(margin, eta)[0]
    assert not may_lose(margin, eta)[0]
    assert not may_gain(margin, eta)[0]


@pytest.mark.claim("C5.2-margin", "X5-margin-signed")
def test_every_lattice_instance_of_three_classes():
    """X5 is exact: a loss (gain) is reachable within the box if and only if the sample is in the set."""
    steps = (-0.5, 0.0, 0.5)
    moves = np.array(list(itertools.product(steps, repeat=3)))
    for z in itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=3):
        dense = np.array([z])
        before = correct(dense, [0])[0]
        after = correct(dense + moves, np.zeros(len(moves), int))
        margin = true_margin(dense, [0])
        assert may_lose(margin, [0.5])[0] == (before and not after.all())
        assert may_gain(margin, [0.5])[0] == (not before and after.any())
        stays = all(np.argmax(dense + move) == np.argmax(dense) and predicted_margin(dense + move)[0] > 0 for move in moves)
        assert predicted_label_stable(predicted_margin(dense), [0.5])[0] == stays


@pytest.mark.claim("X5-margin-signed")
@given(lattice_logits(), st.data())
def test_attained_by_the_worst_direction(instance, data):
    logits, labels = instance
    eta = data.draw(arrays(np.float64, len(labels), elements=HALVES))
    shift = eta[:, None] * worst_direction(labels, logits.shape[1])
    before, margin = correct(logits, labels), true_margin(logits, labels)
    assert np.array_equal(before & ~correct(logits + shift, labels), may_lose(margin, eta))
    assert np.array_equal(~before & correct(logits - shift, labels), may_gain(margin, eta))


@pytest.mark.claim("C5.2-margin", "X5-margin-signed")
@given(lattice_logits(max_samples=6), st.data())
def test_accuracy_stays_in_the_interval(instance, data):
    logits, labels = instance
    eta = data.draw(arrays(np.float64, len(labels), elements=HALVES))
    share = data.draw(arrays(np.float64, logits.shape, elements=st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])))
    moved = logits + share * eta[:, None]
    margin = true_margin(logits, labels)
    lower, upper = accuracy_change_interval(may_lose(margin, eta), may_gain(margin, eta))
    change = correct(moved, labels).mean() - correct(logits, labels).mean()
    assert lower - 1e-12 <= change <= upper + 1e-12
    published = may_change_published(margin, eta).mean()
    assert max(-lower, upper) <= published + 1e-12
    stable = predicted_label_stable(predicted_margin(logits), eta)
    assert np.all(~stable | (logits.argmax(axis=1) == moved.argmax(axis=1)))


def test_interval_counts_samples():
    losses, gains = np.array([True, True, False, False, False]), np.array([False, False, True, False, False])
    assert accuracy_change_interval(losses, gains) == (-0.4, 0.2)


@given(labelled_logits(), st.data())
def test_pairwise_sets_lie_within_the_signed_ones(instance, data):
    logits, labels = instance
    eta = data.draw(arrays(np.float64, len(labels), elements=HALVES))
    share = data.draw(arrays(np.float64, logits.shape, elements=st.sampled_from([0.0, 0.5, 1.0])))
    margin, pairwise = true_margin(logits, labels), 2.0 * eta[:, None] * share
    assert np.all(may_lose_pairwise(logits, labels, pairwise) <= may_lose(margin, eta))
    assert np.all(may_gain_pairwise(logits, labels, pairwise) <= may_gain(margin, eta))
    full = np.broadcast_to(2.0 * eta[:, None], logits.shape)
    assert np.array_equal(may_lose_pairwise(logits, labels, full), may_lose(margin, eta))
    assert np.array_equal(may_gain_pairwise(logits, labels, full), may_gain(margin, eta))


@pytest.mark.claim("X6-margin-pairwise")
@given(lattice_logits(), st.data())
def test_pairwise_sets_are_attained(instance, data):
    logits, labels = instance
    pairwise = data.draw(arrays(np.float64, logits.shape, elements=HALVES))
    move = np.where(np.arange(logits.shape[1]) == labels[:, None], 0.0, pairwise)
    before = correct(logits, labels)
    assert np.array_equal(before & ~correct(logits + move, labels), may_lose_pairwise(logits, labels, pairwise))
    assert np.array_equal(~before & correct(logits - move, labels), may_gain_pairwise(logits, labels, pairwise))


def test_pairwise_ignores_the_true_class():
    assert not may_lose_pairwise([[2.0, 0.0, 1.5]], [0], [[99.0, 1.0, 0.25]])[0]
    assert may_lose_pairwise([[2.0, 0.0, 1.5]], [0], [[0.0, 1.0, 0.5]])[0]
    assert may_gain_pairwise([[0.0, 1.0]], [0], [[-9.0, 1.5]])[0]
    assert not may_gain_pairwise([[0.0, 1.0]], [0], [[9.0, 1.0]])[0]


@pytest.mark.claim("P5.2-zero-budget", kind="exact")
@given(st.data())
def test_dead_inputs_change_nothing_in_fractions(data):
    """R lives on inputs that vanish: the logits of A and S are the same rationals, and so is every decision."""
    rows, cols, samples = (data.draw(st.integers(1, 4)) for _ in range(3))
    numbers = st.fractions(-4, 4, max_denominator=9)

    def table(height, width):
        return data.draw(st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=height, max_size=height))

    dead = [data.draw(st.booleans()) for _ in range(cols)]
    dense, readout = table(rows, cols), table(3, rows)
    pruned = [[Fraction(0) if dead[j] else a for j, a in enumerate(row)] for row in dense]
    inputs = [[Fraction(0) if dead[j] else x for j, x in enumerate(v)] for v in table(samples, cols)]
    removed = [[a - b for a, b in zip(p, q, strict=True)] for p, q in zip(dense, pruned, strict=True)]

    def applied(matrix, v):
        return [sum((a * x for a, x in zip(row, v, strict=True)), Fraction(0)) for row in matrix]

    for v in inputs:
        assert max(map(abs, applied(removed, v))) == 0
        before, after = (applied(readout, [max(x, Fraction(0)) for x in applied(a, v)]) for a in (dense, pruned))
        assert before == after
        for label in range(3):
            margin = before[label] - max(z for j, z in enumerate(before) if j != label)
            assert not may_lose([float(margin)], [0.0])[0]
            assert not may_gain([float(margin)], [0.0])[0]


def test_the_half_open_end_of_gains_needs_exact_differences():
    """Negative control of the module's warning: the exact margin is above -2 eta, the rounded one is not."""
    logits, move = [1e-17, 1.0], [0.5, -0.5]
    after = [Fraction(z) + Fraction(d) for z, d in zip(logits, move, strict=True)]
    assert after[0] > after[1]
    margin = true_margin([logits], [0])
    assert not may_gain(margin, [0.5])[0]
    assert may_gain(margin, np.nextafter([0.5], 1.0))[0]


def test_topk_known_margins():
    logits = [[3.0, 1.0, 2.5, -1.0], [0.0, 0.0, -1.0, 4.0]]
    assert topk_margin(logits, [2, 1], 1).tolist() == [-0.5, -4.0]
    assert topk_margin(logits, [2, 1], 2).tolist() == [1.5, 0.0]
    assert topk_margin(logits, [2, 1], 3).tolist() == [3.5, 1.0]
    assert topk_margin(np.tile(np.arange(1000.0), (1, 1)), [990], 9).tolist() == [-1.0]
    assert topk_margin(np.tile(np.arange(1000.0), (1, 1)), [990], 10).tolist() == [1.0]
    assert topk_margin([[1e4, -1e4]], [1], 1).tolist() == [-2e4]


def test_topk_ends_before_the_last_class():
    with pytest.raises(Refused, match="k: 2"):
        topk_margin([[1.0, 0.0]], [0], 2)


@pytest.mark.claim("X7-topk")
def test_topk_sets_are_attained_by_every_lattice_instance_of_four_classes():
    """A loss or a gain of top-2 membership is reachable in the box if and only if the sample is in the set."""
    moves = np.array(list(itertools.product((-0.5, 0.0, 0.5), repeat=4)))
    labels = np.zeros(len(moves), int)
    for z in itertools.product((-1.0, -0.5, 0.0, 0.5), repeat=3):
        dense = np.array([[0.0, *z]])
        margin = topk_margin(dense, [0], 2)
        before, after = margin[0] > 0.0, topk_margin(dense + moves, labels, 2) > 0.0
        assert before == (sum(other >= 0.0 for other in z) < 2)
        assert may_lose(margin, [0.5])[0] == (before and not after.all())
        assert may_gain(margin, [0.5])[0] == (not before and after.any())


@pytest.mark.parametrize(
    "call",
    [
        lambda: true_margin([[1.0]], [0]),
        lambda: topk_margin([[1.0, 0.0]], [0], 0),
        lambda: topk_margin([[1.0, 0.0]], [0], 1.0),  # type: ignore[arg-type]
        lambda: topk_margin([[1.0, np.nan]], [0], 1),
        lambda: topk_margin([[1.5e308, -1.5e308]], [0], 1),
        lambda: predicted_margin([[1.0]]),
        lambda: predicted_margin([[np.nan, 1.0]]),
        lambda: may_lose([np.nan], [0.0]),
        lambda: may_lose([1.0], [-1.0]),
        lambda: may_gain([1.0], [np.inf]),
        lambda: may_gain([1.0, 2.0], [1.0]),
        lambda: may_change_published([], []),
        lambda: predicted_label_stable([-1.0], [0.0]),
        lambda: may_lose_pairwise([[1.0, 0.0]], [0], [[np.nan, 0.0]]),
        lambda: accuracy_change_interval(np.array([True]), np.array([True])),
        lambda: accuracy_change_interval(np.array([], bool), np.array([], bool)),
        lambda: accuracy_change_interval(np.array([1]), np.array([0])),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
