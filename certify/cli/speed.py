"""`certify speed`: dense against sparse on this machine."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certify.cli.jobs import Json
from certify.cli.show import as_json, out, table
from certify.records import Usage
from certify.records.recipe import ModelRecipe

if TYPE_CHECKING:
    from torch import nn

MODELS = (
    "vit_base_patch16_224",
    "convnextv2_base",
    "resnet50",
    "vit_large_patch16_224",
    "deit_small_patch16_224",
    "deit_tiny_patch16_224",
)
BATCHES = (1, 32, 256)


def speed(
    model: Annotated[list[str] | None, typer.Option("-m", "--model", help="timm model; repeat for several.")] = None,
    batch_size: Annotated[list[int] | None, typer.Option("-b", "--batch-size", help="Repeat for several.")] = None,
    merge: Annotated[int, typer.Option(min=0, help="Tokens merged per block in a second pass (ViTs); 0: none.")] = 8,
    folder: Annotated[Path, typer.Option("--out", help="Where speed.json and its tables go; goes on there.")] = Path("speed"),
    checkpoint: Annotated[Path | None, typer.Option(help="Weights to time; refused when they are not 2:4.")] = None,
    num_classes: Annotated[int, typer.Option(help="0 keeps the model's own.")] = 0,
    input_size: Annotated[tuple[int, int, int] | None, typer.Option(help="Channels, height, width.")] = None,
    device: Annotated[str, typer.Option(help="torch device; auto takes a GPU where there is one.")] = "auto",
    rounds: Annotated[int, typer.Option(min=3, help="Interleaved repeats.")] = 3,
    window_ms: Annotated[float, typer.Option(min=1, help="Time per endpoint and round.")] = 150.0,
    compile_mode: Annotated[str, typer.Option(help="torch.compile mode; none: compile nothing.")] = "default",
    budget: Annotated[float, typer.Option(help="Seconds per model after which nothing more is compiled.")] = 240.0,
    limit: Annotated[
        float, typer.Option(help="Seconds after which no cell is begun; the same command goes on from there. 0: no limit.")
    ] = 0.0,
    skip: Annotated[list[str] | None, typer.Option(help="2:4 backend to leave out: cutlass, cusparselt.")] = None,
    sizes: Annotated[bool, typer.Option(help="Also write each network 2:4 compressed and count its bytes.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights and inputs.")] = 0,
    json: Json = False,
) -> None:
    """Every matrix product and the whole network, dense and 2:4, as ratios to the best dense way to run it.

    Models are measured in the order given; the table of all cells is printed last.
    """
    from certify.deploy import speed as audits
    from certify.deploy.speed import overview
    from certify.deploy.speed import report as reports
    from certify.networks.devices import device_of

    names = model or list(MODELS)
    if checkpoint is not None and len(names) != 1:
        raise Usage(f"--checkpoint {checkpoint} belongs to one model; {len(names)} are named with -m")
    where, stop = device_of(device), time.monotonic() + limit if limit > 0 else math.inf
    settings = audits.Settings(
        rounds=rounds,
        window_ms=window_ms,
        compile=compile_mode != "none",
        compile_mode=compile_mode,
        budget_s=budget,
        seed=seed,
        skip=tuple(sorted(skip or ())),
    )
    report = audits.start(folder / "speed.json", where, settings)
    for name in names:
        recipe = ModelRecipe(name, str(checkpoint or ""), num_classes)
        shapes, size = _shapes(recipe, input_size)
        report = audits.static(report, shapes, name, size, merge)
        if sizes:
            report = audits.stored(report, _fresh(recipe), name, seed)
        network = None if checkpoint is None else _sparse(recipe, checkpoint)
        if report.status == "measured" and where.type == "cuda":
            report = audits.audit(
                report,
                _fresh(recipe) if network is None else network,
                name,
                input_size=size,
                batches=sorted(set(batch_size or BATCHES), reverse=True),
                merges=(0, merge) if merge else (0,),
                settings=settings,
                device=where,
                random_weights=network is None,
                save=lambda partial: audits.write(partial, folder / "speed.json"),
                stop=stop,
            )
    audits.write(report, folder / "speed.json")
    reports.write_tables(report, folder)
    if json:
        as_json(report.to_json())
        return
    for line in reports.summary(report):
        out.print(line)
    if not report.endpoints:
        return
    for line in overview.survivals(report):
        out.print(line)
    left = [
        f"{name} batch {size}"
        for name in names
        for size in sorted(set(batch_size or BATCHES), reverse=True)
        if not report.has(name, size, 0)
    ]
    if left:
        out.print(f"not measured yet, for --limit {limit:g}: {', '.join(left)}; the same command goes on")
    columns, rows = overview.overview(report)
    table(f"images per second, {report.machine.get('name')}", columns, rows)


def _shapes(recipe: ModelRecipe, input_size: tuple[int, int, int] | None) -> tuple[nn.Module, tuple[int, ...]]:
    from certify.networks.loading import build, preprocessing

    shapes = build(recipe, meta=True)
    return shapes, tuple(input_size or preprocessing(shapes, recipe)["input_size"])


def _fresh(recipe: ModelRecipe) -> nn.Module:
    from certify.networks.loading import build

    return build(recipe)


def _sparse(recipe: ModelRecipe, checkpoint: Path) -> nn.Module:
    """The network with the weights in question, every target verified 2:4."""
    from certify.deploy.speed.endpoints import verified
    from certify.deploy.two_four import load
    from certify.networks.loading import build, load_state, read_checkpoint

    state: dict[str, Any] = dict(load(checkpoint) if checkpoint.suffix == ".safetensors" else read_checkpoint(checkpoint))
    single = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    network = load_state(build(recipe), single, str(checkpoint))
    verified(network)
    return network
