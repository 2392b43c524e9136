"""What the removed mass says about the loss: curvature, additive domination, and the published bounds that fail.

theta are the weights, delta the removed ones, U the removed set, phi the retained mass of the scores in use. A removed
mass bounds the loss only through a hypothesis that ties scores to the loss; the data-path scores of `data_path_scores`
make it automatic. Without one the loss may change by any amount at a fixed removed mass.
"""

from __future__ import annotations

import math

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole
from certify.theory.cross_entropy import increase_lower, increase_upper
from certify.theory.emp.mass_bounds import cell_retained_mass_infimum


def removed_squared_upper(retained: float, one: float, square: float) -> float:
    """Largest squared norm of the removed weights under magnitude scores.

        ||delta||_2^2  <=  min{ (1 - phi) ||theta||_2^2,  (1 - phi)^2 ||theta||_1^2 }

    retained : phi in [0, 1] of a mask that keeps the largest weights.
    one      : ||theta||_1 >= 0.
    square   : ||theta||_2^2, in [0, one^2].
    Returns squared weight units. The first is the smaller one when D (1 - phi) > 1.
    Claim EMP-T6 (Theorem 6 of theory/emp.md).
    """
    lost = 1.0 - number(retained, "retained", 0.0, 1.0)
    total = number(one, "one", 0.0)
    energy = number(square, "square", 0.0)
    if energy > total * total * (1.0 + 1e-12):
        raise Refused(f"square: {energy}; a squared 2-norm is at most the squared 1-norm, here {total * total}")
    return min(lost * energy, (lost * total) * (lost * total))


def change_upper_curvature(gradient: float, curvature: float, removed_one: float, removed_square: float) -> float:
    """Largest loss increase when a set U of weights is set to 0.

        L(theta_K) - L(theta)  <=  ||grad_U L||_inf ||delta||_1 + curvature ||delta||_2^2 / 2

    Hypotheses: L is C^2 on the segment; Hessian <= H_bar there. Two-sided if -H_bar <= Hessian as well.
    gradient       : largest |dL/dtheta_i| at theta over U, >= 0; 0 at a stationary point.
    curvature      : largest eigenvalue of H_bar on U, or 0 if negative; for H_bar PSD its trace serves (the place of
                     the trace in the published bound, without the factor (1 - rho)/(N rho)).
    removed_one    : ||delta||_1 >= 0, (1 - s_eff) ||theta||_1 for magnitude scores.
    removed_square : ||delta||_2^2 >= 0 or a bound, `removed_squared_upper`.
    Returns nats. Attained by a quadratic whose Hessian has delta as its top eigenvector, at a stationary point.
    Claim EMP-T6, EMP-P2, EMP-P3 (Theorem 6 of theory/emp.md).
    """
    slope = number(gradient, "gradient", 0.0) * number(removed_one, "removed_one", 0.0)
    return _total(slope + 0.5 * number(curvature, "curvature", 0.0) * number(removed_square, "removed_square", 0.0))


def mean_change_random_signs(curvature_diagonal: ArrayLike, removed: ArrayLike) -> float:
    """Mean loss increase of an exact quadratic when the removed weights have independent fair signs.

        E[delta^T H delta / 2] = sum_{i in U} H_ii delta_i^2 / 2;   for a Haar-rotated H: tr(H) ||delta||_2^2 / (2 N)

    Model-based: the signs are independent of H and of the mask. No certificate.
    curvature_diagonal : (N,) H_ii, any sign; tr(H)/N in each place gives the second form.
    removed            : (N,) delta, 0 where the weight is kept.
    Returns nats.
    Claim EMP-T6 (average version of Theorem 6 of theory/emp.md).
    """
    delta = finite(removed, "removed", (None,))
    diagonal = finite(curvature_diagonal, "curvature_diagonal", delta.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return _total(float(np.sum(diagonal * delta * delta)) / 2.0)


def curvature_scores(weights: ArrayLike, curvature_diagonal: ArrayLike) -> Array:
    """The score for which the removed mass is a second-order certificate.

        s_i = |theta_i| sqrt(H_ii)

    weights            : (N,) theta.
    curvature_diagonal : (N,) diagonal of a PSD H_bar >= Hessian on the segment, >= 0.
    Returns (N,) scores for `change_upper_curvature_scores`.
    Claim EMP-T7 (Theorem 7 of theory/emp.md).
    """
    theta = finite(weights, "weights", (None,))
    diagonal = at_least(curvature_diagonal, "curvature_diagonal", 0.0, theta.shape)
    with np.errstate(over="ignore"):
        return representable(np.abs(theta) * np.sqrt(diagonal), "curvature scores")


def change_upper_curvature_scores(removed_scores: ArrayLike) -> float:
    """Largest loss increase at a stationary point, from the scores that were removed.

        L(theta_K) - L(theta)  <=  (sum_{i in U} s_i)^2 / 2  =  (1 - phi_K)^2 ||s||_1^2 / 2

    Hypotheses: stationary point; PSD H_bar >= Hessian on the segment, s from its diagonal. Any mask.
    removed_scores : (N,) `curvature_scores`, 0 where kept; >= 0.
    Returns nats. Attained by H = v v^T with v_i delta_i >= 0.
    Claim EMP-T7 (Theorem 7 of theory/emp.md).
    """
    with np.errstate(over="ignore"):
        mass = float(np.sum(at_least(removed_scores, "removed_scores", 0.0, (None,))))
    return _total(0.5 * mass * mass)


def change_upper_additive(constant: float, total: float, retained: float) -> float:
    """Largest loss change when the loss of a set is dominated by the sum of its scores.

        |Lambda(U)|  <=  C ||s||_1 (1 - phi_K)

    Hypothesis (H): |Lambda(U)| <= C sum_{i in U} |s_i| for all U in play, as when |Lambda({i})| <= C |s_i| in every
    context, or L is C-Lipschitz in the |s|-weighted l1 distance of gates. Magnitudes, leave-one-out scores at the dense
    point and Taylor scores do not have it.
    constant : C >= 0, loss per unit of score.
    total    : ||s||_1 >= 0.
    retained : phi_K in [0, 1].
    Returns nats.
    Claim EMP-T8 (Theorem 8 of theory/emp.md), EMP-H-redundant.
    """
    lost = 1.0 - number(retained, "retained", 0.0, 1.0)
    return _total(number(constant, "constant", 0.0) * number(total, "total", 0.0) * lost)


def change_upper_additive_cell(constant: float, total: float, entries: int, effective: int) -> float:
    """The same bound before any score is seen, from the effective size alone.

        |Lambda(U)|  <=  C ||s||_1 (1 - cell infimum),   C ||s||_1 / 2 at N_eff = 1 < N, 0 at N_eff = N

    Strict if N_eff < N and C ||s||_1 > 0, never at N_eff = N.
    constant, total : as in `change_upper_additive`, under (H).
    entries         : N >= 1.
    effective       : N_eff, 1..N.
    Returns nats. Vacuous as N grows with N_eff/N fixed: it tends to C ||s||_1 (1 - N_eff/N).
    Claim EMP-T8 (Theorem 8 of theory/emp.md, "<=" by the errata), ER-EMP-T8-strict.
    """
    return change_upper_additive(constant, total, cell_retained_mass_infimum(entries, effective))


def mean_change_interval(log_p: ArrayLike, log_not_p: ArrayLike, eta: ArrayLike) -> tuple[float, float]:
    """Range of the change of the mean cross-entropy when sample s's logits move by at most eta_s.

        mean log(p + (1 - p) exp(-2 eta))  <=  CE(S) - CE(A)  <=  mean log(p + (1 - p) exp(2 eta))  <=  2 mean eta

    log_p, log_not_p : (T,) from `log_probabilities` of the dense network.
    eta              : (T,) bound on max_j |z'_j - z_j|, >= 0, logit units.
    Returns (lower, upper) nats; the upper end also bounds the absolute change. Both attained.
    Claim EMP-L9 (Lemma 9 of theory/emp.md).
    """
    low, high = increase_lower(log_p, log_not_p, eta), increase_upper(log_p, log_not_p, eta)
    return math.fsum(low) / low.size, math.fsum(high) / high.size


def change_published_trace(entries: int, kept: int, trace: float, removed_square: float) -> float:
    """The published curvature bound on the loss change. False: H = I fails for every vector with rho = K/N > 1/2.

        eps <= (1 - rho) / (2 N rho) tr(H) ||delta||_2^2

    With H = v v^T, v along delta, the loss change is N K / (N - K) > 1 times the right side.
    entries, kept  : N, K with 1 <= K <= N.
    trace          : tr(H).
    removed_square : ||delta||_2^2 >= 0.
    Returns nats. `change_upper_curvature` is the repaired form.
    Claim EMP-P2 (arXiv:2509.25606 as reported; refuted).
    """
    n = whole(entries, "entries", 1)
    rho = whole(kept, "kept", 1, n) / n
    return _total((1.0 - rho) / (2.0 * n * rho) * number(trace, "trace") * number(removed_square, "removed_square", 0.0))


def change_published_mass(entries: int, effective: int, trace: float, one: float) -> float:
    """The published bound on the loss change by effective size. False: nine ones and one 0.9, H = I: .405 > .0545.

        eps <= ||theta||_1^2 tr(H) (1 - rho)^4 / (2 rho) (1 - t)^2,   t = sqrt((N - N_eff - 1) / ((N_eff + 1)(N - 1)))

    entries   : N >= 1.
    effective : N_eff, 1..N; rho = N_eff / N.
    trace     : tr(H).
    one       : ||theta||_1 >= 0.
    Returns nats; 0 at N_eff = N, where t is not real. Where N - N_eff is large it is true by being vacuous.
    Claim EMP-P3 (arXiv:2509.25606 as reported; refuted).
    """
    n = whole(entries, "entries", 1)
    nu = whole(effective, "effective", 1, n)
    hessian, total = number(trace, "trace"), number(one, "one", 0.0)
    if nu == n:
        return 0.0
    rho, t = nu / n, math.sqrt((n - nu - 1) / ((nu + 1) * (n - 1)))
    return _total(total * total * hessian * (1.0 - rho) ** 4 / (2.0 * rho) * (1.0 - t) ** 2)


def _total(value: float) -> float:
    return float(representable(value, "bound on the loss"))
