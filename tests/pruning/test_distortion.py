"""Spectral distortion of neurons: graphs that connect, fast roads equal to dense ones, what the score can and cannot see."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.stats import kendalltau, kstest

from certify.pruning.distortion import pencils
from certify.pruning.distortion.graphs import (
    approximate_graph,
    constant_units,
    directions,
    distances,
    neighbour_graph,
    spanning_tree,
)
from certify.pruning.distortion.pencils import default_count, edge_scores, laplacian, leading, solver
from certify.pruning.distortion.scores import SCORES, Scored, Settings, Units, score_units
from certify.pruning.neurons import keep_units
from certify.records import Refused, Usage
from certify.theory import graph_spectra as theory


def states(n: int = 30, samples: int = 200, seed: int = 0) -> np.ndarray:
    """Correlated states: a mixture of a third as many sources, and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, n // 3 + 1)) @ rng.normal(size=(n // 3 + 1, n)) + 0.5 * rng.normal(size=(samples, n))


def units(before: np.ndarray, after: np.ndarray | None = None, **given: object) -> Units:
    n = before.shape[1]
    rng = np.random.default_rng(5)
    after = np.maximum(before, 0) if after is None else after
    return replace(Units(before, after, rng.random(n) + 0.5, rng.random(n) + 0.5, rng.random(n)), **given)  # type: ignore[arg-type]


def graph(table: np.ndarray, **options: object) -> csr_matrix:
    return neighbour_graph(distances(directions(table, "pearson"), "pearson"), **options).weights  # type: ignore[arg-type]


def pair(n: int = 30, seed: int = 0) -> tuple[csr_matrix, csr_matrix]:
    before = states(n, seed=seed)
    return graph(before), graph(np.maximum(before, 0))


# ---- graphs


@given(st.integers(2, 25), st.integers(1, 12), st.sampled_from(["unit", "corr", "gauss"]), st.sampled_from(["index", "all"]))
def test_graphs_are_symmetric_connected_and_have_their_neighbours(n, k, weight, ties):
    table = distances(directions(states(n, 40, n), "pearson"), "pearson")
    found = neighbour_graph(table, k=k, weight=weight, ties=ties)
    w = found.weights.toarray()
    assert np.array_equal(w, w.T) and not np.any(np.diag(w)) and np.all(w[w != 0] > 0)
    assert connected_components(found.weights)[0] == 1
    away = table + np.diag(np.full(n, np.inf))
    for p in range(n):
        assert set(np.argsort(away[p], kind="stable")[: min(k, n - 1)]) <= set(np.flatnonzero(w[p]))
    assert np.allclose(laplacian(found.weights).sum(axis=1), 0, atol=1e-12)
    assert np.linalg.eigvalsh(laplacian(found.weights).toarray()).min() > -1e-10


def test_weights_of_edges():
    table = distances(directions(states(12, 80), "pearson"), "pearson")
    unit, corr, gauss = (neighbour_graph(table, k=3, weight=weight).weights.toarray() for weight in ("unit", "corr", "gauss"))
    edges = unit > 0
    assert set(np.unique(unit)) == {0.0, 1.0} and np.array_equal(corr > 0, edges) and np.array_equal(gauss > 0, edges)
    assert np.allclose(corr[edges], np.maximum((1 + np.corrcoef(states(12, 80).T))[edges] / 2, 1e-6))
    ratio = np.log(gauss[edges]) / table[edges]
    assert np.allclose(ratio, ratio[0]) and ratio[0] < 0
    opposite = np.array([[0.0, 4.0], [4.0, 0.0]])
    assert neighbour_graph(opposite, weight="corr").weights[0, 1] == 1e-6  # it must still connect


def test_the_tree_is_the_least_one():
    table = distances(directions(states(40), "pearson"), "pearson")
    edges = spanning_tree(table)
    assert len({tuple(sorted(edge)) for edge in edges.tolist()}) == 39
    assert table[edges[:, 0], edges[:, 1]].sum() == pytest.approx(minimum_spanning_tree(csr_matrix(table)).sum())


def test_clusters_are_joined_and_counted():
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=(300, 8)) for _ in range(2))
    found = neighbour_graph(distances(directions(np.hstack([left, right]), "pearson"), "pearson"), k=3)
    assert (found.components, found.tree_edges >= 1) == (2, True)
    assert connected_components(found.weights)[0] == 1


def test_duplicates_tie_and_the_tie_rule_decides():
    twice = np.hstack([states(6), states(6)])
    table = distances(directions(twice, "pearson"), "pearson")
    index, both = neighbour_graph(table, k=1), neighbour_graph(table, k=1, ties="all")
    assert all(index.weights[p, p + 6] == 1 for p in range(6))
    assert both.weights.nnz >= index.weights.nnz
    three = np.hstack([states(6)] * 3)
    table = distances(directions(three, "pearson"), "pearson")
    whole = neighbour_graph(table, k=1, ties="all").weights.toarray()
    assert all(whole[p, p + 6] and whole[p, p + 12] and whole[p + 6, p + 12] for p in range(6))


@given(st.integers(0, 100))
def test_gains_and_shifts_of_a_neuron_change_nothing(seed):
    rng = np.random.default_rng(seed)
    table = states(12, 60, seed)
    moved = table * (0.1 + rng.random(12)) * 10 + rng.normal(size=12)
    one, other = (distances(directions(each, "pearson"), "pearson") for each in (table, moved))
    assert np.allclose(one, other, atol=1e-9)


def test_pearson_distances_are_those_of_the_theory():
    assert np.allclose(distances(directions(states(20), "pearson"), "pearson"), theory.correlation_distances(states(20)))


def test_similarities_differ_where_they_should():
    table = states(8)
    flipped = table * np.where(np.arange(8) % 2, -1.0, 1.0)
    assert np.allclose(distances(directions(table, "abs"), "abs"), distances(directions(flipped, "abs"), "abs"))
    assert not np.allclose(*(distances(directions(each, "pearson"), "pearson") for each in (table, flipped)))
    plain = distances(directions(table, "euclid"), "euclid")
    assert np.allclose(plain, np.sum((table[:, :, None] - table[:, None, :]) ** 2, axis=0))
    moved = distances(directions(table + 3.0, "cosine"), "cosine")
    assert not np.allclose(moved, distances(directions(table, "cosine"), "cosine"))


@pytest.mark.parametrize(
    ("table", "words"),
    [(np.array([[1.0, np.nan], [0, 1], [1, 0]]), "NaN"), (np.ones((2, 3)), "at least three"), (np.ones((5, 3)), "constant")],
)
def test_states_that_make_no_graph_are_refused(table, words):
    with pytest.raises(Refused, match=words):
        directions(table, "pearson")


def test_words_that_are_none_are_refused():
    table = distances(directions(states(5), "pearson"), "pearson")
    for call in (
        lambda: directions(states(5), "jaccard"),
        lambda: neighbour_graph(table, weight="cubic"),
        lambda: neighbour_graph(table, ties="coin"),
        lambda: neighbour_graph(table, k=0),
        lambda: edge_scores(*pair(6), form="square"),
        lambda: score_units(units(states(5)), "gut feeling"),
    ):
        with pytest.raises(Usage):
            call()


def test_approximate_neighbours_agree_with_exact_ones():
    columns = directions(states(300, 100), "pearson")
    exact = neighbour_graph(distances(columns, "pearson"), k=10).weights
    found = approximate_graph(columns, k=10)
    assert connected_components(found.weights)[0] == 1
    shared = exact.multiply(found.weights).nnz / exact.nnz
    assert shared > 0.95
    assert (approximate_graph(columns, k=10).weights != found.weights).nnz == 0


def test_approximate_pieces_are_joined():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(300, 1)) + 0.1 * rng.normal(size=(300, 20)) for _ in range(3)]
    found = approximate_graph(directions(np.hstack(blocks), "pearson"), k=4, weight="corr")
    assert found.components == 3 and found.tree_edges == 2 and connected_components(found.weights)[0] == 1


def test_without_the_package_approximate_neighbours_say_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(Usage, match="faiss"):
        approximate_graph(directions(states(20), "pearson"))


# ---- pencils


@pytest.mark.parametrize("form", ["spade", "log", "full"])
@pytest.mark.parametrize("dense", [True, False])
def test_scores_are_those_of_the_theory(form, dense):
    inner, outer = pair(36)
    a, b = inner.toarray(), outer.toarray()
    wanted = theory.edge_scores_full(a, b) if form == "full" else theory.edge_scores(theory.pencil(a, b), 4, form)
    found = edge_scores(inner, outer, form=form, count=4, dense=dense or form == "full")
    assert np.allclose(found.nodes("mean", 36), theory.node_scores(a, wanted), rtol=1e-8)
    share = found.nodes("share", 36)
    assert share.sum() == pytest.approx(np.sum(a * wanted) / 2)


@given(st.integers(0, 50), st.integers(8, 40), st.integers(1, 6))
def test_the_iterative_road_is_the_dense_one(seed, n, count):
    inner, outer = pair(n, seed)
    dense, fast = (leading(inner, outer, count, dense=road) for road in (True, False))
    assert np.allclose(dense.values, fast.values, rtol=1e-8)
    b = laplacian(outer).toarray()
    assert np.allclose(fast.vectors.T @ b @ fast.vectors, np.eye(len(fast.values)), atol=1e-7)
    assert np.allclose(fast.vectors.sum(axis=0), 0, atol=1e-7)
    scores = [edge_scores(inner, outer, count=count, dense=road).nodes("mean", n) for road in (True, False)]
    assert np.allclose(*scores, rtol=1e-6, atol=1e-9)


def test_badly_connected_graphs_are_factored(monkeypatch):
    monkeypatch.setattr(pencils, "LONGEST", 1)
    b = laplacian(pair(30)[1])
    x = np.random.default_rng(0).normal(size=30)
    assert np.allclose(solver(b)(x), np.linalg.pinv(b.toarray()) @ x, atol=1e-10)


def test_a_cluster_of_eigenvalues_is_not_cut():
    """Equal graphs: every value is 1, so that any one pair means all of them; the log form is 0."""
    inner, _ = pair(20)
    found = leading(inner, inner, 3)
    assert len(found.values) == 19 and np.allclose(found.values, 1)
    assert np.allclose(edge_scores(inner, inner, form="log").values, 0, atol=1e-12)
    spade = edge_scores(inner, inner)  # all pairs now, and so the effective resistances
    assert np.allclose(spade.values, theory.effective_resistance(inner.toarray())[spade.rows, spade.cols])


def test_a_rotation_inside_an_eigenspace_changes_nothing():
    inner, _ = pair(20)
    found = edge_scores(inner, inner)
    turned = theory.pencil(inner.toarray(), inner.toarray())
    assert np.allclose(found.values, np.sum((turned.vectors[found.rows] - turned.vectors[found.cols]) ** 2, axis=1))


def test_the_sketch_is_unbiased_within_its_error():
    inner, outer = pair(40)
    exact = edge_scores(inner, outer, form="full", dense=True)
    rows = 2000
    found = edge_scores(inner, outer, form="full", sketch=rows)
    relative = found.values / exact.values - 1
    assert np.sqrt(np.mean(relative**2)) < 1.5 * np.sqrt(2 / rows)
    assert abs(relative.mean()) < 3 * np.sqrt(2 / rows)
    assert kendalltau(found.nodes("mean", 40), exact.nodes("mean", 40))[0] > 0.8


def test_scaling_the_graphs_scales_the_scores():
    inner, outer = pair(25)
    base = edge_scores(inner, outer).nodes("mean", 25)
    assert np.allclose(edge_scores(3 * inner, outer).nodes("mean", 25), 3 * base)
    assert np.allclose(edge_scores(inner, 2 * outer).nodes("mean", 25), base / 4)


def test_two_neurons_have_one_score():
    inner, outer = csr_matrix([[0.0, 3.0], [3.0, 0.0]]), csr_matrix([[0.0, 2.0], [2.0, 0.0]])
    assert leading(inner, outer, 1).values == pytest.approx([1.5])
    scores = edge_scores(inner, outer).nodes("mean", 2)
    assert scores[0] == pytest.approx(scores[1])


def test_more_pairs_than_there_are_means_all():
    inner, outer = pair(6)
    assert len(leading(inner, outer, 50).values) == 5
    assert (default_count(4), default_count(80), default_count(2000)) == (1, 10, 10)
    with pytest.raises(Refused, match="nodes"):
        leading(inner, pair(7)[1], 1)


# ---- scores


@pytest.mark.parametrize("score", SCORES)
def test_every_score_is_finite_and_follows_its_neurons(score):
    table = states(24)
    order = np.random.default_rng(3).permutation(24)
    one = units(table)
    moved = Units(one.before[:, order], one.after[:, order], one.incoming[order], one.outgoing[order], one.taylor[order])
    found = score_units(one, score).scores
    assert np.all(np.isfinite(found)) and found.shape == (24,)
    if score not in ("random", "permuted"):
        assert np.allclose(score_units(moved, score).scores, found[order], rtol=1e-6)


def test_the_spectral_score_does_not_see_outgoing_weights():
    """SSD-T5 (d), bit for bit; contribution and magnitude do."""
    one = units(states(20))
    noisy = replace(one, outgoing=np.random.default_rng(9).random(20) + 0.1)
    for form in ("spade", "log", "full"):
        settings = Settings(form=form)
        assert np.array_equal(score_units(one, "spectral", settings).scores, score_units(noisy, "spectral", settings).scores)
    assert not np.array_equal(score_units(one, "contribution").scores, score_units(noisy, "contribution").scores)


def test_twins_score_alike_so_duplicates_are_not_found():
    """SSD-T6, with all neighbours of equal distance; the duplicate control finds them."""
    table = states(15)
    twice = np.hstack([table, table[:, :1]])
    found = score_units(units(twice), "spectral", Settings(ties="all")).scores
    assert found[0] == pytest.approx(found[-1], rel=1e-8)
    duplicates = score_units(units(twice), "duplicate").scores
    assert set(np.argsort(duplicates)[:2]) == {0, 15}


def test_an_affine_layer_has_no_log_distortion():
    """SSD-T7: units that are active on every sample."""
    table = states(20)
    shifted = table - table.min(axis=0) + 1.0
    found = score_units(units(table, shifted), "spectral", Settings(form="log")).scores
    assert np.allclose(found, 0, atol=1e-12)


def test_permuted_labels_keep_both_graphs_and_break_what_corresponds():
    one = units(states(40), seed=3)
    plain, permuted = score_units(one, "spectral"), score_units(one, "permuted")
    assert permuted.facts["tree_edges"] == plain.facts["tree_edges"]
    assert abs(kendalltau(plain.scores, permuted.scores)[0]) < 0.5
    assert not np.array_equal(permuted.scores, score_units(replace(one, seed=4), "permuted").scores)


def test_dead_and_constant_units_go_first_and_are_reported():
    table = states(10)
    before, after = table.copy(), np.maximum(table, 0)
    before[:, 2] -= 100.0  # dead
    after[:, 2] = 0.0
    before[:, 5], after[:, 5] = 0.25, 0.25  # constant
    outgoing = np.ones(10)
    outgoing[7] = 0.0  # removed before
    found = score_units(units(before, after, outgoing=outgoing), "spectral")
    assert found.order()[:3].tolist() == [7, 2, 5]
    assert found.order(reverse=True)[:3].tolist() == [7, 2, 5]
    assert found.facts["constant"] == {"2": 0.0, "5": 0.25} and found.facts["alive"] == 7
    assert np.isnan(found.scores[[2, 5, 7]]).all() and np.isfinite(np.delete(found.scores, [2, 5, 7])).all()
    assert constant_units(np.array([[1e6, 0.0], [1e6 + 1e-3, 1e-6]])).tolist() == [True, False]


def test_a_layer_of_dead_units_collapses_and_one_unit_has_nothing_to_compare():
    dead = score_units(units(-np.ones((9, 4)), np.zeros((9, 4))), "spectral")
    assert dead.constant.all() and dead.order().tolist() == [0, 1, 2, 3]
    single = score_units(units(states(1, 20)), "spectral")
    assert single.scores.tolist() == [0.0]


def test_impossible_and_broken_states_are_refused():
    table = states(5)
    odd = table.copy()
    odd[:, 3] = 1.0
    with pytest.raises(Refused, match="unit 3 is constant before"):
        score_units(units(odd, table), "spectral")
    table[0, 0] = np.inf
    with pytest.raises(Refused, match="infinity"):
        score_units(units(table), "rms")
    with pytest.raises(Refused, match="lacks what it reads"):
        score_units(units(states(5), taylor=np.full(5, np.nan)), "taylor")


def test_complete_graphs_warn_and_few_samples_are_said():
    with pytest.warns(UserWarning, match="complete"):
        score_units(units(states(6)), "spectral")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score_units(units(states(30, 20)), "spectral")
    assert found.facts["few_samples"] == 20


def test_ties_go_to_the_smaller_contribution_then_the_earlier():
    scored = Scored(np.zeros(4), np.zeros(4, bool), np.zeros(4, bool), np.array([2.0, 1.0, 1.0, 3.0]))
    assert scored.order().tolist() == [1, 2, 0, 3]


@given(st.floats(0, 1), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_counts_are_exact_per_layer_and_over_all(share, one, other, reverse):
    rng = np.random.default_rng(one * 13 + other)
    scored = {
        str(n): Scored(rng.random(n), rng.random(n) < 0.2, rng.random(n) < 0.2, rng.random(n)) for n in sorted({one, other + 12})
    }
    sizes = {name: len(found.gone) for name, found in scored.items()}
    kept = keep_units(scored, share, reverse=reverse)
    assert {name: int(mask.sum()) for name, mask in kept.items()} == {name: n - round(share * n) for name, n in sizes.items()}
    whole = keep_units(scored, share, allocation="global", reverse=reverse)
    total = sum(sizes.values())
    assert sum(int(mask.sum()) for mask in whole.values()) == total - round(share * total)
    assert all(not np.any(kept[name] & found.gone) or np.all(kept[name][~found.gone]) for name, found in scored.items())


def test_exchangeable_neurons_are_treated_alike():
    """200 layers of independent Gaussian neurons: the rank of neuron 0 is uniform (Kolmogorov-Smirnov, false alarm 1e-4)."""
    ranks = []
    for seed in range(200):
        before = np.random.default_rng(seed).normal(size=(60, 16))
        ranks.append((np.argsort(np.argsort(score_units(units(before), "spectral").scores))[0] + 0.5) / 16)
    assert kstest(ranks, "uniform").pvalue > 1e-4


def test_scores_repeat_on_structure_and_not_on_noise():
    """Kendall's tau between scores of two halves of the samples."""

    def agreement(table: np.ndarray) -> float:
        halves = [score_units(units(table[half::2]), "spectral").scores for half in (0, 1)]
        return float(kendalltau(*halves)[0])

    noise = [agreement(np.random.default_rng(seed).normal(size=(200, 40))) for seed in range(10)]
    structured = states(40, 4000) + 4.0 * np.random.default_rng(1).normal(size=40)
    assert abs(np.mean(noise)) < 0.15 < 0.3 < agreement(structured)
