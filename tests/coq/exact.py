"""The definitions of the .v files in fractions, with 400-digit decimals for logarithms and exponentials."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np

from certify.theory import budget, cross_entropy

getcontext().prec = 400
Q = Fraction
TOLERANCE = 1e-12
Matrix = list[list[Fraction]]
Vector = list[Fraction]
COVERED: set[str] = set()


def covers(*theorems: str):
    """Marks a test as the link of these theorems; `test_links.py` compares with the index."""
    COVERED.update(theorems)
    return lambda test: test


def close(computed: float, exact: Fraction | Decimal, scale: float = 1.0) -> None:
    assert abs(float(computed) - float(exact)) <= TOLERANCE * max(1.0, scale, abs(float(exact)))


def decimal(x: Fraction) -> Decimal:
    return Decimal(x.numerator) / Decimal(x.denominator)


def draws(count: int = 25) -> Iterator[random.Random]:
    for seed in range(count):
        yield random.Random(seed)


def number(rng: random.Random, low: int = -12, high: int = 12) -> Fraction:
    """Dyadic, so that its float is the same number."""
    return Q(rng.randint(low, high), rng.choice((1, 2, 4, 8)))


def vector(rng: random.Random, size: int) -> Vector:
    return [number(rng) for _ in range(size)]


def matrix(rng: random.Random, rows: int, cols: int) -> Matrix:
    return [vector(rng, cols) for _ in range(rows)]


def split(rng: random.Random, rows: int, cols: int, parts: int = 2) -> list[Matrix]:
    """Matrices with disjoint supports, one of them nonzero at each entry."""
    full, owner = matrix(rng, rows, cols), [[rng.randrange(parts) for _ in range(cols)] for _ in range(rows)]
    return [[[full[i][j] * (owner[i][j] == k) for j in range(cols)] for i in range(rows)] for k in range(parts)]


def floats(table: Vector | Matrix) -> np.ndarray:
    return np.array(table, dtype=np.float64)


# The definitions of Sums.v, CrossEntropy.v, Margins.v and Layer.v.
def fro2(a: Matrix) -> Fraction:
    return sum((x * x for row in a for x in row), Q(0))


def one(a: Matrix) -> Fraction:
    return sum((abs(x) for row in a for x in row), Q(0))


def inner(a: Matrix, b: Matrix) -> Fraction:
    return sum((x * y for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)), Q(0))


def added(a: Matrix, b: Matrix) -> Matrix:
    return [[x + y for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]


def applied(a: Matrix, v: Vector) -> Vector:
    return [sum((x * y for x, y in zip(row, v, strict=True)), Q(0)) for row in a]


def amax(v: Vector) -> Fraction:
    return max((abs(x) for x in v), default=Q(0))


def exact_budget(constants: Vector, inputs: Matrix, removed: Matrix) -> Fraction:
    total = sum((c * amax(applied(removed, v)) for c, v in zip(constants, inputs, strict=True)), Q(0))
    return 2 * total / len(constants)


def exact_reward(l2: Fraction, l1: Fraction, a: Matrix) -> Fraction:
    return l2 * fro2(a) + l1 * one(a)


def softmax(z: Vector) -> list[Decimal]:
    powers = [decimal(x).exp() for x in z]
    return [x / sum(powers) for x in powers]


def ce(c: int, z: Vector) -> Decimal:
    return -decimal(z[c]) + sum((decimal(x).exp() for x in z), Decimal(0)).ln()


def cumulant(p: Decimal, x: Fraction) -> Decimal:
    return (p + (1 - p) * decimal(x).exp()).ln()


def margin(c: int, z: Vector) -> Fraction:
    return z[c] - max(x for j, x in enumerate(z) if j != c)


def python_budget(constants: Vector, inputs: Matrix, removed: Matrix) -> float:
    sizes = budget.data_path_size(floats(removed), floats(inputs)[:, None, :])
    return budget.budget(floats(constants), sizes)


def classifier(rng: random.Random) -> tuple[int, Vector, Vector, Fraction]:
    """(true class, logits, their change d, eta = max |d|)."""
    classes = rng.randint(2, 6)
    z, d = vector(rng, classes), vector(rng, classes)
    return rng.randrange(classes), z, d, amax(d)


def logs(c: int, z: Vector) -> tuple[np.ndarray, np.ndarray]:
    return cross_entropy.log_probabilities(floats([z]), [c])
