"""The limits, found by solving the tail equation, against beta quantiles; counting; sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from certify.records import Outcomes, Pair
from certify.verifier.guarantees import counts, lower_limit, recompute, says, upper_limit

CASES = [(k, n) for n in (1, 2, 20, 500, 5000, 50000) for k in sorted({0, 1, 2, n // 7, n // 2, n - 1, n}) if k <= n]
ALPHAS = (0.05, 0.0125, 1e-6, 0.4, 0.9)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_limits_are_those_of_clopper_and_pearson(alpha: float):
    for k, n in CASES:
        upper = 1.0 if k == n else float(beta.ppf(1 - alpha, k + 1, n - k))
        lower = 0.0 if k == 0 else float(beta.ppf(alpha, k, n - k + 1))
        assert upper_limit(k, n, alpha) == pytest.approx(upper, rel=1e-9, abs=0), (k, n)
        assert lower_limit(k, n, alpha) == pytest.approx(lower, rel=1e-9, abs=0), (k, n)


def test_limits_solve_their_equation():
    for k, n, alpha in ((3, 600, 0.0125), (40, 540, 0.006), (1, 20, 0.05)):
        assert binom.cdf(k, n, upper_limit(k, n, alpha)) == pytest.approx(alpha, rel=1e-9)
        assert binom.sf(k - 1, n, lower_limit(k, n, alpha)) == pytest.approx(alpha, rel=1e-9)


def test_edges():
    assert upper_limit(7, 7, 0.05) == 1.0 and lower_limit(0, 7, 0.05) == 0.0
    assert upper_limit(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100), rel=1e-14)
    assert lower_limit(100, 100, 0.05) == pytest.approx(0.05 ** (1 / 100), rel=1e-14)
    assert upper_limit(0, 10**9, 0.05) == pytest.approx(-math.log(0.05) / 10**9, rel=1e-8)
    assert upper_limit(3, 40, 0.05) == pytest.approx(1 - lower_limit(37, 40, 0.05), rel=1e-12)


def test_drop_is_losses_up_and_gains_down_at_half_the_share_each():
    estimate, limit, _ = recompute("accuracy_drop", {"samples": 500, "losses": 9, "gains": 4}, 0.02)
    assert estimate == pytest.approx(0.01)
    assert limit == pytest.approx(upper_limit(9, 500, 0.01) - lower_limit(4, 500, 0.01), rel=1e-12)


def test_a_tie_is_wrong_and_disagrees():
    reference = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    shipped = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=float)
    pair = Pair("a" * 64, "b" * 64, "toy", "given")
    samples = tuple(str(index) for index in range(6))
    outcomes = Outcomes(pair, "c" * 64, samples, np.array([0, 0, 0, 0, 0, 1]), reference, shipped, {})
    found = counts(outcomes)
    assert found == outcomes.counts()
    assert found == {
        "samples": 6,
        "disagreements": 4,
        "correct_reference": 2,
        "correct_shipped": 3,
        "losses": 1,
        "gains": 2,
    }
    assert set(counts(Outcomes(pair, "c" * 64, samples, None, reference, shipped, {}))) == {"samples", "disagreements"}


@pytest.mark.parametrize(
    ("sentence", "limit", "holds"),
    [
        ("at most 1.23 % of images", 0.01234, True),
        ("at most 1.24 % of images", 0.01234, True),
        ("at most 1.25 % of images", 0.01234, False),
        ("Limit 0.0123.", 0.01234, True),
        ("rises by at least 0.5 %", -0.005, True),
        ("at most 1e-05 of images", 1e-5, True),
        ("VACUOUS: at most 100 %", 1.0, True),
        ("at most 0 %", 0.0, True),
        ("at most nothing", 0.2, False),
        ("", 0.0, False),
    ],
)
def test_a_sentence_holds_its_limit(sentence: str, limit: float, holds: bool):
    assert says(sentence, limit) is holds
