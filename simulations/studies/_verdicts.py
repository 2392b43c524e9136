"""Effects over paired seeds, what they decide about registered hypotheses, and sentences that say so."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap, wilcoxon
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from certify.records import Refused
from simulations.engine.study import Study
from simulations.studies._page import Array, Results, shown, table, write
from simulations.studies._protocol import EXPLORATORY, Hypothesis, Protocol, confirmatory, included, protocol_of, seed_values

POWER = 0.9
RESAMPLES = 10_000
POINTS = 100.0


@dataclass(frozen=True)
class Effect:
    """A contrast over seeds. mean, low, high in the outcome's unit; the interval is 95 % BCa over seeds, 10,000 resamples.

    p      : of the paired t-test that the hypothesis names; wilcoxon: exact signed ranks beside it, the same direction.
    d_z    : mean over standard deviation, times the small-sample factor 1 - 3 / (4 n - 5).
    above  : share of seeds above 0.
    """

    seeds: int
    mean: float
    low: float
    high: float
    deviation: float
    p: float
    wilcoxon: float
    d_z: float
    above: float


def effect(values: Array, test: str, margin: float) -> Effect:
    """Mean, interval and tests of one number a seed. Equal values have no spread: the test is then a comparison."""
    n, mean = len(values), float(np.mean(values))
    spread = float(np.std(values, ddof=1)) if n > 1 else math.nan
    if n < 2 or np.ptp(values) == 0.0:
        holds = {"greater": mean > margin, "less": mean < margin, "equivalent": abs(mean) < margin}[test]
        p = (0.0 if holds else 1.0) if n > 1 else math.nan
        return Effect(n, mean, mean, mean, 0.0 if n > 1 else math.nan, p, p, math.nan, float(np.mean(values > 0)))
    resampled = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="BCa", vectorized=True, rng=np.random.default_rng(0)
    ).confidence_interval
    tested: Any = DescrStatsW(values)
    if test == "equivalent":
        p = float(tested.ttost_mean(-margin, margin)[0])
        ranks = max(_ranks(values + margin, "greater"), _ranks(values - margin, "less"))
    else:
        p = float(tested.ttest_mean(margin, alternative={"greater": "larger", "less": "smaller"}[test])[1])
        ranks = _ranks(values - margin, test)
    d_z = mean / spread * (1.0 - 3.0 / (4.0 * n - 5.0))
    return Effect(n, mean, float(resampled.low), float(resampled.high), spread, p, ranks, d_z, float(np.mean(values > 0)))


def _ranks(values: Array, alternative: str) -> float:
    found: Any = wilcoxon(values, alternative=alternative) if np.any(values) else None
    return float(found.pvalue) if found else 1.0


@dataclass(frozen=True)
class Judged:
    """A hypothesis on one network: the effect of its weakest contrast, the p-value after Holm, and what follows."""

    hypothesis: Hypothesis
    effect: Effect
    adjusted: float
    verdict: str


def judge(results: Results, protocol: Protocol) -> list[Judged]:
    """Every hypothesis on the rows of one network, Holm within each family.

    supported    : the adjusted p-value is at most alpha.
    refuted      : the 95 % interval lies on the other side of what is claimed.
    inconclusive : neither.
    """
    found: list[Judged] = []
    for family in dict.fromkeys(each.family for each in protocol.hypotheses):
        members = protocol.family(family)
        weakest = [_weakest(results, each, protocol) for each in members]
        adjusted: Any = multipletests([seen.p for seen in weakest], alpha=protocol.alpha, method="holm")[1]
        for each, seen, p in zip(members, weakest, adjusted, strict=True):
            found.append(Judged(each, seen, float(p), _verdict(each, seen, float(p), protocol.alpha)))
    return found


def _weakest(results: Results, hypothesis: Hypothesis, protocol: Protocol) -> Effect:
    columns = [seed_values(results, contrast, hypothesis.outcome, protocol) for contrast in hypothesis.contrasts]
    if any(len(column) < 2 for column in columns):
        raise Refused(f"{hypothesis.name}: fewer than two seeds have all its arms; finish the sweep first")
    return max((effect(column, hypothesis.test, hypothesis.margin) for column in columns), key=lambda found: found.p)


def _verdict(hypothesis: Hypothesis, found: Effect, adjusted: float, alpha: float) -> str:
    if adjusted <= alpha:
        return "supported"
    margin = hypothesis.margin
    against = {
        "greater": found.high < margin,
        "less": found.low > margin,
        "equivalent": found.low > margin or found.high < -margin,
    }
    return "refuted" if against[hypothesis.test] else "inconclusive"


def detectable(found: Effect, level: float) -> float:
    """Mean beyond the margin that as many seeds of this spread find with probability POWER at `level`, one-sided."""
    if not found.deviation > 0.0:
        return math.nan
    size = TTestPower().solve_power(nobs=found.seeds, alpha=level, power=POWER, alternative="larger")
    return float(size) * found.deviation


def seeds_needed(found: Effect, margin: float, level: float) -> float:
    """Seeds that find a mean as far from the margin as the one seen with probability POWER at `level`; inf where it is on it."""
    distance = abs(found.mean - margin)
    if not found.deviation > 0.0 or distance == 0.0:
        return math.inf
    need = TTestPower().solve_power(effect_size=distance / found.deviation, alpha=level, power=POWER, alternative="larger")
    return float(np.ceil(need))


def sentence(judged: Judged, protocol: Protocol, scale: float = 100.0, unit: str = "points") -> str:
    """A verdict with effect, interval, corrected p-value, and what would change it."""
    found, hypothesis = judged.effect, judged.hypothesis
    claimed = _claimed(hypothesis, scale)
    least = detectable(found, protocol.alpha / len(protocol.family(hypothesis.family))) * scale
    mean, low, high = (f"{value * scale:+.{2 if scale == POINTS else 3}f}" for value in (found.mean, found.low, found.high))
    parts = [
        f"**{hypothesis.name}, {judged.verdict}.** {hypothesis.says} Mean {mean} {unit}",
        f"(95 % interval {low} to {high}; claimed: {claimed});",
        f"p {_p(found.p)}, after Holm {_p(judged.adjusted)}, signed ranks {_p(found.wilcoxon)}; d_z {shown(found.d_z)};",
        f"above 0 on {100 * found.above:.0f} % of {found.seeds} seeds.",
    ]
    if math.isfinite(least) and hypothesis.test != "equivalent":
        parts.append(f"With this spread a mean {least:.2g} {unit} beyond the claim's edge is found with probability {POWER:g}.")
    return " ".join([*parts, _change(judged, protocol, claimed, unit)])


def _claimed(hypothesis: Hypothesis, scale: float) -> str:
    words = {"greater": "above ", "less": "below ", "equivalent": "within ±"}
    return f"{words[hypothesis.test]}{hypothesis.margin * scale:g}"


def _change(judged: Judged, protocol: Protocol, claimed: str, unit: str) -> str:
    """What would change a verdict."""
    found, hypothesis = judged.effect, judged.hypothesis
    if judged.verdict == "supported":
        return "Fresh seeds whose interval leaves the claimed range would change this."
    if judged.verdict == "refuted":
        return f"A mean {claimed} {unit} on fresh seeds would change this."
    if hypothesis.test == "equivalent":
        return "More seeds would move the interval into the margin or out of it."
    if (found.mean > hypothesis.margin) != (hypothesis.test == "greater"):
        return "The mean lies on the other side of the claim, which the interval does not exclude; more seeds would decide."
    need = seeds_needed(found, hypothesis.margin, protocol.alpha / len(protocol.family(hypothesis.family)))
    return f"About {need:g} seeds would find an effect of the size seen." if math.isfinite(need) else "More seeds would decide."


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "below 1e-4" if value < 1e-4 else f"{value:.3g}"


def judged_table(rows: Sequence[Judged], scale: float = 100.0) -> list[str]:
    """One line a hypothesis."""
    head = ("", "verdict", "mean", "low", "high", "p", "p after Holm", "signed ranks", "d_z", "seeds")
    return table(
        head,
        [
            (
                each.hypothesis.name,
                each.verdict,
                *(value * scale for value in (each.effect.mean, each.effect.low, each.effect.high)),
                *(_p(value) for value in (each.effect.p, each.adjusted, each.effect.wilcoxon)),
                each.effect.d_z,
                each.effect.seeds,
            )
            for each in rows
        ],
    )


def networks(results: Results, protocol: Protocol) -> list[str]:
    """Those in the results: the judged ones first."""
    found = set(results["network"])
    return [
        name for name in (*protocol.primary, *(each for each in protocol.seeds if each not in protocol.primary)) if name in found
    ]


def confirmatory_lines(
    results: Results, protocol: Protocol, units: Mapping[str, tuple[float, str]] | None = None, about: str = "Points of accuracy."
) -> list[str]:
    """What was registered: a verdict and a sentence for each hypothesis, network by network.

    units : outcome -> (factor, unit) where it is not accuracy in points.
    """
    lines = [f"> {protocol.claim.strip()}", "", f"Protocol `{protocol.digest}`, frozen before these cells were computed.", ""]
    for network in (name for name in networks(results, protocol) if name in protocol.primary):
        rows, out = included(results.where(network=network), protocol)
        judged = judge(rows, protocol)
        word = protocol.verdict({each.hypothesis.name: each.verdict for each in judged})
        lines += [f"## {network}: {word}", "", *(f"Seed {seed} is left out: {why}." for seed, why in sorted(out.items()))]
        lines += [about, "", *judged_table(judged, POINTS)]
        for each in judged:
            scale, unit = (units or {}).get(each.hypothesis.outcome, (POINTS, "points"))
            lines += [sentence(each, protocol, scale, unit), ""]
    return lines


def registered_page(
    study: Study,
    results: Results,
    folder: Path,
    protocol_path: Path,
    title: str,
    secondary: Callable[[Results, Protocol], list[str]],
    draw: Callable[[Any, Results, Protocol], None],
    **confirmed: Any,
) -> list[Path]:
    """Page and picture of a registered study: what its protocol decides first, then `secondary`. Exploratory results get
    `secondary` alone, in a folder of their own.

    confirmed : further arguments of `confirmatory_lines`.
    """
    protocol = protocol_of(results, protocol_path)
    if set(results["protocol"]) == {EXPLORATORY}:
        folder, title = folder / EXPLORATORY, f"{title}: exploratory runs"
        lines = ["Seeds below 100, looked at while the study was built. Nothing here supports a claim.", ""]
    else:
        lines, title = confirmatory_lines(confirmatory(results, protocol), protocol, **confirmed), f"{title}: a registered test"
    lines += secondary(results, protocol)
    return write(study, results, folder, title, lines, lambda figure, rows: draw(figure, rows, protocol), (12.0, 7.0))


def mixed_terms(rows: Results, formula: str, columns: Mapping[str, Array]) -> tuple[list[tuple[str, float, float, float]], bool]:
    """(term, points, standard error, p) of a linear model with a random intercept of a seed, and whether its fit converged."""
    import pandas
    from statsmodels.formula.api import mixedlm

    frame = pandas.DataFrame({name: rows[name] for name in ("test", "arm", "sparsity", "seed")} | dict(columns))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance at its edge is said by the second value
        fitted: Any = mixedlm(formula, frame, groups=frame["seed"]).fit()
    names = fitted.params.index
    terms = [
        (str(name), value * POINTS, error * POINTS, float(p))
        for name, value, error, p in zip(names, fitted.params, fitted.bse, fitted.pvalues, strict=True)
    ]
    return terms, bool(fitted.converged)
