"""Proven enclosures of logits along a weight segment, wherever the change lies.

Modules, in the order of reading: `taylor` and `elementary` (arithmetic), `operations` and `graph` (networks of known operations),
`layers`, `steps` and `gains` (vision transformers), `road`.
"""

from certify.bounds.enclosed.road import Encloser, Enclosure, Step

__all__ = ["Encloser", "Enclosure", "Step"]
