"""A plan chosen on the split that judges it: what passes, what is said, how rarely an unsafe plan is chosen."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Choice, Outcomes, Pair, Refused, Usage
from certify.records.guaranteeing import ChooseRecipe
from certify.risk.choice import choose
from certify.risk.choosing import rate_p_value
from certify.theory.binomial import clopper_pearson_lower

FALSE_ALARM = 1e-3
PROCEDURES = ("fixed-sequence", "holm", "graph")


def seen(lost: int, gained: int, n: int, *, split: str = "c" * 64, labelled: bool = True) -> Outcomes:
    """A plan that loses and gains so many of n samples."""
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    place = np.arange(n)
    before = np.where(((place >= lost) & (place < lost + gained))[:, None], wrong, right)
    after = np.where((place < lost)[:, None], wrong, right)
    samples = tuple(f"{index:064x}" for index in range(n))
    pair = Pair("a" * 64, f"{lost * 10_000 + gained:064x}", "resnet18", "masked")
    return Outcomes(pair, split, samples, np.zeros(n, dtype=int) if labelled else None, before, after, {})


def chosen(*failures: int, n: int = 100, alpha: float = 0.05, **settings: Any) -> Choice:
    """Plans p0, p1, ... of rising sparsity."""
    plans = {f"p{index}": seen(count, 0, n) for index, count in enumerate(failures)}
    scores = {name: (index + 1) / (len(plans) + 1) for index, name in enumerate(plans)}
    return choose(plans, scores, ChooseRecipe(settings.pop("level", 0.1), **settings), alpha=alpha, delta=0.1)


def test_the_sparsest_of_those_that_pass() -> None:
    found = chosen(0, 2, 3, 40)
    assert [row["passed"] for row in found.plans] == [True, True, True, False]
    assert found.chosen == "p2"
    assert found.plans[1]["p_value"] == rate_p_value(2, 100, 0.1)
    assert found.sentence.startswith("Chosen: plan p2, of the largest sparsity (60 %) among those that pass: p0, p1, p2.")
    for words in ("order of the recipe", "disagreement rate below 10 %", "family-wise error at most 0.05", "confidence 0.9 "):
        assert words in found.sentence
    assert found.claims == ("B5-graph", "B1-clopper-pearson")


def test_the_order_is_the_recipes_and_a_failure_ends_it() -> None:
    assert chosen(40, 0, 0).chosen is None
    assert chosen(40, 0, 0, procedure="holm").chosen == "p2"
    kept = ((0.0,) * 3,) * 3
    assert chosen(40, 0, 0, procedure="graph", weights=(0.0, 1.0, 0.0), transitions=kept).chosen == "p1"


def test_a_graph_hands_its_weight_on_as_the_recipe_says() -> None:
    """p1 needs what p0 hands on: P(Bin(100, 0.1) <= 4) = 0.0237 lies between half of alpha and alpha."""
    chain = ((0.0, 1.0), (0.0, 0.0))
    assert chosen(0, 4, alpha=0.03, procedure="graph", weights=(0.5, 0.5), transitions=chain).chosen == "p1"
    still = ((0.0, 0.0), (0.0, 0.0))
    assert chosen(0, 4, alpha=0.03, procedure="graph", weights=(0.5, 0.5), transitions=still).chosen == "p0"


@pytest.mark.parametrize("procedure", PROCEDURES)
@pytest.mark.parametrize("level", [0.0, 0.001])
def test_a_level_that_cannot_be_shown_chooses_nothing_and_says_so(procedure: str, level: float) -> None:
    found = chosen(0, 0, procedure=procedure, level=level)
    assert found.chosen is None and not any(row["passed"] for row in found.plans)
    assert found.sentence.startswith("No plan is chosen: of 2 plans")


def test_the_drop_is_judged_by_betting() -> None:
    plans = {"gentle": seen(2, 3, 400), "rough": seen(60, 5, 400)}
    settings = ChooseRecipe(0.05, "accuracy_drop", "holm")
    found = choose(plans, {"gentle": 0.3, "rough": 0.9}, settings, alpha=0.025, delta=0.05)
    assert found.chosen == "gentle" and found.claims == ("B5-graph", "B4-betting-drop")
    assert found.plans[0]["counts"] == {"samples": 400, "losses": 2, "gains": 3}


def test_what_cannot_be_judged_is_refused() -> None:
    settings, scores = ChooseRecipe(0.05, "accuracy_drop"), {"a": 0.5, "b": 0.6}
    with pytest.raises(Usage, match="needs labels"):
        choose({"a": seen(0, 0, 50, labelled=False)}, scores, settings, alpha=0.05, delta=0.05)
    with pytest.raises(Refused, match="outcomes of 2 splits"):
        choose({"a": seen(0, 0, 50), "b": seen(0, 0, 50, split="d" * 64)}, scores, settings, alpha=0.05, delta=0.05)
    with pytest.raises(Refused, match="19 samples are too few"):
        choose({"a": seen(0, 0, 19)}, scores, settings, alpha=0.05, delta=0.05)


def test_a_score_that_is_no_number_chooses_nothing() -> None:
    found = choose({"a": seen(0, 0, 50)}, {"a": math.nan}, ChooseRecipe(0.2), alpha=0.05, delta=0.05)
    assert found.chosen is None and found.plans[0]["passed"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.sampled_from(PROCEDURES))
def test_the_record_reads_back_and_fewer_failures_never_hurt(failures: list[int], procedure: str) -> None:
    found = chosen(*failures, procedure=procedure)
    assert Choice.from_json(json.loads(json.dumps(found.to_json()))) == found
    better = chosen(*[max(0, count - 1) for count in failures], procedure=procedure)
    assert all(b["passed"] >= a["passed"] for a, b in zip(found.plans, better.plans, strict=True))


def test_a_record_that_chooses_what_did_not_pass_is_refused() -> None:
    value = chosen(0, 40).to_json()
    for change, words in (({"chosen": "p1"}, "p1 is chosen"), ({"alpha": 0.0}, "alpha"), ({"procedure": "luck"}, "'luck'")):
        with pytest.raises(Refused, match=words):
            Choice.from_json(value | change)
    with pytest.raises(Refused, match="not a record of a choice"):
        Choice.from_json({"chosen": "p1"})


# Rates of four plans at an allowed rate of 0.2: all just unsafe, safe ones first, the unsafe one first.
GRIDS = {"edge": (0.2, 0.2, 0.2, 0.2), "half": (0.05, 0.1, 0.2, 0.2), "unsafe first": (0.2, 0.01, 0.01, 0.01)}
SETS, SAMPLES, ALPHA, LEVEL = 1500, 40, 0.1, 0.2


def missed(grid: str, shared: bool, rule: Any) -> int:
    """Data sets on which a plan with a rate of LEVEL or more is chosen; shared: the same samples are hard for all plans."""
    random, risks, count, known = np.random.default_rng(7), np.array(GRIDS[grid]), 0, {}
    for _ in range(SETS):
        hard = random.random((SAMPLES, 1)) if shared else random.random((SAMPLES, len(risks)))
        failures = tuple(int(k) for k in (hard < risks).sum(axis=0))
        if failures not in known:
            known[failures] = rule(failures)
        pick = known[failures]
        count += pick is not None and risks[pick] >= LEVEL
    return int(count)


def rule_of(procedure: str) -> Any:
    def rule(failures: tuple[int, ...]) -> int | None:
        name = chosen(*failures, n=SAMPLES, alpha=ALPHA, procedure=procedure, level=LEVEL).chosen
        return None if name is None else int(name[1:])

    return rule


@pytest.mark.claim("B5-graph")
@pytest.mark.parametrize("procedure", PROCEDURES)
def test_an_unsafe_plan_is_chosen_as_rarely_as_promised(procedure: str) -> None:
    """Flagged where the Clopper–Pearson lower limit of the miss rate exceeds alpha: chance FALSE_ALARM over all 18 cells."""
    for grid in GRIDS:
        for shared in (False, True):
            count = missed(grid, shared, rule_of(procedure))
            assert clopper_pearson_lower(count, SETS, FALSE_ALARM / 18) <= ALPHA, (grid, shared, count)


def test_choosing_the_sparsest_that_looks_safe_is_caught() -> None:
    """Negative control: every plan tested at alpha, as if it were alone."""

    def careless(failures: tuple[int, ...]) -> int | None:
        passing = [index for index, k in enumerate(failures) if rate_p_value(k, SAMPLES, LEVEL) <= ALPHA]
        return max(passing, default=None)

    assert clopper_pearson_lower(missed("edge", False, careless), SETS, FALSE_ALARM) > ALPHA
