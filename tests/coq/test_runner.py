"""The index agrees with the files and the ledger, and the runner refuses what is not a proof."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from pathlib import Path

import pytest

from proofs_check.coq import run
from proofs_check.coq.index import BY_THEOREM, ENTRIES, FOLDER, PARTIAL, WITNESS, Entry, commented, source, statement
from proofs_check.ledger import BY_ID

needs_coq = pytest.mark.skipif(shutil.which("coqc") is None and not os.environ.get("CI"), reason=run.MISSING)
FILES = sorted(path.name for path in FOLDER.glob("*.v"))
ENTRY = Entry("X0", "Planted.v", "planted", "$1<2$")
HONEST = """Require Import Reals Lra.
Open Scope R_scope.
(* Claim X0: one is below two. *)
Theorem planted : 1 < 2.
Proof. lra. Qed.
Lemma planted_witness : exists x, x < 2 /\\ 0 < x.
Proof. exists 1. lra. Qed.
"""


def planted(folder: Path, text: str) -> run.Result:
    (folder / "Planted.v").write_text(text, encoding="utf-8")
    return run.check(folder, (ENTRY,), recheck=False)[0]


def test_index_and_files_agree():
    in_files = {(file, name) for file in FILES for name in re.findall(r"^Theorem (\w+)", source(file), re.MULTILINE)}
    assert {(entry.file, entry.theorem) for entry in ENTRIES} == in_files
    assert len(BY_THEOREM) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.theorem)
def test_entry(entry: Entry):
    claim, words = commented(entry.file)[entry.theorem]
    assert claim == entry.claim
    assert words == entry.words
    assert words.endswith(".")
    assert entry.statement
    assert statement(entry.file, entry.witness).startswith("exists ")
    if entry.function:
        module, name = entry.function.rsplit(".", 1)
        assert callable(getattr(importlib.import_module(module), name))


def test_no_witness_without_theorem():
    names = {name for file in FILES for name in re.findall(rf"^Lemma (\w+){WITNESS} ?:", source(file), re.MULTILINE)}
    assert names == set(BY_THEOREM)


def test_enough_claims():
    assert len({entry.claim for entry in ENTRIES}) >= 60


def test_gaps_belong_to_claims_with_a_theorem():
    assert set(PARTIAL) <= {entry.claim for entry in ENTRIES}
    assert all(gap and not gap.endswith(".") for gap in PARTIAL.values())


def test_waves_respect_imports(tmp_path: Path):
    for name, needs in {"A": "", "B": "A", "C": "A B"}.items():
        required = f"From {run.LIBRARY} Require Import {needs}.\n" if needs else ""
        (tmp_path / f"{name}.v").write_text(required, encoding="utf-8")
    assert run.compile_waves(tmp_path) == [["A"], ["B"], ["C"]]
    (tmp_path / "A.v").write_text(f"From {run.LIBRARY} Require Import C.\n", encoding="utf-8")
    with pytest.raises(ValueError, match="circular"):
        run.compile_waves(tmp_path)


def stem(claim: str) -> str:
    """The ID without its words: X12 of X12-budget-calculus, ESM1-C1.1 of ESM1-C1.1-weighted-elastic-net."""
    return "-".join(claim.split("-")[: 2 if claim.startswith(("ESM1", "EMP", "SEL")) else 1])


@pytest.mark.parametrize("claim", sorted({entry.claim for entry in ENTRIES}))
def test_ids_of_the_ledger_are_spelled_alike(claim: str):
    assert claim in BY_ID or stem(claim) not in {stem(id) for id in BY_ID}


@pytest.mark.parametrize("file", FILES)
def test_sources_assume_nothing(file: str):
    assert run.assuming_words(source(file)) == []


@pytest.mark.parametrize(
    "line",
    [
        "Admitted.",
        "Axiom a : 0 = 1.",
        "Parameter a : nat.",
        "Conjecture a : 0 = 1.",
        "Hypothesis a : 0 = 1.",
        "Section s. End s. Variable a : nat.",
        "Proof. admit.",
        "Unset Guard Checking.",
    ],
)
def test_assuming_words_are_found(line: str):
    assert run.assuming_words(f"(* fine *) {line}")


@pytest.mark.parametrize("line", ["(* Admitted (* Axiom *) *)", "Section s. Variable a : nat. End s.", 'Check "Axiom".'])
def test_harmless_words_are_not(line: str):
    assert run.assuming_words(line) == []


def test_parsing_of_axioms():
    assert run.axioms("Closed under the global context\n") == frozenset()
    printed = "Axioms:\nA.b\n  : forall x,\n      x = x\nc : 0 = 1\n"
    assert run.axioms(printed) == {"A.b", "c"}
    assert run.axioms("f is assumed to be guarded.\n") - run.ALLOWED_AXIOMS


def test_absent_coq_is_not_a_proof(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(run.shutil, "which", lambda tool: None)
    assert run.main([]) == 1
    assert run.MISSING in capsys.readouterr().out
    assert run.main(["--allow-missing"]) == 0


@needs_coq
def test_an_honest_proof_passes(tmp_path: Path):
    assert planted(tmp_path, HONEST).ok


@needs_coq
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Proof. lra. Qed.\nLemma", "Admitted.\nLemma", "Admitted"),
        ("Open Scope R_scope.\n", "Open Scope R_scope.\nAxiom free : 1 < 2.\n", "Axiom"),
        ("1 < 2.\nProof. lra", "2 < 1.\nProof. lra", "does not compile"),
        ("planted_witness", "planted_other", "planted_witness"),
    ],
)
def test_a_planted_fault_is_refused(tmp_path: Path, old: str, new: str, told: str):
    assert old in HONEST
    result = planted(tmp_path, HONEST.replace(old, new, 1))
    assert not result.ok
    assert told in result.detail


@needs_coq
def test_an_axiom_that_hides_from_the_word_search_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "assuming_words", lambda text: [])
    hidden = HONEST.replace("Proof. lra. Qed.\nLemma", "Proof. exact free. Qed.\nLemma", 1)
    hidden = hidden.replace("Open Scope R_scope.\n", "Open Scope R_scope.\nAxiom free : 1 < 2.\n")
    result = planted(tmp_path, hidden)
    assert not result.ok
    assert "Planted.free" in result.detail or "assumes free" in result.detail


@needs_coq
@pytest.mark.slow
@pytest.mark.proof
def test_all_theorems_are_proved():
    results = run.check()
    assert [result for result in results if not result.ok] == []
    assert len(results) == len(ENTRIES)
