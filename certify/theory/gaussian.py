"""Random removals: multipliers that cover every coordinate of R v at a stated error probability, and the budgets they give.

R is (rows, cols). Every Gaussian form takes the variance of one entry (the paper writes g / rows) and counts vectors, not
samples: `count` is sum_s P_s, every token of every sample. The vectors do not depend on R. All of it is model-based: a
fitted variance or edge voids the probability (F19).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betainccinv, gammainccinv, gammaincinv, gammaln, ndtri_exp

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, level, number, representable, whole
from certify.theory.budget import _row_norms, budget

METHODS = ("paper", "drop2", "bonferroni", "sidak")
# Quantile functions of scipy lose their digits where the tail is subnormal.
LEAST_TAIL = 1e-300


def subgaussian_multiplier(rows: int, count: int, delta: float, c: float = 0.5) -> float:
    """Number of standard deviations that covers every coordinate of R v, for rows with a Gaussian-like tail.

        P(for all v, i: |(R v)_i| <= x sqrt(entry_variance) ||v||_2) >= 1 - delta,   x = sqrt(log(2 rows count / delta) / c)

    Hypotheses: P(|<R_i, v>| > t) <= 2 exp(-c t^2 / (entry_variance ||v||^2)) for each row, vector and t > 0. Rows may
                depend on each other (union bound). c = 1/2 for Gaussian, Rademacher and uniform entries, and for Gaussian
                entries cut at a threshold (X22) with the variance before the cut; c = 1 with entry_variance = kappa^2/rows
                when the Orlicz norm (E exp(X^2/s^2) <= 2) of <R_i, v> is at most kappa ||v|| / sqrt(rows): the constant
                C = 1 of E2.6.
    rows  : rows of R, >= 1.
    count : number of vectors, sum_s P_s, >= 1.
    delta : error probability in (0, 1).
    c     : constant of the tail, > 0.
    Returns x > 0.
    Claim ESM1-C1.4-subgauss-budget, ESM1-E2.6-subgauss-rows (Online Resource 1 of arXiv:2606.02608, tokens by X19-tokens),
    F24.
    """
    constant = number(c, "c", 0.0)
    if constant == 0.0:
        raise Refused("c: 0; a tail that does not fall gives no multiplier")
    return math.sqrt((math.log(2.0) + _log_coordinates(rows, count) - math.log(level(delta, "delta"))) / constant)


def random_sign_multiplier(rows: int, count: int, delta: float) -> float:
    """Number of root-sum-squares that covers every |(R v)_i| when the signs of R are fair coins.

        P(for all v, i: |(R v)_i| <= x (sum_j R_ij^2 v_j^2)^(1/2)) >= 1 - delta,   x = sqrt(2 log(2 rows count / delta))

    Hypotheses: signs of the removed entries independent, fair, independent of the inputs and of the mask (Hoeffding), as
                when A has independent sign-symmetric entries of any law and the mask depends on |A| alone.
    rows, count, delta : as in `subgaussian_multiplier`.
    Returns x > 0.
    Claim X21-sign-symmetric, EMP-H1 (Section 3.4 of theory/emp.md; Hoeffding).
    """
    return subgaussian_multiplier(rows, count, delta, 0.5)


def sign_symmetric_size(removed: ArrayLike, inputs: ArrayLike, delta: float) -> Array:
    """Data-path size that the signs of a magnitude mask exceed with probability at most delta.

        ||R V_s||_inf <= sqrt(2 log(2 rows sum_s P_s / delta)) max_{i,p} (sum_j R_ij^2 v_{s,p,j}^2)^(1/2)   for all s

    Hypotheses: those of `random_sign_multiplier`; no moments.
    removed : (rows, cols) R.
    inputs  : (T, P, cols) the P vectors of each sample.
    delta   : error probability in (0, 1).
    Returns (T,), units of the target's output. Above the true size, with R at hand `data_path_size` is the number itself;
    this one is for bounds that must hold before the signs are known.
    Claim X21-sign-symmetric (Section 6 of theory/mp-certificates.md).
    """
    r = finite(removed, "removed", (None, None))
    v = finite(inputs, "inputs", (None, None, r.shape[1]))
    multiplier = random_sign_multiplier(r.shape[0], v.shape[0] * v.shape[1], delta)
    with np.errstate(over="ignore"):
        largest = np.max([_row_norms(representable(v * row, "R_ij v_j")).max(axis=1) for row in r], axis=0)
        return representable(multiplier * largest, "sign-symmetric size")


def gaussian_multiplier(rows: int, count: int, delta: float, method: str = "sidak") -> float:
    """Number of standard deviations that covers every coordinate of R v, for every vector v.

        P(for all v, i: |(R v)_i| <= x sqrt(entry_variance) ||v||_2) >= 1 - delta,   k = rows * count

        paper       x = sqrt(2 log(2 k / delta))
        drop2       x = sqrt(2 log(k / delta))
        bonferroni  x = Q^-1(delta / (2 k))
        sidak       x = Q^-1((1 - (1 - delta)^(1/k)) / 2)        exact for one vector

    Hypotheses: R iid N(0, entry_variance), independent of the vectors. A mask component has structural zeros and is not
                so (F15).
    rows   : rows of R, >= 1.
    count  : number of vectors: every token of every sample, sum_s P_s (F2), >= 1.
    delta  : error probability in (0, 1).
    method : as above; each is smaller than the one before it.
    Returns x > 0.
    Claim X15-gauss-exact (sharpens Corollary 5.10 of arXiv:2606.02608; tokens by X19-tokens), F2, F15.
    """
    if method == "paper":
        return subgaussian_multiplier(rows, count, delta, 0.5)
    log_k, error = _log_coordinates(rows, count), level(delta, "delta")
    if method == "drop2":
        return math.sqrt(2.0 * (log_k - math.log(error)))
    if method == "bonferroni":
        return float(-ndtri_exp(math.log(error) - log_k - math.log(2.0)))
    if method == "sidak":
        return float(-ndtri_exp(_log_share(log_k, error) - math.log(2.0)))
    raise Refused(f"method: {method!r} is not one of {', '.join(METHODS)}")


def rank_multiplier(rows: int, rank: int, delta: float) -> float:
    """Number of standard deviations that covers R v for every v of a subspace at once.

        P(sup_{v in span, ||v|| = 1} ||R v||_inf <= x sqrt(entry_variance)) = P(chi^2_rank <= x^2)^rows = 1 - delta

    Hypotheses: R iid N(0, entry_variance), independent of the subspace. Serves any number of inputs and tokens.
    rows  : rows of R, >= 1.
    rank  : dimension of the span of the vectors, >= 1; the number of columns is free of the data.
    delta : error probability in (0, 1).
    Returns x > 0, exact for the supremum. Below a tail of 1e-300 per row the quantile is continued along a tangent that
    lies above it.
    Claim X17-rank-uniform (Section 6 of theory/mp-certificates.md).
    """
    dimension = whole(rank, "rank", 1)
    log_tail = _log_share(math.log(whole(rows, "rows", 1)), level(delta, "delta"))
    if dimension == 1:
        return float(-ndtri_exp(log_tail - math.log(2.0)))
    half = dimension / 2.0
    within = max(log_tail, math.log(LEAST_TAIL))
    below = -math.expm1(within)
    z = float(gammaincinv(half, below) if below < 0.5 else gammainccinv(half, math.exp(within)))
    if log_tail < within:
        hazard = math.exp((half - 1.0) * math.log(z) - z - float(gammaln(half)) - within)
        z += (within - log_tail) / hazard
    return math.sqrt(2.0 * z)


def sphere_multiplier(rows: int, cols: int, count: int, delta: float) -> float:
    """Share of ||R||_F ||v||_2 that covers every coordinate of R v, whatever the law of ||R||_F.

        P(for all v, i: |(R v)_i| <= x ||R||_F ||v||_2) >= 1 - delta,
        x^2 = upper delta / (rows count) quantile of Beta(1/2, (rows cols - 1) / 2);   x = 1 for rows cols = 1

    Hypotheses: R / ||R||_F uniform on the sphere and independent of the vectors (fails for v = a row of R). ||R||_F may
                have any law and depend on anything: no variance enters.
    rows, cols : shape of R, >= 1.
    count      : number of vectors, sum_s P_s, >= 1.
    delta      : error probability in (0, 1).
    Returns x in (0, 1]. Vacuous at 1: Cauchy–Schwarz. Below a tail of 1e-300 continued from above, as `rank_multiplier`.
    Claim X18-g-free, ER-X18 (Section 6 of theory/mp-certificates.md with its errata; tokens by X19-tokens), F19.
    """
    log_tail = math.log(level(delta, "delta")) - _log_coordinates(rows, count)
    size = rows * whole(cols, "cols", 1)
    if size == 1:
        return 1.0
    b = (size - 1) / 2.0
    within = max(log_tail, math.log(LEAST_TAIL))
    square = float(betainccinv(0.5, b, math.exp(within)))
    if log_tail < within and square < 1.0:
        square = -math.expm1(math.log1p(-square) - (within - log_tail) / b)
    return math.sqrt(square)


def entry_deviation_upper(frobenius: float, rows: int, cols: int, delta: float) -> float:
    """Upper confidence limit of the standard deviation of one entry, from the Frobenius norm: what a fitted edge is not.

        sqrt(entry_variance) <= ||R||_F / sqrt(chi^2_{rows cols; delta})   with probability 1 - delta, exactly

    chi^2_{k; delta} is the lower delta quantile. sqrt(g) is this times sqrt(rows), the edge of the singular values this
    times sqrt(rows) + sqrt(cols).
    Hypotheses: R iid N(0, entry_variance); a spherical law with another radius will not do.
    frobenius  : ||R||_F >= 0.
    rows, cols : shape of R, >= 1.
    delta      : error probability in (0, 1), to be added to that of the multiplier.
    Returns weight units; 0 for R = 0.
    Claim X18-g-free (second part, Gaussian only by the errata).
    """
    half = whole(rows, "rows", 1) * whole(cols, "cols", 1) / 2.0
    error = level(delta, "delta")
    log_z = (math.log(error) + float(gammaln(half + 1.0))) / half
    if log_z > -40.0:
        log_z = math.log(float(gammaincinv(half, error)))
    norm = number(frobenius, "frobenius", 0.0)
    with np.errstate(over="ignore"):
        return float(representable(norm * np.exp(-0.5 * (log_z + math.log(2.0))) if norm else 0.0, "standard deviation"))


def gaussian_budget(
    lipschitz: ArrayLike,
    norms: ArrayLike,
    tokens: npt.ArrayLike,
    *,
    rows: int,
    entry_variance: float,
    delta: float,
    method: str = "sidak",
) -> float:
    """The budget when R is Gaussian noise, with every token counted.

        B_T(R) <= (2 / T) sum_s L_s max_p ||v_{s,p}||_2 sqrt(entry_variance) x   with probability >= 1 - delta

    x = gaussian_multiplier(rows, sum_s P_s, delta, method); the paper writes entry_variance = g / rows and P_s = 1.
    Hypotheses: R iid N(0, entry_variance), independent of the vectors; L_s may depend on R (F5). Model-based: a fitted
                variance or edge voids the guarantee (F19).
    lipschitz      : (T,) L_s >= 0.
    norms          : (T,) max_p ||v_{s,p}||_2, >= 0.
    tokens         : (T,) whole numbers P_s >= 1.
    rows           : rows of R.
    entry_variance : variance of one entry of R, >= 0.
    delta          : error probability in (0, 1).
    Returns nats; 0 where no noise or no input is left.
    Claim C5.10-gauss-budget (Corollary 5.10 of arXiv:2606.02608, tokens by X19-tokens, multiplier by X15-gauss-exact),
    F5, F30.
    """
    multiplier = gaussian_multiplier(rows, _count(tokens, norms), delta, method)
    return _noise_budget(lipschitz, norms, math.sqrt(number(entry_variance, "entry_variance", 0.0)), multiplier)


def subgaussian_budget(
    lipschitz: ArrayLike,
    norms: ArrayLike,
    tokens: npt.ArrayLike,
    *,
    rows: int,
    entry_variance: float,
    delta: float,
    c: float,
) -> float:
    """The budget when the rows of R have a Gaussian-like tail, with every token counted.

        B_T(R) <= (2 / T) sum_s L_s max_p ||v_{s,p}||_2 sqrt(entry_variance log(2 rows sum_s P_s / delta) / c)

    with probability >= 1 - delta. The published budget of Gaussian noise is c = 1/2.
    Hypotheses: those of `subgaussian_multiplier`; L_s may depend on R.
    lipschitz, norms, tokens : (T,) as in `gaussian_budget`.
    rows, entry_variance     : rows of R, variance of one entry.
    delta, c                 : error probability, constant of the tail.
    Returns nats.
    Claim ESM1-C1.4-subgauss-budget (Online Resource 1 of arXiv:2606.02608, tokens by X19-tokens).
    """
    multiplier = subgaussian_multiplier(rows, _count(tokens, norms), delta, c)
    return _noise_budget(lipschitz, norms, math.sqrt(number(entry_variance, "entry_variance", 0.0)), multiplier)


def edge_budget(
    lipschitz: ArrayLike,
    norms: ArrayLike,
    tokens: npt.ArrayLike,
    *,
    rows: int,
    cols: int,
    edge: float,
    delta: float,
    method: str = "paper",
) -> float:
    """The Gaussian budget in terms of the Marchenko–Pastur edge of the singular values.

        B_T(R) <= (2 sigma_+ / (sqrt(rows) + sqrt(cols))) x (1 / T) sum_s L_s max_p ||v_{s,p}||_2

    A change of variables in `gaussian_budget`: sigma_+ = sqrt(entry_variance) (sqrt(rows) + sqrt(cols)).
    Hypotheses: those of `gaussian_budget`, with the true edge. A fitted edge, or the largest singular value (biased low),
                makes it another statement and voids the probability (F19); `entry_deviation_upper` gives an upper one.
    lipschitz, norms, tokens, delta, method : as in `gaussian_budget`.
    rows, cols : shape of R.
    edge       : sigma_+ >= 0.
    Returns nats.
    Claim C5.11-mp-edge-budget (Corollary 5.11 of arXiv:2606.02608).
    """
    multiplier = gaussian_multiplier(rows, _count(tokens, norms), delta, method)
    deviation = number(edge, "edge", 0.0) / (math.sqrt(rows) + math.sqrt(whole(cols, "cols", 1)))
    return _noise_budget(lipschitz, norms, deviation, multiplier)


def budget_mean(lipschitz: ArrayLike, norms: ArrayLike, mean_max: ArrayLike, entry_variance: float) -> float:
    """The expectation of the budget over Gaussian noise.

        E B_T(R) = sqrt(entry_variance) (2 / T) sum_s L_s ||v_s||_2 m_rows,   m_n = E max_{i <= n} |Z_i|

    Hypotheses: R iid N(0, entry_variance), independent of the vectors and of every L_s (needed here, unlike F5).
    lipschitz, norms : (T,) L_s >= 0 and max_p ||v_{s,p}||_2 >= 0.
    mean_max         : (T,) m_{rows P_s}, `certify.laws.maxima.MaxAbsGaussian(rows * P_s).mean()`; the identity is for
                       P_s = 1, an upper bound otherwise (Šidák).
    entry_variance   : >= 0.
    Returns nats.
    Claim X16-gauss-mean (Section 6 of theory/mp-certificates.md).
    """
    sizes = at_least(norms, "norms", 0.0, (None,))
    means = at_least(mean_max, "mean_max", 0.0, sizes.shape)
    with np.errstate(over="ignore"):
        scaled = representable(sizes * means, "mean data-path size")
    return _noise_budget(lipschitz, scaled, math.sqrt(number(entry_variance, "entry_variance", 0.0)), 1.0)


def budget_frobenius_lipschitz(lipschitz: ArrayLike, inputs: ArrayLike) -> float:
    """How fast the budget can move with R, in nats per unit of Frobenius norm.

        |B_T(R) - B_T(R')| <= kappa ||R - R'||_F,   w_s = 2 L_s / T,
        kappa = min{ sum_s w_s max_p ||v_{s,p}||_2,  sqrt(T lambda_max(G)) },   G = Gram matrix of all w_s v_{s,p}

    lipschitz : (T,) L_s >= 0, the same for R and R'.
    inputs    : (T, P, cols).
    Returns kappa >= 0. The first form is attained when all inputs are parallel, and then the second equals it for equal
    w_s ||v_s||; for orthogonal inputs of equal w_s ||v_s|| the second is smaller by sqrt(T).
    Claim X16-gauss-mean (Section 6 of theory/mp-certificates.md; T samples of P tokens keep the factor T).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    v = finite(inputs, "inputs", (constants.size, None, None))
    with np.errstate(over="ignore"):
        weighted = representable(v * (2.0 * constants / constants.size)[:, None, None], "weighted inputs")
    top = float(np.abs(weighted).max())
    if top == 0.0:
        return 0.0
    unit = weighted / top
    first = float(np.linalg.norm(unit, axis=2).max(axis=1).sum())
    second = math.sqrt(len(v)) * float(np.linalg.norm(unit.reshape(-1, unit.shape[2]), 2))
    return float(representable(top * min(first, second), "kappa"))


def budget_deviation(kappa: float, entry_variance: float, delta: float, sides: int = 1) -> float:
    """How far the budget of Gaussian noise strays from its expectation.

        P(B_T - E B_T > t) <= delta,  t = sqrt(entry_variance) kappa sqrt(2 log(1 / delta));   both sides: log(2 / delta)

    Hypotheses: those of `budget_mean`.
    kappa          : `budget_frobenius_lipschitz`, >= 0.
    entry_variance : >= 0.
    delta          : error probability in (0, 1).
    sides          : 1 for the upper side alone, 2 for |B_T - E B_T|.
    Returns nats. No number of samples enters.
    Claim X16-gauss-mean (Gaussian concentration).
    """
    both = math.log(whole(sides, "sides", 1, 2))
    size = math.sqrt(number(entry_variance, "entry_variance", 0.0)) * math.sqrt(2.0 * (both - math.log(level(delta, "delta"))))
    return float(representable(np.float64(number(kappa, "kappa", 0.0)) * size, "deviation of the budget"))


def _noise_budget(lipschitz: ArrayLike, norms: ArrayLike, deviation: float, multiplier: float) -> float:
    sizes = at_least(norms, "norms", 0.0, (None,))
    with np.errstate(over="ignore"):
        return budget(lipschitz, representable(sizes * (deviation * multiplier), "Gaussian data-path size"))


def _count(tokens: npt.ArrayLike, norms: ArrayLike) -> int:
    counts, shape = np.asarray(tokens), np.shape(norms)
    if counts.dtype.kind not in "iu" or counts.shape != shape or counts.size == 0 or counts.min() < 1:
        raise Refused(f"tokens: {counts.dtype} {counts.shape}; one whole number >= 1 per sample is expected, shape {shape}")
    return int(counts.sum())


def _log_coordinates(rows: int, count: int) -> float:
    """log(rows count)."""
    return math.log(whole(rows, "rows", 1)) + math.log(whole(count, "count", 1))


def _log_share(log_k: float, delta: float) -> float:
    """log(1 - (1 - delta)^(1/k)), the level of one of k independent events; no digit lost for tiny delta or huge k."""
    log_u = math.log(-math.log1p(-delta)) - log_k
    u = math.exp(log_u)
    return math.log(-math.expm1(-u)) if u > 1e-8 else log_u - u / 2.0
