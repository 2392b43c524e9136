"""What Gaussian noise sends on from given data, drawn through the Gram factor of the data: R itself is never drawn.

R is (rows, cols) with independent N(0, v) entries, V holds the tokens as rows, r is its rank.

    R V^T  =  sqrt(v) G L^T  in law,   G (rows, r) independent N(0, 1),   L L^T = V V^T

because V = L Q^T with Q (cols, r) orthonormal, and R Q has independent N(0, v) entries: everything that depends on R through
R V^T (sizes, budgets, their joint law over samples) depends on rows x r random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv, ndtri

from certify.laws._checks import Array, check_model, check_size
from certify.records import Refused

# Rows of G multiplied at a time, so that their products with a thousand tokens stay in a core's cache: all pairs; the longest
# rows, when each sample's maximum is wanted, and those after them; the longest rows when one maximum is.
BLOCK, FIRST, NEXT, LONGEST = 128, 96, 64, 16


@dataclass(frozen=True)
class GramFactor:
    """The data of T samples as far as Gaussian noise can tell: L with L L^T = V V^T, and which tokens are whose.

    directions : (r, P) the rows of L over their norms, as columns; zero for a token that is zero. P = sum_s P_s.
    norms      : (P,) norms of the tokens.
    starts     : (T,) index of each sample's first token.
    """

    directions: Array
    norms: Array
    starts: npt.NDArray[np.int64]

    @property
    def rank(self) -> int:
        """Dimension of the span of all tokens."""
        return self.directions.shape[0]


def gram_factor(inputs: Array | Sequence[npt.ArrayLike]) -> GramFactor:
    """The Gram factor of the tokens of T samples.

        V = diag(norms) X S Y^T (SVD of the directions of the tokens),   L = diag(norms) X S without its zero columns

    inputs : (T, P, cols), or T matrices (P_s, cols) with P_s >= 1: the vectors that each sample sends into the target.
    Returns the factor; its rank counts the singular values of the normalised tokens above max(P, cols) u times the largest,
    so that scale does not hide a token: what is dropped moves a product by that relative amount at most, and every token's
    own variance is kept to rounding.
    Claim X19-tokens (tokens, not samples, are counted).
    """
    samples = [np.asarray(sample, dtype=np.float64) for sample in inputs]
    if not samples or any(sample.ndim != 2 or 0 in sample.shape for sample in samples):
        raise Refused(f"inputs: shapes {[sample.shape for sample in samples][:4]}; samples of shape (tokens, cols) are expected")
    if len({sample.shape[1] for sample in samples}) > 1:
        raise Refused(f"inputs: {sorted({sample.shape[1] for sample in samples})[:4]} columns; one number of columns is expected")
    tokens = np.concatenate(samples)
    with np.errstate(over="ignore"):
        norms = np.hypot.reduce(tokens, axis=1)
    if not np.all(np.isfinite(norms)):
        raise Refused("inputs: numbers that are not finite, or whose norm overflows float64")
    with np.errstate(invalid="ignore"):
        unit = np.where(norms[:, None] > 0.0, tokens / norms[:, None], 0.0)
    left, values, _ = np.linalg.svd(unit, full_matrices=False)
    kept = values > max(tokens.shape) * np.finfo(np.float64).eps * values[0]
    factor = left[:, kept] * values[kept]
    lengths = np.sqrt((factor * factor).sum(axis=1))
    lengths[norms == 0.0] = math.inf
    starts = np.cumsum([0] + [len(sample) for sample in samples[:-1]])
    return GramFactor(np.ascontiguousarray((factor / lengths[:, None]).T), norms, starts)


def noise_sizes(factor: GramFactor, rows: int, entry_variance: float, draws: int, rng: np.random.Generator) -> Array:
    """What independent noise matrices send on from each sample, jointly over the samples.

        ||R V_s||_inf = max_{i,p} |(R v_{s,p})_i| = sqrt(v) max_{i,p} |(G L^T)_{i,(s,p)}|  in law

    Hypotheses: R (rows, cols) has independent N(0, v) entries and is independent of the data.
    factor         : of the data.
    rows           : rows of R, >= 1.
    entry_variance : v > 0.
    draws          : >= 1, with generator `rng`, rows x rank normal numbers each.
    Returns (draws, T), units of the target's output; a budget is the mean of 2 L_s times it.
    Claim X16-gauss-mean, X19-tokens (the law they speak of).
    """
    check_model(rows, 1, entry_variance)
    found = np.empty((check_size(draws, "draws"), factor.starts.size))
    if factor.rank < 2.0 * math.log(2.0 * rows * factor.norms.size / factor.starts.size):
        group = np.repeat(np.arange(factor.starts.size), np.diff(np.append(factor.starts, factor.norms.size)))
        for row in found:
            row[:] = pruned_maxima(rng.standard_normal((rows, factor.rank)), factor, group)
    else:
        for row in found:
            row[:] = _maxima(factor, rows, rng)
    return math.sqrt(entry_variance) * found


def largest_noise_size(factor: GramFactor, rows: int, entry_variance: float, draws: int, rng: np.random.Generator) -> Array:
    """The largest coordinate over all samples: max_s ||R V_s||_inf, the law of the maximum of `noise_sizes`.

        max_{i,s} sqrt(v) chi_(i) |<e_i, l_s>|,   chi_(1) >= chi_(2) >= .. the sorted norms of the rows of G, e_i uniform

    Norm and direction of a Gaussian row are independent, so all norms are drawn and sorted first, and directions from the
    longest row on until the next norm times the longest token cannot reach the largest value found (Cauchy–Schwarz). For a
    small rank that is a handful of rows.
    factor, rows, entry_variance, draws, rng : as in `noise_sizes`.
    Returns (draws,), units of the target's output.
    Claim X15-gauss-exact, X19-tokens (what they bound).
    """
    check_model(rows, 1, entry_variance)
    order = np.argsort(-factor.norms)
    norms, tokens = -factor.norms[order], factor.directions[:, order] * factor.norms[order]
    found = np.zeros(check_size(draws, "draws"))
    for draw in range(draws):
        lengths = np.sqrt(np.sort(rng.chisquare(max(factor.rank, 1), rows))[::-1])
        best, first, last = 0.0, 0, LONGEST
        while first < rows and (count := int(np.searchsorted(norms, -best / lengths[first]))):
            noise = rng.standard_normal((min(last, rows) - first, factor.rank))
            noise *= (lengths[first:last] / np.sqrt(np.einsum("ij,ij->i", noise, noise)))[:, None]
            best = max(best, float(_largest(noise, tokens[:, :count]).max()))
            first, last = last, min(2 * last, last + BLOCK)
        found[draw] = best
    return math.sqrt(entry_variance) * found


def span_suprema(rows: int, rank: int, entry_variance: float, draws: int, rng: np.random.Generator) -> Array:
    """The largest coordinate of R v over all unit vectors v of a subspace.

        sup_{v in span, ||v|| = 1} ||R v||_inf = max_i ||(R Q)_i||_2 = sqrt(v) max_{i <= rows} chi_rank  in law

    By Cauchy–Schwarz row by row, Q an orthonormal basis of the span: R Q is Gaussian (rows, rank), its row norms are
    independent chi's. P(max <= x) = P(chi <= x)^rows, so one uniform number U gives the maximum as the chi quantile of tail
    1 - U^(1/rows). rank = cols: the largest row norm of R; rank = 1: ||R v||_inf of one unit vector.
    rows           : rows of R, >= 1.
    rank           : dimension of the span, >= 1; independent of R.
    entry_variance : v > 0.
    draws          : >= 1, with generator `rng`, one random number each.
    Returns (draws,), units of the target's output per unit of input.
    Claim X17-rank-uniform, M9-max-gaussian.
    """
    check_model(rows, check_size(rank, "rank"), entry_variance)
    log_below = -rng.exponential(size=check_size(draws, "draws")) / rows
    above = -np.expm1(log_below)
    if rank == 1:
        return math.sqrt(entry_variance) * -ndtri(0.5 * above)
    half = 0.5 * rank
    square = np.where(above < 0.5, gammainccinv(half, above), gammaincinv(half, np.exp(log_below)))
    return np.sqrt(2.0 * entry_variance * square)


def pruned_maxima(noise: Array, factor: GramFactor, group: npt.NDArray[np.int64]) -> Array:
    """max over rows and over each sample's tokens of |G L^T|, from the pairs that can hold it, the longest rows of G first.

    |<g, l>| <= |g| |l|: a token is done once its sample has reached the next row's norm times |l|. Which tokens go how far is
    decided by what the first block of rows gave. The maximum of n normal numbers is about sqrt(2 log 2n), a row's norm about
    sqrt(rank): where the second is larger, hardly a pair is skipped.
    noise : (rows, rank) G.
    group : (P,) the sample of each token.
    Returns (T,).
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", noise, noise))
    rows = np.argsort(-lengths)
    noise, lengths = noise[rows], lengths[rows]
    best = np.maximum.reduceat(_largest(noise[:FIRST], factor.directions) * factor.norms, factor.starts)
    reached = np.divide(best[group], factor.norms, out=np.full(group.size, math.inf), where=factor.norms > 0.0)
    tokens = np.argsort(reached)
    reached, group, norms = reached[tokens], group[tokens], factor.norms[tokens]
    directions = np.take(factor.directions, tokens, axis=1)
    first, last = FIRST, FIRST + NEXT
    while first < len(noise) and (count := int(np.searchsorted(reached, lengths[first]))):
        np.maximum.at(best, group[:count], _largest(noise[first:last], directions[:, :count]) * norms[:count])
        first, last = last, last + (last - first) * 3 // 2
    return best


def _maxima(factor: GramFactor, rows: int, rng: np.random.Generator) -> Array:
    """The same in law from all pairs, G drawn a block of rows at a time."""
    best = np.zeros(factor.norms.size)
    for first in range(0, rows, BLOCK):
        noise = rng.standard_normal((min(BLOCK, rows - first), factor.rank))
        np.maximum(best, _largest(noise, factor.directions), out=best)
    return np.maximum.reduceat(best * factor.norms, factor.starts)


def _largest(noise: Array, directions: Array) -> Array:
    products = noise @ directions
    return np.abs(products, out=products).max(axis=0)
