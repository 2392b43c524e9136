"""A pair of vision transformers as half-blocks: what the enclosure reads of them. Anything else is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from certify.bounds.enclosed.taylor import Weights
from certify.networks.vision import import_timm
from certify.records import Refused


@dataclass(frozen=True)
class Affine:
    """y = W(theta) x + b(theta); weight (out, in)."""

    weight: Weights
    bias: Weights | None


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis: factor(theta) (x - mean) / sqrt(var + eps) + offset(theta)."""

    factor: Weights
    offset: Weights
    eps: float


@dataclass(frozen=True)
class Attention:
    """x + scale_l * proj(softmax(q k^T / sqrt(d)) v) of q, k, v = qkv(norm(x)); heads of equal width."""

    norm: Norm
    qkv: Affine
    proj: Affine
    heads: int
    scale: float
    layer_scale: Weights | None


@dataclass(frozen=True)
class Mlp:
    """x + scale_l * fc2(gelu(fc1(norm(x))))."""

    norm: Norm
    fc1: Affine
    fc2: Affine
    layer_scale: Weights | None


Half = Attention | Mlp


@dataclass(frozen=True)
class Transformer:
    """Patches to tokens, half-blocks, and the head.

    stem     : patches as rows to embeddings. positions (tokens, dim), prefix (p, dim) put before the patches, or None.
    first    : normalisation of all tokens before the pool, or None. pool "avg" over tokens from `skip` on, or "token", the first.
    last     : normalisation after the pool, or None. head : classes.
    """

    stem: Affine
    patch: tuple[int, int]
    prefix: Weights | None
    positions: Weights
    embed_prefix: bool
    halves: tuple[Half, ...]
    names: tuple[str, ...]
    first: Norm | None
    pool: str
    skip: int
    last: Norm | None
    head: Affine


def first_moving(net: Transformer) -> int:
    """Number of the first half-block of which a tensor moves, 0 where one in front of them does; their count where none does."""
    if _moves((net.stem, net.prefix, net.positions)):
        return 0
    return next((number for number, half in enumerate(net.halves) if _moves(half)), len(net.halves))


def _moves(part: Any) -> bool:
    if isinstance(part, Weights):
        return part.step is not None
    parts = part if isinstance(part, tuple) else vars(part).values() if is_dataclass(part) else ()
    return any(map(_moves, parts))


class _Pair:
    """Weights of a module of the shipped network and their steps to the reference."""

    def __init__(self, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor]) -> None:
        self.reference, self.shipped = reference, shipped

    def weights(self, name: str) -> Weights:
        start, end = self.shipped[name].detach().cpu().double(), self.reference[name].detach().cpu().double()
        if not (torch.isfinite(start).all() and torch.isfinite(end).all()):
            raise Refused(f"{name}: holds a value that is not finite")
        return Weights.between(start, end)

    def matrix(self, name: str) -> Weights:
        found = self.weights(name)
        flat = found.start.flatten(1)
        return Weights(flat, None if found.step is None else found.step.flatten(1))

    def affine(self, name: str, module: nn.Module) -> Affine:
        _expect(name, module, (nn.Linear, nn.Conv2d))
        return Affine(self.matrix(f"{name}.weight"), self.weights(f"{name}.bias") if module.bias is not None else None)

    def norm(self, name: str, module: nn.Module) -> Norm | None:
        if isinstance(module, nn.Identity):
            return None
        _expect(name, module, (nn.LayerNorm,))
        assert isinstance(module, nn.LayerNorm)
        if not module.elementwise_affine or module.bias is None or len(module.normalized_shape) != 1:
            raise Refused(f"{name}: the enclosure knows layer norms over the last axis with weight and bias alone")
        return Norm(self.weights(f"{name}.weight"), self.weights(f"{name}.bias"), float(module.eps))


def _expect(name: str, module: nn.Module, kinds: tuple[type, ...]) -> None:
    if not isinstance(module, kinds):
        raise Refused(
            f"{name}: is a {type(module).__name__}, which the enclosure does not know; it knows ViT and DeiT as timm has them"
        )


def _identity(name: str, module: nn.Module) -> None:
    """Dropout of probability 0 and its like do nothing in evaluation."""
    if not isinstance(module, nn.Identity | nn.Dropout) and type(module).__name__ not in ("DropPath", "PatchDropout"):
        _expect(name, module, (nn.Identity,))


def is_transformer(network: nn.Module) -> bool:
    """Whether `transformer` is the reader to ask; it may still refuse. By name: networks of others need no timm."""
    return any(kind.__name__ == "VisionTransformer" for kind in type(network).__mro__)


def transformer(network: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor]) -> Transformer:
    """Read a timm VisionTransformer of plain blocks."""
    timm = import_timm()
    known = timm.models.vision_transformer
    Block, VisionTransformer = known.Block, known.VisionTransformer

    _expect("the network", network, (VisionTransformer,))
    model: Any = network
    pair = _Pair(reference, shipped)
    for name in ("patch_drop", "norm_pre", "fc_norm_drop", "head_drop", "pos_drop"):
        if hasattr(model, name):
            _identity(name, getattr(model, name))
    if model.global_pool not in ("avg", "token") or getattr(model, "attn_pool", None) is not None:
        raise Refused(f"the network: pools by {model.global_pool!r}; the enclosure knows avg and token")
    if getattr(model, "reg_token", None) is not None or model.pos_embed is None:
        raise Refused("the network: register tokens or no learned positions; the enclosure does not know them")
    halves: list[Half] = []
    names: list[str] = []
    for number, block in enumerate(model.blocks):
        at = f"blocks.{number}"
        if type(block) is not Block:
            raise Refused(f"{at}: is a {type(block).__name__}; the enclosure knows timm's plain Block")
        for drop in ("drop_path1", "drop_path2"):
            _identity(f"{at}.{drop}", getattr(block, drop))
        attention, mlp = block.attn, block.mlp
        if type(attention) is not known.Attention:
            raise Refused(f"{at}.attn: is a {type(attention).__name__}; the enclosure knows timm's plain Attention")
        for inner in ("q_norm", "k_norm", "norm"):
            if hasattr(attention, inner):
                _expect(f"{at}.attn.{inner}", getattr(attention, inner), (nn.Identity,))
        act = mlp.act
        if not isinstance(act, nn.GELU) or act.approximate != "none":
            raise Refused(f"{at}.mlp.act: is {act}; the enclosure knows the exact GELU")
        _identity(f"{at}.mlp.norm", getattr(mlp, "norm", nn.Identity()))
        scales = []
        for which in ("ls1", "ls2"):
            module = getattr(block, which)
            if isinstance(module, known.LayerScale):
                scales.append(pair.weights(f"{at}.{which}.gamma"))
            else:
                _identity(f"{at}.{which}", module)
                scales.append(None)
        norm1, norm2 = pair.norm(f"{at}.norm1", block.norm1), pair.norm(f"{at}.norm2", block.norm2)
        if norm1 is None or norm2 is None:
            raise Refused(f"{at}: no normalisation before a half-block; the enclosure expects pre-norm blocks")
        qkv, proj = pair.affine(f"{at}.attn.qkv", attention.qkv), pair.affine(f"{at}.attn.proj", attention.proj)
        halves.append(Attention(norm1, qkv, proj, attention.num_heads, float(attention.scale), scales[0]))
        fc1, fc2 = pair.affine(f"{at}.mlp.fc1", mlp.fc1), pair.affine(f"{at}.mlp.fc2", mlp.fc2)
        halves.append(Mlp(norm2, fc1, fc2, scales[1]))
        names += [f"{at}.attn", f"{at}.mlp"]
    stem = model.patch_embed.proj
    _identity("patch_embed.norm", model.patch_embed.norm)
    _expect("patch_embed.proj", stem, (nn.Conv2d,))
    if stem.stride != stem.kernel_size or stem.padding != (0, 0) or stem.groups != 1:
        raise Refused("patch_embed.proj: patches that overlap or are padded; the enclosure does not know them")
    prefix = pair.weights("cls_token") if model.cls_token is not None else None
    return Transformer(
        stem=pair.affine("patch_embed.proj", stem),
        patch=(int(stem.kernel_size[0]), int(stem.kernel_size[1])),
        prefix=None if prefix is None else Weights(prefix.start[0], None if prefix.step is None else prefix.step[0]),
        positions=_first(pair.weights("pos_embed")),
        embed_prefix=model.no_embed_class is False,
        halves=tuple(halves),
        names=tuple(names),
        first=pair.norm("norm", model.norm),
        pool=model.global_pool,
        skip=model.num_prefix_tokens,
        last=pair.norm("fc_norm", model.fc_norm),
        head=pair.affine("head", model.head),
    )


def _first(weights: Weights) -> Weights:
    return Weights(weights.start[0], None if weights.step is None else weights.step[0])
