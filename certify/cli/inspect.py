"""Verbs that look: they write nothing but, where asked, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certify.cli.arguments import parse_kwargs
from certify.cli.jobs import Json, RunFolder
from certify.cli.show import as_json, out, table
from certify.records import Ladder, Refused, Run, Usage
from certify.records.recipe import ModelRecipe


def describe(
    model: Annotated[str, typer.Option("-m", "--model", help="timm model name.")],
    num_classes: Annotated[int, typer.Option("--num-classes", help="0 keeps the model's own.")] = 0,
    model_kwargs: Annotated[list[str] | None, typer.Option("--model-kwargs", help="key=value, repeatable.")] = None,
    include: Annotated[list[str] | None, typer.Option("--include", help="Glob of targets to prune.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Glob of targets to leave alone.")] = None,
    json: Json = False,
) -> None:
    """Every weight matrix: prunable, or skipped and why. On the meta device, so it costs nothing."""
    from certify.networks.loading import build
    from certify.networks.targets import describe as find

    network = build(ModelRecipe(model, "", num_classes, parse_kwargs(model_kwargs or [])), meta=True)
    targets = find(network, include=tuple(include or ["*"]), exclude=tuple(exclude or []))
    prunable = [target for target in targets if not target.skipped]
    total = sum(target.size for target in prunable)
    if json:
        as_json({"model": model, "prunable": total, "targets": [target.to_json() for target in targets]})
        return
    rows = [[t.name, t.kind, t.role, t.rows, t.cols, t.size, t.skipped or "prunable"] for t in targets]
    table(
        f"{model}: {len(prunable)} prunable targets, {total:,} weights",
        ("target", "kind", "role", "rows", "cols", "weights", ""),
        rows,
    )


def verify(
    certificate: Annotated[Path, typer.Argument(help="A certificate.json.", metavar="CERT")],
    level: Annotated[
        str, typer.Option("--level", help="files: hashes, patterns, arithmetic. replay: rerun the networks.")
    ] = "files",
    require: Annotated[list[str] | None, typer.Option("--require", help="For example 'accuracy_drop<=0.01@0.99'.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where the images are, for replay.")] = None,
    paranoid: Annotated[
        bool, typer.Option("--paranoid", help="Replay with every sample, and many more points inside what is proved.")
    ] = False,
    json: Json = False,
) -> None:
    """Recheck a certificate by a road that shares no code with the one that made it."""
    from certify.verifier import verify as recheck

    verdict = recheck(certificate, level=level, require=tuple(require or ()), data_dir=data_dir, paranoid=paranoid)
    if json:
        as_json(verdict.to_json())
        return
    for check in verdict.checks:
        out.print(f"  {'ok ' if check.done else 'not checked '} {check.name}: {check.detail}")
    for requirement, answer in verdict.requirements.items():
        out.print(f"  required {requirement}: {answer}")
    out.print(f"{certificate}: verified at level {verdict.level}")


def size(
    statement: Annotated[
        str, typer.Argument(help="disagreement, disagreement_by_class, accuracy_drop or accuracy_drop_betting.")
    ],
    limit: Annotated[float, typer.Argument(help="The upper limit that is wanted, a share in (0, 1).")],
    rate: Annotated[float, typer.Option("--rate", help="Expected disagreement rate, or rate of newly wrong answers.")] = 0.0,
    gains: Annotated[float, typer.Option("--gains", help="Of a drop: expected rate of newly right answers.")] = 0.0,
    delta: Annotated[float, typer.Option("--delta", help="Error probability of the job.")] = 0.05,
    family: Annotated[int, typer.Option("--family", help="Statements that share delta.")] = 1,
    classes: Annotated[int, typer.Option("--classes", help="By class: how many there are.")] = 1,
    rarest: Annotated[float, typer.Option("--rarest", help="By class: share of samples in the rarest; 0: equal.")] = 0.0,
    unshown: Annotated[
        float, typer.Option("--unshown", help="Of a rate: share of samples that agree but are not shown to, counted as failures.")
    ] = 0.0,
    shift_kl: Annotated[float, typer.Option("--shift-kl", help="Of a rate: limit it within so many nats as well.")] = 0.0,
    shift_chi_square: Annotated[
        float, typer.Option("--shift-chi-square", help="Of a rate: limit it within this chi-square radius as well.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """How many certification samples a wanted guarantee needs."""
    from certify.risk.size import samples_for

    if family < 1:
        raise Usage(f"--family {family} must be at least 1")
    asked = {
        "rate": rate,
        "gains": gains,
        "classes": classes,
        "rarest": rarest,
        "unshown": unshown,
        "shift_kl": shift_kl,
        "shift_chi_square": shift_chi_square,
    }
    needed = samples_for(statement, limit, delta=delta / family, **asked)
    if json:
        about = {"statement": statement, "limit": limit, "delta": delta, "family": family, "samples": needed}
        as_json(about | asked)
        return
    out.print(
        f"{needed:,} samples for {statement} <= {limit:g} at confidence {1 - delta:g} shared by {family}, at the expected rates"
    )


def report(
    folder: RunFolder,
    picture: Annotated[Path | None, typer.Option("--ladder", help="Also draw the first masked ladder as this SVG.")] = None,
    json: Json = False,
) -> None:
    """One self-contained HTML file of a run folder."""
    from certify.report import write_ladder, write_report

    run = Run.open(folder)
    path = write_report(run)
    if picture is not None:
        found = sorted(run.path("plans").glob("*/*ladder.parquet"), key=lambda file: ("masked" not in file.name, file))
        if not found:
            raise Refused(f"{folder}: holds no ladder yet; run certify bound {folder} first")
        write_ladder(Ladder.load(found[0]), picture)
    if json:
        as_json({"report": str(path)})
    else:
        out.print(str(path))
