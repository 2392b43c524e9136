"""The stages of a run, in order, each resumable."""

from __future__ import annotations

from pathlib import Path

from threadpoolctl import threadpool_limits

from certify.pipeline.job import Job, Progress
from certify.records import Plan, Recipe, Run
from certify.records.recipe import PlanRecipe

STAGES = (
    "splits",
    "targets",
    "reference",
    "evidence",
    "spectra",
    "plans",
    "bounds",
    "recovery",
    "guarantees",
    "certificates",
    "report",
)


def run(recipe: Recipe, folder: Path, *, until: str = "report", progress: Progress | None = None) -> Run:
    """Do every stage of the job up to `until`; what is done already is not done again.

    Byte for byte the same files come out of one go and of any number of interrupted ones, except journal.jsonl.
    """
    run = Run.create(folder, recipe)
    with run.alone(), threadpool_limits(recipe.threads):
        job = Job(run, recipe, progress or (lambda label, share: None))
        job.check_environment()
        for stage in STAGES[: STAGES.index(until) + 1]:
            getattr(job, stage)()
    return run


def plan_beside(run: Run, wanted: PlanRecipe, progress: Progress) -> Plan:
    """A plan that is not the recipe's, from the run's network and calibration split. The run folder stays as it is."""
    recipe = run.recipe()
    with run.alone(), threadpool_limits(recipe.threads):
        return Job(run, recipe, progress).plan_beside(wanted)
