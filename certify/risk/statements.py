"""The statements a job can make: from outcomes and an error probability to a limit, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from certify.records import Outcomes, Usage
from certify.risk.betting import drop_betting_upper, increase_upper
from certify.risk.rates import group_limits
from certify.risk.words import nats_up, percent, percent_up
from certify.theory.binomial import clopper_pearson_upper, paired_drop_upper

# Largest cross-entropies of one sample, nats: of the reference and of the shipped network; None where none is known beforehand.
Ceilings = tuple[float, float] | None


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

    find: Callable[[Outcomes, float, Ceilings], Finding]
    method: str
    claim: str
    shifts: str = ""
    given: str = ""


def disagreement(outcomes: Outcomes, share: float, _: Ceilings = None) -> Finding:
    """P(decisions differ) <= U(k; share). Claim B1-clopper-pearson."""
    found = outcomes.counts()
    k, n = found["disagreements"], found["samples"]
    limit = float(clopper_pearson_upper(k, n, share))
    what = f"the shipped network decides differently from the reference on at most {percent_up(limit)} of them"
    seen = f"{k} of {n} seen, {percent(k / n)}"
    return Finding({"samples": n, "disagreements": k}, k / n, limit, what, seen)


def disagreement_by_class(outcomes: Outcomes, share: float, _: Ceilings = None) -> Finding:
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


def accuracy_drop(outcomes: Outcomes, share: float, _: Ceilings = None) -> Finding:
    """Difference of the limits of the two discordant cells. Claim B2-paired-drop."""
    return _drop(outcomes, lambda losses, gains, n: float(paired_drop_upper(losses, gains, n, share)))


def accuracy_drop_betting(outcomes: Outcomes, share: float, _: Ceilings = None) -> Finding:
    """The same drop by a portfolio of bets; which of the two is tighter depends on the rates. Claim B4-betting-drop."""
    return _drop(outcomes, lambda losses, gains, n: drop_betting_upper(losses, gains, n, share), "by betting: ")


def _drop(outcomes: Outcomes, upper: Callable[[int, int, int], float], how: str = "") -> Finding:
    found = outcomes.counts()
    losses, gains, n = found["losses"], found["gains"], found["samples"]
    limit, estimate = upper(losses, gains, n), (losses - gains) / n
    what = f"the accuracy of the shipped network is at most {percent_up(limit)} below the reference"
    seen = f"{how}{losses} newly wrong and {gains} newly right of {n} seen, {percent(estimate)}"
    return Finding({"samples": n, "losses": losses, "gains": gains}, estimate, limit, what, seen)


def ce_increase(outcomes: Outcomes, share: float, ceilings: Ceilings = None) -> Finding:
    """Mean cross-entropy, shipped minus reference, by betting on samples in their stored order. Claim B3-betting."""
    if ceilings is None:
        raise Usage("ce_increase needs networks whose last normalisation bounds the loss beforehand; leave the statement out")
    assert outcomes.labels is not None
    own = np.arange(outcomes.size), outcomes.labels
    loss = [np.logaddexp.reduce(z, axis=1) - z[own] for z in (outcomes.reference, outcomes.shipped)]
    increase, (low, high) = loss[1] - loss[0], (-ceilings[0], ceilings[1])
    limit, estimate = increase_upper(increase, low, high, share), float(np.mean(increase))
    what = f"the mean cross-entropy of the shipped network is at most {nats_up(limit)} above the reference"
    seen = f"{estimate:.3g} nats on {outcomes.size} seen, of one sample known beforehand to lie between {low:.3g} and {high:.3g}"
    return Finding({"samples": outcomes.size}, estimate, limit, what, seen, {"low": low, "high": high})


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
    "ce_increase": Statement(
        ce_increase,
        "predictable plug-in bets on the paired increase in cross-entropy, inverted",
        "B3-betting",
        given="the order of samples and the range of the loss follow from the splits and the weights, fixed before the look",
    ),
}
