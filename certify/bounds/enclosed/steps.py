"""Half-blocks of a transformer on Taylor models, and what their derivative bounds need to know of the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from certify.bounds.enclosed.elementary import exponential, gelu, power
from certify.bounds.enclosed.layers import Attention, Mlp, Norm, Transformer
from certify.bounds.enclosed.taylor import (
    Model,
    U,
    add,
    compose,
    constant,
    gamma,
    linear,
    product,
    runs,
    scaled,
    shifted,
    summed,
    up,
)


@dataclass(frozen=True)
class Pieces:
    """theta = mid + half u, u in [-1, 1]; mid, half (pieces,), dyadic, so that both are exact."""

    mid: Tensor
    half: Tensor


@dataclass(frozen=True)
class Normed:
    """On the way through a normalisation: unit = (x - mean) / sigma and 1 / sigma, models without factor and offset."""

    unit: Model
    inverse: Model
    out: Model


def normalise(x: Model, norm: Norm, at: Pieces) -> Normed:
    """Layer normalisation of models (d + 1, pieces, tokens, dim)."""
    dim = x.coef.shape[-1]
    coef = x.coef - summed(x.coef) / dim
    size, terms = x.size(), runs(dim)
    rem = x.rem + x.rem.mean(-1, keepdim=True) + gamma(terms + 4) * (size + size.mean(-1, keepdim=True))
    centred = Model(coef, up(rem))
    total = product(centred, centred, lambda a, b: summed(a * b), terms)
    coef = total.coef / dim
    coef[0] += norm.eps
    variance = Model(coef, up(total.rem / dim + 4 * U * (coef.abs().sum(0) + norm.eps)))
    inverse = compose(variance, power(variance, -0.5))
    unit = product(centred, inverse, torch.mul, 1)
    return Normed(unit, inverse, scaled(unit, norm.factor, norm.offset, at.mid, at.half))


@dataclass(frozen=True)
class AttentionWay:
    """normed, and models of q (scaled), k, v, o (pieces, heads, tokens, width) and of the probabilities p, tokens by tokens."""

    normed: Normed
    q: Model
    k: Model
    v: Model
    p: Model
    o: Model


@dataclass(frozen=True)
class MlpWay:
    """normed, and the model of what GELU reads."""

    normed: Normed
    hidden: Model


def softmax(scores: Model) -> Model:
    """Along the last axis; the largest c_0 of a row is taken off first, which is exact in real numbers."""
    shift = scores.coef[0].max(-1, keepdim=True).values
    coef = scores.coef.clone()
    coef[0] = coef[0] - shift
    moved = Model(coef, up(scores.rem + U * coef[0].abs()))
    grown = compose(moved, exponential(moved))
    tokens = coef.shape[-1]
    rem = grown.rem.sum(-1, keepdim=True) + gamma(tokens) * grown.size().sum(-1, keepdim=True)
    total = Model(grown.coef.sum(-1, keepdim=True), up(rem))
    return product(grown, compose(total, power(total, -1.0)), torch.mul, 1)


def attention(x: Model, half: Attention, at: Pieces) -> tuple[Model, AttentionWay]:
    """x + attention(x), and the way."""
    normed = normalise(x, half.norm, at)
    qkv = linear(normed.out, half.qkv.weight, half.qkv.bias, at.mid, at.half)
    pieces, tokens, dim = qkv.coef.shape[1], qkv.coef.shape[2], qkv.coef.shape[3] // 3
    width = dim // half.heads

    def part(which: int) -> Model:
        return qkv.map(lambda t: t.reshape(pieces, tokens, 3, half.heads, width)[:, :, which].transpose(1, 2))

    q, k, v = part(0), part(1), part(2)
    q = Model(q.coef * half.scale, up(q.rem * half.scale + U * half.scale * q.size()))
    p = softmax(product(q, k.map(lambda t: t.transpose(-1, -2)), torch.matmul, width))
    o = product(p, v, torch.matmul, tokens)
    joined = o.map(lambda t: t.transpose(1, 2).reshape(pieces, tokens, dim))
    out = linear(joined, half.proj.weight, half.proj.bias, at.mid, at.half)
    if half.layer_scale is not None:
        out = scaled(out, half.layer_scale, None, at.mid, at.half)
    return add(x, out), AttentionWay(normed, q, k, v, p, o)


def mlp(x: Model, half: Mlp, at: Pieces) -> tuple[Model, MlpWay]:
    """x + mlp(x), and the way."""
    normed = normalise(x, half.norm, at)
    hidden = linear(normed.out, half.fc1.weight, half.fc1.bias, at.mid, at.half)
    out = linear(compose(hidden, gelu(hidden)), half.fc2.weight, half.fc2.bias, at.mid, at.half)
    if half.layer_scale is not None:
        out = scaled(out, half.layer_scale, None, at.mid, at.half)
    return add(x, out), MlpWay(normed, hidden)


def tokens_of(image: Tensor, net: Transformer, at: Pieces, degree: int) -> Model:
    """The tokens of one image (channels, height, width) float64, taken as exact."""
    channels, height, width = image.shape
    ph, pw = net.patch
    rows = image.reshape(channels, height // ph, ph, width // pw, pw).permute(1, 3, 0, 2, 4).reshape(-1, channels * ph * pw)
    pieces = len(at.mid)
    x = linear(constant(rows.expand(pieces, *rows.shape), degree), net.stem.weight, net.stem.bias, at.mid, at.half)
    if net.prefix is None:
        return shifted(x, net.positions, at.mid, at.half)
    nothing = torch.zeros((pieces, *net.prefix.start.shape), dtype=x.coef.dtype)
    prefix = shifted(constant(nothing, degree), net.prefix, at.mid, at.half)
    if net.embed_prefix:
        return shifted(_joined(prefix, x), net.positions, at.mid, at.half)
    return _joined(prefix, shifted(x, net.positions, at.mid, at.half))


def _joined(prefix: Model, x: Model) -> Model:
    return Model(torch.cat([prefix.coef, x.coef], 2), torch.cat([prefix.rem, x.rem], 1))


@dataclass(frozen=True)
class HeadWay:
    """Normalisations of the head: of all tokens before the pool, and of what was pooled."""

    first: Normed | None
    last: Normed | None


def head(x: Model, net: Transformer, at: Pieces) -> tuple[Model, HeadWay]:
    """Logits (d + 1, pieces, classes), and the way."""
    first = None if net.first is None else normalise(x, net.first, at)
    x = x if first is None else first.out
    if net.pool == "token":
        pooled = x.map(lambda t: t[:, :1])
    else:
        count = x.coef.shape[2] - net.skip
        kept = x.map(lambda t: t[:, net.skip :])
        coef = kept.coef.mean(2, keepdim=True)
        pooled = Model(coef, up(kept.rem.mean(1, keepdim=True) + gamma(count + 2) * kept.size().mean(1, keepdim=True)))
    last = None if net.last is None else normalise(pooled, net.last, at)
    pooled = pooled if last is None else last.out
    return linear(pooled, net.head.weight, net.head.bias, at.mid, at.half).map(lambda t: t[:, 0]), HeadWay(first, last)


def root(dim: int) -> float:
    """At least sqrt(dim)."""
    return math.sqrt(dim) * (1 + 4 * U)
