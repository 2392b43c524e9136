"""What changed between two certificates, entry by entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from certify.records import Certificate
from certify.report.formats import NOT_STATED, plain

# Group -> where its entries stand in the content of a certificate, in the order in which a reader asks.
GROUPS = {
    "pair": "pair.",
    "plan": "about.plan",
    "guarantees": "guarantees.",
    "ladders": "about.ladders.",
    "choice": "about.choice",
    "data": ("about.splits.", "about.groups", "about.looks", "about.family"),
    "versions": ("schema", "about.certify", "about.environment.", "about.runs", "about.merge"),
    "files": "files.",
}


# What a person asks first. The rungs of a ladder that stands in one certificate alone are told by its samples.
FIRST = re.compile(
    r"pair\.|about\.plan|schema|about\.(certify|runs|merge|looks|environment\.|choice\.chosen|splits\.\w+\.samples)"
    r"|guarantees\.\w+\.(limit|estimate|delta|share|counts\.|arithmetic\.|shift\.)|about\.ladders\..*ladder\.samples"
)
RUNG = re.compile(r"about\.ladders\..*\.rungs\.\w+\.(largest|total|tier)")


@dataclass(frozen=True)
class Change:
    """One entry that is not the same in both; None where a certificate does not state it. `by` is B - A of two numbers."""

    group: str
    what: str
    before: Any
    after: Any
    by: float | None

    @property
    def first(self) -> bool:
        """Whether it belongs into a short table."""
        both = self.before is not None and self.after is not None
        return FIRST.match(self.what) is not None or (both and RUNG.match(self.what) is not None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def difference(before: Certificate, after: Certificate) -> tuple[Change, ...]:
    """Every entry that differs, by group and name. Guarantees are told apart by their statement."""
    one, two = _entries(before), _entries(after)
    found = [
        Change(group_of(key), key, one.get(key), two.get(key), _by(one.get(key), two.get(key)))
        for key in dict.fromkeys((*one, *two))
        if one.get(key) != two.get(key)
    ]
    order = [*GROUPS, "other"]
    return tuple(sorted(found, key=lambda change: (order.index(change.group), change.what)))


def group_of(key: str) -> str:
    """The group of an entry, from its dotted name."""
    return next((group for group, starts in GROUPS.items() if key.startswith(starts)), "other")


def in_words(value: Any) -> str:
    """An entry for people: digests cut to twelve characters, numbers to six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = plain(value)
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text if text else NOT_STATED


def _entries(certificate: Certificate) -> dict[str, Any]:
    content = certificate.content()
    content["guarantees"] = {entry["statement"]: entry for entry in content["guarantees"]}
    for entry in content["guarantees"].values():
        entry.pop("pair", None)
    return dict(_leaves(content, ""))


def _leaves(value: Any, name: str) -> list[tuple[str, Any]]:
    """(dotted name, leaf) of a JSON value; lists of plain values are one leaf."""
    if isinstance(value, Mapping):
        return [leaf for key in value for leaf in _leaves(value[key], f"{name}.{key}" if name else str(key))]
    if isinstance(value, list | tuple):
        if any(isinstance(entry, Mapping | list | tuple) for entry in value):
            return [leaf for index, entry in enumerate(value) for leaf in _leaves(entry, f"{name}[{index}]")]
        return [(name, ", ".join(map(plain, value)))]
    return [(name, value)]


def _by(before: Any, after: Any) -> float | None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after))
    return float(after - before) if numbers else None
