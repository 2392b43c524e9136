"""The largest cross-entropy a network can give to any input, where its last normalisation says so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from certify.networks.vision import import_timm

# Beyond the exact value, for what float32 adds to it: relative, and in nats.
WIDER = 1e-3


def loss_ceiling(network: nn.Module) -> float | None:
    """sup over inputs x and classes y of -log softmax(z(x))_y for a network that ends in LayerNorm and a linear head.

        z_j - z_y = c_jy . n + o_jy,   c_jy = (w_j - w_y) * gamma,   o_jy = (w_j - w_y) . beta + b_j - b_y
        loss(x, y) <= log sum_j exp(R_jy),   R_jy = sqrt(d) |c_jy - mean(c_jy)| + o_jy

    n is the normalised vector before gamma and beta: it sums to 0 and |n| <= sqrt(d), whatever the input, and so does a mean of
    such vectors. Widened by one part in a thousand and 0.001 nats for float32.
    Returns nats, or None where the network is not a timm VisionTransformer of this form: then nothing bounds the loss beforehand.
    """
    known: Any = import_timm().models.vision_transformer  # type: ignore[attr-defined]
    model: Any = network
    if type(network) is not known.VisionTransformer or not isinstance(model.head, nn.Linear):
        return None
    last = model.fc_norm
    if isinstance(last, nn.Identity) and model.global_pool in ("avg", "token") and model.attn_pool is None:
        last = model.norm
    if not isinstance(last, nn.LayerNorm) or not last.elementwise_affine:
        return None
    gamma, beta = (None if each is None else _numbers(each) for each in (last.weight, last.bias))
    weight = _numbers(model.head.weight)
    offset = np.zeros(len(weight)) if model.head.bias is None else _numbers(model.head.bias)
    assert gamma is not None
    offset = offset + (0.0 if beta is None else weight @ beta)
    rows = weight * gamma
    rows -= rows.mean(axis=1, keepdims=True)
    worst = 0.0
    for row, own in zip(rows, offset, strict=True):
        reach = math.sqrt(rows.shape[1]) * np.linalg.norm(rows - row, axis=1) + offset - own
        worst = max(worst, float(np.logaddexp.reduce(reach)))
    return worst * (1.0 + WIDER) + WIDER


def _numbers(tensor: Any) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()
