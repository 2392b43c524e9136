"""Rungs of the resolved road: what the path of the logits says of them, of losses and of decisions, and their order."""

from __future__ import annotations

import numpy as np

from certify.bounds.resolved import ResolvedPath
from certify.bounds.rungs.measured import resolved_rung
from certify.records import Bound, Edge
from certify.theory import cross_entropy as ce
from certify.theory import margins


def resolved_rungs(path: ResolvedPath, classes: np.ndarray, error: np.ndarray) -> list[Bound]:
    """classes : (T,) class C; error : (T,) of one logit."""
    return [*_logits(path), *_nats(path, classes), *_decisions(path, classes, error)]


def _logits(path: ResolvedPath) -> list[Bound]:
    values = (
        ("path_change", "largest logit change anywhere on the segment, resolved", "X8-path-variation"),
        ("path_variation", "path variation", "X8-path-variation"),
        ("path_speed", "largest speed on the path", "X9-best-L"),
        ("path_oscillation", "path variation of the spread", "X8-path-variation"),
    )
    sizes = (
        (path.change.max(axis=1), path.change_error.max(axis=1)),
        (path.max_norm, path.max_norm_error),
        (path.speed_sup, path.speed_sup_error),
        (path.oscillation, path.oscillation_error),
    )
    return [resolved_rung(name, label, "logit", claim, *size) for (name, label, claim), size in zip(values, sizes, strict=True)]


def _nats(path: ResolvedPath, classes: np.ndarray) -> list[Bound]:
    log_p, log_not_p = ce.log_probabilities(path.reference, classes)
    pairwise_error = path.pairwise_error.max(axis=1)
    # Each bound is 1-Lipschitz in pi and omega, 2-Lipschitz in eta.
    return [
        resolved_rung(
            "ce_pairwise",
            "pairwise bound (X2)",
            "nat",
            "X2-ce-pairwise",
            ce.increase_upper_pairwise(path.reference, classes, path.pairwise),
            pairwise_error,
        ),
        resolved_rung(
            "ce_oscillation",
            "oscillation bound (X2)",
            "nat",
            "X2-ce-pairwise",
            ce.increase_upper_oscillation(log_p, log_not_p, path.oscillation),
            path.oscillation_error,
        ),
        resolved_rung(
            "ce_sharp",
            "sharp bound (X1)",
            "nat",
            "X1-ce-sharp",
            ce.increase_upper(log_p, log_not_p, path.max_norm),
            2 * path.max_norm_error,
        ),
        resolved_rung(
            "ce_published",
            "the paper's 2 eta (L5.1)",
            "nat",
            "L5.1-ce-path",
            ce.increase_published(path.max_norm),
            2 * path.max_norm_error,
        ),
        resolved_rung(
            "ce_gain_sharp",
            "sharp bound on the decrease (X1)",
            "nat",
            "X1-ce-sharp",
            -ce.increase_lower(log_p, log_not_p, path.max_norm),
            2 * path.max_norm_error,
        ),
    ]


def _decisions(path: ResolvedPath, classes: np.ndarray, error: np.ndarray) -> list[Bound]:
    before = margins.true_margin(path.reference, classes)
    predicted = margins.predicted_margin(path.reference)
    eta = path.max_norm + path.max_norm_error + error
    pairwise = path.pairwise + path.pairwise_error + 2 * error[:, None]
    rungs = (
        (
            "may_lose_pairwise",
            "may lose, pairwise margins (X6)",
            "X6-margin-pairwise",
            margins.may_lose_pairwise(path.reference, classes, pairwise),
        ),
        ("may_lose_signed", "may lose, signed margins (X5)", "X5-margin-signed", margins.may_lose(before, eta)),
        (
            "may_change_published",
            "may change, the paper's margins (C5.2)",
            "C5.2-margin",
            margins.may_change_published(before, eta),
        ),
        ("may_change_label", "decision may differ (C5.2)", "C5.2-margin", ~margins.predicted_label_stable(predicted, eta)),
    )
    return [
        resolved_rung(name, label, "decision", claim, np.asarray(value, dtype=float), 0.0) for name, label, claim, value in rungs
    ]


def resolved_edges() -> list[Edge]:
    lipschitz = ("the logits are Lipschitz along the segment",)
    return [
        Edge("logit_change", "path_change", "X8-path-variation"),
        Edge("path_change", "path_variation", "X8-path-variation", lipschitz),
        Edge("path_variation", "path_speed", "X9-best-L", lipschitz),
        Edge("logit_oscillation", "path_oscillation", "X8-path-variation", lipschitz),
        Edge("ce_change", "ce_pairwise", "X2-ce-pairwise", lipschitz),
        Edge("ce_pairwise", "ce_oscillation", "X2-ce-pairwise"),
        Edge("ce_oscillation", "ce_sharp", "X2-ce-pairwise"),
        Edge("ce_sharp", "ce_published", "X1-ce-sharp"),
        Edge("ce_gain", "ce_gain_sharp", "X1-ce-sharp", lipschitz),
        Edge("ce_gain_sharp", "ce_sharp", "X1-ce-sharp"),
        Edge("loses_decision", "may_lose_pairwise", "X6-margin-pairwise", lipschitz),
        Edge("may_lose_pairwise", "may_lose_signed", "X5-margin-signed"),
        Edge("may_lose_signed", "may_change_published", "C5.2-margin"),
        Edge("changes_label", "may_change_label", "C5.2-margin", lipschitz),
    ]
