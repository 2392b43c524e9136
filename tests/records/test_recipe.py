"""A recipe states everything, reads back as it was, and refuses what it does not know."""

from __future__ import annotations

import tomllib
from typing import Any

import jobs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Recipe, Usage
from certify.records.recipe import (
    BoundsRecipe,
    DataRecipe,
    GuaranteeRecipe,
    ModelRecipe,
    PlanRecipe,
    RecoveryRecipe,
    SplitRecipe,
    TrainingRecipe,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PLAIN = st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
KWARGS = st.dictionaries(TEXT, PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(TEXT, PLAIN, max_size=2), max_size=3)


def parsed(**changes: Any) -> Recipe:
    recipe = jobs.changed(jobs.DIGITS, **changes)
    return Recipe.from_toml("".join(f"{key} = {jobs.toml(value)}\n" for key, value in recipe.items()), "recipe.toml")


@given(
    kwargs=KWARGS,
    texts=st.tuples(TEXT, TEXT, TEXT),
    count=st.integers(0, 10**9) | st.floats(0, 0.999),
    rate=st.floats(0, 1, exclude_min=True),
)
def test_a_recipe_reads_back_as_it_was_written(
    kwargs: dict[str, Any], texts: tuple[str, str, str], count: float, rate: float
) -> None:
    recipe = Recipe(
        ModelRecipe(texts[0], texts[1], 3, kwargs),
        DataRecipe(dir="d" + texts[2], split=texts[1]),
        (PlanRecipe("half", sparsity=rate / 2, include=("*", texts[0])), PlanRecipe("p", pattern="1:4")),
        splits=SplitRecipe(train=count),
        recovery=RecoveryRecipe(learning_rate=rate),
    )
    again = Recipe.from_toml(recipe.to_toml(), "recipe.toml")
    assert again == recipe
    assert again.digest == recipe.digest
    assert again.to_toml() == recipe.to_toml()


def test_every_default_is_written_out() -> None:
    text = Recipe(ModelRecipe("resnet18"), DataRecipe("digits"), (PlanRecipe("half", sparsity=0.5),)).to_toml()
    value = tomllib.loads(text)
    for name, table in (
        ("splits", SplitRecipe),
        ("training", TrainingRecipe),
        ("bounds", BoundsRecipe),
        ("recovery", RecoveryRecipe),
    ):
        assert set(value[name]) == set(table.__dataclass_fields__)


def test_whole_numbers_and_floats_name_the_same_recipe() -> None:
    """`train = 0` in Python and `train = 0.0` in the file are one recipe, or a rerun would be refused."""
    whole = Recipe(ModelRecipe("m"), DataRecipe("digits"), shipped="s", splits=SplitRecipe(train=0, certification=500))
    real = Recipe(ModelRecipe("m"), DataRecipe("digits"), shipped="s", splits=SplitRecipe(train=0.0, certification=500.0))
    assert whole.digest == real.digest == Recipe.from_toml(whole.to_toml(), "").digest


def test_every_change_is_another_recipe() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 4},
        {"threads": 2},
        {"model": {"kwargs": {"img_size": 8}}},
        {"splits": {"seed": 6}},
        {"training": {"epochs": 3}},
        {"bounds": {"l1": 1e-5}},
        {"guarantees": {"delta": 0.01}},
        {"plan": [{"name": "half", "sparsity": 0.5}]},
    ]
    assert len({parsed(**change).digest for change in changes}) == len(changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": 3}, "unknown key speed"),
        ({"splits": {"test": 0.1}}, "unknown key splits.test"),
        ({"model": {"name": None}}, "model.name is missing"),
        ({"model": {"name": 3}}, "model.name = 3 must be of type str"),
        ({"model": {"kwargs": 3}}, "model.kwargs must be a table"),
        ({"threads": True}, "threads = True must be of type int"),
        ({"threads": 1.5}, "threads = 1.5 must be of type int"),
        ({"threads": 0}, "threads = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"plan": {"name": "half"}}, "plan must be a list"),
        ({"plan": []}, "not both"),
        ({"plan": [{"name": "a", "sparsity": 0.5, "pattern": "2:4"}]}, "keep one of them"),
        ({"plan": [{"name": "a", "sparsity": 1.0}]}, "sparsity = 1.0 is not in [0, 1)"),
        ({"plan": [{"name": "a", "sparsity": -0.1}]}, "[0, 1)"),
        ({"plan": [{"name": "a", "pattern": "4:4"}]}, "K must be smaller than N"),
        ({"plan": [{"name": "a", "pattern": "0:4"}]}, "K:N"),
        ({"plan": [{"name": ".a", "sparsity": 0.5}]}, "plan name '.a'"),
        ({"plan": [{"name": "", "sparsity": 0.5}]}, "plan name ''"),
        ({"splits": {"train": -1}}, "splits.train"),
        ({"splits": {"train": 1.5}}, "splits.train = 1.5"),
        ({"splits": {"train": 1e300}}, "splits.train"),
        ({"data": {"source": "mnist"}}, "digits, folder or cifar10"),
        ({"data": {"source": "folder"}}, "data.dir is missing"),
        ({"data": {"labels": "some"}}, "given or none"),
        ({"data": {"labels": "none"}, "model": {"checkpoint": "x"}}, "accuracy_drop needs labels"),
        ({"data": {"labels": "none"}, "guarantees": {"statements": ["disagreement"]}}, "needs model.checkpoint"),
        ({"bounds": {"max_order": 48}}, "power of two"),
        ({"bounds": {"tolerance": 0.0}}, "(0, 1)"),
        ({"guarantees": {"statements": []}}, "empty"),
        ({"guarantees": {"statements": ["joy"]}}, "'joy'"),
        ({"guarantees": {"share": 1.5}}, "(0, 1]"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"recovery": {"temperature": 0.0}}, "recovery.temperature"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        parsed(**changes)
    assert words in str(error.value)


@pytest.mark.parametrize("value", ["nan", "inf", "1979-05-27"])
def test_values_a_record_cannot_hold_are_refused(value: str) -> None:
    text = f'shipped = "s"\n[model]\nname = "m"\nkwargs = {{deep = [{{er = {value}}}]}}\n[data]\nsource = "digits"\n'
    with pytest.raises(Usage, match="date or a number that is not finite"):
        Recipe.from_toml(text, "recipe.toml")
    if value != "1979-05-27":
        with pytest.raises(Usage):
            SplitRecipe(train=float(value))
        with pytest.raises(Usage):
            GuaranteeRecipe(delta=float(value))


def test_short_forms_mean_what_their_tables_say() -> None:
    short = 'model = "resnet18"\ncheckpoint = "a.pth"\nnum-classes = 3\ndata-dir = "images"\nlabels = "given"\n'
    long = """
[model]
name = "resnet18"
checkpoint = "a.pth"
num_classes = 3
[data]
dir = "images"
[[plan]]
name = "magnitude-50"
sparsity = 0.5
[[plan]]
name = "magnitude-2-4"
pattern = "2:4"
"""
    assert Recipe.from_toml(short, "short") == Recipe.from_toml(long, "long")


def test_a_short_form_beside_its_table_is_refused() -> None:
    with pytest.raises(Usage, match=r"checkpoint stands at the top and model\.checkpoint too"):
        Recipe.from_toml('checkpoint = "a"\ndata-dir = "d"\n[model]\nname = "m"\ncheckpoint = "b"\n', "twice")
