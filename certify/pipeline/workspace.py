"""A run folder, and what the stages of a job read from it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

import certify
from certify.data.sources import Samples, check_classes, load_samples
from certify.networks.loading import (
    State,
    build,
    digest,
    load_state,
    preprocessing,
    read_checkpoint,
)
from certify.networks.merging import merge_tokens
from certify.networks.running import HALVES, Graph, Halved
from certify.pipeline.certificate import GIVEN, network_file
from certify.pipeline.gradual import last_part
from certify.pipeline.making import after_selection
from certify.records import (
    Pair,
    Plan,
    Recipe,
    Refused,
    Run,
    Splits,
    Target,
)
from certify.records.files import read_json
from certify.records.hashing import sha256_file
from certify.records.recipe import RecoveryRecipe

Progress = Callable[[str, float], None]


class Workspace:
    """One recipe in one folder, and what its stages share. Networks and images are loaded when a stage first needs them."""

    def __init__(self, run: Run, recipe: Recipe, progress: Progress) -> None:
        self.run, self.recipe, self.progress = run, recipe, progress
        self.names = [plan.name for plan in recipe.plan] or [GIVEN]
        torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(True)

    @property
    def judged(self) -> list[str]:
        """The plans one is chosen among; none where the recipe asks for no choice."""
        return self.names if self.recipe.guarantees.choose is not None else []

    @cached_property
    def network(self) -> nn.Module:
        return build(self.recipe.model)

    @cached_property
    def samples(self) -> Samples:
        samples = load_samples(self.recipe.data, preprocessing(self.network, self.recipe.model))
        check_classes(samples, self._classes())
        if self.run.path("splits.json").exists() and self.split.dataset != samples.digest:
            raise Refused(
                f"{samples.name}: its images are not those the splits of {self.run.folder} were made from; "
                "restore them, or choose another --out"
            )
        return samples

    @cached_property
    def split(self) -> Splits:
        return Splits.from_json(read_json(self.run.path("splits.json")))

    @cached_property
    def reference_state(self) -> State:
        return read_checkpoint(self.run.path("reference.safetensors"))

    @cached_property
    def target_list(self) -> tuple[Target, ...]:
        return tuple(Target.from_json(entry) for entry in read_json(self.run.path("targets.json")))

    def model(self, state: State) -> nn.Module:
        return load_state(copy.deepcopy(self.network), state, str(self.run.folder)).eval()

    @cached_property
    def merging(self) -> nn.Module:
        """The architecture that is shipped: `network`, merging tokens where the recipe says so."""
        return merge_tokens(self.network, self.recipe.merge) if self.recipe.merge else self.network

    def deployed(self, state: State) -> nn.Module:
        """The shipped architecture in float32, with these weights."""
        return load_state(copy.deepcopy(self.merging), state, str(self.run.folder)).eval()

    def shipped_file(self, name: str) -> Path:
        return self.run.plan(name, network_file(self.recipe.runs))

    def shipped_state(self, name: str) -> State:
        return read_checkpoint(self.shipped_file(name))

    def shipped_network(self, name: str) -> nn.Module:
        """The shipped network as it runs where it is deployed."""
        path, runs = self.shipped_file(name), self.recipe.runs
        if runs == "onnxruntime":
            return Graph(path, self.recipe.threads)
        if runs in HALVES:
            return Halved(copy.deepcopy(self.merging), self.shipped_state(name), str(path), runs)
        return self.deployed(self.shipped_state(name))

    def pair(self, name: str) -> Pair:
        """An ONNX file is named by the hash of its bytes, every other network by that of its tensors."""
        kind = "given" if name == GIVEN else "recovered" if self._start(name) or self._recovery(name).epochs else "masked"
        graph = self.recipe.runs == "onnxruntime"
        shipped = sha256_file(self.shipped_file(name)) if graph else digest(self.shipped_state(name))
        return Pair(digest(self.reference_state), shipped, self.recipe.model.name, kind)

    def _recovery(self, name: str) -> RecoveryRecipe:
        """The recovery of one plan: what its steps and its selection leave of the declared budget."""
        wanted = next(plan for plan in self.recipe.plan if plan.name == name)
        settings = last_part(self.recipe.recovery, wanted)
        return after_selection(settings, Plan.load(self.run.plan(name)), len(self.split.indices["train"]))

    def _start(self, name: str) -> list[Path]:
        """The file of the network that the recovery of a plan made in steps begins with."""
        return [self.run.plan(name, "start.safetensors") for plan in self.recipe.plan if plan.name == name and plan.steps]

    def _classes(self) -> int:
        head = getattr(self.network, "num_classes", 0)
        return int(head) if head else self.recipe.model.num_classes

    def _stage(self, name: str, reads: list[Path], writes: list[Path], work: Callable[[], None]) -> None:
        inputs = {
            "recipe": self.recipe.digest,
            "certify": certify.__version__,
            "reads": {str(path.relative_to(self.run.folder)): sha256_file(path) for path in reads},
        }
        self.progress(name, 0.0)
        self.run.stage(name, inputs, writes, work)
        self.progress(name, 1.0)

    def _epochs(self, label: str) -> Callable[[int, int, float], None]:
        return lambda epoch, epochs, loss: self.progress(f"{label} (epoch {epoch}/{epochs}, loss {loss:.3f})", epoch / epochs)
