"""Each law's claim names a function that names it back; SYM-18 to SYM-20 are proved; wrong versions of them are not."""

import importlib
import inspect

import pytest
import sympy as sp

from certify.laws.claims import LAW_CLAIMS
from certify.theory.claims import BY_ID
from proofs_check.obligations import PROVED, run, unsatisfiable, zero
from proofs_check.symbolic.laws import OBLIGATIONS

from .wrong_edits import EDITS, ROOT


@pytest.mark.parametrize("entry", LAW_CLAIMS, ids=lambda entry: entry.id)
def test_claim(entry):
    module, _, name = entry.function.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    assert entry.id in (inspect.getdoc(function) or "").partition("\nClaim ")[2]
    assert entry.title
    assert entry.source
    for text in (entry.statement, *entry.hypotheses):
        assert text.count("$") % 2 == 0
        assert text.count("{") == text.count("}")


def test_identifiers():
    ids = [entry.id for entry in LAW_CLAIMS]
    assert len(set(ids)) == len(ids)
    assert {claim for item in OBLIGATIONS for claim in item.claims} <= set(ids) | set(BY_ID)


@pytest.mark.parametrize("item", OBLIGATIONS, ids=lambda item: item.id)
def test_obligation(item):
    if item.tool == "z3":
        pytest.importorskip("z3")
    outcome = run(item)
    assert outcome.verdict == PROVED, outcome.note


def test_wrong_versions_fail():
    """The overlaps exchanged, the threshold without its root, the correction with one g."""
    g, c, theta, s, root = sp.symbols("g c theta s root", positive=True)
    left = (theta**4 - c * g**2) / (theta**2 * (theta**2 + c * g))
    assert zero(left - (1 - g * (theta**2 + c * g) / (theta**2 * (theta**2 + g))))
    assert zero(s - (s + root) / 2 - (s**2 - root**2) / 4 / (s + root))
    z3 = pytest.importorskip("z3")
    t, noise, k = z3.Reals("t g k")
    conclusion = (t + noise) * (t + noise * k * k) > noise * (1 + k) * (1 + k) * t
    assert unsatisfiable([t > 0, noise > 0, k > 0], conclusion).startswith("negation sat")


@pytest.mark.parametrize("file, text, wrong", EDITS)
def test_wrong_edits_still_apply(file, text, wrong):
    source = (ROOT / "certify" / "laws" / file).read_text(encoding="utf-8")
    assert source.count(text) == 1
    assert text != wrong
