"""The Monte Carlo protocols: what they let pass, what they must not, and what they say."""

import numpy as np
import pytest

from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from proofs_check.checks import PASSED, run
from proofs_check.coverage.gaussian import DELTA, token_failure_rates
from proofs_check.coverage.protocols import exact_level, held, mean, monte_carlo, slope, stream, together


@pytest.mark.parametrize("failures, fails", [(0, False), (300, False), (381, False), (382, True), (3000, True)])
def test_held_asks_the_lower_limit_at_one_in_a_million(failures, fails):
    assert (clopper_pearson_lower(failures, 3000, 1e-6) > 0.1) == fails
    found = held(failures, 3000, 0.1)
    assert bool(found.failure) == fails
    assert f"{failures}/3000" in found.failure + found.detail
    assert "false-alarm rate 1e-06" in found.failure + found.detail


def test_a_loose_bound_must_be_proved_by_the_draws():
    assert not held(0, 3000, 2.4e-3, loose=True).failure
    assert held(0, 3000, 2.2e-3, loose=True).failure
    assert not held(0, 3000, 2.2e-3).failure
    assert not held(300, 3000, 0.1).failure
    assert held(300, 3000, 0.1, loose=True).failure
    assert "0.0023" in held(0, 3000, 0.1).detail


@pytest.mark.parametrize("failures", range(200, 420, 7))
def test_exact_level_is_two_sided(failures):
    low, high = clopper_pearson_lower(failures, 3000, 5e-7), clopper_pearson_upper(failures, 3000, 5e-7)
    assert bool(exact_level(failures, 3000, 0.1).failure) == (not low <= 0.1 <= high)


def test_exact_level_catches_a_bound_that_never_fails():
    assert exact_level(0, 3000, 0.1).failure
    assert exact_level(600, 3000, 0.1).failure
    assert not exact_level(310, 3000, 0.1).failure


def test_slope():
    sizes = [64, 128, 256, 512, 1024]
    rms = [2.0 * n**-0.5 for n in sizes]
    assert not slope(sizes, rms, -0.5, 0.07).failure
    assert not slope(sizes, rms, -0.36, 0.07).failure
    assert slope(sizes, rms, -0.34, 0.07).failure
    assert slope(sizes, rms, -0.66, 0.07).failure
    assert slope(sizes, rms, -0.5, 0.06).failure
    assert slope(sizes, rms, -0.55, 0.07, 0.01).failure
    assert slope(sizes, [0.0, *rms[1:]], -0.5, 0.07).failure
    assert slope(sizes, [np.nan, *rms[1:]], -0.5, 0.07).failure
    assert slope([64, 64], [1.0, 1.0], 0.0, 2.0).failure
    assert "-0.500" in slope(sizes, rms, -0.5, 0.07).detail
    assert "not stated" in slope(sizes, rms, -0.5, 0.07).detail
    assert "Gaussian statistics" in slope(sizes, rms, -0.5, 0.07, draws=100).detail


def test_mean():
    values = np.tile([0.0, 2.0], 50)
    error = values.std(ddof=1) / 10.0
    assert not mean(values, 1.0 + 4.99 * error).failure
    assert not mean(values, 1.0 - 4.99 * error).failure
    assert mean(values, 1.0 + 5.01 * error).failure
    assert mean(values, 1.0 - 5.01 * error).failure
    assert mean([1.0, 1.0], 1.1).failure
    assert not mean([1.0, 1.0], 1.0).failure
    assert mean([1.0], 1.0).failure
    assert mean([1.0, np.nan], 1.0).failure
    assert "6e-07" in mean(values, 1.0).detail


def test_together_names_what_failed():
    found = together({"good": held(0, 100, 0.5), "bad": held(100, 100, 0.5)})
    assert found.failure.startswith("bad: 100/100")
    assert "good" not in found.failure
    assert found.detail.startswith("good: 0/100")
    assert not together({"good": held(0, 100, 0.5)}).failure


def test_streams_repeat_and_differ():
    assert stream("a").random(3).tolist() == stream("a").random(3).tolist()
    assert stream("a").random(3).tolist() != stream("b").random(3).tolist()
    outcome = run("coverage", monte_carlo("x", "a statement", ("X15-gauss-exact",), lambda: held(0, 100, 0.5)))
    assert outcome.verdict == PASSED
    assert "seed 20260608" in outcome.statement
    assert "0/100" in outcome.detail


@pytest.mark.claim("X19-tokens")
def test_ignoring_tokens_fails_its_protocol_and_counting_them_does_not():
    counted, ignored, draws = token_failure_rates()
    assert held(round(ignored * draws), draws, DELTA).failure
    assert ignored > 0.7
    assert not held(round(counted * draws), draws, DELTA).failure
    assert counted > DELTA / 10.0
    same, alike, _ = token_failure_rates(tokens=1)
    assert same == alike
