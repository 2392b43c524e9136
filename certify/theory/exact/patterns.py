"""Group costs of k:n patterns without rounding. Twins of `certify.theory.patterns`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.theory._arrays import whole
from certify.theory.exact._rationals import Exact, Numbers, Scalar, at_least, exact, rational


def group_moments(inputs: Numbers, group: int) -> Exact:
    """Uncentred second moments of the inputs of each group.

        C_g = (1 / N) sum_x h_g(x) h_g(x)^T

    inputs : (N, cols) calibration vectors.
    group  : n, a divisor of cols.
    Returns (G, n, n).
    Claim P3-cast (Section 3 of arXiv:2606.02608, CAST notes).
    """
    h = exact(inputs, "inputs", (None, None))
    parts = _grouped(h, whole(group, "group", 1), "inputs")
    return np.array([part.T @ part for part in parts.transpose(1, 0, 2)], dtype=np.object_) / Fraction(len(h))


def group_costs(weights: Numbers, moments: Numbers, kept: npt.ArrayLike) -> Exact:
    """Mean squared contribution that each group of a row loses under each of some masks.

        c_{i,g}(m) = r^T C_g r,   r = (1 - m) * W_{i,g}

    weights : (rows, cols) W.
    moments : (G, n, n) from `group_moments`, cols = G n.
    kept    : (M, n) bool masks m.
    Returns (rows, G, M).
    Claim P3-cast (Section 3 of arXiv:2606.02608, CAST notes).
    """
    moment = exact(moments, "moments", (None, None, None))
    groups, n = moment.shape[:2]
    w = _grouped(exact(weights, "weights", (None, groups * n)), n, "weights")
    mask = np.asarray(kept)
    if moment.shape[2] != n or mask.dtype != np.bool_ or mask.ndim != 2 or mask.shape[1] != n or not mask.size:
        raise Refused(f"moments, kept: shapes {moment.shape} and {mask.shape}; (G, n, n) and (M, n) masks are expected")
    costs = np.empty((len(w), groups, len(mask)), dtype=np.object_)
    for i, g, m in np.ndindex(costs.shape):
        removed = w[i, g] * ~mask[m]
        costs[i, g, m] = removed @ moment[g] @ removed
    return costs


def row_energy_upper(costs: Numbers) -> Exact:
    """Upper bound on the mean squared output that each row loses, from its group costs.

        (R C R^T)_ii  <=  G sum_g c_{i,g}

    costs : (rows, G) c_{i,g}, >= 0.
    Returns (rows,).
    Claim X30-cast-link (repairs F17).
    """
    cost = at_least(costs, "costs", 0, (None, None))
    return cost.shape[1] * cost.sum(axis=1)


def budget_upper_by_energy_squared(lipschitz: Scalar, energies: Numbers, tokens: Scalar = 1) -> Fraction:
    """Square of the upper bound on the budget from the output energy that a mask removes, which has no root in it.

        B_T(R)^2 <= 4 L^2 P tr(R C R^T)

    lipschitz : L >= L_s for every sample, >= 0.
    energies  : (rows,) e_i >= (R C R^T)_ii, >= 0.
    tokens    : P, vectors per sample that C averages over, >= 1.
    Returns squared nats.
    Claim X30-cast-link (links the group costs to Definition 5.0 of arXiv:2606.02608).
    """
    energy = sum(at_least(energies, "energies", 0, (None,)), Fraction(0))
    return 4 * rational(lipschitz, "lipschitz", 0) ** 2 * rational(tokens, "tokens", 1) * energy


def _grouped(table: Exact, group: int, name: str) -> Exact:
    rows, cols = table.shape
    if cols % group:
        raise Refused(f"{name}: {cols} inputs do not divide into groups of {group}")
    return table.reshape(rows, cols // group, group)
