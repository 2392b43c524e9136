"""The choice of a plan, from the raw outcomes of every plan it was made among."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from certify.records import Check, Choice, Outcomes, Plan, Refused
from certify.records.guaranteeing import ChooseRecipe
from certify.records.hashing import canonical_json
from certify.verifier.files import Reread, finite_json
from certify.verifier.guarantees import NEEDED, counts, says
from certify.verifier.limits import drop_tail, rate_tail

RELATIVE = 1e-8
# A pair of arrows that hand everything back and forth, up to float64 rounding.
LOOP = Fraction(1, 10**12)


def check_choice(found: Reread) -> tuple[Check, ...]:
    """Refuse a choice that does not follow from the outcomes, or that the recipe does not ask for, or asks for in vain."""
    wanted, stated = found.recipe.guarantees.choose, found.certificate.about.get("choice")
    if wanted is None:
        if stated is not None:
            raise Refused("choice: the certificate states one, the recipe asks for none")
        return ()
    if stated is None:
        raise Refused("choice: the recipe asks for one, the certificate states none")
    choice, names = Choice.from_json(stated), [plan.name for plan in found.recipe.plan]
    needed = ["choice.json", *(f"plans/{name}/{file}" for name in names for file in ("outcomes.parquet", "plan.json"))]
    for key in needed:
        if key not in found.certificate.files:
            raise Refused(f"certificate: does not name {key}, which its choice rests on")
    path = found.folder / "choice.json"
    if canonical_json(finite_json(path)) != canonical_json(choice.to_json()):
        raise Refused(f"{path}: is not the choice of the certificate")
    _check_settings(choice, wanted, found, names)
    p_values, scores = _plans(choice, wanted, found, names)
    passed = passes(p_values, choice, choice.alpha)
    for row, name, fell in zip(choice.plans, names, passed, strict=True):
        if row["passed"] is not fell:
            raise Refused(
                f"choice: {name} is said to {'pass' if row['passed'] else 'fail'}, {choice.procedure} gives the opposite"
            )
    best = max((score for score, fell in zip(scores, passed, strict=True) if fell), default=None)
    expected = None if best is None else next(n for n, s, fell in zip(names, scores, passed, strict=True) if fell and s == best)
    if choice.chosen != expected:
        raise Refused(f"choice: {choice.chosen or 'no plan'} is chosen, the rule gives {expected or 'none'}")
    opening = "No plan is chosen" if expected is None else f"Chosen: plan {expected},"
    if not choice.sentence.startswith(opening) or not says(choice.sentence, choice.level):
        raise Refused(f"choice: its sentence does not say what follows: {choice.sentence!r}")
    said = f"{sum(passed)} of {len(names)} plans pass {choice.procedure} at {choice.alpha:g}, chosen: {expected or 'none'}"
    return (Check("choice", True, f"recomputed from the logits of all plans, as their own certificates state them: {said}"),)


def _check_settings(choice: Choice, wanted: ChooseRecipe, found: Reread, names: Sequence[str]) -> None:
    """What was to be fixed beforehand is what the recipe says."""
    for key in ("statement", "level", "procedure", "prefer"):
        if getattr(choice, key) != getattr(wanted, key):
            raise Refused(f"choice: {key} is {getattr(choice, key)!r}, the recipe says {getattr(wanted, key)!r}")
    graph = wanted.graph(len(names)) if wanted.procedure == "graph" else ((), ())
    if (choice.weights, choice.transitions) != graph:
        raise Refused("choice: its weights and transitions are not those of the recipe")
    for what, alpha in (
        ("the recipe", found.recipe.guarantees.alpha),
        ("the family", found.certificate.about["family"]["choice"]),
    ):
        if choice.alpha != alpha:
            raise Refused(f"choice: spends {choice.alpha!r}, {what} gives it {alpha!r}")
    if [row["plan"] for row in choice.plans] != list(names):
        raise Refused(f"choice: is among {', '.join(row['plan'] for row in choice.plans)}; the recipe has {', '.join(names)}")
    if choice.split != found.splits.digest("certification"):
        raise Refused(f"choice: of split {choice.split[:12]}, which is not the certification split")
    missing = set(choice.claims) - set(found.certificate.claims)
    if missing:
        raise Refused(f"certificate: its claims leave out {', '.join(sorted(missing))}, on which the choice rests")


def _plans(choice: Choice, wanted: ChooseRecipe, found: Reread, names: Sequence[str]) -> tuple[list[float], list[float]]:
    """p-value and score of every plan; each row of the choice states them."""
    p_values, scores = [], []
    for row, name in zip(choice.plans, names, strict=True):
        folder = found.folder / "plans" / name
        outcomes, plan = Outcomes.load(folder / "outcomes.parquet"), Plan.load(folder)
        _same_samples(name, outcomes, found)
        if plan.name != name or plan.reference != found.certificate.pair.reference:
            raise Refused(f"choice: plan.json of {name} is of plan {plan.name} for network {plan.reference[:12]}")
        raw = counts(outcomes)
        tallied = {key: raw[key] for key in NEEDED[wanted.statement]}
        score = float(Fraction(plan.removed, plan.total))
        p = _p_value(tallied, wanted, choice.alpha)
        expected = {"plan": name, "shipped": outcomes.pair.shipped, "counts": tallied, "score": score}
        told = {key: value for key, value in row.items() if key not in ("p_value", "passed")}
        if canonical_json(told) != canonical_json(expected):
            raise Refused(f"choice: states {told}, the files of {name} give {expected}")
        if not isinstance(row["p_value"], float) or not abs(row["p_value"] - p) <= RELATIVE * p:
            raise Refused(f"choice: states the p-value {row['p_value']!r} of {name}, its counts give {p!r}")
        p_values.append(p)
        scores.append(score)
    return p_values, scores


def _same_samples(name: str, outcomes: Outcomes, found: Reread) -> None:
    """All plans are judged on one split, against one reference, by one set of labels."""
    mine = found.outcomes
    if (outcomes.split, outcomes.samples) != (mine.split, mine.samples):
        raise Refused(f"choice: the outcomes of {name} are not of the certification split")
    if outcomes.pair.reference != mine.pair.reference or (name == found.name and outcomes.pair != mine.pair):
        raise Refused(f"choice: the outcomes of {name} are of the reference {outcomes.pair.reference[:12]}")
    if not np.array_equal(outcomes.reference.argmax(axis=1), mine.reference.argmax(axis=1)):
        raise Refused(f"choice: the reference decides differently in the outcomes of {name}")
    if (outcomes.labels is None) != (mine.labels is None) or not np.array_equal(outcomes.labels, mine.labels):  # type: ignore[arg-type]
        raise Refused(f"choice: the outcomes of {name} have other labels")


def _p_value(tallied: Mapping[str, int], wanted: ChooseRecipe, alpha: float) -> float:
    n = tallied["samples"]
    if wanted.statement == "disagreement":
        return rate_tail(tallied["disagreements"], n, wanted.level)
    return drop_tail(tallied["losses"], tallied["gains"], n, wanted.level, alpha)


def passes(p_values: Sequence[float], choice: Any, alpha: float) -> list[bool]:
    """Which plans pass, in exact arithmetic: the run from the first on, Holm by adjusted p-values, the graph from the last up."""
    p, budget = [Fraction(value) for value in p_values], Fraction(alpha)
    if choice.procedure == "fixed-sequence":
        first = next((index for index, value in enumerate(p) if value > budget), len(p))
        return [index < first for index in range(len(p))]
    if choice.procedure == "holm":
        order, adjusted, passed = sorted(range(len(p)), key=lambda index: p[index]), Fraction(0), [False] * len(p)
        for place, index in enumerate(order):
            adjusted = max(adjusted, (len(p) - place) * p[index])
            passed[index] = adjusted <= budget
        return passed
    return _graph(p, [Fraction(w) for w in choice.weights], [[Fraction(g) for g in row] for row in choice.transitions], budget)


def _graph(p: Sequence[Fraction], weights: list[Fraction], arrows: list[list[Fraction]], budget: Fraction) -> list[bool]:
    """The graph of Bretz et al., the last plan that can fall first."""
    left = set(range(len(p)))
    while falling := [i for i in left if weights[i] > 0 and p[i] <= weights[i] * budget]:
        i = max(falling)
        left.remove(i)
        for j in left:
            weights[j] += weights[i] * arrows[i][j]
        fresh = [row[:] for row in arrows]
        for j in left:
            loop = arrows[j][i] * arrows[i][j]
            for k in left - {j}:
                through = arrows[j][k] + arrows[j][i] * arrows[i][k]
                fresh[j][k] = through / (1 - loop) if loop < 1 - LOOP else Fraction(0)
        arrows = fresh
    return [index not in left for index in range(len(p))]
