"""Finite-sample guarantees: what outcomes on data never used before say about the population they were drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal, localcontext

from certify.records import Guarantee, Outcomes, Refused, Usage
from certify.theory.binomial import clopper_pearson_upper, paired_drop_upper

METHOD = {
    "disagreement": "one-sided exact Clopper–Pearson upper limit of the disagreement rate",
    "accuracy_drop": "difference of two one-sided exact Clopper–Pearson limits of the discordant cells, half the share each",
}
CLAIM = {"disagreement": "B1-clopper-pearson", "accuracy_drop": "B2-paired-drop"}
SMALLEST_SPLIT = 20


def guarantee(
    outcomes: Outcomes, *, statements: Sequence[str], delta: float, family: int, groups: str, looks: int, spent: float = 1.0
) -> tuple[Guarantee, ...]:
    """The guarantees that `outcomes` allow, each at its share of one delta.

    delta  : error probability of all statements of the job together; each of the `family` statements gets
             spent · delta / family (Bonferroni), so that all hold at once with probability at least 1 − delta.
    spent  : part of delta that this look at the certification split may use.
    groups : what is known of samples that share a source; becomes an assumption of the sentence.
    Refused when the split is smaller than 20 samples: no rate below one half could be guaranteed usefully.
    """
    check_split(outcomes.size)
    if family < len(statements):
        raise Usage(f"{len(statements)} statements cannot share delta as a family of {family}")
    share = delta * spent / family
    return tuple(_one(outcomes, statement, delta, share, family, groups, looks) for statement in statements)


def check_split(samples: int) -> None:
    """Refuse a certification split that is too small for any statement, best before anybody looks at it."""
    if samples < SMALLEST_SPLIT:
        raise Refused(
            f"certification split: {samples} samples are too few for any statement (at least {SMALLEST_SPLIT}); "
            "certify size says how many a wanted limit needs"
        )


def _one(outcomes: Outcomes, statement: str, delta: float, share: float, family: int, groups: str, looks: int) -> Guarantee:
    counts = outcomes.counts()
    n = counts["samples"]
    if statement == "disagreement":
        used = {"samples": n, "disagreements": counts["disagreements"]}
        estimate = counts["disagreements"] / n
        limit = float(clopper_pearson_upper(counts["disagreements"], n, share))
        what = f"the shipped network decides differently from the reference on at most {_percent_up(limit)} of them"
        seen = f"{counts['disagreements']} of {n} seen, {_percent(estimate)}"
    elif statement == "accuracy_drop":
        if outcomes.labels is None:
            raise Usage("accuracy_drop needs labels; ask for disagreement only")
        used = {name: counts[name] for name in ("samples", "losses", "gains")}
        estimate = (counts["losses"] - counts["gains"]) / n
        limit = float(paired_drop_upper(counts["losses"], counts["gains"], n, share))
        what = f"the accuracy of the shipped network is at most {_percent_up(limit)} below the reference"
        seen = f"{counts['losses']} newly wrong and {counts['gains']} newly right of {n} seen, {_percent(estimate)}"
    else:
        raise Usage(f"statement {statement!r} is not known; known here: {', '.join(METHOD)}")
    sentence = (
        f"Guaranteed at confidence {1 - Decimal(repr(delta))}: on images drawn like the certification split, {what} ({seen}). "
        f"It holds together with all {family} statements of this job."
    )
    if not limit < 1:
        sentence = f"VACUOUS: {sentence}"
    return Guarantee(
        statement=statement,
        pair=outcomes.pair,
        split=outcomes.split,
        counts=used,
        estimate=estimate,
        limit=limit,
        delta=delta,
        share=share,
        family=family,
        method=METHOD[statement],
        claim=CLAIM[statement],
        assumptions=_assumptions(outcomes, groups, looks),
        arithmetic=dict(outcomes.arithmetic),
        sentence=sentence,
    )


def _assumptions(outcomes: Outcomes, groups: str, looks: int) -> tuple[str, ...]:
    arithmetic = ", ".join(f"{key} {value}" for key, value in sorted(outcomes.arithmetic.items()))
    return (
        "future images are drawn independently from the population the certification split was drawn from",
        groups,
        "both networks were fixed before the certification split was looked at",
        f"the certification split has been looked at {looks} time{'s' if looks != 1 else ''}, by the register beside the data",
        f"both networks run as they were run here: {arithmetic}",
    )


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _percent_up(limit: float) -> str:
    """A limit in per cent, rounded up at the third significant digit: a sentence must not promise more than was shown."""
    with localcontext(prec=3, rounding=ROUND_CEILING):
        return f"{float(+(100 * Decimal(limit))):g} %"
