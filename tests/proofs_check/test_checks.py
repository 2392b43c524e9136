"""The runner of the proofs: green on what is proved, loud on what is false, unknown or not installed."""

import importlib
import subprocess
import sys

import pytest
import sympy

from proofs_check import __main__ as program
from proofs_check import obligations
from proofs_check.ledger import BY_ID
from proofs_check.obligations import FAILED, MISSING, PROVED, Obligation, run
from proofs_check.symbolic import OBLIGATIONS


@pytest.mark.parametrize("item", OBLIGATIONS, ids=lambda item: item.id)
def test_obligation(item):
    if item.tool == "z3":
        pytest.importorskip("z3")
    assert run(item).verdict == PROVED
    assert set(item.claims) <= set(BY_ID)


def test_a_false_identity_fails():
    x = sympy.Symbol("x", positive=True)
    assert run(Obligation("T", "sympy", "", (), lambda: obligations.zero(sympy.exp(2 * x) - sympy.exp(x)))).verdict == FAILED


def test_false_and_empty_statements_fail():
    z3 = pytest.importorskip("z3")
    x = z3.Real("x")
    assert obligations.unsatisfiable([x >= 0], x > 0).startswith("negation sat")
    assert obligations.unsatisfiable([x > 0, x < 0], x == 7).startswith("hypotheses unsat")
    assert obligations.unsatisfiable([x >= 0], x + 1 > 0) == ""


def missing():
    importlib.import_module("a_prover_that_is_not_there")


def test_a_missing_tool_is_not_a_proof(monkeypatch, capsys):
    monkeypatch.setattr(program, "OBLIGATIONS", (Obligation("T", "none", "", ("X1-ce-sharp",), missing),))
    assert run(program.OBLIGATIONS[0]).verdict == MISSING
    assert program.main(["symbolic"]) == 1
    assert program.main(["symbolic", "--allow-missing"]) == 0
    assert "not checked here" in capsys.readouterr().out


def test_an_unknown_claim_or_a_failure_ends_with_one(monkeypatch):
    monkeypatch.setattr(program, "OBLIGATIONS", (Obligation("T", "none", "", ("no such",), lambda: ""),))
    assert program.main(["symbolic"]) == 1
    monkeypatch.setattr(program, "OBLIGATIONS", (Obligation("T", "none", "", ("X1-ce-sharp",), lambda: "wrong"),))
    assert program.main(["symbolic", "--allow-missing"]) == 1


def test_as_a_command():
    pytest.importorskip("z3")
    done = subprocess.run([sys.executable, "-m", "proofs_check", "symbolic"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(OBLIGATIONS)} proved" in done.stdout
