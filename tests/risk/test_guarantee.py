"""What outcomes allow to be said, and what they do not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Guarantee, Outcomes, Pair, Refused, Usage
from certify.records.hashing import sha256_json
from certify.risk import check_split, guarantee
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.risk.size import samples_for, samples_to_halve

PAIR = Pair("a" * 64, "b" * 64, "resnet18", "masked")
BOTH = ("disagreement", "accuracy_drop")


def outcomes(same: int, lost: int = 0, gained: int = 0, *, labelled: bool = True, tied: int = 0) -> Outcomes:
    """`same` samples right in both networks, `lost` right before only, `gained` right after only, `tied` tied after."""
    right, wrong, tie = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]
    rows = [(right, right)] * same + [(right, wrong)] * lost + [(wrong, right)] * gained + [(right, tie)] * tied
    samples = tuple(sha256_json(index) for index in range(len(rows)))
    reference, shipped = (np.array([row[side] for row in rows]) for side in (0, 1))
    labels = np.zeros(len(rows), dtype=int) if labelled else None
    return Outcomes(PAIR, "c" * 64, samples, labels, reference, shipped, {"numbers": "float32", "device": "cpu", "threads": 1})


def state(found: Outcomes, **settings: Any) -> tuple[Guarantee, ...]:
    about = {"statements": BOTH, "delta": 0.05, "family": 2, "groups": "writers unknown", "looks": 1}
    return guarantee(found, **(about | settings))


def below(rate: float, k: int, n: int) -> float:
    """P(Bin(n, rate) <= k), term by term."""
    return sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))


def root(falling: Callable[[float], float]) -> float:
    """Where a falling function of a rate crosses 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return low


def test_the_disagreement_limit_is_the_rate_at_which_so_few_would_be_rare() -> None:
    """P(Bin(100, limit) <= 5) is exactly the share spent: half of delta in a family of two."""
    found = state(outcomes(95, 3, 2))[0]
    assert found.counts == {"samples": 100, "disagreements": 5}
    assert found.share == 0.025 and found.estimate == 0.05
    assert below(found.limit, 5, 100) == pytest.approx(0.025, rel=1e-9)
    assert (found.claim, found.pair, found.delta, found.family) == ("B1-clopper-pearson", PAIR, 0.05, 2)


def test_nothing_seen_is_the_rule_of_three() -> None:
    found = state(outcomes(100), statements=("disagreement",), family=1)[0]
    assert found.limit == pytest.approx(1 - 0.05 ** (1 / 100), rel=1e-12)


def test_the_drop_is_the_difference_of_the_two_discordant_cells() -> None:
    found = state(outcomes(150, 30, 20))[1]
    assert found.counts == {"samples": 200, "losses": 30, "gains": 20}
    assert found.estimate == pytest.approx(0.05)
    alone = state(outcomes(150, 30, 20, labelled=False), statements=("disagreement",))[0]
    assert alone.counts == {"samples": 200, "disagreements": 50}
    # Each cell has half the statement's share: P(X <= 30 | upper) = 1/80, P(X >= 20 | lower) = 1/80.
    upper = root(lambda rate: below(rate, 30, 200) - 0.0125)
    lower = root(lambda rate: below(rate, 19, 200) - (1 - 0.0125))
    assert found.limit == pytest.approx(upper - lower, rel=1e-9)


def test_a_tie_counts_against_the_shipped_network() -> None:
    found = state(outcomes(90, tied=10))
    assert found[0].counts["disagreements"] == 10
    assert (found[1].counts["losses"], found[1].counts["gains"]) == (10, 0)


@given(same=st.integers(0, 60), lost=st.integers(0, 30), gained=st.integers(0, 30))
def test_limits_lie_above_what_was_seen_and_grow_when_less_is_spent(same: int, lost: int, gained: int) -> None:
    same = max(same, 20 - lost - gained)
    whole, half = state(outcomes(same, lost, gained)), state(outcomes(same, lost, gained), spent=0.5)
    more = state(outcomes(same, lost, gained), family=7)
    for ordinary, others in zip(whole, zip(half, more, strict=True), strict=True):
        assert ordinary.estimate <= ordinary.limit <= 1
        assert all(other.limit >= ordinary.limit for other in others)
        assert ordinary.share == 0.025
    assert half[0].share == 0.0125 and more[0].share == pytest.approx(0.05 / 7)


def test_coverage_is_at_least_what_is_promised() -> None:
    """Exact sum over all outcomes of 30 samples: the true rate lies above the limit with probability at most the share."""
    limits = [state(outcomes(30 - k, k), statements=("disagreement",), family=1)[0].limit for k in range(31)]
    worst = 0.0
    for rate in np.linspace(0.01, 0.99, 99):
        missed = sum(comb(30, k) * rate**k * (1 - rate) ** (30 - k) for k in range(31) if limits[k] < rate)
        worst = max(worst, missed)
    assert 0.03 < worst <= 0.05


def test_coverage_of_the_paired_drop() -> None:
    """Exact over all (losses, gains) of 22 samples and a grid of true shares."""
    n = 22
    limits = {
        (losses, gains): state(outcomes(n - losses - gains, losses, gains), statements=("accuracy_drop",), family=1)[0].limit
        for losses, gains in itertools.product(range(n + 1), repeat=2)
        if losses + gains <= n
    }
    for lost, gained in itertools.product(np.linspace(0, 0.6, 13), np.linspace(0, 0.4, 9)):
        missed = sum(
            comb(n, i) * comb(n - i, j) * lost**i * gained**j * (1 - lost - gained) ** (n - i - j)
            for (i, j), limit in limits.items()
            if limit < lost - gained
        )
        assert missed <= 0.05 + 1e-12, (lost, gained)


def test_a_statement_that_says_nothing_says_so() -> None:
    found = state(outcomes(0, 25))
    assert all(each.vacuous and each.sentence.startswith("VACUOUS: ") for each in found)
    assert not state(outcomes(24, 1))[0].sentence.startswith("VACUOUS")


def test_the_sentence_promises_no_more_than_the_limit() -> None:
    """A limit of 9.3912…% is told as 9.4 %, and a confidence is never rounded up."""
    for lost in range(0, 40, 3):
        found = state(outcomes(100 - lost, lost))[0]
        told = float(found.sentence.split("at most ")[1].split(" %")[0]) / 100
        assert found.limit <= told <= found.limit * 1.01 + 1e-9
    assert "confidence 0.99999:" in state(outcomes(100), delta=1e-5)[0].sentence
    assert "confidence 0.95:" in state(outcomes(100))[0].sentence
    assert "(3 of 100 seen, 3 %)" in state(outcomes(97, 3))[0].sentence


def test_assumptions_are_named() -> None:
    said = " ".join(state(outcomes(30), looks=3)[0].assumptions)
    for words in ("independently", "writers unknown", "3 times", "device cpu, numbers float32, threads 1"):
        assert words in said


def test_too_few_samples_are_refused_before_anything_is_said() -> None:
    with pytest.raises(Refused, match="19 samples are too few for any statement"):
        state(outcomes(19))
    with pytest.raises(Refused, match="0 samples"):
        check_split(0)
    assert state(outcomes(20))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"family": 1}, "2 statements cannot share delta as a family of 1"),
        ({"statements": ("happiness",)}, "'happiness' is not known"),
    ],
)
def test_a_wrong_call_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage, match=words):
        state(outcomes(30), **settings)


def test_no_drop_without_labels() -> None:
    with pytest.raises(Usage, match="needs labels"):
        state(outcomes(30, labelled=False))


@pytest.mark.parametrize(
    ("statement", "limit", "rate", "gains"),
    [
        ("disagreement", 0.05, 0.0, 0.0),
        ("disagreement", 0.05, 0.02, 0.0),
        ("accuracy_drop", 0.05, 0.02, 0.01),
        ("accuracy_drop", 0.02, 0.01, 0.03),
        ("accuracy_drop_betting", 0.05, 0.02, 0.01),
        ("accuracy_drop_betting", 0.03, 0.0, 0.0),
    ],
)
def test_the_planned_size_reaches_its_limit_and_one_less_does_not(
    statement: str, limit: float, rate: float, gains: float
) -> None:
    n = samples_for(statement, limit, rate=rate, gains=gains, delta=0.05)

    def reached(samples: int) -> float:
        lost, gained = -int(-Fraction(str(rate)) * samples // 1), int(Fraction(str(gains)) * samples // 1)
        return state(outcomes(samples - lost - gained, lost, gained), statements=(statement,), family=1)[0].limit

    assert reached(n) <= limit < reached(n - 1)


def test_the_size_that_halves_a_limit() -> None:
    found = state(outcomes(500), statements=("disagreement",), family=1)[0]
    assert samples_to_halve(found) == pytest.approx(1000, abs=5)
    hopeless = state(outcomes(250, 250), statements=("disagreement",), family=1)[0]
    assert samples_to_halve(hopeless) is None


def test_by_class_the_rarest_class_decides_and_gets_enough() -> None:
    equal = samples_for("disagreement_by_class", 0.1, rate=0.02, delta=0.05, classes=10)
    rare = samples_for("disagreement_by_class", 0.1, rate=0.02, delta=0.05, classes=10, rarest=0.05)
    assert rare == 2 * equal == 20 * samples_for("disagreement", 0.1, rate=0.02, delta=0.005)


@pytest.mark.parametrize(("name", "moved"), [("shift_kl", kl_shifted), ("shift_chi_square", chi_square_shifted)])
def test_a_size_for_a_limit_under_shift_reaches_it(name: str, moved: Callable[[float, float], float]) -> None:
    wanted: dict[str, Any] = {name: 0.02}
    n = samples_for("disagreement", 0.1, rate=0.01, delta=0.05, **wanted)
    assert n > samples_for("disagreement", 0.1, rate=0.01, delta=0.05)
    radius = name.removeprefix("shift_")
    reached = [
        state(outcomes(m - -(-m // 100), -(-m // 100)), statements=("disagreement",), family=1, shift={radius: 0.02})[0].shift
        for m in (n, n - 1)
    ]
    assert reached[0][radius]["limit"] <= 0.1 < reached[1][radius]["limit"]
    assert moved(0.05, 0.02) > 0.05


def test_what_is_not_shown_costs_as_many_samples_as_a_failure() -> None:
    assert samples_for("disagreement", 0.1, unshown=0.03, delta=0.05) == samples_for("disagreement", 0.1, rate=0.03, delta=0.05)


def test_the_size_that_halves_the_limit_of_the_worst_class() -> None:
    found = state(outcomes(500), statements=("disagreement_by_class",), family=1)[0]
    assert found.limit == 1.0 and samples_to_halve(found) is None, "one class was never seen"
    rows = [
        {"group": "0", "samples": 100, "failures": 0, "limit": 0.05},
        {"group": "1", "samples": 400, "failures": 0, "limit": 0.01},
    ]
    seen = type(found)(**{**found.__dict__, "limit": 0.05, "details": {"groups": rows}})
    assert samples_to_halve(seen) == 5 * samples_for("disagreement", 0.025, delta=0.025)


def test_a_size_beyond_all_counting_is_no_crash() -> None:
    """The rate seen lies so close below half the limit that more than 10^9 samples would be needed."""
    found = state(outcomes(500, 20), statements=("disagreement",), family=1)[0]
    close = type(found)(**{**found.__dict__, "limit": 2 * found.estimate * (1 + 1e-7)})
    assert samples_to_halve(close) is None


@pytest.mark.parametrize(
    ("statement", "limit", "more"),
    [
        ("disagreement", 1.5, {}),
        ("disagreement", 0.0, {}),
        ("disagreement", 0.1, {"rate": 0.1}),
        ("disagreement", 0.1, {"rate": -0.1}),
        ("accuracy_drop", 0.1, {"rate": 0.7, "gains": 0.65}),
        ("accuracy_drop", 0.1, {"rate": 0.3, "gains": 0.1}),
        ("disagreement", 0.1, {"delta": 0.0}),
        ("disagreement", 0.1, {"delta": 0.7}),
        ("happiness", 0.1, {}),
        ("accuracy_drop_betting", 0.1, {"rate": 0.3, "gains": 0.1}),
        ("accuracy_drop_betting", 0.1, {"rate": 0.7, "gains": 0.65}),
        ("accuracy_drop", 0.1, {"shift_kl": 0.1}),
        ("accuracy_drop_betting", 0.1, {"unshown": 0.1}),
        ("disagreement", 0.1, {"classes": 10}),
        ("disagreement_by_class", 0.1, {"classes": 0}),
        ("disagreement_by_class", 0.1, {"classes": 3, "rarest": 1.5}),
        ("disagreement", 0.1, {"rate": 0.01, "unshown": 0.2}),
        ("disagreement", 0.1, {"rate": 0.01, "shift_kl": 5.0}),
        ("disagreement", 0.1, {"shift_chi_square": -1.0}),
        ("disagreement", 0.1, {"shift_kl": float("nan")}),
    ],
)
def test_a_size_nobody_can_give_is_a_wrong_call(statement: str, limit: float, more: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"delta": 0.05} | more
    with pytest.raises(Usage):
        samples_for(statement, limit, **asked)
