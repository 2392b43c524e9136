"""Allocation: splits against brute force, row masses exact, bounds that hold, improvements that never worsen."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import prune
from certify.pruning.allocation.budgets import bounded_budget
from certify.pruning.allocation.split import rising, split_budget
from certify.pruning.allocation.swaps import energies, exchange
from certify.pruning.method import Request
from certify.records import COST_LEVELS, Evidence, Plan, Refused, Target, Usage
from certify.theory.budget import budget, data_path_size, lipschitz_by_row_sums

CURVES = st.lists(
    st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda steps: np.cumsum([0, *steps]).astype(float)),
    min_size=1,
    max_size=3,
)


def points_of(costs: np.ndarray) -> np.ndarray:
    return 2 * np.arange(len(costs))


@given(curves=CURVES, data=st.data())
@settings(max_examples=80)
def test_splits_are_brute_force_on_convex_curves_and_bounded_on_others(curves: list[np.ndarray], data: Any) -> None:
    """On the hulls primal = dual = brute force over all whole splits; the curves' own best lies between dual and cost."""
    pairs = [(points_of(costs), costs) for costs in curves]
    total = data.draw(st.integers(0, sum(int(points[-1]) for points, _ in pairs)))
    found = split_budget(pairs, total)
    assert sum(found.counts) == total and all(0 <= n <= points[-1] for n, (points, _) in zip(found.counts, pairs, strict=True))

    def price(counts: tuple[int, ...]) -> float:
        return sum(float(np.interp(n, *pair)) for n, pair in zip(counts, pairs, strict=True))

    every = [counts for counts in product(*(range(int(points[-1]) + 1) for points, _ in pairs)) if sum(counts) == total]
    best = min(map(price, every))
    assert found.hull == pytest.approx(found.dual, abs=1e-9)
    assert found.dual <= best + 1e-9 and best <= found.cost + 1e-9
    if all(np.all(np.diff(costs, 2) >= 0) for costs in curves):
        assert found.cost == pytest.approx(best, abs=1e-9)


def test_a_split_refuses_what_it_cannot_do() -> None:
    curve = (np.array([0, 2]), np.array([0.0, 1.0]))
    with pytest.raises(Refused, match="3 entries are to go, the layers hold 2"):
        split_budget([curve], 3)
    with pytest.raises(Refused, match="points rising from 0"):
        split_budget([(np.array([1, 2]), np.array([0.0, 1.0]))], 1)


@given(costs=CURVES)
def test_rising_slopes_never_undercut(costs: list[np.ndarray]) -> None:
    for each in costs:
        found = rising(points_of(each), each)
        assert np.all(found >= each - 1e-12) and np.all(np.diff(found, 2) >= -1e-12)
        assert np.all(np.diff(each, 2) < 0) is False or True
        if np.all(np.diff(each, 2) >= 0):
            assert np.allclose(found, each)


SHAPES = {"a": (6, 10), "b": (8, 6), "c": (3, 8)}
TARGETS = [Target(name, "linear", shape) for name, shape in SHAPES.items()]


def made_evidence(seed: int) -> tuple[Evidence, dict[str, np.ndarray]]:
    """Weights of a ReLU network a, b, c with biases 0, its true data paths, and valid constants: row sums of what follows."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    samples = 20
    paths = {"a": rng.normal(size=(samples, 10))}
    paths["b"] = np.maximum(paths["a"] @ weights["a"].T, 0)
    paths["c"] = np.maximum(paths["b"] @ weights["b"].T, 0)
    later = {"a": [weights["b"], weights["c"]], "b": [weights["c"]], "c": []}
    parts = {
        "inputs": {name: np.abs(path) for name, path in paths.items()},
        "sensitivities": {name: np.full(samples, lipschitz_by_row_sums(rest) if rest else 1.0) for name, rest in later.items()},
        "moments": {name: np.mean(path**2, axis=0) for name, path in paths.items()},
        "grams": {name: (path.T @ path / samples)[None] for name, path in paths.items()},
        "costs": {name: np.cumsum(rng.gamma(1.0, size=len(COST_LEVELS))) for name in SHAPES},
    }
    return Evidence("a" * 64, "b" * 64, samples, weights, parts), paths


def make(method: str, evidence: Evidence, sparsity: float, **options: Any) -> Plan:
    return prune(TARGETS, evidence, name="p", method=method, sparsity=sparsity, options=options)


def total() -> int:
    return sum(rows * cols for rows, cols in SHAPES.values())


@given(seed=st.integers(0, 200), hundredths=st.integers(0, 99))
@settings(max_examples=40)
def test_bounds_hold_for_every_mask_where_the_constants_do(seed: int, hundredths: int) -> None:
    """With L_s valid on the way (row sums), the stated bound of each layer is at least its true budget, whatever the method."""
    evidence, paths = made_evidence(seed)
    for method in ("data-path", "row-mass"):
        plan = make(method, evidence, hundredths / 100)
        assert plan.removed == hundredths * total() // 100
        for edit in plan.edits:
            removed = np.where(edit.kept, 0.0, evidence.weights[edit.target])
            true = budget(evidence.parts["sensitivities"][edit.target], data_path_size(removed, paths[edit.target][:, None]))
            stated = plan.facts["budgets"]["targets"][edit.target]
            assert stated >= true * (1 - 1e-12)
            assert plan.facts["budgets"]["tier"].startswith("resolved")


def mass(evidence: Evidence, plan: Plan, order: float) -> float:
    found = 0.0
    for edit in plan.edits:
        alpha = np.mean(
            (evidence.parts["sensitivities"][edit.target][:, None] * evidence.parts["inputs"][edit.target]) ** order, axis=0
        )
        removed = np.where(edit.kept, 0.0, np.abs(evidence.weights[edit.target]))
        found += float(((removed @ alpha ** (1 / order)) ** order).sum())
    return found


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_row_masses_are_least_by_brute_force(order: float) -> None:
    """All masks of a small layer with the same count; order 1 is the data-path score."""
    rng = np.random.default_rng(3)
    weights = {"w": rng.normal(size=(3, 4))}
    parts = {"inputs": {"w": rng.gamma(1.0, size=(5, 4))}, "sensitivities": {"w": rng.gamma(1.0, size=5)}}
    evidence = Evidence("a" * 64, "b" * 64, 5, weights, parts)
    target = [Target("w", "linear", (3, 4))]
    for count in (1, 3, 5, 8):
        plan = prune(
            target, evidence, name="p", method="row-mass", sparsity=round(count / 12, 12) + 1e-9, options={"order": order}
        )
        assert plan.removed == count
        least = np.inf
        for bits in range(2**12):
            if bits.bit_count() == count:
                kept = np.array([not bits >> k & 1 for k in range(12)]).reshape(3, 4)
                other = Plan("q", "m", "a" * 64, (type(plan.edits[0])("w", kept),))
                least = min(least, mass(evidence, other, order))
        assert mass(evidence, plan, order) == pytest.approx(least, rel=1e-9)
    if order == 1.0:
        plain = prune(target, evidence, name="p", method="data-path", sparsity=0.5, options={"order": 1.0})
        again = prune(target, evidence, name="p", method="row-mass", sparsity=0.5, options={"order": 1.0})
        assert np.array_equal(plain.edits[0].kept, again.edits[0].kept)


@given(seed=st.integers(0, 100), hundredths=st.integers(0, 99), score=st.sampled_from(["magnitude", "wanda", "data-path"]))
@settings(max_examples=30)
def test_split_plans_have_the_count_and_close_the_gap(seed: int, hundredths: int, score: str) -> None:
    evidence, _ = made_evidence(seed)
    for method in ("budget-measured", "budget-bounded"):
        plan = make(method, evidence, hundredths / 100, score=score)
        assert plan.removed == hundredths * total() // 100
        assert plan.facts["gap"] >= -1e-9
        assert method == "budget-bounded" or plan.facts["gap"] <= 1e-9, "rising curves are convex: primal = dual"
    surgeon = make("budget-surgeon", evidence, hundredths / 100)
    by_magnitude = make("budget-measured", evidence, hundredths / 100, score="magnitude")
    assert [edit.removed for edit in surgeon.edits] == [edit.removed for edit in by_magnitude.edits]


def test_a_layer_that_costs_nothing_goes_first_and_a_dear_one_last() -> None:
    evidence, _ = made_evidence(0)
    costs = {"a": np.zeros(len(COST_LEVELS)), "b": np.linspace(0.1, 1.0, len(COST_LEVELS)), "c": np.full(len(COST_LEVELS), 5.0)}
    changed = Evidence(evidence.reference, evidence.split, evidence.samples, evidence.weights, {**evidence.parts, "costs": costs})
    removed = {edit.target: edit.removed for edit in make("budget-measured", changed, 0.5).edits}
    assert removed["a"] == 60 and removed["b"] > 0 and removed["c"] == 0


def test_no_layer_is_bought_whole_for_a_saturated_price() -> None:
    """Two layers alike; thinning one saturates early, as when nothing of the signal is left. Its last weights are not cheap."""
    weights = {name: np.random.default_rng(seed).normal(size=(10, 10)) for seed, name in enumerate("ab")}
    early = np.minimum(np.array(COST_LEVELS) * 2.5, 1.0)
    late = 0.9 * np.array(COST_LEVELS) ** 2
    evidence = Evidence("a" * 64, "b" * 64, 1, weights, {"costs": {"a": early, "b": late}})
    targets = [Target(name, "linear", (10, 10)) for name in "ab"]
    plan = prune(targets, evidence, name="p", method="budget-measured", sparsity=0.6, options={"score": "magnitude"})
    removed = {edit.target: edit.removed for edit in plan.edits}
    levels = [0, *(round(100 * level) for level in COST_LEVELS)]

    def price(costs: np.ndarray) -> np.ndarray:
        return rising(np.array(levels), np.concatenate([[0.0], -np.log(1 - np.minimum(costs, 0.999))]))

    best = min(
        range(20, 101), key=lambda n: float(np.interp(n, levels, price(early))) + float(np.interp(120 - n, levels, price(late)))
    )
    assert removed["a"] == best < 50 < removed["b"]


def test_one_bound_is_the_least_over_orders() -> None:
    evidence, paths = made_evidence(1)
    removed = evidence.weights["a"]
    request = Request(tuple(TARGETS), evidence, 0.5)
    true = budget(evidence.parts["sensitivities"]["a"], data_path_size(removed, paths["a"][:, None]))
    found = bounded_budget(request, "a", removed)
    alphas = evidence.parts["sensitivities"]["a"][:, None] * evidence.parts["inputs"]["a"]
    assert true <= found <= 2 * (np.abs(removed) @ alphas.mean(axis=0)).sum() * (1 + 1e-12)


@given(seed=st.integers(0, 300), share=st.floats(0.1, 0.9))
@settings(max_examples=50)
def test_exchanges_never_worsen_a_row(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    weight, h = rng.normal(size=(5, 9)), rng.normal(size=(12, 9)) * 10.0 ** rng.integers(-3, 4, size=9)
    gram = h.T @ h / 12
    kept = rng.random((5, 9)) > share
    found = exchange(weight, kept, gram, 50)
    assert np.array_equal(found.sum(axis=1), kept.sum(axis=1))
    before, after = (energies(np.where(mask, 0.0, weight), gram) for mask in (kept, found))
    assert np.all(after <= before * (1 + 1e-9) + 1e-12)
    assert np.array_equal(exchange(weight, kept, gram, 0), kept)


def test_exchanges_reach_what_restoring_alone_cannot() -> None:
    """F11: with inputs that cancel, removing both beats removing one; an exchange finds it, at the same count."""
    weight = np.array([[1.0, 1.0, 0.9, 0.9]])
    gram = np.array([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    start = np.array([[True, False, True, False]])
    found = exchange(weight, start, gram, 10)
    assert found.tolist() == [[False, False, True, True]]
    assert energies(np.where(found, 0.0, weight), gram)[0] == 0 < energies(np.where(start, 0.0, weight), gram)[0]


def test_plans_of_prune_restore_say_what_they_gained() -> None:
    evidence, _ = made_evidence(5)
    for start in ("magnitude", "wanda"):
        plan = make("prune-restore", evidence, 0.5, start=start)
        assert all(layer["energy"] <= layer["energy_of_start"] for layer in plan.facts["layers"].values())
        assert sum(layer["exchanged"] for layer in plan.facts["layers"].values()) > 0


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("data-path", {"order": 0.5}, "not at least 1"),
        ("row-mass", {"order": 0.0}, "not in [1, 64)"),
        ("budget-measured", {"score": "taste"}, "none of magnitude"),
        ("prune-restore", {"start": "taste"}, "known are magnitude, wanda"),
    ],
)
def test_wrong_options_of_allocation_are_one_sentence(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        make(method, made_evidence(0)[0], 0.5, **options)
    assert words in str(error.value)
