"""Methods that choose single weights: scores against hand computation, budgets bit for bit, exact counts, wrong calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import METHODS, prune
from certify.pruning.method import Request
from certify.pruning.unstructured.obs import inverse_factor
from certify.pruning.unstructured.seb import z_scores
from certify.pruning.unstructured.ser import first_reallocated_step, over_pruned
from certify.records import Evidence, Plan, Refused, Target, Usage

RNG = np.random.default_rng(5)
SHAPES = {"blocks.0.attn.qkv": (48, 32), "blocks.0.mlp.fc1": (64, 32), "blocks.0.mlp.fc2": (32, 64), "tiny": (3, 8)}
SCALES = dict(zip(SHAPES, (1.0, 0.3, 2.0, 0.7), strict=True))
TARGETS = [Target(name, "linear", shape) for name, shape in SHAPES.items()]


def made_evidence(rng: np.random.Generator, *, digits: int | None = None) -> Evidence:
    """Noise layers of different scale with a spike each; `digits` rounds, so that many magnitudes are tied."""
    weights, grams, moments, movements = {}, {}, {}, {}
    for name, (rows, cols) in SHAPES.items():
        weight = SCALES[name] * (rng.normal(size=(rows, cols)) + 2 * np.outer(rng.normal(size=rows), rng.normal(size=cols)) / 6)
        weights[name] = weight if digits is None else np.round(weight, digits)
        inputs = rng.normal(size=(200, cols)) @ (np.eye(cols) + 0.5 * rng.normal(size=(cols, cols)) / np.sqrt(cols))
        grams[name] = (inputs.T @ inputs / len(inputs))[None]
        moments[name] = np.diag(grams[name][0])
        movements[name] = np.abs(rng.normal(size=(rows, cols)))
    return Evidence("a" * 64, "b" * 64, 200, weights, {"grams": grams, "moments": moments, "movements": movements})


EVIDENCE = made_evidence(RNG)
TIED = made_evidence(RNG, digits=1)


def make(
    method: str, evidence: Evidence = EVIDENCE, *, sparsity: float | None = None, pattern: str | None = None, **options: Any
) -> Plan:
    return prune(TARGETS, evidence, name="p", method=method, sparsity=sparsity, pattern=pattern, seed=3, options=options)


def same(a: Plan, b: Plan) -> bool:
    return all(np.array_equal(x.kept, y.kept) for x, y in zip(a.edits, b.edits, strict=True))


def total() -> int:
    return sum(rows * cols for rows, cols in SHAPES.values())


def test_scopes_count_what_they_say() -> None:
    for scope, counted in (
        ("layer", lambda kept: [kept.size - kept.sum()]),
        ("row", lambda kept: kept.shape[1] - kept.sum(axis=1)),
    ):
        for edit in make("magnitude", TIED, sparsity=0.37, scope=scope).edits:
            size = edit.kept.size if scope == "layer" else edit.kept.shape[1]
            assert set(np.ravel(counted(edit.kept)).tolist()) == {int(0.37 * size)}


def test_lamp_is_its_formula() -> None:
    """Against the definition, entry by entry, and its guarantee: every layer keeps its largest weight at any sparsity."""
    weight = np.array([[3.0, -1.0], [2.0, 1.0]])
    evidence = Evidence("a" * 64, "b" * 64, 1, {"w": weight})
    by_hand = np.array([[1.0, 1 / 15], [4 / 13, 1 / 14]])  # of the two ones the earlier counts as the smaller
    order = np.argsort(by_hand.reshape(-1), kind="stable")
    for count in range(4):
        plan = prune([Target("w", "linear", (2, 2))], evidence, name="p", method="lamp", sparsity=count / 4)
        assert set(np.flatnonzero(~plan.edits[0].kept.reshape(-1))) == set(order[:count])
    last = make("lamp", sparsity=round(1 - 4 / total(), 12))
    assert all(edit.kept.sum() >= 1 for edit in last.edits)


def test_wanda_is_its_formula() -> None:
    for edit in make("wanda", sparsity=0.5).edits:
        scores = np.abs(EVIDENCE.weights[edit.target]) * np.sqrt(EVIDENCE.parts["moments"][edit.target])
        for row, kept in zip(scores, edit.kept, strict=True):
            assert row[~kept].max() <= row[kept].min() and kept.sum() == len(row) // 2


def test_random_depends_on_the_seed_alone() -> None:
    one = prune(TARGETS, EVIDENCE, name="p", method="random", sparsity=0.5, seed=1)
    assert same(one, prune(TARGETS, TIED, name="p", method="random", sparsity=0.5, seed=1))
    assert not same(one, prune(TARGETS, EVIDENCE, name="p", method="random", sparsity=0.5, seed=2))


@given(hundredths=st.integers(0, 98), signal=st.sampled_from(["regime", "edge", "alpha", "std", "edge/std", "shuffled"]))
@settings(max_examples=40)
def test_spectral_budgets_remove_exactly_the_count(hundredths: int, signal: str) -> None:
    plan = make("seb", TIED, sparsity=hundredths / 100, signal=signal)
    assert plan.removed == hundredths * total() // 100
    weights = plan.facts["layer_weights"]
    assert all(weight >= 0.1 for weight in weights.values())
    assert hundredths == 0 or hundredths >= 85 or len(set(weights.values())) > 1


@given(hundredths=st.integers(0, 98))
@settings(max_examples=25)
def test_no_strength_and_no_room_are_global_magnitude(hundredths: int) -> None:
    """Bit for bit, ties included: strength 0 at any sparsity, any strength from the sparsity of equal budgets on."""
    sparsity = hundredths / 100
    plain = make("magnitude", TIED, sparsity=sparsity)
    assert same(make("seb", TIED, sparsity=sparsity, strength=0.0), plain)
    if hundredths >= 85:
        assert same(make("seb", TIED, sparsity=sparsity, strength=3.0), plain)


def test_a_negative_strength_turns_the_budgets_round() -> None:
    up, down = (make("seb", sparsity=0.5, strength=s).facts["layer_weights"] for s in (0.4, -0.4))
    for name in SHAPES:
        assert up[name] - 1 == pytest.approx(1 - down[name], abs=1e-12)
    assert up["tiny"] == down["tiny"] == 1.0, "three singular values have no bulk: no signal, z = 0"
    assert up["blocks.0.mlp.fc2"] > 1 > up["blocks.0.mlp.fc1"], "the wider bulk is cut harder"
    plans = [make("seb", sparsity=0.5, strength=strength) for strength in (0.0, 0.4, -0.4)]
    plain, cut, spared = ({edit.target: edit.removed for edit in plan.edits} for plan in plans)
    assert cut["blocks.0.mlp.fc2"] > plain["blocks.0.mlp.fc2"] > spared["blocks.0.mlp.fc2"]


def test_shuffling_deals_the_same_edges_to_other_layers() -> None:
    true, dealt = (make("seb", sparsity=0.3, signal=signal).facts["layer_weights"] for signal in ("edge", "shuffled"))
    assert true != dealt


def test_z_scores() -> None:
    assert z_scores({"a": 1.0, "b": 3.0, "c": None}) == {"a": -1.0, "b": 1.0, "c": 0.0}
    assert z_scores({"a": 2.0, "b": 2.0}) == {"a": 0.0, "b": 0.0} and z_scores({"a": None}) == {"a": 0.0}


@given(
    hundredths=st.integers(0, 90),
    margin=st.sampled_from([0.01, 0.03, 0.09]),
    priority=st.sampled_from(["inverse", "weight", "one"]),
)
@settings(max_examples=40)
def test_reallocation_restores_to_the_exact_count(hundredths: int, margin: float, priority: str) -> None:
    sparsity = hundredths / 100
    plan = make("ser", TIED, sparsity=sparsity, margin=margin, priority=priority)
    assert plan.removed == hundredths * total() // 100
    over = make("seb", TIED, sparsity=round(sparsity + margin, 12), strength=0.0)
    assert plan.facts["restored"] == over.removed - plan.removed
    rank = {"inverse": lambda w: 1 / w, "weight": lambda w: w, "one": lambda w: 1.0}[priority]
    moved = {name: TIED.parts["movements"][name] * rank(plan.facts["layer_weights"][name]) for name in SHAPES}
    first = over_pruned(Request(tuple(TARGETS), TIED, sparsity, seed=3), {"margin": margin})
    back = np.concatenate([moved[e.target][e.kept & ~first[e.target]] for e in plan.edits])
    gone = np.concatenate([moved[e.target][~e.kept] for e in plan.edits])
    assert not np.any(np.concatenate([(~e.kept & first[e.target]).ravel() for e in plan.edits])), "only removed weights can go"
    assert not back.size or not gone.size or back.min() >= gone.max()


def test_no_margin_is_spectral_budgeting() -> None:
    for sparsity in (0.1, 0.3, 0.5, 0.7):
        assert same(make("ser", TIED, sparsity=sparsity, margin=0.0), make("seb", TIED, sparsity=sparsity))
    assert same(make("hybrid", TIED, sparsity=0.2), make("magnitude", TIED, sparsity=0.2))
    assert same(make("hybrid", TIED, sparsity=0.3), make("ser", TIED, sparsity=0.3))


def test_the_switch_to_reallocation() -> None:
    assert first_reallocated_step(0.9, [0.9, 0.895, 0.88, 0.9]) == 3
    assert first_reallocated_step(0.9, [0.9, 0.895]) is None
    assert first_reallocated_step(0.9, []) is None
    assert 0.845 - 0.838 > 0.007 and first_reallocated_step(0.845, [0.838, 0.837]) == 2, "a drop of exactly .7 points is allowed"


def test_the_published_cycles_reach_the_count_and_leave_a_layer_without_bulk() -> None:
    plan = make("rmt", TIED, sparsity=0.6)
    assert plan.removed == 6 * total() // 10
    assert next(edit for edit in plan.edits if edit.target == "tiny").removed == 0 and plan.facts["scores"]["tiny"] == 0
    for edit in plan.edits:
        size = np.abs(TIED.weights[edit.target])
        assert not edit.removed or size[~edit.kept].max() <= size[edit.kept].min()
    with pytest.raises(Usage, match="is not reached"):
        make("rmt", sparsity=0.999)


def test_controls_say_what_they_remove() -> None:
    spikes, noise = make("reconstruction"), make("chi-squared", level=0.3)
    assert spikes.removed == 0 and spikes.facts["ranks"]["blocks.0.mlp.fc1"] >= 1
    assert 0 < noise.removed < total()
    assert make("chi-squared", level=0.1).removed > noise.removed
    stepped = make("haar")
    assert stepped.removed == 0 and all(e.values is not None for e in stepped.edits if e.target != "tiny")
    still = make("haar", strength=0.0)
    for edit in still.edits:
        if edit.values is not None:
            assert np.allclose(edit.values, EVIDENCE.weights[edit.target], atol=1e-5)


def output_error(name: str, weight: np.ndarray, values: np.ndarray) -> float:
    change = weight - values
    return float(np.einsum("ij,jk,ik->", change, EVIDENCE.parts["grams"][name][0], change))


def test_later_weights_make_up_for_what_goes() -> None:
    """The surgeon's update beats plain removal of the same entries, and its masks beat magnitude's, in the layer's error."""
    amounts: tuple[dict[str, Any], ...] = ({"sparsity": 0.5}, {"pattern": "2:4"})
    for amount in amounts:
        plan = make("sparsegpt", **amount)
        plain = make("magnitude", scope="layer", sparsity=0.5) if "sparsity" in amount else make("magnitude", pattern="2:4")
        for edit, other in zip(plan.edits, plain.edits, strict=True):
            weight = EVIDENCE.weights[edit.target]
            assert edit.values is not None
            mine = output_error(edit.target, weight, edit.values.astype(np.float64))
            assert mine < output_error(edit.target, weight, np.where(edit.kept, weight, 0))
            assert mine < output_error(edit.target, weight, np.where(other.kept, weight, 0))
            assert edit.removed == edit.kept.size // 2
    assert make("sparsegpt", sparsity=0.37).removed == sum(37 * r * c // 100 for r, c in SHAPES.values())


def test_the_last_column_alone_is_the_classical_surgeon() -> None:
    """With one row and one entry to go, cost and update are the textbook's, restricted to later weights."""
    gram = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.5]])
    factor = inverse_factor(gram, 1e-12)
    assert np.allclose(factor.T @ factor, np.linalg.inv(gram))
    weight = np.array([[0.1, 2.0, 3.0]])
    evidence = Evidence("a" * 64, "b" * 64, 1, {"w": weight}, {"grams": {"w": gram[None]}})
    plan = prune(
        [Target("w", "linear", (1, 3))], evidence, name="p", method="sparsegpt", sparsity=1 / 3 + 1e-9, options={"damping": 1e-9}
    )
    inverse = np.linalg.inv(gram)
    expected = weight[0] - weight[0, 0] / inverse[0, 0] * inverse[0]
    values = plan.edits[0].values
    assert values is not None and np.allclose(values[0], expected, atol=1e-6) and values[0, 0] == 0


def test_blocks_of_columns_are_a_matter_of_speed() -> None:
    """Under a pattern masks are decided group by group, so any block gives the same masks and the same weights."""
    whole = make("sparsegpt", pattern="2:4")
    for block in (4, 12):
        plan = make("sparsegpt", pattern="2:4", block=block)
        for one, two in zip(plan.edits, whole.edits, strict=True):
            assert one.values is not None and two.values is not None
            assert np.array_equal(one.kept, two.kept) and np.allclose(one.values, two.values, atol=1e-6)


def test_a_pattern_in_another_order_holds_in_that_order() -> None:
    plan = make("sparsegpt", pattern="2:4", order="bucket")
    assert any(edit.order is not None for edit in plan.edits)
    for edit in plan.edits:
        assert edit.order is not None or edit.target
        edit.check("2:4")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_edits_every_target_and_is_repeatable(name: str) -> None:
    method = METHODS[name]
    if set(method.needed({})) - set(EVIDENCE.parts):
        pytest.skip("its evidence is collected from a network; tested beside it")
    amounts: dict[str, dict[str, Any]] = {"sparsity": {"sparsity": 0.5}, "pattern": {"pattern": "2:4"}, "own": {}}
    for amount in method.amounts:
        one, two = (make(name, **amounts[amount]) for _ in range(2))
        assert same(one, two) and {edit.target for edit in one.edits} == set(SHAPES)
        if amount == "pattern":
            assert one.removed == total() // 2
    for amount in set(amounts) - set(method.amounts):
        with pytest.raises(Usage):
            make(name, **amounts[amount])
    if method.needs:
        bare = Evidence(EVIDENCE.reference, EVIDENCE.split, 1, EVIDENCE.weights)
        with pytest.raises(Refused, match=f"lacks its ({'|'.join(method.needed({}))})"):
            make(name, bare, **amounts[method.amounts[0]])


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("seb", {"signal": "aura"}, "is none of regime, edge"),
        ("seb", {"decay": 0.0}, "must be positive"),
        ("ser", {"priority": "mine"}, "is none of inverse"),
        ("ser", {"margin": 0.6}, "must stay below 1"),
        ("seb", {"attn": float("inf")}, "need finite numbers"),
        ("sparsegpt", {"damping": 0.0}, "need > 0"),
        ("least-squares", {"score": "luck"}, "one of wanda, magnitude"),
        ("rmt", {"vectors": -1.0}, "need 0 < rate < 1"),
        ("rmt", {"rate": 1.5}, "need 0 < rate < 1"),
    ],
)
def test_wrong_options_are_one_sentence(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        make(method, sparsity=0.5, **options)
    assert words in str(error.value)


def test_blocks_of_grams_are_not_enough_for_the_surgeon() -> None:
    parts = {"grams": {name: np.zeros((cols // 8, 8, 8)) for name, (_, cols) in SHAPES.items()}}
    evidence = Evidence("a" * 64, "b" * 64, 1, EVIDENCE.weights, parts)
    with pytest.raises(Refused, match="collect grams with gram_block = 0"):
        make("sparsegpt", evidence, sparsity=0.5)


def test_rows_that_read_different_inputs_have_no_second_moments_of_all() -> None:
    """What a grouped convolution lacks cannot be collected: the sentence says to exclude it, not to collect it again."""
    parts = {"grams": {name: gram for name, gram in EVIDENCE.parts["grams"].items() if name != "tiny"}}
    evidence = Evidence("a" * 64, "b" * 64, 1, EVIDENCE.weights, parts)
    with pytest.raises(Refused, match=r"tiny: its rows read different inputs .* exclude it"):
        make("sparsegpt", evidence, sparsity=0.5)
