"""What effective-number pruning does to independent scores: limits that depend on the law of the scores alone.

For iid s_i >= 0 with moments m_k = E s^k, as N grows,

    D / N -> R = m_1^2 / m_2,   s_eff -> E[s; s > q] / m_1 with P(s > q) = R,   sqrt(N) (D/N - R) -> N(0, V)

A sparsity of a trained network says something only where it departs from these constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, gammainccinv, gammaln, ndtr, ndtri
from scipy.stats import t as student_t

from certify.records import Refused
from certify.theory._arrays import ArrayLike, at_least, number, whole

_SHAPES = (0.01, 1000.0)
_POWERS = (0.01, 64.0)


@dataclass(frozen=True)
class NullRatio:
    """The constants of one score law.

        D/N -> ratio,   s_eff -> retained,   N var(D/N) -> variance,   N (E D/N - ratio) -> bias

    ratio    : R in (0, 1].
    retained : limit of s_eff at beta = 1, in (0, 1].
    variance : V of the central limit theorem; inf where the fourth moment is.
    bias     : second-order bias times N; inf where the fourth moment is.
    Claim EMP-T14 (Theorem 14 of theory/emp.md).
    """

    ratio: float
    retained: float
    variance: float
    bias: float


def ratio_variance(moments: ArrayLike) -> tuple[float, float]:
    """Variance and bias of D/N to first order in 1/N.

        V = 4 (m1/m2)^2 (m2 - m1^2) - 4 (m1/m2)^3 (m3 - m1 m2) + (m1/m2)^4 (m4 - m2^2)
        b = (m2 - m1^2)/m2 - 2 m1 (m3 - m1 m2)/m2^2 + m1^2 (m4 - m2^2)/m2^3

    moments : (4,) m1..m4 of the scores, > 0.
    Returns (V, b): half-normal (8/pi - 24/pi^2, 1 - 2/pi), exponential (1/4, 1).
    Claim EMP-T14 (Theorem 14 of theory/emp.md; delta method).
    """
    m1, m2, m3, m4 = at_least(moments, "moments", 0.0, (4,)).tolist()
    if m1 == 0.0 or m2 == 0.0:
        raise Refused("moments: a score that is 0 almost surely has no ratio")
    one, cross, two, r = m2 - m1 * m1, m3 - m1 * m2, m4 - m2 * m2, m1 / m2
    return 4 * r**2 * one - 4 * r**3 * cross + r**4 * two, one / m2 - 2 * r * cross / m2 + r**2 * two / m2


def gamma_power(shape: float, power: float) -> NullRatio:
    """Scores s = Y^power of a Gamma(shape) variable Y.

        m_k = Gamma(shape + k power) / Gamma(shape),   retained = Q(shape + power, Q^-1(shape, R)), Q upper incomplete

    |Gaussian|^p is (1/2, p/2), |Laplace|^p is (1, p), the norm of k Gaussians (k/2, 1/2) with R = 1 - 1/(2k) + O(k^-2).
    shape, power : in [0.01, 1000] and [0.01, 64]; outside, float64 cancels the digits of the variance.
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    a, b = number(shape, "shape", *_SHAPES), number(power, "power", *_POWERS)
    log_moments = [float(gammaln(a + k * b) - gammaln(a) - k * (gammaln(a + b) - gammaln(a))) for k in range(1, 5)]
    ratio = math.exp(-log_moments[1])
    return _law(ratio, float(gammaincc(a + b, gammainccinv(a, ratio))), [math.exp(value) for value in log_moments])


def gaussian_power(power: float = 1.0) -> NullRatio:
    """Scores |Z|^p of Gaussian weights; p = 1 is magnitude pruning.

        R = Gamma((p + 1)/2)^2 / (sqrt(pi) Gamma(p + 1/2)):  p = 1: 2/pi, retained exp(-q^2/2), q = Phi^-1(1 - 1/pi)

    power : p in [0.02, 128].
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    return gamma_power(0.5, number(power, "power") / 2.0)


def laplace_power(power: float = 1.0) -> NullRatio:
    """Scores |X|^p of Laplace weights.

        R = Gamma(p + 1)^2 / Gamma(2 p + 1):  p = 1: 1/2, retained (1 + log 2)/2

    power : p in [0.01, 64].
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    return gamma_power(1.0, power)


def gaussian_norm(dimension: int) -> NullRatio:
    """Scores that are norms of k Gaussian weights: heads, filters, neurons.

        R = (2/k) (Gamma((k + 1)/2) / Gamma(k/2))^2 = 1 - 1/(2k) + O(k^-2):  next to nothing is pruned

    dimension : k, 1..2000.
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    return gamma_power(whole(dimension, "dimension", 1, 2000) / 2.0, 0.5)


def uniform_power(power: float = 1.0) -> NullRatio:
    """Scores U^p of weights uniform on [-a, a].

        R = (2 p + 1) / (p + 1)^2,   retained = 1 - (1 - R)^(p + 1):  p = 1: 3/4, 15/16

    power : p in [0.01, 64].
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    p = number(power, "power", *_POWERS)
    ratio = (2.0 * p + 1.0) / (p + 1.0) ** 2
    return _law(ratio, 1.0 - (1.0 - ratio) ** (p + 1.0), [1.0 / (k * p + 1.0) for k in range(1, 5)])


def student(freedom: float) -> NullRatio:
    """Scores |t| of Student weights with n > 2 degrees of freedom.

        R = ((n - 2)/pi) (Gamma((n - 1)/2) / Gamma(n/2))^2,   retained = (1 + q^2/n)^(-(n - 1)/2), P(|t| > q) = R

    freedom : n in (2, 1000]; variance and bias are finite for n > 4.
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    n = _above_two(freedom, "freedom", 1000.0)
    ratio = (n - 2.0) / math.pi * math.exp(2.0 * float(gammaln((n - 1.0) / 2.0) - gammaln(n / 2.0)))
    q = float(student_t.isf(ratio / 2.0, n))

    def moment(k: int) -> float:
        if k >= n:
            return math.inf
        parts = gammaln((k + 1.0) / 2.0) + gammaln((n - k) / 2.0) - gammaln(n / 2.0)
        return n ** (k / 2.0) * math.exp(float(parts)) / math.sqrt(math.pi)

    retained = math.exp(-(n - 1.0) / 2.0 * math.log1p(q * q / n))
    return _law(ratio, retained, [moment(k) for k in range(1, 5)])


def log_normal(sigma: float) -> NullRatio:
    """Scores exp(sigma Z).

        R = exp(-sigma^2),   retained = Phi(sigma - Phi^-1(1 - R))

    sigma : in [0.01, 6].
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    s = number(sigma, "sigma", 0.01, 6.0)
    ratio = math.exp(-s * s)
    return _law(ratio, float(ndtr(s + ndtri(ratio))), [math.exp(k * k * s * s / 2.0) for k in range(1, 5)])


def pareto(index: float) -> NullRatio:
    """Scores with P(s > x) = x^-a, x >= 1.

        R = a (a - 2) / (a - 1)^2,   retained = R^(1 - 1/a)

    index : a in (2, 100]; variance and bias are finite for a > 4. For a < 2 see `heavy_tail_exponent`.
    Returns `NullRatio`.
    Claim EMP-T14 (table of Section 5 of theory/emp.md).
    """
    a = _above_two(index, "index", 100.0)
    ratio = a * (a - 2.0) / (a - 1.0) ** 2
    return _law(ratio, ratio ** (1.0 - 1.0 / a), [a / (a - k) if k < a else math.inf for k in range(1, 5)])


def heavy_tail_exponent(index: float) -> float:
    """Growth of the effective number when the second moment is infinite.

        P(s > x) ~ x^-a:   D of order N^(2 - 2/a) for 1 < a < 2;   D bounded in law for a < 1, E[1/D] -> 1 - a

    index : a in (0, 1) or (1, 2).
    Returns the exponent of N, 0 for a < 1: the sparsity tends to 1 in both cases.
    Claim EMP-T15 (Section 5 of theory/emp.md; Poisson-Dirichlet PD(a, 0)).
    """
    a = number(index, "index", 0.0, 2.0)
    if a in (0.0, 1.0, 2.0):
        raise Refused(f"index: {a}; the open intervals (0, 1) and (1, 2) are covered")
    return max(0.0, 2.0 - 2.0 / a)


def default_init_ratio(sizes: ArrayLike, fan_ins: ArrayLike) -> float:
    """D/N of an untrained network of uniform layers, pruned as one pool.

        D/N = (sum_l n_l a_l / 2)^2 / (N sum_l n_l a_l^2 / 3),   weights of layer l uniform on [-a_l, a_l], a_l = fan_in_l^-1/2

    sizes   : (M,) weights per layer n_l, >= 1.
    fan_ins : (M,) inputs per output, >= 1.
    Returns a ratio: the null value of the kept share. 3/4 for equal fan-ins.
    Claim EMP-T16 (Section 4.2 of theory/emp.md).
    """
    n = at_least(sizes, "sizes", 1.0, (None,))
    width = 1.0 / np.sqrt(at_least(fan_ins, "fan_ins", 1.0, n.shape))
    return float(0.75 * np.sum(n * width) ** 2 / (np.sum(n) * np.sum(n * width**2)))


def _law(ratio: float, retained: float, moments: list[float]) -> NullRatio:
    if not all(map(math.isfinite, moments)):
        return NullRatio(ratio, retained, math.inf, math.inf)
    return NullRatio(ratio, retained, *ratio_variance(moments))


def _above_two(value: float, name: str, high: float) -> float:
    found = number(value, name, 2.0, high)
    if found == 2.0:
        raise Refused(f"{name}: 2; the second moment is infinite, a number above 2 is expected")
    return found
