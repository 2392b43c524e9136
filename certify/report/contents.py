"""What a run folder holds, each file read or its absence put into words. Nothing here decides how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from certify.records import (
    Certificate,
    CertifyError,
    Choice,
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
    load_spectra,
)
from certify.records.files import read_json
from certify.records.hashing import sha256_file
from certify.records.networks import DIGEST
from certify.report.formats import NOT_HERE, short

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """One file of a run: its value, or in `note` why there is none. `broken` when the file is there and unreadable."""

    value: T | None = None
    note: str = NOT_HERE
    broken: bool = False


@dataclass(frozen=True)
class PlanContents:
    """One plan of the run, or the given pair of a comparison."""

    name: str
    plan: Part[Plan]
    masked: Part[Ladder]
    ladder: Part[Ladder]
    outcomes: Part[Outcomes]
    guarantees: Part[tuple[Guarantee, ...]]
    looks: int | None
    certificate: Part[Certificate]
    certificate_names: tuple[str, ...]
    verdicts: Part[tuple[Mapping[str, Any], ...]]

    @property
    def pair(self) -> Pair | None:
        """The shipped pair, from the first record that names it."""
        for record in (self.certificate.value, self.ladder.value, self.outcomes.value):
            if record is not None:
                return record.pair
        return self.guarantees.value[0].pair if self.guarantees.value else None

    def ladders(self) -> tuple[tuple[str, Ladder], ...]:
        """The ladders there are, each with the name of its pair, masked first."""
        kind = self.ladder.value.pair.kind if self.ladder.value is not None else ""
        found = (("masked", self.masked.value), ("shipped" if kind == "masked" else kind, self.ladder.value))
        return tuple((kind, ladder) for kind, ladder in found if ladder is not None)

    def is_stale(self, verdict: Mapping[str, Any]) -> bool:
        """True when a verdict names, by digest, another certificate than the one in the folder."""
        named = verdict["certificate"]
        return bool(self.certificate_names and DIGEST.fullmatch(named) and named not in self.certificate_names)

    def problems(self) -> list[str]:
        """Everything about these files that does not fit together, one sentence each."""
        parts = {
            "plan": self.plan,
            "masked.ladder.parquet": self.masked,
            "ladder.parquet": self.ladder,
            "outcomes.parquet": self.outcomes,
            "guarantee.json": self.guarantees,
            "certificate.json": self.certificate,
            "verdicts.json": self.verdicts,
        }
        found = [f"{name} cannot be used: {part.note}" for name, part in parts.items() if part.broken]
        records = [("ladder.parquet", self.ladder.value), ("outcomes.parquet", self.outcomes.value)]
        records += [(f"the {entry.statement} guarantee", entry) for entry in self.guarantees.value or ()]
        pair = self.pair
        for name, record in records:
            if pair is not None and record is not None and record.pair != pair:
                found.append(
                    f"{name} speaks of the shipped network {short(record.pair.shipped)}, "
                    f"the other files of {short(pair.shipped)}; it says nothing about the latter"
                )
        if pair is not None and self.plan.value is not None and self.plan.value.reference != pair.reference:
            found.append(
                f"the plan was made for the reference network {short(self.plan.value.reference)}, not for {short(pair.reference)}"
            )
        for ladder in (self.masked.value, self.ladder.value):
            found += [f"ladder: {sentence}" for sentence in (ladder.violations() if ladder is not None else ())]
        for verdict in self.verdicts.value or ():
            if self.is_stale(verdict):
                found.append(
                    f"the verdict of level {verdict['level']} names the certificate {short(verdict['certificate'])}, "
                    "which is not the one in this folder; verify again"
                )
        return found


@dataclass(frozen=True)
class Contents:
    """Everything the report speaks of."""

    recipe: Part[Recipe]
    recipe_text: str
    environment: Part[Mapping[str, Any]]
    splits: Part[Splits]
    reference: Part[Mapping[str, Any]]
    targets: Part[tuple[Target, ...]]
    spectra: Part[tuple[Spectrum, ...]]
    choice: Part[Choice]
    plans: tuple[PlanContents, ...]


def read(run: Run) -> Contents:
    """Read the folder of a run. A missing or broken file is a note, never an exception."""
    recipe = _part(run, run.path("recipe.toml"), lambda path: Recipe.load(path))
    if recipe.value is not None:
        names = [plan.name for plan in recipe.value.plan] or ["given"]
    else:
        names = sorted(entry.name for entry in run.path("plans").glob("*") if entry.is_dir())
    text = _part(run, run.path("recipe.toml"), lambda path: path.read_text(encoding="utf-8"))
    return Contents(
        recipe=recipe,
        recipe_text=text.value or "",
        environment=_part(run, run.path("env.json"), _mapping),
        splits=_part(run, run.path("splits.json"), lambda path: Splits.from_json(read_json(path))),
        reference=_part(run, run.path("reference.json"), _mapping),
        targets=_part(run, run.path("targets.json"), lambda path: tuple(map(Target.from_json, read_json(path)))),
        spectra=_part(run, run.path("spectra.parquet"), load_spectra),
        choice=_part(run, run.path("choice.json"), lambda path: Choice.from_json(read_json(path))),
        plans=tuple(_plan(run, name) for name in names),
    )


def _plan(run: Run, name: str) -> PlanContents:
    def at(file: str, load: Callable[[Path], T]) -> Part[T]:
        return _part(run, run.plan(name, file), load)

    looks = at("guarantee.json", lambda path: int(read_json(path)["looks"]))
    certificate = at("certificate.json", Certificate.load)
    names = ()
    if certificate.value is not None:
        names = (certificate.value.content_hash, sha256_file(run.plan(name, "certificate.json")))
    guarantees = at("guarantee.json", _guarantees)
    if guarantees.value is None and not guarantees.broken and certificate.value is not None:
        guarantees = Part(certificate.value.guarantees, "")
    return PlanContents(
        name=name,
        plan=at("plan.json", lambda path: Plan.load(path.parent)),
        masked=at("masked.ladder.parquet", Ladder.load),
        ladder=at("ladder.parquet", Ladder.load),
        outcomes=at("outcomes.parquet", Outcomes.load),
        guarantees=guarantees,
        looks=looks.value,
        certificate=certificate,
        certificate_names=names,
        verdicts=at("verdicts.json", _verdicts),
    )


def _part(run: Run, path: Path, load: Callable[[Path], T]) -> Part[T]:
    """Load one file. Paths in a refusal are cut to the run folder, so that a moved run gives the same page."""
    if not path.is_file():
        return Part()
    try:
        return Part(load(path), "")
    except (CertifyError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        sentence = str(error) if isinstance(error, CertifyError) else f"{path.name}: not the expected record ({error!r})"
        return Part(None, sentence.replace(f"{run.folder}/", ""), broken=True)


def _mapping(path: Path) -> Mapping[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise TypeError("an object was expected")
    return value


def _guarantees(path: Path) -> tuple[Guarantee, ...]:
    return tuple(Guarantee.from_json(entry) for entry in read_json(path)["guarantees"])


def _verdicts(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The verdicts, each with every key the page asks for."""
    return tuple(
        {
            "level": str(entry["level"]),
            "certificate": str(entry["certificate"]),
            "checks": [{key: check[key] for key in ("name", "done", "detail")} for check in entry["checks"]],
            "requirements": dict(entry.get("requirements", {})),
        }
        for entry in read_json(path)
    )
