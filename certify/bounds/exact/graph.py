"""From a torch module to the steps of a piecewise linear network; what is not known is refused by name."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from certify.bounds.exact.affine import Add, Affine, AveragePool, Conv, Flatten, Linear, Mean, Moved, Normalisation, Window
from certify.bounds.exact.kinks import Kink, MaxPool
from certify.bounds.exact.tubes import Values
from certify.records import Refused


@dataclass(frozen=True)
class Gelu:
    """x Phi(x). The exact road cannot trace it; the enclosure reads it."""


Operation = Affine | Add | Flatten | Gelu | Kink | MaxPool | Moved
State = Mapping[str, Tensor]
KNOWN = "Linear, Conv2d, BatchNorm, ReLU, LeakyReLU, abs, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), mean, Flatten, add"


@dataclass(frozen=True)
class Step:
    """One operation. `inputs` are numbers of earlier results, 0 the image; the step's own result has its number plus 1.

    name : of the module, or of the call.
    """

    operation: Operation
    inputs: tuple[int, ...]
    moves: bool
    name: str


@dataclass(frozen=True)
class Network:
    """Steps in order, the last one the logits.

    last_use : per result, the number of the last step that reads it.
    widest   : numbers the largest activation, unfolded, takes per knot.
    moved    : name of the layer that changes, or None where the two networks are equal.
    """

    steps: tuple[Step, ...]
    last_use: tuple[int, ...]
    widest: int
    moved: str | None


def changed_tensors(reference: State, shipped: State, road: str = "exact") -> list[str]:
    """Floating tensors that differ, in the order of the reference; the segment leaves counters alone."""
    if set(reference) != set(shipped):
        raise Refused(f"{road}: the two networks do not have the same tensors; a pair is two networks of one architecture")
    for name, tensor in (*reference.items(), *shipped.items()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Refused(f"{road}: {name} holds NaN or infinite numbers; nothing can be certified about them")
    return [name for name in reference if shipped[name].is_floating_point() and not torch.equal(reference[name], shipped[name])]


def read(model: nn.Module, reference: State, shipped: State, image: Tensor, *, rational: bool = False) -> Network:
    """The network of a pair whose change lies in one Linear or Conv2d layer.

    image    : (1, ...) one sample, for the shapes.
    rational : weights become fractions, for the road without rounding.
    """
    changed = changed_tensors(reference, shipped)
    layers = sorted({name.rpartition(".")[0] for name in changed})
    if len(layers) > 1:
        some = ", ".join([name or "the network itself" for name in layers[:3]] + ["..."] * (len(layers) > 3))
        raise Refused(f"exact: {len(layers)} layers change ({some}); this road moves one, `exact_sequence` one after another")
    return _read(model, reference, shipped, image, layers[0] if layers else None, rational=rational)


def read_ends(model: nn.Module, reference: State, shipped: State, image: Tensor) -> tuple[Network, Network]:
    """Both networks of a pair, shipped first, step by step the same operations, the exact GELU among them. image : (1, ...)."""
    changed_tensors(reference, shipped, "enclosure")
    first, last = (_read(model, end, end, image, None, smooth=True) for end in (shipped, reference))
    return first, last


def _read(
    model: nn.Module,
    reference: State,
    shipped: State,
    image: Tensor,
    moved: str | None,
    *,
    rational: bool = False,
    smooth: bool = False,
) -> Network:
    try:
        graph = _traced(model)
        try:
            ShapeProp(graph).propagate(image.to(torch.float64))
        except (RuntimeError, ValueError, TypeError) as error:
            raise Refused(f"the network does not run on an image of shape {tuple(image.shape[1:])}") from error
        return _Reader(graph, reference, shipped, moved, rational, smooth).network()
    except Refused as error:
        raise Refused(f"{'enclosure' if smooth else 'exact'}: {error}") from error


def _traced(model: nn.Module) -> fx.GraphModule:
    network = copy.deepcopy(model).eval().double()
    for name, module in network.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise Refused(f"{name or 'the network'} carries forward hooks; what they do cannot be read")
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
            raise Refused(f"{name} normalises by the batch it sees")
    try:
        return fx.symbolic_trace(network)
    except Exception as error:  # a network may raise anything when run on symbols
        first = (str(error).splitlines() or [""])[0]
        raise Refused(f"the network cannot be traced ({type(error).__name__}: {first})") from None


class _Reader:
    def __init__(
        self, graph: fx.GraphModule, reference: State, shipped: State, moved: str | None, rational: bool, smooth: bool
    ) -> None:
        self.graph, self.moved, self.rational = graph, moved, rational
        self.reference, self.shipped = reference, shipped
        self.modules = MODULES | (SMOOTH_MODULES if smooth else {})
        self.functions = (*FUNCTIONS, F.gelu) if smooth else FUNCTIONS
        self.known = KNOWN + ", GELU" * smooth
        self.steps: list[Step] = []
        self.results: dict[fx.Node, int] = {}
        self.moving = [False]
        self.widest = 1

    def network(self) -> Network:
        out = None
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                if self.results:
                    raise Refused("the network takes more than one input")
                self.results[node] = 0
            elif node.op == "output":
                out = node.args[0]
            elif node.op == "call_module":
                self._module(node)
            else:
                self._function(node)
        if not isinstance(out, fx.Node) or len(_shape(out)) != 2:
            raise Refused("the network does not return one table of logits (batch, classes)")
        if self.moved is not None and not any(isinstance(step.operation, Moved) for step in self.steps):
            raise Refused(f"{self.moved} changes and is not a Linear or Conv2d that the network runs")
        # The output is the last step; an operation after it would be dead code.
        steps = tuple(self.steps[: self.results[out]])
        last = [0] * (len(steps) + 1)
        for number, step in enumerate(steps):
            for source in step.inputs:
                last[source] = number
        return Network(steps, tuple(last), self.widest, self.moved)

    def _add(self, node: fx.Node, operation: Operation, *inputs: Any) -> None:
        sources = tuple(self.results[_known(node, source)] for source in inputs)
        moves = isinstance(operation, Moved) or any(self.moving[source] for source in sources)
        if isinstance(operation, Moved) and any(self.moving[source] for source in sources):
            raise Refused(f"{self.moved} is run more than once; the path is not piecewise linear")
        unfolded = 1
        if isinstance(operation, Moved | Affine | MaxPool):
            inner = operation.reference if isinstance(operation, Moved) else operation
            unfolded = inner.terms if isinstance(inner, Conv) else int(np.prod(getattr(inner, "window", _NONE).kernel))
        rows = int(np.prod(_shape(node)[1:])) if not isinstance(operation, Conv) else int(np.prod(_shape(node)[2:]))
        self.widest = max(self.widest, rows * unfolded, *(int(np.prod(_shape(source)[1:])) for source in (*inputs, node)))
        self.steps.append(Step(operation, sources, moves, str(node.target) if node.op == "call_module" else node.name))
        self.moving.append(moves)
        self.results[node] = len(self.steps)

    def _same(self, node: fx.Node) -> None:
        self.results[node] = self.results[_known(node, node.args[0])]

    def _module(self, node: fx.Node) -> None:
        module, name = self.graph.get_submodule(str(node.target)), str(node.target)
        if len(node.args) != 1 or node.kwargs:
            raise Refused(f"{name} is called with more than one argument")
        source: Any = node.args[0]
        if getattr(module, "inplace", False) and not isinstance(module, nn.Dropout):
            _alone(node, source)
        kind = type(module)
        if kind in (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d):
            return self._same(node)
        if kind in (nn.Linear, nn.Conv2d):
            weighted = self._weighted(name, module, self.reference)
            if name == self.moved:
                return self._add(node, Moved(self._weighted(name, module, self.shipped), weighted), source)
            return self._add(node, weighted, source)
        if name == self.moved:
            raise Refused(f"{name} ({kind.__name__}) changes; the exact road moves a Linear or Conv2d")
        if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
            return self._add(node, self._normalisation(name, module, len(_shape(source))), source)
        maker = self.modules.get(kind)
        if maker is None:
            raise Refused(f"{name} is a {kind.__name__}, which is not known ({self.known})")
        return self._plain(node, *maker(module))

    def _plain(self, node: fx.Node, kind: str, *options: Any) -> None:
        """An operation without weights."""
        source = _known(node, node.args[0])
        if kind == "kink":
            slope = float(options[0])
            if not slope <= 1.0:
                raise Refused(f"{node.name} has slope {slope} below zero; at most 1 is allowed")
            return self._add(node, Kink(Fraction(slope) if self.rational else slope), source)  # pyright: ignore
        if kind == "gelu":
            if options != ("none",):
                raise Refused(f"{node.name} is a GELU by {options[0]}; the exact one is known")
            return self._add(node, Gelu(), source)
        if kind == "max":
            return self._add(node, MaxPool(_window(node, *options)), source)
        if kind == "average":
            return self._add(node, AveragePool(_window(node, *options)), source)
        if kind == "flatten":
            first, end = options
            dims = len(_shape(source))
            if end % dims != dims - 1 or first % dims == 0:
                raise Refused(f"{node.name} flattens axes {first} to {end}; from 1 or more to the last is known")
            return self._add(node, Flatten(first % dims), source)
        axes, keep = options
        shape = _shape(source)
        axes = tuple(sorted({int(axis) % len(shape) for axis in ((axes,) if isinstance(axes, int) else axes)}))
        if not axes or 0 in axes:
            raise Refused(f"{node.name} takes a mean over the batch axis")
        return self._add(node, Mean(axes, bool(keep), int(np.prod([shape[axis] for axis in axes]))), source)

    def _function(self, node: fx.Node) -> None:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        if (node.op == "call_function" and node.target not in self.functions) or node.op not in ("call_function", "call_method"):
            raise Refused(f"{node.name} is a {name}, which is not known ({self.known})")
        if name in ("size", "getattr", "getitem"):
            return None  # only a reshape may read it, and `_reshaped` looks at what it is
        if name in ("add", "iadd", "add_"):
            if len(node.args) != 2 or node.kwargs:
                raise Refused(f"{node.name} is an addition with a factor")
            if len({len(_shape(_known(node, source))) for source in node.args}) > 1:
                raise Refused(f"{node.name} adds activations of different numbers of axes")
            if name != "add":
                _alone(node, node.args[0])
            return self._add(node, Add(), *node.args)
        if name in ("view", "reshape"):
            return self._plain(node, "flatten", *_reshaped(node))
        if name == "contiguous":
            return self._same(node)
        if name == "dropout" and _arguments(node, ("p", 0.5), ("training", True), ("inplace", False))[1] is False:
            return self._same(node)
        maker = CALLS.get(name)
        if maker is None:
            raise Refused(f"{node.name} is a {name}, which is not known ({self.known})")
        if name == "relu_" or node.kwargs.get("inplace"):
            _alone(node, node.args[0])
        return self._plain(node, *maker(node))

    def _numbers(self, tensor: Tensor) -> Values:
        table = tensor.detach().cpu().to(torch.float64).numpy()
        return fractions(table) if self.rational else table

    def _weighted(self, name: str, module: nn.Module, state: State) -> Linear | Conv:
        weight = self._numbers(state[f"{name}.weight"])
        bias = self._numbers(state[f"{name}.bias"]) if module.bias is not None else None
        if isinstance(module, nn.Linear):
            return Linear(weight, bias)
        assert isinstance(module, nn.Conv2d)
        if module.padding_mode != "zeros" or module.padding == "same":
            raise Refused(f"{name} pads with mode {module.padding_mode!r} by {module.padding!r}; zeros by numbers are known")
        padding = (0, 0) if isinstance(module.padding, str) else module.padding
        window = Window(*(_two(value) for value in (module.kernel_size, module.stride, padding, module.dilation)))
        return Conv(weight, None if bias is None else bias[:, None, None], window, module.groups)

    def _normalisation(self, name: str, module: nn.Module, dims: int) -> Normalisation:
        assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
        if self.rational:
            raise Refused(f"{name} takes a square root; fractions do not hold it")
        shape = (-1,) + (1,) * (dims - 2)

        def part(kind: str) -> Values:
            return self._numbers(self.reference[f"{name}.{kind}"]).reshape(shape)

        mean, variance = part("running_mean"), part("running_var")
        weight, shift = (part("weight"), part("bias")) if module.affine else (np.ones_like(mean), np.zeros_like(mean))
        found = Normalisation(weight, mean, variance, shift, float(module.eps))
        if not np.all(np.isfinite(found.scale)) or np.any((found.scale != 0) & (np.abs(found.scale) < 2.0**-900)):
            raise Refused(f"{name} has a scale out of range; var + eps must be > 0")
        return found


def fractions(table: Values) -> Values:
    """The rationals that float64 numbers stand for."""
    return np.array([Fraction(value) for value in table.ravel().tolist()], dtype=object).reshape(table.shape)


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape)


def _known(node: fx.Node, source: Any) -> fx.Node:
    if not isinstance(source, fx.Node) or "tensor_meta" not in source.meta:
        raise Refused(f"{node.name} reads {source!r}; activations alone are known")
    return source


def _alone(node: fx.Node, source: Any) -> None:
    if isinstance(source, fx.Node) and len(source.users) > 1:
        raise Refused(f"{node.name} writes into {source.name}, which is read elsewhere")


def _two(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _window(node: fx.Node, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, plain: bool = True) -> Window:
    if ceil or not plain or (_two(dilation) != (1, 1)):
        raise Refused(f"{node.name} pools with ceil_mode, dilation, or a divisor of its own")
    return Window(_two(kernel), _two(kernel if stride is None or stride == [] else stride), _two(padding))


def _arguments(node: fx.Node, *known: tuple[str, Any]) -> list[Any]:
    """Values of a call's arguments after the first, by name or place."""
    names = [name for name, _ in known]
    if len(node.args) > len(known) + 1 or set(node.kwargs) - set(names):
        raise Refused(f"{node.name} takes arguments that are not known")
    given = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    return [given.get(name, default) for name, default in known]


def _axes(node: fx.Node) -> tuple[Any, bool]:
    dims, keep = _arguments(node, ("dim", None), ("keepdim", False))
    return (() if dims is None else dims), keep


def _reshaped(node: fx.Node) -> tuple[int, int]:
    """(1, -1) where a reshape keeps the batch and flattens the rest, refused otherwise."""
    dims = _shape(_known(node, node.args[0]))
    out = _shape(node)
    if len(out) != 2 or out[0] != dims[0] or out[1] != int(np.prod(dims[1:])):
        raise Refused(f"{node.name} reshapes {dims} to {out}; (batch, everything else) is known")
    return 1, -1


def _to_one(size: Any, where: str) -> None:
    if size not in (1, (1, 1), [1, 1]):
        raise Refused(f"{where} pools to {size}; 1 is known")


def _adaptive(module: nn.Module) -> tuple[Any, ...]:
    _to_one(module.output_size, "AdaptiveAvgPool2d")
    return "mean", (-2, -1), True


def _adaptive_call(node: fx.Node) -> tuple[Any, ...]:
    _to_one(_arguments(node, ("output_size", None))[0], node.name)
    return "mean", (-2, -1), True


def _max_call(node: fx.Node) -> tuple[Any, ...]:
    known = (("kernel_size", 1), ("stride", None), ("padding", 0), ("dilation", 1), ("ceil_mode", False))
    *window, ceil, indices = _arguments(node, *known, ("return_indices", False))
    return "max", *window, ceil, not indices


def _average_call(node: fx.Node) -> tuple[Any, ...]:
    known = (("kernel_size", 1), ("stride", None), ("padding", 0), ("ceil_mode", False), ("count_include_pad", True))
    kernel, stride, padding, ceil, counted, divisor = _arguments(node, *known, ("divisor_override", None))
    return "average", kernel, stride, padding, 1, ceil, divisor is None and (counted or _two(padding) == (0, 0))


def _average(module: nn.Module) -> tuple[Any, ...]:
    plain = module.divisor_override is None and (module.count_include_pad or _two(module.padding) == (0, 0))
    return "average", module.kernel_size, module.stride, module.padding, 1, module.ceil_mode, plain


_NONE = Window((1, 1), (1, 1), (0, 0))
# What a module or a call becomes: the kind of operation and its options, see `_Reader._plain`.
MODULES: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    nn.ReLU: lambda module: ("kink", 0.0),
    nn.LeakyReLU: lambda module: ("kink", module.negative_slope),
    nn.MaxPool2d: lambda m: (
        "max",
        m.kernel_size,
        m.stride,
        m.padding,
        m.dilation,
        m.ceil_mode,
        not m.return_indices,
    ),
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.Flatten: lambda module: ("flatten", module.start_dim, module.end_dim),
}
SMOOTH_MODULES: dict[type, Callable[[Any], tuple[Any, ...]]] = {nn.GELU: lambda module: ("gelu", module.approximate)}
CALLS: dict[str, Callable[[fx.Node], tuple[Any, ...]]] = {
    "relu": lambda node: ("kink", 0.0),
    "relu_": lambda node: ("kink", 0.0),
    "abs": lambda node: ("kink", -1.0),
    "gelu": lambda node: ("gelu", _arguments(node, ("approximate", "none"))[0]),
    "leaky_relu": lambda node: ("kink", _arguments(node, ("negative_slope", 0.01), ("inplace", False))[0]),
    "max_pool2d": _max_call,
    "avg_pool2d": _average_call,
    "adaptive_avg_pool2d": _adaptive_call,
    "flatten": lambda node: ("flatten", *_arguments(node, ("start_dim", 0), ("end_dim", -1))),
    "mean": lambda node: ("mean", *_axes(node)),
}
FUNCTIONS = (
    *(operator.add, operator.iadd, torch.add, operator.getitem, getattr, torch.flatten, torch.mean),
    *(F.relu, F.relu_, torch.relu, torch.relu_, torch.abs, operator.abs, F.leaky_relu, F.dropout),
    *(F.max_pool2d, torch.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, torch.reshape),
)
