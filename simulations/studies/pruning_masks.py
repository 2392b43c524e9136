"""Every method on trained digits networks, masks alone: accuracy, loss and budgets at equal amounts, ten seeds.

python -m simulations pruning-masks --workers 2; python -m simulations.studies.pruning_masks
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from certify.networks.masking import apply
from certify.pruning import prune
from certify.training.batch_norm import reestimate_batch_norm
from simulations.digits.contenders import amount_of, contender
from simulations.digits.measure import accuracy_and_loss, budgets, logits, overlap
from simulations.digits.networks import evidence_of, samples, splits, trained
from simulations.engine.study import Scalar, Study
from simulations.studies._comparison import draw, findings
from simulations.studies._page import Results, command, write

FOLDER = Path("reports/pruning")


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """One plan on one network, nothing retrained.

    parameters : network, one of simulations.digits.networks.KINDS; seed of its training; method, a contender; amount, a share of
                 zeros such as "0.7", a pattern such as "2:4", or "own"; epochs of its training, 0 for the kind's own.
    Returns accuracy and cross-entropy of both networks on the test set, those of the pruned one with its batch norms taken again
    on the train split (the same where it has none), the budgets of the pair on calibration samples, the share of removed weights
    over the edited targets, and how much of it plain magnitude removes too.
    """
    kind, seed, epochs = str(parameters["network"]), int(parameters["seed"]), int(parameters["epochs"])
    amount = str(parameters["amount"])
    method, options = contender(str(parameters["method"]), amount)
    dense = trained(kind, seed, epochs)
    targets, evidence = evidence_of(kind, seed, epochs)
    plan = prune(targets, evidence, name="plan", method=method, seed=seed, options=options, **amount_of(amount))
    equal = {"sparsity": plan.removed / plan.total} if amount == "own" else amount_of(amount)
    plain = prune(targets, evidence, name="plain", method="magnitude", **equal)
    pruned = apply(dense, plan)
    before, after = (accuracy_and_loss(logits(network, "certification"), "certification") for network in (dense, pruned))
    normed = copy.deepcopy(pruned)
    again = after
    if reestimate_batch_norm(normed, samples(), splits().indices["train"]):
        again = accuracy_and_loss(logits(normed, "certification"), "certification")
    measured, resolved = budgets(dense, pruned)
    return {
        "accuracy": after[0],
        "loss": after[1],
        "accuracy_batch_norm": again[0],
        "loss_batch_norm": again[1],
        "dense_accuracy": before[0],
        "dense_loss": before[1],
        "measured_budget": measured,
        "resolved_budget": resolved,
        "removed": plan.removed / plan.total,
        "overlap": overlap([edit.kept for edit in plan.edits], [edit.kept for edit in plain.edits]),
    }


STUDY = Study(
    name="pruning-masks",
    version=2,
    run=run,
    parameters={"network": str, "seed": int, "epochs": int, "amount": str, "method": str},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="every pruning method on digits networks, masks alone",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write pruning-masks.md and pruning-masks.svg."""
    return write(STUDY, results, folder, "Methods compared, masks alone", findings(results), draw, size=(12.0, 7.0))


if __name__ == "__main__":
    sys.exit(command(STUDY, page, folder=FOLDER))
