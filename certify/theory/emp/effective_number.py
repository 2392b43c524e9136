"""Effective-number pruning: how many of N scores count, and the mask that keeps that many.

    P = sum_i |s_i|,   Q = sum_i s_i^2,   D = P^2 / Q in [1, nnz(s)],   N_eff = floor(D)

A float64 is a dyadic rational, so P, Q and every floor below are decided in whole numbers, without a tolerance. Ten
equal scores of 0.1 have D = 10; the quotient of rounded sums says 9. The shares |s_i| / P are written omega_i; phi_K is
the sum of the K largest shares. D is no function of the ranking: |w| and w^2 rank alike and keep 64 % and 33 % of
Gaussian weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Rational

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, whole

Mask = npt.NDArray[np.bool_]
Scalar = Rational | float
Scores = Sequence[Scalar] | Array
ON_ZERO = ("keep_all", "drop_all", "raise")

# A 54-bit mantissa is cut into three limbs, whose products over a chunk still fit 63 bits.
_LIMB = 18
_CHUNK = 2**24


def effective_number(scores: ArrayLike) -> float:
    """Real effective number of a vector of scores: how many equal scores are as spread out.

        D = (sum |s_i|)^2 / sum s_i^2,   1 <= D <= nnz(s),   D = nnz(s) iff the nonzero |s_i| are equal

    Unchanged by scaling, permutation and zeros; D(s x t) = D(s) D(t); smaller for the more majorising vector, hence
    non-increasing in p for |s|^p; sums over groups of at most b scores have D / b <= D_group <= min(#groups, D).
    scores : (N,), any sign, not all 0.
    Returns D, correctly rounded.
    Claim EMP-D1, EMP-F2, EMP-F3, EMP-F5 (Sections 1 of theory/emp.md; arXiv:2509.25606).
    """
    return float(effective_number_exact(_vector(scores)))


def effective_number_exact(scores: Scores) -> Fraction:
    """The same number as a fraction.

        D = P^2 / Q

    scores : (N,) whole numbers, fractions or floats (each float is the dyadic rational it stands for), not all 0.
    Returns D, exactly; 1 / D is the concentration c = sum omega_i^2.
    Claim EMP-D1 (Section 1 of theory/emp.md).
    """
    total, square = sums_exact(scores)
    if square == 0:
        raise Refused("scores: all 0; their shares are 0/0 and no effective number exists")
    return total * total / square


def number_range(scores: ArrayLike) -> tuple[float, float]:
    """What the largest share alone says about the effective number.

        1 / omega_max  <=  D  <=  min(nnz(s), 1 / omega_max^2)

    scores : (N,), any sign, not all 0.
    Returns (lower, upper), rounded to nearest. Both equal D for equal scores.
    Claim EMP-F1 (fact 1 of theory/emp.md).
    """
    size = np.abs(_vector(scores))
    total, _ = sums_exact(size)
    if total == 0:
        raise Refused("scores: all 0; their shares are 0/0 and no effective number exists")
    ratio = total / Fraction(float(size.max()))
    return float(ratio), float(min(Fraction(int(np.count_nonzero(size))), ratio * ratio))


def kept_count(scores: ArrayLike, beta: Rational = Fraction(1), *, on_zero: str = "keep_all") -> int:
    """How many entries effective-number pruning keeps.

        K = min(N, max(1, floor(beta P^2 / Q))),   N_eff at beta = 1

    beta is part of the floor, so it is a rational: 0.3 read as a float keeps 2 of ten equal scores, 3/10 keeps 3.
    scores  : (N,), any sign.
    beta    : Fraction or whole number > 0.
    on_zero : what to do when every score is 0 (D has no limit there): "keep_all", "drop_all" or "raise".
    Returns K, decided in whole numbers; monotone in beta.
    Claim EMP-D2 (Section 1 of theory/emp.md, floor rule by the errata), ER-EMP-floor.
    """
    return kept_count_exact(_vector(scores), beta, on_zero=on_zero)


def kept_count_exact(scores: Scores, beta: Rational = Fraction(1), *, on_zero: str = "keep_all") -> int:
    """The same count for rational scores.

        K = min(N, max(1, floor(beta P^2 / Q)))

    scores  : (N,) whole numbers, fractions or floats.
    beta    : Fraction or whole number > 0.
    on_zero : as in `kept_count`.
    Returns K.
    Claim EMP-D2 (Section 1 of theory/emp.md, floor rule by the errata).
    """
    share, rule = _beta(beta), _zero_rule(on_zero)
    values = scores if isinstance(scores, np.ndarray) else list(scores)
    total, square = sums_exact(values)
    if square == 0:
        if rule == "raise":
            raise Refused("scores: all 0; their shares are 0/0 and no effective number exists")
        return len(values) if rule == "keep_all" else 0
    return min(len(values), max(1, math.floor(share * total * total / square)))


def keep_mask(scores: ArrayLike, beta: Rational = Fraction(1), *, on_zero: str = "keep_all") -> Mask:
    """The entries that effective-number pruning keeps: the K largest, ties by position.

        order by (-|s_i|, i), keep the first K

    A threshold mask |s_i| >= tau would keep every tie, more than K. Applying EMP again prunes again, unless the kept
    scores are equal.
    scores, beta, on_zero : as in `kept_count`.
    Returns (N,) bool with exactly K entries True.
    Claim EMP-D2 (Section 1 of theory/emp.md), EMP-idempotent, EMP-complement-count.
    """
    size = np.abs(_vector(scores))
    mask = np.zeros(size.shape, dtype=np.bool_)
    mask[_by_size(size)[: kept_count(size, beta, on_zero=on_zero)]] = True
    return mask


def retained_mass(scores: ArrayLike, kept: int) -> float:
    """Share of the total that the K largest scores carry.

        phi_K = sum of the K largest |s_i| / P;   s_eff = phi at K = N_eff

    scores : (N,), any sign, not all 0.
    kept   : K, 0..N.
    Returns a share in [0, 1], correctly rounded. To certify what is lost use `removed_mass`, never 1 - phi_K.
    Claim EMP-D3 (Section 1 of theory/emp.md).
    """
    return float(retained_mass_exact(_vector(scores), kept))


def retained_mass_exact(scores: Scores, kept: int) -> Fraction:
    """The same share as a fraction.

        phi_K = sum of the K largest |s_i| / P

    scores : (N,) whole numbers, fractions or floats, not all 0.
    kept   : K, 0..N.
    Returns phi_K, exactly.
    Claim EMP-D3 (Section 1 of theory/emp.md).
    """
    if isinstance(scores, np.ndarray):
        size = np.abs(_vector(scores))
        top: Scores = size[_by_size(size)[: whole(kept, "kept", 0, size.size)]]
        total = sums_exact(size)[0]
    else:
        values = sorted((abs(value) for value in _rationals(scores)), reverse=True)
        top, total = values[: whole(kept, "kept", 0, len(values))], sum(values, Fraction(0))
    if total == 0:
        raise Refused("scores: all 0; the share of the kept ones is 0/0")
    return (sums_exact(top)[0] if len(top) else Fraction(0)) / total


def removed_mass(scores: ArrayLike, keep: npt.ArrayLike) -> float:
    """Share of the total that a mask removes, rounded up.

        sum_{i removed} |s_i| / P

    scores : (N,), any sign, not all 0.
    keep   : (N,) bool, any mask.
    Returns a share in [0, 1], never below the exact one.
    Claim EMP-D3 (Section 6 of theory/emp.md).
    """
    size = np.abs(_vector(scores))
    mask = _mask(keep, size)
    total = sums_exact(size)[0]
    if total == 0:
        raise Refused("scores: all 0; the share of the removed ones is 0/0")
    return rounded_up(sums_exact(size[~mask])[0] / total) if not mask.all() else 0.0


def merged_number(masses: ArrayLike, numbers: ArrayLike) -> float:
    """Effective number of several blocks pooled into one.

        1 / D = sum_l pi_l^2 / D_l,   pi_l = P_l / sum P;   D <= sum_l D_l, equality iff pi_l is proportional to D_l

    So for beta <= 1 one pool keeps at most (number of blocks) - 1 entries more than the blocks keep one by one; for
    beta > 1 the cap at N breaks that: 1^10 and (1, 0^9) at beta = 2 keep 20 against 12.
    masses  : (M,) totals P_l of the blocks, > 0.
    numbers : (M,) effective numbers D_l >= 1.
    Returns D, rounded to nearest.
    Claim EMP-F4 (fact 4 of theory/emp.md, beta <= 1 by the errata), ER-EMP-fact4.
    """
    mass = at_least(masses, "masses", 0.0, (None,))
    numbers = at_least(numbers, "numbers", 1.0, mass.shape)
    if mass.min() == 0.0:
        raise Refused("masses: a block of total 0 has no effective number; leave it out")
    share = mass / mass.max()
    share /= math.fsum(share)
    return 1.0 / math.fsum(share * share / numbers)


def sure_threshold(scores: ArrayLike) -> float:
    """The size from which a score is kept whatever the others are.

        |s_i| >= Q / P  is kept by every beta >= 1;   each removed score has |s_i| < Q / P

    Proof: k such shares give 1 >= k c, k is whole, so k <= N_eff.
    scores : (N,), any sign, not all 0.
    Returns Q / P = P / D in the unit of the scores, rounded up, so that what passes it is kept.
    Claim EMP-F6 (fact 6 of theory/emp.md).
    """
    total, square = sums_exact(_vector(scores))
    if square == 0:
        raise Refused("scores: all 0; no score is sure to be kept")
    return rounded_up(square / total)


def removed_energy_upper(retained: float, square: float) -> float:
    """Largest squared norm of what a mask of the K largest entries removes.

        sum_{i removed} s_i^2  <=  (1 - phi_K) Q

    Hypothesis: the removed entries are the N - K smallest; a mask by another score may remove more energy than mass.
    retained : phi_K in [0, 1].
    square   : Q = ||s||_2^2 >= 0.
    Returns squared score units. Equality at K = 0 and for equal scores.
    Claim EMP-F7 (fact 7 of theory/emp.md).
    """
    return (1.0 - number(retained, "retained", 0.0, 1.0)) * number(square, "square", 0.0)


def fraction_of(value: Scalar) -> Fraction:
    """A number as a fraction of Python whole numbers, whatever integer type it came as.

        p / q;   a float is m 2^e

    value : whole number, fraction or finite float.
    Returns a fraction. numpy's int64 inside a fraction would overflow.
    Claim EMP-D1 (Section 1 of theory/emp.md).
    """
    if isinstance(value, bool) or not isinstance(value, Rational | float) or not math.isfinite(value):
        raise Refused(f"{value!r}: a whole number, a fraction or a finite float is expected")
    return Fraction(int(value.numerator), int(value.denominator)) if isinstance(value, Rational) else Fraction(value)


def sums_exact(scores: Scores) -> tuple[Fraction, Fraction]:
    """Sum of sizes and sum of squares, without rounding.

        P = sum |s_i|,   Q = sum s_i^2

    scores : (N,) whole numbers, fractions or floats.
    Returns (P, Q) as fractions.
    Claim EMP-D1 (Section 1 of theory/emp.md).
    """
    if isinstance(scores, np.ndarray):
        return _dyadic_sums(np.abs(_vector(scores)))
    values = _rationals(scores)
    return sum(map(abs, values), Fraction(0)), sum((value * value for value in values), Fraction(0))


def rounded_up(value: Fraction) -> float:
    """The smallest float64 that is not below a fraction.

        min {x in float64 : x >= value}

    value : of size at most 1e308.
    Returns a float. A removed share must not be reported smaller than it is.
    Claim EMP-D3 (Section 6 of theory/emp.md).
    """
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)


def _dyadic_sums(size: Array) -> tuple[Fraction, Fraction]:
    """Every entry is m 2^(e - 54) with m < 2^54 whole. Entries of one e are summed limb by limb in int64."""
    total = square = Fraction(0)
    for start in range(0, size.size, _CHUNK):
        part = size[start : start + _CHUNK]
        mantissa, exponent = np.frexp(part[part > 0.0])
        order = np.argsort(exponent, kind="stable")
        if not order.size:
            continue
        integer = np.ldexp(mantissa[order], 3 * _LIMB).astype(np.int64)
        exponents, starts = np.unique(exponent[order], return_index=True)
        limbs = [(integer >> (_LIMB * i)) & (2**_LIMB - 1) for i in range(3)]
        first = [np.add.reduceat(limb, starts) for limb in limbs]
        second = {(i, j): np.add.reduceat(limbs[i] * limbs[j], starts) for i in range(3) for j in range(3)}
        for group, power in enumerate(exponents.tolist()):
            unit = Fraction(2) ** (power - 3 * _LIMB)
            total += unit * sum(int(first[i][group]) << (_LIMB * i) for i in range(3))
            square += unit * unit * sum(int(value[group]) << (_LIMB * (i + j)) for (i, j), value in second.items())
    return total, square


def _vector(scores: ArrayLike) -> Array:
    return finite(scores, "scores", (None,))


def _rationals(scores: Iterable[Scalar]) -> list[Fraction]:
    """Fractions of whole numbers, fractions and finite floats."""
    values = list(scores)
    if not values:
        raise Refused("scores: empty; every statement is about at least one entry")
    return [fraction_of(value) for value in values]


def _by_size(size: Array) -> npt.NDArray[np.intp]:
    return np.argsort(-size, kind="stable")


def _beta(beta: Rational) -> Fraction:
    if isinstance(beta, bool) or not isinstance(beta, Rational):
        raise Refused(f"beta: {beta!r}; a rational is expected (Fraction(3, 10), not 0.3), since it enters a floor")
    if beta <= 0:
        raise Refused(f"beta: {beta}; a rational above 0 is expected")
    return fraction_of(beta)


def _zero_rule(on_zero: str) -> str:
    if on_zero not in ON_ZERO:
        raise Refused(f"on_zero: {on_zero!r} is not one of {', '.join(ON_ZERO)}")
    return on_zero


def _mask(keep: npt.ArrayLike, scores: Array) -> Mask:
    mask = np.asarray(keep)
    if mask.dtype != np.bool_ or mask.shape != scores.shape:
        raise Refused(f"keep: {mask.dtype} {mask.shape}; a mask of shape {scores.shape} is expected")
    return mask
