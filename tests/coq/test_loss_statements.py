"""Each Coq statement on the cross-entropy and the margins of samples against its Python function, on rational instances.

The exact side is written from the Coq statement; the function runs in floats and must agree within 1e-12 of the scale of its
terms. `exact.py` has the definitions.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, product

import numpy as np
import pytest

from certify.theory import budget, cross_entropy, margins
from tests.coq.exact import (
    TOLERANCE,
    Q,
    amax,
    applied,
    ce,
    classifier,
    close,
    covers,
    cumulant,
    decimal,
    draws,
    floats,
    logs,
    margin,
    matrix,
    number,
    softmax,
    vector,
)


@covers("two_eta", "ce_moves")
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


@covers("sequential_upper", "telescoped_logits", "cumulant_composition", "cumulant_telescoped")
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
        p, stepwise = softmax(z[0])[c], Decimal(0)
        for e in eta:
            stepwise += cumulant(p, 2 * e)
            p /= p + (1 - p) * decimal(2 * e).exp()
        assert abs(stepwise - exact) < Decimal("1e-50")


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


@covers("pairwise_chain")
def test_pairwise_bounds_in_order():
    for rng in draws():
        c, z, d, eta = classifier(rng)
        q, gains = softmax(z), vector(rng, len(z))
        omega = max(x for j, x in enumerate(gains) if j != c)
        sharp = (q[c] + sum(q[j] * decimal(gains[j]).exp() for j in range(len(z)) if j != c)).ln()
        exact = cumulant(q[c], omega)
        close(cross_entropy.increase_upper_oscillation(*logs(c, z), [float(omega)])[0], exact, 30.0)
        assert sharp <= exact + Decimal("1e-50")
        assert max(x - d[c] for x in d) <= max(d) - min(d) <= 2 * eta


@covers("readout_pairwise")
def test_readout():
    for rng in draws():
        classes, features = rng.randint(2, 4), 3
        readout, move = matrix(rng, classes, features), vector(rng, features)
        c, size = rng.randrange(classes), amax(move)
        exact = [sum((abs(x - y) for x, y in zip(row, readout[c], strict=True)), Q(0)) * size for row in readout]
        computed = cross_entropy.pairwise_by_readout(floats(readout), [c], [float(size)])[0]
        gains = applied(readout, move)
        for j in range(classes):
            close(computed[j], exact[j], 100.0)
            assert gains[j] - gains[c] <= exact[j]


@covers("hoeffding_upper")
def test_hoeffding():
    for rng in draws():
        p, x = Q(rng.randint(1, 63), 64), number(rng)
        exact = (1 - p) * x + x * x / 8
        close(cross_entropy.increase_upper_hoeffding(np.log([float(p)]), np.log1p([-float(p)]), [float(x)])[0], exact, 20.0)
        assert cumulant(decimal(p), x) <= decimal(exact)


@covers("average_change")
def test_average_change():
    for rng in draws():
        samples, classes = rng.randint(1, 4), rng.randint(2, 4)
        z, d = matrix(rng, samples, classes), matrix(rng, samples, classes)
        labels = [rng.randrange(classes) for _ in range(samples)]
        eta = max(amax(row) for row in d)
        exact = cumulant(sum((softmax(row)[c] for c, row in zip(labels, z, strict=True)), Decimal(0)) / samples, 2 * eta)
        pair = cross_entropy.log_probabilities(floats(z), labels)
        close(cross_entropy.increase_upper_average(*pair, float(eta)), exact, 40.0)
        after = [[x + y for x, y in zip(a, b, strict=True)] for a, b in zip(z, d, strict=True)]
        change = sum((ce(c, y) - ce(c, x) for c, x, y in zip(labels, z, after, strict=True)), Decimal(0)) / samples
        assert change <= exact


@covers("soft_label_upper", "soft_label_exact")
def test_soft_labels():
    for rng in draws(15):
        classes, eta = rng.randint(2, 4), abs(number(rng))
        z, parts = vector(rng, classes), [Q(rng.randint(0, 4)) for _ in range(classes - 1)] + [Q(1)]
        t, q = [x / sum(parts, Q(0)) for x in parts], softmax(z)
        values = [
            (inside * decimal(2 * eta).exp() + 1 - inside).ln() - decimal(2 * eta * taken)
            for chosen in product((0, 1), repeat=classes)
            for inside in [sum((a * b for a, b in zip(q, chosen, strict=True)), Decimal(0))]
            for taken in [sum((a * b for a, b in zip(t, chosen, strict=True)), Q(0))]
        ]
        arguments = floats([z]), floats([t]), [float(eta)]
        close(cross_entropy.softlabel_upper(*arguments)[0], max(values), 40.0)
        far = decimal(eta) * sum(abs(a - decimal(b)) for a, b in zip(q, t, strict=True)) + decimal(eta * eta / 2)
        close(cross_entropy.softlabel_upper_hoeffding(*arguments)[0], min(far, decimal(2 * eta)), 200.0)
        assert max(values) <= min(far, decimal(2 * eta)) + Decimal("1e-50")


@covers("ce_derivative", "residual_norm")
def test_gradient():
    step = Decimal("1e-150")
    for rng in draws(10):
        c, z, d, _ = classifier(rng)
        q = softmax(z)
        close(cross_entropy.cross_entropy(floats([z]), [c])[0], ce(c, z), 40.0)
        assert np.allclose(cross_entropy.softmax(floats([z]))[0], [float(x) for x in q], rtol=0.0, atol=TOLERANCE)

        def along(h: Decimal, c: int = c, z: list = z, d: list = d) -> Decimal:
            moved = [decimal(x) + h * decimal(y) for x, y in zip(z, d, strict=True)]
            return -moved[c] + sum((x.exp() for x in moved), Decimal(0)).ln()

        residual = [x - (j == c) for j, x in enumerate(q)]
        slope = sum((r * decimal(x) for r, x in zip(residual, d, strict=True)), Decimal(0))
        assert abs((along(step) - along(-step)) / (2 * step) - slope) < Decimal("1e-100")
        assert abs(sum(abs(r) for r in residual) - 2 * (1 - q[c])) < Decimal("1e-100")


@covers("pairwise_wrong", "margin_worst")
def test_wrong_labels_and_worst_moves():
    for rng in draws(60):
        c, z, d, eta = classifier(rng)
        gains = [d[c] - x + number(rng, 0, 3) for x in d]
        stays_wrong = any(z[j] - z[c] >= gains[j] for j in range(len(z)) if j != c)
        gained = margins.may_gain_pairwise(floats([z]), [c], floats([gains]))[0]
        assert gained == (margin(c, z) <= 0 and not stays_wrong)
        assert not stays_wrong or margin(c, [x + y for x, y in zip(z, d, strict=True)]) <= 0
        worst = [x + (-eta if j == c else eta) for j, x in enumerate(z)]
        assert margins.true_margin(floats([worst]), [c])[0] == float(margin(c, z) - 2 * eta)


@covers("top_stable", "top_interval")
def test_top_k():
    for rng in draws(60):
        classes, samples = rng.randint(2, 5), rng.randint(1, 4)
        k, labels = rng.randint(1, classes - 1), [rng.randrange(classes) for _ in range(samples)]
        z = [[Q(rng.randint(-3, 3)) for _ in range(classes)] for _ in range(samples)]
        after = [[x + Q(rng.randint(-2, 2), 2) for x in row] for row in z]
        eta = [amax([x - y for x, y in zip(a, b, strict=True)]) for a, b in zip(after, z, strict=True)]

        def lead(c: int, row: list, k: int = k) -> Q:
            return row[c] - sorted((x for j, x in enumerate(row) if j != c), reverse=True)[k - 1]

        before = [lead(c, row) for c, row in zip(labels, z, strict=True)]
        computed = margins.topk_margin(floats(z), labels, k)
        assert list(computed) == [float(x) for x in before]
        for c, row, x, e in zip(labels, after, before, eta, strict=True):
            inside = sum(y >= row[c] for j, y in enumerate(row) if j != c) < k
            assert inside == (lead(c, row) > 0)
            assert x <= 2 * e or inside
        lose = Q(sum(0 < x <= 2 * e for x, e in zip(before, eta, strict=True)), samples)
        gain = Q(sum(-2 * e < x <= 0 for x, e in zip(before, eta, strict=True)), samples)
        low, high = margins.accuracy_change_interval(
            margins.may_lose(computed, floats(eta)), margins.may_gain(computed, floats(eta))
        )
        close(low, -lose)
        close(high, gain)
        change = Q(sum(lead(c, row) > 0 for c, row in zip(labels, after, strict=True)) - sum(x > 0 for x in before), samples)
        assert -lose <= change <= gain
