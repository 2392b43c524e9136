"""The networks of a segment in 200-bit ball arithmetic, for proved rungs: what escapes one is an error beyond rounding.

Reads the modules of timm's plain vision transformers and of chains of Linear, ReLU and GELU; needs python-flint (extra `rigor`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import chain
from typing import Any

import numpy as np
from torch import nn

BITS = 200
# Weights that a network may have to be evaluated one ball at a time; 200,000 take about a second.
LARGEST = 2**20
# What a transformer may be made of: torch's modules, and timm's by name.
PLAIN = (nn.Linear, nn.Identity, nn.Dropout, nn.ModuleList, nn.Sequential, nn.Conv2d)
PARTS = ("VisionTransformer", "PatchEmbed", "Block", "Attention", "Mlp", "LayerScale")
NORMS = re.compile(r"norm|fc_norm|blocks\.\d+\.norm[12]")


class Unknown(Exception):
    """Why a network is not evaluated here."""


@contextmanager
def precision() -> Iterator[Any]:
    """python-flint at 200 bits."""
    if not find_spec("flint"):
        raise Unknown("python-flint is not installed; pip install certify[rigor]")
    import flint

    before, flint.ctx.prec = flint.ctx.prec, BITS
    try:
        yield flint
    finally:
        flint.ctx.prec = before


def logits(
    model: nn.Module, start: Mapping[str, np.ndarray], end: Mapping[str, np.ndarray], theta: float, image: np.ndarray
) -> Any:
    """(1, K) ball matrix of the logits of one image (channels, height, width) at start + theta (end - start).

    start, end : float64 arrays of every tensor, taken as exact, as theta and the image are.
    """
    size = sum(array.size for array in end.values())
    if size > LARGEST:
        raise Unknown(f"{size:,} weights; ball arithmetic takes up to {LARGEST:,}")
    with precision() as flint:
        weights = _Weights(flint, start, end, theta)
        timm = type(model).__module__.startswith("timm.models.vision_transformer")
        return _transformer(flint, weights, model, image) if timm else _chain(flint, weights, model, image)


def largest_change(flint: Any, moved: Any, fixed: Any) -> Any:
    """Ball of max_k |moved_k - fixed_k|."""
    return _most([abs(moved[0, k] - fixed[0, k]) for k in range(fixed.ncols())])


class _Weights:
    """Tensors at theta as ball matrices."""

    def __init__(self, flint: Any, start: Mapping[str, np.ndarray], end: Mapping[str, np.ndarray], theta: float) -> None:
        self.flint, self.start, self.end, self.theta = flint, start, end, theta

    def __contains__(self, name: str) -> bool:
        return name in self.end

    def __call__(self, name: str, columns: int = 0) -> Any:
        """The tensor as (rows, columns); `columns` = 0 takes all but its first axis together, a vector as one row."""
        start, end = self.start[name], self.end[name]
        rows = start.size // columns if columns else (len(start) if start.ndim > 1 else 1)
        matrix = self.flint.arb_mat(rows, start.size // rows, start.reshape(-1).tolist())
        if np.array_equal(start, end):
            return matrix
        return matrix + (self.flint.arb_mat(rows, start.size // rows, end.reshape(-1).tolist()) - matrix) * self.theta

    def affine(self, name: str, x: Any) -> Any:
        """x W^T + b for (tokens, in)."""
        out = x * self(f"{name}.weight").transpose()
        if f"{name}.bias" not in self:
            return out
        ones = self.flint.arb_mat(x.nrows(), 1, [1] * x.nrows())
        return out + ones * self(f"{name}.bias")


def _chain(flint: Any, weights: _Weights, model: nn.Module, image: np.ndarray) -> Any:
    if not isinstance(model, nn.Sequential):
        raise Unknown(f"a {type(model).__name__} is not evaluated in balls")
    x = flint.arb_mat(1, image.size, image.reshape(-1).tolist())
    for name, module in model.named_children():
        if isinstance(module, nn.Linear):
            x = weights.affine(name, x)
        elif isinstance(module, nn.ReLU):
            x = _each(flint, x, lambda t: t.max(0))
        elif isinstance(module, nn.GELU) and module.approximate == "none":
            x = _each(flint, x, _gelu)
        elif not isinstance(module, nn.Flatten | nn.Identity | nn.Dropout):
            raise Unknown(f"{name}: a {type(module).__name__} is not evaluated in balls")
    return x


def _transformer(flint: Any, weights: _Weights, network: nn.Module, image: np.ndarray) -> Any:
    model: Any = network
    _plain(model)
    x = weights.affine("patch_embed.proj", _patches(flint, model, image))
    dim = x.ncols()
    prefix = _rows(weights("cls_token", dim)) if "cls_token" in weights else []
    positions = _rows(weights("pos_embed", dim))
    tokens = _rows(x)
    if model.no_embed_class:
        tokens = prefix + [_sum(row, place) for row, place in zip(tokens, positions, strict=True)]
    else:
        tokens = [_sum(row, place) for row, place in zip(prefix + tokens, positions, strict=True)]
    x = flint.arb_mat(tokens)
    for number, block in enumerate(model.blocks):
        x = _block(flint, weights, block, f"blocks.{number}", x)
    if not isinstance(model.norm, nn.Identity):
        x = _norm(flint, weights, "norm", model.norm, x)
    rows = _rows(x)[:1] if model.global_pool == "token" else _rows(x)[model.num_prefix_tokens :]
    x = flint.arb_mat([[sum(column) / len(rows) for column in zip(*rows, strict=True)]])
    if not isinstance(model.fc_norm, nn.Identity):
        x = _norm(flint, weights, "fc_norm", model.fc_norm, x)
    return weights.affine("head", x)


def _plain(model: Any) -> None:
    """Refuse a transformer with parts that `_transformer` leaves out."""
    for name, module in model.named_modules():
        known = isinstance(module, PLAIN) or (isinstance(module, nn.GELU) and module.approximate == "none")
        known |= isinstance(module, nn.LayerNorm) and NORMS.fullmatch(name) is not None
        if not known and type(module).__name__ not in PARTS:
            raise Unknown(f"{name or 'the network'}: a {type(module).__name__} is not evaluated in balls")
    if model.global_pool not in ("avg", "token") or getattr(model, "reg_token", None) is not None:
        raise Unknown("this pool, or register tokens, are not evaluated in balls")


def _patches(flint: Any, model: Any, image: np.ndarray) -> Any:
    height, width = model.patch_embed.proj.kernel_size
    channels, rows, cols = image.shape
    cut = image.reshape(channels, rows // height, height, cols // width, width).transpose(1, 3, 0, 2, 4)
    flat = cut.reshape(-1, channels * height * width)
    return flint.arb_mat(*flat.shape, flat.reshape(-1).tolist())


def _block(flint: Any, weights: _Weights, block: Any, name: str, x: Any) -> Any:
    mixed = _attention(flint, weights, block.attn, f"{name}.attn", _norm(flint, weights, f"{name}.norm1", block.norm1, x))
    x = x + _scaled(flint, weights, f"{name}.ls1.gamma", mixed)
    hidden = weights.affine(f"{name}.mlp.fc1", _norm(flint, weights, f"{name}.norm2", block.norm2, x))
    out = weights.affine(f"{name}.mlp.fc2", _each(flint, hidden, _gelu))
    return x + _scaled(flint, weights, f"{name}.ls2.gamma", out)


def _attention(flint: Any, weights: _Weights, module: Any, name: str, x: Any) -> Any:
    qkv, heads = _rows(weights.affine(f"{name}.qkv", x)), module.num_heads
    width = len(qkv[0]) // 3 // heads
    outs = []
    for head in range(heads):
        q, k, v = (flint.arb_mat([row[part * heads * width + head * width :][:width] for row in qkv]) for part in range(3))
        raised = _each(flint, q * k.transpose(), lambda t: (t * module.scale).exp())
        rows = []
        for row in _rows(raised):
            total = sum(row)
            rows.append([entry / total for entry in row])
        outs.append(_rows(flint.arb_mat(rows) * v))
    return weights.affine(f"{name}.proj", flint.arb_mat([list(chain(*parts)) for parts in zip(*outs, strict=True)]))


def _norm(flint: Any, weights: _Weights, name: str, module: Any, x: Any) -> Any:
    factor, offset = _rows(weights(f"{name}.weight"))[0], _rows(weights(f"{name}.bias"))[0]
    found = []
    for row in _rows(x):
        mean = sum(row) / len(row)
        centred = [entry - mean for entry in row]
        size = (sum(entry * entry for entry in centred) / len(row) + flint.arb(module.eps)).rsqrt()
        found.append([entry * size * f + b for entry, f, b in zip(centred, factor, offset, strict=True)])
    return flint.arb_mat(found)


def _scaled(flint: Any, weights: _Weights, name: str, x: Any) -> Any:
    if name not in weights:
        return x
    factor = _rows(weights(name))[0]
    return flint.arb_mat([[entry * f for entry, f in zip(row, factor, strict=True)] for row in _rows(x)])


def _gelu(t: Any) -> Any:
    return t / 2 * (1 + (t / type(t)(2).sqrt()).erf())


def _each(flint: Any, x: Any, function: Callable[[Any], Any]) -> Any:
    return flint.arb_mat([[function(entry) for entry in row] for row in _rows(x)])


def _rows(x: Any) -> list[list[Any]]:
    return x.tolist()


def _sum(a: list[Any], b: list[Any]) -> list[Any]:
    return [one + other for one, other in zip(a, b, strict=True)]


def _most(values: list[Any]) -> Any:
    found = values[0]
    for value in values[1:]:
        found = found.max(value)
    return found
