"""A signal of low rank under noise: what its singular values become, and what can be read back from them.

W = R + sum_i theta_i u_i v_i^T, R of shape (rows, cols) = (n, m) with independent entries of mean 0 and variance v, the
directions fixed or independent of R, the rank fixed while n and m grow in proportion (Benaych-Georges and Nadakuditi,
J. Multivariate Anal. 111, 2012). Everything is in weight units; a, b = v (sqrt n -+ sqrt m)^2 and
theta_c = sqrt(v) (n m)^(1/4).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from certify.laws._checks import Array, at_least, check_model, points
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.records import Refused


def detection_threshold(rows: int, cols: int, entry_variance: float) -> float:
    """The signal strength below which a spike leaves no trace in the largest singular value.

        theta_c = sqrt(v) (n m)^(1/4)

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns a singular value, below the bulk's edge.
    Claim M5-threshold (Benaych-Georges and Nadakuditi 2012).
    """
    check_model(rows, cols, entry_variance)
    return math.sqrt(entry_variance) * (rows * cols) ** 0.25


def spiked_value(theta: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """Limit of the singular value that a signal of strength theta produces.

        rho(theta) = sqrt((theta^2 + n v)(theta^2 + m v)) / theta  for theta > theta_c,   sqrt(v) (sqrt n + sqrt m) below

    theta          : any shape, >= 0, singular values of the signal.
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns singular values, at least the bulk's edge, which is attained at theta_c.
    Claim M5-bbp-map, ESM1-T5.1-bgn-square, ESM1-C5.2-bgn-g (Benaych-Georges and Nadakuditi 2012).
    """
    critical = detection_threshold(rows, cols, entry_variance)
    aspect = math.sqrt(rows / cols)
    t = np.maximum(at_least(theta, "theta", 0.0) / critical, 1.0)
    return critical * np.sqrt(t + aspect / t) * np.sqrt(t + 1.0 / (aspect * t))


def strength(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The signal strength behind a singular value beyond the bulk: the inverse of `spiked_value`.

        theta = (sqrt(s^2 - a) + sqrt(s^2 - b)) / 2  for s >= sqrt b,   0 below

    s              : any shape, >= 0, singular values of W.
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns singular values of the signal; 0 where s lies inside the bulk and says nothing about a signal below theta_c.
    Square, s - theta = 2 g / (s + sqrt(s^2 - 4 g)) with g = n v.
    Claim M5-inverse, C4.12-bbp-persistent (Benaych-Georges and Nadakuditi 2012; its square is M5's formula).
    """
    s = at_least(s, "s", 0.0)
    low, high = MarchenkoPasturSingular(rows, cols, entry_variance).support()
    beyond = np.maximum(s, high)
    root = np.sqrt((beyond - low) * (beyond + low)) + np.sqrt((beyond - high) * (beyond + high))
    return np.where(s >= high, 0.5 * root, 0.0)


def spiked_value_change_upper(
    theta_change: npt.ArrayLike, rows: int, cols: int, entry_variance: float, other_variance: float
) -> Array:
    """How far the limit of a spike moves when its strength and the noise level do.

        |rho_v(theta) - rho_w(theta')| <= |theta - theta'| + |sqrt v - sqrt w| (sqrt n + sqrt m),   rho_0(theta) = theta

    theta_change   : any shape, theta - theta'.
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v >= 0; other_variance is w >= 0. With w = 0 the noise vanishes, and no fixed rank is needed (Weyl).
    Returns weight units. Attained below both thresholds at theta = theta', and by v = w as theta grows.
    Claim ESM1-T5.3-bgn-variable (OR1, Theorem 5.3, its continuity: rho is 1-Lipschitz in theta, homogeneous in (theta, sqrt v)).
    """
    roots = [math.sqrt(float(at_least(v, name, 0.0))) for v, name in ((entry_variance, "v"), (other_variance, "w"))]
    check_model(rows, cols, 1.0)
    return np.abs(points(theta_change, "theta_change")) + abs(roots[0] - roots[1]) * (math.sqrt(rows) + math.sqrt(cols))


def strength_shift_upper(rows: int, cols: int, entry_variance: float) -> float:
    """The most that the inverse of the spike map takes off a singular value beyond the bulk.

        0 <= s - strength(s) <= sqrt b - theta_c = sqrt(v) (sqrt n + sqrt m - (n m)^(1/4)),   s >= sqrt b

    so |strength(s_i(S + R)) - s_i(S)| <= ||R||_op + sqrt b - theta_c for every R, and the estimate is consistent as soon as
    ||R||_op and the edge vanish; sqrt g for square matrices (X26(d)).
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns weight units, attained at the edge.
    Claim ESM1-C2.4-bgn-persistent, C4.12-bbp-persistent (OR1, Corollary 2.4, its deterministic core).
    """
    edge = MarchenkoPasturSingular(rows, cols, entry_variance).support()[1]
    return edge - detection_threshold(rows, cols, entry_variance)


def left_overlap(theta: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """Limit of <u, u'>^2, u in R^rows the signal's left direction and u' that of W.

        (theta^4 - n m v^2) / (theta^2 (theta^2 + n v))  for theta > theta_c,   0 below

    theta          : any shape, >= 0.
    rows, cols     : shape of R, >= 1; the transpose has left and right exchanged.
    entry_variance : v > 0.
    Returns numbers in [0, 1).
    Claim M5-overlaps (Benaych-Georges and Nadakuditi 2012).
    """
    critical = detection_threshold(rows, cols, entry_variance)
    t = np.maximum(at_least(theta, "theta", 0.0) / critical, 1.0)
    return (1.0 - t**-2) * (1.0 + t**-2) / (1.0 + math.sqrt(rows / cols) * t**-2)


def right_overlap(theta: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """Limit of <v, v'>^2, v in R^cols the signal's right direction and v' that of W.

        (theta^4 - n m v^2) / (theta^2 (theta^2 + m v))  for theta > theta_c,   0 below

    theta          : any shape, >= 0.
    rows, cols     : shape of R, >= 1; the transpose has left and right exchanged.
    entry_variance : v > 0.
    Returns numbers in [0, 1).
    Claim M5-overlaps (Benaych-Georges and Nadakuditi 2012).
    """
    return left_overlap(theta, cols, rows, entry_variance)


def d_transform(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The D-transform of the noise beyond its bulk.

        D(s) = (s^2 - (n + m) v - sqrt((s^2 - a)(s^2 - b))) / (2 n m v^2) = strength(s)^(-2)

    s              : any shape, > 0 and >= sqrt b.
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns numbers in (0, theta_c^(-2)], strictly decreasing in s; the range meets F13's condition.
    Claim M6-inverse-D (Benaych-Georges and Nadakuditi 2012).
    """
    s = at_least(s, "s", MarchenkoPasturSingular(rows, cols, entry_variance).support()[1])
    return strength(s, rows, cols, entry_variance) ** -2


def d_transform_inverse(d: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """The singular value beyond the bulk whose D-transform is d.

        D^(-1)(d) = spiked_value(d^(-1/2))

    d              : any shape, in (0, theta_c^(-2)].
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns singular values >= sqrt b.
    Claim M6-inverse-D, F13 (Benaych-Georges and Nadakuditi 2012).
    """
    d = at_least(d, "d", 0.0)
    most = detection_threshold(rows, cols, entry_variance) ** -2
    if not np.all((d > 0.0) & (d <= most * (1.0 + 1e-12))):
        raise Refused(f"d: from {d.min()!r} to {d.max()!r}; the D-transform takes values in (0, {most}]")
    return spiked_value(d**-0.5, rows, cols, entry_variance)


def d_transform_slope(s: npt.ArrayLike, rows: int, cols: int, entry_variance: float) -> Array:
    """Derivative of the D-transform.

        D'(s) = -2 D(s) s / sqrt((s^2 - a)(s^2 - b)),   about -2 / s^3 far out,   -inf at sqrt b

    s              : any shape, >= sqrt b.
    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns negative numbers, increasing: |D'(s)| is the Lipschitz constant of D on [s, inf), infinite at the edge.
    Claim M6-inverse-D, ESM1-T5.4-inverse-D (hypothesis 4 needs it finite, so spikes separated from the edge).
    """
    s = at_least(s, "s", MarchenkoPasturSingular(rows, cols, entry_variance).support()[1])
    low, high = MarchenkoPasturSingular(rows, cols, entry_variance).support()
    with np.errstate(divide="ignore"):
        gap = np.sqrt((s - low) * (s + low)) * np.sqrt((s - high) * (s + high))
        return -2.0 * d_transform(s, rows, cols, entry_variance) * s / gap


def strength_error_upper(theta: npt.ArrayLike, d_error: npt.ArrayLike) -> Array:
    """How far an estimated strength lies from the truth when D is known up to d_error.

        |D - theta^(-2)| <= e < theta^(-2)  implies  |D^(-1/2) - theta| <= theta ((1 - e theta^2)^(-1/2) - 1)

    theta   : any shape, > 0, true strength.
    d_error : e >= 0, of a shape that fits.
    Returns weight units; vacuous (inf) where e theta^2 >= 1. Attained by D = theta^(-2) - e.
    Claim ESM1-T5.4-inverse-D (OR1, Theorem 5.4, its deterministic core).
    """
    theta, e = at_least(theta, "theta", 0.0), at_least(d_error, "d_error", 0.0)
    share = e * theta * theta
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(share < 1.0, theta * np.expm1(-0.5 * np.log1p(-np.minimum(share, 1.0))), math.inf)
