"""A network as files to ship: float32, 16 bits, 2:4 compressed, ONNX. What was written is read again before it gets its name.

Whatever the format, a place that was removed is 0 in the bytes of the file, and a pattern holds there. A file that fails its
check leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.deploy import graph, two_four
from certify.networks.loading import State, digest, load_state, read_checkpoint, save_state
from certify.networks.masking import copied
from certify.networks.merging import merge_tokens
from certify.networks.running import runtime, widened
from certify.records import Edit, Refused, Target, Usage
from certify.records.files import UNFINISHED, atomic_write, write_json
from certify.records.hashing import sha256_file

# Name of the network ("" for that of the whole file), what was checked, what else is told.
Read = tuple[str, tuple[str, ...], dict[str, Any]]
# Format -> name of the file.
FORMATS = {
    "safetensors": "model.safetensors",
    "bf16": "model.bf16.safetensors",
    "fp16": "model.fp16.safetensors",
    "two-four": "model.two-four.safetensors",
    "two-four-fp16": "model.two-four.fp16.safetensors",
    "onnx": "model.onnx",
}


@dataclass(frozen=True)
class Exported:
    """One file to ship. `network` is the name that a certificate of this file gives it.

    dense : bytes of all tensors as they were handed in.    checked : what was read again from the file, in words.
    """

    path: Path
    format: str
    network: str
    sha256: str
    bytes: int
    dense: int
    checked: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.path.name,
            "format": self.format,
            "network": self.network,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "dense_bytes": self.dense,
            "checked": list(self.checked),
            **self.details,
        }


def zeros_of(state: State, targets: Sequence[Target]) -> tuple[Edit, ...]:
    """What a checkpoint without a plan keeps: an edit per target that holds zeros, of pattern 2:4 where it is that."""
    edits = []
    for target in (entry for entry in targets if not entry.skipped):
        kept = (state[target.weight].reshape(target.rows, -1) != 0).numpy()
        if not kept.all():
            groups = kept.reshape(target.rows, -1, 4) if kept.shape[1] % 4 == 0 else None
            pairs = groups is not None and groups.sum(axis=2).max() <= 2
            edits.append(Edit(target.name, kept, pattern="2:4" if pairs else None))
    return tuple(edits)


def export(
    model: nn.Module,
    state: State,
    edits: Sequence[Edit],
    pattern: str | None,
    form: str,
    folder: Path,
    *,
    images: Tensor | None = None,
    threads: int = 1,
    merge: Sequence[int] = (),
) -> Exported:
    """Write one file, and its description beside it under its name and .json, after reading it again.

    edits, pattern : of the plan that pruned `state`, or `zeros_of` it.
    images         : (B, C, H, W), B >= 2; format onnx compares torch and onnxruntime on them.
    merge          : tokens the network merges in each block. A graph merges them itself; beside weights the description says so.
    `model` gives the architecture alone, without merging, and stays as it is.
    """
    if form not in FORMATS:
        raise Usage(f"format {form!r} is none of {', '.join(FORMATS)}")
    path = folder / FORMATS[form]
    part = folder / f".{path.stem}{UNFINISHED}{path.suffix}"
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if form == "onnx":
            if images is None or len(images) < 2:
                raise Usage("format onnx compares outputs on real samples, and needs two of them at least")
            network = load_state(copied(model).float(), widened(state), "the network")
            network = merge_tokens(network, merge) if merge else network
            named, checked, details = _onnx(network, edits, pattern, part, images, threads)
        else:
            named, checked, details = _tensors(form, state, edits, pattern, part)
        size, hashed = part.stat().st_size, sha256_file(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        if fresh:
            folder.rmdir()
        raise
    dense = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    details |= {"merge": list(merge)} if merge else {}
    found = Exported(path, form, named or hashed, hashed, size, dense, checked, details)
    write_json(folder / f"{path.name}.json", found.to_json())
    return found


def _tensors(form: str, state: State, edits: Sequence[Edit], pattern: str | None, part: Path) -> Read:
    """A safetensors file, read again tensor by tensor and bit by bit."""
    kind = torch.float16 if form.endswith("fp16") else torch.bfloat16
    wanted = state if form == "safetensors" else _halved(state, edits, kind)
    details: dict[str, Any] = {}
    if form.startswith("two-four"):
        pairs = [edit for edit in edits if (edit.pattern or pattern) == "2:4" and edit.kept.shape[1] % 4 == 0]
        if not pairs:
            raise Refused(f"{form}: no matrix was pruned 2:4 with whole groups in each row; see formats bf16 and fp16")
        orders = {f"{edit.target}.weight": torch.tensor(edit.order) for edit in pairs if edit.order is not None}
        sizes = two_four.save(wanted, part, compressed=[f"{edit.target}.weight" for edit in pairs], orders=orders)
        found: State = two_four.load(part)
        details = {"compressed": [edit.target for edit in pairs], "ordered": len(orders), "uncompressed_bytes": sizes.dense}
    else:
        save_state(part, wanted)
        found = read_checkpoint(part)
    if digest(found) != digest(wanted):
        raise Refused(f"{part.name}: read again it is another network; the disk or the library damaged it")
    for edit in edits:
        graph.judge(edit, widened(found)[f"{edit.target}.weight"].numpy().reshape(edit.kept.shape), pattern, "the file")
    removed = sum(edit.removed for edit in edits)
    checked = [f"{len(found)} tensors read again bit for bit", f"{removed:,} removed entries of {len(edits)} matrices are 0"]
    if details:
        ordered = f", {details['ordered']} of them in an order of inputs of their own" if details["ordered"] else ""
        checked.append(f"{len(details['compressed'])} matrices stored 2:4{ordered}")
    return digest(found), tuple(checked), details


def _onnx(network: nn.Module, edits: Sequence[Edit], pattern: str | None, part: Path, images: Tensor, threads: int) -> Read:
    """The graph; each pruned matrix found in its bytes, and its outputs against torch."""
    state = network.state_dict()
    atomic_write(part, graph.to_onnx(network, images))
    data = part.read_bytes()
    found = graph.find(data, edits, pattern, {edit.target: _matrix(state[f"{edit.target}.weight"]) for edit in edits})
    compared, opset, version = graph.compare(network, part, images, threads), graph.opset_of(data), runtime().__version__
    ways = {how: sum(where.how == how for where in found) for how in sorted({where.how for where in found})}
    said = ", ".join(f"{count} {how or 'as stored'}" for how, count in ways.items())
    removed = sum(edit.removed for edit in edits)
    checked = (
        f"opset {opset}",
        f"{len(found)} pruned matrices found in the graph ({said or 'none'}), {removed:,} removed entries 0 there",
        f"onnxruntime {version} against torch {torch.__version__} on {compared.samples} samples: logits within "
        f"{compared.difference:.3g}, decisions equal on {compared.equal}",
    )
    details = {
        "opset": opset,
        "onnxruntime": version,
        "matrices": {where.target: {"initialiser": where.initialiser, "how": where.how} for where in found},
        "samples": compared.samples,
        "largest_difference": compared.difference,
        "decisions_equal": compared.equal,
    }
    return "", checked, details


def _halved(state: State, edits: Sequence[Edit], kind: torch.dtype) -> State:
    """Floating tensors in 16 bits, removed entries +0: a product with a mask leaves -0, whose sign a 2:4 file cannot hold.

    A number beyond what the format holds is refused.
    """
    masks = {f"{edit.target}.weight": torch.from_numpy(edit.kept.copy()) for edit in edits}
    found = {name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    for name, tensor in found.items():
        if not bool(torch.isfinite(tensor).all()):
            largest = float(state[name].abs().max())
            raise Refused(f"{name}: holds {largest:.4g}; {str(kind)[6:]} reaches {torch.finfo(kind).max:.6g}")
    for name, kept in masks.items():
        zeros = found[name].reshape(kept.shape) == 0
        found[name] = torch.where((~kept & zeros).reshape(found[name].shape), torch.zeros((), dtype=kind), found[name])
    return found


def _matrix(weight: Tensor) -> np.ndarray:
    return weight.detach().reshape(weight.shape[0], -1).numpy()
