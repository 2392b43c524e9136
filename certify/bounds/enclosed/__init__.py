"""Proven enclosures of logits along a weight segment, for GELU chains and vision transformers."""

from certify.bounds.enclosed.road import Encloser, Enclosure, Step

__all__ = ["Encloser", "Enclosure", "Step"]
