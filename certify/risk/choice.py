"""A plan chosen on the certification split, from the outcomes of all plans of the job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from certify.records import LABELLED, Choice, Outcomes, Refused, Usage
from certify.records.guaranteeing import ChooseRecipe
from certify.risk import check_split
from certify.risk.betting import drop_p_value
from certify.risk.choosing import fixed_sequence, graph, holm, largest, rate_p_value
from certify.risk.words import confidence, percent

CLAIM = {"disagreement": "B1-clopper-pearson", "accuracy_drop": "B4-betting-drop"}
RISK = {"disagreement": "a disagreement rate", "accuracy_drop": "an accuracy drop"}
ORDER = {
    "fixed-sequence": "tested in the order of the recipe, each in full",
    "holm": "tested by Holm's step-down",
    "graph": "tested along the graph of the recipe",
}


def choose(
    outcomes: Mapping[str, Outcomes], scores: Mapping[str, float], settings: ChooseRecipe, *, alpha: float, delta: float
) -> Choice:
    """The plan of the largest score among those shown to have a risk below the level.

        P(some plan that passes has a risk >= level) <= alpha

    outcomes : plan -> outcomes on one certification split, in the order of the recipe.
    scores   : plan -> what is preferred, fixed before the split was looked at.
    alpha    : family-wise error probability of the choice; delta : of the job, for the sentence.
    p-values: exact binomial for disagreement, the betting portfolio for the accuracy drop. What cannot be decided does not
    pass; where nothing passes nothing is chosen.
    Claims B5-graph, and B1-clopper-pearson or B4-betting-drop.
    """
    if settings.statement in LABELLED and any(each.labels is None for each in outcomes.values()):
        raise Usage(f"choice: {settings.statement} needs labels; choose by disagreement")
    splits = {each.split for each in outcomes.values()}
    if len(splits) != 1:
        raise Refused(f"choice: outcomes of {len(splits)} splits; all plans are judged on one")
    for each in outcomes.values():
        check_split(each.size)
    names = list(outcomes)
    counts = {name: _counts(outcomes[name], settings.statement) for name in names}
    p = [_p_value(counts[name], settings, alpha) for name in names]
    weights, transitions = settings.graph(len(names)) if settings.procedure == "graph" else ((), ())
    passed = _procedure(np.array(p), settings.procedure, weights, transitions, alpha)
    best = largest([scores[name] for name in names], passed)
    rows = [
        {
            "plan": name,
            "shipped": outcomes[name].pair.shipped,
            "counts": counts[name],
            "p_value": value,
            "score": scores[name],
            "passed": bool(fell),
        }
        for name, value, fell in zip(names, p, passed, strict=True)
    ]
    chosen = None if best is None else names[best]
    return Choice(
        statement=settings.statement,
        level=settings.level,
        procedure=settings.procedure,
        prefer=settings.prefer,
        alpha=alpha,
        split=splits.pop(),
        plans=tuple(rows),
        weights=weights,
        transitions=transitions,
        chosen=chosen,
        claims=("B5-graph", CLAIM[settings.statement]),
        assumptions=(
            "future images are drawn independently from the population the certification split was drawn from",
            "all plans, their order, the allowed risk and the procedure were fixed before the certification split was looked at",
        ),
        sentence=_sentence(rows, chosen, settings, alpha, delta),
    )


def _counts(outcomes: Outcomes, statement: str) -> dict[str, int]:
    found = outcomes.counts()
    return {key: found[key] for key in ("samples", *(("disagreements",) if statement == "disagreement" else ("losses", "gains")))}


def _p_value(counts: Mapping[str, int], settings: ChooseRecipe, alpha: float) -> float:
    if settings.statement == "disagreement":
        return rate_p_value(counts["disagreements"], counts["samples"], settings.level)
    return drop_p_value(counts["losses"], counts["gains"], counts["samples"], settings.level, alpha)


def _procedure(p: np.ndarray, name: str, weights: Any, transitions: Any, alpha: float) -> np.ndarray:
    if name == "graph":
        return graph(p, weights, transitions, alpha)
    return holm(p, alpha) if name == "holm" else fixed_sequence(p, alpha)


def _sentence(rows: list[dict[str, Any]], chosen: str | None, settings: ChooseRecipe, alpha: float, delta: float) -> str:
    passed = [row["plan"] for row in rows if row["passed"]]
    below = f"{RISK[settings.statement]} below {percent(settings.level)}"
    tested = f"{len(rows)} plan{'s' if len(rows) != 1 else ''} {ORDER[settings.procedure]}"
    error = f"family-wise error at most {alpha:.6g}, within the confidence {confidence(delta)} of the job"
    where = f"on images drawn like the certification split ({error})"
    if chosen is None:
        return f"No plan is chosen: of {tested}, none was shown to have {below} {where}."
    score = next(row["score"] for row in rows if row["plan"] == chosen)
    best = f"plan {chosen}, of the largest {settings.prefer} ({percent(score)}) among those that pass: {', '.join(passed)}"
    return f"Chosen: {best}. Of {tested}, these were shown to have {below} {where}."
