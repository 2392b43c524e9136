"""Lipschitz constants of what follows a target: a product of row sums, and the smallest one by exact tracing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from certify.laws._checks import Array
from certify.theory.budget import data_path_size, lipschitz_by_row_sums, smallest_lipschitz
from certify.theory.exact import ReluPath, relu_path
from simulations.networks.architectures import Weights
from simulations.networks.network import SyntheticNetwork

Layers = list[tuple[Array, Array]]


@dataclass(frozen=True)
class Traced:
    """The polygon of every sample's logits from S (theta = 0) to A (theta = 1), as float64.

    sizes     : (T,) ||R V_s||_inf.
    endpoint  : (T,) ||gamma(1) - gamma(0)||_inf.
    variation : (T,) V = int ||gamma'||_inf.
    speed     : (T,) sup ||gamma'||_inf; the smallest L_s times the size.
    end_speed : (T,) ||gamma'||_inf just below theta = 1: what the Jacobian of the dense network shows. No bound on anything.
    pairwise  : (T, K) int |gamma_j' - gamma_C'|.
    end_pairs : (T, K) |gamma_j' - gamma_C'| just below theta = 1.
    lipschitz : (T,) speed / size, 0 where nothing is sent on.
    Claim X8-path-variation, X9-best-L.
    """

    sizes: Array
    endpoint: Array
    variation: Array
    speed: Array
    end_speed: Array
    pairwise: Array
    end_pairs: Array
    lipschitz: Array


def row_sums(network: SyntheticNetwork, layer: str, replaced: Weights | None = None) -> float:
    """L = prod_k ||W_k||_inf over what follows `layer`, valid for every sample and every value of the layer itself.

    Claim ESM1-R2.9-local-lipschitz.
    """
    return lipschitz_by_row_sums([matrix for matrix, _ in network.tail(layer, replaced).layers])


def exact_paths(network: SyntheticNetwork, layer: str, removed: Array, replaced: Weights | None = None) -> list[ReluPath]:
    """The polygon of each sample's logits while `removed` is put back into `layer`, in rational arithmetic.

    removed  : (rows, cols) R; theta = 0 has A - R (rounded once, as the shipped weights are), theta = 1 has A - R + R.
    replaced : other values of other targets.
    """
    start, step, rest = _line(network, layer, removed, replaced)
    return [relu_path(start[s], step[s], [(w, b[s]) for w, b in rest]) for s in range(len(start))]


def traced(network: SyntheticNetwork, layer: str, removed: Array, replaced: Weights | None = None) -> Traced:
    """`exact_paths` summed up in float64, with the smallest admissible constants.

    Corners are found in float64, slopes come from the active pattern between two corners and not from differences, so they
    carry a rounding error of a few units in the last place.
    network, layer, removed, replaced : as in `exact_paths`.
    """
    start, step, rest = _line(network, layer, removed, replaced)
    sizes = data_path_size(removed, network.data_path(layer, replaced))
    found = [_polygon(start[s], step[s], [(w, b[s]) for w, b in rest]) for s in range(len(start))]
    moved = [widths @ slopes for widths, slopes in found]
    fastest = [np.abs(slopes).max(axis=1) for _, slopes in found]
    apart = [np.abs(slopes - slopes[:, [c]]) for (_, slopes), c in zip(found, network.labels, strict=True)]
    speed = np.array([rates.max() for rates in fastest])
    return Traced(
        sizes=sizes,
        endpoint=np.array([np.abs(whole).max() for whole in moved]),
        variation=np.array([widths @ rates for (widths, _), rates in zip(found, fastest, strict=True)]),
        speed=speed,
        end_speed=np.array([rates[-1] for rates in fastest]),
        pairwise=np.array([widths @ pairs for (widths, _), pairs in zip(found, apart, strict=True)]),
        end_pairs=np.array([pairs[-1] for pairs in apart]),
        lipschitz=np.nan_to_num(smallest_lipschitz(speed, sizes), nan=0.0),
    )


def _line(network: SyntheticNetwork, layer: str, removed: Array, replaced: Weights | None) -> tuple[Array, Array, Layers]:
    """What enters the first ReLU, at theta = 0 and per unit of theta, (T, n) each; and the layers after it."""
    weights = (replaced or {}).get(layer, network.weights[layer])
    inputs = network.data_path(layer, replaced)
    (first, offset), *rest = network.tail(layer, replaced).layers
    start = (inputs @ (weights - removed).T).reshape(len(inputs), -1) @ first.T + offset
    return start, (inputs @ removed.T).reshape(len(inputs), -1) @ first.T, rest


def _polygon(start: Array, step: Array, layers: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Widths (M,) of the pieces of [0, 1] on which gamma is linear, and its slopes there (M, K)."""
    points = np.array([0.0, 1.0])
    for depth in range(len(layers)):
        ends = _values(start, step, layers[:depth], points)
        piece, unit = np.nonzero(ends[:-1] * ends[1:] < 0.0)
        before, after = ends[piece, unit], ends[piece + 1, unit]
        corners = points[piece] + (points[piece + 1] - points[piece]) * before / (before - after)
        points = np.unique(np.concatenate([points, corners]))
    middle = 0.5 * (points[:-1] + points[1:])
    values, slopes = start + middle[:, None] * step, np.tile(step, (len(middle), 1))
    for matrix, offset in layers:
        slopes = np.where(values > 0.0, slopes, 0.0) @ matrix.T
        values = np.maximum(values, 0.0) @ matrix.T + offset
    return np.diff(points), slopes


def _values(start: Array, step: Array, layers: Sequence[tuple[Array, Array]], points: Array) -> Array:
    values = start + points[:, None] * step
    for matrix, offset in layers:
        values = np.maximum(values, 0.0) @ matrix.T + offset
    return values
