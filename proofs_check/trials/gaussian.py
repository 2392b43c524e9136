"""Trials of the probabilistic budgets: what is pointwise, and the levels themselves by a second formula or by counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import erfc

from certify.theory import gaussian as g
from certify.theory import gaussian_network as net
from certify.theory import thresholds
from proofs_check.trials.core import Field, Side, Trial

NOISE = Field("removed matrix", ("rows", "cols"))
INPUTS = Field("vectors of each sample", ("samples", "tokens", "cols"))
LIPSCHITZ = Field("constant of everything after the target, per sample", ("samples",), low=0.0)
VARIANCE = Field("variance of one entry", low=0.0)
TINY = 1e-290  # below it float64 loses its digits
DELTA = Field("error probability", low=1e-9, high=1.0 - 1e-9)
ROWS, COLS = Field("rows", low=1, kind="whole"), Field("cols", low=1, kind="whole")
COUNT = Field("number of vectors", low=1, kind="whole")


def _norms(inputs):
    return np.array([max(math.hypot(*token) for token in sample) for sample in inputs])


def _tokens(inputs):
    return np.full(len(inputs), inputs.shape[1])


def _budget(removed, inputs, lipschitz):
    """Definition 5.0 with tokens, term by term."""
    return sum(2.0 * c * np.abs(v @ removed.T).max() for c, v in zip(lipschitz, inputs, strict=True)) / len(inputs)


def _event(noise, inputs, entry_variance, multiplier):
    sent = np.abs(inputs @ noise.T).max(axis=2)
    allowed = multiplier * math.sqrt(entry_variance) * np.linalg.norm(inputs, axis=2)
    return {"no coordinate of R v exceeds its level": bool(np.all(sent <= allowed))}


def _gauss_event(noise, inputs, entry_variance, delta, **_):
    return _event(noise, inputs, entry_variance, g.gaussian_multiplier(len(noise), _tokens(inputs).sum(), delta, "paper"))


def _gauss_budget(noise, inputs, lipschitz, entry_variance, delta):
    call = {"rows": len(noise), "entry_variance": entry_variance, "delta": delta}
    bound = g.gaussian_budget(lipschitz, _norms(inputs), _tokens(inputs), **call, method="paper")
    left = _budget(noise, inputs, lipschitz)
    level = math.sqrt(2.0 * entry_variance * math.log(2.0 * len(noise) * inputs.shape[0] * inputs.shape[1] / delta))
    published = 2.0 / len(inputs) * float(lipschitz @ _norms(inputs)) * level
    return [
        Side("B_T(R) <= bound on the event", left, bound, scale=TINY),
        Side("bound = display", bound, published, equal=True, scale=TINY),
    ]


def _subgauss_event(noise, inputs, entry_variance, delta, c, **_):
    return _event(noise, inputs, entry_variance, g.subgaussian_multiplier(len(noise), _tokens(inputs).sum(), delta, c))


def _subgauss_budget(noise, inputs, lipschitz, entry_variance, delta, c):
    call = {"rows": len(noise), "entry_variance": entry_variance, "delta": delta}
    bound = g.subgaussian_budget(lipschitz, _norms(inputs), _tokens(inputs), **call, c=c)
    gauss = g.gaussian_budget(lipschitz, _norms(inputs), _tokens(inputs), **call, method="paper")
    return [
        Side("B_T(R) <= bound on the event", _budget(noise, inputs, lipschitz), bound, scale=TINY),
        Side("bound = Gaussian bound / sqrt(2 c)", bound, gauss / math.sqrt(2.0 * c), equal=True, scale=TINY),
    ]


def _edge(lipschitz, norms, tokens, rows, cols, g_, delta):
    edge = math.sqrt(g_) * (1.0 + math.sqrt(cols / rows))
    bound = g.edge_budget(lipschitz, norms, tokens, rows=rows, cols=cols, edge=edge, delta=delta)
    level = math.sqrt(2.0 / rows * math.log(2.0 * rows * float(tokens.sum()) / delta))
    display = 2.0 * edge / (1.0 + math.sqrt(cols / rows)) * level * float(lipschitz @ norms) / len(norms)
    same = g.gaussian_budget(lipschitz, norms, tokens, rows=rows, entry_variance=g_ / rows, delta=delta, method="paper")
    return [
        Side("bound = display", bound, display, equal=True, scale=TINY),
        Side("bound = C5.10", bound, same, equal=True, scale=TINY),
    ]


def _some_tail(multiplier, count):
    """P(max of `count` independent |Z| > x), small tails included."""
    return -math.expm1(count * math.log1p(-min(float(erfc(multiplier / math.sqrt(2.0))), 1.0 - 2.0**-53)))


def _multipliers(rows, count, delta):
    x = {method: g.gaussian_multiplier(rows, count, delta, method) for method in g.METHODS}
    tails = {method: _some_tail(value, rows * count) for method, value in x.items()}
    yield Side("failure at sidak = delta, one vector per coordinate", tails["sidak"], delta, equal=True)
    for sharp, loose in itertools.pairwise(reversed(g.METHODS)):
        yield Side(f"{sharp} <= {loose}", x[sharp], x[loose])
        yield Side(f"failure at {loose} <= delta", tails[loose], delta)


def _kappa(noise, other, inputs, lipschitz):
    moved = abs(_budget(noise, inputs, lipschitz) - _budget(other, inputs, lipschitz))
    bound = g.budget_frobenius_lipschitz(lipschitz, inputs) * math.sqrt(float(np.sum((noise - other) ** 2)))
    size = _budget(np.abs(noise) + np.abs(other), np.abs(inputs), lipschitz)
    return [Side("|B(R) - B(R')| <= kappa ||R - R'||_F", moved, bound, scale=size)]


def _chi_square_tail(square, dimension):
    """P(chi^2 > square), from dimension 1 or 2 upwards in steps of 2."""
    z = square / 2.0
    tail, first = (math.erfc(math.sqrt(z)), 0.5) if dimension % 2 else (math.exp(-z), 1.0)
    for k in range((dimension - 1) // 2):
        tail += math.exp((first + k) * math.log(z) - z - math.lgamma(first + k + 1.0)) if z > 0.0 else 0.0
    return tail


def _rank(rows, rank, delta):
    x = g.rank_multiplier(rows, rank, delta)
    tail = _chi_square_tail(x * x, rank)
    yield Side("P(some row norm > x) = delta", -math.expm1(rows * math.log1p(-tail)), delta, equal=True)
    yield Side("one vector: sidak", g.rank_multiplier(rows, 1, delta), g.gaussian_multiplier(rows, 1, delta), equal=True)
    yield Side("grows with the rank", x, g.rank_multiplier(rows, rank + 1, delta))


def _cap(x, dimension):
    """P(|u_1| > x), u uniform on the unit sphere, by quadrature in the polar angle."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    cap, half = (
        0.5 * end * float(weights @ np.sin(0.5 * end * (nodes + 1.0)) ** (dimension - 2)) for end in (math.acos(x), math.pi / 2)
    )
    return cap / half


def _sphere(rows, cols, count, delta, frobenius):
    x, size = g.sphere_multiplier(rows, cols, count, delta), rows * cols
    yield Side("x <= 1", x, 1.0)
    if size > 1:
        yield Side("union bound spends delta", rows * count * _cap(x, size), delta, equal=True)
    deviation = g.entry_deviation_upper(frobenius, rows, cols, delta)
    if deviation > 1e-290:
        tail = _chi_square_tail((frobenius / deviation) ** 2, size)
        yield Side("P(chi^2 <= (||R||_F / deviation)^2) = delta", 1.0 - tail, delta, equal=True, scale=1.0)


def _routes(first, second, removed, kept, inputs):
    """A ReLU tail of two layers behind one token: both constants proved by norms."""
    tail = lambda u: second @ np.maximum(first @ u, 0.0)  # noqa: E731
    largest = np.abs(second).sum(axis=1).max() * np.abs(first).sum(axis=1).max()
    euclidean = max(math.hypot(*row) for row in second) * np.linalg.norm(first, 2)
    constants = np.full(len(inputs), largest), np.full(len(inputs), euclidean)
    bound = net.change_upper_two_routes(removed, inputs, *constants)
    for s, v in enumerate(inputs[:, 0]):
        moved = np.abs(tail((kept + removed) @ v) - tail(kept @ v)).max()
        size = largest * (np.abs(kept) @ np.abs(v) + np.abs(removed) @ np.abs(v)).max()
        yield Side(f"logit change of sample {s} <= the shorter route", moved, bound[s], scale=size)


def _signs(sizes, inputs, delta):
    """All sign patterns, counted: an event of probability at most delta."""
    x = g.random_sign_multiplier(len(sizes), inputs.shape[0] * inputs.shape[1], delta)
    vectors = inputs.reshape(-1, sizes.shape[1])
    reach = x * np.array([[math.hypot(*(row * vector)) for vector in vectors] for row in sizes])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=sizes.size))).reshape(-1, *sizes.shape)
    sent = np.abs((signs * sizes) @ vectors.T)
    over = np.any(sent > reach * (1.0 + 1e-12), axis=(1, 2))
    whole = g.sign_symmetric_size(sizes, inputs, delta)
    by_sample = reach.max(axis=0).reshape(inputs.shape[:2]).max(axis=1)
    yield Side("share of sign patterns beyond some level <= delta", float(over.mean()), delta)
    for s, size in enumerate(whole):
        yield Side(f"size of sample {s} is the largest level", size, by_sample[s], equal=True)


def _cut_moments(kappa, entry_variance, t):
    """Gauss–Legendre over the entries that are removed."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    z = 0.5 * kappa * (nodes + 1.0)
    mass = kappa * weights * np.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    sigma = math.sqrt(entry_variance)
    found = thresholds.threshold_moments(kappa, entry_variance)
    yield Side("removed fraction", float(mass.sum()), found.fraction, equal=True)
    yield Side("E R^2", float(mass @ (sigma * z) ** 2), found.square, equal=True)
    yield Side("E |R|", float(mass @ (sigma * z)), found.absolute, equal=True)
    generating = float(mass @ np.cosh(t * sigma * z)) + 1.0 - float(mass.sum())
    bound = float(thresholds.threshold_moment_generating(t, kappa, entry_variance))
    yield Side("E exp(t R)", generating, bound, equal=True)
    yield Side("E exp(t R) <= exp(sigma^2 t^2 / 2)", bound, math.exp(entry_variance * t * t / 2.0))


def _split(scales, counts, share, delta, c):
    scaled = scales / np.sqrt(2.0 * c)
    best = net.split_delta(delta, scaled, counts)
    least = float(net.multilayer_budgets(scaled, counts, best).sum())
    other = delta * share
    logs = np.log(2.0 * counts / np.where(other > 0.0, other, 1.0))
    stated = float(np.sum(np.where(scaled > 0.0, scaled * np.sqrt(logs), 0.0)))
    yield Side("the deltas are spent", float(best.sum()), delta, equal=True)
    yield Side("sum at the best split <= sum at the stated one", least, stated)
    same = float(net.multilayer_budgets(scaled, counts, other).sum())
    yield Side("budgets at the stated split = display", same, stated, equal=True)


def _spent(scales, share, **_):
    return {"every layer with noise has a share": bool(np.all((share > 1e-12) | (scales == 0.0)))}


def _orlicz(values):
    """inf{s : mean exp(x^2 / s^2) <= 2} of equally likely values, by bisection."""
    top = float(np.abs(values).max())
    if top == 0.0:
        return 0.0
    low, high = top / math.sqrt(math.log(2.0 * len(values))), top / math.sqrt(math.log(2.0))
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.mean(np.exp(np.square(values / middle))) > 2.0 else (low, middle)
    return high


def _rows_of_any_law(atoms, vector, delta):
    """A matrix drawn uniformly from a list: the share of the list beyond the level is a probability."""
    sent, rows = np.abs(atoms @ vector), atoms.shape[1]
    kappa = max(_orlicz(sent[:, i]) for i in range(rows)) * math.sqrt(rows)
    level = kappa / math.sqrt(rows) * g.subgaussian_multiplier(rows, 1, delta, 1.0)
    yield Side("display with C = 1", level, kappa * math.sqrt(math.log(2.0 * rows / delta) / rows), equal=True)
    yield Side("P(||R v||_inf > level) <= delta", float(np.mean(sent.max(axis=1) > level * (1.0 + 1e-12))), delta)


def _support(signal, noise, entry_variance, delta):
    t = thresholds.support_threshold(*signal.shape, entry_variance, delta, "paper")
    kept = thresholds.above_threshold(signal + noise, t)
    strong = np.abs(signal) > 2.0 * t * (1.0 + 1e-12)
    published = math.sqrt(entry_variance) * math.sqrt(2.0 * math.log(2.0 * signal.size / delta))
    yield Side("t = display", t, published, equal=True)
    yield Side("strong entries that are lost", float(np.sum(strong & ~kept)), 0.0)
    yield Side("entries found where there are none", float(np.sum(kept & (signal == 0.0))), 0.0)


def _quiet(signal, noise, entry_variance, delta):
    t = thresholds.support_threshold(*noise.shape, entry_variance, delta, "paper")
    return {"no entry of the noise exceeds t": bool(np.all(np.abs(noise) <= t))}


def _exact_threshold(rows, cols, entry_variance, delta, signal):
    sigma = math.sqrt(entry_variance)
    t = thresholds.support_threshold(rows, cols, entry_variance, delta)
    yield Side("t* <= t", t, thresholds.support_threshold(rows, cols, entry_variance, delta, "paper"))
    yield Side("P(max |R| > t*) = delta", _some_tail(t / sigma, rows * cols), delta, equal=True)
    x = sigma * signal
    low, high = (-t - x) / sigma, (t - x) / sigma
    missed = 0.5 * (math.erfc(low / math.sqrt(2.0)) - math.erfc(high / math.sqrt(2.0)))
    found = float(thresholds.miss_probability(x, t, entry_variance))
    yield Side("miss probability", missed, found, equal=True, scale=1.0)


POINT = {"noise": NOISE, "inputs": INPUTS, "lipschitz": LIPSCHITZ, "entry_variance": VARIANCE, "delta": DELTA}
CONSTANT = Field("constant of the tail", low=0.05, high=2.0)
LAYERS = {
    "scales": Field("budget of each layer per square root of a logarithm", ("layers",), low=0.0),
    "counts": Field("coordinates of each layer, rows times vectors", ("layers",), low=1, kind="whole"),
    "share": Field("any other split of delta", ("layers",), kind="simplex"),
    "delta": DELTA,
}

TRIALS: tuple[Trial, ...] = (
    Trial("C5.10-gauss-budget", POINT, lambda **i: _gauss_budget(**i), _gauss_event),
    Trial(
        "C5.11-mp-edge-budget",
        {
            "lipschitz": LIPSCHITZ,
            "norms": Field("largest norm of a vector of each sample", ("samples",), low=0.0),
            "tokens": Field("vectors of each sample", ("samples",), low=1, kind="whole"),
            "rows": ROWS,
            "cols": COLS,
            "g_": Field("g: rows times the variance of an entry", low=0.0),
            "delta": DELTA,
        },
        lambda **i: _edge(**i),
        lambda g_, **_: {"g is 0 or a normal number": g_ == 0.0 or g_ > 1e-290},
    ),
    Trial("X15-gauss-exact", {"rows": ROWS, "count": COUNT, "delta": DELTA}, lambda **i: list(_multipliers(**i)), tolerance=1e-8),
    Trial(
        "X16-gauss-mean",
        {"noise": NOISE, "other": Field("another removal", ("rows", "cols")), "inputs": INPUTS, "lipschitz": LIPSCHITZ},
        lambda **i: _kappa(**i),
    ),
    Trial(
        "X17-rank-uniform",
        {"rows": ROWS, "rank": Field("dimension of the span", low=1, kind="whole"), "delta": DELTA},
        lambda **i: list(_rank(**i)),
        tolerance=1e-8,
    ),
    Trial(
        "X18-g-free",
        {
            "rows": Field("rows", low=1, high=5, kind="whole"),
            "cols": Field("cols", low=1, high=5, kind="whole"),
            "count": COUNT,
            "delta": Field("error probability", low=0.01, high=0.99),
            "frobenius": Field("Frobenius norm of R", low=0.0),
        },
        lambda **i: list(_sphere(**i)),
        tolerance=1e-7,
    ),
    Trial(
        "X20-l2-tails",
        {
            "first": Field("first layer after the target", ("hidden", "rows")),
            "second": Field("head", ("classes", "hidden")),
            "removed": NOISE,
            "kept": Field("kept matrix", ("rows", "cols")),
            "inputs": INPUTS,
        },
        lambda **i: list(_routes(**i)),
        ranges={"tokens": (1, 1)},
    ),
    Trial(
        "X21-sign-symmetric",
        {"sizes": Field("removed magnitudes", ("rows", "cols"), low=0.0), "inputs": INPUTS, "delta": DELTA},
        lambda **i: list(_signs(**i)),
        ranges={"rows": (1, 3), "cols": (1, 3), "samples": (1, 3), "tokens": (1, 2)},
    ),
    Trial(
        "X22-magnitude-threshold",
        {
            "kappa": Field("threshold in standard deviations", low=0.0, high=5.0),
            "entry_variance": Field("variance of one entry before the cut", low=0.0, high=9.0),
            "t": Field("argument of the moment generating function", low=-3.0, high=3.0),
        },
        lambda **i: list(_cut_moments(**i)),
    ),
    Trial("ESM1-C1.4-subgauss-budget", POINT | {"c": CONSTANT}, lambda **i: _subgauss_budget(**i), _subgauss_event),
    Trial("ESM1-C1.5-multilayer-gauss", LAYERS, lambda **i: list(_split(**i, c=np.array(0.5))), _spent),
    Trial(
        "ESM1-C1.6-multilayer-subgauss",
        LAYERS | {"c": Field("constant of the tail of each layer", ("layers",), low=0.05, high=2.0)},
        lambda **i: list(_split(**i)),
        _spent,
    ),
    Trial(
        "ESM1-E2.6-subgauss-rows",
        {
            "atoms": Field("equally likely matrices", ("atoms", "rows", "cols")),
            "vector": Field("one vector", ("cols",)),
            "delta": DELTA,
        },
        lambda **i: list(_rows_of_any_law(**i)),
        ranges={"atoms": (1, 12)},
    ),
    Trial(
        "ESM1-T3.20-threshold",
        {
            "signal": Field("structured part", ("rows", "cols")),
            "noise": NOISE,
            "entry_variance": VARIANCE,
            "delta": DELTA,
        },
        lambda **i: list(_support(**i)),
        _quiet,
    ),
    Trial(
        "X28-threshold-exact",
        {
            "rows": ROWS,
            "cols": COLS,
            "entry_variance": Field("variance of one entry", low=1e-6),
            "delta": DELTA,
            "signal": Field("an entry of the structured part, in standard deviations"),
        },
        lambda **i: list(_exact_threshold(**i)),
        tolerance=1e-8,
    ),
)
