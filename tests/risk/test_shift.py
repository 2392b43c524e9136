"""Limits under shift against the primal and the dual problem."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp
from scipy.optimize import minimize, minimize_scalar

from certify.records import Refused
from certify.risk.shift import chi_square_shifted, kl_shifted

EXACT = {"ftol": 1e-14, "maxiter": 500}
BOTH = (kl_shifted, chi_square_shifted)
rates, radii = st.floats(0, 1), st.one_of(st.just(0.0), st.floats(1e-6, 3))


@given(rate=rates, more=rates, radius=radii)
def test_both_rise_with_the_rate_and_lie_above_it(rate: float, more: float, radius: float) -> None:
    for worst in BOTH:
        low, high = sorted((rate, more))
        assert low <= worst(low, radius) <= 1.0
        assert worst(low, radius) <= worst(high, radius) * (1 + 1e-10) + 1e-12
        assert worst(low, radius) <= worst(low, 2 * radius) + 1e-12


@pytest.mark.claim("B6-shift-kl", "B7-shift-chi-square")
@pytest.mark.parametrize("rate", [1e-6, 0.01, 0.2, 0.7])
@pytest.mark.parametrize("radius", [1e-4, 0.05, 0.3])
def test_the_dual_gives_the_same(rate: float, radius: float) -> None:
    """inf_t t log E exp(L / t) + t radius for KL; inf_c c + sqrt((1 + radius) E (L - c)_+^2) for chi-square."""

    def kl(log_t: float) -> float:
        t = math.exp(log_t)
        return t * (1 / t + math.log(rate + (1 - rate) * math.exp(-1 / t))) + t * radius

    def chi(c: float) -> float:
        return c + math.sqrt((1 + radius) * (rate * max(0.0, 1 - c) ** 2 + (1 - rate) * max(0.0, -c) ** 2))

    found = minimize_scalar(kl, bounds=(-6, 8), method="bounded", options={"xatol": 1e-10}).fun
    assert kl_shifted(rate, radius) == pytest.approx(min(1.0, found), rel=1e-5)
    found = minimize_scalar(chi, bounds=(-2000, 1), method="bounded", options={"xatol": 1e-10}).fun
    assert chi_square_shifted(rate, radius) == pytest.approx(min(1.0, found), rel=1e-5)


@pytest.mark.claim("B6-shift-kl", "B7-shift-chi-square")
@pytest.mark.parametrize("seed", range(4))
def test_no_population_in_the_radius_is_worse(seed: int) -> None:
    """The primal problem on four values of a loss in [0, 1]: never beyond the limit, and equal for a loss of 0 and 1."""
    rng = np.random.default_rng(seed)
    p, radius = (rng.dirichlet(np.ones(4)) + 0.1) / 1.4, 0.1
    divergences = {
        kl_shifted: lambda q: float(np.sum(q * np.log(np.maximum(q, 1e-300) / p))),
        chi_square_shifted: lambda q: float(np.sum((q - p) ** 2 / p)),
    }
    for loss, tight in ((rng.random(4), False), (np.array([0.0, 1.0, 1.0, 0.0]), True)):
        for worst, divergence in divergences.items():
            limits = [
                {"type": "eq", "fun": lambda q: q.sum() - 1},
                {"type": "ineq", "fun": lambda q, d=divergence: radius - d(q)},
            ]
            found = minimize(
                lambda q, loss=loss: -q @ loss, p, bounds=[(0, 1)] * 4, constraints=limits, method="SLSQP", options=EXACT
            )
            best = -float(found.fun)
            assert best <= worst(float(p @ loss), radius) + 1e-6
            if tight:
                assert best == pytest.approx(worst(float(p @ loss), radius), abs=1e-4)
                assert best > worst(float(p @ loss), 0.9 * radius), "a radius shrunk by a tenth is caught"


@given(rate=st.floats(1e-9, 0.99), radius=st.floats(1e-6, 2))
def test_the_divergence_at_the_limit_is_the_radius(rate: float, radius: float) -> None:
    q = kl_shifted(rate, radius)
    if q < 1:
        with mp.workdps(40):
            p, x = mp.mpf(rate), mp.mpf(q)
            spent = x * mp.log(x / p) + (1 - x) * mp.log((1 - x) / (1 - p))
        assert radius <= float(spent) <= radius * (1 + 1e-6) + 1e-12


def test_known_answers() -> None:
    assert kl_shifted(0.5, math.log(2)) == 1.0 == chi_square_shifted(0.5, 1.0)
    assert chi_square_shifted(0.1, 0.25) == pytest.approx(0.25)
    assert kl_shifted(0.25, 0.5 * math.log(2) + 0.5 * math.log(2 / 3)) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("worst", BOTH)
def test_edges(worst) -> None:
    assert worst(0.0, 0.5) == 0.0 and worst(1.0, 0.5) == 1.0 and worst(0.3, 0.0) == 0.3
    assert 0.0 < worst(5e-324, 0.5) < 1e-2
    for bad in ((math.nan, 0.1), (1.1, 0.1), (0.5, -0.1), (0.5, math.inf)):
        with pytest.raises(Refused):
            worst(*bad)
