"""`certify macs`: what a network multiplies, layer by layer, and what removing weights or merging tokens could save at best."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from certify.cli.arguments import merge_counts, parse_kwargs
from certify.cli.jobs import Json
from certify.cli.show import as_json, out, table
from certify.records import Usage
from certify.records.recipe import ModelRecipe


def macs(
    model: Annotated[str, typer.Option("-m", "--model", help="timm model name.")],
    input_size: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Channels, height, width; the model's own where not given.")
    ] = None,
    merge: Annotated[str, typer.Option("--merge", help="Tokens merged in each block of a ViT: 8, or one count per block.")] = "",
    density: Annotated[float, typer.Option("--density", help="k/n of the pattern of the projected layers.")] = 0.5,
    num_classes: Annotated[int, typer.Option("--num-classes", help="0 keeps the model's own.")] = 0,
    model_kwargs: Annotated[list[str] | None, typer.Option("--model-kwargs", help="key=value, repeatable.")] = None,
    json: Json = False,
) -> None:
    """Multiply-adds of one image: per layer, in total with and without attention products, and the least they could become.

    Token merging is counted as executed (merge between attention and MLP) and in the convention of published tables (MLP before
    the merge). No weights are needed; nothing runs.
    """
    from certify.deploy import macs as counting
    from certify.deploy.speed.endpoints import targets
    from certify.networks.loading import build, preprocessing
    from certify.networks.merging import merge_tokens, token_counts

    recipe = ModelRecipe(model, "", num_classes, parse_kwargs(model_kwargs or []))
    network = build(recipe, meta=True)
    size = tuple(input_size or preprocessing(network, recipe)["input_size"])
    if min(size) < 1:
        raise Usage(f"--input-size {size}: three numbers above 0 are expected")
    dense, projected = counting.count(network, input_size=size, name=model), targets(network)
    ways: dict[str, Any] = {"dense": dense}
    found: dict[str, Any] = {}
    if counts := merge_counts(merge):
        merged: Any = merge_tokens(network, counts)
        steps = merged.blocks.r
        tokens = counting.tokens_of(network, size)
        assert tokens is not None
        found["tokens"] = list(token_counts(tokens[0], steps, tokens[1]))
        for convention in ("executed", "paper"):
            ways[f"merged, {convention}"] = counting.with_merging(
                dense, steps, tokens=tokens[0], protected=tokens[1], convention=convention
            )
    rows = []
    for name, counted in ways.items():
        saving = counting.sparse_execution(dense, counted, projected, density=density)
        rows.append(
            {
                "count": name,
                "total": counted.total,
                "without_attention": counted.layers_only,
                "reduction": 1 - counted.total / dense.total,
                "sparse_total": saving.executed,
                "sparse_reduction": saving.reduction,
                "sparse_speedup": saving.speedup,
            }
        )
    if json:
        layers = {"layers": counting.rows_of(ways.get("merged, executed", dense))}
        as_json({"model": model, "input_size": list(size), "density": density, "totals": rows} | found | layers)
        return
    lines = ways.get("merged, executed", dense).layers
    shapes = [f"{layer.rows} x {layer.cols}" if layer.rows else "" for layer in lines]
    table(
        f"{model} at {' x '.join(map(str, size))}",
        ("layer", "kind", "matrix", "positions", "MACs", "share %"),
        [
            [layer.name, layer.kind, shape, layer.positions, layer.macs, 100 * layer.macs / dense.total]
            for layer, shape in zip(lines, shapes, strict=True)
        ],
    )
    if "tokens" in found:
        out.print(f"tokens at the entry of each block, and at the end: {', '.join(map(str, found['tokens']))}")
    for row in rows:
        out.print(
            f"{row['count']}: {row['total'] / 1e9:.3f} GMAC ({row['without_attention'] / 1e9:.3f} without attention products), "
            f"{row['reduction']:.2%} below dense; with density {density:g} in {len(projected)} layers "
            f"{row['sparse_total'] / 1e9:.3f}, {row['sparse_reduction']:.2%} below, at most {row['sparse_speedup']:.2f}x"
        )
