"""Hypothesis tests as checks: pytest runs those that name a claim, and tells how each went.

A test belongs to a claim by `@pytest.mark.claim("X1-ce-sharp")`, or `@pytest.mark.claim("X1-ce-sharp", kind="exact")` where
both sides are compared in rational arithmetic. A marked test that is skipped did not run.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from proofs_check.checks import FAILED, MISSING, PASSED, Outcome

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("tests/proofs_check", "tests/theory", "tests/laws", "tests/risk", "tests/bounds")  # the longest first
RANK = {PASSED: 0, MISSING: 1, FAILED: 2}


class Collector:
    """A pytest plugin: keeps the tests that name a claim, and what became of each function."""

    def __init__(self) -> None:
        self.marks: dict[str, list[tuple[str, str]]] = {}
        self.results: dict[str, list[tuple[str, str, float]]] = defaultdict(list)

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        for item in items:
            pairs = [(claim, mark.kwargs.get("kind", "property")) for mark in item.iter_markers("claim") for claim in mark.args]
            if pairs:
                self.marks[item.nodeid] = pairs
        left_out = [item for item in items if item.nodeid not in self.marks]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid in self.marks]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:
            verdict = FAILED if report.failed else MISSING if report.skipped else PASSED
            why = str(report.longrepr).strip().splitlines()[-1] if report.longrepr else ""
            self.results[report.nodeid].append((verdict, why, report.duration))


def run(folder: str) -> list[Outcome]:
    """Run the marked tests of one folder: one outcome per test function and kind, parameters and examples put together.

    Raises RuntimeError with pytest's own words when the tests cannot be collected.
    """
    import pytest

    plugin, said = Collector(), io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        code = pytest.main(["-q", "-p", "no:cacheprovider", folder], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}:\n{said.getvalue()[-2000:]}")
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for node, pairs in plugin.marks.items():
        for claim, kind in pairs:
            grouped[kind, node.partition("[")[0]].append((node, claim))
    return [_outcome(kind, function, members, plugin.results) for (kind, function), members in grouped.items()]


def _outcome(
    kind: str, function: str, members: list[tuple[str, str]], results: dict[str, list[tuple[str, str, float]]]
) -> Outcome:
    nodes = tuple(dict.fromkeys(node for node, _ in members))
    found = [result for node in nodes for result in results.get(node, [(MISSING, "did not run", 0.0)])]
    verdict, why, _ = max(found, key=lambda result: RANK[result[0]])
    detail = why if verdict != PASSED else f"{len(nodes)} test{'s' * (len(nodes) > 1)}"
    claims = tuple(dict.fromkeys(claim for _, claim in members))
    name = function.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    return Outcome(kind, function, "hypothesis", name, claims, verdict, detail, sum(seconds for *_, seconds in found))
