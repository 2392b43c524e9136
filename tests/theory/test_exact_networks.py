"""Decisions, paths and certificates of small networks with both sides in rational arithmetic.

A cross-entropy is no rational: mpmath's interval arithmetic encloses it at 200 bits, and a comparison counts only where the
enclosures decide it.
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mpmath import iv
from strategies import lattice_logits

from certify.theory import exact, patterns
from tests.theory.rationals import assert_close, fractions, interval, loss, size

DYADIC = st.integers(-24, 24).map(lambda k: k / 8)


@pytest.fixture(autouse=True)
def _precise():
    before, iv.prec = iv.prec, 200
    yield
    iv.prec = before


# Margins on a lattice, where every tie occurs.


@st.composite
def moved_logits(draw):
    logits, labels = draw(lattice_logits())
    moves = draw(arrays(np.float64, logits.shape, elements=st.integers(-4, 4).map(lambda k: k / 4)))
    return fractions(logits), labels, fractions(moves)


def correct(logits, labels):
    return exact.true_margin(logits, labels) > 0


@pytest.mark.claim("C5.2-margin", "X5-margin-signed", "X6-margin-pairwise", "P5.2-zero-budget", kind="exact")
@given(moved_logits())
def test_decisions_that_change_were_announced(case):
    logits, labels, moves = case
    eta = np.abs(moves).max(axis=1)
    before, after = correct(logits, labels), correct(logits + moves, labels)
    margin = exact.true_margin(logits, labels)
    losses, gains = exact.may_lose(margin, eta), exact.may_gain(margin, eta)
    assert not np.any(before & ~after & ~losses)
    assert not np.any(~before & after & ~gains)
    low, high = exact.accuracy_change_interval(losses, gains)
    change = Fraction(int(after.sum()) - int(before.sum()), len(labels))
    assert low <= change <= high
    assert abs(change) <= Fraction(int(exact.may_change_published(margin, eta).sum()), len(labels))
    stable = exact.predicted_label_stable(exact.predicted_margin(logits), eta)
    for s in np.flatnonzero(stable):
        assert list(np.argsort(logits[s]))[-1] == list(np.argsort((logits + moves)[s]))[-1]
    relative = moves - moves[np.arange(len(labels)), labels][:, None]
    assert not np.any(before & ~after & ~exact.may_lose_pairwise(logits, labels, relative))
    assert not np.any(~before & after & ~exact.may_gain_pairwise(logits, labels, -relative))
    wide = np.broadcast_to((2 * eta)[:, None], logits.shape)
    assert np.all(exact.may_lose_pairwise(logits, labels, wide) <= losses)
    assert np.all(exact.may_gain_pairwise(logits, labels, wide) <= gains)
    assert not np.any(exact.may_lose(margin, 0 * eta) | exact.may_gain(margin, 0 * eta))


@pytest.mark.claim("C5.2-margin", "X5-margin-signed", kind="exact")
@given(lattice_logits(), st.integers(1, 12))
def test_announced_decisions_do_change_for_the_worst_move(table, quarter):
    logits, labels = fractions(table[0]), table[1]
    eta = np.full(len(labels), Fraction(quarter, 4))
    sign = np.ones(logits.shape, dtype=object)
    sign[np.arange(len(labels)), labels] = -1
    margin = exact.true_margin(logits, labels)
    losses, gains = exact.may_lose(margin, eta), exact.may_gain(margin, eta)
    assert np.array_equal(losses, correct(logits, labels) & ~correct(logits + sign * eta[:, None], labels))
    assert np.array_equal(gains, ~correct(logits, labels) & correct(logits - sign * eta[:, None], labels))
    assert (
        not exact.predicted_label_stable([1], [Fraction(1, 2)])[0] and exact.predicted_label_stable([1], [Fraction(499, 1000)])[0]
    )
    assert exact.may_change_published([0], [0])[0]


@pytest.mark.claim("X7-topk", kind="exact")
@given(moved_logits(), st.data())
def test_top_k_membership(case, data):
    logits, labels, moves = case
    k = data.draw(st.integers(1, logits.shape[1] - 1))

    def within(z):
        return np.array([sum(x >= row[c] for j, x in enumerate(row) if j != c) < k for row, c in zip(z, labels, strict=True)])

    margin, eta = exact.topk_margin(logits, labels, k), np.abs(moves).max(axis=1)
    assert np.array_equal(margin > 0, within(logits))
    assert not np.any(within(logits) & ~within(logits + moves) & ~exact.may_lose(margin, eta))
    assert not np.any(~within(logits) & within(logits + moves) & ~exact.may_gain(margin, eta))


@pytest.mark.claim("ESM1-C1.3-multilayer-margin", kind="exact")
@given(st.data(), lattice_logits(), st.integers(0, 3))
def test_steps_add_up(data, table, removals):
    logits, labels = fractions(table[0]), table[1]
    moves = fractions(data.draw(arrays(np.float64, (removals, *logits.shape), elements=st.integers(-4, 4).map(lambda k: k / 4))))
    eta = exact.telescoped(np.abs(moves).max(axis=2).reshape(removals, len(labels)))
    total = moves.sum(axis=0) + 0 * logits
    assert np.all(np.abs(total).max(axis=1) <= eta)
    before, after = correct(logits, labels), correct(logits + total, labels)
    margin = exact.true_margin(logits, labels)
    assert not np.any(before & ~after & ~exact.may_lose(margin, eta))
    assert not np.any(~before & after & ~exact.may_gain(margin, eta))
    stable = exact.predicted_label_stable(exact.predicted_margin(logits), eta)
    assert all(np.argmax(logits[s]) == np.argmax((logits + total)[s]) for s in np.flatnonzero(stable))


# Paths of piecewise-linear networks.

SMALL = st.integers(-6, 6).map(lambda k: k / 4)


@st.composite
def tails(draw, *, most_layers=2):
    widths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=most_layers + 1)) + [draw(st.integers(2, 3))]
    layers = [
        (draw(arrays(np.float64, (b, a), elements=SMALL)), draw(arrays(np.float64, b, elements=SMALL)))
        for a, b in pairwise(widths)
    ]
    return widths[0], layers, draw(st.sampled_from(["relu", "abs"]))


def forward(x, layers, activation):
    for matrix, offset in layers:
        x = np.array([max(value, Fraction(0)) if activation == "relu" else abs(value) for value in x], dtype=object)
        x = fractions(matrix) @ x + fractions(offset)
    return x


@pytest.mark.claim("X8-path-variation", "X9-best-L", "A4.1-architecture", kind="exact")
@given(tails(), st.data())
def test_the_polygon_is_the_path_and_its_chain_of_bounds_holds(tail, data):
    width, layers, activation = tail
    start = data.draw(arrays(np.float64, width, elements=SMALL))
    direction = data.draw(arrays(np.float64, width, elements=SMALL))
    path = exact.relu_path(start, direction, layers, activation)
    places = [Fraction(k, 37) for k in range(38)]
    values = [forward(fractions(start) + t * fractions(direction), layers, activation) for t in places]
    assert all(np.array_equal(path.at(t), value) for t, value in zip(places, values, strict=True))
    assert all(np.array_equal(path.at(t), z) for t, z in zip(path.points, path.logits, strict=True))
    jumps = np.diff(np.stack(values), axis=0)
    polyline = sum(np.abs(jumps).max(axis=1))
    lipschitz = exact.lipschitz_by_row_sums([matrix for matrix, _ in layers])
    reach = lipschitz * max(np.abs(fractions(direction)))
    assert path.endpoint <= polyline <= path.max_norm <= path.speed_sup <= reach
    assert max(np.abs(jumps).max(axis=1)) * 37 <= path.speed_sup
    osc = sum(jumps.max(axis=1) - jumps.min(axis=1))
    assert osc <= path.oscillation <= 2 * path.max_norm
    apart = path.pairwise(1)
    assert apart[1] == 0 and np.all(np.abs(jumps - jumps[:, [1]]).sum(axis=0) <= apart) and max(apart) <= path.oscillation
    for k in range(0, 38, 5):
        here = path.max_norm_from(places[k])
        assert max(abs(values[-1] - values[k])) <= here <= (1 - places[k]) * path.speed_sup
    assert path.max_norm_from(0) == path.max_norm and path.max_norm_from(1) == 0
    if np.any(direction):
        constant = exact.smallest_lipschitz([path.speed_sup], [max(np.abs(fractions(direction)))])[0]
        assert constant * max(np.abs(fractions(direction))) == path.speed_sup


@pytest.mark.claim("X8-path-variation", "X9-best-L", kind="exact")
def test_paths_by_hand():
    line = exact.relu_path([1, 2], [Fraction(1, 3), -1], [])
    assert line.endpoint == line.max_norm == line.speed_sup == 1 and line.oscillation == Fraction(4, 3)
    off = exact.relu_path([-1], [2], [([[3], [0]], [0, 0])])
    assert list(off.points) == [0, Fraction(1, 2), 1]
    assert off.endpoint == off.max_norm == 3 and off.speed_sup == 6 and off.max_norm_from(Fraction(3, 4)) == Fraction(3, 2)
    fold = exact.relu_path([-1], [3], [([[1], [0]], [0, 0])], "abs")
    assert fold.endpoint == 1 and fold.max_norm == 3 and fold.speed_sup == 3 and list(fold.pairwise(0)) == [0, 3]
    two = exact.relu_path([0], [1], [([[1], [-1]], [0, Fraction(1, 2)]), ([[2, 0], [0, 4]], [0, 0])])
    assert list(two.points) == [0, Fraction(1, 2), 1]
    assert two.max_norm == 3 and two.speed_sup == 4 and two.oscillation == 4 and two.endpoint == 2


# Certificates of small ReLU networks, the loss enclosed.


def mean_loss(inputs, labels, *layers):
    total = iv.mpf(0)
    for token, label in zip(inputs, labels, strict=True):
        x = fractions(layers[0]) @ fractions(token)
        total += loss(forward(x, [(matrix, np.zeros(len(matrix))) for matrix in layers[1:]], "relu"), label)
    return total / len(labels)


@st.composite
def networks(draw):
    """(A, W, inputs, labels): z = W relu(A v), dyadic; some inputs dead."""
    samples, cols, hidden, classes = (draw(st.integers(1, n)) for n in (3, 3, 3, 2))
    weights = draw(arrays(np.float64, (hidden, cols), elements=DYADIC))
    tail = draw(arrays(np.float64, (classes + 1, hidden), elements=SMALL))
    inputs = draw(arrays(np.float64, (samples, cols), elements=SMALL))
    if draw(st.booleans()):
        inputs[:, 0] = 0.0
    return weights, tail, inputs, draw(arrays(np.int64, samples, elements=st.integers(0, classes)))


def budget_on_segment(removed, kept, tail, inputs):
    """B_T with the smallest admissible L_s of each sample, exactly: (2/T) sum_s sup speed."""
    speeds, sizes = [], []
    for token in inputs:
        v = fractions(token)
        path = exact.relu_path(fractions(kept) @ v, fractions(removed) @ v, [(tail, np.zeros(len(tail)))])
        speeds.append(path.speed_sup)
        sizes.append(exact.data_path_size(removed, token[None]))
    constants = [c if c is not None else 0 for c in exact.smallest_lipschitz(speeds, sizes)]
    return exact.budget(constants, sizes)


@pytest.mark.claim(
    "T5.3-additive-frobenius", "T5.4-elastic-net", "T5.5-prune-restore", "L5.1-ce-path", "X10-universal", kind="exact"
)
@given(networks(), st.data(), st.integers(0, 16), st.integers(0, 16), st.sampled_from([0, Fraction(1, 2), Fraction(1, 8)]))
def test_no_false_certificate_on_relu_networks(network, data, l2, l1, theta):
    weights, tail, inputs, labels = network
    weights = fractions(weights)
    colour = data.draw(arrays(np.int64, weights.shape, elements=st.integers(0, 2)))
    pruned, restored, kept = (np.where(colour == k, weights, Fraction(0)) for k in range(3))
    penalties = Fraction(l2, 16), Fraction(l1, 16)
    dense = mean_loss(inputs, labels, weights, tail)
    for removed, stays in ((pruned, kept + restored), (pruned + restored, kept)):
        bound = budget_on_segment(removed, stays, tail, inputs)
        shrunk = stays + theta * removed
        move = mean_loss(inputs, labels, shrunk, tail) - dense
        assert move <= interval((1 - theta) * bound) or bound == 0
        assert -move <= interval((1 - theta) * bound) or bound == 0
        if bound == 0:
            assert all(np.array_equal(tail_of(stays, tail, v), tail_of(weights, tail, v)) for v in inputs)
            continue
        gain = exact.reward(weights, *penalties) - exact.reward(shrunk, *penalties)
        certified = exact.change_upper(theta, bound, removed, stays, *penalties)
        assert move - interval(gain) <= interval(certified)
        if certified < 0:
            assert move - interval(gain) < 0
    other = fractions(data.draw(arrays(np.float64, weights.shape, elements=DYADIC)))
    bound = budget_on_segment(weights - other, other, tail, inputs)
    move = mean_loss(inputs, labels, other, tail) - dense
    gain = interval(exact.reward(weights, penalties[0], 0) - exact.reward(other, penalties[0], 0))
    if bound:
        assert move - gain <= interval(exact.change_upper_additive(0, bound, weights - other, other, penalties[0]))
    constants = [exact.lipschitz_by_row_sums([tail])] * len(inputs)
    found = exact.certificate_exact(weights, other, inputs[:, None], constants, *penalties)
    assert found.holds == (found.budget < found.reward) and found.budget >= bound
    if found.holds:
        gain = interval(exact.reward(weights, *penalties) - exact.reward(other, *penalties))
        assert move < gain


def tail_of(weights, tail, token):
    return forward(fractions(weights) @ fractions(token), [(tail, np.zeros(len(tail)))], "relu")


@pytest.mark.claim("X10-universal", kind="exact")
def test_a_budget_equal_to_the_reward_certifies_nothing():
    """R = 1 at v = 1, L = 1/2: the budget is 1, and so is the reward at l2 = 1; a hair more reward, and it holds."""
    for l2, holds in ((1.0, False), (1.0 + 2.0**-52, True)):
        found = exact.certificate_exact([[1.0]], [[0.0]], [[[1.0]]], [0.5], l2, 0.0)
        assert found.budget == 1 and found.holds is holds


@pytest.mark.claim("T5.4-elastic-net", kind="exact")
def test_certificates_do_hold_often_enough_to_be_a_test():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        weights = rng.integers(-8, 9, (3, 4)) / 64
        tail, inputs = rng.integers(-4, 5, (3, 3)) / 4, rng.integers(-4, 5, (4, 4)) / 8
        labels, mask = rng.integers(0, 3, 4), rng.random((3, 4)) < 0.5
        removed, kept = np.where(mask, weights, 0.0), np.where(mask, 0.0, weights)
        bound = budget_on_segment(removed, kept, tail, inputs)
        if exact.is_improvement(bound, exact.reward(removed, 0.5, 0.5)):
            held += 1
            move = mean_loss(inputs, labels, kept, tail) - mean_loss(inputs, labels, weights, tail)
            assert move < interval(exact.reward(removed, 0.5, 0.5)) or (bound == 0 and np.any(removed))
    assert held >= 20


@pytest.mark.claim("T5.8-multilayer", kind="exact")
@given(networks(), st.data(), st.integers(0, 16), st.integers(0, 16), st.booleans())
def test_removals_in_a_row_telescope(network, data, l2, l1, tail_first):
    weights, tail, inputs, labels = network
    penalties = Fraction(l2, 16), Fraction(l1, 16)
    now = {"A": fractions(weights), "W": fractions(tail)}
    start = mean_loss(inputs, labels, now["A"], now["W"])
    budgets, rewards = [], []
    for name in ("WA" if tail_first else "AW") + data.draw(st.sampled_from(["", "A"])):
        gone = np.where(data.draw(arrays(bool, now[name].shape)), now[name], Fraction(0))
        left = now[name] - gone
        if name == "A":
            budgets.append(budget_on_segment(gone, left, now["W"], inputs))
        else:
            hidden = [np.maximum(now["A"] @ fractions(v), Fraction(0)) for v in inputs]
            budgets.append(exact.budget([1] * len(inputs), [max(abs(gone @ h)) for h in hidden]))
        rewards.append(exact.reward(gone, *penalties))
        now[name] = left
    bound = exact.change_upper_multilayer(budgets, rewards)
    move = mean_loss(inputs, labels, now["A"], now["W"]) - start
    assume(any(budgets))
    assert move - interval(sum(rewards)) <= interval(bound)


@pytest.mark.claim("T5.8-multilayer", kind="exact")
def test_budgets_of_the_dense_network_do_not_add_up():
    """z = (max(relu(a), b), 0) at a = b = 1: each removal alone changes nothing, both together move the logit by 1."""

    def logit(a, b):
        return max(max(a, 0), b)

    dense = [abs(logit(0, 1) - logit(1, 1)), abs(logit(1, 0) - logit(1, 1))]
    assert sum(dense) == 0 < abs(logit(0, 0) - logit(1, 1))
    in_a_row = [abs(logit(0, 1) - logit(1, 1)), abs(logit(0, 0) - logit(0, 1))]
    move = loss([logit(0, 0), 0], 0) - loss([logit(1, 1), 0], 0)
    assert move > interval(2 * sum(dense)) and move <= interval(2 * sum(in_a_row))


@pytest.mark.claim("L5.1-ce-path", "X1-ce-sharp", "X2-ce-pairwise", kind="exact")
@given(moved_logits())
def test_cross_entropy_moves_within_its_bounds_on_rational_logits(case):
    for logits, label, moves in zip(*case, strict=True):
        eta, relative = max(abs(moves)), moves - moves[label]
        move = loss(logits + moves, label) - loss(logits, label)
        worst = np.array([-eta if j == label else eta for j in range(len(logits))], dtype=object)
        up, down = (loss(logits + sign * worst, label) - loss(logits, label) for sign in (1, -1))
        p = iv.exp(-loss(logits, label))

        def odds(x, p=p):
            return iv.log(p + (1 - p) * iv.exp(interval(x)))

        for one, other in ((odds(2 * eta), up), (odds(-2 * eta), down)):
            assert abs(one - other) < 1e-40
        for left, right in ((down, move), (move, up), (move, odds(max(relative)))):
            assert left.a <= right.b + 1e-40
        if eta:
            assert up < interval(2 * eta) and down > interval(-2 * eta)


# Group costs.


@pytest.mark.claim("P3-cast", "X30-cast-link", kind="exact")
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
def test_group_costs_are_mean_squares_and_bound_the_budget(data, rows, group, groups, samples):
    cols = group * groups
    weights = fractions(data.draw(arrays(np.float64, (rows, cols), elements=DYADIC)))
    inputs = data.draw(arrays(np.float64, (samples, cols), elements=DYADIC))
    masks = patterns.keep_patterns(data.draw(st.integers(1, group)), group)
    moments = exact.group_moments(inputs, group)
    costs = exact.group_costs(weights, moments, masks)
    chosen = data.draw(arrays(np.int64, (rows, groups), elements=st.integers(0, len(masks) - 1)))
    removed = weights.reshape(rows, groups, group) * ~masks[chosen]
    outputs = np.einsum("rgk,xgk->rgx", removed, fractions(inputs).reshape(samples, groups, group))
    used = np.take_along_axis(costs, chosen[:, :, None], axis=2)[:, :, 0]
    assert np.array_equal(used, (outputs**2).sum(axis=2) / Fraction(samples))
    energies = (outputs.sum(axis=1) ** 2).sum(axis=1) / Fraction(samples)
    assert np.all(energies <= exact.row_energy_upper(used))
    constants = data.draw(arrays(np.float64, samples, elements=st.floats(0.0, 3.0)))
    bound = exact.budget(constants, exact.data_path_size(removed.reshape(rows, cols), inputs[:, None]))
    by_energy = exact.budget_upper_by_energy_squared(float(constants.max()), energies)
    assert bound**2 <= by_energy <= exact.budget_upper_by_energy_squared(float(constants.max()), exact.row_energy_upper(used))
    floats = patterns.group_costs(weights.astype(float), patterns.group_moments(inputs, group), masks)
    assert_close(floats, costs, np.sum(size(weights)) ** 2 * np.sum(size(inputs) ** 2), 4 * group + samples)


@pytest.mark.claim("P3-cast", "X30-cast-link", kind="exact")
def test_group_costs_by_hand():
    moments = exact.group_moments([[1, 2, 1, 0], [3, 0, 1, 0]], 2)
    assert moments.tolist() == [[[5, 1], [1, 2]], [[1, 0], [0, 0]]]
    costs = exact.group_costs([[1, -1, 2, 5]], moments, np.array([[True, False], [False, False]]))
    assert costs.tolist() == [[[2, 5], [0, 4]]]
    assert exact.row_energy_upper(costs[:, :, 1]).tolist() == [18]
    assert exact.budget_upper_by_energy_squared(2, [3, Fraction(1, 2)], 4) == 4 * 4 * 4 * Fraction(7, 2)
