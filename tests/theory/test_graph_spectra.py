"""SSD-T1..T11: known graphs by hand, identities on random connected graphs, and what a pseudo-inverse hides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Refused
from certify.theory.graph_spectra import (
    components,
    correlation_distances,
    edge_scores,
    edge_scores_full,
    effective_resistance,
    laplacian,
    node_scores,
    pencil,
    pinv_after_deletion,
    refit_cost,
    resistance_ratio_range,
    twin_value,
    without_node,
)
from theory.emp_strategies import graph_pairs, graphs

CLOSE = {"rel": 1e-7, "abs": 1e-8}


def complete(n):
    return np.ones((n, n)) - np.eye(n)


def path(n):
    return np.eye(n, k=1) + np.eye(n, k=-1)


def scale(table):
    return max(1.0, float(np.abs(table).max()))


def test_known_graphs():
    """A path of three against a triangle: L_in = (1, 3), L_out = (3, 3), values 1 and 1/3."""
    assert pencil(path(3), complete(3)).values == pytest.approx([1.0, 1 / 3])
    assert effective_resistance(path(4))[0].tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert effective_resistance(complete(5))[0, 1] == pytest.approx(2 / 5)
    assert laplacian(path(3)).tolist() == [[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]]
    assert components(path(4)) == 1


def test_two_nodes():
    """One pair, lambda = w_in / w_out, equal scores."""
    inner, outer = np.array([[0.0, 3.0], [3.0, 0.0]]), np.array([[0.0, 0.5], [0.5, 0.0]])
    pairs = pencil(inner, outer)
    assert pairs.values == pytest.approx([6.0])
    scores = node_scores(inner, edge_scores(pairs, 1))
    assert scores == pytest.approx([12.0, 12.0])
    assert twin_value(inner, outer, 0, 1) == 6.0


@pytest.mark.claim("SSD-T1")
@given(graph_pairs(max_size=5))
def test_pencil(graphs_):
    """T1: B-orthonormal eigenvectors, positive values, the spectrum of pinv(B) A with one 0."""
    inner, outer = graphs_
    a, b = laplacian(inner), laplacian(outer)
    values, vectors = pencil(inner, outer)
    assert vectors.T @ b @ vectors == pytest.approx(np.eye(len(values)), **CLOSE)
    assert a @ vectors == pytest.approx(b @ vectors * values, abs=1e-7 * scale(values) * scale(b))
    assert values.min() > 0
    assert np.all(np.diff(values) <= 1e-12)
    spectrum = np.sort(np.linalg.eigvals(np.linalg.pinv(b) @ a).real)
    assert np.sort(np.append(values, 0.0)) == pytest.approx(spectrum, abs=1e-6 * scale(values))


@pytest.mark.claim("SSD-T2")
@given(graph_pairs(max_size=5))
def test_resistance_ratios(graphs_):
    """T2."""
    inner, outer = graphs_
    pairs = ~np.eye(len(inner), dtype=bool)
    ratio = (effective_resistance(outer)[pairs]) / effective_resistance(inner)[pairs]
    low, high = resistance_ratio_range(inner, outer)
    assert low * (1 - 1e-8) <= ratio.min()
    assert ratio.max() <= high * (1 + 1e-8)


@pytest.mark.claim("SSD-T2")
def test_resistance_ratio_is_attained_by_twins():
    inner, outer = complete(4), complete(4)
    inner[0, 1] = inner[1, 0] = 5.0
    low, high = resistance_ratio_range(inner, outer)
    ratio = effective_resistance(outer)[0, 1] / effective_resistance(inner)[0, 1]
    assert twin_value(inner, outer, 0, 1) == 2 * 4 / 4 + 1.0 * 4 / 4 == 3.0
    assert ratio == pytest.approx(high) == pytest.approx(3.0)
    assert low == pytest.approx(1.0)


@pytest.mark.claim("SSD-T3")
@given(graph_pairs(max_size=5), st.data())
def test_sum_rule(graphs_, data):
    """T3 in both forms, for every s that splits no cluster."""
    inner, outer = graphs_
    pairs = pencil(inner, outer)
    form, count = data.draw(st.sampled_from(["spade", "log"])), data.draw(st.integers(1, len(pairs.values)))
    try:
        scores = edge_scores(pairs, count, form)
    except Refused:
        return
    weight = pairs.values if form == "spade" else np.log(pairs.values) ** 2
    order = np.argsort(-(pairs.values if form == "spade" else np.abs(np.log(pairs.values))))[:count]
    total = np.sum((weight * pairs.values)[order])
    assert np.sum(inner * scores) / 2 == pytest.approx(total, **CLOSE)
    assert np.sum(inner.sum(axis=1) * node_scores(inner, scores)) == pytest.approx(2 * total, **CLOSE)
    assert scores.min() >= 0.0


@pytest.mark.claim("SSD-T4")
@given(graph_pairs(max_size=5))
def test_closed_form(graphs_):
    """T4: the full form equals all eigenpairs."""
    inner, outer = graphs_
    pairs = pencil(inner, outer)
    full = edge_scores_full(inner, outer)
    assert edge_scores(pairs, len(pairs.values)) == pytest.approx(full, abs=1e-7 * scale(full))


@pytest.mark.claim("SSD-T5")
@given(graph_pairs(max_size=5), st.sampled_from([0.5, 3.0]), st.sampled_from([0.25, 2.0]), st.randoms())
def test_symmetries(graphs_, a, b, random):
    """T5 (a), (b)."""
    inner, outer = graphs_
    scores = node_scores(inner, edge_scores_full(inner, outer))
    scaled = node_scores(a * inner, edge_scores_full(a * inner, b * outer))
    assert scaled == pytest.approx(a / b**2 * scores, rel=1e-6, abs=1e-8 * scale(scores))
    order = list(range(len(inner)))
    random.shuffle(order)
    grid = np.ix_(order, order)
    moved = node_scores(inner[grid], edge_scores_full(inner[grid], outer[grid]))
    assert moved == pytest.approx(scores[order], rel=1e-6, abs=1e-8 * scale(scores))


@pytest.mark.claim("SSD-T6")
@given(graph_pairs(max_size=4), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 1.0, 4.0]))
def test_twins_are_not_flagged(graphs_, w_in, w_out):
    """T6: a copy of the last node, with a twin edge; e_p - e_p' is an eigenvector, the scores are equal."""
    doubled = []
    for table, weight in zip(graphs_, (w_in, w_out), strict=True):
        big = np.pad(table, (0, 1))
        big[-1, :-1] = big[:-1, -1] = table[-1]
        big[-1, -2] = big[-2, -1] = weight
        doubled.append(big)
    inner, outer = doubled
    n = len(inner)
    value = twin_value(inner, outer, n - 2, n - 1)
    twin = np.eye(n)[n - 2] - np.eye(n)[n - 1]
    assert laplacian(inner) @ twin == pytest.approx(value * (laplacian(outer) @ twin))
    assert np.min(np.abs(pencil(inner, outer).values - value)) < 1e-8 * max(1.0, value)
    full = edge_scores_full(inner, outer)
    scores = node_scores(inner, full)
    assert scores[-1] == pytest.approx(scores[-2], rel=1e-7)
    lead = edge_scores_or_none(pencil(inner, outer), 1)
    if lead is not None and pencil(inner, outer).values[0] > value * (1 + 1e-6):
        assert lead[n - 2, n - 1] < 1e-9 * scale(lead)


def edge_scores_or_none(pairs, count):
    try:
        return edge_scores(pairs, count)
    except Refused:
        return None


@pytest.mark.claim("SSD-T7")
@given(graphs(max_size=5))
def test_equal_graphs(weights):
    """T7: all values 1, log scores 0, full scores the resistances, the spade form undefined below n - 1."""
    pairs = pencil(weights, weights)
    n = len(weights)
    assert pairs.values == pytest.approx(np.ones(n - 1), abs=1e-9)
    assert edge_scores(pairs, n - 1, "log") == pytest.approx(np.zeros((n, n)), abs=1e-9)
    resistance = effective_resistance(weights)
    assert edge_scores_full(weights, weights) == pytest.approx(resistance, abs=1e-8 * scale(resistance))
    assert resistance[0, 1] > 0.0
    if n > 2:
        with pytest.raises(Refused, match="cluster"):
            edge_scores(pairs, 1)


@pytest.mark.claim("SSD-T8")
def test_no_score_certifies_a_removal():
    """T8: the refitted cost grows with the outgoing weights, which no score of (Z, A) sees."""
    rng = np.random.default_rng(6)
    activations = np.maximum(rng.normal(size=(40, 4)), 0.0)
    costs = [refit_cost(activations, 2, np.array([w, 2 * w])) for w in (1.0, 10.0, 1000.0)]
    assert costs[0] > 0.1
    assert costs == pytest.approx([costs[0], 100 * costs[0], 1e6 * costs[0]])
    outgoing = rng.normal(size=(3, 4))
    known = np.column_stack([np.ones(40), np.delete(activations, 2, axis=1)])
    target = activations @ outgoing.T
    fit = known @ np.linalg.lstsq(known, target, rcond=None)[0]
    assert refit_cost(activations, 2, outgoing[:, 2]) == pytest.approx(np.sum((target - fit) ** 2))
    copied = np.column_stack([activations, activations[:, 2]])
    assert refit_cost(copied, 2, np.array([5.0])) == pytest.approx(0.0, abs=1e-20)


@pytest.mark.claim("SSD-T9")
def test_disconnection_hides_infinite_distortion():
    """T9: complete input graph, two output triangles."""
    triangles = np.kron(np.eye(2), complete(3))
    a, b = laplacian(complete(6)), laplacian(triangles)
    hidden = np.sort(np.linalg.eigvals(np.linalg.pinv(b) @ a).real)
    assert hidden == pytest.approx([0.0, 0.0, 2.0, 2.0, 2.0, 2.0], abs=1e-9)
    for ridge in (1e-2, 1e-4):
        top = np.linalg.eigvals(np.linalg.solve(b + ridge * np.eye(6), a)).real.max()
        assert top == pytest.approx(6 / ridge, rel=1e-6)
    assert components(triangles) == 2
    with pytest.raises(Refused, match="2 components"):
        pencil(complete(6), triangles)


@pytest.mark.claim("SSD-T10")
@given(graphs(max_size=5), st.data())
def test_updates(weights, data):
    """T10: Foster's sum, the rank-one update of an edge, and the removal of a node."""
    n = len(weights)
    resistance = effective_resistance(weights)
    assert np.sum(weights * resistance) / 2 == pytest.approx(n - 1, rel=1e-8)
    p, q = data.draw(st.sampled_from([(i, j) for i in range(n) for j in range(i) if weights[i, j]]))
    cut = weights.copy()
    cut[p, q] = cut[q, p] = 0.0
    bridge = components(cut) == 2
    assert (weights[p, q] * resistance[p, q] > 1 - 1e-8) == bridge
    inverse = np.linalg.pinv(laplacian(weights))
    if bridge:
        with pytest.raises(Refused, match="bridge"):
            pinv_after_deletion(inverse, p, q, weights[p, q])
    else:
        update = pinv_after_deletion(inverse, p, q, weights[p, q])
        assert update == pytest.approx(np.linalg.pinv(laplacian(cut)), abs=1e-7 * scale(update))
    if n > 2:
        rest = np.delete(np.delete(weights, p, 0), p, 1)
        assert without_node(weights, p) == pytest.approx(laplacian(rest), abs=1e-12)


@given(arrays(np.float64, (4, 4), elements=st.floats(-1.0, 1.0)), graphs(size=4))
def test_laplacian_is_a_sum_over_edges(vectors, weights):
    x = vectors[0]
    by_edges = sum(weights[p, q] * (x[p] - x[q]) ** 2 for p in range(4) for q in range(p))
    assert x @ laplacian(weights) @ x == pytest.approx(by_edges, abs=1e-12)
    assert laplacian(weights).sum(axis=1) == pytest.approx(np.zeros(4), abs=1e-12)


@pytest.mark.claim("SSD-T5")
def test_distances_ignore_gain_and_shift():
    states = np.random.default_rng(3).normal(size=(20, 5))
    table = correlation_distances(states)
    assert table == pytest.approx(2.0 - 2.0 * np.corrcoef(states.T), abs=1e-12)
    assert correlation_distances(states * [1.0, 2.0, 0.5, 9.0, 3.0] + [1.0, -2.0, 0.0, 4.0, 7.0]) == pytest.approx(
        table, abs=1e-12
    )
    assert correlation_distances(states * [1.0, -1.0, 1.0, 1.0, 1.0])[0, 1] == pytest.approx(4.0 - table[0, 1])


@pytest.mark.claim("SSD-T11")
@given(st.lists(st.integers(0, 5), min_size=2, max_size=5, unique=True))
def test_survivors_keep_their_distances(survivors):
    """A ReLU layer of six units: outgoing weights of the removed ones are gone, the states of the others are the same."""
    rng = np.random.default_rng(4)
    inputs, first, second = rng.normal(size=(30, 4)), rng.normal(size=(6, 4)), rng.normal(size=(3, 6))
    hidden = np.maximum(inputs @ first.T, 0.0)
    pruned = np.maximum(inputs @ first[survivors].T, 0.0)
    block = correlation_distances(hidden)[np.ix_(survivors, survivors)]
    assert correlation_distances(pruned) == pytest.approx(block, abs=1e-12)
    if len(survivors) < 6:
        assert not np.allclose(pruned @ second[:, survivors].T, hidden @ second.T)


@pytest.mark.parametrize(
    "call",
    [
        lambda: correlation_distances([[1.0, 2.0], [1.0, 3.0]]),
        lambda: correlation_distances([[np.nan, 2.0], [1.0, 3.0]]),
        lambda: laplacian([[0.0, 1.0], [2.0, 0.0]]),
        lambda: laplacian([[1.0, 1.0], [1.0, 0.0]]),
        lambda: laplacian([[0.0, -1.0], [-1.0, 0.0]]),
        lambda: laplacian([[0.0, np.nan], [np.nan, 0.0]]),
        lambda: laplacian([[0.0]]),
        lambda: laplacian(np.zeros((2, 3))),
        lambda: pencil(path(3), path(4)),
        lambda: pencil(np.zeros((3, 3)), path(3)),
        lambda: effective_resistance(np.zeros((2, 2))),
        lambda: edge_scores(pencil(path(3), complete(3)), 3),
        lambda: edge_scores(pencil(path(3), complete(3)), 1, "full"),
        lambda: node_scores(np.zeros((2, 2)), np.zeros((2, 2))),
        lambda: node_scores(path(3), np.zeros((2, 2))),
        lambda: twin_value(path(3), path(3), 0, 1),
        lambda: twin_value(path(3), path(3), 1, 1),
        lambda: twin_value(path(3), path(3), 0, 3),
        lambda: pinv_after_deletion(np.linalg.pinv(laplacian(path(3))), 0, 1, 1.0),
        lambda: pinv_after_deletion(np.linalg.pinv(laplacian(complete(3))), 0, 1, -1.0),
        lambda: without_node(path(3), 3),
        lambda: refit_cost([[np.nan]], 0, [1.0]),
        lambda: refit_cost([[1.0]], 1, [1.0]),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
