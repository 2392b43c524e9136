"""Which decisions can change when the logits move. A tie is an error: a sample is correct when its true margin is > 0.

Comparisons are made as written, in float64, so a margin of exactly 2 eta falls on the unsafe side. That accounts for no
rounding of the logits themselves; a caller who needs a proof enlarges eta by the enclosure of their error first. A difference
of two floats rounds monotonically, which keeps `may_lose` and `predicted_label_stable` right for the logits as given; the
half-open end of `may_gain` is not: z = (1e-17, 1), C = 0, eta = 1/2 has the margin -1 + 1e-17, rounded to -1, and can gain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, logits_and_labels, others, representable, whole

Mask = npt.NDArray[np.bool_]


def true_margin(logits: ArrayLike, labels: npt.ArrayLike) -> Array:
    """Lead of the true class.

        Delta = z_C - max_{j != C} z_j;   correct if and only if Delta > 0

    logits : (T, K), K >= 2.
    labels : (T,) true class C, 0..K-1.
    Returns (T,) logit units, <= 0 for an error or a tie; ReLU logits tie at 0 (F28).
    Claim C5.2-margin, F28 (Corollary 5.2 of arXiv:2606.02608).
    """
    z, label = logits_and_labels(logits, labels)
    with np.errstate(over="ignore"):
        margin = z[np.arange(len(label)), label] - others(z, label, -np.inf).max(axis=1)
    return representable(margin, "true margin")


def predicted_margin(logits: ArrayLike) -> Array:
    """Lead of the predicted class over the runner-up.

        Delta = (largest logit) - (second largest logit)

    logits : (T, K), K >= 2.
    Returns (T,) logit units, >= 0; zero where the prediction is a tie.
    Claim C5.2-margin (Corollary 5.2 of arXiv:2606.02608).
    """
    z = finite(logits, "logits", (None, None))
    if z.shape[1] < 2:
        raise Refused("logits: one class; a margin needs at least two")
    top = np.partition(z, -2, axis=1)
    with np.errstate(over="ignore"):
        return representable(top[:, -1] - top[:, -2], "predicted margin")


def topk_margin(logits: ArrayLike, labels: npt.ArrayLike, k: int) -> Array:
    """Lead of the true class over the k-th of the others.

        Delta^(k) = z_C - (k-th largest of z_j, j != C);   within the top k if and only if Delta^(k) > 0

    logits : (T, K), K >= 2.
    labels : (T,) true class C, 0..K-1.
    k      : 1 <= k <= K - 1; 1 gives `true_margin`.
    Returns (T,) logit units. Order statistics move by at most eta, so `may_lose`, `may_gain` and
    `accuracy_change_interval` hold for top-k accuracy with this margin.
    Claim X7-topk, ER-X7-k (extends Corollary 5.2 of arXiv:2606.02608).
    """
    z, label = logits_and_labels(logits, labels)
    rank = whole(k, "k", 1, z.shape[1] - 1)
    rivals = np.sort(others(z, label, -np.inf), axis=1)
    with np.errstate(over="ignore"):
        return representable(z[np.arange(len(label)), label] - rivals[:, -rank], "top-k margin")


def predicted_label_stable(predicted: ArrayLike, eta: ArrayLike) -> Mask:
    """Samples whose predicted class cannot change when no logit moves by more than eta.

        Delta_pred > 2 eta

    predicted : (T,) from `predicted_margin`, >= 0.
    eta       : (T,) bound on max_j |z'_j - z_j|, >= 0.
    Returns (T,) bool. False says nothing: at Delta_pred = 2 eta a tie can be reached.
    Claim C5.2-margin (Corollary 5.2(a) of arXiv:2606.02608).
    """
    margin, twice = _margin_and_move(at_least(predicted, "predicted margin", 0.0, (None,)), eta)
    return margin > twice


def may_lose(margin: ArrayLike, eta: ArrayLike) -> Mask:
    """Samples that are correct and may become wrong when no logit moves by more than eta.

        0 < Delta <= 2 eta,   attained by d = eta (1 - 2 e_C)

    margin : (T,) from `true_margin` of the dense network.
    eta    : (T,) bound on max_j |z'_j - z_j|, >= 0.
    Returns (T,) bool.
    Claim X5-margin-signed, ER-X5-signs (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    delta, twice = _margin_and_move(margin, eta)
    return (delta > 0.0) & (delta <= twice)


def may_gain(margin: ArrayLike, eta: ArrayLike) -> Mask:
    """Samples that are wrong (or tied) and may become correct when no logit moves by more than eta.

        -2 eta < Delta <= 0,   attained by d = -eta (1 - 2 e_C)

    margin : (T,) from `true_margin` of the dense network.
    eta    : (T,) bound on max_j |z'_j - z_j|, >= 0.
    Returns (T,) bool. With eta = 0 nothing can be gained, ties included (F4).
    Claim X5-margin-signed, P5.2-zero-budget (sharpens Corollary 5.2(b) of arXiv:2606.02608, and repairs "perfect pruning"
    of its introduction), F4.
    """
    delta, twice = _margin_and_move(margin, eta)
    return (delta > -twice) & (delta <= 0.0)


def may_change_published(margin: ArrayLike, eta: ArrayLike) -> Mask:
    """The published set of samples whose correctness may change.

        |Delta| <= 2 eta

    margin : (T,) from `true_margin` of the dense network.
    eta    : (T,) bound on max_j |z'_j - z_j|, >= 0.
    Returns (T,) bool. Counts an exact tie even at eta = 0 (F4), which `may_lose` and `may_gain` do not.
    Claim C5.2-margin (Corollary 5.2(b) of arXiv:2606.02608).
    """
    delta, twice = _margin_and_move(margin, eta)
    return np.abs(delta) <= twice


def may_lose_pairwise(logits: ArrayLike, labels: npt.ArrayLike, pairwise: ArrayLike) -> Mask:
    """Samples that are correct and may become wrong when logit j gains at most pi_j on the true one.

        Delta > 0   and   z_C - z_j <= pi_j for some j != C

    logits   : (T, K) dense logits, K >= 2.
    labels   : (T,) true class C, 0..K-1.
    pairwise : (T, K) pi_j >= d_j - d_C, logit units; the entry of the true class is ignored.
    Returns (T,) bool. Within `may_lose` when pi_j <= 2 eta.
    Claim X6-margin-pairwise (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    lead, gain = _leads(logits, labels, pairwise)
    return np.all(lead > 0.0, axis=1) & np.any(lead <= gain, axis=1)


def may_gain_pairwise(logits: ArrayLike, labels: npt.ArrayLike, pairwise: ArrayLike) -> Mask:
    """Samples that are wrong (or tied) and may become correct when the true logit gains at most pi_j on logit j.

        Delta <= 0   and   z_j - z_C < pi_j for all j != C

    logits   : (T, K) dense logits, K >= 2.
    labels   : (T,) true class C, 0..K-1.
    pairwise : (T, K) pi_j >= d_C - d_j, logit units; the entry of the true class is ignored. A two-sided variation
               pi_j >= |d_j - d_C| serves here and in `may_lose_pairwise`.
    Returns (T,) bool. Within `may_gain` when pi_j <= 2 eta.
    Claim X6-margin-pairwise (its mirror image; sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    lead, gain = _leads(logits, labels, pairwise)
    return np.any(lead <= 0.0, axis=1) & np.all(lead > -gain, axis=1)


def accuracy_change_interval(losses: npt.ArrayLike, gains: npt.ArrayLike) -> tuple[float, float]:
    """Range of acc(shipped) - acc(reference) on the samples at hand.

        -#losses / T  <=  change of accuracy  <=  #gains / T

    losses : (T,) bool, samples that may become wrong (`may_lose` or `may_lose_pairwise`).
    gains  : (T,) bool, samples that may become correct (`may_gain` or `may_gain_pairwise`). No sample is in both.
    Returns (lower, upper), shares in [-1, 0] and [0, 1]. Vacuous at (-accuracy, 1 - accuracy).
    Claim X5-margin-signed (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    lost, won = np.asarray(losses), np.asarray(gains)
    if lost.dtype != np.bool_ or won.dtype != np.bool_ or lost.ndim != 1 or lost.shape != won.shape or not lost.size:
        raise Refused(f"losses, gains: {lost.dtype} {lost.shape} and {won.dtype} {won.shape}; two (T,) masks are expected")
    if np.any(lost & won):
        raise Refused("losses, gains: a sample stands in both; a sample is either correct before or not")
    return -float(np.mean(lost)), float(np.mean(won))


def _margin_and_move(margin: ArrayLike, eta: ArrayLike) -> tuple[Array, Array]:
    delta = finite(margin, "margin", (None,))
    move = at_least(eta, "eta", 0.0, delta.shape)
    with np.errstate(over="ignore"):
        return delta, representable(2.0 * move, "2 eta")


def _leads(logits: ArrayLike, labels: npt.ArrayLike, pairwise: ArrayLike) -> tuple[Array, Array]:
    """z_C - z_j and pi_j for the K - 1 classes other than C."""
    z, label = logits_and_labels(logits, labels)
    gain = finite(pairwise, "pairwise", z.shape)
    with np.errstate(over="ignore"):
        lead = representable(z[np.arange(len(label)), label][:, None] - z, "difference of logits")
    other = np.arange(z.shape[1])[None, :] != label[:, None]
    return lead[other].reshape(len(label), -1), gain[other].reshape(len(label), -1)
