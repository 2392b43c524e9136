"""Taylor models in one variable: polynomials in u on [-1, 1] with a bound on what they leave out, rounding included.

A model stands for every function f with |f(u) - sum_k c_k u^k| <= rem for all u in [-1, 1], entry by entry. Every operation
returns a model of the exact result for all functions its arguments stand for. Numbers are float64; a sum of n products is taken
with any order and with or without fused operations, so that |fl(W x) - W x| <= gamma_n |W| |x|, gamma_n = n U / (1 - n U).
Bounds themselves are computed with rounding: each is a sum of at most TERMS terms >= 0 of a few factors each, and UP covers it.
Source: methods/path-enclosures 5.2 and 5.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor

from certify.theory.outward._rounding import UNIT, require_full_products

U = UNIT
TERMS = 4096
RUN = 64
UP = 1.0 + 2.0**-39  # 1 + 8192 U: more than the relative rounding of any bound computed here
TINY = 2.0**-960  # more than all underflow of such a sum


def require_torch_products() -> None:
    """Refuse a torch whose products of float64 matrices lose more than `gamma` allows."""
    require_full_products(lambda a, b: (torch.from_numpy(a) @ torch.from_numpy(b)).numpy())


def gamma(n: int) -> float:
    """n U / (1 - n U), the relative rounding of n operations."""
    return n * U / (1.0 - n * U)


def runs(n: int) -> int:
    """How often a term of `summed` or `matmul` is rounded at most, n terms: those of more than two runs are added run by run."""
    return n if n <= 2 * RUN else RUN + math.ceil(n / RUN)


def summed(x: Tensor) -> Tensor:
    """Along the last axis, which is kept."""
    n = x.shape[-1]
    parts = (x,) if n <= 2 * RUN else x.split(RUN, -1)
    return sum_of([part.sum(-1, keepdim=True) for part in parts])


def matmul(x: Tensor, weight: Tensor) -> Tensor:
    """x weight^T."""
    n = x.shape[-1]
    if n <= 2 * RUN:
        return x @ weight.mT
    return sum_of([a @ b.mT for a, b in zip(x.split(RUN, -1), weight.split(RUN, -1), strict=True)])


def raised(x: Tensor, n: int) -> Tensor:
    """x^n by n - 1 multiplications: the rounding of a library's power is not proven."""
    found = x
    for _ in range(n - 1):
        found = found * x
    return found


def up(bound: Tensor) -> Tensor:
    """At least the exact value of a bound computed with rounding."""
    return bound * UP + TINY


@dataclass(frozen=True)
class Model:
    """coef : (d + 1, ...) float64. rem : (...) float64 >= 0."""

    coef: Tensor
    rem: Tensor

    @property
    def degree(self) -> int:
        return len(self.coef) - 1

    def size(self) -> Tensor:
        """At least sup_u of the polynomial's absolute value."""
        return up(self.coef.abs().sum(0))

    def swing(self) -> Tensor:
        """At least sup_u |f(u) - c_0|."""
        return up(self.coef[1:].abs().sum(0) + self.rem)

    def reach(self) -> Tensor:
        """At least sup_u |f(u)|."""
        return up(self.size() + self.rem)

    def map(self, move: Callable[[Tensor], Tensor]) -> Model:
        """The same numbers laid out another way, axes after the first alone: `move` acts on (...)."""
        return Model(torch.stack([move(c) for c in self.coef]), move(self.rem))


@cache
def to_bernstein(degree: int) -> np.ndarray:
    """Bernstein coefficients on [-1, 1] of u^k: (basis, power), each rounded once."""
    matrix = np.zeros((degree + 1, degree + 1))
    for power in range(degree + 1):
        # u = 2 t - 1: coefficients of t^m, then b_i = sum_m C(i, m) / C(d, m) a_m
        monomials = [Fraction(math.comb(power, m) * 2**m * (-1) ** (power - m)) for m in range(power + 1)]
        for i in range(degree + 1):
            matrix[i, power] = float(
                sum((Fraction(math.comb(i, m), math.comb(degree, m)) * a for m, a in enumerate(monomials)), Fraction(0))
            )
    return matrix


def constant(value: Tensor, degree: int) -> Model:
    """A value known exactly."""
    coef = torch.zeros((degree + 1, *value.shape), dtype=value.dtype)
    coef[0] = value
    return Model(coef, torch.zeros_like(value))


def add(a: Model, b: Model) -> Model:
    """a + b, each coefficient rounded once."""
    coef = a.coef + b.coef
    return Model(coef, up(a.rem + b.rem + U * coef.abs().sum(0)))


@dataclass(frozen=True)
class Weights:
    """start + theta * step for theta in [0, 1], real numbers; step is None where nothing changes.

    start, step : float64 of any shape. step may be the rounded difference of two exact arrays (relative error U).
    """

    start: Tensor
    step: Tensor | None

    @classmethod
    def between(cls, start: Tensor, end: Tensor) -> Weights:
        """From `start` at theta = 0 to `end` at theta = 1."""
        return cls(start, None if torch.equal(start, end) else end - start)

    def size(self) -> Tensor:
        """At least |start + theta step| for all theta: the larger of both ends."""
        return self.start.abs() if self.step is None else up(torch.maximum(self.start.abs(), (self.start + self.step).abs()))

    def at(self, mid: Tensor) -> Tensor:
        """(pieces, ...) start + mid step, rounded twice."""
        shape = (len(mid), *(1,) * self.start.ndim)
        if self.step is None:
            return self.start.expand(len(mid), *self.start.shape)
        return self.start + mid.reshape(shape) * self.step


def moved(a: Model, mid: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of theta f(u), theta = mid + half u, up to the degree, and the size of the one that is left out.

    mid, half : (pieces,) >= 0 with mid + half <= 1; the second axis of the coefficients is that of the pieces.
    """
    shape = (len(mid), *(1,) * (a.coef.ndim - 2))
    m, r = mid.reshape(shape), half.reshape(shape)
    coef = m * a.coef
    coef[1:] += r * a.coef[:-1]
    return coef, r * a.coef[-1].abs()


def shifted(a: Model, offset: Weights, mid: Tensor, half: Tensor) -> Model:
    """a + offset(theta), broadcast over the axes before those of the offset."""
    shape = (len(mid), *(1,) * (a.coef.ndim - 2))
    coef, sizes = a.coef.clone(), offset.start.abs()
    coef[0] += offset.start
    if offset.step is not None:
        coef[0] += mid.reshape(shape) * offset.step
        coef[1] += half.reshape(shape) * offset.step
        sizes = sizes + 2.0 * offset.step.abs()
    return Model(coef, up(a.rem + 8 * U * (sizes + coef[:2].abs().sum(0))))


def linear(a: Model, weight: Weights, bias: Weights | None, mid: Tensor, half: Tensor) -> Model:
    """W(theta) a + b(theta); a : (d + 1, pieces, ..., in), weight (out, in), bias (out,).

    Groups of their own: a (..., groups, rows, in), weight (groups, out, in), bias (groups, 1, out).

    rem' = sup|W| (rem + left out) + gamma_(runs + 8) (|start| + 2 |step|) sum_k |a_k|   and the same of the bias
    """
    inputs = weight.start.shape[-1]
    coef = matmul(a.coef, weight.start)
    rem = a.rem @ weight.size().mT
    rounding = weight.start.abs()
    if weight.step is not None:
        turned, left = moved(a, mid, half)
        coef = coef + matmul(turned, weight.step)
        rem = rem + left @ weight.step.abs().mT
        rounding = rounding + 2.0 * weight.step.abs()
    rem = rem + gamma(runs(inputs) + 8) * (a.size() @ rounding.mT)
    found = Model(coef, up(rem))
    return found if bias is None else shifted(found, bias, mid, half)


def scaled(a: Model, factor: Weights, offset: Weights | None, mid: Tensor, half: Tensor) -> Model:
    """factor(theta) * a + offset(theta), entry by entry along the last axis."""
    coef = a.coef * factor.start
    rem = a.rem * factor.size()
    sizes = factor.start.abs()
    if factor.step is not None:
        turned, left = moved(a, mid, half)
        coef = coef + turned * factor.step
        rem = rem + left * factor.step.abs()
        sizes = sizes + 2.0 * factor.step.abs()
    rem = rem + 8 * U * a.size() * sizes
    found = Model(coef, up(rem))
    return found if offset is None else shifted(found, offset, mid, half)


def product(a: Model, b: Model, times: Callable[[Tensor, Tensor], Tensor], terms: int) -> Model:
    """A bilinear `times` that sums `terms` products of entries: a * b, a @ b, (a * b).sum(-1).

    c_k = sum_{i+j=k} a_i b_j
    rem = sum_{i>=1} |a_i| sum_{j>d-i} |b_j| + |a| e_b + e_a (|b| + e_b) + gamma |a| |b|
    """
    d = a.degree
    coef = torch.stack([sum_of([times(a.coef[i], b.coef[k - i]) for i in range(k + 1)]) for k in range(d + 1)])
    tails = b.coef.abs().flip(0).cumsum(0).flip(0)
    rem = times(a.size(), up(b.rem + gamma(terms + d + 4) * b.size())) + times(a.rem, b.reach())
    for i in range(1, d + 1):
        rem = rem + times(a.coef[i].abs(), tails[d - i + 1])
    return Model(coef, up(rem))


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


@dataclass(frozen=True)
class Expansion:
    """A function of one variable around c_0: g(c_0 + w) = sum_n terms_n w^n + left, |w| <= swing of the polynomial.

    terms  : d + 1 tensors. errors : as many, their rounding.
    left   : bound of the Lagrange term for |w| <= swing of the polynomial without its remainder.
    slope  : sup of |g'| wherever the argument may lie.
    """

    terms: Sequence[Tensor]
    errors: Sequence[Tensor]
    left: Tensor
    slope: Tensor


def compose(a: Model, expansion: Expansion) -> Model:
    """g(f(u)) for g as expanded around c_0.

    Horner's rule in w = sum_{k>=1} c_k u^k. At level n, where n factors w are still to come, coefficients beyond d - n reach
    degrees beyond d alone: they are bounded at once. The remainder of the argument enters through the slope alone.
    Claim PE3-taylor-compose.
    """
    d, w = a.degree, a.coef
    sizes = w.abs()
    tails = sizes.flip(0).cumsum(0).flip(0)  # tails[j] = sum_{k >= j} |w_k|
    swing = up(tails[1])
    terms = expansion.terms
    found = [terms[d]]
    rem = torch.zeros_like(a.rem)
    for n in range(d - 1, -1, -1):
        top = d - n
        fresh = [terms[n]]
        for k in range(1, top + 1):
            fresh.append(sum_of([found[k - j] * w[j] for j in range(1, k + 1) if k - j < len(found)]))
        lost = sum_of([found[i].abs() * tails[top - i + 1] for i in range(len(found)) if top - i + 1 <= d] or [rem * 0.0])
        size = sum_of([each.abs() for each in found])
        rem = up(rem * swing + lost + gamma(d + 4) * size * swing)
        found = fresh
    errors = expansion.errors[d]
    for n in range(d - 1, -1, -1):
        errors = errors * swing + expansion.errors[n]
    return Model(torch.stack(found), up(rem + expansion.left + expansion.slope * a.rem + errors))
