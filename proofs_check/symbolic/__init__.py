"""Identities by sympy, polynomial inequalities by z3. Exponentials enter z3 as positive variables, e^(2 eta) as w >= 1."""

from proofs_check.checks import Check
from proofs_check.symbolic import (
    additive,
    ce,
    effective_number,
    elastic_net,
    gaussian,
    laws,
    margins,
    ranking,
    score_laws,
    spikes,
)

CHECKS: tuple[Check, ...] = (
    *ce.CHECKS,
    *margins.CHECKS,
    *elastic_net.CHECKS,
    *additive.CHECKS,
    *gaussian.CHECKS,
    *laws.CHECKS,
    *spikes.CHECKS,
    *effective_number.CHECKS,
    *score_laws.CHECKS,
    *ranking.CHECKS,
)
