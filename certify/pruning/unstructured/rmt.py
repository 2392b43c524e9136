"""Pruning below the spectral edge as it was published, the singular-vector step, and the negative controls of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.stats import chi2

from certify.laws.shrinkage import hard_threshold
from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request
from certify.pruning.unstructured.seb import tail_exponent
from certify.records import Edit, Spectrum, Usage
from certify.spectra import kinds_of, layer_table

RATE, GROWTH, TEMPER, MOST_CYCLES = 0.06, 1.02, 1.5, 500
THETA = 750 * 1.5e-8
Cut = Callable[[np.ndarray], np.ndarray]


def rows_of(request: Request) -> dict[str, Spectrum]:
    """The layer table of the targets, by name."""
    return {row.target: row for row in layer_table(request.dense_weights, kinds=kinds_of(request.targets))}


def rmt(request: Request, *, rate: float = RATE, growth: float = GROWTH, temper: float = TEMPER, vectors: float = 0.0) -> Made:
    """Cycle i removes floor(((1 - error) share)^(temper / i) rate growth^i left) smallest |w| of each layer.

    error and share are the fit error and the bulk share of the dense layer; a layer without a bulk has score 0 and keeps its
    weights. The last cycle is cut so that exactly floor(s · total) are gone; within it the layers go in module order.
    vectors : factor on the published threshold of the singular-vector step, see `threshold`, taken before the element step of
              every even cycle; 1 as published. It decomposes each layer every second cycle and changes the values of kept
              weights; removed ones stay removed. 0 leaves it out.
    Published with fine-tuning in between, which is left out. Refused where no layer has a bulk.
    Source: methods/mp-pruning 1.6.
    """
    assert request.sparsity is not None
    if not (0 < rate < 1 and growth > 0 and temper > 0 and vectors >= 0):
        raise Usage(
            f"rate = {rate}, growth = {growth}, temper = {temper}, vectors = {vectors}: need 0 < rate < 1, positive numbers, >= 0"
        )
    rows, weights = rows_of(request), request.weights
    scores = {name: max(0.0, 1.0 - row.fit_error) * row.bulk_share if row.fitted else 0.0 for name, row in rows.items()}
    wanted = share_of(sum(weight.size for weight in weights.values()), request.sparsity)
    gone, zeroed, cycle = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0), 0
    while sum(gone.values()) < wanted and cycle < MOST_CYCLES:
        cycle += 1
        pace = min(1.0, rate * growth**cycle)
        for name in [name for name in weights if scores[name] > 0]:
            if vectors and cycle % 2 == 0:
                cut = partial(threshold, edge=rows[name].spike_edge, theta=vectors * THETA * pace * weights[name].size)
                weights[name], entries = _masked_step(weights[name], gone[name], cut)
                zeroed[name] += entries
            step = int(scores[name] ** (temper / cycle) * pace * (weights[name].size - gone[name]))
            gone[name] += min(step, wanted - sum(gone.values()))
    if sum(gone.values()) < wanted:
        raise Usage(
            f"rmt: sparsity {request.sparsity} is not reached in {MOST_CYCLES} cycles; no layer with a bulk is left to cut"
        )
    kept = {name: _smallest_gone(weights[name], gone[name]) for name in gone}
    edits = tuple(Edit(name, kept[name], weights[name] if vectors and scores[name] > 0 else None) for name in kept)
    return Made(edits, {"scores": scores, "cycles": cycle, "zeroed_vector_entries": zeroed})


def threshold(values: np.ndarray, *, edge: float, theta: float) -> np.ndarray:
    """T_j = theta max(1/750, (1 - s_j / edge)^30), s_j below the edge: entries of u_j and v_j below T_j are zeroed.

    theta : published as THETA tau_i rows cols, tau_i the rate of cycle i.
    """
    return theta * np.maximum(1.0 / 750.0, np.clip(1.0 - values / edge, 0.0, None) ** 30)


def _smallest_gone(weight: np.ndarray, count: int) -> np.ndarray:
    return keep_all_but(np.abs(weight).reshape(-1), count).reshape(weight.shape)


def _masked_step(weight: np.ndarray, gone: int, cut: Cut) -> tuple[np.ndarray, int]:
    """The singular-vector step on what is left after `gone` smallest weights, which stay zero; and the zeroed entries."""
    kept = _smallest_gone(weight, gone)
    stepped, entries = vector_step(np.where(kept, weight, 0.0), cut, cut)
    return np.where(kept, stepped, 0.0), entries


def vector_step(weight: np.ndarray, left: Cut, right: Cut) -> tuple[np.ndarray, int]:
    """The matrix put together again from singular vectors whose small entries are zeroed, and how many entries that were.

    left, right : singular values -> the size below which entries of u_j and v_j go. Singular values stay.
    """
    u, s, v = np.linalg.svd(weight, full_matrices=False)
    gone_u, gone_v = np.abs(u) < left(s), np.abs(v.T) < right(s)
    return (np.where(gone_u, 0.0, u) * s) @ np.where(gone_v, 0.0, v.T).T, int(gone_u.sum() + gone_v.sum())


def _dense(name: str, values: np.ndarray) -> Edit:
    """An edit that ships these values and counts as removed what they turn to zero: rows, or a layer without components."""
    return Edit(name, values.astype(np.float32) != 0, values)


def reconstruction(request: Request, *, keep: str = "spikes") -> Made:
    """A control: the layer rebuilt from its leading singular components. The values change; only a layer without any is removed.

    keep : "spikes", the components at or beyond the spike edge; "gavish-donoho", those beyond its optimal hard threshold.
    Layers without a bulk stay as they are.
    """
    if keep not in ("spikes", "gavish-donoho"):
        raise Usage(f"keep = {keep!r} is none of spikes, gavish-donoho")
    edits, ranks = [], {}
    for name, row in rows_of(request).items():
        weight = request.evidence.weights[name]
        if not row.fitted:
            edits.append(Edit(name, np.ones(weight.shape, bool)))
            continue
        u, s, v = np.linalg.svd(weight, full_matrices=False)
        edge = row.spike_edge if keep == "spikes" else hard_threshold(row.rows, row.cols, row.entry_variance)
        ranks[name] = int(np.sum(s >= edge))
        edits.append(_dense(name, (u[:, : ranks[name]] * s[: ranks[name]]) @ v[: ranks[name]]))
    return Made(tuple(edits), {"ranks": ranks})


def chi_squared(request: Request, *, level: float = 0.5) -> Made:
    """A control: remove the entries that look like noise, R_ij^2 / sigma^2 below the upper `level` quantile of chi^2_1.

    R is the layer without its spikes, sigma^2 the fitted variance of an entry. Removes p-value > level, so a small level removes
    more. Layers without a bulk stay as they are.
    """
    if not 0 < level < 1:
        raise Usage(f"level = {level} is not in (0, 1)")
    edits = []
    for name, row in rows_of(request).items():
        weight = request.evidence.weights[name]
        kept = np.ones(weight.shape, bool)
        if row.fitted:
            u, s, v = np.linalg.svd(weight, full_matrices=False)
            bulk = s < row.spike_edge
            residual = (u[:, bulk] * s[bulk]) @ v[bulk]
            kept = chi2.sf(np.square(residual) / row.entry_variance, 1) <= level
        edits.append(Edit(name, kept))
    return Made(tuple(edits))


def haar(request: Request, *, strength: float = 0.5, power: float = 3.0) -> Made:
    """The singular-vector step: small entries of bulk singular vectors are zeroed and the layer is put together again.

        |u| < z_l g_i / sqrt(rows),  |v| < z_l g_i / sqrt(cols)  go,   g_i = (1 - s_i / edge)^power for s_i < edge
        z_l = strength alpha_l / mean alpha, alpha the Hill exponent; strength where a layer has none

    Singular values stay, nothing is renormalised; the result is dense: values change, and a weight counts as removed only where
    all of its vectors' entries are gone.
    Source: methods/mp-pruning 1.3.
    """
    if strength < 0 or power <= 0:
        raise Usage(f"strength = {strength}, power = {power}: need >= 0 and > 0")
    rows = rows_of(request)
    alphas = {name: alpha for name, row in rows.items() if (alpha := tail_exponent(row)) is not None}
    mean = float(np.mean(list(alphas.values()))) if alphas else 1.0
    edits, zeroed = [], {}
    for name, row in rows.items():
        weight = request.evidence.weights[name]
        if not row.fitted:
            edits.append(Edit(name, np.ones(weight.shape, bool)))
            continue
        z = strength * alphas.get(name, mean) / mean
        cut = partial(_haar_cut, edge=row.spike_edge, strength=z, power=power)
        values, zeroed[name] = vector_step(weight, partial(cut, length=row.rows), partial(cut, length=row.cols))
        edits.append(_dense(name, values))
    return Made(tuple(edits), {"zeroed_vector_entries": zeroed})


def _haar_cut(values: np.ndarray, *, edge: float, strength: float, power: float, length: int) -> np.ndarray:
    return strength * np.clip(1.0 - values / edge, 0.0, None) ** power / np.sqrt(length)


METHODS = (
    Method("rmt", "magnitude below the edge by the layer's fit, cycle by cycle, as published", rmt, ("sparsity",)),
    Method("reconstruction", "control: leading singular components alone, changes values", reconstruction, ("own",)),
    Method("chi-squared", "control: entries that do not look like noise", chi_squared, ("own",)),
    Method("haar", "small entries of bulk singular vectors zeroed, changes values", haar, ("own",)),
)
