"""Variation of the logits along a segment of weights, from their values at Chebyshev nodes.

gamma_s(theta) are the logits of sample s at the weights shipped + theta (reference - shipped), so theta = 0 is the
shipped network and theta = 1 the reference. The functions below treat the polynomial through the node values exactly up
to a fine quadrature. What they return is `resolved`: it says how the interpolant varies, and no finite number of
evaluations proves that gamma has no further bend. `PathVariation` carries the three numbers that tell how well it is
resolved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev
from scipy.fft import dct

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, Whole, finite, logits_and_labels, representable, whole

# Points of the fine quadrature: at least this many, and at least OVERSAMPLING per node. Both powers of two, so that
# every second point is the coarser rule used as a check.
FINE_POINTS = 2048
OVERSAMPLING = 16
# Share of an integral that halving may fail to see: two crossings of the same curves inside one cell. The largest seen in
# 2,000 random paths was 5e-7.
UNSEEN = 1e-6
# Numbers held at once per block of samples.
BLOCK_SIZE = 1 << 22


@dataclass(frozen=True)
class PathVariation:
    """How far the logits travel along the segment, per sample, in logit units. All of it `resolved`.

        endpoint <= max_j change_j <= max_norm,   endpoint <= polyline <= max_norm <= speed_sup
        oscillation <= 2 max_norm,   pairwise <= oscillation

    endpoint    : (T,) ||gamma(1) - gamma(0)||_inf.
    change      : (T, K) max over theta of |gamma_j(theta) - gamma_j(1)|.
    polyline    : (T,) sum_i ||gamma(t_{i+1}) - gamma(t_i)||_inf over the nodes: a lower bound on the variation of gamma
                  itself.
    max_norm    : (T,) V = int_0^1 ||gamma'||_inf, an eta for every bound of this folder.
    oscillation : (T,) int_0^1 (max_j gamma_j' - min_j gamma_j'), an omega for `increase_upper_oscillation`.
    pairwise    : (T, K) int_0^1 |gamma_j' - gamma_C'|, two-sided pi_j for the pairwise bounds; 0 at j = C.
    speed_sup   : (T,) sup ||gamma'||_inf, the numerator of `smallest_lipschitz`.
    tail        : (T,) sum_{k > 3 n / 4} 2 k max_j |c_kj|: the most that the last quarter of the Chebyshev coefficients
                  can add to the variation. Small against `max_norm` once the coefficients have decayed; not so for
                  kinked paths.
    refinement  : (T,) |V at order n - V at order n/2| from every second node; inf for odd n, which holds no coarser
                  order.
    change_tail : (T,) sum_{k > 3 n / 4} 2 max_j |c_kj|: the same for `change`.
    quadrature  : (T,) estimated error of the integrals: their largest change when the fine quadrature is halved, and
                  1e-6 of the largest. The chain above holds up to it.
    order       : n, the degree of the interpolant.
    Claim X8-path-variation (sharpens Lemma 5.1 of arXiv:2606.02608; simultaneous removal of several layers:
    X14-multilayer (b)).
    """

    endpoint: Array
    change: Array
    polyline: Array
    max_norm: Array
    oscillation: Array
    pairwise: Array
    speed_sup: Array
    tail: Array
    refinement: Array
    change_tail: Array
    quadrature: Array
    order: int


def clenshaw_curtis_nodes(order: int) -> Array:
    """Chebyshev points of the segment, end points included.

        t_k = sin^2(pi k / (2 n)),   k = 0..n

    order : n >= 1.
    Returns (n + 1,) increasing in [0, 1]. Doubling n keeps every node bit for bit, as every second one.
    Claim X8-path-variation (the nodes at which the path is evaluated).
    """
    n = whole(order, "order", 1)
    return np.sin(np.pi * np.arange(n + 1) / (2 * n)) ** 2


def clenshaw_curtis_weights(order: int) -> Array:
    """Weights of the quadrature on these nodes.

        int_0^1 f(t) dt  ~  sum_k w_k f(t_k),   exact for polynomials of degree <= n, w_k > 0

    order : n >= 1.
    Returns (n + 1,) positive weights of sum 1.
    Claim X8-path-variation (the quadrature behind its integrals).
    """
    n = whole(order, "order", 1)
    moments = np.zeros(n + 1)
    moments[::2] = 1.0 / (1.0 - np.arange(0, n + 1, 2, dtype=np.float64) ** 2)
    weights = np.asarray(dct(moments, type=1)) / n
    weights[[0, -1]] /= 2.0
    return weights


def chebyshev_coefficients(values: ArrayLike) -> Array:
    """Coefficients of the polynomial through the node values.

        gamma(t) = sum_k c_k T_k(2 t - 1),   gamma(t_k) = values[k]

    values : (n + 1, ...) at `clenshaw_curtis_nodes(n)`, n >= 1.
    Returns (n + 1, ...).
    Claim X8-path-variation (the interpolant).
    """
    samples = finite(values, "values")
    if samples.ndim < 1 or samples.shape[0] < 2 or not samples.size:
        raise Refused(f"values: shape {samples.shape}; (order + 1, ...) with order >= 1 is expected")
    n = samples.shape[0] - 1
    with np.errstate(over="ignore", invalid="ignore"):
        coefficients = np.asarray(dct(samples[::-1], type=1, axis=0)) / n
    coefficients[[0, -1]] /= 2.0
    return representable(coefficients, "Chebyshev coefficients")


def derivative_coefficients(coefficients: ArrayLike) -> Array:
    """Coefficients of gamma' from those of gamma.

        gamma'(t) = sum_k d_k T_k(2 t - 1)

    coefficients : (n + 1, ...), n >= 1, from `chebyshev_coefficients`.
    Returns (n, ...); the derivative is by t in [0, 1].
    Claim X8-path-variation (the speed of the interpolant).
    """
    c = finite(coefficients, "coefficients")
    if c.ndim < 1 or c.shape[0] < 2 or not c.size:
        raise Refused(f"coefficients: shape {c.shape}; (order + 1, ...) with order >= 1 is expected")
    return representable(2.0 * chebyshev.chebder(c, axis=0), "derivative of the path")


def evaluate(coefficients: ArrayLike, points: ArrayLike) -> Array:
    """Values of the polynomial anywhere on the segment.

        sum_k c_k T_k(2 t - 1)

    coefficients : (n + 1, ...) of gamma, or (n, ...) of gamma'.
    points       : (G,) t in [0, 1]; the interpolant means nothing outside.
    Returns (G, ...).
    Claim X8-path-variation (the interpolant).
    """
    c, t = finite(coefficients, "coefficients"), finite(points, "points", (None,))
    if t.min() < 0.0 or t.max() > 1.0:
        raise Refused(f"points: from {t.min()} to {t.max()}; the segment is [0, 1]")
    if c.ndim < 1 or not c.size:
        raise Refused(f"coefficients: shape {c.shape}; (order + 1, ...) is expected")
    flat = chebyshev.chebvander(2.0 * t - 1.0, c.shape[0] - 1) @ c.reshape(c.shape[0], -1)
    return representable(flat.reshape(len(t), *c.shape[1:]), "path")


def variation(values: ArrayLike, labels: npt.ArrayLike) -> PathVariation:
    """Variation of the logits along the segment.

        ||gamma(theta) - gamma(1)||_inf <= int_theta^1 ||gamma'||_inf <= (1 - theta) sup ||gamma'||_inf

    values : (n + 1, T, K) logits at `clenshaw_curtis_nodes(n)`, first row theta = 0 (shipped), last theta = 1
             (reference).
    labels : (T,) the class C each sample is compared against: its label, or the reference's prediction where none is
             known.
    Hypotheses: gamma Lipschitz on [0, 1]; nothing is asked of the architecture (skips and shared weights are covered).
    Returns a `PathVariation`. `resolved`: a quadrature of gamma' is not a certificate. Vacuous never.
    Claim X8-path-variation, X9-best-L (b), X14-multilayer (b), F3 (sharpen Lemma 5.1 of arXiv:2606.02608).
    """
    nodes = finite(values, "values", (None, None, None))
    if nodes.shape[0] < 2:
        raise Refused(f"values: {nodes.shape[0]} node; the segment has two ends")
    _, label = logits_and_labels(nodes[0], labels)
    n = nodes.shape[0] - 1
    coefficients = chebyshev_coefficients(nodes)
    integrals, quadrature, speed_sup = _integrals(derivative_coefficients(coefficients), label)
    refinement = np.full(nodes.shape[1], np.inf)
    if n % 2 == 0:
        coarse, _, _ = _integrals(derivative_coefficients(chebyshev_coefficients(nodes[::2])), label)
        refinement = np.abs(integrals[0] - coarse[0])
    k = np.arange(3 * n // 4 + 1, n + 1)
    return PathVariation(
        endpoint=np.abs(nodes[-1] - nodes[0]).max(axis=-1),
        change=largest_change(coefficients),
        polyline=np.abs(np.diff(nodes, axis=0)).max(axis=-1).sum(axis=0),
        max_norm=integrals[0],
        oscillation=integrals[1],
        pairwise=integrals[2:].T,
        speed_sup=speed_sup,
        tail=2.0 * (k[:, None] * np.abs(coefficients[k]).max(axis=-1)).sum(axis=0),
        refinement=refinement,
        change_tail=2.0 * np.abs(coefficients[k]).max(axis=-1).sum(axis=0),
        quadrature=quadrature,
        order=n,
    )


def largest_change(coefficients: ArrayLike) -> Array:
    """How far the interpolant goes from its value at theta = 1, on a grid of 16 points per degree and at least 2,048.

        max_t |sum_k c_k (T_k(2 t - 1) - 1)|

    coefficients : (n + 1, T, K) from `chebyshev_coefficients`.
    Returns (T, K). `resolved`; a maximum between two points is missed by less than (n / 1,800)^2 of the path's size.
    Claim X8-path-variation (what its integral bounds).
    """
    c = finite(coefficients, "coefficients", (None, None, None))
    degrees, samples, classes = c.shape
    fine = FINE_POINTS
    while fine < OVERSAMPLING * degrees:
        fine *= 2
    found = np.empty((samples, classes))
    block = max(1, BLOCK_SIZE // (fine * classes))
    for start in range(0, samples, block):
        part = slice(start, min(start + block, samples))
        values = _on_fine_grid(np.ascontiguousarray(np.moveaxis(c[:, part], 0, -1)), fine)
        found[part] = np.abs(values - values[..., :1]).max(axis=-1)
    return representable(found, "change along the path")


def _integrals(derivative: Array, labels: Whole) -> tuple[Array, Array, Array]:
    """Integrals (2 + K, T) of max norm, oscillation and pairwise speeds; their quadrature check (T,); the largest speed
    (T,)."""
    degree, samples, classes = derivative.shape
    fine = FINE_POINTS
    while fine < OVERSAMPLING * degree:
        fine *= 2
    weights, half = clenshaw_curtis_weights(fine), clenshaw_curtis_weights(fine // 2)
    integrals, quadrature, speed_sup = np.empty((2 + classes, samples)), np.empty(samples), np.empty(samples)
    block = max(1, BLOCK_SIZE // (fine * classes))
    for start in range(0, samples, block):
        part = slice(start, min(start + block, samples))
        rates = np.ascontiguousarray(np.moveaxis(derivative[:, part], 0, -1))
        speed = _on_fine_grid(rates, fine)
        true = np.take_along_axis(speed, labels[part, None, None], axis=1)
        integrals[:, part] = _block_integrals(speed, speed - true, weights)
        check = _block_integrals(speed[..., ::2], (speed - true)[..., ::2], half)
        quadrature[part] = np.abs(integrals[:, part] - check).max(axis=0) + UNSEEN * integrals[:2, part].max(axis=0)
        size = np.abs(speed)
        speed_sup[part] = np.maximum(size.max(axis=(1, 2)), _near_peak(rates, size).max(axis=1))
    return integrals, quadrature, representable(speed_sup, "speed of the path")


def _block_integrals(speed: Array, relative: Array, weights: Array) -> Array:
    classes = speed.shape[1]
    high, top = _running_max(speed, 1.0)
    low, bottom = _running_max(speed, -1.0)
    bottom += classes
    extremes = [(np.maximum(high, low), np.where(high >= low, top, bottom)), (high, top), (low, bottom)]
    norm, rise, fall = (_integral_of_max(value, which, speed, weights) for value, which in extremes)
    pairs = [_integral_of_absolute(relative[:, j], weights) for j in range(classes)]
    return np.stack([norm, rise + fall, *pairs])


def _running_max(speed: Array, sign: float) -> tuple[Array, Whole]:
    """max_j sign f_j and where it is attained. A loop over classes: `argmax` along a middle axis would copy the
    array."""
    best, which = sign * speed[:, 0], np.zeros(speed[:, 0].shape, np.int64)
    for j in range(1, speed.shape[1]):
        above = sign * speed[:, j] > best
        which[above] = j
        best = np.where(above, sign * speed[:, j], best)
    return best, which


def _integral_of_max(value: Array, which: Whole, speed: Array, weights: Array) -> Array:
    """int of `value` (T, N + 1), the largest of the 2 K curves f_0.., -f_0..; `which` names the curve. Kinks: see
    `_overshoot`."""
    classes = speed.shape[1]
    sample, cell = np.nonzero(which[:, 1:] != which[:, :-1])
    old, new = which[sample, cell], which[sample, cell + 1]

    def curve(index: Whole, at: Whole) -> Array:
        return np.where(index < classes, 1.0, -1.0) * speed[sample, index % classes, at]

    lead = curve(old, cell) - curve(new, cell)
    follow = curve(new, cell + 1) - curve(old, cell + 1)
    return value @ weights - _overshoot(lead, follow, sample, cell, weights, len(value))


def _integral_of_absolute(curve: Array, weights: Array) -> Array:
    """int |f| for (T, N + 1) curves: the maximum of f and -f."""
    sample, cell = np.nonzero(np.signbit(curve[:, 1:]) != np.signbit(curve[:, :-1]))
    before, after = 2.0 * np.abs(curve[sample, cell]), 2.0 * np.abs(curve[sample, cell + 1])
    return np.abs(curve) @ weights - _overshoot(before, after, sample, cell, weights, len(curve))


def _overshoot(lead: Array, follow: Array, sample: Whole, cell: Whole, weights: Array, samples: int) -> Array:
    """What the quadrature adds where two curves cross inside a cell, the one lead above before and follow below after.

    The smooth parts converge exponentially; a kink that jumps the slope by J at the fraction x of a cell of width h
    adds -(h^2 J / 2) B_2(x), B_2 the Bernoulli polynomial x^2 - x + 1/6. Here h J = lead + follow and x = lead / (lead
    + follow). Taking it off leaves an error of third order in h.
    """
    width = 0.5 * (weights[cell] + weights[cell + 1])
    jump = lead + follow
    at = np.divide(lead, jump, out=np.zeros_like(jump), where=jump > 0.0)
    excess = np.bincount(sample, weights=width * jump / 2.0 * (at * (1.0 - at) - 1.0 / 6.0), minlength=samples)
    return excess.astype(np.float64)


def _on_fine_grid(rates: Array, fine: int) -> Array:
    """sum_k d_k cos(k phi) at phi = pi i / fine, by one cosine transform of the padded coefficients; (T, K, fine +
    1)."""
    padded = np.zeros((*rates.shape[:-1], fine + 1))
    padded[..., : rates.shape[-1]] = rates / 2.0
    padded[..., 0] *= 2.0
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(dct(padded, type=1, axis=-1, overwrite_x=True))


def _near_peak(rates: Array, size: Array) -> Array:
    """|gamma_j'| at the top of the parabola through the largest fine-grid value and its neighbours; (T, K).

    In phi the speed is even about both ends, so a neighbour beyond an end is the mirror image of the one inside.
    """
    fine = size.shape[-1] - 1
    peak = size.argmax(axis=-1)
    left, right = np.abs(peak - 1), fine - np.abs(fine - peak - 1)
    low, top, high = (np.take_along_axis(size, at[..., None], axis=-1)[..., 0] for at in (left, peak, right))
    bend = low - 2.0 * top + high
    step = np.divide(0.5 * (low - high), bend, out=np.zeros_like(bend), where=bend < 0.0)
    angle = np.pi * (peak + np.clip(step, -1.0, 1.0)) / fine
    return np.abs(np.sum(rates * np.cos(angle[..., None] * np.arange(rates.shape[-1])), axis=-1))
