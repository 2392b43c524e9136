"""Published statements about effective-number pruning that fail as written, in whole numbers where they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy.special import ndtri

from certify.theory.emp.data_path_scores import budget_upper_groups, group_scores
from certify.theory.emp.effective_number import (
    effective_number_exact,
    keep_mask,
    kept_count,
    kept_count_exact,
    retained_mass_exact,
)
from certify.theory.emp.mass_bounds import cell_holds_exact, cell_retained_mass_infimum, removed_mass_published
from certify.theory.emp.retained_loss import (
    change_published_mass,
    change_published_trace,
    change_upper_additive_cell,
    change_upper_curvature,
)
from proofs_check.checks import Check, Finding
from proofs_check.counterexamples.core import Refutation, Relation, log_loss

Shares = Sequence[Fraction]


def _hundredths(*values: int) -> list[Fraction]:
    return [Fraction(value, 100) for value in values]


def _removed(scores: Shares) -> float:
    return float(1 - retained_mass_exact(scores, kept_count_exact(scores)))


P1 = Refutation(
    "EMP-P1",
    "rationals",
    "(.51, .49, 0): D = 1/.5002 < 2, so N_eff = 1 and .49 is removed, above (1 - 1/3)(1 - sqrt(1/4)) = 1/3",
    lambda scores: {"N_eff < N": kept_count_exact(scores) < len(scores)},
    lambda scores: Relation(
        "1 - s_eff <= published bound", _removed(scores), "<=", removed_mass_published(len(scores), kept_count_exact(scores))
    ),
    lambda scores: Relation(
        "1 - s_eff < 1 - infimum of the cell",
        _removed(scores),
        "<",
        1.0 - cell_retained_mass_infimum(len(scores), kept_count_exact(scores)),
    ),
    {"scores": _hundredths(51, 49, 0)},
    {"scores": _hundredths(50, 40, 10)},
)


def _quadratic(hessian: np.ndarray, removed: np.ndarray) -> float:
    return 0.5 * float(removed @ hessian @ removed)


def _trace(suffix: str, words: str, instance: dict, harmless: dict) -> Refutation:
    return Refutation(
        "EMP-P2",
        "by hand",
        words,
        lambda hessian, theta, kept: {
            "magnitudes: the kept ones are the largest": np.abs(theta[:kept]).min() >= np.abs(theta[kept:]).max(),
            "H is positive semidefinite": float(np.linalg.eigvalsh(hessian).min()) > -1e-12,
        },
        lambda hessian, theta, kept: Relation(
            "eps <= (1 - rho)/(2 N rho) tr H ||delta||^2",
            _quadratic(hessian, _tail(theta, kept)),
            "<=",
            change_published_trace(len(theta), kept, float(np.trace(hessian)), float(np.sum(_tail(theta, kept) ** 2))),
        ),
        lambda hessian, theta, kept: Relation(
            "eps <= lambda_max(H_UU) ||delta||^2 / 2",
            _quadratic(hessian, _tail(theta, kept)),
            "<=",
            change_upper_curvature(
                0.0, float(np.linalg.eigvalsh(hessian[kept:, kept:])[-1]), 0.0, float(np.sum(_tail(theta, kept) ** 2))
            ),
        ),
        instance,
        harmless,
        suffix,
    )


def _tail(theta: np.ndarray, kept: int) -> np.ndarray:
    return np.where(np.arange(len(theta)) < kept, 0.0, theta)


P2 = _trace(
    "",
    "H = I, theta = (3,2,2,1), K = 3: eps = 1/2, and the bound is (1/4)/(2 * 4 * 3/4) * 4 = 1/6",
    {"hessian": np.eye(4), "theta": np.array([3.0, 2.0, 2.0, 1.0]), "kept": 3},
    {"hessian": np.eye(4), "theta": np.array([3.0, 2.0, 2.0, 1.0]), "kept": 1},
)
P2_RANK_ONE = _trace(
    "-rank-one",
    "H = v v^T along delta, theta = (3,2,2,1), K = 1, v = (0,2,2,1)/3: eps = 9/2, N K/(N - K) = 4/3 times the bound 27/8",
    {
        "hessian": np.outer([0.0, 2.0, 2.0, 1.0], [0.0, 2.0, 2.0, 1.0]) / 9.0,
        "theta": np.array([3.0, 2.0, 2.0, 1.0]),
        "kept": 1,
    },
    {"hessian": np.eye(4), "theta": np.array([3.0, 2.0, 2.0, 1.0]), "kept": 1},
)


def _published_mass(theta: np.ndarray) -> float:
    return change_published_mass(len(theta), kept_count(theta), float(len(theta)), float(np.abs(theta).sum()))


P3 = Refutation(
    "EMP-P3",
    "rationals",
    "H = I, nine ones and one .9: D = 9.9^2/9.81 = 9.99, N_eff = 9, eps = .81/2 = .405, the bound 9.9^2 * 10 * 10^-4/1.8 = .0545",
    lambda theta: {"N_eff < N": kept_count(theta) < len(theta)},
    lambda theta: Relation(
        "eps <= ||theta||_1^2 tr H (1-rho)^4 (1-t)^2 / (2 rho)",
        _quadratic(np.eye(len(theta)), theta * ~keep_mask(theta)),
        "<=",
        _published_mass(theta),
    ),
    lambda theta: Relation(
        "eps <= lambda_max ||delta||^2 / 2",
        _quadratic(np.eye(len(theta)), theta * ~keep_mask(theta)),
        "<=",
        change_upper_curvature(0.0, 1.0, 0.0, float(np.sum((theta * ~keep_mask(theta)) ** 2))),
    ),
    {"theta": np.array([1.0] * 9 + [0.9])},
    {"theta": np.array([10.0] + [1.0] * 7)},
)


def vacuity() -> Finding:
    """Where N - N_eff is large P3 holds by orders of magnitude: 2000 half-normal quantiles, H = I."""
    theta = ndtri(0.5 + (np.arange(2000) + 0.5) / 4000.0)
    eps, bound = _quadratic(np.eye(2000), theta * ~keep_mask(theta)), _published_mass(theta)
    return Finding("" if bound > 1e6 * eps > 1e6 else f"eps = {eps}, bound = {bound}", f"eps = {eps:.3g}, P3 allows {bound:.3g}")


def _gated(weights: np.ndarray, x: np.ndarray, removed: np.ndarray) -> float:
    """Change of the loss of class 0, logits (w . x, 0), when some weights are removed."""
    return log_loss(float(np.where(removed, 0.0, weights) @ x)) - log_loss(float(weights @ x))


def _drop(weights: np.ndarray) -> np.ndarray:
    return ~keep_mask(weights)


def _data_free_bound(weights: np.ndarray, constant: float) -> float:
    return constant * float(np.abs(weights[_drop(weights)]).sum())


DATA_FREE = Refutation(
    "EMP-H-data-free",
    "floats",
    "logits (w . x, 0), w = (10,10,1): D = 441/201, w_3 goes, removed mass 1/21. At x = (-100,-100,10^4) the loss of the first "
    "class rises from 0 to 2000, more than C ||w||_1 / 21 = C for C = 100; with scores 2 |w_j x_j| the bound is 2 * 10^4",
    lambda weights, x, constant: {"EMP removes one weight of magnitude 1": bool(_drop(weights).sum() == 1)},
    lambda weights, x, constant: Relation(
        "loss change <= C ||s||_1 (1 - phi), s = |w|",
        _gated(weights, x, _drop(weights)),
        "<=",
        _data_free_bound(weights, constant),
    ),
    lambda weights, x, constant: Relation(
        "loss change <= sum of the removed scores, s_j = 2 |w_j x_j|",
        _gated(weights, x, _drop(weights)),
        "<=",
        budget_upper_groups(group_scores([1.0], np.abs(weights * x)[:, None]), ~_drop(weights)),
    ),
    {"weights": np.array([10.0, 10.0, 1.0]), "x": np.array([-100.0, -100.0, 1e4]), "constant": 100.0},
    {"weights": np.array([10.0, 10.0, 1.0]), "x": np.array([1.0, 1.0, 1.0]), "constant": 100.0},
)


def _copies(gates: Sequence[int], gain: float) -> float:
    """Logits (gain * max of the copies still there, 0), first class true."""
    return log_loss(gain * max(gates, default=0))


def _pair(copies: int, gain: float) -> tuple[float, float]:
    """Change of the loss when all copies go, and the sum of their leave-one-out scores."""
    gates = [1] * copies
    alone = [abs(_copies([*gates[:j], 0, *gates[j + 1 :]], gain) - _copies(gates, gain)) for j in range(copies)]
    return _copies([0] * copies, gain) - _copies(gates, gain), sum(alone)


REDUNDANT = Refutation(
    "EMP-H-redundant",
    "floats",
    "two units that both say 20 through a maximum: removing either changes nothing, so both score 0; removing both raises the "
    "loss from 2e-9 to log 2; scored one after the other they get 0 and log 2",
    lambda copies, gain: {"leave-one-out scores at the dense point": copies >= 1},
    lambda copies, gain: Relation("change when all go <= sum of the scores", *_stated(_pair(copies, gain))),
    lambda copies, gain: Relation(
        "change when all go <= sum of scores taken in context",
        _pair(copies, gain)[0],
        "<=",
        sum(
            abs(_copies([0] * (j + 1) + [1] * (copies - j - 1), gain) - _copies([0] * j + [1] * (copies - j), gain))
            for j in range(copies)
        ),
    ),
    {"copies": 2, "gain": 20.0},
    {"copies": 1, "gain": 20.0},
)


def _stated(pair: tuple[float, float]) -> tuple[float, str, float]:
    return pair[0], "<=", pair[1]


IDEMPOTENT = Refutation(
    "EMP-idempotent",
    "rationals",
    "(4,2,1,1): D = 64/22, keeps (4,2), and of those D = 36/20 keeps one",
    lambda scores: {"positive scores": min(scores) > 0},
    lambda scores: Relation("EMP of the kept scores keeps them all", _again(scores), "=", kept_count_exact(scores)),
    lambda scores: Relation("EMP of the kept scores keeps no more", _again(scores), "<=", kept_count_exact(scores)),
    {"scores": [Fraction(4), Fraction(2), Fraction(1), Fraction(1)]},
    {"scores": [Fraction(1)] * 4},
)


def _again(scores: Shares) -> int:
    return kept_count_exact(sorted(scores, reverse=True)[: kept_count_exact(scores)])


def _above_quantile(scores: np.ndarray) -> int:
    """The notebook's mask of its Taylor and saliency variants: scores above their K/N quantile."""
    return int(np.count_nonzero(scores > np.quantile(scores, kept_count(scores) / len(scores))))


COMPLEMENT = Refutation(
    "EMP-complement-count",
    "by hand",
    "nine scores of 1/100 to 9/100 and one of 10: D = 10.45^2/100.03 = 1.09, so K = 1; a threshold at the K/N = .1 quantile "
    "keeps nine of ten",
    lambda scores: {"distinct scores": len(set(scores.tolist())) == len(scores)},
    lambda scores: Relation("kept above the K/N quantile = K", _above_quantile(scores), "=", kept_count(scores)),
    lambda scores: Relation("kept by the mask of the K largest = K", int(keep_mask(scores).sum()), "=", kept_count(scores)),
    {"scores": np.array([*(np.arange(1, 10) / 100.0), 10.0])},
    {"scores": np.array([5.0, 4.0, 0.5, 0.4])},
)


def tie() -> str:
    """N = 4, N_eff = 2: at c = 1/3 both edges give phi_2 = 2/3, the barycentre of three and (1/2, 1/6, 1/6, 1/6)."""
    three, spread = [Fraction(1, 3)] * 3 + [Fraction(0)], [Fraction(1, 2)] + [Fraction(1, 6)] * 3
    found = [(effective_number_exact(point), retained_mass_exact(point, 2)) for point in (three, spread)]
    infimum = cell_retained_mass_infimum(4, 2)
    close = math.isclose(infimum, 2.0 / 3.0, rel_tol=1e-12)
    return "" if found == [(3, Fraction(2, 3))] * 2 and close else f"{found}, infimum {infimum}"


CELL = Refutation(
    "ER-EMP-cell",
    "by hand",
    "s = (1,1), N = N_eff = 2: a = 2*2 - 2*2 = 0, and the strict line asserts 0 > 0",
    lambda scores: {"N_eff >= 2": kept_count_exact(scores) >= 2},
    lambda scores: Relation("(N-nu)^2 (N-nu-1) P^2 < a^2 (N-1)(nu+1)", *_cell(scores)),
    lambda scores: Relation("the form with a case for nu = N holds", 1, "=", int(cell_holds_exact(scores))),
    {"scores": [Fraction(1), Fraction(1)]},
    {"scores": [Fraction(3), Fraction(2), Fraction(1)]},
)


def _cell(scores: Shares) -> tuple[Fraction, str, Fraction]:
    n, nu, total = len(scores), kept_count_exact(scores), sum(scores, Fraction(0))
    a = n * sum(sorted(scores, reverse=True)[:nu], Fraction(0)) - nu * total
    return (n - nu) ** 2 * (n - nu - 1) * total**2, "<", a * a * (n - 1) * (nu + 1)


def _change(scores: np.ndarray) -> float:
    """Loss change that attains (H) with C = 1: the removed mass itself."""
    return float(np.abs(scores[~keep_mask(scores)]).sum())


def _strict_cell(scores: np.ndarray) -> float:
    n, nu = len(scores), kept_count(scores)
    t = math.sqrt(max(0.0, n - nu - 1) / ((nu + 1) * (n - 1)))
    return float(np.abs(scores).sum()) * (n - nu) / n * (1.0 - t)


STRICT = Refutation(
    "ER-EMP-T8-strict",
    "by hand",
    "s = (1,1,1), C = 1: N_eff = N = 3, nothing is removed, and 0 < C ||s||_1 (0/3)(1 - t) = 0 is false (t^2 = -1/8 is no "
    "square)",
    lambda scores: {"N_eff >= 2": kept_count(scores) >= 2},
    lambda scores: Relation("|Lambda| < C ||s||_1 ((N-nu)/N)(1 - t)", _change(scores), "<", _strict_cell(scores)),
    lambda scores: Relation(
        "|Lambda| <= C ||s||_1 (1 - infimum)",
        _change(scores),
        "<=",
        change_upper_additive_cell(1.0, float(np.abs(scores).sum()), len(scores), kept_count(scores)),
    ),
    {"scores": np.ones(3)},
    {"scores": np.array([3.0, 2.0, 1.0])},
)

FLOOR = Refutation(
    "ER-EMP-floor",
    "rationals",
    "ten equal scores, beta = .3: the double .3 is below 3/10, so floor(beta D) is 2 exactly and 3 in float64; beta = 3/10 "
    "gives 3",
    lambda beta, scores: {"beta > 0": beta > 0.0},
    lambda beta, scores: Relation(
        "floor of fl(beta D) = floor of beta D",
        math.floor(beta * float(effective_number_exact(scores))),
        "=",
        math.floor(Fraction(beta) * effective_number_exact(scores)),
    ),
    lambda beta, scores: Relation(
        "count for rational beta = floor(beta D)",
        kept_count(scores, Fraction(str(beta))),
        "=",
        math.floor(Fraction(str(beta)) * effective_number_exact(scores)),
    ),
    {"beta": 0.3, "scores": np.ones(10)},
    {"beta": 0.5, "scores": np.ones(10)},
)


def _blocks(beta: Fraction, blocks: Sequence[Shares]) -> tuple[int, str, int]:
    pooled = [value for block in blocks for value in block]
    return kept_count_exact(pooled, beta), "<=", sum(kept_count_exact(block, beta) for block in blocks) + len(blocks) - 1


TEN = ([Fraction(1)] * 10, [Fraction(1)] + [Fraction(0)] * 9)
NESTING = Refutation(
    "ER-EMP-fact4",
    "by hand",
    "beta = 2, blocks 1^10 and (1, 0^9): one pool has D = 11 and keeps min(20, 22) = 20, the blocks keep 10 + 2 = 12",
    lambda beta: {"beta > 0": beta > 0},
    lambda beta: Relation("one pool keeps <= the blocks one by one + M - 1", *_blocks(beta, TEN)),
    lambda beta: Relation("at min(beta, 1) it does", *_blocks(min(beta, Fraction(1)), TEN)),
    {"beta": Fraction(2)},
    {"beta": Fraction(1)},
)

REFUTATIONS = (P1, P2, P2_RANK_ONE, P3, DATA_FREE, REDUNDANT, IDEMPOTENT, COMPLEMENT, CELL, STRICT, FLOOR, NESTING)
CHECKS: tuple[Check, ...] = (
    *(item.check() for item in REFUTATIONS),
    Check(
        "CX-EMP-P3-vacuous",
        "floats",
        "2000 half-normal weights, H = I: P3 holds, by six orders of magnitude",
        ("EMP-P3",),
        vacuity,
    ),
    Check("CX-EMP-tie", "rationals", "N = 4, N_eff = 2: two extremal points tie at phi = 2/3", ("EMP-tie",), tie),
)
