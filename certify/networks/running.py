"""How a network runs where it is deployed: in torch in its own number format, or as an ONNX graph through onnxruntime.

A way of running is a word of `records.recipe.RUNS`. Whatever way, a network maps float32 images to logits.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from certify.networks.loading import State, load_state
from certify.records import Refused
from certify.records.files import read_bytes, safetensors_header

FLOATS = {"BF16", "F16", "F32", "F64"}
# Ways of running in 16 bits, and the number format of files that ask for them.
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
STORED = {"BF16": "bfloat16", "F16": "float16"}
# Key of a safetensors header under which `deploy.two_four` describes what it compressed.
COMPRESSED = "two_four"


def runs_of(path: Path) -> str:
    """The way of running that a shipped file asks for: ONNX graphs through onnxruntime, files all of a 16-bit format in it."""
    if path.suffix == ".onnx":
        return "onnxruntime"
    if path.suffix != ".safetensors":
        return "float32"
    header = safetensors_header(read_bytes(path), path)
    kinds = {entry.get("dtype") for name, entry in header.items() if name != "__metadata__"} & FLOATS
    kind = STORED.get(str(next(iter(kinds)))) if len(kinds) == 1 else None
    if COMPRESSED in (header.get("__metadata__") or {}) and kind is None:
        raise Refused(
            f"{path}: holds {', '.join(sorted(map(str, kinds)))}; a 2:4 file is run here where all of it is of one format"
        )
    return kind or "float32"


def arithmetic(runs: str, threads: int, merge: Sequence[int] = ()) -> dict[str, Any]:
    """What a guarantee says of how its logits were computed.

    `shipped` stands in it where the two networks run differently, `shipped_merges` where the shipped one merges tokens.
    """
    found: dict[str, Any] = {"numbers": "float32", "device": "cpu", "threads": threads}
    if merge:
        found["shipped_merges"] = f"{merges(merge)} tokens a block"
    if runs in HALVES:
        return found | {"shipped": f"{runs} weights and activations, torch {torch.__version__}"}
    if runs == "onnxruntime":
        return found | {"shipped": f"float32 ONNX graph, onnxruntime {runtime().__version__}, CPUExecutionProvider"}
    return found


class Halved(nn.Module):
    """A network whose weights and activations have 16 bits, without autocast; `runs` is one of HALVES."""

    def __init__(self, network: nn.Module, state: Mapping[str, Tensor], source: str, runs: str) -> None:
        super().__init__()
        self.kind = HALVES[runs]
        self.network = load_state(network.to(self.kind), state, source).eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.to(self.kind))


class Graph(nn.Module):
    """The graph of an ONNX file through onnxruntime on the CPU; one input (B, C, H, W) float32, one output (B, K).

    Refused: weights outside the file, which its hash would not cover, and graphs with other inputs or outputs.
    """

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__()
        data, library = read_bytes(path), runtime()
        options = library.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self.session = library.InferenceSession(inside(data, path), options, providers=["CPUExecutionProvider"])
        except Refused:
            raise
        except Exception as error:  # onnxruntime raises classes of its own, without a common base
            raise Refused(f"{path}: onnxruntime cannot run it ({_first(error)})") from None
        ends = len(self.session.get_inputs()), len(self.session.get_outputs())
        if ends != (1, 1):
            raise Refused(f"{path}: its graph has {ends[0]} inputs and {ends[1]} outputs; images in and logits out are expected")
        self.source, self.name = str(path), self.session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        try:
            (logits,) = self.session.run(None, {self.name: images.float().numpy()})
        except Exception as error:
            raise Refused(f"{self.source}: cannot run on images of shape {tuple(images.shape)} ({_first(error)})") from None
        if logits.ndim != 2 or len(logits) != len(images):
            raise Refused(f"{self.source}: returns shape {logits.shape} for {len(images)} images; (images, classes) is expected")
        return torch.from_numpy(logits)


def merges(counts: Sequence[int]) -> str:
    """A merge schedule in words, as a recipe has it: "8", or "4, 4, 2"."""
    return ", ".join(map(str, counts))


def widened(state: State) -> State:
    """The same numbers with 16 bits as float32, without rounding: the weights that bounds in real arithmetic speak of."""
    return {name: tensor.float() if tensor.dtype in HALVES.values() else tensor for name, tensor in state.items()}


def runtime() -> ModuleType:
    """onnxruntime, which only ONNX files need."""
    return needed("onnxruntime")


def needed(package: str) -> Any:
    """A package of the extra `export`; refused in a sentence where it is absent."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise Refused(f"{package} is not installed; ONNX files need it: pip install 'certify[export]'") from None


def inside(data: bytes, path: Path) -> bytes:
    """The bytes of an ONNX file all of whose weights lie inside it."""
    onnx = needed("onnx")
    try:
        graph = onnx.load_from_string(data).graph
    except Exception as error:  # protobuf's errors differ between its implementations
        raise Refused(f"{path}: not a whole ONNX file ({_first(error)})") from None
    outside = [tensor.name for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise Refused(f"{path}: {outside[0]} lies in a file of its own, which no hash of this one covers; export with all inside")
    return data


def compressed(path: Path) -> bool:
    """Whether a safetensors file holds matrices that `deploy.two_four` compressed."""
    if path.suffix != ".safetensors":
        return False
    return COMPRESSED in (safetensors_header(read_bytes(path), path).get("__metadata__") or {})


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
