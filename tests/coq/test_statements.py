"""Each Coq statement that has a Python function, against that function on the same rational instances.

The exact side is written from the Coq statement in fractions, with 400-digit decimals for logarithms and exponentials; the
function runs in floats and must agree within 1e-12 of the scale of its terms.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from certify.theory import budget, cross_entropy, elastic_net, margins, path, rank_monotone
from certify.theory.emp import data_path_scores, effective_number, mass_bounds, retained_loss
from proofs_check.coq.index import ENTRIES

getcontext().prec = 400
Q = Fraction
TOLERANCE = 1e-12
Matrix = list[list[Fraction]]
Vector = list[Fraction]
COVERED: set[str] = set()


def covers(*theorems: str):
    """Marks a test as the link of these theorems; `test_every_function_is_linked` compares with the index."""
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


@covers("two_eta")
def test_two_eta():
    for rng in draws():
        c, z, d, eta = classifier(rng)
        change = ce(c, [x + y for x, y in zip(z, d, strict=True)]) - ce(c, z)
        close(cross_entropy.increase_published([float(eta)])[0], 2 * eta)
        assert abs(change) <= decimal(2 * eta)


@covers("sharp_upper", "sharp_lower", "sharp_attained", "sharp_order")
def test_sharp_bounds():
    for rng in draws():
        c, z, d, eta = classifier(rng)
        p = softmax(z)[c]
        upper, lower = cumulant(p, 2 * eta), cumulant(p, -2 * eta)
        scale = float(max(abs(x) for x in z) + eta)
        close(cross_entropy.increase_upper(*logs(c, z), [float(eta)])[0], upper, scale)
        close(cross_entropy.increase_lower(*logs(c, z), [float(eta)])[0], lower, scale)
        change = ce(c, [x + y for x, y in zip(z, d, strict=True)]) - ce(c, z)
        assert lower <= change <= upper
        worst = ce(c, [x + (-eta if j == c else eta) for j, x in enumerate(z)]) - ce(c, z)
        assert abs(worst - upper) < Decimal("1e-50")
        assert eta == 0 or 0 <= -lower <= upper < decimal(2 * eta)


@covers("pairwise_upper", "pairwise_attained")
def test_pairwise():
    for rng in draws():
        c, z, d, _ = classifier(rng)
        q, gains = softmax(z), [x - d[c] for x in d]
        exact = (q[c] + sum(q[j] * decimal(gains[j]).exp() for j in range(len(z)) if j != c)).ln()
        close(cross_entropy.increase_upper_pairwise(floats([z]), [c], floats([gains]))[0], exact, 30.0)
        attained = ce(c, [x + (Q(0) if j == c else gains[j]) for j, x in enumerate(z)]) - ce(c, z)
        assert abs(attained - exact) < Decimal("1e-50")


@covers("oscillation_upper")
def test_oscillation():
    for rng in draws():
        c, z, d, _ = classifier(rng)
        omega = max(d[j] - d[c] for j in range(len(z)) if j != c)
        exact = cumulant(softmax(z)[c], omega)
        close(cross_entropy.increase_upper_oscillation(*logs(c, z), [float(omega)])[0], exact, 30.0)
        assert ce(c, [x + y for x, y in zip(z, d, strict=True)]) - ce(c, z) <= exact + Decimal("1e-50")


@covers("sequential_upper", "telescoped_logits")
def test_steps_in_a_row():
    for rng in draws():
        classes, steps = rng.randint(2, 5), rng.randint(1, 4)
        z = [vector(rng, classes) for _ in range(steps + 1)]
        eta = [amax([x - y for x, y in zip(after, before, strict=True)]) for before, after in pairwise(z)]
        total = budget.telescoped(floats([[x] for x in eta]))
        close(total[0], sum(eta, Q(0)))
        assert amax([x - y for x, y in zip(z[-1], z[0], strict=True)]) <= sum(eta)
        c = rng.randrange(classes)
        exact = cumulant(softmax(z[0])[c], 2 * sum(eta, Q(0)))
        close(cross_entropy.increase_upper(*logs(c, z[0]), total)[0], exact, 60.0)
        assert ce(c, z[-1]) - ce(c, z[0]) <= exact


@covers("margin_moves", "label_stable")
def test_margins():
    for rng in draws(60):
        c, z, d, eta = classifier(rng)
        after = [x + y for x, y in zip(z, d, strict=True)]
        assert margins.true_margin(floats([z]), [c])[0] == float(margin(c, z))
        assert abs(margin(c, after) - margin(c, z)) <= 2 * eta
        c = z.index(max(z))
        stable = margins.predicted_label_stable(margins.predicted_margin(floats([z])), [float(eta)])[0]
        assert stable == (margin(c, z) > 2 * eta)
        assert not stable or all(after[j] < after[c] for j in range(len(z)) if j != c)


@covers("accuracy_interval", "accuracy_change", "zero_budget")
@pytest.mark.parametrize("still", [False, True])
def test_accuracy(still: bool):
    for rng in draws(60):
        samples, classes = rng.randint(1, 6), rng.randint(2, 4)
        z = [[Q(rng.randint(-2, 2)) for _ in range(classes)] for _ in range(samples)]
        after = z if still else [[x + Q(rng.randint(-1, 1), 2) for x in row] for row in z]
        eta = [amax([x - y for x, y in zip(a, b, strict=True)]) for a, b in zip(after, z, strict=True)]
        labels = [rng.randrange(classes) for _ in range(samples)]
        before = [margin(c, row) for c, row in zip(labels, z, strict=True)]
        change = Q(sum(margin(c, row) > 0 for c, row in zip(labels, after, strict=True)) - sum(x > 0 for x in before), samples)
        lose = Q(sum(0 < x <= 2 * e for x, e in zip(before, eta, strict=True)), samples)
        gain = Q(sum(-2 * e < x <= 0 for x, e in zip(before, eta, strict=True)), samples)
        either = Q(sum(abs(x) <= 2 * e for x, e in zip(before, eta, strict=True)), samples)
        delta, moves = margins.true_margin(floats(z), labels), floats(eta)
        low, high = margins.accuracy_change_interval(margins.may_lose(delta, moves), margins.may_gain(delta, moves))
        close(low, -lose)
        close(high, gain)
        close(float(np.mean(margins.may_change_published(delta, moves))), either)
        assert -lose <= change <= gain
        assert abs(change) <= either
        assert not still or (change == 0 and not margins.may_gain(delta, moves).any())


@covers("pairwise_stable")
def test_pairwise_margin():
    for rng in draws(60):
        c, z, d, _ = classifier(rng)
        gains = [x - d[c] + number(rng, 0, 3) for x in d]
        leads = all(gains[j] < z[c] - z[j] for j in range(len(z)) if j != c)
        lost = margins.may_lose_pairwise(floats([z]), [c], floats([gains]))[0]
        assert lost == (margin(c, z) > 0 and not leads)
        assert not leads or margin(c, [x + y for x, y in zip(z, d, strict=True)]) > 0


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
        assert python_budget(constants, inputs, both) <= 2.0 * float(top) * np.sqrt(float(trace)) * (1.0 + TOLERANCE)


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
        close(elastic_net.reward(floats(q), float(l2 * (1 + theta)), float(l1)), l2 * (1 + theta) * fro2(q) + l1 * one(q), scale)
        rewards = [exact_reward(l2, l1, part) for part in (q, p, removed)]
        assert rewards[2] == rewards[0] + rewards[1]
        total = bounds["Q"] + bounds["P"]
        if bounds["Q"] < rewards[0] and bounds["P"] < rewards[1]:
            assert elastic_net.is_improvement(float(total), elastic_net.reward(floats(removed), float(l2), float(l1)))
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
        close(float(np.mean(cross_entropy.increase_upper(*pair, floats(moves)))), exact, 500.0)
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


def scored(rng: random.Random) -> tuple[Vector, list[bool], Fraction, Fraction]:
    """(scores >= 0 with a positive sum, a mask of the largest, P, Q)."""
    size = rng.randint(1, 7)
    a = [abs(x) for x in vector(rng, size - 1)] + [abs(number(rng, 1, 9))]
    rng.shuffle(a)
    order = sorted(range(size), key=lambda i: (-a[i], i))
    kept = set(order[: rng.randint(0, size)])
    return a, [i in kept for i in range(size)], sum(a, Q(0)), sum((x * x for x in a), Q(0))


@covers("effective_range", "threshold_count", "removed_below_threshold", "energy_lemma", "additive_domination")
def test_effective_number():
    for rng in draws(80):
        a, keep, total, square = scored(rng)
        number_of = total**2 / square
        close(effective_number.effective_number(floats(a)), number_of)
        assert 1 <= number_of <= len(a)
        threshold = effective_number.sure_threshold(floats(a))
        close(threshold, square / total)
        assert sum(x >= square / total for x in a) <= number_of
        assert sum(float(x) >= threshold for x in a) <= number_of
        removed = [x for x, kept in zip(a, keep, strict=True) if not kept]
        if number_of < sum(keep) + 1:
            assert all(x < square / total for x in removed)
        phi = 1 - sum(removed, Q(0)) / total
        energy = effective_number.removed_energy_upper(float(phi), float(square))
        close(energy, square * sum(removed, Q(0)) / total, float(square))
        assert sum((x * x for x in removed), Q(0)) * total <= square * sum(removed, Q(0))
        constant = abs(number(rng))
        exact = constant * total * (1 - phi)
        assert exact == constant * sum(removed, Q(0))
        close(retained_loss.change_upper_additive(float(constant), float(total), float(phi)), exact, float(constant * total))


@covers("largest_share", "largest_share_attained", "mass_upper", "first_cell")
def test_retained_mass():
    for rng in draws(60):
        a, keep, total, square = scored(rng)
        n, kept, c = len(a), max(1, sum(keep)), square / total**2
        top = sum(sorted(a)[-kept:], Q(0)) / total
        low, high = mass_bounds.retained_mass_range(n, kept, c)
        upper = Decimal(kept) / n + (decimal((c - Q(1, n)) * kept * (n - kept) / n)).sqrt()
        assert decimal(top) <= upper + Decimal("1e-300")
        close(high, min(upper, Decimal(1)))
        if n >= 2 and c >= Q(1, 2):
            least = (1 + decimal(2 * c - 1).sqrt()) / 2
            low, _ = mass_bounds.retained_mass_range(n, 1, c)
            close(low, least)
            assert decimal(max(a) / total) >= least - Decimal("1e-300")
            shares, _ = mass_bounds.extremal_shares(n, 1, c)
            assert np.allclose(np.sort(shares)[::-1][:2], [float(least), float(1 - least)], rtol=0.0, atol=1e-9)
        if n >= 2 and total**2 < 2 * square:
            assert max(a) > total / 2
            assert mass_bounds.cell_retained_mass_infimum(n, 1) == 0.5


@covers("rank_monotone", "mask_equality")
def test_rank_monotone_masks():
    for rng in draws(200):
        size = rng.randint(2, 6)
        m, s = ([Q(rng.randint(0, 4)) for _ in range(size)] for _ in range(2))
        if rng.random() < 0.3:
            s = [2 * x + 1 for x in m]
        pairs = [(i, j) for i in range(size) for j in range(size)]
        monotone = all((m[i] >= m[j] or s[i] < s[j]) and (m[i] != m[j] or s[i] == s[j]) for i, j in pairs)
        assert rank_monotone.is_rank_monotone(floats(s), floats(m)) == monotone
        for kept in range(size + 1):
            of_m, of_s = (set(sorted(range(size), key=lambda i, x=x: (-x[i], i))[:kept]) for x in (m, s))
            assert set(np.flatnonzero(rank_monotone.top_mask(floats(m), kept))) == of_m
            assert not monotone or of_m == of_s
            above = all(s[j] < s[i] for i in of_m for j in range(size) if j not in of_m)
            assert rank_monotone.separates_top(floats(s), floats(m), kept) == above
            clean = all(s[i] != s[j] for i in of_s for j in range(size) if j not in of_s)
            assert rank_monotone.cut_is_clean(floats(s), kept) == clean
            assert not clean or (of_m == of_s) == above


@covers("average_upper")
def test_average_of_probabilities():
    for rng in draws():
        samples, x = rng.randint(1, 5), abs(number(rng))
        p = [Q(rng.randint(1, 63), 64) for _ in range(samples)]
        average = sum(p, Q(0)) / samples
        exact = cumulant(decimal(average), x)
        assert sum((cumulant(decimal(q), x) for q in p), Decimal(0)) / samples <= exact + Decimal("1e-300")
        logarithms = np.log([float(q) for q in (*p, average)]), np.log1p([-float(q) for q in (*p, average)])
        computed = cross_entropy.increase_upper(*logarithms, np.full(samples + 1, float(x / 2)))
        close(computed[-1], exact, 20.0)
        assert np.mean(computed[:-1]) <= computed[-1] + TOLERANCE


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


@covers("pooled_number", "curvature_scores")
def test_pooling_and_curvature():
    for rng in draws():
        blocks = rng.randint(1, 5)
        masses, numbers = ([abs(number(rng, 1, 12)) for _ in range(blocks)] for _ in range(2))
        shares = [x / sum(masses, Q(0)) for x in masses]
        pooled = 1 / sum((p**2 / d for p, d in zip(shares, numbers, strict=True)), Q(0))
        assert pooled <= sum(numbers)
        numbers = [1 + d for d in numbers]
        pooled = 1 / sum((p**2 / d for p, d in zip(shares, numbers, strict=True)), Q(0))
        close(effective_number.merged_number(floats(masses), floats(numbers)), pooled)
        roots, delta = vector(rng, blocks), vector(rng, blocks)
        scores = [abs(x) * abs(r) for x, r in zip(delta, roots, strict=True)]
        exact = sum(scores, Q(0)) ** 2 / 2
        close(retained_loss.change_upper_curvature_scores(floats(scores)), exact)
        assert sum((x * r for x, r in zip(delta, roots, strict=True)), Q(0)) ** 2 / 2 <= exact


def test_every_function_is_linked():
    assert {entry.theorem for entry in ENTRIES if entry.function} == COVERED
