"""The words of certify as frozen data types, and the files they live in. Everyone may import it; it imports nobody."""

from certify.records.certificates import SCHEMA, Certificate, Check, Verdict
from certify.records.choices import Choice
from certify.records.errors import CertifyError, Refused, Unmet, Usage
from certify.records.evidence import COST_LEVELS, PARTS, Evidence
from certify.records.journal import Journal
from certify.records.ladder import Bound, Edge, Ladder
from certify.records.networks import Claim, Pair, Target
from certify.records.outcomes import DEFAULT_STATEMENTS, LABELLED, STATEMENTS, Guarantee, Outcomes, decision
from certify.records.plans import Edit, Plan, check_pattern, parse_pattern
from certify.records.recipe import Recipe
from certify.records.run import Run
from certify.records.spectrum import Spectrum, load_spectra, save_spectra
from certify.records.splits import PURPOSES, Splits

__all__ = [
    "COST_LEVELS",
    "DEFAULT_STATEMENTS",
    "LABELLED",
    "PARTS",
    "PURPOSES",
    "SCHEMA",
    "STATEMENTS",
    "Bound",
    "Certificate",
    "CertifyError",
    "Check",
    "Choice",
    "Claim",
    "Edge",
    "Edit",
    "Evidence",
    "Guarantee",
    "Journal",
    "Ladder",
    "Outcomes",
    "Pair",
    "Plan",
    "Recipe",
    "Refused",
    "Run",
    "Spectrum",
    "Splits",
    "Target",
    "Unmet",
    "Usage",
    "Verdict",
    "check_pattern",
    "decision",
    "load_spectra",
    "parse_pattern",
    "save_spectra",
]
