"""Each Coq statement on scores, masks and graphs against its Python function, on rational instances."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np

from certify.theory import graph_spectra, rank_monotone, thresholds
from certify.theory.emp import effective_number, mass_bounds, retained_loss
from tests.coq.exact import Q, Vector, close, covers, decimal, draws, floats, matrix, number, vector


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


@covers("effective_support", "largest_share_range", "group_number")
def test_range_of_the_effective_number():
    for rng in draws(80):
        a, _, total, square = scored(rng)
        if rng.random() < 0.3:
            a = [Q(rng.randint(0, 1)) for _ in a] + [Q(1)]
            total, square = sum(a, Q(0)), sum((x * x for x in a), Q(0))
        number_of, nonzero = total**2 / square, [x for x in a if x]
        assert number_of <= len(nonzero)
        assert (number_of == len(nonzero)) == (len(set(nonzero)) == 1)
        close(effective_number.effective_number(floats(a)), number_of)
        low, high = effective_number.number_range(floats(a))
        ratio = total / max(a)
        close(low, ratio)
        close(high, min(Q(len(nonzero)), ratio**2))
        assert ratio <= number_of <= min(Q(len(nonzero)), ratio**2)
        groups = [rng.randrange(3) for _ in a]
        sums = [sum((x for x, g in zip(a, groups, strict=True) if g == k), Q(0)) for k in range(3)]
        largest = max(groups.count(k) for k in range(3))
        grouped = total**2 / sum((x * x for x in sums), Q(0))
        close(effective_number.effective_number(floats(sums)), grouped)
        assert number_of / largest <= grouped <= min(Q(3), number_of)


@covers("pooled_blocks", "pooled_equality", "pooled_counts")
def test_pooled_blocks():
    for rng in draws(60):
        blocks = [scored(rng)[0] for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.3:
            blocks = [blocks[0]] * 3
        masses = [sum(a, Q(0)) for a in blocks]
        numbers = [p**2 / sum((x * x for x in a), Q(0)) for a, p in zip(blocks, masses, strict=True)]
        everything = [x for a in blocks for x in a]
        shares = [p / sum(masses, Q(0)) for p in masses]
        pooled = sum(everything, Q(0)) ** 2 / sum((x * x for x in everything), Q(0))
        assert 1 / pooled == sum((p**2 / d for p, d in zip(shares, numbers, strict=True)), Q(0))
        close(effective_number.merged_number(floats(masses), floats(numbers)), pooled)
        assert (pooled == sum(numbers)) == (len({p / d for p, d in zip(shares, numbers, strict=True)}) == 1)
        beta = Q(rng.randint(1, 8), 8)
        kept = [max(1, math.floor(beta * d)) for d in (*numbers, pooled)]
        assert kept[-1] <= sum(kept[:-1]) + len(blocks) - 1
        for a, count in zip((*blocks, everything), kept, strict=True):
            assert effective_number.kept_count(floats(a), beta) == count


@covers("retained_mass_lower", "retained_mass_attained", "cell_mass", "mass_upper_attained")
def test_range_of_the_retained_mass():
    for rng in draws(60):
        a, _, total, square = scored(rng)
        n, c = len(a), square / total**2
        for kept in range(1, n):
            top = sum(sorted(a)[-kept:], Q(0)) / total
            low, high = mass_bounds.retained_mass_range(n, kept, c)
            least, most = mass_bounds.extremal_shares(n, kept, c)
            assert np.isclose(np.sort(least)[-kept:].sum(), low, rtol=0.0, atol=1e-7)
            assert np.isclose(np.sort(most)[-kept:].sum(), high, rtol=0.0, atol=1e-7)
            if kept >= 2 and c * (kept + 1) >= 1:
                exact = Q(kept, n) + (1 - Q(kept, n)) * Fraction(decimal((n * c - 1) / (n - 1)).sqrt())
                close(low, exact)
                assert decimal(top) >= decimal(exact) - Decimal("1e-100")
            if c * kept >= 1:
                assert high == 1.0
            if kept >= 2 and kept <= 1 / c < kept + 1:
                inner = decimal(Q(n - kept - 1, (kept + 1) * (n - 1))).sqrt()
                cell = Decimal(kept) / n + (1 - Decimal(kept) / n) * inner
                close(mass_bounds.cell_retained_mass_infimum(n, kept), cell)
                assert decimal(top) > cell


@covers("same_masks_same_order", "rank_monotone_base", "base_rule", "index_rule")
def test_masks_with_ties():
    for rng in draws(200):
        size = rng.randint(2, 6)
        m = [Q(rng.randint(0, 4)) for _ in range(size)]
        levels = sorted({*m})
        flat = dict(zip(levels, sorted(rng.randint(0, 3) for _ in levels), strict=True))
        s = [Q(flat[x]) for x in m]
        assert rank_monotone.is_rank_monotone(floats(s), floats(m), strictly=False)
        masks = []
        for kept in range(1, size + 1):
            of_m = set(sorted(range(size), key=lambda i, x=m: (-x[i], i))[:kept])
            of_s = set(sorted(range(size), key=lambda i, x=s: (-x[i], i))[:kept])
            masks.append(of_m == of_s)
            by_base = rank_monotone.top_mask(floats(s), kept, floats(m))
            assert set(np.flatnonzero(by_base)) == of_m
            cut = sorted(s, reverse=True)[kept - 1]
            spare, tied = kept - sum(x > cut for x in s), sum(x == cut for x in s)
            bound = rank_monotone.tie_difference_upper(floats(s), kept)
            assert bound == 2 * min(spare, tied - spare)
            assert len(of_m ^ of_s) <= bound
        same_order = sorted(range(size), key=lambda i: (-m[i], i)) == sorted(range(size), key=lambda i: (-s[i], i))
        assert all(masks) == same_order
        assert not rank_monotone.is_rank_monotone(floats(s), floats(m)) or all(masks)


@covers("threshold_support", "threshold_recovery")
def test_thresholded_support():
    for rng in draws(60):
        signal, noise = matrix(rng, 2, 3), matrix(rng, 2, 3)
        signal = [[x * rng.randint(0, 1) for x in row] for row in signal]
        t = max(abs(x) for row in noise for x in row)
        found = thresholds.above_threshold(floats(signal) + floats(noise), float(t))
        for i in range(2):
            for j in range(3):
                assert found[i, j] == (abs(signal[i][j] + noise[i][j]) > t)
                assert found[i, j] or abs(signal[i][j]) <= 2 * t
                assert signal[i][j] or not found[i, j]


@covers("edge_score_sum")
def test_edge_scores():
    for rng in draws(10):
        n = rng.randint(3, 5)
        graphs = []
        for _ in range(2):
            w = [[0.0] * n for _ in range(n)]
            for p in range(n):
                for q in range(p):
                    w[p][q] = w[q][p] = float(rng.randint(1, 9))
            graphs.append(np.array(w))
        pairs = graph_spectra.pencil(*graphs)
        edges = graph_spectra.edge_scores(pairs, n - 1)
        total = float(np.sum(pairs.values**2))
        inner, outer = (np.diag(w.sum(axis=1)) - w for w in graphs)
        assert np.allclose(inner @ pairs.vectors, outer @ pairs.vectors * pairs.values, rtol=0.0, atol=1e-9)
        assert np.allclose(np.diag(pairs.vectors.T @ outer @ pairs.vectors), 1.0, rtol=0.0, atol=1e-9)
        assert np.isclose(0.5 * np.sum(graphs[0] * edges), total, rtol=1e-9)
        nodes = graph_spectra.node_scores(graphs[0], edges)
        assert np.isclose(np.sum(graphs[0].sum(axis=1) * nodes), 2.0 * total, rtol=1e-9)
