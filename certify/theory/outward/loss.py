"""Cross-entropies and their largest change between two float64 numbers. Twins of `certify.theory.cross_entropy`.

Logits are taken as exact: these bounds are about the real numbers that the float64 table stands for. Where the logits
themselves carry an error e_z, add it to eta (X29.6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, logits_and_labels, others, representable
from certify.theory.exact._rationals import mean
from certify.theory.outward._rounding import (
    add_down,
    add_up,
    down,
    mul_down,
    mul_up,
    require_ieee,
    sum_nonnegative,
    two_sum,
    up,
)
from certify.theory.outward.elementary import Pair, exp_bounds, expm1_bounds, log1p_bounds, softplus_bounds

# Beyond it log(1 + x) is left to the other form of the bound.
_LARGE = 2.0**400


class LogProbabilities(NamedTuple):
    """Bounds on log p and log(1 - p), each (T,), <= 0.

    Claim X29-lambda (theory/mp-certificates.md, X29.5, repaired by the errata).
    """

    log_p_lower: Array
    log_p_upper: Array
    log_not_p_lower: Array
    log_not_p_upper: Array


def cross_entropy(logits: ArrayLike, labels: npt.ArrayLike) -> Pair:
    """Enclosure of the cross-entropy of the true class.

        lower <= log(1 + exp(a)) <= upper,   a = log sum_{j != C} exp(z_j) - z_C

    logits : (T, K), K >= 2, finite.
    labels : (T,) true class C, 0..K-1.
    Returns (T,), (T,) nats, >= 0. Their gap is about 1e-15 of |a| + log K; measured in the tests.
    Claim X29-lambda (theory/mp-certificates.md, X29.5; twin of D2.0-ce).
    """
    low, high = _log_odds_against(logits, labels)
    return softplus_bounds(low)[0], softplus_bounds(high)[1]


def log_probabilities(logits: ArrayLike, labels: npt.ArrayLike) -> LogProbabilities:
    """Enclosures of the logarithms of the true class's probability and of the probability of all others.

        log p = -log(1 + exp(a)),   log(1 - p) = -log(1 + exp(-a))

    logits : (T, K), K >= 2, finite.
    labels : (T,) true class C, 0..K-1.
    Returns four (T,) arrays. 1,000 samples of 1,000 classes take 0.3 s on one core.
    Claim X29-lambda (theory/mp-certificates.md, X29.5, repaired by the errata).
    """
    low, high = _log_odds_against(logits, labels)
    return LogProbabilities(
        -softplus_bounds(high)[1], -softplus_bounds(low)[0], -softplus_bounds(-low)[1], -softplus_bounds(-high)[0]
    )


def increase_upper(log_p_upper: ArrayLike, log_not_p_upper: ArrayLike, eta: ArrayLike) -> Array:
    """Largest cross-entropy increase when no logit moves by more than eta, rounded up.

        log(p + (1 - p) exp(2 eta))   increases in log p and in log(1 - p): both come rounded up

    A p rounded down beside a 1 - p of its own is unsound: p = .49 for 1/2 gives log .99 < 0 at eta = 0.
    log_p_upper, log_not_p_upper : (T,) from `log_probabilities` of the dense network.
    eta                          : (T,) proved bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats, at most 2 eta.
    Claim X29-lambda, ER-X29.5 (theory/mp-certificates.md, X29.5, repaired by the errata; twin of X1-ce-sharp).
    """
    return increase_upper_oscillation(log_p_upper, log_not_p_upper, _twice(eta))


def increase_upper_oscillation(log_p_upper: ArrayLike, log_not_p_upper: ArrayLike, oscillation: ArrayLike) -> Array:
    """Largest cross-entropy increase when no logit gains more than omega on the true one, rounded up.

        log(p + (1 - p) exp(omega))

    log_p_upper, log_not_p_upper : (T,) from `log_probabilities` of the dense network.
    oscillation                  : (T,) proved omega of either sign, logit units.
    Returns (T,) nats, at most max(omega, 0).
    Claim X29-lambda (theory/mp-certificates.md, X29.5, repaired by the errata; twin of X2-ce-pairwise).
    """
    a, b, x = _log_pair(log_p_upper, log_not_p_upper, oscillation)
    rise = expm1_bounds(x)
    gained = mul_up(np.minimum(exp_bounds(b)[1], 1.0), np.maximum(rise[1], 0.0))
    spared = mul_down(_not(expm1_bounds(a)[1]), np.maximum(-rise[1], 0.0))
    product = add_up(gained, -spared)
    sharp = np.where(product >= -0.5, log1p_bounds(np.maximum(product, -0.5))[1], np.inf)
    plain = add_up(a, softplus_bounds(add_up(add_up(b, x), -a))[1])
    return np.minimum(np.minimum(sharp, plain), np.maximum(x, 0.0))


def increase_lower(log_p_lower: ArrayLike, log_not_p_lower: ArrayLike, eta: ArrayLike) -> Array:
    """Smallest cross-entropy change (a decrease) when no logit moves by more than eta, rounded down.

        log(p + (1 - p) exp(-2 eta))   increases in log p and in log(1 - p): both come rounded down

    log_p_lower, log_not_p_lower : (T,) from `log_probabilities` of the dense network.
    eta                          : (T,) proved bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats, between -2 eta and 0.
    Claim X29-lambda (theory/mp-certificates.md, X29.5, repaired by the errata; twin of X1-ce-sharp).
    """
    a, b, x = _log_pair(log_p_lower, log_not_p_lower, -_twice(eta))
    product = -mul_up(_not(expm1_bounds(a)[0]), -expm1_bounds(x)[0])
    sharp = np.where(product >= -0.5, log1p_bounds(np.maximum(product, -0.5))[0], -np.inf)
    plain = add_down(a, softplus_bounds(add_down(add_down(b, x), -a))[0])
    return np.maximum(np.maximum(sharp, plain), x)


def increase_upper_pairwise(logits: ArrayLike, labels: npt.ArrayLike, pairwise: ArrayLike) -> Array:
    """Largest cross-entropy increase when logit j gains at most pi_j on the true one, rounded up.

        log(p + sum_{j != C} q_j exp(pi_j))

    logits   : (T, K) dense logits, K >= 2.
    labels   : (T,) true class C, 0..K-1.
    pairwise : (T, K) proved pi_j of any sign, logit units; the entry of the true class is ignored.
    Returns (T,) nats, at most the largest pi_j or 0.
    Claim X29-lambda (theory/mp-certificates.md, X29.5; twin of X2-ce-pairwise).
    """
    require_ieee()
    z, label = logits_and_labels(logits, labels)
    gain = others(finite(pairwise, "pairwise", z.shape), label, 0.0)
    low, high = _log_sum_exp(z)
    with np.errstate(over="ignore"):
        moved = representable(add_up(z, gain), "moved logits")
        q_low = exp_bounds(representable(add_down(z, -high[:, None]), "log q"))[0]
        q_high = np.minimum(exp_bounds(representable(add_up(z, -low[:, None]), "log q"))[1], 1.0)
    rise = expm1_bounds(gain)[1]
    gained = sum_nonnegative(mul_up(q_high, np.clip(rise, 0.0, _LARGE)).T)[1]
    gained = np.where(rise.max(axis=1) > _LARGE, np.inf, gained)
    spared = sum_nonnegative(mul_down(q_low, np.maximum(-rise, 0.0)).T)[0]
    product = add_up(gained, -spared)
    sharp = np.where(product >= -0.5, log1p_bounds(np.maximum(product, -0.5))[1], np.inf)
    plain = add_up(_log_sum_exp(moved)[1], -low)
    return np.minimum(np.minimum(sharp, plain), gain.max(axis=1))


def mean_upper(values: ArrayLike) -> float:
    """Mean over samples, rounded up.

        (1 / T) sum_s x_s

    values : (T,).
    Returns the least float64 that is not below the mean.
    Claim X29-float (theory/mp-certificates.md, X29).
    """
    return up(mean(finite(values, "values", (None,)), "values"), "mean")


def mean_lower(values: ArrayLike) -> float:
    """Mean over samples, rounded down.

        (1 / T) sum_s x_s

    values : (T,).
    Returns the largest float64 that is not above the mean.
    Claim X29-float (theory/mp-certificates.md, X29).
    """
    return down(mean(finite(values, "values", (None,)), "values"), "mean")


def _not(grown: Array) -> Array:
    """-expm1(log p), clipped to [0, 1]: 1 - p without cancellation."""
    return np.clip(-grown, 0.0, 1.0)


def _twice(eta: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return representable(2.0 * at_least(eta, "eta", 0.0), "2 eta")


def _log_pair(log_p: ArrayLike, log_not_p: ArrayLike, move: ArrayLike) -> tuple[Array, Array, Array]:
    require_ieee()
    a = finite(log_p, "log_p", (None,))
    b, x = finite(log_not_p, "log_not_p", a.shape), finite(move, "bound on the logits", a.shape)
    if max(a.max(), b.max()) > 0.0:
        raise Refused("log_p, log_not_p: above 0; logarithms of probabilities are expected")
    off = float(np.max(np.abs(np.logaddexp(a, b))))
    if off > 1e-9:
        raise Refused(f"log_p, log_not_p: p + (1 - p) is off by {off:.3g} on the log scale; pass both of log_probabilities")
    return a, b, x


def _log_odds_against(logits: ArrayLike, labels: npt.ArrayLike) -> Pair:
    """Enclosure of a = (largest other logit - z_C) + log sum_{j != C} exp(z_j - largest other)."""
    require_ieee()
    z, label = logits_and_labels(logits, labels)
    rows = np.arange(len(label))
    rest = others(z, label, -np.inf)
    top = rest.argmax(axis=1)
    low, high = _log_sum_beyond(z, top, label)
    with np.errstate(over="ignore", invalid="ignore"):
        lead = rest[rows, top], -z[rows, label]
        return (
            representable(add_down(add_down(*lead), low), "difference of logits"),
            representable(add_up(add_up(*lead), high), "difference of logits"),
        )


def _log_sum_exp(z: Array) -> Pair:
    top = z.argmax(axis=1)
    low, high = _log_sum_beyond(z, top, top)
    largest = z.max(axis=1)
    return add_down(largest, low), add_up(largest, high)


def _log_sum_beyond(z: Array, top: np.ndarray, left_out: np.ndarray) -> Pair:
    """Enclosure of log(1 + sum_j exp(z_j - z_top)) over j other than `top` and `left_out`."""
    rows = np.arange(len(z))
    with np.errstate(over="ignore", invalid="ignore"):
        gap, remainder = two_sum(z, -z[rows, top][:, None])
    gap[rows, left_out] = 0.0
    remainder = np.where(gap < -1e3, 0.0, remainder)
    low, high = exp_bounds(np.maximum(gap, -1e4), np.abs(remainder))
    for part in (low, high):
        part[rows, left_out] = part[rows, top] = 0.0
    return log1p_bounds(sum_nonnegative(low.T)[0])[0], log1p_bounds(sum_nonnegative(high.T)[1])[1]
