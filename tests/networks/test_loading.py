"""Checkpoints are tensors and nothing else, and fit the model or are refused by name."""

from __future__ import annotations

import io
import os
import random
import warnings
from pathlib import Path
from typing import Any

import jobs
import pytest
import torch
from torch import nn

from certify.networks.loading import build, digest, load_state, preprocessing, read_checkpoint, save_state, state_of
from certify.records import Refused
from certify.records.recipe import ModelRecipe

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3), "half": torch.ones(2, dtype=torch.bfloat16)}


class Trap:
    """Makes a folder when it is unpickled by a reader that trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_every_wrapping_of_a_state_dict_gives_the_same_network(tmp_path: Path) -> None:
    save_state(tmp_path / "plain.safetensors", STATE)
    parallel = {f"module.{name}": tensor for name, tensor in STATE.items()}
    for number, value in enumerate((STATE, {"state_dict": STATE, "epoch": 3}, {"model": STATE}, {"state_dict": parallel})):
        torch.save(value, tmp_path / f"{number}.pth")
        assert digest(read_checkpoint(tmp_path / f"{number}.pth")) == digest(read_checkpoint(tmp_path / "plain.safetensors"))
    torch.save({"state_dict": {"a": torch.zeros(1)}, "state_dict_ema": STATE}, tmp_path / "ema.tar")
    assert digest(read_checkpoint(tmp_path / "ema.tar")) == digest(STATE)


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "note": Trap(tmp_path / "ran")}, tmp_path / "trap.pth")
    with pytest.raises(Refused, match=r"trap\.pth: holds a pickle that is more than tensors and is not executed"):
        read_checkpoint(tmp_path / "trap.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "trap.pth", weights_only=False)
    assert (tmp_path / "ran").exists(), "the trap works on a reader that trusts"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_pth_is_read_or_refused_but_never_a_crash(tmp_path: Path, zipped: bool) -> None:
    stream, chance = io.BytesIO(), random.Random(5)
    torch.save({"state_dict": STATE}, stream, _use_new_zipfile_serialization=zipped)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            data = bytearray(stream.getvalue())
            for _ in range(chance.choice((1, 1, 3))):
                data[chance.randrange(len(data))] = chance.randrange(256)
            (tmp_path / "damaged.pth").write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
            try:
                read_checkpoint(tmp_path / "damaged.pth")
            except Refused as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 100


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused_with_its_tensor(tmp_path: Path, number: float) -> None:
    save_state(tmp_path / "bad.safetensors", STATE | {"b": torch.tensor([1.0, number, number])})
    with pytest.raises(Refused, match="b holds 2 NaN or infinite numbers"):
        read_checkpoint(tmp_path / "bad.safetensors")


def test_a_checkpoint_fits_or_the_first_misfit_is_named() -> None:
    model = nn.Linear(3, 2)
    state = state_of(model)
    for changed, words in (
        ({"weight": state["weight"]}, r"1 tensors missing \(first: bias\), 0 unexpected"),
        (state | {"extra": torch.ones(1)}, r"0 tensors missing, 1 unexpected \(first: extra\)"),
        (state | {"weight": torch.ones(5, 3)}, r"weight has shape \(5, 3\), the model wants \(2, 3\); check num_classes"),
        (state | {"weight": torch.ones(2, 4)}, "check the model's name and kwargs"),
    ):
        with pytest.raises(Refused, match=words):
            load_state(model, changed, "file")
    assert digest(state_of(model)) == digest(state), "a refused checkpoint leaves the model as it was"


def test_state_is_a_copy_and_its_name_sees_every_tensor() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = state_of(model)
    name = digest(state)
    with torch.no_grad():
        model.get_parameter("0.weight").zero_()
    assert digest(state) == name != digest(state_of(model))
    for tensor in state:
        assert digest({key: value + (key == tensor) for key, value in state.items()}) != name


def test_preprocessing_is_the_models_own_unless_the_kwargs_say_otherwise() -> None:
    recipe = ModelRecipe("vit_tiny_patch16_224", "", 10, jobs.DIGITS["model"]["kwargs"])
    assert preprocessing(build(recipe), recipe)["input_size"] == [1, 8, 8]
    resnet = ModelRecipe(jobs.RESNET["name"], "", 3, jobs.RESNET["kwargs"])
    found = preprocessing(build(resnet), resnet)
    assert (found["input_size"], len(found["mean"])) == ([3, 32, 32], 3)
    plain = ModelRecipe("resnet18")
    assert preprocessing(build(plain, meta=True), plain)["input_size"] == [3, 224, 224]


def test_building_draws_from_the_seed_alone_and_ends_in_evaluation_mode() -> None:
    recipe = ModelRecipe(jobs.RESNET["name"], "", 3, jobs.RESNET["kwargs"])
    names = []
    for _ in range(2):
        torch.manual_seed(4)
        model = build(recipe)
        assert not model.training
        names.append(digest(state_of(model)))
    assert names[0] == names[1]
