"""The three-layer network X = act(W_3 act(W_2 act(W_1 s))) with W_2 = S + R, R iid N(0, g / N): its radii and its assumptions.

Activations are 1-Lipschitz and 0 at 0 (ReLU, absolute value), there are no biases, and R is independent of S and of W_1;
pairwise independence suffices, because events are put together by union bounds (F31).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from certify.theory._arrays import Array, ArrayLike, finite, number, whole
from certify.theory.additive import PUBLISHED, gaussian_scale, scale
from certify.theory.budget import _row_norms, lipschitz_by_row_sums
from certify.theory.elastic_net import frobenius_squared
from certify.theory.gaussian import gaussian_multiplier
from certify.theory.perturbation import tail_energy


class Admissibility(NamedTuple):
    """Four numbers that have to tend to 0 along a sequence of widths; at one width they decide nothing.

    scale : largest a(N, s) (the outer scaling).
    cross : ||S||_F / sqrt(rows) (the cross term).
    tail  : energy of S beyond `rank` (approximate low rank).
    share : rank / min(rows, cols).
    Claim ESM1-D3.11-admissible (Definition 3.11 of Online Resource 1 of arXiv:2606.02608).
    """

    scale: float
    cross: float
    tail: float
    share: float


def outer_scaling(outer: ArrayLike, inner: ArrayLike) -> Array:
    """The outer scaling of the three-layer network X = act(W_3 act(W_2 act(W_1 s))).

        a(N, s) = ||W_3||_inf ||W_1 s||_2 sqrt(log(2 N) / N)

    Mean-field weights (entries of W_3 of size 1 / N) send it to 0; fan-in weights let it grow like sqrt(log N) (F12).
    outer : (K, N) W_3.
    inner : (T, N) W_1 s.
    Returns (T,) logit units.
    Claim ESM1-A3.1-outer-scaling (Assumption 3.1 of Online Resource 1 of arXiv:2606.02608).
    """
    return removal_radius(outer, inner, 1.0)


def removal_radius(outer: ArrayLike, inner: ArrayLike, constant: float = PUBLISHED) -> Array:
    """How far the logits of the three-layer network move when Gaussian noise is removed from its middle layer.

        ||X_S(s) - X_W(s)||_inf <= tau_s = constant a(N, s)   but for probability `gaussian_failure`, per sample

    Hypotheses: activations 1-Lipschitz and 0 at 0 (ReLU, absolute value), no biases; W_2 = S + R, R iid N(0, g / N), g <= 1,
                independent of W_1.
    outer    : (K, N) W_3; it may depend on R.
    inner    : (T, N) W_1 s.
    constant : 2 sqrt(2) as published, failure 1 / (8 N^3); 2 gives 1 / (2 N).
    Returns (T,) logit units.
    Claim ESM1-L3.13-remove-R (Lemma 3.13 of Online Resource 1 of arXiv:2606.02608).
    """
    sizes, gain = _three_layers(outer, inner)
    return scale(np.full(len(sizes), gain), sizes, gaussian_scale(np.shape(outer)[1], constant))


def confidence_radius(
    outer: ArrayLike, inner: ArrayLike, g: float, delta: float, *, count: int | None = None, method: str = "paper"
) -> Array:
    """The same radius for all samples together at a chosen confidence.

        tau_s = ||W_3||_inf ||W_1 s||_2 sqrt(g / N) x,   x = sqrt(2 log(2 N |T_0| / delta)) as published

    P(||X_S(s) - X_W(s)||_inf <= tau_s for all s in T_0) >= 1 - delta under the hypotheses of `removal_radius`, for any g.
    outer  : (K, N) W_3.
    inner  : (T, N) W_1 s.
    g      : N times the variance of one entry of R, >= 0.
    delta  : error probability in (0, 1); with growing sample lists delta_N -> 0.
    count  : |T_0| >= T; T when absent.
    method : of `gaussian_multiplier`; "sidak" is never larger than "paper".
    Returns (T,) logit units.
    Claim ESM1-T3.16-confidence (Theorem 3.16 of Online Resource 1 of arXiv:2606.02608), ESM1-C3.17-growing-gauss.
    """
    sizes, gain = _three_layers(outer, inner)
    rows = int(np.shape(outer)[1])
    samples = whole(len(sizes) if count is None else count, "count", len(sizes))
    deviation = math.sqrt(number(g, "g", 0.0) / rows)
    return scale(np.full(len(sizes), gain), sizes, deviation * gaussian_multiplier(rows, samples, delta, method))


def admissibility(outer: ArrayLike, inner: ArrayLike, kept: ArrayLike, g: float, rank: int) -> Admissibility:
    """The finite-width numbers behind "admissible" and "spectrally admissible".

        max_s a(N, s),   ||S||_F / sqrt(N),   sum_{i > k} s_i(S)^2,   k / min(rows, cols)

    outer : (K, N) W_3.
    inner : (T, N) W_1 s.
    kept  : (N, M) S.
    g     : in [0, 1].
    rank  : k >= 0, at most min(N, M).
    Returns Admissibility. The definition asks that all four tend to 0 (the last two only of "spectrally admissible"); one width
    decides nothing. No gap is asked for: a spike of S below the bulk edge sqrt(g) (1 + sqrt(M / N)) of R is admissible.
    Claim ESM1-D3.11-admissible (Definition 3.11 of Online Resource 1 of arXiv:2606.02608), ESM1-A3.8-approx-low-rank,
    ESM1-R3.10-no-separation.
    """
    number(g, "g", 0.0, 1.0)
    rows = int(np.shape(outer)[1])
    s = finite(kept, "kept", (rows, None))
    k = whole(rank, "rank", 0, min(s.shape))
    cross = math.sqrt(frobenius_squared(s) / rows)
    return Admissibility(float(outer_scaling(outer, inner).max()), cross, tail_energy(s, k), k / min(s.shape))


def _three_layers(outer: ArrayLike, inner: ArrayLike) -> tuple[Array, float]:
    """||W_1 s||_2 of each sample, and ||W_3||_inf."""
    top = finite(outer, "outer", (None, None))
    hidden = finite(inner, "inner", (None, top.shape[1]))
    return _row_norms(hidden), lipschitz_by_row_sums([top])
