"""The additive framework at finite width: exact failure probabilities, known values, F7, F8, F12, F14, F30, assumptions."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from certify.records import Refused
from certify.theory.additive import (
    PUBLISHED,
    Decomposition,
    accuracy_change_upper,
    assumptions,
    ce_change_upper,
    cross_failure,
    cross_variance,
    excess,
    expected_energy,
    gaussian_failure,
    gaussian_scale,
    gram_distribution,
    loss,
    path_distance,
    remainder,
    remainder_upper,
    scale,
    singular_distribution,
    threshold_interval,
    union_level,
)
from certify.theory.claims.additive import CLAIMS
from certify.theory.cross_entropy import cross_entropy
from certify.theory.margins import true_margin
from certify.theory.stationarity import noise_energy_upper
from certify.theory.three_layer import admissibility, confidence_radius, outer_scaling, removal_radius

MEAN_FIELD, FAN_IN = {128: 0.204, 512: 0.113, 2048: 0.063}, {128: 2.02, 512: 2.20, 2048: 2.32}


def test_loss_and_remainder_known_values():
    assert loss([1.0, 2.0], [4.0, 0.5], 0.5) == 1.5 + 2.25
    assert remainder([0.5], [2.0], 0.25) == 0.5 - 1.0
    assert remainder([0.5], [2.0], 0.25, 0.75) == 0.5 - 0.25
    assert remainder([0.5, -1.0], [2.0, -3.0], 0.25) == -0.5 - 2.0 * 0.25 * (2.0 - 3.0)
    assert ce_change_upper([1.0, 0.5]) == 1.5
    assert remainder_upper([1.0, 0.5], 3.0, 0.25) == 1.5 + 1.5
    assert remainder_upper([1.0, 0.5], 3.0, 0.25, 0.75) == 0.75
    assert remainder_upper([1.0, 0.5], 3.0, 0.25, 1.0) == 0.0
    assert scale([2.0, 0.0], [3.0, 1.0], 0.5).tolist() == [3.0, 0.0]


@pytest.mark.claim("T4.5-loss-reduction", "ESM1-C2.2-scaled-loss", "ESM1-C2.3-finiteN-path")
@pytest.mark.parametrize("theta", [0.0, 0.5, 1.0])
def test_noise_on_dead_inputs_leaves_its_energy_and_cross_term_alone(theta):
    """R v = 0 on every sample: the remainder is -2 l2 (1 - theta) <S, R>, 0 for orthogonal parts, and attains its bound."""
    kept, inputs = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1.0, 0.0], [-2.0, 0.0]])
    for noise, cross in ((np.array([[0.0, 1.0], [0.0, -1.0]]), -5.0), (np.array([[0.0, 3.0], [0.0, 2.0]]), 0.0)):
        squares = [float(np.sum((kept + t * noise) ** 2)) for t in (1.0, theta)]
        fits = [cross_entropy(inputs @ (kept + t * noise).T, [0, 1]) for t in (1.0, theta)]
        changed = loss(fits[1], squares[1:], 0.25) - loss(fits[0], squares[:1], 0.25)
        left = changed + 0.25 * (1.0 - theta**2) * float(np.sum(noise**2))
        assert left == pytest.approx(remainder([0.0], [cross], 0.25, theta), abs=1e-14)
        assert left == pytest.approx(remainder_upper([0.0, 0.0], abs(cross), 0.25, theta), abs=1e-14)


@pytest.mark.claim("ESM1-C2.3-finiteN-path")
def test_the_end_point_event_does_not_control_the_path():
    """F8: the tent (1 - 2 |u - 1/2|, 0) has equal logits at both ends, and differs by 1 in the middle."""

    def logits(u):
        return np.array([[1.0 - 2.0 * abs(u - 0.5), 0.0]])

    ends = float(np.abs(logits(0.0) - logits(1.0)).max())
    moved = abs(cross_entropy(logits(0.5), [1])[0] - cross_entropy(logits(1.0), [1])[0])
    assert ends == 0.0
    assert moved > remainder_upper([ends], 0.0, 0.0, 0.5)
    data_path = scale([2.0], [1.0], 1.0)
    assert moved <= remainder_upper(data_path, 0.0, 0.0, 0.5)


@pytest.mark.claim("E4.2-gauss", "ESM1-E2.5-gauss-constant")
def test_exact_failure_probability_up_to_ten_thousand():
    """At most 1/N as stated, in fact at most 1/(8 N^3); with the constant 2 at most 1/(2 N) (F14)."""
    for rows in range(1, 10_001):
        published, small = gaussian_failure(rows), gaussian_failure(rows, 2.0)
        assert 0.0 < published <= 1.0 / (8.0 * rows**3) <= 1.0 / rows
        assert published < small <= 1.0 / (2.0 * rows)


@pytest.mark.claim("E4.2-gauss", "ESM1-E2.5-gauss-constant")
def test_failure_probability_known_values():
    assert gaussian_failure(5) == pytest.approx(8.9e-5, rel=0.01)
    assert gaussian_failure(5, 2.0) == pytest.approx(1.2e-2, rel=0.01)
    for rows in (1, 5, 1000):
        for constant in (1.0, 2.0, PUBLISHED):
            with mpmath.workdps(60):
                exact = float(1 - mpmath.erf(constant * mpmath.sqrt(mpmath.log(2 * rows) / 2)) ** rows)
            assert gaussian_failure(rows, constant) == pytest.approx(exact, rel=1e-10, abs=0.0)
    assert gaussian_failure(5) == pytest.approx(1.0 - erf(2.0 * math.sqrt(math.log(10.0))) ** 5, rel=1e-9, abs=0.0)
    assert gaussian_failure(7, 0.0) == 1.0
    assert gaussian_scale(5) == pytest.approx(2.0 * math.sqrt(2.0 * math.log(10.0) / 5.0), rel=1e-15)
    assert gaussian_scale(8, 2.0) == 2.0 * math.sqrt(math.log(16.0) / 8.0)


@pytest.mark.claim("ESM1-A3.6-sub-root-N", "ESM1-A3.3-gauss-decomp")
def test_cross_term_known_values():
    assert cross_variance([[1.0, -2.0], [2.0, 0.0]], 0.5) == 0.5 / 2.0 * 9.0
    assert cross_variance([[1.0, -2.0, 2.0]], 0.5) == 4.5
    assert cross_failure(2.0 * 1.6448536269514722, 4.0) == pytest.approx(0.1, rel=1e-12)
    assert cross_failure(0.0, 1.0) == 1.0
    assert cross_failure(0.0, 0.0) == cross_failure(1.0, 0.0) == 0.0
    assert expected_energy(8, 0.5) == 4.0
    assert union_level(3, 0.125, 0.25) == 0.625
    assert union_level(3, 0.5) == 1.0


@pytest.mark.claim("ESM1-A3.6-sub-root-N")
@given(st.floats(0.0, 10.0), st.floats(0.01, 10.0), st.integers(1, 1000), st.floats(0.0, 1.0))
def test_the_published_cross_bound_is_larger(eta, size, rows, g):
    """2 exp(-N eta^2 / (2 B^2)) for ||S||_F = B and g <= 1; erfc(eta sqrt(N / (2 g)) / B) as the specification writes it."""
    variance = cross_variance(np.full((rows, 1), size / math.sqrt(rows)), g)
    exact = cross_failure(eta, variance)
    assert exact <= 2.0 * math.exp(-rows * eta**2 / (2.0 * size**2)) * (1.0 + 1e-9)
    if g > 1e-6:
        assert exact == pytest.approx(math.erfc(eta * math.sqrt(rows / (2.0 * g)) / size), rel=1e-6, abs=1e-300)


@pytest.mark.claim("ESM1-A3.1-outer-scaling")
@pytest.mark.parametrize("width", [128, 512, 2048])
def test_mean_field_weights_meet_the_outer_scaling_and_fan_in_weights_do_not(width):
    """F12, to the few percent by which ||W_1 s|| and the largest of ten row sums vary from draw to draw."""
    inner = np.full((1, width), 1.0 / math.sqrt(width))
    mean_field = outer_scaling(np.ones((2, width)) / width, inner)[0]
    assert mean_field == pytest.approx(math.sqrt(math.log(2 * width) / width), rel=1e-12)
    assert mean_field == pytest.approx(MEAN_FIELD[width], rel=0.04)
    outer = np.random.default_rng(width).standard_normal((10, width)) / math.sqrt(width)
    fan_in = outer_scaling(outer, inner)[0]
    assert fan_in == pytest.approx(FAN_IN[width], rel=0.1)
    assert fan_in >= math.sqrt(2.0 * math.log(2 * width) / math.pi) * 0.98


def test_the_outer_scaling_of_fan_in_weights_grows():
    assert sorted(FAN_IN.values()) == list(FAN_IN.values())
    assert sorted(MEAN_FIELD.values(), reverse=True) == list(MEAN_FIELD.values())


@pytest.mark.claim("ESM1-L3.13-remove-R", "ESM1-T3.16-confidence")
def test_radius_known_values():
    """||W_3||_inf = 3, ||W_1 s|| = 5, N = 2."""
    outer, inner = [[1.0, -2.0], [0.5, 0.5]], [[3.0, -4.0], [0.0, 0.0]]
    root = math.sqrt(math.log(4.0) / 2.0)
    assert outer_scaling(outer, inner) == pytest.approx([15.0 * root, 0.0])
    assert removal_radius(outer, inner) == pytest.approx([15.0 * 2.0 * math.sqrt(2.0) * root, 0.0])
    assert removal_radius(outer, inner, 2.0) == pytest.approx([30.0 * root, 0.0])
    stated = 15.0 * math.sqrt(2.0 * 0.5 * math.log(2.0 * 2 * 2 / 0.1) / 2.0)
    assert confidence_radius(outer, inner, 0.5, 0.1) == pytest.approx([stated, 0.0])
    more = 15.0 * math.sqrt(2.0 * 0.5 * math.log(2.0 * 2 * 9 / 0.1) / 2.0)
    assert confidence_radius(outer, inner, 0.5, 0.1, count=9)[0] == pytest.approx(more)
    assert confidence_radius(outer, inner, 0.0, 0.1).tolist() == [0.0, 0.0]
    assert confidence_radius(outer, inner, 0.5, 0.1, method="sidak")[0] < stated
    assert removal_radius(outer, np.array(inner) * 2.0**-700)[0] == removal_radius(outer, inner)[0] * 2.0**-700 > 0.0


@pytest.mark.claim("ESM1-L3.13-remove-R")
def test_the_radius_is_attained():
    """Absolute values, one sample along the one row of R: nothing is lost on the way."""
    width = 1
    inner, noise, outer = np.array([[2.0]]), np.array([[0.7]]), np.array([[3.0], [1.0]])
    moved = np.abs(np.abs(np.abs(inner) @ noise.T) @ outer.T).max()
    constant = 0.7 / gaussian_scale(width, 1.0)
    assert moved == pytest.approx(removal_radius(outer, inner, constant)[0], rel=1e-14)


@pytest.mark.claim("ESM1-C3.14-margin-accuracy")
def test_accuracy_with_rectified_logits():
    """F28: ties at 0 are generic after a ReLU; they count as errors and stay inside the bound."""
    assert accuracy_change_upper([0.0, 1.0, -2.0, 3.0], [0.0, 0.5, 0.5, 2.0]) == 0.75
    assert accuracy_change_upper([0.1, 1.0], [0.0, 0.4]) == 0.0
    logits = np.maximum(np.array([[-1.0, -2.0], [0.5, 0.4]]), 0.0)
    margins = true_margin(logits, [0, 0])
    assert margins[0] == 0.0
    assert accuracy_change_upper(margins, [0.0, 0.0]) == 0.5


@pytest.mark.claim("ESM1-A3.8-approx-low-rank", "ESM1-D3.11-admissible", "ESM1-R3.10-no-separation")
def test_admissibility_numbers():
    outer, inner = np.ones((1, 4)) / 4.0, np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0]])
    kept = np.diag([3.0, 0.5, 0.25, 0.0])
    found = admissibility(outer, inner, kept, 1.0, 1)
    assert found.scale == pytest.approx(math.sqrt(math.log(8.0) / 4.0))
    assert found.cross == pytest.approx(math.sqrt((9.0 + 0.3125) / 4.0))
    assert found.tail == pytest.approx(0.25 + 0.0625)
    assert found.share == 0.25
    assert admissibility(outer, inner, kept, 1.0, 3).tail == pytest.approx(0.0, abs=1e-15)
    tall = np.vstack([np.diag([3.0, 2.0]), np.zeros((2, 2))])
    assert admissibility(outer, inner, tall, 0.0, 1).share == 0.5


@pytest.mark.claim("ESM1-D3.11-admissible", "ESM1-R3.10-no-separation")
def test_sequences_are_told_apart():
    """Mean-field weights with one spike inside the bulk are admissible; fan-in weights, and a full-rank S, are not."""
    rng = np.random.default_rng(0)
    good, fan_in, heavy = [], [], []
    for width in (16, 64, 256):
        inner = np.full((1, width), 1.0 / math.sqrt(width))
        spike = np.zeros((width, width))
        spike[0, 0] = 0.5
        assert spike[0, 0] < 2.0
        good.append(admissibility(np.ones((1, width)) / width, inner, spike, 1.0, 1))
        fan_in.append(admissibility(rng.standard_normal((4, width)) / math.sqrt(width), inner, spike, 1.0, 1))
        heavy.append(admissibility(np.ones((1, width)) / width, inner, np.eye(width), 1.0, 1))
    assert all(max(later[:2]) < 0.6 * max(earlier[:2]) for earlier, later in itertools.pairwise(good))
    assert good[-1].tail == 0.0
    assert fan_in[-1].scale > 0.9 * fan_in[0].scale > 1.0
    assert heavy[-1].cross == pytest.approx(1.0)
    assert heavy[-1].tail > heavy[0].tail


@pytest.mark.claim("ESM1-D3.12-local-path")
def test_distance_of_decompositions():
    now = Decomposition(np.array([[3.0, 0.0]]), np.array([[0.0, 1.0]]), is_noise=True)
    limit = Decomposition(np.array([[0.0, 4.0]]), np.array([[0.0, -1.0]]), is_low_rank=True)
    assert path_distance(now, limit) == 7.0
    assert path_distance(now, now) == 0.0
    tiny = Decomposition(np.zeros((1, 1)), np.full((1, 1), 1e-200))
    assert path_distance(tiny, Decomposition(np.zeros((1, 1)), np.zeros((1, 1)))) == 1e-200
    assert (now.is_noise, now.is_low_rank, limit.is_noise, limit.is_low_rank) == (True, False, False, True)


@pytest.mark.claim("ESM1-R2.8b-no-atom")
def test_an_atom_at_the_threshold_keeps_the_limits_apart():
    """X = 1 always, X_t = 1 + 1/t: P(X_t <= 1) = 0 for every t, though P(X <= 1) = 1."""
    assert threshold_interval(0.0, 1.0, 0.0) == (0.0, 1.0)
    assert threshold_interval(0.25, 0.5, 0.125) == (0.125, 0.625)
    assert threshold_interval(0.1, 0.95, 0.2) == (0.0, 1.0)
    for t in (1, 10, 100):
        reach = 1.0 / t
        lower, upper = threshold_interval(float(1.0 - reach >= 1.0), float(1.0 + reach >= 1.0), 0.0)
        assert lower <= float(1.0 + 1.0 / t <= 1.0) == 0.0 <= upper == 1.0


def test_excess_known_values():
    assert excess([3.0, 1.0, -2.0], [1.0, 1.0, 5.0]).tolist() == [2.0, 0.0, 0.0]
    assert excess([3.0, 1.0, -2.0], [1.0, 1.0, 5.0], 0.5).tolist() == [1.5, 0.0, 0.0]


@pytest.mark.claim("D2.1-esd")
def test_spectral_distributions_known_values():
    matrix = [[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert singular_distribution(matrix, [0.5, 1.5, 3.5]).tolist() == [0.0, 0.5, 1.0]
    assert singular_distribution(np.transpose(matrix), [0.5, 1.5, 3.5]).tolist() == [0.0, 0.5, 1.0]
    assert gram_distribution(matrix, [-1.0, 0.0, 2.0, 10.0]).tolist() == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
    assert gram_distribution(np.transpose(matrix), [0.0, 2.0, 10.0]).tolist() == [0.0, 0.5, 1.0]
    assert singular_distribution([[1.0, 1.0], [1.0, 1.0]], [1e-9, 3.0]).tolist() == [0.5, 1.0]


@pytest.mark.claim("ESM1-T3.21-noise-collapse")
def test_noise_collapse_along_a_mean_field_sequence():
    """F7: the display at finite width, abar = (4 sqrt 2 / |T|) sum a, falls with the width; a fan-in sequence does not."""
    bounds = []
    for width in (64, 256, 1024, 4096):
        scales = outer_scaling(np.ones((1, width)) / width, np.full((1, width), 1.0 / math.sqrt(width)))
        stated = 4.0 * math.sqrt(2.0) * float(np.mean(scales))
        assert ce_change_upper(PUBLISHED * scales) == pytest.approx(stated, rel=1e-14)
        bounds.append(noise_energy_upper(stated, width**-0.25, 0.5, epsilon=1.0 / width))
    assert all(later < 0.75 * earlier for earlier, later in itertools.pairwise(bounds))
    assert noise_energy_upper(2.0, 0.25, 0.5, 1.0) == 3.25


def three_layers(layer, first, outer, inputs, act):
    return act(act(act(inputs @ first.T) @ layer.T) @ outer.T)


@pytest.mark.claim("ESM1-R3.29-assumption-map")
def test_assumption_map():
    short = {"ESM1-A3.1-outer-scaling", "ESM1-A3.3-gauss-decomp"}
    for id in ("ESM1-L3.13-remove-R", "ESM1-C3.14-margin-accuracy", "ESM1-L3.15-ce-perturb"):
        assert set(assumptions(id)) == short
    for id in ("ESM1-T3.16-confidence", "ESM1-C3.17-growing-gauss", "ESM1-T3.18-loss-reduction", "ESM1-C3.19-scaled"):
        assert set(assumptions(id)) == short | {"ESM1-A3.6-sub-root-N"}
    ends = {"ESM1-D3.11-admissible", "ESM1-D3.12-local-path", "ESM1-A3.6-sub-root-N"}
    assert set(assumptions("ESM1-T3.21-noise-collapse")) == short | ends
    assert assumptions("T4.5-loss-reduction") == ("A4.1-architecture", "A4.2-perturbative")
    assert {entry.id for entry in CLAIMS if not entry.checks} == {"SUP-1", "SUP-2"}


@pytest.mark.claim("ESM1-R3.29-assumption-map", "ESM1-L3.13-remove-R")
def test_dropping_a_listed_assumption_breaks_an_instance_and_an_unlisted_one_does_not():
    """L3.13 lists A3.1 (1-Lipschitz activations) and A3.3 (noise independent of W_1, g <= 1), not A3.6 (small S)."""
    rng, width = np.random.default_rng(1), 64
    relu = lambda x: np.maximum(x, 0.0)  # noqa: E731
    noise = rng.standard_normal((width, width)) / math.sqrt(width)
    outer = np.eye(2, width)

    def violated(layer_noise, first, act=relu, kept=None):
        kept = np.zeros((width, width)) if kept is None else kept
        inputs = np.eye(1)
        moved = three_layers(kept + layer_noise, first, outer, inputs, act) - three_layers(kept, first, outer, inputs, act)
        return bool(np.abs(moved).max() > removal_radius(outer, inputs @ first.T)[0])

    independent = np.abs(rng.standard_normal((width, 1)))
    assert not violated(noise, independent)
    assert violated(noise, noise[:1].T, act=lambda x: x)
    assert violated(100.0 * noise, independent)
    assert violated(noise, independent, act=lambda x: 10.0 * relu(x))
    assert not violated(noise, independent, kept=1e6 * rng.standard_normal((width, width)))


@pytest.mark.claim("ESM1-R3.29-assumption-map", "ESM1-T3.18-loss-reduction")
def test_the_loss_part_needs_the_small_cross_term():
    """T3.18 lists A3.6: with S of size N the cross term passes the eta that B_N = 1 would allow."""
    rng, width = np.random.default_rng(2), 64
    noise, kept = rng.standard_normal((width, width)) / math.sqrt(width), rng.standard_normal((width, width))
    cross, eta = float(np.sum(noise * kept)), 1.0
    assert cross_failure(eta, 1.0 / width) < 1e-10
    assert abs(remainder([0.0], [cross], 0.5)) > remainder_upper([0.0], eta, 0.5)
    small = kept / np.linalg.norm(kept)
    assert abs(remainder([0.0], [float(np.sum(noise * small))], 0.5)) <= remainder_upper([0.0], eta, 0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: loss([-1.0], [1.0], 1.0),
        lambda: loss([], [1.0], 1.0),
        lambda: loss([1.0], [1.0], -1.0),
        lambda: remainder([0.0], [0.0, 1.0], 1.0),
        lambda: remainder([math.nan], [0.0], 1.0),
        lambda: remainder([0.0], [0.0], 1.0, 1.5),
        lambda: remainder([0.0], [0.0], -1.0),
        lambda: remainder_upper([-1.0], 0.0, 1.0),
        lambda: remainder_upper([1.0], -1.0, 1.0),
        lambda: remainder_upper([], 1.0, 1.0),
        lambda: ce_change_upper([]),
        lambda: accuracy_change_upper([1.0], [-1.0]),
        lambda: scale([-1.0], [1.0], 1.0),
        lambda: scale([1.0], [1.0], -1.0),
        lambda: scale([1.0], [1.0, 2.0], 1.0),
        lambda: gaussian_scale(0),
        lambda: gaussian_failure(0),
        lambda: gaussian_failure(3, -1.0),
        lambda: gaussian_failure(2.5),
        lambda: cross_variance([[1.0]], -1.0),
        lambda: cross_variance([[math.inf]], 1.0),
        lambda: cross_failure(-1.0, 1.0),
        lambda: cross_failure(1.0, -1.0),
        lambda: expected_energy(0, 1.0),
        lambda: union_level(1, 1.5),
        lambda: union_level(0, 0.5),
        lambda: Decomposition(np.ones((1, 2)), np.ones((2, 1))),
        lambda: Decomposition(np.array([[math.nan]]), np.ones((1, 1))),
        lambda: path_distance(Decomposition(np.ones((1, 2)), np.ones((1, 2))), Decomposition(np.ones((2, 1)), np.ones((2, 1)))),
        lambda: threshold_interval(0.5, 0.25, 0.0),
        lambda: threshold_interval(0.5, 1.5, 0.0),
        lambda: excess([1.0], [1.0], -1.0),
        lambda: excess([1.0], [1.0, 2.0]),
        lambda: singular_distribution([[math.nan]], [0.0]),
        lambda: gram_distribution([[1.0]], []),
        lambda: assumptions("X1-ce-sharp"),
        lambda: outer_scaling([[1.0, 2.0]], [[1.0]]),
        lambda: removal_radius([[1.0]], [[1.0]], -1.0),
        lambda: confidence_radius([[1.0]], [[1.0]], 1.0, 0.0),
        lambda: confidence_radius([[1.0]], [[1.0]], -1.0, 0.1),
        lambda: confidence_radius([[1.0]], [[1.0], [2.0]], 1.0, 0.1, count=1),
        lambda: admissibility([[1.0]], [[1.0]], [[1.0]], 1.5, 0),
        lambda: admissibility([[1.0]], [[1.0]], [[1.0]], 1.0, 2),
        lambda: admissibility([[1.0]], [[1.0]], [[1.0], [1.0]], 1.0, 1),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
