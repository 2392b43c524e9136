"""The training loop: from scratch, or recovery of a pruned network with its masks frozen."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from certify.data.sources import Samples
from certify.records.errors import Refused, Unmet
from certify.records.hashing import sha256_json
from certify.records.outcomes import decision
from certify.records.recipe import RecoveryRecipe, TrainingRecipe
from certify.records.splits import Splits
from certify.training import state as states
from certify.training.objective import learning_rate, objective

Settings = TrainingRecipe | RecoveryRecipe
Progress = Callable[[int, int, float], None]
Removed = Mapping[str, tuple[nn.Parameter, torch.Tensor]]

SAVE_STEPS = 100
NOT_DECAYED = ("pos_embed", "cls_token")


def fit(
    model: nn.Module,
    samples: Samples,
    indices: Sequence[int],
    settings: Settings,
    *,
    seed: int,
    state: Path | None,
    teacher: nn.Module | None = None,
    masks: Mapping[str, torch.Tensor] | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train `model` in place on the samples at `indices`; returns it in eval mode.

    seed     : batches, augmentation and dropout of epoch e depend on (seed, e) alone.
    state    : file kept at epoch ends. The same call with the same initial model goes on from it and ends with the same
               bytes as an uninterrupted fit on as many threads. The caller removes it.
    teacher  : network to distil from, by the share and temperature of a RecoveryRecipe; without labels, all of the loss.
    masks    : parameter name -> kept, True where the weight stays. Every other entry is 0 after each step.
    progress : called after each epoch with (epochs done, epochs, mean loss).
    """
    removed = _removed(model, masks or {})
    groups = _parameter_groups(model, settings.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    loss_of = _loss(model, teacher, samples, settings)
    steps = math.ceil(len(indices) / settings.batch_size)
    if settings.epochs and not steps:
        raise Refused(f"{samples.name}: no training samples; give splits.train at least one")
    done, key = 0, ""
    if state is not None:
        key = _key(model, samples, indices, settings, seed, teacher, removed)
        done = states.restore(state, key, model, optimizer)
    _zero(optimizer, removed)

    for epoch in range(done, settings.epochs):
        generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
        order = torch.as_tensor(indices)[torch.randperm(len(indices), generator=generator)]
        total = 0.0
        model.train()
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
            torch.manual_seed(_epoch_seed(seed, epoch))
            # Batches of nearly equal size: none is left with a single image, which batch normalisation cannot take.
            for number, batch in enumerate(order.tensor_split(steps)):
                loss = loss_of(batch.tolist(), generator)
                if not math.isfinite(loss.item()):
                    table = _table(settings)
                    raise Refused(
                        f"{table}: the loss is {loss.item()} in epoch {epoch + 1}, step {number + 1}; lower "
                        f"{table}.learning_rate = {settings.learning_rate}, or look for NaN in the weights"
                    )
                rate = learning_rate(
                    epoch * steps + number, settings.epochs * steps, peak=settings.learning_rate, warmup=settings.warmup
                )
                _step(loss, optimizer, removed, rate=rate, clip_norm=settings.clip_norm)
                total += loss.item() * len(batch)
        _check_removed(removed)
        if state is not None and _is_save_point(epoch + 1, settings.epochs, steps):
            states.save(state, key, epoch + 1, model, optimizer)
        if progress is not None:
            progress(epoch + 1, settings.epochs, total / len(indices))
    return model.eval()


def train(
    model: nn.Module,
    samples: Samples,
    splits: Splits,
    settings: TrainingRecipe,
    *,
    seed: int,
    state: Path | None,
    progress: Progress | None = None,
) -> float:
    """Train `model` in place on the train split; returns its accuracy on the tuning split.

    Unmet when that is below `settings.accuracy`, or cannot be known; nan when it cannot be known and nothing is asked.
    """
    fit(model, samples, splits.indices["train"], settings, seed=seed, state=state, progress=progress)
    if not splits.indices["tuning"]:
        if settings.accuracy > 0:
            raise Unmet(f"training.accuracy = {settings.accuracy} cannot be decided: the tuning split is empty")
        return math.nan
    reached = accuracy(model, samples, splits.indices["tuning"])
    if reached < settings.accuracy:
        raise Unmet(
            f"training: the model is right on {reached:.2%} of the tuning split, training.accuracy asks for "
            f"{settings.accuracy:.2%}; train for more epochs or on more samples"
        )
    return reached


@torch.no_grad()
def accuracy(model: nn.Module, samples: Samples, indices: Sequence[int], batch_size: int = 256) -> float:
    """Share of samples whose true class has the strictly largest logit. A tie is wrong."""
    if samples.labels is None:
        raise Refused(f'{samples.name}: accuracy needs labels, and data.labels = "none"')
    if len(indices) == 0:
        raise Refused(f"{samples.name}: the accuracy on no samples is not defined")
    device, was_training = _device(model), model.training
    model.eval()
    right = 0
    for start in range(0, len(indices), batch_size):
        batch = list(indices[start : start + batch_size])
        logits = model(samples.images(batch).to(device)).float().cpu().numpy()
        right += int(np.sum(decision(logits) == samples.labels[batch]))
    model.train(was_training)
    return right / len(indices)


def _loss(
    model: nn.Module, teacher: nn.Module | None, samples: Samples, settings: Settings
) -> Callable[[list[int], torch.Generator], torch.Tensor]:
    """The loss of a batch of positions, as a function of them and of the generator of the augmentation."""
    share, temperature = 0.0, 1.0
    if teacher is not None and isinstance(settings, RecoveryRecipe):
        teacher.eval()
        share, temperature = settings.distillation, settings.temperature
    if samples.labels is None:
        if teacher is None:
            raise Refused(f"{samples.name}: without labels a network can only learn from a teacher, and none is given")
        share = 1.0
    device = _device(model)

    def loss_of(positions: list[int], generator: torch.Generator) -> torch.Tensor:
        images = samples.augmented(positions, generator) if settings.augment else samples.images(positions)
        images = images.to(device)
        labels = None if samples.labels is None else torch.tensor(samples.labels[positions], device=device)
        with torch.no_grad():
            taught = teacher(images) if teacher is not None and share > 0 else None
        return objective(
            model(images),
            labels,
            taught,
            label_smoothing=settings.label_smoothing,
            distillation=share,
            temperature=temperature,
        )

    return loss_of


def _step(loss: torch.Tensor, optimizer: torch.optim.Optimizer, removed: Removed, *, rate: float, clip_norm: float) -> None:
    """One step of the kept weights down the loss; a clip_norm of 0 does not clip."""
    optimizer.zero_grad()
    loss.backward()
    for parameter, gone in removed.values():
        if parameter.grad is not None:
            parameter.grad.masked_fill_(gone, 0)
    if clip_norm > 0:
        nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    _zero(optimizer, removed)


def _removed(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> Removed:
    """Parameter name -> (parameter, True where an entry is removed). A lowered mask takes its parameter's shape."""
    parameters = dict(model.named_parameters())
    removed = {}
    for name, kept in masks.items():
        if name not in parameters:
            raise Refused(f"mask of {name}: the model has no such parameter")
        weight = parameters[name]
        if kept.numel() != weight.numel() or kept.shape[0] != weight.shape[0]:
            raise Refused(f"mask of {name}: its shape {tuple(kept.shape)} does not fit the weight's {tuple(weight.shape)}")
        removed[name] = (weight, ~kept.to(weight.device, torch.bool).reshape(weight.shape))
    return removed


@torch.no_grad()
def _zero(optimizer: torch.optim.Optimizer, removed: Removed) -> None:
    """Set removed weights and their moments to +0."""
    for parameter, gone in removed.values():
        held = optimizer.state.get(parameter, {})
        for tensor in (parameter, *(held[moment] for moment in states.MOMENTS if moment in held)):
            tensor.masked_fill_(gone, 0)


def _check_removed(removed: Removed) -> None:
    for name, (parameter, gone) in removed.items():
        alive = int(torch.count_nonzero(parameter.detach()[gone]))
        if alive:
            raise Refused(f"{name}: {alive} of {int(gone.sum())} removed weights are not 0 after an epoch of recovery")


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; vectors, scalars, position embeddings and class tokens do not."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_free = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in NOT_DECAYED
            (free if is_free else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _epoch_seed(seed: int, epoch: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:4], "little")


def _is_save_point(done: int, epochs: int, steps: int) -> bool:
    """At the last epoch, and wherever another hundred steps are complete."""
    return done == epochs or done * steps // SAVE_STEPS > (done - 1) * steps // SAVE_STEPS


def _table(settings: Settings) -> str:
    return "recovery" if isinstance(settings, RecoveryRecipe) else "training"


def _key(
    model: nn.Module,
    samples: Samples,
    indices: Sequence[int],
    settings: Settings,
    seed: int,
    teacher: nn.Module | None,
    removed: Removed,
) -> str:
    """Name of a fit: everything its result depends on."""
    return sha256_json(
        {
            "settings": {_table(settings): asdict(settings)},
            "seed": seed,
            "threads": torch.get_num_threads(),
            "samples": [samples.digests[index] for index in indices],
            "preprocessing": samples.preprocessing,
            "model": states.digest(model.state_dict()),
            "teacher": states.digest(teacher.state_dict()) if teacher is not None else None,
            "removed": states.digest({name: gone for name, (_, gone) in removed.items()}),
        }
    )
