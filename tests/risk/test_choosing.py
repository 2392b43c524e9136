"""Choosing with family-wise control: levels, known procedures as graphs, orders chosen too late."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.risk.choosing import fixed_sequence, graph, holm, largest, rate_p_value
from certify.theory.binomial import clopper_pearson_upper

p_values = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.06), st.just(0.025)), min_size=1, max_size=6)


def equal(k: int) -> np.ndarray:
    return (np.ones((k, k)) - np.eye(k)) / max(1, k - 1)


def chain(k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(k)[0], np.eye(k, k=1)


def closed_holm(p: list[float], alpha: float) -> list[bool]:
    """The closure of Bonferroni tests, set by set."""
    k = len(p)
    sets = [s for size in range(1, k + 1) for s in itertools.combinations(range(k), size)]
    fallen = {s for s in sets if min(p[i] for i in s) <= alpha / len(s)}
    return [all(s in fallen for s in sets if i in s) for i in range(k)]


@pytest.mark.claim("B5-graph")
@given(p=p_values)
def test_holm_is_the_closure_of_bonferroni_and_a_graph(p: list[float]) -> None:
    found = holm(p, 0.05)
    assert found.tolist() == closed_holm(p, 0.05)
    k = len(p)
    # Rounding of the weights decides only where a p-value is a share of alpha exactly.
    if not any(math.isclose(x, 0.05 / j, rel_tol=1e-9) for x in p for j in range(1, k + 1)):
        assert graph(p, np.full(k, 1 / k), equal(k), 0.05).tolist() == found.tolist()


@given(p=p_values)
def test_a_fixed_sequence_is_a_chain(p: list[float]) -> None:
    found = fixed_sequence(p, 0.05)
    assert found.tolist() == graph(p, *chain(len(p)), 0.05).tolist()
    assert found.sum() == next((i for i, x in enumerate(p) if x > 0.05), len(p))


@given(data=st.data(), p=p_values)
def test_a_graph_does_not_depend_on_the_names_of_plans_and_is_monotone(data: st.DataObject, p: list[float]) -> None:
    k = len(p)
    g = data.draw(arrays(float, (k, k), elements=st.integers(0, 4).map(float))) * (1 - np.eye(k))
    g = g / np.maximum(1.0, g.sum(axis=1, keepdims=True))
    w = np.array(data.draw(st.lists(st.integers(0, 4), min_size=k, max_size=k)), dtype=float) + 0.01
    w /= w.sum() * (1 + 1e-9)
    turn = np.array(data.draw(st.permutations(range(k))))
    found = graph(p, w, g, 0.0437)
    again = graph(np.array(p)[turn], w[turn], g[np.ix_(turn, turn)], 0.0437)
    assert again.tolist() == found[turn].tolist()
    assert np.all(graph(np.array(p) / 2, w, g, 0.0437) >= found)


def test_the_graph_of_the_literature() -> None:
    """Bretz et al. 2009, two primary and two secondary hypotheses, worked by hand at alpha = .05.

    H1 falls at .0225 <= .025, hands .025 to H3, which falls at .02 and hands all to H2: .05 >= .04.
    """
    g = np.array([[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]], dtype=float)
    w = np.array([0.5, 0.5, 0, 0])
    assert graph([0.0225, 0.04, 0.02, 0.06], w, g, 0.05).tolist() == [True, True, True, False]
    assert graph([0.0225, 0.04, 0.03, 0.06], w, g, 0.05).tolist() == [True, False, False, False]
    assert graph([0.026, 0.026, 0.0, 0.0], w, g, 0.05).tolist() == [False] * 4


@pytest.mark.parametrize("n", [1, 2, 12])
def test_a_p_value_is_valid_and_inverts_the_limit(n: int) -> None:
    for rate in (0.0, 0.05, 0.3, 0.9, 1.0):
        p = np.array([rate_p_value(k, n, rate) for k in range(n + 1)])
        mass = np.array([math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)])
        assert all(mass[p <= a].sum() <= a + 1e-12 for a in np.linspace(0.01, 0.99, 50))
    for k in range(n):
        limit = clopper_pearson_upper(k, n, 0.05)
        assert rate_p_value(k, n, limit) == pytest.approx(0.05, rel=1e-9)
    assert rate_p_value(0, 0, 0.5) == 1.0


@pytest.mark.claim("B5-graph")
def test_family_wise_error_and_an_order_chosen_too_late() -> None:
    """Exact over uniform p-values on a grid (all plans unsafe); sorting by p-value first breaks the level."""
    grid, alpha = (np.arange(20) + 1) / 20, 0.1
    rows = list(itertools.product(grid, repeat=3))
    procedures = {
        "fixed": lambda p: fixed_sequence(p, alpha),
        "holm": lambda p: holm(p, alpha),
        "graph": lambda p: graph(p, [0.5, 0.3, 0.2], np.roll(np.eye(3), 1, axis=1), alpha),
        "late": lambda p: fixed_sequence(np.sort(p), alpha),
        "no control": lambda p: np.asarray(p) <= alpha,
    }
    error = {name: np.mean([np.any(rule(row)) for row in rows]) for name, rule in procedures.items()}
    assert max(error["fixed"], error["holm"], error["graph"]) <= alpha + 1e-12
    assert error["late"] == error["no control"] == pytest.approx(1 - 0.9**3)


def test_what_cannot_be_decided_chooses_nothing() -> None:
    for bad in ([], [0.0, math.nan]):
        k = len(bad)
        for found in (fixed_sequence(bad, 0.05), holm(bad, 0.05), graph(bad, np.full(k, 0.5), np.zeros((k, k)), 0.05)):
            assert found.shape == (k,) and not found.any()
            assert largest([0.5] * k, found) is None
    assert largest([0.1, math.nan], np.array([True, False])) is None


def test_the_largest_of_the_allowed() -> None:
    assert largest([0.5, 0.9, 0.7], np.array([True, False, True])) == 2
    assert largest([0.5, 0.9], np.array([False, False])) is None


@pytest.mark.parametrize(
    ("weights", "arrows"),
    [([0.6, 0.6], np.zeros((2, 2))), ([0.5, 0.5], np.eye(2)), ([0.5, 0.5], [[0, 1.5], [0, 0]]), ([-0.1, 0.5], np.zeros((2, 2)))],
)
def test_a_graph_that_spends_more_than_alpha_is_refused(weights: list[float], arrows: np.ndarray) -> None:
    with pytest.raises(Refused):
        graph([0.0, 0.0], weights, arrows, 0.05)
    with pytest.raises(Refused):
        holm([1.2], 0.05)
