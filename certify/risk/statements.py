"""The statements a job can make: from outcomes and an error probability to a limit, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from certify.records import Outcomes
from certify.risk.betting import drop_betting_upper
from certify.risk.rates import group_limits
from certify.risk.words import percent, percent_up
from certify.theory.binomial import clopper_pearson_upper, paired_drop_upper


@dataclass(frozen=True)
class Finding:
    """What one statement makes of the outcomes.

    counts  : the integers behind the limit.    details : rows that counts cannot hold.
    what    : what is limited, in words.        seen    : what was observed, in words.
    """

    counts: Mapping[str, int]
    estimate: float
    limit: float
    what: str
    seen: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """One kind of statement.

    shifts : the population within whose neighbourhood a shift moves the rate; empty where the limit is not one of a rate.
    given  : an assumption beyond those of every statement.
    """

    find: Callable[[Outcomes, float], Finding]
    method: str
    claim: str
    shifts: str = ""
    given: str = ""


def disagreement(outcomes: Outcomes, share: float) -> Finding:
    """P(decisions differ) <= U(k; share). Claim B1-clopper-pearson."""
    found = outcomes.counts()
    k, n = found["disagreements"], found["samples"]
    limit = float(clopper_pearson_upper(k, n, share))
    what = f"the shipped network decides differently from the reference on at most {percent_up(limit)} of them"
    seen = f"{k} of {n} seen, {percent(k / n)}"
    return Finding({"samples": n, "disagreements": k}, k / n, limit, what, seen)


def disagreement_by_class(outcomes: Outcomes, share: float) -> Finding:
    """max over classes c of P(decisions differ | true class c) <= max_c U(k_c of n_c; share / K).

    K is the number of outputs of the networks, so the classes are fixed before any sample was seen; a class without a
    sample has limit 1 and makes the statement vacuous. The estimate is the largest rate observed in a class.
    Claim B1-clopper-pearson (and a union bound over classes).
    """
    assert outcomes.labels is not None
    names = [str(number) for number in range(outcomes.reference.shape[1])]
    rows = group_limits(outcomes.disagrees, outcomes.labels, names, share)
    worst = max(rows, key=lambda row: row.limit)
    total = {"samples": outcomes.size, "disagreements": sum(row.failures for row in rows)}
    estimate = max(row.failures / row.samples for row in rows if row.samples)
    what = (
        "within every true class the shipped network decides differently from the reference "
        f"on at most {percent_up(worst.limit)} of them"
    )
    seen = f"largest limit: class {worst.group}, {worst.failures} of {worst.samples} seen; largest rate seen {percent(estimate)}"
    kept = ("group", "samples", "failures", "limit")
    groups = [{key: value for key, value in asdict(row).items() if key in kept} for row in rows]
    return Finding(total, estimate, worst.limit, what, seen, {"groups": groups})


def accuracy_drop(outcomes: Outcomes, share: float) -> Finding:
    """Difference of the limits of the two discordant cells. Claim B2-paired-drop."""
    return _drop(outcomes, lambda losses, gains, n: float(paired_drop_upper(losses, gains, n, share)))


def accuracy_drop_betting(outcomes: Outcomes, share: float) -> Finding:
    """The same drop by a portfolio of bets; which of the two is tighter depends on the rates. Claim B4-betting-drop."""
    return _drop(outcomes, lambda losses, gains, n: drop_betting_upper(losses, gains, n, share))


def _drop(outcomes: Outcomes, upper: Callable[[int, int, int], float]) -> Finding:
    found = outcomes.counts()
    losses, gains, n = found["losses"], found["gains"], found["samples"]
    limit, estimate = upper(losses, gains, n), (losses - gains) / n
    what = f"the accuracy of the shipped network is at most {percent_up(limit)} below the reference"
    seen = f"{losses} newly wrong and {gains} newly right of {n} seen, {percent(estimate)}"
    return Finding({"samples": n, "losses": losses, "gains": gains}, estimate, limit, what, seen)


KNOWN: Mapping[str, Statement] = {
    "disagreement": Statement(
        disagreement,
        "one-sided exact Clopper–Pearson upper limit of the disagreement rate",
        "B1-clopper-pearson",
        shifts="the population",
    ),
    "accuracy_drop": Statement(
        accuracy_drop,
        "difference of two one-sided exact Clopper–Pearson limits of the discordant cells, half the share each",
        "B2-paired-drop",
    ),
    "accuracy_drop_betting": Statement(
        accuracy_drop_betting,
        "portfolio of constant bets on the paired difference, inverted",
        "B4-betting-drop",
    ),
    "disagreement_by_class": Statement(
        disagreement_by_class,
        "one-sided exact Clopper–Pearson upper limit in every true class, the share split equally over the classes",
        "B1-clopper-pearson",
        shifts="the population of each class",
        given="the classes are the true labels, and their number was fixed before the certification split was looked at",
    ),
}
