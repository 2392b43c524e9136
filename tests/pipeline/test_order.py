"""What cannot be done is refused before anything expensive is done."""

from __future__ import annotations

from pathlib import Path

import jobs
import pytest

IMPOSSIBLE = {
    "a glob that matches nothing": {"name": "half", "sparsity": 0.5, "include": ["blokcs.*"]},
    "a pattern that divides nothing": {"name": "half", "pattern": "2:7"},
    "nothing left to prune": {"name": "half", "sparsity": 0.5, "exclude": ["*"]},
}


@pytest.mark.parametrize("plan", IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_an_impossible_plan_is_refused_before_training(tmp_path: Path, plan: dict[str, object]) -> None:
    recipe = jobs.write_recipe(tmp_path / "recipe.toml", jobs.DIGITS | {"plan": [plan]})
    said = jobs.certify("run", recipe, "--out", tmp_path / "run")
    assert said.code == 2
    assert not (tmp_path / "run" / "reference.safetensors").exists()
    assert "reference" not in (tmp_path / "run" / "journal.jsonl").read_text()


def test_evidence_is_collected_for_the_targets_of_the_plans_alone(tmp_path: Path) -> None:
    from certify.records import Evidence

    plans = [
        {"name": "first", "sparsity": 0.5, "include": ["blocks.0.mlp.*"]},
        {"name": "second", "sparsity": 0.5, "include": ["blocks.0.attn.*"], "exclude": ["*.proj"]},
    ]
    recipe = jobs.write_recipe(tmp_path / "recipe.toml", jobs.DIGITS | {"plan": plans})
    assert jobs.certify("run", recipe, "--out", tmp_path / "run").code == 0
    evidence = Evidence.load(tmp_path / "run" / "evidence.safetensors")
    assert list(evidence.weights) == ["blocks.0.attn.qkv", "blocks.0.mlp.fc1", "blocks.0.mlp.fc2"]
