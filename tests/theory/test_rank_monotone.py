"""SEL-T1..T7: exhaustive over small tables, ties included, and the counterexample to the criterion without its hypothesis."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory.rank_monotone import (
    cut_is_clean,
    global_rank_counts,
    is_rank_monotone,
    logistic_iterate,
    same_mask,
    same_ranking,
    scores_for_allocation,
    separates_top,
    tie_difference_upper,
    top_mask,
)
from theory.emp_strategies import ranked_pairs


def kept(scores, count, base=None):
    return top_mask(scores, count, base).tolist()


def test_known_masks():
    assert kept([1.0, 3.0, 2.0], 2) == [False, True, True]
    assert kept([1.0, 1.0, 1.0], 2) == [True, True, False]
    assert kept([1.0, 1.0, 1.0], 2, [0.0, 2.0, 1.0]) == [False, True, True]
    assert kept([1.0, 2.0, 2.0], 1, [9.0, 0.0, 1.0]) == [False, False, True]
    assert kept([0.0, -0.0, 0.0], 1) == [True, False, False]
    assert kept([-np.inf, np.inf, 0.0], 1) == [False, True, False]
    assert kept([2.0], 0) == [False]


@pytest.mark.claim("SEL-T1", "SEL-T2", "SEL-T3", kind="exact")
def test_every_pair_of_small_tables():
    """Theorems 1, 2, 3 and the converse, over all base and score vectors of four entries in {0, 1, 2}."""
    tables = list(itertools.product(range(3), repeat=4))
    differing = 0
    for base, score in itertools.product(tables[::2], tables):
        pairs = [(i, j) for i in range(4) for j in range(4)]
        equal = all(score[i] == score[j] for i, j in pairs if base[i] == base[j])
        strict = equal and all(score[i] < score[j] for i, j in pairs if base[i] < base[j])
        weak = equal and all(score[i] <= score[j] for i, j in pairs if base[i] < base[j])
        assert is_rank_monotone(score, base) == strict
        assert is_rank_monotone(score, base, strictly=False) == weak
        same = [kept(score, k) == kept(base, k) for k in range(5)]
        if strict:
            assert all(same)
            assert all(kept(score, k, base) == kept(base, k) for k in range(5))
        if all(same):
            assert np.array_equal(np.argsort(np.negative(score), kind="stable"), np.argsort(np.negative(base), kind="stable"))
        for k in range(1, 5):
            difference = int(np.sum(top_mask(score, k) ^ top_mask(base, k)))
            if weak:
                assert difference <= tie_difference_upper(score, k)
                assert kept(score, k, base) == kept(base, k)
                differing += difference > 0
            criterion = separates_top(score, base, k)
            assert not criterion or same[k]
            if cut_is_clean(score, k):
                assert criterion == same[k]
    assert differing > 0


@pytest.mark.claim("SEL-T1", "SEL-T2", "SEL-T3")
@given(ranked_pairs())
def test_criterion_with_infinities_and_ties(instance):
    base, score, count = instance
    if is_rank_monotone(score, base):
        assert kept(score, count) == kept(base, count)
    if is_rank_monotone(score, base, strictly=False):
        assert np.sum(top_mask(score, count) ^ top_mask(base, count)) <= tie_difference_upper(score, count)
        assert kept(score, count, base) == kept(base, count)
    if cut_is_clean(score, count):
        assert separates_top(score, base, count) == (kept(score, count) == kept(base, count))
        assert tie_difference_upper(score, count) == 0
    assert top_mask(score, count, base).sum() == count


def test_a_tie_at_the_cut_breaks_the_criterion():
    """Errata: m = (5,3,5,6), s = (3,3,2,5), K = 2. The masks agree by position, the criterion says they do not."""
    base, score = [5, 3, 5, 6], [3, 3, 2, 5]
    assert kept(score, 2) == kept(base, 2) == [True, False, False, True]
    assert not separates_top(score, base, 2)
    assert not cut_is_clean(score, 2)


def test_ties_of_the_base_are_harmless():
    base, score = [1, 1, 1, 0], [5, 4, 3, 2]
    assert cut_is_clean(score, 2)
    assert separates_top(score, base, 2)
    assert kept(score, 2) == kept(base, 2)


@pytest.mark.claim("SEL-T2")
def test_the_tie_bound_is_attained():
    """All scores saturated: by position the first two, by base the last two: 4 = 2 min(2, 2)."""
    base, score = [1.0, 2.0, 3.0, 4.0], [1.0] * 4
    assert tie_difference_upper(score, 2) == 4
    assert np.sum(top_mask(score, 2) ^ top_mask(base, 2)) == 4
    assert kept(score, 2, base) == kept(base, 2)


def test_saturation_is_weakly_monotone_only():
    """tanh(100 m) in float64 ties at 1; the strict test sees it."""
    base = np.linspace(0.0, 1.0, 50)
    score = np.tanh(100.0 * base)
    assert not is_rank_monotone(score, base)
    assert is_rank_monotone(score, base, strictly=False)
    assert is_rank_monotone(np.tanh(0.1 * base), base)
    assert kept(score, 10) != kept(base, 10)
    assert kept(score, 10, base) == kept(base, 10)


def test_invisible_and_visible_bumps():
    """Non-monotone below the cut changes nothing; across it, everything."""
    base = np.arange(6.0)
    below, across = [1.0, 0.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 2.0, 4.5, 4.0, 3.0]
    assert not is_rank_monotone(below, base)
    assert all(separates_top(below, base, k) for k in (1, 2, 3, 4))
    assert not separates_top(across, base, 2)
    assert separates_top(across, base, 3)


@pytest.mark.claim("SEL-T5", kind="exact")
@given(st.lists(st.integers(0, 5), min_size=2, max_size=8), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_non_negative_fusion(base, weights):
    """Theorem 5, in whole numbers: m, m^2 + m, m^3 fused with weights >= 0."""
    if not any(weights):
        return
    m = np.array(base)
    fused = weights[0] * m + weights[1] * (m**2 + m) + weights[2] * m**3
    assert is_rank_monotone(fused, m)


def test_signed_fusion_is_a_bump():
    rank = np.linspace(0.1, 1.0, 9)
    assert not is_rank_monotone(rank - rank**2, rank, strictly=False)


@pytest.mark.claim("SEL-T4")
@given(st.lists(st.lists(st.integers(-20, 20), min_size=1, max_size=5, unique=True), min_size=1, max_size=4), st.data())
def test_every_allocation_is_reached(layers, data):
    """Theorem 4: increasing maps per layer, one pool, any K_l."""
    counts = [data.draw(st.integers(0, len(layer))) for layer in layers]
    bases = [np.array(layer, dtype=float) for layer in layers]
    mapped = scores_for_allocation(bases, counts)
    pool = top_mask(np.concatenate(mapped), sum(counts))
    start = 0
    for base, score, count in zip(bases, mapped, counts, strict=True):
        assert pool[start : start + len(base)].tolist() == kept(base, count)
        assert is_rank_monotone(score, base)
        assert np.count_nonzero(score > 0) == count
        assert all(kept(score, k) == kept(base, k) for k in range(len(base) + 1))
        start += len(base)


@pytest.mark.claim("SEL-T6")
@given(st.integers(1, 5), st.integers(1, 6), st.data())
def test_global_ranks_allocate_uniformly(layers, width, data):
    """Theorem 6: a pool of ranks, layer by layer in any order."""
    count = data.draw(st.integers(0, layers * width))
    ranks = [data.draw(st.permutations(range(width))) for _ in range(layers)]
    mask = top_mask(np.concatenate([np.exp(np.array(rank) / 7.0) for rank in ranks]), count).reshape(layers, width)
    low, high = global_rank_counts(layers, width, count)
    assert set(mask.sum(axis=1).tolist()) <= {low, high}
    assert high - low <= 1


def test_known_allocations():
    assert global_rank_counts(3, 4, 7) == (2, 3)
    assert global_rank_counts(3, 4, 6) == (2, 2)
    assert global_rank_counts(2, 5, 0) == (0, 0)


def test_classes_of_scorers():
    base = np.array([0.3, 0.1, 0.9, 0.5])
    table = [base, base**2, np.tanh(3 * base), -base, [0.3, 0.2, 0.9, 0.2], [0.9, 0.1, 1.0, 0.2]]
    assert same_ranking(table) == ((0, 1, 2), (3,), (4,), (5,))
    assert same_mask(table, 1) == ((0, 1, 2, 4, 5), (3,))
    assert same_mask(table, 2) == ((0, 1, 2), (3,), (4, 5))
    assert same_mask(table, 4) == ((0, 1, 2, 3, 4, 5),)


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=6), st.integers(0, 3))
def test_ranking_classes_refine_mask_classes(table, count):
    coarse = same_mask(table, count)
    for group in same_ranking(table):
        assert any(set(group) <= set(whole) for whole in coarse)
    assert sorted(itertools.chain(*coarse)) == list(range(len(table)))


@given(ranked_pairs())
def test_relabelling_permutes_the_mask(instance):
    _, score, count = instance
    if cut_is_clean(score, count):
        order = np.arange(len(score))[::-1]
        assert kept(score[order], count) == top_mask(score, count)[order].tolist()
        assert kept(-score, len(score) - count) == (~top_mask(score, count)).tolist()


@pytest.mark.claim("SEL-T7")
@given(st.floats(0.0, 1.0), st.integers(0, 6))
def test_logistic_iterates_are_chebyshev(z, times):
    """1 - 2 F^t(z) = cos(2^t arccos(1 - 2 z)); rounding doubles with each iterate."""
    wanted = np.cos(2**times * np.arccos(1.0 - 2.0 * z))
    assert 1.0 - 2.0 * float(logistic_iterate([z], times)[0]) == pytest.approx(wanted, abs=1e-13 * 4**times)


@pytest.mark.claim("SEL-T7")
def test_degree_of_a_logistic_iterate():
    """On 33 Chebyshev nodes F^4 has its last coefficient at 16, exactly -1/2 T_16 + 1/2."""
    nodes = np.cos(np.pi * (np.arange(33) + 0.5) / 33)
    coefficients = np.polynomial.chebyshev.chebfit(nodes, logistic_iterate((1.0 - nodes) / 2.0, 4), 32)
    wanted = np.zeros(33)
    wanted[[0, 16]] = 0.5, -0.5
    assert coefficients == pytest.approx(wanted, abs=1e-11)
    assert logistic_iterate([0.25, 0.5], 1).tolist() == [0.75, 1.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: logistic_iterate([1.5], 1),
        lambda: logistic_iterate([np.nan], 1),
        lambda: logistic_iterate([0.5], -1),
        lambda: top_mask([np.nan, 1.0], 1),
        lambda: top_mask([1.0], 2),
        lambda: top_mask([[1.0]], 1),
        lambda: top_mask([], 0),
        lambda: top_mask(["a"], 0),
        lambda: top_mask([1.0, 2.0], 1, [1.0]),
        lambda: is_rank_monotone([1.0], [1.0, 2.0]),
        lambda: is_rank_monotone([1.0, np.nan], [1.0, 2.0]),
        lambda: tie_difference_upper([1.0], 0),
        lambda: cut_is_clean([1.0], 2),
        lambda: separates_top([1.0, 2.0], [1.0, np.nan], 1),
        lambda: same_ranking([1.0, 2.0]),
        lambda: same_mask(np.zeros((0, 2)), 1),
        lambda: scores_for_allocation([np.array([1.0, 1.0])], [1]),
        lambda: scores_for_allocation([np.array([1.0, np.nan])], [1]),
        lambda: scores_for_allocation([np.array([1.0])], [1, 2]),
        lambda: global_rank_counts(2, 3, 7),
        lambda: global_rank_counts(0, 3, 0),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
