"""How far the cross-entropy can move when the logits do. Natural logarithms throughout (nats).

Write q = softmax(z), p = q_C for the true class C, d for the change of the logits. Every bound below comes from the
identity

    ce(z + d) - ce(z) = log sum_j q_j exp(d_j - d_C),

which increases in each d_j - d_C. Which function to call depends on what is known about d:
each coordinate -> `increase_upper`; its oscillation -> `increase_upper_oscillation`; each d_j - d_C ->
`increase_upper_pairwise`; only the mean of p over the samples -> `increase_upper_average`. Targets that are not one class:
`softlabel_upper`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, logits_and_labels, others, representable

# A pair (log p, log(1 - p)) further than this from summing to one was not made by `log_probabilities`.
PROBABILITY_SLACK = 1e-9
# Classes up to which `softlabel_upper` searches all 2^K subsets.
SUBSET_CLASSES = 12


def softmax(logits: ArrayLike) -> Array:
    """Class probabilities of a network phi = softmax o X.

        rho(z)_i = exp(z_i) / sum_j exp(z_j),   sum_i rho_i = 1,   rho(z + c 1) = rho(z)

    logits : (T, K), K >= 2, finite. In the paper's simplified network X ends with its activation (ReLU or |.|), so logits
             are >= 0 and ReLU logits tie exactly at 0; a tie counts as an error (F28).
    Returns (T, K) probabilities; far below the largest logit they underflow to 0, where `log_probabilities` stays finite.
    Claim D2.0-network (Section 2 of arXiv:2606.02608).
    """
    z = finite(logits, "logits", (None, None))
    if z.shape[1] < 2:
        raise Refused("logits: one class; a probability needs at least two")
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp(z - z.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


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


def pairwise_by_readout(readout: ArrayLike, labels: npt.ArrayLike, feature_move: ArrayLike) -> Array:
    """What each logit can gain on the true one when the features before a linear readout move.

        pi_j = ||w_j - w_C||_1 u  <=  2 ||W_o||_inf u,   u >= ||h' - h||_inf,   z = W_o h + b

    readout      : (K, features) W_o, K >= 2.
    labels       : (T,) true class C, 0..K-1.
    feature_move : (T,) u, e.g. L_h ||R V_s||_inf with L_h the max-norm Lipschitz constant up to h; >= 0, feature units.
    Returns (T, K) logit units, 0 at j = C; two-sided, so it serves in every pairwise bound of this folder.
    Claim X2-ce-pairwise (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    w = finite(readout, "readout", (None, None))
    move = at_least(feature_move, "feature_move", 0.0, (None,))
    _, label = logits_and_labels(np.zeros((len(move), len(w))), labels)
    with np.errstate(over="ignore", invalid="ignore"):
        return representable(np.abs(w[None, :, :] - w[label][:, None, :]).sum(axis=2) * move[:, None], "pairwise gain")


def increase_upper_average(log_p: ArrayLike, log_not_p: ArrayLike, eta: float) -> float:
    """Largest increase of the mean cross-entropy when no logit of any sample moves by more than one eta.

        (1/T) sum_s Lambda_{p_s}(2 eta)  <=  log(pbar + (1 - pbar) exp(2 eta)),   pbar = (1/T) sum_s p_s

    log_p, log_not_p : (T,) from `log_probabilities` of the dense network, p in (0, 1).
    eta              : one bound on max_j |z'_j - z_j| for all samples, >= 0, logit units.
    Returns nats. Never above 2 eta; equal to the mean of `increase_upper` when all p_s are equal.
    Claim X3-ce-average (sharpens Lemma 5.1 of arXiv:2606.02608).
    """
    a, b = (np.logaddexp.reduce(part, keepdims=True) - np.log(len(part)) for part in _log_pair(log_p, log_not_p))
    return float(_cumulant(a, b, np.atleast_1d(_twice(eta)))[0])


def increase_upper_hoeffding(log_p: ArrayLike, log_not_p: ArrayLike, oscillation: ArrayLike) -> Array:
    """Quadratic bound on the cross-entropy increase, free of exponentials of omega.

        Lambda_p(omega)  <=  (1 - p) omega + omega^2 / 8,   at omega = 2 eta: 2 eta (1 - p) + eta^2 / 2

    log_p, log_not_p : (T,) from `log_probabilities` of the dense network, p in (0, 1).
    oscillation      : (T,) omega of either sign, as in `increase_upper_oscillation`.
    Returns (T,) nats. Of second order exact only at p = 1/2; above omega itself, hence vacuous, from omega = 8 p on.
    Claim X3-ce-average (Hoeffding's lemma).
    """
    _, b = _log_pair(log_p, log_not_p)
    omega = finite(oscillation, "oscillation", b.shape)
    with np.errstate(over="ignore"):
        return representable(np.exp(b) * omega + omega**2 / 8.0, "quadratic cross-entropy bound")


def softlabel_upper(logits: ArrayLike, targets: ArrayLike, eta: ArrayLike) -> Array:
    """Largest increase of the cross-entropy against soft targets when no logit moves by more than eta.

        max_D log(q(D) exp(2 eta) + 1 - q(D)) - 2 eta t(D),   D a set of classes,   ce_t(z) = -t.z + log sum_j exp(z_j)

    Exact (a vertex of the box is worst) up to 12 classes, found over all 2^K sets: choosing D greedily by t_j / q_j is not
    exact. Beyond, `softlabel_upper_hoeffding`.
    logits  : (T, K) dense logits, K >= 2, q = softmax. Not q itself: where q_j underflows to 0 the bound would be wrong.
    targets : (T, K) t >= 0; rows sum to 1. A one-hot row gives `increase_upper`.
    eta     : (T,) bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (T,) nats, between 0 and 2 eta. Label smoothing and distillation of a fixed teacher are such targets (F27).
    Claim X4-soft-label (extends Lemma 5.1 of arXiv:2606.02608).
    """
    z, t, twice = _soft(logits, targets, eta)
    classes = z.shape[1]
    if classes > SUBSET_CLASSES:
        return softlabel_upper_hoeffding(z, t, eta)
    inside = ((np.arange(1, 2**classes - 1)[:, None] >> np.arange(classes)) & 1).astype(np.bool_)
    log_q = z - _log_sum_exp(z)[:, None]
    best = np.empty(len(z))
    for s in range(len(z)):
        stays, rises = (_log_sum_exp(np.where(part, log_q[s], -np.inf)) for part in (~inside, inside))
        best[s] = np.max(_lambda(stays, rises, np.full(len(inside), twice[s])) - twice[s] * (inside @ t[s]))
    return best


def softlabel_upper_hoeffding(logits: ArrayLike, targets: ArrayLike, eta: ArrayLike) -> Array:
    """Bound on the cross-entropy increase against soft targets, for any number of classes.

        min(eta ||q - t||_1 + eta^2 / 2, 2 eta)

    logits, targets, eta : as in `softlabel_upper`.
    Returns (T,) nats; never below `softlabel_upper`.
    Claim X4-soft-label (Hoeffding's lemma).
    """
    z, t, twice = _soft(logits, targets, eta)
    with np.errstate(over="ignore"):
        return np.minimum(twice * np.abs(softmax(z) - t).sum(axis=1) / 2.0 + twice**2 / 8.0, twice)


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
    return _lambda(a, b, x)


def _lambda(a: Array, b: Array, x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        excess = np.exp(b) * np.expm1(x)
        result = np.where(np.abs(excess) <= 0.5, _log1p(excess), np.logaddexp(a, b + x))
    return np.clip(result, np.minimum(x, 0.0), np.maximum(x, 0.0))


def _soft(logits: ArrayLike, targets: ArrayLike, eta: ArrayLike) -> tuple[Array, Array, Array]:
    z = finite(logits, "logits", (None, None))
    if z.shape[1] < 2:
        raise Refused("logits: one class; at least two are needed")
    t = at_least(targets, "targets", 0.0, z.shape)
    off = float(np.max(np.abs(t.sum(axis=1) - 1.0)))
    if off > PROBABILITY_SLACK:
        raise Refused(f"targets: a row sums to 1 only up to {off:.3g}; distributions are expected")
    twice = _twice(eta)
    if twice.shape != (len(z),):
        raise Refused(f"eta: shape {twice.shape}; ({len(z)},) is expected, one number per sample")
    return z, t, twice


def _log1p(excess: Array) -> Array:
    return np.log1p(np.where(np.abs(excess) <= 0.5, excess, 0.0))


def _log_pair(log_p: ArrayLike, log_not_p: ArrayLike) -> tuple[Array, Array]:
    a = finite(log_p, "log_p", (None,))
    b = finite(log_not_p, "log_not_p", a.shape)
    off = float(np.max(np.abs(np.logaddexp(a, b))))
    if off > PROBABILITY_SLACK:
        raise Refused(f"log_p, log_not_p: p + (1 - p) is off by {off:.3g} on the log scale; pass both of log_probabilities")
    return a, b
