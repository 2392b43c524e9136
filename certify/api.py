"""The public functions, for use without a run folder. Each is a thin door to the room that does the work."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from certify.records import (
    Bound,
    Certificate,
    Evidence,
    Guarantee,
    Ladder,
    Outcomes,
    Pair,
    Plan,
    Refused,
    Run,
    Spectrum,
    Target,
    Usage,
    Verdict,
)
from certify.records.hashing import sha256_bytes, sha256_json

if TYPE_CHECKING:
    from torch import Tensor, nn

    from certify.data.sources import Samples
    from certify.records import Splits
    from certify.records.recipe import RecoveryRecipe


@dataclass(frozen=True)
class Batch:
    """Preprocessed images (B, C, H, W) with their labels (B,), or None where they are not known."""

    images: Tensor
    labels: np.ndarray | None = None

    @property
    def samples(self) -> tuple[str, ...]:
        """Content digest of each image as the network sees it."""
        return tuple(sha256_bytes(image.contiguous().numpy().tobytes()) for image in self.images)

    @property
    def digest(self) -> str:
        return sha256_json(list(self.samples))


def describe(model: nn.Module, *, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> tuple[Target, ...]:
    """Every weight matrix of `model`, prunable or with the reason why it is skipped. See `certify.networks.targets.describe`."""
    from certify.networks.targets import describe as find

    return find(model, include=include, exclude=exclude)


def split(dataset: Samples, *, seed: int, shares: Mapping[str, float]) -> Splits:
    """Four disjoint splits of `dataset` (from `certify.data.sources.load_samples`).

    shares : counts (>= 1) or shares (< 1) of train, calibration, tuning, certification; what is not named gets none.
    """
    from certify.data.splitting import split as draw
    from certify.records.recipe import SplitRecipe

    empty = dict.fromkeys(("train", "calibration", "tuning", "certification"), 0.0)
    unknown = set(shares) - set(empty)
    if unknown:
        raise Usage(f"split: {', '.join(sorted(unknown))} is none of {', '.join(empty)}")
    return draw(dataset, SplitRecipe(seed=seed, **(empty | dict(shares))))


def collect(
    model: nn.Module,
    targets: Sequence[Target],
    data: Batch,
    *,
    parts: Sequence[str] = ("moments",),
    gram_block: int = 48,
) -> Evidence:
    """Weights of the prunable targets and `parts` of what is known of their inputs, in float64. See `certify.records.PARTS`."""
    from certify.networks.gathering import gather

    split, labels = data.digest, data.labels
    images = data.images.split(128)
    return gather(model, targets, lambda: images, split=split, parts=parts, labels=labels, gram_block=gram_block)


def fit_spectra(model: nn.Module, targets: Sequence[Target]) -> tuple[Spectrum, ...]:
    """The Marchenko–Pastur bulk of each prunable target. See `certify.spectra.layer_table`."""
    from certify.networks.evidence import collect as gather
    from certify.spectra import kinds_of, layer_table

    weights = gather(model, targets, (), split=sha256_json([]), parts=()).weights
    return layer_table(weights, kinds=kinds_of(targets))


def prune(
    model: nn.Module,
    evidence: Evidence,
    *,
    method: str = "magnitude",
    sparsity: float | None = None,
    pattern: str | None = None,
    name: str = "plan",
    seed: int = 0,
    **options: Any,
) -> Plan:
    """A plan for the targets `evidence` was collected for. See `certify.pruning.prune` and `certify.pruning.METHODS`."""
    from certify.pruning import prune as make

    targets = [target for target in describe(model) if target.name in evidence.weights]
    return make(targets, evidence, name=name, method=method, sparsity=sparsity, pattern=pattern, seed=seed, options=options)


def apply(model: nn.Module, plan: Plan) -> nn.Module:
    """A copy of `model` without the weights the plan removes; the argument is untouched."""
    from certify.networks.masking import apply as remove

    return remove(model, plan)


def recover(
    model: nn.Module,
    plan: Plan,
    train: tuple[Samples, Sequence[int]],
    *,
    teacher: nn.Module,
    recipe: RecoveryRecipe,
    seed: int = 0,
) -> nn.Module:
    """A fine-tuned copy of the pruned `model`, its mask frozen. `train` = samples and the positions to train on."""
    from certify.networks.loading import state_of
    from certify.networks.masking import masks
    from certify.training.loop import fit

    tuned = copy.deepcopy(model)
    kept = masks(plan, state_of(tuned))
    return fit(tuned, train[0], train[1], recipe, seed=seed, state=None, teacher=teacher, masks=kept)


def bound(
    reference: nn.Module,
    shipped: nn.Module,
    data: Batch,
    *,
    road: str = "resolved",
    tolerance: float = 1e-3,
    plan: Plan | None = None,
) -> Ladder:
    """The ladder of a pair on `data`. `plan` adds the layer-by-layer part of a masked pair. See `certify.bounds.ladder`.

    road : "resolved", or "exact", "enclosed" or "auto" for proved rungs beside the resolved ones, on every sample.
    """
    from certify.bounds import ladder
    from certify.networks.loading import state_of
    from certify.records.recipe import ROADS, BoundsRecipe

    if road not in ("resolved", *ROADS):
        raise Usage(f"road {road!r} is none of resolved, {', '.join(ROADS)}")
    targets = describe(reference)
    proving = road in ROADS
    settings = BoundsRecipe(tolerance=tolerance, proved=len(data.images) if proving else 0, road=road if proving else ROADS[0])
    return ladder(
        reference,
        state_of(reference),
        state_of(shipped),
        data.images,
        data.labels,
        pair=_pair(reference, shipped, "masked" if plan is not None else "given"),
        split=data.digest,
        samples=data.samples,
        settings=settings,
        plan=plan,
        targets=targets,
    )


def along(
    reference: nn.Module, shipped: nn.Module, data: Batch, *, road: str = "resolved", tolerance: float = 1e-3
) -> tuple[Bound, ...]:
    """How far each logit and each difference to class C can move on the segment, by one road. See `certify.bounds.along`.

    road : "measured", "resolved", "exact", "enclosed", "auto" or "norms".
    """
    from certify.bounds import along as walk
    from certify.networks.loading import state_of
    from certify.records.recipe import BoundsRecipe

    ends, settings = (state_of(reference), state_of(shipped)), BoundsRecipe(tolerance=tolerance)
    return walk(reference, *ends, data.images, data.labels, road=road, settings=settings)


def evaluate(reference: nn.Module, shipped: nn.Module, data: Batch) -> Outcomes:
    """Both networks' logits on `data`, in the networks' own number format on the CPU."""
    import torch

    from certify.bounds import measure

    if not len(data.images):
        raise Refused("evaluate: no images; nothing can be guaranteed from them")
    networks = [copy.deepcopy(network).eval() for network in (reference, shipped)]
    logits = measure(networks, lambda indices: data.images[list(indices)], range(len(data.images)))
    arithmetic = {"numbers": str(data.images.dtype).removeprefix("torch."), "device": "cpu", "threads": torch.get_num_threads()}
    return Outcomes(_pair(reference, shipped, "given"), data.digest, data.samples, data.labels, logits[0], logits[1], arithmetic)


def guarantee(outcomes: Outcomes, *, statements: Sequence[str], delta: float) -> tuple[Guarantee, ...]:
    """Guarantees from outcomes, `statements` sharing one delta. The caller vouches that the data were never used before."""
    from certify.risk import guarantee as state

    groups = "sources unknown: the caller vouches that samples are independent and were never used before"
    return state(outcomes, statements=statements, delta=delta, family=len(statements), groups=groups, looks=1)


def issue(run: Run) -> tuple[Certificate, ...]:
    """Bring a run folder as far as its certificates, and return them."""
    from certify.pipeline import run as go

    recipe = run.recipe()
    done = go(recipe, run.folder, until="certificates")
    names = [plan.name for plan in recipe.plan] or ["given"]
    return tuple(Certificate.load(done.plan(name, "certificate.json")) for name in names)


def verify(path: Path, *, level: str = "files", require: Sequence[str] = (), data_dir: Path | None = None) -> Verdict:
    """Recheck a certificate by the independent road. See `certify.verifier.verify`."""
    from certify.verifier import verify as recheck

    return recheck(path, level=level, require=require, data_dir=data_dir)


def _pair(reference: nn.Module, shipped: nn.Module, kind: str) -> Pair:
    from certify.networks.loading import digest, state_of

    config: Any = getattr(reference, "pretrained_cfg", None) or {}
    name = str(config.get("architecture") or type(reference).__name__)
    return Pair(digest(state_of(reference)), digest(state_of(shipped)), name, kind)
