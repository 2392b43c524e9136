"""`python -m proofs_check`: run every proof, print the table, exit 1 unless all are proved."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from proofs_check.coq import run as coq
from proofs_check.ledger import BY_ID
from proofs_check.obligations import FAILED, MISSING, PROVED, run
from proofs_check.symbolic import OBLIGATIONS

KINDS = ("symbolic", "coq")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"any of {', '.join(KINDS)}; all without one")
    parser.add_argument("--allow-missing", action="store_true", help="exit 0 although an optional tool is absent")
    options = parser.parse_args(arguments)
    if set(options.kinds) - set(KINDS):
        parser.error(f"no such kind of proof; known here: {', '.join(KINDS)}")
    kinds = options.kinds or KINDS
    counts: Counter[str] = Counter()
    if "symbolic" in kinds:
        unknown = sorted({claim for item in OBLIGATIONS for claim in item.claims} - BY_ID.keys())
        if unknown:
            print(f"no such claim: {', '.join(unknown)}")
            return 1
        for item in OBLIGATIONS:
            outcome = run(item)
            counts[outcome.verdict] += 1
            print(f"{item.id:8} {item.tool:6} {outcome.verdict:16} {item.statement}  [{', '.join(item.claims)}]", flush=True)
            if outcome.note:
                print(f"{'':8} {outcome.note}")
    if "coq" in kinds:
        counts.update(_coq())
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return int(counts[FAILED] > 0 or (counts[MISSING] > 0 and not options.allow_missing))


def _coq() -> Counter[str]:
    try:
        results = coq.check()
    except coq.Absent as absent:
        print(absent)
        return Counter({MISSING: 1})
    for result in results:
        verdict = PROVED if result.ok else FAILED
        print(f"{result.claim:34} coq    {verdict:16} {result.theorem}  {'' if result.ok else result.detail}")
    return Counter(PROVED if result.ok else FAILED for result in results)


if __name__ == "__main__":
    sys.exit(main())
