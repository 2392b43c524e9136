"""Statements by betting and by class, and limits under shift: numbers, words, what is refused, how often they fail."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import LABELLED, STATEMENTS, Guarantee, Outcomes, Pair, Refused, Usage
from certify.records.hashing import sha256_json
from certify.risk import guarantee
from certify.risk.betting import drop_betting_upper, increase_upper
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.risk.statements import KNOWN
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper

PAIR = Pair("a" * 64, "b" * 64, "resnet18", "masked")
CLASSES = 3
FALSE_ALARM = 1e-3


def judged(labels: np.ndarray, differs: np.ndarray, classes: int = CLASSES) -> Outcomes:
    """Both networks right, but that the shipped one decides for the next class where `differs`."""
    eye = np.eye(classes)
    samples = tuple(f"{index:064x}" for index in range(len(labels)))
    shipped = eye[np.where(differs, (labels + 1) % classes, labels)]
    return Outcomes(PAIR, "c" * 64, samples, labels, eye[labels], shipped, {"numbers": "float32"})


def counted(rows: list[tuple[int, int]]) -> Outcomes:
    """(samples, disagreements) of every class."""
    labels = np.repeat(np.arange(len(rows)), [size for size, _ in rows])
    differs = np.concatenate([np.arange(size) < failures for size, failures in rows])
    return judged(labels, differs, len(rows))


def state(found: Outcomes, *statements: str, **settings: Any) -> tuple[Guarantee, ...]:
    about = {"delta": 0.05, "family": len(statements), "groups": "writers unknown", "looks": 1}
    return guarantee(found, statements=statements, **(about | settings))


def test_the_increase_in_cross_entropy_is_bet_on_within_its_range() -> None:
    found = counted([(100, 5), (100, 0), (100, 0)])
    one = state(found, "ce_increase", ceilings=(2.0, 3.0))[0]
    loss = [np.log(np.exp(z).sum(axis=1)) - z[np.arange(300), found.labels] for z in (found.reference, found.shipped)]
    increase = loss[1] - loss[0]
    assert increase.max() == pytest.approx(1.0) and np.sum(increase > 0.5) == 5
    assert one.limit == pytest.approx(increase_upper(increase, -2.0, 3.0, 0.05), rel=1e-12)
    assert one.estimate == pytest.approx(5 / 300) and one.estimate < one.limit < 3.0 and not one.vacuous
    assert (one.claim, one.details, one.shift) == ("B3-betting", {"low": -2.0, "high": 3.0}, {})
    told = float(one.sentence.split("at most ")[1].split(" nats")[0])
    assert one.limit <= told <= one.limit * 1.01


def test_an_increase_of_no_use_says_so_and_one_without_a_range_is_refused() -> None:
    """The vacuous end is that of the range, not 1: limits are nats."""
    always = counted([(20, 20), (20, 20), (20, 20)])
    one = state(always, "ce_increase", ceilings=(2.0, 1.0))[0]
    assert one.vacuous and one.limit == 1.0 and one.sentence.startswith("VACUOUS: ")
    wide = state(always, "ce_increase", ceilings=(30.0, 30.0))[0]
    assert 1.0 < wide.limit < 30.0 and not wide.vacuous and not wide.sentence.startswith("VACUOUS")
    with pytest.raises(Usage, match="last normalisation"):
        state(always, "ce_increase")
    with pytest.raises(Refused, match="the range stated beforehand"):
        state(always, "ce_increase", ceilings=(0.1, 0.1))


def test_every_statement_is_known_and_labels_are_asked_for() -> None:
    assert set(KNOWN) == set(STATEMENTS)
    found = counted([(30, 1), (30, 2), (30, 0)])
    bare = Outcomes(PAIR, "c" * 64, found.samples, None, found.reference, found.shipped, {})
    for name in LABELLED:
        with pytest.raises(Usage, match=f"{name} needs labels"):
            state(bare, name)
    assert state(bare, "disagreement")


def test_the_drop_by_betting_is_the_portfolio_at_its_share() -> None:
    one, two = state(counted([(100, 5), (100, 0), (100, 0)]), "accuracy_drop", "accuracy_drop_betting")
    assert two.counts == one.counts == {"samples": 300, "losses": 5, "gains": 0}
    assert (two.limit, two.share) == (drop_betting_upper(5, 0, 300, 0.025), 0.025)
    assert two.estimate == one.estimate == 5 / 300
    assert (two.claim, two.details, two.shift) == ("B4-betting-drop", {}, {})


def test_by_class_every_class_gets_its_part_and_the_worst_is_told() -> None:
    found = state(counted([(50, 0), (20, 1), (130, 13)]), "disagreement_by_class")[0]
    rows = found.details["groups"]
    assert [(row["group"], row["samples"], row["failures"]) for row in rows] == [("0", 50, 0), ("1", 20, 1), ("2", 130, 13)]
    wanted = [clopper_pearson_upper(k, n, 0.05 / 3) for n, k in ((50, 0), (20, 1), (130, 13))]
    assert [row["limit"] for row in rows] == wanted
    assert found.limit == max(wanted) == wanted[1] and found.estimate == 0.1
    assert found.counts == {"samples": 200, "disagreements": 14}
    assert "largest limit: class 1, 1 of 20 seen; largest rate seen 10 %" in found.sentence
    assert any("number was fixed before" in said for said in found.assumptions)


def test_a_class_without_a_sample_makes_the_statement_vacuous() -> None:
    found = state(counted([(50, 0), (0, 0), (50, 0)]), "disagreement_by_class")[0]
    assert found.vacuous and found.limit == 1.0 and found.sentence.startswith("VACUOUS: ")
    assert [row["limit"] < 1 for row in found.details["groups"]] == [True, False, True]


rows = st.lists(st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=2, max_size=5)


@given(rows=rows.filter(lambda rows: sum(n for n, _ in rows) >= 20), delta=st.sampled_from([0.1, 0.05, 0.001]))
def test_by_class_lies_above_every_rate_seen_and_above_the_rate_of_all(rows: list[tuple[int, int]], delta: float) -> None:
    """A mixture of classes cannot fail more often than the worst of them, and the limits say so."""
    by_class, alone = state(counted(rows), "disagreement_by_class", "disagreement", delta=delta)
    assert all(k / n <= row["limit"] for (n, k), row in zip(rows, by_class.details["groups"], strict=True) if n)
    assert by_class.estimate <= by_class.limit <= 1.0
    assert alone.estimate <= by_class.limit
    again = Guarantee.from_json(json.loads(json.dumps(by_class.to_json())))
    assert again.to_json() == by_class.to_json()


@given(failures=st.integers(0, 60), kl=st.floats(1e-6, 3), chi=st.floats(1e-6, 10))
def test_shifts_move_rates_alone_and_never_below_the_limit(failures: int, kl: float, chi: float) -> None:
    found = counted([(20, failures // 3), (20, failures // 3), (20, failures - 2 * (failures // 3))])
    for one in state(found, *STATEMENTS, ceilings=(3.0, 3.0), shift={"kl": kl, "chi_square": chi}):
        if one.statement.startswith("disagreement"):
            assert one.shift == {
                "kl": {"radius": kl, "limit": kl_shifted(one.limit, kl)},
                "chi_square": {"radius": chi, "limit": chi_square_shifted(one.limit, chi)},
            }
            assert all(one.limit <= each["limit"] <= 1.0 for each in one.shift.values())
            assert sum("assumed, not measured" in said for said in one.assumptions) == 2
            assert all(each["limit"] < 1 or "nothing is guaranteed (VACUOUS)" in one.sentence for each in one.shift.values())
        else:
            assert one.shift == {}


def test_the_limit_under_shift_is_told_rounded_up() -> None:
    one = state(counted([(100, 3), (100, 0), (100, 0)]), "disagreement", shift={"kl": 0.01})[0]
    told = float(one.sentence.split("KL(Q || P) <= 0.01 nats: at most ")[1].split(" %")[0]) / 100
    assert one.shift["kl"]["limit"] <= told <= one.shift["kl"]["limit"] * 1.01


def test_a_record_that_never_knew_details_reads_and_hashes_as_it_did() -> None:
    """Fields that came later are not written where they hold nothing."""
    old = {
        "statement": "disagreement",
        "pair": PAIR.to_json(),
        "split": "c" * 64,
        "counts": {"samples": 100, "disagreements": 5},
        "estimate": 0.05,
        "limit": 0.11,
        "delta": 0.05,
        "share": 0.025,
        "family": 2,
        "method": "exact",
        "claim": "B1-clopper-pearson",
        "assumptions": ["independent"],
        "arithmetic": {"numbers": "float32"},
        "sentence": "at most 11 %",
    }
    assert sha256_json(Guarantee.from_json(old).to_json()) == sha256_json(old)


@pytest.mark.parametrize(
    ("sizes", "risks"),
    [((0.9, 0.08, 0.02), (0.02, 0.3, 0.7)), ((0.34, 0.33, 0.33), (0.1, 0.1, 0.1)), ((0.5, 0.5, 0.0), (0.0, 0.05, 1.0))],
)
def test_the_class_limits_fail_as_rarely_as_promised(sizes: tuple[float, ...], risks: tuple[float, ...]) -> None:
    """Flagged where the Clopper–Pearson lower limit of the miss rate exceeds delta: chance FALSE_ALARM over all cases."""
    random, sets, n, delta, missed, cache = np.random.default_rng(11), 3000, 60, 0.1, 0, {}
    for _ in range(sets):
        seen = random.multinomial(n, sizes)
        rows = tuple((int(size), int(random.binomial(size, risk))) for size, risk in zip(seen, risks, strict=True))
        if rows not in cache:
            cache[rows] = state(counted(list(rows)), "disagreement_by_class", delta=delta)[0]
        limits = [row["limit"] for row in cache[rows].details["groups"]]
        missed += any(limit < risk for limit, risk in zip(limits, risks, strict=True)) or cache[rows].limit < max(risks)
    assert clopper_pearson_lower(missed, sets, FALSE_ALARM / 3) <= delta


def test_classes_named_after_the_outcomes_are_caught() -> None:
    """Negative control: a "class" made of those that failed has rate 1 in it, and the limit of the rest says nothing of them."""
    random, sets, n, risk, missed = np.random.default_rng(5), 300, 60, 0.2, 0
    for _ in range(sets):
        failures = int(random.binomial(n, risk))
        labels = (np.arange(n) < failures).astype(int)
        late = state(judged(labels, labels == 1, 2), "disagreement_by_class", delta=0.1)[0].details["groups"]
        missed += late[0]["limit"] < risk
    assert clopper_pearson_lower(missed, sets, FALSE_ALARM) > 0.1


def test_the_words_of_a_confidence_keep_every_digit() -> None:
    assert "confidence 0.99999:" in state(counted([(20, 0), (20, 0)]), "disagreement_by_class", delta=1e-5)[0].sentence
    assert math.isclose(state(counted([(40, 0), (40, 0)]), "disagreement", spent=0.5)[0].share, 0.025)
