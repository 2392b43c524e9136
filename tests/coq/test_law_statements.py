"""Each Coq statement on spikes, slack and rounding against its Python function."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np

from certify.laws import spikes
from certify.theory import additive, perturbation
from certify.theory.outward import data_path
from tests.coq.exact import Q, close, covers, decimal, draws, floats, number, vector


def edges(rows: int, cols: int, v: Fraction) -> tuple[Decimal, Decimal]:
    """(lower, upper) squared edges v (sqrt n -+ sqrt m)^2."""
    root = 2 * (decimal(Q(rows * cols))).sqrt()
    return decimal(v) * (rows + cols - root), decimal(v) * (rows + cols + root)


@covers("spike_above_edge", "spike_inverse", "d_transform_inverse", "d_transform_decreasing")
def test_spikes():
    for rng in draws(40):
        rows, cols, v = rng.randint(1, 6), rng.randint(1, 6), abs(number(rng, 1, 9))
        critical = decimal(v) * decimal(Q(rows * cols)).sqrt()
        t = Fraction((critical * Decimal(rng.randint(10, 60)) / 10).sqrt()).limit_denominator(2**20)
        t += Q(1, 2**18)
        lower, upper = edges(rows, cols, v)
        image = (t * t + rows * v) * (t * t + cols * v) / (t * t)
        assert decimal(image) - upper >= (decimal(t) - critical / decimal(t)) ** 2 - Decimal("1e-300")
        s = decimal(image).sqrt()
        close(spikes.spiked_value(float(t), rows, cols, float(v)), s, 10.0)
        estimate = ((s * s - lower).sqrt() + (s * s - upper).sqrt()) / 2
        assert abs(estimate - decimal(t)) < Decimal("1e-100")
        # Near the threshold the inverse magnifies the rounding of s.
        gap = max(1.0, 1.0 / max(1e-9, float(s * s - upper) ** 0.5))
        assert abs(float(spikes.strength(float(s), rows, cols, float(v))) - float(t)) <= 1e-12 * gap * float(s * s + 1)
        d = (s * s - decimal((rows + cols) * v) - ((s * s - lower) * (s * s - upper)).sqrt()) / (2 * decimal(rows * cols * v * v))
        assert abs(d - 1 / decimal(t * t)) < Decimal("1e-100")
        computed = float(spikes.d_transform(float(s), rows, cols, float(v)))
        assert abs(computed - float(d)) <= 1e-11 * gap * float(d) * float(s * s + 1)
        assert 0 < d <= 1 / critical
        assert spikes.d_transform(float(s) * 1.5, rows, cols, float(v)) < computed


@covers("square_estimate", "square_estimate_error")
def test_square_estimate():
    for rng in draws(40):
        n, sigma, r = rng.randint(1, 4), abs(number(rng, 1, 12)), number(rng)
        s, v = abs(sigma + r), abs(number(rng, 1, 9)) / 64
        g = n * v
        if s * s < 4 * g:
            continue
        root = decimal(s * s - 4 * g).sqrt()
        estimate = (decimal(s) + root) / 2
        assert abs(decimal(s) - estimate - decimal(2 * g) / (decimal(s) + root)) < Decimal("1e-100")
        assert abs(estimate + decimal(g) / estimate - decimal(s)) < Decimal("1e-100")
        if s * s > 4 * g:
            assert np.isclose(spikes.strength(float(s), n, n, float(v)), float(estimate), rtol=0.0, atol=1e-6)
        bound = perturbation.corrected_value_error_upper(floats([[r]]), float(g))
        close(bound, decimal(abs(r)) + decimal(g).sqrt(), 10.0)
        assert float(abs(estimate - decimal(sigma))) <= bound * (1.0 + 1e-12)


@covers("inverse_root_error")
def test_inverse_root():
    for rng in draws(40):
        theta = abs(number(rng, 1, 12))
        level = 1 / (theta * theta)
        error, sign = level * Q(rng.randint(0, 63), 64), rng.choice((-1, 1))
        exact = decimal(theta) * (1 / decimal(1 - error * theta * theta).sqrt() - 1)
        close(spikes.strength_error_upper(float(theta), float(error)), exact, 100.0)
        moved = abs(1 / decimal(level + sign * error).sqrt() - decimal(theta))
        assert moved <= exact + Decimal("1e-100")
        assert sign > 0 or abs(moved - exact) < Decimal("1e-100")


@covers("slack")
def test_slack():
    for rng in draws():
        x, y, delta = vector(rng, 4), vector(rng, 4), abs(number(rng, 1, 9))
        exact = [max(a - b - delta / 2, Q(0)) for a, b in zip(x, y, strict=True)]
        computed = additive.excess(floats(x), floats(y), float(delta / 2))
        assert list(computed) == [float(e) for e in exact]
        assert all(e > delta / 2 for a, b, e in zip(x, y, exact, strict=True) if max(a - b, Q(0)) > delta)


@covers("float_dot_error", "absolute_dot_upper")
def test_rounded_dot_products():
    """Doubles in random order: the error stays within gamma_n |x|^T|y|, and the outward function is an upper bound."""
    unit = Q(1, 2**53)
    for rng in draws():
        size = rng.randint(1, 40)
        x, y = (np.array([rng.uniform(-1.0, 1.0) * 10.0 ** rng.randint(-9, 9) for _ in range(size)]) for _ in range(2))
        exact = sum((Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)), Q(0))
        absolute = sum((abs(Fraction(a) * Fraction(b)) for a, b in zip(x, y, strict=True)), Q(0))
        gamma = size * unit / (1 - size * unit)
        underflow = Q(size, 2**1074)
        for order in (range(size), rng.sample(range(size), size)):
            rounded, rounded_absolute = 0.0, 0.0
            for i in order:
                rounded += x[i] * y[i]
                rounded_absolute += abs(x[i] * y[i])
            assert abs(Fraction(float(rounded)) - exact) <= gamma * absolute + underflow
            assert absolute <= (1 + 2 * gamma) * Fraction(float(rounded_absolute)) + underflow
        upper = data_path.data_path_size_upper(x[None, :], y[None, :])
        assert abs(exact) <= Fraction(float(upper)) <= abs(exact) + 8 * gamma * absolute + 4 * underflow
