"""`certify prune --method`: one more plan from a run's network and calibration split, the run folder untouched."""

from __future__ import annotations

import json
from pathlib import Path

import jobs
import numpy as np
import pytest

from certify.pruning import METHODS
from certify.records import Evidence, Plan
from certify.records.hashing import sha256_file


def test_one_more_plan_beside_the_recipes(finished: Path, tmp_path: Path) -> None:
    before = {path: sha256_file(path) for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    words = ["--method", "magnitude", "--sparsity", "0.7", "--option", "scope=layer", "--out", tmp_path / "layers"]
    said = jobs.certify("prune", finished, *words, "--json")
    assert (said.code, said.err) == (0, "")
    plan = Plan.load(tmp_path / "layers")
    assert (json.loads(said.out)["removed"], plan.options) == (plan.removed, {"scope": "layer"})
    weights = Evidence.load(finished / "evidence.safetensors").weights
    for edit in plan.edits:
        size = np.abs(weights[edit.target])
        assert edit.removed == 7 * size.size // 10
        assert size[~edit.kept].max() <= size[edit.kept].min()
    assert before == {path: sha256_file(path) for path in before}, "the run folder stays as it is"


def test_evidence_the_run_did_not_need_is_collected(finished: Path, tmp_path: Path) -> None:
    words = ["--method", "wanda", "--pattern", "2:4", "--option", "order=bucket", "--out", tmp_path / "plan"]
    assert jobs.certify("prune", finished, *words, "--json").code == 0
    plan = Plan.load(tmp_path / "plan")
    assert plan.removed * 2 == plan.total
    assert any(edit.order is not None for edit in plan.edits)


def test_the_list_names_every_method() -> None:
    value = json.loads(jobs.certify("prune", "nowhere", "--method", "list", "--json").out)
    assert [row["method"] for row in value["methods"]] == list(METHODS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sparsity", "0.5"], "go with --method NAME"),
        (["--method", "magnitude", "--sparsity", "0.5"], "needs --out DIR"),
        (["--method", "magnitude", "--out", "{out}"], "give a sparsity or a pattern"),
        (["--method", "magnitude", "--sparsity", "nan", "--out", "{out}"], "not in [0, 1)"),
        (["--method", "dowsing", "--sparsity", "0.5", "--out", "{out}"], "'dowsing' is not registered"),
        (["--method", "magnitude", "--sparsity", "0.5", "--option", "scope", "--out", "{out}"], "--option 'scope'"),
        (["--method", "magnitude", "--sparsity", "0.5", "--option", "spoce=row", "--out", "{out}"], "no option 'spoce'"),
    ],
)
def test_a_wrong_call_is_one_sentence(words: list[str], said: str, finished: Path, tmp_path: Path) -> None:
    found = jobs.certify("prune", finished, *(word.replace("{out}", str(tmp_path / "plan")) for word in words))
    assert found.code == 2
    assert said in found.err and found.err.count("\n") == 1
    assert not (tmp_path / "plan").exists()
