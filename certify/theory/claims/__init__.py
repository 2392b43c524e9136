"""Every theorem of this folder as data, one module per topic.

MP-paper is arXiv:2606.02608, OR1 its Online Resource 1. X.. sharpen the paper and are proved in the specification; F.. are
defects of the literal text; PE.. serve enclosures along a path, B.. guarantees; EMP.. belong to arXiv:2509.25606, SEL.. to
arXiv:2605.09345, SSD.. to arXiv:2605.18860.
"""

from __future__ import annotations

from certify.records import Claim
from certify.theory.claims import (
    activations,
    additive,
    budget,
    cross_entropy,
    defects,
    effective_number,
    elastic_net,
    enclosures,
    errata,
    gaussian,
    margins,
    path,
    patterns,
    perturbation,
    ranking,
    rates,
    readings,
    rounding,
    stationarity,
)

CLAIMS: tuple[Claim, ...] = (
    *cross_entropy.CLAIMS,
    *margins.CLAIMS,
    *path.CLAIMS,
    *budget.CLAIMS,
    *gaussian.CLAIMS,
    *elastic_net.CLAIMS,
    *stationarity.CLAIMS,
    *additive.CLAIMS,
    *perturbation.CLAIMS,
    *rounding.CLAIMS,
    *patterns.CLAIMS,
    *activations.CLAIMS,
    *effective_number.CLAIMS,
    *ranking.CLAIMS,
    *rates.CLAIMS,
    *enclosures.CLAIMS,
    *defects.CLAIMS,
    *readings.CLAIMS,
    *errata.CLAIMS,
)
BY_ID = {entry.id: entry for entry in CLAIMS}


def claim(id: str) -> Claim:
    """The claim of that ID."""
    return BY_ID[id]
