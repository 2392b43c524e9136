"""Exporting: the shipped network of a run, or a checkpoint, as a file in one of the formats of `deploy.export`."""

from __future__ import annotations

import copy
from pathlib import Path

from threadpoolctl import threadpool_limits

from certify.data.sources import load_samples
from certify.deploy import two_four
from certify.deploy.export import Exported, export, zeros_of
from certify.networks.loading import build, load_state, preprocessing, read_checkpoint
from certify.networks.masking import check_shipped
from certify.networks.running import compressed, widened
from certify.networks.targets import describe
from certify.pipeline.certificate import GIVEN
from certify.pipeline.workspace import Workspace
from certify.records import Plan, Refused, Run, Usage
from certify.records.recipe import DataRecipe, ModelRecipe


def export_run(run: Run, name: str, form: str, folder: Path, samples: int) -> Exported:
    """What plan `name` of a run ships ("" where there is but one); ONNX is compared on its first calibration samples."""
    recipe = run.recipe()
    with threadpool_limits(recipe.threads):
        place = Workspace(run, recipe, lambda label, share: None)
        if not name and len(place.names) > 1:
            raise Usage(f"{run.folder}: holds {len(place.names)} plans; name one with --plan: {', '.join(place.names)}")
        name = name or place.names[0]
        if name not in place.names:
            raise Usage(f"--plan {name} is none of {', '.join(place.names)}")
        if recipe.runs == "onnxruntime":
            raise Usage(f"{run.folder}: its network is an ONNX graph already; weights alone can be exported")
        if not place.shipped_file(name).exists():
            raise Refused(f"{run.folder}: {name} has no shipped network yet; run certify recover {run.folder} first")
        state = place.shipped_state(name)
        if name == GIVEN:
            edits, pattern = zeros_of(widened(state), describe(place.network)), None
        else:
            plan = Plan.load(run.plan(name))
            check_shipped(state, plan)
            edits, pattern = plan.edits, plan.pattern
        indices = place.split.indices["calibration"][:samples] if form == "onnx" else ()
        images = place.samples.images(indices) if indices else None
        ways = {"threads": recipe.threads, "merge": recipe.merge}
        return export(place.network, state, edits, pattern, form, folder, images=images, **ways)


def export_checkpoint(path: Path, model: ModelRecipe, form: str, folder: Path, data_dir: str, samples: int) -> Exported:
    """A checkpoint without a plan: its own zeros are what was removed. ONNX is compared on the first images of `data_dir`."""
    if form == "onnx" and not data_dir:
        raise Usage("certify export --format onnx compares outputs on real images; name them with --data-dir")
    with threadpool_limits(1):
        network = build(model)
        state = two_four.load(path) if compressed(path) else read_checkpoint(path)
        load_state(copy.deepcopy(network), state, str(path))
        images = None
        if form == "onnx":
            digits = data_dir == "digits"
            data = DataRecipe("digits" if digits else "folder", "" if digits else data_dir)
            found = load_samples(data, preprocessing(network, model))
            images = found.images(range(min(samples, len(found.pictures))))
        return export(network, state, zeros_of(widened(state), describe(network)), None, form, folder, images=images)
