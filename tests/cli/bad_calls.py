"""Bad folders, bad certificates and bad calls: each function returns the command that must be refused."""

from __future__ import annotations

import json

import jobs
from desk import RESNET, VIT, Desk, bad

from certify.records.hashing import sha256_file, sha256_json


@bad(2, "--out")
def missing_out(desk: Desk) -> list[object]:
    return ["run", jobs.write_recipe(desk.folder / "recipe.toml", jobs.DIGITS), "--json"]


@bad(3, "out", "is not a folder")
def out_that_is_a_file(desk: Desk) -> list[object]:
    desk.out.write_text("mine")
    return desk.digits()


@bad(3, "file", "Not a directory")
def out_below_a_file(desk: Desk) -> list[object]:
    (desk.folder / "file").write_text("mine")
    return [desk.folder / "file" / "out" if part == desk.out else part for part in desk.digits()]


@bad(3, "is not empty", "choose another --out")
def foreign_folder(desk: Desk) -> list[object]:
    desk.out.mkdir()
    (desk.out / "thesis.txt").write_text("mine")
    return desk.digits()


@bad(3, "another recipe", "choose another --out")
def run_of_another_recipe(desk: Desk) -> list[object]:
    recipe = jobs.write_recipe(desk.folder / "other.toml", jobs.changed(jobs.DIGITS, seed=4))
    return ["run", recipe, "--out", desk.copied(), "--json"]


@bad(3, "splits overlap", "train and certification", tampers=True)
def overlapping_splits(desk: Desk) -> list[object]:
    """Written by somebody who also knows how to hash a split."""
    path = desk.copied() / "splits.json"
    value = json.loads(path.read_text())
    for key in ("indices", "samples"):
        value[key]["certification"][0] = value[key]["train"][0]
    value["digests"]["certification"] = sha256_json(value["samples"]["certification"])
    path.write_text(json.dumps(value))
    lines = [json.loads(line) for line in (path.parent / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        line.get("outputs", {}).update({"splits.json": sha256_file(path)} if "splits.json" in line.get("outputs", {}) else {})
    (path.parent / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ["recover", path.parent, "--json"]


@bad(3, "outcomes.parquet", "changed since", tampers=True)
def changed_output(desk: Desk) -> list[object]:
    path = desk.copied() / "plans" / "half" / "outcomes.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    return ["issue", path.parents[2], "--json"]


@bad(3, "nothing", "no recipe.toml", "certify run --out")
def verb_on_no_run(desk: Desk) -> list[object]:
    (desk.folder / "nothing").mkdir()
    return ["bound", desk.folder / "nothing", "--json"]


@bad(3, "nothing", "no recipe.toml")
def report_of_no_run(desk: Desk) -> list[object]:
    return ["report", desk.folder / "nothing", "--json"]


@bad(3, "certify-looks.jsonl", "earlier look", "splits.seed")
def second_look(desk: Desk) -> list[object]:
    """Another family of pairs on a certification split that was looked at."""
    run = desk.copied()
    recipe = jobs.write_recipe(desk.folder / "other.toml", jobs.changed(jobs.DIGITS, recovery={"epochs": 0}))
    return ["run", recipe, "--out", run.parent / "second", "--json"]


@bad(3, "certificate.json", "cannot be read")
def missing_certificate(desk: Desk) -> list[object]:
    return ["verify", desk.folder / "certificate.json", "--json"]


@bad(3, "certificate.json", "changed after issue", tampers=True)
def tampered_certificate(desk: Desk) -> list[object]:
    path = desk.certificate(desk.copied())
    path.write_text(path.read_text().replace('"looks": 1', '"looks": 0'))
    return ["verify", path, "--json"]


@bad(3, "certificate.json", "not a JSON record", tampers=True)
def certificate_of_text(desk: Desk) -> list[object]:
    path = desk.certificate(desk.copied())
    path.write_text("all is well")
    return ["verify", path, "--json"]


@bad(3, "model.safetensors", "changed after issue", tampers=True)
def flipped_bit_of_the_model(desk: Desk) -> list[object]:
    path = desk.certificate(desk.copied())
    model = bytearray((path.parent / "model.safetensors").read_bytes())
    model[-5] ^= 4
    (path.parent / "model.safetensors").write_bytes(bytes(model))
    return ["verify", path, "--json"]


@bad(1, "accuracy_drop<=0.0001@0.95", "not met")
def unmet_requirement(desk: Desk) -> list[object]:
    return ["verify", desk.certificate(desk.finished), "--require", "accuracy_drop<=0.0001@0.95", "--json"]


@bad(1, "disagreement<=0.9@0.999", "not met")
def confidence_not_reached(desk: Desk) -> list[object]:
    return ["verify", desk.certificate(desk.finished), "--require", "disagreement<=0.9@0.999", "--json"]


@bad(1, "accuracy_drop", "undecided")
def undecided_requirement(desk: Desk) -> list[object]:
    """A certificate that holds no such guarantee."""
    said = jobs.certify(*desk.digits(guarantees={"statements": ["disagreement"]}, plan=[{"name": "half", "sparsity": 0.5}]))
    assert said.code == 0, said.err
    return ["verify", desk.certificate(desk.out), "--require", "accuracy_drop<=0.5@0.9", "--json"]


@bad(1, "tuning split", "[training]")
def accuracy_not_reached(desk: Desk) -> list[object]:
    return desk.run(jobs.changed(jobs.DIGITS, training={"accuracy": 1.0}))


@bad(1, "cannot be decided", "splits.tuning")
def accuracy_without_tuning_samples(desk: Desk) -> list[object]:
    return desk.run(jobs.changed(jobs.DIGITS, training={"accuracy": 0.9}, splits={"tuning": 0}))


@bad(2, "'good enough'", "accuracy_drop<=0.01@0.99")
def requirement_in_prose(desk: Desk) -> list[object]:
    return ["verify", desk.certificate(desk.finished), "--require", "good enough", "--json"]


@bad(2, "'deep'", "files, replay")
def unknown_level(desk: Desk) -> list[object]:
    return ["verify", desk.certificate(desk.finished), "--level", "deep", "--json"]


@bad(2, "1.5", "(0, 1)")
def limit_above_one(desk: Desk) -> list[object]:
    return ["size", "disagreement", "1.5", "--json"]


@bad(2, "0.01", "0.02")
def limit_below_the_rate(desk: Desk) -> list[object]:
    return ["size", "disagreement", "0.01", "--rate", "0.02", "--json"]


@bad(2, "belong to disagreement_by_class")
def classes_of_a_whole_population(desk: Desk) -> list[object]:
    return ["size", "disagreement", "0.1", "--classes", "10", "--json"]


@bad(2, "shift", "accuracy_drop_betting")
def shift_of_a_drop(desk: Desk) -> list[object]:
    return ["size", "accuracy_drop_betting", "0.1", "--shift-kl", "0.1", "--json"]


@bad(2, "ce_increase", "resnet10t", "leave the statement out")
def loss_without_a_ceiling(desk: Desk) -> list[object]:
    images = jobs.write_images(desk.folder / "images", per_class=15)
    return desk.images(images, guarantees={"statements": ["disagreement", "ce_increase"]})


@bad(2, "guarantees.choose.procedure", "'luck'")
def choice_by_luck(desk: Desk) -> list[object]:
    return desk.digits(guarantees={"choose": {"level": 0.1, "procedure": "luck"}})


@bad(2, "'happiness'")
def unknown_statement(desk: Desk) -> list[object]:
    return ["size", "happiness", "0.1", "--json"]


@bad(2, "'limit'", "number")
def limit_of_letters(desk: Desk) -> list[object]:
    return ["size", "disagreement", "little", "--json"]


@bad(2, "purify")
def unknown_verb(desk: Desk) -> list[object]:
    return ["purify", desk.folder]


@bad(2, "--fast")
def unknown_option(desk: Desk) -> list[object]:
    return ["describe", "-m", "resnet18", "--fast"]


@bad(2, "'block*'")
def describe_unknown_glob(desk: Desk) -> list[object]:
    return ["describe", "-m", "resnet18", "--exclude", "block*", "--json"]


@bad(2, "'in_chans'", "key=value")
def kwargs_without_equals(desk: Desk) -> list[object]:
    return ["describe", "-m", "resnet18", "--model-kwargs", "in_chans", "--json"]


@bad(3, "resnet.safetensors", "does not fit the model")
def compare_two_architectures(desk: Desk) -> list[object]:
    other = jobs.write_checkpoint(desk.folder / "resnet.safetensors", RESNET)
    kwargs = [part for key, value in VIT["kwargs"].items() for part in ("--model-kwargs", f"{key}={jobs.toml(value)}")]
    pair = [desk.finished / "reference.safetensors", other]
    return [
        "compare",
        *pair,
        "-m",
        VIT["name"],
        "--num-classes",
        10,
        *kwargs,
        "--data-dir",
        "digits",
        "--out",
        desk.out,
        "--json",
    ]
