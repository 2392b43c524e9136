"""What `python -m proofs_check` does, verb by verb. The only place of this package that prints."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from certify.records import Refused
from certify.records.files import read_json
from proofs_check import ball, counterexamples, coverage, ledger, properties, symbolic
from proofs_check.checks import FAILED, KINDS, MISSING, PROVED, Check, Outcome
from proofs_check.checks import run as run_check
from proofs_check.coq import run as coq
from proofs_check.coq.index import BY_THEOREM
from proofs_check.trials import TRIALS, Trial
from proofs_check.trials.core import attack, draw, evaluate, read, violated, written

OWN: dict[str, tuple[Check, ...]] = {
    "symbolic": symbolic.CHECKS,
    "ball": ball.CHECKS,
    "coverage": coverage.CHECKS,
    "counterexample": counterexamples.CHECKS,
}


def run(kinds: Sequence[str], allow_missing: bool, folder: Path) -> int:
    """Run the checks of these kinds; print each, then the table; write the ledger when every kind ran."""
    start = time.perf_counter()
    outcomes: list[Outcome] = []
    for outcome in _outcomes(kinds):
        outcomes.append(outcome)
        claims = ", ".join(outcome.claims)
        print(f"{outcome.kind:14} {outcome.verdict:16} {outcome.seconds:6.1f} s  {outcome.statement}  [{claims}]", flush=True)
        if outcome.detail:
            print(f"{'':42}{outcome.detail}")
    try:
        lines = ledger.fill(outcomes, kinds=kinds)
    except LookupError as error:
        print(error)
        return 1
    print()
    for line in lines:
        if line.outcomes or line.trouble:
            print(f"{line.claim.id:34} {line.verdict:18} {', '.join(line.ran)}")
            for text in line.trouble:
                print(f"{'':34} {text}")
    if set(kinds) == set(KINDS):
        ledger.write(lines, folder)
    counts = Counter(line.verdict for line in lines)
    seconds = time.perf_counter() - start
    print(f"\n{len(lines)} claims: " + ", ".join(f"{counts[v]} {v}" for v in ledger.VERDICTS if counts[v]) + f"; {seconds:.0f} s")
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    print("checks: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    troubled = [line for line in lines if line.trouble]
    return int(bool(troubled) and not (allow_missing and ledger.missing_only(troubled)))


def _outcomes(kinds: Sequence[str]) -> Iterator[Outcome]:
    """Coq and pytest run beside the rest: Coq in processes of its own, started from a thread, pytest in others.

    The matrices are small, and threads of linear algebra that share cores with all this mostly wait: one thread each.
    """
    tests = bool({"property", "exact"} & set(kinds))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with (
        threadpool_limits(1),
        ThreadPoolExecutor(1) as thread,
        ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes,
    ):
        hypothesis = [processes.submit(properties.run, folder) for folder in properties.FOLDERS] if tests else []
        formal = thread.submit(_coq) if "coq" in kinds else None
        for kind, checks in OWN.items():
            if kind in kinds:
                yield from (run_check(kind, check) for check in checks)
        for future in hypothesis:
            yield from (outcome for outcome in future.result() if outcome.kind in kinds)
        if formal is not None:
            yield from formal.result()


def _coq() -> list[Outcome]:
    try:
        results = coq.check()
    except coq.Absent as absent:
        everything = tuple(dict.fromkeys(entry.claim for entry in BY_THEOREM.values()))
        return [Outcome("coq", "coqc", "coq", "all theorems", everything, MISSING, str(absent))]
    return [
        Outcome(
            "coq",
            result.theorem,
            "coq",
            BY_THEOREM[result.theorem].latex,
            (result.claim,),
            PROVED if result.ok else FAILED,
            "" if result.ok else result.detail,
            result.seconds,
        )
        for result in results
    ]


def try_claim(id: str, file: Path | None) -> int:
    """Print hypotheses and both sides on the instance in `file`, or an example instance when it is None."""
    try:
        trial = _trial(id)
        if file is None:
            print(json.dumps(_example(trial), indent=1))
            return 0
        stated = read_json(file)
        if not isinstance(stated, dict):
            raise Refused(f"{file}: a JSON object with the fields {', '.join(trial.fields)} is expected")
        found = evaluate(trial, read(trial, stated))
    except Refused as error:
        print(error, file=sys.stderr)
        return 3
    print(f"{id}: {ledger.BY_ID[id].statement}")
    for words, holds in found.hypotheses.items():
        print(f"  {'holds' if holds else 'FAILS':6} {words}")
    if not found.meets:
        print("a hypothesis fails: the claim says nothing about this instance")
        return 1
    for side in found.sides:
        print(f"  {side.text}: {side.left!r} {'=' if side.equal else '<='} {side.right!r}   relative slack {side.slack:.3e}")
    wrong = violated(trial, found)
    print(f"VIOLATED: {wrong[0].text}" if wrong else f"holds on this instance, smallest relative slack {found.slack:.3e}")
    return int(bool(wrong))


def attack_claim(id: str, seed: int, starts: int, steps: int) -> int:
    """Search for a violation and print the instance of smallest slack."""
    try:
        trial = _trial(id)
    except Refused as error:
        print(error, file=sys.stderr)
        return 3
    found = attack(trial, np.random.default_rng(seed), starts=starts, steps=steps)
    print(f"{id}: {found.evaluated} instances, {found.met} met all hypotheses; smallest relative slack {found.slack:.3e}")
    if not found.met:
        print("no instance met the hypotheses: nothing was tested")
        return 1
    print(json.dumps(written(found.instance)))
    broken = found.slack < -trial.tolerance
    print("VIOLATED" if broken else f"no violation beyond the tolerance {trial.tolerance:g}")
    return int(broken)


def mutate(edits: Sequence[int], jobs: int, every: int) -> int:
    """Apply wrong edits one at a time and print the survivors."""
    from proofs_check import mutation

    chosen = mutation.select(edits, every)
    survivors = 0
    for number, edit, caught, seconds in mutation.run(chosen, jobs):
        survivors += not caught
        print(f"{number:4} {'caught' if caught else 'SURVIVES':8} {seconds:6.1f} s  {edit.file}: {edit.what}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return int(survivors > 0)


def report(run_folder: Path | None, folder: Path) -> int:
    """Write the looseness table, the accuracy of the laws and the figures."""
    from proofs_check import report as evidence

    if run_folder is not None and not list(run_folder.glob("plans/*/masked.ladder.parquet")):
        print(f"{run_folder}: no ladder of a masked pair below plans/; make one with certify run", file=sys.stderr)
        return 3
    for path in evidence.write(folder, run_folder):
        print(path)
    return 0


def _trial(id: str) -> Trial:
    if id not in ledger.BY_ID:
        raise Refused(f"{id}: no such claim; reports/theory/ledger.md lists them")
    if id not in TRIALS:
        raise Refused(f"{id}: no trial on single instances; its checks are {', '.join(ledger.BY_ID[id].checks) or 'none'}")
    return TRIALS[id]


def _example(trial: Trial) -> dict[str, object]:
    """The first random instance that meets the hypotheses, from a fixed seed."""
    rng = np.random.default_rng(1)
    for _ in range(1000):
        instance = draw(trial, rng)
        try:
            if evaluate(trial, instance).meets:
                return written(instance)
        except Refused:
            continue
    raise Refused(f"{trial.claim}: no random instance meets the hypotheses")
