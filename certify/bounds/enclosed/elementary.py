"""Expansions of the functions that networks use, with proven error constants: + - * / sqrt and ldexp are all that is assumed.

exp    : x = k ln 2 + r, |r| <= .35, a Taylor sum of degree 14. ln 2 = HI + LO with k HI exact for |k| < 2^20.
Phi    : 1/2 + phi(x) sum_k x^(2k+1) / (1 3 5 .. (2k+1)), |x| <= 8.5, a sum of terms of one sign.
sup    : |He_n(x)| exp(-x^2 / 4) <= CRAMER sqrt(n!) (Cramer's inequality), which bounds every derivative of GELU on the line.
Source: methods/path-enclosures 5.2 and 5.5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from certify.bounds.enclosed.taylor import Expansion, Model, U, gamma, raised, up

HI, LO = 0.6931471803691238, 1.9082149292705877e-10  # ln 2: the first 33 bits, and the rest to 2^-86
CRAMER = 1.0865
# sup |GELU'| = 1.128904... and sup |GELU''| = 2 / sqrt(2 pi), both rounded up.
GELU_SLOPE, GELU_BEND = 1.12891, 0.79789
FAR = 8.5
SERIES = 220
UNDERFLOW = 1e-300
ROOT = 1.0 / math.sqrt(2.0 * math.pi)


def exp(x: Tensor) -> tuple[Tensor, Tensor]:
    """exp(x) and a bound of its relative error; inf beyond 700, and below -700 the value is 0 within UNDERFLOW.

    |r| <= .36, off by at most 4 U of itself and U |k LO|. Step j of the sum rounds three times, so the sum is off by at most
    3 U sum (j + 1) |r|^j / j! <= 6 U, 9 U of a value >= exp(-.36); its tail is below 2e-19.
    """
    inside = x.clamp(-1000.0, 700.0)
    k = torch.round(inside / math.log(2.0))
    r = (inside - k * HI) - k * LO
    total = torch.ones_like(r)
    for j in range(14, 0, -1):
        total = 1.0 + total * r / j
    value = torch.where(x > 700.0, torch.full_like(x, math.inf), torch.ldexp(total, k.to(torch.int32)))
    return value, up(24 * U + U * x.abs())


def gelu(a: Model) -> Expansion:
    """GELU = x Phi(x); derivatives g^(n) = x phi^(n-1) + n phi^(n-2), phi^(n) = (-1)^n He_n phi."""
    x, d = a.coef[0], a.degree
    density, loss = exp(-0.5 * (x * x))
    density = ROOT * density
    loss = up(loss + 4 * U + U * x.square())
    big = x.abs().clamp(max=FAR)
    square = big * big
    series = torch.ones_like(x)
    for k in range(SERIES, 0, -1):
        series = 1.0 + series * square / (2 * k + 1)
    half = big * series * density
    # Step k of the series rounds three times; the mean index of its terms is at most x^2 / 2, that of a Poisson law whose terms
    # rise faster (ratios x^2 / (2 k + 3) against x^2 / (2 k + 2)). Beyond FAR both tails are below 1e-17.
    tail = torch.where(x.abs() > FAR, 0.5, half).clamp(max=0.5)
    cdf = 0.5 + torch.sign(x) * tail
    cdf_error = up(torch.where(x.abs() > FAR, torch.full_like(x, 1e-16), half * (loss + U * (1.5 * square + 12)) + 4 * U))
    hermite, sizes = [torch.ones_like(x), x], [torch.ones_like(x), x.abs()]
    for n in range(1, d):
        hermite.append(x * hermite[n] - n * hermite[n - 1])
        sizes.append(x.abs() * sizes[n] + n * sizes[n - 1])
    terms, errors = [x * cdf], [up(x.abs() * (cdf_error + 2 * U))]
    terms.append(cdf + x * density)
    errors.append(UNDERFLOW * 1e50 + up(cdf_error + x.abs() * density * loss + 4 * U * (1.0 + x.abs() * density)))
    for n in range(2, d + 1):
        sign = (-1.0) ** (n - 1)
        value = sign * (x * hermite[n - 1] - n * hermite[n - 2]) * density / math.factorial(n)
        size = (x.abs() * sizes[n - 1] + n * sizes[n - 2]) * density / math.factorial(n)
        terms.append(value)
        errors.append(up(size * (loss + gamma(4 * n + 8))) + UNDERFLOW * 1e50)
    swing = up(a.coef[1:].abs().sum(0))
    left = up(sup_gelu(d + 1) / math.factorial(d + 1) * raised(swing, d + 1) * (1 + gamma(4 * d + 8)))
    slope = up(torch.minimum(terms[1].abs() + errors[1] + GELU_BEND * (swing + a.rem), torch.full_like(x, GELU_SLOPE)))
    return Expansion(terms[: d + 1], errors[: d + 1], left, slope)


def sup_gelu(n: int) -> float:
    """At least sup |GELU^(n)|, n >= 2, over the real line, by Cramer's inequality; |x| exp(-x^2/4) <= sqrt(2/e) < .8578.

    Claim PE2-gelu-derivatives.
    """
    return 1.001 * CRAMER * ROOT * (0.8578 * math.sqrt(math.factorial(n - 1)) + n * math.sqrt(math.factorial(n - 2)))


def exponential(a: Model) -> Expansion:
    """exp, terms exp(c_0) / n!."""
    x, d = a.coef[0], a.degree
    value, loss = exp(x)
    swing = up(a.coef[1:].abs().sum(0))
    # Of the sum: where exp(c_0) underflows, its product with exp(swing) would be lost with it.
    top, top_loss = exp(x + up(swing + a.rem) + 2 * U * x.abs())
    top = up(top * (1 + top_loss)) + UNDERFLOW
    terms = [value / math.factorial(n) for n in range(d + 1)]
    errors = [up(each * (loss + 2 * U)) + UNDERFLOW for each in terms]
    left = up(top * raised(swing, d + 1) / math.factorial(d + 1) * (1 + gamma(2 * d + 8)))
    return Expansion(terms, errors, left, top)


def power(a: Model, exponent: float) -> Expansion:
    """x^-1 or x^(-1/2) for models that stay positive; NaN where one may not: then nothing is bounded.

    terms binom(s, n) c_0^(s - n); left |binom(s, d + 1)| swing^(d+1) low^(s-d-1); slope |s| low^(s - 1).
    """
    x, d = a.coef[0], a.degree
    swing = up(a.coef[1:].abs().sum(0))
    low = x - up(swing + a.rem)
    low = torch.where(low > 0, low * (1 - 4 * U), torch.full_like(low, math.nan))
    start = 1.0 / x if exponent == -1.0 else 1.0 / x.sqrt()
    binomials = [1.0]
    for n in range(d + 1):
        binomials.append(binomials[-1] * (exponent - n) / (n + 1))
    inverse = 1.0 / x
    terms, errors, now = [], [], start
    for n in range(d + 1):
        terms.append(binomials[n] * now)
        errors.append(up(terms[-1].abs() * gamma(3 * n + 12)))
        now = now * inverse
    base = 1.0 / low if exponent == -1.0 else 1.0 / low.sqrt()
    ratio = swing / low
    left = up(abs(binomials[d + 1]) * base * raised(ratio, d + 1) * (1 + gamma(6 * d + 24)))
    slope = up(abs(exponent) * base / low * (1 + gamma(12)))
    return Expansion(terms, errors, left, slope)
