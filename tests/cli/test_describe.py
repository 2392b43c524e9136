"""`certify describe` knows every matrix of a large network without its weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jobs
import pytest

import certify


def targets(*arguments: object) -> list[dict[str, Any]]:
    said = jobs.certify("describe", *arguments, "--json")
    assert said.code == 0, said.err
    value = json.loads(said.out)
    sizes = [entry["shape"] for entry in value["targets"] if not entry["skipped"]]
    assert value["prunable"] == sum(count(shape) for shape in sizes)
    return value["targets"]


def count(shape: list[int]) -> int:
    return shape[0] * count(shape[1:]) if shape else 1


def test_a_vision_transformer_has_fifty_targets() -> None:
    found = targets("-m", "vit_base_patch16_224")
    prunable = [entry for entry in found if not entry["skipped"]]
    assert Counter(entry["role"] for entry in prunable) == {"stem": 1, "block": 48, "classifier": 1}
    assert sum(count(entry["shape"]) for entry in prunable) == 86_292_480
    assert prunable[0]["name"] == "patch_embed.proj" and prunable[-1]["name"] == "head"
    skipped = {entry["name"]: entry["skipped"] for entry in found if entry["skipped"]}
    assert skipped == dict.fromkeys(("cls_token", "pos_embed"), "not the weight of a Linear or Conv2d layer")


def test_a_resnet_is_convolutions_and_a_classifier() -> None:
    found = targets("-m", "resnet50")
    assert not any(entry["skipped"] for entry in found)
    assert Counter((entry["kind"], entry["role"]) for entry in found) == {
        ("conv2d", "stem"): 1,
        ("conv2d", "block"): 52,
        ("linear", "classifier"): 1,
    }
    assert sum(count(entry["shape"]) for entry in found) == 25_502_912


def test_globs_skip_with_a_reason() -> None:
    found = targets("-m", "resnet50", "--include", "layer*", "--exclude", "*.downsample.*")
    reasons = Counter(entry["skipped"] for entry in found)
    assert reasons == {"": 48, "matches no include glob (layer*)": 2, "excluded by *.downsample.*": 4}


def test_a_subclass_of_a_convolution_is_named_and_left_alone() -> None:
    """resnetv2 standardises its weights in the forward pass; zeros in the stored weights would not be zeros there."""
    found = targets("-m", "resnetv2_50x1_bit")
    assert {entry["skipped"] for entry in found if entry["kind"] == "parameter"} == {"not the weight of a Linear or Conv2d layer"}
    assert "stem.conv.weight" in {entry["name"] for entry in found if entry["skipped"]}


def test_a_person_gets_a_table() -> None:
    said = jobs.certify("describe", "-m", "vit_base_patch16_224")
    assert "50 prunable targets, 86,292,480 weights" in said.out
    assert sum("prunable" in line for line in said.out.splitlines()) == 51


@pytest.mark.slow
def test_it_takes_seconds_and_no_memory_for_weights() -> None:
    """A ViT of 632 million parameters: 2.5 GB of weights, described by a process that is not allowed to hold them."""
    limited = (
        "import resource, sys, torch, certify.cli.app; from certify.networks.vision import import_timm; import_timm();"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, used + 10**9));"
        "certify.cli.app.main(['describe', '-m', 'vit_huge_patch14_224', '--json'])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(certify.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    said = subprocess.run([sys.executable, "-c", limited], env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["prunable"] > 600_000_000
    assert time.monotonic() - start < 60
