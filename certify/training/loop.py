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
from certify.records.errors import Refused
from certify.records.hashing import sha256_json
from certify.records.outcomes import decision
from certify.records.recipe import RecoveryRecipe
from certify.training import state as states
from certify.training.batch_norm import reestimate_batch_norm
from certify.training.distributed import (
    average_gradients,
    average_loss,
    check_alike,
    check_batch,
    check_model,
    own_part,
    processes,
)
from certify.training.masks import Removed, check_zero, mask_gradients, removed_of, zero
from certify.training.objective import learning_rate, objective
from certify.training.optimizers import Average, Settings, autocast_of, optimizer_of, scaler_of

Progress = Callable[[int, int, float], None]
Loss = Callable[[list[int], torch.Generator, slice], torch.Tensor]

SAVE_STEPS = 100


def steps_of(settings: Settings, samples: int) -> int:
    """Optimisation steps of a whole fit on so many samples: the budget that methods share."""
    return settings.epochs * math.ceil(samples / settings.batch_size)


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
               bytes as an uninterrupted fit on as many threads and processes. The caller removes it.
    teacher  : network to distil from, by the share and temperature of a RecoveryRecipe; without labels, all of the loss.
    masks    : parameter name -> kept, True where the weight stays. Every other entry is 0 after each step.
    progress : called after each epoch with (epochs done, epochs, mean loss).
    Under torchrun, with a process group started, every process makes the same call and takes its part of each batch; the result
    is that of one process up to the order of sums. The first process writes the state file, all of them read it.
    """
    recovery = settings if isinstance(settings, RecoveryRecipe) else None
    norms = recovery.batch_norm if recovery else "train"
    check_model(model, norms != "train")
    removed = removed_of(model, masks or {})
    optimizer = optimizer_of(model, settings)
    scaler = scaler_of(settings, _device(model))
    loss_of = _loss(model, teacher, samples, settings)
    steps = math.ceil(len(indices) / settings.batch_size)
    if settings.epochs and not steps:
        raise Refused(f"{samples.name}: no training samples; give splits.train at least one")
    if settings.epochs:
        check_batch(len(indices) // steps)
    named = state is not None or processes()[1] > 1
    key = _key(model, samples, indices, settings, seed, teacher, removed) if named else ""
    zero(optimizer, removed, states.MOMENTS)
    average = Average(model, recovery.model_ema_decay if recovery else 0.0, removed)
    fitted = states.Fit(model, optimizer, scaler, average.model)
    done = states.restore(state, key, fitted) if state is not None else 0
    check_alike(key, done)
    if norms == "reestimate" and not done and settings.epochs:
        reestimate_batch_norm(model, samples, indices)
        average.begin(model)

    for epoch in range(done, settings.epochs):
        generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
        order = torch.as_tensor(indices)[torch.randperm(len(indices), generator=generator)]
        model.train()
        if norms != "train":
            freeze_batch_norm(model)
        # Batches of nearly equal size: none is left with a single image, which batch normalisation cannot take.
        batches = order.tensor_split(steps)
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
            torch.manual_seed(_epoch_seed(seed, epoch))
            loss = _epoch(fitted, average, removed, loss_of, batches, settings, epoch=epoch, generator=generator)
        check_zero(removed)
        check_zero(average.removed)
        if state is not None and processes()[0] == 0 and _is_save_point(epoch + 1, settings.epochs, steps):
            states.save(state, key, epoch + 1, fitted)
        if progress is not None:
            progress(epoch + 1, settings.epochs, loss)
    average.into(model)
    if norms == "reestimate" and settings.epochs:
        reestimate_batch_norm(model, samples, indices)
    return model.eval()


def freeze_batch_norm(model: nn.Module) -> None:
    """Batch norms normalise by their running statistics and leave them alone; their weights still learn."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


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


def _loss(model: nn.Module, teacher: nn.Module | None, samples: Samples, settings: Settings) -> Loss:
    """The loss of a part of a batch, as a function of the batch's positions, the generator of the augmentation, and the part.

    The whole batch is augmented in every process, so that what is drawn does not depend on how many there are.
    """
    share, temperature = 0.0, 1.0
    if teacher is not None and isinstance(settings, RecoveryRecipe):
        teacher.eval()
        share, temperature = settings.distill_loss_weight, settings.temperature
    if samples.labels is None:
        if teacher is None:
            raise Refused(f"{samples.name}: without labels a network can only learn from a teacher, and none is given")
        share = 1.0
    device = _device(model)

    def loss_of(positions: list[int], generator: torch.Generator, part: slice) -> torch.Tensor:
        images = samples.augmented(positions, generator) if settings.augment else samples.images(positions)
        images = images[part].to(device)
        labels = None if samples.labels is None else torch.tensor(samples.labels[positions[part]], device=device)
        with autocast_of(settings, device):
            with torch.no_grad():
                taught = teacher(images) if teacher is not None and share > 0 else None
            logits = model(images)
        return objective(
            logits.float(),
            labels,
            None if taught is None else taught.float(),
            label_smoothing=settings.label_smoothing,
            distill_loss_weight=share,
            temperature=temperature,
        )

    return loss_of


def _epoch(
    fitted: states.Fit,
    average: Average,
    removed: Removed,
    loss_of: Loss,
    batches: Sequence[torch.Tensor],
    settings: Settings,
    *,
    epoch: int,
    generator: torch.Generator,
) -> float:
    """One step on each batch; returns the mean loss over the samples."""
    total, steps = 0.0, len(batches)
    for number, batch in enumerate(batches):
        part = own_part(batch)
        share = (len(batch[part]), len(batch))
        loss = loss_of(batch.tolist(), generator, part)
        value = average_loss(loss, *share)
        if not math.isfinite(value):
            table = _table(settings)
            raise Refused(
                f"{table}: the loss is {value} in epoch {epoch + 1}, step {number + 1}; lower "
                f"{table}.learning_rate = {settings.learning_rate}, or look for NaN in the weights"
            )
        rate = learning_rate(epoch * steps + number, settings.epochs * steps, peak=settings.learning_rate, warmup=settings.warmup)
        _step(loss, fitted, removed, rate=rate, clip_norm=settings.clip_norm, share=share)
        average.update(fitted.model)
        total += value * len(batch)
    return total / sum(len(batch) for batch in batches)


def _step(
    loss: torch.Tensor, fitted: states.Fit, removed: Removed, *, rate: float, clip_norm: float, share: tuple[int, int]
) -> None:
    """One step of the kept weights down the loss; a clip_norm of 0 does not clip."""
    optimizer, scaler = fitted.optimizer, fitted.scaler
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    average_gradients(weights, *share)
    mask_gradients(removed)
    if clip_norm > 0:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(weights, clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    scaler.step(optimizer)
    scaler.update()
    zero(optimizer, removed, states.MOMENTS)


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
            "processes": processes()[1],
            "samples": [samples.digests[index] for index in indices],
            "preprocessing": samples.preprocessing,
            "model": states.digest(model.state_dict()),
            "teacher": states.digest(teacher.state_dict()) if teacher is not None else None,
            "removed": states.digest({name: gone for name, (_, gone) in removed.items()}),
        }
    )
