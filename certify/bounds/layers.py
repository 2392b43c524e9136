"""Layer by layer: each target's removal as a step of its own, taken in the network where the earlier steps are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.resolved import resolve
from certify.networks.data_path import data_paths
from certify.networks.loading import State
from certify.networks.segment import Segment, between
from certify.records import Plan, Target
from certify.records.recipe import BoundsRecipe
from certify.spectra.fit import fit_values
from certify.theory.budget import budget, smallest_lipschitz
from certify.theory.elastic_net import break_even_l2, entrywise_l1, frobenius_squared, reward
from certify.theory.emp.data_path_scores import budget_upper_rows
from certify.theory.gaussian import gaussian_multiplier

# Error probability of the Gaussian rungs; a model's number, never a guarantee.
GAUSSIAN_DELTA = 0.05
# Orders of the mass budgets of EMP-T11; all hold, and the least is told.
MASS_ORDERS = (1.0, 2.0, 4.0, 8.0, float("inf"))


@dataclass(frozen=True)
class Steps:
    """All steps of a plan, in module order. Arrays are (steps, T), logit units.

    mass  : L_s max_i sum_j |R_ij| max_p |v_j|: what the removed row masses allow (EMP-T11, one sample at a time); with
            max_p ||v||_inf in a grouped convolution, whose rows read different inputs.
    gauss : the Gaussian model with the variance of all entries.
    edge  : the same with the variance of the Marchenko–Pastur bulk of R, where it has one.
    """

    variation: np.ndarray
    variation_error: np.ndarray
    speed: np.ndarray
    speed_error: np.ndarray
    mass: np.ndarray
    gauss: np.ndarray
    edge: np.ndarray
    rows: tuple[Mapping[str, Any], ...]
    converged: bool


def steps(
    model: nn.Module,
    reference: State,
    shipped: State,
    images: Tensor,
    labels: np.ndarray,
    plan: Plan,
    targets: Sequence[Target],
    settings: BoundsRecipe,
    progress: Callable[[str, float], None],
) -> Steps:
    """Variation, speed, data-path size and X9(b) Lipschitz value of each single removal (T5.8: in the intermediate networks)."""
    edited = {edit.target: edit for edit in plan.edits}
    order = [target for target in targets if target.name in edited]
    segment = Segment(model, reference, reference)
    done: set[str] = set()
    rows: list[Mapping[str, Any]] = []
    arrays: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Steps) if field.type == "np.ndarray"}
    converged = True
    for index, target in enumerate(order):
        progress(f"layer {target.name}", index / len(order))
        before = between(reference, shipped, done)
        done.add(target.weight)
        after = between(reference, shipped, done)
        segment.place(before, after)
        removed = before[target.weight].double() - after[target.weight].double()
        path = resolve(segment, images, labels, tolerance=settings.tolerance, max_order=settings.max_order)
        segment.logits(images[:1], 1.0)
        row, sizes = _row(segment.network, target, removed, images, path.speed_sup, settings)
        rows.append({"step": index + 1, "removed": edited[target.name].removed} | row)
        arrays["variation"].append(path.max_norm)
        arrays["variation_error"].append(path.max_norm_error)
        arrays["speed"].append(path.speed_sup)
        arrays["speed_error"].append(path.speed_sup_error)
        for name, values in sizes.items():
            arrays[name].append(values)
        converged &= bool(path.converged.all())
    return Steps(**{name: np.stack(value) for name, value in arrays.items()}, rows=tuple(rows), converged=converged)


def _row(
    network: nn.Module, target: Target, removed: Tensor, images: Tensor, speed: np.ndarray, settings: BoundsRecipe
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    batches = [images[i : i + 256].to(torch.float64) for i in range(0, len(images), 256)]
    paths = [data_paths(network, {target.name: target}, batch, {target.name: removed})[target.name] for batch in batches]
    size = np.concatenate([path.size for path in paths])
    max_norm = np.concatenate([path.max_norm for path in paths])
    two_norm = np.concatenate([path.two_norm for path in paths])
    tokens = paths[0].tokens
    matrix = removed.reshape(target.rows, target.cols).numpy()
    lipschitz = smallest_lipschitz(speed, size)
    known = np.nan_to_num(lipschitz, nan=0.0)
    squared = frobenius_squared(matrix)
    multiplier = gaussian_multiplier(target.rows, tokens * len(images), GAUSSIAN_DELTA)
    noise = known * two_norm * multiplier
    bulk = fit_values(np.linalg.svd(matrix, compute_uv=False), target.rows, target.cols)
    gauss, edge = noise * np.sqrt(squared / matrix.size), noise * np.sqrt(bulk.entry_variance)
    columns = [np.repeat(path.max_norm[:, None], target.cols, 1) if path.columns is None else path.columns for path in paths]
    mass, masses = _masses(matrix, np.concatenate(columns), known)
    best = min(masses, key=lambda order: masses[order])
    spent = budget(known, size)
    available = np.isfinite(lipschitz)
    row = {
        "target": target.name,
        "rows": target.rows,
        "cols": target.cols,
        "tokens": tokens,
        "size_mean": float(size.mean()),
        "size_max": float(size.max()),
        "row_sum_mean": float(np.abs(matrix).sum(axis=1).max() * max_norm.mean()),
        "row_norm_mean": float(np.sqrt(np.square(matrix).sum(axis=1)).max() * two_norm.mean()),
        "speed_mean": float(speed.mean()),
        "lipschitz_median": float(np.median(lipschitz[available])) if available.any() else None,
        "lipschitz_max": float(lipschitz[available].max()) if available.any() else None,
        "lipschitz_proved": None,
        "budget": spent,
        "frobenius_squared": squared,
        "l1": entrywise_l1(matrix),
        "reward": reward(matrix, settings.l2, settings.l1),
        "break_even_l2": _json_number(break_even_l2(spent, squared)),
        "mass_budget": masses[best],
        "mass_order": _json_number(best),
        "gauss_budget": float(2.0 * gauss.mean()),
        "edge_budget": float(2.0 * edge.mean()) if bulk.fitted else None,
    }
    return row, {"mass": mass, "gauss": gauss, "edge": edge if bulk.fitted else gauss}


def _masses(removed: np.ndarray, columns: np.ndarray, lipschitz: np.ndarray) -> tuple[np.ndarray, dict[float, float]]:
    """(T,) L_s max_i sum_j |R_ij| |v_j|, and the budgets of EMP-T11 by order, nats."""
    size = lipschitz * (columns @ np.abs(removed).T).max(axis=1)
    return size, {order: budget_upper_rows(removed, columns, lipschitz, order) for order in MASS_ORDERS}


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None
