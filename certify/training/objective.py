"""What the loop minimises, and how fast."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

START = 1 / 25


def objective(
    logits: torch.Tensor,
    labels: torch.Tensor | None,
    teacher: torch.Tensor | None,
    *,
    label_smoothing: float,
    distill_loss_weight: float,
    temperature: float,
) -> torch.Tensor:
    """Mean over the batch of label loss and distillation.

        (1 - a) CE_ls(logits, labels) + a tau^2 KL(softmax(teacher / tau) || softmax(logits / tau))

    logits, teacher : (B, K). labels : (B,) true classes.
    a = distill_loss_weight in [0, 1], tau = temperature > 0. labels may be None at a = 1, teacher at a = 0.
    """
    loss = logits.new_zeros(())
    if distill_loss_weight < 1:
        assert labels is not None
        loss = loss + (1 - distill_loss_weight) * F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if distill_loss_weight > 0:
        assert teacher is not None
        student, taught = (F.log_softmax(z / temperature, dim=1) for z in (logits, teacher))
        loss = loss + distill_loss_weight * temperature**2 * F.kl_div(student, taught, reduction="batchmean", log_target=True)
    return loss


def learning_rate(step: int, steps: int, *, peak: float, warmup: float) -> float:
    """One cycle: a half cosine from peak / 25 up to `peak` over the share `warmup` of the steps, then one down to 0."""
    rising = warmup * steps
    if step < rising:
        low, high, turn = peak * START, peak, 1 - step / rising
    else:
        low, high, turn = 0.0, peak, (step - rising) / (steps - rising)
    return low + (high - low) * (1 + math.cos(math.pi * turn)) / 2
