"""Rungs of the measured road: what two forward passes say, tier `resolved`."""

from __future__ import annotations

from typing import Any

import numpy as np

from certify.records import Bound
from certify.theory import cross_entropy as ce
from certify.theory import margins

SEMANTICS = "float64 network evaluations with the stored weights, CPU"
MODEL = "removed weights modelled as independent Gaussian noise; they are not (F15)"


def resolved_rung(
    quantity: str, label: str, unit: str, claim: str, upper: np.ndarray, tolerance: np.ndarray | float, **more: Any
) -> Bound:
    """A bound of tier `resolved`; more goes to `Bound`."""
    return Bound(
        quantity=quantity,
        label=label,
        unit=unit,
        tier="resolved",
        semantics=MODEL if more.get("modelled") else SEMANTICS,
        claim=claim,
        upper=upper,
        tolerance=np.broadcast_to(tolerance, np.shape(upper)),
        **more,
    )


def measured_rungs(reference: np.ndarray, shipped: np.ndarray, classes: np.ndarray, error: np.ndarray) -> list[Bound]:
    """reference, shipped : (T, K) float64 logits; classes : (T,) class C; error : (T,) of one logit."""
    change = shipped - reference
    size, oscillation = np.abs(change).max(axis=1), change.max(axis=1) - change.min(axis=1)
    increase = ce.cross_entropy(shipped, classes) - ce.cross_entropy(reference, classes)
    before, after = margins.true_margin(reference, classes), margins.true_margin(shipped, classes)
    loses = ((before > 0) & (after <= 0)).astype(float)
    moved = (reference.argmax(axis=1) != shipped.argmax(axis=1)).astype(float)
    rungs = (
        ("logit_change", "largest logit change, measured", "logit", "X8-path-variation", size, 2 * error),
        ("logit_oscillation", "spread of the logit change, measured", "logit", "X2-ce-pairwise", oscillation, 4 * error),
        ("ce_change", "cross-entropy increase, measured", "nat", "L5.1-ce-path", increase, 4 * error),
        ("ce_gain", "cross-entropy decrease, measured", "nat", "L5.1-ce-path", -increase, 4 * error),
        ("loses_decision", "correct before, wrong after, measured", "decision", "X5-margin-signed", loses, 0.0),
        ("changes_label", "decision differs, measured", "decision", "C5.2-margin", moved, 0.0),
    )
    return [resolved_rung(*rung, lower=None if rung[2] == "decision" else rung[4]) for rung in rungs]
