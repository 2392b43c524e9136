"""2:4 weights: masks, verification, and compressed storage that needs no GPU.

A matrix is 2:4 when each 4 consecutive inputs of each row hold at most 2 nonzeros. Convolutions are read as
(out, in·kh·kw), row-major.

Compressed layout, version 1, of a (rows, cols) matrix in fp16 or bf16, cols a multiple of 4:

    values    (rows, cols / 2), same dtype     the 2 kept entries of each group, in column order
    metadata  (rows, ceil(cols / 8)), uint8    4 bits per group: i | j << 2, i < j the kept positions in 0..3;
                                               the even group of a pair in the low nibble; a spare high nibble is 0

In a safetensors file the two parts of `w` are stored as `w::values` and `w::metadata`, every other tensor as itself;
the header entry `two_four` lists version, shape and dtype of each compressed tensor.

Version 2 is the same, and a matrix whose groups are formed in another order of its inputs has a third part `w::order`, (cols,)
int32: the parts are those of w[:, order], and a reader puts the columns back. A file without orders is written as version 1.

This is not the operand layout of
any GPU library: those differ between libraries and versions, and are made from the dense matrix where it runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from certify.records import Refused

LAYOUT_VERSIONS = (1, 2)
_BITS = {torch.float16: torch.int16, torch.bfloat16: torch.int16}
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def magnitude_mask(weight: Tensor, *, keep: int = 2, group: int = 4) -> Tensor:
    """Keep the `keep` largest |w| of each `group` consecutive inputs of each row; boolean, shape of `weight`.

    Columns beyond the last whole group stay dense. Of equal magnitudes the earlier column is kept.
    """
    if not 0 <= keep <= group:
        raise Refused(f"pattern {keep}:{group}: expected 0 <= keep <= group.")
    matrix = weight.detach().reshape(weight.shape[0], -1)
    whole = matrix.shape[1] // group * group
    groups = matrix[:, :whole].abs().reshape(matrix.shape[0], -1, group)
    order = groups.argsort(dim=-1, descending=True, stable=True)
    mask = torch.ones_like(matrix, dtype=torch.bool)
    kept = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, order[..., :keep], True)
    mask[:, :whole] = kept.reshape(matrix.shape[0], whole)
    return mask.reshape(weight.shape)


def project(weight: Tensor, *, keep: int = 2, group: int = 4) -> Tensor:
    """The weight with everything outside `magnitude_mask` set to +0."""
    return torch.where(magnitude_mask(weight, keep=keep, group=group), weight.detach(), torch.zeros_like(weight))


def zeros(shape: Iterable[int], *, keep: int = 2, group: int = 4) -> int:
    """Entries outside `magnitude_mask` for a weight of this shape: rows · (cols // group) · (group - keep)."""
    size = torch.Size(shape)
    return size[0] * (size[1:].numel() // group) * (group - keep)


def verify(weight: Tensor, name: str, *, keep: int = 2, group: int = 4) -> None:
    """Refuse a matrix that is not keep:group, naming the first offending row and group and the number of offenders."""
    groups = _groups(weight, name, group)
    found = (groups != 0).sum(-1)
    bad = (found > keep).nonzero()
    if len(bad):
        row, index = bad[0].tolist()
        raise Refused(
            f"{name}: group {index} of row {row} keeps {int(found[row, index])} of {group}; pattern {keep}:{group} "
            f"allows {keep} ({len(bad)} of {found.numel()} groups break it). "
            f"Re-project with certify prune --pattern {keep}:{group}."
        )


def compress(weight: Tensor, name: str = "weight") -> tuple[Tensor, Tensor]:
    """(values, metadata) of a 2:4 matrix, as in the layout above. `expand` gives back the same bits.

    Refused: other dtypes than fp16 and bf16, a matrix that is not 2:4, and a -0 among the dropped entries (its sign
    would be lost; `torch.where` writes +0 where `weight * mask` writes -0).
    """
    if weight.dtype not in _BITS:
        raise Refused(f"{name}: {str(weight.dtype)[6:]} cannot be stored as 2:4; cast to float16 or bfloat16 first.")
    verify(weight, name)
    bits = _groups(weight, name, 4).contiguous().view(_BITS[weight.dtype])
    # Nonzeros first, then -0 (nonzero bits, value 0), then +0; equal ranks in column order.
    rank = (_groups(weight, name, 4) != 0).to(torch.int8) * 2 + (bits != 0).to(torch.int8)
    kept = rank.argsort(dim=-1, descending=True, stable=True)[..., :2].sort(dim=-1).values
    lost = bits.scatter(-1, kept, 0).ne(0).any(-1).nonzero()
    if len(lost):
        row, index = lost[0].tolist()
        raise Refused(
            f"{name}: group {index} of row {row} has -0 in a dropped position ({len(lost)} groups in all), which the "
            "layout cannot hold; set dropped entries to +0 (torch.where instead of a product with the mask)."
        )
    values = bits.gather(-1, kept).reshape(weight.shape[0], -1).view(weight.dtype)
    nibbles = (kept[..., 0] | kept[..., 1] << 2).to(torch.uint8)
    if nibbles.shape[1] % 2:
        nibbles = torch.nn.functional.pad(nibbles, (0, 1))
    return values, nibbles[:, ::2] | nibbles[:, 1::2] << 4


def expand(values: Tensor, metadata: Tensor, shape: Iterable[int], name: str = "weight") -> Tensor:
    """The dense tensor of a compressed one. Refused: parts whose shapes or positions do not fit together."""
    shape = tuple(shape)
    rows, groups = values.shape[0], values.shape[1] // 2
    dense = torch.Size(shape).numel()
    if values.dtype not in _BITS or metadata.dtype != torch.uint8:
        raise Refused(f"{name}: parts of type {values.dtype} and {metadata.dtype}; expected fp16 or bf16, and uint8.")
    if metadata.shape != (rows, (groups + 1) // 2) or dense != rows * groups * 4 or shape[:1] != (rows,):
        raise Refused(
            f"{name}: values {tuple(values.shape)} and metadata {tuple(metadata.shape)} do not make {shape}; the file is damaged."
        )
    nibbles = torch.stack((metadata & 15, metadata >> 4), dim=-1).reshape(rows, -1)[:, :groups].long()
    kept = torch.stack((nibbles & 3, nibbles >> 2), dim=-1)
    wrong = (kept[..., 0] >= kept[..., 1]).nonzero()
    if len(wrong):
        row, index = wrong[0].tolist()
        pair = kept[row, index].tolist()
        raise Refused(f"{name}: group {index} of row {row} names positions {pair}; expected i < j. The file is damaged.")
    bits = torch.zeros(rows, groups, 4, dtype=_BITS[values.dtype])
    bits.scatter_(-1, kept, values.contiguous().view(bits.dtype).reshape(rows, groups, 2))
    return bits.view(values.dtype).reshape(shape)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of one network three ways: all tensors dense, with compressed tensors, and the file as written."""

    dense: int
    compressed: int
    on_disk: int

    @property
    def ratio(self) -> float:
        """on_disk / dense."""
        return self.on_disk / self.dense


def ordered(weight: Tensor, order: Tensor, name: str) -> Tensor:
    """weight[:, order] as (rows, cols), the columns in which groups are formed; `order` must be a permutation of them."""
    matrix = weight.detach().reshape(weight.shape[0], -1)
    if order.shape != matrix.shape[1:] or not torch.equal(order.long().sort().values, torch.arange(matrix.shape[1])):
        raise Refused(f"{name}: its order of inputs is not a permutation of its {matrix.shape[1]} columns.")
    return matrix[:, order.long()]


def save(
    tensors: Mapping[str, Tensor], path: Path | str, *, compressed: Iterable[str], orders: Mapping[str, Tensor] | None = None
) -> Sizes:
    """Write a safetensors file in which the tensors named in `compressed` are stored 2:4; all are verified first.

    orders : tensor name -> (cols,) order of inputs in which its groups of four are formed, where it is not that of storage.
    """
    names, orders = sorted(set(compressed)), orders or {}
    missing = [name for name in names if name not in tensors]
    if missing:
        raise Refused(f"{missing[0]}: named for compression but not among the {len(tensors)} tensors.")
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items() if name not in names}
    for name in names:
        weight = tensors[name].cpu()
        matrix = ordered(weight, orders[name], name) if name in orders else weight
        parts = dict(zip(("values", "metadata"), compress(matrix, name), strict=True))
        for part, tensor in (parts | ({"order": orders[name].int()} if name in orders else {})).items():
            if f"{name}::{part}" in tensors:
                raise Refused(f"{name}::{part}: a tensor of this name exists already; rename it before compressing.")
            stored[f"{name}::{part}"] = tensor.contiguous()
    described = {
        name: {"shape": list(tensors[name].shape), "dtype": str(tensors[name].dtype).removeprefix("torch.")} for name in names
    }
    version = LAYOUT_VERSIONS[any(name in orders for name in names)]
    header = json.dumps({"version": version, "tensors": described}, sort_keys=True)
    save_file(stored, path, metadata={"two_four": header})
    return Sizes(
        dense=sum(_bytes(tensor) for tensor in tensors.values()),
        compressed=sum(_bytes(tensor) for tensor in stored.values()),
        on_disk=Path(path).stat().st_size,
    )


def load(path: Path | str) -> dict[str, Tensor]:
    """All tensors of a safetensors file, 2:4 parts expanded to dense; a file without such parts is read as it is."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("two_four", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, ValueError, RuntimeError) as error:
        raise Refused(f"{path}: not a readable safetensors file ({error}).") from None
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise Refused(f"{path}: not a readable safetensors file ({error}).") from None
    if header is None:
        return tensors
    if header.get("version") not in LAYOUT_VERSIONS:
        raise Refused(f"{path}: 2:4 layout version {header.get('version')}; this release reads {LAYOUT_VERSIONS}.")
    for name, entry in header["tensors"].items():
        parts = [tensors.pop(f"{name}::{part}", None) for part in ("values", "metadata")]
        if parts[0] is None or parts[1] is None:
            raise Refused(f"{path}: {name} is listed as compressed, but its values or metadata are missing.")
        if parts[0].dtype != _DTYPES.get(entry["dtype"]):
            raise Refused(f"{path}: {name} holds {parts[0].dtype}; its header says {entry['dtype']}.")
        found = expand(parts[0], parts[1], entry["shape"], name)
        order = tensors.pop(f"{name}::order", None) if header["version"] > 1 else None
        if order is not None:
            columns = found.reshape(found.shape[0], -1)
            ordered(columns, order, name)
            found = columns[:, order.long().argsort()].reshape(found.shape)
        tensors[name] = found
    return tensors


def _groups(weight: Tensor, name: str, group: int) -> Tensor:
    matrix = weight.detach().reshape(weight.shape[0], -1)
    if weight.dim() < 2 or matrix.shape[1] % group:
        raise Refused(f"{name}: shape {tuple(weight.shape)} has no whole groups of {group} inputs per row; leave it dense.")
    return matrix.reshape(matrix.shape[0], -1, group)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
