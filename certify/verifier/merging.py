"""A vision transformer that merges tokens, written out image by image, in torch alone.

Between attention and MLP of a block, its r best pairs merge: every even token proposes the odd token whose key has the largest
cosine to its own, and the r largest cosines win; the first tokens (class, distillation, registers) take no part.

    y_b = (n_b x_b + sum_a n_a x_a) / (n_b + sum_a n_a),   attention  softmax(q k' / sqrt(d) + log n)

Which pairs are best is decided by numbers that two machines round differently, and where two candidates are as similar as that,
another pair may have merged there: such images are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from certify.records import Refused

# Cosines closer than this may be in another order on another machine, by number format.
TOO_CLOSE = {torch.float32: 2.0**-18, torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}


def merged_logits(model: nn.Module, images: Tensor, merge: Sequence[int]) -> tuple[Tensor, list[bool]]:
    """(n, K) logits of a timm VisionTransformer that merges `merge` tokens in each block, and whose pairs were clear.

    images : (n, C, H, W) in the number format of the model. merge : one count for all blocks, or one per block.
    """
    net: Any = model
    blocks = list(getattr(model, "blocks", []))
    counts = list(merge) * len(blocks) if len(merge) == 1 else list(merge)
    kinds = {(type(block).__name__, type(getattr(block, "attn", None)).__name__) for block in blocks}
    if not hasattr(model, "num_prefix_tokens") or kinds != {("Block", "Attention")} or len(counts) != len(blocks):
        raise Refused(f"merge = {list(merge)}: {type(model).__name__} with {len(blocks)} blocks cannot merge tokens so")
    x = net.norm_pre(net.patch_drop(net._pos_embed(net.patch_embed(images))))
    tokens, sizes = list(x), [torch.ones(len(each)) for each in x]
    clear = [True] * len(images)
    for block, count in zip(blocks, counts, strict=True):
        for image, (x, size) in enumerate(zip(tokens, sizes, strict=True)):
            attended, keys = _attention(block.attn, block.norm1(x[None])[0], size)
            x, size, sure = _merged(x + block.ls1(attended[None])[0], size, keys, count, net.num_prefix_tokens)
            tokens[image] = x + block.ls2(block.mlp(block.norm2(x[None])))[0]
            sizes[image], clear[image] = size, clear[image] and sure
    return net.forward_head(net.norm(torch.stack(tokens))), clear


def _attention(attn: Any, x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """(t, D) output of one image, and (t, d) its keys, averaged over heads."""
    q, k, v = attn.qkv(x).reshape(len(x), 3, attn.num_heads, -1).permute(1, 2, 0, 3)
    q, k = attn.q_norm(q), attn.k_norm(k)
    scores = q @ k.mT / q.shape[-1] ** 0.5 + size.log().to(q.dtype)
    out = (scores.softmax(dim=-1) @ v).transpose(0, 1).reshape(len(x), -1)
    out = attn.norm(out) if hasattr(attn, "norm") else out
    gate = getattr(attn, "gate", None)
    out = out if gate is None else out * gate(x).sigmoid()
    return attn.proj(out), k.mean(dim=0)


def _merged(x: Tensor, size: Tensor, keys: Tensor, count: int, prefix: int) -> tuple[Tensor, Tensor, bool]:
    """(t - r, D) tokens in their old order, their sizes, and whether the r best pairs were clear."""
    close = TOO_CLOSE[x.dtype]
    unit = keys.double() / keys.double().norm(dim=1, keepdim=True)
    odd = [b for b in range(1, len(x), 2) if b >= prefix]
    proposals = []
    for a in (a for a in range(0, len(x), 2) if a >= prefix and odd):
        cosines = sorted(((float(unit[a] @ unit[b]), b) for b in odd), reverse=True)
        lead = cosines[0][0] - cosines[1][0] if len(cosines) > 1 else 1.0
        proposals.append((cosines[0][0], a, cosines[0][1], lead))
    proposals.sort(key=lambda each: (-each[0], each[1]))
    count = min(count, (len(x) - prefix) // 2)
    if count <= 0:
        return x, size, True
    chosen, left = proposals[:count], proposals[count:]
    sure = all(lead > close for *_, lead in chosen) and not (left and chosen[-1][0] - left[0][0] <= close)
    mass, size = x.float() * size[:, None], size.clone()
    for _, a, b, _ in chosen:
        mass[b] += mass[a]
        size[b] += size[a]
    gone = {a for _, a, _, _ in chosen}
    kept = [token for token in range(len(x)) if token not in gone]
    return (mass[kept] / size[kept, None]).to(x.dtype), size[kept], sure
