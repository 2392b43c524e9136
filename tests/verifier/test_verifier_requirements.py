"""What a caller may require, and when it holds. What cannot be decided does not hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from certify.records import Unmet, Usage
from certify.verifier.requirements import decide, parse


def one(statement: str, limit: float, delta: float) -> Any:
    return SimpleNamespace(statement=statement, limit=limit, delta=delta)


DROP = one("accuracy_drop", 0.01, 0.05)
PLAN: Any = SimpleNamespace(removed=501, total=1000)


@pytest.mark.parametrize(
    "text",
    [
        "accuracy_drop<=0.01@0.95",
        "accuracy_drop <= 1e-2 @ .95",
        " accuracy_drop<=0.02@0.5",
        "accuracy_drop<=1@0.95",
        "disagreement<=0.05@0.95",
        "sparsity>=0.5",
        "sparsity >= 0.501",
        "sparsity>=0",
    ],
)
def test_met(text: str):
    answers = decide([parse(text)], [DROP, one("disagreement", 0.05, 0.05)], PLAN)
    assert answers[text].startswith("met: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy_drop<=0.00999999@0.95", "not met: accuracy_drop <= 0.01 at confidence 0.95"),
        ("accuracy_drop<=0.01@0.9500001", "not met"),
        ("accuracy_drop<=-0.01@0.95", "not met"),
        ("disagreement<=1@0.5", "undecided: the certificate holds no disagreement guarantee"),
        ("sparsity>=0.502", "not met: 501 of 1000"),
    ],
)
def test_not_met(text: str, said: str):
    with pytest.raises(Unmet, match=said) as refusal:
        decide([parse("sparsity>=0.5"), parse(text)], [DROP], PLAN)
    assert refusal.value.exit_code == 1 and text in str(refusal.value)


def test_confidence_is_compared_as_written():
    """1 - 0.05 is 0.95 in decimals; in binary it might be its neighbour."""
    for delta, confidence in ((0.05, "0.95"), (0.01, "0.99"), (0.1, "0.9"), (0.3, "0.7"), (1e-5, "0.99999")):
        decide([parse(f"disagreement<=0.2@{confidence}")], [one("disagreement", 0.2, delta)], None)


def test_any_of_several_guarantees_will_do():
    both = [one("disagreement", 0.01, 0.2), one("disagreement", 0.1, 0.01)]
    for text in ("disagreement<=0.01@0.8", "disagreement<=0.1@0.99"):
        decide([parse(text)], both, None)
    with pytest.raises(Unmet, match="not met"):
        decide([parse("disagreement<=0.01@0.99")], both, None)


def test_a_limit_that_is_no_number_never_holds():
    for limit in (float("nan"), float("inf")):
        with pytest.raises((Unmet, ValueError)):
            decide([parse("disagreement<=1@0.5")], [one("disagreement", limit, 0.05)], None)


def test_undecided_without_a_plan():
    with pytest.raises(Unmet, match="undecided: the pair was given without a plan"):
        decide([parse("sparsity>=0")], [], None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "accuracy_drop",
        "accuracy_drop<=0.01",
        "accuracy_drop<0.01@0.95",
        "accuracy_drop>=0.01@0.95",
        "accuracy_drop<=nan@0.95",
        "accuracy_drop<=inf@0.95",
        "accuracy_drop<=1.5@0.95",
        "accuracy_drop<=0.01@1",
        "accuracy_drop<=0.01@0",
        "accuracy_drop<=0.01@95",
        "accuracy_drop<=1e9999@0.95",
        "disagreement<=-0.1@0.95",
        "sparsity>=0.5@0.95",
        "sparsity<=0.5",
        "sparsity>=1.2",
        "accuracy<=0.01@0.95",
        "accuracy_drop<=0.01@0.95;rm",
        "accuracy_drop<=0,01@0.95",
    ],
)
def test_wrong_grammar(text: str):
    with pytest.raises(Usage) as refusal:
        parse(text)
    assert refusal.value.exit_code == 2
