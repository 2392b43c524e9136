"""Token merging (ToMe) for timm vision transformers, as a new module with the old parameter names.

Between attention and MLP of every block, r tokens are averaged into others (bipartite soft matching):

    sets        A = tokens 0, 2, 4, ..    B = tokens 1, 3, 5, ..
    similarity  cosine of the attention keys, averaged over heads
    match       every A token proposes its most similar B token; the r best proposals merge
    merge       y_b = (n_b x_b + sum_a n_a x_a) / (n_b + sum_a n_a),   n = original tokens inside a token
    attention   softmax(q k' / sqrt(d) + log n): a merged token counts as often as the tokens it holds

Prefix tokens (class, distillation, registers) neither merge nor receive, and tokens keep their order.
Source of the method: Bolya et al., Token Merging: Your ViT But Faster, arXiv:2210.09461.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certify.records import Refused


def merge_tokens(model: nn.Module, r: int | Sequence[int], *, proportional: bool = True) -> nn.Module:
    """A copy of a timm VisionTransformer whose blocks merge tokens; `model` is untouched.

    r            : see `schedule`.
    proportional : add the log of the token sizes to the attention scores.
    The copy has the same state_dict keys; `copy.blocks.r` records the schedule. r = 0 gives the dense function.
    Average pooling counts a merged token once. Refused: blocks that are not timm's pre-norm `Block` with `Attention`.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential) or not hasattr(model, "num_prefix_tokens"):
        raise Refused(
            f"{type(model).__name__}: token merging needs a timm VisionTransformer (a sequence `blocks` and "
            "prefix tokens). Run without --merge."
        )
    if getattr(model, "grad_checkpointing", False):
        raise Refused(f"{type(model).__name__}: turn gradient checkpointing off before merging tokens.")
    for index, block in enumerate(blocks):
        kinds = type(block).__name__, type(getattr(block, "attn", None)).__name__
        if kinds != ("Block", "Attention"):
            raise Refused(
                f"blocks.{index}: {kinds[0]} with {kinds[1]} cannot merge tokens; expected timm's Block with Attention."
            )
    merged = copy.deepcopy(model)
    prefix = int(model.num_prefix_tokens)  # type: ignore[arg-type]
    merged.blocks = MergingBlocks(merged.blocks, schedule(r, len(blocks)), prefix, proportional)  # type: ignore[arg-type]
    return merged


def schedule(r: int | Sequence[int], depth: int) -> tuple[int, ...]:
    """One merge count per block, from one number for all blocks or from `depth` numbers, all >= 0."""
    steps = (r,) if isinstance(r, int) else tuple(int(step) for step in r)
    steps = steps * depth if len(steps) == 1 else steps
    if len(steps) != depth:
        raise Refused(f"merge schedule: {len(steps)} numbers for {depth} blocks.")
    if min(steps, default=0) < 0:
        raise Refused(f"merge schedule: {min(steps)} tokens in one block; expected 0 or more.")
    return steps


def decreasing(r: int, depth: int) -> tuple[int, ...]:
    """A schedule that falls linearly from 2r to 0 over the blocks, r per block on average up to rounding."""
    if depth == 1:
        return (r,)
    return tuple(round(2 * r * (1 - block / (depth - 1))) for block in range(depth))


def token_counts(tokens: int, steps: Sequence[int], protected: int) -> tuple[int, ...]:
    """Tokens at the entry of each block, and after the last one (see `merge_count`)."""
    counts = [tokens]
    for step in steps:
        counts.append(counts[-1] - merge_count(counts[-1], step, protected))
    return tuple(counts)


def merge_count(tokens: int, r: int, protected: int) -> int:
    """Tokens that really merge: min(r, (tokens - protected) // 2), never below 0."""
    return max(0, min(r, (tokens - protected) // 2))


class MergingBlocks(nn.Sequential):
    """The block sequence of a merged network: passes the token sizes along beside the tokens."""

    def __init__(self, blocks: nn.Sequential, steps: Sequence[int], protected: int, proportional: bool) -> None:
        super().__init__(*(MergingBlock(block, step, protected) for block, step in zip(blocks, steps, strict=True)))
        self.r = tuple(steps)
        self.protected = protected
        self.proportional = proportional

    def forward(self, input: Tensor) -> Tensor:
        x, size = input, None
        for block in self:
            x, size = block(x, size, proportional=self.proportional)
        return x


class MergingBlock(nn.Module):
    """A timm pre-norm block with a merge between attention and MLP; holds the block's own submodules."""

    def __init__(self, block: Any, r: int, protected: int) -> None:
        super().__init__()
        self.norm1, self.attn = block.norm1, MergingAttention(block.attn)
        self.ls1, self.drop_path1 = block.ls1, block.drop_path1
        self.merge = TokenMerging(r, protected)
        self.norm2, self.mlp = block.norm2, block.mlp
        self.ls2, self.drop_path2 = block.ls2, block.drop_path2

    def forward(self, x: Tensor, size: Tensor | None, *, proportional: bool = True) -> tuple[Tensor, Tensor | None]:
        attended, keys = self.attn(self.norm1(x), size if proportional else None)
        x = x + self.drop_path1(self.ls1(attended))
        x, size = self.merge(x, keys, size)
        return x + self.drop_path2(self.ls2(self.mlp(self.norm2(x)))), size


class MergingAttention(nn.Module):
    """timm's Attention with log-size bias; also returns the head-averaged keys the merge compares."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.qkv, self.q_norm, self.k_norm = attention.qkv, attention.q_norm, attention.k_norm
        self.attn_drop = attention.attn_drop
        self.norm = getattr(attention, "norm", nn.Identity())
        self.gate = getattr(attention, "gate", None)
        self.proj, self.proj_drop = attention.proj, attention.proj_drop

    def forward(self, x: Tensor, size: Tensor | None) -> tuple[Tensor, Tensor]:
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        bias = None if size is None else size.log().to(q.dtype)[:, None, None, :]
        drop = self.attn_drop.p if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=drop)
        out = self.norm(out.transpose(1, 2).reshape(batch, tokens, -1))
        if self.gate is not None:
            out = out * self.gate(x).sigmoid()
        return self.proj_drop(self.proj(out)), k.mean(1)


class TokenMerging(nn.Module):
    """Bipartite soft matching and the size-weighted mean; no parameters."""

    def __init__(self, r: int, protected: int) -> None:
        super().__init__()
        self.r = r
        self.protected = protected

    def forward(self, x: Tensor, metric: Tensor, size: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """x (batch, t, D), metric (batch, t, d), size (batch, t) or None for all ones -> t - r_eff tokens and sizes."""
        tokens = x.shape[1]
        count = merge_count(tokens, self.r, self.protected)
        if count == 0:
            return x, size
        source, target = match(metric, count, self.protected)
        return merge(x, torch.ones_like(x[..., 0], dtype=torch.float32) if size is None else size, source, target)


def match(metric: Tensor, count: int, protected: int) -> tuple[Tensor, Tensor]:
    """The `count` best merges: positions (batch, count) of merged tokens (even) and of their receivers (odd).

    metric : (batch, t, d). Needs count <= (t - protected) // 2; the first `protected` tokens take no part. Which of two equal
             similarities wins is left to torch.
    """
    unit = F.normalize(metric.float(), dim=-1)
    scores = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    # Prefix token p sits in A at p / 2 when even, in B at (p - 1) / 2 when odd.
    scores[:, : (protected + 1) // 2, :] = -torch.inf
    scores[:, :, : protected // 2] = -torch.inf
    best, partner = scores.max(dim=-1)
    chosen = best.topk(count, dim=-1).indices
    return 2 * chosen, 2 * partner.gather(1, chosen) + 1


def merge(x: Tensor, size: Tensor, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Size-weighted mean of every source into its target; the remaining tokens keep their order.

    x (batch, t, D), size (batch, t) float32, source and target (batch, r) -> (batch, t - r, D), (batch, t - r).
    Sums run in float32. On a GPU the order of the sums into one target is not fixed, hence neither is the last bit.
    """
    batch, tokens, width = x.shape
    # Survivors come first, in their old order: all keys differ, and ONNX knows topk but no stable sort.
    place = torch.arange(tokens, device=x.device).expand(batch, tokens)
    keys = (tokens - place).scatter(1, source, 0)
    kept = keys.topk(tokens - source.shape[1], dim=1).indices
    mass = x.float() * size[..., None]
    wide = (batch, source.shape[1], width)
    mass = mass.scatter_add(1, target[..., None].expand(wide), mass.gather(1, source[..., None].expand(wide)))
    size = size.scatter_add(1, target, size.gather(1, source)).gather(1, kept)
    mean = mass.gather(1, kept[..., None].expand(batch, kept.shape[1], width)) / size[..., None]
    return mean.to(x.dtype), size
