"""Methods on digits networks after the same recovery: one declared budget of training steps, selections included.

python -m simulations pruning-recovery --workers 2; python -m simulations.studies.pruning_recovery
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from certify.networks.loading import state_of
from certify.networks.masking import apply, masks
from certify.pipeline.making import SELECTION, after_selection, make, movements_of
from certify.records.recipe import PlanRecipe, RecoveryRecipe
from certify.training.loop import fit, steps_of
from simulations.digits.contenders import amount_of, contender
from simulations.digits.measure import accuracy_and_loss, budgets, logits
from simulations.digits.networks import evidence_of, samples, splits, trained
from simulations.engine.study import Scalar, Study
from simulations.studies._comparison import draw, recovery_findings
from simulations.studies._page import Results, command, write

FOLDER = Path("reports/pruning")
NOTHING = "nothing removed"
RECOVERY = RecoveryRecipe(epochs=8, batch_size=32, learning_rate=1e-3, distill_loss_weight=0.9)


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """One plan on one network, recovered by RECOVERY with its mask frozen.

    parameters : network, seed, epochs, amount as in `pruning-masks`; method, a contender, or NOTHING for the control that is
                 fine-tuned without pruning.
    Returns accuracy and cross-entropy on the test set after recovery and before it, the budgets of the masked pair, the measured
    budget of the recovered pair, and the steps of selection and recovery.
    """
    kind, seed, epochs = str(parameters["network"]), int(parameters["seed"]), int(parameters["epochs"])
    dense, train = trained(kind, seed, epochs), splits().indices["train"]
    before = accuracy_and_loss(logits(dense, "certification"), "certification")
    settings, kept, selected, masked = RECOVERY, {}, 0, copy.deepcopy(dense)
    if parameters["method"] != NOTHING:
        method, options = contender(str(parameters["method"]), str(parameters["amount"]))
        targets, evidence = evidence_of(kind, seed, epochs)
        wanted = PlanRecipe("plan", method, options=options, **amount_of(str(parameters["amount"])))
        plan = make(
            targets,
            evidence,
            wanted,
            seed=seed,
            reallocate=lambda over: movements_of(dense, over, samples(), train, RECOVERY, seed=seed, teacher=dense),
        )
        settings, selected = after_selection(RECOVERY, plan, len(train)), int(plan.facts.get(SELECTION, 0))
        masked = apply(dense, plan)
        kept = masks(plan, state_of(masked))
    alone = accuracy_and_loss(logits(masked, "certification"), "certification")
    measured, resolved = budgets(dense, masked)
    recovered = fit(copy.deepcopy(masked), samples(), train, settings, seed=seed, state=None, teacher=dense, masks=kept)
    after = accuracy_and_loss(logits(recovered, "certification"), "certification")
    return {
        "accuracy": after[0],
        "loss": after[1],
        "masked_accuracy": alone[0],
        "masked_loss": alone[1],
        "dense_accuracy": before[0],
        "dense_loss": before[1],
        "measured_budget": measured,
        "resolved_budget": resolved,
        "recovered_budget": budgets(dense, recovered)[0],
        "selection_steps": selected,
        "recovery_steps": steps_of(settings, len(train)),
    }


STUDY = Study(
    name="pruning-recovery",
    version=2,
    run=run,
    parameters={"network": str, "seed": int, "epochs": int, "amount": str, "method": str},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="pruning methods on digits networks after the same recovery",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write pruning-recovery.md and pruning-recovery.svg."""
    title = "Methods compared, after the same recovery"
    return write(STUDY, results, folder, title, recovery_findings(results, RECOVERY), draw, size=(12.0, 7.0))


if __name__ == "__main__":
    sys.exit(command(STUDY, page, folder=FOLDER))
