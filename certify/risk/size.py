"""How many certification samples a wanted guarantee needs."""

from __future__ import annotations

import math
from fractions import Fraction

from certify.records import Guarantee, Refused, Usage
from certify.risk.betting import SLACK, log_portfolio
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.theory.binomial import MOST_SAMPLES, first_true, samples_needed, samples_needed_drop

STEPS = 200
RATES = ("disagreement", "disagreement_by_class")
DROPS = ("accuracy_drop", "accuracy_drop_betting")


def samples_to_halve(found: Guarantee) -> int | None:
    """Samples at which the limit would be half of what it is, if the same rates were seen; None where the rate forbids it.

    By class: samples of the whole split, if the class of the largest limit keeps its part of them. None for ce_increase, whose
    limit depends on more than rates.
    Claim B1-clopper-pearson, B2-paired-drop, B4-betting-drop.
    """
    n, wanted = found.counts["samples"], found.limit / 2
    if not 0 < wanted < 1 or found.statement == "ce_increase":
        return None
    try:
        if found.statement == "disagreement_by_class":
            rows = found.details["groups"]
            worst = max(rows, key=lambda row: row["limit"])
            if not worst["samples"]:
                return None
            rate, rarest = worst["failures"] / worst["samples"], worst["samples"] / n
            return samples_for(found.statement, wanted, rate=rate, delta=found.share, classes=len(rows), rarest=rarest)
        keys = ("disagreements",) if found.statement == "disagreement" else ("losses", "gains")
        rates = [found.counts[key] / n for key in keys]
        return samples_for(found.statement, wanted, rate=rates[0], gains=sum(rates[1:]), delta=found.share)
    except Usage:
        return None


def samples_for(
    statement: str,
    limit: float,
    *,
    rate: float = 0.0,
    gains: float = 0.0,
    delta: float,
    classes: int = 1,
    rarest: float = 0.0,
    unshown: float = 0.0,
    shift_kl: float = 0.0,
    shift_chi_square: float = 0.0,
) -> int:
    """Certification split whose limit is at most `limit` when the expected rates are observed; the smallest but for betting.

    statement : disagreement, or disagreement_by_class (expected `rate`); accuracy_drop, or accuracy_drop_betting (expected
                shares `rate` newly wrong, `gains` newly right).
    delta     : error probability of this one statement.
    classes   : by class: their number; `rarest` the share of samples in the rarest, 0 for equal shares.
    unshown   : share of the agreeing samples on which agreement is not shown on the segment, which then counts as a failure.
    shift_kl, shift_chi_square : the limit is wanted in every population within this radius too; rates only.
    Claim B1-clopper-pearson, B2-paired-drop, B4-betting-drop, B6-shift-kl, B7-shift-chi-square.
    """
    if not 0 < limit < 1:
        raise Usage(f"limit {limit} is not in (0, 1); a share is wanted")
    if not 0 < delta < 1:
        raise Usage(f"delta {delta} is not in (0, 1)")
    if statement not in RATES + DROPS:
        raise Usage(f"statement {statement!r} is not one of {', '.join(RATES + DROPS)}")
    if statement != "disagreement_by_class" and (classes != 1 or rarest):
        raise Usage(f"classes and the rarest of them belong to disagreement_by_class, not to {statement}")
    if statement in DROPS and (unshown or shift_kl or shift_chi_square):
        raise Usage(f"shifts and samples not shown belong to a rate, not to {statement}")
    if not (classes >= 1 and 0 <= rarest <= 1 and 0 <= unshown <= 1):
        raise Usage(f"classes {classes}, rarest {rarest}, unshown {unshown}: at least one class, and shares in [0, 1]")
    try:
        if statement == "accuracy_drop":
            return samples_needed_drop(limit, delta, rate, gains)
        if statement == "accuracy_drop_betting":
            return _by_betting(limit, delta, rate, gains)
        wanted = _before_shift(limit, shift_kl, shift_chi_square)
        needed = samples_needed(wanted, delta / classes, rate + (1.0 - rate) * unshown)
        part = Fraction(rarest).limit_denominator(MOST_SAMPLES) if rarest else Fraction(1, classes)
        return math.ceil(needed / part)
    except Refused as error:
        raise Usage(f"no number of samples can be given: {error}") from None


def _before_shift(limit: float, kl: float, chi_square: float) -> float:
    """The largest rate that stays within `limit` in every population of the radii; both maps rise with the rate."""

    def moved(rate: float) -> float:
        return max(kl_shifted(rate, kl), chi_square_shifted(rate, chi_square))

    if moved(limit) <= limit:
        return limit
    low, high = 0.0, limit
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if moved(middle) <= limit else (low, middle)
    if not low > 0.0:
        raise Refused(f"shift: radii {kl:g} and {chi_square:g} leave no rate whose limit under shift is {limit:g}")
    return low


def _by_betting(wanted: float, alpha: float, loss: float, gain: float) -> int:
    """A size at which the portfolio rejects a drop of `wanted`, and one sample less does not.

    Rates are whole counts from the first size on at which they reject as real numbers. Bets are added with n, so that
    a smaller size may do as well.
    """
    if not (loss >= 0 and gain >= 0 and loss + gain <= 1):
        raise Refused(f"rates {loss} and {gain}; shares of the same samples are at least 0 and sum to at most 1")
    if loss - gain >= wanted:
        raise Refused(f"rate - gains: {loss - gain}; no number of samples brings such a drop's limit below {wanted}")
    shares = [Fraction(each).limit_denominator(MOST_SAMPLES) for each in (loss, gain)]

    def rejects(lost: float, won: float, n: int) -> bool:
        return float(log_portfolio(lost, won, n, wanted, alpha)) >= SLACK - math.log(alpha)

    def whole(n: int) -> bool:
        return rejects(math.ceil(shares[0] * n), math.floor(shares[1] * n), n)

    high = first_true(lambda n: rejects(loss * n, gain * n, n))
    while not whole(high):
        high += 1
        if high > MOST_SAMPLES:
            raise Refused(f"the wanted limit needs more than {MOST_SAMPLES} samples")
    return high
