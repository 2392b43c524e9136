"""Hypotheses written down before the runs that test them: read from TOML, judged on paired seeds, put into sentences.

A protocol is named in every confirmatory cell by the hash of its file, so that results made under another text are refused.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap, wilcoxon
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from certify.records import Refused
from simulations.studies._page import Array, Results, shown, table

EXPLORATORY = "exploratory"
TESTS = ("greater", "less", "equivalent")
POWER = 0.9
RESAMPLES = 10_000
_TERM = re.compile(r"([+-])\s*([^\s@+]+)@([0-9.]+)")


@dataclass(frozen=True)
class Contrast:
    """A number of each seed: a signed sum of outcomes of arms, each at a setting, times `scale`."""

    terms: tuple[tuple[float, str, float], ...]
    scale: float = 1.0

    @classmethod
    def parse(cls, text: str, scale: float = 1.0) -> Contrast:
        """From "B@0.7 - A1@0.7"."""
        signed = text if text.strip().startswith(("-", "+")) else f"+ {text}"
        terms = tuple((1.0 if sign == "+" else -1.0, arm, float(at)) for sign, arm, at in _TERM.findall(signed))
        if not terms or _TERM.sub("", signed).strip():
            raise Refused(f"contrast {text!r}: a sum such as 'B@0.7 - A1@0.7' is expected")
        return cls(terms, scale)


@dataclass(frozen=True)
class Hypothesis:
    """What a study claims about one network, and how it could fail.

    name      : P1, P2, ...
    says      : the claim in words.
    contrasts : one, or several that must all pass (the largest p-value counts).
    family    : the hypotheses that share one Holm correction; "" is the main one, which the verdict of the study rests on.
    test      : whether the mean is greater than `margin`, less than it, or within +-margin (two one-sided tests).
    outcome   : column of the results.
    """

    name: str
    says: str
    contrasts: tuple[Contrast, ...]
    test: str
    margin: float = 0.0
    outcome: str = "test"
    family: str = ""


@dataclass(frozen=True)
class Rule:
    """A verdict on the study and when it holds: all lists that are given must."""

    word: str
    all_supported: tuple[str, ...] = ()
    any_supported: tuple[str, ...] = ()
    any_refuted: tuple[str, ...] = ()

    def holds(self, verdicts: Mapping[str, str]) -> bool:
        """Whether it does, by the verdicts of the hypotheses."""
        asked = (
            (all, self.all_supported, "supported"),
            (any, self.any_supported, "supported"),
            (any, self.any_refuted, "refuted"),
        )
        return all(how(verdicts[name] == word for name in names) for how, names, word in asked if names)


@dataclass(frozen=True)
class Protocol:
    """A study as it was frozen.

    seeds     : of the confirmatory runs, network -> seeds; the first `primary` networks are judged, the others described.
    best_of   : arm -> the arms of which the one with the best `chosen_by` stands for it, seed by seed and setting by setting.
    least     : column -> least value of a seed that counts; a seed below it is left out of every contrast.
    digest    : first 16 digits of the SHA-256 of the file.
    """

    study: str
    claim: str
    seeds: Mapping[str, tuple[int, ...]]
    primary: tuple[str, ...]
    best_of: Mapping[str, tuple[str, ...]]
    chosen_by: str
    least: Mapping[str, float]
    most_excluded: int
    alpha: float
    hypotheses: tuple[Hypothesis, ...]
    rules: tuple[Rule, ...]
    digest: str

    def family(self, name: str) -> tuple[Hypothesis, ...]:
        """The hypotheses that share one correction."""
        return tuple(each for each in self.hypotheses if each.family == name)

    def verdict(self, judged: Sequence[Judged]) -> str:
        """The word of the first rule that holds, or inconclusive."""
        found = {each.hypothesis.name: each.verdict for each in judged}
        return next((rule.word for rule in self.rules if rule.holds(found)), "inconclusive")


def load_protocol(path: Path) -> Protocol:
    """Read a protocol; what it does not say, or says twice, is refused."""
    data = path.read_bytes()
    try:
        found = tomllib.loads(data.decode())
        hypotheses = tuple(_hypothesis(each) for each in found["hypothesis"])
        chosen = dict(found.get("best_of", {}))
        chosen_by = str(chosen.pop("chosen_by", ""))
        protocol = Protocol(
            study=found["study"],
            claim=found["claim"],
            seeds={name: tuple(seeds) for name, seeds in found["seeds"].items()},
            primary=tuple(found["primary"]),
            best_of={name: tuple(arms) for name, arms in chosen.items()},
            chosen_by=chosen_by,
            least=dict(found["exclusion"]["least"]),
            most_excluded=int(found["exclusion"]["most"]),
            alpha=float(found["alpha"]),
            hypotheses=hypotheses,
            rules=tuple(
                Rule(each.pop("word"), **{key: tuple(names) for key, names in each.items()}) for each in found["verdict"]
            ),
            digest=hashlib.sha256(data).hexdigest()[:16],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{path}: not a protocol ({type(error).__name__}: {error})") from None
    names = [each.name for each in hypotheses]
    if len(set(names)) != len(names) or not names:
        raise Refused(f"{path}: hypotheses need names of their own, found {', '.join(names) or 'none'}")
    ruled = {name for rule in protocol.rules for name in (*rule.all_supported, *rule.any_supported, *rule.any_refuted)}
    if ruled - set(names):
        raise Refused(f"{path}: a verdict rests on {min(ruled - set(names))}, which is no hypothesis")
    unknown = set(protocol.primary) - set(protocol.seeds)
    if unknown:
        raise Refused(f"{path}: {min(unknown)} is primary and has no seeds")
    return protocol


def protocol_of(results: Results, usual: Path) -> Protocol:
    """The protocol on file that the results name; exploratory ones are shown by the study's usual one."""
    named = set(results["protocol"])
    if named == {EXPLORATORY}:
        return load_protocol(usual)
    known = [load_protocol(path) for path in sorted(usual.parent.glob(f"{usual.stem}*.toml"))]
    found = [protocol for protocol in known if protocol.digest in named]
    if len(named) != 1 or not found:
        raise Refused(f"results made under {', '.join(sorted(named))}; on file are {', '.join(each.digest for each in known)}")
    return found[0]


def _rule(entry: Mapping[str, Any]) -> Rule:
    lists = {key: tuple(names) for key, names in entry.items() if key != "word"}
    if not lists:
        raise ValueError(f"verdict {entry['word']!r} rests on nothing")
    return Rule(entry["word"], **lists)


def _hypothesis(entry: Mapping[str, Any]) -> Hypothesis:
    scale = float(entry.get("scale", 1.0))
    texts = entry["contrasts"] if "contrasts" in entry else [entry["contrast"]]
    if entry["test"] not in TESTS:
        raise ValueError(f"test {entry['test']!r} is none of {', '.join(TESTS)}")
    margin = float(entry.get("margin", 0.0))
    if entry["test"] == "equivalent" and margin <= 0:
        raise ValueError(f"{entry['name']}: equivalence needs a margin above 0")
    return Hypothesis(
        entry["name"],
        entry["says"],
        tuple(Contrast.parse(text, scale) for text in texts),
        entry["test"],
        margin,
        entry.get("outcome", "test"),
        entry.get("family", ""),
    )


def confirmatory(results: Results, protocol: Protocol) -> Results:
    """The rows themselves, once they are known to be those of the protocol and no others."""
    strange = sorted(set(results["protocol"]) - {protocol.digest})
    if strange:
        raise Refused(f"results made under {strange[0]!r}; the protocol on file is {protocol.digest}. They do not share a table")
    for (network,), part in results.groups("network"):
        found, planned = set(part["seed"].tolist()), set(protocol.seeds.get(network, ()))
        if found - planned:
            raise Refused(f"{network}: seed {min(found - planned)} is not one of the protocol's")
    return results


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


def seed_values(results: Results, contrast: Contrast, outcome: str, protocol: Protocol) -> Array:
    """One number for each seed that has every term, in the order of seeds."""
    columns = [_arm(results, arm, at, outcome, protocol) for _, arm, at in contrast.terms]
    shared = sorted(set.intersection(*(set(column) for column in columns)))
    weights = [weight for weight, _, _ in contrast.terms]
    return np.array(
        [contrast.scale * sum(w * column[seed] for w, column in zip(weights, columns, strict=True)) for seed in shared]
    )


def _arm(results: Results, arm: str, at: float, outcome: str, protocol: Protocol) -> dict[int, float]:
    """Seed -> outcome of an arm at a setting; of several by `best_of`, that of the one with the best `chosen_by`."""
    rows = results.where(sparsity=at)
    best: dict[int, tuple[float, float]] = {}
    for name in protocol.best_of.get(arm, (arm,)):
        part = rows.where(arm=name)
        merits = part[protocol.chosen_by] if arm in protocol.best_of else np.zeros(len(part))
        for seed, merit, value in zip(part["seed"].tolist(), merits.tolist(), part[outcome].tolist(), strict=True):
            if seed not in best or merit > best[seed][0]:
                best[seed] = merit, value
    return {seed: value for seed, (_, value) in best.items()}


@dataclass(frozen=True)
class Judged:
    """A hypothesis on one network: the effect of its weakest contrast, the p-value after Holm, and what follows."""

    hypothesis: Hypothesis
    effect: Effect
    adjusted: float
    verdict: str


def included(results: Results, protocol: Protocol) -> tuple[Results, dict[int, str]]:
    """The rows of seeds that count, and why each other one does not; too many exclusions end the study."""
    out: dict[int, str] = {}
    for column, least in protocol.least.items():
        for seed, value in zip(results["seed"].tolist(), results[column].tolist(), strict=True):
            if not value >= least:
                out[seed] = f"{column} {value:.3f} is below {least:g}"
    if len(out) > protocol.most_excluded:
        raise Refused(f"{len(out)} seeds are excluded, the protocol allows {protocol.most_excluded}; the study says nothing")
    return results.where(~np.isin(results["seed"], list(out))), out


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
    """Seeds that find a mean of the size seen with probability POWER at `level`; inf where it is on the wrong side."""
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
    parts = [
        f"**{hypothesis.name}, {judged.verdict}.** {hypothesis.says} Mean {found.mean * scale:+.2f} {unit}",
        f"(95 % interval {found.low * scale:+.2f} to {found.high * scale:+.2f}; claimed: {claimed});",
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
