"""Scores along one ranking: masks that must coincide, features and their measured complexity, searches and their claims."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from certify.pruning.ranking.complexity import chebyshev_degree, measure, runs, runs_of
from certify.pruning.ranking.features import FEATURES, Layer, feature, fused, smoothed, surrogate
from certify.pruning.ranking.masks import keep, mask_digest, must_coincide
from certify.pruning.ranking.search import Evaluated, dung_beetle, equal_weights, random_search
from certify.pruning.units import kept_count
from certify.records import Refused, Usage
from certify.theory.binomial import noise_maximum
from certify.theory.rank_monotone import logistic_iterate, scores_for_allocation

N = 192
U = (np.arange(N) + 0.5) / N
GRID = (0.5, 0.6, 0.7, 0.8, 0.9)
RNG = np.random.default_rng(0)


def layer(n: int = N, seed: int = 0, **given: object) -> Layer:
    return Layer(np.random.default_rng(seed).permutation(n).astype(float), **given)  # type: ignore[arg-type]


def along(name: str, where: Layer) -> np.ndarray:
    return feature(name, where)[np.argsort(where.rank)]


# ---- masks


@pytest.mark.parametrize(
    ("total", "sparsity", "kept"), [(10, 0.7, 3), (5, 0.5, 3), (7, 0.5, 3), (10, 0.0, 10), (10, 1.0, 0), (1, 0.4, 1)]
)
def test_counts_are_whole_and_stated(total, sparsity, kept):
    assert kept_count(total, sparsity) == kept  # a half of a channel is rounded to even: 2.5 to 2, 3.5 to 4 are removed


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20), st.floats(0, 1), st.sampled_from(["base", "index"]), st.data())
def test_increasing_maps_of_the_base_keep_its_channels(values, sparsity, ties, data):
    """Exact rationals in, so that no rounding makes ties: a random increasing piecewise linear map of each distinct value."""
    knots = sorted(set(values))
    steps = data.draw(st.lists(st.integers(1, 50), min_size=len(knots), max_size=len(knots)))
    heights = dict(zip(knots, np.cumsum([Fraction(step, 7) for step in steps]).tolist(), strict=True))
    base = [np.array(values, dtype=float)]
    mapped = [np.array([float(heights[value]) for value in values])]
    kept = keep(mapped, base, sparsity, ties=ties)
    assert np.array_equal(kept[0], keep(base, base, sparsity, ties=ties)[0])
    assert kept[0].sum() == kept_count(len(values), sparsity)
    assert [found.why for found in must_coincide({"map": mapped, "base": base}, base, sparsity, ties=ties)] == ["monotone"]


@given(st.permutations(range(12)), st.integers(0, 12))
def test_the_best_of_minus_s_are_the_rest(values, count):
    scores, base = [np.array(values, dtype=float)], [np.arange(12.0)]
    kept, rest = keep(scores, base, 1 - count / 12), keep([-scores[0]], base, count / 12)
    assert np.array_equal(kept[0], ~rest[0])


@given(st.permutations(range(9)), st.permutations(range(9)), st.floats(0, 1))
def test_relabelling_channels_relabels_the_mask(values, order, sparsity):
    scores, base = np.array(values, dtype=float), np.arange(9.0)
    one = keep([scores], [base], sparsity)[0]
    assert np.array_equal(keep([scores[list(order)]], [base[list(order)]], sparsity)[0], one[list(order)])


def test_saturating_scores_hide_their_ties_under_the_base_rule_only():
    base = [np.linspace(0.1, 1.0, 100)]
    flat = [np.tanh(100.0 * base[0]).astype(np.float32)]
    assert len(np.unique(flat[0])) < 50
    assert np.array_equal(keep(flat, base, 0.5)[0], keep(base, base, 0.5)[0])
    assert not np.array_equal(keep(flat, base, 0.5, ties="index")[0], keep(base, base, 0.5)[0])
    assert must_coincide({"flat": flat, "base": base}, base, 0.5)[0].why == "mask"


def test_signs_of_zero_and_subnormals_are_values():
    base = [np.array([0.0, -0.0, 5e-324, -5e-324])]
    assert keep(base, base, 0.75)[0].tolist() == [False, False, True, False]
    assert keep(base, base, 0.5)[0].tolist() == [True, False, True, False]


def test_one_pool_reaches_allocations_that_layers_do_not():
    base = [RNG.random(8), RNG.random(5)]
    for counts in ((8, 0), (0, 5), (3, 2), (1, 4)):
        scores = scores_for_allocation(list(base), list(counts))
        kept = keep(scores, base, 1 - sum(counts) / 13, allocation="global")
        assert tuple(mask.sum() for mask in kept) == counts
        per_layer = must_coincide({"h": scores, "m": base}, base, 0.5)
        assert per_layer[0].why == "monotone" and per_layer[0].names == ("h", "m")


@given(st.integers(1, 5), st.integers(1, 9), st.floats(0, 1))
def test_one_pool_of_ranks_is_uniform(layers, width, sparsity):
    base = [np.random.default_rng(index).random(width) for index in range(layers)]
    ranks = [Layer(scores).middle for scores in base]
    counts = [mask.sum() for mask in keep(ranks, base, sparsity, allocation="global")]
    assert max(counts) - min(counts) <= 1 and sum(counts) == kept_count(layers * width, sparsity)


def test_the_criterion_says_who_must_coincide_and_why():
    base = [np.arange(10.0)]
    late = np.arange(10.0)
    late[:4] = [3, 1, 2, 0]  # another order below the cut
    scorers = {"m": base, "2m": [2 * base[0]], "late": [late], "reverse": [-base[0]]}
    found = must_coincide(scorers, base, 0.5)
    assert [(each.names, each.why) for each in found] == [(("m", "2m", "late"), "cut"), (("reverse",), "alone")]
    assert must_coincide(scorers, base, 0.8)[0].names == ("m", "2m", "late")
    assert [each.names for each in must_coincide(scorers, base, 0.1)] == [("m", "2m"), ("late",), ("reverse",)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.lists(st.integers(0, 4), min_size=1, max_size=8), st.floats(0, 1))
def test_the_criterion_is_equality_of_masks(one, other, sparsity):
    size = min(len(one), len(other))
    scores, base = [np.array(one[:size], dtype=float)], [np.array(other[:size], dtype=float)]
    same = np.array_equal(keep(scores, base, sparsity)[0], keep(base, base, sparsity)[0])
    assert (len(must_coincide({"s": scores, "m": base}, base, sparsity)) == 1) == same


def test_bad_scores_are_refused():
    base = [np.arange(4.0)]
    with pytest.raises(Refused, match="NaN"):
        keep([np.array([0.0, np.nan, 1.0, 2.0])], base, 0.5)
    with pytest.raises(Refused, match="channels for bases"):
        keep([np.arange(3.0)], base, 0.5)
    with pytest.raises(Usage, match="allocation"):
        keep(base, base, 0.5, allocation="row")
    with pytest.raises(Usage, match="ties"):
        keep(base, base, 0.5, ties="coin")
    with pytest.raises(Usage, match=r"not in \[0, 1\]"):
        keep(base, base, 1.5)


def test_unequal_layers_and_empty_ones():
    base = [np.arange(1.0), np.arange(7.0)]
    assert [mask.sum() for mask in keep(base, base, 0.9)] == [0, 1]
    assert [mask.sum() for mask in keep(base, base, 0.0)] == [1, 7]
    equal = [np.full(4, 2.0)]
    assert keep(equal, equal, 0.5)[0].tolist() == [True, True, False, False]


# ---- features


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_is_standardised_and_reproducible(name):
    where = layer(weights=RNG.normal(size=(N, 12)), sparsity=0.7, chaos=3, noise=4)
    values = feature(name, where)
    assert values.shape == (N,) and abs(values.mean()) < 1e-12 and abs(values.std() - 1) < 1e-12
    assert np.array_equal(values, feature(name, where))


@pytest.mark.parametrize("name", [name for name in FEATURES if name not in ("N1", "N3", "R2")])
def test_relabelling_channels_relabels_a_feature(name):
    where, order = layer(seed=1), np.random.default_rng(2).permutation(N)
    moved = Layer(where.base[order])
    assert np.allclose(feature(name, moved), feature(name, where)[order], atol=1e-9)


def test_levels_are_measured_and_are_the_intended_ones():
    where = layer(sparsity=0.7)
    levels = {name: measure(along(name, where)).level for name in FEATURES if name != "R2"}
    assert {levels[name] for name in ("A1", "A2", "A3", "F0")} == {0}
    assert {levels[name] for name in ("B1", "B2", "B3", "G", "F1", "F2", "F3")} == {1}
    assert {levels[name] for name in ("C1", "C2", "N1", "N2", "N3", "F4", "F5", "F6")} == {2}


def test_reference_values_of_complexity():
    where = layer(sparsity=0.7)
    found = {name: measure(along(name, where)).degree[1] for name in ("A1", "A2", "F1", "F2", "F3", "F4", "F5", "F6", "G")}
    assert found == {"A1": 1, "A2": 2, "F1": 2, "F2": 4, "F3": 8, "F4": 16, "F5": 32, "F6": 64, "G": 11}
    assert chebyshev_degree(np.log(U), 0.1) == 7  # monotone, and more complex than many bumps: level needs both
    assert measure(np.log(U)).level == 0
    assert measure(np.random.default_rng(0).normal(size=N)).degree[1] > 180


@pytest.mark.parametrize("times", range(8))
def test_iterates_have_degree_two_to_the_t(times):
    assert chebyshev_degree(logistic_iterate(U, times), 1e-8) == 2**times


@pytest.mark.parametrize("times", range(1, 6))
@pytest.mark.parametrize("sparsity", [0.5, 0.7, 0.8])
def test_iterates_have_one_run_a_lobe(times, sparsity):
    assert runs(logistic_iterate(U, times), sparsity) == 2 ** (times - 1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7), st.floats(0.01, 3), st.floats(-3, 3), st.booleans())
def test_degree_knows_polynomials_and_is_invariant(coefficients, scale, shift, reverse):
    grid = (np.arange(40) + 0.5) / 40
    values = np.polynomial.chebyshev.chebval(2 * grid - 1, [0.0, *coefficients])
    assume(values.std() > 1e-3)
    degree = chebyshev_degree(values, 1e-6)
    assert degree <= len(coefficients)
    moved = (-scale * values + shift)[:: -1 if reverse else 1]
    assert chebyshev_degree(moved, 0.1) == chebyshev_degree(values, 0.1)
    degrees = [chebyshev_degree(values, tolerance) for tolerance in (0.05, 0.1, 0.2)]
    assert degrees == sorted(degrees, reverse=True)


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=3))
def test_smoothing_is_linear_and_keeps_parabolas(parabola):
    where = layer(60)
    values = np.polyval(parabola, where.middle)
    assert np.allclose(smoothed(values, where.rank), values, atol=1e-9)
    noise = np.random.default_rng(1).normal(size=60)
    both = smoothed(values + 2 * noise, where.rank)
    assert np.allclose(both, values + 2 * smoothed(noise, where.rank), atol=1e-9)


def test_short_layers_are_not_smoothed():
    short = layer(8)
    assert np.array_equal(smoothed(U[:8], short.rank), U[:8])
    assert not np.array_equal(smoothed(RNG.random(9), layer(9).rank), U[:9])


@pytest.mark.parametrize("size", [20, 21])
def test_a_surrogate_keeps_the_spectrum_and_not_the_shape(size):
    rank, values = np.arange(size), logistic_iterate((np.arange(size) + 0.5) / size, 3)
    other = surrogate(values, rank, np.random.default_rng(0))
    assert np.allclose(np.abs(np.fft.rfft(other)), np.abs(np.fft.rfft(values)))
    assert not np.allclose(other, values, atol=0.1)


def test_permuted_and_chaotic_features_share_what_they_should():
    where = layer(chaos=5)
    assert np.allclose(np.sort(feature("N3", where)), np.sort(feature("C1", where)))
    assert np.array_equal(feature("C2", where), feature("C2", Layer(where.base, chaos=5, index=3)))  # one network for all layers
    assert not np.array_equal(feature("N1", where), feature("N1", Layer(where.base, chaos=5, index=3)))
    assert not np.array_equal(feature("C2", where), feature("C2", Layer(where.base, chaos=6)))


def test_what_is_no_feature_is_refused():
    with pytest.raises(Usage, match="none of"):
        feature("Z9", layer())
    with pytest.raises(Refused, match="equal"):
        feature("D1", Layer(np.ones(5)))
    with pytest.raises(Usage, match="R2"):
        feature("R2", layer())
    with pytest.raises(Refused, match="NaN"):
        feature("A1", Layer(np.array([0.0, np.nan])))
    assert feature("C2", Layer(np.zeros(1))).tolist() == [0.0]
    for bad in (np.ones(5), np.array([1.0]), np.array([0.0, np.inf])):
        with pytest.raises(Refused, match="not all equal"):
            measure(bad)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_non_negative_fusions_of_monotone_features_have_one_mask(weights):
    assume(max(weights) > 1e-3)
    where = layer()
    table = np.stack([feature(name, where) for name in ("A1", "A2", "A3")])
    for sparsity in GRID:
        assert np.array_equal(
            keep([fused(table, weights)], [where.base], sparsity)[0], keep([where.base], [where.base], sparsity)[0]
        )


def test_signed_fusions_escape():
    """A guard against a vacuous lemma: r - r^2 is a bump."""
    where = layer()
    table = np.stack([0.1 + 0.9 * where.middle, (0.1 + 0.9 * where.middle) ** 2])
    assert runs_of(keep([fused(table, [1.0, -1.0])], [where.base], 0.7)[0][np.argsort(where.rank)]) == 1
    assert not np.array_equal(keep([fused(table, [1.0, -1.0])], [where.base], 0.7)[0], keep([where.base], [where.base], 0.7)[0])


# ---- searches


def sphere(target: np.ndarray, calls: list[int]) -> Evaluated:
    """The closer the weights to a target, the better; a mask is the bits of the rounded weights."""

    def masks_of(weights: np.ndarray) -> list[np.ndarray]:
        whole = np.round((weights + 2.0) * 1000).astype(int)
        return [np.array([int(bit) for value in whole for bit in f"{value:012b}"], dtype=bool)]

    def accuracy(kept: list[np.ndarray]) -> float:
        calls.append(1)
        found = [int("".join(map(str, part.astype(int))), 2) / 1000 - 2.0 for part in np.split(kept[0], len(target))]
        return -float(np.sum((np.array(found) - target) ** 2))

    return Evaluated(masks_of, accuracy)  # type: ignore[arg-type]


@pytest.mark.parametrize("search", [dung_beetle, random_search])
@pytest.mark.parametrize(("budget", "low"), [(100, 0.0), (100, -1.0), (7, 0.0), (31, -1.0), (1, 0.0)])
def test_searches_ask_for_the_budget_and_stay_in_the_box(search, budget, low):
    calls: list[int] = []
    found = sphere(np.array([0.7, 0.2, 0.4]), calls)
    seen: list[np.ndarray] = []
    inner = found.masks_of
    found.masks_of = lambda weights: (seen.append(weights.copy()), inner(weights))[1]
    search(found, 3, budget, low, np.random.default_rng(1))
    assert found.requested == budget and found.distinct == len(calls) <= budget
    assert np.min(seen) >= low and np.max(seen) <= 1.0
    assert found.best_value == max(found.seen.values())


def test_searches_are_reproducible_and_improve():
    ends = []
    for search in (dung_beetle, random_search):
        first, again = sphere(np.array([0.7, 0.2]), []), sphere(np.array([0.7, 0.2]), [])
        for found in (first, again):
            search(found, 2, 300, 0.0, np.random.default_rng(3))
        assert np.array_equal(first.best_weights, again.best_weights)
        ends.append(first.best_value)
    assert min(ends) > -0.01  # of a range of about 1


def test_one_reachable_mask_costs_one_evaluation():
    calls: list[int] = []
    found = Evaluated(lambda weights: [np.ones(4, dtype=bool)], lambda kept: float(len(calls) or calls.append(1) or 0))
    dung_beetle(found, 3, 100, 0.0, np.random.default_rng(0))
    assert (found.requested, found.distinct, found.best_value) == (100, 1, 0.0)


def test_of_equal_values_the_first_stays_and_nan_is_refused():
    found = Evaluated(lambda weights: [weights > 0.5], lambda kept: 1.0)
    for weights in ([0.9, 0.1], [0.1, 0.9]):
        found(np.array(weights))
    assert found.best_weights.tolist() == [0.9, 0.1] and found.distinct == 2
    broken = Evaluated(lambda weights: [weights > 0.5], lambda kept: float("nan"))
    with pytest.raises(Refused, match="NaN"):
        equal_weights(broken, 2)
    with pytest.raises(Usage, match="at least one"):
        random_search(found, 2, 0, 0.0, np.random.default_rng(0))
    assert mask_digest([np.array([True, False])]) != mask_digest([np.array([False, True])])


# ---- what a search may claim


def test_a_search_over_noise_gains_what_theory_says_and_nothing_elsewhere():
    """200 seeds: the best of 100 equal networks on 350 images; on fresh images its mean gain is 0 within 3 standard errors."""
    rng, rate, images, candidates = np.random.default_rng(7), 0.85, 350, 100
    seen = rng.binomial(images, rate, (200, candidates)) / images
    fresh = rng.binomial(547, rate, (200, candidates)) / 547
    best = np.argmax(seen, axis=1)
    gain = np.take_along_axis(seen, best[:, None], 1)[:, 0] - rate
    elsewhere = np.take_along_axis(fresh, best[:, None], 1)[:, 0] - rate
    expected = noise_maximum(candidates, images, rate)
    assert abs(gain.mean() - expected) < 4 * gain.std() / np.sqrt(200) and expected > 0.03
    assert abs(elsewhere.mean()) < 3 * elsewhere.std() / np.sqrt(200)


def test_eight_true_nulls_rarely_give_one_finding():
    """Holm keeps the chance of any at .05: 2,000 families of 8 paired tests of 20 seeds, up to 6.5 % by 3 standard errors."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(2000, 8, 20))
    p = student.sf(values.mean(axis=2) / values.std(axis=2, ddof=1) * np.sqrt(20), 19)  # paired t, one-sided
    assert p[0, 0] == pytest.approx(ttest_rel(values[0, 0], np.zeros(20), alternative="greater").pvalue)
    found = 8 * p.min(axis=1) <= 0.05  # any is found if and only if the smallest is
    assert [bool(multipletests(row, alpha=0.05, method="holm")[0].any()) for row in p[:40]] == found[:40].tolist()
    assert 0.03 < np.mean(found) < 0.065


def test_ties_of_a_pool_are_decided_by_the_base_then_by_position():
    base = [np.array([1.0, 5.0, 2.0]), np.array([4.0, 3.0])]
    flat = [np.zeros(3), np.zeros(2)]
    assert [mask.tolist() for mask in keep(flat, base, 0.6, allocation="global")] == [[False, True, False], [True, False]]
    assert [mask.tolist() for mask in keep(flat, base, 0.6, allocation="global", ties="index")] == [
        [True, True, False],
        [False] * 2,
    ]
