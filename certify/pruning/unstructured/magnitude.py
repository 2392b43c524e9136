"""Scores that read weights alone."""

from __future__ import annotations

import numpy as np

from certify.records import Evidence


def magnitude(evidence: Evidence) -> dict[str, np.ndarray]:
    """|w| of every entry of every target."""
    return {name: np.abs(weight) for name, weight in evidence.weights.items()}
