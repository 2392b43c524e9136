"""The page says what the records say, in the same bytes each time, and nothing in a record can become markup."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import EVIL, NAMES, make_run

import certify.report
from certify.records import Ladder, Outcomes, Run
from certify.records.files import read_json, write_json
from certify.report import write_report
from certify.report.canvas import TIER_FILL, drawing
from certify.report.contents import read
from certify.report.figures import margin_pictures, margins
from certify.report.formats import NOT_HERE, clip, flatten, number, percent
from certify.report.rungs import ladder_picture, log_range, rungs

RUN_FILES = ("env.json", "splits.json", "reference.json", "targets.json", "spectra.parquet")
PLAN_FILES = (
    "plan.json",
    "masked.ladder.parquet",
    "ladder.parquet",
    "outcomes.parquet",
    "guarantee.json",
    "certificate.json",
    "verdicts.json",
)
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a browser would see: the text, every element with its attributes, and whether the tags close."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("runs") / "whole")
    write_report(run)
    return run


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    """A copy to spoil."""
    shutil.copytree(whole.folder, tmp_path / "run")
    return Run.open(tmp_path / "run")


def source(run: Run) -> str:
    return run.path("report.html").read_text(encoding="utf-8")


def text_of(run: Run) -> str:
    write_report(run)
    return Page(source(run)).text


def test_whole_page_stands_in_order(whole: Run) -> None:
    page = Page(source(whole))
    sections = [about["id"] for tag, about in page.elements if tag == "section"]
    assert sections == ["verdict", "removed", "ladder", "layers", "spectra", "margins", "guarantees", "provenance"]
    assert not page.open
    assert NOT_HERE not in page.text
    assert "Something does not fit together" not in page.text
    outcomes = Outcomes.load(whole.plan("magnitude-50", "outcomes.parquet"))
    counts = outcomes.counts()
    assert f"{counts['correct_reference']} → {counts['correct_shipped']} of {counts['samples']}" in page.text
    assert "4,608 of 9,216 weights" in page.text
    for entry in read_json(whole.plan("magnitude-50", "guarantee.json"))["guarantees"]:
        assert entry["sentence"] in page.text
    for network in ("reference", "shipped"):
        assert getattr(outcomes.pair, network) in page.text


def test_every_table_and_figure_can_be_read_aloud(whole: Run) -> None:
    elements = Page(source(whole)).elements
    heads = [about for tag, about in elements if tag == "th"]
    assert heads and all(about.get("scope") in ("col", "row") for about in heads)
    assert sum(tag == "caption" for tag, _ in elements) == sum(tag == "table" for tag, _ in elements) > 10
    plots = [about for tag, about in elements if tag == "svg" and about.get("class") == "plot"]
    # per plan: removal, two ladders of three units, two margin figures; and one spectrum per target
    assert len(plots) == 2 * (1 + 2 * 3 + 2) + len(NAMES)
    assert all(about["role"] == "img" and len(about["aria-label"] or "") > 40 for about in plots)


def test_names_with_markup_appear_escaped(whole: Run) -> None:
    page = Page(source(whole))
    assert EVIL in page.text
    assert "<b>" not in source(whole)
    assert not any(tag == "b" for tag, _ in page.elements)
    described = [about["aria-label"] or "" for tag, about in page.elements if tag == "svg" and about.get("class") == "plot"]
    assert any(EVIL in label for label in described)


def test_markup_in_free_records_appears_escaped(run: Run) -> None:
    attack = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    write_json(run.path("env.json"), {attack: attack})
    reference = read_json(run.path("reference.json"))
    write_json(run.path("reference.json"), reference | {"architecture": attack})
    text = text_of(run)
    assert attack in text
    page = Page(source(run))
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not any(name.startswith("on") for _, about in page.elements for name in about)


def test_nothing_is_fetched(whole: Run) -> None:
    page = Page(source(whole))
    for tag, about in page.elements:
        assert tag not in ("iframe", "object", "embed", "img", "base")
        for name in ("src", "href", "xlink:href", "action"):
            assert (about.get(name) or "#").startswith(("#", "data:")), (tag, about)
    assert "http://" not in re.sub(r' xmlns(:\w+)?="[^"]*"', "", source(whole))
    assert "https://" not in source(whole)
    assert "@import" not in source(whole)
    policy = next(about["content"] for tag, about in page.elements if about.get("http-equiv") == "Content-Security-Policy")
    assert policy and "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_ids_are_unique_and_references_resolve(whole: Run) -> None:
    html = source(whole)
    ids = Counter(re.findall(r'\sid="([^"]*)"', html))
    assert max(ids.values()) == 1
    wanted = set(re.findall(r"url\(#([^)]*)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    assert wanted and wanted <= set(ids)


def test_the_same_run_gives_the_same_bytes(whole: Run, run: Run) -> None:
    first = whole.path("report.html").read_bytes()
    run.path("report.html").unlink()
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.grid": True}):
        assert write_report(run) == run.path("report.html")
    assert run.path("report.html").read_bytes() == first
    write_report(run)
    assert run.path("report.html").read_bytes() == first


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(whole: Run, run: Run) -> None:
    root = Path(certify.report.__file__).parents[2]
    code = "import sys, pathlib; from certify.records import Run; from certify.report import write_report; "
    code += "write_report(Run.open(pathlib.Path(sys.argv[1])))"
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Pacific/Auckland", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code, str(run.folder)], check=True, env=environment, cwd=run.folder)
    assert run.path("report.html").read_bytes() == whole.path("report.html").read_bytes()


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_missing_file_of_the_run_is_a_note(run: Run, name: str) -> None:
    run.path(name).unlink()
    contents = read(run)
    field = {"env.json": "environment"}.get(name, name.split(".")[0])
    assert getattr(contents, field).note == NOT_HERE
    assert len(contents.plans) == 2


@pytest.mark.parametrize("name", PLAN_FILES)
def test_a_missing_file_of_a_plan_is_a_note(run: Run, name: str) -> None:
    run.plan("magnitude-50", name).unlink()
    plan = read(run).plans[0]
    field = {"plan.json": "plan", "masked.ladder.parquet": "masked", "guarantee.json": "guarantees"}.get(name, name.split(".")[0])
    part = getattr(plan, field)
    if field == "guarantees":
        assert plan.certificate.value is not None and part.value == plan.certificate.value.guarantees
    else:
        assert part.value is None and part.note == NOT_HERE and not part.broken
    assert plan.problems() == []


def test_a_run_of_nothing_but_a_recipe(run: Run) -> None:
    for name in RUN_FILES:
        run.path(name).unlink()
    shutil.rmtree(run.path("plans"))
    text = text_of(run)
    assert text.count(NOT_HERE) >= 15
    assert text.count("Verification none") == 2
    assert "magnitude-2to4" in text and "[model]" in text


def test_broken_files_are_named_without_the_path_of_the_machine(run: Run) -> None:
    for name in PLAN_FILES:
        path = run.plan("magnitude-50", name)
        path.write_bytes(path.read_bytes()[:40])
    for name in RUN_FILES:
        path = run.path(name)
        path.write_bytes(path.read_bytes()[:40])
    text = text_of(run)
    for name in (*RUN_FILES, *(name for name in PLAN_FILES if name != "plan.json")):
        assert f"{name} cannot be used" in text, name
    assert "plan cannot be used" in text
    assert str(run.folder) not in source(run)


@pytest.mark.parametrize("value", [[], {}, 3, [3], {"guarantees": [3]}, {"guarantees": 3, "looks": "x"}, None, "x"])
def test_json_of_another_kind_is_no_crash(run: Run, value: object) -> None:
    for name in ("guarantee.json", "verdicts.json"):
        run.plan("magnitude-50", name).write_text(json.dumps(value))
    plan = read(run).plans[0]
    assert plan.guarantees.broken
    assert plan.verdicts.broken == (value not in ([], {}))
    assert any("guarantee.json cannot be used" in sentence for sentence in plan.problems())


def test_a_comparison_without_a_plan(tmp_path: Path) -> None:
    run = make_run(tmp_path / "compare", compare=True, labels=False)
    text = text_of(run)
    assert "Given pair" in text and "The samples carry no labels" in text
    assert "margin of the label the reference predicts" in text
    assert "The plan: not part of this run" in text and "The spectra: not part of this run" in text
    assert "How far the shipped network can be" in text
    assert "Accuracy drop guaranteed" not in text


def test_a_vacuous_guarantee_is_printed_as_vacuous(tmp_path: Path, whole: Run) -> None:
    run = make_run(tmp_path / "vacuous", vacuous=True)
    text = text_of(run)
    # per plan: the large number, the badge at the sentence, and the table
    assert text.count("VACUOUS") == 2 * 3
    assert "VACUOUS" not in Page(source(whole)).text


def test_a_violated_edge_is_shouted(run: Run) -> None:
    path = run.plan("magnitude-50", "ladder.parquet")
    ladder = Ladder.load(path)
    upper = ladder["path_variation"].upper.copy()
    upper[17] = 0.0
    bounds = [replace(bound, upper=upper) if bound.quantity == "path_variation" else bound for bound in ladder.bounds]
    replace(ladder, bounds=tuple(bounds)).save(path)
    text = text_of(run)
    assert "1 of 7 asserted edges are VIOLATED on at least one of 180 samples" in text
    assert "Something does not fit together" in text
    assert "1 of 180" in text
    opened = [tag for tag, about in Page(source(run)).elements if tag == "details" and "open" in about]
    assert len(opened) == 1


def test_records_of_another_pair_are_named(run: Run) -> None:
    other = run.plan("magnitude-2to4", "outcomes.parquet")
    shutil.copy(other, run.plan("magnitude-50", "outcomes.parquet"))
    text = text_of(run)
    assert "outcomes.parquet speaks of the shipped network" in text


def test_a_verdict_of_another_certificate_does_not_count(run: Run) -> None:
    path = run.plan("magnitude-50", "verdicts.json")
    write_json(path, [entry | {"certificate": "0" * 64} for entry in read_json(path)])
    text = text_of(run)
    assert "which is not the one in this folder; verify again" in text
    assert text.count("No verdict is part of this run") == 1


def test_certified_stands_beside_proved_alone(whole: Run) -> None:
    text = Page(source(whole)).text.lower()
    assert text.count("certified") == 1
    assert re.search(r"\bproved all rounding[^.]*\. this tier alone may be called certified\.", text)


def test_missing_lipschitz_values_are_named(whole: Run) -> None:
    # L_s proved of three targets, and both X9(b) values of one; in two ladders of two plans
    assert Page(source(whole)).text.count("L_s not available") >= 2 * 2 * (3 + 2)


def test_rungs_are_ordered_and_zeros_counted(whole: Run) -> None:
    ladder = Ladder.load(whole.plan("magnitude-50", "masked.ladder.parquet"))
    for unit in ("logit", "nat"):
        medians = [rung.median for rung in rungs(ladder, unit)]
        assert medians == sorted(medians)
    shares = [rung.bound.upper.mean() for rung in rungs(ladder, "decision")]
    assert shares == sorted(shares)
    change = next(rung for rung in rungs(ladder, "nat") if rung.bound.quantity == "ce_change")
    assert change.not_positive == int((ladder["ce_change"].upper <= 0).sum()) > 0
    low, high = log_range([ladder], "nat")
    assert 0 < low < high and high > ladder["ce_published"].upper.max()


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-300, 1e300, 5.0])
def test_a_ladder_of_one_value_can_be_drawn(whole: Run, value: float) -> None:
    ladder = Ladder.load(whole.plan("magnitude-50", "masked.ladder.parquet"))
    constant = [replace(bound, upper=np.full_like(bound.upper, value)) for bound in ladder.bounds if bound.unit == "nat"]
    ladder = replace(ladder, bounds=tuple(constant), edges=())
    with drawing():
        picture = ladder_picture(ladder, "nat", log_range([ladder], "nat"), "key", "heading")
    assert picture is not None
    assert ("zero or below on every sample" in picture.caption) == (value <= 0)


def test_tiers_have_their_colour_and_models_are_hatched(whole: Run) -> None:
    ladder = Ladder.load(whole.plan("magnitude-50", "masked.ladder.parquet"))
    with drawing():
        picture = ladder_picture(ladder, "logit", log_range([ladder], "logit"), "key", "heading")
        plain = replace(ladder, bounds=tuple(bound for bound in ladder.bounds if not bound.modelled))
        unhatched = ladder_picture(plain, "logit", log_range([plain], "logit"), "key", "heading")
    assert picture is not None and unhatched is not None
    for tier in {bound.tier for bound in ladder.bounds if bound.unit == "logit"}:
        assert TIER_FILL[tier] in picture.svg
    assert "<pattern" in picture.svg and "<pattern" not in unhatched.svg
    assert len(set(TIER_FILL.values())) == 4


def test_margins_of_many_samples_are_shaded(tmp_path: Path) -> None:
    outcomes = Outcomes.load(make_run(tmp_path / "many", certification=4000).plan("magnitude-50", "outcomes.parquet"))
    counts = outcomes.counts()
    reference, shipped, _ = margins(outcomes)
    assert int(np.sum((reference > 0) & (shipped <= 0))) == counts["losses"]
    assert int(np.sum((reference <= 0) & (shipped > 0))) == counts["gains"]
    with drawing():
        spread, scatter = margin_pictures(outcomes, "many")
    assert f"lost ({counts['losses']})" in scatter.svg
    assert "4,000 samples" in scatter.svg and f"{counts['samples'] - counts['correct_shipped']} of 4,000" in spread.caption
    assert len(scatter.svg) < 400_000


@given(st.floats(-1, 1), st.integers(0, 4))
def test_an_upper_limit_is_never_rounded_down(share: float, digits: int) -> None:
    printed = percent(share, digits, up=True).removesuffix("\u00a0%").replace("−", "-")
    assert Fraction(printed) / 100 >= Fraction(share)
    assert Fraction(printed) / 100 - Fraction(share) < Fraction(1, 10 ** (digits + 2))


def test_numbers() -> None:
    shown = [number(value) for value in (0.0, 0.5, -12.3456, 1234.5, 99999.0, 123456.0, 1e-3, 9.999e-4, 1e-20, None, 12345)]
    wanted = ["0", "0.500", "−12.3", "1,230", "1.00×10⁵", "1.23×10⁵", "0.00100", "0.00100", "1.00×10⁻²⁰", "–", "12,345"]
    assert shown == wanted
    assert [number(value, 6, exact=True) for value in (0.05, 0.0125, 1e-4, 100.0)] == ["0.05", "0.0125", "1×10⁻⁴", "100"]
    assert clip("blocks.10.attn.qkv", 10) == "blo…tn.qkv"
    assert clip("head", 10) == "head"
    assert flatten({"b": [1, 2], "a": {"c": None, "d": True}, "e": [{"f": 1}]}) == [
        ("a.c", "–"),
        ("a.d", "yes"),
        ("b", "1, 2"),
        ("e[0].f", "1"),
    ]


def test_the_room_imports_records_alone() -> None:
    for path in Path(certify.report.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("torch", "timm", "scipy"), (path, name)
                if name.startswith("certify"):
                    assert name.split(".")[1] in ("records", "report"), (path, name)
