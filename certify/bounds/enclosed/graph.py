"""A pair of networks as a graph of known operations whose tensors move along theta, and the places where its path bends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from certify.bounds.enclosed import operations as on
from certify.bounds.enclosed.steps import Pieces
from certify.bounds.enclosed.taylor import TERMS, Model, Weights, constant
from certify.bounds.exact import affine, kinks
from certify.bounds.exact import graph as read
from certify.bounds.exact.tubes import Values
from certify.records import Refused

# Points between which bends are looked for, steps towards each, and the grid of thetas they are rounded to.
POINTS, NARROWINGS, GRID = 65, 5, 2.0**-40
# Numbers that one activation of all pieces or points of a batch may take, unfolded.
ROOM = 2**20


@dataclass(frozen=True)
class Step:
    """One operation; `inputs` are numbers of earlier results, 0 the image; its own result has its number plus 1."""

    name: str
    operation: on.Operation
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """Steps in order, the last one the logits.

    last_use, widest : as of `certify.bounds.exact.graph.Network`. moves : whether any tensor does.
    """

    steps: tuple[Step, ...]
    last_use: tuple[int, ...]
    widest: int
    moves: bool

    def model(self, image: Tensor, at: Pieces, degree: int, radius: float = 0.0) -> Model:
        """Logits of one image, no entry of it off by more than radius; remainders are carried along entry by entry."""
        start = constant(image.expand(len(at.mid), *image.shape), degree)
        start = Model(start.coef, start.rem + radius)
        return self.run(start, lambda number, inputs: self.steps[number].operation.model(at, *inputs))

    def batch(self, numbers: int) -> int:
        """Pieces, or points, at a time, where an entry takes so many numbers in each."""
        return max(1, ROOM // (numbers * self.widest))

    def bends(self, image: Tensor) -> list[float]:
        """thetas in (0, 1), rising, at which a kink is crossed or the winner of a window changes, as far as found.

        In plain float64, from what changes between POINTS of the segment: an enclosure holds whether they are right or not.
        """
        grid = torch.linspace(0.0, 1.0, POINTS, dtype=torch.float64)
        found = self._crossings(image, grid)
        if not len(found):
            return []
        low, high = grid[found[:, 1]], grid[found[:, 1] + 1]
        first, last = (self._gaps(image, theta, found) for theta in (low, high))
        best, least = low, first.abs()
        for _ in range(NARROWINGS):
            theta = low + (first / (first - last)).nan_to_num(0.5).clamp(0.0, 1.0) * (high - low)
            gap = self._gaps(image, theta, found)
            best, least = torch.where(gap.abs() < least, theta, best), torch.minimum(gap.abs(), least)
            rises = torch.sign(gap) == torch.sign(first)
            # The Illinois rule: the end that stays counts half, so that both ends close in.
            low, high = torch.where(rises, theta, low), torch.where(rises, high, theta)
            first, last = torch.where(rises, gap, first / 2), torch.where(rises, last / 2, gap)
        rounded = torch.unique(torch.round(best / GRID) * GRID)
        return [theta for theta in rounded.tolist() if 0.0 < theta < 1.0]

    def run(self, start: Any, apply: Callable[[int, list[Any]], Any]) -> Any:
        """Results in order, the last returned; what no later step reads is let go."""
        live = {0: start}
        for number, step in enumerate(self.steps):
            live[number + 1] = apply(number, [live[source] for source in step.inputs])
            live = {key: value for key, value in live.items() if key > number or self.last_use[key] > number}
        return live[len(self.steps)]

    def _values(self, image: Tensor, theta: Tensor, look: Callable[[int, Any, Tensor], None]) -> None:
        """Plain values at each theta; look(number, operation, input) at each operation that bends."""

        def apply(number: int, inputs: list[Tensor]) -> Tensor:
            operation = self.steps[number].operation
            if isinstance(operation, BENDING):
                look(number, operation, inputs[0])
            return operation.value(theta, *inputs)

        if any(isinstance(step.operation, BENDING) for step in self.steps):
            self.run(image.expand(len(theta), *image.shape), apply)

    def _crossings(self, image: Tensor, grid: Tensor) -> Tensor:
        """Rows (number of the step, point of the grid, one, other): entry `one` of its candidates crosses `other` behind it."""
        found = [torch.zeros((0, 4), dtype=torch.int64)]
        size = self.batch(1)
        for begin in range(0, len(grid) - 1, size):

            def look(number: int, operation: Any, x: Tensor, begin: int = begin) -> None:
                rows = operation.bends(x)
                rows[:, 0] += begin
                found.append(torch.cat([torch.full((len(rows), 1), number), rows], 1))

            self._values(image, grid[begin : begin + size + 1], look)
        return torch.cat(found)

    def _gaps(self, image: Tensor, theta: Tensor, crossings: Tensor) -> Tensor:
        """How far each crossing's two entries are apart at a theta of its own."""
        gaps, size = torch.zeros_like(theta), self.batch(1)
        for begin in range(0, len(theta), size):
            some = slice(begin, begin + size)

            def look(number: int, operation: Any, x: Tensor, some: slice = some) -> None:
                (rows,) = torch.nonzero(crossings[some, 0] == number, as_tuple=True)
                entries = operation.candidates(x[rows])
                one, other = (entries.gather(1, crossings[some][rows, column, None])[:, 0] for column in (2, 3))
                gaps[some][rows] = one - other

            self._values(image, theta[some], look)
        return gaps


BENDING = (on.Kink, on.MaxPool)


def graph(model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], image: Tensor) -> Graph:
    """Read a pair of networks that take one image of this shape; what is not known is refused by name."""
    first, last = read.read_ends(model, reference, shipped, image[None])
    steps = [Step(a.name, _operation(a.operation, b.operation), a.inputs) for a, b in zip(first.steps, last.steps, strict=True)]
    moves = any(not torch.equal(shipped[name], tensor) for name, tensor in reference.items() if tensor.is_floating_point())
    return Graph(tuple(steps), first.last_use, first.widest, moves)


def _operation(first: Any, last: Any) -> on.Operation:
    """The operation between its two ends; what has no weights is the same at both."""
    if isinstance(first, affine.Linear | affine.Conv | affine.Mean | affine.AveragePool) and first.terms > TERMS:
        raise Refused(f"enclosure: a {type(first).__name__} sums {first.terms} terms; rounding is counted for up to {TERMS}")
    if isinstance(first, affine.Linear):
        return on.Linear(_weights(first.weight, last.weight), _bias(first, last))
    if isinstance(first, affine.Conv):
        table, bias = ((first.groups, -1, first.terms), (first.groups, 1, -1))
        return on.Convolution(_weights(first.weight, last.weight, table), _bias(first, last, bias), first.window)
    if isinstance(first, affine.Normalisation):
        names = ("weight", "mean", "variance", "shift")
        weight, mean, variance, shift = (_weights(getattr(first, name), getattr(last, name)) for name in names)
        return on.BatchNorm(weight, mean, variance, shift, first.eps)
    if isinstance(first, affine.AveragePool):
        return on.Average((-1,), False, first.terms - 1, first.window)
    if isinstance(first, affine.Mean):
        return on.Average(first.axes, first.keep, first.count)
    if isinstance(first, affine.Flatten):
        return on.Flatten(first.first)
    if isinstance(first, affine.Add):
        return on.Sum()
    if isinstance(first, kinks.Kink):
        return on.Kink(float(first.slope))
    if isinstance(first, kinks.MaxPool):
        return on.MaxPool(first.window)
    assert isinstance(first, read.Gelu)
    return on.Gelu()


def _weights(first: Values, last: Values, shape: tuple[int, ...] | None = None) -> Weights:
    start, end = (torch.tensor(side if shape is None else side.reshape(shape), dtype=torch.float64) for side in (first, last))
    return Weights.between(start, end)


def _bias(first: Any, last: Any, shape: tuple[int, ...] | None = None) -> Weights | None:
    return None if first.bias is None else _weights(first.bias, last.bias, shape)
