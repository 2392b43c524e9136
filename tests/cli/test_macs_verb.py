"""`certify macs`: totals are those of the layers it lists, merged networks count as they run, the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import jobs
import pytest

from certify.deploy import macs
from certify.networks.loading import build
from certify.networks.merging import merge_tokens
from certify.records.recipe import ModelRecipe


def said(*arguments: object) -> dict[str, Any]:
    found = jobs.certify("macs", *arguments, "--json")
    assert found.code == 0, found.err
    return json.loads(found.out)


@pytest.mark.parametrize("merge", ["6", "0,6,6,6,4,4,4,4,2,2,2,2", "400"])
def test_merged_totals_are_those_of_the_merged_network(merge: str) -> None:
    name = "deit_tiny_distilled_patch16_224"
    value = said("-m", name, "--merge", merge)
    totals = {row["count"]: row for row in value["totals"]}
    counts = [int(part) for part in merge.split(",")]
    network = merge_tokens(build(ModelRecipe(name), meta=True), counts if len(counts) > 1 else counts[0])
    counted = macs.count(network, input_size=(3, 224, 224))
    assert totals["merged, executed"]["total"] == counted.total < totals["merged, paper"]["total"] < totals["dense"]["total"]
    assert totals["merged, executed"]["total"] == sum(layer["macs"] for layer in value["layers"])
    assert value["tokens"][0] == 198 and value["tokens"][-1] >= 2


def test_the_resolution_is_the_one_asked_for() -> None:
    small, large = (said("-m", "resnet10t", "--input-size", 3, side, side) for side in (64, 128))
    assert large["input_size"] == [3, 128, 128]
    convs = [sum(layer["macs"] for layer in value["layers"] if layer["kind"] == "conv") for value in (small, large)]
    assert convs[1] == 4 * convs[0]


def test_the_table_ends_with_the_totals() -> None:
    found = jobs.certify("macs", "-m", "deit_tiny_patch16_224", "--merge", 8)
    assert found.code == 0
    last = found.out.splitlines()[-2:]
    assert last[0].startswith("merged, executed: ") and "57.53% below" in last[0] and "56.40% below" in last[1]


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (3, "token merging needs a timm VisionTransformer", ["-m", "swin_tiny_patch4_window7_224", "--merge", 2]),
        (3, "token merging needs a timm VisionTransformer", ["-m", "resnet18", "--merge", 2]),
        (3, "2 numbers for 12 blocks", ["-m", "deit_tiny_patch16_224", "--merge", "1,2"]),
        (3, "cannot run on one image of shape (3, 64, 64)", ["-m", "deit_tiny_patch16_224", "--input-size", 3, 64, 64]),
        (2, "three numbers above 0", ["-m", "resnet18", "--input-size", 3, 0, 64]),
        (3, "density 2.0", ["-m", "resnet18", "--density", 2]),
        (2, "--merge 'many'", ["-m", "deit_tiny_patch16_224", "--merge", "many"]),
    ],
)
def test_refusals_of_macs(code: int, words: str, arguments: list[object]) -> None:
    found = jobs.certify("macs", *arguments)
    assert found.code == code and words in found.err
