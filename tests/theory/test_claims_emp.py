"""The claims about pruning scores: complete, named by their function, and no public function without one."""

import importlib
import inspect
import re

import pytest

from certify.theory.claims.effective_number import EMP_CLAIMS
from certify.theory.claims.ranking import RANKING_CLAIMS

CLAIMS = (*EMP_CLAIMS, *RANKING_CLAIMS)
MODULES = (
    "emp.effective_number",
    "emp.mass_bounds",
    "emp.retained_loss",
    "emp.data_path_scores",
    "emp.score_laws",
    "rank_monotone",
    "graph_spectra",
)


def named(value):
    tail = (inspect.getdoc(value) or "").partition("\nClaim ")[2]
    return set(re.findall(r"(?<![\w.])(?:EMP|SEL|SSD)-[A-Z]\d+(?![\w-])", tail))


def members():
    for module in MODULES:
        for name, value in vars(importlib.import_module(f"certify.theory.{module}")).items():
            public = not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))
            if public and value.__module__ == f"certify.theory.{module}":
                yield pytest.param(value, id=f"{module}.{name}")


@pytest.mark.parametrize("entry", CLAIMS, ids=lambda entry: entry.id)
def test_claim_is_complete_and_its_function_names_it(entry):
    module, _, name = entry.function.rpartition(".")
    assert entry.id in named(getattr(importlib.import_module(module), name))
    assert entry.title
    assert entry.source
    for text in (entry.statement, *entry.hypotheses):
        assert text.count("$") % 2 == 0
        assert text.count("{") == text.count("}")
    assert "$" in entry.statement


@pytest.mark.parametrize("value", members())
def test_public_member_names_known_claims(value):
    assert named(value)
    assert named(value) <= {entry.id for entry in CLAIMS}


def test_identifiers_are_unique():
    assert len({entry.id for entry in CLAIMS}) == len(CLAIMS)
