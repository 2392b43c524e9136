"""Forgers who rehash everything: each lie is refused by the check that is about it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from verifier_run import TARGETS, Forge, limit

from certify.records import Edge, Ladder, Outcomes, Plan, Recipe, Refused
from certify.records.files import read_json, read_tensors, write_json, write_tensors
from certify.records.hashing import sha256_json
from certify.verifier import verify
from certify.verifier.files import check_groups

QKV = f"{TARGETS[0]}.weight"
MODEL = "plans/half/model.safetensors"


def flipped_limit(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].update(limit=entries[0]["limit"] * 0.99))


def limit_off_by_little(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[1].update(limit=entries[1]["limit"] - 1e-8))


def limit_only_in_certificate(forge: Forge) -> None:
    forge.reissue(lambda value: value["guarantees"][0].update(limit=0.5))


def wrong_counts(forge: Forge) -> None:
    """Counts, estimate, limit and sentence agree with each other, but not with the logits."""

    def change(entries: list[dict]) -> None:
        one = entries[0]
        one["counts"]["disagreements"] -= 1
        one["estimate"] = one["counts"]["disagreements"] / one["counts"]["samples"]
        one["limit"] = limit("disagreement", one["counts"], one["share"])
        one["sentence"] = f"at most {100 * one['limit']:.3g} %"

    forge.guarantees(change)


def estimate_changed(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].update(estimate=0.0))


def sentence_changed(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].update(sentence="at most 1.23 % of images"))


def arithmetic_changed(forge: Forge) -> None:
    forge.guarantees(lambda entries: entries[0].update(arithmetic={"numbers": "float64"}))


def share_changed(forge: Forge) -> None:
    """A larger share gives a smaller limit; the family does not grant it."""

    def change(entries: list[dict]) -> None:
        one = entries[0]
        one["share"] = 0.04
        one["limit"] = limit("disagreement", one["counts"], one["share"])
        one["sentence"] = f"at most {100 * one['limit']:.3g} %"

    forge.guarantees(change)


def family_overspent(forge: Forge) -> None:
    share_changed(forge)
    forge.reissue(lambda value: value["about"]["family"]["statements"][0].update(share=0.04))


def family_shrunk(forge: Forge) -> None:
    """One statement alone with all of delta, though the recipe asks for two."""

    def change(entries: list[dict]) -> None:
        del entries[1:]
        one = entries[0]
        one.update(share=0.05, family=1, limit=limit("disagreement", one["counts"], 0.05))
        one["sentence"] = f"at most {100 * one['limit']:.3g} %"

    forge.guarantees(change)
    forge.reissue(
        lambda value: value["about"]["family"].update(statements=[{"plan": "half", "statement": "disagreement", "share": 0.05}])
    )


def delta_of_family(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["family"].update(delta=0.5))


def looks_changed(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"].update(looks=2))


def overlapping_splits(forge: Forge) -> None:
    value = read_json(forge.folder / "splits.json")
    for table in ("indices", "samples"):
        value[table]["tuning"][0] = value[table]["certification"][0]
    value["digests"]["tuning"] = sha256_json(value["samples"]["tuning"])
    write_json(forge.folder / "splits.json", value)
    forge.reissue(lambda entry: entry["about"]["splits"]["tuning"].update(digest=value["digests"]["tuning"]))


def one_picture_in_two_splits(forge: Forge) -> None:
    value = read_json(forge.folder / "splits.json")
    value["samples"]["tuning"][0] = value["samples"]["certification"][0]
    value["digests"]["tuning"] = sha256_json(value["samples"]["tuning"])
    write_json(forge.folder / "splits.json", value)
    forge.reissue(lambda entry: entry["about"]["splits"]["tuning"].update(digest=value["digests"]["tuning"]))


def split_digest(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["splits"]["train"].update(digest="0" * 64))


def groups_changed(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"].update(groups="writers known"))


def nan_weight(forge: Forge) -> None:
    forge.tensors(MODEL, lambda tensors: tensors["head.bias"].__setitem__(0, np.nan))


def infinite_reference(forge: Forge) -> None:
    forge.tensors("reference.safetensors", lambda tensors: tensors["head.bias"].__setitem__(0, np.inf))


def another_model(forge: Forge) -> None:
    tensors = read_tensors(forge.folder / MODEL)
    write_tensors(forge.folder / MODEL, tensors | {"head.bias": tensors["head.bias"] + 1})
    forge.reissue()


def other_architecture(forge: Forge) -> None:
    forge.tensors(MODEL, lambda tensors: tensors.update({"extra.weight": np.zeros(2, np.float32)}))


def removed_weight_is_back(forge: Forge) -> None:
    kept = Plan.load(forge.plan).edits[0].kept
    forge.tensors(MODEL, lambda tensors: tensors[QKV].__setitem__(tuple(np.argwhere(~kept)[3]), 0.25))


def mask_without_pattern(forge: Forge) -> None:
    """A third entry of one group is kept; counts are made to agree."""
    masks = read_tensors(forge.plan / "plan.safetensors")
    key = f"{TARGETS[0]}.kept"
    bits = np.unpackbits(masks[key])
    bits[np.flatnonzero(bits == 0)[0]] = 1
    write_tensors(forge.plan / "plan.safetensors", masks | {key: np.packbits(bits)})
    about = read_json(forge.plan / "plan.json")
    about["removed"] -= 1
    about["edits"][0]["removed"] -= 1
    write_json(forge.plan / "plan.json", about)
    forge.reissue(lambda value: value["about"]["plan"].update(removed=about["removed"]))


def plan_counts(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["plan"].update(removed=value["about"]["plan"]["removed"] + 1))


def other_mask(forge: Forge) -> None:
    """Another 2:4 mask: the masked ladder was not made for it."""
    (forge.folder / MODEL).unlink()
    masks = read_tensors(forge.plan / "plan.safetensors")
    key = f"{TARGETS[0]}.kept"
    kept = Plan.load(forge.plan).edits[0].kept.copy()
    kept[0] = np.roll(kept[0], 4)
    write_tensors(forge.plan / "plan.safetensors", masks | {key: np.packbits(kept)})
    forge.reissue()


def plan_of_another_reference(forge: Forge) -> None:
    about = read_json(forge.plan / "plan.json")
    write_json(forge.plan / "plan.json", about | {"reference": "1" * 64})
    forge.reissue()


def bad_pattern(forge: Forge) -> None:
    about = read_json(forge.plan / "plan.json")
    write_json(forge.plan / "plan.json", about | {"pattern": "4:2"})
    forge.reissue()


def edge_violated(forge: Forge) -> None:
    forge.rung("path_variation", lambda upper: upper * 0.5)


def edge_violated_and_disowned(forge: Forge) -> None:
    def change(ladder: Ladder) -> Ladder:
        edges = [dataclasses.replace(edge, asserted=False) for edge in ladder.edges]
        bounds = [
            dataclasses.replace(bound, upper=bound.upper * 0.5) if bound.quantity == "path_variation" else bound
            for bound in ladder.bounds
        ]
        return dataclasses.replace(ladder, edges=tuple(edges), bounds=tuple(bounds))

    forge.ladder(change)


def edge_invented(forge: Forge) -> None:
    forge.ladder(lambda ladder: dataclasses.replace(ladder, edges=(*ladder.edges, Edge("path_variation", "logit_change", "X8"))))


def ladder_of_another_pair(forge: Forge) -> None:
    def change(ladder: Ladder) -> Ladder:
        return dataclasses.replace(ladder, pair=dataclasses.replace(ladder.pair, shipped="2" * 64))

    forge.ladder(change)


def ladder_of_another_split(forge: Forge) -> None:
    certification = read_json(forge.folder / "splits.json")["digests"]["certification"]
    forge.ladder(lambda ladder: dataclasses.replace(ladder, split=certification))


def ladder_of_other_samples(forge: Forge) -> None:
    forge.ladder(lambda ladder: dataclasses.replace(ladder, samples=("0" * 64, *ladder.samples[1:])))


def masked_ladder_of_another_pair(forge: Forge) -> None:
    def change(ladder: Ladder) -> Ladder:
        return dataclasses.replace(ladder, pair=dataclasses.replace(ladder.pair, shipped="2" * 64))

    forge.ladder(change, "masked.ladder.parquet")


def nan_in_ladder_file(forge: Forge) -> None:
    path = forge.plan / "ladder.parquet"
    table = pq.read_table(path)
    column = table.column("ce_sharp.upper").to_pylist()
    index = table.schema.get_field_index("ce_sharp.upper")
    pq.write_table(table.set_column(index, "ce_sharp.upper", pa.array([float("nan"), *column[1:]])), path)
    forge.reissue()


def nan_in_ladder_account(forge: Forge) -> None:
    path = forge.plan / "masked.ladder.parquet"
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"certify"])
    about["objective"]["reward"] = float("nan")
    pq.write_table(table.replace_schema_metadata({"certify": json.dumps(about)}), path)
    forge.reissue()


def overflowing_json(forge: Forge) -> None:
    (forge.folder / "env.json").write_text('{"threads": 1e999}')
    forge.reissue()


def account_flattered(forge: Forge) -> None:
    def change(ladder: Ladder) -> Ladder:
        told = dict(ladder.objective)
        return dataclasses.replace(ladder, objective=told | {"budget": told["budget"] / 2})

    forge.ladder(change, "masked.ladder.parquet")
    told = dict(Ladder.load(forge.plan / "masked.ladder.parquet").objective)
    forge.reissue(lambda value: value["about"]["ladders"]["masked.ladder"].update(objective=told))


def account_decided_wrongly(forge: Forge) -> None:
    def change(ladder: Ladder) -> Ladder:
        return dataclasses.replace(ladder, objective=dict(ladder.objective) | {"holds": not ladder.objective["holds"]})

    forge.ladder(change, "masked.ladder.parquet")
    told = dict(Ladder.load(forge.plan / "masked.ladder.parquet").objective)
    forge.reissue(lambda value: value["about"]["ladders"]["masked.ladder"].update(objective=told))


def layer_row_flattered(forge: Forge) -> None:
    """More weight removed than was there; the reward follows."""

    def change(ladder: Ladder) -> Ladder:
        rows = [dict(row) for row in ladder.layers]
        rows[0]["frobenius_squared"] *= 3
        reward = ladder.objective["l2"] * sum(row["frobenius_squared"] for row in rows)
        told = dict(ladder.objective) | {"reward": reward, "holds": ladder.objective["budget"] < reward}
        return dataclasses.replace(ladder, layers=tuple(rows), objective=told)

    forge.ladder(change, "masked.ladder.parquet")
    told = dict(Ladder.load(forge.plan / "masked.ladder.parquet").objective)
    forge.reissue(lambda value: value["about"]["ladders"]["masked.ladder"].update(objective=told))


def summary_flattered(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["ladders"]["ladder"]["rungs"]["ce_sharp"].update(largest=0.01))


def claim_left_out(forge: Forge) -> None:
    forge.reissue(lambda value: value.update(claims=["L5.1-ce-path"]))


def outcomes_of_fewer_samples(forge: Forge) -> None:
    def change(found: Outcomes) -> Outcomes:
        keep = np.flatnonzero(found.reference.argmax(axis=1) == found.shipped.argmax(axis=1))
        labels = None if found.labels is None else found.labels[keep]
        samples = tuple(found.samples[index] for index in keep)
        return dataclasses.replace(
            found, samples=samples, labels=labels, reference=found.reference[keep], shipped=found.shipped[keep]
        )

    forge.outcomes(change)


def predictions_beside_logits(forge: Forge) -> None:
    path = forge.plan / "outcomes.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("shipped_prediction")
    pq.write_table(table.set_column(index, "shipped_prediction", table.column("reference_prediction")), path)
    forge.reissue()


def another_recipe(forge: Forge) -> None:
    path = forge.folder / "recipe.toml"
    path.write_text(path.read_text().replace("seed = 0", "seed = 1", 1))
    forge.reissue()


def broken_recipe(forge: Forge) -> None:
    path = forge.folder / "recipe.toml"
    path.write_text(path.read_text() + "\nnonsense = 1\n")
    forge.reissue()


def unnamed_file(forge: Forge) -> None:
    forge.reissue(lambda value: value["files"].pop("plans/half/outcomes.parquet"))


def file_outside(forge: Forge) -> None:
    forge.reissue(lambda value: value["files"].update({"../secret": "0" * 64}))


def absolute_file(forge: Forge) -> None:
    forge.reissue(lambda value: value["files"].update({"/etc/hostname": "0" * 64}))


def hash_of_wrong_form(forge: Forge) -> None:
    forge.reissue(lambda value: value["files"].update({"journal.jsonl": 7}))


def files_as_list(forge: Forge) -> None:
    value = read_json(forge.certificate)
    value.pop("content_hash")
    value["files"] = list(value["files"])
    write_json(forge.certificate, value | {"content_hash": sha256_json(value)})


def about_without_family(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"].pop("family"))


def about_without_plan(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"].update(plan=None))


def about_of_another_shape(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"]["family"].update(statements=[3]))


def unknown_kind(forge: Forge) -> None:
    text = forge.certificate.read_text().replace('"kind": "recovered"', '"kind": "blessed"')
    forge.certificate.write_text(text)
    forge.reissue()


def other_schema(forge: Forge) -> None:
    forge.reissue(lambda value: value.update(schema=3))


def reference_described_wrongly(forge: Forge) -> None:
    path = forge.folder / "reference.json"
    write_json(path, read_json(path) | {"architecture": "resnet18"})
    forge.reissue()


AT_FILES: dict[Callable[[Forge], None], str] = {
    flipped_limit: r"guarantee disagreement: states the limit .*, the counts give",
    limit_off_by_little: r"guarantee accuracy_drop: states the limit",
    limit_only_in_certificate: r"states the limit 0.5, the counts give",
    wrong_counts: r"guarantee disagreement: states \d+ disagreements, the logits give \d+",
    estimate_changed: r"states the estimate 0.0, the counts give",
    sentence_changed: r"its sentence does not hold the limit",
    arithmetic_changed: r"its arithmetic .* is not its outcomes'",
    share_changed: r"spends 0.04, the family gives it 0.025",
    family_overspent: r"shares sum to 0.065, more than delta = 0.05",
    family_shrunk: r"leaves out accuracy_drop of plan half",
    delta_of_family: r"states delta = 0.5, the recipe 0.05",
    looks_changed: r"guarantee.json: its looks are not those",
    overlapping_splits: r"splits overlap: sample \d+ serves",
    one_picture_in_two_splits: r"splits overlap",
    split_digest: r"splits.json: train is",
    groups_changed: r"groups are 'writers unknown', the certificate states 'writers known'",
    nan_weight: r"head.bias holds 1 NaN or infinite numbers",
    infinite_reference: r"reference.safetensors: head.bias holds 1 NaN",
    another_model: r"model.safetensors: is network \w+, the pair of the certificate says",
    other_architecture: r"extra.weight has shape \(2,\), in the reference None",
    removed_weight_is_back: r"1 removed entries are not 0 in model.safetensors; row \d+, column \d+ holds 0.25",
    mask_without_pattern: r"group 0 of row 0 keeps 3 of 4; pattern 2:4 allows 2",
    plan_counts: r"plan.json: removed is 896, the certificate states 897",
    other_mask: r"the reference without the plan's entries is",
    plan_of_another_reference: r"is plan half for network 1111",
    bad_pattern: r"refers to a record that is not valid: pattern 4:2",
    edge_violated: r"edge logit_change <= path_variation fails on \d+ of 24 samples",
    edge_violated_and_disowned: r"edge logit_change <= path_variation fails on \d+ of 24 samples",
    edge_invented: r"edge path_variation <= logit_change fails",
    ladder_of_another_pair: r"ladder.parquet: its pair is not that of the certificate",
    ladder_of_another_split: r"ladder.parquet: of split",
    ladder_of_other_samples: r"1 of its 24 samples are not in the calibration split",
    masked_ladder_of_another_pair: r"masked.ladder.parquet: speaks of network 2222|ladder: states pair",
    nan_in_ladder_file: r"bound ce_sharp: upper: 1 of 24 numbers are NaN",
    nan_in_ladder_account: r"the number NaN is not allowed",
    overflowing_json: r"not finite",
    account_flattered: r"objective states budget",
    account_decided_wrongly: r"objective states holds",
    layer_row_flattered: r"states frobenius_squared = .*, the removed weights give",
    summary_flattered: r"ladder, rung ce_sharp: states largest = 0.01, the ladder gives",
    claim_left_out: r"its claims leave out",
    outcomes_of_fewer_samples: r"samples are not the certification split, sample by sample",
    predictions_beside_logits: r"predictions do not follow from the logits",
    another_recipe: r"recipe.toml: hashes to",
    broken_recipe: r"refers to a record that is not valid: .*unknown key",
    unnamed_file: r"does not name plans/half/outcomes.parquet",
    file_outside: r"'../secret' does not name a file inside the run folder",
    absolute_file: r"'/etc/hostname' does not name a file inside",
    hash_of_wrong_form: r"journal.jsonl has 7 where a SHA-256 is expected",
    files_as_list: r"files is of type list",
    about_without_family: r"about.family is None",
    about_without_plan: r"a pair of kind 'recovered' and a plan None do not go together",
    about_of_another_shape: r"cannot be read \(TypeError",
    unknown_kind: r"another pair|kind 'blessed'",
    other_schema: r"schema 3 is not known here",
    reference_described_wrongly: r"reference.json: architecture is 'resnet18'",
}


@pytest.mark.parametrize("tamper", AT_FILES, ids=lambda tamper: tamper.__name__)
def test_refused_at_files(forge: Forge, tamper: Callable[[Forge], None]):
    tamper(forge)
    with pytest.raises(Refused, match=AT_FILES[tamper]) as refusal:
        verify(forge.certificate)
    assert "\n" not in str(refusal.value)


def flattering_logits(forge: Forge) -> None:
    """The shipped network is said to agree everywhere; all arithmetic follows."""
    forge.outcomes(lambda found: dataclasses.replace(found, shipped=found.reference))


def slightly_other_logits(forge: Forge) -> None:
    forge.outcomes(lambda found: dataclasses.replace(found, shipped=found.shipped * (1 + 3e-4)))


def other_labels(forge: Forge) -> None:
    forge.outcomes(lambda found: dataclasses.replace(found, labels=found.shipped.argmax(axis=1)))


def other_preprocessing(forge: Forge) -> None:
    path = forge.folder / "reference.json"
    write_json(path, read_json(path) | {"preprocessing": read_json(path)["preprocessing"] | {"mean": [0.4]}})
    forge.reissue()


def other_data(forge: Forge) -> None:
    """A calibration sample the data do not hold."""
    path = forge.folder / "splits.json"
    value = read_json(path)
    value["samples"]["tuning"][0] = "3" * 64
    value["digests"]["tuning"] = sha256_json(value["samples"]["tuning"])
    write_json(path, value)
    forge.reissue(lambda entry: entry["about"]["splits"]["tuning"].update(digest=value["digests"]["tuning"]))


def other_dataset(forge: Forge) -> None:
    path = forge.folder / "splits.json"
    write_json(path, read_json(path) | {"dataset": "4" * 64})
    forge.reissue()


def without_summaries(forge: Forge) -> None:
    forge.reissue(lambda value: value["about"].pop("ladders"))


def scaled(quantity: str, factor: float, file: str = "ladder.parquet") -> Callable[[Forge], None]:
    def tamper(forge: Forge) -> None:
        without_summaries(forge)
        forge.rung(quantity, lambda upper: upper * factor, file)

    tamper.__name__ = f"{quantity} times {factor} in {file}"
    return tamper


def switched(quantity: str) -> Callable[[Forge], None]:
    def tamper(forge: Forge) -> None:
        without_summaries(forge)
        forge.rung(quantity, lambda upper: np.ones_like(upper))

    tamper.__name__ = f"{quantity} everywhere"
    return tamper


def without_rung(forge: Forge) -> None:
    without_summaries(forge)
    forge.ladder(
        lambda ladder: dataclasses.replace(
            ladder, bounds=tuple(bound for bound in ladder.bounds if bound.quantity != "ce_change"), edges=()
        )
    )


AT_REPLAY: dict[Callable[[Forge], None], str] = {
    flattering_logits: r"shipped prediction differs on \d+ of 200 samples",
    slightly_other_logits: r"outcomes: shipped logit \d of sample \d+ is .*, the network gives",
    other_labels: r"labels are not those of the data",
    other_preprocessing: r"outcomes: reference (prediction|logit)",
    other_data: r"digits: sample \d+ \(tuning\) has content \w+, the splits state 3333",
    other_dataset: r"digits: its samples hash to",
    scaled("logit_change", 0.9): r"ladder: logit_change is not reproduced",
    scaled("ce_change", 0.9): r"ladder: ce_change is not reproduced",
    scaled("path_variation", 1.2): r"ladder: (ce_sharp|path_variation) is not reproduced",
    scaled("ce_sharp", 0.99): r"ladder: ce_sharp is not reproduced",
    scaled("ce_published", 1.01): r"ladder: ce_published is not reproduced",
    scaled("logit_change", 0.9, "masked.ladder.parquet"): r"masked ladder: logit_change is not reproduced",
    switched("may_lose_signed"): r"ladder: may_lose_signed is not reproduced",
    without_rung: r"no bound named ce_change",
}


@pytest.mark.parametrize("tamper", AT_REPLAY, ids=lambda tamper: tamper.__name__)
def test_refused_at_replay(forge: Forge, tamper: Callable[[Forge], None]):
    tamper(forge)
    verify(forge.certificate)
    with pytest.raises(Refused, match=AT_REPLAY[tamper]):
        verify(forge.certificate, level="replay")


def test_path_variation_must_be_the_path_and_not_its_end(forge: Forge):
    """Understated to the end points' distance, every edge still holds; the path itself is longer."""
    without_summaries(forge)
    change = Ladder.load(forge.plan / "ladder.parquet")["logit_change"].upper

    def shortened(ladder: Ladder) -> Ladder:
        kept = [bound for bound in ladder.bounds if bound.quantity not in ("ce_sharp", "ce_published", "may_lose_signed")]
        bounds = [
            dataclasses.replace(bound, upper=change, tolerance=np.zeros(24)) if bound.quantity == "path_variation" else bound
            for bound in kept
        ]
        return dataclasses.replace(ladder, bounds=tuple(bounds), edges=ladder.edges[:1])

    forge.ladder(shortened)
    verify(forge.certificate)
    with pytest.raises(Refused, match="path_variation is not reproduced"):
        verify(forge.certificate, level="replay")


def test_groups_are_counted_one_by_one():
    kept = np.zeros((2, 8), dtype=bool)
    kept[1, 4:7] = True
    with pytest.raises(Refused, match="layer: group 1 of row 1 keeps 3 of 4; pattern 2:4 allows 2"):
        check_groups("layer", kept, "2:4")
    check_groups("layer", kept, "3:4")
    check_groups("layer", kept, None)
    with pytest.raises(Refused, match="8 inputs do not divide into groups of 3"):
        check_groups("layer", kept, "2:3")


def test_a_model_that_does_not_take_the_images(forge: Forge):
    """The recipe and its hash say larger images; the checkpoint no longer fits, in one sentence."""
    path = forge.folder / "recipe.toml"
    text = path.read_text()
    path.write_text(text.replace('"img_size" = 8', '"img_size" = 16'))
    assert path.read_text() != text
    forge.reissue(lambda value: value["about"].update(recipe=Recipe.load(path).digest))
    verify(forge.certificate)
    with pytest.raises(Refused, match="does not fit the model of the recipe") as refusal:
        verify(forge.certificate, level="replay")
    assert "\n" not in str(refusal.value)
