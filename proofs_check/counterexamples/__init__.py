"""Instances on which a published statement fails, small enough to check by hand, and negative controls that must fail."""

from proofs_check.checks import Check
from proofs_check.counterexamples import (
    controls,
    effective_number,
    enclosures,
    errata,
    practice,
    published,
    random_models,
    ranking,
)
from proofs_check.counterexamples.core import Refutation

_MODULES = (published, random_models, practice, controls, errata, enclosures, effective_number, ranking)
REFUTATIONS: tuple[Refutation, ...] = tuple(item for module in _MODULES for item in module.REFUTATIONS)
CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.CHECKS)
