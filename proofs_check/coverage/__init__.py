"""Probabilities by Monte Carlo, protocols MC-V, MC-E, MC-S and MC-M, each with its seed and its false-alarm rate."""

from proofs_check.checks import Check
from proofs_check.coverage import additive, effective_number, gaussian, gaussian_network, laws, laws_spikes

CHECKS: tuple[Check, ...] = (
    *gaussian.CHECKS,
    *gaussian_network.CHECKS,
    *additive.CHECKS,
    *laws.CHECKS,
    *laws_spikes.CHECKS,
    *effective_number.CHECKS,
)
