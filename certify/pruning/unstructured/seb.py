"""Spectral edge budgeting: a global magnitude cut, divided per layer by a weight that a spectral signal sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from certify.pruning.masks import keep_largest
from certify.pruning.method import Made, Method, Request
from certify.pruning.unstructured.magnitude import overlap
from certify.records import Edit, Spectrum, Usage
from certify.spectra import kinds_of, layer_table
from certify.spectra.tails import hill_orders
from certify.spectra.values import numerical_rank

LEAST = 0.1
SIGNALS = ("regime", "edge", "alpha", "std", "rms", "shape", "edge/std", "shuffled")
# Up to this sparsity: signal, strength by layer type, sparsity at which the budgets are equal again.
REGIMES = (
    (0.20, "alpha", {"attn": 0.50, "mlp": 0.50, "other": 0.50}, 0.30),
    (0.40, "edge", {"attn": 1.00, "mlp": 1.00, "other": 1.00}, 0.50),
    (0.55, "edge", {"attn": 1.25, "mlp": 1.25, "other": 1.25}, 0.70),
    (1.00, "edge", {"attn": 1.00, "mlp": 2.00, "other": 1.50}, 0.85),
)


def layer_weights(
    request: Request,
    sparsity: float,
    *,
    signal: str = "regime",
    strength: float = 1.0,
    attn: float = 1.0,
    mlp: float = 1.0,
    decay: float = 1.0,
    exponent: float = 1.0,
) -> dict[str, float]:
    """The weight w of each layer; its magnitudes are cut at w times the common cut, so a small w protects.

        w_l = max(0.1, 1 + strength beta_type(l) d z_l),   d = max(0, 1 - s / (decay s_d))^exponent

    z_l is the signal's z-score over the layers (population standard deviation), 0 where a layer has no signal or all agree;
    beta and s_d follow from the sparsity s, see REGIMES.
    signal    : "regime" takes the Hill exponent up to s = 0.2 and the fitted bulk edge beyond; "edge", "alpha" (Hill, k = 20);
                controls: "std" and "rms" of the weights, "shape" (sqrt rows + sqrt cols, the edge of unit noise), "edge/std",
                "shuffled" (the edges dealt anew to the layers by the request's seed).
    strength  : factor on every beta; 0 gives equal weights, a negative one protects where the published rule removes.
    attn, mlp : further factors on the beta of attention and MLP layers.
    decay     : factor on s_d, > 0.   exponent : > 0.
    Source: methods/mp-pruning 1.7.
    """
    if signal not in SIGNALS:
        raise Usage(f"signal = {signal!r} is none of {', '.join(SIGNALS)}")
    if not (decay > 0 and exponent > 0):
        raise Usage(f"decay = {decay}, exponent = {exponent}: both must be positive")
    if not np.all(np.isfinite([strength, attn, mlp, decay, exponent])):
        raise Usage(
            f"strength = {strength}, attn = {attn}, mlp = {mlp}, decay = {decay}, exponent = {exponent}: need finite numbers"
        )
    _, own, betas, equal = next(regime for regime in REGIMES if sparsity <= regime[0])
    fade = max(0.0, 1.0 - sparsity / (decay * equal)) ** exponent
    names = [target.name for target in request.targets]
    if fade == 0 or strength == 0:
        return dict.fromkeys(names, 1.0)
    scores = z_scores(signals(request, own if signal == "regime" else signal))
    factors = {"attn": attn, "mlp": mlp, "other": 1.0}
    slopes = {kind: strength * factors[kind] * betas[kind] for kind in betas}
    return {name: max(LEAST, 1.0 + slopes[layer_type(name)] * fade * scores[name]) for name in names}


def signals(request: Request, signal: str) -> dict[str, float | None]:
    """The signal of each layer, None where it has none: no bulk could be fitted, or no tail exists."""
    weights = request.dense_weights
    spreads: dict[str, float | None] = {name: float(weight.std()) for name, weight in weights.items()}
    if signal == "std":
        return spreads
    if signal == "rms":
        return {name: float(np.sqrt(np.mean(np.square(weight)))) for name, weight in weights.items()}
    if signal == "shape":
        return {name: sum(size**0.5 for size in weight.shape) for name, weight in weights.items()}
    rows = {row.target: row for row in layer_table(weights, kinds=kinds_of(request.targets))}
    if signal == "alpha":
        return {name: tail_exponent(rows[name]) for name in weights}
    edges = {name: _edge(rows[name]) for name in weights}
    if signal == "edge/std":
        return {name: None if edge is None else edge / (spreads[name] or 1.0) for name, edge in edges.items()}
    if signal == "shuffled":
        dealt = np.random.default_rng(request.seed).permutation(len(edges))
        values = list(edges.values())
        return {name: values[place] for name, place in zip(edges, dealt, strict=True)}
    return edges


def tail_exponent(row: Spectrum) -> float | None:
    """Hill exponent of the 20 largest eigenvalues; None where the one they are measured against is rounding alone."""
    values = np.array(row.singular_values)
    return row.hill_20 if numerical_rank(values, row.rows, row.cols) > hill_orders(len(values))[0] else None


def _edge(row: Spectrum) -> float | None:
    return row.bare_edge if row.fitted else None


def z_scores(values: Mapping[str, float | None]) -> dict[str, float]:
    """(g - mean) / sd over the layers that have a signal; 0 for the others, and for all where the signal does not vary."""
    known = np.array([value for value in values.values() if value is not None])
    spread = float(known.std()) if known.size else 0.0
    if spread == 0.0:
        return dict.fromkeys(values, 0.0)
    return {name: 0.0 if value is None else (value - float(known.mean())) / spread for name, value in values.items()}


def layer_type(name: str) -> str:
    """attn, mlp or other, by the module's name."""
    return "attn" if "attn" in name else "mlp" if "mlp" in name or ".fc" in name else "other"


def cut(request: Request, weights: Mapping[str, float], sparsity: float) -> dict[str, np.ndarray]:
    """Masks that remove exactly floor(s · total) entries with the smallest |w_ij| / w_layer."""
    return keep_largest({name: np.abs(weight) / weights[name] for name, weight in request.weights.items()}, sparsity)


def budgeted(request: Request, kept: Mapping[str, np.ndarray], weights: Mapping[str, float], **facts: Any) -> Made:
    """Edits of these masks; the facts hold the layer weights and how much of it magnitude would have removed too."""
    assert request.sparsity is not None
    shared = overlap(request, kept, request.sparsity)
    return Made(
        tuple(Edit(name, mask) for name, mask in kept.items()),
        {"layer_weights": dict(weights), "overlap_with_magnitude": shared, **facts},
    )


def seb(
    request: Request,
    *,
    signal: str = "regime",
    strength: float = 1.0,
    attn: float = 1.0,
    mlp: float = 1.0,
    decay: float = 1.0,
    exponent: float = 1.0,
) -> Made:
    """Score |w_ij| / w_layer, see `layer_weights`; bit for bit global magnitude where all weights are 1."""
    assert request.sparsity is not None
    weights = layer_weights(
        request, request.sparsity, signal=signal, strength=strength, attn=attn, mlp=mlp, decay=decay, exponent=exponent
    )
    return budgeted(request, cut(request, weights, request.sparsity), weights)


METHODS = (Method("seb", "magnitude under layer budgets from the bulk's edge", seb, ("sparsity",)),)
