"""What stands in front of the first tensor that moves does not depend on theta: its value, in ball arithmetic.

Balls grow entry by entry, by as much as absolute values of all products: by some 10^3 a half-block. BITS are so many that what
is left after dozens of half-blocks is far below a unit of float64. Needs python-flint (extra `rigor`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from certify.bounds.enclosed.layers import Affine, Attention, Half, Mlp, Norm, Transformer
from certify.bounds.enclosed.taylor import U, Weights, up
from certify.records import Refused

BITS = 384


@dataclass(frozen=True)
class Begin:
    """Tokens in front of half-block `number`, at every theta: centre (tokens, dim), error (tokens,) l2, steps on the way."""

    number: int
    centre: Tensor
    error: Tensor
    steps: list[tuple[str, Tensor, Tensor, Tensor]]


def has_balls() -> bool:
    return find_spec("flint") is not None


def begin_in_balls(net: Transformer, image: Tensor, number: int) -> Begin:
    """The first `number` half-blocks and what is in front of them, of which no tensor moves; image (channels, height, width)."""
    with _precision() as flint:
        x = _tokens(flint, net, image)
        for half in net.halves[:number]:
            x = x + _half(flint, half, x)
        rows = x.tolist()
        centre = torch.tensor([[float(entry) for entry in row] for row in rows], dtype=torch.float64)
        off = [[_distance(entry, value) for entry, value in zip(*pair, strict=True)] for pair in zip(rows, centre, strict=True)]
    error = up(torch.linalg.vector_norm(torch.tensor(off, dtype=torch.float64), dim=-1))
    return Begin(number, centre, error, [])


@contextmanager
def _precision() -> Iterator[Any]:
    if not has_balls():
        raise Refused("enclosure: python-flint is not installed, which balls need; pip install certify[rigor]")
    import flint

    before, flint.ctx.prec = flint.ctx.prec, BITS
    try:
        yield flint
    finally:
        flint.ctx.prec = before


def _distance(ball: Any, value: Tensor) -> float:
    """At least the distance of `value` from every point of the ball; one rounding to the nearest on the way out."""
    found = float((ball - float(value)).abs_upper()) * (1 + 4 * U)
    return found if math.isfinite(found) else math.inf


def _tokens(flint: Any, net: Transformer, image: Tensor) -> Any:
    channels, height, width = image.shape
    ph, pw = net.patch
    cut = image.reshape(channels, height // ph, ph, width // pw, pw).permute(1, 3, 0, 2, 4).reshape(-1, channels * ph * pw)
    rows = _affine(flint, net.stem, _matrix(flint, cut)).tolist()
    prefix = [] if net.prefix is None else _matrix(flint, net.prefix.start).tolist()
    positions = _matrix(flint, net.positions.start)
    if net.embed_prefix:
        return flint.arb_mat(prefix + rows) + positions
    return flint.arb_mat(prefix + (flint.arb_mat(rows) + positions).tolist())


def _half(flint: Any, half: Half, x: Any) -> Any:
    x = _normalised(flint, half.norm, x)
    found = _attention(flint, half, x) if isinstance(half, Attention) else _mlp(flint, half, x)
    return found if half.layer_scale is None else _times(flint, found, half.layer_scale)


def _attention(flint: Any, half: Attention, x: Any) -> Any:
    qkv = _affine(flint, half.qkv, x).tolist()
    width = len(qkv[0]) // 3 // half.heads
    outs = []
    for head in range(half.heads):
        q, k, v = (flint.arb_mat([row[(part * half.heads + head) * width :][:width] for row in qkv]) for part in range(3))
        weights = []
        for row in (q * k.transpose() * half.scale).tolist():
            grown = [score.exp() for score in row]
            total = 1 / sum(grown)
            weights.append([entry * total for entry in grown])
        outs.append((flint.arb_mat(weights) * v).tolist())
    return _affine(flint, half.proj, flint.arb_mat([list(chain(*parts)) for parts in zip(*outs, strict=True)]))


def _mlp(flint: Any, half: Mlp, x: Any) -> Any:
    root = flint.arb(0.5).sqrt()
    hidden = _each(flint, _affine(flint, half.fc1, x), lambda t: t * ((t * root).erf() + 1) / 2)
    return _affine(flint, half.fc2, hidden)


def _normalised(flint: Any, norm: Norm, x: Any) -> Any:
    found = []
    for row in x.tolist():
        mean = sum(row) / len(row)
        centred = [entry - mean for entry in row]
        inverse = (sum(entry * entry for entry in centred) / len(row) + flint.arb(norm.eps)).rsqrt()
        found.append([entry * inverse for entry in centred])
    return _shifted(flint, _times(flint, flint.arb_mat(found), norm.factor), norm.offset)


def _affine(flint: Any, layer: Affine, x: Any) -> Any:
    found = x * _matrix(flint, layer.weight.start).transpose()
    return found if layer.bias is None else _shifted(flint, found, layer.bias)


def _times(flint: Any, x: Any, factor: Weights) -> Any:
    factors = factor.start.tolist()
    return flint.arb_mat([[entry * f for entry, f in zip(row, factors, strict=True)] for row in x.tolist()])


def _shifted(flint: Any, x: Any, offset: Weights) -> Any:
    return x + flint.arb_mat(x.nrows(), 1, [1] * x.nrows()) * _matrix(flint, offset.start[None])


def _matrix(flint: Any, matrix: Tensor) -> Any:
    return flint.arb_mat(*matrix.shape, matrix.reshape(-1).tolist())


def _each(flint: Any, x: Any, function: Callable[[Any], Any]) -> Any:
    return flint.arb_mat([[function(entry) for entry in row] for row in x.tolist()])
