"""Effective-number pruning: the scores themselves say how many to keep. For weights, rows, layers, neurons, heads, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from certify.pruning.allocation.budgets import BY_SCORE, NEEDS, SCORES, budget_facts, layer_scores
from certify.pruning.method import SCOPES, Made, Method, Request
from certify.pruning.units import Group, groups_of, unit_edits
from certify.records import Edit, Usage
from certify.theory.emp.effective_number import effective_number, keep_mask, kept_count, retained_mass
from certify.theory.emp.mass_bounds import retained_mass_bounds


@dataclass(frozen=True)
class Kept:
    """What effective-number pruning keeps of one group of scores, and the mass it keeps.

    mask          : (N,) True where an entry stays.
    effective     : N_eff = (sum s)^2 / sum s^2, nan where all scores are 0.
    retained      : share of sum s that stays.
    least, most   : range of that share that N_eff and the count allow, whatever the scores (EMP-T2, EMP-T3, EMP-X1).
    """

    mask: np.ndarray
    effective: float
    retained: float
    least: float
    most: float

    def to_json(self) -> dict[str, Any]:
        """Counts and masses; a group of zeros has no effective number."""
        about = {"entries": self.mask.size, "kept": int(self.mask.sum()), "retained": self.retained}
        known = {} if np.isnan(self.effective) else {"effective_number": self.effective}
        return about | known | {"least_retained": self.least, "most_retained": self.most}


def keep_effective(scores: np.ndarray, beta: Fraction = Fraction(1)) -> Kept:
    """Keep the floor(beta N_eff) largest of a vector of scores (at least one); all of them where all are 0.

    scores : (N,), any sign; sizes count. Claims EMP-D2, EMP-T2, EMP-T3, EMP-X1.
    """
    mask = keep_mask(scores, beta)
    if not np.any(scores):
        return Kept(mask, float("nan"), 1.0, 1.0, 1.0)
    count = kept_count(scores, beta)
    return Kept(mask, effective_number(scores), retained_mass(scores, count), *retained_mass_bounds(scores, count))


def emp(request: Request, *, score: str = "magnitude", scope: str = "layer", beta: str = "1") -> Made:
    """Keep floor(beta N_eff) weights of all layers together, of each layer, or of each row of each.

    score : "magnitude", "wanda", or "data-path" (order 2, with the evidence's first-order sensitivities).
    scope : "global", "layer" or "row". beta : a positive rational such as "1", "0.5" or "3/4".
    The facts state entries, effective number, retained mass and its bounds per group (of rows the least); where the evidence
    holds inputs and sensitivities, also the bound of EMP-T11 on each layer's budget, an estimate.
    """
    if score not in SCORES or scope not in SCOPES:
        raise Usage(f"score = {score!r}, scope = {scope!r}: known are {', '.join(SCORES)}; {', '.join(SCOPES)}")
    share = _beta(beta)
    scores = {name: layer_scores(request, name, score) for name in request.weights}
    if scope == "global":
        whole = keep_effective(np.concatenate([each.reshape(-1) for each in scores.values()]), share)
        parts = np.split(whole.mask, np.cumsum([each.size for each in scores.values()])[:-1])
        masks = {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
        groups: dict[str, Any] = {"all": whole.to_json()}
    elif scope == "layer":
        kept = {name: keep_effective(each.reshape(-1), share) for name, each in scores.items()}
        masks = {name: each.mask.reshape(scores[name].shape) for name, each in kept.items()}
        groups = {name: each.to_json() for name, each in kept.items()}
    else:
        rows = {name: [keep_effective(row, share) for row in each] for name, each in scores.items()}
        masks = {name: np.stack([row.mask for row in each]) for name, each in rows.items()}
        groups = {name: _of_rows(each) for name, each in rows.items()}
    edits = tuple(Edit(name, mask) for name, mask in masks.items())
    budgets = {"budgets": budget_facts(request, edits)} if all(_has(request, part) for part in NEEDS) else {}
    return Made(edits, {"groups": groups, **budgets})


def _of_rows(rows: Sequence[Kept]) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "kept": int(sum(row.mask.sum() for row in rows)),
        "retained": min(row.retained for row in rows),
        "least_retained": min(row.least for row in rows),
    }


def _has(request: Request, part: str) -> bool:
    return set(request.weights) <= set(request.evidence.parts.get(part, {}))


def _beta(beta: str) -> Fraction:
    try:
        found = Fraction(beta)
    except (ValueError, ZeroDivisionError):
        raise Usage(f"beta = {beta!r} is not a positive rational such as 1, 0.5 or 3/4") from None
    if found <= 0:
        raise Usage(f"beta = {beta!r} must be positive")
    return found


def unit_scores(weight: np.ndarray, inputs: np.ndarray, lipschitz: np.ndarray, width: int) -> np.ndarray:
    """Bound on the budget of removing each unit of `width` consecutive columns: a neuron (1), an attention head (its dimension).

        s_u = (2 / T) sum_s L_s max_i sum_{j in u} |W_ij| x_sj   >=   B_T(W^(u)),   x_sj = max over tokens of |v_j|

    weight : (rows, cols). inputs : (T, cols) >= 0. lipschitz : (T,). Returns (cols / width,) nats. Claim EMP-T10.
    """
    rows, cols = weight.shape
    if width < 1 or cols % width:
        raise Usage(f"units of {width} columns do not divide {cols} inputs")
    size = np.abs(weight).reshape(rows, cols // width, width)
    found = np.zeros(cols // width)
    for constant, sample in zip(lipschitz, inputs, strict=True):
        found += constant * np.einsum("iuj,uj->iu", size, sample.reshape(-1, width)).max(axis=0)
    return 2.0 * found / len(inputs)


def filter_scores(weight: np.ndarray, inputs: np.ndarray, lipschitz: np.ndarray) -> np.ndarray:
    """Bound on the budget of removing each row alone, a filter of a convolution: s_i = (2 / T) sum_s L_s sum_j |W_ij| x_sj.

    Shapes as in `unit_scores`. Returns (rows,) nats. Claim EMP-T10.
    """
    return 2.0 * np.abs(weight) @ (lipschitz @ inputs) / len(inputs)


def units(request: Request, *, unit: str = "neurons", width: int = 1, beta: str = "1") -> Made:
    """Keep floor(beta N_eff) units of each block: whole columns of the layer that reads them go, or whole filters.

    unit  : "neurons" or "heads" (`certify.pruning.units`), or "filters", rows of convolutions outside the stem; what comes after
            them (a bias, a batch norm) stays.
    width : columns of a unit: 1, or the dimension of a head.
    Scores bound each unit's budget with the evidence's first-order sensitivities (EMP-T10), so they are estimates.
    All other targets stay whole.
    """
    share, part = _beta(beta), request.evidence.part
    facts, kept = {}, {}
    if unit == "filters":
        groups = [Group(target, None, 1) for target in request.targets if len(target.shape) == 4 and target.role != "stem"]
        if not groups:
            raise Usage("units: there are no filters to remove; filters are rows of convolutions outside the stem")
    else:
        groups = groups_of(request, unit, width)
    for name in (group.reader.name for group in groups):
        sizes = request.evidence.weights[name], part("inputs", name), part("sensitivities", name)
        found = keep_effective(filter_scores(*sizes) if unit == "filters" else unit_scores(*sizes, width), share)
        facts[name], kept[name] = found.to_json(), found.mask
    if unit == "filters":
        whole = {target.name: np.ones((target.rows, target.cols), dtype=bool) for target in request.targets}
        edits = tuple(Edit(name, mask & kept[name][:, None] if name in kept else mask) for name, mask in whole.items())
    else:
        edits = unit_edits(request, groups, kept)
    return Made(edits, {"units": facts})


def keep_pixels(image: np.ndarray, mean: np.ndarray | float, beta: Fraction = Fraction(1)) -> tuple[np.ndarray, Kept]:
    """The image with all but the effective number of its deviations from `mean` set to the mean.

    sum |x - x'| = (1 - phi) sum |x - mean| exactly,   sum (x - x')^2 <= (1 - phi) sum (x - mean)^2
    """
    deviation = np.asarray(image, dtype=np.float64) - mean
    kept = keep_effective(deviation.reshape(-1), beta)
    return np.where(kept.mask.reshape(deviation.shape), deviation, 0.0) + mean, kept


METHODS = (
    Method("emp", "the effective number of the scores", emp, ("own",), by_score=BY_SCORE),
    Method("units", "the effective number of neurons, heads or filters", units, ("own",), NEEDS),
)
