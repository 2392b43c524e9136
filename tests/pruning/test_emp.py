"""Effective-number pruning: counts are the theory's, bounds hold, units leave the function where they say."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from certify.networks.evidence import collect
from certify.networks.masking import apply
from certify.networks.sensitivity import sense
from certify.networks.targets import describe
from certify.pruning import prune
from certify.pruning.emp import filter_scores, keep_effective, keep_pixels, unit_scores
from certify.records import Evidence, Plan, Target, Usage
from certify.theory.budget import budget, data_path_size
from certify.theory.emp.effective_number import kept_count

SHAPES = {"fc1": (12, 8), "fc2": (6, 12)}
TARGETS = [Target(name, "linear", shape) for name, shape in SHAPES.items()]
RNG = np.random.default_rng(2)
EVIDENCE = Evidence(
    "a" * 64,
    "b" * 64,
    9,
    {name: RNG.standard_t(2, size=shape) for name, shape in SHAPES.items()},
    {
        "moments": {name: RNG.gamma(1.0, size=cols) for name, (_, cols) in SHAPES.items()},
        "inputs": {name: RNG.gamma(1.0, size=(9, cols)) for name, (_, cols) in SHAPES.items()},
        "sensitivities": {name: RNG.gamma(1.0, size=9) for name in SHAPES},
    },
)


def make(method: str = "emp", evidence: Evidence = EVIDENCE, **options: Any) -> Plan:
    return prune(TARGETS, evidence, name="p", method=method, options=options)


@pytest.mark.parametrize("beta", ["1", "0.5", "5/4"])
@pytest.mark.parametrize("score", ["magnitude", "wanda", "data-path"])
def test_counts_are_those_of_the_theory(score: str, beta: str) -> None:
    for scope in ("global", "layer", "row"):
        plan = make(score=score, scope=scope, beta=beta)
        if score == "magnitude":
            sizes = {name: np.abs(weight) for name, weight in EVIDENCE.weights.items()}
            groups = {
                "global": [np.concatenate([size.ravel() for size in sizes.values()])],
                "layer": [size.ravel() for size in sizes.values()],
                "row": [row for size in sizes.values() for row in size],
            }[scope]
            assert plan.total - plan.removed == sum(kept_count(group, Fraction(beta)) for group in groups)
        assert plan.sparsity is None and plan.facts["budgets"]["claim"] == "EMP-T11"


@given(scores=arrays(float, st.integers(1, 30), elements=st.integers(0, 9).map(float)))
@settings(max_examples=60)
def test_the_stated_range_holds_the_retained_mass(scores: np.ndarray) -> None:
    kept = keep_effective(scores)
    assert kept.least - 1e-12 <= kept.retained <= kept.most + 1e-12
    assert 1 <= kept.mask.sum() <= len(scores)
    if not scores.any():
        assert kept.mask.all() and np.isnan(kept.effective), "nothing to choose by: all stay"


def test_a_layer_of_zeros_keeps_all_and_can_be_stated() -> None:
    weights = {**EVIDENCE.weights, "fc1": np.zeros((12, 8))}
    plan = make(evidence=Evidence("a" * 64, "b" * 64, 9, weights))
    assert plan.edits[0].removed == 0 and "effective_number" not in plan.facts["groups"]["fc1"]


def test_unit_scores_bound_the_budget_of_the_unit() -> None:
    rng = np.random.default_rng(4)
    weight, lipschitz = rng.normal(size=(5, 12)), rng.gamma(1.0, size=7)
    tokens = rng.normal(size=(7, 3, 12))
    for width in (1, 4):
        scores = unit_scores(weight, np.abs(tokens).max(axis=1), lipschitz, width)
        for unit, score in enumerate(scores):
            removed = np.zeros(weight.shape)
            removed[:, unit * width : (unit + 1) * width] = weight[:, unit * width : (unit + 1) * width]
            assert budget(lipschitz, data_path_size(removed, tokens)) <= score * (1 + 1e-12)
    with pytest.raises(Usage, match="units of 5 columns"):
        unit_scores(weight, np.abs(tokens).max(axis=1), lipschitz, 5)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 12), nn.Linear(12, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.nn.functional.gelu(self.fc1(x)))


def test_a_removed_neuron_goes_from_reader_and_producer_and_nothing_else_moves() -> None:
    torch.manual_seed(0)
    model, images = Block().double(), torch.randn(40, 8, dtype=torch.float64)
    targets = describe(model)
    evidence = sense(model, collect(model, targets, [images], split="b" * 64, parts=("inputs",)), targets, [images])
    plan = prune(targets, evidence, name="p", method="units", options={"unit": "neurons", "beta": "1/2"})
    first, second = (edit.kept for edit in plan.edits)
    gone = ~second.any(axis=0)
    assert 0 < gone.sum() < 12 and np.array_equal(~first.any(axis=1), gone) and second[:, ~gone].all()
    pruned = apply(model, plan)
    with torch.no_grad():
        hidden = torch.nn.functional.gelu(model.fc1(images))
        expected = torch.nn.functional.linear(torch.where(torch.tensor(gone), 0.0, hidden), model.fc2.weight, model.fc2.bias)
        assert torch.allclose(pruned(images), expected, atol=1e-12)
    with pytest.raises(Usage, match=r"attn\.proj"):
        prune(targets, evidence, name="p", method="units", options={"unit": "heads", "width": 4})


def test_filters_go_whole_and_their_score_is_the_bound_of_each_alone() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 4, 5)).double()
    images = torch.randn(12, 2, 6, 6, dtype=torch.float64)
    targets = describe(model)
    evidence = sense(model, collect(model, targets, [images], split="b" * 64, parts=("inputs",)), targets, [images])
    plan = prune(targets, evidence, name="p", method="units", options={"unit": "filters", "beta": "1/2"})
    kept = {edit.target: edit.kept for edit in plan.edits}
    rows = kept["2"].any(axis=1)
    assert 0 < (~rows).sum() < 6 and kept["2"][rows].all() and kept["0"].all() and kept["4"].all()
    weight, part = evidence.weights["2"], evidence.part
    scores = filter_scores(weight, part("inputs", "2"), part("sensitivities", "2"))
    for row, score in enumerate(scores):
        alone = np.where(np.arange(6)[:, None] == row, weight, 0.0)
        bound = unit_scores(alone, part("inputs", "2"), part("sensitivities", "2"), weight.shape[1])[0]
        assert score == pytest.approx(bound, rel=1e-12)
    assert set(np.flatnonzero(rows)) == set(np.argsort(-scores)[: rows.sum()])


@given(arrays(float, (4, 5), elements=st.integers(0, 16).map(lambda v: v / 16)))
@settings(max_examples=40)
def test_pixels_lose_exactly_their_mass(image: np.ndarray) -> None:
    found, kept = keep_pixels(image, 0.25)
    lost = np.abs(image - 0.25).sum() * (1 - kept.retained)
    assert np.abs(image - found).sum() == pytest.approx(lost, abs=1e-9)
    assert np.square(image - found).sum() <= (1 - kept.retained) * np.square(image - 0.25).sum() + 1e-9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": "0"}, "must be positive"),
        ({"beta": "much"}, "not a positive rational"),
        ({"scope": "column"}, "known are"),
        ({"score": "taste"}, "known are"),
    ],
)
def test_wrong_options_of_emp_are_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        make(**options)
    assert words in str(error.value)
