"""Which decisions can change, decided without rounding. Twins of `certify.theory.margins`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import whole
from certify.theory.exact._rationals import Exact, Numbers, at_least, exact, logits_and_labels

Mask = npt.NDArray[np.bool_]


def true_margin(logits: Numbers, labels: npt.ArrayLike) -> Exact:
    """Lead of the true class.

        Delta = z_C - max_{j != C} z_j

    logits : (T, K), K >= 2.
    labels : (T,) true class C, 0..K-1.
    Returns (T,).
    Claim C5.2-margin (Corollary 5.2 of arXiv:2606.02608).
    """
    return topk_margin(logits, labels, 1)


def topk_margin(logits: Numbers, labels: npt.ArrayLike, k: int) -> Exact:
    """Lead of the true class over the k-th largest of the others.

        Delta^(k) = z_C - (k-th largest of z_j, j != C);   in the top k if Delta^(k) > 0

    logits : (T, K), K >= 2.
    labels : (T,) true class C, 0..K-1.
    k      : 1..K-1.
    Returns (T,).
    Claim X7-topk (extends Corollary 5.2 of arXiv:2606.02608).
    """
    z, label = logits_and_labels(logits, labels)
    place = whole(k, "k", 1, z.shape[1] - 1)
    lead = [row[c] - sorted(np.delete(row, c), reverse=True)[place - 1] for row, c in zip(z, label, strict=True)]
    return _column(lead)


def predicted_margin(logits: Numbers) -> Exact:
    """Lead of the predicted class over the runner-up.

        Delta = (largest logit) - (second largest logit)

    logits : (T, K), K >= 2.
    Returns (T,), >= 0.
    Claim C5.2-margin (Corollary 5.2 of arXiv:2606.02608).
    """
    z, _ = logits_and_labels(logits, np.zeros(len(np.asarray(logits)), dtype=np.int64))
    ordered = [sorted(row, reverse=True) for row in z]
    return _column([row[0] - row[1] for row in ordered])


def predicted_label_stable(predicted: Numbers, eta: Numbers) -> Mask:
    """Samples whose predicted class cannot change.

        Delta_pred > 2 eta

    predicted : (T,) from `predicted_margin`, >= 0.
    eta       : (T,), >= 0.
    Returns (T,) bool.
    Claim C5.2-margin (Corollary 5.2(a) of arXiv:2606.02608).
    """
    margin, twice = _margin_and_move(at_least(predicted, "predicted margin", 0, (None,)), eta)
    return margin > twice


def may_lose(margin: Numbers, eta: Numbers) -> Mask:
    """Samples that are correct and may become wrong.

        0 < Delta <= 2 eta

    margin : (T,) from `true_margin` (or `topk_margin`) of the dense network.
    eta    : (T,), >= 0.
    Returns (T,) bool.
    Claim X5-margin-signed (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    delta, twice = _margin_and_move(margin, eta)
    return (delta > 0) & (delta <= twice)


def may_gain(margin: Numbers, eta: Numbers) -> Mask:
    """Samples that are wrong (or tied) and may become correct.

        -2 eta < Delta <= 0

    margin : (T,) from `true_margin` (or `topk_margin`) of the dense network.
    eta    : (T,), >= 0.
    Returns (T,) bool.
    Claim X5-margin-signed (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    delta, twice = _margin_and_move(margin, eta)
    return (delta > -twice) & (delta <= 0)


def may_change_published(margin: Numbers, eta: Numbers) -> Mask:
    """The published set of samples whose correctness may change.

        |Delta| <= 2 eta

    margin : (T,) from `true_margin` of the dense network.
    eta    : (T,), >= 0.
    Returns (T,) bool.
    Claim C5.2-margin (Corollary 5.2(b) of arXiv:2606.02608).
    """
    delta, twice = _margin_and_move(margin, eta)
    return abs(delta) <= twice


def may_lose_pairwise(logits: Numbers, labels: npt.ArrayLike, pairwise: Numbers) -> Mask:
    """Samples that are correct and may become wrong when logit j gains at most pi_j on the true one.

        Delta > 0   and   z_C - z_j <= pi_j for some j != C

    logits   : (T, K) dense logits, K >= 2.
    labels   : (T,) true class C, 0..K-1.
    pairwise : (T, K) pi_j; the entry of the true class is ignored.
    Returns (T,) bool.
    Claim X6-margin-pairwise (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    return np.array([min(lead) > 0 and np.any(lead <= gain) for lead, gain in _leads(logits, labels, pairwise)], dtype=np.bool_)


def may_gain_pairwise(logits: Numbers, labels: npt.ArrayLike, pairwise: Numbers) -> Mask:
    """Samples that are wrong (or tied) and may become correct when the true logit gains at most pi_j on logit j.

        Delta <= 0   and   z_j - z_C < pi_j for all j != C

    logits, labels, pairwise : as in `may_lose_pairwise`.
    Returns (T,) bool.
    Claim X6-margin-pairwise (its mirror image; sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    return np.array([min(lead) <= 0 and np.all(lead > -gain) for lead, gain in _leads(logits, labels, pairwise)], dtype=np.bool_)


def accuracy_change_interval(losses: npt.ArrayLike, gains: npt.ArrayLike) -> tuple[Fraction, Fraction]:
    """Range of acc(shipped) - acc(reference) on the samples at hand.

        -#losses / T  <=  change of accuracy  <=  #gains / T

    losses, gains : (T,) bool; no sample is in both.
    Returns (lower, upper).
    Claim X5-margin-signed (sharpens Corollary 5.2(b) of arXiv:2606.02608).
    """
    lost, won = np.asarray(losses), np.asarray(gains)
    if lost.dtype != np.bool_ or won.dtype != np.bool_ or lost.ndim != 1 or lost.shape != won.shape or not lost.size:
        raise Refused(f"losses, gains: {lost.dtype} {lost.shape} and {won.dtype} {won.shape}; two (T,) masks are expected")
    if np.any(lost & won):
        raise Refused("losses, gains: a sample stands in both; a sample is either correct before or not")
    return -Fraction(int(lost.sum()), lost.size), Fraction(int(won.sum()), won.size)


def _margin_and_move(margin: Numbers, eta: Numbers) -> tuple[Exact, Exact]:
    delta = exact(margin, "margin", (None,))
    return delta, 2 * at_least(eta, "eta", 0, delta.shape)


def _leads(logits: Numbers, labels: npt.ArrayLike, pairwise: Numbers) -> list[tuple[Exact, Exact]]:
    """z_C - z_j and pi_j for the K - 1 classes other than C, sample by sample."""
    z, label = logits_and_labels(logits, labels)
    gain = exact(pairwise, "pairwise", z.shape)
    return [(row[c] - np.delete(row, c), np.delete(pi, c)) for row, pi, c in zip(z, gain, label, strict=True)]


def _column(values: list[Fraction]) -> Exact:
    column = np.empty(len(values), dtype=np.object_)
    column[:] = values
    return column
