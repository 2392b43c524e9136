"""EMP-T10, T11, C12, C13, H1: chains of bounds on real networks, equality instances, and what a data-free score misses."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.theory.binomial import clopper_pearson_lower
from certify.theory.budget import budget, data_path_size
from certify.theory.cross_entropy import cross_entropy
from certify.theory.elastic_net import entrywise_l1, frobenius_squared
from certify.theory.emp.data_path_scores import (
    ORDERS,
    accuracy_change_upper,
    budget_upper_groups,
    budget_upper_row_masses,
    budget_upper_rows,
    column_scores,
    column_sizes,
    compensation,
    entry_scores,
    group_scores,
    keep_by_mass,
    never_harmful,
    objective_change_upper,
    post_hoc_budget,
    row_scores,
)
from certify.theory.emp.effective_number import effective_number, keep_mask, retained_mass
from certify.theory.emp.mass_bounds import retained_mass_bounds
from certify.theory.gaussian import random_sign_multiplier
from certify.theory.margins import may_gain, may_lose, true_margin
from theory.emp_strategies import layer_instances

SLACK = 1e-9


def tokens(inputs):
    return inputs if inputs.ndim == 3 else inputs[:, None, :]


def exact_budget(removed, inputs, lipschitz):
    return budget(lipschitz, data_path_size(removed, tokens(inputs)))


def test_known_scores():
    weights, inputs = np.array([[1.0, -2.0]]), np.array([[1.0, 1.0], [3.0, 0.0]])
    assert entry_scores(weights, inputs, [1.0, 1.0]).tolist() == [[4.0, 2.0]]
    assert entry_scores(weights, inputs, [1.0, 1.0], math.inf).tolist() == [[6.0, 4.0]]
    assert column_sizes(inputs, [1.0, 1.0], 2.0) == pytest.approx([math.sqrt(5.0), math.sqrt(0.5)])
    assert column_sizes(inputs, [2.0, 1.0], 1.0).tolist() == [2.5, 1.0]
    assert column_sizes(inputs[None], [1.0], 1.0).tolist() == [3.0, 1.0]
    assert column_scores(weights, inputs, [1.0, 1.0]).tolist() == [4.0, 2.0]
    assert row_scores(inputs @ weights.T, [1.0, 2.0]).tolist() == [12.0]
    assert group_scores([1.0, 2.0], [[1.0, 3.0], [0.0, 1.0]]).tolist() == [7.0, 2.0]
    assert budget_upper_groups([3.0, 1.0, 0.5], np.array([True, False, False])) == 1.5


def test_wanda_is_order_two():
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=(3, 5)), rng.normal(size=(7, 5))
    wanda = np.abs(weights) * np.linalg.norm(inputs, axis=0)
    assert entry_scores(weights, inputs, np.ones(7), 2.0) == pytest.approx(2.0 * wanda / math.sqrt(7.0))


@pytest.mark.claim("EMP-T10", "EMP-T11")
@given(layer_instances())
def test_every_bound_is_above_the_budget(instance):
    """Theorems 10 and 11 for any mask, every order, with tokens."""
    weights, inputs, lipschitz, keep = instance
    removed = np.where(keep, 0.0, weights)
    truth = exact_budget(removed, inputs, lipschitz)
    for order in (1.0, 1.5, 2.0, 4.0, 8.0, math.inf):
        assert truth <= budget_upper_rows(removed, inputs, lipschitz, order) * (1 + SLACK) + SLACK
    for order in (1.0, 3.0, math.inf):
        scores = entry_scores(weights, inputs, lipschitz, order)
        assert truth <= budget_upper_groups(scores.ravel(), keep.ravel()) * (1 + SLACK) + SLACK
    assert budget_upper_rows(removed, inputs, lipschitz, 1.0) == pytest.approx(
        budget_upper_groups(entry_scores(weights, inputs, lipschitz).ravel(), keep.ravel()), rel=1e-12, abs=1e-300
    )


@pytest.mark.claim("EMP-T10")
@given(layer_instances(), st.randoms())
def test_any_partition_into_groups(instance, random):
    weights, inputs, lipschitz, _ = instance
    labels = np.array([random.randrange(4) for _ in range(weights.size)]).reshape(weights.shape)
    groups = [np.where(labels == g, weights, 0.0) for g in range(4)]
    sizes = np.array([data_path_size(group, tokens(inputs)) for group in groups])
    scores = group_scores(lipschitz, sizes)
    assert scores == pytest.approx([exact_budget(group, inputs, lipschitz) for group in groups], rel=1e-12, abs=1e-300)
    if not scores.any():
        return
    keep = keep_mask(scores)
    removed = sum((group for group, kept in zip(groups, keep, strict=True) if not kept), np.zeros_like(weights))
    bound = budget_upper_groups(scores, keep)
    assert exact_budget(removed, inputs, lipschitz) <= bound * (1 + SLACK) + SLACK
    assert bound == pytest.approx((1 - retained_mass(scores, int(keep.sum()))) * scores.sum(), rel=1e-9, abs=1e-9)


@pytest.mark.claim("EMP-T10")
@given(layer_instances())
def test_columns_and_rows(instance):
    """A column's score is its budget; of removed rows only the largest is paid."""
    weights, inputs, lipschitz, _ = instance
    columns = column_scores(weights, inputs, lipschitz)
    for j in range(weights.shape[1]):
        alone = np.where(np.arange(weights.shape[1]) == j, weights, 0.0)
        assert columns[j] == pytest.approx(exact_budget(alone, inputs, lipschitz), rel=1e-12, abs=1e-300)
    rows = row_scores(inputs @ weights.T, lipschitz)
    if not rows.any():
        return
    keep = keep_mask(rows)
    truth = exact_budget(np.where(keep[:, None], 0.0, weights), inputs, lipschitz)
    paid = rows[~keep].max(initial=0.0)
    assert truth <= paid * (1 + SLACK) + SLACK
    assert keep.all() or paid < rows.sum() / effective_number(rows) * (1 + SLACK)


@pytest.mark.claim("EMP-T11")
def test_row_bounds_are_attained():
    """One sample, one row, terms of one sign; rows of equal mass at order inf."""
    assert budget_upper_rows([[2.0, -1.0]], [[3.0, -4.0]], [1.5], 1.0) == 30.0
    assert exact_budget(np.array([[2.0, -1.0]]), np.array([[3.0, -4.0]]), [1.5]) == 30.0
    assert budget_upper_rows(np.eye(3), np.ones((2, 3)), [1.0, 1.0], math.inf) == 2.0
    assert exact_budget(np.eye(3), np.ones((2, 3)), [1.0, 1.0]) == 2.0
    assert budget_upper_rows(np.eye(4), np.ones((2, 4)), [1.0, 1.0], 2.0) == 4.0
    assert budget_upper_row_masses([3.0, 4.0], [0.0, 0.0], 2.0) == 10.0
    assert budget_upper_row_masses([3.0, 4.0], [0.5, 1.0], 2.0) == 3.0


@pytest.mark.claim("EMP-T11")
@given(layer_instances(), st.sampled_from(ORDERS))
def test_row_wise_pruning_and_its_distribution_free_form(instance, order):
    weights, inputs, lipschitz, _ = instance
    scores = entry_scores(weights, inputs, lipschitz, order) / 2.0
    keep = np.array([keep_mask(row) for row in scores])
    phi = [retained_mass(row, int(k.sum())) if row.any() else 1.0 for row, k in zip(scores, keep, strict=True)]
    removed = np.where(keep, 0.0, weights)
    measured = budget_upper_row_masses(scores.sum(axis=1), phi, order)
    assert measured == pytest.approx(budget_upper_rows(removed, inputs, lipschitz, order), rel=1e-9, abs=1e-9)
    floor = [retained_mass_bounds(row, int(k.sum()))[0] if row.any() else 1.0 for row, k in zip(scores, keep, strict=True)]
    assert measured <= budget_upper_row_masses(scores.sum(axis=1), floor, order) * (1 + SLACK) + SLACK


@given(
    arrays(np.float64, (2, 6), elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0])),
    st.sampled_from([0.0, 0.2, 0.5, 2.0, 9.0]),
)
def test_keep_by_mass_removes_the_most(table, limit):
    keep = keep_by_mass(table, limit)
    for row, mask in zip(table, keep, strict=True):
        assert math.fsum(row[~mask]) <= limit / 2
        most = max(len(c) for r in range(7) for c in itertools.combinations(row, r) if math.fsum(c) <= limit / 2)
        assert (~mask).sum() == most


def test_keep_by_mass_at_the_limit():
    assert keep_by_mass([[1.0, 1.0, 1.0]], 4.0).tolist() == [[True, False, False]]
    assert keep_by_mass([[0.1, 0.1, 0.1, 5.0]], 0.6).tolist() == [[True, False, False, True]]
    assert keep_by_mass([[0.0, 2.0]], 0.0).tolist() == [[False, True]]


def network(rng, rows, hidden, classes):
    """z = W relu(A v): L = the induced max norm of W is a proved constant of what follows the target A."""
    first, last = rng.normal(size=(hidden, rows)), rng.normal(size=(classes, hidden)) / hidden
    return first, last, float(np.abs(last).sum(axis=1).max())


@pytest.mark.claim("EMP-T10", "EMP-T11", "EMP-C12")
@pytest.mark.parametrize("seed", range(25))
def test_the_chain_on_networks(seed):
    """|change of CE| <= post hoc <= B_T <= every bound; labels and accuracy by Corollary 12."""
    rng = np.random.default_rng(seed)
    first, last, constant = network(rng, 6, 8, 4)
    inputs, labels = rng.normal(size=(11, 6)), rng.integers(0, 4, 11)
    lipschitz = np.full(11, constant)

    def logits(matrix):
        return np.maximum(inputs @ matrix.T, 0.0) @ last.T

    keep = keep_mask(entry_scores(first, inputs, lipschitz).ravel()).reshape(first.shape)
    removed, pruned = np.where(keep, 0.0, first), np.where(keep, first, 0.0)
    dense_loss, pruned_loss = (cross_entropy(logits(matrix), labels).mean() for matrix in (first, pruned))
    post_hoc = post_hoc_budget(logits(first), logits(pruned))
    truth = exact_budget(removed, inputs, lipschitz)
    assert abs(pruned_loss - dense_loss) <= post_hoc + SLACK
    assert post_hoc <= truth + SLACK
    bounds = [budget_upper_rows(removed, inputs, lipschitz, order) for order in ORDERS]
    assert truth <= min(bounds) + SLACK
    margins = true_margin(logits(first), labels)
    change = np.mean(true_margin(logits(pruned), labels) > 0) - np.mean(margins > 0)
    for budget_value in (post_hoc, truth):
        best = accuracy_change_upper(margins, budget_value)
        assert abs(change) <= best + SLACK
        for tau in (0.01, 0.1, 0.5, 2.0):
            assert best <= accuracy_change_upper(margins, budget_value, tau) + SLACK
    eta = np.full(11, bounds[-1] / 2)
    stays = ~(may_lose(margins, eta) | may_gain(margins, eta))
    assert np.all((logits(first).argmax(1) == logits(pruned).argmax(1))[stays & (margins > 0)])


def test_certificates_see_the_data():
    """Guard against data-free scores: inflating a removed activation inflates every bound."""
    weights, inputs = np.array([[10.0, 10.0, 1.0]]), np.array([[1.0, 1.0, 1.0]])
    removed = np.array([[0.0, 0.0, 1.0]])
    small = [budget_upper_rows(removed, inputs, [1.0], order) for order in ORDERS]
    large = [budget_upper_rows(removed, inputs * [1.0, 1.0, 1e6], [1.0], order) for order in ORDERS]
    assert large == pytest.approx([1e6 * value for value in small])
    assert not keep_mask(weights[0])[2]
    assert keep_mask(entry_scores(weights, inputs * [1.0, 1.0, 1e6], [1.0])[0]).tolist() == [False, False, True]


def test_accuracy_known_values():
    assert accuracy_change_upper([1.0, -4.0, 3.0, 0.0], 0.5, 1.0) == 0.75
    assert accuracy_change_upper([1.0, -4.0, 3.0, 0.0], 0.25, 0.5) == 0.75
    assert accuracy_change_upper([4.0, 8.0], 1.0) == 0.25
    assert accuracy_change_upper([1.0, 10.0, 10.0, 10.0], 1.0) == 0.35
    assert accuracy_change_upper([1.0, 0.0], 0.0) == 0.5
    assert accuracy_change_upper([1e-9], 5.0) == 1.0


@pytest.mark.claim("EMP-C12")
def test_accuracy_bound_is_attained():
    """Half of the samples moved by eta = 1 with margins 2: B = 2 * 1/2, and the bound B/(2 tau) + 0 at 2 tau -> 2."""
    assert accuracy_change_upper([2.0, 2.0], 1.0) == 0.5


def test_compensation_is_a_weighted_median():
    inputs, weights = np.array([[0.0, 5.0], [1.0, 5.0], [10.0, -1.0]]), np.array([1.0, 1.0, 1.0])
    assert compensation(inputs, weights).tolist() == [1.0, 5.0]
    assert compensation(inputs, [1.0, 1.0, 5.0]).tolist() == [10.0, -1.0]


@given(
    arrays(np.float64, (5, 2), elements=st.integers(-9, 9).map(float)),
    arrays(np.float64, 5, elements=st.sampled_from([0.0, 1.0, 2.0])),
)
def test_compensation_minimises_the_column_score(inputs, lipschitz):
    if not lipschitz.any():
        return
    best = column_scores(np.eye(2), inputs - compensation(inputs, lipschitz), lipschitz)
    for shift in np.arange(-9.0, 9.5, 0.5):
        assert np.all(best <= column_scores(np.eye(2), inputs - shift, lipschitz) + SLACK)


@pytest.mark.claim("EMP-C13")
@given(layer_instances(), st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([0.0, 0.25, 1.0]))
def test_elastic_net_forms(instance, l2, l1):
    """Corollary 13: the bound by mass is above the one by measured norms; free entries never raise the objective."""
    weights, inputs, lipschitz, _ = instance
    if not weights.any():
        return
    keep = keep_mask(weights.ravel()).reshape(weights.shape)
    removed = np.where(keep, 0.0, weights)
    loss = exact_budget(removed, inputs, lipschitz)
    sharp = loss - l2 * frobenius_squared(removed) - l1 * entrywise_l1(removed)
    phi = retained_mass(weights.ravel(), int(keep.sum()))
    bound = objective_change_upper(loss, entrywise_l1(weights), phi, weights.size, int(keep.sum()), l2, l1)
    assert sharp <= bound + 1e-9 * (1 + abs(bound))
    free = np.where(never_harmful(weights, column_sizes(inputs, lipschitz, 1.0), l2, l1), weights, 0.0)
    gain = l2 * frobenius_squared(free) + l1 * entrywise_l1(free)
    assert exact_budget(free, inputs, lipschitz) <= gain * (1 + SLACK) + SLACK


@pytest.mark.claim("EMP-C13")
def test_elastic_net_known_values():
    assert objective_change_upper(5.0, 10.0, 0.5, 6, 1, 1.0, 2.0) == 5.0 - 5.0 - 10.0
    assert objective_change_upper(0.0, 10.0, 1.0, 6, 6, 1.0, 2.0) == 0.0
    assert never_harmful([[1.0, 4.0]], [1.0, 1.0], 0.5, 0.0).tolist() == [[False, True]]
    assert never_harmful([[1.0, 4.0]], [0.5, 0.6], 0.0, 1.0).tolist() == [[True, False]]


def test_random_signs_cover():
    """Hoeffding over rows and tokens (MC-V): the failure rate is not above delta at level 1e-6."""
    rng, delta, fails, draws = np.random.default_rng(11), 0.1, 0, 2000
    sizes, inputs = rng.normal(size=(6, 9)), rng.normal(size=(20, 9))
    reach = random_sign_multiplier(6, 20, delta) * np.sqrt(sizes**2 @ (inputs**2).T)
    for _ in range(draws):
        signed = sizes * rng.choice([-1.0, 1.0], size=sizes.shape)
        fails += bool(np.any(np.abs(signed @ inputs.T) > reach))
    assert clopper_pearson_lower(fails, draws, 1e-6) <= delta
    assert random_sign_multiplier(1, 1, 2 / math.e**2) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: group_scores([1.0], [[1.0, 2.0]]),
        lambda: group_scores([-1.0], [[1.0]]),
        lambda: entry_scores([[1.0, 2.0]], [[1.0]], [1.0]),
        lambda: entry_scores([[1.0]], [[math.nan]], [1.0]),
        lambda: entry_scores([[1.0]], [[1.0]], [1.0], 0.5),
        lambda: entry_scores([[1.0]], [[1.0]], [1.0], math.nan),
        lambda: entry_scores([[1e200]], [[1e200]], [1.0]),
        lambda: column_sizes([1.0], [1.0], 1.0),
        lambda: column_sizes([[1.0], [2.0]], [1.0], 1.0),
        lambda: budget_upper_groups([1.0], np.array([1])),
        lambda: budget_upper_groups([-1.0], np.array([True])),
        lambda: budget_upper_groups([1.7e308, 1.7e308], np.array([False, False])),
        lambda: budget_upper_rows([1.0], [[1.0]], [1.0], 1.0),
        lambda: budget_upper_row_masses([1.0], [1.5], 1.0),
        lambda: keep_by_mass([[-1.0]], 1.0),
        lambda: keep_by_mass([[1.0]], math.nan),
        lambda: post_hoc_budget([[1.0, 2.0]], [[1.0]]),
        lambda: post_hoc_budget([[math.nan, 2.0]], [[1.0, 1.0]]),
        lambda: compensation([[1.0]], [0.0]),
        lambda: accuracy_change_upper([1.0], 1.0, 0.0),
        lambda: accuracy_change_upper([1.0], -1.0),
        lambda: objective_change_upper(1.0, 1.0, 0.5, 3, 4, 1.0, 1.0),
        lambda: objective_change_upper(1.0, 1.0, 0.5, 3, 2, -1.0, 1.0),
        lambda: never_harmful([[1.0]], [1.0, 2.0], 1.0, 1.0),
        lambda: random_sign_multiplier(0, 1, 0.1),
        lambda: random_sign_multiplier(1, 1, 1.0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
