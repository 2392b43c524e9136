"""Pruning in steps: a plan at each of rising sparsities, and fine-tuning before the next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from certify.data.sources import Samples
from certify.networks.loading import digest, state_of
from certify.networks.masking import apply, masks
from certify.pipeline.making import after_selection, gather, make, movements_of
from certify.pruning.unstructured.ser import first_reallocated_step
from certify.records import Plan, Splits, Target, Usage
from certify.records.recipe import EvidenceRecipe, PlanRecipe, RecoveryRecipe
from certify.training.loop import accuracy, fit

# Fact of a plan made in steps: one row a step.
STEPS = "steps"
# A label -> what `fit` calls after each epoch.
EpochsOf = Callable[[str], Callable[[int, int, float], None]]


@dataclass(frozen=True)
class Setting:
    """What stays the same over the steps. `dense` is the network the plan is for, and the teacher."""

    dense: nn.Module
    targets: Sequence[Target]
    samples: Samples
    splits: Splits
    evidence: EvidenceRecipe
    recovery: RecoveryRecipe
    seed: int


def gradual(
    setting: Setting, wanted: PlanRecipe, *, states: Path | None = None, epochs_of: EpochsOf | None = None
) -> tuple[Plan, nn.Module]:
    """The plan at `wanted.sparsity` reached through `wanted.steps`, and the network that its recovery starts from.

    Each step makes a plan for the network as it is, with evidence taken anew; the bulk edges and tail exponents that spectral
    budgets read are those of the dense network. Then the mask is frozen and the network fine-tuned for its part of
    `recovery.epochs`: equal whole parts, the rest to the last step; the steps of a selection count. The last part is left to the
    caller, see `last_part`. Weights removed before are 0 and go first, unless the method restores them.
    wanted.drop : > 0 makes the first steps by plain magnitude, until one whose accuracy on the tuning split after fine-tuning is
                  more than this below the dense network's; from the next step on the method reallocates.
    wanted.updates : false trains nothing between steps; all of the recovery is left to the caller.
    states      : folder for the state of each fine-tuning, so that a stopped call goes on; the caller removes them.
    The plan is one of the dense network and holds masks alone. Source: methods/mp-pruning 1.9 and 1.10.
    """
    samples, tuning = setting.samples, setting.splits.indices["tuning"]
    scored = samples.labels is not None and bool(tuning)
    if wanted.drop and not scored:
        raise Usage(f"plan {wanted.name}: drop = {wanted.drop} needs labels and a tuning split")
    reference = accuracy(setting.dense, samples, tuning) if wanted.drop else 0.0
    network, rows, dense = setting.dense, list[dict[str, Any]](), None
    shares = (*wanted.steps, wanted.sparsity)
    for number, share in enumerate(shares):
        options = dict(wanted.options)
        if wanted.drop:
            dropped = first_reallocated_step(reference, [row["tuning_accuracy"] for row in rows], wanted.drop) is not None
            options["first"] = 0.0 if dropped else 1.0
        step = replace(wanted, sparsity=share, options=options, steps=(), drop=0.0, updates=True)
        found = gather(network, setting.targets, samples, setting.splits, setting.evidence, [step], seed=setting.seed)
        dense = dense or found.weights
        plan = make(setting.targets, found, step, seed=setting.seed, reallocate=_reallocation(setting, network), dense=dense)
        if any(edit.values is not None for edit in plan.edits):
            raise Usage(f"plan {wanted.name}: method {wanted.method} moves weights that stay; steps take masks alone")
        masked = apply(network, plan)
        row: dict[str, Any] = {"sparsity": share, "removed": plan.removed}
        rows.append(row)
        if scored:
            row["tuning_accuracy_masked"] = accuracy(masked, samples, tuning)
        if number < len(wanted.steps) and not wanted.updates:
            network = masked
        elif number < len(wanted.steps):
            state = states / f"step-{number + 1}.state.safetensors" if states else None
            network = _recovered(setting, wanted, plan, masked, state, epochs_of)
            if scored:
                row["tuning_accuracy"] = accuracy(network, samples, tuning)
    facts = {**plan.facts, STEPS: rows}
    return replace(plan, reference=digest(state_of(setting.dense)), options=_options(plan, wanted), facts=facts), masked


def last_part(recovery: RecoveryRecipe, wanted: PlanRecipe) -> RecoveryRecipe:
    """What the steps of a plan leave of the declared recovery; all of it where there are none."""
    return replace(recovery, epochs=recovery.epochs - len(wanted.steps) * _part(recovery, wanted)) if wanted.updates else recovery


def geometric_steps(sparsity: float, rounds: int) -> tuple[float, ...]:
    """The steps before the last of `rounds` that each remove the same share of what is left: 1 - (1 - S)^(t / R), t < R."""
    return tuple(1.0 - (1.0 - sparsity) ** (step / rounds) for step in range(1, rounds))


def _part(recovery: RecoveryRecipe, wanted: PlanRecipe) -> int:
    return recovery.epochs // (len(wanted.steps) + 1)


def _options(plan: Plan, wanted: PlanRecipe) -> dict[str, Any]:
    """Those of the last step; where the drop decides, `first` says nothing."""
    return {key: value for key, value in plan.options.items() if key != "first" or not wanted.drop}


def _reallocation(setting: Setting, network: nn.Module) -> Any:
    train = setting.splits.indices["train"]
    return lambda over: movements_of(
        network, over, setting.samples, train, setting.recovery, seed=setting.seed, teacher=setting.dense
    )


def _recovered(
    setting: Setting, wanted: PlanRecipe, plan: Plan, masked: nn.Module, state: Path | None, epochs_of: EpochsOf | None
) -> nn.Module:
    train = setting.splits.indices["train"]
    settings = replace(setting.recovery, epochs=_part(setting.recovery, wanted))
    network = copy.deepcopy(masked)
    fit(
        network,
        setting.samples,
        train,
        after_selection(settings, plan, len(train)),
        seed=setting.seed,
        state=state,
        teacher=setting.dense,
        masks=masks(plan, state_of(masked)),
        progress=epochs_of(f"{wanted.name} at {plan.sparsity:g}") if epochs_of else None,
    )
    return network.eval()
