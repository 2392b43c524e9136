"""Outward-rounded twins: a value printed as `proved` holds for the stored weights in real arithmetic.

Upper bounds are rounded up, lower bounds down, and the certificate is the strict comparison `is_improvement` of
`certify.theory.elastic_net` between a `budget_upper` (or the `mean_upper` of increases) and a `reward_lower`. Rational values
come from `certify.theory.exact` and are rounded once; matrix products carry the a-priori bound gamma_m; exp and log are
enclosed by `elementary`, without trust in libm. Hypotheses of every bound: float64, round to nearest, subnormals not
flushed (checked where it matters), no overflow (refused). They say nothing about a run in float32, TF32 or bfloat16: the
rounding of such a copy is a removal of its own (X10). `certify.theory.emp.mass_bounds` is rounded outward already; Gaussian
multipliers rest on a model and have no `proved` form.

Modules: `data_path`, `objective`, `loss`, `margins`, `elementary`.
"""

from certify.theory.outward.data_path import (
    budget_upper,
    data_path_size_upper,
    data_path_upper_euclidean,
    data_path_upper_rows,
    lipschitz_by_row_sums,
    row_norms_upper,
    telescoped_upper,
)
from certify.theory.outward.elementary import exp_bounds, expm1_bounds, log1p_bounds, softplus_bounds
from certify.theory.outward.loss import (
    LogProbabilities,
    cross_entropy,
    increase_lower,
    increase_upper,
    increase_upper_oscillation,
    increase_upper_pairwise,
    log_probabilities,
    mean_lower,
    mean_upper,
)
from certify.theory.outward.margins import may_gain, may_lose, predicted_label_stable, predicted_margin_lower, true_margin
from certify.theory.outward.objective import (
    change_upper,
    change_upper_additive,
    change_upper_multilayer,
    change_upper_universal,
    reward_additive_lower,
    reward_lower,
    reward_lower_a_priori,
)

__all__ = [
    "LogProbabilities",
    "budget_upper",
    "change_upper",
    "change_upper_additive",
    "change_upper_multilayer",
    "change_upper_universal",
    "cross_entropy",
    "data_path_size_upper",
    "data_path_upper_euclidean",
    "data_path_upper_rows",
    "exp_bounds",
    "expm1_bounds",
    "increase_lower",
    "increase_upper",
    "increase_upper_oscillation",
    "increase_upper_pairwise",
    "lipschitz_by_row_sums",
    "log1p_bounds",
    "log_probabilities",
    "may_gain",
    "may_lose",
    "mean_lower",
    "mean_upper",
    "predicted_label_stable",
    "predicted_margin_lower",
    "reward_additive_lower",
    "reward_lower",
    "reward_lower_a_priori",
    "row_norms_upper",
    "softplus_bounds",
    "telescoped_upper",
    "true_margin",
]
