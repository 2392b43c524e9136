"""A plain reader of safetensors checkpoints: bytes to numpy, no torch, no safetensors library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from certify.records import Plan, Refused
from certify.records.files import read_bytes, safetensors_header
from certify.records.hashing import network_digest

FLOATING = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SIGNED = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
UNSIGNED = {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "|b1"}
STORED = FLOATING | SIGNED | UNSIGNED


@dataclass(frozen=True)
class Stored:
    """One tensor as it lies in the file: safetensors dtype, shape, raw little-endian bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATING

    def values(self) -> np.ndarray:
        """The numbers. bfloat16 is the upper half of a float32, so it widens without rounding."""
        raw = np.frombuffer(self.data, dtype=STORED[self.dtype]).reshape(self.shape)
        return (raw.astype(np.uint32) << 16).view(np.float32) if self.dtype == "BF16" else raw

    def matrix(self, rows: int) -> np.ndarray:
        """The numbers as (rows, the rest), the orientation of a target."""
        return self.values().reshape(rows, -1)


Checkpoint = Mapping[str, Stored]


def read_checkpoint(path: Path) -> dict[str, Stored]:
    """Every tensor of a checkpoint. Its tensors must fill the file without gap or overlap, and be finite."""
    data = read_bytes(path)
    header = safetensors_header(data, path)
    start = 8 + int.from_bytes(data[:8], "little")
    tensors: dict[str, Stored] = {}
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
            begin, end = (int(offset) for offset in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"{path}: the header of {name} cannot be read ({type(error).__name__}: {error})") from None
        if dtype not in STORED:
            raise Refused(f"{path}: {name} is stored as {dtype}; the verifier reads {', '.join(STORED)}")
        size = math.prod(shape) * np.dtype(STORED[dtype]).itemsize
        if min(shape, default=1) < 0 or begin < 0 or end - begin != size:
            raise Refused(f"{path}: {name} of shape {shape} takes {end - begin} bytes, {size} expected")
        tensors[name] = Stored(dtype, shape, data[start + begin : start + end])
        spans.append((begin, end, name))
    reached = 0
    for begin, end, name in sorted(spans):
        if begin != reached:
            raise Refused(f"{path}: {name} begins at byte {begin}, expected {reached}; tensors overlap or leave a gap")
        reached = end
    if not tensors:
        raise Refused(f"{path}: holds no tensors")
    for name, tensor in tensors.items():
        if tensor.floating:
            wrong = int(np.count_nonzero(~np.isfinite(tensor.values())))
            if wrong:
                raise Refused(f"{path}: {name} holds {wrong} NaN or infinite numbers, 0 expected")
    return tensors


def edited(tensors: Checkpoint, target: str, shape: tuple[int, ...], source: str) -> Stored:
    """The weight of an edited target, which must lower to the (rows, cols) of its mask."""
    found = tensors.get(f"{target}.weight")
    if found is None:
        raise Refused(f"{source}: has no tensor {target}.weight, which the plan edits")
    if not found.floating:
        raise Refused(f"{source}: {target}.weight is stored as {found.dtype}; floating-point weights are expected")
    rows, cols = shape
    if not found.shape or found.shape[0] != rows or math.prod(found.shape) != rows * cols:
        raise Refused(f"{source}: {target}.weight has shape {found.shape}, the plan's mask is {rows} x {cols}")
    return found


def masked(reference: Checkpoint, plan: Plan, source: str) -> dict[str, Stored]:
    """The reference with every removed entry replaced by +0 and changed weights by the plan's, all other bytes as they are."""
    tensors = dict(reference)
    for edit in plan.edits:
        weight = edited(reference, edit.target, edit.kept.shape, source)
        bits = np.frombuffer(weight.data, dtype=f"<u{np.dtype(STORED[weight.dtype]).itemsize}").copy()
        if edit.values is not None:
            bits = _rounded(edit.values.reshape(-1), weight.dtype)
        bits[~edit.kept.reshape(-1)] = 0
        tensors[f"{edit.target}.weight"] = Stored(weight.dtype, weight.shape, bits.tobytes())
    return tensors


def _rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """The stored bits of float32 values in a tensor's number format; bfloat16 rounds to nearest, ties to even."""
    if dtype != "BF16":
        return values.astype(STORED[dtype]).view(f"<u{np.dtype(STORED[dtype]).itemsize}").copy()
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def digest(tensors: Checkpoint) -> str:
    """The name of a network: see `certify.records.hashing.network_digest`."""
    return network_digest((name, tensor.dtype, tensor.shape, tensor.data) for name, tensor in tensors.items())
