"""Each Coq statement on stationary points against its Python function, on rational instances."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from certify.theory import additive, budget, path, stationarity
from tests.coq.exact import (
    Q,
    added,
    amax,
    applied,
    ce,
    close,
    covers,
    cumulant,
    decimal,
    draws,
    exact_reward,
    floats,
    fro2,
    inner,
    logs,
    matrix,
    number,
    one,
    softmax,
    split,
    vector,
)


@covers("stationarity", "stationarity_at", "weighted_stationarity", "weighted_stationarity_at")
def test_descent():
    for rng in draws():
        removed, _ = split(rng, 3, 4)
        squares, ones = ([[abs(number(rng)) for _ in range(4)] for _ in range(3)] for _ in range(2))
        l2, l1, bound, theta = abs(number(rng)), abs(number(rng)), abs(number(rng, 0, 400)), Q(rng.randint(0, 8), 8)
        scale = float(exact_reward(l2, l1, removed) + bound)
        computed = stationarity.descent_lower(float(bound), floats(removed), float(l2), float(l1), float(theta))
        close(computed, l2 * (1 + theta) * fro2(removed) + l1 * one(removed) - bound, scale)
        square = sum((g * x * x for p, q in zip(squares, removed, strict=True) for g, x in zip(p, q, strict=True)), Q(0))
        linear = sum((g * abs(x) for p, q in zip(ones, removed, strict=True) for g, x in zip(p, q, strict=True)), Q(0))
        computed = stationarity.descent_lower(float(bound), floats(removed), floats(squares), floats(ones), float(theta))
        close(computed, (1 + theta) * square + linear - bound, float(square + linear + bound))


@covers("multilayer_stationarity", "multilayer_stationarity_at")
def test_descent_of_several_layers():
    for rng in draws():
        bounds, squares, ones = ([abs(x) for x in vector(rng, 3)] for _ in range(3))
        step = Q(rng.randint(0, 8), 8)
        computed = stationarity.descent_lower_multilayer(floats(bounds), floats(squares), floats(ones), float(step))
        close(computed, (2 - step) * sum(squares) + sum(ones) - sum(bounds), 100.0)


@covers("gradient_stationarity", "dense_gradient", "dense_gradient_stationarity")
def test_directional_descent():
    """The rate of a mask, and of two layers: exact rates of the penalties, plus the gradients' inner products."""
    for rng in draws():
        total = Q(0)
        computed = 0.0
        l2, l1 = abs(number(rng)), abs(number(rng))
        for _ in range(2):
            removed, kept = split(rng, 2, 3)
            gradient = matrix(rng, 2, 3)
            total += inner(gradient, removed) + 2 * l2 * fro2(removed) + l1 * one(removed)
            arguments = floats(gradient), floats(added(kept, removed)), floats(removed)
            computed += stationarity.directional_descent(*arguments, float(l2), float(l1))
        close(computed, total, 4000.0)


@covers("residual_oscillation", "confidence_weighted")
def test_confidence_weighted_slope():
    for rng in draws():
        samples, classes = rng.randint(1, 3), rng.randint(2, 4)
        labels = [rng.randrange(classes) for _ in range(samples)]
        z, speed = matrix(rng, samples, classes), matrix(rng, samples, classes)
        swings = [max(row) - min(row) for row in speed]
        probabilities = [softmax(row) for row in z]
        exact = (
            sum(((1 - q[c]) * decimal(o) for q, c, o in zip(probabilities, labels, swings, strict=True)), Decimal(0)) / samples
        )
        not_p = np.array([logs(c, row)[1][0] for c, row in zip(labels, z, strict=True)])
        close(stationarity.slope_upper(not_p, floats(swings)), exact, 50.0)
        slopes = [
            sum((x * decimal(y) for x, y in zip(q, row, strict=True)), Decimal(0)) - decimal(row[c])
            for q, row, c in zip(probabilities, speed, labels, strict=True)
        ]
        assert abs(sum(slopes)) / samples <= exact + Decimal("1e-100")
        assert all(o <= 2 * amax(row) for o, row in zip(swings, speed, strict=True))


@covers("additive_stationarity", "entry_condition", "singular_component")
def test_consequences_of_stationarity():
    for rng in draws():
        bound, l2, epsilon = abs(number(rng, 0, 400)), abs(number(rng, 1, 9)), abs(number(rng))
        close(stationarity.alignment_upper(float(bound), float(l2), float(epsilon)), (bound + epsilon) / (2 * l2), 400.0)
        samples, tokens, cols, rows = rng.randint(1, 3), rng.randint(1, 2), 3, 2
        inputs = [matrix(rng, tokens, cols) for _ in range(samples)]
        constants = [abs(x) for x in vector(rng, samples)]
        pull = [
            2 * sum((c * max(abs(v[j]) for v in vs) for c, vs in zip(constants, inputs, strict=True)), Q(0)) / samples
            for j in range(cols)
        ]
        computed = stationarity.column_budgets(floats(constants), np.array(inputs, dtype=np.float64))
        for j in range(cols):
            close(computed[j], pull[j], 200.0)
            single = [[number(rng, 1, 9) if (i, k) == (0, j) else Q(0) for k in range(cols)] for i in range(rows)]
            largest = [max(amax(applied(single, v)) for v in vs) for vs in inputs]
            assert 2 * sum(c * x for c, x in zip(constants, largest, strict=True)) / samples == abs(single[0][j]) * pull[j]
        u, w = vector(rng, rows), vector(rng, cols)
        moved = [max(abs(applied([w], v)[0]) for v in vs) for vs in inputs]
        exact = sum((c * x for c, x in zip(constants, moved, strict=True)), Q(0)) / samples * amax(u) / l2
        arguments = floats(constants), np.array(inputs, dtype=np.float64), floats(u), floats(w), float(l2)
        close(stationarity.singular_value_upper(*arguments), exact, 20000.0)


@covers("collapse", "scale_free_collapse")
def test_collapse():
    for rng in draws():
        bound, cross, l2, epsilon = abs(number(rng)), number(rng), abs(number(rng, 1, 9)), abs(number(rng))
        exact = decimal(max(bound + 2 * l2 * cross, Q(0)) / (2 * l2)) + decimal(epsilon / (2 * l2)).sqrt()
        close(stationarity.collapse_upper(float(bound), float(cross), float(l2), float(epsilon)), exact, 200.0)


@covers("apriori_energy")
def test_apriori_energy():
    for rng in draws():
        classes, l2, cross = rng.randint(2, 9), abs(number(rng, 1, 9)), abs(number(rng))
        exact = Decimal(classes).ln() / decimal(l2) + decimal(2 * cross)
        close(stationarity.energy_upper(classes, float(l2), float(cross)), exact, 100.0)
        assert abs(ce(0, [Q(0)] * classes) - Decimal(classes).ln()) < Decimal("1e-100")


@covers("finite_path")
def test_finite_path():
    for rng in draws():
        radii, cross, l2, theta = [abs(x) for x in vector(rng, 3)], abs(number(rng)), abs(number(rng)), Q(rng.randint(0, 8), 8)
        exact = (1 - theta) * (2 * sum(radii, Q(0)) / 3 + 2 * l2 * cross)
        close(additive.remainder_upper(floats(radii), float(cross), float(l2), float(theta)), exact, 400.0)


@covers("simultaneous_upper")
def test_simultaneous_path():
    """Logits (x h^2, 0) while all layers shrink together: V = |x|."""
    for rng in draws():
        x, c = number(rng), rng.randrange(2)
        nodes = path.clenshaw_curtis_nodes(4)
        found = path.variation(np.array([[[float(x) * (1.0 - t) ** 2, 0.0]] for t in nodes]), [c])
        close(found.max_norm[0], abs(x))
        bound = cumulant(softmax([Q(0), Q(0)])[c], 2 * abs(x))
        assert ce(c, [x, Q(0)]) - ce(c, [Q(0), Q(0)]) <= bound
        assert budget.telescoped([[float(abs(x))]])[0] == float(abs(x))
        assert math.isfinite(float(bound))
