"""Decisions about margins with every rounding accounted for. Twins of `certify.theory.margins`.

e_z bounds the error of each logit in one evaluation of a network. Both networks are evaluated, so a margin as computed may
be off by 2 e_z, and a move of the logits as well; a statement about the float evaluation of the pruned network, not its real
arithmetic, takes e_z plus that evaluation's error. An accuracy counts samples, so a sample whose correctness the error
leaves open stands in both sets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from certify.theory._arrays import Array, ArrayLike, at_least, finite, logits_and_labels, others, representable
from certify.theory.outward._rounding import add_down, add_up, require_ieee
from certify.theory.outward.elementary import Pair

Mask = npt.NDArray[np.bool_]


def true_margin(logits: ArrayLike, labels: npt.ArrayLike) -> Pair:
    """Enclosure of the lead of the true class.

        lower <= z_C - max_{j != C} z_j <= upper

    logits : (T, K), K >= 2, taken as exact.
    labels : (T,) true class C, 0..K-1.
    Returns (T,), (T,) logit units; equal where the difference is a float64.
    Claim X29-margin (theory/mp-certificates.md, X29.6; twin of C5.2-margin).
    """
    require_ieee()
    z, label = logits_and_labels(logits, labels)
    lead = z[np.arange(len(label)), label], -others(z, label, -np.inf).max(axis=1)
    return representable(add_down(*lead), "true margin"), representable(add_up(*lead), "true margin")


def predicted_margin_lower(logits: ArrayLike) -> Array:
    """Lead of the predicted class over the runner-up, rounded down.

        (largest logit) - (second largest logit)

    logits : (T, K), K >= 2, taken as exact.
    Returns (T,) logit units, >= 0.
    Claim X29-margin (theory/mp-certificates.md, X29.6; twin of C5.2-margin).
    """
    require_ieee()
    z, _ = logits_and_labels(logits, np.zeros(len(np.asarray(logits)), dtype=np.int64))
    top = np.partition(z, -2, axis=1)
    return representable(add_down(top[:, -1], -top[:, -2]), "predicted margin")


def predicted_label_stable(predicted_lower: ArrayLike, eta: ArrayLike, logit_error: ArrayLike = 0.0) -> Mask:
    """Samples whose predicted class cannot change.

        Delta_pred > 2 eta + 2 e_z

    predicted_lower : (T,) from `predicted_margin_lower`, >= 0.
    eta             : (T,) proved bound on max_j |z'_j - z_j|, >= 0.
    logit_error     : e_z, one number or (T,), >= 0.
    Returns (T,) bool. True is proved; False says nothing.
    Claim X29-margin (theory/mp-certificates.md, X29.6; twin of C5.2-margin).
    """
    margin = at_least(predicted_lower, "predicted margin", 0.0, (None,))
    twice, error = _moves(margin, eta, logit_error)
    return margin > add_up(twice, error)


def may_lose(margin_lower: ArrayLike, margin_upper: ArrayLike, eta: ArrayLike, logit_error: ArrayLike = 0.0) -> Mask:
    """Samples that may be correct and become wrong.

        not (Delta > 2 eta + 2 e_z)   and not (Delta <= -2 e_z)

    margin_lower, margin_upper : (T,) from `true_margin` of the dense network.
    eta                        : (T,) proved bound on max_j |z'_j - z_j|, >= 0.
    logit_error                : e_z, one number or (T,), >= 0.
    Returns (T,) bool. False is proved. Without error it is the exact set 0 < Delta <= 2 eta of the stored logits, up to the
    rounding of the margin.
    Claim X29-margin (theory/mp-certificates.md, X29.6; twin of X5-margin-signed).
    """
    low, high = _margins(margin_lower, margin_upper)
    twice, error = _moves(low, eta, logit_error)
    return (low <= add_up(twice, error)) & (high > -error)


def may_gain(margin_lower: ArrayLike, margin_upper: ArrayLike, eta: ArrayLike, logit_error: ArrayLike = 0.0) -> Mask:
    """Samples that may be wrong (or tied) and become correct.

        not (Delta > 2 e_z)   and not (Delta <= -2 eta - 2 e_z)

    margin_lower, margin_upper, eta, logit_error : as in `may_lose`.
    Returns (T,) bool. False is proved.
    Claim X29-margin (theory/mp-certificates.md, X29.6; twin of X5-margin-signed).
    """
    low, high = _margins(margin_lower, margin_upper)
    twice, error = _moves(low, eta, logit_error)
    return (low <= error) & (high > -add_up(twice, error))


def _margins(lower: ArrayLike, upper: ArrayLike) -> Pair:
    low = finite(lower, "margin_lower", (None,))
    return low, finite(upper, "margin_upper", low.shape)


def _moves(margin: Array, eta: ArrayLike, logit_error: ArrayLike) -> Pair:
    """2 eta and 2 e_z, both exact."""
    move = at_least(eta, "eta", 0.0, margin.shape)
    error = np.broadcast_to(at_least(logit_error, "logit_error", 0.0), margin.shape)
    with np.errstate(over="ignore"):
        return representable(2.0 * move, "2 eta"), representable(2.0 * error, "2 e_z")
