"""Evidence and plans of a job: which parts its methods need, collected once, and one plan from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from certify.data.drawing import balanced
from certify.data.sources import Samples
from certify.networks.evidence import GRAM_BLOCK
from certify.networks.gathering import gather as collect
from certify.pruning import Asked, check_plan, method_of, prune
from certify.pruning.method import Request
from certify.pruning.structured.orders import ORDERS
from certify.pruning.unstructured.ser import over_pruned, reallocates
from certify.records import Evidence, Plan, Splits, Target
from certify.records.hashing import sha256_json
from certify.records.recipe import EvidenceRecipe, PlanRecipe, RecoveryRecipe
from certify.training.movement import movement, selection_steps

BATCH = 128
# Fact of a plan: steps spent on choosing what to restore.
SELECTION = "selection_steps"


def parts_for(plans: Iterable[PlanRecipe]) -> tuple[tuple[str, ...], int]:
    """The parts of the evidence that the methods of these plans read, and the block of their second moments.

    Moments are always there. The block is 0 (all inputs of a target together) where a method or an order asks for it.
    """
    needed, block = {"moments"}, GRAM_BLOCK
    for wanted in plans:
        method = method_of(wanted.method)
        needed |= set(method.needed(wanted.options))
        if method.whole or wanted.options.get("order", ORDERS[0]) != ORDERS[0]:
            block = 0
    return tuple(sorted(needed - {"movements"})), block


def gather(
    model: nn.Module,
    targets: Sequence[Target],
    samples: Samples,
    splits: Splits,
    settings: EvidenceRecipe,
    plans: Iterable[PlanRecipe],
    *,
    seed: int,
) -> Evidence:
    """What these plans' methods read, from a class-balanced draw of the calibration split."""
    parts, block = parts_for(plans)
    indices = splits.indices["calibration"]
    split = splits.digest("calibration")
    if settings.samples and settings.samples < len(indices):
        indices = balanced(samples.labels, indices, settings.samples, seed)
        split = sha256_json([samples.digests[index] for index in indices])

    def batches() -> Iterable[Tensor]:
        return (samples.images(indices[i : i + BATCH]) for i in range(0, len(indices), BATCH))

    labels = None if samples.labels is None else samples.labels[list(indices)]
    return collect(model, targets, batches, split=split, parts=parts, labels=labels, gram_block=block, seed=seed)


# Masks by target -> (how far each removed weight moved when they alone were trained, by target; steps that took).
Reallocate = Callable[[Mapping[str, np.ndarray]], tuple[Mapping[str, np.ndarray], int]]


def check(targets: Sequence[Target], wanted: PlanRecipe) -> Asked:
    """Check everything about a plan of a recipe that can be known without evidence."""
    options = {**wanted.options, **({"first": 0.0} if wanted.drop else {})}
    return check_plan(targets, wanted.name, wanted.method, wanted.sparsity, wanted.pattern, options)


def make(
    targets: Sequence[Target],
    evidence: Evidence,
    wanted: PlanRecipe,
    *,
    seed: int,
    reallocate: Reallocate,
    dense: Mapping[str, np.ndarray] | None = None,
) -> Plan:
    """The plan a recipe asks for. `reallocate` is called where the method restores by movement; dense as in `prune`."""
    asked = check_plan(targets, wanted.name, wanted.method, wanted.sparsity, wanted.pattern, wanted.options)
    steps = 0
    if "movements" in asked.method.needs and reallocates(wanted.sparsity or 0.0, asked.options):
        over = over_pruned(Request(asked.targets, evidence, wanted.sparsity, seed=seed, dense=dense), asked.options)
        movements, steps = reallocate(over)
        evidence = replace(evidence, parts={**evidence.parts, "movements": movements})
    plan = prune(
        targets,
        evidence,
        name=wanted.name,
        method=wanted.method,
        sparsity=wanted.sparsity,
        pattern=wanted.pattern,
        seed=seed,
        options=wanted.options,
        dense=dense,
    )
    return replace(plan, facts={**plan.facts, SELECTION: steps}) if steps else plan


def movements_of(
    model: nn.Module,
    kept: Mapping[str, np.ndarray],
    samples: Samples,
    indices: Sequence[int],
    settings: RecoveryRecipe,
    *,
    seed: int,
    teacher: nn.Module,
) -> tuple[dict[str, np.ndarray], int]:
    """Movements of the weights that `kept` removes from `model`, and the optimisation steps they took.

    kept : target name -> (rows, cols) mask. The removed weights are set to 0 first; `model` is left as it is.
    """
    masked = copy.deepcopy(model)
    masks = {f"{name}.weight": torch.from_numpy(mask.copy()) for name, mask in kept.items()}
    for name, mask in masks.items():
        weight = masked.get_parameter(name).data
        weight[~mask.reshape(weight.shape)] = 0
    gone, total = sum(int((~mask).sum()) for mask in kept.values()), sum(mask.size for mask in kept.values())
    steps = selection_steps(gone, total, math.ceil(len(indices) / settings.batch_size))
    found = movement(masked, samples, indices, masks, settings, steps=steps, seed=seed, teacher=teacher)
    return {name: found[f"{name}.weight"].reshape(mask.shape) for name, mask in kept.items()}, steps


def after_selection(settings: RecoveryRecipe, plan: Plan, samples: int) -> RecoveryRecipe:
    """The recovery that is left of a declared budget when the plan's selection has used its part; whole epochs."""
    spent = int(plan.facts.get(SELECTION, 0))
    if not spent:
        return settings
    used = math.ceil(spent / math.ceil(samples / settings.batch_size))
    return replace(settings, epochs=max(0, settings.epochs - used))
