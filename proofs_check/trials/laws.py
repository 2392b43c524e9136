"""Trials of the random-matrix laws: quadrature of the density, the printed formulas, and inverses against each other."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf
from scipy.stats import chi2

from certify.laws import bulk_fit, marchenko_pastur, maxima, shrinkage, spikes, wishart
from certify.laws.edge import bulk_edge
from certify.laws.marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular
from proofs_check.trials.core import Field, Side, Trial

MODEL = {
    "rows": Field("rows n of R", low=1, high=300, kind="whole"),
    "cols": Field("columns m of R", low=1, high=300, kind="whole"),
    "variance": Field("v, variance of one entry", low=1e-3, high=1e3),
}
RATIO = Field("strength over the detection threshold", low=0.0, high=50.0)
BEYOND = Field("singular value over the bulk's edge", low=1.0, high=50.0)
SHARE = Field("place between the edges", low=0.0, high=1.0)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def _mass(law, low, high, power=0.0):
    """int x^power pdf(x) dx, in an angle that removes both square roots, on panels that shrink toward either edge."""
    start, end = law.support()
    ends = [math.asin(math.sqrt(min(1.0, max(0.0, (x - start) / (end - start))))) for x in (low, high)]
    steps = np.concatenate([[0.0], np.geomspace(1e-7, 0.5, 30)])
    grid = ends[0] + (ends[1] - ends[0]) * np.concatenate([steps, 1.0 - steps[-2::-1]])
    middle, half = 0.5 * (grid[1:] + grid[:-1]), 0.5 * np.diff(grid)
    angle = (middle[:, None] + half[:, None] * NODES).ravel()
    x = start + (end - start) * np.sin(angle) ** 2
    jacobian = (end - start) * np.sin(2.0 * angle) * (half[:, None] * WEIGHTS).ravel()
    inside = jacobian > 0.0
    return float(np.sum(law.pdf(x[inside]) * jacobian[inside] * x[inside] ** power))


def _density(rows, cols, variance):
    law, singular = MarchenkoPastur(rows, cols, variance), MarchenkoPasturSingular(rows, cols, variance)
    yield Side("edges", law.support()[1], variance * (math.sqrt(rows) + math.sqrt(cols)) ** 2, equal=True)
    yield Side("mass of the density", _mass(law, *law.support()), min(1.0, rows / cols), equal=True)
    yield Side("mass of the singular values", _mass(singular, *singular.support()), 1.0, equal=True)
    yield Side("atom", law.atom, max(0.0, 1.0 - rows / cols), equal=True, scale=1.0)


def _distribution(kind, rows, cols, variance, first, second):
    law = kind(rows, cols, variance)
    start, end = law.support()
    low, high = sorted((start + first * (end - start), start + second * (end - start)))
    rise = float(law.cdf(high) - law.cdf(low))
    yield Side("cdf(y) - cdf(x) = int_x^y pdf", rise, _mass(law, low, high), equal=True, scale=1.0)
    yield Side("cdf + sf = 1", float(law.cdf(low) + law.sf(low)), 1.0, equal=True)
    yield Side("cdf beyond the edge", float(law.cdf(end * 1.5)), 1.0, equal=True)
    yield Side("cdf at the lower edge", float(law.cdf(start)), law.atom, equal=True, scale=1.0)


def _singular(rows, cols, variance, first, second):
    yield from _distribution(MarchenkoPasturSingular, rows, cols, variance, first, second)
    law, turned = MarchenkoPasturSingular(rows, cols, variance), MarchenkoPasturSingular(cols, rows, variance)
    whole = MarchenkoPastur(rows, cols, variance)
    s = law.support()[0] + first * (law.support()[1] - law.support()[0])
    pushed = (float(whole.cdf(s * s)) - whole.atom) * max(1.0, cols / rows)
    yield Side("(F(s^2) - (1 - 1/c)_+) max(1, c)", pushed, float(law.cdf(s)), equal=True, scale=max(1.0, cols / rows))
    yield Side("the same for the transpose", float(turned.cdf(s)), float(law.cdf(s)), equal=True, scale=1.0)


def _stieltjes(rows, cols, variance, real, imaginary):
    law, size = MarchenkoPastur(rows, cols, variance), variance * max(rows, cols)
    z = complex(real, imaginary) * size
    y, other = complex(law.stieltjes(z)), complex(law.companion().stieltjes(z))
    terms = (cols * variance * z * y * y, (z - variance * (rows - cols)) * y, 1.0)
    scale = sum(abs(term) for term in terms)
    yield Side("m v z y^2 + (z - v(n - m)) y + 1 = 0", abs(sum(terms)), 0.0, equal=True, scale=scale)
    c = cols / rows
    yield Side("companion", abs(other - (c * y - (1.0 - c) / z)), 0.0, equal=True, scale=abs(c * y) + abs((1.0 - c) / z))
    yield Side("Im m has the sign of Im z", 0.0, y.imag / abs(y))


def _moments(rows, cols, variance, order):
    law, c = MarchenkoPastur(rows, cols, variance), cols / rows
    narayana = sum(c**r / (r + 1) * math.comb(order, r) * math.comb(order - 1, r) for r in range(order))
    yield Side("Narayana", (rows * variance) ** order * narayana, law.moment(order), equal=True)
    yield Side("quadrature", _mass(law, *law.support(), order), law.moment(order), equal=True)
    half, singular = 0.5 * order, MarchenkoPasturSingular(rows, cols, variance)
    yield Side("half orders", _mass(singular, *singular.support(), order), law.bulk_moment(half), equal=True)


def _finite(rows, cols, variance, order):
    moment = marchenko_pastur.gaussian_moment
    both = cols * moment(rows, cols, variance, order), rows * moment(cols, rows, variance, order)
    yield Side("tr (R^T R)^k = tr (R R^T)^k", both[0], both[1], equal=True)
    rising = math.prod(rows + 2 * i for i in range(order))
    yield Side("one column: chi^2 moments", rising * variance**order, moment(rows, 1, variance, order), equal=True)
    limit = MarchenkoPastur(rows, cols, variance).moment(order)
    yield Side("limit <= finite size", limit, moment(rows, cols, variance, order))


def _strength(rows, cols, variance, ratio):
    return ratio * math.sqrt(variance) * (rows * cols) ** 0.25


def _threshold(rows, cols, variance):
    critical = spikes.detection_threshold(rows, cols, variance)
    g, c = rows * variance, cols / rows
    yield Side("sqrt g c^(1/4)", math.sqrt(g) * c**0.25, critical, equal=True)
    yield Side("below the edge", critical, bulk_edge(rows, cols, variance))
    yield Side("rho at the threshold", float(spikes.spiked_value(critical, rows, cols, variance)), _edge(g, c), equal=True)


def _edge(g, c):
    return math.sqrt(g) * (1.0 + math.sqrt(c))


def _rho(theta, g, c):
    """As printed: sqrt((theta^2 + g)(theta^2 + g c)) / theta above the threshold, the edge below."""
    if theta**2 <= g * math.sqrt(c):
        return _edge(g, c)
    return math.sqrt((theta**2 + g) * (theta**2 + g * c)) / theta


def _map(rows, cols, variance, ratio):
    theta, g, c = _strength(rows, cols, variance, ratio), rows * variance, cols / rows
    value = float(spikes.spiked_value(theta, rows, cols, variance))
    yield Side("as printed", _rho(theta, g, c), value, equal=True)
    yield Side("never below the edge", _edge(g, c), value)
    yield Side("never below the strength", theta, value)


def _inverse(rows, cols, variance, ratio, beyond):
    s = beyond * bulk_edge(rows, cols, variance)
    g, c, y = rows * variance, cols / rows, s * s
    found = float(spikes.strength(s, rows, cols, variance))
    low, high = g * (1.0 - math.sqrt(c)) ** 2, g * (1.0 + math.sqrt(c)) ** 2
    printed = 0.5 * (y - g * (1.0 + c) + math.sqrt(max(0.0, (y - low) * (y - high))))
    yield Side("as printed", math.sqrt(printed), found, equal=True, scale=s * 1e2)
    yield Side("rho(theta(s)) = s", float(spikes.spiked_value(found, rows, cols, variance)), s, equal=True)
    theta = _strength(rows, cols, variance, ratio)
    if not ratio <= 1.01:
        back = float(spikes.strength(_rho(theta, g, c), rows, cols, variance))
        yield Side("theta(rho(theta)) = theta", back, theta, equal=True)


def _overlaps(rows, cols, variance, ratio):
    theta, g, c = _strength(rows, cols, variance, ratio), rows * variance, cols / rows
    left = float(spikes.left_overlap(theta, rows, cols, variance))
    right = float(spikes.right_overlap(theta, rows, cols, variance))
    square = theta**2
    above = ratio > 1.0
    p = 1.0 - g * (square + c * g) / (square * (square + g)) if above else 0.0
    q = 1.0 - c * g * (square + g) / (square * (square + c * g)) if above else 0.0
    yield Side("left, as printed", p, left, equal=True, scale=1.0)
    yield Side("right, as printed", q, right, equal=True, scale=1.0)
    yield Side("transposed", float(spikes.left_overlap(theta, cols, rows, variance)), right, equal=True, scale=1.0)
    yield Side("at least 0", 0.0, min(left, right))
    yield Side("at most 1", max(left, right), 1.0)


def _transform(rows, cols, variance, ratio):
    theta, g, c = _strength(rows, cols, variance, 1.0 + ratio), rows * variance, cols / rows
    s = _rho(theta, g, c)
    law, found = (
        MarchenkoPastur(rows, cols, variance),
        float(spikes.d_transform(max(s, bulk_edge(rows, cols, variance)), rows, cols, variance)),
    )
    if ratio > 0.01:
        yield Side("D(rho(theta)) = theta^-2", found, theta**-2, equal=True)
        product = s * s * law.stieltjes(s * s) * law.companion().stieltjes(s * s)
        yield Side("s^2 m(s^2) m~(s^2)", float(np.real(product)), found, equal=True)
    back = float(spikes.d_transform_inverse(theta**-2, rows, cols, variance))
    yield Side("D^-1(theta^-2) = rho(theta)", back, s, equal=True)
    further = float(spikes.d_transform(1.01 * max(s, bulk_edge(rows, cols, variance)), rows, cols, variance))
    yield Side("decreasing", further, found)


def _square(noise, sigma):
    """On 1 x 1 the entry variance is g itself."""
    printed = sigma + noise / sigma if sigma > math.sqrt(noise) else 2.0 * math.sqrt(noise)
    value = float(spikes.spiked_value(sigma, 1, 1, noise))
    yield Side("sigma + g / sigma, or 2 sqrt g", printed, value, equal=True)
    yield Side("at least 2 sqrt g", 2.0 * math.sqrt(noise), value)


def _scaled(noise, sigma, size):
    unit, ratio = 1.0 / size, sigma / math.sqrt(noise)
    value = float(spikes.spiked_value(sigma, size, size, noise / size))
    yield Side("sqrt g rho_1", math.sqrt(noise) * float(spikes.spiked_value(ratio, size, size, unit)), value, equal=True)
    overlap = float(spikes.left_overlap(sigma, size, size, noise / size))
    yield Side("overlap 1 - g / sigma^2", max(0.0, 1.0 - noise / sigma**2), overlap, equal=True, scale=1.0)
    yield Side("depends on the ratio", float(spikes.left_overlap(ratio, size, size, unit)), overlap, equal=True, scale=1.0)


def _variable(rows, cols, first, second, noises):
    v, w = (float(noise) for noise in noises)
    bound = float(spikes.spiked_value_change_upper(first - second, rows, cols, v, w))
    values = [theta if u == 0.0 else _rho(theta, rows * u, cols / rows) for theta, u in ((first, v), (second, w))]
    scale = max(values)
    yield Side("|rho_v(theta) - rho_w(theta')|", abs(values[0] - values[1]), bound, scale=scale)
    swapped = float(spikes.spiked_value_change_upper(first - second, cols, rows, w, v))
    yield Side("symmetric", swapped, bound, equal=True)


def _persistent(kept, removed, variance):
    rows, cols = kept.shape
    total, s = (np.linalg.svd(matrix, compute_uv=False) for matrix in (kept + removed, kept))
    norm, scale = float(np.linalg.norm(removed, 2)), float(np.linalg.norm(kept) + np.linalg.norm(removed))
    bound = norm + spikes.strength_shift_upper(rows, cols, variance)
    edge = bulk_edge(rows, cols, variance)
    for i in np.flatnonzero(total >= edge):
        estimate = float(spikes.d_transform(total[i], rows, cols, variance)) ** -0.5
        yield Side(f"|D(s)^-1/2 - sigma_{i + 1}|", abs(estimate - s[i]), bound, scale=scale)
    at = edge - float(spikes.strength(edge * (1.0 + 1e-15), rows, cols, variance))
    yield Side("attained at the edge", at, bound - norm, equal=True, scale=1e3 * edge)


def _estimate(theta, share, sign):
    e = share * theta**-2
    bound = float(spikes.strength_error_upper(theta, e))
    yield Side("|D^-1/2 - theta|", abs((theta**-2 + sign * e) ** -0.5 - theta), bound, scale=theta)
    yield Side("attained by D = theta^-2 - e", (theta**-2 - e) ** -0.5 - theta, bound, equal=True, scale=theta * 1e2)


def _correction(noise, beyond):
    s = 2.0 * beyond * math.sqrt(noise)
    sigma = float(spikes.strength(s * (1.0 + 1e-15), 1, 1, noise))
    root = math.sqrt(max(0.0, s * s - 4.0 * noise))
    yield Side("s - sigma = 2 g / (s + root)", s - sigma, 2.0 * noise / (s + root), equal=True, scale=s * 1e2)
    yield Side("sigma + g / sigma = s", sigma + noise / sigma, s, equal=True)
    yield Side("s - sigma <= sqrt g", s - sigma, spikes.strength_shift_upper(1, 1, noise), scale=s)


def _shrinkers(rows, cols, variance, beyond, growth):
    model = (rows, cols, variance)
    s = np.array([beyond, beyond * (1.0 + growth)]) * bulk_edge(*model)
    theta = spikes.strength(s, *model)
    values = [rule(s, *model) for rule in (shrinkage.shrink_nuclear, shrinkage.shrink_frobenius, shrinkage.shrink_operator)]
    for name, value in zip(("nuclear", "Frobenius", "operator"), values, strict=True):
        yield Side(f"{name}: at least 0", 0.0, value[0], scale=s[0])
        yield Side(f"{name}: at most s", value[0], s[0])
        yield Side(f"{name}: at most theta", value[1], theta[1], scale=s[1])
        yield Side(f"{name}: increasing", value[0], value[1], scale=s[1])
    yield Side("nuclear <= Frobenius", values[0][0], values[1][0], scale=s[0])
    yield Side("Frobenius <= operator", values[1][0], values[2][0], scale=s[0])
    if beyond > 1.001:
        y, g, c = s[0] ** 2, rows * variance, cols / rows
        printed = math.sqrt((y - g * (1.0 + c)) ** 2 - 4.0 * c * g * g) / s[0]
        yield Side("Frobenius, as printed", printed, values[1][0], equal=True, scale=s[0])
    for rule in (shrinkage.shrink_nuclear, shrinkage.shrink_frobenius, shrinkage.shrink_operator):
        yield Side("0 inside the bulk", float(rule(0.999 * bulk_edge(*model), *model)), 0.0, equal=True, scale=1.0)


def _operator(rows, cols, variance, beyond):
    """Its loss is theta sqrt(1 - min overlap); nothing else has a smaller one."""
    model = (rows, cols, variance)
    s = max(beyond, 1.01) * bulk_edge(*model)
    theta = float(spikes.strength(s, *model))
    left, right = float(spikes.left_overlap(theta, *model)), float(spikes.right_overlap(theta, *model))
    eta = float(shrinkage.shrink_operator(s, *model))
    p, q = (np.array([math.sqrt(x), math.sqrt(1.0 - x)]) for x in (left, right))

    def loss(value):
        return float(np.linalg.norm(np.diag([theta, 0.0]) - value * np.outer(p, q), 2))

    yield Side("loss", loss(eta), theta * math.sqrt(1.0 - min(left, right)), equal=True)
    for factor in (0.5, 0.99, 1.01, 2.0):
        yield Side(f"not above the loss of {factor} eta", loss(eta), loss(factor * eta), scale=theta)


def _hard(rows, cols, variance):
    """At the threshold, keeping costs theta^2 + s^2 - 2 theta s sqrt(overlaps) and dropping theta^2."""
    model = (rows, cols, variance)
    s = shrinkage.hard_threshold(*model)
    theta = spikes.strength(s, *model)
    cosine = float(np.sqrt(spikes.left_overlap(theta, *model) * spikes.right_overlap(theta, *model)))
    yield Side("keeping costs what dropping costs", s, 2.0 * float(theta) * cosine, equal=True)
    yield Side("beyond the edge", bulk_edge(*model), s)


def _centring(rows, cols, variance):
    one, two = wishart.symmetric_edge(rows, cols, variance), wishart.symmetric_edge(cols, rows, variance)
    n, m = rows - 0.5, cols - 0.5
    mu = (math.sqrt(n) + math.sqrt(m)) ** 2
    yield Side("centre", variance * mu, one.centre, equal=True)
    yield Side("scale", variance * math.sqrt(mu) * (n**-0.5 + m**-0.5) ** (1.0 / 3.0), one.scale, equal=True)
    yield Side("centre of the transpose", two.centre, one.centre, equal=True)
    yield Side("scale of the transpose", two.scale, one.scale, equal=True)


def _norm_law(rows, cols, variance, level):
    total = rows * cols
    s = math.sqrt(level * total * variance)
    tail = float(wishart.norm_exceedance(rows, cols, variance, s))
    yield Side("chi^2 tail", float(chi2.sf(level * total, total)), tail, equal=True, scale=1e-3)
    if level > 1.0:
        yield Side("Chebyshev at sd sqrt(2 / (n m))", tail, 2.0 / total / (level - 1.0) ** 2)
    yield Side("Markov: E ||R||_F^2 = n m v", tail * level, 1.0)


def _largest(count, x):
    law = maxima.MaxAbsGaussian(count)
    yield Side("erf^n", float(erf(x / math.sqrt(2.0))) ** count, float(law.cdf(x)), equal=True, scale=1e-3)
    yield Side("mean <= sqrt(2 log 2n)", law.mean(), math.sqrt(2.0 * math.log(2.0 * count)))
    yield Side("mean grows", law.mean(), maxima.MaxAbsGaussian(count + 1).mean())


def _norm_estimate(matrix):
    rows, cols = matrix.shape
    values = np.linalg.svd(matrix, compute_uv=False)
    yield Side("mean square of the entries", float(np.mean(matrix**2)), bulk_fit.variance_by_norm(values, rows, cols), equal=True)


def _fit(rows, cols, variance, share):
    values = MarchenkoPasturSingular(rows, cols, variance).ppf((np.arange(min(rows, cols)) + 0.5) / min(rows, cols))
    found = bulk_fit.variance_by_quantiles(values, rows, cols, share)
    yield Side("exact on exact quantiles", found, variance, equal=True)
    distance = bulk_fit.fit_distance(values, rows, cols, share)
    yield Side("distance 1 / (2 p) there", distance, 0.5 / min(rows, cols), equal=True, scale=1.0)
    yield Side("homogeneous", bulk_fit.variance_by_quantiles(3.0 * values, rows, cols, share), 9.0 * found, equal=True)


POINT = {"real": Field("Re z over v max(n, m)", low=-9.0, high=9.0), "imaginary": Field("Im z over it", low=1e-3, high=9.0)}
PLACES = {"first": SHARE, "second": SHARE}
NOISE = Field("g, noise level", low=1e-3, high=1e3)
SIGMA = Field("singular value of the signal", low=1e-2, high=1e3)


def _trial(claim, fields, sides, **sizes):
    return Trial(claim, fields, lambda **instance: list(sides(**instance)), ranges=sizes)


TRIALS = (
    _trial("M1-density", MODEL, _density),
    _trial("M2-cdf", MODEL | PLACES, lambda **i: _distribution(MarchenkoPastur, **i)),
    _trial("M2-singular-values", MODEL | PLACES, _singular),
    _trial("M3-stieltjes", MODEL | POINT, _stieltjes),
    _trial("M4-moments", MODEL | {"order": Field("order", low=1, high=6, kind="whole")}, _moments),
    _trial("M4-finite", MODEL | {"order": Field("order", low=1, high=4, kind="whole")}, _finite),
    _trial("M5-threshold", MODEL, _threshold),
    _trial("M5-bbp-map", MODEL | {"ratio": RATIO}, _map),
    _trial("M5-inverse", MODEL | {"ratio": RATIO, "beyond": BEYOND}, _inverse),
    _trial("M5-overlaps", MODEL | {"ratio": RATIO}, _overlaps),
    _trial("M6-inverse-D", MODEL | {"ratio": RATIO}, _transform),
    _trial("ESM1-T5.1-bgn-square", {"noise": NOISE, "sigma": SIGMA}, _square),
    _trial("ESM1-C5.2-bgn-g", {"noise": NOISE, "sigma": SIGMA, "size": MODEL["rows"]}, _scaled),
    _trial(
        "ESM1-T5.3-bgn-variable",
        {
            "rows": MODEL["rows"],
            "cols": MODEL["cols"],
            "first": SIGMA,
            "second": SIGMA,
            "noises": Field("both entry variances", ("two",), low=0.0, high=1e3),
        },
        _variable,
        two=(2, 2),
    ),
    _trial(
        "ESM1-C2.4-bgn-persistent",
        {
            "kept": Field("S", ("rows", "cols")),
            "removed": Field("R", ("rows", "cols")),
            "variance": Field("v, the variance that D assumes", low=1e-6, high=1e2),
        },
        _persistent,
    ),
    _trial(
        "ESM1-T5.4-inverse-D",
        {
            "theta": Field("true strength", low=1e-2, high=1e2),
            "share": Field("error over theta^-2", low=0.0, high=0.99),
            "sign": Field("where D lies within the error", low=-1.0, high=1.0),
        },
        _estimate,
    ),
    _trial("C4.12-bbp-persistent", {"noise": NOISE, "beyond": BEYOND}, _correction),
    _trial("GD-shrinkers", MODEL | {"beyond": BEYOND, "growth": SHARE}, _shrinkers),
    _trial("GD-shrinker-operator", MODEL | {"beyond": BEYOND}, _operator),
    _trial("GD-hard-threshold", MODEL, _hard),
    _trial("M7-wishart-edge", MODEL, _centring),
    _trial("C4.9-variance-collapse", MODEL | {"level": Field("s^2 over n m v", low=0.0, high=4.0)}, _norm_law),
    _trial(
        "M9-max-gaussian",
        {"count": Field("n", low=1, high=10**6, kind="whole"), "x": Field("a number", low=0.0, high=8.0)},
        _largest,
    ),
    _trial("M10-variance-norm", {"matrix": Field("R", ("rows", "cols"), low=-1e3, high=1e3)}, _norm_estimate),
    _trial("M10-bulk-fit", MODEL | {"share": Field("cut from each side", low=0.0, high=0.45)}, _fit),
)
