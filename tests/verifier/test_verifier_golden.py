"""Certificates of every schema there has been keep verifying, and fit the JSON Schema of their version."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from verifier_run import Forge

from certify.records import Certificate, Refused
from certify.records.certificates import SCHEMA, SCHEMAS
from certify.verifier import balls, verify

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
    "below the last digit": ("proved_change", lambda upper: np.nextafter(upper, 0) * (1 - 1e-11), "replay", "from its value at"),
    "a loss bound below the loss": ("ce_proved_pairwise", shrink(0.01), "files", "ce_change <= ce_proved_pairwise"),
    "a sharp bound too small": ("ce_proved", lambda upper: upper - 1e-3, "replay", "ce_proved"),
    "a decision said to stay": ("may_change_proved", np.zeros_like, "replay", "may_change_proved is not reproduced"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_proof_is_refused(case: str, forge: Forge) -> None:
    quantity, change, level, said = FORGED[case]
    forge.rung(quantity, change, "masked.ladder.parquet")
    forge.reissue(lambda value: value["about"].pop("ladders"))
    with pytest.raises(Refused, match=said):
        verify(forge.certificate, level=level)


def test_a_proof_for_samples_it_was_not_made_for_is_refused(forge: Forge) -> None:
    forge.rung("proved_change", lambda upper: np.where(np.isinf(upper), 1.0, upper))
    with pytest.raises(Refused, match="states values beyond the first"):
        verify(forge.certificate)


def test_the_summary_must_be_that_of_the_rung(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["ladders"]["ladder"]["rungs"]["proved_change"].update(vacuous=1))
    with pytest.raises(Refused, match="states vacuous = 1, the ladder gives 0"):
        verify(forge.certificate)


def test_without_flint_the_balls_are_said_to_be_unchecked(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balls, "find_spec", lambda name: None)
    said = {check.name: check for check in verify(forge.certificate, level="replay").checks}
    assert not said["ladder, 200-bit balls"].done and "certify[rigor]" in said["ladder, 200-bit balls"].detail
