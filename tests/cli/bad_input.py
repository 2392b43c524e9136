"""Bad checkpoints, bad images and bad recipes: each function returns the command that must be refused."""

from __future__ import annotations

import pickle

import jobs
import numpy as np
import torch
from desk import RESNET, VIT, Desk, bad


class Foreign:
    """A class no checkpoint should ask for."""


@bad(3, "cut.safetensors", "truncated")
def truncated_safetensors(desk: Desk) -> list[object]:
    return desk.checkpoint("cut.safetensors", (desk.finished / "reference.safetensors").read_bytes()[:-100])


@bad(3, "photo.safetensors", "not a safetensors file")
def foreign_file_as_safetensors(desk: Desk) -> list[object]:
    return desk.checkpoint("photo.safetensors", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


@bad(3, "empty.safetensors")
def empty_safetensors(desk: Desk) -> list[object]:
    return desk.checkpoint("empty.safetensors", b"")


@bad(3, "cut.pth", "not a whole .pth file")
def truncated_pth(desk: Desk) -> list[object]:
    torch.save({"weight": torch.zeros(100)}, desk.folder / "whole.pth")
    return desk.checkpoint("cut.pth", (desk.folder / "whole.pth").read_bytes()[:-200])


@bad(3, "foreign.pth", "not executed", "Foreign")
def pickle_of_a_foreign_class(desk: Desk) -> list[object]:
    torch.save({"state_dict": Foreign()}, desk.folder / "foreign.pth")
    return desk.digits(model={"checkpoint": str(desk.folder / "foreign.pth")})


@bad(3, "plain.pth")
def plain_pickle(desk: Desk) -> list[object]:
    return desk.checkpoint("plain.pth", pickle.dumps({"weight": [1.0, 2.0]}))


@bad(3, "numbers.pth", "no table of tensors")
def pickle_without_tensors(desk: Desk) -> list[object]:
    torch.save({"epoch": 3, "best": 0.9}, desk.folder / "numbers.pth")
    return desk.digits(model={"checkpoint": str(desk.folder / "numbers.pth")})


@bad(3, "weights.bin", ".safetensors or .pth")
def unknown_suffix(desk: Desk) -> list[object]:
    return desk.checkpoint("weights.bin", b"0")


@bad(3, "gone.safetensors", "cannot be read")
def missing_checkpoint(desk: Desk) -> list[object]:
    return desk.digits(model={"checkpoint": str(desk.folder / "gone.safetensors")})


@bad(3, "nan.safetensors", "head.bias", "10 NaN")
def nan_weights(desk: Desk) -> list[object]:
    path = jobs.write_checkpoint(desk.folder / "nan.safetensors", VIT, head__bias=np.full(10, np.nan, np.float32))
    return desk.digits(model={"checkpoint": str(path)})


@bad(3, "resnet.safetensors", "does not fit the model", "missing", "unexpected")
def another_architecture(desk: Desk) -> list[object]:
    return desk.digits(model={"checkpoint": str(jobs.write_checkpoint(desk.folder / "resnet.safetensors", RESNET))})


@bad(3, "wide.safetensors", "(10, 32)", "(10, 16)")
def another_width(desk: Desk) -> list[object]:
    wide = jobs.changed(VIT, kwargs={"embed_dim": 32})
    return desk.digits(model={"checkpoint": str(jobs.write_checkpoint(desk.folder / "wide.safetensors", wide))})


@bad(3, "eleven.safetensors", "num_classes")
def checkpoint_of_other_classes(desk: Desk) -> list[object]:
    eleven = VIT | {"num_classes": 11}
    return desk.digits(model={"checkpoint": str(jobs.write_checkpoint(desk.folder / "eleven.safetensors", eleven))})


@bad(3, "2 classes", "3 outputs")
def wrong_number_of_classes(desk: Desk) -> list[object]:
    return desk.images(jobs.write_images(desk.folder / "images", per_class=3, classes=("a", "b")))


@bad(3, "one class")
def one_class(desk: Desk) -> list[object]:
    return desk.images(jobs.write_images(desk.folder / "images", per_class=3, classes=("only",)))


@bad(3, "images", "no images found")
def empty_image_folder(desk: Desk) -> list[object]:
    (desk.folder / "images").mkdir()
    return desk.images(desk.folder / "images")


@bad(3, "images", "no such folder")
def missing_image_folder(desk: Desk) -> list[object]:
    return desk.images(desk.folder / "images")


@bad(3, "broken.png", "not a readable image")
def unreadable_image(desk: Desk) -> list[object]:
    images = jobs.write_images(desk.folder / "images", per_class=3)
    (images / "rows" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return desk.images(images)


@bad(3, "certification 5000", "1797")
def more_samples_than_there_are(desk: Desk) -> list[object]:
    return desk.digits(splits={"certification": 5000})


@bad(3, "calibration split is empty")
def no_calibration_samples(desk: Desk) -> list[object]:
    return desk.digits(splits={"calibration": 0})


@bad(3, "no training samples", "splits.train")
def no_training_samples(desk: Desk) -> list[object]:
    return desk.digits(splits={"train": 0})


@bad(2, "splits.train = nan")
def samples_without_a_number(desk: Desk) -> list[object]:
    command = desk.digits()
    recipe = desk.folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"train" = 200', '"train" = nan'))
    return command


@bad(3, "19 samples", "too few", "at least 20")
def too_few_certification_samples(desk: Desk) -> list[object]:
    return desk.digits(splits={"certification": 19})


@bad(3, "(1, 16, 16)", "(1, 8, 8)")
def digits_for_a_large_model(desk: Desk) -> list[object]:
    return desk.digits(model={"kwargs": VIT["kwargs"] | {"img_size": 16}})


@bad(3, "vit_nobody_patch16_224", "not known to timm")
def unknown_model(desk: Desk) -> list[object]:
    return desk.digits(model={"name": "vit_nobody_patch16_224"})


@bad(3, "wheels")
def impossible_kwargs(desk: Desk) -> list[object]:
    return desk.digits(model={"kwargs": VIT["kwargs"] | {"wheels": 4}})


@bad(2, "plan half", "sparsity = 1.2", "[0, 1)")
def sparsity_above_one(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "sparsity": 1.2}])


@bad(2, "pattern 5:4", "K must be smaller than N")
def pattern_five_of_four(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "pattern": "5:4"}])


@bad(2, "'two of four'", "K:N")
def pattern_that_is_none(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "pattern": "two of four"}])


@bad(2, "plan half", "pattern 2:7", "no target")
def pattern_that_divides_nothing(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "pattern": "2:7"}])


@bad(2, "'layers.*'", "certify describe")
def unknown_layer_glob(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "sparsity": 0.5, "include": ["blocks.*", "layers.*"]}])


@bad(2, "'dowsing'", "magnitude")
def unknown_method(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "sparsity": 0.5, "method": "dowsing"}])


@bad(2, "two plans", "same name")
def two_plans_of_one_name(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "half", "sparsity": 0.5}, {"name": "half", "sparsity": 0.6}])


@bad(2, "'../half'")
def plan_that_leaves_the_folder(desk: Desk) -> list[object]:
    return desk.digits(plan=[{"name": "../half", "sparsity": 0.5}])


@bad(2, "not both")
def plan_and_shipped(desk: Desk) -> list[object]:
    return desk.digits(shipped="other.safetensors")


@bad(2, "recipe.toml", "unknown key recovery.epoch", "epochs")
def unknown_recipe_key(desk: Desk) -> list[object]:
    return desk.digits(recovery={"epoch": 3})


@bad(2, "recipe.toml", "threads = 'two'", "int")
def wrong_type_in_the_recipe(desk: Desk) -> list[object]:
    return desk.digits(threads="two")


@bad(2, "recipe.toml", "bounds", "must be a table")
def number_for_a_table(desk: Desk) -> list[object]:
    return desk.digits(bounds=3)


@bad(2, "guarantees.delta = 0.0", "(0, 1)")
def delta_of_zero(desk: Desk) -> list[object]:
    return desk.digits(guarantees={"delta": 0.0})


@bad(2, "recipe: accuracy_drop needs labels")
def accuracy_drop_without_labels(desk: Desk) -> list[object]:
    return desk.digits(data={"labels": "none"})


@bad(2, "recipe.toml", "not TOML", "line 1")
def broken_toml(desk: Desk) -> list[object]:
    (desk.folder / "recipe.toml").write_text("[model\nname = 3")
    return ["run", desk.folder / "recipe.toml", "--out", desk.out, "--json"]


@bad(2, "recipe.toml", "not a text file")
def recipe_of_bytes(desk: Desk) -> list[object]:
    (desk.folder / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    return ["run", desk.folder / "recipe.toml", "--out", desk.out, "--json"]


@bad(3, "gone.toml", "cannot be read")
def missing_recipe(desk: Desk) -> list[object]:
    return ["run", desk.folder / "gone.toml", "--out", desk.out, "--json"]
