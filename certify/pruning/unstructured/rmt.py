"""Pruning below the spectral edge as it was published, the singular-vector step, and the negative controls of both."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from certify.laws.shrinkage import hard_threshold
from certify.pruning.masks import keep_all_but, share_of
from certify.pruning.method import Made, Method, Request
from certify.records import Edit, Spectrum, Usage
from certify.spectra import kinds_of, layer_table

RATE, GROWTH, TEMPER, MOST_CYCLES = 0.06, 1.02, 1.5, 500


def rows_of(request: Request) -> dict[str, Spectrum]:
    """The layer table of the targets, by name."""
    return {row.target: row for row in layer_table(request.weights, kinds=kinds_of(request.targets))}


def rmt(request: Request, *, rate: float = RATE, growth: float = GROWTH, temper: float = TEMPER) -> Made:
    """Cycle i removes floor(((1 - error) share)^(temper / i) rate growth^i left) smallest |w| of each layer.

    error and share are the fit error and the bulk share of the dense layer; a layer without a bulk has score 0 and keeps its
    weights. The last cycle is cut so that exactly floor(s · total) are gone; within it the layers go in module order.
    Published with fine-tuning in between and with singular-vector steps at a threshold that removes almost nothing; both are
    left out. Refused where no layer has a bulk. Source: methods/mp-pruning 1.6.
    """
    assert request.sparsity is not None
    if not (0 < rate < 1 and growth > 0 and temper > 0):
        raise Usage(f"rate = {rate}, growth = {growth}, temper = {temper}: need 0 < rate < 1 and positive numbers")
    scores = {
        name: max(0.0, 1.0 - row.fit_error) * row.bulk_share if row.fitted else 0.0 for name, row in rows_of(request).items()
    }
    sizes = {name: weight.size for name, weight in request.weights.items()}
    wanted = share_of(sum(sizes.values()), request.sparsity)
    gone = dict.fromkeys(sizes, 0)
    for cycle in range(1, MOST_CYCLES + 1):
        for name, score in scores.items():
            left = sizes[name] - gone[name]
            step = int(score ** (temper / cycle) * min(1.0, rate * growth**cycle) * left) if score > 0 else 0
            gone[name] += min(step, wanted - sum(gone.values()))
    if sum(gone.values()) < wanted:
        raise Usage(
            f"rmt: sparsity {request.sparsity} is not reached in {MOST_CYCLES} cycles; no layer with a bulk is left to cut"
        )
    weights = request.weights
    kept = {name: keep_all_but(np.abs(weights[name]).reshape(-1), gone[name]).reshape(weights[name].shape) for name in gone}
    return Made(tuple(Edit(name, kept[name]) for name in gone), {"scores": scores})


def reconstruction(request: Request, *, keep: str = "spikes") -> Made:
    """A control: the layer rebuilt from its leading singular components. It removes no weight; the values change.

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
        edits.append(Edit(name, np.ones(weight.shape, bool), (u[:, : ranks[name]] * s[: ranks[name]]) @ v[: ranks[name]]))
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

    Singular values stay, nothing is renormalised; the result is dense: no weight is removed, values change.
    Source: methods/mp-pruning 1.3.
    """
    if strength < 0 or power <= 0:
        raise Usage(f"strength = {strength}, power = {power}: need >= 0 and > 0")
    rows = rows_of(request)
    alphas = [row.hill_20 for row in rows.values() if row.hill_20 is not None]
    edits, zeroed = [], {}
    for name, row in rows.items():
        weight = request.evidence.weights[name]
        if not row.fitted:
            edits.append(Edit(name, np.ones(weight.shape, bool)))
            continue
        z = strength * (row.hill_20 / float(np.mean(alphas)) if row.hill_20 is not None else 1.0)
        u, s, v = np.linalg.svd(weight, full_matrices=False)
        cut = z * np.clip(1.0 - s / row.spike_edge, 0.0, None) ** power
        gone_u, gone_v = np.abs(u) < cut / np.sqrt(row.rows), np.abs(v.T) < cut / np.sqrt(row.cols)
        zeroed[name] = int(gone_u.sum() + gone_v.sum())
        edits.append(Edit(name, np.ones(weight.shape, bool), (np.where(gone_u, 0, u) * s) @ np.where(gone_v, 0, v.T).T))
    return Made(tuple(edits), {"zeroed_vector_entries": zeroed})


METHODS = (
    Method("rmt", "magnitude below the edge by the layer's fit, cycle by cycle, as published", rmt, ("sparsity",)),
    Method("reconstruction", "control: leading singular components alone, removes nothing", reconstruction, ("own",)),
    Method("chi-squared", "control: entries that do not look like noise", chi_squared, ("own",)),
    Method("haar", "small entries of bulk singular vectors zeroed, removes nothing", haar, ("own",)),
)
