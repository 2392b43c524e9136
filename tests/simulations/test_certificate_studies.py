"""The studies of certificates and of Gaussian budgets: grids, one small sweep each, and pages that follow the numbers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from simulations.engine.grid import load_grid, read_grid
from simulations.engine.study import Study, compute, load
from simulations.engine.sweep import serial, sweep
from simulations.networks import CASES
from simulations.studies import certificates, gaussian_budgets
from simulations.studies._page import Results, load_results

TWINS = {
    "certificates": certificates.STUDY.grid_path.with_name("certificates.toml"),
    "gaussian-budgets": gaussian_budgets.STUDY.grid_path.with_name("gaussian_budgets.toml"),
}


def twin(study: Study) -> dict:
    """The study's own grid made small: one repetition, one aspect ratio, few draws, no large matrices."""
    value = tomllib.loads(TWINS[study.name].read_text())
    small = {"aspect": 1.0, "draws": 300, "rows": 8, "cols": 12, "samples": [1, 12], "tokens": [1, 8], "delta": 0.1}
    tables = []
    for table in value["grid"]:
        tables.append({name: small.get(name, entry) for name, entry in table.items()})
        if study.name == "gaussian-budgets":
            tables[-1]["tokens"] = table["tokens"] if isinstance(table["tokens"], int) else 8
    return {"replicates": 1, "seed": 5, "grid": tables}


@pytest.fixture(scope="module", params=["certificates", "gaussian-budgets"])
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Results, Path]:
    study, out = load(request.param), tmp_path_factory.mktemp(request.param)
    summary = sweep(study, read_grid(study, twin(study), "twin"), out, serial)
    assert summary.failed == 0
    assert summary.done == summary.cells
    return study, load_results(out / "results.parquet", study), out


def test_grid_asks_for_every_certificate_and_every_break() -> None:
    points = set(load_grid(certificates.STUDY, TWINS["certificates"]).points())
    asked = {(name, family, broken) for name, family, _, _, broken in points}
    assert asked == {
        (name, family, broken)
        for name, case in CASES.items()
        for broken, families in {"none": case.families, **case.broken}.items()
        for family in families
    }


def test_grid_asks_for_every_method() -> None:
    points = set(load_grid(gaussian_budgets.STUDY, TWINS["gaussian-budgets"]).points())
    assert {point[0] for point in points} == set(gaussian_budgets.SAYS)


def test_no_certificate_that_holds_is_violated(swept: tuple[Study, Results, Path]) -> None:
    """Probabilities: refuted only at a Clopper–Pearson level of 1e-4 (certificates) or 1e-6 (budgets) a point; seed 5."""
    study, results, _ = swept
    if study.name == "certificates":
        wrong = [
            name
            for name, how, part in certificates.kinds(results)
            if how == "none" and certificates.refuted(name, certificates.rate(part))
        ]
    else:
        wrong = [line[0] for line in gaussian_budgets.verdict(results) if line[3] and line[0] not in gaussian_budgets.UNSOUND]
    assert not wrong


def test_broken_ones_fail_somewhere(swept: tuple[Study, Results, Path]) -> None:
    study, results, _ = swept
    if study.name == "certificates":
        seen = {how for _, how, part in certificates.kinds(results) if how != "none" and part["violated"].any()}
        assert {"end-point Jacobian", "tokens ignored", "overlapping supports", "stopped early"} <= seen
    else:
        seen = {line[0] for line in gaussian_budgets.verdict(results) if line[3]}
        assert {"sidak, tokens ignored", "edge: largest value"} <= seen


def test_page_and_picture_are_written_twice_alike_and_name_their_command(
    swept: tuple[Study, Results, Path], tmp_path: Path
) -> None:
    study, results, out = swept
    module = {"certificates": certificates, "gaussian-budgets": gaussian_budgets}[study.name]
    first = [path.read_bytes() for path in module.page(results, tmp_path / "a")]
    second = [path.read_bytes() for path in module.page(load_results(out / "results.parquet", study), tmp_path / "b")]
    assert first == second
    text = (tmp_path / "a" / f"{study.name}.md").read_text()
    assert f"python -m simulations.studies.{study.name.replace('-', '_')}" in text
    assert "none is refuted" in text or "Nothing is refuted" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables}) <= 2


def test_page_says_so_when_a_certificate_fails(swept: tuple[Study, Results, Path]) -> None:
    study, results, _ = swept
    columns = {name: np.array(column) for name, column in results.columns.items()}
    if study.name == "certificates":
        columns["violated"] = columns["violated"] | (columns["certificate"] == "X1-sharp")
        said = "\n".join(certificates.findings(Results(columns, results.about)))
        assert "Refuted on these networks: X1-sharp." in said
    else:
        columns["failures"] = np.where(columns["method"] == "paper", columns["draws"], columns["failures"])
        said = "\n".join(gaussian_budgets.findings(Results(columns, results.about)))
        assert "refuted are paper." in said


def test_bad_parameters_become_the_error_of_their_cell() -> None:
    study = gaussian_budgets.STUDY
    good = {"method": "sidak", "rows": 4, "cols": 4, "samples": 1, "tokens": 1, "delta": 0.1, "draws": 10}
    for name, value in (("method", "magic"), ("rows", 0), ("draws", 1), ("delta", 1.0)):
        point = tuple((good | {name: value})[key] for key in study.parameters)
        cell = next(iter(read_grid(study, {"grid": dict(zip(study.parameters, point, strict=True))}, "bad").cells(study)))
        outcome = compute(study, cell)
        assert name in outcome.error, (name, outcome)
    assert (
        "certificate"
        in compute(
            certificates.STUDY,
            next(
                iter(
                    read_grid(
                        certificates.STUDY,
                        {"grid": {"certificate": "T9.9", "family": "mlp", "noise": "gaussian", "aspect": 1.0, "broken": "none"}},
                        "bad",
                    ).cells(certificates.STUDY)
                )
            ),
        ).error
    )


def test_command_refuses_a_folder_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from simulations.studies._page import command

    assert command(certificates.STUDY, certificates.page, ["--sweep", str(tmp_path), "--out", str(tmp_path)]) == 3
    assert capsys.readouterr().err.count("\n") == 1
