"""Products of operator norms, and boxes of weights: what the paper's L_s costs where it is proved. Sound, and mostly vacuous.

For the l2 norm of an error, summed over all ways from a result to the logits,

    |z(theta) - z(1)|_inf  <=  sum_s L_s sup_theta ||F_s(theta, v_s) - F_s(1, v_s)||_2,   v_s what step s reads at theta = 1

with L_s the sum over the ways behind step s of products of norms, each the largest on the segment (a norm is convex in theta). So
L_s holds in every intermediate network, too. All rounding is counted: tier `proved`. Claims D5.0-layer, T5.8-multilayer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.enclosed import operations as on
from certify.bounds.enclosed.elementary import GELU_SLOPE
from certify.bounds.enclosed.gains import spread
from certify.bounds.enclosed.graph import Graph, graph
from certify.bounds.enclosed.layers import Half, Mlp, Norm, Transformer, is_transformer, transformer
from certify.bounds.enclosed.steps import Pieces
from certify.bounds.enclosed.taylor import Model, U, Weights, constant, gamma, require_torch_products, up
from certify.bounds.exact.affine import Window

DEGREE = 4


@dataclass(frozen=True)
class NormBounds:
    """layers : names of what moves, in order. lipschitz (layers,) : L_s, l2 to the largest logit, of all that is behind it.

    moved  : (layers, T) at least sup over theta of the l2 change of the layer's output for what it reads at theta = 1.
    change : (T,) at least max over theta and k of |z_k(theta) - z_k(1)|. inf where unknown.
    box    : (T,) the same where every weight runs from end to end on its own, by interval propagation.
    """

    layers: tuple[str, ...]
    lipschitz: np.ndarray
    moved: np.ndarray
    change: np.ndarray
    box: np.ndarray


def norms(model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], images: Tensor) -> NormBounds:
    """Bounds by norms and by boxes of networks that `Encloser` reads, images (T, ...).

    Of transformers L_s alone, per half-block; the rest is inf. inf, too, is the box of batch norm that moves.
    """
    require_torch_products()
    images = images.detach().cpu().double()
    if is_transformer(model):
        layers, lipschitz = _transformer(transformer(model, reference, shipped))
        unknown = np.full(len(images), np.inf)
        return NormBounds(layers, lipschitz, np.full((len(layers), len(images)), np.inf), unknown, unknown)
    net = graph(model, reference, shipped, images[0])
    behind = _behind(net)
    moving = [number for number, step in enumerate(net.steps) if _moves(step.operation)]
    lipschitz = torch.tensor([behind[number] for number in moving], dtype=torch.float64)
    moved = torch.tensor([_moved(net, image, moving) for image in images], dtype=torch.float64).reshape(len(images), len(moving))
    change = up((moved * lipschitz).sum(1)) if net.moves else torch.zeros(len(images))
    boxes = np.array([_box_change(net, image) for image in images])
    names = tuple(net.steps[number].name for number in moving)
    return NormBounds(names, lipschitz.numpy(), moved.T.numpy(), _known(change), np.where(np.isnan(boxes), np.inf, boxes))


def _known(found: Tensor) -> np.ndarray:
    return torch.where(torch.isnan(found), torch.inf, found).numpy()


def _moves(operation: Any) -> bool:
    return any(isinstance(part, Weights) and part.step is not None for part in vars(operation).values())


# -- graphs -----------------------------------------------------------------------------------------------------------------


def _behind(net: Graph) -> list[float]:
    """Per step, at least the Lipschitz constant from its result, in l2, to the largest logit: summed over the ways."""
    found = [0.0] * (len(net.steps) + 1)
    found[-1] = 1.0
    for number in range(len(net.steps) - 1, -1, -1):
        step = net.steps[number]
        last = number == len(net.steps) - 1
        share = _rows(step.operation) if last and isinstance(step.operation, on.Linear) else gain(step.operation)
        for source in step.inputs:
            found[source] = (found[source] + found[number + 1] * share) * (1 + 8 * U)
    return found[1:]


def gain(operation: Any) -> float:
    """At least the l2 Lipschitz constant of an operation, for every theta.

    matrix         : its spectral norm.                    windows : a number is read by at most m of them, so that
    convolution    : sqrt(m) ||weight as a matrix||_2.     average : sqrt(m / kernel).     largest : sqrt(m).
    """
    if isinstance(operation, on.Linear):
        return float(spread(operation.weight).most)
    if isinstance(operation, on.Convolution):
        return _up(float(spread(operation.weight).most.max()) * math.sqrt(_readers(operation.window)))
    if isinstance(operation, on.BatchNorm):
        whole = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64))
        found = float(operation.scale(whole, DEGREE).reach().max())
        return math.inf if math.isnan(found) else found
    if isinstance(operation, on.MaxPool):
        return _up(math.sqrt(_readers(operation.window)))
    if isinstance(operation, on.Average):
        return _up(math.sqrt((1 if operation.window is None else _readers(operation.window)) / operation.count))
    if isinstance(operation, on.Kink):
        return max(1.0, abs(operation.slope))
    return GELU_SLOPE if isinstance(operation, on.Gelu) else 1.0


def _readers(window: Window) -> int:
    """At most so many windows read one number: tap i reads it from at most one, and only every stride / gcd-th tap can."""
    each = zip(window.kernel, window.stride, window.dilation, strict=True)
    return math.prod(math.ceil(k / (s // math.gcd(s, d))) for k, s, d in each)


def _rows(layer: on.Linear) -> float:
    """At least the largest l2 norm of a row, the norm from l2 to the largest entry."""
    return float(up(torch.linalg.vector_norm(layer.weight.size(), dim=-1)).max())


def _up(value: float) -> float:
    return value * (1 + 8 * U)


@torch.no_grad()
def _moved(net: Graph, image: Tensor, moving: list[int]) -> list[float]:
    """Per moving step, the l2 norm of how far its output gets from theta = 1, for its exact input there.

    On the whole segment |c_k u^k - c_k| <= 2 |c_k| for odd k and |c_k| for even k: the length |R v| where a matrix moves.
    """
    end = Pieces(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    whole = Pieces(torch.tensor([0.5], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64))
    found = []

    def apply(number: int, inputs: list[Model]) -> Model:
        operation = net.steps[number].operation
        if number in moving:
            (x,) = inputs
            still = Model(torch.cat([x.coef.sum(0, keepdim=True), 0 * x.coef[1:]]), up(x.rem + gamma(DEGREE + 2) * x.size()))
            path = operation.model(whole, still)
            away = up(2 * path.coef[1::2].abs().sum(0) + path.coef[2::2].abs().sum(0) + 2 * path.rem)
            found.append(float(up(torch.linalg.vector_norm(away))))
        return operation.model(end, *inputs)

    net.run(constant(image[None], DEGREE), apply)
    return found


# -- boxes ------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _box_change(net: Graph, image: Tensor) -> float:
    """How far a logit can get from theta = 1 if every weight runs from end to end on its own, by intervals (mid, radius)."""
    end = Pieces(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    start = constant(image[None], 1)
    logits = net.run(start, lambda number, inputs: net.steps[number].operation.model(end, *inputs))
    value = net.run(start, lambda number, inputs: _box(net.steps[number].operation, end, inputs))
    return float(up((value.coef[0] - logits.coef.sum(0)).abs() + value.rem + logits.rem + 8 * U * logits.size()).max())


def _box(operation: Any, end: Pieces, inputs: list[Model]) -> Model:
    """The interval of a result; a model of degree 1 without slope is an interval."""
    (x, *_) = inputs
    if isinstance(operation, on.Kink):
        low, high = x.coef[0] - x.rem, x.coef[0] + x.rem
        ends = torch.stack([torch.maximum(t, operation.slope * t) for t in (low, high)])
        least = torch.where((low < 0) & (high > 0), torch.zeros_like(low), ends.amin(0)) if operation.slope < 0 else ends.amin(0)
        return _interval(least, ends.amax(0), 8 * U * max(1.0, abs(operation.slope)) * (x.coef[0].abs() + x.rem))
    if isinstance(operation, on.MaxPool):
        slack = 4 * U * operation.value(end.mid, x.coef[0].abs() + x.rem)
        low, high = (operation.value(end.mid, x.coef[0] + sign * x.rem) for sign in (-1, 1))
        return _interval(low, high, slack)
    if isinstance(operation, on.Gelu):
        x = Model(x.coef, torch.zeros_like(x.rem))
        found = operation.model(end, x)
        return Model(found.coef, up(found.rem + GELU_SLOPE * inputs[0].rem))
    if not _moves(operation):
        return operation.model(end, *inputs)
    if not isinstance(operation, on.Linear | on.Convolution):
        return Model(x.coef, torch.full_like(x.rem, torch.inf))
    (weight, wide), (bias, slack) = (_halfway(part) for part in (operation.weight, operation.bias))
    assert weight is not None and wide is not None
    shape = {} if isinstance(operation, on.Linear) else {"window": operation.window}
    found = type(operation)(weight, bias, **shape).model(end, x)
    extra = type(operation)(wide, slack, **shape).value(end.mid, up(x.coef[0].abs() + x.rem))
    return Model(found.coef, up(found.rem + extra))


def _halfway(weights: Weights | None) -> tuple[Weights | None, Weights | None]:
    """The middle of both ends, and at least how far either is from it."""
    if weights is None:
        return None, None
    step = torch.zeros_like(weights.start) if weights.step is None else weights.step
    middle = weights.start + step / 2
    return Weights(middle, None), Weights(up(step.abs() / 2 + 4 * U * (weights.start.abs() + step.abs())), None)


def _interval(low: Tensor, high: Tensor, slack: Tensor) -> Model:
    middle = low / 2 + high / 2
    found = constant(middle, 1)
    return Model(found.coef, up((high / 2 - low / 2) + slack + 4 * U * (low.abs() + high.abs())))


# -- transformers -----------------------------------------------------------------------------------------------------------


def _transformer(net: Transformer) -> tuple[tuple[str, ...], np.ndarray]:
    """L_s behind the patch embedding and behind each half-block, all tokens as one vector."""
    tokens = net.positions.start.shape[0]
    behind = float(up(torch.linalg.vector_norm(net.head.weight.size(), dim=-1)).max())
    for norm in (net.last, net.first):
        behind = _up(behind * (1.0 if norm is None else _normalising(norm)))
    behind = _up(behind * (1.0 if net.pool == "token" else 1.0 / math.sqrt(tokens - net.skip)))
    found = [behind]
    for half in reversed(net.halves):
        behind = _up(behind * half_gain(half, tokens))
        found.append(behind)
    return ("patch_embed", *net.names), np.array(found[::-1])


def half_gain(half: Half, tokens: int) -> float:
    """At least the l2 Lipschitz constant of a half-block on all inputs, for every theta.

    Normalised tokens have norms <= rho = max|factor| sqrt(dim) + ||offset||, and the normalisation is max|factor| / sqrt(eps)-
    Lipschitz. Of one head, with ||q_i|| <= chi, ||k_j|| <= kappa, and o_i = sum_j p_ij v_j:

        do_i = sum_j p_ij dv_j + sum_j p_ij (v_j - o_i) ds_ij,   |ds_ij| <= scale (||dq_i|| kappa + chi ||dk_j||)
        L <= ||W_V|| (sqrt(tokens) + 2 rho scale (kappa ||W_Q|| + chi sqrt(tokens) ||W_K||))
    """
    outer = 1.0 if half.layer_scale is None else float(half.layer_scale.size().max())
    before = _normalising(half.norm)
    if isinstance(half, Mlp):
        inner = GELU_SLOPE * float(spread(half.fc1.weight).most) * float(spread(half.fc2.weight).most)
        return _up(_up(1.0 + outer * inner * before))
    dim = half.norm.factor.start.shape[-1]
    rho = float(half.norm.factor.size().max()) * math.sqrt(dim) + float(torch.linalg.vector_norm(half.norm.offset.size()))
    rho, root = rho * (1 + 64 * U + gamma(dim)), math.sqrt(tokens)

    def heads(of: Weights) -> Weights:
        parts = (None if t is None else t.unflatten(0, (3, half.heads, -1)) for t in (of.start, of.step))
        start, step = parts
        assert start is not None
        return Weights(start, step)

    q, k, v = spread(heads(half.qkv.weight)).most  # (heads,) each
    bias = torch.zeros((3, half.heads), dtype=torch.float64)
    if half.qkv.bias is not None:
        bias = up(torch.linalg.vector_norm(heads(half.qkv.bias).size(), dim=-1))
    chi, kappa = q * rho + bias[0], k * rho + bias[1]
    each = up(v * (root + 2 * rho * half.scale * (kappa * q + chi * root * k)))
    inner = float(up(torch.linalg.vector_norm(each))) * float(spread(half.proj.weight).most)
    return _up(_up(1.0 + outer * inner * before))


def _normalising(norm: Norm) -> float:
    """max|factor| / sqrt(eps): the derivative of the normalisation is factor (C - x x^T / dim) / sigma, sigma >= sqrt(eps)."""
    return math.inf if norm.eps <= 0 else _up(float(norm.factor.size().max()) / math.sqrt(norm.eps))
