"""Hypothesis strategies shared by all tests: the instances on which a formula about pruning goes wrong first."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

# Multiples of 1/2 of small size: sums and differences are exact, so ties and margins of exactly 2 eta occur.
LATTICE = st.integers(-6, 6).map(lambda k: k / 2)
MODERATE = st.floats(-30.0, 30.0)
HUGE = st.sampled_from([-1e4, -9999.5, 0.0, 9999.5, 1e4])
WEIGHTS = ("zero", "lattice", "moderate", "rank one", "subnormal", "huge")


@st.composite
def labelled_logits(draw, *, entries=None, max_samples: int = 4, max_classes: int = 5):
    """((T, K) logits, (T,) labels): exact ties, values of 1e4, generic ones; each table of one kind."""
    shape = draw(st.integers(1, max_samples)), draw(st.integers(2, max_classes))
    kind = entries if entries is not None else draw(st.sampled_from([LATTICE, MODERATE, HUGE]))
    logits = draw(arrays(np.float64, shape, elements=kind))
    if draw(st.booleans()):
        logits[-1] = logits[-1, 0]
    return logits, draw(arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))


def lattice_logits(**sizes):
    """Labelled logits whose margins are exact multiples of 1/2."""
    return labelled_logits(entries=LATTICE, **sizes)


def bounds_on_logits(samples: int, *, entries=None):
    """(T,) etas: zero, exact halves, tiny, large."""
    sizes = st.one_of(st.just(0.0), st.integers(0, 6).map(lambda k: k / 4), st.floats(0.0, 50.0))
    return arrays(np.float64, samples, elements=sizes if entries is None else entries)


def log_probability_pairs(*, extreme: float = 700.0):
    """(log p, log(1 - p)) with p and 1 - p down to e^-700."""
    odds = st.one_of(st.floats(-extreme, extreme), st.floats(-3.0, 3.0), st.sampled_from([-extreme, 0.0, extreme]))
    return odds.map(lambda a: (-float(np.logaddexp(0.0, a)), -float(np.logaddexp(0.0, -a))))


def probabilities():
    """p in (0, 1), near both ends and in between."""
    return st.one_of(st.floats(1e-12, 1.0 - 1e-12), st.sampled_from([1e-9, 0.5, 1.0 - 1e-9]))


@st.composite
def weight_matrices(draw, *, max_rows: int = 4, max_cols: int = 5, kinds=WEIGHTS):
    """(rows, cols) weights: zero, lattice, generic, rank one, subnormal, or around 1e140."""
    shape = draw(st.integers(1, max_rows)), draw(st.integers(1, max_cols))
    kind = draw(st.sampled_from(kinds))
    if kind == "zero":
        return np.zeros(shape)
    if kind == "rank one":
        return np.outer(
            draw(arrays(np.float64, shape[0], elements=LATTICE)), draw(arrays(np.float64, shape[1], elements=LATTICE))
        )
    table = draw(arrays(np.float64, shape, elements=LATTICE if kind != "moderate" else MODERATE))
    return table * {"subnormal": 2.0**-1070, "huge": 1e140}.get(kind, 1.0)


@st.composite
def mask_splits(draw, *, kinds=WEIGHTS):
    """(kept, removed) of one matrix under a mask: nothing removed, everything removed, or some of it."""
    weight = draw(weight_matrices(kinds=kinds))
    keep = draw(
        st.one_of(st.just(np.zeros(weight.shape, bool)), st.just(np.ones(weight.shape, bool)), arrays(bool, weight.shape))
    )
    return np.where(keep, weight, 0.0), np.where(keep, 0.0, weight)


@st.composite
def token_inputs(draw, cols: int, *, max_samples: int = 3, max_tokens: int = 4):
    """(T, P, cols) data paths, some tokens zero."""
    shape = draw(st.integers(1, max_samples)), draw(st.integers(1, max_tokens)), cols
    return draw(arrays(np.float64, shape, elements=st.one_of(LATTICE, MODERATE)))


@st.composite
def chebyshev_paths(draw, *, classes: int, max_degree: int = 6):
    """(n + 1, 1, K) Chebyshev coefficients of a smooth path of logits."""
    degree = draw(st.integers(1, max_degree))
    return draw(arrays(np.float64, (degree + 1, 1, classes), elements=st.integers(-8, 8).map(float)))


@st.composite
def instances(draw, trial):
    """An instance of a trial of proofs_check: sizes, then each field from its range with ties, zeros, huge and tiny values."""
    size = {name: draw(st.integers(*trial.range(name))) for name in trial.sizes}
    return {name: draw(_values(entry, tuple(size[s] for s in entry.sizes), size)) for name, entry in trial.fields.items()}


def _values(entry, shape, size):
    if entry.optional:
        return st.none()
    if entry.kind == "label":
        return arrays(np.int64, shape, elements=st.integers(0, size["classes"] - 1))
    if entry.kind == "mask":
        return arrays(bool, shape)
    if entry.kind == "simplex":
        return _simplex(shape)
    if entry.kind == "whole":
        high = int(entry.high) if np.isfinite(entry.high) else int(max(entry.low, 0)) + 12
        low = int(entry.low) if np.isfinite(entry.low) else high - 24
        elements = st.integers(low, high)
        return arrays(np.int64, shape, elements=elements) if shape else elements
    elements = _reals(entry.low, entry.high)
    return arrays(np.float64, shape, elements=elements) if shape else elements


def _reals(low, high):
    """Numbers of [low, high]: both ends, halves (ties), tiny, generic and, where allowed, 1e4."""
    inside = [value for value in (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 1e-12, -1e-12, 1e4, -1e4, low, high) if low <= value <= high]
    inside = [value for value in inside if np.isfinite(value)]
    return st.one_of(st.sampled_from(inside), st.floats(max(low, -30.0), min(high, 30.0)))


@st.composite
def _simplex(draw, shape):
    """Rows on the simplex, its faces and vertices included."""
    weights = draw(arrays(np.float64, shape, elements=st.one_of(st.just(0.0), st.floats(1e-6, 1.0))))
    weights[weights.sum(axis=-1) == 0.0] = 1.0
    return weights / weights.sum(axis=-1, keepdims=True)
