"""Readings of the selection plateau and of spectral distortion that fail: across layers, for duplicates, without components."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import chebyshev
from scipy.linalg import eigh
from scipy.signal import savgol_filter

from certify.theory.graph_spectra import edge_scores, edge_scores_full, laplacian, node_scores, pencil, refit_cost
from certify.theory.rank_monotone import cut_is_clean, is_rank_monotone, separates_top, top_mask
from proofs_check.checks import Check
from proofs_check.counterexamples.core import Refutation, Relation

Layers = tuple[np.ndarray, ...]


def _normalised(layers: Layers) -> Layers:
    """Each layer over its own maximum: an increasing map per layer."""
    return tuple(layer / layer.max() for layer in layers)


def _kept_in_first(layers: Layers, kept: int) -> int:
    return int(top_mask(np.concatenate(layers), kept)[: layers[0].size].sum())


GLOBAL = Refutation(
    "SEL-global-transform",
    "by hand",
    "layers (1,2) and (3,4), K = 2, one pool: raw magnitudes keep 3 and 4; over the maximum of each layer, (1/2,1) and "
    "(3/4,1), they keep one of each layer",
    lambda layers, kept: {
        f"increasing in the magnitude of layer {index}": is_rank_monotone(_normalised(layers)[index], layers[index])
        for index in range(len(layers))
    },
    lambda layers, kept: Relation(
        "kept in layer 1, normalised = kept in layer 1, raw",
        _kept_in_first(_normalised(layers), kept),
        "=",
        _kept_in_first(layers, kept),
    ),
    lambda layers, kept: Relation(
        "layers whose own top halves agree = layers",
        sum(
            np.array_equal(top_mask(new, new.size // 2), top_mask(old, old.size // 2))
            for new, old in zip(_normalised(layers), layers, strict=True)
        ),
        "=",
        len(layers),
    ),
    {"layers": (np.array([1.0, 2.0]), np.array([3.0, 4.0])), "kept": 2},
    {"layers": (np.array([1.0, 2.0]), np.array([1.0, 2.0])), "kept": 2},
)

SIGNED = Refutation(
    "SEL-signed-fusion",
    "by hand",
    "features r and r^2 at r = 1/4, 1/2, 3/4, weights 1 and -1: r - r^2 = 3/16, 1/4, 3/16 is no increasing function of the rank",
    lambda ranks, weights: {"each feature is increasing": is_rank_monotone(ranks, ranks) and is_rank_monotone(ranks**2, ranks)},
    lambda ranks, weights: Relation(
        "the fusion is increasing (1 = yes)", int(is_rank_monotone(weights[0] * ranks + weights[1] * ranks**2, ranks)), "=", 1
    ),
    lambda ranks, weights: Relation(
        "with |weights| it is (1 = yes)",
        int(is_rank_monotone(abs(weights[0]) * ranks + abs(weights[1]) * ranks**2, ranks)),
        "=",
        1,
    ),
    {"ranks": np.array([0.25, 0.5, 0.75]), "weights": (1.0, -1.0)},
    {"ranks": np.array([0.25, 0.5, 0.75]), "weights": (1.0, 1.0)},
)


def _iterate(steps: int, size: int) -> np.ndarray:
    """F^t at z = (rank + 1/2) / n, F(z) = 4 z (1 - z): a polynomial of degree 2^t."""
    z = (np.arange(size) + 0.5) / size
    for _ in range(steps):
        z = 4.0 * z * (1.0 - z)
    return z


def _smoothed(feature: np.ndarray) -> np.ndarray:
    """Savitzky–Golay along the ranks, window the largest odd number up to n/3, polyorder 2."""
    third = feature.size // 3
    return savgol_filter(feature, third - 1 + third % 2, 2, mode="interp")


def _degree(feature: np.ndarray, tolerance: float = 0.1) -> int:
    """D_eps: least degree whose Chebyshev fit on the grid leaves at most eps of the standard deviation."""
    y = 2.0 * (np.arange(feature.size) + 0.5) / feature.size - 1.0
    basis, _ = np.linalg.qr(chebyshev.chebvander(y, feature.size - 1))
    square = (basis.T @ ((feature - feature.mean()) / feature.std())) ** 2
    tails = np.sqrt(np.append(np.cumsum(square[::-1])[::-1][1:], 0.0) / feature.size)
    return int(np.argmax(tails <= tolerance))


SMOOTHING = Refutation(
    "SEL-smoothing",
    "floats",
    "F^5 of the logistic map on 192 ranks, degree 32, smoothed by Savitzky–Golay (window 63, order 2): its D_0.1 is not below "
    "13, the limit of the smooth level, it is larger than that of F^5 itself",
    lambda steps, size: {"smoothed over a third of the ranks": size >= 9},
    lambda steps, size: Relation("D_0.1 after smoothing <= 12", _degree(_smoothed(_iterate(steps, size))), "<=", 12),
    lambda steps, size: Relation("D_0.1 before smoothing <= 2^t", _degree(_iterate(steps, size)), "<=", 2**steps),
    {"steps": 5, "size": 192},
    {"steps": 1, "size": 192},
)


def _least_and_largest(scores: np.ndarray, base: np.ndarray, kept: int) -> tuple[float, float]:
    top = top_mask(base, kept)
    return float(scores[~top].max()), float(scores[top].min())


def _ties(suffix: str, words: str, base: list[float], scores: list[float]) -> Refutation:
    return Refutation(
        "ER-SEL-T3-ties",
        "by hand",
        words,
        lambda base, scores, kept: {"keep(s) = keep(m)": np.array_equal(top_mask(scores, kept), top_mask(base, kept))},
        lambda base, scores, kept: Relation(
            "max s over the rest < min s over top-K(m)",
            _least_and_largest(scores, base, kept)[0],
            "<",
            _least_and_largest(scores, base, kept)[1],
        ),
        lambda base, scores, kept: Relation(
            "if s_(K) != s_(K+1), the criterion holds",
            int(cut_is_clean(scores, kept)),
            "<=",
            int(separates_top(scores, base, kept)),
        ),
        {"base": np.array(base), "scores": np.array(scores), "kept": 2},
        {"base": np.array(base), "scores": np.array(base) * 2.0 - np.arange(len(base)) / 10.0, "kept": 2},
        suffix,
    )


TIES = _ties(
    "",
    "m = (5,3,5,6), s = (3,3,2,5), K = 2: both keep entries 4 and 1, the tie 3 = 3 falls by position, and 3 > 3 is false",
    [5.0, 3.0, 5.0, 6.0],
    [3.0, 3.0, 2.0, 5.0],
)
TIES_CLEAN_BASE = _ties(
    "-clean-base",
    "the same without a tie of m: m = (6,5,4), s = (2,1,1), K = 2: both keep the first two, and 1 > 1 is false",
    [6.0, 5.0, 4.0],
    [2.0, 1.0, 1.0],
)


def _graph(*edges: tuple[int, int, float], nodes: int) -> np.ndarray:
    table = np.zeros((nodes, nodes))
    for p, q, weight in edges:
        table[p, q] = table[q, p] = weight
    return table


def _full(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    return node_scores(inner, edge_scores_full(inner, outer))


def _spade(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    return node_scores(inner, edge_scores(pencil(inner, outer), 1))


CORE = _graph((0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 4, 1.0), (2, 4, 1.0), nodes=5)
TORN = _graph((0, 1, 1.0), (0, 2, 0.1), (1, 2, 0.1), (2, 3, 1.0), (3, 4, 1.0), (2, 4, 1.0), nodes=5)
HELD = _graph((0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (2, 3, 0.1), (3, 4, 1.0), (2, 4, 0.1), nodes=5)

TWINS = Refutation(
    "SSD-twins",
    "floats",
    "two triangles that share node 2, unit weights before, the edges (0,2), (1,2) weakened to 1/10 after: 0 and 1 are exact "
    "duplicates of each other and score highest",
    lambda inner, outer: {
        "0 and 1 have equal weights towards all others in both graphs": bool(
            np.array_equal(inner[0, 2:], inner[1, 2:]) and np.array_equal(outer[0, 2:], outer[1, 2:])
        )
    },
    lambda inner, outer: Relation(
        "score of a duplicate <= least score of the others",
        float(_spade(inner, outer)[0]),
        "<=",
        float(_spade(inner, outer)[2:].min()),
    ),
    lambda inner, outer: Relation("score of 0 = score of 1", float(_spade(inner, outer)[0]), "=", float(_spade(inner, outer)[1])),
    {"inner": CORE, "outer": TORN},
    {"inner": CORE, "outer": HELD},
)


def _identity_score(weights: np.ndarray, form: str) -> float:
    if form == "log":
        return float(node_scores(weights, edge_scores(pencil(weights, weights), len(weights) - 1, form="log"))[0])
    return float(_full(weights, weights)[0])


IDENTITY = Refutation(
    "SSD-identity",
    "by hand",
    "L_in = L_out = K_3 with unit weights: over all pairs each edge scores its resistance, 2/3, not 0; the log form scores 0",
    lambda weights, form: {"equal graphs": True},
    lambda weights, form: Relation("score of an identity layer < 1e-9", _identity_score(weights, form), "<", 1e-9),
    lambda weights, form: Relation("score in the log form < 1e-9", _identity_score(weights, "log"), "<", 1e-9),
    {"weights": np.ones((3, 3)) - np.eye(3), "form": "full"},
    {"weights": np.ones((3, 3)) - np.eye(3), "form": "log"},
)

ACTIVATIONS = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])

REMOVAL = Refutation(
    "SSD-removability",
    "by hand",
    "two units on four samples, A_1 = (1,0,0,0), A_2 = (0,0,1,1): whatever the score says, refitting without unit 1 leaves "
    "||w||^2 / 2, 500,000 at outgoing weight 1000; the score does not see outgoing weights",
    lambda outgoing, allowed: {"A_1 is not in the span of 1 and A_2": refit_cost(ACTIVATIONS, 0, [1.0]) > 0.4},
    lambda outgoing, allowed: Relation(
        "least cost of removing unit 1 <= M", refit_cost(ACTIVATIONS, 0, [outgoing]), "<=", allowed
    ),
    lambda outgoing, allowed: Relation(
        "least cost of removing unit 1 = ||w||^2 dist^2", refit_cost(ACTIVATIONS, 0, [outgoing]), "=", outgoing**2 * 0.5
    ),
    {"outgoing": 1000.0, "allowed": 1.0},
    {"outgoing": 1.0, "allowed": 1.0},
)

COMPLETE = np.ones((6, 6)) - np.eye(6)
TRIANGLES = np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3))


def _pseudo_spectrum(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    return np.sort(np.linalg.eigvals(np.linalg.pinv(laplacian(outer)) @ laplacian(inner)).real)[::-1]


def _ridge_top(inner: np.ndarray, outer: np.ndarray, ridge: float) -> float:
    return float(eigh(laplacian(inner), laplacian(outer) + ridge * np.eye(len(outer)), eigvals_only=True)[-1])


DISCONNECTED = Refutation(
    "SSD-disconnection",
    "by hand",
    "K_6 over two triangles: L_out^+ L_in has the spectrum {2,2,2,2,0,0}, but (1,1,1,-1,-1,-1) costs 36 before and 0 after; "
    "with L_out + eps I the top value is 6/eps",
    lambda inner, outer, ridge: {"ridge > 0": ridge > 0.0},
    lambda inner, outer, ridge: Relation(
        "top of (L_out + eps I)^-1 L_in <= top of L_out^+ L_in",
        _ridge_top(inner, outer, ridge),
        "<=",
        float(_pseudo_spectrum(inner, outer)[0]),
    ),
    lambda inner, outer, ridge: Relation(
        "top of (L_out + eps I)^-1 L_in = 6/(eps + cut)",
        _ridge_top(inner, outer, ridge),
        "=",
        6.0 / (ridge + 6.0 * float(outer[:3, 3:].any())),
    ),
    {"inner": COMPLETE, "outer": TRIANGLES, "ridge": 1e-3},
    {"inner": COMPLETE, "outer": COMPLETE, "ridge": 1e-3},
)


def spectrum() -> str:
    found = _pseudo_spectrum(COMPLETE, TRIANGLES)
    return "" if np.allclose(found, [2, 2, 2, 2, 0, 0], atol=1e-12) else f"spectrum {found}"


def _logs(weight: float) -> np.ndarray:
    """Two nodes, input weight w, output weight 1: one pair with lambda = w."""
    return np.log(pencil([[0.0, weight], [weight, 0.0]], [[0.0, 1.0], [1.0, 0.0]]).values)


LOG_FORM = Refutation(
    "ER-SSD-log",
    "by hand",
    "two nodes of input weight 4 and output weight 1: lambda = 4, the affine-invariant distance of the forms is |log 4| = "
    "1.386, the sum of squares is 1.922",
    lambda weight: {"one eigenvalue": len(_logs(weight)) == 1},
    lambda weight: Relation("sum log^2 = distance", float(np.sum(_logs(weight) ** 2)), "=", abs(math.log(weight))),
    lambda weight: Relation(
        "sqrt(sum log^2) = distance", math.sqrt(float(np.sum(_logs(weight) ** 2))), "=", abs(math.log(weight))
    ),
    {"weight": 4.0},
    {"weight": math.e},
)

REFUTATIONS = (GLOBAL, SIGNED, SMOOTHING, TIES, TIES_CLEAN_BASE, TWINS, IDENTITY, REMOVAL, DISCONNECTED, LOG_FORM)
CHECKS: tuple[Check, ...] = (
    *(item.check() for item in REFUTATIONS),
    Check("CX-SSD-spectrum", "floats", "K_6 over two triangles: {2,2,2,2,0,0}", ("SSD-disconnection",), spectrum),
)
