"""Token-block gains: how far a half-block can spread an error, proven on a tube around the path.

For errors carried as a vector of token-wise l2 norms, e' <= B e + defect with

    B_ij >= sup || d F(x)_i / d x_j ||_2   over all u in [-1, 1] and all x within e of the centre, token by token

Each block is its value at u = 0, bounded by ||(J^T J)^4||_F^(1/8), plus a bound on how far it moves over the piece and the tube.
Rounding of the values at u = 0 is part of that bound. Source: methods/path-enclosures 5.3 and 5.3b.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from certify.bounds.enclosed.elementary import GELU_BEND, GELU_SLOPE, exp, gelu
from certify.bounds.enclosed.layers import Attention, Mlp, Norm, Transformer
from certify.bounds.enclosed.spectral import Spread, norm_upper, spread
from certify.bounds.enclosed.steps import AttentionWay, HeadWay, MlpWay, Normed, Pieces, root
from certify.bounds.enclosed.taylor import Model, U, Weights, constant, gamma, up

# Beyond so many numbers the blocks of an attention half are not put together.
BLOCKS = 2**26


@dataclass(frozen=True)
class Tube:
    """Normalised tokens on the tube, each a bound per piece and token (pieces, tokens).

    unit_move : sup ||unit - unit_0||_2. inverse : sup 1 / sigma; inverse_move : sup |1 / sigma - 1 / sigma_0|.
    out_error : sup of the l2 change of the scaled token that the tube adds.
    """

    unit_move: Tensor
    inverse: Tensor
    inverse_move: Tensor
    out_error: Tensor


def tube(normed: Normed, norm: Norm, error: Tensor) -> Tube:
    """error : (pieces, tokens) radius of the tube in front of the normalisation.

    sigma moves by at most e / sqrt(dim), so 1 / sigma <= 1 / (1 / sup(1 / sigma) - e / sqrt(dim)); unit is (1 / sigma)-Lipschitz
    on the tube. NaN where sigma may vanish.
    """
    dim = normed.unit.coef.shape[-1]
    top = normed.inverse.reach()[..., 0]
    least = (1.0 / top) * (1 - 4 * U) - up(error / root(dim) * (1 + 8 * U))
    inverse = torch.where(least > 0, up(1.0 / least), torch.full_like(least, torch.nan))
    moved = up(error * inverse)
    swing = up(torch.linalg.vector_norm(normed.unit.swing(), dim=-1))
    unit_move = up(swing + moved)
    inverse_move = up(normed.inverse.swing()[..., 0] + error / root(dim) * (1 + 8 * U) * inverse.square())
    return Tube(unit_move, inverse, inverse_move, up(norm.factor.size().max() * moved))


def ball(net: Transformer, tokens: int, radius: float) -> Tensor:
    """(tokens,) how far embeddings move in l2 when no pixel moves by more than radius: ||W|| sqrt(pixels of a patch) radius."""
    pixels = net.stem.weight.start.shape[-1]
    reach = up(spread(net.stem.weight).most * math.sqrt(pixels) * (1 + 4 * U) * radius)
    patches = tokens - (0 if net.prefix is None else net.prefix.start.shape[0])
    return torch.cat([torch.zeros(tokens - patches, dtype=torch.float64), reach.expand(patches)])


def normalisation(normed: Normed, norm: Norm, at: Pieces, around: Tube) -> tuple[Tensor, Tensor, Tensor]:
    """diag(factor) (C - x x^T / dim) / sigma at u = 0; the largest norm on the tube; how far it moves from u = 0 on the tube.

    Shapes (pieces, tokens, dim, dim), (pieces, tokens), (pieces, tokens).
    """
    dim = normed.unit.coef.shape[-1]
    unit, inverse = normed.unit.coef[0], normed.inverse.coef[0]
    factor = norm.factor.at(at.mid)
    centring = torch.eye(dim, dtype=unit.dtype) - 1.0 / dim
    matrix = (centring - unit[..., :, None] * unit[..., None, :] / dim) * inverse[..., None]
    matrix = factor[:, None, :, None] * matrix
    largest = up(norm.factor.size().max())
    move = up(
        around.inverse_move + around.inverse * (2 * around.unit_move / root(dim) * (1 + 8 * U) + around.unit_move.square() / dim)
    )
    move = move * largest
    if norm.factor.step is not None:
        move = move + at.half[:, None] * norm.factor.step.abs().max() * around.inverse
    rounding = 64 * U * largest * around.inverse * (2.0 + dim**0.5)
    return matrix, up(largest * around.inverse), up(move + rounding)


@dataclass(frozen=True)
class Gain:
    """Blocks of the derivative of a half-block: J_ij within `rest` of `blocks` in spectral norm, on the tube.

    blocks : (pieces, tokens, tokens, dim, dim). rest : (pieces, tokens, tokens).
    Claims PE1-token-gain, PE6-token-spread.
    """

    blocks: Tensor
    rest: Tensor

    def norms(self) -> Tensor:
        """(pieces, tokens, tokens) B_ij >= ||J_ij||_2."""
        return up(norm_upper(self.blocks) + self.rest)

    def spread(self, error: Tensor) -> Tensor:
        """(pieces, tokens) at least ||sum_j J_ij r_j||_2 for all ||r_j||_2 <= e_j.

            ||J_ii|| e_i + sqrt(sum_{j != i} e_j f_ij  ||sum_{j != i} (e_j / f_ij) J_ij J_ij^T||_2) + sum_j rest_ij e_j

        By Cauchy and Schwarz, for any f_ij > 0; with f_ij = ||J_ij||_F never more than sum_j ||J_ij||_F e_j.
        Claim PE6-token-spread.
        """
        rest = up((self.rest * error[:, None]).sum(-1))
        pieces, tokens, _, dim, _ = self.blocks.shape
        own = torch.arange(tokens)
        size = error.amax(-1).clamp(min=1e-300)
        share = error / size[:, None]
        sizes = torch.linalg.matrix_norm(self.blocks, dim=(-2, -1))
        sizes = torch.where(sizes > 0, sizes, torch.ones_like(sizes))
        scaled = self.blocks * (share[:, None] / sizes).sqrt()[..., None, None]
        scaled[:, own, own] = 0.0
        rows = scaled.transpose(2, 3).reshape(pieces, tokens, dim, tokens * dim)
        squares = rows @ rows.transpose(-1, -2)
        # Rounding of the products, of the square root and of the scaling: by the trace, which is the sum of all squares.
        trace = squares.diagonal(dim1=-2, dim2=-1).sum(-1) * (1 + gamma(tokens * dim + dim + 8))
        most = up(norm_upper(squares) + gamma(tokens * dim + 16) * trace)
        apart = 1.0 - torch.eye(tokens, dtype=share.dtype)
        others = up((share[:, None] * sizes * apart).sum(-1) * (1 + gamma(tokens + 6)))
        alone = up(norm_upper(self.blocks[:, own, own]) * error)
        return up(alone + size[:, None] * torch.sqrt(up(others * most)) + rest)


@dataclass(frozen=True)
class Reaches:
    """How far vectors of heads and probabilities get on the piece and the tube.

    *_move : (pieces, heads, tokens) sup of the l2 change of (scaled) q, k, v, o from u = 0. *_top : sup of their l2 norm.
    p_top, p_move : (pieces, heads, tokens, tokens) the same of the probabilities.
    """

    q_move: Tensor
    k_move: Tensor
    v_move: Tensor
    o_move: Tensor
    q_top: Tensor
    k_top: Tensor
    p_top: Tensor
    p_move: Tensor


def reaches(half: Attention, way: AttentionWay, around: Tube, norms: Mapping[str, Spread]) -> Reaches:
    """norms : of W_Q, W_K and W_V, head by head. The tube moves a score by at most E, and a probability by exp(2 E)."""
    most = {key: spread.most[None, :, None] for key, spread in norms.items()}
    out_error = around.out_error[:, None, :]
    to_q = up(half.scale * most["q"] * out_error)  # of s q
    to_k, to_v = (up(most[key] * out_error) for key in "kv")

    def moved(model: Model, tube: Tensor | float = 0.0) -> Tensor:
        return up(torch.linalg.vector_norm(model.swing(), dim=-1) + tube)

    def reach(model: Model, move: Tensor) -> Tensor:
        return up(torch.linalg.vector_norm(model.coef[0], dim=-1) * (1 + gamma(model.coef.shape[-1] + 4)) + move)

    q_move, k_move, v_move = moved(way.q, to_q), moved(way.k, to_k), moved(way.v, to_v)
    q_top, k_top, v_top = reach(way.q, q_move), reach(way.k, k_move), reach(way.v, v_move)
    score = up(to_q * k_top.amax(-1, keepdim=True) + q_top * to_k.amax(-1, keepdim=True))
    grown, loss = exp(up(2 * score))
    grown = up(grown * (1 + loss) - 1.0 + 4 * U)[..., None]
    reached = way.p.reach()
    p_top = up(reached * (1 + grown)).clamp(max=1.0)
    p_move = up(way.p.swing() + reached * grown)
    o_move = up(moved(way.o) + (p_top * to_v[..., None, :]).sum(-1) + (reached * grown * v_top[..., None, :]).sum(-1))
    return Reaches(q_move, k_move, v_move, o_move, q_top, k_top, p_top, p_move)


def attention_gain(half: Attention, way: AttentionWay, at: Pieces, error: Tensor) -> Gain:
    """Blocks of the derivative of x + attention(x).

    J_ij = 1 I + M_ij L_j,   M_ij = sum_h P_ij W_O W_V + W_O (v_j - o_i) P_ij (s q_i)^T W_K
                                    + [i = j] W_O (sum_k P_ik (v_k - o_i) s k_k^T) W_Q

    error : (pieces, tokens) radius of the tube. For tokens^2 dim^2 <= BLOCKS; `many` bounds the others. Claim PE1-token-gain.
    """
    around = tube(way.normed, half.norm, error)
    matrix, largest, move = normalisation(way.normed, half.norm, at, around)
    heads = half.heads
    dim = matrix.shape[-1]
    width = dim // heads
    weights = _split(half.qkv.weight, half.proj.weight, heads, width)
    norms = {key: spread(value) for key, value in weights.items()}  # (heads,)
    now = {key: value.at(at.mid) for key, value in weights.items()}  # (pieces, heads, ...)
    q, k, v, o, p = (model.coef[0] for model in (way.q, way.k, way.v, way.o, way.p))
    half_width = at.half[:, None]
    scale = half.scale
    ways = reaches(half, way, around, norms)
    q_move, k_move, v_move, o_move = ways.q_move, ways.k_move, ways.v_move, ways.o_move
    q_top, k_top, p_top, p_move = ways.q_top, ways.k_top, ways.p_top, ways.p_move
    gap = v[..., None, :, :] - o[..., :, None, :]  # (pieces, heads, i, j, width)
    gap_size = up(torch.linalg.vector_norm(gap, dim=-1) * (1 + gamma(width + 4)))
    gap_move = up(v_move[..., None, :] + o_move[..., :, None])
    gap_top = up(gap_size + gap_move)

    a_o, d_o = norms["o"].most[None, :, None, None], half_width[..., None, None] * norms["o"].step[None, :, None, None]
    a_v, d_v = norms["v"].most[None, :, None, None], half_width[..., None, None] * norms["v"].step[None, :, None, None]
    a_k, d_k = norms["k"].most[None, :, None, None], half_width[..., None, None] * norms["k"].step[None, :, None, None]
    a_q, d_q = norms["q"].most[None, :, None, None], half_width[..., None, None] * norms["q"].step[None, :, None, None]

    tokens = p.shape[-1]
    own = torch.arange(tokens)
    right = torch.einsum("mhiw,mhwd->mhid", q, now["k"])
    left_size = torch.stack(
        [torch.linalg.vector_norm(gap[:, h] @ now["o"][:, h, None].transpose(-1, -2), dim=-1) for h in range(heads)], 1
    )
    left_size = up(left_size * (1 + gamma(dim + 4)))
    right_size = up(torch.linalg.vector_norm(right, dim=-1) * (1 + gamma(dim + 4)))
    inner = scale * torch.einsum("mhik,mhikv,mhkw->mhivw", p, gap, k)  # (pieces, heads, i, width, width)

    left_move = up(a_o * gap_move + d_o * gap_top)
    right_move = up(a_k[..., 0] * q_move + d_k[..., 0] * q_top)[..., None]
    change = p_move * a_o * a_v + p_top * (d_o * a_v + a_o * d_v)
    change = change + left_move * p_top * (right_size[..., None] + right_move)
    change = change + left_size * p_move * (right_size[..., None] + right_move) + left_size * p_top * right_move
    change = up(change.sum(1))
    inner_move = p_move * gap_top * k_top[..., None, :]
    inner_move = inner_move + p_top * (gap_move * k_top[..., None, :] + gap_top * k_move[..., None, :])
    inner_move = up(scale * inner_move.sum(-1))  # (pieces, heads, i)
    inner_top = up(torch.linalg.matrix_norm(inner, dim=(-2, -1)) * (1 + gamma(width * width + 4)) + inner_move)
    query_move = up((a_o * a_q)[..., 0] * inner_move + ((d_o * a_q) + (a_o * d_q))[..., 0] * inner_top).sum(1)
    # Rounding of the values at u = 0, by Frobenius norms of the factors.
    f_o, f_v, f_k, f_q = (_parts(weights[key])[None, :, None, None] for key in "ovkq")
    sizes = (p * (f_o * f_v + f_o * gap_size * torch.linalg.vector_norm(q, dim=-1)[..., None] * f_k)).sum(1)
    sizes_own = (f_o * f_q * scale)[..., 0] * (p * gap_size * torch.linalg.vector_norm(k, dim=-1)[..., None, :]).sum(-1)
    rounding = gamma(8 * dim + 2 * tokens + 64)
    change = change + rounding * sizes
    change[:, own, own] += up(query_move + rounding * sizes_own.sum(1))

    values = now["o"] @ now["v"]  # (pieces, heads, dim, dim)
    block_norm = (p * (norm_upper(values)[..., None, None] + left_size * right_size[..., None])).sum(1)
    block_norm[:, own, own] += ((a_o * a_q)[..., 0] * inner_top).sum(1)
    block_norm = up(block_norm + change)
    left = torch.einsum("mhdw,mhijw->mhijd", now["o"], gap)
    blocks = torch.einsum("mhij,mhde->mijde", p, values)
    blocks = blocks + (left * p[..., None]).permute(0, 2, 3, 4, 1) @ right.permute(0, 2, 1, 3)[:, :, None]
    blocks[:, own, own] += torch.einsum("mhdv,mhivw,mhwe->mide", now["o"], inner, now["q"])
    jacobian = blocks @ matrix[:, None]
    frobenius = torch.linalg.matrix_norm(blocks, dim=(-2, -1))
    lost = gamma(dim + 8) * frobenius * torch.linalg.matrix_norm(matrix, dim=(-2, -1))[:, None]
    if half.layer_scale is not None:
        jacobian = half.layer_scale.at(at.mid)[:, None, None, :, None] * jacobian
    jacobian[:, own, own] += torch.eye(dim, dtype=jacobian.dtype)
    rest = up(change * largest[:, None] + block_norm * move[:, None] + lost)
    if half.layer_scale is not None:
        rest = _rescaled(rest, up(block_norm * largest[:, None]), half.layer_scale, at)
    return Gain(jacobian, rest)


def _rescaled(rest: Tensor, size: Tensor, scale: Weights, at: Pieces) -> Tensor:
    """Change of diag(g) A with g = scale(theta): |g| rest + |change of g| ||A||."""
    shape = (len(at.half), *(1,) * (rest.ndim - 1))
    step = 0.0 if scale.step is None else float(scale.step.abs().max())
    return up(scale.size().max() * rest + (at.half.reshape(shape) * step + 8 * U * float(scale.size().max())) * size)


def mlp_gain(half: Mlp, way: MlpWay, at: Pieces, error: Tensor) -> Tensor:
    """(pieces, tokens) diagonal of B of x + mlp(x), which moves no token by another: J = 1 + W2 diag(g'(h)) W1 L."""
    around = tube(way.normed, half.norm, error)
    matrix, largest, move = normalisation(way.normed, half.norm, at, around)
    first, second = spread(half.fc1.weight), spread(half.fc2.weight)
    w1, w2 = half.fc1.weight.at(at.mid), half.fc2.weight.at(at.mid)
    rows = up(torch.linalg.vector_norm(half.fc1.weight.size(), dim=-1))
    swing = up(way.hidden.swing() + rows * around.out_error[..., None])
    slope, slope_error = _slope(way.hidden.coef[0])
    slope_move = up((GELU_BEND * swing).clamp(max=2 * GELU_SLOPE) + slope_error)
    spectral = up(second.most * slope_move.amax(-1) * first.most)
    columns = up(half.fc2.weight.size().square().sum(0))
    frobenius = up(torch.sqrt(up((slope_move * columns).sum(-1)) * up((slope_move * rows.square()).sum(-1))) * (1 + 8 * U))
    change = torch.minimum(spectral, frobenius)
    half_width = at.half[:, None]
    change = up(change + GELU_SLOPE * half_width * (second.step * first.most + second.most * first.step))
    dim, hidden = w1.shape[-1], w1.shape[-2]
    change = up(change + gamma(hidden + dim + 64) * 1.13 * _parts(half.fc1.weight) * _parts(half.fc2.weight))
    found = []
    for some in torch.arange(matrix.shape[1]).split(max(1, BLOCKS // (len(at.mid) * dim * hidden))):
        inner = (w2[:, None] * slope[:, some, None, :]) @ w1[:, None]
        jacobian = inner @ matrix[:, some]
        inner_norm = norm_upper(inner)
        lost = torch.linalg.matrix_norm(inner, dim=(-2, -1)) * torch.linalg.matrix_norm(matrix[:, some], dim=(-2, -1))
        rest = up(change[:, some] * largest[:, some] + inner_norm * move[:, some] + gamma(dim + 8) * lost)
        if half.layer_scale is not None:
            jacobian = half.layer_scale.at(at.mid)[:, None, :, None] * jacobian
            rest = _rescaled(rest, up((inner_norm + change[:, some]) * largest[:, some]), half.layer_scale, at)
        found.append(up(norm_upper(jacobian + torch.eye(dim, dtype=jacobian.dtype)) + rest))
    return torch.cat(found, 1)


def _slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """GELU' at x and its error."""
    expansion = gelu(constant(x, 1))
    return expansion.terms[1], expansion.errors[1]


def head_gain(net: Transformer, x_tokens: int, way: HeadWay, at: Pieces, error: Tensor) -> Tensor:
    """(pieces, classes, tokens): |error of logit k| <= sum_j R_kj e_j.

    Norms of the rows of the head times the normalisations before it; every token counts 1 / tokens in an average.
    """
    pieces = len(at.mid)
    weight = net.head.weight.at(at.mid)  # (pieces, classes, dim)
    rows = up(torch.linalg.vector_norm(net.head.weight.size(), dim=-1))[None].expand(pieces, -1)
    share = torch.zeros(x_tokens, dtype=error.dtype)
    if net.pool == "token":
        share[0] = 1.0
    else:
        share[net.skip :] = 1.0 / (x_tokens - net.skip) * (1 + 4 * U)
    lipschitz = torch.ones((pieces, x_tokens), dtype=error.dtype)
    if way.first is not None and net.first is not None:
        around = tube(way.first, net.first, error)
        lipschitz = up(net.first.factor.size().max() * around.inverse)
    if way.last is not None and net.last is not None:
        pooled = up((error * lipschitz * share).sum(-1, keepdim=True))
        around = tube(way.last, net.last, pooled)
        matrix, largest, move = normalisation(way.last, net.last, at, around)
        found = up(torch.linalg.vector_norm(weight @ matrix[:, 0], dim=-1) * (1 + gamma(4 * weight.shape[-1])))
        step = 0.0 if net.head.weight.step is None else torch.linalg.vector_norm(net.head.weight.step, dim=-1)
        rows = up(found + rows * (move + gamma(weight.shape[-1] + 8) * largest) + at.half[:, None] * step * largest)
    return up(rows[..., None] * (lipschitz * share)[:, None, :])


def _split(qkv: Weights, proj: Weights, heads: int, width: int) -> dict[str, Weights]:
    """W_Q, W_K, W_V (heads, width, dim) and W_O (heads, dim, width)."""

    def rows(which: int, tensor: Tensor) -> Tensor:
        return tensor.reshape(3, heads, width, -1)[which]

    def columns(tensor: Tensor) -> Tensor:
        return tensor.reshape(tensor.shape[0], heads, width).transpose(0, 1)

    found = {}
    for which, key in enumerate("qkv"):
        found[key] = Weights(rows(which, qkv.start), None if qkv.step is None else rows(which, qkv.step))
    found["o"] = Weights(columns(proj.start), None if proj.step is None else columns(proj.step))
    return found


def _parts(weights: Weights) -> Tensor:
    """Frobenius norm of |start| + |step|, what rounding of the values at some theta is measured by."""
    size = weights.start.abs() if weights.step is None else weights.start.abs() + weights.step.abs()
    return up(torch.linalg.matrix_norm(size, dim=(-2, -1)))
