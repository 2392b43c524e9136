"""CAST and mixed patterns as whole plans: counts, priors, restoration, compensation, convolutions, the choice of patterns."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import prune
from certify.pruning.allocation.choice import least_choice
from certify.pruning.layout import Layout
from certify.records import Evidence, Plan, Refused, Target, Usage, check_pattern
from certify.theory.patterns import group_costs, keep_patterns

SHAPES = {"stem": (4, 3, 3, 3), "block.fc": (16, 24), "block.conv": (8, 12, 3, 3), "head": (5, 24)}
ROLES = {"stem": "stem", "head": "classifier"}
TARGETS = [Target(name, "conv2d" if len(s) == 4 else "linear", s, ROLES.get(name, "block")) for name, s in SHAPES.items()]


def made_evidence(*, block: int = 0) -> Evidence:
    rng = np.random.default_rng(9)
    weights, grams, moments = {}, {}, {}
    for target in TARGETS:
        h = rng.normal(size=(300, target.cols)) * rng.gamma(1.0, size=target.cols)
        h[:, 1:] += 0.7 * h[:, :-1]
        weights[target.name] = rng.normal(size=(target.rows, target.cols))
        full = h.T @ h / len(h)
        moments[target.name] = np.diag(full).copy()
        b = block or target.cols
        wide = np.pad(full, (0, -target.cols % b))
        grams[target.name] = np.stack([wide[i : i + b, i : i + b] for i in range(0, len(wide), b)])
    return Evidence("a" * 64, "b" * 64, 300, weights, {"grams": grams, "moments": moments})


EVIDENCE = made_evidence()


def make(
    method: str = "cast",
    evidence: Evidence = EVIDENCE,
    *,
    pattern: str | None = "2:4",
    sparsity: float | None = None,
    **options: Any,
) -> Plan:
    return prune(TARGETS, evidence, name="p", method=method, pattern=pattern, sparsity=sparsity, options=options)


def cost_of(u: np.ndarray, moments: np.ndarray, kept: np.ndarray) -> np.ndarray:
    r = np.where(kept, 0.0, u)
    return np.einsum("rgi,gij,rgj->rg", r, moments, r)


def masks(plan: Plan) -> dict[str, np.ndarray]:
    return {edit.target: edit.kept for edit in plan.edits}


def lost(plan: Plan) -> float:
    return sum(
        float(np.einsum("ij,jk,ik->", r, EVIDENCE.parts["grams"][e.target][0], r))
        for e in plan.edits
        for r in [
            EVIDENCE.weights[e.target] - (np.where(e.kept, EVIDENCE.weights[e.target], 0) if e.values is None else e.values)
        ]
    )


def test_a_plan_edits_blocks_with_exact_counts() -> None:
    plan = make()
    assert set(masks(plan)) == {"block.fc", "block.conv"} and plan.removed * 2 == plan.total
    assert set(masks(make(classifier=True))) == {"block.fc", "block.conv", "head"}
    assert np.isclose(
        sum(layer["cost"] for layer in plan.facts["layers"].values()),
        sum(
            cost_of(lay.slots(EVIDENCE.weights[e.target]), lay.moments(EVIDENCE), lay.slots(e.kept)).sum()
            for e in plan.edits
            for lay in [Layout(e.target, e.kept.shape[0], e.kept.shape[1], 2, 4)]
        ),
    )


def test_blocks_of_grams_serve_groups_within_them_and_refuse_others() -> None:
    blocks = made_evidence(block=12)
    for pattern in ("2:4", "1:3", "2:6", "6:12"):
        assert all(
            np.array_equal(a, b)
            for a, b in zip(
                masks(make(pattern=pattern)).values(), masks(make(evidence=blocks, pattern=pattern)).values(), strict=True
            )
        )
    with pytest.raises(Refused, match=r"blocks of 12 inputs, and groups of 8 cross them; collect grams with gram_block = 0"):
        make(evidence=blocks, pattern="4:8")
    with pytest.raises(Refused, match="in another order cross them"):
        make(evidence=blocks, order="bucket")


def test_the_prior_moves_nothing_for_a_full_source_and_everything_in_the_limit() -> None:
    plain = masks(make())
    for scale in ("cost", "moment"):
        assert all(np.array_equal(plain[n], k) for n, k in masks(make(prior=0.7, prior_scale=scale)).items())
        held = make(prior=1e6, prior_scale=scale, source_sparsity=0.5)
        source = masks(prune(TARGETS[1:3], EVIDENCE, name="s", method="magnitude", sparsity=0.5))
        for edit in held.edits:
            layout = Layout(edit.target, edit.kept.shape[0], edit.kept.shape[1], 2, 4)
            both = layout.slots(edit.kept) & layout.slots(source[edit.target])
            assert np.all(both.sum(axis=2) == np.minimum(layout.slots(source[edit.target]).sum(axis=2), 2)), (
                "the source's weights first"
            )
    assert any(not np.array_equal(plain[n], k) for n, k in masks(make(prior=1e6, source_sparsity=0.5)).items())


@pytest.mark.parametrize("scale", ["cost", "moment"])
@pytest.mark.parametrize("restoration", [True, False])
def test_the_prior_is_the_distance_to_the_source(scale: str, restoration: bool) -> None:
    """c(m) + prior kappa |m - M|_1 of each of six masks; kappa of a cell the mean of c, or of a group the mean of u^2 C_kk."""
    plan = make(prior=0.4, prior_scale=scale, source_sparsity=0.5, restoration=restoration)
    source = masks(prune(TARGETS[1:3], EVIDENCE, name="s", method="magnitude", sparsity=0.5))
    for edit in plan.edits:
        layout = Layout(edit.target, *edit.kept.shape, 2, 4)
        stays, moments = layout.slots(source[edit.target]), layout.moments(EVIDENCE)
        u = layout.slots(EVIDENCE.weights[edit.target]) * (1.0 if restoration else stays)
        patterns = keep_patterns(2, 4)
        costs = group_costs(u.reshape(len(u), -1), moments, patterns)
        energy = np.square(u) * np.einsum("gkk->gk", moments)
        kappa = costs.mean(axis=2) if scale == "cost" else energy.mean(axis=(0, 2))[None]
        distance = (patterns[None, None] != stays[:, :, None]).sum(axis=3)
        best = (costs + 0.4 * kappa[..., None] * distance).argmin(axis=2)
        assert np.array_equal(layout.slots(edit.kept), patterns[best])


def test_holes_of_a_network_pruned_before_are_not_restored() -> None:
    """Its zeros are the source mask, and come back in no way; a strong prior keeps what it had."""
    source = masks(prune(TARGETS, EVIDENCE, name="s", method="magnitude", sparsity=0.4))
    pruned = replace(EVIDENCE, weights={name: np.where(source[name], w, 0.0) for name, w in EVIDENCE.weights.items()})
    plan = make(evidence=pruned, prior=1e6)
    for edit in plan.edits:
        layout = Layout(edit.target, *edit.kept.shape, 2, 4)
        had, kept = layout.slots(source[edit.target]), layout.slots(edit.kept)
        assert edit.values is None and np.all((had & kept).sum(axis=2) == np.minimum(had.sum(axis=2), 2))


def test_without_restoration_holes_stay_empty() -> None:
    plan = make(source_sparsity=0.6, restoration=False)
    source = masks(prune(TARGETS[1:3], EVIDENCE, name="s", method="magnitude", sparsity=0.6))
    for edit in plan.edits:
        assert edit.values is not None and not edit.values[~source[edit.target]].any()
    assert lost(make(source_sparsity=0.6)) < lost(plan)


def test_compensation_and_greedy_in_a_plan() -> None:
    assert lost(make(compensation=True)) < lost(make())
    facts = make(search="greedy", pattern="4:12").facts["layers"]
    assert all(layer["gap"] >= -1e-9 * layer["cost"] for layer in facts.values())


def test_the_last_group_can_be_filled_up() -> None:
    plan = make(pattern="5:16", remainder="pad")
    assert all(edit.padded for edit in plan.edits)
    for edit in plan.edits:
        check_pattern(edit.target, edit.kept, "5:16", padded=True)
        short = edit.kept[:, edit.kept.shape[1] // 16 * 16 :]
        assert np.all(short.sum(axis=1) == min(5, short.shape[1])), "no weight is given away to the filling"


def test_a_kernel_in_both_layouts() -> None:
    """Lowered weights times unfolded inputs are the convolution; channel-blocked groups hold n channels at one tap."""
    weight = torch.tensor(EVIDENCE.weights["block.conv"].reshape(SHAPES["block.conv"]))
    images = torch.randn(2, 12, 5, 5, dtype=torch.float64)
    columns = torch.nn.functional.unfold(images, 3)
    direct = torch.nn.functional.conv2d(images, weight).flatten(2)
    assert torch.allclose(torch.tensor(EVIDENCE.weights["block.conv"]) @ columns, direct)
    edit = next(edit for edit in make(layout="channel-blocked").edits if edit.target == "block.conv")
    kept = edit.kept.reshape(SHAPES["block.conv"])
    for out, group, y, x in product(range(8), range(3), range(3), range(3)):
        assert kept[out, 4 * group : 4 * group + 4, y, x].sum() == 2
    flat = next(edit for edit in make().edits if edit.target == "block.conv")
    assert flat.order is None and edit.order is not None
    with pytest.raises(Refused, match="keeps"):
        check_pattern("block.conv", edit.kept, "2:4")


def test_every_layer_gets_the_pattern_that_costs_least_in_all() -> None:
    for sparsity in (0.1, 0.3, 0.5, 0.6):
        plan = make("mixed", pattern=None, sparsity=sparsity, patterns="1:4,2:4,3:4")
        assert plan.removed >= int(sparsity * plan.total)
        for edit in plan.edits:
            assert (edit.pattern is None) == (edit.removed == 0)
    assert plan.facts["patterns"]["stem"] == "dense"
    with pytest.raises(Usage, match="remove"):
        make("mixed", pattern=None, sparsity=0.9)


@given(st.data())
@settings(max_examples=60)
def test_choices_are_brute_force(data: Any) -> None:
    layers = data.draw(
        st.lists(
            st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9).map(float)), min_size=1, max_size=3), min_size=1, max_size=4
        )
    )
    most = sum(max(count for count, _ in options) for options in layers)
    required = data.draw(st.integers(0, most))
    picked, cost = least_choice(layers, required)
    chosen = [options[place] for options, place in zip(layers, picked, strict=True)]
    assert sum(count for count, _ in chosen) >= required and sum(price for _, price in chosen) == cost
    assert cost == min(
        sum(price for _, price in combo) for combo in product(*layers) if sum(count for count, _ in combo) >= required
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"search": "lucky"}, "known are exact, greedy"),
        ({"prior_scale": "mine"}, "cost, moment"),
        ({"prior": -1.0}, "a number >= 0"),
        ({"source_sparsity": 1.0}, "a share in [0, 1)"),
        ({"search": "greedy", "prior": 0.5}, "knows no prior"),
    ],
)
def test_wrong_options_of_cast_are_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        make(**options)
    assert words in str(error.value)
