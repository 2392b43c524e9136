"""Errors through the attention of many tokens, all heads at once: no block of the derivative is put together.

Norms that are taken head by head add up over the heads. Here their outputs are stacked, z = (z^1 .. z^H), and W_O, W_V and W_Q
stay whole. For errors of tokens <= e_j and normalisations whose derivatives are <= L_j, a_j = L_j e_j,

    |x + attention(x)|_i  <=  e_i + ||W_O|| (|z^V_i| + |z^K_i| + |z^Q_i|)
    |z^V_i|^2 <= ||W_V||^2 sum_j max_h p^h_ij a_j^2                                (p_i. is a distribution: Jensen)
    |z^K_i|^2 <= sum_j (sum_h C^h_i |s q^h_i W_K^h|^2 p^h_ij) a_j^2                (Cauchy-Schwarz in the norm of p_i.)
    |z^Q_i|   <= max_h sqrt(C^h_i D^h_i) s ||W_Q|| a_i

C, D : largest eigenvalues of the covariances of values and of keys under p^h_i. . All are suprema over the piece and the tube.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from certify.bounds.enclosed.gains import Reaches, _parts, _split, reaches, tube
from certify.bounds.enclosed.layers import Attention
from certify.bounds.enclosed.spectral import norm_upper, spread
from certify.bounds.enclosed.steps import AttentionWay, Pieces
from certify.bounds.enclosed.taylor import Model, Weights, gamma, up

COVARIANCE_SQUARINGS = 4


@dataclass(frozen=True)
class StackedGain:
    """What x + attention(x) makes of errors on the tube: the square roots of two matrices (pieces, tokens, tokens) and a factor.

    largest : (pieces, tokens) L_j. by_value, by_key : of the squares a_j^2. own : (pieces, tokens). outward : ||W_O||.
    """

    largest: Tensor
    by_value: Tensor
    by_key: Tensor
    own: Tensor
    outward: Tensor

    def spread(self, error: Tensor) -> Tensor:
        """(pieces, tokens) at least the errors after, where they are at most `error` before."""
        a = up(self.largest * error)
        squares = a.square()[..., None]
        sizes = [torch.sqrt(up(matrix @ squares))[..., 0] * (1 + 2.0**-50) for matrix in (self.by_value, self.by_key)]
        return up(error + self.outward * (sizes[0] + sizes[1] + self.own * a))


def stacked_gain(half: Attention, way: AttentionWay, at: Pieces, error: Tensor) -> StackedGain:
    """All heads of x + attention(x) at once.

    error : (pieces, tokens) l2 norms, the radius of the tube. NaN where a normalisation may vanish. Claim PE5-stacked-heads.
    """
    around = tube(way.normed, half.norm, error)
    largest = up(half.norm.factor.size().max() * around.inverse)
    width = way.q.coef.shape[-1]
    weights = _split(half.qkv.weight, half.proj.weight, half.heads, width)
    norms = {key: spread(value) for key, value in weights.items()}
    q_whole, _, v_whole = (spread(part).most for part in _thirds(half.qkv.weight))
    o_whole = spread(half.proj.weight).most
    if half.layer_scale is not None:
        o_whole = up(o_whole * half.layer_scale.size().max())
    ways = reaches(half, way, around, norms)
    values = deviation(way.v, way.o.coef[0], ways.v_move, ways.p_top)
    middle = way.p.coef[0] @ way.k.coef[0]
    keys = deviation(way.k, middle, ways.k_move, ways.p_top)
    seen = up(values * _queries(weights["k"], way, at, ways)).square()  # (pieces, heads, tokens)
    by_value = up(v_whole.square() * ways.p_top.amax(1))
    by_key = up((seen[..., None] * ways.p_top).sum(1))
    own = up(half.scale * q_whole * (values * keys).amax(1))
    return StackedGain(largest, by_value, by_key, own, o_whole)


def deviation(model: Model, middle: Tensor, move: Tensor, p_top: Tensor) -> Tensor:
    """(pieces, heads, tokens i) at least sup sqrt(||sum_j p_ij (v_j - mean_i) (v_j - mean_i)^T||) for v_j of the model.

    A mean is where second moments are least: any `middle`_i may stand in for it. By the triangle inequality of L2(p),
    ||sqrt(p_ij) (v_j - middle_i)||_2 of the matrix with rows j at u = 0, and the same of the moves.
    """
    roots = torch.sqrt(p_top)
    # Head by head: (pieces, i, j, width) is the largest array. Each entry rounds four times, which `up` covers.
    found = [
        norm_upper(roots[:, h, :, :, None] * (model.coef[0][:, h, None] - middle[:, h, :, None]), COVARIANCE_SQUARINGS)
        for h in range(p_top.shape[1])
    ]
    moved = torch.sqrt(up((p_top @ move.square()[..., None])[..., 0]))
    return up(up(torch.stack(found, 1)) + moved)


def _queries(weight: Weights, way: AttentionWay, at: Pieces, ways: Reaches) -> Tensor:
    """(pieces, heads, tokens) sup |s q W_K|."""
    norms, width = spread(weight), way.q.coef.shape[-1]
    there = torch.linalg.vector_norm(way.q.coef[0] @ weight.at(at.mid), dim=-1)
    lost = gamma(width + weight.start.shape[-1] + 8) * _parts(weight)[None, :, None] * ways.q_top
    step = at.half[:, None, None] * norms.step[None, :, None] * ways.q_top
    return up(up(there) + norms.most[None, :, None] * ways.q_move + step + lost)


def _thirds(weight: Weights) -> tuple[Weights, ...]:
    """W_Q, W_K, W_V (dim, dim), heads stacked."""
    steps = [None] * 3 if weight.step is None else weight.step.chunk(3)
    return tuple(Weights(start, step) for start, step in zip(weight.start.chunk(3), steps, strict=True))
