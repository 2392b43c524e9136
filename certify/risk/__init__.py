"""Finite-sample guarantees: what outcomes on data never used before say about the population they were drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from certify.records import LABELLED, Guarantee, Outcomes, Refused, Usage
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.risk.statements import KNOWN, Ceilings
from certify.risk.words import confidence, percent_up

SMALLEST_SPLIT = 20
# Divergence -> the largest rate within a radius of it, how the radius is told, the claim.
SHIFTS = {
    "kl": (kl_shifted, "KL(Q || P) <= {:g} nats", "B6-shift-kl"),
    "chi_square": (chi_square_shifted, "chi-square(Q || P) <= {:g}", "B7-shift-chi-square"),
}


def guarantee(
    outcomes: Outcomes,
    *,
    statements: Sequence[str],
    delta: float,
    family: int,
    groups: str,
    looks: int,
    spent: float = 1.0,
    shift: Mapping[str, float] | None = None,
    ceilings: Ceilings = None,
) -> tuple[Guarantee, ...]:
    """The guarantees that `outcomes` allow, each at its share of one delta.

    delta  : error probability of all statements of the job together; each of the `family` statements gets
             spent · delta / family (Bonferroni), so that all hold at once with probability at least 1 − delta.
    spent  : part of delta that this look at the certification split may use.
    groups : what is known of samples that share a source; becomes an assumption of the sentence.
    shift  : divergence ("kl" in nats, "chi_square") -> radius within which rates are limited too. It spends nothing: on the
             event that the limit holds, the limit within any radius holds.
    ceilings : largest cross-entropy of one sample, of the reference and of the shipped network; ce_increase needs them.
    Refused when the split is smaller than 20 samples: no rate below one half could be guaranteed usefully.
    """
    check_split(outcomes.size)
    if family < len(statements):
        raise Usage(f"{len(statements)} statements cannot share delta as a family of {family}")
    share = delta * spent / family
    said = _assumptions(outcomes, groups, looks)
    return tuple(_one(outcomes, statement, delta, share, family, said, shift or {}, ceilings) for statement in statements)


def check_split(samples: int) -> None:
    """Refuse a certification split that is too small for any statement, best before anybody looks at it."""
    if samples < SMALLEST_SPLIT:
        raise Refused(
            f"certification split: {samples} samples are too few for any statement (at least {SMALLEST_SPLIT}); "
            "certify size says how many a wanted limit needs"
        )


def _one(
    outcomes: Outcomes,
    name: str,
    delta: float,
    share: float,
    family: int,
    assumptions: tuple[str, ...],
    radii: Mapping[str, float],
    ceilings: Ceilings,
) -> Guarantee:
    if name not in KNOWN:
        raise Usage(f"statement {name!r} is not known; known here: {', '.join(KNOWN)}")
    if name in LABELLED and outcomes.labels is None:
        raise Usage(f"{name} needs labels; ask for disagreement only")
    statement = KNOWN[name]
    found = statement.find(outcomes, share, ceilings)
    shift, told, assumed = _shifted(found.limit, radii if statement.shifts else {}, statement.shifts)
    sentence = (
        f"Guaranteed at confidence {confidence(delta)}: on images drawn like the certification split, {found.what} "
        f"({found.seen}). It holds together with all {family} statements of this job.{told}"
    )
    return Guarantee(
        statement=name,
        pair=outcomes.pair,
        split=outcomes.split,
        counts=found.counts,
        estimate=found.estimate,
        limit=found.limit,
        delta=delta,
        share=share,
        family=family,
        method=statement.method,
        claim=statement.claim,
        assumptions=(*assumptions, *([statement.given] if statement.given else []), *assumed),
        arithmetic=dict(outcomes.arithmetic),
        sentence=sentence if found.limit < found.details.get("high", 1) else f"VACUOUS: {sentence}",
        details=found.details,
        shift=shift,
    )


def _shifted(
    limit: float, radii: Mapping[str, float], population: str
) -> tuple[dict[str, dict[str, float]], str, tuple[str, ...]]:
    """The limit within each radius, the words for it, the assumption it rests on."""
    shift, told, assumed = {}, "", []
    for name, radius in radii.items():
        moved, words, _ = SHIFTS[name]
        within, worst = words.format(radius), moved(limit, radius)
        shift[name] = {"radius": radius, "limit": worst}
        said = f"at most {percent_up(worst)}" if worst < 1 else "nothing is guaranteed (VACUOUS)"
        told += f" Should {population}, P, move to a Q with {within}: {said}."
        assumed.append(f"for the limit under shift: {population}, P, moves to a Q with {within}, which is assumed, not measured")
    return shift, told, tuple(assumed)


def _assumptions(outcomes: Outcomes, groups: str, looks: int) -> tuple[str, ...]:
    arithmetic = ", ".join(f"{key} {value}" for key, value in sorted(outcomes.arithmetic.items()))
    return (
        "future images are drawn independently from the population the certification split was drawn from",
        groups,
        "both networks were fixed before the certification split was looked at",
        f"the certification split has been looked at {looks} time{'s' if looks != 1 else ''}, by the register beside the data",
        f"both networks run as they were run here: {arithmetic}",
    )
