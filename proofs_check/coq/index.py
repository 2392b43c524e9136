"""Which theorem of which .v file stands behind which claim, as data; the entries are in `entries`, one module per topic.

Words and formal statement are read from the .v file, where the comment above a theorem names its claim; the LaTeX of an
entry is the ledger's side of the comparison. IDs are those of the ledger.
"""

from __future__ import annotations

from proofs_check.coq.entries import laws, layers, loss, scores, stationarity
from proofs_check.coq.entry import FOLDER, WITNESS, Entry, commented, source, statement

__all__ = ["BY_THEOREM", "ENTRIES", "FOLDER", "PARTIAL", "WITNESS", "Entry", "commented", "source", "statement"]

_TOPICS = (loss, layers, stationarity, scores, laws)
ENTRIES: tuple[Entry, ...] = tuple(entry for topic in _TOPICS for entry in topic.ENTRIES)
BY_THEOREM = {entry.theorem: entry for entry in ENTRIES}

# Claim -> what of the ledger's statement its Coq theorems do not cover. Absent: the whole statement is machine-checked.
PARTIAL: dict[str, str] = {claim: gap for topic in _TOPICS for claim, gap in topic.PARTIAL.items()}
