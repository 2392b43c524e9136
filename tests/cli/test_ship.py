"""From a finished job to files that ship, each a pair of its own; certificates told apart; model cards."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import onnx
import pytest
import yaml

from certify.records import Certificate, Outcomes, Refused
from certify.records.files import write_json
from certify.records.hashing import sha256_file, sha256_json
from certify.report.difference import difference
from certify.verifier import verify

VIT = jobs.DIGITS["model"]
KWARGS = [part for key, value in VIT["kwargs"].items() for part in ("--model-kwargs", f"{key}={jobs.toml(value)}")]
MODEL = ["-m", VIT["name"], "--num-classes", 10, *KWARGS]
FILES = {
    "bf16": "model.bf16.safetensors",
    "two-four": "model.two-four.safetensors",
    "two-four-fp16": "model.two-four.fp16.safetensors",
    "onnx": "model.onnx",
}


def compare(finished: Path, file: Path, out: Path, *more: object) -> jobs.Said:
    data = ["--data-dir", "digits", "--calibration", 8, "--out", out]
    return jobs.certify("compare", finished / "reference.safetensors", file, *MODEL, *data, *more, "--json")


@pytest.fixture(scope="module")
def pairs(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each format exported from plan two-four, and compared with the reference as it is deployed: a folder per format."""
    folder = tmp_path_factory.mktemp("pairs")
    for form, file in FILES.items():
        said = jobs.certify("export", finished, "--plan", "two-four", "--format", form, "--out", folder / "files", "--json")
        assert said.code == 0, said.err
        assert json.loads(said.out)["file"] == file
        said = compare(finished, folder / "files" / file, folder / form / "run")
        assert said.code == 0, said.err
    return folder


def certificate(pairs: Path, form: str) -> Path:
    return pairs / form / "run" / "plans" / "given" / "certificate.json"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("bf16", "bfloat16 weights and activations, torch "),
        ("two-four-fp16", "float16 weights and activations, torch "),
        ("onnx", "float32 ONNX graph, onnxruntime "),
    ],
)
def test_guarantees_name_the_arithmetic_of_the_shipped_file(form: str, words: str, pairs: Path) -> None:
    issued = Certificate.load(certificate(pairs, form))
    for guarantee in issued.guarantees:
        assert str(guarantee.arithmetic["shipped"]).startswith(words)
        assert any(words in text for text in guarantee.assumptions)
    verdict = verify(certificate(pairs, form), level="replay", require=["disagreement<=0.1@0.95"])
    checks = {check.name: check for check in verdict.checks}
    assert checks["predictions"].done and checks["guarantees"].done
    assert checks["ladder"].done == (form != "onnx")
    if form == "onnx":
        assert "no segment of weights" in checks["ladder"].detail and not issued.about["ladders"]


def test_the_compressed_file_is_the_same_pair_as_the_bfloat16_one(pairs: Path) -> None:
    one, two = (Certificate.load(certificate(pairs, form)) for form in ("bf16", "two-four"))
    assert one.pair == two.pair
    assert [entry.limit for entry in one.guarantees] == [entry.limit for entry in two.guarantees]


def test_the_name_that_export_gives_is_that_of_the_certificate(pairs: Path) -> None:
    for form, file in FILES.items():
        said = json.loads((pairs / "files" / f"{file}.json").read_text())
        assert said["network"] == Certificate.load(certificate(pairs, form)).pair.shipped


def test_in_bfloat16_the_logits_are_not_those_of_float32(pairs: Path, finished: Path) -> None:
    shipped = {form: Outcomes.load(certificate(pairs, form).with_name("outcomes.parquet")).shipped for form in FILES}
    assert (shipped["bf16"] == shipped["two-four"]).all()
    assert 1e-5 < abs(shipped["bf16"] - shipped["onnx"]).max() < 0.1
    # A bfloat16 number has at most 8 significant bits.
    assert (shipped["bf16"].astype("<f4").view("<u4") & 0xFFFF == 0).all()


def test_one_share_of_delta_for_each_file_of_one_split(pairs: Path, finished: Path, tmp_path: Path) -> None:
    files = pairs / "files"
    assert compare(finished, files / "model.bf16.safetensors", tmp_path / "one").code == 0
    refused = compare(finished, files / "model.onnx", tmp_path / "two")
    assert refused.code == 3 and "earlier look" in refused.err


def test_a_bfloat16_file_can_be_told_to_run_in_float32(pairs: Path, finished: Path, tmp_path: Path) -> None:
    assert compare(finished, pairs / "files" / "model.bf16.safetensors", tmp_path / "wide", "--runs", "float32").code == 0
    issued = Certificate.load(tmp_path / "wide" / "plans" / "given" / "certificate.json")
    assert "shipped" not in issued.guarantees[0].arithmetic and "runs" not in issued.about
    assert "runs" not in (tmp_path / "wide" / "recipe.toml").read_text()
    refused = compare(finished, pairs / "files" / "model.onnx", tmp_path / "no", "--runs", "int8")
    assert refused.code == 2 and "int8" in refused.err


def copied(pairs: Path, form: str, folder: Path) -> Path:
    """The certificate of a copy of a run."""
    shutil.copytree(pairs / form / "run", folder)
    return folder / "plans" / "given" / "certificate.json"


def rehashed(path: Path, **about: Any) -> Path:
    """The certificate issued again over the files that lie there now, by somebody who can hash."""
    content = Certificate.load(path).content()
    content["about"] |= about
    content["files"] = {name: sha256_file(path.parents[2] / name) for name in content["files"]}
    write_json(path, content | {"content_hash": sha256_json(content)})
    return path


def test_a_changed_file_is_not_the_pair_of_the_certificate(pairs: Path, tmp_path: Path) -> None:
    for form, file in (("bf16", "model.safetensors"), ("onnx", "model.onnx")):
        path = copied(pairs, form, tmp_path / form)
        verify(path)
        data = bytearray(path.with_name(file).read_bytes())
        data[-7] ^= 1
        path.with_name(file).write_bytes(data)
        with pytest.raises(Refused, match="changed after issue"):
            verify(path)
        with pytest.raises(Refused, match="the pair of the certificate says"):
            verify(rehashed(path))


def test_another_way_of_running_than_the_recipe_says_is_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"does not name plans/given/model\.onnx"):
        verify(rehashed(copied(pairs, "bf16", tmp_path / "graph"), runs="onnxruntime"))
    with pytest.raises(Refused, match="runs as bfloat16, the certificate states float32"):
        verify(rehashed(copied(pairs, "bf16", tmp_path / "float"), runs="float32"))


def test_arithmetic_that_is_not_the_recipes_is_refused(pairs: Path, tmp_path: Path) -> None:
    path = copied(pairs, "bf16", tmp_path / "run")
    table = path.with_name("outcomes.parquet")
    found = Outcomes.load(table)
    replace(found, arithmetic={"numbers": "float32", "device": "cpu", "threads": 1}).save(table)
    with pytest.raises(Refused, match="ran as 'float32', the recipe says bfloat16"):
        verify(rehashed(path))


def test_other_logits_are_found_when_the_runtime_runs_again(pairs: Path, tmp_path: Path) -> None:
    for form, size in (("onnx", 1e-2), ("bf16", 1.0)):
        path = copied(pairs, form, tmp_path / form)
        table = path.with_name("outcomes.parquet")
        found = Outcomes.load(table)
        shipped = found.shipped.copy()
        shipped[5, shipped[5].argmin()] -= size
        replace(found, shipped=shipped).save(table)
        with pytest.raises(Refused, match=r"shipped logit \d of sample 5 is"):
            verify(rehashed(path), level="replay")


def test_without_onnxruntime_a_replay_says_what_it_did_not_check(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    checks = {check.name: check for check in verify(certificate(pairs, "onnx"), level="replay").checks}
    assert checks["predictions of the reference"].done
    assert (
        not checks["predictions of model.onnx"].done
        and "onnxruntime is not installed" in checks["predictions of model.onnx"].detail
    )


def test_an_onnx_file_without_the_packages_is_refused(
    pairs: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = compare(finished, pairs / "files" / "model.onnx", tmp_path / "out")
    assert said.code == 3 and "onnxruntime is not installed" in said.err and said.err.count("\n") == 1


def test_a_graph_of_other_images_or_classes_is_refused_before_anybody_looks(pairs: Path, finished: Path, tmp_path: Path) -> None:
    model = onnx.load(pairs / "files" / "model.onnx")
    (head,) = (node for node in model.graph.node if "logits" in node.output)
    head.output[0] = "all"
    for name, value in (("from", 0), ("to", 7), ("axis", 1)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([value]), name))
    model.graph.node.append(onnx.helper.make_node("Slice", ["all", "from", "to", "axis"], ["logits"]))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    onnx.save(model, tmp_path / "seven.onnx")
    said = compare(finished, tmp_path / "seven.onnx", tmp_path / "out")
    assert said.code == 3 and "returns 7 logits, vit_tiny_patch16_224 has 10" in said.err
    assert not list(tmp_path.rglob("*looks*"))


def test_a_planted_number_makes_another_network(pairs: Path, finished: Path, tmp_path: Path) -> None:
    """Compare runs whatever it is given, under the name of its bytes: a certificate of the file that was exported is no use."""
    model = onnx.load(pairs / "files" / "model.onnx")
    tensor = next(entry for entry in model.graph.initializer if entry.name.startswith("val_") and len(entry.dims) == 2)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[array == 0] = 1e-8
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(model, tmp_path / "planted.onnx")
    assert compare(finished, tmp_path / "planted.onnx", tmp_path / "out").code == 0
    issued = Certificate.load(tmp_path / "out" / "plans" / "given" / "certificate.json")
    assert issued.pair.shipped != Certificate.load(certificate(pairs, "onnx")).pair.shipped


def test_export_of_a_checkpoint_is_the_export_of_the_run(pairs: Path, finished: Path, tmp_path: Path) -> None:
    source = finished / "plans" / "two-four" / "model.safetensors"
    for form, more in (("two-four", []), ("onnx", ["--data-dir", "digits", "--samples", 4])):
        said = jobs.certify("export", source, *MODEL, "--format", form, *more, "--out", tmp_path, "--json")
        assert said.code == 0, said.err
        assert json.loads(said.out)["network"] == json.loads((pairs / "files" / f"{FILES[form]}.json").read_text())["network"]
    said = jobs.certify("export", finished, "--plan", "half", "--format", "onnx", "--out", tmp_path / "half")
    assert said.code == 0 and "6 pruned matrices found in the graph" in said.out and "decisions equal on 16" in said.out


def test_export_refuses_what_it_cannot_do(finished: Path, pairs: Path, tmp_path: Path) -> None:
    ship = ["--format", "bf16", "--out", tmp_path / "out"]
    for code, words, call in (
        (2, "2 plans", [finished, *ship]),
        (2, "--plan thrice", [finished, "--plan", "thrice", *ship]),
        (2, "gguf", [finished, "--plan", "half", "--format", "gguf", "--out", tmp_path / "out"]),
        (2, "needs -m MODEL", [finished / "reference.safetensors", *ship]),
        (2, "--data-dir", [finished / "reference.safetensors", *MODEL, "--format", "onnx", "--out", tmp_path / "out"]),
        (2, "belong to a checkpoint", [finished, *MODEL, *ship]),
        (3, "no matrix was pruned 2:4", [finished, "--plan", "half", "--format", "two-four", "--out", tmp_path / "out"]),
        (2, "ONNX graph already", [pairs / "onnx" / "run", *ship]),
        (3, "not a run folder", [tmp_path, *ship]),
    ):
        said = jobs.certify("export", *call)
        assert said.code == code and words in said.err and said.err.count("\n") == 1, (call, said.err)
    assert not (tmp_path / "out").exists()


def test_a_certificate_differs_from_itself_in_nothing(pairs: Path) -> None:
    path = certificate(pairs, "bf16")
    said = jobs.certify("diff", path, path, "--json")
    assert said.code == 0 and json.loads(said.out)["changes"] == []
    assert "the same" in jobs.certify("diff", path, path).out


def test_what_changed_between_two_certificates(finished: Path, pairs: Path) -> None:
    half, pruned = (finished / "plans" / name / "certificate.json" for name in ("half", "two-four"))
    said = jobs.certify("diff", half, pruned, "--json")
    changes = {change["what"]: change for change in json.loads(said.out)["changes"]}
    assert said.code == 0
    assert changes["about.plan.removed"] == {
        "group": "plan",
        "what": "about.plan.removed",
        "before": 1648,
        "after": 1536,
        "by": -112.0,
    }
    assert "pair.shipped" in changes and "pair.reference" not in changes
    assert "schema" not in changes and not any(what.startswith("about.environment") for what in changes)
    one, two = Certificate.load(half), Certificate.load(pruned)
    back = {change.what: change for change in difference(two, one)}
    assert {what: (change.after, change.before) for what, change in back.items()} == {
        what: (change["before"], change["after"]) for what, change in changes.items()
    }
    shown = jobs.certify("diff", half, pruned)
    assert shown.code == 0 and "1648" in shown.out and "-112" in shown.out and "which --json lists" in shown.out
    across = {change.what: change for change in difference(one, Certificate.load(certificate(pairs, "onnx")))}
    assert across["about.runs"].before is None and across["about.runs"].after == "onnxruntime"


def test_diff_refuses_what_is_no_certificate(pairs: Path, tmp_path: Path) -> None:
    path = certificate(pairs, "bf16")
    changed = tmp_path / "changed.json"
    changed.write_text(path.read_text().replace('"looks": 1', '"looks": 0'))
    for other, words in ((changed, "changed after issue"), (tmp_path / "absent.json", "cannot be read")):
        said = jobs.certify("diff", path, other)
        assert said.code == 3 and words in said.err and said.err.count("\n") == 1


def front_matter(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text().split("---\n")[1])


def test_a_card_says_what_the_certificate_says(run: Path) -> None:
    said = jobs.certify("card", run, "--plan", "two-four")
    path = run / "plans" / "two-four" / "README.md"
    assert said.code == 0 and said.out.strip() == str(path)
    text, issued = path.read_text(), Certificate.load(path.with_name("certificate.json"))
    (model,) = front_matter(path)["model-index"]
    metrics = model["results"][0]["metrics"]
    assert front_matter(path)["library_name"] == "timm" and "pruning" in front_matter(path)["tags"]
    assert [entry["value"] for entry in metrics[2:]] == [entry.limit for entry in issued.guarantees]
    for word in (issued.pair.reference, issued.pair.shipped, issued.content_hash, "1,536 of 3,072 weights", "pattern 2:4"):
        assert word in text
    assert all(entry.sentence in text for entry in issued.guarantees)
    assert all(f"- {assumption}\n" in text for entry in issued.guarantees for assumption in entry.assumptions)
    assert "certify verify plans/two-four/certificate.json" in text and "level files and level replay" in text
    proved, rest = text.split("## What is proved")[1].split("## What is guaranteed")
    assert proved.count("Certified") == 1 and "certified" not in rest.lower().replace("certification", "")
    assert "`box_change`: VACUOUS on" in proved


def test_a_card_of_an_onnx_pair_proves_nothing(pairs: Path, tmp_path: Path) -> None:
    said = jobs.certify("card", pairs / "onnx" / "run", "--out", tmp_path / "README.md", "--json")
    text = (tmp_path / "README.md").read_text()
    assert said.code == 0 and json.loads(said.out) == {"card": str(tmp_path / "README.md")}
    assert "Nothing: no segment of weights" in text and "Certified" not in text and "through onnxruntime" in text
    assert "onnxruntime" in text and "without a plan" in text


def test_model_hubs_read_the_front_matter(pairs: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    jobs.certify("card", pairs / "bf16" / "run", "--out", tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert data.library_name == "timm" and data.eval_results and len(data.eval_results) == 4
    assert "rounding of bfloat16 activations is not covered" in (tmp_path / "README.md").read_text()


def test_cards_are_made_of_certificates(run: Path, tmp_path: Path) -> None:
    said = jobs.certify("card", run)
    assert said.code == 2 and "half, two-four" in said.err
    (run / "plans" / "half" / "certificate.json").unlink()
    said = jobs.certify("card", run, "--plan", "half")
    assert said.code == 3 and "no certificate" in said.err
