"""Spectral methods against their formulas written out entry by entry; layers no law can be fitted to; honest counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from certify.laws.shrinkage import hard_threshold
from certify.pruning import prune
from certify.pruning.method import Request
from certify.pruning.unstructured.magnitude import overlap
from certify.pruning.unstructured.rmt import THETA, rows_of, threshold, vector_step
from certify.pruning.unstructured.seb import signals
from certify.pruning.unstructured.ser import restore
from certify.records import Evidence, Plan, Target

SHAPES = {
    "stem": (24, 3, 4, 4),
    "attn.qkv": (60, 24),
    "attn.proj": (24, 24),
    "mlp.fc1": (64, 24),
    "depthwise": (24, 1, 3, 3),
    "head": (3, 24),
    "constant": (20, 20),
}
WITHOUT_BULK = ("depthwise", "head", "constant")
TARGETS = [Target(name, "conv" if len(shape) > 2 else "linear", shape) for name, shape in SHAPES.items()]
TOTAL = sum(target.size for target in TARGETS)


def made_evidence(seed: int = 7) -> Evidence:
    rng = np.random.default_rng(seed)
    weights = {}
    for scale, target in enumerate(TARGETS, start=2):
        spike = np.outer(rng.normal(size=target.rows), rng.normal(size=target.cols)) / 3
        weights[target.name] = 0.1 * scale * (rng.normal(size=(target.rows, target.cols)) + spike)
    weights["constant"][:] = 0.25
    movements = {name: np.abs(rng.normal(size=weight.shape)).round(1) for name, weight in weights.items()}
    return Evidence("a" * 64, "b" * 64, 10, weights, {"movements": movements})


EVIDENCE = made_evidence()
REQUEST = Request(tuple(TARGETS), EVIDENCE, 0.5)
ROWS = rows_of(REQUEST)


def make(method: str, sparsity: float | None = None, evidence: Evidence = EVIDENCE, **options: Any) -> Plan:
    return prune(TARGETS, evidence, name="p", method=method, sparsity=sparsity, seed=3, options=options)


def removed(plan: Plan) -> dict[str, int]:
    return {edit.target: edit.removed for edit in plan.edits}


# Budgets


def test_layers_without_a_bulk_have_no_signal() -> None:
    """A depthwise kernel, three rows and a constant matrix: z = 0, weight 1, and the others' scores do not see them."""
    assert {name for name, row in ROWS.items() if not row.fitted} == set(WITHOUT_BULK)
    for signal in ("edge", "edge/std"):
        found = signals(REQUEST, signal)
        assert {name for name, value in found.items() if value is None} == set(WITHOUT_BULK)
        weights = make("seb", 0.5, signal=signal).facts["layer_weights"]
        assert all(weights[name] == 1.0 for name in WITHOUT_BULK)
    assert signals(REQUEST, "alpha")["constant"] is None, "rank one: what lies below is rounding"


@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.5, 0.6])
@pytest.mark.parametrize("signal", ["edge", "alpha", "std", "rms", "shape", "edge/std"])
def test_budgets_are_their_formula(sparsity: float, signal: str) -> None:
    """w = max(.1, 1 + beta d z) and the globally smallest |w| / w_l, written out; the factors multiply their own beta."""
    betas, equal = {
        0.1: ((0.5, 0.5, 0.5), 0.3),
        0.3: ((1.0, 1.0, 1.0), 0.5),
        0.5: ((1.25, 1.25, 1.25), 0.7),
        0.6: ((1.0, 2.0, 1.5), 0.85),
    }[sparsity]
    raw = {
        "edge": lambda name: ROWS[name].bare_edge if ROWS[name].fitted else None,
        "alpha": lambda name: ROWS[name].hill_20 if name != "constant" else None,
        "std": lambda name: EVIDENCE.weights[name].std(),
        "rms": lambda name: np.linalg.norm(EVIDENCE.weights[name]) / math.sqrt(EVIDENCE.weights[name].size),
        "shape": lambda name: math.sqrt(EVIDENCE.weights[name].shape[0]) + math.sqrt(EVIDENCE.weights[name].shape[1]),
        "edge/std": lambda name: ROWS[name].bare_edge / EVIDENCE.weights[name].std() if ROWS[name].fitted else None,
    }[signal]
    values = {name: raw(name) for name in SHAPES}
    known = [value for value in values.values() if value is not None]
    plan = make("seb", sparsity, signal=signal, strength=0.9, attn=0.5, mlp=1.5, decay=1.1, exponent=2.0)
    weights = {}
    for name, value in values.items():
        z = 0.0 if value is None else (value - np.mean(known)) / np.std(known)
        beta = betas[0] * 0.5 if "attn" in name else betas[1] * 1.5 if "mlp" in name else betas[2]
        weights[name] = max(0.1, 1 + 0.9 * beta * (1 - sparsity / (1.1 * equal)) ** 2 * z)
    assert plan.facts["layer_weights"] == pytest.approx(weights)
    scores = sorted(
        (abs(value) / plan.facts["layer_weights"][name], order, place)
        for order, name in enumerate(SHAPES)
        for place, value in enumerate(EVIDENCE.weights[name].reshape(-1))
    )
    gone = {(order, place) for _, order, place in scores[: math.floor(round(sparsity * TOTAL, 6))]}
    assert gone == {(order, int(at)) for order, edit in enumerate(plan.edits) for at in np.flatnonzero(~edit.kept)}


def test_the_regime_is_the_published_table() -> None:
    for sparsity, signal in ((0.2, "alpha"), (0.21, "edge"), (0.7, "edge")):
        assert make("seb", sparsity).facts["layer_weights"] == make("seb", sparsity, signal=signal).facts["layer_weights"]


def test_the_overlap_with_magnitude_is_counted() -> None:
    plain, plan = make("magnitude", 0.5), make("seb", 0.5)
    shared = sum(int(np.sum(~a.kept & ~b.kept)) for a, b in zip(plain.edits, plan.edits, strict=True))
    assert plan.facts["overlap_with_magnitude"] == shared / plan.removed < 1
    assert make("seb", 0.5, strength=0.0).facts["overlap_with_magnitude"] == 1.0
    assert make("seb", 0.0).facts["overlap_with_magnitude"] == 1.0, "nothing is removed: nothing differs"
    most = {edit.target: edit.kept for edit in make("magnitude", 0.75).edits}
    assert overlap(REQUEST, most, 0.5) == math.floor(0.5 * TOTAL) / math.floor(0.75 * TOTAL)


# Reallocation


def test_reallocation_by_hand() -> None:
    """Eight removed, five may stay removed: the three that moved most return; of the tied ones the earlier."""
    over = {"a": np.array([[False, False, True], [False, False, True]]), "b": np.array([[False] * 4 + [True] * 2])}
    ranks = {"a": np.array([[0.1, 0.5, 9.0], [0.5, 0.2, 9.0]]), "b": np.array([[0.7, 0.5, 0.0, 0.1, 9.0, 9.0]])}
    kept = restore(over, ranks, 5 / 12)
    assert kept["a"].tolist() == [[False, True, True], [True, False, True]]
    assert kept["b"].tolist() == [[True, False, False, False, True, True]]


def test_the_direction_of_the_ranking() -> None:
    """1 / w returns more to layers the budget protects, w to those it cuts."""
    plans = {
        priority: make("ser", 0.5, priority=priority, margin=0.2, signal="edge") for priority in ("inverse", "one", "weight")
    }
    weights = plans["one"].facts["layer_weights"]
    low, high = min(weights, key=weights.__getitem__), max(weights, key=weights.__getitem__)
    back = {priority: plan.facts["restored_by_layer"] for priority, plan in plans.items()}
    assert weights[low] < 1 < weights[high]
    assert back["inverse"][low] > back["one"][low] > back["weight"][low]
    assert back["inverse"][high] < back["one"][high] < back["weight"][high]
    assert {sum(found.values()) for found in back.values()} == {math.floor(0.7 * TOTAL) - math.floor(0.5 * TOTAL)}


def test_the_hybrid_is_reallocation_with_a_first_step() -> None:
    options: dict[str, Any] = {"margin": 0.05, "signal": "std", "strength": 0.7, "decay": 1.2}
    for sparsity, twin in ((0.3, make("ser", 0.3, **options)), (0.2, make("magnitude", 0.2))):
        plan = make("hybrid", sparsity, **options)
        assert all(np.array_equal(a.kept, b.kept) for a, b in zip(plan.edits, twin.edits, strict=True))
    own: dict[str, Any] = {"signal": "rms", "strength": 0.7, "attn": 0.2, "mlp": 1.7, "decay": 1.2, "exponent": 2.0}
    twins = make("ser", 0.5, margin=0.0, **own), make("seb", 0.5, **own)
    assert twins[0].facts["layer_weights"] == twins[1].facts["layer_weights"], "every option reaches the budget under its name"
    early = make("hybrid", 0.2, first=0.1, **options)
    assert removed(early) == removed(make("ser", 0.2, **options)) and early.facts["restored"] > 0


# The published sub-edge method and its singular-vector step


def step_by_loops(weight: np.ndarray, left: Any, right: Any) -> np.ndarray:
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    whole = np.zeros(weight.shape)
    for j, value in enumerate(s):
        a = np.array([entry if abs(entry) >= left(value) else 0.0 for entry in u[:, j]])
        b = np.array([entry if abs(entry) >= right(value) else 0.0 for entry in v[j]])
        whole += value * np.outer(a, b)
    return whole


def test_the_published_threshold_by_hand() -> None:
    found = threshold(np.array([0.0, 0.5, 1.0, 2.0]), edge=1.0, theta=75.0)
    assert found.tolist() == pytest.approx([75.0, 0.1, 0.1, 0.1]), "(1/2)^30 is below 1/750"
    assert threshold(np.array([0.1]), edge=1.0, theta=1.0)[0] == pytest.approx(0.9**30)
    assert pytest.approx(1.125e-5) == THETA


def test_the_vector_step_by_loops() -> None:
    weight = EVIDENCE.weights["attn.qkv"]
    found, zeroed = vector_step(weight, lambda s: 0.02 * s, lambda s: 0.05 * s)
    assert np.allclose(found, step_by_loops(weight, lambda s: 0.02 * s, lambda s: 0.05 * s)) and zeroed > 0
    same, none = vector_step(weight, np.zeros_like, np.zeros_like)
    assert np.allclose(same, weight) and none == 0


def test_haar_by_loops() -> None:
    alphas = [row.hill_20 for name, row in ROWS.items() if row.hill_20 is not None and name != "constant"]
    plan = make("haar", strength=0.9, power=2.0)
    for edit in plan.edits:
        row, weight = ROWS[edit.target], EVIDENCE.weights[edit.target]
        if not row.fitted:
            assert edit.values is None and edit.removed == 0
            continue
        z = 0.9 * (row.hill_20 or np.mean(alphas)) / np.mean(alphas)
        size = [lambda s, n=n, z=z, row=row: z * max(0.0, 1 - s / row.spike_edge) ** 2 / math.sqrt(n) for n in weight.shape]
        assert edit.values is not None and np.allclose(edit.values, step_by_loops(weight, *size), atol=1e-6)
    assert sum(plan.facts["zeroed_vector_entries"].values()) > 0


def cycles_by_loops(sparsity: float) -> dict[str, int]:
    """Counts of the element step alone, with everything spelled out."""
    gone = dict.fromkeys(SHAPES, 0)
    wanted, cycle = math.floor(sparsity * TOTAL), 0
    while sum(gone.values()) < wanted:
        cycle += 1
        for target in TARGETS:
            row = ROWS[target.name]
            if row.fitted:
                share = ((1 - row.fit_error) * row.bulk_share) ** (1.5 / cycle) * 0.06 * 1.02**cycle
                gone[target.name] += min(int(share * (target.size - gone[target.name])), wanted - sum(gone.values()))
    return gone


def test_the_published_cycles_by_loops() -> None:
    assert removed(make("rmt", 0.4)) == cycles_by_loops(0.4)


def test_the_published_cycles_with_vector_steps_by_loops() -> None:
    """Every even cycle the step, with what was removed staying zero; then the smallest of the weights as they are now."""
    plan = make("rmt", 0.3, vectors=60000.0)
    assert plan.facts["cycles"] > 3
    weights = {name: weight.copy() for name, weight in EVIDENCE.weights.items()}
    kept = {name: np.ones(weight.shape, bool) for name, weight in weights.items()}
    gone, wanted = dict.fromkeys(SHAPES, 0), math.floor(0.3 * TOTAL)
    for cycle in range(1, plan.facts["cycles"] + 1):
        for name, weight in weights.items():
            row = ROWS[name]
            if not row.fitted:
                continue
            pace = 0.06 * 1.02**cycle
            if cycle % 2 == 0:
                theta = 60000.0 * 750 * 1.5e-8 * pace * weight.size
                least = [lambda s, t=theta, e=row.spike_edge: t * max(1 / 750, max(0.0, 1 - s / e) ** 30)] * 2
                weight[:] = np.where(kept[name], step_by_loops(weight, *least), 0.0)
            step = int(((1 - row.fit_error) * row.bulk_share) ** (1.5 / cycle) * pace * (weight.size - gone[name]))
            step = min(step, wanted - sum(gone.values()))
            left = np.flatnonzero(kept[name])
            smallest = left[np.argsort(np.abs(weight.reshape(-1)[left]), kind="stable")[:step]]
            kept[name].reshape(-1)[smallest] = False
            weight[~kept[name]] = 0.0
            gone[name] += step
    for edit in plan.edits:
        assert np.array_equal(edit.kept, kept[edit.target])
        if edit.values is not None:
            assert np.allclose(edit.values, weights[edit.target], atol=1e-6)
            assert not np.allclose(edit.values, np.where(edit.kept, EVIDENCE.weights[edit.target], 0), atol=1e-3)


@given(hundredths=st.integers(1, 70), vectors=st.sampled_from([1.0, 30.0]))
@settings(max_examples=10)
def test_the_vector_step_changes_values_and_no_count(hundredths: int, vectors: float) -> None:
    plan = make("rmt", hundredths / 100, vectors=vectors)
    assert removed(plan) == removed(make("rmt", hundredths / 100)) and plan.removed == hundredths * TOTAL // 100
    for edit in plan.edits:
        assert (edit.values is None) == (edit.target in WITHOUT_BULK)
        if edit.values is not None and plan.facts["cycles"] < 2:
            assert np.allclose(edit.values[edit.kept], EVIDENCE.weights[edit.target][edit.kept]), "the step is of even cycles"


def test_a_larger_threshold_changes_more() -> None:
    small, large = make("rmt", 0.3, vectors=1.0), make("rmt", 0.3, vectors=1000.0)
    assert small.facts["zeroed_vector_entries"]["mlp.fc1"] < large.facts["zeroed_vector_entries"]["mlp.fc1"]

    def change(plan: Plan) -> float:
        edit = next(edit for edit in plan.edits if edit.target == "mlp.fc1")
        assert edit.values is not None
        return float(np.linalg.norm((edit.values - EVIDENCE.weights["mlp.fc1"])[edit.kept]))

    assert 0 < change(small) < change(large)


# Controls


@pytest.mark.parametrize("keep", ["spikes", "gavish-donoho"])
def test_a_reconstruction_is_the_best_of_its_rank(keep: str) -> None:
    plan = make("reconstruction", keep=keep)
    for edit in plan.edits:
        row = ROWS[edit.target]
        if not row.fitted:
            assert edit.values is None
            continue
        rank, values = plan.facts["ranks"][edit.target], np.array(row.singular_values)
        edge = row.spike_edge if keep == "spikes" else hard_threshold(row.rows, row.cols, row.entry_variance)
        assert rank == np.sum(values >= edge) and edit.values is not None
        rest = np.sum(np.square(EVIDENCE.weights[edit.target] - edit.values))
        assert rest == pytest.approx(np.sum(np.square(values[rank:])), rel=1e-5)


def test_a_layer_without_spikes_is_removed_and_said_to_be() -> None:
    """Pure noise has no component to rebuild it from: every weight becomes zero, and the plan counts every one."""
    noise = np.random.default_rng(3).normal(size=(40, 30))
    evidence = Evidence("a" * 64, "b" * 64, 1, {"noise": noise})
    plan = prune([Target("noise", "linear", (40, 30))], evidence, name="p", method="reconstruction")
    assert plan.facts["ranks"] == {"noise": 0} and plan.removed == plan.total == 1200


@pytest.mark.parametrize("level", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_chi_squared_is_a_two_sided_normal_test(level: float) -> None:
    """p > a exactly where |R| / sigma is below the normal quantile of 1 - a / 2."""
    for edit in make("chi-squared", level=level).edits:
        row, weight = ROWS[edit.target], EVIDENCE.weights[edit.target]
        if not row.fitted:
            assert edit.removed == 0
            continue
        u, s, v = np.linalg.svd(weight, full_matrices=False)
        residual = weight - (u * np.where(s >= row.spike_edge, s, 0.0)) @ v
        assert np.array_equal(~edit.kept, np.abs(residual) < norm.isf(level / 2) * math.sqrt(row.entry_variance))


# Scores


@given(seed=st.integers(0, 1000), digits=st.integers(0, 2), tenths=st.integers(0, 9))
@settings(max_examples=25)
def test_lamp_by_brute_force(seed: int, digits: int, tenths: int) -> None:
    """The definition, tail by tail, of two layers with many ties."""
    rng = np.random.default_rng(seed)
    weights = {"a": rng.normal(size=(4, 5)).round(digits), "b": 3 * rng.normal(size=(3, 4)).round(digits)}
    scores = []
    for layer, weight in enumerate(weights.values()):
        flat = np.square(weight.reshape(-1))
        for place, square in enumerate(flat):
            tail = sum(other for at, other in enumerate(flat) if (other, at) >= (square, place))
            scores.append((square / tail if tail else 0.0, layer, place))
    # Products of equal numbers in another order of summation differ in the last digit; equal scores are decided by place.
    scores = sorted((round(score, 9), layer, place) for score, layer, place in scores)
    targets = [Target(name, "linear", weight.shape) for name, weight in weights.items()]
    plan = prune(targets, Evidence("a" * 64, "b" * 64, 1, weights), name="p", method="lamp", sparsity=tenths / 10)
    count = tenths * 32 // 10
    assert plan.removed == count
    last = scores[count - 1][0] if count else -1.0
    found = {(layer, int(at)) for layer, edit in enumerate(plan.edits) for at in np.flatnonzero(~edit.kept)}
    assert {(layer, place) for score, layer, place in scores if score < last} <= found
    assert found <= {(layer, place) for score, layer, place in scores if score <= last}
