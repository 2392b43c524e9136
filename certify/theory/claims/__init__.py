"""Every theorem of this folder as data, one module per topic."""

from __future__ import annotations

from certify.records import Claim
from certify.theory.claims.effective_number import EMP_CLAIMS
from certify.theory.claims.layers import LAYER_CLAIMS
from certify.theory.claims.ranking import RANKING_CLAIMS

CLAIMS: tuple[Claim, ...] = (*LAYER_CLAIMS, *EMP_CLAIMS, *RANKING_CLAIMS)
BY_ID = {entry.id: entry for entry in CLAIMS}


def claim(id: str) -> Claim:
    """The claim of that ID."""
    return BY_ID[id]
