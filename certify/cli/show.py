"""What the verbs share: consoles, progress, JSON output, short tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else 140)
err = Console(stderr=True, highlight=False, markup=False)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr that follows `(label, share)`; silent when quiet. Without a terminal one line is printed per stage."""
    if quiet:
        yield lambda label, share: None
        return
    if not err.is_terminal:
        seen: set[str] = set()

        def line(label: str, share: float) -> None:
            stage = label.split(" (")[0].split(":")[0]
            if stage not in seen:
                seen.add(stage)
                print(f"  {stage}", file=sys.stderr, flush=True)

        yield line
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda label, share: progress.update(task, description=label, completed=share)


def as_json(value: Any) -> None:
    """One JSON object on stdout and nothing else."""
    print(json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on stdout; columns after the first are aligned right when they hold numbers."""
    shown = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        shown.add_column(column, justify="right" if numeric and rows else "left", no_wrap=index == 0, overflow="fold")
    for row in rows:
        shown.add_row(
            *(
                f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
                for value in row
            )
        )
    out.print(shown)
