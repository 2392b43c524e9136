"""Verbs that work on a run folder: each goes as far as its name says, and continues where the folder stopped."""

from __future__ import annotations

import math
import os
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from certify.cli.arguments import merge_counts, parse_kwargs
from certify.cli.show import as_json, out, progress_bar, table
from certify.records import Evidence, Guarantee, Outcomes, Plan, Recipe, Run, Target, Usage, load_spectra, save_spectra
from certify.records.files import atomic_write, read_json
from certify.records.recipe import DataRecipe, GuaranteeRecipe, ModelRecipe, PlanRecipe, SplitRecipe
from certify.risk.size import samples_to_halve

RunFolder = Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def run(
    recipe: Annotated[
        Path | None, typer.Argument(help="A TOML recipe; without one, the embedded digits job.", metavar="[RECIPE.toml]")
    ] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", help="The run folder.")] = None,
    json: Json = False,
) -> None:
    """The whole way: split, train or load, prune, bound, recover, guarantee, issue, verify, report."""
    if out_folder is None:
        raise Usage("certify run needs --out DIR, the folder the run is kept in")
    if recipe is None:
        text = files("certify.cli").joinpath("digits.toml").read_text(encoding="utf-8")
        wanted = Recipe.from_toml(text, "the embedded digits recipe")
    else:
        wanted = Recipe.load(recipe)
    _go(wanted, out_folder, "report", json)


def spectra(
    folder: RunFolder,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Also write layers.parquet and an SVG of each layer there; RUN stays as it is.")
    ] = None,
    bands: Annotated[bool, typer.Option("--bands", help="With --out: compare each layer with null layers.")] = False,
    vectors: Annotated[bool, typer.Option("--vectors", help="With --out: test singular vectors and residuals.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="With --out: seed of the null layers.")] = 0,
    device: Annotated[
        str, typer.Option("--device", help="With --out: torch device; auto takes a GPU where there is one.")
    ] = "auto",
    json: Json = False,
) -> None:
    """The layer table: singular values against the fitted Marchenko–Pastur bulk."""
    if out_folder is None and (bands or vectors):
        raise Usage("certify spectra: --bands and --vectors need --out DIR, where their table goes")
    if seed < 0:
        raise Usage(f"--seed {seed} must be at least 0")
    _go_on(folder, "spectra", json)
    if out_folder is not None:
        _write_layers(Run.open(folder), out_folder, bands, vectors, seed, device)


def _write_layers(run: Run, folder: Path, bands: bool, vectors: bool, seed: int, device: str) -> None:
    from certify.networks.devices import device_of, solvers_on
    from certify.spectra import kinds_of, layer_table, singular_values
    from certify.spectra.picture import spectrum_svg

    targets = [Target.from_json(entry) for entry in read_json(run.path("targets.json"))]
    weights = Evidence.load(run.path("evidence.safetensors")).weights
    where = device_of(device)
    values = singular_values if where.type == "cpu" else partial(singular_values, solvers=solvers_on(where))
    kinds = kinds_of(targets)
    rows = layer_table(weights, bands=bands, vectors=vectors, seed=seed, kinds=kinds, values=values)
    save_spectra(folder / "layers.parquet", rows)
    for row in rows:
        atomic_write(folder / f"{row.target}.svg", spectrum_svg(row).encode())


def prune(
    folder: RunFolder,
    method: Annotated[
        str, typer.Option("--method", help="One more plan beside the recipe's, by this method; 'list' shows them all.")
    ] = "",
    sparsity: Annotated[float | None, typer.Option("--sparsity", help="With --method: share of weights to remove.")] = None,
    pattern: Annotated[str | None, typer.Option("--pattern", help="With --method: K:N, such as 2:4.")] = None,
    option: Annotated[list[str] | None, typer.Option("--option", help="With --method: key=value, repeatable.")] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="With --method: where plan.json and plan.safetensors go; RUN stays as it is.")
    ] = None,
    json: Json = False,
) -> None:
    """Make the plans of the recipe; or with --method one plan from the run's evidence."""
    if method == "list":
        _list_methods(json)
    elif method:
        if out_folder is None:
            raise Usage("certify prune --method needs --out DIR, where the plan goes")
        wanted = PlanRecipe(out_folder.name, method, sparsity, pattern, options=parse_kwargs(option or [], "--option"))
        _make_plan(Run.open(folder), out_folder, wanted, json)
    elif sparsity is not None or pattern is not None or option or out_folder is not None:
        raise Usage("certify prune: --sparsity, --pattern, --option and --out go with --method NAME")
    else:
        _go_on(folder, "plans", json)


def _make_plan(run: Run, folder: Path, wanted: PlanRecipe, json: bool) -> None:
    """One plan of a method, from evidence that holds what the method needs: the run's own, or collected for it."""
    from certify.pipeline import plan_beside

    with progress_bar(json) as progress:
        plan = plan_beside(run, wanted, progress)
    plan.save(folder)
    if json:
        as_json(read_json(folder / "plan.json"))
    else:
        out.print(f"{plan.name}: {plan.removed:,} of {plan.total:,} weights removed ({plan.removed / plan.total:.2%}), {folder}")


def _list_methods(json: bool) -> None:
    from certify.pruning import METHODS

    rows = [
        {"method": each.name, "about": each.about, "amounts": each.amounts, "needs": each.needs, "options": each.options}
        for each in METHODS.values()
    ]
    if json:
        as_json({"methods": rows})
        return
    shown = [
        [
            row["method"],
            row["about"],
            ", ".join(row["amounts"]),
            ", ".join(row["needs"]),
            ", ".join(f"{key}={value}" for key, value in row["options"].items()),
        ]
        for row in rows
    ]
    table("Methods", ("method", "keeps", "amounts", "evidence", "options"), shown)


def bound(
    folder: RunFolder,
    road: Annotated[
        str, typer.Option("--road", help="Also prove bounds on the shipped pairs: auto, exact or enclosed; RUN stays as it is.")
    ] = "",
    samples: Annotated[int, typer.Option("--samples", help="With --road: calibration samples.")] = 4,
    radius: Annotated[
        float, typer.Option("--radius", help="With --road: for every input within it, entry by entry, in the network's units.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """The ladder of each masked pair on the calibration split; with --road proven bounds on the logits of the whole segment."""
    if not road:
        _go_on(folder, "bounds", json)
        return
    from certify.pipeline import prove_shipped

    if samples < 1:
        raise Usage(f"--samples {samples} must be at least 1")
    with progress_bar(json) as progress:
        found = prove_shipped(Run.open(folder), road, samples, radius, progress)
    rows = [
        {
            "plan": name,
            "road": path.road,
            "samples": len(path.logits),
            "radius": radius,
            "decision_proved_unchanged": int(path.unchanged.sum()),
            "change": [float(each) for each in path.change.max(axis=1)],
        }
        for name, path in found.items()
    ]
    if json:
        vacuous = [dict(row, change=[each if math.isfinite(each) else None for each in row["change"]]) for row in rows]
        as_json({"tier": "proved", "plans": vacuous})
        return
    shown = [
        [
            row["plan"],
            row["road"],
            f"{row['decision_proved_unchanged']} of {row['samples']}",
            *(f"{value:.4g}" if math.isfinite(value) else "vacuous" for value in (np.median(row["change"]), max(row["change"]))),
        ]
        for row in rows
    ]
    table("Proved on the whole segment", ("plan", "road", "decision unchanged", "median change", "largest change"), shown)


def recover(folder: RunFolder, json: Json = False) -> None:
    """Fine-tune each plan with its mask frozen; the recovered network is a new pair with a ladder of its own.

    Data-parallel: torchrun --nproc-per-node N -m certify.cli recover RUN
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        _go_on(folder, "recovery", json)
        return
    from certify.pipeline import recover_together

    first = os.environ.get("RANK") == "0"
    with progress_bar(json or not first) as progress:
        run = recover_together(folder, progress)
    if first:
        _say(run, json)
    sys.stdout.flush()
    os._exit(0)  # threads of a process group may abort an interpreter that takes its time to end


def guarantee(folder: RunFolder, json: Json = False) -> None:
    """One look at the certification split and the statements it allows."""
    _go_on(folder, "guarantees", json)


def issue(folder: RunFolder, json: Json = False) -> None:
    """Write and verify the certificates."""
    _go_on(folder, "certificates", json)


def compare(
    reference: Annotated[Path, typer.Argument(help="Checkpoint of the reference network.", metavar="REF")],
    shipped: Annotated[Path, typer.Argument(help="Checkpoint of the shipped network.", metavar="SHIPPED")],
    model: Annotated[str, typer.Option("-m", "--model", help="timm model name.")],
    out_folder: Annotated[Path, typer.Option("--out", help="The run folder.")],
    data_dir: Annotated[str, typer.Option("--data-dir", help="Image folder; 'digits' for the embedded digits.")],
    split: Annotated[str, typer.Option("--split", help="Split name as timm's create_dataset reads it.")] = "",
    labels: Annotated[str, typer.Option("--labels", help="given, or none for unlabelled images.")] = "given",
    num_classes: Annotated[int, typer.Option("--num-classes", help="0 keeps the model's own.")] = 0,
    model_kwargs: Annotated[list[str] | None, typer.Option("--model-kwargs", help="key=value, repeatable.")] = None,
    calibration: Annotated[
        float, typer.Option("--calibration", help="Samples for the ladder: a share, the rest then certifies, or a count.")
    ] = 0.2,
    delta: Annotated[float, typer.Option("--delta", help="Error probability all statements share.")] = 0.05,
    share: Annotated[
        float, typer.Option("--share", help="Part of delta to spend here; the rest is left for other files on the same images.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the splits.")] = 0,
    threads: Annotated[int, typer.Option("-j", "--workers", help="Threads; results are the same bytes for the same number.")] = 1,
    runs: Annotated[
        str,
        typer.Option(
            "--runs", help="How SHIPPED is deployed: float32, bfloat16, float16 or onnxruntime; as the file asks where not given."
        ),
    ] = "",
    merge: Annotated[
        str, typer.Option("--merge", help="Tokens SHIPPED merges in each block of a ViT: 8, or one count per block: 8,8,4.")
    ] = "",
    json: Json = False,
) -> None:
    """Bounds and guarantees for an existing pair of checkpoints; no plan needed.

    SHIPPED is run as it is deployed: a file of 16-bit numbers, 2:4 compressed or not, in those; an ONNX file through onnxruntime.
    """
    from certify.networks.running import runs_of

    embedded = data_dir == "digits"
    if not calibration > 0:
        raise Usage(f"--calibration {calibration} must be positive")
    recipe = Recipe(
        model=ModelRecipe(model, str(reference), num_classes, parse_kwargs(model_kwargs or [])),
        data=DataRecipe("digits" if embedded else "folder", "" if embedded else data_dir, split, labels),
        shipped=str(shipped),
        seed=seed,
        threads=threads,
        splits=SplitRecipe(seed, 0, calibration, 0, 1 - calibration if calibration < 1 else 0.8),
        guarantees=GuaranteeRecipe(delta, share, ("disagreement",) if labels == "none" else ("disagreement", "accuracy_drop")),
        runs=runs or runs_of(shipped),
        merge=merge_counts(merge),
    )
    _go(recipe, out_folder, "report", json)


def _go_on(folder: Path, until: str, json: bool) -> None:
    _go(Run.open(folder).recipe(), folder, until, json)


def _go(recipe: Recipe, folder: Path, until: str, json: bool) -> None:
    from certify.pipeline import run as run_pipeline

    with progress_bar(json) as progress:
        run = run_pipeline(recipe, folder, until=until, progress=progress)
    _say(run, json)


def _say(run: Run, json: bool) -> None:
    found = summary(run)
    if json:
        as_json(found)
    else:
        tell(found)


def summary(run: Run) -> dict[str, Any]:
    """What a run folder holds so far, as one JSON value."""
    recipe = run.recipe()
    found: dict[str, Any] = {"run": str(run.folder), "plans": []}
    if run.path("reference.json").exists():
        reference = read_json(run.path("reference.json"))
        found["reference"] = {
            key: reference[key] for key in ("architecture", "digest", "parameters", "tuning_accuracy", "origin")
        }
    if run.path("spectra.parquet").exists():
        found["layers"] = [
            {
                "target": row.target,
                "rows": row.rows,
                "cols": row.cols,
                "bare_edge": row.bare_edge,
                "fit_error": row.fit_error,
                "bulk_share": row.bulk_share,
                "spikes": len(row.spikes),
                "note": row.note,
            }
            for row in load_spectra(run.path("spectra.parquet"))
        ]
    for name in [plan.name for plan in recipe.plan] or ["given"]:
        folder = run.plan(name)
        entry: dict[str, Any] = {"name": name}
        if (folder / "plan.json").exists():
            plan = Plan.load(folder)
            entry |= {
                "removed": plan.removed,
                "total": plan.total,
                "sparsity": plan.removed / plan.total,
                "pattern": plan.pattern,
            }
        if (folder / "outcomes.parquet").exists():
            entry["counts"] = Outcomes.load(folder / "outcomes.parquet").counts()
        if (folder / "guarantee.json").exists():
            spoken = read_json(folder / "guarantee.json")
            entry["guarantees"] = [
                {
                    key: each[key]
                    for key in ("statement", "estimate", "limit", "share", "sentence", "details", "shift")
                    if key in each
                }
                | {"samples_to_halve": samples_to_halve(Guarantee.from_json(each))}
                for each in spoken["guarantees"]
            ]
        if (folder / "certificate.json").exists():
            entry["certificate"] = str(folder / "certificate.json")
            entry["verified"] = (
                [v["level"] for v in read_json(folder / "verdicts.json")] if (folder / "verdicts.json").exists() else []
            )
        found["plans"].append(entry)
    if run.path("choice.json").exists():
        found["choice"] = {key: read_json(run.path("choice.json"))[key] for key in ("chosen", "plans", "sentence")}
    if run.path("report.html").exists():
        found["report"] = str(run.path("report.html"))
    return found


def tell(found: dict[str, Any]) -> None:
    """The short summary a person reads."""
    reference = found.get("reference")
    if reference:
        accuracy = reference["tuning_accuracy"]
        said = f", accuracy {accuracy:.1%} on the tuning split" if accuracy is not None else ""
        out.print(f"{reference['architecture']} ({reference['origin']}), {reference['parameters']:,} parameters{said}")
    if "layers" in found and not any("certificate" in plan for plan in found["plans"]):
        keys = ("target", "rows", "cols", "bare_edge", "fit_error", "bulk_share", "spikes", "note")
        table("Layers", keys, [[row[key] for key in keys] for row in found["layers"]])
    for plan in found["plans"]:
        removed = (
            f": {plan['removed']:,} of {plan['total']:,} weights removed ({plan['sparsity']:.2%})" if "removed" in plan else ""
        )
        if removed or "counts" in plan:
            out.print(f"\n{plan['name']}{removed}")
        for entry in plan.get("guarantees", []):
            needed = entry["samples_to_halve"]
            half = f" At the same rates {needed:,} samples would halve it." if needed else " Half of it lies below the rate seen."
            out.print(f"  {entry['sentence']}{half if entry['statement'] != 'ce_increase' else ''}")
        if plan.get("certificate"):
            out.print(f"  certificate {plan['certificate']}, verified at level {' and '.join(plan['verified']) or 'none'}")
    if "choice" in found:
        out.print(f"\n{found['choice']['sentence']}")
    if "report" in found:
        out.print(f"\nreport: {found['report']}")
