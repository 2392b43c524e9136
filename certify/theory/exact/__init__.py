"""Rational twins: everything decidable about stored weights, without rounding.

A float64 is a dyadic rational, so norms, rewards, data-path sizes, budgets, margins and, for ReLU and absolute-value tails,
the whole path of the logits are rationals, and the certificates made of them are decided. Only cross-entropies are not:
`certify.theory.outward` encloses them. Every function has the name and the arguments of its float64 twin, takes floats,
whole numbers or `fractions.Fraction`, refuses what that one refuses, and returns fractions.

Modules: `objective` (twin of `elastic_net`), `data_path` (of `budget`), `margins`, `patterns`, `path`. Effective-number
pruning has its exact forms in `certify.theory.emp`.
"""

from certify.theory.exact.data_path import (
    budget,
    data_path_size,
    data_path_upper_euclidean_squared,
    data_path_upper_rows,
    lipschitz_by_row_sums,
    restoration_can_help,
    smallest_lipschitz,
    telescoped,
)
from certify.theory.exact.margins import (
    accuracy_change_interval,
    may_change_published,
    may_gain,
    may_gain_pairwise,
    may_lose,
    may_lose_pairwise,
    predicted_label_stable,
    predicted_margin,
    topk_margin,
    true_margin,
)
from certify.theory.exact.objective import (
    Certificate,
    best_theta,
    break_even_l2,
    break_even_scale,
    certificate_exact,
    change_upper,
    change_upper_additive,
    change_upper_multilayer,
    change_upper_universal,
    entrywise_l1,
    frobenius_squared,
    is_improvement,
    restore_gain,
    reward,
    reward_additive,
)
from certify.theory.exact.path import ReluPath, relu_path
from certify.theory.exact.patterns import budget_upper_by_energy_squared, group_costs, group_moments, row_energy_upper

__all__ = [
    "Certificate",
    "ReluPath",
    "accuracy_change_interval",
    "best_theta",
    "break_even_l2",
    "break_even_scale",
    "budget",
    "budget_upper_by_energy_squared",
    "certificate_exact",
    "change_upper",
    "change_upper_additive",
    "change_upper_multilayer",
    "change_upper_universal",
    "data_path_size",
    "data_path_upper_euclidean_squared",
    "data_path_upper_rows",
    "entrywise_l1",
    "frobenius_squared",
    "group_costs",
    "group_moments",
    "is_improvement",
    "lipschitz_by_row_sums",
    "may_change_published",
    "may_gain",
    "may_gain_pairwise",
    "may_lose",
    "may_lose_pairwise",
    "predicted_label_stable",
    "predicted_margin",
    "relu_path",
    "restoration_can_help",
    "restore_gain",
    "reward",
    "reward_additive",
    "row_energy_upper",
    "smallest_lipschitz",
    "telescoped",
    "topk_margin",
    "true_margin",
]
