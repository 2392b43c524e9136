"""The table `guarantees` of a recipe: what it accepts, what it spends, and that older recipes keep their name."""

from __future__ import annotations

import math
from typing import Any

import jobs
import pytest

from certify.records import Recipe, Usage
from certify.records.guaranteeing import ChooseRecipe, GuaranteeRecipe
from certify.records.hashing import sha256_json

CHOOSE = {"level": 0.1, "procedure": "graph", "weights": [0.5, 0.5], "transitions": [[0, 1], [1, 0]]}


def parsed(**changes: Any) -> Recipe:
    recipe = jobs.changed(jobs.DIGITS, **changes)
    return Recipe.from_toml("".join(f"{key} = {jobs.toml(value)}\n" for key, value in recipe.items()), "recipe.toml")


def test_a_recipe_that_asks_for_nothing_new_keeps_its_name() -> None:
    """The table as it was named before shifts and choices were known."""
    found = parsed().to_json()
    assert found["guarantees"] == {"delta": 0.05, "share": 1.0, "statements": ["disagreement", "accuracy_drop"]}
    assert parsed(guarantees={"shift_kl": 0}).digest == parsed(guarantees={"shift_chi_square": 0.0}).digest == sha256_json(found)


def test_every_default_is_written_out_and_reads_back() -> None:
    text = parsed().to_toml()
    assert "shift_kl = 0.0" in text and "shift_chi_square = 0.0" in text
    for changes in ({}, {"shift_kl": 0.01}, {"choose": CHOOSE}, {"choose": {"level": 0.1}, "share": 0.5}):
        recipe = parsed(guarantees=changes)
        again = Recipe.from_toml(recipe.to_toml(), "recipe.toml")
        assert again == recipe and again.digest == recipe.digest and again.to_toml() == recipe.to_toml()


def test_every_change_is_another_recipe() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"shift_kl": 0.01},
        {"shift_chi_square": 0.01},
        {"choose": {"level": 0.1}},
        {"choose": {"level": 0.2}},
        {"choose": {"level": 0.1, "procedure": "holm"}},
        {"choose": {"level": 0.1, "share": 0.1}},
        {"choose": CHOOSE},
    ]
    assert len({parsed(guarantees=each).digest for each in changes}) == len(changes)


def test_statements_and_choice_spend_what_the_look_may_spend() -> None:
    alone = GuaranteeRecipe(delta=0.1, share=0.5)
    assert (alone.spent, alone.alpha, alone.shift) == (0.5, 0.0, {})
    both = GuaranteeRecipe(delta=0.1, share=0.5, choose=ChooseRecipe(0.1, share=0.2), shift_kl=0.3)
    assert math.isclose(both.delta * both.spent + both.alpha, 0.1 * 0.5) and math.isclose(both.alpha, 0.01)
    assert both.shift == {"kl": 0.3}
    assert both.labelled == ("accuracy_drop",)


def test_a_graph_without_numbers_shares_equally() -> None:
    weights, transitions = ChooseRecipe(0.1, procedure="graph").graph(3)
    assert weights == (1 / 3,) * 3 and transitions[0] == (0.0, 0.5, 0.5)
    assert ChooseRecipe(0.1, procedure="graph").graph(1) == ((1.0,), ((0.0,),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"statements": ["accuracy"]}, "'accuracy' is not one of disagreement, accuracy_drop"),
        ({"statements": ["disagreement", "disagreement"]}, "names one of them twice"),
        ({"shift_kl": -0.1}, "guarantees.shift_kl = -0.1"),
        ({"shift_chi_square": -1}, "guarantees.shift_chi_square"),
        ({"choose": {}}, "guarantees.choose.level is missing"),
        ({"choose": {"level": "low"}}, "guarantees.choose.level = 'low' must be of type float"),
        ({"choose": {"level": 1.0}}, "guarantees.choose.level = 1.0 is not in [0, 1)"),
        ({"choose": {"level": -0.1}}, "not in [0, 1)"),
        ({"choose": {"level": -1.1, "statement": "accuracy_drop"}}, "not in [-1, 1)"),
        ({"choose": {"level": 0.1, "statement": "happiness"}}, "guarantees.choose.statement = 'happiness'"),
        ({"choose": {"level": 0.1, "procedure": "luck"}}, "guarantees.choose.procedure = 'luck' is not one of fixed-sequence"),
        ({"choose": {"level": 0.1, "prefer": "beauty"}}, "guarantees.choose.prefer"),
        ({"choose": {"level": 0.1, "share": 1.0}}, "guarantees.choose.share = 1.0 is not in (0, 1)"),
        ({"choose": {"level": 0.1, "speed": 1}}, "unknown key guarantees.choose.speed"),
        ({"choose": {"level": 0.1, "weights": [1.0, 0.0]}}, "belong to a graph, not to fixed-sequence"),
        ({"choose": CHOOSE | {"weights": [0.6, 0.6]}}, "sum to at most 1"),
        ({"choose": CHOOSE | {"weights": [-0.1, 0.5]}}, "at least 0"),
        ({"choose": CHOOSE | {"weights": [0.5]}}, "holds 1 numbers for 2 plans"),
        ({"choose": CHOOSE | {"transitions": [[0, 1]]}}, "must have 2 rows of 2 numbers"),
        ({"choose": CHOOSE | {"transitions": [[0.5, 0.5], [1, 0]]}}, "row 0 must be at least 0"),
        ({"choose": CHOOSE | {"transitions": [[0, 1], 3]}}, "must be a list"),
    ],
)
def test_what_cannot_be_meant_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as refusal:
        parsed(guarantees=changes)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("guarantees", "words"),
    [
        ({"statements": ["disagreement_by_class"]}, "disagreement_by_class needs labels"),
        ({"statements": ["accuracy_drop_betting"]}, "accuracy_drop_betting needs labels"),
        ({"statements": ["disagreement"], "choose": {"level": 0.1, "statement": "accuracy_drop"}}, "accuracy_drop needs labels"),
    ],
)
def test_without_labels_only_decisions_can_be_compared(guarantees: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage, match=words):
        parsed(model={"checkpoint": "x.safetensors"}, data={"labels": "none"}, guarantees=guarantees)


def test_a_given_pair_has_nothing_to_choose_among() -> None:
    with pytest.raises(Usage, match="there are none"):
        parsed(plan=None, shipped="x.safetensors", guarantees={"choose": {"level": 0.1}})
