"""What a reader takes away from one plan: a paragraph, a few large numbers, the guarantees in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from certify.records import Guarantee
from certify.records.recipe import PlanRecipe
from certify.report.contents import PlanContents
from certify.report.formats import NOT_HERE, confidence, listing, percent, points, short, whole
from certify.report.tables import STATEMENT, limit_in_words

VACUOUS = "VACUOUS"
PASSED = "passed"
METHOD = {"magnitude": "magnitude (the smallest weights)"}
KIND = {
    "masked": "the masked network, not retrained",
    "recovered": "the pruned network after a short fine-tuning that kept every removed weight at zero",
    "given": "a checkpoint given to the job",
}


@dataclass(frozen=True)
class Figure:
    """One large number: what it is, the number, and what it was computed from."""

    label: str
    value: str
    detail: str
    mood: str = ""


@dataclass(frozen=True)
class Summary:
    """The head of one plan."""

    name: str
    paragraph: str
    figures: tuple[Figure, ...]
    sentences: tuple[tuple[str, bool], ...]
    problems: tuple[str, ...]


def summarise(contents: PlanContents, recipe: PlanRecipe | None) -> Summary:
    """The head of one plan, from whatever of its records exist."""
    guarantees = contents.guarantees.value or ()
    state, verification = _verification([entry for entry in contents.verdicts.value or () if not contents.is_stale(entry)])
    figures = [_removed(contents), *_outcomes(contents), *map(_guaranteed, guarantees)]
    mood = "good" if state == PASSED else "warn"
    return Summary(
        name=contents.name,
        paragraph=_paragraph(contents, recipe),
        figures=(*figures, Figure("Verification", state, verification, mood)),
        sentences=tuple((entry.sentence.removeprefix(f"{VACUOUS}: "), entry.vacuous) for entry in guarantees),
        problems=tuple(contents.problems()),
    )


def _removed(contents: PlanContents) -> Figure:
    plan = contents.plan.value
    if plan is None:
        return Figure("Weights removed", "–", "The plan cannot be read." if contents.plan.broken else f"A plan is {NOT_HERE}.")
    detail = f"{whole(plan.removed)} of {whole(plan.total)} weights in {whole(len(plan.edits))} matrices"
    return Figure("Weights removed", percent(plan.removed / plan.total), detail)


def _outcomes(contents: PlanContents) -> list[Figure]:
    outcomes = contents.outcomes.value
    if outcomes is None:
        return [Figure("Held-out results", "–", f"Outcomes are {NOT_HERE}.")]
    counts = outcomes.counts()
    samples = counts["samples"]
    detail = f"{whole(counts['disagreements'])} of {whole(samples)} decisions differ"
    found = [Figure("Disagreement observed", percent(counts["disagreements"] / samples), detail)]
    if outcomes.labels is None:
        return [*found, Figure("Accuracy", "–", "The samples carry no labels.")]
    before, after = counts["correct_reference"], counts["correct_shipped"]
    value = f"{percent(before / samples)} → {percent(after / samples)}"
    lost = f"{whole(counts['losses'])} lost, {whole(counts['gains'])} gained"
    return [Figure("Accuracy", value, f"{whole(before)} → {whole(after)} of {whole(samples)}; {lost}"), *found]


def _guaranteed(entry: Guarantee) -> Figure:
    said = f"at confidence {confidence(entry.delta)}, for all {whole(entry.family)} statements of the job together"
    label = f"{STATEMENT.get(entry.statement, entry.statement)} guaranteed"
    if entry.vacuous:
        return Figure(label, VACUOUS, f"The limit {limit_in_words(entry)} excludes nothing.", "bad")
    return Figure(label, f"≤ {limit_in_words(entry)}", said)


def _verification(verdicts: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Whether a recheck is on record, in one word and in one sentence. A verdict exists only when nothing was refused."""
    if not verdicts:
        return "none", "No verdict is part of this run; recheck it with certify verify."
    done: dict[str, bool] = {}
    for verdict in verdicts:
        for check in verdict["checks"]:
            done[check["name"]] = done.get(check["name"], False) or bool(check["done"])
    missed = [name for name, was_done in done.items() if not was_done]
    levels = [verdict["level"] for verdict in verdicts]
    made = f"{whole(len(done) - len(missed))} of {whole(len(done))} checks made"
    words = f"{'level' if len(levels) == 1 else 'levels'} {listing(levels)}, {made}"
    return PASSED, f"{words}; not made: {listing(missed)}." if missed else f"{words}."


def _paragraph(contents: PlanContents, recipe: PlanRecipe | None) -> str:
    said = []
    plan, outcomes, pair = contents.plan.value, contents.outcomes.value, contents.pair
    if plan is not None:
        wish = f", pattern {plan.pattern}" if plan.pattern else ""
        wish += f", wanted share {percent(plan.sparsity)}" if plan.sparsity is not None else ""
        share = f"{whole(plan.removed)} of {whole(plan.total)} weights ({percent(plan.removed / plan.total)})"
        said.append(f"Plan {contents.name} sets {share} to zero by {METHOD.get(plan.method, plan.method)}{wish}.")
    elif recipe is not None:
        said.append(f"Plan {contents.name} asks for {recipe.method} pruning; its masks are {NOT_HERE}.")
    if pair is not None:
        said.append(f"What is shipped is {KIND.get(pair.kind, pair.kind)} ({short(pair.shipped)}).")
    if outcomes is not None:
        counts = outcomes.counts()
        samples, agreed = counts["samples"], counts["samples"] - counts["disagreements"]
        result = (
            f"On {whole(samples)} samples kept aside for this purpose it decides {whole(agreed)} as the reference network does"
        )
        if outcomes.labels is not None:
            moved = (counts["correct_shipped"] - counts["correct_reference"]) / samples
            result += f", and its accuracy moves by {points(moved)}"
        said.append(f"{result}.")
    if not contents.guarantees.value:
        said.append("No guarantee was issued.")
    elif all(entry.vacuous for entry in contents.guarantees.value):
        said.append("Nothing useful is guaranteed: every limit is vacuous.")
    else:
        said.append("What that means for new samples of the same population stands below.")
    return " ".join(said)
