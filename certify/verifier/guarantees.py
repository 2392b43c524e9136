"""The arithmetic of guarantees, from the raw logits up and by a second derivation of the limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from certify.records import Certificate, Guarantee, Outcomes, Recipe, Refused
from certify.records.hashing import canonical_json

RELATIVE = 1e-9


def upper_limit(count: int, size: int, alpha: float) -> float:
    """The share p at which `count` or fewer of `size` events have probability alpha; 1 when every sample is an event.

    The binomial tail equation itself, summed in logarithms, instead of the beta quantile it is equivalent to.
    """
    if count == size:
        return 1.0
    if count == 0:
        return -math.expm1(math.log(alpha) / size)
    return _solve(np.arange(count + 1), size, alpha, count / size, 1.0)


def lower_limit(count: int, size: int, alpha: float) -> float:
    """The share p at which `count` or more of `size` events have probability alpha; 0 when there was no event."""
    if count == 0:
        return 0.0
    if count == size:
        return math.exp(math.log(alpha) / size)
    return _solve(np.arange(count, size + 1), size, alpha, 0.0, count / size)


def _solve(events: np.ndarray, size: int, alpha: float, low: float, high: float) -> float:
    """The p in (low, high) at which `events` have probability alpha together.

    At 0 and 1 the log-tail is infinite, so they are approached, not evaluated. A root beyond the observed share (alpha
    above about one half) opens the bracket to the whole interval.
    """

    def tail(p: float) -> float:
        terms = binom.logpmf(events, size, p)
        top = float(terms.max())
        return top + math.log(math.fsum(np.exp(terms - top))) - math.log(alpha)

    smallest, largest = 1e-300, 1 - 2.0**-53
    ends = max(low, smallest), min(high, largest)
    if tail(ends[0]) * tail(ends[1]) > 0:
        ends = smallest, largest
    root: Any = brentq(tail, *ends, xtol=1e-18, rtol=4 * np.finfo(np.float64).eps, maxiter=2000)
    return float(root)


def counts(outcomes: Outcomes) -> dict[str, int]:
    """Disagreements, losses and gains counted sample by sample from the logits.

    A tie at the top is no decision: it is wrong, and it disagrees.
    """
    found = {"samples": 0, "disagreements": 0}
    if outcomes.labels is not None:
        found |= {"correct_reference": 0, "correct_shipped": 0, "losses": 0, "gains": 0}
    for index in range(len(outcomes.samples)):
        before, after = _decided(outcomes.reference[index]), _decided(outcomes.shipped[index])
        found["samples"] += 1
        found["disagreements"] += before is None or after is None or before != after
        if outcomes.labels is not None:
            label = int(outcomes.labels[index])
            right, right_after = before == label, after == label
            found["correct_reference"] += right
            found["correct_shipped"] += right_after
            found["losses"] += right and not right_after
            found["gains"] += right_after and not right
    return found


def _decided(logits: np.ndarray) -> int | None:
    order = np.sort(logits)
    return int(np.flatnonzero(logits == order[-1])[0]) if order[-1] > order[-2] else None


def recompute(statement: str, found: Mapping[str, int], share: float) -> tuple[float, float, float]:
    """Estimate, limit, and the size against which rounding is measured.

    disagreement   U(k, n; share)
    accuracy_drop  U(losses, n; share / 2) - L(gains, n; share / 2)
    """
    size = found["samples"]
    if statement == "disagreement":
        limit = upper_limit(found["disagreements"], size, share)
        return found["disagreements"] / size, limit, limit
    worst = upper_limit(found["losses"], size, share / 2)
    return (found["losses"] - found["gains"]) / size, worst - lower_limit(found["gains"], size, share / 2), worst


def check_guarantee(guarantee: Guarantee, outcomes: Outcomes, found: Mapping[str, int]) -> None:
    """Refuse a guarantee whose counts, estimate, limit or sentence do not follow from the outcomes."""
    name = f"guarantee {guarantee.statement}"
    if guarantee.split != outcomes.split:
        raise Refused(f"{name}: speaks of split {guarantee.split[:12]}, its outcomes are of {outcomes.split[:12]}")
    needed = ("samples", "disagreements") if guarantee.statement == "disagreement" else ("samples", "losses", "gains")
    for key in dict.fromkeys((*needed, *guarantee.counts)):
        stated = guarantee.counts.get(key)
        if key not in found:
            raise Refused(f"{name}: counts {key}, which the outcomes do not hold (are they unlabelled?)")
        if isinstance(stated, bool) or not isinstance(stated, int) or stated != found[key]:
            raise Refused(f"{name}: states {stated} {key}, the logits give {found[key]}")
    estimate, limit, size = recompute(guarantee.statement, found, guarantee.share)
    if not abs(guarantee.estimate - estimate) <= RELATIVE:
        raise Refused(f"{name}: states the estimate {guarantee.estimate!r}, the counts give {estimate!r}")
    if not abs(guarantee.limit - limit) <= RELATIVE * size:
        raise Refused(f"{name}: states the limit {guarantee.limit!r}, the counts give {limit!r}")
    if canonical_json(dict(guarantee.arithmetic)) != canonical_json(dict(outcomes.arithmetic)):
        raise Refused(f"{name}: its arithmetic {dict(guarantee.arithmetic)} is not its outcomes' {dict(outcomes.arithmetic)}")
    if not says(guarantee.sentence, guarantee.limit):
        raise Refused(f"{name}: its sentence does not hold the limit {guarantee.limit:.3g}: {guarantee.sentence!r}")


def says(sentence: str, limit: float) -> bool:
    """True when the sentence holds the limit, or its size in per cent, to three significant digits."""
    numbers = [float(text) for text in re.findall(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", sentence)]
    size = abs(limit)
    if size == 0:
        return 0.0 in numbers
    unit = 10.0 ** (math.floor(math.log10(size)) - 2)
    return any(abs(number * scale - size) <= unit * (1 + 1e-6) for number in numbers for scale in (1, 0.01))


def check_family(certificate: Certificate, recipe: Recipe, name: str) -> str:
    """Refuse a job whose statements together spend more than delta, or that hides one of them."""
    family = certificate.about["family"]
    delta, statements = _number(family["delta"], "family.delta"), family["statements"]
    shares: dict[tuple[str, str], float] = {}
    for entry in statements:
        key = (entry["plan"], entry["statement"])
        if key in shares:
            raise Refused(f"family: {key[1]} of plan {key[0]} stands twice")
        shares[key] = _number(entry["share"], f"family: share of {key[1]} of plan {key[0]}")
        if not shares[key] > 0:
            raise Refused(f"family: share of {key[1]} of plan {key[0]} is {shares[key]!r}; a share is positive")
    spent = math.fsum(shares.values())
    if not spent <= delta * (1 + 1e-12):
        raise Refused(f"family: its shares sum to {spent!r}, more than delta = {delta!r}")
    if delta != recipe.guarantees.delta:
        raise Refused(f"family: states delta = {delta!r}, the recipe {recipe.guarantees.delta!r}")
    plans = [plan.name for plan in recipe.plan] or [name]
    for key in [(plan, statement) for plan in plans for statement in recipe.guarantees.statements]:
        if key not in shares:
            raise Refused(f"family: leaves out {key[1]} of plan {key[0]}, which the recipe asks for")
    _check_shares(certificate.guarantees, shares, delta, name)
    return f"{len(shares)} statements of the job spend {spent:.6g} of delta = {delta:g}"


def _check_shares(guarantees: Sequence[Guarantee], shares: Mapping[tuple[str, str], float], delta: float, name: str) -> None:
    stated = [guarantee.statement for guarantee in guarantees]
    owed = [statement for plan, statement in shares if plan == name]
    if sorted(stated) != sorted(owed):
        raise Refused(
            f"family: lists {', '.join(owed) or 'nothing'} for plan {name}, "
            f"the certificate holds {', '.join(stated) or 'nothing'}"
        )
    for guarantee in guarantees:
        if guarantee.share != shares[name, guarantee.statement]:
            raise Refused(
                f"guarantee {guarantee.statement}: spends {guarantee.share!r}, "
                f"the family gives it {shares[name, guarantee.statement]!r}"
            )
        if guarantee.delta != delta:
            raise Refused(f"guarantee {guarantee.statement}: states delta = {guarantee.delta!r}, the family {delta!r}")
        if guarantee.family != len(shares):
            raise Refused(f"guarantee {guarantee.statement}: states a family of {guarantee.family}, {len(shares)} are listed")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(f"{what}: {value!r} is not a finite number")
    return float(value)
