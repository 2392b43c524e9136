"""A run folder made of invented but plausible records: nothing was trained, every number comes from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

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
    Run,
    Spectrum,
    Splits,
    Target,
    Verdict,
    save_spectra,
)
from certify.records.certificates import Check
from certify.records.files import write_json
from certify.records.hashing import sha256_bytes, sha256_file

EVIL = '<b>evil</b>&"layer"'
NAMES = ("blocks.0.attn.qkv", EVIL, "blocks.1.mlp.fc2")
PLANS = """
[[plan]]
name = "magnitude-50"
sparsity = 0.5

[[plan]]
name = "magnitude-2to4"
pattern = "2:4"
"""
RECIPE = """
seed = 3
{shipped}
[model]
name = "vit_digits"
{checkpoint}
[data]
source = "digits"
labels = "{labels}"

[guarantees]
statements = [{statements}]
{plans}"""


def make_run(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    compare: bool = False,
    labels: bool = True,
    certification: int = 540,
    vacuous: bool = False,
    shape: tuple[int, int] = (48, 64),
) -> Run:
    """Write a whole run folder. `compare` gives the thinner folder of two checkpoints without a plan."""
    text = RECIPE.format(
        shipped='shipped = "shipped.safetensors"' if compare else "",
        checkpoint='checkpoint = "reference.safetensors"' if not labels else "",
        labels="given" if labels else "none",
        statements='"disagreement", "accuracy_drop"' if labels else '"disagreement"',
        plans="" if compare else PLANS,
    )
    run = Run.create(folder, Recipe.from_toml(text, "synthetic"))
    splits = _splits(certification)
    reference = _digest("reference")
    write_json(run.path("env.json"), {"threads": 2, "versions": {"numpy": "2.4.6", "torch": "2.13.0+cpu", "python": "3.11.9"}})
    write_json(run.path("splits.json"), splits.to_json())
    about = {"architecture": "vit_digits", "digest": reference, "parameters": 203_338, "origin": "trained"}
    write_json(run.path("reference.json"), about | {"preprocessing": {"mean": [0.5], "std": [0.5]}, "tuning_accuracy": 0.983})
    if not compare:
        targets = [Target(name, "linear", shape) for name in names]
        targets.insert(0, Target("patch_embed", "conv", (64, 1, 2, 2), "stem"))
        targets.append(Target("head.scale", "linear", (10, 4), "classifier", "fewer than 64 weights"))
        write_json(run.path("targets.json"), [target.to_json() for target in targets])
        save_spectra(run.path("spectra.parquet"), [_spectrum(name, shape, index) for index, name in enumerate(names)])
    for index, plan in enumerate([entry.name for entry in run.recipe().plan] or ["given"]):
        _plan(run, plan, splits, names, shape, index, compare=compare, labels=labels, vacuous=vacuous)
    return run


def _digest(word: str) -> str:
    return sha256_bytes(word.encode())


def _splits(certification: int) -> Splits:
    sizes = dict(zip(PURPOSES, (900, 180, 177, certification), strict=True))
    starts = np.cumsum([0, *sizes.values()])
    indices = {name: tuple(range(starts[i], starts[i + 1])) for i, name in enumerate(PURPOSES)}
    samples = {name: tuple(_digest(f"sample {index}") for index in indices[name]) for name in PURPOSES}
    return Splits("digits", 7, indices, samples, "the writers are unknown; samples were split one by one")


def _spectrum(name: str, shape: tuple[int, int], index: int) -> Spectrum:
    random = np.random.default_rng(100 + index)
    rows, cols = shape
    weight = random.normal(0, 0.02, shape)
    weight += sum(
        0.25 / (k + 1) * (index + 1) * np.outer(random.normal(size=rows), random.normal(size=cols)) / rows for k in range(5)
    )
    values = np.linalg.svd(weight, compute_uv=False)
    small, large = min(shape), max(shape)
    ratio = small / large
    low, high = (0.02 * np.sqrt(large) * (1 + sign * np.sqrt(ratio)) for sign in (-1, 1))
    if index and index % 7 == 0:
        return Spectrum(
            name, rows, cols, tuple(values), 0, 0, 0, 0.9, 0, 0, (), 0, False, False, "fewer than 8 singular values in the window"
        )
    x = np.linspace(low, high, 120)[1:-1]
    density = np.sqrt((high**2 - x**2) * (x**2 - low**2)) / (np.pi * ratio * x * 0.0004 * large)
    edge = 1.04 * high
    share = float(np.mean(values < edge))
    return Spectrum(
        name,
        rows,
        cols,
        tuple(values),
        4e-4,
        high,
        edge,
        0.9,
        0.04 + 0.01 * (index % 3),
        share,
        tuple(values[values >= edge]),
        6,
        True,
        True,
        "",
        tuple(x),
        tuple(share * density),
    )


def _plan(
    run: Run,
    name: str,
    splits: Splits,
    names: Sequence[str],
    shape: tuple[int, int],
    seed: int,
    *,
    compare: bool,
    labels: bool,
    vacuous: bool,
) -> None:
    random = np.random.default_rng(seed)
    reference = _digest("reference")
    shipped = Pair(reference, _digest(f"shipped {name}"), "vit_digits", "given" if compare else "recovered")
    folder = run.plan(name)
    if not compare:
        pattern = "2:4" if "2to4" in name else None
        edits = []
        for target in names:
            scores = random.random((shape[0], shape[1] // 4, 4))
            kept = scores.argsort(axis=2).argsort(axis=2) < 2 if pattern else scores < random.uniform(0.25, 0.75)
            edits.append(Edit(target, kept.reshape(shape)))
        Plan(
            name,
            "magnitude",
            reference,
            tuple(edits),
            None if pattern else 0.5,
            pattern,
            skipped=(("patch_embed", "excluded by the recipe"),),
        ).save(folder)
        masked = Pair(reference, _digest(f"masked {name}"), "vit_digits", "masked")
        make_ladder(masked, splits, random, names, shape, size=1.0).save(folder / "masked.ladder.parquet")
    make_ladder(shipped, splits, random, () if compare else names, shape, size=0.35).save(folder / "ladder.parquet")
    outcomes = _outcomes(shipped, splits, random, labels)
    outcomes.save(folder / "outcomes.parquet")
    guarantees = _guarantees(shipped, outcomes, vacuous)
    split = splits.digest("certification")
    write_json(folder / "guarantee.json", {"guarantees": [entry.to_json() for entry in guarantees], "looks": 1, "split": split})
    files = {str(path.relative_to(run.folder)): sha256_file(path) for path in sorted(folder.iterdir())}
    certificate = Certificate(
        shipped, files, guarantees, ("X8-path-variation", "X1-ce-sharp"), {"threads": 2, "seeds": {"seed": 3}}
    )
    certificate.save(folder / "certificate.json")
    checks = (Check("hashes", True, "9 files hash to what is stated"), Check("replay", False, "no data set on this machine"))
    verdicts = [Verdict(level, certificate.content_hash, checks[: 1 + (level == "replay")]) for level in ("files", "replay")]
    write_json(folder / "verdicts.json", [verdict.to_json() for verdict in verdicts])


def make_ladder(
    pair: Pair, splits: Splits, random: np.random.Generator, names: Sequence[str], shape: tuple[int, int], *, size: float
) -> Ladder:
    """Bounds of every unit, with zeros and negative values among the measured ones."""
    samples = splits.samples["calibration"]
    count = len(samples)
    change = size * random.lognormal(-0.7, 0.6, count)
    change[:3] = 0.0
    path, speed = change * random.uniform(1.02, 1.4, count) + 1e-9, change * random.uniform(1.5, 2.2, count) + 1e-9
    layers, layer_speed = speed * random.uniform(2, 4, count), speed * random.uniform(5, 9, count)
    nats = change * random.normal(0.05, 0.4, count)
    pairwise = np.maximum(nats, 0.02 * change + 1e-6) * random.uniform(1, 1.3, count)
    loses = (random.random(count) < 0.02 * size).astype(float)
    may = np.maximum(loses, (random.random(count) < 0.05 * size).astype(float))

    def bound(
        quantity: str, label: str, unit: str, upper: np.ndarray, claim: str, tier: str = "resolved", modelled: bool = False
    ) -> Bound:
        return Bound(quantity, label, unit, tier, "float32 forward passes", claim, upper, np.full(count, 1e-9), None, modelled)

    sharp = 1.4 * pairwise + 0.02 * change
    bounds = (
        bound("logit_change", "measured change of the logits", "logit", change, "measured"),
        bound("path_variation", "path variation along the segment", "logit", path, "X8-path-variation"),
        bound("path_speed", "largest speed along the segment", "logit", speed, "X8-path-variation"),
        bound("layer_variation", "layer by layer, variations summed", "logit", layers, "X14-multilayer", "enclosed"),
        bound("layer_speed", "layer by layer, speeds summed", "logit", layer_speed, "X14-multilayer", "proved"),
        bound("layer_gauss", "layer by layer, Gaussian removal", "logit", 0.6 * layer_speed, "C5.10-gauss-budget", modelled=True),
        bound("sampled_change", "largest change found by trying", "logit", 0.9 * path, "X8-path-variation", "sampled"),
        bound("ce_change", "measured change of the cross-entropy", "nat", nats, "measured"),
        bound("ce_pairwise", "pairwise bound", "nat", pairwise, "X2-ce-pairwise"),
        bound("ce_sharp", "sharp bound from the path variation", "nat", sharp, "X1-ce-sharp"),
        bound("ce_published", "the paper's 2η form", "nat", np.maximum(2 * path, sharp), "L5.1-ce-path"),
        bound("loses_decision", "loses its correct decision", "decision", loses, "measured"),
        bound("may_lose_pairwise", "may lose it, pairwise", "decision", may, "X6-margin-pairwise"),
        bound("may_change_published", "may change label, the paper's form", "decision", np.ones(count), "C5.2-margin"),
    )
    edges = (
        Edge("logit_change", "path_variation", "X8-path-variation", ("the path is Lipschitz",)),
        Edge("path_variation", "path_speed", "X8-path-variation"),
        Edge("path_speed", "layer_variation", "X14-multilayer", ("neither dominates in general",), asserted=False),
        Edge("layer_variation", "layer_speed", "X8-path-variation"),
        Edge("ce_change", "ce_pairwise", "X2-ce-pairwise"),
        Edge("ce_pairwise", "ce_sharp", "X2-ce-pairwise"),
        Edge("ce_sharp", "ce_published", "X1-ce-sharp"),
        Edge("loses_decision", "may_lose_pairwise", "X6-margin-pairwise"),
    )
    rows = tuple(
        {
            "target": name,
            "step": index + 1,
            "rows": shape[0],
            "cols": shape[1],
            "removed": shape[0] * shape[1] // 2,
            "tokens": 16,
            "size_mean": 0.31 * (index + 1),
            "size_max": 1.2 * (index + 1),
            "row_sum_mean": 4.1,
            "row_norm_mean": 2.2,
            "speed_mean": 0.4,
            "lipschitz_median": None if index == 1 else 1.3 + index,
            "lipschitz_max": None if index == 1 else 3.3 + index,
            "budget": None if index == 1 else 0.8 + index,
            "frobenius_squared": 1.7,
            "l1": 40.5,
            "reward": 1.7e-4,
            "break_even_l2": None if index == 1 else 0.47,
            "gauss_budget": 1.1,
        }
        for index, name in enumerate(names)
    )
    objective = {
        "form": "T5.8-multilayer",
        "l1": 0.0,
        "l2": 1e-4,
        "reward": 5.1e-4,
        "budget": 2.4,
        "break_even_l2": 0.47,
        "holds": False,
        "tier": "resolved",
        "sentence": "The summed budget exceeds the reward at λ₂ = 1e-4; removal pays for itself from λ₂* = 0.47 on.",
    }
    split = splits.digest("calibration")
    return Ladder(
        pair, split, samples, bounds, edges, rows, objective if rows else {}, ("layer steps are taken in module order",)
    )


def _outcomes(pair: Pair, splits: Splits, random: np.random.Generator, labels: bool) -> Outcomes:
    samples = splits.samples["certification"]
    true = random.integers(0, 10, len(samples))
    reference = random.normal(0, 1.2, (len(samples), 10))
    reference[np.arange(len(samples)), true] += random.gamma(9, 0.75, len(samples))
    shipped = reference + random.normal(0, 0.45, reference.shape)
    arithmetic = {"dtype": "float32", "device": "cpu", "threads": 2}
    return Outcomes(pair, splits.digest("certification"), samples, true if labels else None, reference, shipped, arithmetic)


def _guarantees(pair: Pair, outcomes: Outcomes, vacuous: bool) -> tuple[Guarantee, ...]:
    counts = outcomes.counts()
    size = counts["samples"]
    words = {
        "disagreement": "the shipped network decides differently on at most {}",
        "accuracy_drop": "accuracy drops by at most {}",
    }
    statements = ("disagreement", "accuracy_drop") if outcomes.labels is not None else ("disagreement",)
    found = []
    for statement in statements:
        estimate = counts["disagreements"] / size if statement == "disagreement" else (counts["losses"] - counts["gains"]) / size
        limit = 1.0 if vacuous and statement == "accuracy_drop" else estimate + 0.02123
        used = (
            {"samples": size, "disagreements": counts["disagreements"]}
            if statement == "disagreement"
            else {"samples": size, "losses": counts["losses"], "gains": counts["gains"]}
        )
        at_most = words[statement].format(f"{np.ceil(1e4 * limit) / 100:.2f} %")
        said = f"With confidence 95 %, on new images of the same source {at_most}, by {size} samples used once."
        said = f"VACUOUS: {said}" if not limit < 1 else said
        assumptions = ("The samples are drawn independently from the population.", "The split was looked at once.")
        found.append(
            Guarantee(
                statement,
                pair,
                outcomes.split,
                used,
                estimate,
                limit,
                0.05,
                0.0125,
                4,
                "Clopper–Pearson, one-sided",
                "RISK-CP",
                assumptions,
                outcomes.arithmetic,
                said,
            )
        )
    return tuple(found)
