"""How far the cross-entropy can move when the logits do. Natural logarithms throughout (nats).

Write q = softmax(z), p = q_C for the true class C, d for the change of the logits. Every bound below comes from the
identity

    ce(z + d) - ce(z) = log sum_j q_j exp(d_j - d_C),

which increases in each d_j - d_C. Which function to call depends on what is known about d:
each coordinate -> `increase_upper`; its oscillation -> `increase_upper_oscillation`; each d_j - d_C ->
`increase_upper_pairwise`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, logits_and_labels, others, representable

# A pair (log p, log(1 - p)) further than this from summing to one was not made by `log_probabilities`.
PROBABILITY_SLACK = 1e-9


def cross_entropy(logits: ArrayLike, labels: npt.ArrayLike) -> Array:
    """Cross-entropy of the true class.

        ce(z) = -z_C + log sum_j exp(z_j) = log(1 + exp(a)),   a = log sum_{j != C} exp(z_j) - z_C

    logits : (T, K), K >= 2, finite.
    labels : (T,) true class C of each sample, 0..K-1.
    Returns (T,) nats, >= 0, with small values accurate to their last digits (no 1 - p is formed).
    Claim D2.0-ce (Section 2 of arXiv:2606.02608).
    """
    return np.logaddexp(0.0, _log_odds_against(logits, labels))


def log_probabilities(logits: ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Array]:
    """Logarithms of the true class's probability and of the probability of all others.

        log p = -log(1 + exp(a)),   log(1 - p) = -log(1 + exp(-a)),   a as in `cross_entropy`

    log(1 - p) comes from the log-sum-exp of the other logits; it stays finite where 1 - p underflows.
    logits : (T, K), K >= 2, finite.
    labels : (T,) true class, 0..K-1.
    Returns (T,), (T,), both <= 0.
    Claim D2.0-ce (Section 2 of arXiv:2606.02608).
    """
    against = _log_odds_against(logits, labels)
    return -np.logaddexp(0.0, against), -np.logaddexp(0.0, -against)


def increase_upper(log_p: ArrayLike, log_not_p: ArrayLike, eta: ArrayLike) -> Array:
    """Largest cross-entropy increase when no logit moves by more than eta.

        log(p + (1 - p) exp(2 eta))  <=  2 eta,   attained by d = eta (1 - 2 e_C)

    log_p, log_not_p : (T,) from `log_probabilities` of the dense network, p in (0, 1).
    eta              : (T,) bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats. Vacuous never; equal to 2 eta only as p -> 0.
    Claim X1-ce-sharp (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    return _cumulant(log_p, log_not_p, _twice(eta))


def increase_lower(log_p: ArrayLike, log_not_p: ArrayLike, eta: ArrayLike) -> Array:
    """Smallest cross-entropy change (a decrease) when no logit moves by more than eta.

        log(p + (1 - p) exp(-2 eta))  >=  -2 eta,   attained by d = -eta (1 - 2 e_C)

    log_p, log_not_p : (T,) from `log_probabilities` of the dense network, p in (0, 1).
    eta              : (T,) bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats, <= 0, and in size at most `increase_upper`.
    Claim X1-ce-sharp (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    return _cumulant(log_p, log_not_p, -_twice(eta))


def increase_upper_oscillation(log_p: ArrayLike, log_not_p: ArrayLike, oscillation: ArrayLike) -> Array:
    """Largest cross-entropy increase when no logit gains more than omega on the true one.

        log(p + (1 - p) exp(omega)),   omega >= max_{j != C} (d_j - d_C)

    osc(d) = max d - min d is such an omega, and never exceeds 2 max_j |d_j|: a shift common to all logits is free.
    log_p, log_not_p : (T,) from `log_probabilities` of the dense network, p in (0, 1).
    oscillation      : (T,) omega, logit units; negative where every other logit is known to fall behind.
    Returns (T,) nats, of the sign of omega.
    Claim X2-ce-pairwise (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    return _cumulant(log_p, log_not_p, finite(oscillation, "oscillation"))


def increase_upper_pairwise(logits: ArrayLike, labels: npt.ArrayLike, pairwise: ArrayLike) -> Array:
    """Largest cross-entropy increase when logit j gains at most pi_j on the true one.

        log(p + sum_{j != C} q_j exp(pi_j)),   pi_j >= d_j - d_C,   attained by d_j = pi_j, d_C = 0

    logits   : (T, K) dense logits, K >= 2.
    labels   : (T,) true class C, 0..K-1.
    pairwise : (T, K) pi, logit units, of any sign; the entry of the true class is ignored.
    Returns (T,) nats. Never above the oscillation form at omega = max_{j != C} pi_j.
    Claim X2-ce-pairwise (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    z, label = logits_and_labels(logits, labels)
    gain = others(finite(pairwise, "pairwise", z.shape), label, 0.0)
    log_q = z - _log_sum_exp(z)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        excess = np.sum(np.exp(log_q) * np.expm1(gain), axis=1)
        result = np.where(np.abs(excess) <= 0.5, _log1p(excess), _log_sum_exp(log_q + gain))
    return representable(result, "pairwise cross-entropy bound")


def increase_published(eta: ArrayLike) -> Array:
    """The published bound on the cross-entropy change, both ways: the logarithm of softmax is 2-Lipschitz in max norm.

        |ce(z + d) - ce(z)| <= 2 eta,   eta >= max_j |d_j|

    eta : (T,) bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats. Attained only at eta = 0; `increase_upper` is the exact worst case.
    Claim L5.1-ce-path (Lemma 5.1 of arXiv:2606.02608).
    """
    return _twice(eta)


def _twice(eta: ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return representable(2.0 * at_least(eta, "eta", 0.0), "2 eta")


def _log_odds_against(logits: ArrayLike, labels: npt.ArrayLike) -> Array:
    z, label = logits_and_labels(logits, labels)
    true = z[np.arange(len(label)), label]
    with np.errstate(over="ignore"):
        against = _log_sum_exp(others(z, label, -np.inf)) - true
    return representable(against, "difference of logits")


def _log_sum_exp(table: Array) -> Array:
    top = table.max(axis=1)
    with np.errstate(over="ignore"):
        return top + np.log(np.sum(np.exp(table - top[:, None]), axis=1))


def _cumulant(log_p: ArrayLike, log_not_p: ArrayLike, x: Array) -> Array:
    """Lambda_p(x) = log(p + (1 - p) e^x) = log1p((1 - p)(e^x - 1)), clipped to the exact range between 0 and x.

    The log1p form keeps the digits of small results, the logaddexp form those of large ones.
    """
    a, b = _log_pair(log_p, log_not_p)
    if x.shape != a.shape:
        raise Refused(f"bound on the logits: shape {x.shape}; {a.shape} is expected, one number per sample")
    with np.errstate(over="ignore", invalid="ignore"):
        excess = np.exp(b) * np.expm1(x)
        result = np.where(np.abs(excess) <= 0.5, _log1p(excess), np.logaddexp(a, b + x))
    return np.clip(result, np.minimum(x, 0.0), np.maximum(x, 0.0))


def _log1p(excess: Array) -> Array:
    return np.log1p(np.where(np.abs(excess) <= 0.5, excess, 0.0))


def _log_pair(log_p: ArrayLike, log_not_p: ArrayLike) -> tuple[Array, Array]:
    a = finite(log_p, "log_p", (None,))
    b = finite(log_not_p, "log_not_p", a.shape)
    off = float(np.max(np.abs(np.logaddexp(a, b))))
    if off > PROBABILITY_SLACK:
        raise Refused(f"log_p, log_not_p: p + (1 - p) is off by {off:.3g} on the log scale; pass both of log_probabilities")
    return a, b
