"""All wrong edits, one module per topic."""

from __future__ import annotations

from proofs_check.mutation import bounds, deploying, laws, objectives, pruning, roads, scores, units
from proofs_check.mutation.edit import Edit

EDITS: tuple[Edit, ...] = (
    *bounds.EDITS,
    *objectives.EDITS,
    *laws.EDITS,
    *scores.EDITS,
    *pruning.EDITS,
    *roads.EDITS,
    *deploying.EDITS,
    *units.EDITS,
)
