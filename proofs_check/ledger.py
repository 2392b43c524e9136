"""The claims of every room in one table."""

from __future__ import annotations

from certify.laws.claims import LAW_CLAIMS
from certify.records import Claim
from certify.theory.claims import CLAIMS as THEORY_CLAIMS

CLAIMS: tuple[Claim, ...] = (*THEORY_CLAIMS, *LAW_CLAIMS)
BY_ID = {entry.id: entry for entry in CLAIMS}
