"""The stages that look at the certification split: outcomes, guarantees, the choice of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certify.bounds import measure
from certify.data.register import look, register_path
from certify.networks.ceilings import loss_ceiling
from certify.networks.running import arithmetic
from certify.pipeline.certificate import JUDGED_FILES
from certify.pipeline.workspace import Workspace
from certify.records import Outcomes, Plan, Usage
from certify.records.files import write_json
from certify.records.hashing import sha256_json
from certify.risk import check_split, guarantee
from certify.risk.choice import choose


class Guaranteeing(Workspace):
    """What is said of the population, and of which plan."""

    def check_statements(self) -> None:
        """Refuse a statement that this architecture cannot carry, before anything is trained or looked at."""
        if "ce_increase" in self.recipe.guarantees.statements and loss_ceiling(self.network) is None:
            raise Usage(
                f"ce_increase: {self.recipe.model.name} does not end in a LayerNorm and a linear head as timm's "
                "VisionTransformer does, so nothing bounds the loss of a sample beforehand; leave the statement out"
            )

    def _ceilings(self, name: str) -> tuple[float, float] | None:
        found = [loss_ceiling(self.model(state)) for state in (self.reference_state, self.shipped_state(name))]
        return None if None in found else (found[0], found[1])  # type: ignore[return-value]

    def guarantees(self) -> None:
        """One look at the certification split for all pairs of the job; then the statements and the choice, sharing one delta."""
        settings = self.recipe.guarantees
        check_split(len(self.split.indices["certification"]))
        self.check_statements()
        family = [[self.pair(name).to_json(), statement] for name in self.names for statement in settings.statements]
        decided: dict[str, Any] = {"family": family, "delta": settings.delta}
        if self.recipe.merge:
            decided["merge"] = list(self.recipe.merge)
        if settings.choose is not None:
            decided["choose"] = settings.to_json()["choose"]
        register = register_path(self.recipe.data, self.run.folder)
        looks = look(register, self.split.digest("certification"), sha256_json(decided), settings.delta, settings.share)
        for name in self.names:
            folder = self.run.plan(name)

            def watch(name: str = name, folder: Path = folder) -> None:
                self._outcomes(name).save(folder / "outcomes.parquet")

            reads = [self.run.path("reference.safetensors"), self.shipped_file(name), self.run.path("splits.json")]
            self._stage(f"outcomes of {name}", reads, [folder / "outcomes.parquet"], watch)

            def state(name: str = name, folder: Path = folder) -> None:
                found = guarantee(
                    Outcomes.load(folder / "outcomes.parquet"),
                    statements=settings.statements,
                    delta=settings.delta,
                    family=len(family),
                    groups=self.split.groups,
                    looks=looks,
                    spent=settings.spent,
                    shift=settings.shift,
                    ceilings=self._ceilings(name) if "ce_increase" in settings.statements else None,
                )
                write_json(
                    folder / "guarantee.json",
                    {
                        "guarantees": [entry.to_json() for entry in found],
                        "looks": looks,
                        "split": self.split.digest("certification"),
                    },
                )

            self._stage(f"guarantees of {name}", [folder / "outcomes.parquet"], [folder / "guarantee.json"], state)
        self._choice()

    def _choice(self) -> None:
        settings = self.recipe.guarantees
        wanted = settings.choose
        if wanted is None:
            return
        path = self.run.path("choice.json")

        def work() -> None:
            plans = {name: Plan.load(self.run.plan(name)) for name in self.names}
            found = choose(
                {name: Outcomes.load(self.run.plan(name, "outcomes.parquet")) for name in self.names},
                {name: plan.removed / plan.total for name, plan in plans.items()},
                wanted,
                alpha=settings.alpha,
                delta=settings.delta,
            )
            write_json(path, found.to_json())

        self._stage("choice", [self.run.plan(name, file) for name in self.names for file in JUDGED_FILES], [path], work)

    def _outcomes(self, name: str) -> Outcomes:
        indices = self.split.indices["certification"]
        networks = (self.model(self.reference_state), self.shipped_network(name))
        logits = measure(networks, self.samples.images, indices)
        return Outcomes(
            pair=self.pair(name),
            split=self.split.digest("certification"),
            samples=self.split.samples["certification"],
            labels=None if self.samples.labels is None else self.samples.labels[list(indices)],
            reference=logits[0],
            shipped=logits[1],
            arithmetic=arithmetic(self.recipe.runs, self.recipe.threads, self.recipe.merge),
        )
