"""Trials of rank-monotone masks and of graph spectra."""

from __future__ import annotations

import numpy as np

from certify.theory import graph_spectra as graphs
from certify.theory import rank_monotone as rank
from proofs_check.trials.core import Field, Side, Trial

BASE = Field("base m; ties allowed", ("entries",), low=-3, high=3, kind="whole")
SCORE = Field("score s", ("entries",), low=-3, high=3, kind="whole")
KEPT = Field("kept count K", low=1, high=6, kind="whole")
RANGES = {"entries": (2, 7), "nodes": (2, 6)}


def _sorted_mask(scores, kept, base=None):
    """The definition: a plain sort by (-s, -m, i)."""
    keys = [(-s, 0 if base is None else -base[i], i) for i, s in enumerate(scores)]
    mask = np.zeros(len(keys), bool)
    mask[[i for *_, i in sorted(keys)[:kept]]] = True
    return mask


def _differing(one, other):
    return float(np.sum(one != other))


def _within(kept, base, **_):
    return {"K <= N": kept <= len(base)}


def _equivalent(base, kept, slope, bend):
    scores = slope * base + bend * base**3
    return [
        Side(
            f"entries that differ, {rule} rule",
            _differing(_sorted_mask(scores, kept, tie), rank.top_mask(base, kept, tie)),
            0.0,
            True,
        )
        for rule, tie in (("index", None), ("base", base))
    ]


def _monotone(base, kept, slope, bend):
    return _within(kept, base) | {
        "the score is strictly rank-monotone": rank.is_rank_monotone(slope * base + bend * base**3, base)
    }


def _ties(base, kept, cap):
    scores = np.minimum(base, cap)
    by_index = _differing(_sorted_mask(scores, kept), _sorted_mask(base, kept))
    by_base = _differing(_sorted_mask(scores, kept, base), _sorted_mask(base, kept))
    return [
        Side("entries that differ by the index rule", by_index, float(rank.tie_difference_upper(scores, kept))),
        Side("entries that differ by the base rule", by_base, 0.0, True),
    ]


def _criterion(base, score, kept):
    same = float(np.array_equal(_sorted_mask(score, kept), _sorted_mask(base, kept)))
    separated = float(rank.separates_top(score, base, kept))
    sides = [Side("separated => equal masks", separated, same)]
    if rank.cut_is_clean(score, kept):
        sides.append(Side("no tie at the cut: equal masks => separated", same, separated))
    return sides


def _fusion(base, first, second, kept):
    fused = first * base + second * base**3
    return [Side("entries that differ", _differing(_sorted_mask(fused, kept), _sorted_mask(base, kept)), 0.0, True)]


def _fused(base, first, second, kept):
    return _within(kept, base) | {"not all weights 0": first + second > 0}


def _allocation(base, score, first, second):
    one, two = np.unique(base), np.unique(score)
    counts = [min(first, len(one)), min(second, len(two))]
    pool = np.concatenate(rank.scores_for_allocation([one, two], counts))
    keep = _sorted_mask(pool, sum(counts))
    return [
        Side("kept in the first layer", float(keep[: len(one)].sum()), float(counts[0]), True),
        Side("kept in the second layer", float(keep[len(one) :].sum()), float(counts[1]), True),
        Side("top of the first layer", float(keep[len(one) - counts[0] : len(one)].sum()), float(counts[0]), True),
    ]


def _uniform(layers, width, kept):
    kept = min(kept, layers * width)
    ranks = np.tile(np.arange(width), layers)
    found = _sorted_mask(ranks, kept).reshape(layers, width).sum(axis=1)
    low, high = rank.global_rank_counts(layers, width, kept)
    return [
        Side("floor <= least kept", float(low), float(found.min())),
        Side("most kept <= ceiling", float(found.max()), float(high)),
    ]


def _graph(table):
    """A connected graph: a path of weight 1 and whatever the table adds."""
    n = len(table)
    weights = np.triu(np.abs(table), 1)
    weights[np.arange(n - 1), np.arange(1, n)] += 1.0
    return weights + weights.T


def _pencil(inner, outer):
    a, b = graphs.laplacian(_graph(inner)), graphs.laplacian(_graph(outer))
    pairs = graphs.pencil(_graph(inner), _graph(outer))
    spectrum = np.sort(np.linalg.eigvals(np.linalg.pinv(b) @ a).real)[::-1]
    scale = float(spectrum[0])
    return [
        *(Side(f"eigenvalue {i}", float(value), float(spectrum[i]), True, scale * 1e3) for i, value in enumerate(pairs.values)),
        Side("one zero", float(spectrum[-1]), 0.0, True, scale * 1e3),
        Side("all positive", 0.0, float(pairs.values.min())),
    ]


def _resistances(inner, outer):
    low, high = graphs.resistance_ratio_range(_graph(inner), _graph(outer))
    inverse = [np.linalg.pinv(graphs.laplacian(_graph(table))) for table in (inner, outer)]
    first, second = np.triu_indices(len(inner), 1)
    r_in, r_out = (p[first, first] + p[second, second] - 2 * p[first, second] for p in inverse)
    ratio = r_out / r_in
    return [Side("lambda_min <= R_out/R_in", low, float(ratio.min())), Side("R_out/R_in <= lambda_max", float(ratio.max()), high)]


def _sum_rule(inner, outer):
    w = _graph(inner)
    pairs = graphs.pencil(w, _graph(outer))
    count = len(pairs.values)
    edges = graphs.edge_scores(pairs, count)
    total, want = float(np.sum(w * edges) / 2), float(np.sum(pairs.values**2))
    nodes = float(w.sum(axis=1) @ graphs.node_scores(w, edges))
    return [Side("sum over edges", total, want, True), Side("sum over nodes", nodes, 2 * want, True)]


def _closed_form(inner, outer):
    full = graphs.edge_scores_full(_graph(inner), _graph(outer))
    pairs = graphs.pencil(_graph(inner), _graph(outer))
    by_pairs = graphs.edge_scores(pairs, len(pairs.values))
    return [Side("largest difference", float(np.abs(full - by_pairs).max()), 0.0, True, float(full.max()) * 10)]


def _scaling(inner, outer, a, b):
    pairs = graphs.pencil(_graph(inner), _graph(outer))
    scaled = graphs.pencil(a * _graph(inner), b * _graph(outer))
    count = len(pairs.values)
    before, after = (
        graphs.node_scores(w, graphs.edge_scores(p, count)) for w, p in ((_graph(inner), pairs), (_graph(inner), scaled))
    )
    return [Side("W_in -> a W_in, W_out -> b W_out", float(after.sum()), float(before.sum() * a / b**2), True)]


def _deletion(inner, weight):
    """Delete an edge of weight w from a path with a chord, against a fresh pseudo-inverse."""
    w = _graph(inner)
    n = len(w)
    w[0, n - 1] = w[n - 1, 0] = w[0, n - 1] + weight
    after = w.copy()
    after[0, n - 1] = after[n - 1, 0] = after[0, n - 1] - weight
    updated = graphs.pinv_after_deletion(np.linalg.pinv(graphs.laplacian(w)), 0, n - 1, weight)
    fresh = np.linalg.pinv(graphs.laplacian(after))
    resistance = graphs.effective_resistance(w)
    return [
        Side("largest difference", float(np.abs(updated - fresh).max()), 0.0, True, float(np.abs(fresh).max()) * 1e3),
        Side("Foster: sum of w R = n - 1", float(np.sum(w * resistance) / 2), float(n - 1), True),
    ]


TABLE = Field("weights of the input graph above a path of ones; upper triangle", ("nodes", "nodes"), low=0.0, high=20.0)
OUTER = Field("weights of the output graph above a path of ones; upper triangle", ("nodes", "nodes"), low=0.0, high=20.0)
GAIN = Field("a gain > 0", low=0.25, high=4.0)
WHOLE = Field("a whole weight >= 0", low=0, high=5, kind="whole")
BOTH = {"inner": TABLE, "outer": OUTER}


def _free(**_):
    return {}


TRIALS = (
    Trial("SEL-T1", {"base": BASE, "kept": KEPT, "slope": WHOLE, "bend": WHOLE}, _equivalent, _monotone, RANGES),
    Trial(
        "SEL-T2",
        {"base": BASE, "kept": KEPT, "cap": Field("where the score saturates", low=-3, high=3, kind="whole")},
        _ties,
        _within,
        RANGES,
    ),
    Trial("SEL-T3", {"base": BASE, "score": SCORE, "kept": KEPT}, _criterion, _within, RANGES),
    Trial("SEL-T4", {"base": BASE, "score": SCORE, "first": KEPT, "second": KEPT}, _allocation, _free, RANGES),
    Trial("SEL-T5", {"base": BASE, "first": WHOLE, "second": WHOLE, "kept": KEPT}, _fusion, _fused, RANGES),
    Trial(
        "SEL-T6",
        {
            "layers": Field("layers L", low=1, high=6, kind="whole"),
            "width": Field("width n", low=1, high=6, kind="whole"),
            "kept": KEPT,
        },
        _uniform,
        _free,
    ),
    Trial("SSD-T1", BOTH, _pencil, _free, RANGES),
    Trial("SSD-T2", BOTH, _resistances, _free, RANGES),
    Trial("SSD-T3", BOTH, _sum_rule, _free, RANGES),
    Trial("SSD-T4", BOTH, _closed_form, _free, RANGES),
    Trial("SSD-T5", BOTH | {"a": GAIN, "b": GAIN}, _scaling, _free, RANGES),
    Trial("SSD-T10", {"inner": TABLE, "weight": GAIN}, _deletion, _free, {"nodes": (3, 6)}),
)
