"""A run folder made by hand from records alone, and the tools of a forger who can rehash everything."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from certify.records import (
    PURPOSES,
    Bound,
    Certificate,
    Edge,
    Edit,
    Guarantee,
    Ladder,
    Outcomes,
    Pair,
    Plan,
    Recipe,
    Splits,
)
from certify.records.files import checkpoint_digest, read_json, read_tensors, write_json, write_tensors
from certify.records.hashing import sha256_file, sha256_json
from certify.verifier.data import Source, reload
from certify.verifier.network import rebuild

NAME = "half"
SIZES = {"train": 120, "calibration": 24, "tuning": 20, "certification": 200}
MODEL = """
[model]
name = "vit_tiny_patch16_224"
num_classes = 10

[model.kwargs]
img_size = 8
patch_size = 2
in_chans = 1
embed_dim = 16
depth = 1
num_heads = 2
global_pool = "avg"
class_token = false
"""
PREPROCESSING = {
    "input_size": [1, 8, 8],
    "interpolation": "bicubic",
    "mean": [0.5],
    "std": [0.5],
    "crop_pct": 1.0,
    "crop_mode": "center",
}
DIGITS = '\n[data]\nsource = "digits"\n'
TARGETS = ("blocks.0.attn.qkv", "blocks.0.mlp.fc1")


def recipe_text(data: str, kind: str, checkpoint: str = "") -> str:
    """A recipe of one plan, or of a given pair."""
    plan = {
        "recovered": f'[[plan]]\nname = "{NAME}"\npattern = "2:4"\n',
        "masked": f'[[plan]]\nname = "{NAME}"\npattern = "2:4"\n\n[recovery]\nepochs = 0\n',
    }
    return (
        ("" if kind in plan else 'shipped = "shipped.safetensors"\n')
        + MODEL.replace("num_classes", f"{checkpoint}num_classes", 1)
        + data
        + plan.get(kind, "")
    )


def limit(statement: str, counts: Mapping[str, int], share: float) -> float:
    """The limits by beta quantiles, which is not how the verifier finds them."""

    def upper(k: int, n: int, alpha: float) -> float:
        return 1.0 if k == n else float(beta.ppf(1 - alpha, k + 1, n - k))

    def lower(k: int, n: int, alpha: float) -> float:
        return 0.0 if k == 0 else float(beta.ppf(alpha, k, n - k + 1))

    n = counts["samples"]
    if statement == "disagreement":
        return upper(counts["disagreements"], n, share)
    return upper(counts["losses"], n, share / 2) - lower(counts["gains"], n, share / 2)


class Forge:
    """A run folder, and every way to change it and cover the tracks."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.folder, self.name = folder, name
        self.plan = folder / "plans" / name
        self.certificate = self.plan / "certificate.json"

    def copy(self, folder: Path) -> Forge:
        shutil.copytree(self.folder, folder)
        return Forge(folder, self.name)

    def reissue(self, change: Callable[[dict[str, Any]], Any] = lambda value: None) -> None:
        """Change the certificate, hash every file anew, state the new content hash."""
        value = json.loads(self.certificate.read_text())
        value.pop("content_hash")
        change(value)
        value["files"] = {
            key: sha256_file(self.folder / key) if (self.folder / key).is_file() else stated
            for key, stated in value["files"].items()
        }
        write_json(self.certificate, value | {"content_hash": sha256_json(value)})

    def guarantees(self, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Change the guarantees, in their file and in the certificate."""
        value = read_json(self.plan / "guarantee.json")
        change(value["guarantees"])
        write_json(self.plan / "guarantee.json", value)
        self.reissue(lambda certificate: change(certificate["guarantees"]))

    def ladder(self, change: Callable[[Ladder], Ladder], file: str = "ladder.parquet") -> None:
        change(Ladder.load(self.plan / file)).save(self.plan / file)
        self.reissue()

    def rung(self, quantity: str, change: Callable[[np.ndarray], np.ndarray], file: str = "ladder.parquet") -> None:
        """Replace the upper values of one rung."""

        def with_rung(ladder: Ladder) -> Ladder:
            bounds = [
                dataclasses.replace(bound, upper=change(bound.upper.copy()), lower=None) if bound.quantity == quantity else bound
                for bound in ladder.bounds
            ]
            return dataclasses.replace(ladder, bounds=tuple(bounds))

        self.ladder(with_rung, file)

    def outcomes(self, change: Callable[[Outcomes], Outcomes]) -> None:
        """Replace the outcomes and everything that follows from them by arithmetic."""
        found = change(Outcomes.load(self.plan / "outcomes.parquet"))
        found.save(self.plan / "outcomes.parquet")
        fresh = [guarantee.to_json() for guarantee in guarantees(found)]
        self.guarantees(lambda entries: entries.__setitem__(slice(None), fresh))

    def tensors(self, file: str, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
        """Change a checkpoint and rename the network in every record."""
        path = self.folder / file
        before = checkpoint_digest(path)
        arrays = {key: value.copy() for key, value in read_tensors(path).items()}
        change(arrays)
        write_tensors(path, arrays)
        self.rename(before, checkpoint_digest(path))

    def rename(self, before: str, after: str) -> None:
        for file in ("ladder.parquet", "masked.ladder.parquet"):
            if (self.plan / file).exists():
                ladder = Ladder.load(self.plan / file)
                dataclasses.replace(ladder, pair=_renamed(ladder.pair, before, after)).save(self.plan / file)
        found = Outcomes.load(self.plan / "outcomes.parquet")
        dataclasses.replace(found, pair=_renamed(found.pair, before, after)).save(self.plan / "outcomes.parquet")
        for path in (self.plan / "guarantee.json", self.plan / "plan.json", self.folder / "reference.json", self.certificate):
            if path.exists():
                path.write_text(path.read_text().replace(before, after))
        self.reissue()


def _renamed(pair: Pair, before: str, after: str) -> Pair:
    swap = {before: after}
    return dataclasses.replace(
        pair, reference=swap.get(pair.reference, pair.reference), shipped=swap.get(pair.shipped, pair.shipped)
    )


def guarantees(outcomes: Outcomes, statements: tuple[str, ...] = ("disagreement", "accuracy_drop")) -> list[Guarantee]:
    """Both statements at half of delta = 5 % each."""
    counts = outcomes.counts()
    share = 0.05 / len(statements)
    found = []
    for statement in statements:
        drop = statement == "accuracy_drop"
        bound = limit(statement, counts, share)
        events = counts["losses"] - counts["gains"] if drop else counts["disagreements"]
        keys = ("samples", "losses", "gains") if drop else ("samples", "disagreements")
        found.append(
            Guarantee(
                statement=statement,
                pair=outcomes.pair,
                split=outcomes.split,
                counts={key: counts[key] for key in keys},
                estimate=events / counts["samples"],
                limit=bound,
                delta=0.05,
                share=share,
                family=len(statements),
                method="exact",
                claim=f"G-{statement}",
                assumptions=("drawn independently",),
                arithmetic=outcomes.arithmetic,
                sentence=f"Guaranteed at confidence 0.95: {statement} at most {100 * bound:.3g} %.",
            )
        )
    return found


def build(folder: Path, *, data: str = DIGITS, kind: str = "recovered", labelled: bool = True, checkpoint: str = "") -> Forge:
    """A whole run folder with one plan (or one given pair), certified by plain code."""
    name = NAME if kind != "given" else "given"
    plans = folder / "plans" / name
    plans.mkdir(parents=True)
    text = recipe_text(data, kind, checkpoint) + ("" if labelled else '\n[guarantees]\nstatements = ["disagreement"]\n')
    recipe = Recipe.from_toml(text, "test")
    (folder / "recipe.toml").write_text(recipe.to_toml())
    source = reload(recipe, PREPROCESSING, None)
    splits = _splits(source)
    write_json(folder / "splits.json", splits.to_json())
    write_json(folder / "env.json", {"threads": 1})
    write_json(folder / "targets.json", [{"name": target} for target in TARGETS])

    run = _Runner(recipe, source, splits)
    reference = run.trained()
    write_tensors(folder / "reference.safetensors", reference)
    named = checkpoint_digest(folder / "reference.safetensors")
    write_json(
        folder / "reference.json",
        {
            "architecture": recipe.model.name,
            "digest": named,
            "parameters": sum(value.size for value in reference.values()),
            "preprocessing": PREPROCESSING,
            "tuning_accuracy": None,
            "origin": "test",
        },
    )
    plan, masked = _pruned(reference, named)
    shipped = _shipped(masked, plan) if kind != "masked" else masked
    write_tensors(plans / "model.safetensors", shipped)
    pair = Pair(named, checkpoint_digest(plans / "model.safetensors"), recipe.model.name, kind)
    files = ["recipe.toml", "env.json", "splits.json", "reference.json", "reference.safetensors", "targets.json"]
    files += [f"plans/{name}/{file}" for file in ("model.safetensors", "ladder.parquet", "outcomes.parquet", "guarantee.json")]
    run.ladder(reference, shipped, pair).save(plans / "ladder.parquet")
    if kind != "given":
        plan.save(plans)
        write_tensors(plans / "scratch.safetensors", masked)
        halfway = Pair(named, checkpoint_digest(plans / "scratch.safetensors"), recipe.model.name, "masked")
        (plans / "scratch.safetensors").unlink()
        _with_account(run.ladder(reference, masked, halfway), reference, plan).save(plans / "masked.ladder.parquet")
        files += [f"plans/{name}/{file}" for file in ("plan.safetensors", "plan.json", "masked.ladder.parquet")]
    outcomes = run.outcomes(reference, shipped, pair)
    outcomes.save(plans / "outcomes.parquet")
    found = guarantees(outcomes, recipe.guarantees.statements)
    write_json(
        plans / "guarantee.json",
        {"guarantees": [entry.to_json() for entry in found], "looks": 1, "split": splits.digest("certification")},
    )
    stated = {"method": plan.method, "sparsity": None, "pattern": plan.pattern, "removed": plan.removed, "total": plan.total}
    Certificate(
        pair=pair,
        files={file: sha256_file(folder / file) for file in files},
        guarantees=tuple(found),
        claims=("D5.0-budget", "L5.1-ce-path", "X1-ce-sharp", "X5-margin-signed", "X8-path-variation"),
        about={
            "certify": "0.1.0",
            "recipe": recipe.digest,
            "name": name,
            "environment": {"threads": 1},
            "plan": None if kind == "given" else stated,
            "splits": {
                purpose: {"digest": splits.digest(purpose), "samples": len(splits.samples[purpose])} for purpose in PURPOSES
            },
            "groups": splits.groups,
            "family": {
                "delta": 0.05,
                "statements": [{"plan": name, "statement": entry.statement, "share": entry.share} for entry in found],
            },
            "looks": 1,
            "ladders": {
                file.removesuffix(".parquet"): _summary(Ladder.load(plans / file))
                for file in ("ladder.parquet", "masked.ladder.parquet")
                if (plans / file).exists()
            },
        },
    ).save(plans / "certificate.json")
    return Forge(folder, name)


def _splits(source: Source) -> Splits:
    order = np.random.default_rng(3).permutation(len(source.digests))
    unique = {source.digests[index]: int(index) for index in order}
    positions = iter(unique.values())
    indices = {purpose: tuple(next(positions) for _ in range(SIZES[purpose])) for purpose in PURPOSES}
    samples = {purpose: tuple(source.digests[index] for index in indices[purpose]) for purpose in PURPOSES}
    return Splits(sha256_json(list(source.digests)), 3, indices, samples, "writers unknown")


def _pruned(reference: Mapping[str, np.ndarray], named: str) -> tuple[Plan, dict[str, np.ndarray]]:
    """2:4 by magnitude."""
    masked = {key: value.copy() for key, value in reference.items()}
    edits = []
    for target in TARGETS:
        weight = masked[f"{target}.weight"]
        groups = np.abs(weight).reshape(len(weight), -1, 4)
        kept = (groups.argsort(axis=2).argsort(axis=2) >= 2).reshape(weight.shape)
        masked[f"{target}.weight"] = np.where(kept, weight, np.float32(0))
        edits.append(Edit(target, kept))
    return Plan(NAME, "magnitude", named, tuple(edits), pattern="2:4"), masked


def _shipped(masked: Mapping[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """The masked network after a little noise on everything that stays."""
    kept = {f"{edit.target}.weight": edit.kept for edit in plan.edits}
    noise = np.random.default_rng(5)
    return {
        key: (value + np.float32(0.02) * noise.standard_normal(value.shape).astype(np.float32) * kept.get(key, 1)).astype(
            np.float32
        )
        for key, value in masked.items()
    }


def _with_account(ladder: Ladder, reference: Mapping[str, np.ndarray], plan: Plan) -> Ladder:
    """A layer table and an elastic-net account of the removed weights, with a made-up speed."""
    rows = []
    for edit in plan.edits:
        gone = reference[f"{edit.target}.weight"].astype(np.float64)[~edit.kept]
        rows.append(
            {
                "target": edit.target,
                "removed": edit.removed,
                "frobenius_squared": float(np.sum(gone**2)),
                "l1": float(np.sum(abs(gone))),
            }
        )
    speed = Bound(
        "layer_speed", "speed", "logit", "resolved", "float64", "D5.0-budget", 2 * ladder["path_variation"].upper, np.zeros(24)
    )
    budget = dataclasses.replace(speed, quantity="ce_budget", unit="nat", upper=2 * speed.upper)
    reward = 0.5 * sum(row["frobenius_squared"] for row in rows)
    spent = float(np.mean(budget.upper))
    objective = {"form": "T5.8-multilayer", "l2": 0.5, "l1": 0.0, "reward": reward, "budget": spent, "holds": spent < reward}
    return dataclasses.replace(ladder, bounds=(*ladder.bounds, speed, budget), layers=tuple(rows), objective=objective)


def _summary(ladder: Ladder) -> dict[str, Any]:
    return {
        "pair": ladder.pair.to_json(),
        "split": ladder.split,
        "samples": len(ladder.samples),
        "violations": 0,
        "rungs": {
            bound.quantity: {"median": float(np.median(bound.upper)), "largest": float(bound.upper.max())}
            for bound in ladder.bounds
        },
        "objective": dict(ladder.objective),
    }


class _Runner:
    """Runs networks without the verifier's own Line, through torch.func."""

    def __init__(self, recipe: Recipe, source: Source, splits: Splits) -> None:
        self.recipe, self.source, self.splits = recipe, source, splits

    def trained(self) -> dict[str, np.ndarray]:
        """A minute fraction of a training, enough for decisions that pruning can change."""
        torch.manual_seed(7)
        model = rebuild(self.recipe).requires_grad_(True)
        images = torch.from_numpy(self.source.images(self.splits.indices["train"]))
        classes = self.labels("train")
        wanted = torch.arange(len(images)) % 10 if classes is None else torch.from_numpy(classes)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(40):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), wanted).backward()
            optimizer.step()
        return {key: value.detach().numpy().copy() for key, value in model.state_dict().items()}

    def logits(self, state: Mapping[str, np.ndarray], purpose: str, dtype: torch.dtype) -> np.ndarray:
        model = rebuild(self.recipe).to(dtype)
        tensors = {key: torch.from_numpy(np.asarray(value)).to(dtype) for key, value in state.items()}
        images = torch.from_numpy(self.source.images(self.splits.indices[purpose])).to(dtype)
        with torch.no_grad():
            return torch.func.functional_call(model, tensors, (images,)).double().numpy()

    def labels(self, purpose: str) -> np.ndarray | None:
        return None if self.source.labels is None else self.source.labels[list(self.splits.indices[purpose])]

    def outcomes(self, reference: Mapping[str, np.ndarray], shipped: Mapping[str, np.ndarray], pair: Pair) -> Outcomes:
        return Outcomes(
            pair=pair,
            split=self.splits.digest("certification"),
            samples=self.splits.samples["certification"],
            labels=self.labels("certification"),
            reference=self.logits(reference, "certification", torch.float32),
            shipped=self.logits(shipped, "certification", torch.float32),
            arithmetic={"numbers": "float32", "device": "cpu", "threads": 1},
        )

    def ladder(self, reference: Mapping[str, np.ndarray], shipped: Mapping[str, np.ndarray], pair: Pair) -> Ladder:
        thetas = np.linspace(0, 1, 201)
        wide = [{key: value.astype(np.float64) for key, value in state.items()} for state in (shipped, reference)]
        path = np.stack(
            [
                self.logits({key: (1 - t) * wide[0][key] + t * wide[1][key] for key in wide[0]}, "calibration", torch.float64)
                for t in thetas
            ]
        )
        start, end = path[0], path[-1]
        classes = self.labels("calibration")
        classes = end.argmax(axis=1) if classes is None else classes
        rows = np.arange(len(classes))
        variation = np.abs(np.diff(path, axis=0)).max(axis=2).sum(axis=0)
        change = np.abs(end - start).max(axis=1)
        losses = [np.log(np.exp(z).sum(axis=1)) - z[rows, classes] for z in (start, end)]
        odds = np.exp(losses[1]) - 1
        sharp = np.log((1 + odds * np.exp(2 * variation)) / (1 + odds))
        margins = [z[rows, classes] - np.where(np.eye(10, dtype=bool)[classes], -np.inf, z).max(axis=1) for z in (start, end)]
        small = np.full(len(classes), 1e-9)
        error = 1e-3 * variation
        loses = ((margins[1] > 0) & (margins[0] <= 0)).astype(float)
        may = ((margins[1] > 0) & (margins[1] <= 2 * (variation + error))).astype(float)
        kinds = [
            ("logit_change", "logit", "X8-path-variation", change, small),
            ("path_variation", "logit", "X8-path-variation", variation, error),
            ("ce_change", "nat", "L5.1-ce-path", losses[0] - losses[1], small),
            ("ce_sharp", "nat", "X1-ce-sharp", sharp, 2 * error),
            ("ce_published", "nat", "L5.1-ce-path", 2 * variation, 2 * error),
            ("loses_decision", "decision", "X5-margin-signed", loses, 0 * small),
            ("may_lose_signed", "decision", "X5-margin-signed", may, 0 * small),
        ]
        bounds = [
            Bound(quantity, quantity, unit, "resolved", "float64", claim, upper, tolerance)
            for quantity, unit, claim, upper, tolerance in kinds
        ]
        edges = [
            Edge("logit_change", "path_variation", "X8-path-variation"),
            Edge("ce_change", "ce_sharp", "X1-ce-sharp"),
            Edge("ce_sharp", "ce_published", "X1-ce-sharp"),
            Edge("loses_decision", "may_lose_signed", "X5-margin-signed"),
        ]
        calibration = self.splits.samples["calibration"]
        return Ladder(pair, self.splits.digest("calibration"), calibration, tuple(bounds), tuple(edges))
