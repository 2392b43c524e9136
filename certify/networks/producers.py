"""Which layer alone writes the inputs of another: a layer whose outputs may be reordered without anybody else noticing."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from certify.networks.vision import import_timm


def _names(module: str, names: str) -> set[str]:
    return {f"{module}.{name}" for name in names.split()}


@dataclass(frozen=True)
class Axis:
    """A kind of layers: the names of its sizes, and by full name those whose rows may stand in any order (`writers`) and the
    modules that treat each of its channels alike once their entries are permuted (`between`)."""

    layer: type[nn.Module]
    inputs: str
    outputs: str
    writers: set[str]
    between: set[str]


OWN = "certify.networks.permuting"
AXES = {
    "linear": Axis(
        nn.Linear,
        "in_features",
        "out_features",
        {"torch.nn.modules.linear.Linear", "timm.layers.linear.Linear", f"{OWN}.GatheredLinear"},
        {"torch.nn.modules.normalization.LayerNorm"} | _names("timm.layers.norm", "LayerNorm RmsNorm SimpleNorm"),
    ),
    "conv2d": Axis(
        nn.Conv2d,
        "in_channels",
        "out_channels",
        {"torch.nn.modules.conv.Conv2d", f"{OWN}.GatheredConv2d"},
        {"torch.nn.modules.batchnorm.BatchNorm2d", "timm.layers.norm_act.BatchNormAct2d"}
        | _names("timm.layers.norm", "LayerNorm2d RmsNorm2d")
        | _names("torch.nn.modules.pooling", "MaxPool2d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d"),
    ),
}
GRN = "timm.layers.grn.GlobalResponseNorm"
ELEMENTWISE = (
    {"torch.nn.modules.linear.Identity", "timm.layers.drop.DropPath"}
    | _names("torch.nn.modules.dropout", "Dropout Dropout2d")
    | _names("torch.nn.modules.activation", "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid Tanh Softplus Softsign")
    | _names("torch.nn.modules.activation", "Hardswish Hardsigmoid Hardtanh")
    | _names("timm.layers.activations", "Swish Mish Sigmoid Tanh HardSwish HardSigmoid HardMish GELU GELUTanh QuickGELU")
)
FUNCTIONS: set[Any] = {
    F.relu,
    F.relu6,
    F.gelu,
    F.silu,
    F.mish,
    F.hardswish,
    F.hardsigmoid,
    F.leaky_relu,
    F.elu,
    F.softplus,
    F.sigmoid,
}
FUNCTIONS |= {F.tanh, torch.relu, torch.sigmoid, torch.tanh}
METHODS: set[Any] = {"relu", "sigmoid", "tanh", "contiguous"}
SHAPES = {"shape", "ndim", "dtype", "device"}


@dataclass(frozen=True)
class Producer:
    """`layer` writes what a target reads, and `between` are the modules with entries per channel on the way."""

    layer: str
    between: tuple[str, ...]


def calls_of(network: nn.Module, images: Tensor) -> dict[str, int]:
    """Module name -> how often one forward pass over these images calls it."""
    calls: dict[str, int] = {}

    def count(name: str) -> Callable[..., None]:
        return lambda *_: calls.update({name: calls.get(name, 0) + 1})

    handles = [module.register_forward_pre_hook(count(name)) for name, module in network.named_modules()]
    try:
        with torch.no_grad():
            network(images.to(next(network.parameters()).dtype).cpu())
    finally:
        for handle in handles:
            handle.remove()
    return calls


def producer_of(network: nn.Module, target: str, channels: int, calls: Mapping[str, int]) -> Producer | None:
    """The Linear (Conv2d) whose outputs reach the Linear (Conv2d) `target` and nothing else, channel by channel.

    calls : module name -> number of calls in one forward pass; each module on the way must be called once.
    On the way may stand norms, pooling, depthwise convolutions and elementwise activations. The parents of the target are
    traced by torch.fx, the innermost first, because a whole network often cannot be. None where nothing is found: gather then.
    """
    parts = target.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        prefix = ".".join(parts[:depth])
        graph = _trace(network.get_submodule(prefix))
        name = ".".join(parts[depth:])
        nodes = [node for node in graph.nodes if node.op == "call_module" and node.target == name] if graph else []
        if len(nodes) != 1:
            continue
        found = _walk(network, prefix, nodes[0], channels)
        if found is None:
            return None
        if isinstance(found, Producer):
            once = all(calls.get(name) == 1 for name in (found.layer, *found.between))
            return found if once else None
    return None


def _trace(module: nn.Module) -> fx.Graph | None:
    """The graph of one module, arguments with defaults at their defaults; None where it cannot be traced."""
    defaults = {
        name: argument.default
        for name, argument in inspect.signature(module.forward).parameters.items()
        if argument.default is not argument.empty
    }
    try:
        return _Tracer().trace(module, concrete_args=defaults or None)
    except Exception:  # tracing runs foreign code on stand-ins, which may fail in any way
        return None


class _Tracer(fx.Tracer):
    """Known layers are single nodes; what timm declares untraceable is not looked into."""

    def __init__(self) -> None:
        import_timm()
        from timm.models import _features_fx as helpers

        self.helpers = helpers
        super().__init__(autowrap_modules=(math,), autowrap_functions=tuple(helpers.get_notrace_functions()))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = any(isinstance(m, axis.layer) or _name(m) in axis.between for axis in AXES.values())
        known = known or _name(m) in ELEMENTWISE or _name(m) == GRN or self.helpers.is_notrace_module(type(m))
        return known or super().is_leaf_module(m, module_qualified_name)


def _walk(network: nn.Module, prefix: str, layer_node: fx.Node, channels: int) -> Producer | str | None:
    """From a layer's input backwards: its producer, "outside" where the graph's own inputs are reached, None at any obstacle."""
    root = network.get_submodule(prefix)
    layer = root.get_submodule(str(layer_node.target))
    kind = next(kind for kind, axis in AXES.items() if isinstance(layer, axis.layer))
    read = {str(each.target).rpartition(".")[0] for each in layer_node.graph.nodes if each.op == "get_attr"}
    between: list[str] = []
    reader, node = layer_node, _input(layer_node)
    while node is not None:
        if node.op == "placeholder":
            return "outside"
        if [user for user in node.users if not _reads_shape(user)] != [reader] or node.target in read:
            return None
        full = f"{prefix}.{node.target}".lstrip(".")
        if node.op == "call_module":
            module = root.get_submodule(str(node.target))
            if _writes(module, kind, channels):
                return Producer(full, tuple(between))
            if _by_channel(module, kind, channels):
                between.append(full)
            elif _name(module) not in ELEMENTWISE:
                return None
        elif node.target not in {"call_function": FUNCTIONS, "call_method": METHODS}.get(node.op, ()):
            return None
        reader, node = node, _input(node)
    return None


def _input(node: fx.Node) -> fx.Node | None:
    """The only node a node reads; None where there are several."""
    return node.all_input_nodes[0] if len(node.all_input_nodes) == 1 else None


def _writes(module: nn.Module, kind: str, channels: int) -> bool:
    """Whether its rows can be put into any order."""
    axis = AXES[kind]
    return _name(module) in axis.writers and getattr(module, axis.outputs) == channels and getattr(module, "groups", 1) == 1


def _by_channel(module: nn.Module, kind: str, channels: int) -> bool:
    """Whether it does the same with permuted channels once its own entries are permuted."""
    if _name(module) == GRN:
        return vars(module)["channel_dim"] == (-1 if kind == "linear" else 1)
    if isinstance(module, nn.Conv2d):
        return kind == "conv2d" and module.groups == module.in_channels == module.out_channels == channels
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) != 1:
        return False
    return _name(module) in AXES[kind].between and all(_name(child) in ELEMENTWISE for child in module.children())


def _reads_shape(node: fx.Node) -> bool:
    arguments: Any = node.args
    if node.op == "call_function" and node.target is getattr:
        return arguments[1] in SHAPES
    return node.op == "call_method" and node.target in ("size", "dim")


def _name(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"
