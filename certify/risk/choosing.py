"""Choosing among plans on the data that judge them: which null hypotheses fall, with family-wise error at most alpha.

Each plan has the null hypothesis "the risk is at least what is allowed" and a valid p-value, P(p <= a) <= a where it
holds. Any plan may be chosen among those whose null falls, by any rule that may look at everything: an unsafe one is chosen
with probability at most alpha. Order, weights and graph are fixed before the samples are looked at. p-values may depend on
each other in any way. No p-value, or one that is NaN: nothing falls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, level, number, whole

# Weights and rows of a graph may sum to 1 up to float64 rounding.
ROUNDING = 1e-12


def rate_p_value(failures: int, n: int, wanted: float) -> float:
    """p-value of "the rate is at least `wanted`".

        p = P(Binomial(n, wanted) <= failures);   p <= alpha exactly where U(failures; alpha) <= wanted

    failures, n : 0 <= failures <= n; n may be 0.    wanted : rate in [0, 1].
    Returns a probability; 1 from no sample.
    Claim B1-clopper-pearson.
    """
    samples, rate = whole(n, "n", 0), number(wanted, "wanted", 0.0, 1.0)
    events = whole(failures, "failures", 0, samples)
    return float(bdtr(events, samples, rate)) if events < samples else 1.0


def fixed_sequence(p: ArrayLike, alpha: float) -> np.ndarray:
    """The longest run from the first on with p <= alpha.

    p     : (k,) p-values in an order fixed beforehand, say from the smallest sparsity to the largest.
    alpha : family-wise error probability in (0, 1), spent in full on each.
    Returns (k,) truth values. Claim B5-graph (the chain: all weight on the first, all of it handed to the next).
    """
    error, values = level(alpha, "alpha"), _decided(p)
    return np.logical_and.accumulate(values <= error)


def holm(p: ArrayLike, alpha: float) -> np.ndarray:
    """Holm's step-down: the i-th smallest p-value (from 1) falls while it and all smaller ones are <= alpha / (k - i + 1).

    p : (k,) p-values; alpha : family-wise error probability in (0, 1).
    Returns (k,) truth values. Claim B5-graph (Holm, Scand. J. Stat. 6, 1979).
    """
    error, values = level(alpha, "alpha"), _decided(p)
    order = np.argsort(values, kind="stable")
    fallen = np.zeros(values.size, dtype=bool)
    fallen[order] = np.logical_and.accumulate(values[order] <= error / np.arange(values.size, 0, -1))
    return fallen


def graph(p: ArrayLike, weights: ArrayLike, transitions: ArrayLike, alpha: float) -> np.ndarray:
    """The sequentially rejective graph: a null falls at p_i <= w_i alpha and hands its weight on along the arrows.

        w_j <- w_j + w_i g_ij,   g_jk <- (g_jk + g_ji g_ik) / (1 - g_ij g_ji)  (0 where g_ij g_ji = 1),   i removed

    p           : (k,) p-values.
    weights     : (k,) >= 0 of sum <= 1.
    transitions : (k, k) >= 0, zero diagonal, rows of sum <= 1; g_ij is the part of i's weight that j receives.
    alpha       : family-wise error probability in (0, 1).
    Returns (k,) truth values; the order in which nulls fall does not matter.
    Claim B5-graph (Bretz, Maurer, Brannath and Posch, Stat. Med. 28, 2009; Angelopoulos et al., Learn then Test, 2021).
    """
    error, values = level(alpha, "alpha"), _decided(p)
    w, g = _checked_graph(weights, transitions, np.asarray(p).size)
    fallen = np.zeros(values.size, dtype=bool)
    while values.size and np.any(falling := ~fallen & (values <= w * error) & (w > 0.0)):
        i = int(np.flatnonzero(falling)[0])
        fallen[i] = True
        w, g = _without(i, w, g)
    return fallen


def largest(values: Sequence[float], fallen: np.ndarray) -> int | None:
    """Index of the largest value (sparsity, or any score) among the plans whose null fell; None where none did.

    A value that is NaN or infinite cannot be compared: then nothing is chosen.
    """
    scores, allowed = np.asarray(values, dtype=np.float64), np.asarray(fallen)
    if scores.shape != allowed.shape or (allowed.size and allowed.dtype.kind != "b"):
        raise Refused(f"fallen: type {allowed.dtype} and shape {allowed.shape}; {scores.shape} truth values are expected")
    if not np.any(allowed) or not np.all(np.isfinite(scores)):
        return None
    return int(np.argmax(np.where(allowed, scores, -np.inf)))


def _without(i: int, w: Array, g: Array) -> tuple[Array, Array]:
    """Weights and arrows after i has handed on what it had."""
    share = w + w[i] * g[i]
    share[i] = 0.0
    loop = np.outer(g[:, i], np.ones(len(w))) * g[i][:, None]
    through = g + np.outer(g[:, i], g[i])
    rest = np.where(loop < 1.0 - ROUNDING, through / np.where(loop < 1.0 - ROUNDING, 1.0 - loop, 1.0), 0.0)
    np.fill_diagonal(rest, 0.0)
    rest[i, :] = rest[:, i] = 0.0
    return share, rest


def _checked_graph(weights: ArrayLike, transitions: ArrayLike, size: int) -> tuple[Array, Array]:
    w = at_least(np.asarray(weights, dtype=np.float64), "weights", 0.0)
    g = at_least(np.asarray(transitions, dtype=np.float64), "transitions", 0.0)
    if w.shape != (size,) or (size and g.shape != (size, size)):
        raise Refused(f"weights, transitions: shapes {w.shape} and {g.shape} for {size} p-values")
    if w.sum() > 1.0 + ROUNDING:
        raise Refused(f"weights: sum {w.sum()}; more than alpha would be spent")
    if size and (np.any(np.diag(g) != 0.0) or g.sum(axis=1).max() > 1.0 + ROUNDING):
        raise Refused("transitions: a row sums to more than 1 or its diagonal is not 0; more than alpha would be spent")
    return w, g


def _decided(p: ArrayLike) -> Array:
    """p-values in [0, 1]; all of them 2, so that none falls, where one is NaN."""
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise Refused(f"p-values: shape {values.shape}; one per plan is expected")
    if np.any(values < 0.0) or np.any(values > 1.0):
        raise Refused(f"p-values: from {np.nanmin(values)} to {np.nanmax(values)}; [0, 1] is expected")
    return np.full(values.size, 2.0) if np.any(np.isnan(values)) else values
