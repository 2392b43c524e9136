"""Random-matrix laws at finite size: a signal under noise."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from certify.laws import spikes
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.theory import perturbation as pt
from proofs_check.checks import Check, Finding
from proofs_check.coverage.protocols import ERRORS, monte_carlo, slope, stream, together

Rng = np.random.Generator
SIZES = (64, 128, 256, 512, 1024)


def values_of(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.svd(matrix, compute_uv=False)


def law_distance(values: np.ndarray, law: MarchenkoPasturSingular) -> float:
    """Kolmogorov distance of a spectrum from its law."""
    q, count = law.cdf(np.sort(values)), len(values)
    steps = np.arange(count) / count
    return float(max(np.max(np.abs(q - steps)), np.max(np.abs(q - steps - 1.0 / count))))


def spiked_top(rows: int, cols: int, variance: float, theta: float, draws: int, rng: Rng) -> np.ndarray:
    """(draws,) largest singular values of Gaussian noise plus theta e_1 e_1^T.

    Golub and Kahan's reduction turns nothing into the first column, where the signal stands: only the first diagonal entry
    of the bidiagonal model becomes a noncentral chi.
    """
    long, short = max(rows, cols), min(rows, cols)
    found = np.empty(draws)
    for i in range(draws):
        diagonal = rng.chisquare(long - np.arange(short))
        diagonal[0] = (rng.standard_normal() + theta / math.sqrt(variance)) ** 2 + rng.chisquare(long - 1)
        beside = rng.chisquare(np.arange(short - 1, 0, -1))
        squares = diagonal + np.append(0.0, beside), np.sqrt(diagonal[:-1] * beside)
        found[i] = math.sqrt(variance * eigvalsh_tridiagonal(*squares, select="i", select_range=(short - 1, short - 1))[0])
    return found


def _rms(values: np.ndarray) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def map_and_overlaps() -> Finding:
    """Every draw of s_1 within 5 sqrt(g / n) at 1.5 theta_c and above, both orientations; overlaps on average."""
    draws, g, found = 24, 0.6, {}
    for rows, cols in ((300, 120), (120, 300), (200, 200)):
        model, rng = (rows, cols, g / rows), stream(f"M5 {rows} {cols}")
        for ratio in (1.5, 2.0, 3.0):
            theta, drawn = ratio * spikes.detection_threshold(*model), []
            for _ in range(draws):
                u, v = (x / np.linalg.norm(x) for x in (rng.standard_normal(rows), rng.standard_normal(cols)))
                noise = math.sqrt(g / rows) * rng.standard_normal((rows, cols))
                left, s, right = np.linalg.svd(noise + theta * np.outer(u, v), full_matrices=False)
                drawn.append((s[0], (left[:, 0] @ u) ** 2, (right[0] @ v) ** 2))
            table = np.array(drawn)
            wanted = [float(rule(theta, *model)) for rule in (spikes.spiked_value, spikes.left_overlap, spikes.right_overlap)]
            worst = float(np.max(np.abs(table[:, 0] - wanted[0]))) / math.sqrt(g / rows)
            off = np.abs(table.mean(axis=0) - wanted)[1:]
            allowed = ERRORS * table.std(axis=0, ddof=1)[1:] / math.sqrt(draws) + 2.0 / min(rows, cols)
            said = f"worst |s_1 - rho| {worst:.2f} sqrt(g/n), allowed 5; overlaps off by {off[0]:.3f}, {off[1]:.3f}"
            said += f", allowed {allowed[0]:.3f}, {allowed[1]:.3f}; false-alarm rate about 1e-5"
            found[f"{rows} x {cols}, {ratio:g} theta_c"] = Finding("" if worst <= 5.0 and np.all(off <= allowed) else said, said)
    return together(found)


def subcritical() -> Finding:
    """At half the threshold s_1 stays within 3 % of the edge and the overlaps vanish like 1 / size."""
    found = {}
    for rows, cols in ((400, 225), (225, 400), (300, 300)):
        model, rng = (rows, cols, 1.0 / rows), stream(f"M5 below {rows} {cols}")
        theta, drawn = 0.5 * spikes.detection_threshold(*model), []
        for _ in range(6):
            noise = rng.standard_normal((rows, cols)) / math.sqrt(rows)
            noise[0, 0] += theta
            left, s, right = np.linalg.svd(noise, full_matrices=False)
            drawn.append((s[0] / float(spikes.spiked_value(theta, *model)) - 1.0, left[0, 0] ** 2, right[0, 0] ** 2))
        edge, one, two = np.array(drawn).T
        said = (
            f"s_1 within {np.max(np.abs(edge)):.4f} of the edge, allowed .03; mean overlaps {one.mean():.3f}, {two.mean():.3f}, "
        )
        said += "allowed .05"
        found[f"{rows} x {cols}"] = Finding(
            "" if np.max(np.abs(edge)) < 0.03 and max(one.mean(), two.mean()) < 0.05 else said, said
        )
    return together(found)


def _persistent(shape: tuple[int, int], name: str) -> Finding:
    """g = N^(-3/2), theta = 1: the error is the fluctuation N^(-5/4); the correction g / theta is N^(-1/4) times as large."""
    draws, errors, shares, rng = 300, [], [], stream(name)
    for size in SIZES:
        rows, cols = shape[0] * size, shape[1] * size
        model = (rows, cols, size**-1.5 / rows)
        s = spiked_top(*model, 1.0, draws, rng)
        estimates = spikes.d_transform(s, *model) ** -0.5
        errors.append(_rms(estimates - 1.0))
        shares.append(float(np.mean(s - estimates)) / _rms(s - estimates.mean()))
    plain = slope(SIZES, errors, -1.25, 2.0 * SIZES[-1] ** -1.25, draws=draws)
    invisible = slope(SIZES, shares, -0.25, 0.5, draws=draws)
    return together({"error of the estimate": plain, "correction over fluctuation": invisible})


def persistent_square() -> Finding:
    return _persistent((1, 1), "C4.12")


def persistent_rectangular() -> Finding:
    return together({"c = 1/2": _persistent((2, 1), "C2.4 tall"), "c = 2": _persistent((1, 2), "C2.4 wide")})


def square_table() -> Finding:
    """T5.1 at N = 1024: the mean of s_1 within 5 standard errors and 2 / N of the limit, above and below the threshold."""
    found, size, draws = {}, 1024, 100
    for g, sigma in ((0.5, 1.4), (0.5, 0.8), (2.0, 3.0), (0.5, 0.3)):
        s, limit = spiked_top(size, size, g / size, sigma, draws, stream(f"T5.1 {g} {sigma}")), sigma + g / sigma
        if sigma <= math.sqrt(g):
            limit = 2.0 * math.sqrt(g)
        # Below the threshold s_1 stays Tracy–Widom: its mean is off by its own scale.
        scale = 2.0 / size if sigma > math.sqrt(g) else 1.5 * math.sqrt(g) * size ** (-2.0 / 3.0)
        off, allowed = abs(s.mean() - limit), ERRORS * s.std() / math.sqrt(draws) + scale
        said = f"mean {s.mean():.4f} against {limit:.4f}, off by {off:.4f}, allowed {allowed:.4f}"
        found[f"g = {g:g}, sigma = {sigma:g}"] = Finding("" if off <= allowed else said, said)
    return together(found)


def rotation() -> Finding:
    """||R||_op = N^(-1/2), gap 1: the rotation of the top-2 projectors falls as N^(-1/2), and never passes its bound."""
    sizes, draws, rms, passed, rng = (16, 32, 64, 128, 256), 120, [], 0, stream("C4.11")
    for size in sizes:
        distances = []
        for _ in range(draws):
            removed = rng.standard_normal((size, size // 2))
            removed *= size**-0.5 / np.linalg.norm(removed, 2)
            kept = np.zeros_like(removed)
            kept[[0, 1], [0, 1]] = (3.0, 1.0)
            left, _, right = np.linalg.svd(kept + removed, full_matrices=False)
            distances.append(max(_sine(left[:, :2]), _sine(right[:2].T)))
            passed += distances[-1] > pt.projector_distance_upper(pt.value_shift_upper(removed), pt.subspace_gap(kept, 2)) + 1e-12
        rms.append(_rms(np.array(distances)))
    found = slope(sizes, rms, -0.5, 1.0 / math.sqrt(sizes[-1]), draws=draws)
    return Finding(f"{passed} draws pass the bound" if passed else found.failure, f"{found.detail}; no draw passes e/(gap - e)")


def _sine(basis: np.ndarray) -> float:
    """Distance of the projector on an orthonormal basis from that on the first two axes."""
    smallest = np.linalg.svd(basis[:2], compute_uv=False)[-1]
    return math.sqrt(max(0.0, 1.0 - smallest**2))


def bulk_under_signal() -> Finding:
    """P3.30 and X27: rank sqrt N moves the bulk by at most N^(-1/2), and by about that; so does a dense part of energy 1."""
    sizes, draws, rms, worst, levy, rng = (32, 64, 128, 256), 60, [], 0.0, 0.0, stream("P3.30")
    for size in sizes:
        rank, distances = round(math.sqrt(size)), []
        rows = size + size // 2
        law = MarchenkoPasturSingular(rows, size, 1.0 / rows)
        for draw in range(draws):
            noise = rng.standard_normal((rows, size)) / math.sqrt(rows)
            signal = np.zeros_like(noise)
            signal[np.arange(rank), np.arange(rank)] = 3.0
            bulk, total = values_of(noise), values_of(noise + signal)
            distances.append(law_distance(total, law))
            worst = max(worst, pt.kolmogorov_distance(bulk, total) * size / rank)
            if draw % 8:
                continue
            dense = rng.standard_normal(noise.shape)
            signal += dense / np.linalg.norm(dense)
            distance = pt.levy_distance(bulk, values_of(noise + signal))
            levy = max(levy, distance / min(pt.levy_bulk_upper(signal, k) for k in (0, rank, size)))
        rms.append(_rms(np.array(distances)))
    said = f"largest share of the rank bound {worst:.2f}, of the Lévy bound {levy:.2f}, allowed 1"
    bounds = Finding("" if worst <= 1.0 + 1e-9 and levy <= 1.0 else said, said)
    return together(
        {"distance to the law": slope(sizes, rms, -0.5, sizes[-1] ** -0.5 * 1.2, 0.25, draws=draws), "bounds": bounds}
    )


CHECKS: tuple[Check, ...] = (
    monte_carlo("M5", "s_1 and overlaps above the threshold", ("M5-bbp-map", "M5-overlaps"), map_and_overlaps),
    monte_carlo("M5-below", "s_1 and overlaps below the threshold", ("M5-bbp-map", "M5-overlaps"), subcritical),
    monte_carlo("T5.1", "sigma + g / sigma, or 2 sqrt g", ("ESM1-T5.1-bgn-square", "ESM1-C5.2-bgn-g"), square_table),
    monte_carlo(
        "C4.12",
        "g = N^(-3/2): consistent; the correction is invisible",
        ("C4.12-bbp-persistent", "ESM1-T5.3-bgn-variable"),
        persistent_square,
    ),
    monte_carlo("C2.4", "The same by the D-transform, c = 1/2 and 2", ("ESM1-C2.4-bgn-persistent",), persistent_rectangular),
    monte_carlo("C4.11", "Rotation of the top directions, slope -1/2", ("C4.11-subspace",), rotation),
    monte_carlo("P3.30", "Bulk under rank sqrt N and energy 1", ("ESM1-P3.30-mp-bulk", "X27-levy-bulk"), bulk_under_signal),
)
