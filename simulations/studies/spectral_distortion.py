"""Does spectral structural distortion find redundant units, and does the spectrum add anything to local statistics?

python -m simulations spectral-distortion --workers 2; python -m simulations.studies.spectral_distortion
The protocol, simulations/studies/protocols/spectral-distortion.toml, was frozen before these cells were computed.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from certify.pruning.distortion.scores import SCORES, Settings, Units, score_units
from certify.records.recipe import RecoveryRecipe
from certify.training.loop import fit
from simulations.digits.damage import (
    ablation_damage,
    auc,
    concordance,
    matched_pairs,
    partial_association,
    plant,
    rank_correlation,
)
from simulations.digits.hidden import Measured, PerLayer, hidden_layers
from simulations.digits.measure import images
from simulations.digits.networks import samples, splits, trained
from simulations.digits.rounds import calibration, parameter_masks, remove_in_rounds, units_of
from simulations.engine.study import Scalar, Study
from simulations.studies._page import Results, command
from simulations.studies._spectral_page import draw, secondary_lines
from simulations.studies._verdicts import registered_page

FOLDER = Path("reports/studies")
PROTOCOL = Path(__file__).parent / "protocols" / "spectral-distortion.toml"
ROUNDS = 8
PLANTED_SHARE = 0.125
RECOVERY = RecoveryRecipe(epochs=8, batch_size=32, learning_rate=1e-3, distill_loss_weight=0.0)
# Sparsities at which every arm is also recovered, once.
RECOVERED = (0.5, 0.85)
# What may follow a colon in an arm, beside rounds.
VARIANTS: Mapping[str, dict[str, object]] = {
    "log": {"form": "log"},
    "full": {"form": "full"},
    "share": {"node": "share"},
    "k5": {"k": 5},
    "k20": {"k": 20},
    "s1": {"pairs": 1},
    "s2": {"pairs": 2},
    "s20": {"pairs": 20},
    "abs": {"similarity": "abs"},
    "euclid": {"similarity": "euclid"},
    "cosine": {"similarity": "cosine"},
    "corr": {"weight": "corr"},
    "gauss": {"weight": "gauss"},
}
MEASURED = ("test", "recovered", "spearman", "partial", "partial_mean", "tau", "matched", "pairs", "drift")
SEEN = (*SCORES, "spectral:log", "spectral:full")


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """One arm at one sparsity on one network; what an arm does not measure is NaN.

    parameters : network, a hidden-* kind of KINDS; seed of its training and of the arm's draws; epochs of its training, 0 for the
                 kind's own; sparsity, the share of units of each layer that goes; arm; protocol, its hash, or "exploratory".
    arm        : a score of `certify.pruning.distortion.scores.SCORES`, or reversed (spectral, high scores go); with :VARIANT or
                 :rN after it, other settings or N rounds. Or damage, or planted-KIND, at sparsity 0.
    Returns accuracy on the test set of the masked network, after RECOVERY at the sparsities RECOVERED, and of the dense one. Of
    damage: the association of the spectral score with the measured damage of single units, and its reliability. Of planted-KIND:
    the AUC of each score for the planted units.
    """
    kind, seed, epochs = str(parameters["network"]), int(parameters["seed"]), int(parameters["epochs"])
    arm, sparsity = str(parameters["arm"]), float(parameters["sparsity"])
    network, test = trained(kind, seed, epochs), Measured(kind, seed, "certification", epochs)
    full = [np.ones(network.get_parameter(f"{reader}.weight").shape[1], dtype=bool) for _, reader in hidden_layers(network)]
    found = dict.fromkeys((*MEASURED, *(f"auc_{name}" for name in SEEN)), math.nan)
    found["dense_test"], found["dense_validation"] = test.dense, Measured(kind, seed, "tuning", epochs).dense
    if arm == "damage":
        return found | _damage(network, kind, full, seed)
    if arm.startswith("planted-"):
        return found | _planted(network, kind, arm.removeprefix("planted-"), seed, generator)
    batch, labels = calibration(kind)
    score, settings, rounds = _settings(arm)
    kept = remove_in_rounds(
        network,
        batch,
        labels,
        sparsity,
        "spectral" if score == "reversed" else score,
        settings,
        rounds=rounds,
        seed=seed,
        reverse=score == "reversed",
    )
    found["test"] = test(kept)
    if sparsity in RECOVERED and ":" not in arm:
        found["recovered"] = _recovered(network, kind, kept, seed, test)
    return found


def _settings(arm: str) -> tuple[str, Settings, int]:
    score, _, variant = arm.partition(":")
    if variant.startswith("r"):
        return score, Settings(), int(variant[1:])
    return score, replace(Settings(), **VARIANTS[variant]) if variant else Settings(), ROUNDS  # type: ignore[arg-type]


def _recovered(network: nn.Module, kind: str, kept: PerLayer, seed: int, test: Measured) -> float:
    """Accuracy after one fine-tuning of the weights that are left, the same for every arm."""
    tuned = copy.deepcopy(network).requires_grad_(True)
    masks = parameter_masks(tuned, kept)
    for name, mask in masks.items():
        tuned.get_parameter(name).data[~mask] = 0.0
    fit(tuned, samples(kind), splits(kind).indices["train"], RECOVERY, seed=seed, state=None, masks=masks)
    logits = tuned(test.batch).double().detach().cpu().numpy()
    return float(np.mean(logits.argmax(axis=1) == test.labels))


def _damage(network: nn.Module, kind: str, full: PerLayer, seed: int) -> dict[str, float]:
    """Means over layers of what relates the spectral score to the damage of single units; test images are not used."""
    batch, labels = calibration(kind)
    held, truth = images("tuning", kind)
    whole = units_of(network, full, batch, labels, seed=seed)
    halves = [units_of(network, full, batch[half::2], labels[half::2], seed=seed) for half in (0, 1)]
    damage = ablation_damage(network, held, truth, [units.after.mean(axis=0) for units in whole])
    rows, pairs, wins = [], 0, 0
    for layer, (units, table) in enumerate(zip(whole, damage, strict=True)):
        scored = score_units(units, "spectral")
        alive = np.isfinite(scored.scores)
        score, controls = scored.scores[alive], _controls(units)[alive]
        both = [score_units(half[layer], "spectral").scores for half in halves]
        known = np.isfinite(both[0]) & np.isfinite(both[1])
        partial = [partial_association(score, table[alive, column], controls) for column in (0, 1)]
        rows.append((rank_correlation(score, table[alive, 0]), *partial, concordance(both[0][known], both[1][known])))
        count, won = matched_pairs(score, table[alive, 0], units.contribution[alive])
        pairs, wins = pairs + count, wins + won
    means = np.mean(rows, axis=0)
    return dict(zip(("spearman", "partial", "partial_mean", "tau"), map(float, means), strict=True)) | {
        "matched": wins / pairs if pairs else math.nan,
        "pairs": float(pairs),
    }


def _controls(units: Units) -> np.ndarray:
    """(n, 4) local statistics that the score must say more than: RMS, std, magnitude, contribution."""
    rms = np.sqrt(np.mean(np.square(units.after), axis=0))
    return np.column_stack([rms, units.after.std(axis=0), units.incoming * units.outgoing, units.contribution])


def _planted(network: nn.Module, kind: str, planted: str, seed: int, generator: np.random.Generator) -> dict[str, float]:
    """Mean AUC over layers of every score on a network of the same function with planted units."""
    wide, marks = plant(network, planted, PLANTED_SHARE, generator)
    batch, labels = calibration(kind)
    seen = batch.to(next(network.parameters()).device)
    before, after = (each(seen).double().detach().cpu().numpy() for each in (network, wide))
    full = [np.ones(len(mark), dtype=bool) for mark in marks]
    layers = units_of(wide, full, batch, labels, seed=seed, taylor=True)
    found = {"drift": float(np.abs(before - after).max())}
    for arm in SEEN:
        score, settings, _ = _settings(arm)
        areas = []
        for units, mark in zip(layers, marks, strict=True):
            scored = score_units(units, score, settings)
            alive = np.isfinite(scored.scores)
            areas.append(auc(scored.scores[alive], mark[alive]))
        found[f"auc_{arm}"] = float(np.mean(areas))
    return found


STUDY = Study(
    name="spectral-distortion",
    version=2,
    run=run,
    parameters={"network": str, "seed": int, "epochs": int, "sparsity": float, "arm": str, "protocol": str},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="spectral structural distortion against its controls on digits networks, a registered test",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write spectral-distortion.md and .svg of confirmatory results; exploratory ones go into a page of their own."""
    title, about = "Spectral structural distortion", "Points of accuracy; P6 in hundredths of Fisher's z."
    units = {"partial": (1.0, "Fisher z")}
    return registered_page(STUDY, results, folder, PROTOCOL, title, secondary_lines, draw, units=units, about=about)


if __name__ == "__main__":
    sys.exit(command(STUDY, page, folder=FOLDER))
