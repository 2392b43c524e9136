"""Gaussian and sub-Gaussian budgets: how often they fail, against how often they may."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from certify.laws.maxima import MaxAbsGaussian
from certify.theory import gaussian as g
from certify.theory.thresholds import above_threshold, miss_probability, support_threshold, threshold_moments
from proofs_check.checks import Check, Finding
from proofs_check.coverage import protocols
from proofs_check.coverage.protocols import SEED, monte_carlo, stream, together

DELTA = 0.1
Rng = np.random.Generator
Draw = Callable[[Rng, tuple[int, ...]], np.ndarray]


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def _inputs(rng: Rng, count: int, cols: int) -> np.ndarray:
    """Generic vectors, the last one zero, the one before a copy, the first one-hot, the second constant."""
    v = rng.standard_normal((count, cols)) * rng.choice([0.1, 1.0, 3.0], (count, 1))
    v[0], v[1], v[-2], v[-1] = np.eye(cols)[0], 1.0, v[2], 0.0
    return v


def _largest(rng: Rng, draw: Draw, draws: int, shape: tuple[int, int], vectors: np.ndarray, batch: int = 250) -> np.ndarray:
    """(draws,) max over vectors and rows of |(R v)_i| / ||v||, R drawn with unit variance; 0 / 0 counts as 0."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(norms > 0.0, norms, 1.0)
    sizes = [
        np.abs(draw(rng, (min(batch, draws - start), *shape)) @ directions.T).max(axis=(1, 2)) for start in range(0, draws, batch)
    ]
    return np.concatenate(sizes)


def _beyond(sizes: np.ndarray, level: float) -> int:
    return int(np.sum(sizes > level))


def normal(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Standard Gaussian entries."""
    return rng.standard_normal(shape)


def token_failure_rates(tokens: int = 30, draws: int = 2000, seed: int = SEED) -> tuple[float, float, int]:
    """F2 at n = 16, T = 10, delta = .1: how often the exact multiplier fails with tokens counted, and with tokens ignored.

    Returns (rate when counted, rate when ignored, draws); a rate times draws is a whole number of failures.
    """
    rows, cols, samples = 16, 24, 10
    rng = np.random.default_rng(seed)
    largest = _largest(rng, normal, draws, (rows, cols), rng.standard_normal((samples * tokens, cols)))
    counted = g.gaussian_multiplier(rows, samples * tokens, DELTA)
    ignored = g.gaussian_multiplier(rows, samples, DELTA)
    return _beyond(largest, counted) / draws, _beyond(largest, ignored) / draws, draws


def _tokens() -> Finding:
    counted, ignored, draws = token_failure_rates()
    return together({f"tokens counted (ignored: {ignored:.2f})": protocols.held(round(counted * draws), draws, DELTA)})


def _gaussian() -> Finding:
    draws, found = 3000, {}
    for rows, cols, count in ((48, 32, 40), (1, 8, 4), (5, 1, 6)):
        rng = stream(f"gauss {rows} {cols}")
        largest = _largest(rng, normal, draws, (rows, cols), _inputs(rng, count, cols))
        for method in g.METHODS:
            failures = _beyond(largest, g.gaussian_multiplier(rows, count, DELTA, method))
            found[f"{method} {rows}x{cols}, {count} vectors"] = protocols.held(failures, draws, DELTA, loose=method == "paper")
    return together(found)


def _budget_with_dependent_constants() -> Finding:
    """L_s = ||R v_s||_inf + 1 depends on R (F5); variance g / n = 0.04; samples of 3 tokens."""
    rng, draws, rows, cols, variance = stream("gauss-budget"), 2000, 12, 9, 0.04
    v = rng.standard_normal((6, 3, cols))
    norms = np.linalg.norm(v, axis=2).max(axis=1)
    failures = 0
    for _ in range(draws):
        sizes = np.abs(v @ (math.sqrt(variance) * rng.standard_normal((rows, cols))).T).max(axis=(1, 2))
        spent = 2.0 * float(np.mean((sizes + 1.0) * sizes))
        call = {"rows": rows, "entry_variance": variance, "delta": DELTA, "method": "paper"}
        failures += spent > g.gaussian_budget(sizes + 1.0, norms, np.full(6, 3), **call)
    return protocols.held(failures, draws, DELTA, loose=True)


def _sidak_level() -> Finding:
    found = {}
    for rows in (1, 12, 60):
        rng = stream(f"sidak {rows}")
        largest = _largest(rng, normal, 6000, (rows, 4), rng.standard_normal((1, 4)), 1000)
        found[f"{rows} rows"] = protocols.exact_level(_beyond(largest, g.gaussian_multiplier(rows, 1, DELTA)), 6000, DELTA)
    return together(found)


def _mean_budget() -> Finding:
    """Generic and orthogonal inputs: the first and the second form of kappa."""
    found, draws, rows, variance = {}, 3000, 24, 0.5 / 24
    for name, v in {"generic": stream("mean inputs").standard_normal((20, 16)), "orthogonal": np.eye(16)}.items():
        rng = stream(f"mean {name}")
        constants = rng.random(len(v)) + 0.5
        noise = math.sqrt(variance) * rng.standard_normal((draws, rows, 16))
        spent = 2.0 * (np.abs(noise @ v.T).max(axis=1) @ constants) / len(v)
        mean = g.budget_mean(constants, np.linalg.norm(v, axis=1), np.full(len(v), MaxAbsGaussian(rows).mean()), variance)
        kappa = g.budget_frobenius_lipschitz(constants, v[:, None])
        both, above = (g.budget_deviation(kappa, variance, DELTA, sides) for sides in (2, 1))
        found[f"{name}: mean"] = protocols.mean(spent, mean)
        found[f"{name}: both sides"] = protocols.held(_beyond(np.abs(spent - mean), both), draws, DELTA, loose=True)
        found[f"{name}: above"] = protocols.held(_beyond(spent - mean, above), draws, DELTA, loose=True)
    return together(found)


def _mean_budget_tokens() -> Finding:
    """m_{n P} and the longest token bound the mean of a budget with tokens: 5 standard errors below the bound."""
    rng, rows, tokens = stream("mean-tokens"), 8, 5
    v = rng.standard_normal((4, tokens, 6))
    spent = 2.0 * np.mean([np.abs(rng.standard_normal((4000, rows, 6)) @ sample.T).max(axis=(1, 2)) for sample in v], axis=0)
    bound = g.budget_mean(
        np.ones(4), np.linalg.norm(v, axis=2).max(axis=1), np.full(4, MaxAbsGaussian(rows * tokens).mean()), 1.0
    )
    error = float(spent.std(ddof=1)) / math.sqrt(len(spent))
    said = f"mean {spent.mean():.4g} (error {error:.2g}) <= {bound:.4g}; false-alarm rate 3e-07"
    return Finding("", said) if spent.mean() - 5.0 * error <= bound else Finding(said)


def _rank_level() -> Finding:
    found, draws, rows, cols = {}, 5000, 20, 12
    for rank in (1, 3, cols):
        rng = stream(f"rank {rank}")
        basis = np.linalg.qr(rng.standard_normal((cols, rank)))[0]
        projected = rng.standard_normal((draws, rows, cols)) @ basis
        level = g.rank_multiplier(rows, rank, DELTA)
        supremum = np.linalg.norm(projected, axis=2).max(axis=1)
        found[f"supremum, rank {rank}"] = protocols.exact_level(_beyond(supremum, level), draws, DELTA)
        many = np.abs(projected @ _unit(rng.standard_normal((200, rank))).T).max(axis=(1, 2))
        found[f"200 inputs of rank {rank}"] = protocols.held(_beyond(many, level), draws, DELTA)
    return together(found)


def heavy_radius(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Matrices of uniform direction whose Frobenius norm has a Cauchy tail."""
    noise = rng.standard_normal(shape)
    radius = np.abs(rng.standard_cauchy((*shape[:-2], 1, 1)))
    return radius * noise / np.linalg.norm(noise, axis=(-2, -1), keepdims=True)


def _sphere() -> Finding:
    found, draws = {}, 3000
    for rows, cols, count in ((12, 8, 30), (1, 1, 3), (1, 2, 2), (3, 1, 1)):
        rng = stream(f"sphere {rows} {cols}")
        directions = _unit(rng.standard_normal((count, cols)))
        noise = heavy_radius(rng, (draws, rows, cols))
        share = np.abs(noise @ directions.T).max(axis=(1, 2)) / np.linalg.norm(noise, axis=(1, 2))
        x = g.sphere_multiplier(rows, cols, count, DELTA) * (1.0 + 1e-12)
        found[f"{rows}x{cols}, {count} vectors"] = protocols.held(_beyond(share, x), draws, DELTA)
    return together(found)


def _deviation_level() -> Finding:
    found, draws = {}, 6000
    for rows, cols in ((1, 1), (6, 5)):
        norms = np.linalg.norm(0.3 * stream(f"deviation {rows} {cols}").standard_normal((draws, rows, cols)), axis=(1, 2))
        upper = norms * g.entry_deviation_upper(1.0, rows, cols, DELTA)
        found[f"{rows}x{cols}"] = protocols.exact_level(_beyond(np.full(draws, 0.3), upper), draws, DELTA)
    return together(found)


def _magnitude_masks() -> Finding:
    """Removed: the smaller half of the matrix, or the two smallest of each four. One input depends on |A|."""
    found, draws, rows, cols = {}, 1500, 8, 16
    laws: dict[str, Draw] = {"Gaussian": normal, "t_2.5": lambda rng, shape: rng.standard_t(2.5, shape)}
    for law, draw in laws.items():
        rng = stream(f"magnitude-masks {law}")
        v = rng.standard_normal((10, cols))
        for mask in ("top half", "2:4"):
            failures = 0
            for _ in range(draws):
                a = draw(rng, (rows, cols))
                removed = _smaller_half(a) if mask == "top half" else _two_of_four(a)
                inputs = np.vstack([v, np.abs(a).sum(axis=0)])
                x = g.random_sign_multiplier(rows, len(inputs), DELTA)
                failures += bool(np.any(np.abs(removed @ inputs.T) > x * np.sqrt(removed**2 @ (inputs**2).T)))
            found[f"{law}, {mask}"] = protocols.held(failures, draws, DELTA, loose=True)
    return together(found)


def _smaller_half(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) <= np.median(np.abs(a)), a, 0.0)


def _two_of_four(a: np.ndarray) -> np.ndarray:
    groups = a.reshape(a.shape[0], -1, 4)
    rank = np.argsort(np.argsort(np.abs(groups), axis=2), axis=2)
    return np.where(rank < 2, groups, 0.0).reshape(a.shape)


CUT = 1.2
SPARSE = 1.0 / 3.0
LAWS: dict[str, tuple[Draw, float]] = {
    "Rademacher": (lambda rng, shape: rng.choice([-1.0, 1.0], shape), 0.5),
    "uniform": (lambda rng, shape: rng.uniform(-math.sqrt(3.0), math.sqrt(3.0), shape), 0.5),
    "sparse sign 1/3": (
        lambda rng, shape: rng.choice([-1.0, 1.0], shape) * (rng.random(shape) < SPARSE) / math.sqrt(SPARSE),
        0.5,
    ),
    "sparse sign .1": (lambda rng, shape: rng.choice([-1.0, 1.0], shape) * (rng.random(shape) < 0.1) / math.sqrt(0.1), 0.05),
    "Gaussian cut at 1.2": (lambda rng, shape: (lambda a: np.where(np.abs(a) <= CUT, a, 0.0))(rng.standard_normal(shape)), 0.5),
    "identical rows": (
        lambda rng, shape: np.repeat(rng.choice([-1.0, 1.0], (*shape[:-2], 1, shape[-1])), shape[-2], axis=-2),
        0.5,
    ),
}


def _subgaussian() -> Finding:
    found, draws, rows, cols, count = {}, 2000, 12, 16, 15
    for name, (draw, c) in LAWS.items():
        rng = stream(f"subgaussian {name}")
        largest = _largest(rng, draw, draws, (rows, cols), _inputs(rng, count, cols))
        failures = _beyond(largest, g.subgaussian_multiplier(rows, count, DELTA, c))
        found[f"{name}, c = {c}"] = protocols.held(failures, draws, DELTA, loose=True)
    return together(found)


def _orlicz_rows() -> Finding:
    """Entries +-1 with the rare probability at which C = 1 is within a factor 2 of its level; Gaussian rows."""
    rng, draws, rows = stream("orlicz"), 6000, 20
    rare = 0.999 * DELTA / (2.0 * rows - DELTA)
    level = g.subgaussian_multiplier(rows, 1, DELTA, 1.0)
    norm = 1.0 / math.sqrt(math.log1p(1.0 / rare))
    spikes = int(np.sum((rng.random((draws, rows)) < rare).any(axis=1) & (norm * level < 1.0)))
    gaussian = _largest(rng, normal, 3000, (rows, 6), rng.standard_normal((1, 6)))
    return together(
        {
            f"rare signs, level {norm * level:.5f}": protocols.held(spikes, draws, DELTA, loose=True),
            "Gaussian rows": protocols.held(_beyond(gaussian, math.sqrt(8.0 / 3.0) * level), 3000, DELTA, loose=True),
        }
    )


def _thresholds() -> Finding:
    rng, draws, shape, variance = stream("thresholds"), 4000, (20, 30), 0.05
    published, exact = (support_threshold(*shape, variance, DELTA, method) for method in ("paper", "sidak"))
    signal = np.where(rng.random(shape) < 0.2, rng.choice([-1.0, 1.0], shape) * 2.0001 * exact, 0.0)
    strong, near = signal * published / exact, np.where(signal == 0.0, 0.0, 0.9 * exact)
    lost = {"published": 0, "exact": 0}
    beyond = 0
    for _ in range(draws):
        noise = math.sqrt(variance) * rng.standard_normal(shape)
        lost["published"] += not np.array_equal(above_threshold(strong + noise, published), strong != 0.0)
        lost["exact"] += not np.array_equal(above_threshold(signal + noise, exact), signal != 0.0)
        beyond += bool(np.abs(noise).max() > exact)
    cut = int(np.sum(~above_threshold(near.max() + math.sqrt(variance) * rng.standard_normal((1, draws)), exact)))
    return together(
        {
            "recovery, published t": protocols.held(lost["published"], draws, DELTA, loose=True),
            "recovery, t*": protocols.held(lost["exact"], draws, DELTA),
            "max |R| > t*": protocols.exact_level(beyond, draws, DELTA),
            "an entry of .9 t* is missed": protocols.exact_level(
                cut, draws, float(miss_probability(near.max(), exact, variance))
            ),
        }
    )


def _cut_moments() -> Finding:
    found, sigma = {}, 0.5
    for kappa in (0.7, 2.0):
        a = sigma * stream(f"cut-moments {kappa}").standard_normal(200_000)
        removed = np.where(np.abs(a) <= kappa * sigma, a, 0.0)
        moments = threshold_moments(kappa, sigma**2)
        found[f"fraction at {kappa}"] = protocols.exact_level(int(np.count_nonzero(removed)), a.size, moments.fraction)
        found[f"E R^2 at {kappa}"] = protocols.mean(removed**2, moments.square)
        found[f"E |R| at {kappa}"] = protocols.mean(np.abs(removed), moments.absolute)
    return together(found)


CHECKS: tuple[Check, ...] = (
    monte_carlo("tokens", "n = 16, P = 30, T = 10: every token counts", ("X19-tokens", "X15-gauss-exact"), _tokens),
    monte_carlo("gauss", "four multipliers for all vectors at once", ("C5.10-gauss-budget", "X15-gauss-exact"), _gaussian),
    monte_carlo(
        "gauss-budget",
        "the budget holds for constants that depend on R",
        ("C5.10-gauss-budget",),
        _budget_with_dependent_constants,
    ),
    monte_carlo("sidak", "for one vector the failure rate is delta", ("X15-gauss-exact",), _sidak_level),
    monte_carlo("mean", "mean and both deviations of the budget", ("X16-gauss-mean", "M9-max-gaussian"), _mean_budget),
    monte_carlo("mean-tokens", "the mean with tokens is bounded", ("X16-gauss-mean",), _mean_budget_tokens),
    monte_carlo("rank", "the supremum over a subspace has level delta", ("X17-rank-uniform",), _rank_level),
    monte_carlo("sphere", "no variance needed, heavy-tailed radius", ("X18-g-free",), _sphere),
    monte_carlo("deviation", "the limit of sqrt(g) has level delta", ("X18-g-free",), _deviation_level),
    monte_carlo("magnitude-masks", "masks of sign-symmetric weights", ("X21-sign-symmetric", "EMP-H1"), _magnitude_masks),
    monte_carlo("subgaussian", "six laws of entries", ("ESM1-C1.4-subgauss-budget", "X22-magnitude-threshold"), _subgaussian),
    monte_carlo("orlicz", "rows of given Orlicz norm, C = 1", ("ESM1-E2.6-subgauss-rows",), _orlicz_rows),
    monte_carlo("thresholds", "supports behind noise", ("ESM1-T3.20-threshold", "X28-threshold-exact"), _thresholds),
    monte_carlo("cut-moments", "moments of a magnitude threshold", ("X22-magnitude-threshold",), _cut_moments),
)
