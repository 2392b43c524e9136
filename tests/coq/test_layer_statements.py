"""Each Coq statement on paths, budgets and the elastic net against its Python function, on rational instances."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np

from certify.theory import budget, cross_entropy, elastic_net, margins, path, patterns
from certify.theory.emp import data_path_scores
from tests.coq.exact import (
    TOLERANCE,
    Matrix,
    Q,
    Vector,
    added,
    amax,
    applied,
    ce,
    close,
    covers,
    cumulant,
    decimal,
    draws,
    exact_budget,
    exact_reward,
    floats,
    fro2,
    inner,
    logs,
    margin,
    matrix,
    number,
    one,
    python_budget,
    softmax,
    split,
    vector,
)


@covers("ce_path", "budget_seminorm", "restoring_rows", "cast_link", "groups")
def test_budget():
    for rng in draws():
        samples, rows, cols = rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 5)
        constants = [abs(number(rng)) for _ in range(samples)]
        inputs, (q, p) = matrix(rng, samples, cols), split(rng, rows, cols)
        both, t = added(q, p), number(rng)
        bound = exact_budget(constants, inputs, both)
        close(python_budget(constants, inputs, both), bound)
        scaled = [[t * x for x in row] for row in q]
        assert exact_budget(constants, inputs, scaled) == abs(t) * exact_budget(constants, inputs, q)
        close(python_budget(constants, inputs, scaled), abs(t) * exact_budget(constants, inputs, q))
        scores = [exact_budget(constants, inputs, part) for part in (q, p)]
        assert bound <= sum(scores)
        phi = scores[0] / sum(scores) if sum(scores) else Q(1)
        assert scores[1] == (1 - phi) * sum(scores)
        sizes = [budget.data_path_size(floats(part), floats(inputs)[:, None, :]) for part in (q, p)]
        computed = data_path_scores.group_scores(floats(constants), np.array(sizes))
        close(computed[0], scores[0])
        close(data_path_scores.budget_upper_groups(computed, [True, False]), (1 - phi) * sum(scores))
        restored = [[Q(0)] * cols if i % 2 else row for i, row in enumerate(both)]
        assert exact_budget(constants, inputs, restored) <= bound
        close(python_budget(constants, inputs, restored), exact_budget(constants, inputs, restored))
        top = max(constants)
        second = [[sum(v[j] * v[k] for v in inputs) / samples for k in range(cols)] for j in range(cols)]
        trace = sum((both[i][j] * second[j][k] * both[i][k] for i in range(rows) for j in range(cols) for k in range(cols)), Q(0))
        groups = 2
        costs = sum(
            (
                sum((both[i][j] * v[j] for j in range(cols) if j % groups == g), Q(0)) ** 2 / samples
                for i in range(rows)
                for g in range(groups)
                for v in inputs
            ),
            Q(0),
        )
        assert bound**2 <= 4 * top**2 * trace <= 4 * top**2 * groups * costs
        bound = patterns.budget_upper_by_energy(float(top), [float(trace)])
        close(bound, 2 * decimal(top) * decimal(trace).sqrt())
        assert python_budget(constants, inputs, both) <= bound * (1.0 + TOLERANCE)


@covers("induced_norm", "row_norm")
def test_norms():
    for rng in draws():
        a, x = matrix(rng, rng.randint(1, 4), 4), vector(rng, 4)
        rows = max(sum((abs(y) for y in row), Q(0)) for row in a) * amax(x)
        close(float(budget.data_path_upper_rows(floats(a), floats([x]))), rows)
        squares = max(sum((y * y for y in row), Q(0)) for row in a) * sum((y * y for y in x), Q(0))
        close(float(budget.data_path_upper_euclidean(floats(a), floats([x]))), decimal(squares).sqrt())
        assert amax(applied(a, x)) <= rows
        assert amax(applied(a, x)) ** 2 <= squares


@covers("additive_frobenius")
def test_additive():
    for rng in draws():
        s, r = matrix(rng, 3, 4), matrix(rng, 3, 4)
        theta, bound, l2 = Q(rng.randint(0, 8), 8), abs(number(rng)), abs(number(rng))
        exact = (1 - theta) * bound - l2 * (1 - theta**2) * fro2(r) - 2 * l2 * (1 - theta) * inner(s, r)
        computed = elastic_net.change_upper_additive(float(theta), float(bound), floats(r), floats(s), float(l2))
        close(computed, exact, float(l2 * (fro2(r) + fro2(s))))


@covers("elastic_net", "prune_restore", "certificate", "restore_gain", "certificates_add", "restoring_needs_failure")
def test_masks():
    for rng in draws():
        s, q, p = split(rng, 3, 4, 3)
        theta, l2, l1 = Q(rng.randint(0, 7), 8), abs(number(rng)), abs(number(rng))
        removed = added(q, p)
        scale = float(l2 * fro2(removed) + l1 * one(removed))
        bounds = {name: abs(number(rng, 0, 4000)) for name in ("R", "P", "Q")}

        def bound(b: Fraction, r: Matrix, at: Fraction, l2: Fraction = l2, l1: Fraction = l1) -> Fraction:
            return (1 - at) * b - l2 * (1 - at**2) * fro2(r) - l1 * (1 - at) * one(r)

        for name, part, rest in (("R", removed, s), ("P", p, added(s, q))):
            b = bounds[name]
            arguments = float(b), floats(part), floats(rest), float(l2), float(l1)
            close(elastic_net.change_upper(float(theta), *arguments), bound(b, part, theta), scale)
            close(elastic_net.change_upper(0.0, *arguments), b - exact_reward(l2, l1, part), scale)
            close(elastic_net.reward(floats(part), float(l2), float(l1)), exact_reward(l2, l1, part), scale)
            gained = elastic_net.is_improvement(float(b), elastic_net.reward(floats(part), float(l2), float(l1)))
            assert gained == (b < exact_reward(l2, l1, part))
        gain = bounds["R"] - bounds["P"] - l2 * (1 + theta) * fro2(q) - l1 * one(q)
        assert (bound(bounds["P"], p, theta) < bound(bounds["R"], removed, theta)) == (gain > 0)
        computed = elastic_net.restore_gain(float(theta), float(bounds["R"]), float(bounds["P"]), floats(q), float(l2), float(l1))
        close(computed, (1 - theta) * gain, scale + 4000.0)
        rewards = [exact_reward(l2, l1, part) for part in (q, p, removed)]
        assert rewards[2] == rewards[0] + rewards[1]
        total = bounds["Q"] + bounds["P"]
        if bounds["Q"] < rewards[0] and bounds["P"] < rewards[1]:
            assert elastic_net.is_improvement(float(total), elastic_net.reward(floats(removed), float(l2), float(l1)))
        assert budget.restoration_can_help(float(bounds["Q"]), float(rewards[0])) == (bounds["Q"] > rewards[0])
        if bounds["P"] - rewards[1] < total - rewards[2]:
            assert rewards[0] < bounds["Q"]


@covers("universal", "sharp_path")
def test_any_two_layers():
    for rng in draws():
        classes, samples, cols = rng.randint(2, 4), rng.randint(1, 3), 3
        a, changed, inputs = matrix(rng, classes, cols), matrix(rng, classes, cols), matrix(rng, samples, cols)
        labels = [rng.randrange(classes) for _ in range(samples)]
        z, after = [applied(a, v) for v in inputs], [applied(changed, v) for v in inputs]
        moves = [amax([x - y for x, y in zip(p, q, strict=True)]) for p, q in zip(after, z, strict=True)]
        exact = sum((cumulant(softmax(row)[c], 2 * e) for c, row, e in zip(labels, z, moves, strict=True)), Decimal(0)) / samples
        change = sum((ce(c, y) - ce(c, x) for c, x, y in zip(labels, z, after, strict=True)), Decimal(0)) / samples
        assert change <= exact + Decimal("1e-50")
        pair = cross_entropy.log_probabilities(floats(z), labels)
        increases, regulariser = cross_entropy.increase_upper(*pair, floats(moves)), (number(rng), number(rng))
        close(float(np.mean(increases)), exact, 500.0)
        computed = elastic_net.change_upper_universal(increases, float(regulariser[0]), float(regulariser[1]))
        close(computed, exact - decimal(regulariser[0] - regulariser[1]), 500.0)
        removed = [[x - y for x, y in zip(p, q, strict=True)] for p, q in zip(a, changed, strict=True)]
        bound = exact_budget([Q(1)] * samples, inputs, removed)
        assert exact <= decimal(bound)
        close(python_budget([Q(1)] * samples, inputs, removed), bound)


@covers("multilayer")
def test_several_removals():
    for rng in draws():
        steps = rng.randint(1, 4)
        parts, weights = [split(rng, 2, 3)[0] for _ in range(steps)], [vector(rng, 2) for _ in range(steps)]
        rewards = [exact_reward(abs(w[0]), abs(w[1]), part) for part, w in zip(parts, weights, strict=True)]
        bounds = [abs(x) for x in vector(rng, steps)]
        close(elastic_net.change_upper_multilayer(floats(bounds), floats(rewards)), sum(bounds, Q(0)) - sum(rewards, Q(0)))


@covers("best_shrinkage", "shrinkage_criteria")
def test_best_shrinkage():
    for rng in draws(60):
        removed, l2, l1 = matrix(rng, 2, 3), abs(number(rng, 1, 9)), abs(number(rng))
        a, b, bound = l2 * fro2(removed), l1 * one(removed), abs(number(rng, 0, 4000))
        if not a:
            continue
        best = min(Q(1), max(Q(0), (2 * a + b - bound) / (2 * a)))
        theta = elastic_net.best_theta(float(bound), floats(removed), float(l2), float(l1))
        close(1.0 - theta, best)

        def change(u: Fraction, a: Fraction = a, b: Fraction = b, bound: Fraction = bound) -> Fraction:
            return u * (bound - 2 * a - b) + a * u**2

        assert all(change(best) <= change(Q(k, 16)) for k in range(17))
        assert (theta < 1.0) == (bound < 2 * a + b)
        assert (theta == 0.0) == (bound <= b)


@covers("path_variation", "path_ce_upper")
def test_path_variation():
    """Curves c_j t^2 + b_j t with all coefficients of one sign per class, so that the largest speed is one class's."""
    for rng in draws():
        classes = rng.randint(2, 4)
        slopes = [(abs(number(rng)), abs(number(rng))) for _ in range(classes)]
        slopes[0] = (max(a for a, _ in slopes), max(b for _, b in slopes))
        c = rng.randrange(classes)

        def curve(t: Fraction, slopes: list[tuple[Fraction, Fraction]] = slopes) -> Vector:
            return [a * t**2 + b * t for a, b in slopes]

        primitive = sum(slopes[0], Q(0))
        nodes = path.clenshaw_curtis_nodes(4)
        values = np.array([[[float(a) * t * t + float(b) * t for a, b in slopes]] for t in nodes])
        found = path.variation(values, [c])
        close(found.max_norm[0], primitive)
        close(found.speed_sup[0], 2 * slopes[0][0] + slopes[0][1])
        assert amax([x - y for x, y in zip(curve(Q(1)), curve(Q(0)), strict=True)]) <= primitive
        bound = cumulant(softmax(curve(Q(1)))[c], 2 * primitive)
        assert ce(c, curve(Q(0))) - ce(c, curve(Q(1))) <= bound
        close(cross_entropy.increase_upper(*logs(c, curve(Q(1))), found.max_norm)[0], bound, 60.0)


@covers("admissible_constant", "best_constant")
def test_best_constant():
    """gamma(t) = |t - 1/2| scaled per class: one kink, speed |scale| on both sides."""
    for rng in draws():
        scales, size = vector(rng, rng.randint(1, 4)), abs(number(rng, 1, 12))
        speed = amax(scales)
        computed = budget.smallest_lipschitz([float(speed)], [float(size)])[0]
        close(computed, speed / size)

        def at(t: Fraction, scales: Vector = scales) -> Vector:
            return [x * abs(t - Q(1, 2)) for x in scales]

        times = [Q(k, 8) for k in range(9)]
        slopes = [amax([x - y for x, y in zip(at(a), at(b), strict=True)]) / abs(a - b) for a in times for b in times if a != b]
        assert max(slopes) == speed


@covers("weighted_elastic_net", "elastic_net_equality", "additive_equality")
def test_weighted_masks_and_equality():
    for rng in draws():
        s, r = split(rng, 3, 4)
        squares, ones = ([[abs(number(rng)) for _ in range(4)] for _ in range(3)] for _ in range(2))
        theta, bound = Q(rng.randint(0, 7), 8), abs(number(rng, 0, 4000)) * rng.randint(0, 1)
        square = sum((g * x * x for p, q in zip(squares, r, strict=True) for g, x in zip(p, q, strict=True)), Q(0))
        linear = sum((g * abs(x) for p, q in zip(ones, r, strict=True) for g, x in zip(p, q, strict=True)), Q(0))
        gained = (1 - theta**2) * square + (1 - theta) * linear
        computed = elastic_net.change_upper(float(theta), float(bound), floats(r), floats(s), floats(squares), floats(ones))
        close(computed, (1 - theta) * bound - gained, float(square + linear))
        # Shrinking R changes the penalties by exactly what the bound says, so all slack is the cross-entropy's.
        shrunk = [[x + theta * y for x, y in zip(p, q, strict=True)] for p, q in zip(s, r, strict=True)]
        full, l2 = added(s, r), abs(number(rng))
        change = sum(
            (
                g * (x * x - y * y) + h * (abs(x) - abs(y))
                for i in range(3)
                for g, h, x, y in zip(squares[i], ones[i], shrunk[i], full[i], strict=True)
            ),
            Q(0),
        )
        assert change == -gained
        additive = elastic_net.change_upper_additive(float(theta), 0.0, floats(r), floats(s), float(l2))
        close(additive, l2 * (fro2(shrunk) - fro2(full)), float(l2 * fro2(full)))


@covers("perfect_pruning")
def test_perfect_pruning():
    for rng in draws():
        rows, cols = rng.randint(2, 4), 3
        kept, removed, v = matrix(rng, rows, cols), matrix(rng, rows, cols), vector(rng, cols)
        v[-1], removed = Q(0), [[Q(0)] * (cols - 1) + [row[-1]] for row in removed]
        before, after = applied(added(kept, removed), v), applied(kept, v)
        assert budget.data_path_size(floats(removed), floats([v])) == 0.0
        assert before == after
        c = rng.randrange(rows)
        lead = margins.true_margin(floats([before]), [c])
        assert not margins.may_gain(lead, [0.0]).any()
        assert not margins.may_lose(lead, [0.0]).any()
        assert margin(c, before) == margin(c, after)


@covers("induced_norm_attained")
def test_induced_norm_attained():
    for rng in draws():
        a = matrix(rng, rng.randint(1, 4), 4)
        sums = [sum((abs(x) for x in row), Q(0)) for row in a]
        x = [Q(1) if y >= 0 else Q(-1) for y in a[sums.index(max(sums))]]
        assert amax(applied(a, x)) == max(sums)
        close(float(budget.data_path_upper_rows(floats(a), floats([x]))), max(sums))


@covers("flat_shrinkage")
def test_flat_shrinkage():
    for rng in draws():
        removed, l1, bound = matrix(rng, 2, 3), abs(number(rng)), abs(number(rng, 0, 400))
        theta = elastic_net.best_theta(float(bound), floats(removed), 0.0, float(l1))
        assert theta == (0.0 if bound < l1 * one(removed) else 1.0)
