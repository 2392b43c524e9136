"""Hypotheses written down before the runs that test them: read from TOML, and their numbers taken from the results.

A protocol is named in every confirmatory cell by the hash of its file, so that results made under another text are refused.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.records import Refused
from simulations.studies._page import Array, Results

EXPLORATORY = "exploratory"
TESTS = ("greater", "less", "equivalent")
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

    def verdict(self, verdicts: Mapping[str, str]) -> str:
        """The word of the first rule that holds for the verdicts of the hypotheses, or inconclusive."""
        return next((rule.word for rule in self.rules if rule.holds(verdicts)), "inconclusive")


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
