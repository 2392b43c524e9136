"""EMP-T1..T4, C5, P1: exhaustive lattices in exact arithmetic, extremal vectors, sampled vectors, the refuted bound."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory.emp.effective_number import (
    effective_number_exact,
    kept_count_exact,
    retained_mass,
    retained_mass_exact,
)
from certify.theory.emp.mass_bounds import (
    cell_holds_exact,
    cell_retained_mass_infimum,
    extremal_shares,
    mass_in_range_exact,
    removed_mass_published,
    retained_mass_bounds,
    retained_mass_range,
    retained_mass_range_exact,
)
from theory.emp_strategies import BETAS, scores, whole_scores


def partitions(total, largest):
    """Non-increasing whole vectors >= 1 of a given sum."""
    if total == 0:
        yield ()
    for first in range(min(total, largest), 0, -1):
        for rest in partitions(total - first, first):
            yield (first, *rest)


def padded(total):
    for vector in partitions(total, total):
        for zeros in (0, 1, 3, len(vector) + 5):
            yield [*vector, *[0] * zeros]


def concentration(values):
    return 1 / effective_number_exact(values)


@st.composite
def ranges(draw, *, max_entries: int = 40):
    """(N, K, c) with c rational, at its ends and at the vertices 1/k too."""
    n = draw(st.integers(1, max_entries))
    inside = st.fractions(Fraction(1, n), 1, max_denominator=10**6)
    return n, draw(st.integers(1, n)), draw(st.one_of(inside, st.integers(1, n).map(lambda k: Fraction(1, k))))


def test_known_ranges():
    assert retained_mass_range_exact(3, 1, Fraction(5002, 10000))[0] == Fraction(51, 100)
    assert retained_mass_range_exact(4, 2, Fraction(1, 3))[0] == Fraction(2, 3)
    assert retained_mass_range_exact(4, 2, Fraction(1, 4)) == (Fraction(1, 2), Fraction(1, 2))
    assert retained_mass_range_exact(5, 4, Fraction(1, 4)) == (Fraction(17, 20), Fraction(1))
    assert retained_mass_range_exact(5, 1, Fraction(1, 4)) == (Fraction(1, 4), Fraction(2, 5))
    assert retained_mass_range_exact(4, 3, Fraction(1, 2))[1] == 1
    assert retained_mass_range_exact(5, 1, Fraction(13, 48))[0] == Fraction(7, 24)
    assert retained_mass_range_exact(9, 2, Fraction(17, 80))[0] == Fraction(9, 20)
    assert retained_mass_range(7, 7, 0.3) == (1.0, 1.0)
    assert retained_mass_range(1, 1, 1) == (1.0, 1.0)
    low, _ = retained_mass_range(10**6, 636_620, Fraction(1, 636_620))
    assert low == pytest.approx(0.63689, abs=1e-5)


def test_known_upper_end():
    """N = 4, K = 2, c = 3/8: 1/2 + sqrt(1/8) from (a, a, b, b)."""
    _, high = retained_mass_range(4, 2, 0.375)
    assert high == pytest.approx(0.5 + math.sqrt(0.125), abs=1e-15)
    a, b = high / 2, (1 - high) / 2
    assert 2 * a * a + 2 * b * b == pytest.approx(0.375, abs=1e-15)


@pytest.mark.claim("EMP-T1", "EMP-T2", "EMP-T3", "EMP-X1", kind="exact")
def test_every_small_lattice_vector_and_every_kept_count():
    """Theorems 1 to 3 without a square root: 0 violations; the ends bracket what is there."""
    for total in range(1, 13):
        for vector in padded(total):
            for kept in range(1, len(vector) + 1):
                assert mass_in_range_exact(vector, kept), (vector, kept)


@pytest.mark.claim("EMP-C5", "EMP-P1", kind="exact")
def test_every_small_lattice_vector_in_its_cell():
    """Corollary 5 on all partitions up to 20; the published bound fails at N_eff = 1 and only there."""
    failures = set()
    for total in range(1, 21):
        for vector in padded(total):
            assert cell_holds_exact(vector), vector
            n, nu = len(vector), kept_count_exact(vector)
            phi = retained_mass_exact(vector, nu)
            infimum = Fraction(cell_retained_mass_infimum(n, nu))
            assert phi >= infimum if nu == n else phi > infimum
            if 1 - phi > Fraction(removed_mass_published(n, nu)) + Fraction(1, 10**12):
                failures.add(nu)
    assert failures == {1}


def test_the_least_value_is_reached_on_a_fine_lattice():
    """No bound above m_K survives: among whole vectors of sum 36 some come within 0.03 of the lower end."""
    for kept, cell in ((1, 1), (2, 2), (3, 3), (1, 3), (2, 4)):
        slack = [
            retained_mass_exact(vector, kept) - retained_mass_range_exact(5, kept, concentration(vector))[0]
            for vector in ([*v, *[0] * (5 - len(v))] for v in partitions(36, 36) if len(v) <= 5)
            if kept_count_exact(vector) == cell
        ]
        assert 0 <= min(slack) < Fraction(3, 100)


@pytest.mark.claim("EMP-T1", "EMP-T2", "EMP-T3", "EMP-X1")
@given(ranges())
def test_extremal_vectors_attain_both_ends(instance):
    n, kept, c = instance
    low, high = retained_mass_range_exact(n, kept, c)
    for point, end in zip(extremal_shares(n, kept, c), (low, high), strict=True):
        assert point.sum() == pytest.approx(1.0, abs=1e-12)
        assert np.sum(point**2) == pytest.approx(float(c), rel=1e-12)
        assert np.sort(point)[::-1][:kept].sum() == pytest.approx(float(end), abs=1e-12)


@given(ranges())
def test_range_is_ordered_and_rounded_outward(instance):
    n, kept, c = instance
    low, high = retained_mass_range_exact(n, kept, c)
    assert Fraction(kept, n) <= low <= high + Fraction(1, 2**90)
    assert high <= 1
    below, above = retained_mass_range(n, kept, c)
    assert Fraction(below) <= low <= Fraction(math.nextafter(below, 2.0))
    assert Fraction(math.nextafter(above, 0.0)) <= high <= Fraction(above)
    if kept < n:
        wider = retained_mass_range_exact(n, kept + 1, c)
        assert low <= wider[0] + Fraction(1, 2**90)
        assert high <= wider[1] + Fraction(1, 2**90)


@given(ranges(), st.fractions(0, 1, max_denominator=100))
def test_both_ends_increase_with_concentration(instance, share):
    n, kept, c = instance
    more = c + (1 - c) * share
    first, second = retained_mass_range_exact(n, kept, c), retained_mass_range_exact(n, kept, more)
    assert first[0] <= second[0] + Fraction(1, 2**90)
    assert first[1] <= second[1] + Fraction(1, 2**90)


def least_over_edges(n, kept, c, starts):
    """min phi_K over the edges [zeta_k, zeta_j], j in `starts`, that meet the concentration c; plain floats."""
    k, j = (grid.ravel() for grid in np.meshgrid(np.arange(1, n + 1), np.array(sorted(starts))))
    meets = (j < k) & (k * float(c) >= 1 - 1e-12) & (j * float(c) <= 1 + 1e-12)
    k, j = k[meets], j[meets]
    t = np.sqrt(np.clip((float(c) - 1 / k) / (1 / j - 1 / k), 0.0, 1.0))
    values = (1 - t) * np.minimum(1.0, kept / k) + t * np.minimum(1.0, kept / j)
    return min(values, default=1.0)


@pytest.mark.claim("EMP-T1")
@given(ranges(max_entries=30))
def test_edge_lemma(instance):
    """The formulas against the minimum over all edges, not only those that Theorem 1 names."""
    n, kept, c = instance
    low, _ = retained_mass_range_exact(n, kept, c)
    assert float(low) == pytest.approx(least_over_edges(n, kept, c, range(1, n + 1)), abs=1e-6)
    if c <= Fraction(1, kept + 1) or kept == n:
        return
    closed = kept / n + (1 - kept / n) * math.sqrt((n * c - 1) / (n - 1)) if kept >= 2 else (1 + math.sqrt(2 * c - 1)) / 2
    assert float(low) == pytest.approx(closed, abs=1e-12)


@pytest.mark.claim("EMP-X1")
@given(ranges(max_entries=3000), st.integers(1, 12))
def test_two_edges_are_enough(instance, kept):
    """X1: the least over all k of Theorem 1 lies at k = N or on [zeta_{j+1}, zeta_j]."""
    n, _, c = instance
    kept = min(kept, n)
    low, _ = retained_mass_range_exact(n, kept, c)
    assert float(low) == pytest.approx(least_over_edges(n, kept, c, {1, math.floor(1 / c)}), abs=1e-6)


@given(st.fractions(0, 1, max_denominator=50), st.integers(2, 30), st.integers(1, 9))
def test_the_form_that_is_concave(y, k, kept):
    """phi_K on [zeta_k, zeta_1] is y + K (c - y^2) / (1 + y) at c = (1 + (k - 1) y^2) / k, exactly."""
    kept = min(kept, k)
    c = (1 + (k - 1) * y * y) / Fraction(k)
    assert Fraction(kept, k) + (1 - Fraction(kept, k)) * y == y + kept * (c - y * y) / (1 + y)


@pytest.mark.claim("EMP-X1", "EMP-T3", kind="exact")
@given(ranges())
def test_the_fractions_enclose(instance):
    """Each end against its square root, by squares: on the right side, and within 2^-190."""
    n, kept, c = instance
    low, high = retained_mass_range_exact(n, kept, c)
    start, tiny = Fraction(kept, n), Fraction(1, 2**190)
    spread = (c - Fraction(1, n)) * kept * (n - kept) / n
    if c * kept < 1:
        assert (high - start) ** 2 >= spread
        assert spread == 0 or (high - start - tiny) ** 2 < spread
    if 2 <= kept < n and c * (kept + 1) >= 1:
        root = (low - start) / (1 - start)
        assert root**2 <= (n * c - 1) / Fraction(n - 1) <= (root + n * tiny) ** 2


@pytest.mark.claim("EMP-X1", "EMP-T3", kind="exact")
@given(whole_scores(max_size=8), BETAS)
def test_bounds_hold_for_every_beta(values, beta):
    kept = kept_count_exact(values, beta)
    assert mass_in_range_exact(values, kept)
    low, high = retained_mass_range_exact(len(values), kept, concentration(values))
    assert low <= retained_mass_exact(values, kept) <= high


@pytest.mark.claim("EMP-X1", "EMP-T2", "EMP-T3")
@given(scores())
def test_bounds_from_float_scores(values):
    for kept in range(1, len(values) + 1):
        low, high = retained_mass_bounds(values, kept)
        assert Fraction(low) <= retained_mass_exact(values, kept) <= Fraction(high)
        wide = retained_mass_range(len(values), kept, concentration(values))
        assert wide[0] <= low <= high <= wide[1]
    assert retained_mass_bounds(values, len(values)) == (1.0, 1.0)
    assert retained_mass_bounds([2.0, 1.0, 1.0, 0.0, 0.0], 2)[0] == 0.75


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 20.0])
def test_sampled_vectors_for_every_kept_count(alpha):
    """Dirichlet vectors never leave the range, whichever K is asked."""
    for shares in np.random.default_rng(7).dirichlet(np.full(12, alpha), 40):
        for kept in range(1, 13):
            low, high = retained_mass_bounds(shares, kept)
            assert low <= retained_mass(shares, kept) <= high


def path_value(n, kept, c, share):
    """phi_K along a path at constant c from the least to the largest point: both pushed onto the face omega_N = 0 along
    rays from the barycentre, joined through e_1, pulled back (the proof of Theorem 4)."""
    centre, corner = np.full(n, 1 / n), np.eye(n)[0]
    ends = [centre + (p - centre) / (1 - n * min(p)) for p in extremal_shares(n, kept, c)]
    first, second, where = (ends[0], corner, 2 * share) if share < 0.5 else (corner, ends[1], 2 * share - 1)
    point = (1 - where) * first + where * second - centre
    point *= math.sqrt((float(c) - 1 / n) / np.sum(point**2))
    point += centre
    assert point.min() > -1e-12
    assert np.all(np.diff(point) < 1e-12)
    return point[:kept].sum()


@pytest.mark.claim("EMP-T4")
@pytest.mark.parametrize(("n", "kept", "c"), [(5, 2, 0.3), (6, 1, 0.35), (8, 5, 0.2), (7, 3, 0.5), (9, 2, 0.12)])
def test_no_gaps(n, kept, c):
    """Theorem 4: a bisection along the path finds every value between the ends."""
    low, high = retained_mass_range(n, kept, c)
    for target in np.linspace(low, high, 9)[1:-1]:
        left, right = 0.0, 1.0
        assert path_value(n, kept, c, left) <= target <= path_value(n, kept, c, right)
        for _ in range(60):
            middle = (left + right) / 2
            left, right = (middle, right) if path_value(n, kept, c, middle) < target else (left, middle)
        assert path_value(n, kept, c, right) == pytest.approx(target, abs=1e-9)


def test_the_published_bound_fails_at_one():
    """omega = (.51, .49, 0): D = 1.9992, so one is kept; the bound allows 1/3, the loss is .49."""
    values = [51, 49, 0]
    assert effective_number_exact(values) == Fraction(10000, 5002)
    assert 1 - retained_mass_exact(values, 1) == Fraction(49, 100)
    assert removed_mass_published(3, 1) == pytest.approx(1 / 3)
    assert cell_retained_mass_infimum(3, 1) == 0.5
    assert removed_mass_published(10**9, 1) == pytest.approx(1 - math.sqrt(0.5), abs=1e-4)
    assert removed_mass_published(2, 1) == 0.5


def test_cell_infima():
    assert cell_retained_mass_infimum(4, 2) == pytest.approx(2 / 3)
    assert cell_retained_mass_infimum(3, 2) == pytest.approx(2 / 3)
    assert cell_retained_mass_infimum(6, 5) == pytest.approx(5 / 6)
    assert cell_retained_mass_infimum(9, 9) == 1.0
    for nu in (2, 3, 10, 100):
        column = [cell_retained_mass_infimum(n, nu) for n in (nu + 1, nu + 2, 2 * nu, 50 * nu, 10**12)]
        assert column == sorted(column, reverse=True)
        assert column[-1] == pytest.approx(1 / math.sqrt(nu + 1), abs=1e-9)
        for n in (nu + 1, 3 * nu):
            assert 1 - removed_mass_published(n, nu) == pytest.approx(cell_retained_mass_infimum(n, nu), abs=1e-14)


@pytest.mark.claim("EMP-C5")
@pytest.mark.parametrize(("n", "nu"), itertools.product((3, 4, 9), (1, 2)))
def test_cell_infimum_is_approached_and_never_met(n, nu):
    """c slightly above 1/(nu + 1): the least vector of that concentration is in the cell and close to the infimum."""
    if nu == n:
        return
    gaps = [
        float(retained_mass_range_exact(n, nu, Fraction(1, nu + 1) * (1 + Fraction(1, 10**digits)))[0])
        - cell_retained_mass_infimum(n, nu)
        for digits in (4, 8, 12)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 1e-5


def test_the_whole_cell_needs_its_own_line():
    """Errata: at N_eff = N the strict line of 2.3 asserts 0 > 0, and the published root is of -1."""
    assert cell_holds_exact([1, 1])
    a, n, nu = 2 * 2 - 2 * 2, 2, 2
    assert not a * a * (n - 1) * (nu + 1) > (n - nu) ** 2 * (n - nu - 1) * 4
    assert removed_mass_published(2, 2) == 0.0


def test_floats_near_the_centre_are_lifted():
    """1/49 as a float lies below 1/49 by half a unit in the last place."""
    n = next(n for n in range(3, 100) if Fraction(1.0 / n) < Fraction(1, n))
    assert retained_mass_range(n, 1, 1.0 / n) == retained_mass_range(n, 1, Fraction(1, n))


@pytest.mark.parametrize(
    "call",
    [
        lambda: retained_mass_range(3, 0, 0.5),
        lambda: retained_mass_range(3, 4, 0.5),
        lambda: retained_mass_range(0, 1, 0.5),
        lambda: retained_mass_range(3, 1, 0.2),
        lambda: retained_mass_range(3, 1, 1.1),
        lambda: retained_mass_range(3, 1, math.nan),
        lambda: retained_mass_range(3, 1, True),
        lambda: retained_mass_range_exact(3, 1, Fraction(1, 4)),
        lambda: retained_mass_bounds([0.0, 0.0], 1),
        lambda: retained_mass_bounds([1.0, math.nan], 1),
        lambda: retained_mass_bounds([1.0], 2),
        lambda: mass_in_range_exact([0, 0], 1),
        lambda: cell_holds_exact([]),
        lambda: cell_retained_mass_infimum(3, 4),
        lambda: removed_mass_published(3, 0),
        lambda: extremal_shares(3, 1, 0.1),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
