"""The stages of a run. Each reads and writes the run folder, so a killed job goes on where it stopped."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from certify.bounds import ProvedPath, ladder, prove
from certify.data.splitting import split
from certify.deploy import two_four
from certify.networks.loading import (
    State,
    build,
    digest,
    load_state,
    read_checkpoint,
    save_state,
    state_of,
)
from certify.networks.masking import masked_state, masks
from certify.networks.running import HALVES, Graph, compressed, widened
from certify.networks.targets import describe
from certify.pipeline.certificate import GIVEN, certificate, certified_files
from certify.pipeline.environment import environment, from_cache, to_cache
from certify.pipeline.gradual import Setting, gradual
from certify.pipeline.guaranteeing import Guaranteeing
from certify.pipeline.making import check, gather, make, movements_of
from certify.records import (
    Evidence,
    Pair,
    Plan,
    Refused,
    Target,
    Unmet,
    Usage,
    save_spectra,
)
from certify.records.files import atomic_write, read_bytes, read_json, write_json
from certify.records.hashing import sha256_json
from certify.records.recipe import PlanRecipe
from certify.report import write_report
from certify.spectra import kinds_of, layer_table
from certify.training.distributed import processes, told
from certify.training.loop import accuracy, fit
from certify.verifier import verify

MERGING = "of the weights in the network without token merging; the shipped network merges tokens, and no bound here covers that"


class Job(Guaranteeing):
    """The stages."""

    def check_environment(self) -> None:
        path = self.run.path("env.json")
        found = environment(self.recipe.threads)
        if not path.exists():
            write_json(path, found)
        elif (before := read_json(path)) != found:
            key = next(key for key in sorted({*before, *found}) if before.get(key) != found.get(key))
            raise Refused(
                f"{self.run.folder}: begun with {key} = {before.get(key)}, now {found.get(key)}; "
                "results would not be the same bytes. Choose another --out"
            )

    def splits(self) -> None:
        def work() -> None:
            _ = self.merging  # an architecture that cannot merge is refused before anything is trained
            found = split(self.samples, self.recipe.splits)
            if not found.indices["calibration"]:
                raise Refused("splits: the calibration split is empty; evidence and ladders need at least one sample")
            write_json(self.run.path("splits.json"), found.to_json())

        self._stage("splits", [], [self.run.path("splits.json")], work)

    def reference(self) -> None:
        outputs = [self.run.path("reference.safetensors"), self.run.path("reference.json")]

        def work() -> None:
            checkpoint = self.recipe.model.checkpoint
            if checkpoint:
                state = state_of(load_state(copy.deepcopy(self.network), read_checkpoint(Path(checkpoint)), checkpoint))
            else:
                state = self._trained()
            found = self._tuning_accuracy(state)
            wanted = 0.0 if checkpoint else self.recipe.training.accuracy
            if wanted and found is None:
                raise Unmet(f"reference: accuracy {wanted} cannot be decided without a tuning split; change splits.tuning")
            if found is not None and found < wanted:
                raise Unmet(f"reference: accuracy {found:.4f} on the tuning split, the recipe wants {wanted}; change [training]")
            save_state(outputs[0], state)
            write_json(
                outputs[1],
                {
                    "architecture": self.recipe.model.name,
                    "digest": digest(state),
                    "parameters": sum(tensor.numel() for tensor in state.values()),
                    "preprocessing": self.samples.preprocessing,
                    "tuning_accuracy": found,
                    "origin": "checkpoint" if checkpoint else "trained",
                },
            )

        self._stage("reference", [self.run.path("splits.json")], outputs, work)

    def _tuning_accuracy(self, state: State) -> float | None:
        if self.samples.labels is None or not self.split.indices["tuning"]:
            return None
        return accuracy(self.model(state), self.samples, self.split.indices["tuning"])

    def _trained(self) -> State:
        """The trained reference, from the cache when the same training was done before on this machine."""
        recipe = self.recipe
        key = sha256_json(
            {
                "model": recipe.to_json()["model"],
                "training": recipe.to_json()["training"],
                "seed": recipe.seed,
                "train": self.split.digest("train"),
                "environment": read_json(self.run.path("env.json")),
            }
        )
        state_file = self.run.path("training.state.safetensors")
        cached = from_cache(key)
        if cached is not None:
            state_file.unlink(missing_ok=True)
            return cached
        torch.manual_seed(recipe.seed)
        model = build(recipe.model)
        fit(
            model,
            self.samples,
            self.split.indices["train"],
            recipe.training,
            seed=recipe.seed,
            state=state_file,
            progress=self._epochs("training"),
        )
        state = state_of(model)
        to_cache(key, state)
        state_file.unlink(missing_ok=True)
        return state

    def targets(self) -> None:
        """The list of targets; plans that could not be made are refused here, before anything is trained."""

        def work() -> None:
            self.check_statements()
            for wanted in self.recipe.plan:
                check(self._targets_of(wanted), wanted)
                epochs, steps = self.recipe.recovery.epochs, len(wanted.steps)
                if wanted.updates and steps and epochs <= steps:
                    raise Usage(f"plan {wanted.name}: {epochs} recovery.epochs for {steps} steps and the last; give each one")
            write_json(self.run.path("targets.json"), [target.to_json() for target in describe(self.network)])

        self._stage("targets", [self.run.path("splits.json")], [self.run.path("targets.json")], work)

    def _targets_of(self, wanted: PlanRecipe) -> tuple[Target, ...]:
        return describe(self.network, include=wanted.include, exclude=wanted.exclude)

    def evidence(self) -> None:
        path = self.run.path("evidence.safetensors")

        def work() -> None:
            model = self.deployed(self.reference_state)
            asked = {target.name for wanted in self.recipe.plan for target in self._targets_of(wanted) if not target.skipped}
            targets = [target for target in self.target_list if target.name in asked or not self.recipe.plan]
            found = gather(
                model, targets, self.samples, self.split, self.recipe.evidence, self.recipe.plan, seed=self.recipe.seed
            )
            found.save(path)

        self._stage("evidence", [self.run.path("reference.safetensors"), self.run.path("targets.json")], [path], work)

    def _movements(self, kept: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], int]:
        reference, train = self.model(self.reference_state), self.split.indices["train"]
        settings, seed = self.recipe.recovery, self.recipe.seed
        return movements_of(reference, kept, self.samples, train, settings, seed=seed, teacher=reference)

    def plan_beside(self, wanted: PlanRecipe) -> Plan:
        """A plan the recipe does not name, from evidence collected for it."""
        targets = self._targets_of(wanted)
        check(targets, wanted)
        model = self.deployed(self.reference_state)
        found = gather(model, targets, self.samples, self.split, self.recipe.evidence, [wanted], seed=self.recipe.seed)
        return make(targets, found, wanted, seed=self.recipe.seed, reallocate=self._movements)

    def spectra(self) -> None:
        path = self.run.path("spectra.parquet")

        def work() -> None:
            weights = Evidence.load(self.run.path("evidence.safetensors")).weights
            save_spectra(path, layer_table(weights, kinds=kinds_of(self.target_list)))

        self._stage("spectra", [self.run.path("evidence.safetensors")], [path], work)

    def plans(self) -> None:
        for wanted in self.recipe.plan:
            folder = self.run.plan(wanted.name)

            def work(wanted: Any = wanted, folder: Path = folder) -> None:
                if wanted.steps:
                    self._in_steps(wanted, folder)
                    return
                targets = self._targets_of(wanted)
                evidence = Evidence.load(self.run.path("evidence.safetensors"))
                make(targets, evidence, wanted, seed=self.recipe.seed, reallocate=self._movements).save(folder)

            reads = [self.run.path("evidence.safetensors"), self.run.path("targets.json")]
            writes = [folder / "plan.safetensors", folder / "plan.json", *self._start(wanted.name)]
            self._stage(f"plan {wanted.name}", reads, writes, work)

    def _in_steps(self, wanted: PlanRecipe, folder: Path) -> None:
        recipe, dense = self.recipe, self.model(self.reference_state)
        setting = Setting(
            dense, self._targets_of(wanted), self.samples, self.split, recipe.evidence, recipe.recovery, recipe.seed
        )
        plan, network = gradual(setting, wanted, states=folder, epochs_of=self._epochs)
        plan.save(folder)
        save_state(self._start(wanted.name)[0], state_of(network))
        for state in folder.glob("step-*.state.safetensors"):
            state.unlink()

    def bounds(self) -> None:
        """The ladder of each masked pair on the calibration split."""
        for wanted in self.recipe.plan:
            folder = self.run.plan(wanted.name)

            def work(folder: Path = folder) -> None:
                plan = Plan.load(folder)
                shipped = masked_state(self.reference_state, plan)
                self._ladder(shipped, "masked", plan, folder / "masked.ladder.parquet")

            reads = [self.run.path("reference.safetensors"), folder / "plan.safetensors"]
            self._stage(f"ladder of {wanted.name}, masked", reads, [folder / "masked.ladder.parquet"], work)

    def proved(self, road: str, samples: int, radius: float) -> dict[str, ProvedPath]:
        """Plan name -> proven bounds for what it ships, on the first calibration samples."""
        images = self.samples.images(self.split.indices["calibration"][:samples])
        found = {}
        for name in self.names:
            if self.recipe.runs == "onnxruntime":
                raise Usage(f"{self.run.folder}: {name} is an ONNX graph; no segment of weights leads from it to the reference")
            if not self.shipped_file(name).exists():
                raise Usage(f"{self.run.folder}: {name} has no shipped network yet; certify recover makes it")
            found[name] = prove(
                self.network,
                self.reference_state,
                widened(self.shipped_state(name)),
                images,
                road=road,
                radius=radius,
                progress=lambda done, count, name=name: self.progress(f"{name}: sample {done} of {count}", done / count),
            )
        return found

    def recovery(self) -> None:
        """The shipped network of each plan, and its own ladder."""
        for name in self.names:
            folder = self.run.plan(name)

            file = self.shipped_file(name)
            graph = self.recipe.runs == "onnxruntime"

            def ship(name: str = name, file: Path = file, graph: bool = graph) -> None:
                if graph:
                    self._check_graph(Path(self.recipe.shipped))
                    atomic_write(file, read_bytes(Path(self.recipe.shipped)))
                else:
                    save_state(file, self.shipped(name))

            reads = [self.run.path("reference.safetensors")]
            reads += [folder / "plan.safetensors", *self._start(name)] if name != GIVEN else []
            self._stage(f"recovery of {name}", reads, [file], ship)
            if graph:
                continue

            def bound(name: str = name, folder: Path = folder) -> None:
                self._ladder(self.shipped_state(name), self.pair(name).kind, None, folder / "ladder.parquet")

            reads = [self.run.path("reference.safetensors"), file]
            self._stage(f"ladder of {name}, shipped", reads, [folder / "ladder.parquet"], bound)

    def _check_graph(self, path: Path) -> None:
        """Refuse an ONNX file that cannot run on this data, before the certification split is looked at."""
        logits = Graph(path, self.recipe.threads)(self.samples.images(self.split.indices["calibration"][:2]))
        if logits.shape[1] != self._classes():
            raise Refused(f"{path}: returns {logits.shape[1]} logits, {self.recipe.model.name} has {self._classes()}")

    def shipped(self, name: str) -> State:
        """The network a plan ships: the masked one, fine-tuned. Reads the folder and leaves no file but the fit's own state."""
        if name == GIVEN:
            path = Path(self.recipe.shipped)
            network = copy.deepcopy(self.network)
            if self.recipe.runs in HALVES:
                network = network.to(HALVES[self.recipe.runs])
            return state_of(load_state(network, two_four.load(path) if compressed(path) else read_checkpoint(path), str(path)))
        plan = Plan.load(self.run.plan(name))
        masked = masked_state(self.reference_state, plan)
        settings = self._recovery(name)
        start = self._start(name)
        begun = read_checkpoint(start[0]) if start else masked
        if not settings.epochs:
            return begun
        if processes()[0] == 0:
            told(name)
        model = self.deployed(begun)
        state_file = self.run.plan(name, "recovery.state.safetensors")
        fit(
            model,
            self.samples,
            self.split.indices["train"],
            settings,
            seed=self.recipe.seed,
            state=state_file,
            teacher=self.model(self.reference_state),
            masks=masks(plan, masked),
            progress=self._epochs(f"recovery of {name}"),
        )
        if processes()[0] == 0:
            state_file.unlink(missing_ok=True)
        return state_of(model)

    def _ladder(self, shipped: State, kind: str, plan: Plan | None, path: Path) -> None:
        indices = self.split.indices["calibration"]
        count = self.recipe.bounds.samples or len(indices)
        pair = Pair(digest(self.reference_state), digest(shipped), self.recipe.model.name, kind)
        found = ladder(
            self.network,
            self.reference_state,
            widened(shipped),
            self.samples.images(indices[:count]),
            None if self.samples.labels is None else self.samples.labels[list(indices[:count])],
            pair=pair,
            split=self.split.digest("calibration"),
            samples=self.split.samples["calibration"][:count],
            settings=self.recipe.bounds,
            plan=plan,
            targets=self.target_list,
            progress=lambda label, share: self.progress(f"ladder of {path.parent.name}, {kind}: {label}", share),
        )
        broken = found.violations()
        if broken:
            raise Refused(f"ladder of {path.parent.name}, {kind}: {broken[0]}; this contradicts a theorem or its implementation")
        if self.recipe.merge:
            found = replace(found, notes=(MERGING, *found.notes))
        found.save(path)

    def certificates(self) -> None:
        for name in self.names:
            folder = self.run.plan(name)
            path = folder / "certificate.json"
            reads = [self.run.path(*file.split("/")) for file in certified_files(name, self.judged, self.recipe.runs)]

            def work(name: str = name, path: Path = path) -> None:
                certificate(self, name).save(path)

            def check(folder: Path = folder, path: Path = path) -> None:
                found = [verify(path, level=level, data_dir=self._data_dir()).to_json() for level in ("files", "replay")]
                write_json(folder / "verdicts.json", found)

            self._stage(f"certificate of {name}", reads, [path], work)
            self._stage(f"verification of {name}", [path], [folder / "verdicts.json"], check)

    def _data_dir(self) -> Path | None:
        return Path(self.recipe.data.dir) if self.recipe.data.dir else None

    def report(self) -> None:
        path = self.run.path("report.html")
        certified = {file for name in self.names for file in certified_files(name, self.judged, self.recipe.runs)}
        reads = [self.run.path(*file.split("/")) for file in sorted(certified)]
        reads += [self.run.plan(name, file) for name in self.names for file in ("certificate.json", "verdicts.json")]
        self._stage("report", reads, [path], lambda: write_report(self.run) and None)
