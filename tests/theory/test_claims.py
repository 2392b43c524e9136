"""Every claim has a function, every public function of the theory and the laws names a claim, in both directions."""

import importlib
import inspect
import pkgutil
import re

import pytest

import certify.laws
import certify.theory
from certify.records import Claim
from certify.theory.claims import claim
from proofs_check.ledger import BY_ID, CLAIMS

IDS = sorted(BY_ID, key=len, reverse=True)


def public_members():
    for package in (certify.theory, certify.laws):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            name = info.name
            if "._" in name or ".claims" in name:
                continue
            module = importlib.import_module(name)
            for member, value in vars(module).items():
                public = not member.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value))
                if public and value.__module__ == name:
                    yield pytest.param(value, id=f"{name}.{member}")


def resolve(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def named_claims(function):
    tail = (inspect.getdoc(function) or "").partition("\nClaim ")[2]
    return {id for id in IDS if re.search(rf"(?<![\w.]){re.escape(id)}(?![\w-])", tail)}


@pytest.mark.parametrize("entry", CLAIMS, ids=lambda entry: entry.id)
def test_claim_is_complete_and_its_function_names_it(entry):
    assert isinstance(entry, Claim)
    assert entry.title
    assert entry.statement
    assert entry.source
    assert entry.statement.count("$") % 2 == 0
    assert all(hypothesis.count("$") % 2 == 0 for hypothesis in entry.hypotheses)
    for text in (entry.statement, *entry.hypotheses):
        assert text.count("{") == text.count("}")
    function = resolve(entry.function)
    assert callable(function)
    assert entry.id in named_claims(function) or entry.id in (inspect.getdoc(function) or "")


@pytest.mark.parametrize("function", public_members())
def test_public_function_names_a_claim(function):
    documentation = inspect.getdoc(function) or ""
    assert named_claims(function), f"no claim in the docstring:\n{documentation}"
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty or inspect.isclass(function)


def test_identifiers_are_unique_and_found():
    assert len(BY_ID) == len(CLAIMS)
    assert claim("X1-ce-sharp").function == "certify.theory.cross_entropy.increase_upper"
