"""Putting a certificate together from the files of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import certify
from certify.records import Certificate, Choice, Guarantee, Ladder, Plan
from certify.records.files import read_json
from certify.records.hashing import sha256_file
from certify.records.recipe import RUNS
from certify.risk import SHIFTS

if TYPE_CHECKING:
    from certify.pipeline.job import Job

GIVEN = "given"
JUDGED_FILES = ("outcomes.parquet", "plan.json", "plan.safetensors")


def network_file(runs: str) -> str:
    """The file of the shipped network in the folder of its plan; `runs` is a word of `records.recipe.RUNS`."""
    return "model.onnx" if runs == "onnxruntime" else "model.safetensors"


def certified_files(name: str, judged: Sequence[str] = (), runs: str = RUNS[0]) -> list[str]:
    """The files of a run, relative to its folder, whose hashes the certificate of one plan states.

    judged : the plans one was chosen among; the choice rests on what each of them did.
    runs   : how the shipped network runs; an ONNX graph has no segment of weights to the reference, and so no ladder.
    """
    shared = ["recipe.toml", "env.json", "splits.json", "reference.json", "reference.safetensors", "targets.json"]
    shared += ["evidence.safetensors", "spectra.parquet"]
    own = [network_file(runs), *([] if runs == "onnxruntime" else ["ladder.parquet"]), "outcomes.parquet", "guarantee.json"]
    own += [] if name == GIVEN else ["plan.json", "plan.safetensors", "masked.ladder.parquet"]
    others = [f"plans/{plan}/{file}" for plan in judged if plan != name for file in JUDGED_FILES]
    return shared + [f"plans/{name}/{file}" for file in own] + (["choice.json", *others] if judged else [])


def certificate(job: Job, name: str) -> Certificate:
    """What the run folder of `job` says of one plan, ready to be signed off."""
    run, recipe, split = job.run, job.recipe, job.split
    folder = run.plan(name)
    spoken = read_json(folder / "guarantee.json")
    ladders = {
        file.removesuffix(".parquet"): Ladder.load(folder / file).summary()
        for file in ("masked.ladder.parquet", "ladder.parquet")
        if (folder / file).exists()
    }
    guarantees = tuple(Guarantee.from_json(entry) for entry in spoken["guarantees"])
    plan = Plan.load(folder) if name != GIVEN else None
    settings = recipe.guarantees
    share = settings.delta * settings.spent / (len(job.names) * len(settings.statements))
    choice = Choice.from_json(read_json(run.path("choice.json"))) if job.judged else None
    family: dict[str, Any] = {
        "delta": settings.delta,
        "statements": [
            {"plan": each, "statement": statement, "share": share} for each in job.names for statement in settings.statements
        ],
    }
    claims = {claim for entry in ladders.values() for claim in entry["claims"]} | {entry.claim for entry in guarantees}
    claims |= {SHIFTS[divergence][2] for entry in guarantees for divergence in entry.shift}
    if choice is not None:
        claims |= set(choice.claims)
        family["choice"] = choice.alpha
    return Certificate(
        pair=job.pair(name),
        files={file: sha256_file(run.path(*file.split("/"))) for file in certified_files(name, job.judged, recipe.runs)},
        guarantees=guarantees,
        claims=tuple(sorted(claims)),
        about={
            "certify": certify.__version__,
            "recipe": recipe.digest,
            "name": name,
            "environment": read_json(run.path("env.json")),
            "seeds": {"job": recipe.seed, "splits": recipe.splits.seed},
            "plan": None
            if plan is None
            else {
                "method": plan.method,
                "sparsity": plan.sparsity,
                "pattern": plan.pattern,
                "removed": plan.removed,
                "total": plan.total,
            },
            "splits": {
                purpose: {"digest": split.digest(purpose), "samples": len(split.samples[purpose])} for purpose in split.samples
            },
            "groups": split.groups,
            "family": family,
            "looks": spoken["looks"],
            "ladders": ladders,
            **({} if choice is None else {"choice": choice.to_json()}),
            **({} if recipe.runs == RUNS[0] else {"runs": recipe.runs}),
            **({} if not recipe.merge else {"merge": list(recipe.merge)}),
        },
    )
