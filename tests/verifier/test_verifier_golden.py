"""Certificates of every schema there has been keep verifying, and fit the JSON Schema of their version."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
from verifier_run import Forge

from certify.records import Certificate, Ladder, Refused
from certify.records.certificates import SCHEMA, SCHEMAS
from certify.records.files import read_table, write_table
from certify.verifier import balls, verify
from certify.verifier.rungs import check_proved

GOLDEN = Path(__file__).parent / "golden"


def golden(schema: int) -> Forge:
    return Forge(GOLDEN / f"schema-{schema}", "two-four")


def fits(value: dict, schema: int) -> list[str]:
    text = files("certify.records").joinpath("schemas", f"certificate-{schema}.json").read_text(encoding="utf-8")
    checker = jsonschema.Draft202012Validator(json.loads(text))
    checker.check_schema(checker.schema)
    return [error.message for error in checker.iter_errors(value)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_certificate_of_every_schema_verifies(schema: int) -> None:
    path = golden(schema).certificate
    assert Certificate.load(path).schema == schema
    verdict = verify(path, level="replay", require=["sparsity>=0.5"])
    assert {check.name for check in verdict.checks if not check.done} == {"layer table"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_read_and_written_again_it_is_the_same(schema: int, tmp_path: Path) -> None:
    path = golden(schema).certificate
    Certificate.load(path).save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_fits_its_json_schema_and_what_is_missing_or_strange_does_not(schema: int) -> None:
    value = json.loads(golden(schema).certificate.read_text())
    assert fits(value, schema) == []
    for key in value:
        assert fits({name: entry for name, entry in value.items() if name != key}, schema), key
    assert fits(value | {"blessed": True}, schema) and fits(value | {"schema": SCHEMA + 1}, schema)
    assert fits(value | {"content_hash": "0"}, schema)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return golden(SCHEMA).copy(tmp_path / "run")


@pytest.mark.parametrize("file", ["ladder.parquet", "masked.ladder.parquet"])
def test_paranoid_looks_at_every_sample_and_at_balls(file: str, forge: Forge) -> None:
    name = {"ladder.parquet": "ladder", "masked.ladder.parquet": "masked ladder"}[file]
    said = {check.name: check for check in verify(forge.certificate, paranoid=True).checks}
    assert "1024 networks on the segment of each of 8 samples" in said[f"{name}, points inside"].detail
    assert said[f"{name}, 200-bit balls"].done and "proved_change" in said[f"{name} rerun"].detail


def shrink(by: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda upper: upper * by


# A rung of tier proved, what is done to it, and where a recheck finds it.
FORGED: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str, str]] = {
    "a tenth smaller": ("proved_change", shrink(0.9), "files", "path_change <= proved_change"),
    "a loss bound below the loss": ("ce_proved_pairwise", shrink(0.01), "files", "ce_change <= ce_proved_pairwise"),
    "a sharp bound too small": ("ce_proved", lambda upper: upper - 1e-3, "replay", "ce_proved"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_proof_is_refused(case: str, forge: Forge) -> None:
    quantity, change, level, said = FORGED[case]
    forge.rung(quantity, change, "masked.ladder.parquet")
    forge.reissue(lambda value: value["about"].pop("ladders"))
    with pytest.raises(Refused, match=said):
        verify(forge.certificate, level=level)


def test_a_forgery_finer_than_float64_can_see_is_refused_by_the_balls(forge: Forge) -> None:
    """What was measured is lowered with what was proved: within the slack of every rerun, and still false."""
    for quantity in ("logit_change", "path_change", "proved_change"):
        forge.rung(quantity, shrink(1 - 1e-10), "masked.ladder.parquet")
    forge.reissue(lambda value: value["about"].pop("ladders"))
    verify(forge.certificate)
    with pytest.raises(Refused, match=r"proved_change of sample . is .* a logit is .* from its value at theta = 1"):
        verify(forge.certificate, level="replay")


def test_a_proof_for_samples_it_was_not_made_for_is_refused(forge: Forge) -> None:
    path = forge.plan / "ladder.parquet"
    columns, about = read_table(path)
    write_table(path, columns | {"proved_change.upper": np.ones(10)}, about)
    forge.reissue()
    with pytest.raises(Refused, match="states values beyond the first 8"):
        verify(forge.certificate)


def test_a_decision_that_changes_on_the_way_must_be_told(forge: Forge) -> None:
    """Both ends decide 0, a network between them decides 1: a rung that calls this decision proved is refused."""
    path = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]])
    rerun = SimpleNamespace(reference=path[-1], labels=np.array([0]), margin=lambda z: z[:, 0] - z[:, 1])
    rerun.gained = rerun.cumulant = lambda size: np.zeros(1)
    ladder = Ladder.load(forge.plan / "ladder.parquet")
    stays = {name: ladder[name].upper[:1] for name in ("may_change_proved", "may_lose_proved")}
    assert not any(value.any() for value in stays.values())
    for name in stays:
        alone = dataclasses.replace(ladder, bounds=(ladder[name],), edges=())
        with pytest.raises(Refused, match=f"{name} is not reproduced on 1 of 1"):
            check_proved("ladder", alone, np.array([0]), rerun, path)  # type: ignore[arg-type]
        check_proved("ladder", alone, np.array([0]), rerun, path[[0, 2]])  # type: ignore[arg-type]


def test_the_summary_must_be_that_of_the_rung(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["ladders"]["ladder"]["rungs"]["proved_change"].update(vacuous=1))
    with pytest.raises(Refused, match="states vacuous = 1, the ladder gives 0"):
        verify(forge.certificate)


def test_without_flint_the_balls_are_said_to_be_unchecked(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balls, "find_spec", lambda name: None)
    said = {check.name: check for check in verify(forge.certificate, level="replay").checks}
    assert not said["ladder, 200-bit balls"].done and "certify[rigor]" in said["ladder, 200-bit balls"].detail
