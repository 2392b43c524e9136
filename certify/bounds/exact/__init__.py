"""The exact road: piecewise linear networks whose change lies in one layer, or in one layer after another.

Modules, in the order of reading: `tubes` (what is known of an activation), `affine` and `kinks` (operations), `graph` (from
torch to steps), `trace` (the knots), `proof` (the tube around the logits), `summary` (extent and variation), `road`.
"""

from certify.bounds.exact.road import ExactPath, ExactSequence, exact, exact_sequence, rational_path
from certify.bounds.exact.summary import extent

__all__ = ["ExactPath", "ExactSequence", "exact", "exact_sequence", "extent", "rational_path"]
