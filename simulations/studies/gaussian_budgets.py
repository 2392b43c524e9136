"""Budgets of Gaussian noise: how often each fails against its delta, and how far it lies above what the noise does.

python -m simulations gaussian-budgets; python -m simulations.studies.gaussian_budgets
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from certify.laws.bulk_fit import variance_by_quantiles
from certify.laws.maxima import MaxAbsGaussian
from certify.records import Refused
from certify.theory import gaussian
from certify.theory._arrays import Array
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from simulations.engine.study import Scalar, Study
from simulations.samplers import gram_factor, noise_sizes
from simulations.studies._page import COLOURS, INK, Results, command, table, write

# Level at which draws refute "fails with probability at most delta"; confidence of each end of a shown interval.
REFUTED, END = 1e-6, 0.025
IGNORED = ", tokens ignored"
SHARE = 0.2
MULTIPLIERS = ("paper", "drop2", "bonferroni", "sidak")
EDGES = ("edge: true", "edge: largest value", "edge: quantile fit", "edge: upper limit")
SPENT = 0.1
SAYS = {
    "paper": "x = sqrt(2 log(2 k / delta)) (C5.10)",
    "drop2": "the factor 2 left out (X15a)",
    "bonferroni": "exact tail, union bound (X15b)",
    "sidak": "Šidák's level (X15c)",
    "rank-uniform": "every vector of the span at once (X17)",
    "mean+concentration": "expected budget plus deviation (X16)",
    "sphere": "the Frobenius norm of R in place of the variance (X18)",
    "edge: true": "C5.11 with the true edge and Šidák's x",
    "edge: largest value": "C5.11, the edge read off as the largest singular value",
    "edge: quantile fit": "C5.11, the edge fitted to the middle quantiles",
    "edge: upper limit": "C5.11, an upper confidence limit of the edge, a tenth of delta spent on it",
    "paper" + IGNORED: "C5.10 counting samples, not tokens (F2)",
    "sidak" + IGNORED: "X15c counting samples, not tokens (F2)",
}
UNSOUND = ("edge: largest value", "edge: quantile fit", "paper" + IGNORED, "sidak" + IGNORED)


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | int]:
    """Failures of one budget over independent noise on fixed inputs.

        R in R^{rows x cols} iid N(0, 1 / rows),  v_{s,p} standard Gaussian of norm 1,  L_s = 1,
        B_T(R) = (2 / T) sum_s max_p ||R v_{s,p}||_inf

    parameters : method, a key of SAYS; rows, cols; samples T; tokens P per sample; delta; draws. The inputs are drawn once.
    Returns failures of what the method states (for the multipliers and edges: some coordinate of some sample passes its
    level; for mean+concentration: the budget itself does), failures of the budget alone, draws; the mean of the bound on B_T,
    the 1 - delta quantile of B_T over the draws, tightness = bound / quantile; and the dimension of the inputs' span.
    Claim C5.10-gauss-budget, C5.11-mp-edge-budget, X15-gauss-exact, X16-gauss-mean, X17-rank-uniform, X18-g-free, X19-tokens.
    """
    method, delta = str(parameters["method"]), float(parameters["delta"])
    rows, cols, samples, tokens, draws = (int(parameters[name]) for name in ("rows", "cols", "samples", "tokens", "draws"))
    if method not in SAYS:
        raise Refused(f"method {method!r} is not known; known here: {', '.join(SAYS)}")
    if min(rows, cols, samples, tokens) < 1 or draws < 2:
        raise Refused(f"rows, cols, samples, tokens, draws = {rows}, {cols}, {samples}, {tokens}, {draws}: at least 1, draws 2")
    inputs = generator.standard_normal((samples, tokens, cols))
    inputs /= np.linalg.norm(inputs, axis=2, keepdims=True)
    factor = gram_factor(inputs)
    if method in EDGES or method == "sphere":
        sizes, levels = _dense(method, inputs, rows, delta, draws, generator)
    else:
        sizes = noise_sizes(factor, rows, 1.0 / rows, draws, generator)
        levels = np.full(draws, _level(method, inputs, rows, factor.rank, delta))
    budgets = 2.0 * sizes.mean(axis=1)
    bounds = 2.0 * levels
    over = budgets > bounds
    stated = over if method == "mean+concentration" else sizes.max(axis=1) > levels
    quantile = float(np.quantile(budgets, 1.0 - delta))
    return {
        "failures": int(stated.sum()),
        "budget_failures": int(over.sum()),
        "bound": float(bounds.mean()),
        "quantile": quantile,
        "tightness": float(bounds.mean()) / quantile,
        "rank": factor.rank,
    }


def _level(method: str, inputs: Array, rows: int, rank: int, delta: float) -> float:
    """Half of the bound on B_T at L_s = 1 and ||v|| = 1: the level of every size, where the method states one."""
    samples, tokens, _ = inputs.shape
    deviation = 1.0 / math.sqrt(rows)
    if method == "rank-uniform":
        return deviation * gaussian.rank_multiplier(rows, rank, delta)
    if method == "mean+concentration":
        ones = np.ones(samples)
        mean = gaussian.budget_mean(ones, ones, np.full(samples, MaxAbsGaussian(rows * tokens).mean()), 1.0 / rows)
        kappa = gaussian.budget_frobenius_lipschitz(ones, inputs)
        return 0.5 * (mean + gaussian.budget_deviation(kappa, 1.0 / rows, delta))
    count = samples if method.endswith(IGNORED) else samples * tokens
    return deviation * gaussian.gaussian_multiplier(rows, count, delta, method.removesuffix(IGNORED))


def _dense(method: str, inputs: Array, rows: int, delta: float, draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sizes (draws, T) and levels (draws,) of methods that look at R itself."""
    samples, tokens, cols = inputs.shape
    vectors = inputs.reshape(-1, cols).T
    sizes, levels = np.empty((draws, samples)), np.empty(draws)
    left = delta * (1.0 - SPENT) if method == "edge: upper limit" else delta
    if method == "sphere":
        multiplier = gaussian.sphere_multiplier(rows, cols, samples * tokens, delta)
    else:
        multiplier = gaussian.gaussian_multiplier(rows, samples * tokens, left, "sidak")
    for draw in range(draws):
        noise = rng.standard_normal((rows, cols)) / math.sqrt(rows)
        sizes[draw] = np.abs(noise @ vectors).max(axis=0).reshape(samples, tokens).max(axis=1)
        levels[draw] = multiplier * _deviation(method, noise, delta)
    return sizes, levels


def _deviation(method: str, noise: Array, delta: float) -> float:
    """What is taken for the deviation of one entry, or for ||R||_F."""
    rows, cols = noise.shape
    if method == "edge: true":
        return 1.0 / math.sqrt(rows)
    norm = float(np.linalg.norm(noise))
    if method == "sphere":
        return norm
    if method == "edge: upper limit":
        return gaussian.entry_deviation_upper(norm, rows, cols, SPENT * delta)
    values = np.linalg.svd(noise, compute_uv=False)
    if method == "edge: largest value":
        return float(values[0]) / (math.sqrt(rows) + math.sqrt(cols))
    return math.sqrt(variance_by_quantiles(values, rows, cols, SHARE))


STUDY = Study(
    name="gaussian-budgets",
    version=1,
    run=run,
    parameters={"method": str, "rows": int, "cols": int, "samples": int, "tokens": int, "delta": float, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="validity and tightness of the budgets of Gaussian noise, the fitted edge included",
)


def verdict(results: Results) -> list[list[Any]]:
    """One row per method: points of the grid, points refuted, worst rate over delta, tightness.

    A point is refuted when the lower Clopper–Pearson limit of its rate at level REFUTED exceeds delta.
    """
    lines = []
    for method in SAYS:
        rows = results.where(method=method)
        if not len(rows):
            continue
        rates = rows["failures"] / rows["draws"] / rows["delta"]
        worst = int(np.argmax(rates))
        at = {name: rows[name][worst] for name in ("rows", "cols", "samples", "tokens", "delta", "failures", "draws")}
        low, high = (
            limit(int(at["failures"]), int(at["draws"]), END) for limit in (clopper_pearson_lower, clopper_pearson_upper)
        )
        place = f"{at['rows']} x {at['cols']}, {at['samples']} x {at['tokens']}"
        share = f"{at['failures'] / at['draws']:.4f} ({low:.4f} to {high:.4f})"
        lines.append(
            [method, SAYS[method], len(rows), int(_refuted(rows).sum()), share, float(at["delta"]), place]
            + [float(q) for q in np.quantile(rows["tightness"], [0.0, 0.5, 1.0])]
        )
    return lines


def _refuted(rows: Results) -> np.ndarray:
    counts = zip(rows["failures"], rows["draws"], rows["delta"], strict=True)
    return np.array([clopper_pearson_lower(int(k), int(n), REFUTED) > delta for k, n, delta in counts])


def findings(results: Results) -> list[str]:
    """What the rows say, in words and a table."""
    lines = verdict(results)
    points = {line[0]: line[2] for line in lines}
    bad = {line[0]: line[3] for line in lines if line[3]}
    sound = [method for method in points if method not in UNSOUND]
    wrong = [method for method in sound if method in bad]
    told = [f"{method} ({bad[method]} of {points[method]} points)" for method in UNSOUND if method in bad]
    quiet = [method for method in UNSOUND if method in points and method not in bad]
    text = [
        f"Methods whose hypotheses hold, {len(sound)} of them: "
        + (f"refuted are {', '.join(wrong)}." if wrong else f"none is refuted at any of {sum(points[m] for m in sound)} points.")
        + (f" Not valid, and seen to fail: {', '.join(told)}." if told else "")
        + (f" Not valid, though no point of this grid refutes it: {', '.join(quiet)}." if quiet else ""),
        "",
    ]
    text += _tightness_by_samples(results) + _gains(results)
    text += table(
        ["method", "what", "points", "refuted", "worst rate (95 % interval)", "delta there", "n x m, T x P there"]
        + ["bound / quantile: least", "median", "most"],
        lines,
    )
    text += [
        f"A point is refuted when the lower Clopper–Pearson limit at level {REFUTED:g} lies above delta: the chance of one false "
        f"alarm anywhere is at most {REFUTED * sum(points.values()):.1g}. "
        "A fitted edge carries no probability of its own (F19).",
        "",
    ]
    return text


def _tightness_by_samples(results: Results) -> list[str]:
    """Median tightness of the main methods for each number of samples, and where fitted edges are refuted."""
    lines = []
    for (samples,), part in results.where(np.isin(results["method"], ("paper", "sidak", "mean+concentration"))).groups("samples"):
        middle = {method: float(np.median(rows["tightness"])) for (method,), rows in part.groups("method")}
        said = ", ".join(f"{method} {value:.3g}" for method, value in middle.items())
        lines.append(f"Median bound over the 1 - delta quantile of B_T at |T| = {samples}: {said}.")
    shapes = []
    for (method, rows, cols), part in results.where(np.isin(results["method"], EDGES)).groups("method", "rows", "cols"):
        if count := int(_refuted(part).sum()):
            shapes.append(f"{method} at {rows} x {cols} ({count} of {len(part)} points)")
    if shapes:
        lines.append(f"Budgets from an edge are refuted here: {', '.join(shapes)}.")
    return [" ".join(lines), ""] if lines else []


def _gains(results: Results) -> list[str]:
    """Where mean+concentration beats Šidák: share of the points at which its bound is smaller, by number of samples."""
    both = {}
    for method in ("sidak", "mean+concentration"):
        part = results.where(method=method)
        keys = zip(*(part[name].tolist() for name in ("rows", "cols", "samples", "tokens", "delta")), strict=True)
        both[method] = dict(zip(keys, part["bound"].tolist(), strict=True))
    shared = sorted(both["sidak"].keys() & both["mean+concentration"].keys())
    lines = []
    for samples in sorted({key[2] for key in shared}):
        here = [key for key in shared if key[2] == samples]
        won = sum(both["mean+concentration"][key] < both["sidak"][key] for key in here)
        lines.append(f"At |T| = {samples} mean+concentration is below Šidák at {won} of {len(here)} points.")
    return [" ".join(lines), ""] if lines else []


def picture(figure: Any, results: Results) -> None:
    """Failure rate over delta, and tightness, of every method at every point."""
    methods = [method for method in SAYS if len(results.where(method=method))]
    left, right = figure.subplots(1, 2, sharey=True)
    for place, method in enumerate(methods):
        rows = results.where(method=method)
        colour = COLOURS[1] if method in UNSOUND else COLOURS[0]
        jitter = place + np.linspace(-0.25, 0.25, len(rows))
        rates = rows["failures"] / rows["draws"] / rows["delta"]
        left.plot(np.maximum(rates, 1e-3), jitter, ".", color=colour, ms=4)
        right.plot(rows["tightness"], jitter, ".", color=colour, ms=4)
    left.axvline(1.0, color=INK, lw=0.8)
    left.set(xscale="log", xlabel="failure rate / delta (0 drawn at .001)", ylim=(len(methods) - 0.5, -0.5))
    left.set_yticks(range(len(methods)), methods)
    left.set_title("Validity", loc="left")
    right.axvline(1.0, color=INK, lw=0.8)
    right.set(xscale="log", xlabel="bound / quantile of the budget")
    right.set_title("Tightness", loc="left")


def page(results: Results, folder: Path) -> list[Path]:
    """Write the page of findings and its picture; their paths."""
    return write(STUDY, results, folder, "Budgets of Gaussian noise", findings(results), picture, (11.0, 5.0))


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
