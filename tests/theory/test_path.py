"""X8, X9(b), X14(b): the Chebyshev machinery against exact variations, of polynomials and of ReLU tails."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from numpy.polynomial import Chebyshev, Polynomial
from strategies import chebyshev_paths

from certify.records import Refused
from certify.theory import path
from certify.theory.budget import smallest_lipschitz
from certify.theory.cross_entropy import cross_entropy, increase_upper, increase_upper_oscillation, log_probabilities
from certify.theory.path import (
    chebyshev_coefficients,
    clenshaw_curtis_nodes,
    clenshaw_curtis_weights,
    derivative_coefficients,
    evaluate,
    variation,
)


def sampled(curve, order, labels=(0,)):
    """`variation` of a function t -> (K,) logits, one sample."""
    values = np.array([np.atleast_2d(curve(t)) for t in clenshaw_curtis_nodes(order)])
    return variation(values, np.array(labels))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 8, 24, 64])
def test_nodes(order):
    nodes, finer = clenshaw_curtis_nodes(order), clenshaw_curtis_nodes(2 * order)
    assert (nodes[0], nodes[-1]) == (0.0, 1.0)
    assert np.all(np.diff(nodes) > 0.0)
    assert np.array_equal(finer[::2], nodes)
    assert nodes == pytest.approx(0.5 - 0.5 * np.cos(np.pi * np.arange(order + 1) / order), abs=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 8, 17, 64])
def test_weights_integrate_polynomials_exactly(order):
    nodes, weights = clenshaw_curtis_nodes(order), clenshaw_curtis_weights(order)
    assert np.all(weights > 0.0)
    for power in range(order + 1):
        assert weights @ nodes**power == pytest.approx(1.0 / (power + 1), rel=1e-12)


@given(chebyshev_paths(classes=2))
def test_coefficients_derivative_and_values_agree(coefficients):
    order = len(coefficients) - 1
    values = evaluate(coefficients, clenshaw_curtis_nodes(order))
    assert chebyshev_coefficients(values) == pytest.approx(coefficients, abs=1e-11)
    finer = evaluate(coefficients, clenshaw_curtis_nodes(order + 5))
    assert chebyshev_coefficients(finer)[: order + 1] == pytest.approx(coefficients, abs=1e-11)
    rates, points = derivative_coefficients(coefficients), np.linspace(0.0, 1.0, 7)
    for k in range(2):
        polynomial = Chebyshev(coefficients[:, 0, k], domain=[0.0, 1.0])
        assert evaluate(coefficients, points)[:, 0, k] == pytest.approx(polynomial(points), abs=1e-10)
        assert evaluate(rates, points)[:, 0, k] == pytest.approx(polynomial.deriv()(points), abs=1e-9)


@pytest.mark.claim("X8-path-variation")
def test_straight_path():
    """X8(a) with equality: the path's end, its polyline, its variation and its speed are one number."""
    found = sampled(lambda t: [3.0 * t, -1.0 * t, 0.5], 8, labels=(1,))
    for quantity in (found.endpoint, found.polyline, found.max_norm, found.speed_sup):
        assert quantity == pytest.approx([3.0], rel=1e-13)
    assert found.oscillation == pytest.approx([4.0])
    assert found.pairwise[0] == pytest.approx([4.0, 0.0, 1.0])
    assert found.tail == pytest.approx([0.0], abs=1e-13)
    assert found.refinement == pytest.approx([0.0], abs=1e-13)
    assert found.quadrature == pytest.approx([4e-6], rel=1e-6)
    assert found.order == 8


@pytest.mark.parametrize(
    "curve, endpoint, max_norm, oscillation, pairwise, speed",
    [
        (lambda t: [t**2, 0.0], 1.0, 1.0, 1.0, 1.0, 2.0),
        (lambda t: [4 * t * (1 - t), 0.0], 0.0, 2.0, 2.0, 2.0, 4.0),
        (lambda t: [t, -t], 1.0, 1.0, 2.0, 2.0, 1.0),
        (lambda t: [t + 5 * t**2, t + 5 * t**2], 6.0, 6.0, 0.0, 0.0, 11.0),
        # |gamma'| = (|1 - 2t|, t): they cross at t = 1/3 and t = 1, and the speeds differ by 1 - 3t.
        (lambda t: [t - t**2, t**2 / 2], 0.5, 2 / 9 + 4 / 9, 5 / 6, 5 / 6, 1.0),
    ],
)
def test_known_variations(curve, endpoint, max_norm, oscillation, pairwise, speed):
    found = sampled(curve, 4)
    assert found.endpoint == pytest.approx([endpoint], abs=1e-14)
    assert found.max_norm == pytest.approx([max_norm], abs=1e-9)
    assert found.oscillation == pytest.approx([oscillation], abs=1e-9)
    assert found.pairwise[0, 1] == pytest.approx(pairwise, abs=1e-9)
    assert found.speed_sup == pytest.approx([speed], rel=1e-12)


def kinks(*polynomials):
    """0, 1 and the real roots inside, by eigenvalues: where a sign or an order of the given polynomials changes."""
    inside = [0.0, 1.0]
    for polynomial in polynomials:
        trimmed = polynomial.trim(1e-13)
        if trimmed.degree() > 0:
            roots = trimmed.roots()
            inside += [z.real for z in roots if abs(z.imag) < 1e-5 and 0.0 < z.real < 1.0]
    return np.unique(inside)


def integral_of_largest(curves, at):
    """int max_j curves_j, exact on each piece between the kinks `at`."""
    total = 0.0
    for left, right in pairwise(at):
        top = max(curves, key=lambda curve, middle=0.5 * (left + right): curve(middle))
        whole = top.integ()
        total += whole(right) - whole(left)
    return total


@pytest.mark.claim("X8-path-variation", "X9-best-L")
@given(chebyshev_paths(classes=2))
def test_against_exact_variation_of_polynomials(coefficients):
    order = 2 * (len(coefficients) - 1)
    found = variation(evaluate(coefficients, clenshaw_curtis_nodes(order)), np.array([1]))
    one, two = (Chebyshev(coefficients[:, 0, k], domain=[0.0, 1.0]).convert(kind=Polynomial).deriv() for k in (0, 1))
    at = kinks(one, two, one - two, one + two)
    exact = integral_of_largest([one, -one, two, -two], at)
    slack = found.quadrature[0] + 1e-9
    assert found.max_norm[0] == pytest.approx(exact, abs=slack)
    assert found.oscillation[0] == pytest.approx(integral_of_largest([one - two, two - one], at), abs=slack)
    assert found.pairwise[0] == pytest.approx([found.oscillation[0], 0.0], abs=slack)
    extremes = kinks(one.deriv(), two.deriv())
    fastest = max(np.abs(one(extremes)).max(), np.abs(two(extremes)).max())
    assert found.speed_sup[0] == pytest.approx(fastest, rel=1e-9, abs=1e-9)
    assert found.refinement[0] <= 2.0 * slack


@pytest.mark.claim("X8-path-variation")
@given(chebyshev_paths(classes=4))
def test_chain_of_inequalities(coefficients):
    order = len(coefficients) - 1
    found = variation(evaluate(coefficients, clenshaw_curtis_nodes(order)), np.array([2]))
    slack = found.quadrature + 1e-12
    assert np.all(found.endpoint <= found.polyline + slack)
    assert np.all(found.polyline <= found.max_norm + slack)
    assert np.all(found.max_norm <= found.speed_sup + slack)
    assert np.all(found.oscillation <= 2.0 * found.max_norm + slack)
    assert np.all(found.pairwise <= found.oscillation[:, None] + slack[:, None])
    assert found.pairwise[0, 2] == 0.0


def test_samples_do_not_mix(monkeypatch):
    monkeypatch.setattr(path, "BLOCK_SIZE", 7 * 6 * path.FINE_POINTS)
    rng = np.random.default_rng(1)
    values = rng.standard_normal((9, 40, 6)).cumsum(axis=0)
    labels = rng.integers(0, 6, 40)
    together = variation(values, labels)
    for s in (0, 17, 39):
        alone = variation(values[:, s : s + 1], labels[s : s + 1])
        for name in ("max_norm", "oscillation", "pairwise", "speed_sup", "tail", "polyline", "quadrature", "refinement"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[s], rel=1e-12, abs=1e-12)


def test_numbers_that_tell_how_well_it_is_resolved():
    smooth, rough = sampled(lambda t: [np.exp(3 * t), 0.0], 16), sampled(lambda t: [abs(t - 0.4), 0.0], 16)
    assert smooth.tail[0] < 1e-7 * smooth.max_norm[0]
    assert rough.tail[0] > 1e-2 * rough.max_norm[0]
    assert smooth.refinement[0] < 1e-6
    assert sampled(lambda t: [t, 0.0], 3).refinement[0] == np.inf
    known = sampled(lambda t: [np.cos(4 * np.arccos(2 * t - 1)), 0.0], 4)
    assert known.tail == pytest.approx([8.0])


class ReluTail:
    """gamma(t) = W relu(a + t r) + b, r = R v: exact breakpoints, hence exact variation (X8, exactness)."""

    def __init__(self, rng, hidden=5, classes=3):
        self.weight, self.bias = rng.standard_normal((classes, hidden)), rng.standard_normal(classes)
        self.start, self.move = rng.standard_normal(hidden), rng.standard_normal(hidden)
        with np.errstate(divide="ignore"):
            breaks = -self.start / self.move
        self.breaks = np.unique(np.concatenate([[0.0], breaks[(breaks > 0) & (breaks < 1)], [1.0]]))

    def __call__(self, t):
        return self.weight @ np.maximum(self.start + t * self.move, 0.0) + self.bias

    def slopes(self):
        middles = 0.5 * (self.breaks[1:] + self.breaks[:-1])
        return np.array([self.weight @ (self.move * (self.start + t * self.move > 0)) for t in middles]), np.diff(self.breaks)


@pytest.mark.claim("X8-path-variation", "X9-best-L")
@pytest.mark.parametrize("seed", range(25))
def test_relu_tail_with_exact_breakpoints(seed):
    tail = ReluTail(np.random.default_rng(seed))
    slopes, lengths = tail.slopes()
    exact = lengths @ np.abs(slopes).max(axis=1)
    fastest, size = np.abs(slopes).max(), np.abs(tail.move).max()
    crude = np.abs(tail.weight).sum(axis=1).max()
    polylines, errors = [], []
    for order in (16, 64, 256):
        found = sampled(tail, order)
        polylines.append(found.polyline[0])
        errors.append(abs(found.max_norm[0] - exact))
        assert found.endpoint[0] <= polylines[-1] * (1 + 1e-12) <= exact * (1 + 1e-11)
    assert polylines[0] <= polylines[1] * (1 + 1e-12) <= polylines[2] * (1 + 1e-11)
    assert errors[-1] <= 0.02 * exact
    assert polylines[-1] >= 0.99 * exact
    assert exact <= fastest * (1 + 1e-12)
    assert smallest_lipschitz([fastest], [size])[0] <= crude * (1 + 1e-12)
    # X8(c): the shipped end is theta = 0, the reference theta = 1.
    dense, pruned = tail(1.0)[None], tail(0.0)[None]
    for label in range(3):
        pair = log_probabilities(dense, [label])
        change = cross_entropy(pruned, [label]) - cross_entropy(dense, [label])
        oscillation = lengths @ (slopes.max(axis=1) - slopes.min(axis=1))
        assert change <= increase_upper_oscillation(*pair, [oscillation]) + 1e-12
        assert increase_upper_oscillation(*pair, [oscillation]) <= increase_upper(*pair, [exact]) + 1e-12


def test_tail_that_switches_off_halfway():
    """8.4: V is half of the sup when the speed is 1 on one half and 0 on the other."""
    found = sampled(lambda t: [max(t - 0.5, 0.0), 0.0], 512)
    assert found.max_norm == pytest.approx([0.5], rel=0.01)
    assert found.polyline == pytest.approx([0.5], rel=1e-12)
    assert found.speed_sup[0] >= 1.0


@pytest.mark.claim("X8-path-variation", "X9-best-L")
def test_tail_that_switches_off_halfway_by_pieces():
    """8.4 exactly: gamma = max(theta - 1/2, 0). V = end point = 1/2, sup = L_min ||R v|| = 1: ratio 1/2."""
    values = [[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.0]]]
    pieces = variation(values, np.zeros(2, int))
    assert pieces.max_norm == pytest.approx([0.0, 0.5], abs=1e-15)
    speeds = pieces.speed_sup / 0.5
    assert speeds == pytest.approx([0.0, 1.0], rel=1e-14)
    assert pieces.max_norm.sum() / speeds.max() == pytest.approx(0.5, rel=1e-14)
    assert smallest_lipschitz([speeds.max()], [1.0]) == pytest.approx([1.0], rel=1e-14)


@pytest.mark.claim("X14-multilayer")
def test_neither_form_for_several_layers_dominates():
    """Products of two one-weight layers, each scaled by its own t: together along t_1 = t_2, or one after the other."""

    def both(curve, middle):
        simultaneous = sampled(curve, 8).max_norm[0]
        start, end = curve(1.0), curve(0.0)
        sequential = sum(np.abs(np.subtract(b, a)).max() for a, b in ((start, middle), (middle, end)))
        return simultaneous, sequential

    # z = (1 + t_1)(1 - t_2), dense at t = 1: together 1 - t^2 rises from 0 to 1; layer 1 first: 0, 0, 1.
    assert both(lambda t: [(1 + t) * (1 - t), 0.0], [0.0, 0.0]) == pytest.approx((1.0, 1.0), abs=1e-8)
    # Layer 2 first goes through 2: steps 2 and 1.
    assert both(lambda t: [(1 + t) * (1 - t), 0.0], [2.0, 0.0]) == pytest.approx((1.0, 3.0), abs=1e-8)
    # z = t_1 (1 - t_2): together it rises to 1/4 and falls again; layer 1 first never leaves 0.
    assert both(lambda t: [t * (1 - t), 0.0], [0.0, 0.0]) == pytest.approx((0.5, 0.0), abs=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: clenshaw_curtis_nodes(0),
        lambda: clenshaw_curtis_nodes(2.0),  # type: ignore[arg-type]
        lambda: chebyshev_coefficients([1.0]),
        lambda: chebyshev_coefficients([1.0, np.nan]),
        lambda: derivative_coefficients([1.0]),
        lambda: evaluate([1.0, 2.0], [1.1]),
        lambda: evaluate([1.0, 2.0], [np.nan]),
        lambda: variation(np.zeros((1, 2, 3)), [0, 0]),
        lambda: variation(np.zeros((3, 2, 1)), [0, 0]),
        lambda: variation(np.zeros((3, 2, 3)), [0]),
        lambda: variation(np.zeros((3, 2, 3)), [0, 3]),
        lambda: variation(np.zeros((3, 0, 3)), np.zeros(0, int)),
        lambda: variation(np.full((3, 1, 2), np.inf), [0]),
        lambda: variation(np.array([-1.0, 1.0])[:, None, None] * np.full((2, 1, 2), 1.5e308), [0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
