"""Rungs of tier `proved`: what the enclosure of the path says of logits, losses and decisions, rounding accounted for."""

from __future__ import annotations

from typing import Any

import numpy as np

from certify.bounds.proved import ProvedPath
from certify.records import Bound, Edge
from certify.theory.outward import loss
from certify.theory.outward._rounding import add_up

SEMANTICS = "real arithmetic, weights and inputs as stored"
CLAIM = {"exact": "X8-path-variation", "enclosed": "PE1-token-gain"}


def proved_rungs(path: ProvedPath, samples: int) -> list[Bound]:
    """Rungs of the first samples of a ladder of `samples`, inf beyond.

    Edges to them are in `proved_edges`.
    """
    change, lead = path.change.max(axis=1), path.labelled
    pairwise, sharp = increases(path)
    may_lose = ~(lead.kept | lead.behind)
    rungs = (
        ("proved_change", "largest logit change anywhere on the segment, proved", "logit", CLAIM[path.road], change),
        ("ce_proved_pairwise", "pairwise bound (X2), proved", "nat", "X29-lambda", pairwise),
        ("ce_proved", "sharp bound (X1), proved", "nat", "X29-lambda", sharp),
        ("may_lose_proved", "may lose on the segment, proved", "decision", "X6-margin-pairwise", may_lose),
        ("may_change_proved", "decision may differ on the segment, proved", "decision", "X6-margin-pairwise", ~path.unchanged),
    )
    found = [proved_rung(samples, *rung) for rung in rungs]
    if np.isfinite(path.variation).all():
        claim = CLAIM[path.road]
        found.append(proved_rung(samples, "proved_variation", "path variation, proved", "logit", claim, path.variation))
    return found


def proved_edges(path: ProvedPath) -> list[Edge]:
    variation = [Edge("path_variation", "proved_variation", "X8-path-variation")] if np.isfinite(path.variation).all() else []
    return [
        *variation,
        Edge("path_change", "proved_change", "X8-path-variation"),
        Edge("ce_change", "ce_proved_pairwise", "X2-ce-pairwise"),
        Edge("ce_proved_pairwise", "ce_proved", "X2-ce-pairwise"),
        Edge("loses_decision", "may_lose_proved", "X6-margin-pairwise"),
        Edge("changes_label", "may_change_proved", "X6-margin-pairwise"),
    ]


def increases(path: ProvedPath) -> tuple[np.ndarray, np.ndarray]:
    """(T,) and (T,) bounds on the cross-entropy increase at any theta: pairwise (X2) and by the largest change (X1), nats.

        log(p + sum_{j != C} q_j exp(pi_j)) + 2 e,   log(p + (1 - p) exp(2 eta)) + 2 e

    e = largest error of a logit at theta = 1: either is 2-Lipschitz in the largest norm, log-sum-exp being 1-Lipschitz.
    inf where pi or eta is. The first never exceeds the second: pi_j <= 2 eta.
    """
    lead, error = path.labelled, path.error.max(axis=1)
    known = np.isfinite(lead.change).all(axis=1) & np.isfinite(path.change).all(axis=1) & np.isfinite(error)
    found = np.full((2, len(known)), np.inf)
    if known.any():
        logits, classes = path.logits[known], lead.classes[known]
        logs = loss.log_probabilities(logits, classes)
        sharp = loss.increase_upper(logs.log_p_upper, logs.log_not_p_upper, path.change[known].max(axis=1))
        pairwise = loss.increase_upper_pairwise(logits, classes, lead.change[known])
        twice = 2.0 * error[known]
        found[:, known] = add_up(np.minimum(pairwise, sharp), twice), add_up(sharp, twice)
    return found[0], found[1]


def proved_rung(samples: int, quantity: str, label: str, unit: str, claim: str, values: Any) -> Bound:
    """A bound of tier `proved` of the first samples of a ladder."""
    first = len(values)
    upper = np.full(samples, np.inf)
    upper[:first] = values
    return Bound(quantity, label, unit, "proved", SEMANTICS, claim, upper, np.zeros(samples), first=first)
