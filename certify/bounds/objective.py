"""The elastic-net account of a pair: does the fall of the regulariser pay for what the losses may rise?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from certify.networks.loading import State
from certify.records import Bound, Target
from certify.records.recipe import BoundsRecipe
from certify.theory import exact
from certify.theory.elastic_net import break_even_l2, entrywise_l1, frobenius_squared, is_improvement
from certify.theory.outward._rounding import down
from certify.theory.outward.loss import mean_upper


def _mean(rungs: Sequence[Bound], quantity: str) -> float:
    return float(np.mean(next(rung.upper + rung.tolerance for rung in rungs if rung.quantity == quantity)))


def mask_objective(rows: Sequence[Mapping[str, Any]], rungs: Sequence[Bound], settings: BoundsRecipe) -> dict[str, Any]:
    """T5.8: does the elastic net pay for the removal? With the paper's budget, and with the sharpest rung in its place (X10)."""
    squared = sum(row["frobenius_squared"] for row in rows)
    won = sum(row["reward"] for row in rows)
    spent, sharpest = _mean(rungs, "ce_budget"), min(max(_mean(rungs, name), 0.0) for name in ("ce_pairwise", "ce_layers"))
    holds = is_improvement(spent, won)
    needed = break_even_l2(spent, squared)
    known = any(row["lipschitz_proved"] is not None for row in rows)
    proved = "L_s in the table of layers" if known else "L_s not available"
    return {
        "form": "T5.8-multilayer",
        "l2": settings.l2,
        "l1": settings.l1,
        "reward": won,
        "budget": spent,
        "budget_sharpest": sharpest,
        "break_even_l2": needed if np.isfinite(needed) else None,
        "break_even_l2_sharpest": break_even_l2(sharpest, squared) if squared else None,
        "holds": holds,
        "holds_sharpest": is_improvement(sharpest, won),
        "tier": "resolved",
        "lipschitz_proved": proved,
        "sentence": (
            f"Elastic net with lambda2 = {settings.l2:g}, lambda1 = {settings.l1:g}: "
            f"reward {won:.4g}, the paper's budget {spent:.4g} "
            f"(proved {proved}; X9(b) value, tier resolved). The budget is {'smaller' if holds else 'not smaller'} than "
            f"the reward; it would break even at lambda2* = {needed:.4g}, with the sharpest bound of this ladder at "
            f"{break_even_l2(sharpest, squared):.4g}."
        ),
    }


def universal_objective(
    reference: State, shipped: State, targets: Sequence[Target], rungs: Sequence[Bound], settings: BoundsRecipe
) -> dict[str, Any]:
    """X10: any two networks; the regulariser's difference is exact up to float64 rounding."""
    squared = one = 0.0
    for target in _prunable(targets, reference):
        for state, sign in ((reference, 1.0), (shipped, -1.0)):
            matrix = state[target.weight].double().reshape(target.rows, target.cols).numpy()
            squared += sign * frobenius_squared(matrix)
            one += sign * entrywise_l1(matrix)
    won = settings.l2 * squared + settings.l1 * one
    spent = max(_mean(rungs, "ce_pairwise"), 0.0)
    holds = is_improvement(spent, won)
    needed = break_even_l2(spent, squared) if squared > 0 else float("inf")
    return {
        "form": "X10-universal",
        "l2": settings.l2,
        "l1": settings.l1,
        "reward": won,
        "budget": spent,
        "break_even_l2": needed if np.isfinite(needed) else None,
        "holds": holds,
        "tier": "resolved",
        "lipschitz_proved": "L_s not available",
        "sentence": (
            f"Elastic net with lambda2 = {settings.l2:g}, lambda1 = {settings.l1:g}: "
            f"the regulariser falls by {won:.4g}, the pairwise "
            f"bound on the cross-entropy increase is {spent:.4g} (tier resolved, X10). The bound is "
            f"{'smaller' if holds else 'not smaller'} than the fall"
            + (f"; it would break even at lambda2* = {needed:.4g}." if np.isfinite(needed) else "; no lambda2 pays for it.")
        ),
    }


def proved_account(
    reference: State, shipped: State, targets: Sequence[Target], increase: np.ndarray, settings: BoundsRecipe
) -> dict[str, Any]:
    """X10 on the samples with proved rungs, rounding counted: mean increase from above against the fall from below.

        mean_s increase_s  <  Reg(A) - Reg(S),   Reg(W) = l2 ||W||_F^2 + l1 ||W||_1

    increase : (T,) proved bounds on the cross-entropy increase, nats; inf where vacuous.
    """
    fall = Fraction(0)
    for target in _prunable(targets, reference):
        fall += _penalty(reference, target, settings) - _penalty(shipped, target, settings)
    won, count = down(fall, "fall of the regulariser"), len(increase)
    known = bool(np.all(np.isfinite(increase)))
    spent = mean_upper(increase) if known else None
    holds = spent is not None and is_improvement(spent, won)
    if spent is None:
        said = "nothing is known of the losses: VACUOUS"
    else:
        said = f"the cross-entropy rises by at most {spent:.4g} in the mean, the regulariser falls by at least {won:.4g}"
        said += ": the objective falls, certified" if holds else ": not shown to pay"
    return {
        "samples": count,
        "increase": spent,
        "reward": won,
        "holds": holds,
        "tier": "proved",
        "sentence": f"On the first {count} samples {said}.",
    }


def _prunable(targets: Sequence[Target], state: Mapping[str, Tensor]) -> list[Target]:
    return [target for target in targets if target.weight in state and not target.skipped]


def _penalty(state: State, target: Target, settings: BoundsRecipe) -> Any:
    return exact.reward(state[target.weight].double().reshape(target.rows, target.cols).numpy(), settings.l2, settings.l1)
