"""Trials of effective-number pruning: the left sides are definitions, sorted sums and quadratics."""

from __future__ import annotations

import math

import numpy as np

from certify.theory.budget import data_path_size
from certify.theory.cross_entropy import cross_entropy, log_probabilities
from certify.theory.elastic_net import entrywise_l1, frobenius_squared
from certify.theory.emp import data_path_scores as paths
from certify.theory.emp import effective_number as number
from certify.theory.emp import mass_bounds as mass
from certify.theory.emp import retained_loss as loss
from certify.theory.margins import true_margin
from proofs_check.trials.core import Field, Side, Trial
from proofs_check.trials.cross_entropy import LABELS, LOGITS, MOVES

SCORES = Field("scores of the components", ("components",))
KEPT = Field("kept count K", low=1, high=8, kind="whole")
RANGES = {"components": (1, 8), "others": (1, 5), "groups": (1, 5), "members": (1, 4), "cols": (1, 5)}


def _definition(scores):
    size = np.abs(scores) / np.abs(scores).max()
    return math.fsum(size) ** 2 / math.fsum(size * size)


def _top(scores, kept):
    """Share of the K largest."""
    size = np.sort(np.abs(scores))[::-1] / np.abs(scores).max()
    return math.fsum(size[:kept]) / math.fsum(size)


def _some(scores, **_):
    return {"some score is not 0": bool(np.any(scores != 0.0)), "no score is subnormal beside the largest": _spread(scores)}


def _spread(scores):
    """Products of scores below 1e-150 of the largest underflow in the independent side, not in ours."""
    size = np.abs(scores)[np.asarray(scores) != 0.0]
    return size.size == 0 or bool(size.min() > 1e-60 * size.max())


def _two(scores, others, **_):
    return {"some score is not 0 in each": bool(np.any(scores != 0.0) and np.any(others != 0.0))} | {
        "scores of comparable size": _spread(scores) and _spread(others)
    }


def _number(scores):
    d = number.effective_number(scores)
    return [
        Side("D = P^2 / Q", d, _definition(scores), equal=True),
        Side("1 <= D", 1.0, d),
        Side("D <= nnz", d, float(np.count_nonzero(scores))),
    ]


def _largest(scores):
    low, high = number.number_range(scores)
    d, share = _definition(scores), np.abs(scores).max() / np.abs(scores / np.abs(scores).max()).sum() / np.abs(scores).max()
    return [
        Side("1 / largest share <= D", low, d),
        Side("D <= min(nnz, 1 / largest share^2)", d, high),
        Side("lower end is 1 / largest share", low, 1.0 / share, equal=True),
    ]


def _products(scores, others):
    d = number.effective_number
    return [Side("D(s x t) = D(s) D(t)", d(np.kron(scores, others)), d(scores) * d(others), equal=True)]


def _powers(scores, power, more):
    scaled = np.abs(scores) / np.abs(scores).max()
    low, high = number.effective_number(scaled**power), number.effective_number(scaled ** (power + more))
    return [Side("D(|s|^q) <= D(|s|^p) for p <= q", high, low)]


def _pooled(scores, others):
    blocks = [np.abs(scores), np.abs(others)]
    merged = number.merged_number([block.sum() for block in blocks], [number.effective_number(block) for block in blocks])
    return [
        Side("D of the pool by its blocks", merged, _definition(np.concatenate(blocks)), equal=True),
        Side("D <= sum of D_l", merged, sum(_definition(block) for block in blocks)),
    ]


def _groups(table):
    d, of_sums = number.effective_number(table.ravel()), number.effective_number(np.abs(table).sum(axis=1))
    return [
        Side("D / b <= D of group sums", d / table.shape[1], of_sums),
        Side("D of group sums <= min(#groups, D)", of_sums, min(float(table.shape[0]), d)),
    ]


def _threshold(scores):
    sure = int(np.sum(np.abs(scores) >= number.sure_threshold(scores) * (1 + 1e-12)))
    keep = number.keep_mask(scores)
    size = np.abs(scores)
    sides = [Side("#{|s_i| >= Q/P} <= N_eff", float(sure), float(number.kept_count(scores)))]
    if not keep.all():
        sides.append(Side("largest removed <= Q/P", size[~keep].max(), number.sure_threshold(scores)))
    return sides


def _energy(scores, kept):
    scaled = np.sort(np.abs(scores) / np.abs(scores).max())[::-1]
    removed, square = math.fsum(scaled[kept:] ** 2), math.fsum(scaled**2)
    bound = number.removed_energy_upper(_top(scores, kept), square)
    return [Side("removed energy <= (1 - phi_K) of all", removed, bound, scale=square)]


def _mass(scores, kept):
    kept = min(kept, len(scores))
    low, high = mass.retained_mass_bounds(scores, kept)
    phi = _top(scores, kept)
    return [Side("m_K <= phi_K", low, phi), Side("phi_K <= M_K", phi, high)]


def _closed(scores, kept):
    """Theorem 2's own formula, in floats, against the bound and the measured mass. Zeros do not count (Section 1)."""
    n, c = np.count_nonzero(scores), 1.0 / _definition(scores)
    least = (
        (1 + math.sqrt(max(2 * c - 1, 0.0))) / 2
        if kept == 1
        else kept / n + (1 - kept / n) * math.sqrt(max(n * c - 1, 0) / (n - 1))
    )
    return [
        Side("closed form <= phi_K", least, _top(scores, kept), scale=1.0),
        Side("closed form = m_K", least, mass.retained_mass_bounds(scores, kept)[0], equal=True, scale=1e3),
    ]


def _closed_needs(scores, kept):
    met = _some(scores)
    holds = all(met.values()) and 1 <= kept < np.count_nonzero(scores) and _definition(scores) <= kept + 1
    return met | {"1 <= K <= nnz - 1 and D <= K + 1": holds}


def _cell(scores):
    n, nu = len(scores), number.kept_count(scores)
    return [Side("infimum of the cell <= s_eff", mass.cell_retained_mass_infimum(n, nu), _top(scores, nu))]


def _interval(logits, labels, moves):
    before, after = cross_entropy(logits, labels), cross_entropy(logits + moves, labels)
    low, high = loss.mean_change_interval(*log_probabilities(logits, labels), np.abs(moves).max(axis=1))
    scale = float(np.ptp(logits, axis=1).max() + 2 * np.abs(moves).max() + 1)
    change = float(np.mean(after - before))
    return [
        Side("lower end <= mean change", low, change, scale=scale),
        Side("mean change <= upper end", change, high, scale=scale),
        Side("|mean change| <= upper end", abs(change), high, scale=scale),
    ]


def _quadratic(scores, root, gradient, removed):
    """L(x) = (x - theta)^T H (x - theta) / 2 + g (x - theta), H = root^T root."""
    delta = np.where(removed, scores, 0.0)
    return float(0.5 * np.sum((root @ delta) ** 2) - gradient @ delta), delta, root.T @ root


def _curvature(scores, root, gradient, removed):
    change, delta, hessian = _quadratic(scores, root, gradient, removed)
    inside = hessian[np.ix_(removed, removed)]
    top = float(np.linalg.eigvalsh(inside)[-1]) if removed.any() else 0.0
    slope = float(np.abs(gradient[removed]).max()) if removed.any() else 0.0
    bound = loss.change_upper_curvature(slope, max(top, 0.0), float(np.abs(delta).sum()), float(delta @ delta))
    return [Side("L(theta_K) - L(theta) <= bound", change, bound)]


def _curvature_scores(scores, root, removed):
    change, _, hessian = _quadratic(scores, root, np.zeros(len(scores)), removed)
    values = loss.curvature_scores(scores, np.diag(hessian))
    return [Side("rise <= (sum of removed scores)^2 / 2", change, loss.change_upper_curvature_scores(values[removed]))]


def _additive(scores, constant):
    kept = number.kept_count(scores)
    rise = constant * math.fsum(np.sort(np.abs(scores))[: len(scores) - kept])
    total = math.fsum(np.abs(scores))
    return [
        Side(
            "loss <= C |s|_1 (1 - phi_K)",
            rise,
            loss.change_upper_additive(constant, total, _top(scores, kept)),
            scale=constant * total,
        ),
        Side("loss <= bound of the cell", rise, loss.change_upper_additive_cell(constant, total, len(scores), kept)),
    ]


WEIGHTS = Field("weights A of the target", ("rows", "cols"))
INPUTS = Field("inputs v_s of the target", ("samples", "cols"))
LIPSCHITZ = Field("bounds L_s on what follows the target", ("samples",), low=0.0)
KEEP = Field("mask: 1 keeps an entry", ("rows", "cols"), kind="mask")
LAYER = {"weights": WEIGHTS, "inputs": INPUTS, "lipschitz": LIPSCHITZ, "keep": KEEP}


def _budget(removed, inputs, lipschitz):
    return float(2.0 * np.mean(lipschitz * data_path_size(removed, inputs[:, None, :])))


def _group_scores(weights, inputs, lipschitz, keep):
    """Groups are the entries: s_g = B_T of one entry."""
    scores = np.array([_budget(single, inputs, lipschitz) for single in _singles(weights)])
    bound = paths.budget_upper_groups(scores, keep.ravel())
    return [
        Side("B_T(R) <= removed scores", _budget(np.where(keep, 0.0, weights), inputs, lipschitz), bound),
        Side("s_ij by its formula", float(scores.sum()), float(paths.entry_scores(weights, inputs, lipschitz).sum()), equal=True),
    ]


def _singles(weights):
    for i, j in np.ndindex(weights.shape):
        single = np.zeros_like(weights)
        single[i, j] = weights[i, j]
        yield single


def _rows(weights, inputs, lipschitz, keep):
    removed = np.where(keep, 0.0, weights)
    budget = _budget(removed, inputs, lipschitz)
    return [
        Side(f"B_T(R) <= row bound of order {order:g}", budget, paths.budget_upper_rows(removed, inputs, lipschitz, order))
        for order in paths.ORDERS
    ]


def _labels(logits, labels, moves):
    margins, after = true_margin(logits, labels), true_margin(logits + moves, labels)
    change = abs(float(np.mean(after > 0.0) - np.mean(margins > 0.0)))
    budget = float(2.0 * np.mean(np.abs(moves).max(axis=1)))
    return [Side("|change of accuracy| <= bound by B_T", change, paths.accuracy_change_upper(margins, budget * (1 + 1e-12)))]


def _objective(weights, budget, l2, l1):
    kept = number.kept_count(weights.ravel())
    removed = np.where(number.keep_mask(weights.ravel()).reshape(weights.shape), 0.0, weights)
    exact = budget - l2 * frobenius_squared(removed) - l1 * entrywise_l1(removed)
    total = entrywise_l1(weights)
    bound = paths.objective_change_upper(budget, total, _top(weights.ravel(), kept), weights.size, kept, l2, l1)
    return [Side("B_T - rew(R) <= bound by mass", exact, bound, scale=budget + l1 * total + l2 * total**2)]


def _nonzero_weights(weights, **_):
    return _some(weights.ravel())


def _kept_below(scores, kept, **_):
    return _some(scores) | {"K <= N": kept <= len(scores)}


POSITIVE = Field("a constant", low=0.0, high=10.0)
ROOT = Field("root of the curvature, H = root^T root", ("factors", "components"))
REMOVED = Field("1 where the weight is removed", ("components",), kind="mask")

TRIALS = tuple(
    Trial(claim, fields, sides, hypotheses, RANGES)
    for claim, fields, sides, hypotheses in (
        ("EMP-D1", {"scores": SCORES}, _number, _some),
        ("EMP-F1", {"scores": SCORES}, _largest, _some),
        ("EMP-F2", {"scores": SCORES, "others": Field("scores t", ("others",))}, _products, _two),
        (
            "EMP-F3",
            {"scores": SCORES, "power": Field("p", low=0.25, high=3.0), "more": Field("q - p", low=0.0, high=3.0)},
            _powers,
            _some,
        ),
        ("EMP-F4", {"scores": SCORES, "others": Field("scores of a second block", ("others",))}, _pooled, _two),
        (
            "EMP-F5",
            {"table": Field("scores, one row per group", ("groups", "members"))},
            _groups,
            lambda table: _some(table.ravel()),
        ),
        ("EMP-F6", {"scores": SCORES}, _threshold, _some),
        ("EMP-F7", {"scores": SCORES, "kept": KEPT}, _energy, _kept_below),
        ("EMP-T1", {"scores": SCORES, "kept": KEPT}, _mass, _kept_below),
        ("EMP-X1", {"scores": SCORES, "kept": KEPT}, _mass, _kept_below),
        ("EMP-T3", {"scores": SCORES, "kept": KEPT}, _mass, _kept_below),
        ("EMP-T2", {"scores": SCORES, "kept": KEPT}, _closed, _closed_needs),
        ("EMP-C5", {"scores": SCORES}, _cell, _some),
        ("EMP-L9", {"logits": LOGITS, "labels": LABELS, "moves": MOVES}, _interval, lambda **_: {}),
        (
            "EMP-T6",
            {
                "scores": Field("weights", ("components",)),
                "root": ROOT,
                "gradient": Field("gradient", ("components",)),
                "removed": REMOVED,
            },
            _curvature,
            lambda **_: {},
        ),
        (
            "EMP-T7",
            {"scores": Field("weights", ("components",)), "root": ROOT, "removed": REMOVED},
            _curvature_scores,
            lambda **_: {},
        ),
        ("EMP-T8", {"scores": SCORES, "constant": POSITIVE}, _additive, _some),
        ("EMP-T10", LAYER, _group_scores, lambda **_: {}),
        ("EMP-T11", LAYER, _rows, lambda **_: {}),
        ("EMP-C12", {"logits": LOGITS, "labels": LABELS, "moves": MOVES}, _labels, lambda **_: {}),
        ("EMP-C13", {"weights": WEIGHTS, "budget": POSITIVE, "l2": POSITIVE, "l1": POSITIVE}, _objective, _nonzero_weights),
    )
)
