"""ONNX: a network as a graph, every pruned matrix found again in the bytes of the file, outputs compared with torch.

An exporter may rename, transpose or fold a weight. So a matrix is found by its kept entries, wherever they went, and judged by
its removed ones: a place the plan removed must hold 0 in the file.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.running import Graph, needed
from certify.records import Edit, Refused, check_pattern
from certify.records.outcomes import decision

OPSET = 18
# Relative distance within which a row counts as a multiple of the stored one, where a normalisation was folded into it.
FOLDED = 1e-5
# Largest distance of a logit, |onnxruntime - torch|, relative to 1 + the sample's largest logit, in float32.
AGREEMENT = 1e-4


@dataclass(frozen=True)
class Found:
    """Where a pruned matrix lies in the graph: name of the initialiser, and how it was written ("" as stored)."""

    target: str
    initialiser: str
    how: str


@dataclass(frozen=True)
class Compared:
    """onnxruntime against torch on real samples: largest |difference| of a logit, and decisions that are equal."""

    samples: int
    equal: int
    difference: float


def to_onnx(network: nn.Module, images: Tensor) -> bytes:
    """The graph of a network in evaluation mode, opset 18, any batch size, all weights inside.

    images : (B, C, H, W) float32 with B >= 2, to trace with: one sample would fix the batch size. Refused where torch's exporter
             cannot follow the network.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package)
    into = io.BytesIO()
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                network.eval(),
                (images,),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            program.save(into, external_data=False)
    except Exception as error:  # the exporter lets any exception of the network's own code through
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Refused(f"{type(network).__name__}: torch cannot export it to ONNX ({first})") from None
    return _bare(into.getvalue())


def _bare(data: bytes) -> bytes:
    """Without what the exporter tells of its own code: paths of the exporting machine, and most of a small file's bytes."""
    model = needed("onnx").load_from_string(data)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    return model.SerializeToString(deterministic=True)


def opset_of(data: bytes) -> int:
    """The version of ONNX's own operators that a graph asks for."""
    return max(entry.version for entry in needed("onnx").load_from_string(data).opset_import if entry.domain in ("", "ai.onnx"))


def find(data: bytes, edits: Sequence[Edit], pattern: str | None, weights: Mapping[str, np.ndarray]) -> tuple[Found, ...]:
    """Every pruned matrix in the graph of an ONNX file, its removed places 0 there and its pattern kept.

    pattern : of the plan; an edit's own goes before it.    weights : target -> (rows, cols) stored weights.
    Refused: a matrix that no initialiser in use holds, and the first removed place that is not 0.
    """
    arrays = _initialisers(data)
    found = []
    for edit in edits:
        where, matrix = _locate(edit, weights[edit.target], arrays)
        judge(edit, matrix, pattern, where.initialiser)
        del arrays[where.initialiser]
        found.append(where)
    return tuple(found)


def judge(edit: Edit, matrix: np.ndarray, pattern: str | None, where: str) -> None:
    """Refuse a (rows, cols) matrix with a number in a removed place, or that breaks the edit's pattern."""
    planted = np.argwhere(~edit.kept & (matrix != 0))
    if len(planted):
        row, col = (int(index) for index in planted[0])
        raise Refused(
            f"{edit.target}: {len(planted)} removed entries are not 0 in {where}; "
            f"row {row}, column {col} holds {float(matrix[row, col])!r}"
        )
    if wanted := edit.pattern or pattern:
        check_pattern(f"{edit.target} in {where}", matrix != 0, wanted, order=edit.order, padded=edit.padded)


def compare(network: nn.Module, path: Path, images: Tensor, threads: int) -> Compared:
    """The file through onnxruntime against the network in torch; refused where a logit is further off than `AGREEMENT`."""
    with torch.no_grad():
        stated = network.eval()(images).double().numpy()
        found = Graph(path, threads)(images).double().numpy()
    if found.shape != stated.shape:
        raise Refused(f"{path}: returns shape {found.shape}, the network {stated.shape}")
    off = np.abs(found - stated)
    if not np.all(off <= AGREEMENT * (1 + np.abs(stated).max(axis=1, keepdims=True))):
        sample, label = (int(index) for index in np.unravel_index(int(np.nanargmax(off)), off.shape))
        raise Refused(
            f"{path}: logit {label} of sample {sample} is {found[sample, label]:.9g} in onnxruntime, "
            f"{stated[sample, label]:.9g} in torch"
        )
    return Compared(len(stated), int(np.sum(decision(found) == decision(stated))), float(off.max()))


def _initialisers(data: bytes) -> dict[str, np.ndarray]:
    """Name -> array of every initialiser that some node reads."""
    onnx = needed("onnx")
    graph = onnx.load_from_string(data).graph
    read = {name for node in graph.node for name in node.input}
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in read}


def _locate(edit: Edit, weight: np.ndarray, arrays: Mapping[str, np.ndarray]) -> tuple[Found, np.ndarray]:
    """The initialiser that holds the kept entries of a matrix, and its numbers as (rows, cols)."""
    rows, cols = edit.kept.shape
    for test in (_same, _rows_scaled):
        for name, array in sorted(arrays.items(), key=lambda entry: edit.target not in entry[0]):
            if array.size != rows * cols or array.dtype.kind != "f" or array.ndim < 2:
                continue
            for how, matrix in (
                ("", array.reshape(rows, cols) if array.shape[0] == rows else None),
                ("transposed", _turned(array)),
            ):
                if matrix is not None and matrix.shape == (rows, cols) and test(matrix, weight, edit.kept):
                    said = " ".join(word for word in (how, "rows scaled" if test is _rows_scaled else "") if word)
                    return Found(edit.target, name, said), matrix
    raise Refused(f"{edit.target}: no initialiser of the graph holds its {int(edit.kept.sum())} kept weights")


def _turned(array: np.ndarray) -> np.ndarray | None:
    return array.T if array.ndim == 2 else None


def _same(matrix: np.ndarray, weight: np.ndarray, kept: np.ndarray) -> bool:
    return bool(np.array_equal(matrix[kept], weight[kept]))


def _rows_scaled(matrix: np.ndarray, weight: np.ndarray, kept: np.ndarray) -> bool:
    """matrix = diag(s) weight on kept entries; s from the largest kept entry of each row. One entry a row would prove nothing."""
    stored = np.where(kept, weight, 0.0).astype(np.float64)
    rows, largest = np.arange(len(stored)), np.abs(stored).argmax(axis=1)
    peak = stored[rows, largest]
    scale = np.divide(matrix[rows, largest], peak, out=np.zeros(len(stored)), where=peak != 0)
    scaled = scale[:, None] * stored
    near = np.abs(np.where(kept, matrix, 0.0) - scaled) <= FOLDED * np.abs(scale * peak)[:, None]
    return bool(near.all() and np.any(scale != 0) and (stored != 0).sum(axis=1).max() > 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's advice, which is not for the user of this command."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
