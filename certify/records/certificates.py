"""Certificate and Verdict: the file that is signed off, and what a recheck of it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certify.records.errors import Refused
from certify.records.files import read_json, write_json
from certify.records.hashing import sha256_json
from certify.records.networks import Pair
from certify.records.outcomes import Guarantee

# What each version holds is said by `schemas/certificate-VERSION.json` beside this file.
SCHEMAS = (1, 2)
SCHEMA = SCHEMAS[-1]


@dataclass(frozen=True)
class Certificate:
    """Everything needed to recheck one pair.

    files  : path relative to the certificate's run folder -> SHA-256 of its bytes.
    about  : plan counts, ladder tiers and worst margins, split digests, looks, recipe, versions, threads, seeds.
    """

    pair: Pair
    files: Mapping[str, str]
    guarantees: tuple[Guarantee, ...]
    claims: tuple[str, ...]
    about: Mapping[str, Any]
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        object.__setattr__(self, "guarantees", tuple(self.guarantees))
        object.__setattr__(self, "claims", tuple(self.claims))
        if self.schema not in SCHEMAS:
            known = " and ".join(map(str, SCHEMAS))
            raise Refused(f"certificate: schema {self.schema} is not known here; this version reads schemas {known}")
        for guarantee in self.guarantees:
            if guarantee.pair != self.pair:
                raise Refused(f"certificate: the {guarantee.statement} guarantee speaks of another pair")

    def content(self) -> dict[str, Any]:
        return {
            "schema": self.schema,
            "pair": self.pair.to_json(),
            "files": dict(self.files),
            "guarantees": [guarantee.to_json() for guarantee in self.guarantees],
            "claims": list(self.claims),
            "about": dict(self.about),
        }

    @property
    def content_hash(self) -> str:
        return sha256_json(self.content())

    def save(self, path: Path) -> None:
        write_json(path, self.content() | {"content_hash": self.content_hash})

    @classmethod
    def load(cls, path: Path) -> Certificate:
        """Read a certificate; its content must hash to the content_hash it states."""
        value = read_json(path)
        try:
            stated = value.pop("content_hash")
            found = sha256_json(value)
            if stated != found:
                raise Refused(
                    f"{path}: content hashes to {found[:12]}, the certificate states {str(stated)[:12]}; "
                    "it was changed after issue"
                )
            return cls(
                pair=Pair.from_json(value["pair"]),
                files=value["files"],
                guarantees=tuple(Guarantee.from_json(entry) for entry in value["guarantees"]),
                claims=tuple(value["claims"]),
                about=value["about"],
                schema=value["schema"],
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise Refused(f"{path}: not a certificate ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class Check:
    """One thing verification looked at. `done` is False where it could not look, and `detail` says why."""

    name: str
    done: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What verification found. A verdict exists only when nothing was refused; refusals are exceptions."""

    level: str
    certificate: str
    checks: tuple[Check, ...]
    requirements: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "certificate": self.certificate,
            "checks": [{"name": check.name, "done": check.done, "detail": check.detail} for check in self.checks],
            "requirements": dict(self.requirements),
        }
