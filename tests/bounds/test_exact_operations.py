"""Operations of the exact road on inputs known exactly, at 200 bits: rounding stays inside rem and drift, none is left out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from certify.bounds.exact import affine, exact, kinks, proof, summary
from certify.bounds.exact.affine import Add, AveragePool, Conv, Linear, Mean, Moved, Normalisation, Window
from certify.bounds.exact.kinks import Kink
from certify.bounds.exact.summary import extent
from certify.bounds.exact.tubes import Tube

PICK = np.random.default_rng(7)


def numbers(*shape: int) -> np.ndarray:
    return PICK.normal(size=shape)


def wide(table: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])(table)


def known(centre: np.ndarray) -> Tube:
    """A tube of radius 0."""
    zero = np.zeros((max(1, len(centre) - 1), *centre.shape[1:]))
    return Tube(centre, zero, zero)


def holds(found: Tube, true: np.ndarray) -> bool:
    """The true values at the knots (m + 1, ...) within rem of the centre, their steps within drift of its steps."""
    off = true - wide(found.centre)
    steps = np.abs(off[1:] - off[:-1])
    sizes = np.maximum(np.abs(off[1:]), np.abs(off[:-1]))
    return bool(np.all(sizes <= wide(found.rem)) and np.all(steps <= wide(found.drift)))


def linear(terms: int) -> bool:
    weight, bias, x = numbers(200, terms), numbers(200), numbers(2, terms)
    return holds(Linear(weight, bias).tube(known(x)), Linear(wide(weight), wide(bias)).value(wide(x)))


def convolution() -> bool:
    weight, bias, x, window = numbers(4, 1, 3, 3), numbers(4, 1, 1), numbers(2, 2, 5, 5), Window((3, 3), (1, 1), (1, 1))
    return holds(Conv(weight, bias, window, 2).tube(known(x)), Conv(wide(weight), wide(bias), window, 2).value(wide(x)))


def average() -> bool:
    pool, x = AveragePool(Window((3, 1), (1, 1), (1, 0))), numbers(2, 3, 8, 8)
    return holds(pool.tube(known(x)), pool.value(wide(x)))


def mean() -> bool:
    over, x = Mean((2,), False, 7), numbers(2, 60, 7)
    return holds(over.tube(known(x)), over.value(wide(x)))


def normalisation() -> bool:
    """With and without mean and shift: without them a term passes few roundings and the bound counts as few numbers."""
    found = True
    for size in (1.0, 0.0):
        weight, variance, x = numbers(3000), np.abs(numbers(3000)), numbers(2, 3000)
        offset, shift = size * numbers(3000), size * numbers(3000)
        layer = Normalisation(weight, offset, variance, shift, 1e-5)
        scale = wide(weight) / np.vectorize(mpmath.sqrt, otypes=[object])(wide(variance) + mpmath.mpf(1e-5))
        found = found and holds(layer.tube(known(x)), (wide(x) - wide(offset)) * scale + wide(shift))
    return found


def add() -> bool:
    x, y = numbers(2, 500), numbers(2, 500)
    return holds(Add().tube(known(x), known(y)), wide(x) + wide(y))


def moved() -> bool:
    """Weights of 1 and no bias: the ends are exact, what is left is the way between them."""
    start, end, knots = numbers(1, 500), numbers(1, 500), np.array([0.0, 0.3, 0.7, 1.0])

    class Fixed(affine.Affine):
        def __init__(self, y: np.ndarray) -> None:
            self.y = y

        def tube(self, x: Tube) -> Tube:
            return known(self.y)

    true = wide(start) + wide(knots)[:, None] * (wide(end) - wide(start))
    return holds(Moved(Fixed(start), Fixed(end)).tube(known(start), knots), true)


def moved_ends() -> bool:
    """y_0 and y_1 off by e_0 and e_1 in opposite senses: between them the way is tilted by their sum."""
    knots, e = np.array([0.0, 0.5, 1.0]), 0.25

    class Off(affine.Affine):
        def tube(self, x: Tube) -> Tube:
            return Tube(x.centre, np.full((1, 1), e), np.zeros((1, 1)))

    true = np.array([[mpmath.mpf(1 + e)], [mpmath.mpf(1)], [mpmath.mpf(1 - e)]])
    return holds(Moved(Off(), Off()).tube(known(np.ones((1, 1))), knots), true)


def leaky() -> bool:
    """Away from the kink, so that the product with the slope alone rounds."""
    slope, x = 0.3, -1.0 - np.abs(numbers(2, 500))
    return holds(Kink(slope).tube(known(x)), mpmath.mpf(slope) * wide(x))


def pairs() -> bool:
    """Logits that move far together: the difference of two differences cancels."""
    for _ in range(50):
        centre = 1e6 * numbers(3, 1) + numbers(3, 4)
        found = extent(known(centre), 0, centre[-1], np.zeros(4))
        table = [[Fraction(v) for v in row] for row in centre]
        for j in range(4):
            true = max(abs(row[j] - row[0] - (table[-1][j] - table[-1][0])) for row in table)
            if Fraction(float(found.pairwise[j])) < true:
                return False
    return True


CHECKS: dict[str, Callable[[], bool]] = {
    "linear": lambda: linear(9) and linear(1),
    "convolution": convolution,
    "average": average,
    "mean": mean,
    "batch norm": normalisation,
    "sum": add,
    "moved layer": moved,
    "ends of a moved layer": moved_ends,
    "leaky kink": leaky,
    "pairs": pairs,
}


@pytest.mark.parametrize("check", CHECKS)
def test_rounding_stays_inside(check: str) -> None:
    with mpmath.workprec(200):
        assert all(CHECKS[check]() for _ in range(3))


def without(number: Any) -> Any:
    return lambda *_: number


PLANTED: dict[str, tuple[str, Any, str, Any]] = {
    "a product's rounding": ("linear", affine, "gamma_up", without(0.0)),
    "a quarter of a product's rounding": ("linear", affine, "gamma_up", lambda n: 0.25 * n * 2.0**-53),
    "a convolution's rounding": ("convolution", affine, "gamma_up", without(0.0)),
    "a pool's rounding": ("average", affine, "gamma_up", without(0.0)),
    "a mean's rounding": ("mean", affine, "gamma_up", without(0.0)),
    "batch norm's rounding": ("batch norm", affine, "gamma_up", without(0.0)),
    "all but two roundings of batch norm": ("batch norm", affine, "gamma_up", without(2.0 * 2.0**-53)),
    "a sum's rounding": ("sum", affine, "UNIT", 0.0),
    "a quarter of a sum's rounding": ("sum", affine, "UNIT", 2.0**-55),
    "a moved layer's rounding": ("moved layer", affine, "UNIT", 0.0),
    "a tenth of a moved layer's rounding": ("moved layer", affine, "UNIT", 0.1 * 2.0**-53),
    "a slope's rounding": ("leaky kink", kinks, "UNIT", 0.0),
    "a quarter of a slope's rounding": ("leaky kink", kinks, "UNIT", 2.0**-55),
    "a cancelled difference": ("pairs", summary, "UNIT", 0.0),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_rounding_left_out_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check, module, name, value = PLANTED[planted]
    monkeypatch.setattr(module, name, value)
    with mpmath.workprec(200):
        assert not all(CHECKS[check]() for _ in range(5))


@pytest.mark.parametrize("planted", ["rem", "drift"])
def test_errors_of_both_ends_of_a_moved_layer_count(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Moved.tube
    monkeypatch.setattr(Moved, "tube", lambda *a: honest(*a)._replace(**{planted: 0.9 * getattr(honest(*a), planted)}))
    with mpmath.workprec(200):
        assert not moved_ends()


def test_a_first_centre_evaluated_anew_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of intervals that disagree about the knot they share: rem and drift take it up."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    reference = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shipped = reference | {"0.weight": -reference["0.weight"]}
    piece, jump = proof._piece, 1e-3

    def jumps(network: Any, fixed: Any, knots: np.ndarray) -> Tube:
        """The first piece has its centre moved up, and says so in its rem alone."""
        found = piece(network, fixed, knots)
        return found if knots[0] > 0.0 else found._replace(centre=found.centre + jump, rem=found.rem + jump)

    monkeypatch.setattr(proof, "MOST_NUMBERS", 1)
    monkeypatch.setattr(proof, "_piece", jumps)
    x = torch.ones(1, 3, dtype=torch.float64)
    assert len(exact(model, reference, shipped, x).tubes[0][0]) > 4

    def line_holds() -> bool:
        knots, tube = exact(model, reference, shipped, x).tubes[0]
        for i, (left, right) in enumerate(pairwise(knots)):
            for share in (0.0, 0.5, 1.0):
                theta = left + share * (right - left)
                state = {k: shipped[k] + theta * (reference[k] - shipped[k]) for k in reference}
                true = torch.func.functional_call(model, state, (x,))[0].detach().numpy()
                line = tube.centre[i] + share * (tube.centre[i + 1] - tube.centre[i])
                if np.any(np.abs(true - line) > tube.rem[i] + 1e-12):
                    return False
        return True

    assert line_holds()
    monkeypatch.setattr(proof, "_widened", lambda part, gap: part)
    assert not line_holds()
