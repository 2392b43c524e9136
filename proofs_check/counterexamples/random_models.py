"""Statements about Gaussian noise and about widths that fail as written, by exact failure probabilities."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy.special import log_ndtr

from certify.laws.edge import bulk_edge
from certify.laws.spikes import d_transform_inverse, detection_threshold
from certify.theory.binomial import clopper_pearson_lower
from certify.theory.gaussian import gaussian_multiplier, sphere_multiplier
from certify.theory.perturbation import bulk_shift_upper, levy_bulk_upper
from proofs_check.checks import Check, Finding
from proofs_check.counterexamples.core import Refutation, Relation


def exceeds(x: float, coordinates: int) -> float:
    """P(some of so many independent |N(0,1)| exceeds x)."""
    return -math.expm1(coordinates * math.log1p(-2.0 * math.exp(log_ndtr(-x))))


def _token_failure(rows: int, samples: int, tokens: int, delta: float, counted: int, method: str) -> float:
    """Orthonormal tokens make all coordinates of R V independent, so the failure probability is exact."""
    return exceeds(gaussian_multiplier(rows, counted, delta, method), rows * samples * tokens)


def _tokens(method: str, suffix: str, words: str) -> Refutation:
    return Refutation(
        "F2",
        "erf",
        words,
        lambda rows, samples, tokens, delta: {
            "R iid N(0, 1/rows), independent of orthonormal tokens": True,
            "0 < delta < 1": True,
        },
        lambda rows, samples, tokens, delta: Relation(
            "P(some ||R V_s||_inf exceeds the level of rows |T| coordinates) <= delta",
            _token_failure(rows, samples, tokens, delta, samples, method),
            "<=",
            delta,
        ),
        lambda rows, samples, tokens, delta: Relation(
            "P(some ||R V_s||_inf exceeds the level of rows sum_s P_s coordinates) <= delta",
            _token_failure(rows, samples, tokens, delta, samples * tokens, method),
            "<=",
            delta,
        ),
        {"rows": 16, "samples": 10, "tokens": 30, "delta": 0.1},
        {"rows": 16, "samples": 10, "tokens": 1, "delta": 0.1},
        suffix,
    )


F2 = _tokens(
    "sidak",
    "",
    "n = 16, |T| = 10, P = 30 orthonormal tokens, delta = .1, exact level for n |T| coordinates: R V_s has n P |T| independent "
    "coordinates, so it fails with probability 1 - .9^30 = .958",
)
F2_PAPER = _tokens(
    "paper",
    "-paper",
    "the same with the paper's level x = sqrt(2 log(2 n |T| / delta)) = 4.018: 1 - erf(x / sqrt 2)^4800 = .246 > .1",
)


def _outer_scaling(width: int, power: float) -> float:
    """a(N) of A3.1 with ||W_1 s||_2 = 1 and rows of W_3 of N entries +-N^(-power): ||W_3||_inf = N^(1 - power)."""
    return width ** (1.0 - power) * math.sqrt(math.log(2.0 * width) / width)


def _euclidean_scaling(width: int, power: float) -> float:
    """The same with max_k ||w_k||_2 = N^(1/2 - power) in place of ||W_3||_inf (X20)."""
    return width ** (0.5 - power) * math.sqrt(math.log(2.0 * width) / width)


F12 = Refutation(
    "F12",
    "floats",
    "fan-in scaling, W_3 of entries +-N^(-1/2), ||W_1 s|| = 1: ||W_3||_inf = sqrt N, a(N) = sqrt(log 2N) grows, 2.35 at N = "
    "128 and 2.88 at N = 2048; row norms ||w_k||_2 = 1 instead give .208 and .064",
    lambda widths, power: {"widths increase": widths[0] < widths[1], "N > e/2, where log(2N)/N falls": widths[0] > 1},
    lambda widths, power: Relation(
        "a(N) of A3.1 decreases with N", _outer_scaling(widths[1], power), "<", _outer_scaling(widths[0], power)
    ),
    lambda widths, power: Relation(
        "the level with row norms decreases with N",
        _euclidean_scaling(widths[1], power),
        "<",
        _euclidean_scaling(widths[0], power),
    ),
    {"widths": (128, 2048), "power": 0.5},
    {"widths": (128, 2048), "power": 1.0},
)

F13 = Refutation(
    "F13",
    "rationals",
    "D(x) = x^-2 on (1, infinity), theta_c = 1/2, theta = 3/4 > theta_c: D^-1(theta^-2) needs D = 16/9, D stays below 1",
    lambda top, critical, theta: {"theta > theta_c": theta > critical, "D(b+) finite": top > 0},
    lambda top, critical, theta: Relation("theta^-2 < D(b+)", 1 / theta**2, "<", top),
    lambda top, critical, theta: Relation(
        "theta^-2 <= D(b+) for theta raised to D(b+)^(-1/2) where it is below", min(1 / theta**2, top), "<=", top
    ),
    {"top": Fraction(1), "critical": Fraction(1, 2), "theta": Fraction(3, 4)},
    {"top": Fraction(4), "critical": Fraction(1, 2), "theta": Fraction(3, 4)},
)


def range_condition() -> str:
    """The Marchenko–Pastur D-transform has the range that F13 asks for: D^-1 reaches the bulk edge at theta_c."""
    for rows, cols, variance in ((30, 10, 0.2), (10, 30, 0.2), (20, 20, 1.0)):
        edge = bulk_edge(rows, cols, variance)
        found = float(d_transform_inverse(detection_threshold(rows, cols, variance) ** -2, rows, cols, variance))
        if not math.isclose(found, edge, rel_tol=1e-9):
            return f"({rows}, {cols}, {variance}): D^-1(theta_c^-2) = {found}, the edge is {edge}"
    return ""


F15 = Refutation(
    "F15",
    "erf",
    "mask that keeps one column of ten rows of N(0,1) entries and zeroes the other 99; g fitted to the whole matrix gives "
    "entry variance 1/100; v on the kept column, delta = .1, x = 3.255: |R_i1| <= .3255 for all ten rows has probability 10^-6",
    lambda rows, cols, delta: {"R = M * Z, Z iid N(0,1), the mask fixed": rows >= 1 and cols >= 1},
    lambda rows, cols, delta: Relation(
        "P(||R v||_inf exceeds the level of the fitted g) <= delta",
        exceeds(gaussian_multiplier(rows, 1, delta, "paper") / math.sqrt(cols), rows),
        "<=",
        delta,
    ),
    lambda rows, cols, delta: Relation(
        "P(||R v||_inf exceeds the level with ||(1 - M_i) * v|| and the entries' own variance) <= delta",
        exceeds(gaussian_multiplier(rows, 1, delta, "paper"), rows),
        "<=",
        delta,
    ),
    {"rows": 10, "cols": 100, "delta": 0.1},
    {"rows": 10, "cols": 1, "delta": 0.1},
)


def _fitted_failure(delta: float, share: float) -> float:
    """n = m = 1: |R v| against share |R| |v| fails surely or never."""
    return float(share < 1.0)


F19 = Refutation(
    "F19",
    "by hand",
    "n = m = |T| = 1, delta = .3, edge fitted by the observed s_1 = |R| (true edge 2 sqrt g): the budget's |R v| is claimed to "
    "be at most (|R| / 2) |v| sqrt(2 log(2 / .3)) = .974 |R v|, which fails always",
    lambda delta: {
        "R ~ N(0, g)": True,
        "E s_1 = sqrt(2 g / pi) is below the edge 2 sqrt g": math.sqrt(2 / math.pi) < bulk_edge(1, 1, 1.0),
    },
    lambda delta: Relation(
        "P(|R v| exceeds the level of the fitted edge) <= delta",
        _fitted_failure(delta, gaussian_multiplier(1, 1, delta, "paper") / 2.0),
        "<=",
        delta,
    ),
    lambda delta: Relation(
        "P(|R v| exceeds ||R||_F ||v|| x_B) <= delta", _fitted_failure(delta, sphere_multiplier(1, 1, 1, delta)), "<=", delta
    ),
    {"delta": 0.3},
    {"delta": 0.1},
)


def _below(level: Fraction, wobble: Fraction) -> tuple[int, int]:
    """P(||R(t)|| <= level) for ||R(t)|| = 1 + (-1)^t wobble, even and odd t."""
    return int(1 + wobble <= level), int(1 - wobble <= level)


F20 = Refutation(
    "F20",
    "rationals",
    "||R*|| = 1 (an atom), ||R(t)|| = 1 + (-1)^t / t, epsilon = 1: P(||R(t)|| <= epsilon) is 0, 1, 0, 1, ...; its liminf 0 is "
    "not below P(||R*|| <= 1/2) = 0",
    lambda level, wobble: {"R(t) tends to R*": 0 < wobble < Fraction(1, 2), "level > 0": level > 0},
    lambda level, wobble: Relation("P(||R(t)|| <= epsilon) has a limit", _below(level, wobble)[0], "=", _below(level, wobble)[1]),
    lambda level, wobble: Relation(
        "P(||R*|| <= epsilon / 2) <= liminf P(||R(t)|| <= epsilon)", int(level / 2 >= 1), "<=", min(_below(level, wobble))
    ),
    {"level": Fraction(1), "wobble": Fraction(1, 1000)},
    {"level": Fraction(3), "wobble": Fraction(1, 1000)},
)

F23 = Refutation(
    "F23",
    "floats",
    "S = I/1000 on 20 x 20: rank 20 makes P3.30(ii) say <= 1, its energy 2e-5 makes the Lévy distance at most .01",
    lambda size, least: {"tail energy per value <= 1e-6": least**2 <= 1e-6},
    lambda size, least: Relation(
        "the rank bound is below 1/2", bulk_shift_upper(np.linalg.matrix_rank(least * np.eye(size)), size, size), "<=", 0.5
    ),
    lambda size, least: Relation("the Lévy bound is below 1/2", levy_bulk_upper(least * np.eye(size), 0), "<=", 0.5),
    {"size": 20, "least": 1e-3},
    {"size": 20, "least": 0.0},
)


def _all_below_edge(width: int, index: float) -> float:
    """P(no |R_ij| exceeds the edge 2 sigma) for N x N entries X / sqrt N, P(|X| > x) = x^(-index), x >= 1: bounds P(s_1 <= "
    "edge)."""
    edge = 2.0 * math.sqrt(index / (index - 2.0)) * math.sqrt(width)
    return math.exp(width * width * math.log1p(-(edge**-index)))


F26 = Refutation(
    "F26",
    "floats",
    "entries with tail x^-3 (variance 3, no fourth moment), N = 10^5: s_1 is at least the largest entry, and all N^2 of them "
    "stay below the edge 2 sqrt 3 with probability (1 - (12 N)^(-3/2))^(N^2) = .0005; with tail x^-6 it is 1",
    lambda width, index: {"finite variance, so the ESD has the Marchenko–Pastur limit": index > 2.0},
    lambda width, index: Relation("P(s_1 <= edge) can be above 1/2", 0.5, "<", _all_below_edge(width, index)),
    lambda width, index: Relation(
        "with a fourth moment P(no entry beyond the edge) is above 1/2", 0.5, "<", _all_below_edge(width, max(index, 6.0))
    ),
    {"width": 10**5, "index": 3.0},
    {"width": 10**5, "index": 6.0},
)


def _three_lines(size: int) -> Fraction:
    """P(x != 0, y != 0, x + y != 0) for x, y uniform on Z_p."""
    good = sum(1 for x in range(size) for y in range(size) if x and y and (x + y) % size)
    return Fraction(good, size * size)


def _pairwise(size: int) -> bool:
    points = [(x, y) for x in range(size) for y in range(size)]
    bad = [
        {p for p in points if test(p)} for test in (lambda p: not p[0], lambda p: not p[1], lambda p: not (p[0] + p[1]) % size)
    ]
    return all(Fraction(len(a & b), size**2) == Fraction(len(a) * len(b), size**4) for a in bad for b in bad if a is not b)


F31 = Refutation(
    "F31",
    "rationals",
    "x, y uniform on Z_5, bad events x = 0, y = 0, x + y = 0: pairwise independent of probability 1/5; no bad one has "
    "probability 12/25, below (4/5)^3 = 64/125, above 1 - 3/5",
    lambda size, events: {"pairwise independent events of probability 1/p": _pairwise(size)},
    lambda size, events: Relation(
        "prod (1 - delta_j) <= P(no bad event)",
        Fraction(size - 1, size) ** events,
        "<=",
        _three_lines(size) if events == 3 else Fraction(size - 1, size) ** events,
    ),
    lambda size, events: Relation(
        "1 - sum delta_j <= P(no bad event)",
        1 - Fraction(events, size),
        "<=",
        _three_lines(size) if events == 3 else Fraction(size - 1, size) ** events,
    ),
    {"size": 5, "events": 3},
    {"size": 5, "events": 2},
)

# A true statement is called false, or the false one left standing, once in a million runs at most.
FALSE_ALARM = 1e-6


def sampled_tokens() -> Finding:
    """F2 in the set-up of the specification: n = 16, |T| = 10, 30 Gaussian tokens, delta = .1."""
    from proofs_check.coverage.gaussian import DELTA, token_failure_rates

    counted, ignored, draws = token_failure_rates()
    low, high = (clopper_pearson_lower(round(rate * draws), draws, FALSE_ALARM) for rate in (counted, ignored))
    found = f"{draws} draws: failure rate {ignored:.3f} with tokens ignored, {counted:.3f} with tokens counted, level {DELTA}"
    return Finding("" if low <= DELTA < high else found, found)


REFUTATIONS = (F2, F2_PAPER, F12, F13, F15, F19, F20, F23, F26, F31)
CHECKS: tuple[Check, ...] = (
    *(item.check() for item in REFUTATIONS),
    Check(
        "CX-F2-sampled",
        "Monte Carlo",
        "the same with 30 Gaussian tokens in place of orthonormal ones, exact level for n |T| coordinates",
        ("F2",),
        sampled_tokens,
    ),
    Check("CX-F13-range", "floats", "the Marchenko–Pastur D-transform reaches theta_c^-2 at the edge", ("F13",), range_condition),
)
