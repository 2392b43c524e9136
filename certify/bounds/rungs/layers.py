"""Rungs of the layer-by-layer part: each removal a step of its own, and their sums."""

from __future__ import annotations

import numpy as np

from certify.bounds.layers import Steps
from certify.bounds.resolved import ResolvedPath
from certify.bounds.rungs.measured import resolved_rung
from certify.records import Bound, Edge
from certify.theory import cross_entropy as ce
from certify.theory.budget import telescoped


def layer_rungs(path: ResolvedPath, classes: np.ndarray, taken: Steps) -> list[Bound]:
    log_p, log_not_p = ce.log_probabilities(path.reference, classes)
    variation, speed = telescoped(taken.variation), telescoped(taken.speed)
    variation_error, speed_error = taken.variation_error.sum(axis=0), taken.speed_error.sum(axis=0)
    gauss, edge, mass = (values.sum(axis=0) for values in (taken.gauss, taken.edge, taken.mass))
    moving = taken.speed > 0
    mass_error = (taken.mass * np.where(moving, taken.speed_error / np.where(moving, taken.speed, 1.0), 0.0)).sum(axis=0)
    paper = "the paper's budget with the X9(b) value of L_s"
    return [
        resolved_rung(
            "layer_variation",
            "sum of single-layer variations",
            "logit",
            "ESM1-C1.3-multilayer-margin",
            variation,
            variation_error,
        ),
        resolved_rung("layer_speed", f"{paper}, halved", "logit", "D5.0-budget", speed, speed_error),
        resolved_rung(
            "layer_gauss",
            "Gaussian model of the removed weights, halved",
            "logit",
            "C5.10-gauss-budget",
            gauss,
            0.0,
            modelled=True,
        ),
        resolved_rung(
            "layer_edge",
            "Gaussian model by the Marchenko–Pastur edge, halved",
            "logit",
            "C5.11-mp-edge-budget",
            edge,
            0.0,
            modelled=True,
        ),
        resolved_rung("layer_mass", "removed row masses, halved", "logit", "EMP-T11", mass, mass_error),
        resolved_rung(
            "ce_layers",
            "sharp bound over layers (X14c)",
            "nat",
            "X14-multilayer",
            ce.increase_upper(log_p, log_not_p, variation),
            2 * variation_error,
        ),
        resolved_rung("ce_budget", paper, "nat", "D5.0-budget", 2 * speed, 2 * speed_error),
        resolved_rung("ce_mass", "removed row masses, with the X9(b) value of L_s", "nat", "EMP-T11", 2 * mass, 2 * mass_error),
        resolved_rung(
            "ce_gauss", "Gaussian model of the removed weights", "nat", "C5.10-gauss-budget", 2 * gauss, 0.0, modelled=True
        ),
    ]


def layer_edges() -> list[Edge]:
    intermediate = (
        "each step is taken in the network where the earlier steps are made",
        "the logits are Lipschitz along each step",
    )
    model = ("the removed weights are independent Gaussian noise",)
    return [
        Edge("logit_change", "layer_variation", "ESM1-C1.3-multilayer-margin", intermediate),
        Edge("layer_variation", "layer_speed", "X9-best-L"),
        Edge("layer_speed", "layer_mass", "EMP-T11"),
        Edge("layer_speed", "layer_gauss", "C5.10-gauss-budget", model, asserted=False),
        Edge("layer_speed", "layer_edge", "C5.11-mp-edge-budget", model, asserted=False),
        Edge("ce_change", "ce_layers", "X14-multilayer", intermediate),
        Edge("ce_layers", "ce_budget", "X1-ce-sharp"),
        Edge("ce_budget", "ce_mass", "EMP-T11"),
        Edge("ce_budget", "ce_gauss", "C5.10-gauss-budget", model, asserted=False),
    ]
