"""Verbs around what is shipped: export a file, make its card, tell two certificates apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certify.cli.arguments import parse_kwargs
from certify.cli.jobs import Json, RunFolder
from certify.cli.show import as_json, out, table
from certify.records import Certificate, Run, Usage
from certify.records.files import atomic_write
from certify.records.recipe import ModelRecipe


def export(
    source: Annotated[Path, typer.Argument(help="A run folder, or a checkpoint.", metavar="RUN_OR_CHECKPOINT")],
    form: Annotated[str, typer.Option("--format", help="safetensors, bf16, fp16, two-four, two-four-fp16 or onnx.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Where the file and its description go.")],
    plan: Annotated[str, typer.Option("--plan", help="Of a run with several plans: which one.")] = "",
    model: Annotated[str, typer.Option("-m", "--model", help="Of a checkpoint: timm model name.")] = "",
    num_classes: Annotated[int, typer.Option("--num-classes", help="0 keeps the model's own.")] = 0,
    model_kwargs: Annotated[list[str] | None, typer.Option("--model-kwargs", help="key=value, repeatable.")] = None,
    data_dir: Annotated[
        str, typer.Option("--data-dir", help="Of a checkpoint, for onnx: images to compare outputs on; 'digits' for the digits.")
    ] = "",
    samples: Annotated[int, typer.Option("--samples", min=2, help="For onnx: calibration samples compared with torch.")] = 64,
    json: Json = False,
) -> None:
    """One file to ship, read again before it is there: removed places are 0 in its bytes, its pattern holds, outputs agree.

    The file is a network of its own: certify compare REF FILE runs it as it is deployed and says what is guaranteed of it.
    """
    from certify.deploy.export import FORMATS
    from certify.pipeline.exporting import export_checkpoint, export_run

    if form not in FORMATS:
        raise Usage(f"--format {form!r} is none of {', '.join(FORMATS)}")
    if source.is_dir():
        if model or data_dir:
            raise Usage("certify export: -m and --data-dir belong to a checkpoint; a run folder knows its own")
        found = export_run(Run.open(source), plan, form, out_folder, samples)
    else:
        if not model:
            raise Usage(f"certify export {source}: a checkpoint needs -m MODEL; a run folder was not found there")
        if plan:
            raise Usage("certify export: --plan belongs to a run folder")
        recipe = ModelRecipe(model, str(source), num_classes, parse_kwargs(model_kwargs or []))
        found = export_checkpoint(source, recipe, form, out_folder, data_dir, samples)
    if json:
        as_json(found.to_json())
        return
    size = f"{found.bytes:,} bytes ({found.bytes / found.dense:.3f} of {found.dense:,} dense)"
    out.print(f"{found.path}: {size}, network {found.network}")
    for said in found.checked:
        out.print(f"  ok  {said}")


def card(
    folder: RunFolder,
    plan: Annotated[str, typer.Option("--plan", help="Of a run with several plans: which one.")] = "",
    out_file: Annotated[
        Path | None, typer.Option("--out", help="README.md there; beside the certificate where not given.")
    ] = None,
    json: Json = False,
) -> None:
    """A model card: what was removed, proved and guaranteed, under YAML front matter that model hubs read."""
    from certify.report.card import card as make

    run = Run.open(folder)
    recipe = run.recipe()
    names = [entry.name for entry in recipe.plan] or ["given"]
    if plan not in names and (plan or len(names) > 1):
        raise Usage(f"--plan {plan or 'NAME'}: {folder} holds {', '.join(names)}; name one")
    name = plan or names[0]
    path = out_file or run.plan(name, "README.md")
    atomic_write(path, make(run, name).encode())
    if json:
        as_json({"card": str(path)})
    else:
        out.print(str(path))


def diff(
    before: Annotated[Path, typer.Argument(help="A certificate.json.", metavar="A")],
    after: Annotated[Path, typer.Argument(help="Another one.", metavar="B")],
    json: Json = False,
) -> None:
    """What changed between two certificates: networks, plan, guarantees, ladders, versions. Their content hashes are checked."""
    from certify.report.difference import difference, in_words

    one, two = Certificate.load(before), Certificate.load(after)
    changes = difference(one, two)
    if json:
        as_json({"a": one.content_hash, "b": two.content_hash, "changes": [change.to_json() for change in changes]})
        return
    if not changes:
        out.print("the two certificates state the same")
        return
    rows = [
        [each.group, each.what, in_words(each.before), in_words(each.after), "" if each.by is None else f"{each.by:+.4g}"]
        for each in changes
        if each.first
    ]
    table(f"{len(changes)} entries differ", ("group", "what", "A", "B", "B - A"), rows)
    if len(rows) < len(changes):
        out.print(f"and {len(changes) - len(rows)} more, which --json lists")
