"""Effective numbers of random scores, and limits of rates, by Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from certify.theory.binomial import clopper_pearson_upper, hoeffding_gap_upper, noise_maximum, paired_drop_upper
from certify.theory.emp import score_laws as laws
from certify.theory.emp.effective_number import effective_number, kept_count, retained_mass
from proofs_check.checks import Check, Finding
from proofs_check.coverage.protocols import held, mean, slope, together

SEED = 20260
Sampler = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

# Laws of the table in Section 5 with a fourth moment: constants, sampler of a table of scores.
TABLE: dict[str, tuple[laws.NullRatio, Sampler]] = {
    "|Gaussian|": (laws.gaussian_power(), lambda rng, s: np.abs(rng.standard_normal(s))),
    "Gaussian^2": (laws.gaussian_power(2.0), lambda rng, s: rng.standard_normal(s) ** 2),
    "|Gaussian|^.5": (laws.gaussian_power(0.5), lambda rng, s: np.abs(rng.standard_normal(s)) ** 0.5),
    "|Gaussian|^1.5": (laws.gaussian_power(1.5), lambda rng, s: np.abs(rng.standard_normal(s)) ** 1.5),
    "|Laplace|": (laws.laplace_power(), lambda rng, s: rng.standard_exponential(s)),
    "Laplace^2": (laws.laplace_power(2.0), lambda rng, s: rng.standard_exponential(s) ** 2),
    "uniform": (laws.uniform_power(), lambda rng, s: rng.random(s)),
    "uniform^2": (laws.uniform_power(2.0), lambda rng, s: rng.random(s) ** 2),
    "Student 9": (laws.student(9.0), lambda rng, s: np.abs(rng.standard_t(9.0, s))),
    "log-normal .5": (laws.log_normal(0.5), lambda rng, s: rng.lognormal(0.0, 0.5, s)),
    "Pareto 9": (laws.pareto(9.0), lambda rng, s: 1.0 + rng.pareto(9.0, s)),
    "norm of 9 Gaussians": (laws.gaussian_norm(9), lambda rng, s: np.sqrt(rng.chisquare(9.0, s))),
}


def _ratios(table: np.ndarray) -> np.ndarray:
    return table.sum(axis=1) ** 2 / np.sum(table * table, axis=1) / table.shape[1]


def limits() -> Finding:
    """Mean of D/N against R + b/N at N = 4000, where the next term is below a standard error."""
    rng, size, draws = np.random.default_rng(SEED), 4000, 200
    found = {
        name: mean(_ratios(sampler(rng, (draws, size))), law.ratio + law.bias / size) for name, (law, sampler) in TABLE.items()
    }
    return together(found)


def fluctuations() -> Finding:
    """Mean of N (D/N - R - b/N)^2 against V, for laws with light tails."""
    rng, size, draws = np.random.default_rng(SEED + 1), 1000, 3000
    found = {}
    for name in ("|Gaussian|", "|Laplace|", "uniform", "norm of 9 Gaussians"):
        law, sampler = TABLE[name]
        squares = size * (_ratios(sampler(rng, (draws, size))) - law.ratio - law.bias / size) ** 2
        found[name] = mean(squares, law.variance)
    return together(found)


def retained() -> Finding:
    """Mean retained mass of vectors of 20,000 scores, whose bias of order 1/N is below a standard error."""
    rng, size, draws = np.random.default_rng(SEED + 2), 20_000, 60
    found = {}
    for name, (law, sampler) in TABLE.items():
        masses = [retained_mass(values, kept_count(values)) for values in sampler(rng, (draws, size))]
        found[name] = mean(masses, law.retained)
    return together(found)


def heavy_tails() -> Finding:
    """Slope of log D over log N at a = 3/2; mean of 1/D against 1 - a below 1."""
    rng = np.random.default_rng(SEED + 3)
    sizes = [400, 1600, 6400, 25_600]
    typical = [math.exp(np.mean([math.log(effective_number(rng.random(n) ** (-1 / 1.5))) for _ in range(150)])) for n in sizes]
    found = {"a = 1.5": slope(sizes, typical, laws.heavy_tail_exponent(1.5), cap=math.inf, window=0.15)}
    for a in (0.3, 0.6):
        inverse = [1.0 / effective_number(rng.random(20_000) ** (-1 / a)) for _ in range(400)]
        found[f"a = {a}"] = mean(inverse, 1.0 - a)
    return together(found)


def exact_limits() -> Finding:
    """Failures of both limits, over rates from .002 to .3 with 200 samples."""
    rng, n, draws, alpha = np.random.default_rng(SEED + 4), 200, 20_000, 0.05
    found = {}
    for rate in (0.002, 0.05, 0.3):
        upper = [clopper_pearson_upper(k, n, alpha) for k in range(n + 1)]
        found[f"rate {rate}"] = held(int(sum(rate > upper[k] for k in rng.binomial(n, rate, draws))), draws, alpha)
    losses, gains = 0.04, 0.02
    drawn = rng.multinomial(n, (losses, gains, 1 - losses - gains), 4000)
    below = sum(losses - gains > paired_drop_upper(int(lost), int(won), n, alpha) for lost, won, _ in drawn)
    return together(found | {"paired drop .02": held(int(below), len(drawn), alpha)})


def selection_optimism() -> Finding:
    """900 fixed masks of accuracy .62 on 1,000 images: the gap holds, the best of pure noise gains what is predicted."""
    rng, masks, images, draws, delta = np.random.default_rng(SEED + 5), 900, 1000, 3000, 0.05
    seen = rng.binomial(images, 0.62, (draws, masks)) / images
    gap = hoeffding_gap_upper(masks, images, delta)
    failures = int(np.sum(np.abs(seen - 0.62).max(axis=1) > gap))
    return together(
        {
            f"gap {gap:.3f}": held(failures, draws, delta),
            "best of noise": mean(seen.max(axis=1) - 0.62, noise_maximum(masks, images, 0.62)),
        }
    )


CHECKS = (
    Check("MC-EMP-1", "Monte Carlo", "D/N has mean R + b/N (12 score laws)", ("EMP-T14",), limits),
    Check("MC-EMP-2", "Monte Carlo", "N var(D/N) -> V (4 score laws)", ("EMP-T14",), fluctuations),
    Check("MC-EMP-3", "Monte Carlo", "s_eff -> E[s; s > q] / m_1", ("EMP-T14",), retained),
    Check("MC-EMP-4", "Monte Carlo", "heavy tails: slope 2 - 2/a, E[1/D] -> 1 - a", ("EMP-T15",), heavy_tails),
    Check(
        "MC-RATE-1",
        "Monte Carlo",
        "limits of a rate and of a paired drop cover",
        ("B1-clopper-pearson", "B2-paired-drop"),
        exact_limits,
    ),
    Check("MC-SEL-1", "Monte Carlo", "validation gap of 900 masks, and the best of pure noise", ("SEL-T8",), selection_optimism),
)
