"""A speed report as tables, as plain words, and as a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from certify.deploy.speed import Report
from certify.deploy.speed.endpoints import EndpointRow
from certify.deploy.speed.published import CONVOLUTIONAL, TRANSFORMERS
from certify.records.files import atomic_write


def write_tables(report: Report, folder: Path) -> list[Path]:
    """macs.csv, sizes.csv, gemm.csv, endpoints.csv, published.csv, speed.svg; tables without rows are left out."""
    timed = [vars(row) | {"round_ms": " ".join(f"{ms:.4f}" for ms in row.round_ms)} for row in report.endpoints]
    tables: dict[str, Sequence[Mapping[str, Any]]] = {
        "macs": report.macs,
        "sizes": report.sizes,
        "gemm": [vars(row) for row in report.gemm],
        "endpoints": timed,
        "published": published_rows(report),
    }
    written = []
    for name, rows in tables.items():
        if rows:
            atomic_write(folder / f"{name}.csv", _csv(rows))
            written.append(folder / f"{name}.csv")
    atomic_write(folder / "speed.svg", figure(report))
    return [*written, folder / "speed.svg"]


def published_rows(report: Report) -> list[dict[str, Any]]:
    """Every published ratio, as published and against the dense network in the same arithmetic, beside the one here."""
    rows: list[dict[str, Any]] = []
    for row in TRANSFORMERS:
        rows.append(
            {"model": row.model, "gpu": row.gpu, "batch": row.batch, "merge": row.merge}
            | {"published": "2:4 / autocast", "published_ratio": round(row.to_autocast, 3)}
            | {"fair": "2:4 / dense bf16", "fair_ratio": round(row.to_bf16, 3)}
            | _here(report, row.model, row.merge)
        )
    for conv in CONVOLUTIONAL:
        rows.append(
            {"model": conv.model, "gpu": conv.gpu, "batch": 128, "merge": 0}
            | {"published": "2:4 im2col / dense im2col", "published_ratio": round(conv.to_im2col, 3)}
            | {"fair": "2:4 im2col / cuDNN", "fair_ratio": round(conv.to_cudnn, 3)}
            | _here(report, conv.model, 0)
        )
    return rows


def _here(report: Report, model: str, merge: int) -> dict[str, Any]:
    """The best ratios of any 2:4 endpoint measured here at the largest batch: as published, and to the best dense."""
    rows = [row for row in sparse_rows(report) if (row.model, row.merge) == (model, merge)]
    if not rows:
        return {"here_batch": "", "here_published_ratio": "", "here_best_dense_ratio": ""}
    batch = max(row.batch for row in rows)
    last = [row for row in rows if row.batch == batch]
    like = [_as_published(row) for row in last if row.mode == "eager"]
    return {
        "here_batch": batch,
        "here_published_ratio": round(max(filter(None, like)), 3) if any(like) else "",
        "here_best_dense_ratio": round(max(row.to_best_dense or 0.0 for row in last), 3),
    }


def _as_published(row: EndpointRow) -> float | None:
    """The ratio the way it was published: to dense im2col for lowered convolutions, else to dense autocast."""
    return row.to_same_mode if row.variant.startswith("im2col") else row.to_autocast


def sparse_rows(report: Report) -> list[EndpointRow]:
    """The 2:4 endpoints that were measured."""
    return [row for row in report.endpoints if row.sparse and row.median_ms is not None]


def summary(report: Report) -> list[str]:
    """The report in lines of text, the most important last."""
    lines = [_promise(row) for row in report.macs]
    for row in report.sizes:
        text = f"{row['model']}: {row['dense']:,} bytes dense in {row['dtype']}, {row['compressed']:,} compressed"
        lines.append(f"{text}, {row['on_disk']:,} on disk ({row['ratio']:.4f} of dense)")
    if report.status != "measured":
        return [*lines, f"speed: {report.status}"]
    here = report.machine
    lines.append(f"speed: measured on {here.get('name')}, torch {here.get('torch')}, CUDA {here.get('cuda')}")
    for row in report.gemm:
        if row.verdict and row.mode in ("graph", "-"):
            what = f"{row.model} batch {row.batch} {row.example} ({row.rows}x{row.cols}, x{row.count})"
            lines.append(f"{what} {row.kernel}: {row.verdict}")
    for cell in cells(report.endpoints):
        lines.append(_title(cell))
        lines += [_line(row) for row in sorted(cell, key=lambda row: row.median_ms or float("inf"))]
    return lines + [_best(cell) for cell in cells(report.endpoints)]


def _promise(row: Mapping[str, Any]) -> str:
    text = f"{row['model']}: {row['dense'] / 1e9:.3f} GMAC; 2:4 saves {row['two_four_reduction']:.2%} of them"
    text += f", at most {row['two_four_speedup']:.2f}x"
    if "both_reduction_executed" in row:
        text += f"; with {row['merge']} tokens merged per block {row['both_reduction_executed']:.2%}"
        text += f", at most {row['both_speedup_executed']:.2f}x"
    return text


def _best(cell: Sequence[EndpointRow]) -> str:
    timed = [row for row in cell if row.sparse and row.to_best_dense]
    if not timed:
        return f"{_title(cell)}: no 2:4 endpoint runs here"
    best = max(timed, key=lambda row: row.to_best_dense or 0.0)
    ratio = f"{best.to_best_dense:.3f}x the best dense ({best.best_dense})"
    return f"{_title(cell)}: best 2:4 is {best.variant}/{best.mode}, {ratio}"


def _title(cell: Sequence[EndpointRow]) -> str:
    return f"{cell[0].model} batch {cell[0].batch} merge {cell[0].merge}"


def cells(rows: Iterable[EndpointRow]) -> list[list[EndpointRow]]:
    """Rows grouped by (model, batch, merge), in order of appearance."""
    found: dict[tuple[str, int, int], list[EndpointRow]] = {}
    for row in rows:
        found.setdefault((row.model, row.batch, row.merge), []).append(row)
    return list(found.values())


def _line(row: EndpointRow) -> str:
    head = f"  {row.variant}/{row.mode}"
    if row.median_ms is None:
        return f"{head:<36} {row.status}: {row.reason}"
    spread = ((row.q75_ms or 0) - (row.q25_ms or 0)) / row.median_ms
    text = f"{head:<36} {row.median_ms:9.3f} ms  iqr {spread:6.1%}  {row.images_per_s:10.1f} im/s"
    text += f"  {row.to_best_dense:6.3f} of best dense"
    if row.peak_bytes is not None:
        text += f"  peak {row.peak_bytes / 2**20:8.1f} MiB"
    if row.predicted_ratio is not None and row.to_same_mode is not None:
        text += f"  same mode {row.to_same_mode:.3f}, predicted {row.predicted_ratio:.3f}"
    return text


def figure(report: Report) -> bytes:
    """One dot per published ratio and per cell measured here: as published (hollow), against fair dense (filled)."""
    from matplotlib.figure import Figure

    rows = published_rows(report)
    names = list(dict.fromkeys(row["model"] for row in rows))
    plot = Figure(figsize=(9, 0.45 * len(names) + 1.6), layout="constrained")
    axes = plot.subplots()
    colours = {"A40": "#7a7a7a", "A100": "#1f77b4"}
    for row in rows:
        y = names.index(row["model"]) + (0.15 if row["gpu"] == "A40" else -0.05)
        axes.plot(row["published_ratio"], y, "o", mfc="none", color=colours[row["gpu"]])
        axes.plot(row["fair_ratio"], y, "o", color=colours[row["gpu"]])
    for cell in cells(sparse_rows(report)):
        if cell[0].model in names:
            y = names.index(cell[0].model) - 0.25
            axes.plot(max(row.to_best_dense or 0 for row in cell), y, "D", color="#d62728")
            autocast = [row.to_autocast for row in cell if row.to_autocast and row.mode == "eager"]
            if autocast:
                axes.plot(max(autocast), y, "D", mfc="none", color="#d62728")
    axes.axvline(1.0, color="black", lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("2:4 throughput over dense throughput (right of 1: faster)")
    where = report.machine.get("name", "") if report.status == "measured" else report.status
    title = "hollow: as published; filled: against dense in the same arithmetic, or cuDNN"
    axes.set_title(f"{title}\ngrey A40, blue A100; red: here ({where})", fontsize=9)
    buffer = io.BytesIO()
    plot.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
