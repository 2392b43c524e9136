"""What a report comes to: one row a cell, images per second of every way to run it, and what becomes of published ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from certify.deploy.speed import Report
from certify.deploy.speed.endpoints import EndpointRow
from certify.deploy.speed.report import cells, published_rows

COMPILED = ("graph", "compiled", "compiled+graph")
# Where a published ratio does not survive: what its dense side was.
BECAUSE = {
    "2:4 / autocast": "its dense side held float32 weights under autocast, its 2:4 side bfloat16",
    "2:4 im2col / dense im2col": "its dense side was im2col, which cuDNN's convolution outruns",
}


def overview(report: Report) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Columns and rows: model, batch, merge; images/s of dense autocast, dense bf16, its compiled or replayed best, the best
    dense of any kind (cuDNN's convolution among them), and each 2:4 backend; the best 2:4 over the best dense; a verdict.

    An endpoint that did not run here is "-".
    """
    backends = sorted({_backend(row) for row in report.endpoints if row.sparse})
    columns = ("model", "batch", "merge", "autocast", "bf16", "compiled", "best dense")
    rows = [_row(cell, backends) for cell in cells(report.endpoints)]
    return (*columns, *(f"2:4 {name}" for name in backends), "2:4 / best dense", "verdict"), rows


def _row(cell: Sequence[EndpointRow], backends: Sequence[str]) -> tuple[Any, ...]:
    dense = [row for row in cell if not row.sparse]
    ways = (
        [row for row in dense if row.variant == "autocast"],
        [row for row in dense if (row.variant, row.mode) == ("bf16", "eager")],
        [row for row in dense if row.variant == "bf16" and row.mode in COMPILED],
        dense,
        *([row for row in cell if row.sparse and _backend(row) == name] for name in backends),
    )
    ratio = max((row.to_best_dense for row in cell if row.sparse and row.to_best_dense), default=None)
    verdict = "no 2:4 endpoint runs here" if ratio is None else "2:4 pays" if ratio > 1 else "run it dense"
    first = cell[0]
    return (first.model, first.batch, first.merge, *map(_fastest, ways), "-" if ratio is None else f"{ratio:.3f}", verdict)


def _fastest(rows: Iterable[EndpointRow]) -> str:
    best = max((row.images_per_s for row in rows if row.images_per_s is not None), default=None)
    return "-" if best is None else f"{best:.1f}"


def _backend(row: EndpointRow) -> str:
    """`im2col+cutlass` to `cutlass`; numbers of the tuned kernel count for their backend."""
    return row.variant.partition("+")[2].removesuffix("-tuned")


def survivals(report: Report) -> list[str]:
    """A sentence per published ratio of a network measured here: whether 2:4 is faster than the best dense, and why not."""
    return [_survival(row) for row in published_rows(report) if row["here_best_dense_ratio"] != ""]


def _survival(row: Mapping[str, Any]) -> str:
    what = f"{row['model']} on {row['gpu']}, batch {row['batch']}, merge {row['merge']}"
    told = f"{what}: published {row['published_ratio']:.3f} ({row['published']}), {row['fair_ratio']:.3f} of {row['fair']}; here "
    told += f"{row['here_best_dense_ratio']:.3f} of the best dense"
    if row["published_ratio"] <= 1:
        return f"{told}: no speed-up was published"
    return f"{told}: survives" if row["here_best_dense_ratio"] > 1 else f"{told}: does not survive, {BECAUSE[row['published']]}"
