"""How many certification samples a wanted guarantee needs."""

from __future__ import annotations

from certify.records import Guarantee, Refused, Usage
from certify.theory.binomial import samples_needed, samples_needed_drop


def samples_to_halve(found: Guarantee) -> int | None:
    """Samples at which the limit would be half of what it is, if the same rates were seen; None where the rate forbids it.

    Claim B1-clopper-pearson, B2-paired-drop.
    """
    n = found.counts["samples"]
    keys = ("disagreements",) if found.statement == "disagreement" else ("losses", "gains")
    rates = [found.counts[key] / n for key in keys]
    if not 0 < found.limit / 2 < 1 or found.estimate >= found.limit / 2:
        return None
    try:
        return samples_for(found.statement, found.limit / 2, rate=rates[0], gains=sum(rates[1:]), delta=found.share)
    except Usage:
        return None


def samples_for(statement: str, limit: float, *, rate: float = 0.0, gains: float = 0.0, delta: float) -> int:
    """Smallest certification split whose limit is at most `limit` when the expected rates are observed.

    statement : "disagreement" (expected `rate`) or "accuracy_drop" (expected shares `rate` newly wrong, `gains` newly right).
    delta     : error probability of this one statement.
    Claim B1-clopper-pearson, B2-paired-drop.
    """
    if not 0 < limit < 1:
        raise Usage(f"limit {limit} is not in (0, 1); a share is wanted")
    if not 0 < delta < 1:
        raise Usage(f"delta {delta} is not in (0, 1)")
    try:
        if statement == "disagreement":
            return samples_needed(limit, delta, rate)
        if statement == "accuracy_drop":
            return samples_needed_drop(limit, delta, rate, gains)
    except Refused as error:
        raise Usage(f"no number of samples can be given: {error}") from None
    raise Usage(f"statement {statement!r} is not disagreement or accuracy_drop")
