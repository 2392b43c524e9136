"""Inequalities on whole boxes, by interval arithmetic that rounds outward and subdivides where it must."""

from proofs_check.ball import activations, cross_entropy, effective_number, laws
from proofs_check.checks import Check

CHECKS: tuple[Check, ...] = (
    *activations.CHECKS,
    *cross_entropy.CHECKS,
    *effective_number.CHECKS,
    *laws.CHECKS,
)
