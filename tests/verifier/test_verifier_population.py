"""A job with every statement, shifts and a choice, the whole way; and forgers of each of them who rehash everything."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jobs
import jsonschema
import numpy as np
import pytest
from job_fixtures import cache, own_torch
from verifier_run import Forge

from certify.records import SCHEMA, Certificate, Choice, Outcomes, Refused, Unmet
from certify.records.files import read_json, write_json
from certify.verifier import verify
from certify.verifier.limits import increase_limit, within_kl

__all__ = ["cache", "own_torch"]

GUARANTEES = {
    "statements": ["disagreement", "accuracy_drop_betting", "disagreement_by_class", "ce_increase"],
    "shift_kl": 0.01,
    "shift_chi_square": 0.02,
    "choose": {"level": 0.5, "procedure": "fixed-sequence", "share": 0.25},
}
JOB = jobs.changed(
    jobs.DIGITS,
    splits={"train": 400, "certification": 300},
    training={"epochs": 12},
    recovery={"epochs": 0},
    bounds={"samples": 4, "max_order": 8},
    plan=[{"name": "tenth", "sparsity": 0.1}, {"name": "half", "sparsity": 0.5}, {"name": "most", "sparsity": 0.98}],
    guarantees=GUARANTEES,
)
DROP, CLASSES, INCREASE = 1, 2, 3


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Do not write into it."""
    folder = tmp_path_factory.mktemp("population")
    said = jobs.certify("run", jobs.write_recipe(folder / "recipe.toml", JOB), "--out", folder / "run", "--json")
    assert said.code == 0, said.err
    return folder / "run"


@pytest.fixture
def forge(job: Path, tmp_path: Path) -> Forge:
    return Forge(job, "half").copy(tmp_path / "run")


def test_the_choice_is_written_shown_and_verified(job: Path) -> None:
    choice = Choice.from_json(read_json(job / "choice.json"))
    assert [row["plan"] for row in choice.plans] == ["tenth", "half", "most"]
    assert [row["passed"] for row in choice.plans] == [True, True, False] and choice.chosen == "half"
    assert choice.alpha == pytest.approx(0.05 * 0.25)
    said = jobs.certify("guarantee", job)
    assert said.code == 0 and "Chosen: plan half, of the largest sparsity (50 %)" in said.out
    assert json.loads(jobs.certify("guarantee", job, "--json").out)["choice"]["chosen"] == "half"
    page = (job / "report.html").read_text(encoding="utf-8")
    for words in ("Chosen: plan half", "Disagreement, class by class", "Limits under shift", "Accuracy drop, by betting"):
        assert words in page
    for name in ("tenth", "half", "most"):
        verdict = verify(job / "plans" / name / "certificate.json", level="replay")
        said = {check.name: check.detail for check in verdict.checks}
        assert "2 of 3 plans pass fixed-sequence" in said["choice"]
        assert "LayerNorm" in said["end of the network"]


def test_shares_add_up_to_delta_and_every_claim_is_named(job: Path) -> None:
    certificate = Certificate.load(job / "plans" / "half" / "certificate.json")
    family = certificate.about["family"]
    assert math.fsum([family["choice"], *(entry["share"] for entry in family["statements"])]) == pytest.approx(0.05)
    assert len(family["statements"]) == 12
    claims = {"B1-clopper-pearson", "B3-betting", "B4-betting-drop", "B5-graph", "B6-shift-kl", "B7-shift-chi-square"}
    assert claims <= set(certificate.claims)
    text = files("certify.records").joinpath("schemas", f"certificate-{SCHEMA}.json").read_text(encoding="utf-8")
    checker = jsonschema.Draft202012Validator(json.loads(text))
    assert not list(checker.iter_errors(json.loads((job / "plans" / "half" / "certificate.json").read_text())))
    assert {"choice.json", "plans/most/outcomes.parquet", "plans/tenth/plan.json"} <= set(certificate.files)


def test_a_requirement_names_any_statement_and_fails_closed(job: Path) -> None:
    path = job / "plans" / "half" / "certificate.json"
    limits = {each.statement: each.limit for each in Certificate.load(path).guarantees}
    for name in GUARANTEES["statements"]:
        assert jobs.certify("verify", path, "--require", f"{name}<={limits[name] + 1e-6!r}@0.95").code == 0
        refused = jobs.certify("verify", path, "--require", f"{name}<={limits[name] - 1e-6!r}@0.95")
        assert refused.code == 1 and "not met" in refused.err
    undecided = jobs.certify("verify", path, "--require", "accuracy_drop<=1@0.5")
    assert undecided.code == 1 and "undecided: the certificate holds no accuracy_drop guarantee" in undecided.err
    assert jobs.certify("verify", path, "--require", "disagreement_by_class<=-0.1@0.95").code == 2


def test_a_range_that_cannot_be_checked_decides_nothing(forge: Forge) -> None:
    """Without the checkpoint the range of the loss is a claim of the certificate alone."""
    (forge.plan / "model.safetensors").unlink()
    verdict = verify(forge.certificate, require=["disagreement<=1@0.95"])
    assert not next(check for check in verdict.checks if check.name == "range of the loss").done
    with pytest.raises(Unmet, match="undecided: what the ce_increase guarantee rests on"):
        verify(forge.certificate, require=["ce_increase<=1000@0.5"])


def test_the_same_job_again_does_nothing_and_takes_no_second_look(job: Path) -> None:
    before = jobs.contents(job)
    assert jobs.certify("run", job.parent / "recipe.toml", "--out", job, "--json").code == 0
    assert jobs.contents(job) == before
    assert len((job.parent / "certify-looks.jsonl").read_text().splitlines()) == 1


def test_where_nothing_passes_nothing_is_chosen_and_the_words_say_so(job: Path, tmp_path: Path) -> None:
    """A rise in accuracy by one half cannot be shown; judged by betting and Holm, from the reference of the finished job."""
    recipe = jobs.changed(
        JOB,
        model={"checkpoint": str(job / "reference.safetensors")},
        training=None,
        bounds={"samples": 1, "max_order": 8},
        plan=JOB["plan"][:2],
        guarantees={"choose": {"level": -0.5, "statement": "accuracy_drop", "procedure": "holm"}},
    )
    said = jobs.certify("run", jobs.write_recipe(tmp_path / "recipe.toml", recipe), "--out", tmp_path / "run")
    assert said.code == 0 and "No plan is chosen: of 2 plans tested by Holm's step-down" in said.out
    choice = Choice.from_json(read_json(tmp_path / "run" / "choice.json"))
    assert choice.chosen is None and [row["p_value"] for row in choice.plans] == [1.0, 1.0]
    found = verify(tmp_path / "run" / "plans" / "tenth" / "certificate.json")
    assert any("0 of 2 plans pass holm" in check.detail for check in found.checks)


def entry(number: int, **changes: Any) -> Callable[[Forge], None]:
    return lambda forge: forge.guarantees(lambda entries: entries[number].update(changes))


def drop_lowered(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[DROP].update(limit=entries[DROP]["limit"] - 1e-8))


def class_limit_lowered(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[CLASSES]["details"]["groups"][3].update(limit=0.001))


def class_failures_moved(forge: Forge) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        rows = entries[CLASSES]["details"]["groups"]
        worst = max(rows, key=lambda row: row["failures"])
        worst["failures"] -= 1

    forge.guarantees(change)


def class_left_out(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[CLASSES]["details"]["groups"].pop())


def range_narrowed(forge: Forge) -> None:
    """Range, limit and sentence fit together; the weights say otherwise."""
    found = Outcomes.load(forge.plan / "outcomes.parquet")
    assert found.labels is not None
    rows = np.arange(found.size), found.labels
    loss = [np.log(np.exp(z).sum(axis=1)) - z[rows] for z in (found.reference, found.shipped)]
    increases = (loss[1] - loss[0]).tolist()

    def change(entries: list[dict[str, Any]]) -> None:
        one = entries[INCREASE]
        low, high = one["details"]["low"] / 2, one["details"]["high"] / 2
        limit = increase_limit(increases, low, high, one["share"])
        one.update(limit=limit, details={"low": low, "high": high}, sentence=f"at most {limit:.3g} nats")

    forge.guarantees(change)


def details_invented(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[DROP].update(details={"groups": []}))


def details_dropped(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[CLASSES].pop("details"))


def shift_lowered(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0]["shift"]["kl"].update(limit=entries[0]["shift"]["kl"]["limit"] * 0.999))


def shift_of_a_smaller_radius(forge: Forge) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        limit = within_kl(entries[0]["limit"], 0.001)
        entries[0]["shift"]["kl"] = {"radius": 0.001, "limit": limit}
        entries[0]["sentence"] += f" at most {100 * limit:.3g} %"

    forge.guarantees(change)


def shift_dropped(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].pop("shift"))


def shift_of_a_drop(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[DROP].update(shift={"kl": {"radius": 0.01, "limit": 0.5}}))


def shift_not_told(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].update(sentence=entries[0]["sentence"].split(" Should")[0]))


def choice(change: Callable[[dict[str, Any]], Any]) -> Callable[[Forge], None]:
    """Change the choice in its file and in the certificate."""

    def lie(forge: Forge) -> None:
        value = read_json(forge.folder / "choice.json")
        change(value)
        write_json(forge.folder / "choice.json", value)
        forge.reissue(lambda certificate: change(certificate["about"]["choice"]))

    return lie


def other_plans_outcomes(forge: Forge) -> None:
    """The plan that fails is made to agree everywhere; its certificate is not touched, this one rehashes it."""
    path = forge.folder / "plans" / "most" / "outcomes.parquet"
    found = Outcomes.load(path)
    Outcomes(found.pair, found.split, found.samples, found.labels, found.reference, found.reference, found.arithmetic).save(path)
    forge.reissue()


def other_plans_labels(forge: Forge) -> None:
    path = forge.folder / "plans" / "most" / "outcomes.parquet"
    found = Outcomes.load(path)
    labels = np.roll(found.labels, 1) if found.labels is not None else None
    Outcomes(found.pair, found.split, found.samples, labels, found.reference, found.shipped, found.arithmetic).save(path)
    forge.reissue()


def choice_without_its_files(forge: Forge) -> None:
    forge.reissue(lambda value: value["files"].pop("plans/most/outcomes.parquet"))


def choice_for_nothing(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["family"].update(choice=0.0))


def choice_forgotten(forge: Forge) -> None:
    forge.reissue(lambda value: (value["about"].pop("choice"), value["files"].pop("choice.json")))


def choice_beside(forge: Forge) -> None:
    """Only the file is changed."""
    value = read_json(forge.folder / "choice.json")
    write_json(forge.folder / "choice.json", value | {"chosen": "tenth"})
    forge.reissue()


def most_passes(value: dict[str, Any]) -> None:
    value["plans"][2]["passed"] = True


def most_is_chosen(value: dict[str, Any]) -> None:
    most_passes(value)
    value.update(chosen="most", sentence=value["sentence"].replace("plan half", "plan most"))


def small_p_value(value: dict[str, Any]) -> None:
    value["plans"][2]["p_value"] = 1e-4


LIES: list[tuple[Callable[[Forge], None], str]] = [
    (drop_lowered, "accuracy_drop_betting: states the limit"),
    (entry(DROP, counts={"samples": 300, "losses": 0, "gains": 0}), "accuracy_drop_betting: states"),
    (entry(DROP, counts={"samples": 300}), "states None losses"),
    (class_limit_lowered, "limit 0.001 of group 3"),
    (class_failures_moved, "the logits give"),
    (class_left_out, "lists 9 groups, the networks have 10 classes"),
    (entry(INCREASE, limit=0.0), "ce_increase: states the limit"),
    (entry(INCREASE, details={"low": -1e-9, "high": 1e-9}), "leave its range"),
    (entry(INCREASE, details={}), "a range (low, high)"),
    (range_narrowed, "states the end low of its range as"),
    (details_invented, "its details hold groups; nothing is expected"),
    (details_dropped, "its details hold nothing; groups is expected"),
    (shift_lowered, "within kl radius 0.01, its limit gives"),
    (shift_of_a_smaller_radius, "is limited within"),
    (shift_dropped, "is limited within"),
    (shift_of_a_drop, "a positive one for a rate is expected"),
    (shift_not_told, "under shift"),
    (choice(most_passes), "most is said to pass"),
    (choice(most_is_chosen), "most is said to pass"),
    (choice(lambda value: value.update(chosen="tenth")), "tenth is chosen, the rule gives half"),
    (choice(lambda value: value.update(chosen=None)), "no plan is chosen, the rule gives half"),
    (choice(small_p_value), "states the p-value"),
    (choice(lambda value: value.update(level=0.9)), "level is 0.9, the recipe says 0.5"),
    (choice(lambda value: value.update(procedure="holm")), "procedure is 'holm'"),
    (choice(lambda value: value.update(alpha=0.04)), "spends 0.04"),
    (choice(lambda value: value.update(split="0" * 64)), "which is not the certification split"),
    (choice(lambda value: value.update(sentence="All is well.")), "its sentence does not say"),
    (choice(lambda value: value["plans"].pop(0)), "is among half, most; the recipe has tenth, half, most"),
    (choice(lambda value: value["plans"][2].update(score=0.1)), "the files of most give"),
    (choice(lambda value: value.update(mood="good")), "not a record of a choice"),
    (other_plans_outcomes, "choice: states"),
    (other_plans_labels, "have other labels"),
    (choice_without_its_files, "does not name plans/most/outcomes.parquet"),
    (choice_for_nothing, "the family gives it 0.0"),
    (choice_forgotten, "the recipe asks for one"),
    (choice_beside, "is not the choice of the certificate"),
]


@pytest.mark.parametrize(("lie", "words"), LIES, ids=[f"{number}-{words[:30]}" for number, (_, words) in enumerate(LIES)])
def test_each_lie_is_refused_by_the_check_that_is_about_it(forge: Forge, lie: Callable[[Forge], None], words: str) -> None:
    lie(forge)
    with pytest.raises(Refused) as refusal:
        verify(forge.certificate)
    assert words in str(refusal.value), str(refusal.value)


def test_a_flipped_byte_of_the_choice_is_refused(forge: Forge) -> None:
    path = forge.folder / "choice.json"
    path.write_bytes(path.read_bytes().replace(b"half", b"most", 1))
    with pytest.raises(Refused, match=r"choice\.json: hashes to"):
        verify(forge.certificate)
    with pytest.raises((Refused, Unmet)):
        verify(forge.certificate, require=["disagreement<=0.9@0.95"])
