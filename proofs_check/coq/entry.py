"""One theorem of one .v file, with the claim and the Python function that it stands behind. Reading it needs no Coq."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
WITNESS = "_witness"


@dataclass(frozen=True)
class Entry:
    """One theorem. `function` is the Python function that computes its bound, "" where there is none."""

    claim: str
    file: str
    theorem: str
    latex: str
    function: str = ""

    @property
    def witness(self) -> str:
        """Lemma that exhibits an instance meeting all hypotheses, with a strict or attained conclusion."""
        return self.theorem + WITNESS

    @property
    def words(self) -> str:
        """The sentence above the theorem, without the claim's ID."""
        return commented(self.file)[self.theorem][1]

    @property
    def statement(self) -> str:
        """The formal statement, as it stands in the .v file."""
        return statement(self.file, self.theorem)


def entry(claim: str, file: str, theorem: str, latex: str, function: str = "") -> Entry:
    """An entry with the names shortened: the file without .v, the function without the package."""
    return Entry(claim, f"{file}.v", theorem, latex, function and f"certify.{function}")


@cache
def source(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


@cache
def commented(file: str) -> dict[str, tuple[str, str]]:
    """Theorem -> (claim ID, words) from the comments of the form (* Claim ID[, part]: words. *)."""
    pattern = re.compile(r"\(\* Claim ([\w.-]+)([^:*]*): ((?:(?!\*\)).)*) \*\)\nTheorem (\w+) :", re.DOTALL)
    return {
        name: (claim, " ".join((f"{part.strip(' ,')}: " * bool(part.strip(" ,")) + words).split()))
        for claim, part, words, name in pattern.findall(source(file))
    }


def statement(file: str, name: str) -> str:
    """Text between `Theorem name :` (or Lemma) and the full stop before its proof."""
    found = re.search(rf"^(?:Theorem|Lemma) {name} ?:(.*?)\.\s*\nProof\.", source(file), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{file}: no statement named {name}")
    return " ".join(found.group(1).split())
