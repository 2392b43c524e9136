"""The loss equals a computation by hand; the learning rate goes up once and down once."""

import math

import pytest
import torch

from certify.training import learning_rate, objective


def softmax(logits):
    powers = [math.exp(value) for value in logits]
    return [power / sum(powers) for power in powers]


def test_objective_by_hand():
    logits, teacher, label = [1.0, -0.5, 0.25], [0.5, 2.0, -1.0], 2
    smoothing, share, temperature = 0.1, 0.3, 2.0
    target = [smoothing / 3 + (1 - smoothing) * (k == label) for k in range(3)]
    entropy = -sum(t * math.log(p) for t, p in zip(target, softmax(logits), strict=True))
    soft = [softmax([value / temperature for value in z]) for z in (teacher, logits)]
    divergence = sum(t * math.log(t / s) for t, s in zip(*soft, strict=True))
    expected = (1 - share) * entropy + share * temperature**2 * divergence

    batch = [torch.tensor([row, row], dtype=torch.float64) for row in (logits, teacher)]
    found = objective(
        batch[0],
        torch.tensor([label, label]),
        batch[1],
        label_smoothing=smoothing,
        distill_loss_weight=share,
        temperature=temperature,
    )
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_objective_without_labels_is_zero_at_the_teacher_only():
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    options = {"label_smoothing": 0.0, "distill_loss_weight": 1.0, "temperature": 3.0}
    assert objective(logits, None, logits + 7, **options).item() == pytest.approx(0, abs=1e-6)
    assert objective(logits, None, -logits, **options).item() > 0.1


def test_learning_rate_rises_and_falls_once():
    rates = [learning_rate(step, 200, peak=3e-3, warmup=0.15) for step in range(200)]
    assert rates[0] == pytest.approx(3e-3 / 25) and max(rates) == rates[30] == 3e-3
    assert rates[:31] == sorted(rates[:31]) and rates[30:] == sorted(rates[30:], reverse=True)
    assert 0 < rates[-1] < 1e-6
    assert learning_rate(0, 10, peak=1.0, warmup=0.0) == 1.0
    assert learning_rate(9, 10, peak=1.0, warmup=1.0) < 1.0
