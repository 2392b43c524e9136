"""Rereads a run by an independent, plain road: `records` alone of all packages, and none of the producing code.

`files` checks what can be checked from the run folder: hashes, splits, masks, patterns, asserted edges, and the
arithmetic of every guarantee from the logits it rests on. `replay` builds both networks, reads the data and runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from certify.records import Refused, Usage, Verdict
from certify.verifier.choices import check_choice
from certify.verifier.files import check_guarantees, reread
from certify.verifier.guarantees import RANGE
from certify.verifier.requirements import decide, parse

__all__ = ["LEVELS", "verify"]

LEVELS = ("files", "replay")
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def verify(
    path: Path, *, level: str = "files", require: Sequence[str] = (), data_dir: Path | None = None, paranoid: bool = False
) -> Verdict:
    """Recheck the certificate at `path` (RUN/plans/NAME/certificate.json) and everything it rests on.

    level    : "files" needs neither data nor checkpoints; "replay" runs both networks again.
    require  : such as "accuracy_drop<=0.01@0.99"; each must hold.
    data_dir : where an image folder lies now, when it is not where the recipe says.
    paranoid : level replay, with every sample of the ladders and many more networks on the segments.
    Broken integrity raises `Refused`, a requirement that does not hold or is undecided `Unmet`, a wrong call `Usage`.
    """
    if level not in LEVELS:
        raise Usage(f"level {level!r} is not one of {', '.join(LEVELS)}")
    level = "replay" if paranoid else level
    wanted = [parse(text) for text in require]
    try:
        found = reread(path)
        checks = (*found.checks, *check_guarantees(found), *check_choice(found))
        if level == "replay":
            from certify.verifier.replay import replay

            checks += replay(found, data_dir, paranoid)
    except Usage as error:
        raise Refused(f"{path}: refers to a record that is not valid: {error}") from None
    except UNREADABLE as error:
        first = (str(error).splitlines() or [""])[0]
        raise Refused(f"{path}: refers to a record that cannot be read ({type(error).__name__}: {first})") from None
    unchecked = ("ce_increase",) if any(check.name == RANGE and not check.done for check in checks) else ()
    met = decide(wanted, found.certificate.guarantees, found.plan, unchecked)
    return Verdict(level, found.certificate.content_hash, checks, met)
