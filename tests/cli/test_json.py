"""With --json every verb prints exactly one JSON object on stdout, and nothing else anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jobs
import pytest

from certify.cli.app import app

VIT = jobs.DIGITS["model"]
KWARGS = [part for key, value in VIT["kwargs"].items() for part in ("--model-kwargs", f"{key}={jobs.toml(value)}")]


def calls(run: Path, folder: Path) -> dict[str, list[object]]:
    """One call of every verb, on a finished job."""
    pair = [run / "reference.safetensors", run / "plans" / "half" / "model.safetensors"]
    recipe = jobs.write_recipe(folder / "recipe.toml", jobs.DIGITS)
    stream = folder / "stream.csv"
    stream.write_text("3,3\n3,4\n")
    model = ["-m", VIT["name"], "--num-classes", 10, *KWARGS]
    return {
        "run": [recipe, "--out", run],
        "describe": model,
        "macs": model,
        **{verb: [run] for verb in ("spectra", "prune", "bound", "recover", "guarantee", "issue", "report")},
        "compare": [*pair, *model, "--data-dir", "digits", "--calibration", 8, "--out", folder / "compared"],
        "verify": [run / "plans" / "half" / "certificate.json", "--require", "sparsity>=0.5"],
        "size": ["accuracy_drop", "0.01", "--rate", "0.005", "--family", "4"],
        "export": [run, "--plan", "half", "--format", "bf16", "--out", folder / "shipped"],
        "card": [run, "--plan", "half"],
        "diff": [run / "plans" / name / "certificate.json" for name in ("half", "two-four")],
        "canary": [stream, "--level", 0.05],
        "speed": ["-m", "resnet18", "--device", "cpu", "--out", folder / "speed"],
    }


# A key that tells the verb's answer from every other JSON object.
TOLD = {"describe": "targets", "verify": "checks", "size": "samples", "speed": "settings", "report": "report"}
TOLD |= {"export": "sha256", "macs": "totals", "card": "card", "diff": "changes", "canary": "evidence"}


@pytest.mark.parametrize(
    "verb", [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
)
def test_one_object_and_nothing_else(verb: str, run: Path, tmp_path: Path) -> None:
    said = jobs.certify(verb, *calls(run, tmp_path)[verb], "--json")
    assert (said.code, said.err) == (0, "")
    assert said.out.count("\n") == 1
    value = json.loads(said.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert TOLD.get(verb, "plans") in value


def test_sizes_of_every_statement() -> None:
    def size(*arguments: object) -> int:
        said = jobs.certify("size", *arguments, "--json")
        assert said.code == 0, said.err
        return json.loads(said.out)["samples"]

    alone = size("disagreement", "0.05", "--rate", "0.01")
    assert size("disagreement", "0.05", "--rate", "0.01", "--unshown", "0.01") > alone
    assert size("disagreement", "0.05", "--rate", "0.01", "--shift-kl", "0.01") > alone
    assert size("disagreement", "0.05", "--rate", "0.01", "--shift-chi-square", "0.01") > alone
    assert size("disagreement_by_class", "0.05", "--rate", "0.01", "--classes", 10) > 10 * alone
    assert size("accuracy_drop_betting", "0.05", "--rate", "0.02", "--gains", "0.01") > 20


def test_the_summary_of_a_run_states_what_its_files_hold(finished: Path, tmp_path: Path) -> None:
    value = json.loads(jobs.certify("run", *calls(finished, tmp_path)["run"], "--json").out)
    half, pairs = value["plans"]
    # 16·4 + 16·48 + 16·16 + 2·16·64 + 16·10 prunable weights; 2:4 leaves stem and classifier alone.
    assert (half["removed"], half["total"], half["sparsity"]) == (1648, 3296, 0.5)
    assert (pairs["removed"], pairs["total"], pairs["pattern"]) == (1536, 3072, "2:4")
    assert value["layers"][0]["target"] == "patch_embed.proj" and len(value["layers"]) == 6
    for plan in value["plans"]:
        certificate: dict[str, Any] = json.loads(Path(plan["certificate"]).read_text())
        assert [entry["limit"] for entry in plan["guarantees"]] == [entry["limit"] for entry in certificate["guarantees"]]
        assert plan["verified"] == ["files", "replay"]
        assert plan["counts"]["samples"] == 100
    assert value["reference"]["digest"] == certificate["pair"]["reference"]


def test_a_person_reads_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    said = jobs.certify("run", *calls(finished, tmp_path)["run"])
    assert said.code == 0
    assert "1,648 of 3,296 weights removed (50.00%)" in said.out
    assert said.out.count("Guaranteed at confidence 0.95") == 4
    assert f"report: {finished / 'report.html'}" in said.out


def test_verify_answers_each_requirement(finished: Path) -> None:
    certificate = finished / "plans" / "two-four" / "certificate.json"
    wanted = ["disagreement<=1@0.95", "sparsity>=0.5"]
    said = jobs.certify(
        "verify", certificate, "--level", "replay", *(part for text in wanted for part in ("--require", text)), "--json"
    )
    value = json.loads(said.out)
    assert (said.code, value["level"], list(value["requirements"])) == (0, "replay", wanted)
    assert all(answer.startswith("met: ") for answer in value["requirements"].values())


def test_size_agrees_with_the_limit_it_plans_for() -> None:
    """0 of n: the limit 1 - (delta/k)^(1/n) is at most 1 % from n = 437 on, for delta = 5 % shared by four."""
    value = json.loads(jobs.certify("size", "disagreement", "0.01", "--family", "4", "--json").out)
    assert value["samples"] == 437
    assert 1 - 0.0125 ** (1 / 437) <= 0.01 < 1 - 0.0125 ** (1 / 436)
