"""python -m proofs_check [KIND ...]          run the checks, print the table, write reports/theory/ledger.{md,json}
python -m proofs_check try CLAIM FILE      hypotheses and both sides of a claim on your own instance (JSON)
python -m proofs_check try CLAIM --example print an instance to start from
python -m proofs_check attack CLAIM        search for a violation, print the smallest slack found
python -m proofs_check mutate              apply small wrong edits to the formulas and see the tests catch each
python -m proofs_check report [--run RUN]  looseness table, accuracy of the laws and figures in reports/theory

Exit codes: 0 everything stands · 1 something failed, or did not run · 2 usage · 3 refused input.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proofs_check import commands
from proofs_check.checks import KINDS

FOLDER = Path("reports/theory")


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    verb = words[0] if words and words[0] in ("try", "attack", "mutate", "report") else "run"
    parser = argparse.ArgumentParser(
        prog=f"python -m proofs_check{'' if verb == 'run' else f' {verb}'}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if verb == "run":
        parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"any of {', '.join(KINDS)}; all without one")
        parser.add_argument("--allow-missing", action="store_true", help="exit 0 although an optional tool is absent")
        parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the ledger, written when all kinds ran")
    elif verb in ("try", "attack"):
        parser.add_argument("claim", metavar="CLAIM")
    if verb == "try":
        parser.add_argument("file", nargs="?", type=Path, metavar="instance.json")
        parser.add_argument("--example", action="store_true", help="print an instance of this claim as JSON")
    if verb == "attack":
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--starts", type=int, default=40)
        parser.add_argument("--steps", type=int, default=300)
    if verb == "mutate":
        parser.add_argument("edits", nargs="*", type=int, metavar="NUMBER", help="edits by number; all without one")
        parser.add_argument("--jobs", type=int, default=2)
        parser.add_argument("--every", type=int, default=1, help="every N-th edit only")
    if verb == "report":
        parser.add_argument("--run", type=Path, help="a run folder: its network joins the looseness table")
        parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(words if verb == "run" else words[1:])
    if verb == "run":
        unknown = sorted(set(options.kinds) - set(KINDS))
        if unknown:
            parser.error(f"no such kind of check: {unknown[0]}; known here: {', '.join(KINDS)}")
        return commands.run(tuple(options.kinds) or KINDS, options.allow_missing, options.out)
    if verb == "mutate":
        return commands.mutate(options.edits, options.jobs, options.every)
    if verb == "report":
        return commands.report(options.run, options.out)
    if verb == "try":
        if options.example == (options.file is not None):
            parser.error("give an instance file, or --example")
        return commands.try_claim(options.claim, options.file)
    return commands.attack_claim(options.claim, options.seed, options.starts, options.steps)


if __name__ == "__main__":
    sys.exit(main())
