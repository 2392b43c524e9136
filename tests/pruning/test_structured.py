"""k:n patterns: every exact search against brute force, its reductions and negative controls, orders and mixed patterns."""

from __future__ import annotations

from itertools import combinations, product
from math import comb
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import prune
from certify.pruning.allocation.choice import least_choice
from certify.pruning.layout import Layout
from certify.pruning.masks import group_top
from certify.pruning.structured.exact import cheapest, compensated, greedy, mean_cost
from certify.pruning.structured.orders import bucket, kept_energy, swapped
from certify.records import Evidence, Plan, Refused, Target, Usage, check_pattern
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
            scale = np.abs(np.einsum("rgi,gij,rgj->rgij", u, moments, u)).sum(axis=(2, 3))
            assert np.all(np.abs(costs - brute(u, moments, keep)) <= 3e-12 * scale)
            assert np.allclose(costs, cost_of(u, moments, kept), rtol=1e-9, atol=1e-12 * scale.max())


@pytest.mark.parametrize("keep", [1, 8, 12, 15])
def test_sixteen_slots_against_one_subset_at_a_time(keep: int) -> None:
    u, moments = cell(np.random.default_rng(keep), 2, 1, 16)
    _, costs = cheapest(u, moments, keep)
    assert np.allclose(costs, brute(u, moments, keep), rtol=1e-10)
    assert comb(16, 8) == 12_870


def test_blocks_of_cells_and_patterns_join(monkeypatch: pytest.MonkeyPatch) -> None:
    u, moments = cell(np.random.default_rng(3), 5, 7, 8)
    whole = cheapest(u, moments, 4)
    for cells, patterns in ((1, 70), (3, 7), (35, 1)):
        monkeypatch.setattr("certify.pruning.structured.exact.CELLS", cells)
        monkeypatch.setattr("certify.pruning.structured.exact.PATTERNS", patterns)
        assert all(np.array_equal(a, b) for a, b in zip(cheapest(u, moments, 4), whole, strict=True))


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
    published = np.where(kept, 0, 1) * (kept * u)  # the printed tuple (1 - m) v(m), v(m) = m * u
    assert not published.any(), "identically 0 for every pattern: it would choose at random (F17)"


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


# Whole plans.

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


def test_buckets_deal_each_part_once() -> None:
    order = bucket(np.array([5.0, 1, 4, 2, 3, 6, 9]), 3)
    assert order.tolist() == [6, 2, 3, 5, 4, 1, 0] or sorted(order.tolist()) == list(range(7))
    assert bucket(np.arange(8.0)[::-1], 4).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


@given(seed=st.integers(0, 2**16), group=st.sampled_from([2, 4, 8]), channels=st.integers(1, 30))
@settings(max_examples=30)
def test_the_search_is_a_permutation_and_never_worse(seed: int, group: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    energy = rng.gamma(0.5, size=(6, channels))
    keep = group // 2
    start = rng.permutation(channels)
    found = swapped(energy, start, keep, group, seed=seed, passes=5)
    assert sorted(found.tolist()) == list(range(channels))
    assert np.array_equal(found[channels // group * group :], start[channels // group * group :])
    assert kept_energy(energy, found, keep, group) >= kept_energy(energy, start, keep, group) * (1 - 1e-12)
    assert np.array_equal(found, swapped(energy, start, keep, group, seed=seed, passes=5))


def test_the_search_finds_what_buckets_miss() -> None:
    """Four strong channels in two groups of four under 2:4: two to a group, wherever they start."""
    energy = np.ones((5, 8)) + 9 * (np.arange(8) < 4)
    found = swapped(energy, np.arange(8), 2, 4, seed=0)
    assert kept_energy(energy, found, 2, 4) == 5 * 40 > kept_energy(energy, np.arange(8), 2, 4)


@pytest.mark.parametrize("layout", ["flattened", "channel-blocked"])
@pytest.mark.parametrize("order", ["bucket", "search"])
def test_plans_in_an_order_obey_their_pattern_in_it(order: str, layout: str) -> None:
    plan = make("wanda", order=order, layout=layout)
    gains = plan.facts["kept_energy_over_stored_order"]
    assert order == "bucket" or min(gains.values()) >= 1 - 1e-12
    for edit in plan.edits:
        edit.check("2:4")
        assert edit.removed * 2 == edit.kept.size
    assert max(gains.values()) > 1 and any(edit.order is not None for edit in plan.edits)


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
