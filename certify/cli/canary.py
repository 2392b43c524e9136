"""`certify canary`: an alarm on a stream of predictions."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TextIO

import typer

from certify.cli.jobs import Json
from certify.cli.show import as_json, out
from certify.records import Certificate, Refused, Usage
from certify.records.watch import Watch

# Seconds of work that a killed canary does again.
SAVED_EVERY = 1.0


def canary(
    stream: Annotated[
        Path,
        typer.Argument(help="A line per sample: dense,pruned or a JSON object with both; - is stdin.", metavar="[STREAM]"),
    ] = Path("-"),
    level: Annotated[float | None, typer.Option("--level", help="Disagreement rate that is not to be exceeded.")] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Take the level from its disagreement guarantee.", metavar="CERT")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance of an alarm, ever, while the rate keeps to it.")] = 0.05,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Kept there, and gone on from: a file at the line it stopped at."),
    ] = None,
    json: Json = False,
) -> int:
    """Watch a stream of (dense, pruned) predictions; exit 1 as soon as they differ more often than the level allows.

    The alarm may be looked at after every sample, and rings falsely with chance at most alpha however long the stream is.
    """
    from certify.risk.canary import log_evidence

    if (level is None) == (certificate is None):
        raise Usage("certify canary needs --level or --certificate, and not both")
    if not 0 < alpha < 1 or (level is not None and not 0 < level < 1):
        raise Usage(f"--alpha {alpha} and --level {level} must lie inside (0, 1)")
    found = _begin(level, certificate, alpha)
    if state is not None and state.exists():
        found = _resumed(found, Watch.load(state), state)
    if not found.fired:
        found = _watch(stream, found, state)
    evidence = math.exp(min(700.0, float(log_evidence(found.failures, found.samples, found.level))))
    _tell(found, evidence, json)
    return 1 if found.fired else 0


def _watch(stream: Path, found: Watch, state: Path | None) -> Watch:
    """Read on until the stream ends or the alarm is raised; what was read is kept in `state` whatever happens."""
    from certify.risk.canary import alarms

    name = "stdin" if stream == Path("-") else str(stream)
    saved = time.monotonic()
    try:
        with _opened(stream) as lines:
            if stream != Path("-"):
                _skip(lines, found, name)
            for line in lines:
                if not line.endswith("\n") and state is not None and stream != Path("-"):
                    break  # still being written: read when it is whole
                before, found = found.failures, found.read(line, name)
                if found.failures > before and bool(alarms(found.failures, found.samples, found.level, found.alpha)):
                    found = replace(found, fired=found.lines)
                    break
                if state is not None and time.monotonic() - saved >= SAVED_EVERY:
                    found.save(state)
                    saved = time.monotonic()
    except UnicodeDecodeError:
        raise Refused(f"{name}: line {found.lines + 1} or one soon after it is not UTF-8 text") from None
    finally:
        if state is not None:
            found.save(state)
    return found


def _begin(level: float | None, certificate: Path | None, alpha: float) -> Watch:
    if certificate is None:
        assert level is not None
        return Watch(level, alpha)
    issued = Certificate.load(certificate)
    stated = [entry for entry in issued.guarantees if entry.statement == "disagreement"]
    if not stated or not 0 < stated[0].limit < 1:
        said = "is vacuous" if stated else "is not there"
        raise Refused(f"{certificate}: its disagreement guarantee {said}, so no level follows from it; give --level")
    return Watch(stated[0].limit, alpha, issued.content_hash)


def _resumed(wanted: Watch, kept: Watch, path: Path) -> Watch:
    for key in ("level", "alpha", "source"):
        if getattr(kept, key) != getattr(wanted, key):
            raise Refused(
                f"{path}: was begun with {key} {getattr(kept, key)!r}, now {getattr(wanted, key)!r}; a watch keeps what it "
                "began with, give another --state"
            )
    return kept


def _skip(lines: TextIO, found: Watch, name: str) -> None:
    """Pass over the lines that were counted, which must still be the same."""
    again = Watch(found.level, found.alpha)
    while again.lines < found.lines:
        line = lines.readline()
        if not line:
            break
        again = again.read(line, name)
    if again.chain != found.chain:
        raise Refused(f"{name}: its first {found.lines} lines are not those that were counted; give another --state")


@contextmanager
def _opened(stream: Path) -> Iterator[TextIO]:
    if stream == Path("-"):
        yield sys.stdin
        return
    try:
        file = stream.open(encoding="utf-8", newline="\n")
    except OSError as error:
        raise Refused(f"{stream}: cannot be read ({error.strerror or error})") from None
    with file:
        yield file


def _tell(found: Watch, evidence: float, json: bool) -> None:
    if json:
        about = {"level": found.level, "alpha": found.alpha, "certificate": found.source, "lines": found.lines}
        counts = {"samples": found.samples, "disagreements": found.failures, "fired": found.fired}
        as_json(about | counts | {"evidence": evidence, "wanted": 1 / found.alpha})
        return
    rate = f"{found.failures / found.samples:.3g}" if found.samples else "none"
    seen = f"{found.failures:,} of {found.samples:,} predictions differ ({rate}), level {found.level:g}"
    odds = f"evidence {evidence:.3g} of {1 / found.alpha:g} wanted"
    if found.fired:
        held = ", if the certificate's limit holds" if found.source else ""
        out.print(f"ALARM at line {found.fired:,}: {seen}; {odds}. False with chance at most {found.alpha:g}{held}.")
    else:
        out.print(f"quiet: {seen}; {odds}")
