"""How far the logits of a pair can differ: one file per road, and the ladder they are hung on."""

from certify.bounds.ladder import ladder
from certify.bounds.measured import measure
from certify.bounds.proved import ProvedPath, prove
from certify.bounds.resolved import ResolvedPath, resolve
from certify.bounds.roads import along

__all__ = ["ProvedPath", "ResolvedPath", "along", "ladder", "measure", "prove", "resolve"]
