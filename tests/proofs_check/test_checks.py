"""The runner of the checks: green on what stands, loud on what is false, unknown, unpromised or not installed."""

import importlib
import json
import subprocess
import sys

import pytest
import sympy

from certify.records import Claim
from proofs_check import __main__ as program
from proofs_check import checks, commands, ledger
from proofs_check.checks import FAILED, MISSING, PASSED, PROVED, Check, Finding, Outcome, run

STANDS = Check("T", "by hand", "one is one", ("A",), lambda: Finding(detail="measured"))


def claim(**more):
    return Claim("A", "title", "$x=x$", (), "source", "certify.theory.margins.true_margin", **more)


def outcome(kind, verdict=PASSED, **more):
    return Outcome(kind, "id", "tool", "statement", ("A",), verdict, **more)


def missing():
    importlib.import_module("a_prover_that_is_not_there")


def broken():
    raise ValueError("no")


@pytest.mark.parametrize(
    "function, verdict, words",
    [
        (lambda: "", PROVED, ""),
        (lambda: "x is not 0", FAILED, "x is not 0"),
        (lambda: Finding(detail="9 cells"), PROVED, "9 cells"),
        (lambda: Finding("cell 3", "9 cells"), FAILED, "cell 3"),
        (missing, MISSING, "a_prover_that_is_not_there is not installed"),
        (broken, FAILED, "ValueError: no"),
    ],
)
def test_what_a_check_found(function, verdict, words):
    found = run("symbolic", Check("T", "sympy", "", (), function))
    assert (found.verdict, found.detail) == (verdict, words)
    assert found.kind == "symbolic"
    assert run("coverage", STANDS).verdict == PASSED


def test_a_false_identity_fails():
    x = sympy.Symbol("x", positive=True)
    assert checks.zero(sympy.exp(2 * x) - sympy.exp(x)) != ""
    assert checks.zero(sympy.exp(2 * x) - sympy.exp(x) ** 2) == ""


def test_false_and_empty_statements_fail():
    z3 = pytest.importorskip("z3")
    x = z3.Real("x")
    assert checks.unsatisfiable([x >= 0], x > 0).startswith("negation sat")
    assert checks.unsatisfiable([x > 0, x < 0], x == 7).startswith("hypotheses unsat")
    assert checks.unsatisfiable([x >= 0], x + 1 > 0) == ""


@pytest.mark.parametrize(
    "entry, outcomes, verdict",
    [
        (claim(), (), ledger.OPEN),
        (claim(checks=("property",)), (outcome("property"),), ledger.TESTED),
        (claim(checks=("coq",)), (outcome("coq", PROVED),), ledger.FORMAL),
        (claim(checks=("ball",)), (outcome("ball", PROVED),), ledger.TESTED),
        (claim(checks=("ball",)), (outcome("ball", PROVED, whole=("A",)),), ledger.SYMBOLIC),
        (claim(checks=("counterexample",), repair="$y$"), (outcome("counterexample"),), ledger.REFUTED),
        (claim(checks=("counterexample",), repair="$y$"), (outcome("counterexample", FAILED),), ledger.BROKEN),
        (claim(checks=("coq", "property"), repair=""), (outcome("coq", PROVED), outcome("property", FAILED)), ledger.BROKEN),
    ],
)
def test_verdicts(entry, outcomes, verdict):
    (line,) = ledger.fill(outcomes, (entry,))
    assert line.verdict == verdict
    assert bool(line.trouble) == (verdict == ledger.BROKEN)


def test_a_proof_of_a_part_is_not_a_proof(monkeypatch):
    monkeypatch.setitem(ledger.PARTIAL, "A", "K >= 2")
    (line,) = ledger.fill([outcome("coq", PROVED)], (claim(checks=("coq",)),))
    assert line.verdict == ledger.TESTED
    assert "Not in Coq: K >= 2" in ledger.to_markdown([line])


@pytest.mark.parametrize(
    "promised, outcomes, words",
    [
        (("coq",), (), "no coq check, though promised"),
        (("magic",), (), "no magic check, though promised"),
        ((), (outcome("property"),), "though none is promised"),
        (("property",), (outcome("property", FAILED, detail="slack -1"),), "FAILED: slack -1"),
        (("coq",), (outcome("coq", MISSING, detail="coqc is absent"),), "not checked here"),
    ],
)
def test_a_broken_promise_is_trouble(promised, outcomes, words):
    (line,) = ledger.fill(outcomes, (claim(checks=promised),))
    assert any(words in text for text in line.trouble)
    assert ledger.missing_only([line]) == (words == "not checked here")
    assert not ledger.fill((), (claim(checks=("coq",)),), kinds=("property",))[0].trouble


def test_a_check_of_no_claim_is_an_error():
    with pytest.raises(LookupError, match="names the claim A; there is none"):
        ledger.fill([outcome("property")], ())


def test_both_forms_of_the_ledger(tmp_path):
    lines = ledger.fill(
        [outcome("counterexample", detail="0.49 > 1/3"), outcome("property")],
        (claim(checks=("counterexample", "property"), repair=r"$|y|\le1$"),),
    )
    ledger.write(lines, tmp_path)
    value = json.loads((tmp_path / "ledger.json").read_text())
    assert value["verdicts"] == {"refuted": 1}
    assert value["claims"][0]["ran"][0]["detail"] == "0.49 > 1/3"
    page = (tmp_path / "ledger.md").read_text()
    assert "Counterexample: statement. Found: 0.49 > 1/3." in page
    assert r"Holds instead: $|y|\le1$" in page


ONE = (claim(),)


@pytest.mark.parametrize(
    "function, promised, plain, allowed",
    [
        (lambda: "", ("symbolic",), 0, 0),
        (missing, ("symbolic",), 1, 0),
        (lambda: "wrong", ("symbolic",), 1, 1),
        (None, ("symbolic",), 1, 1),
    ],
)
def test_exit_codes(monkeypatch, capsys, function, promised, plain, allowed):
    table = () if function is None else (Check("T", "none", "", ("A",), function),)
    monkeypatch.setitem(commands.OWN, "symbolic", table)
    fill = ledger.fill
    monkeypatch.setattr(ledger, "fill", lambda outcomes, kinds: fill(outcomes, (claim(checks=promised),), kinds))
    assert program.main(["symbolic"]) == plain
    assert program.main(["symbolic", "--allow-missing"]) == allowed
    assert ("not checked here" in capsys.readouterr().out) == (function is missing)


def test_usage():
    for words in (["magic"], ["try", "X1-ce-sharp"], ["try", "X1-ce-sharp", "a.json", "--example"]):
        with pytest.raises(SystemExit) as stopped:
            program.main(words)
        assert stopped.value.code == 2


def test_as_a_command():
    pytest.importorskip("z3")
    done = subprocess.run([sys.executable, "-m", "proofs_check", "symbolic"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(commands.OWN['symbolic'])} proved" in done.stdout
