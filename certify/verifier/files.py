"""Level `files`: hashes, splits, checkpoints, plan, patterns and ladders of one certificate, without data or torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from certify.records import (
    PURPOSES,
    Certificate,
    Check,
    Edit,
    Ladder,
    Outcomes,
    Plan,
    Recipe,
    Refused,
    Splits,
    load_spectra,
    parse_pattern,
)
from certify.records.files import checkpoint_digest, read_bytes, read_json
from certify.records.hashing import canonical_json, sha256_file
from certify.records.networks import DIGEST
from certify.records.recipe import RUNS
from certify.verifier import guarantees as arithmetic
from certify.verifier import tensors
from certify.verifier.ladders import check_ladders
from certify.verifier.tensors import Checkpoint

REFERENCE = "reference.safetensors"
RUN_FILES = ("recipe.toml", "splits.json", "reference.json", REFERENCE)
PLAN_FILES = ("outcomes.parquet", "guarantee.json")
# By how the shipped network runs: its file, and the ladder where a segment of weights leads to the reference.
TORCH_FILES, GRAPH_FILES = ("model.safetensors", "ladder.parquet"), ("model.onnx",)
# Not needed for any check: the weights once more, as evidence. It may stay behind with the checkpoints.
EVIDENCE = "evidence.safetensors"
PRUNED_FILES = ("plan.safetensors", "plan.json", "masked.ladder.parquet")
KINDS = ("masked", "recovered", "given")


@dataclass(frozen=True)
class Reread:
    """Everything a certificate refers to, read and found consistent."""

    folder: Path
    name: str
    certificate: Certificate
    recipe: Recipe
    splits: Splits
    description: Mapping[str, Any]
    outcomes: Outcomes
    ladder: Ladder | None
    masked: Ladder | None
    plan: Plan | None
    reference: Checkpoint | None
    shipped: Checkpoint | None
    checks: tuple[Check, ...]


def reread(path: Path) -> Reread:
    """Read a certificate and every file it names; refuse the first thing that does not fit."""
    path = Path(os.path.abspath(path))
    certificate = _certificate(path)
    folder, name = path.parents[2], path.parent.name
    if path.parent.parent.name != "plans" or path.name != "certificate.json" or certificate.about["name"] != name:
        raise Refused(f"{path}: expected at plans/{certificate.about['name']}/certificate.json of its run folder")
    checks = [
        Check("certificate", True, f"content hashes to {certificate.content_hash}"),
        *_hashes(folder, name, certificate),
    ]
    recipe = Recipe.load(folder / "recipe.toml")
    stated = certificate.about["recipe"]
    digest = recipe.digest_as_written((folder / "recipe.toml").read_text(encoding="utf-8"))
    if digest != stated:
        raise Refused(f"recipe.toml: hashes to {digest[:12]}, the certificate states {stated[:12]}")
    if certificate.about.get("runs", RUNS[0]) != recipe.runs:
        raise Refused(f"recipe.toml: its network runs as {recipe.runs}, the certificate states {certificate.about.get('runs')}")
    if certificate.about.get("merge", []) != list(recipe.merge):
        raise Refused(f"recipe.toml: merges {list(recipe.merge)} tokens, the certificate states {certificate.about.get('merge')}")
    _side_records(folder, certificate)
    splits = _splits(folder / "splits.json", certificate)
    sizes = ", ".join(f"{len(splits.samples[purpose])} {purpose}" for purpose in PURPOSES)
    checks.append(Check("splits", True, f"disjoint: {sizes}"))
    description = _description(folder, certificate)
    reference = _network(folder, REFERENCE, certificate.pair.reference, checks)
    graph = recipe.runs == "onnxruntime"
    if graph:
        shipped = _graph(folder / "plans" / name / "model.onnx", certificate.pair.shipped, checks)
    else:
        shipped = _network(folder, f"plans/{name}/model.safetensors", certificate.pair.shipped, checks)
    if reference is not None and shipped is not None:
        _one_architecture(reference, shipped)
    plan = _plan(folder, name, certificate, shipped, checks)
    outcomes = _outcomes(folder / "plans" / name / "outcomes.parquet", certificate, splits)
    _arithmetic(outcomes, recipe)
    checks.append(Check("outcomes", True, f"the whole certification split, {outcomes.size} samples"))
    ladder, masked = None, None
    if graph:
        if certificate.about["ladders"]:
            raise Refused("certificate: states a ladder of an ONNX graph, which has no segment of weights to the reference")
        checks.append(Check("ladder", False, "an ONNX graph has no segment of weights to the reference, so there is none"))
    else:
        ladder, masked = check_ladders(folder / "plans" / name, certificate, splits, plan, reference, checks)
    return Reread(
        folder,
        name,
        certificate,
        recipe,
        splits,
        description,
        outcomes,
        ladder,
        masked,
        plan,
        reference,
        shipped,
        tuple(checks),
    )


def check_guarantees(found: Reread) -> tuple[Check, ...]:
    """Counts from the logits, limits by a second derivation, shares within delta, and the same in guarantee.json."""
    counts = arithmetic.counts(found.outcomes)
    for guarantee in found.certificate.guarantees:
        arithmetic.check_guarantee(guarantee, found.outcomes, counts)
    family = arithmetic.check_family(found.certificate, found.recipe, found.name)
    path = found.folder / "plans" / found.name / "guarantee.json"
    stated = finite_json(path)
    expected = {
        "guarantees": [guarantee.to_json() for guarantee in found.certificate.guarantees],
        "looks": found.certificate.about["looks"],
        "split": found.splits.digest("certification"),
    }
    for key, value in expected.items():
        if key not in stated or canonical_json(stated[key]) != canonical_json(value):
            raise Refused(f"{path}: its {key} are not those of the certificate")
    limits = "; ".join(f"{entry.statement} <= {entry.limit:.6g}" for entry in found.certificate.guarantees)
    ranges = arithmetic.check_ceilings(found.certificate.guarantees, found.reference, found.shipped)
    return (Check("guarantees", True, f"recomputed from the logits: {limits or 'none'}"), Check("family", True, family), *ranges)


def finite_json(path: Path) -> Any:
    """A JSON value without any number that is not finite (1e999 is one)."""
    value = read_json(path)
    canonical_json(value)
    return value


def _certificate(path: Path) -> Certificate:
    """The certificate: every byte as `certify issue` writes it, every field of its type."""
    certificate = Certificate.load(path)
    text = json.dumps(read_json(path), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if read_bytes(path) != text.encode():
        raise Refused(f"{path}: its bytes are not as certify issue writes this content; it was changed after issue")
    about, kind = certificate.about, certificate.pair.kind
    for field, value, wanted in (("files", certificate.files, Mapping), ("about", about, Mapping)):
        if not isinstance(value, wanted):
            raise Refused(f"{path}: {field} is of type {type(value).__name__}, a table is expected")
    for key, wanted in (
        ("name", str),
        ("recipe", str),
        ("splits", Mapping),
        ("family", Mapping),
        ("looks", int),
        ("groups", str),
    ):
        if not isinstance(about.get(key), wanted) or isinstance(about.get(key), bool):
            raise Refused(f"{path}: about.{key} is {about.get(key)!r}, a {wanted.__name__} is expected")
    if kind not in KINDS or (kind == "given") != (about["plan"] is None):
        raise Refused(f"{path}: a pair of kind {kind!r} and a plan {about['plan']!r} do not go together")
    return certificate


def _hashes(folder: Path, name: str, certificate: Certificate) -> list[Check]:
    """Hash every named file. Files of weights may be absent; none of those a certificate rests on may be unnamed."""
    network_files = GRAPH_FILES if certificate.about.get("runs") == "onnxruntime" else TORCH_FILES
    plan_files = (*network_files, *PLAN_FILES, *(() if certificate.about["plan"] is None else PRUNED_FILES))
    needed = (*RUN_FILES, *(f"plans/{name}/{file}" for file in plan_files))
    for key in needed:
        if key not in certificate.files:
            raise Refused(f"certificate: does not name {key}, which it rests on")
    absent = []
    for key, stated in certificate.files.items():
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\\" in key or "\0" in key:
            raise Refused(f"certificate: {key!r} does not name a file inside the run folder")
        if not isinstance(stated, str) or not DIGEST.fullmatch(stated):
            raise Refused(f"certificate: {key} has {stated!r} where a SHA-256 is expected")
        path = folder.joinpath(*parts)
        if key in (REFERENCE, EVIDENCE, f"plans/{name}/{network_files[0]}") and not path.exists():
            absent.append(Check(key, False, "absent, not checked"))
            continue
        found = sha256_file(path)
        if found != stated:
            raise Refused(f"{key}: hashes to {found[:12]}, the certificate states {stated[:12]}; it was changed after issue")
    return [Check("files", True, f"{len(certificate.files) - len(absent)} files hash as stated"), *absent]


def _side_records(folder: Path, certificate: Certificate) -> None:
    """Files that only inform are still read where they are named, so that no NaN hides in them."""
    for key in certificate.files:
        if key.endswith(".json"):
            finite_json(folder / key)
    if EVIDENCE in certificate.files and (folder / EVIDENCE).exists():
        tensors.read_checkpoint(folder / EVIDENCE)
    if "spectra.parquet" in certificate.files:
        for row in load_spectra(folder / "spectra.parquet"):
            if not np.all(np.isfinite([row.fit_error, row.level, *row.spikes, *row.curve_x, *row.curve_density])):
                raise Refused(f"spectra.parquet: {row.target} holds NaN or infinity")


def _splits(path: Path, certificate: Certificate) -> Splits:
    splits = Splits.from_json(finite_json(path))
    stated = certificate.about["splits"]
    for purpose in PURPOSES:
        expected = {"digest": splits.digest(purpose), "samples": len(splits.samples[purpose])}
        if stated.get(purpose) != expected:
            raise Refused(f"splits.json: {purpose} is {expected}, the certificate states {stated.get(purpose)}")
    if certificate.about["groups"] != splits.groups:
        raise Refused(f"splits.json: groups are {splits.groups!r}, the certificate states {certificate.about['groups']!r}")
    return splits


def _description(folder: Path, certificate: Certificate) -> Mapping[str, Any]:
    value = finite_json(folder / "reference.json")
    for key, expected in (("digest", certificate.pair.reference), ("architecture", certificate.pair.architecture)):
        if value[key] != expected:
            raise Refused(f"reference.json: {key} is {value[key]!r}, the pair of the certificate says {expected!r}")
    return value


def _network(folder: Path, key: str, expected: str, checks: list[Check]) -> Checkpoint | None:
    """A checkpoint, or None where it is absent: its tensors hash to the pair's name for it."""
    path = folder / key
    if not path.exists():
        return None
    found = tensors.read_checkpoint(path)
    for digest in (checkpoint_digest(path), tensors.digest(found)):
        if digest != expected:
            raise Refused(f"{key}: is network {digest[:12]}, the pair of the certificate says {expected[:12]}")
    checks.append(Check(key, True, f"network {expected[:12]}, {len(found)} tensors, all finite"))
    return found


def _graph(path: Path, expected: str, checks: list[Check]) -> None:
    """An ONNX file, which is named by the hash of its bytes; its weights are not read here."""
    if path.exists():
        if (found := sha256_file(path)) != expected:
            raise Refused(f"{path}: hashes to {found[:12]}, the pair of the certificate says {expected[:12]}")
        checks.append(Check("model.onnx", True, f"network {expected[:12]}, the file as a whole"))


def _arithmetic(outcomes: Outcomes, recipe: Recipe) -> None:
    """The outcomes were computed as the recipe says the shipped network runs, and merges tokens."""
    runs, stated = recipe.runs, outcomes.arithmetic.get("shipped_merges")
    wanted = f"{', '.join(map(str, recipe.merge))} tokens a block" if recipe.merge else None
    if stated != wanted:
        raise Refused(f"outcomes.parquet: the shipped network merged {stated or 'no tokens'}, the recipe says {wanted or 'none'}")
    said = str(outcomes.arithmetic.get("shipped", RUNS[0]))
    word = {"onnxruntime": ", onnxruntime "}.get(runs, runs)
    if word not in said or (runs != "onnxruntime" and said.split()[0] != runs) or (runs == RUNS[0] and said != runs):
        raise Refused(f"outcomes.parquet: the shipped network ran as {said!r}, the recipe says {runs}")


def _one_architecture(reference: Checkpoint, shipped: Checkpoint) -> None:
    for name in sorted(set(reference) | set(shipped)):
        before, after = reference.get(name), shipped.get(name)
        if before is None or after is None or before.shape != after.shape:
            raise Refused(
                f"model.safetensors: {name} has shape {after.shape if after else None}, in the reference "
                f"{before.shape if before else None}; a pair is two networks of one architecture"
            )


def _plan(folder: Path, name: str, certificate: Certificate, shipped: Checkpoint | None, checks: list[Check]) -> Plan | None:
    """The plan against the certificate and, where it is here, against the shipped network."""
    stated = certificate.about["plan"]
    if stated is None:
        return None
    plan = Plan.load(folder / "plans" / name)
    expected = {"method": plan.method, "pattern": plan.pattern, "removed": plan.removed, "total": plan.total}
    for key, value in expected.items():
        if stated[key] != value:
            raise Refused(f"plan.json: {key} is {value!r}, the certificate states {stated[key]!r}")
    if stated["sparsity"] not in (plan.sparsity, plan.removed / plan.total):
        raise Refused(f"plan.json: sparsity is {plan.sparsity!r}, the certificate states {stated['sparsity']!r}")
    if (plan.reference, plan.name) != (certificate.pair.reference, name):
        raise Refused(
            f"plan.json: is plan {plan.name} for network {plan.reference[:12]}, "
            f"the certificate speaks of plan {name} for {certificate.pair.reference[:12]}"
        )
    for edit in plan.edits:
        _check_edit(f"{edit.target} (mask)", edit.kept, edit, plan.pattern)
    checks.append(Check("plan", True, f"removes {plan.removed} of {plan.total} entries, pattern {plan.pattern or 'none'}"))
    if shipped is not None:
        for edit in plan.edits:
            weight = tensors.edited(shipped, edit.target, edit.kept.shape, "model.safetensors").matrix(edit.kept.shape[0])
            wrong = np.argwhere(~edit.kept & (weight != 0))
            if len(wrong):
                row, col = (int(index) for index in wrong[0])
                raise Refused(
                    f"{edit.target}: {len(wrong)} removed entries are not 0 in model.safetensors; "
                    f"row {row}, column {col} holds {float(weight[row, col])!r}"
                )
            _check_edit(f"{edit.target} (shipped weights)", weight != 0, edit, plan.pattern)
    said = "model.safetensors absent, not checked" if shipped is None else "all exactly 0 in model.safetensors"
    checks.append(Check("removed weights", shipped is not None, said))
    return plan


def _check_edit(name: str, kept: np.ndarray, edit: Edit, pattern: str | None) -> None:
    """`check_groups` under the edit's own pattern or the plan's, in the edit's order of inputs."""
    ordered = kept if edit.order is None else kept[:, [int(column) for column in edit.order]]
    check_groups(name, ordered, edit.pattern or pattern, short_last=edit.padded)


def check_groups(name: str, kept: np.ndarray, pattern: str | None, *, short_last: bool = False) -> None:
    """Refuse more than K kept entries in N consecutive inputs, counted group by group."""
    if pattern is None:
        return
    allowed, group = parse_pattern(pattern)
    if kept.shape[1] % group and not short_last:
        raise Refused(f"{name}: {kept.shape[1]} inputs do not divide into groups of {group}; pattern {pattern} cannot hold")
    for slot, start in enumerate(range(0, kept.shape[1], group)):
        counts = kept[:, start : start + group].astype(np.int64).sum(axis=1)
        if counts.max() > allowed:
            row = int(counts.argmax())
            found = int(counts[row])
            raise Refused(f"{name}: group {slot} of row {row} keeps {found} of {group}; pattern {pattern} allows {allowed}")


def _outcomes(path: Path, certificate: Certificate, splits: Splits) -> Outcomes:
    outcomes = Outcomes.load(path)
    canonical_json(dict(outcomes.arithmetic))
    if outcomes.pair != certificate.pair:
        raise Refused(f"{path}: its pair is not that of the certificate; expected {certificate.pair.to_json()}")
    expected = splits.digest("certification")
    if outcomes.split != expected:
        raise Refused(f"{path}: of split {outcomes.split[:12]}, the certification split is {expected[:12]}")
    if outcomes.samples != splits.samples["certification"]:
        raise Refused(f"{path}: its {outcomes.size} samples are not the certification split, sample by sample")
    return outcomes
