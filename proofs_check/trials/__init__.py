"""Claims made runnable on one instance, one module per topic. `TRIALS` holds them all, by claim."""

from proofs_check.trials import (
    additive,
    budget,
    cross_entropy,
    effective_number,
    elastic_net,
    gaussian,
    laws,
    margins,
    path,
    patterns,
    perturbation,
    ranking,
    rounding,
    stationarity,
)
from proofs_check.trials.core import Trial

ALL: tuple[Trial, ...] = (
    *additive.TRIALS,
    *budget.TRIALS,
    *cross_entropy.TRIALS,
    *effective_number.TRIALS,
    *elastic_net.TRIALS,
    *gaussian.TRIALS,
    *laws.TRIALS,
    *margins.TRIALS,
    *path.TRIALS,
    *patterns.TRIALS,
    *perturbation.TRIALS,
    *ranking.TRIALS,
    *rounding.TRIALS,
    *stationarity.TRIALS,
)
TRIALS: dict[str, Trial] = {trial.claim: trial for trial in ALL}
