"""Evidence and plans of a job: which parts its methods need, collected once, and one plan from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from certify.data.drawing import balanced
from certify.data.sources import Samples
from certify.networks.evidence import GRAM_BLOCK, STREAMED, collect
from certify.networks.sensitivity import sense
from certify.pruning import method_of, prune
from certify.pruning.structured.orders import ORDERS
from certify.records import Evidence, Plan, Splits, Target
from certify.records.hashing import sha256_json
from certify.records.recipe import EvidenceRecipe, PlanRecipe

BATCH = 128


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

    streamed = tuple(part for part in parts if part in STREAMED)
    found = collect(model, targets, batches(), split=split, parts=streamed, gram_block=block)
    rest = tuple(part for part in parts if part not in STREAMED)
    if not rest:
        return found
    return sense(model, found, targets, batches(), parts=rest)


def make(targets: Sequence[Target], evidence: Evidence, wanted: PlanRecipe, *, seed: int) -> Plan:
    """The plan a recipe asks for."""
    return prune(
        targets,
        evidence,
        name=wanted.name,
        method=wanted.method,
        sparsity=wanted.sparsity,
        pattern=wanted.pattern,
        seed=seed,
        options=wanted.options,
    )
