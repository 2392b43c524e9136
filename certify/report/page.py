"""The page: records in, one HTML file out, the same bytes for the same run folder."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from certify.records import PURPOSES, Certificate, Guarantee, Ladder, Refused, Run
from certify.records.files import atomic_write
from certify.report import formats, population, tables
from certify.report.canvas import TIER_EDGE, TIER_FILL, Picture, drawing
from certify.report.contents import Contents, Part, PlanContents, read
from certify.report.figures import margin_pictures, removal_picture, spectrum_picture
from certify.report.rungs import UNIT_AXIS, UNIT_TITLE, ladder_picture, log_range, order_in_words
from certify.report.summary import Summary, summarise
from certify.report.tables import Table

HERE = Path(__file__).parent
LADDER_TITLE = {
    "masked": "Masked pair: weights removed, nothing retrained",
    "recovered": "Recovered pair: as shipped",
    "given": "Given pair",
}
TIERS = {
    "proved": "All rounding is accounted for: the value holds for the network in real arithmetic with the stored weights. "
    "This tier alone may be called certified.",
    "enclosed": "What was left out of the computation is bounded; rounding errors are not.",
    "resolved": "Computed to an estimated tolerance. Plain forward passes belong here too. Evidence, not proof.",
    "sampled": "Lower values found by trying; the truth can be larger.",
}


@dataclass(frozen=True)
class LadderView:
    """One ladder: its figures by unit, its order in a sentence, its layers."""

    title: str
    pictures: dict[str, Picture]
    order: str
    violated: bool
    split: str
    layers: Table
    objective: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlanView:
    """One plan, ready for the template."""

    name: str
    summary: Summary
    removal: Table | None
    removal_picture: Picture | None
    ladders: tuple[LadderView, ...]
    missing_ladders: tuple[str, ...]
    units: tuple[str, ...]
    rungs: Table
    edges: Table
    margins: tuple[Picture, ...]
    notes: dict[str, str]
    certificate: Table | None
    files: Table | None
    about: Table | None
    checks: Table | None


def write_report(run: Run) -> Path:
    """Write `report.html` into the run folder and return its path.

    run : any run folder. Whatever stage has not written its file yet is named as missing on the page.
    Broken or contradicting files are named on the page as well; nothing here decides whether to believe them.
    """
    path = run.path("report.html")
    atomic_write(path, _page(read(run)).encode())
    return path


def write_ladder(ladder: Ladder, path: Path, *, unit: str = "logit") -> Path:
    """Write the rungs of one unit as an SVG file of its own."""
    with drawing():
        picture = ladder_picture(ladder, unit, log_range([ladder], unit), path.stem, UNIT_TITLE[unit])
    if picture is None:
        raise Refused(f"{path}: the ladder has no rung in {unit}; nothing to draw")
    alone = str(picture.svg).replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ', 1
    )
    atomic_write(path, alone.encode())
    return path


def _page(contents: Contents) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": formats.short, "whole": formats.whole}
    script, style = ((HERE / name).read_text(encoding="utf-8") for name in ("sort.js", "style.css"))
    with drawing():
        plans = [_plan(plan, contents) for plan in contents.plans]
        spectra = [spectrum_picture(row, f"spectrum-{index}") for index, row in enumerate(contents.spectra.value or ())]
    guarantees = [(plan.name, entry) for plan in contents.plans for entry in plan.guarantees.value or ()]
    return environment.get_template("template.html").render(
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(style + _tier_rules()),
        title=_title(contents),
        pruned=any(plan.removal for plan in plans),
        plans=plans,
        has_layers=any(view.layers or view.objective for plan in plans for view in plan.ladders),
        unit_title=UNIT_TITLE,
        tiers=TIERS,
        spectra=spectra,
        spectra_note=contents.spectra.note,
        spectra_table=tables.spectra_table(contents.spectra.value or ()),
        guarantees=tables.guarantee_table(guarantees),
        groups_table=population.group_table(guarantees),
        shift_table=population.shift_table(guarantees),
        choice=contents.choice.value,
        choice_table=population.choice_table(contents.choice.value) if contents.choice.value else None,
        assumptions=_assumptions(guarantees, contents.splits.value.groups if contents.splits.value else ""),
        groups=contents.splits.value.groups if contents.splits.value else "",
        splits=_splits(contents),
        splits_note=contents.splits.note,
        reference=_json_table("The reference network", contents.reference),
        environment=_json_table("Versions and machine", contents.environment),
        seeds=_seeds(contents),
        recipe_text=contents.recipe_text,
        problems=_problems(contents),
    )


def _title(contents: Contents) -> str:
    reference = contents.reference.value or {}
    recipe = contents.recipe.value
    return str(reference.get("architecture") or (recipe.model.name if recipe else "a network"))


def _plan(plan: PlanContents, contents: Contents) -> PlanView:
    recipe = contents.recipe.value
    wanted = next((entry for entry in recipe.plan if entry.name == plan.name), None) if recipe else None
    ladders = plan.ladders()
    spans = {unit: log_range([ladder for _, ladder in ladders], unit) for unit in UNIT_AXIS}
    views = tuple(_ladder(plan.name, kind, ladder, spans) for kind, ladder in ladders)
    parts = {"masked": plan.masked, "shipped": plan.ladder}
    certificate = plan.certificate.value
    return PlanView(
        name=plan.name,
        summary=summarise(plan, wanted),
        removal=tables.removal_table(plan.plan.value, contents.targets.value or ()) if plan.plan.value else None,
        removal_picture=removal_picture(plan.plan.value, f"removal-{plan.name}") if plan.plan.value else None,
        ladders=views,
        missing_ladders=tuple(
            f"The ladder of the {name} pair: {part.note}." for name, part in parts.items() if part.value is None
        ),
        units=tuple(unit for unit in UNIT_AXIS if any(unit in view.pictures for view in views)),
        rungs=tables.rung_table(ladders),
        edges=tables.edge_table(ladders),
        margins=margin_pictures(plan.outcomes.value, f"margins-{plan.name}") if plan.outcomes.value else (),
        notes={
            "plan": plan.plan.note,
            "outcomes": plan.outcomes.note,
            "certificate": plan.certificate.note,
            "guarantees": plan.guarantees.note,
        },
        certificate=_certificate(plan, certificate) if certificate else None,
        files=tables.pairs_table("Files the certificate names", sorted(certificate.files.items()), "File", "SHA-256")
        if certificate
        else None,
        about=tables.key_value_table("What the certificate records", certificate.about) if certificate else None,
        checks=_checks(plan),
    )


def _ladder(name: str, kind: str, ladder: Ladder, spans: dict[str, tuple[float, float]]) -> LadderView:
    heading = LADDER_TITLE.get(kind, f"{kind.capitalize()} pair")
    drawn = {unit: ladder_picture(ladder, unit, span, f"{name}-{kind}-{unit}", heading) for unit, span in spans.items()}
    return LadderView(
        title=heading,
        pictures={unit: picture for unit, picture in drawn.items() if picture is not None},
        order=order_in_words(ladder),
        violated=bool(ladder.violations()),
        split=ladder.split,
        layers=tables.layer_table(ladder),
        objective={key: str(ladder.objective.get(key, "")) for key in ("form", "tier", "sentence")} if ladder.objective else {},
        notes=ladder.notes,
    )


def _certificate(plan: PlanContents, certificate: Certificate) -> Table:
    pair = certificate.pair
    rows = [
        ("Certificate, content hash", certificate.content_hash),
        ("Reference network", pair.reference),
        ("Shipped network", pair.shipped),
        ("Architecture", pair.architecture),
        ("How the shipped network came about", pair.kind),
        ("Looks at the certification split", formats.plain(plan.looks)),
        ("Claims used", ", ".join(certificate.claims) or formats.NOT_STATED),
    ]
    return tables.pairs_table(f"Certificate of plan {plan.name}", rows)


def _checks(plan: PlanContents) -> Table | None:
    rows = [
        (f"{verdict['level']}: {check['name']}", ("" if check["done"] else "NOT DONE: ") + str(check["detail"]))
        for verdict in plan.verdicts.value or ()
        for check in verdict["checks"]
    ]
    rows += [
        (f"{verdict['level']}: requirement {wish}", str(found))
        for verdict in plan.verdicts.value or ()
        for wish, found in sorted(verdict["requirements"].items())
    ]
    return tables.pairs_table("What verification looked at", rows, "Check", "Found") if rows else None


def _splits(contents: Contents) -> Table | None:
    splits = contents.splits.value
    if splits is None:
        return None
    rows = [(f"{name}: {formats.whole(len(splits.samples[name]))} samples", splits.digest(name)) for name in PURPOSES]
    return tables.pairs_table("The four disjoint splits", rows, "Split", "Digest")


def _seeds(contents: Contents) -> Table | None:
    recipe = contents.recipe.value
    if recipe is None:
        return None
    rows = [
        ("Seed of initialisation, batches and augmentation", str(recipe.seed)),
        ("Seed of the splits", str(recipe.splits.seed)),
        ("Threads", str(recipe.threads)),
        ("Recipe digest", recipe.digest),
    ]
    return tables.pairs_table("Seeds", rows)


def _json_table(caption: str, part: Part[Any]) -> Table:
    return tables.key_value_table(caption, part.value if part.value is not None else {"": part.note})


def _assumptions(guarantees: Sequence[tuple[str, Guarantee]], groups: str) -> list[str]:
    """Every assumption once; one that not all statements share names those that rest on it.

    How sources were kept together and which arithmetic was used stand here too, unless the guarantees say so themselves.
    """
    statements = dict.fromkeys(entry.statement for _, entry in guarantees)
    users: dict[str, set[str]] = {}
    for _, entry in guarantees:
        for text in entry.assumptions:
            users.setdefault(text, set()).add(entry.statement)
    found = []
    for text, names in users.items():
        words = formats.listing([tables.STATEMENT.get(name, name).lower() for name in statements if name in names])
        found.append(text if len(names) == len(statements) else f"for {words}: {text}")
    arithmetic = [", ".join(f"{key} {text}" for key, text in formats.flatten(entry.arithmetic)) for _, entry in guarantees]
    for what, text in (
        ("samples of one source", groups),
        *(("arithmetic of the outcomes", text) for text in dict.fromkeys(arithmetic)),
    ):
        if text and not any(text in said for said in found):
            found.append(f"{what}: {text}")
    return [text[:1].upper() + text[1:] for text in found]


def _problems(contents: Contents) -> list[str]:
    parts = {
        "recipe.toml": contents.recipe,
        "env.json": contents.environment,
        "splits.json": contents.splits,
        "reference.json": contents.reference,
        "targets.json": contents.targets,
        "spectra.parquet": contents.spectra,
        "choice.json": contents.choice,
    }
    return [f"{name} cannot be used: {part.note}" for name, part in parts.items() if part.broken]


def _tier_rules() -> str:
    rules = [f".tier-{tier}{{--fill:{TIER_FILL[tier]};--edge:{TIER_EDGE[tier]}}}" for tier in TIER_FILL]
    return "\n".join(rules) + "\n"
