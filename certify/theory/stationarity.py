"""What a trained point must satisfy: a part of the weights that the regulariser would pay to shrink cannot be there.

Stationarity is one-sided and directional: along A_theta = A - (1 - theta) R,

    liminf_{h -> 0+} (J(A - h R) - J(A)) / h >= -epsilon,   epsilon >= 0,

which every local minimum meets with epsilon = 0. J, Reg and the split A = S + R are those of `elastic_net`.
"""

from __future__ import annotations

import math

import numpy as np

from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole
from certify.theory.elastic_net import _weights, reward


def descent_lower(budget: float, removed: ArrayLike, l2: ArrayLike, l1: ArrayLike, theta: float = 1.0) -> float:
    """Least rate at which shrinking a masked part lowers the objective.

        (J(A_1) - J(A_theta)) / (1 - theta) >= l2 (1 + theta) ||R||_F^2 + l1 ||R||_1 - B

    At theta = 1 the left side is the limit theta -> 1 from below, and the rate of an epsilon-stationary point is at most
    epsilon: 2 l2 ||R||_F^2 + l1 ||R||_1 <= B + epsilon. Below 1, one theta with J(A_theta) >= J(A_1) - epsilon (1 - theta)
    gives the same with its own factor; asked of every theta, as published, it adds nothing to theta = 1 (F6).
    budget  : B as in `elastic_net.change_upper`, >= 0, nats.
    removed : (rows, cols) R of a mask.
    l2, l1  : numbers or (rows, cols), >= 0.
    theta   : in [0, 1].
    Returns nats per unit of theta; positive certifies that A is not stationary. Vacuous where <= 0.
    J is the objective that was trained: decoupled weight decay has none, and label smoothing or distillation another (F27).
    Claim T5.7-stationarity (Theorem 5.7 of arXiv:2606.02608; one weight per entry: ESM1-C1.2-weighted-stationarity),
    F6, F27.
    """
    at = number(theta, "theta", 0.0, 1.0)
    square, one = reward(removed, l2, 0.0), reward(removed, 0.0, l1)
    return float(representable((1.0 + at) * square + one - number(budget, "budget", 0.0), "rate of descent"))


def descent_lower_multilayer(budgets: ArrayLike, squares: ArrayLike, ones: ArrayLike, step: float = 0.0) -> float:
    """Least rate at which shrinking masked parts of several layers together lowers the objective.

        (J(alpha_0) - J(alpha_h)) / h >= sum_j ((2 - h) l2_j ||R_j||_F^2 + l1_j ||R_j||_1 - B_j)

    alpha_h has A_j - h R_j in every layer; at h = 0 the left side is the limit from above, and at most epsilon where the
    network is epsilon-stationary.
    Hypotheses: distinct layers (F9).
    budgets : (M,) B_j >= 0, nats: the increase at step j is at most h B_j for every h in [0, 1], steps 1..j-1 being made
              with the same h. A supremum over h, so not the budgets of `change_upper_multilayer`.
    squares : (M,) l2_j ||R_j||_F^2, >= 0.
    ones    : (M,) l1_j ||R_j||_1, >= 0.
    step    : h in [0, 1].
    Returns nats per unit of h; positive certifies that the network is not stationary. `directional_descent`, summed over the
    layers, needs no budget at all.
    Claim T5.9-multilayer-stationarity (Theorem 5.9 of arXiv:2606.02608), F9.
    """
    bounds = at_least(budgets, "budgets", 0.0, (None,))
    square, one = at_least(squares, "squares", 0.0, bounds.shape), at_least(ones, "ones", 0.0, bounds.shape)
    factor = 2.0 - number(step, "step", 0.0, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(representable(np.sum(factor * square + one - bounds), "rate of descent"))


def directional_descent(gradient: ArrayLike, weights: ArrayLike, removed: ArrayLike, l2: ArrayLike, l1: ArrayLike) -> float:
    """The exact rate at which shrinking R lowers the objective, from the dense gradient of the cross-entropy.

        -d/dh J(A - h R) at h = 0+  =  <grad CE(A), R> + 2 l2 <A, R> + l1 (sum_{A != 0} sign(A) R - sum_{A = 0} |R|)

    For a mask the penalties give 2 l2 ||R||_F^2 + l1 ||R||_1. One-sided stationarity says: at most epsilon.
    Hypotheses: the mean cross-entropy is differentiable at A along R. Several distinct layers: the rates add, every gradient
                taken in the dense network.
    gradient : (rows, cols) gradient of the mean cross-entropy at A.
    weights  : (rows, cols) A.
    removed  : (rows, cols) R, any direction.
    l2, l1   : numbers or (rows, cols), >= 0.
    Returns nats per unit of h, of either sign. Vacuous never.
    Claim X13-stationarity-gradient (sharpens Theorem 5.7 of arXiv:2606.02608), X14-multilayer (a).
    """
    a = finite(weights, "weights", (None, None))
    g, r = finite(gradient, "gradient", a.shape), finite(removed, "removed", a.shape)
    square, one = _weights(l2, "l2", a.shape), _weights(l1, "l1", a.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        moved = np.where(a != 0.0, np.sign(a) * r, -np.abs(r))
        return float(representable(np.sum(g * r + 2.0 * square * a * r + one * moved), "rate of descent"))


def slope_upper(log_not_p: ArrayLike, oscillation: ArrayLike) -> float:
    """Confidence-weighted budget: the fastest the mean cross-entropy can change at the dense network.

        |d/dh CE(A - h R) at h = 0+|  <=  mean_s (1 - p_s) osc(gamma_s')

    gamma_s is the path of the logits, osc = largest minus smallest coordinate. With osc <= 2 L_s ||R V_s||_inf it is never
    above the budget B_T(R), and it replaces B in T5.7 at theta = 1.
    Hypotheses: every gamma_s left-differentiable at the dense network along R; a differentiable mean is not enough, kinks can
                cancel in it (ER-X13-kinks).
    log_not_p   : (T,) log(1 - p_s) of the dense network, from `log_probabilities`, <= 0.
    oscillation : (T,) osc(gamma_s'), or 2 L_s ||R V_s||_inf, >= 0, logit units per unit of h.
    Returns nats per unit of h. Attained with two classes when all samples gain, or all lose.
    Claim X13-stationarity-gradient (sharpens Theorem 5.7 of arXiv:2606.02608), ER-X13-kinks.
    """
    weight = -at_least(-finite(log_not_p, "log_not_p", (None,)), "-log_not_p", 0.0)
    speed = at_least(oscillation, "oscillation", 0.0, weight.shape)
    with np.errstate(over="ignore"):
        return float(representable(np.mean(np.exp(weight) * speed), "confidence-weighted budget"))


def alignment_upper(budget: float, l2: float, epsilon: float = 0.0) -> float:
    """How far the weights of a stationary point can point along any direction.

        <A, R>_F <= (B_T(R) + epsilon) / (2 l2)   for every R, l1 = 0

    budget  : B_T(R) >= 0 (or `slope_upper`), nats.
    l2      : >= 0.
    epsilon : of one-sided stationarity in the direction R, >= 0.
    Returns squared weight units. Vacuous (inf) at l2 = 0 or where the quotient overflows.
    Claim X13-stationarity-gradient (a) (sharpens Theorem 5.7 of arXiv:2606.02608).
    """
    bound = number(budget, "budget", 0.0) + number(epsilon, "epsilon", 0.0)
    return _quotient(bound, 2.0 * number(l2, "l2", 0.0))


def column_budgets(lipschitz: ArrayLike, inputs: ArrayLike) -> Array:
    """Budget per unit of weight of a single entry in each column.

        beta_j = (2 / T) sum_s L_s max_p |v_{s,p,j}|;   B_T(A_ij e_i e_j^T) = |A_ij| beta_j

    lipschitz : (T,) L_s >= 0, valid on the segment of that entry.
    inputs    : (T, P, cols) the P vectors each sample sends into the target.
    Returns (cols,) nats per weight unit; 0 for a dead column.
    Claim X13-stationarity-gradient (b) (sharpens Theorem 5.7 of arXiv:2606.02608; tokens by X19).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    v = finite(inputs, "inputs", (len(constants), None, None))
    with np.errstate(over="ignore", invalid="ignore"):
        return representable(2.0 * np.mean(constants[:, None] * np.abs(v).max(axis=1), axis=0), "column budgets")


def entry_upper(budgets: ArrayLike, l2: float, l1: float) -> Array:
    """Largest entry that each column of a stationary point can hold.

        |A_ij| <= (beta_j - l1)_+ / (2 l2);   beta_j < l1 forces the column to vanish, at l2 = 0 too

    Hypotheses: stationary (epsilon = 0) in the direction of each nonzero entry.
    budgets : (cols,) beta_j of `column_budgets`, >= 0.
    l2, l1  : >= 0.
    Returns (cols,) weight units. Vacuous (inf) where l2 = 0 and beta_j >= l1.
    Claim X13-stationarity-gradient (b) (sharpens Theorem 5.7 of arXiv:2606.02608).
    """
    beta = at_least(budgets, "budgets", 0.0, (None,))
    square, one = number(l2, "l2", 0.0), number(l1, "l1", 0.0)
    if square == 0.0:
        return np.where(beta < one, 0.0, np.inf)
    with np.errstate(over="ignore"):
        return np.maximum(beta - one, 0.0) / square / 2.0


def singular_value_upper(lipschitz: ArrayLike, inputs: ArrayLike, left: ArrayLike, right: ArrayLike, l2: float) -> float:
    """Largest singular value that a stationary point can have along its own singular vectors.

        s_i <= (1 / (l2 T)) sum_s L_s max_p |<v_i, v_{s,p}>| ||u_i||_inf,   l1 = 0

    Hypotheses: stationary (epsilon = 0) in the direction R = s_i u_i v_i^T.
    lipschitz : (T,) L_s >= 0, valid on that segment.
    inputs    : (T, P, cols).
    left      : (rows,) u_i, of unit length.
    right     : (cols,) v_i, of unit length.
    l2        : >= 0.
    Returns weight units; one to two orders of magnitude above the value on trained regressions. Vacuous (inf) at l2 = 0.
    Claim X13-stationarity-gradient (c) (sharpens Theorem 5.7 of arXiv:2606.02608; tokens by X19).
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    v = finite(inputs, "inputs", (len(constants), None, None))
    u, w = finite(left, "left", (None,)), finite(right, "right", (v.shape[2],))
    with np.errstate(over="ignore", invalid="ignore"):
        moved = float(representable(np.mean(constants * np.abs(v @ w).max(axis=1)) * np.abs(u).max(), "data path"))
    return _quotient(moved, number(l2, "l2", 0.0))


def collapse_upper(relative_budget: float, relative_cross: float, l2: float, epsilon: float = 0.0) -> float:
    """Size of an additive component at a stationary point, free of its own scale.

        ||R||_F <= (Bhat + 2 l2 chat)_+ / (2 l2) + sqrt(epsilon / (2 l2)),   Bhat = B_T(R) / ||R||_F,   chat = -<S, R> / ||R||_F

    Hypotheses: J has the squared penalty alone and is epsilon-stationary in the direction R != 0. Noise of a square Gaussian
                model has Bhat = O(mean L_s ||v_s|| sqrt(log N) / N) and chat = O(||S||_F / N), which gives the rate
                ||R||_F = o(N^-1/2) at epsilon = 0.
    relative_budget : Bhat >= 0.
    relative_cross  : chat, of either sign.
    l2              : >= 0.
    epsilon         : >= 0.
    Returns weight units. Vacuous (inf) at l2 = 0.
    Claim X24-scale-free-collapse (sharpens Theorem 4.7 of arXiv:2606.02608).
    """
    weight = number(l2, "l2", 0.0)
    bound, cross = number(relative_budget, "relative_budget", 0.0), number(relative_cross, "relative_cross")
    slack = _quotient(number(epsilon, "epsilon", 0.0), 2.0 * weight)
    drift = _quotient(max(bound + 2.0 * weight * cross, 0.0), 2.0 * weight)
    return drift + math.sqrt(slack)


def noise_energy_upper(budget: float, cross: float, l2: float, epsilon: float = 0.0) -> float:
    """Energy of the noise component at a stationary point, at every finite size.

        ||R||_F^2 <= (abar + epsilon) / (2 l2) + eta,   abar >= B_T(R),   eta >= -<S, R>_F

    on the event that abar and eta are such bounds and epsilon-stationarity holds; its complement has probability at most
    |T| d2 + P(|<S, R>| > eta) + P(not stationary). As published (an o_P(1) added on the right) the display says no more than
    ||R||_F -> 0, its hypotheses already forcing abar + epsilon -> 0 (F7). In the Gaussian three-layer model
    abar = (4 sqrt(2) / |T|) sum_s a(N, s).
    budget  : abar >= 0, nats.
    cross   : eta >= 0, squared weight units.
    l2      : >= 0.
    epsilon : >= 0.
    Returns squared weight units. Vacuous (inf) at l2 = 0.
    Claim T4.7-stationarity-collapse (Theorem 4.7 of arXiv:2606.02608, finite-size form by F7), T4.8-gauss-collapse,
    ESM1-T3.21-noise-collapse.
    """
    bound = number(budget, "budget", 0.0) + number(epsilon, "epsilon", 0.0)
    return _quotient(bound, 2.0 * number(l2, "l2", 0.0)) + number(cross, "cross", 0.0)


def energy_upper(classes: int, l2: float, cross: float = 0.0) -> float:
    """Energy of any point no worse than the zero network.

        sum_i ||W_i||_F^2 <= log K / l2,   ||R||_F^2 <= log K / l2 + 2 |<S, R>_F|

    Hypotheses: CE + l2 sum_i ||W_i||_F^2 <= log K, its value at zero weights without biases; training that never rises above
                that start keeps it.
    classes : K >= 2.
    l2      : >= 0.
    cross   : |<S, R>_F| of a split W = S + R, >= 0; 0 for the weights themselves.
    Returns squared weight units. Vacuous (inf) at l2 = 0.
    Claim X25-apriori-energy (a remark on Section 4 of arXiv:2606.02608).
    """
    return _quotient(math.log(whole(classes, "classes", 2)), number(l2, "l2", 0.0)) + 2.0 * number(cross, "cross", 0.0)


def _quotient(numerator: float, denominator: float) -> float:
    """numerator / denominator as an upper bound: inf where the denominator is 0 or the quotient overflows."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = float(np.float64(numerator) / denominator)
    return found if denominator > 0.0 and not math.isnan(found) else math.inf
