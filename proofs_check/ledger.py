"""The ledger: every claim of every room, the checks that stand behind it, and the verdict that they add up to."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from certify.laws.claims import CLAIMS as LAW_CLAIMS
from certify.records import Claim
from certify.theory.claims import CLAIMS as THEORY_CLAIMS
from proofs_check.checks import FAILED, KINDS, MISSING, Outcome
from proofs_check.coq.index import ENTRIES, PARTIAL, Entry

CLAIMS: tuple[Claim, ...] = (*THEORY_CLAIMS, *LAW_CLAIMS)
BY_ID = {entry.id: entry for entry in CLAIMS}

FORMAL, SYMBOLIC, TESTED, REFUTED, OPEN = "proved (formal)", "proved (symbolic)", "tested", "refuted", "open"
BROKEN = "FAILED"
VERDICTS = (FORMAL, SYMBOLIC, TESTED, REFUTED, OPEN, BROKEN)


@dataclass(frozen=True)
class Line:
    """One claim with the outcomes of its checks. `trouble` names what was promised and is not there."""

    claim: Claim
    verdict: str
    outcomes: tuple[Outcome, ...]
    trouble: tuple[str, ...]

    @property
    def ran(self) -> tuple[str, ...]:
        """Kinds with at least one check that passed, in the order of KINDS."""
        passed = {outcome.kind for outcome in self.outcomes if outcome.verdict not in (FAILED, MISSING)}
        return tuple(kind for kind in KINDS if kind in passed)


def fill(outcomes: Iterable[Outcome], claims: Sequence[Claim] = CLAIMS, kinds: Sequence[str] = KINDS) -> list[Line]:
    """One line per claim. Only promises of the kinds that were run are called in.

    Raises LookupError when a check names a claim that does not exist.
    """
    known = {entry.id for entry in claims}
    behind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        for id in outcome.claims:
            if id not in known:
                raise LookupError(f"{outcome.kind} check {outcome.id} names the claim {id}; there is none")
            behind[id].append(outcome)
    return [_line(entry, tuple(behind[entry.id]), kinds) for entry in claims]


def _line(claim: Claim, outcomes: tuple[Outcome, ...], kinds: Sequence[str]) -> Line:
    trouble = [f"no {kind} check, though promised" for kind in claim.checks if kind not in KINDS]
    for kind in kinds:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        if kind in claim.checks and not of_kind:
            trouble.append(f"no {kind} check, though promised")
        if kind not in claim.checks and of_kind:
            trouble.append(f"{kind} check {of_kind[0].id} stands behind it, though none is promised")
        trouble += [f"{kind} check {o.id}: {o.verdict}: {o.detail}" for o in of_kind if o.verdict in (FAILED, MISSING)]
    return Line(claim, _verdict(claim, outcomes, bool(trouble)), outcomes, tuple(trouble))


def _verdict(claim: Claim, outcomes: tuple[Outcome, ...], broken: bool) -> str:
    if any(outcome.verdict == FAILED for outcome in outcomes):
        return BROKEN
    passed = [outcome for outcome in outcomes if outcome.verdict != MISSING]
    kinds = {outcome.kind for outcome in passed}
    if claim.repair:
        return REFUTED if "counterexample" in kinds else OPEN
    if "coq" in kinds and claim.id not in PARTIAL:
        return FORMAL
    if any(claim.id in outcome.whole for outcome in passed):
        return SYMBOLIC
    return TESTED if kinds else OPEN


def missing_only(lines: Sequence[Line]) -> bool:
    """Whether all trouble is a tool that is absent here."""
    return all(f": {MISSING}:" in text for line in lines for text in line.trouble)


def to_json(lines: Sequence[Line]) -> str:
    """The ledger for machines: no times, so that two runs of one tree agree."""
    entries = [
        asdict(line.claim)
        | {
            "verdict": line.verdict,
            "trouble": list(line.trouble),
            "not in Coq": PARTIAL.get(line.claim.id, ""),
            "ran": [
                {"kind": o.kind, "id": o.id, "tool": o.tool, "statement": o.statement, "verdict": o.verdict, "detail": o.detail}
                for o in line.outcomes
            ],
        }
        for line in lines
    ]
    return json.dumps({"claims": entries, "verdicts": Counter(line.verdict for line in lines)}, indent=1, sort_keys=True) + "\n"


def to_markdown(lines: Sequence[Line]) -> str:
    """The ledger for readers: counts, the table by verdict, the refuted claims in full, the Coq statements beside ours."""
    verdicts = Counter(line.verdict for line in lines)
    kinds = Counter(kind for line in lines for kind in line.ran)
    text = [
        "# Ledger",
        "",
        "Written by `python -m proofs_check`. A claim's function, hypotheses and checks are data in `certify/theory/claims` and",
        "`certify/laws/claims.py`. *proved (formal)*: the whole statement is machine-checked in Coq. *proved (symbolic)*: the",
        "whole statement is decided by sympy, z3 or ball arithmetic. *tested*: every promised check passed; steps of the",
        "statement may be proved, the whole is not. *refuted*: the published statement fails on the instance shown.",
        "",
        f"{len(lines)} claims: " + ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS if verdicts[name]) + ".",
        "",
        "| kind of check | claims |",
        "|---|---|",
        *(f"| {kind} | {kinds[kind]} |" for kind in KINDS),
        "",
    ]
    for verdict in VERDICTS:
        chosen = [line for line in lines if line.verdict == verdict]
        if chosen:
            text += [f"## {verdict} ({len(chosen)})", "", *(_refuted(chosen) if verdict == REFUTED else _table(chosen)), ""]
    return "\n".join([*text, *_formal_statements()]) + "\n"


def _table(lines: Sequence[Line]) -> list[str]:
    rows = ["| claim | statement | under | checks | function |", "|---|---|---|---|---|"]
    for line in lines:
        claim = line.claim
        gap = PARTIAL.get(claim.id, "")
        note = (f" *Not in Coq: {gap}.*" if gap else "") + "".join(f" **{text}**" for text in line.trouble)
        cells = (
            f"**{claim.id}** {claim.title}",
            claim.statement + note,
            "; ".join(claim.hypotheses) or "–",
            ", ".join(line.ran) or "none",
            f"`{claim.function.removeprefix('certify.')}`",
        )
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return rows


def _refuted(lines: Sequence[Line]) -> list[str]:
    text = []
    for line in lines:
        claim = line.claim
        shown = [o for o in line.outcomes if o.kind == "counterexample"]
        text += [
            f"**{claim.id} — {claim.title}** ({claim.source})  ",
            f"Stated: {claim.statement}  ",
            *(f"Counterexample: {o.statement.rstrip('.')}.{f' Found: {o.detail}.' if o.detail else ''}  " for o in shown),
            f"Holds instead: {claim.repair} (`{claim.function.removeprefix('certify.')}`)",
            "",
        ]
    return text


def _formal_statements() -> list[str]:
    text = ["## The Coq statements beside the ledger's", ""]
    by_claim: dict[str, list[Entry]] = defaultdict(list)
    for entry in ENTRIES:
        by_claim[entry.claim].append(entry)
    for id, entries in by_claim.items():
        text += [f"**{id}** {BY_ID[id].statement if id in BY_ID else ''}", ""]
        for entry in entries:
            text += [f"- `{entry.file}`, `{entry.theorem}`: {entry.latex}. {entry.words}", f"  `{entry.statement}`"]
        text.append("")
    return text


def _cell(text: str) -> str:
    """Pipes inside a table cell would end it; in formulas they are norms."""
    return text.replace("|", r"\|").replace("\n", " ")


def write(lines: Sequence[Line], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ledger.json").write_text(to_json(lines), encoding="utf-8")
    (folder / "ledger.md").write_text(to_markdown(lines), encoding="utf-8")
