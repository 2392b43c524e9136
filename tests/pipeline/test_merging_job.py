"""A job whose shipped networks merge tokens: guarantees cover the merging, bounds say that they do not."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import onnx
import pytest
import torch

from certify.networks.loading import build, load_state, read_checkpoint
from certify.networks.merging import merge_tokens
from certify.networks.running import Graph
from certify.records import Certificate, Ladder, Outcomes, Recipe, Refused, Usage
from certify.records.files import write_json
from certify.records.hashing import sha256_file, sha256_json
from certify.verifier import verify

MERGE = (3, 2)
RECIPE: dict[str, Any] = copy.deepcopy(jobs.DIGITS) | {"merge": list(MERGE)}
RECIPE["model"]["kwargs"]["depth"] = 2
RECIPE["plan"] = [{"name": "two-four", "pattern": "2:4"}]


def written(recipe: dict[str, Any], path: Path) -> Path:
    path.write_text("".join(f"{key} = {jobs.toml(value)}\n" for key, value in recipe.items()))
    return path


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    said = jobs.certify("run", written(RECIPE, folder / "recipe.toml"), "--out", folder / "run")
    assert said.code == 0, said.err
    return folder / "run"


def test_guarantees_are_of_the_network_that_merges(merged: Path) -> None:
    folder = merged / "plans/two-four"
    issued, outcomes = Certificate.load(folder / "certificate.json"), Outcomes.load(folder / "outcomes.parquet")
    assert issued.about["merge"] == list(MERGE)
    for guarantee in issued.guarantees:
        assert any("shipped_merges 3, 2 tokens a block" in text for text in guarantee.assumptions)
    recipe = Recipe.load(merged / "recipe.toml")
    plain = load_state(build(recipe.model), read_checkpoint(folder / "model.safetensors"), "test")
    images = samples(recipe, merged)
    with torch.no_grad():
        logits = [network(images).double().numpy() for network in (merge_tokens(plain, MERGE), plain)]
    assert np.allclose(outcomes.shipped[: len(images)], logits[0], atol=1e-5)
    assert not np.allclose(outcomes.shipped[: len(images)], logits[1], atol=1e-3), "the network without merging is another one"


def samples(recipe: Recipe, run: Path) -> torch.Tensor:
    from certify.data.sources import load_samples
    from certify.networks.loading import preprocessing

    found = load_samples(recipe.data, preprocessing(build(recipe.model), recipe.model))
    return found.images(json.loads((run / "splits.json").read_text())["indices"]["certification"][:20])


def test_bounds_say_that_they_do_not_cover_merging(merged: Path) -> None:
    for file in ("masked.ladder.parquet", "ladder.parquet"):
        assert "no bound here covers that" in Ladder.load(merged / "plans/two-four" / file).notes[0]
    assert jobs.certify("card", merged).code == 0
    text = (merged / "plans/two-four/README.md").read_text()
    assert "merging 3, 2 tokens a block" in text and "Token merging is not covered" in text


def test_the_verifier_runs_the_merging_itself(merged: Path) -> None:
    verdict = verify(merged / "plans/two-four/certificate.json", level="replay", require=["accuracy_drop<=0.9@0.95"])
    predictions = next(check for check in verdict.checks if check.name == "predictions")
    assert predictions.done and "too close to call" in predictions.detail


def test_a_certificate_of_other_merging_is_refused_even_when_hashed_again(merged: Path, tmp_path: Path) -> None:
    shutil.copytree(merged, tmp_path / "run")
    path = tmp_path / "run/plans/two-four/certificate.json"
    genuine = Certificate.load(path).content()

    def issued(**about: Any) -> Path:
        content = genuine | {"about": genuine["about"] | about}
        content["files"] = {name: sha256_file(tmp_path / "run" / name) for name in content["files"]}
        write_json(path, content | {"content_hash": sha256_json(content)})
        return path

    verify(issued())
    with pytest.raises(Refused, match=r"merges \[3, 2\] tokens, the certificate states \[1, 1\]"):
        verify(issued(merge=[1, 1]))
    recipe = tmp_path / "run/recipe.toml"
    recipe.write_text(recipe.read_text().replace("merge = [3, 2]", "merge = [1, 1]"))
    digest = Recipe.load(recipe).digest
    with pytest.raises(Refused, match="merged 3, 2 tokens a block, the recipe says 1, 1 tokens a block"):
        verify(issued(merge=[1, 1], recipe=digest))


def test_an_exported_graph_merges_by_itself(merged: Path, tmp_path: Path) -> None:
    said = jobs.certify("export", merged, "--format", "onnx", "--out", tmp_path, "--samples", 8, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["merge"] == list(MERGE)
    assert any(node.op_type in ("TopK", "ScatterElements", "ScatterND") for node in onnx.load(tmp_path / "model.onnx").graph.node)
    recipe = Recipe.load(merged / "recipe.toml")
    images = samples(recipe, merged)
    shipped = Outcomes.load(merged / "plans/two-four/outcomes.parquet").shipped[: len(images)]
    assert np.abs(Graph(tmp_path / "model.onnx", 1)(images).numpy() - shipped).max() < 1e-4


@pytest.mark.parametrize("form", ["safetensors", "bf16"])
def test_a_file_of_weights_is_compared_as_it_merges(form: str, merged: Path, tmp_path: Path) -> None:
    assert jobs.certify("export", merged, "--format", form, "--out", tmp_path).code == 0
    file = next(tmp_path.glob("*.safetensors"))
    assert json.loads(Path(f"{file}.json").read_text())["merge"] == list(MERGE)
    model = RECIPE["model"]
    kwargs = [part for key, value in model["kwargs"].items() for part in ("--model-kwargs", f"{key}={jobs.toml(value)}")]
    common = ["compare", merged / "reference.safetensors", file, "-m", model["name"], "--num-classes", 10, *kwargs]
    common += ["--data-dir", "digits", "--calibration", 8, "--share", 0.5]
    said = jobs.certify(*common, "--merge", "3,2", "--out", tmp_path / "pair")
    assert said.code == 0, said.err
    issued = Certificate.load(tmp_path / "pair/plans/given/certificate.json")
    assert issued.guarantees[0].arithmetic["shipped_merges"] == "3, 2 tokens a block"


def test_what_cannot_merge_is_refused_before_any_work(tmp_path: Path) -> None:
    resnet = copy.deepcopy(jobs.RESNET) | {"checkpoint": "absent.safetensors"}
    recipe = written(RECIPE | {"model": resnet, "merge": 2}, tmp_path / "recipe.toml")
    said = jobs.certify("run", recipe, "--out", tmp_path / "run")
    assert said.code == 3 and "token merging needs a timm VisionTransformer" in said.err
    recipe = written(RECIPE | {"merge": [1, 2, 3]}, tmp_path / "recipe.toml")
    said = jobs.certify("run", recipe, "--out", tmp_path / "other")
    assert said.code == 3 and "3 numbers for 2 blocks" in said.err


@pytest.mark.parametrize(("merge", "words"), [([0], "above 0"), ([-1, 2], "above 0"), (["2"], "type int"), (2.5, "a list")])
def test_wrong_schedules(merge: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=words):
        Recipe.load(written(RECIPE | {"merge": merge}, tmp_path / "recipe.toml"))


def test_a_recipe_without_merging_keeps_its_name() -> None:
    text = "".join(f"{key} = {jobs.toml(value)}\n" for key, value in jobs.DIGITS.items())
    recipe = Recipe.from_toml(text, "test")
    assert "merge" not in recipe.to_json() and "merge" not in recipe.to_toml()
    merging = Recipe.from_toml(f"merge = 8\n{text}", "test")
    assert merging.merge == (8,) and merging.digest != recipe.digest
    assert Recipe.from_toml(merging.to_toml(), "test") == merging
