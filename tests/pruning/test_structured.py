"""The exact k:n search against brute force, its reductions and negative controls; how inputs form groups."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning.layout import Layout
from certify.pruning.masks import group_top
from certify.pruning.structured.exact import _kept, _meetings, cheapest, compensated, greedy, mean_cost
from certify.records import Refused
from certify.theory.patterns import cheapest_masks, group_costs, keep_patterns


def cell(rng: np.random.Generator, rows: int, groups: int, n: int, kind: str = "full") -> tuple[np.ndarray, np.ndarray]:
    """Slots and second moments; also deficient, badly scaled, tied and empty ones."""
    u = rng.normal(size=(rows, groups, n))
    h = rng.normal(size=(groups, 2 if kind == "deficient" else 3 * n, n))
    if kind == "scaled":
        h *= 10.0 ** rng.integers(-6, 7, size=(1, 1, n))
    if kind == "zeros":
        u[rng.random(u.shape) < 0.5] = 0.0
    return u, np.einsum("gti,gtj->gij", h, h) / h.shape[1]


def brute(u: np.ndarray, moments: np.ndarray, keep: int, prior: np.ndarray | None = None) -> np.ndarray:
    """(rows, groups) least cost, one subset at a time."""
    n = u.shape[2]
    least = np.full(u.shape[:2], np.inf)
    for gone in combinations(range(n), n - keep):
        r = np.zeros(u.shape)
        r[..., list(gone)] = u[..., list(gone)]
        cost = np.einsum("rgi,gij,rgj->rg", r, moments, r)
        least = np.minimum(least, cost if prior is None else cost + prior[..., list(gone)].sum(axis=2))
    return least


def cost_of(u: np.ndarray, moments: np.ndarray, kept: np.ndarray) -> np.ndarray:
    r = np.where(kept, 0.0, u)
    return np.einsum("rgi,gij,rgj->rg", r, moments, r)


@pytest.mark.parametrize("kind", ["full", "deficient", "scaled", "zeros"])
def test_every_pattern_up_to_eight_slots_is_brute_force(kind: str) -> None:
    rng = np.random.default_rng(0)
    for n in range(2, 9):
        for keep in range(1, n):
            u, moments = cell(rng, 3, 2, n, kind)
            kept, costs = cheapest(u, moments, keep)
            assert np.all(kept.sum(axis=2) == keep)
            terms = np.abs(np.where(kept, 0.0, u))  # what is removed, and not what is kept, sets the scale of rounding
            scale = np.einsum("rgi,gij,rgj->rg", terms, np.abs(moments), terms)
            assert np.all(np.abs(costs - brute(u, moments, keep)) <= 3e-12 * scale)
            assert np.all(np.abs(costs - cost_of(u, moments, kept)) <= 1e-13 * scale)


@pytest.mark.parametrize("keep", [1, 8, 12, 15])
@pytest.mark.parametrize("n", [13, 16])
def test_halves_against_one_subset_at_a_time(n: int, keep: int) -> None:
    u, moments = cell(np.random.default_rng(keep), 2, 1, n)
    keep = min(keep, n - 1)
    kept, costs = cheapest(u, moments, keep)
    assert np.allclose(costs, brute(u, moments, keep), rtol=1e-10) and np.allclose(costs, cost_of(u, moments, kept))
    assert comb(16, 8) == sum(len(meeting.codes) for meeting in _meetings(16, 8, 1)) == 12_870


@pytest.mark.parametrize("kind", ["deficient", "scaled", "zeros"])
def test_halves_and_whole_patterns_choose_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meeting halves of 8 slots against the same patterns priced in one product; with ties, the same masks."""
    for keep in (1, 4, 7):
        u, moments = cell(np.random.default_rng(keep), 20, 5, 8, kind)
        if kind == "zeros":
            u, moments = np.round(u), np.round(moments)
        whole = cheapest(u, moments, keep)
        monkeypatch.setattr("certify.pruning.structured.exact.WHOLE", 0)
        halves = cheapest(u, moments, keep)
        monkeypatch.undo()
        assert kind == "deficient" or np.array_equal(whole[0], halves[0])
        assert np.allclose(whole[1], halves[1], rtol=1e-9, atol=1e-13 * whole[1].max())


def test_patterns_come_in_lexicographic_order() -> None:
    for keep, n in ((1, 4), (2, 4), (3, 5), (4, 13)):
        codes = np.sort(np.concatenate([meeting.codes for meeting in _meetings(n, keep, 1)]))[::-1]
        assert np.array_equal(_kept(codes, n), keep_patterns(keep, n))


@pytest.mark.parametrize("n", [4, 8, 16])
def test_of_equal_costs_the_earlier_slots_stay(n: int) -> None:
    """Nothing to tell slots apart: all weights equal, all weights 0, all inputs 0."""
    first = np.arange(n) < n // 2
    for u, moments in ((0.1, np.eye(n)), (0.0, np.eye(n)), (0.3, np.zeros((n, n))), (0.7, np.ones((n, n)))):
        kept, _ = cheapest(np.full((2, 3, n), u), np.broadcast_to(moments, (3, n, n)), n // 2)
        assert np.all(kept == first)


def test_a_huge_kept_weight_does_not_blur_the_others() -> None:
    """One input 10^20 times as strong: it stays, and the rest are compared at their own scale."""
    u = np.array([[[1.0, 1.0, 3.0, 2.0]]])
    kept, cost = cheapest(u, np.diag([1e20, 1.0, 1.0, 1.0])[None], 2)
    assert kept[0, 0].tolist() == [True, False, True, False] and cost[0, 0] == 5.0


def test_products_beyond_float64_are_refused() -> None:
    with pytest.raises(Refused, match="beyond float64"), np.errstate(over="ignore", invalid="ignore"):
        cheapest(np.full((1, 1, 4), 1e200), np.ones((1, 4, 4)), 2)


def test_chunks_of_cells_join(monkeypatch: pytest.MonkeyPatch) -> None:
    for n, keep in ((8, 4), (14, 7)):
        u, moments = cell(np.random.default_rng(3), 5, 7, n)
        whole = cheapest(u, moments, keep)
        for cells in (1, 3, 34):
            monkeypatch.setattr("certify.pruning.structured.exact.CELLS", cells)
            assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(cheapest(u, moments, keep), whole, strict=True))
        monkeypatch.undo()


def test_the_slow_reference_agrees() -> None:
    rng = np.random.default_rng(4)
    u, moments = cell(rng, 6, 3, 4)
    kept, _ = cheapest(u, moments, 2)
    assert np.array_equal(kept.reshape(6, 12), cheapest_masks(u.reshape(6, 12), moments, 2))
    assert np.allclose(mean_cost(u, moments, 2), group_costs(u.reshape(6, 12), moments, keep_patterns(2, 4)).mean(axis=2))


@given(seed=st.integers(0, 2**16), keep=st.integers(1, 5))
@settings(max_examples=30)
def test_equal_variances_reduce_to_magnitude(seed: int, keep: int) -> None:
    """C = c I: what is kept are the largest magnitudes, of equal ones the earlier, bit for bit with many ties."""
    rng = np.random.default_rng(seed)
    u = rng.integers(-3, 4, size=(4, 3, 6)).astype(float)
    moments = np.broadcast_to(0.37 * np.eye(6), (3, 6, 6))
    assert np.array_equal(cheapest(u, moments, keep)[0], group_top(np.abs(u), keep))


def test_covariance_matters() -> None:
    """Negative control: two opposite inputs that cancel; magnitude keeps one of them, the exact search removes both."""
    u = np.array([[[5.0, 5.0, 1.0, 1.0]]])
    moments = np.array([[[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]], dtype=float)
    kept, cost = cheapest(u, moments, 2)
    assert kept[0, 0].tolist() == [False, False, True, True] and cost[0, 0] == 0
    assert cost_of(u, moments, group_top(np.abs(u), 2))[0, 0] == 2


def test_the_published_tuple_would_be_caught() -> None:
    """(1 - m) v(m) with v(m) = m * u is 0 for every mask (F17): a search by it keeps the first slots and fails brute force."""
    u, moments = cell(np.random.default_rng(12), 10, 3, 6)
    patterns = keep_patterns(3, 6)
    removed = ~patterns * (patterns * u[:, :, None])
    costs = np.einsum("rgmi,gij,rgmj->rgm", removed, moments, removed)
    chosen = patterns[costs.argmin(axis=2)]
    assert np.all(chosen == patterns[0])
    assert not np.allclose(cost_of(u, moments, chosen), brute(u, moments, 3))


def test_the_greedy_search_is_never_better() -> None:
    u, moments = cell(np.random.default_rng(6), 40, 3, 16, "deficient")
    kept, costs = greedy(u, moments, 8)
    assert np.all(kept.sum(axis=2) == 8) and np.allclose(costs, cost_of(u, moments, kept), atol=1e-12)
    best = cheapest(u, moments, 8)[1]
    assert np.all(costs >= best * (1 - 1e-9)) and costs.sum() > best.sum() * (1 + 1e-6)


def test_priors_are_added_for_removed_slots() -> None:
    rng = np.random.default_rng(7)
    u, moments = cell(rng, 4, 2, 6)
    prior = rng.normal(size=u.shape)
    kept, costs = cheapest(u, moments, 3, prior)
    found = costs + np.where(kept, 0.0, prior).sum(axis=2)
    assert np.allclose(found, brute(u, moments, 3, prior), rtol=1e-9)


def test_compensation_is_least_squares_and_helps() -> None:
    u, moments = cell(np.random.default_rng(8), 30, 4, 8)
    kept, costs = cheapest(u, moments, 4)
    tiny = compensated(u, moments, kept, ridge=1e-12)
    change = u - tiny
    after = np.einsum("rgi,gij,rgj->rg", change, moments, change)
    assert np.all(after <= costs * (1 + 1e-9)) and after.sum() < 0.9 * costs.sum()
    gradient = np.where(kept, np.einsum("gij,rgj->rgi", moments, change), 0.0)
    assert np.abs(gradient).max() < 1e-8, "no kept weight can be moved to lower it further"
    assert not tiny[~kept].any()
    damped = u - compensated(u, moments, kept, ridge=1e-2)
    assert np.einsum("rgi,gij,rgj->rg", damped, moments, damped).sum() < costs.sum()


def test_more_than_sixteen_slots_are_refused() -> None:
    with pytest.raises(Refused, match="up to 16 slots"):
        cheapest(np.ones((1, 1, 17)), np.eye(17)[None], 8)


def test_compensation_with_inputs_that_are_always_zero() -> None:
    u = np.random.default_rng(1).normal(size=(3, 2, 4))
    moments = np.stack([np.zeros((4, 4)), np.diag([1.0, 0, 0, 2.0])])
    kept, _ = cheapest(u, moments, 2)
    found = compensated(u, moments, kept, ridge=1e-2)
    assert np.allclose(found, np.where(kept, u, 0.0)), "nothing to make up for, nothing moved"


def test_the_greedy_search_is_exact_for_uncorrelated_inputs() -> None:
    rng = np.random.default_rng(11)
    u, moments = rng.normal(size=(20, 3, 8)), np.stack([np.diag(rng.gamma(0.5, size=8)) for _ in range(3)])
    assert np.array_equal(greedy(u, moments, 3)[0], cheapest(u, moments, 3)[0])


@given(seed=st.integers(0, 2**16), cols=st.integers(5, 20), ordered=st.booleans())
@settings(max_examples=30)
def test_slots_and_matrices_are_inverse(seed: int, cols: int, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(cols) if ordered else None
    layout, matrix = Layout("t", 3, cols, 2, 4, order), rng.normal(size=(3, cols))
    slots = layout.slots(matrix, fill=-7.0)
    assert np.array_equal(layout.matrix(slots), matrix)
    assert slots.shape == (3, layout.groups, 4) and np.count_nonzero(slots == -7.0) == 3 * (-cols % 4)
    assert np.array_equal(slots[:, 0], matrix[:, :4] if order is None else matrix[:, order[:4]])
