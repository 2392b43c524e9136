"""EMP-T6..T9, P2, P3: quadratics where the truth is known, equality instances, and the published bounds that fail."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import labelled_logits

from certify.records import Refused
from certify.theory.cross_entropy import cross_entropy, log_probabilities
from certify.theory.emp.effective_number import keep_mask, kept_count, removed_mass, retained_mass
from certify.theory.emp.mass_bounds import cell_retained_mass_infimum
from certify.theory.emp.retained_loss import (
    change_published_mass,
    change_published_trace,
    change_upper_additive,
    change_upper_additive_cell,
    change_upper_curvature,
    change_upper_curvature_scores,
    curvature_scores,
    mean_change_interval,
    mean_change_random_signs,
    removed_squared_upper,
)

HALVES = st.integers(-6, 6).map(lambda k: k / 2)


@st.composite
def quadratics(draw):
    """(theta, PSD H, gradient) of L(x) = (x - theta)^T H (x - theta) / 2 + gradient (x - theta)."""
    n = draw(st.integers(2, 6))
    root = draw(arrays(np.float64, (n, n), elements=HALVES))
    theta = draw(arrays(np.float64, n, elements=HALVES).filter(np.any))
    return theta, root @ root.T, draw(arrays(np.float64, n, elements=HALVES))


def removal(theta, hessian, mask, gradient=0.0):
    """Exact loss change of setting the unmasked weights to 0."""
    step = np.where(mask, 0.0, -theta)
    return 0.5 * step @ hessian @ step + np.sum(gradient * step)


@pytest.mark.claim("EMP-T6")
@given(quadratics())
def test_curvature_bound(instance):
    """Theorem 6 for magnitude EMP: measured norms, then the norms that the mass allows."""
    theta, hessian, gradient = instance
    mask = keep_mask(theta)
    delta = theta[~mask]
    lost, phi = removed_mass(theta, mask), retained_mass(theta, int(mask.sum()))
    one, square = np.abs(theta).sum(), np.sum(theta**2)
    block = hessian[np.ix_(~mask, ~mask)]
    curvature = float(np.linalg.eigvalsh(block)[-1]) if len(delta) else 0.0
    slope = float(np.abs(gradient[~mask]).max(initial=0.0))
    change = removal(theta, hessian, mask, gradient)
    measured = change_upper_curvature(slope, max(curvature, 0.0), np.abs(delta).sum(), np.sum(delta**2))
    assert change <= measured + 1e-9
    square_bound = removed_squared_upper(phi, one, square)
    assert np.sum(delta**2) <= square_bound + 1e-9
    by_mass = change_upper_curvature(slope, max(curvature, 0.0), lost * one, square_bound)
    assert measured <= by_mass + 1e-9
    assert change <= change_upper_curvature(slope, max(float(np.trace(block)), 0.0), lost * one, square_bound) + 1e-9


@pytest.mark.claim("EMP-T6")
def test_curvature_bound_is_attained():
    """H = v v^T with v along delta at a stationary point: L rises by |delta|^2 / 2; a slope adds |delta|_1."""
    assert change_upper_curvature(0.0, 1.0, 9.0, 25.0) == 12.5
    assert change_upper_curvature(2.0, 0.0, 9.0, 25.0) == 18.0
    assert change_upper_curvature(2.0, 1.0, 9.0, 25.0) == 30.5
    theta, delta = np.array([3.0, 4.0, 9.0]), np.array([3.0, 4.0, 0.0])
    hessian = np.outer(delta, delta) / 25.0
    assert removal(theta, hessian, delta == 0.0) == pytest.approx(change_upper_curvature(0.0, 1.0, 7.0, 25.0))


def test_removed_squared_takes_the_smaller():
    assert removed_squared_upper(0.75, 8.0, 32.0) == 4.0
    assert removed_squared_upper(0.75, 8.0, 12.0) == 3.0
    assert removed_squared_upper(1.0, 8.0, 12.0) == 0.0


@pytest.mark.claim("EMP-T7")
@given(quadratics(), st.data())
def test_curvature_scores(instance, data):
    """Theorem 7 for any mask, and through the mass of the EMP mask."""
    theta, hessian, _ = instance
    scores = curvature_scores(theta, np.diag(hessian))
    mask = data.draw(arrays(bool, len(theta)))
    bound = change_upper_curvature_scores(np.where(mask, 0.0, scores))
    assert removal(theta, hessian, mask) <= bound * (1 + 1e-9) + 1e-9
    if scores.any():
        mask = keep_mask(scores)
        by_mass = 0.5 * (removed_mass(scores, mask) * scores.sum()) ** 2
        assert removal(theta, hessian, mask) <= by_mass * (1 + 1e-9) + 1e-9


@pytest.mark.claim("EMP-T7")
def test_curvature_scores_are_attained_by_rank_one():
    theta, v = np.array([3.0, -1.0, 2.0]), np.array([2.0, -0.5, 1.0])
    hessian, mask = np.outer(v, v), np.array([True, False, False])
    scores = curvature_scores(theta, np.diag(hessian))
    assert scores.tolist() == [6.0, 0.5, 2.0]
    assert removal(theta, hessian, mask) == change_upper_curvature_scores(np.where(mask, 0.0, scores)) == 3.125


def test_random_signs_and_rotations_on_average():
    hessian = np.array([[2.0, 1.5, -1.0], [1.5, 3.0, 0.5], [-1.0, 0.5, 1.0]])
    delta = np.array([1.0, -2.0, 3.0])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=3))) * delta
    mean = np.mean([0.5 * s @ hessian @ s for s in signs])
    assert mean_change_random_signs(np.diag(hessian), delta) == pytest.approx(mean, rel=1e-14) == 11.5
    rng, total = np.random.default_rng(3), 0.0
    for _ in range(20_000):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        total += 0.5 * (turn @ delta) @ hessian @ (turn @ delta) / 20_000
    assert total == pytest.approx(mean_change_random_signs(np.full(3, 2.0), delta), rel=0.03)


@pytest.mark.claim("EMP-P2")
def test_published_trace_bound_fails():
    """(P2): H = I at rho > 1/2; H = v v^T by the factor N K / (N - K); both obey Theorem 6."""
    for n, kept in ((3, 2), (10, 6), (100, 51), (7, 6)):
        delta = np.zeros(n)
        delta[kept:] = 0.5
        square = float(np.sum(delta**2))
        truth = 0.5 * square
        assert truth > change_published_trace(n, kept, float(n), square)
        rank_one = change_published_trace(n, kept, 1.0, square)
        assert truth / rank_one == pytest.approx(n * kept / (n - kept))
        assert truth <= change_upper_curvature(0.0, 1.0, float(delta.sum()), square)
    assert change_published_trace(4, 2, 8.0, 3.0) == 3.0


@pytest.mark.claim("EMP-P3")
def test_published_mass_bound_fails():
    """(P3): nine ones and one 0.9 lose .405; the bound says .0545, its limit form .0436."""
    theta = np.array([1.0] * 9 + [0.9])
    assert kept_count(theta) == 9
    truth = removal(theta, np.eye(10), keep_mask(theta))
    assert truth == pytest.approx(0.405)
    bound = change_published_mass(10, 9, 10.0, theta.sum())
    assert bound == pytest.approx(0.0545, abs=1e-4)
    assert bound < truth
    limit_form = bound * (1 - math.sqrt((1 - 0.9) / (10 * 0.9))) ** 2
    assert limit_form == pytest.approx(0.0436, abs=1e-4)
    lost = 1.0 - retained_mass(theta, 9)
    assert truth <= change_upper_curvature(0.0, 1.0, 0.9, removed_squared_upper(1.0 - lost, theta.sum(), np.sum(theta**2)))
    for nu in (2, 5, 50):
        ones = np.array([1.0] * nu + [1.0 - 1e-9])
        assert kept_count(ones) == nu
        assert change_published_mass(nu + 1, nu, nu + 1.0, ones.sum()) == pytest.approx(1 / (2 * nu), rel=1e-6)
        assert removal(ones, np.eye(nu + 1), keep_mask(ones)) == pytest.approx(0.5, rel=1e-6)


def test_published_mass_bound_is_vacuous_elsewhere():
    """2000 half-normal weights, H = I: about 27 lost, about 7e7 allowed."""
    theta = np.abs(np.random.default_rng(5).normal(size=2000))
    truth = removal(theta, np.eye(2000), keep_mask(theta))
    assert 20 < truth < 34
    assert change_published_mass(2000, kept_count(theta), 2000.0, theta.sum()) > 4e7
    assert change_published_mass(9, 9, 1.0, 1.0) == 0.0


@pytest.mark.claim("EMP-T8")
def test_additive_domination():
    assert change_upper_additive(2.0, 10.0, 0.75) == 5.0
    assert change_upper_additive_cell(2.0, 10.0, 5, 1) == 10.0
    assert change_upper_additive_cell(2.0, 10.0, 5, 5) == 0.0
    assert change_upper_additive_cell(1.0, 3.0, 4, 2) == pytest.approx(1.0)
    for n, nu in ((5, 2), (9, 4)):
        assert change_upper_additive_cell(1.0, 1.0, n, nu) == pytest.approx(1.0 - cell_retained_mass_infimum(n, nu))


def test_strictness_needs_a_removal():
    """Errata: for equal scores nothing is removed and both sides are 0; so they are at C = 0."""
    assert change_upper_additive_cell(3.0, 4.0, 4, kept_count([1.0] * 4)) == 0.0
    assert change_upper_additive_cell(0.0, 4.0, 4, 2) == 0.0


@pytest.mark.claim("EMP-T8")
@given(arrays(np.float64, 6, elements=st.floats(0.0, 4.0)).filter(np.any), st.floats(0.0, 3.0))
def test_additive_losses_obey_both_forms(scores, constant):
    """A loss that is additive in the removed scores: equality in the first form, the cell bound above it."""
    mask = keep_mask(scores)
    loss = constant * scores[~mask].sum()
    bound = change_upper_additive(constant, scores.sum(), retained_mass(scores, int(mask.sum())))
    assert loss == pytest.approx(bound, rel=1e-9, abs=1e-12)
    assert bound <= change_upper_additive_cell(constant, scores.sum(), 6, int(mask.sum())) + 1e-12


def test_data_free_scores_bound_nothing():
    """(10, 10, 1): magnitude EMP keeps two, removes mass 1/21, and the loss rises by more than any constant."""
    weights = np.array([10.0, 10.0, 1.0])
    assert kept_count(weights) == 2
    assert removed_mass(weights, keep_mask(weights)) == pytest.approx(1 / 21)
    changes = []
    for a in (1.0, 5.0, 25.0):
        x = np.array([-a, -a, 100.0 * a])
        dense, pruned = (cross_entropy([[w @ x, 0.0]], [0])[0] for w in (weights, np.where(keep_mask(weights), weights, 0.0)))
        assert dense < 1e-30
        assert pruned >= 20 * a
        changes.append(pruned - dense)
    assert changes[-1] > 499.0


def test_leave_one_out_scores_bound_nothing():
    """max(relu(a x), relu(b x)) with a = b: each alone scores 0, both together are the network."""

    def loss(a, b, size=50.0):
        return cross_entropy([[max(a * size, b * size, 0.0), 0.0]], [0])[0]

    dense = loss(1.0, 1.0)
    singles = [abs(loss(0.0, 1.0) - dense), abs(loss(1.0, 0.0) - dense)]
    assert singles == [0.0, 0.0]
    assert loss(0.0, 0.0) - dense > 0.69
    assert change_upper_additive(1e6, sum(singles), 0.0) == 0.0


@pytest.mark.claim("EMP-L9")
@given(labelled_logits(), st.data())
def test_cross_entropy_interval(instance, data):
    """Lemma 9: both ends attained, the upper one bounds the size of every change."""
    logits, labels = instance
    eta = data.draw(arrays(np.float64, len(labels), elements=st.floats(0.0, 20.0)))
    pair = log_probabilities(logits, labels)
    low, high = mean_change_interval(*pair, eta)
    worst = 1.0 - 2.0 * np.eye(logits.shape[1])[labels]
    base = cross_entropy(logits, labels)
    for sign, end in ((1.0, high), (-1.0, low)):
        moved = cross_entropy(logits + sign * eta[:, None] * worst, labels)
        assert np.mean(moved - base) == pytest.approx(end, rel=1e-7, abs=1e-7)
    assert -high - 1e-12 <= low <= 0.0 <= high <= 2 * np.mean(eta) + 1e-12


@pytest.mark.parametrize(
    "call",
    [
        lambda: removed_squared_upper(0.5, 1.0, 1.5),
        lambda: removed_squared_upper(-0.1, 1.0, 0.5),
        lambda: removed_squared_upper(0.5, math.nan, 0.5),
        lambda: change_upper_curvature(-1.0, 1.0, 1.0, 1.0),
        lambda: change_upper_curvature(0.0, -1.0, 1.0, 1.0),
        lambda: change_upper_curvature(0.0, 1e200, 1.0, 1e200),
        lambda: mean_change_random_signs([1.0], [1.0, 2.0]),
        lambda: mean_change_random_signs([1e300], [1e300]),
        lambda: curvature_scores([1.0], [-1.0]),
        lambda: curvature_scores([math.nan], [1.0]),
        lambda: change_upper_curvature_scores([-1.0]),
        lambda: change_upper_curvature_scores([1e200]),
        lambda: change_upper_additive(-1.0, 1.0, 0.5),
        lambda: change_upper_additive(1.0, 1.0, 1.5),
        lambda: change_upper_additive_cell(1.0, 1.0, 3, 4),
        lambda: mean_change_interval([-0.7], [-0.7], [-1.0]),
        lambda: change_published_trace(3, 0, 1.0, 1.0),
        lambda: change_published_trace(3, 2, 1.0, -1.0),
        lambda: change_published_mass(3, 4, 1.0, 1.0),
        lambda: change_published_mass(3, 2, math.inf, 1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
