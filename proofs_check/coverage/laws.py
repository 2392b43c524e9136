"""Random-matrix laws at finite size: noise alone. `laws_spikes` adds the signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from certify.laws import bulk_fit, wishart
from certify.laws.marchenko_pastur import MarchenkoPasturSingular, gaussian_moment
from certify.laws.maxima import MaxAbsGaussian
from certify.laws.tracy_widom import TracyWidom
from proofs_check.checks import Check, Finding
from proofs_check.coverage import laws_spikes
from proofs_check.coverage.protocols import ERRORS, exact_level, held, mean, monte_carlo, slope, stream, together

Rng = np.random.Generator
ENTRIES: dict[str, Callable[[Rng, tuple[int, int]], np.ndarray]] = {
    "Gaussian": lambda rng, shape: rng.standard_normal(shape),
    "Rademacher": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "t_5": lambda rng, shape: rng.standard_t(5.0, shape) * math.sqrt(0.6),
}


def one_sided(average: float, error: float, draws: int, bound: float, *, above: bool) -> Finding:
    """A mean that may not lie above (below) a bound, at 5 standard errors."""
    away = (average - bound if above else bound - average) / error
    said = f"mean {average:.6g} against {bound:.6g}, standard error {error:.2g}, {draws} draws; false-alarm rate 3e-07"
    return Finding("", said) if away <= ERRORS else Finding(said)


def mp_distance() -> Finding:
    """Rigid spectra: the distance decays like 1/M, up to logarithms; at these sizes the slopes are near -.83."""
    sizes, draws, found = (32, 64, 128, 256), 40, {}
    for name, ratio, window, cap in (
        ("Gaussian", 1.5, 0.35, 6.0),
        ("Rademacher", 1.5, 0.35, 6.0),
        ("t_5", 1.5, 0.5, 8.0),
        ("Gaussian", 1.0, 0.35, 6.0),
    ):
        rng, rms = stream(f"T2.2 {name} {ratio}"), []
        for cols in sizes:
            rows = int(ratio * cols)
            law = MarchenkoPasturSingular(rows, cols, 1.0)
            distances = [
                laws_spikes.law_distance(laws_spikes.values_of(ENTRIES[name](rng, (rows, cols))), law) for _ in range(draws)
            ]
            rms.append(math.sqrt(np.mean(np.square(distances))))
        found[f"{name}, c = {1 / ratio:.3g}"] = slope(sizes, rms, -1.0, cap / sizes[-1], window, draws=draws)
    wide = ENTRIES["Gaussian"](stream("T2.2 atom"), (40, 100))
    zeros = float(np.mean(np.linalg.eigvalsh(wide.T @ wide) < 1e-9))
    found["atom of 40 x 100"] = Finding("" if zeros == 0.6 else f"{zeros} zeros, not .6", f"share of zeros {zeros}")
    return together(found)


def finite_moments() -> Finding:
    rng = stream("M4-finite")
    squares = np.linalg.svd(rng.standard_normal((6000, 12, 8)), compute_uv=False) ** 2
    return together({f"order {k}": mean(np.mean(squares**k, axis=1), gaussian_moment(12, 8, 1.0, k)) for k in (1, 2, 3, 4)})


def bidiagonal() -> Finding:
    """Exact means: traces of powers, and the inverse 1/(n - m - 1), which the smallest values decide."""
    found = {}
    for rows, cols in ((16, 6), (6, 16), (8, 8)):
        squares = wishart.gaussian_singular_values(rows, cols, 1.0, 4000, stream(f"bidiagonal {rows} {cols}")) ** 2
        for k in (1, 2, 3, 4):
            wanted = gaussian_moment(rows, cols, 1.0, k)
            found[f"{rows} x {cols}, order {k}"] = mean(np.sum(squares**k, axis=1) / cols, wanted)
        if rows != cols:
            found[f"{rows} x {cols}, order -1"] = mean(np.mean(1.0 / squares, axis=1), 1.0 / (abs(rows - cols) - 1))
    return together(found)


def edge_law() -> Finding:
    found = {}
    for rows, cols in ((200, 100), (100, 100)):
        s = wishart.gaussian_singular_values(rows, cols, 1.0, 2000, stream(f"M7 {rows} {cols}"))[:, 0]
        for name, edge in (
            ("symmetric", wishart.symmetric_edge(rows, cols, 1.0)),
            ("Johnstone", wishart.johnstone_edge(rows, cols, 1.0)),
        ):
            scaled = (s**2 - edge.centre) / edge.scale
            for beta in (0.05, 0.5, 0.95):
                found[f"{rows} x {cols}, {name}, {beta:g}"] = exact_level(int(np.sum(s > edge.level(beta))), len(s), beta)
            found[f"{rows} x {cols}, {name}, mean"] = mean(scaled, TracyWidom(1).mean())
            variance = float(np.var(scaled, ddof=1)) / TracyWidom(1).var()
            said = f"variance {variance:.3f} of the law's, allowed 1 +- .2"
            found[f"{rows} x {cols}, {name}, variance"] = Finding("" if abs(variance - 1.0) <= 0.2 else said, said)
    return together(found)


def nonasymptotic_edge() -> Finding:
    found = {}
    for rows, cols in ((40, 20), (20, 40), (30, 30), (3, 1)):
        values = wishart.gaussian_singular_values(rows, cols, 0.5, 4000, stream(f"M8 {rows} {cols}"))
        bound, error = wishart.mean_edge_upper(rows, cols, 0.5), values.std(axis=0) / math.sqrt(len(values))
        shape = f"{rows} x {cols}"
        found[f"{shape}, E s_1"] = one_sided(values[:, 0].mean(), error[0], len(values), bound, above=True)
        lower = wishart.mean_smallest_lower(rows, cols, 0.5)
        found[f"{shape}, E s_min"] = one_sided(values[:, -1].mean(), error[-1], len(values), lower, above=False)
        for t in (0.5, 1.0, 2.0):
            s = bound + t * math.sqrt(0.5)
            delta = float(wishart.exceedance_upper(rows, cols, 0.5, s))
            found[f"{shape}, t = {t:g}"] = held(int(np.sum(values[:, 0] > s)), len(values), delta, loose=True)
    return together(found)


def largest_gaussian() -> Finding:
    found = {}
    for count in (1, 10, 64):
        law, drawn = MaxAbsGaussian(count), np.abs(stream(f"M9 {count}").standard_normal((6000, count))).max(axis=1)
        for q in (0.1, 0.5, 0.99):
            found[f"n = {count}, {q:g}"] = exact_level(int(np.sum(drawn <= float(law.ppf(q)))), len(drawn), q)
        found[f"n = {count}, mean"] = mean(drawn, law.mean())
    return together(found)


def norm_estimate() -> Finding:
    values = np.linalg.svd(math.sqrt(0.3) * stream("M10a").standard_normal((4000, 6, 4)), compute_uv=False)
    intervals = np.array([bulk_fit.variance_interval(row, 6, 4, 0.1) for row in values])
    return together(
        {
            "lower end": exact_level(int(np.sum(intervals[:, 0] > 0.3)), len(values), 0.05),
            "upper end": exact_level(int(np.sum(intervals[:, 1] < 0.3)), len(values), 0.05),
            "mean": mean([bulk_fit.variance_by_norm(row, 6, 4) for row in values], 0.3),
        }
    )


def collapse() -> Finding:
    """The ratio has mean 1 and standard deviation sqrt(2 / (N M)); the exact tail is met."""
    squares = np.sum(stream("C4.9").standard_normal((3000, 1600)) ** 2, axis=1) / 1600.0
    found = {"ratio at 40 x 40": mean(squares, 1.0)}
    deviation, wanted = float(squares.std(ddof=1)), math.sqrt(2.0 / 1600.0)
    said = f"standard deviation {deviation:.4f} against {wanted:.4f}, allowed 7 %"
    found["its standard deviation"] = Finding("" if abs(deviation / wanted - 1.0) < 0.07 else said, said)
    for level in (0.97, 1.0, 1.05):
        tail = float(wishart.norm_exceedance(40, 40, 1.0, math.sqrt(1600.0 * level)))
        found[f"P(ratio > {level})"] = exact_level(int(np.sum(squares > level)), len(squares), tail)
    return together(found)


def quantile_fit() -> Finding:
    """M10(b): the error decays like 1/N on noise and with three spikes; a tenth of spikes moves it by less than a third."""
    sizes, draws, found = (32, 64, 128, 256), 150, {}
    for name in ("noise", "three spikes"):
        rng, rms = stream(f"M10b {name}"), []
        for size in sizes:
            values = wishart.gaussian_singular_values(2 * size, size, 1.0, draws, rng)
            if name == "three spikes":
                values[:, :3] = np.maximum(values[:, :3], 40.0 * math.sqrt(size))
            errors = [bulk_fit.variance_by_quantiles(row, 2 * size, size, 0.2) - 1.0 for row in values]
            rms.append(math.sqrt(np.mean(np.square(errors))))
        found[name] = slope(sizes, rms, -1.0, 0.02 if name == "noise" else 0.05, 0.2, draws=draws)
    noise = stream("M10b breakdown").standard_normal((256, 128))
    noise[np.arange(12), np.arange(12)] += 1e3
    broken = bulk_fit.variance_by_quantiles(laws_spikes.values_of(noise), 256, 128, 0.2) - 1.0
    said = f"12 of 128 spikes move it by {broken:.3f}, allowed 1/3"
    found["breakdown"] = Finding("" if abs(broken) < 1.0 / 3.0 else said, said)
    return together(found)


def fit_level() -> Finding:
    """M10(c): the rank of a fit among 19 simulated ones is uniform, whatever the variance."""
    rng, trials, null = stream("M10c"), 400, 19
    p_values = []
    for _ in range(trials):
        own = wishart.gaussian_singular_values(24, 16, 7.0, 1, rng)[0]
        simulated = [bulk_fit.fit_distance(row, 24, 16, 0.2) for row in wishart.gaussian_singular_values(24, 16, 1.0, null, rng)]
        p_values.append(bulk_fit.fit_p_value(bulk_fit.fit_distance(own, 24, 16, 0.2), simulated))
    levels = (0.05, 0.1, 0.5)
    return together({f"level {d:g}": exact_level(int(np.sum(np.array(p_values) <= d + 1e-9)), trials, d) for d in levels})


CHECKS: tuple[Check, ...] = (
    monte_carlo("T2.2", "Kolmogorov distance to the law decays like 1/M", ("T2.2-mp-law",), mp_distance),
    monte_carlo("M4-finite", "E tr (R^T R)^k / m, k = 1 to 4", ("M4-finite",), finite_moments),
    monte_carlo("M7-bidiagonal", "Traces of powers, the inverse among them", ("M7-bidiagonal",), bidiagonal),
    monte_carlo("M7", "Scaled s_1^2 has the Tracy–Widom law", ("M7-tracy-widom", "M7-wishart-edge", "M7-johnstone"), edge_law),
    monte_carlo("M8", "Mean and tail of s_1, mean of s_min", ("M8-nonasymptotic-edge",), nonasymptotic_edge),
    monte_carlo("M9", "Level and mean of the largest of n", ("M9-max-gaussian",), largest_gaussian),
    monte_carlo("M10a", "nm v'/v is chi-square", ("M10-variance-norm",), norm_estimate),
    monte_carlo("M10b", "The quantile fit is consistent and robust", ("M10-bulk-fit",), quantile_fit),
    monte_carlo("M10c", "The simulated p-value has its level", ("M10-fit-statistic",), fit_level),
    monte_carlo("C4.9", "||R||_F^2 / (nmv): mean 1, sd sqrt(2/(nm)), exact tail", ("C4.9-variance-collapse",), collapse),
)
