"""`python -m proofs_check`: run every obligation, print the table, exit 1 unless all are proved."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from certify.theory.claims import BY_ID
from proofs_check.obligations import FAILED, MISSING, run
from proofs_check.symbolic import OBLIGATIONS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description=__doc__)
    parser.add_argument("--allow-missing", action="store_true", help="exit 0 although an optional tool is absent")
    options = parser.parse_args(arguments)
    unknown = sorted({claim for item in OBLIGATIONS for claim in item.claims} - BY_ID.keys())
    if unknown:
        print(f"no such claim: {', '.join(unknown)}")
        return 1
    counts: Counter[str] = Counter()
    for item in OBLIGATIONS:
        outcome = run(item)
        counts[outcome.verdict] += 1
        print(f"{item.id:8} {item.tool:6} {outcome.verdict:16} {item.statement}  [{', '.join(item.claims)}]", flush=True)
        if outcome.note:
            print(f"{'':8} {outcome.note}")
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return int(counts[FAILED] > 0 or (counts[MISSING] > 0 and not options.allow_missing))


if __name__ == "__main__":
    sys.exit(main())
