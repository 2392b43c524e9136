"""The stages of a run, in order, each resumable."""

from __future__ import annotations

from pathlib import Path

import torch.distributed as dist
from threadpoolctl import threadpool_limits

from certify.bounds import ProvedPath
from certify.pipeline.job import Job
from certify.pipeline.workspace import Progress
from certify.records import Plan, Recipe, Run
from certify.records.recipe import PlanRecipe
from certify.training.distributed import told

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


def recover_together(folder: Path, progress: Progress | None = None) -> Run:
    """`run` up to the recovery, each fine-tuning data-parallel over the processes that torchrun started.

    Process 0 does every stage and writes every file; the others wait for the name of a plan and fine-tune it with it. The result
    is that of one process up to the order of sums. Source: `certify.training.distributed`.
    """
    dist.init_process_group("gloo")
    try:
        if dist.get_rank() == 0:
            try:
                return run(Run.open(folder).recipe(), folder, until="recovery", progress=progress)
            finally:
                told(None)
        job: Job | None = None
        while (name := told(None)) is not None:
            found = Run.open(folder)
            job = job or Job(found, found.recipe(), lambda label, share: None)
            with threadpool_limits(job.recipe.threads):
                job.shipped(name)
        return Run.open(folder)
    finally:
        dist.destroy_process_group()


def prove_shipped(run: Run, road: str, samples: int, radius: float, progress: Progress) -> dict[str, ProvedPath]:
    """Plan name -> proven bounds for the shipped network on the first calibration samples. The run folder stays as it is."""
    recipe = run.recipe()
    with run.alone(), threadpool_limits(recipe.threads):
        return Job(run, recipe, progress).proved(road, samples, radius)


def plan_beside(run: Run, wanted: PlanRecipe, progress: Progress) -> Plan:
    """A plan that is not the recipe's, from the run's network and calibration split. The run folder stays as it is."""
    recipe = run.recipe()
    with run.alone(), threadpool_limits(recipe.threads):
        return Job(run, recipe, progress).plan_beside(wanted)
