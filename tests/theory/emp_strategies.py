"""Instances on which a statement about effective numbers, ranks or graphs goes wrong first."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

SMALL = st.integers(-4, 4).map(float)
BETAS = st.fractions(min_value="1/8", max_value=3, max_denominator=12)


@st.composite
def scores(draw, *, max_size: int = 12, min_size: int = 1):
    """(N,) scores, not all 0: ties and zeros, equal ones, one dominant, generic, one ulp off, tiny and huge units."""
    size = draw(st.integers(min_size, max_size))
    kind = draw(st.sampled_from(["lattice", "equal", "dominant", "generic", "ulp", "spread"]))
    values = draw(arrays(np.float64, size, elements=SMALL if kind == "lattice" else st.floats(-3.0, 3.0)))
    if kind in ("equal", "ulp"):
        values = np.full(size, draw(st.sampled_from([0.1, 1.0, 1 / 3, -0.7])))
    if kind == "ulp":
        values[draw(st.integers(0, size - 1))] *= 1 + draw(st.sampled_from([-1, 1])) * 2.0**-52
    if kind == "dominant":
        values[0] = 1e6
    if kind == "spread":
        values = values * 2.0 ** draw(arrays(np.int64, size, elements=st.integers(-40, 40))).astype(float)
    values = values * draw(st.sampled_from([1.0, 1.0, 2.0**-1022, 2.0**900]))
    if not values.any():
        values[draw(st.integers(0, size - 1))] = 1.0
    return values


def whole_scores(*, max_size: int = 9):
    """Lists of whole numbers >= 0, not all 0, for the exact twins."""
    return st.lists(st.integers(0, 12), min_size=1, max_size=max_size).filter(any)


@st.composite
def layer_instances(draw):
    """(weights (rows, cols), inputs (T, cols) or (T, P, cols), lipschitz (T,), keep (rows, cols)) of one target."""
    rows, cols, samples = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    tokens = draw(st.sampled_from([(), (1,), (3,)]))
    halves = st.integers(-6, 6).map(lambda k: k / 2)
    weights = draw(arrays(np.float64, (rows, cols), elements=halves))
    inputs = draw(arrays(np.float64, (samples, *tokens, cols), elements=st.one_of(halves, st.floats(-3.0, 3.0))))
    lipschitz = draw(arrays(np.float64, samples, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
    return weights, inputs, lipschitz, draw(arrays(bool, (rows, cols)))


@st.composite
def ranked_pairs(draw, *, max_size: int = 9):
    """((N,) base, (N,) score, K): unrelated, a monotone transform, a saturating one; with ties, -0.0 and infinities."""
    size = draw(st.integers(1, max_size))
    values = st.sampled_from([-np.inf, -2.0, -1.0, -0.0, 0.0, 1.0, 2.0, 3.0, 5.0, np.inf])
    base = draw(arrays(np.float64, size, elements=values))
    kind = draw(st.sampled_from(["any", "strict", "weak"]))
    score = {"any": lambda: draw(arrays(np.float64, size, elements=values)), "strict": lambda: np.arctan(base) * 7.0}.get(
        kind, lambda: np.clip(base, -1.0, draw(st.sampled_from([0.0, 1.0, 2.0])))
    )()
    return base, score, draw(st.integers(1, size))


@st.composite
def graphs(draw, *, size: int | None = None, max_size: int = 7):
    """(n, n) weights of a connected graph: a random tree and some more edges, weights between 1/4 and 4."""
    n = size if size is not None else draw(st.integers(2, max_size))
    weight = st.integers(1, 16).map(lambda k: k / 4)
    table = np.zeros((n, n))
    for node in range(1, n):
        table[node, draw(st.integers(0, node - 1))] = draw(weight)
    extra = draw(arrays(np.float64, (n, n), elements=st.one_of(st.just(0.0), weight)))
    table = np.maximum(table, np.tril(extra, -1))
    return table + table.T


@st.composite
def graph_pairs(draw, *, max_size: int = 7):
    """Two connected graphs on the same nodes."""
    n = draw(st.integers(2, max_size))
    return draw(graphs(size=n)), draw(graphs(size=n))
