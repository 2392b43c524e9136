"""Spectral norms of matrices, from above, with their rounding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from certify.bounds.enclosed.taylor import U, Weights, gamma, up

# Squarings by default, and those of matrices of more than WIDE columns: the bound is at most rank^(1 / 2^(s + 1)) times the norm.
SQUARINGS, WIDE, WIDE_SQUARINGS = 3, 128, 5


def norm_upper(matrices: Tensor, squarings: int | None = None) -> Tensor:
    """At least the spectral norms of (..., rows, cols): ||A||^2 = ||A^T A||, again and again, and ||.||_2 <= ||.||_F at the end.

    At each step the rounding of the product, at most gamma_n ||A||_F^2, is added. Claim PE4-norm-by-squaring.
    """
    if matrices.shape[-1] > matrices.shape[-2]:
        matrices = matrices.transpose(-1, -2)
    if squarings is None:
        squarings = WIDE_SQUARINGS if matrices.shape[-1] > WIDE else SQUARINGS
    n = matrices.shape[-2]
    counted = 1 + matrices.shape[-2] * n * U  # a Frobenius norm sums more terms than `up` covers
    size = torch.linalg.matrix_norm(matrices, dim=(-2, -1)).clamp(min=1e-100)
    now = matrices / size[..., None, None]
    slack, logs = [], []
    for _ in range(squarings):
        now = now.transpose(-1, -2) @ now
        slack.append(gamma(n + 5))  # ||now before||_F = 1 after scaling, to rounding
        scale = torch.linalg.matrix_norm(now, dim=(-2, -1)).clamp(min=1e-100)
        logs.append(scale)
        now = now / scale[..., None, None]
    bound = torch.ones_like(size)
    for step in range(squarings - 1, -1, -1):
        bound = torch.sqrt(up(logs[step] * bound * counted * (1 + 8 * U) + slack[step]))
    return up(size * bound * counted * (1 + 1e-12))


@dataclass(frozen=True)
class Spread:
    """Spectral norms of a weight over the segment: its largest, and how far it moves within a piece of half-width 1.

    The norm is convex in theta, so the largest is at an end.
    """

    most: Tensor
    step: Tensor


def spread(weights: Weights) -> Spread:
    ends = norm_upper(weights.start, 5)
    if weights.step is None:
        return Spread(ends, torch.zeros_like(ends))
    rounding = up(U * torch.linalg.matrix_norm(weights.start.abs() + weights.step.abs(), dim=(-2, -1)))
    return Spread(torch.maximum(ends, up(norm_upper(weights.start + weights.step, 5) + rounding)), norm_upper(weights.step, 5))
