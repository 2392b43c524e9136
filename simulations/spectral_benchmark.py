"""Cost of the spectral score against the width of a layer, and agreement of its fast and its dense road.

OMP_NUM_THREADS=1 python -m simulations.spectral_benchmark     (about 10 minutes, writes reports/studies/spectral-cost.{md,svg})
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from certify.pruning.distortion.graphs import Graph, approximate_graph, directions, distances, neighbour_graph
from certify.pruning.distortion.pencils import SKETCH, edge_scores
from certify.records.files import atomic_write
from simulations.studies._page import COLOURS, STYLE, table

FOLDER = Path("reports/studies")
SAMPLES = 4096
WIDTHS = (256, 512, 1024, 2048, 4096, 8192)
MOST_DENSE = 2048


def states(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, n) correlated states of n neurons with thresholds of their own, before and after a ReLU."""
    rng = np.random.default_rng(n)
    sources = rng.normal(size=(SAMPLES, 64)).astype(np.float32)
    before = sources @ rng.normal(size=(64, n)).astype(np.float32) + 4 * rng.normal(size=(SAMPLES, n)).astype(np.float32)
    before = before.astype(np.float64) + 4 * rng.normal(size=n)
    return before, np.maximum(before, 0.0)


def graphs(n: int) -> tuple[Graph, Graph]:
    """Both graphs, neighbours exact."""
    return tuple(neighbour_graph(distances(directions(each, "pearson"), "pearson")) for each in states(n))  # type: ignore[return-value]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def measure(n: int) -> dict[str, float]:
    """Seconds of each part at one width, and agreement where both roads run."""
    before, after = states(n)
    column = directions(before, "pearson")
    floor, _ = timed(lambda: column.T @ column)
    graph_seconds, inner = timed(lambda: neighbour_graph(distances(directions(before, "pearson"), "pearson")))
    outer = neighbour_graph(distances(directions(after, "pearson"), "pearson"))
    fast_seconds, fast = timed(lambda: edge_scores(inner.weights, outer.weights, dense=False))
    row = {"n": n, "gemm": floor, "graph": graph_seconds, "fast": fast_seconds, "whole": 2 * graph_seconds + fast_seconds}
    sketch_seconds, sketch = timed(lambda: edge_scores(inner.weights, outer.weights, form="full", dense=False, sketch=SKETCH))
    row["sketch"] = sketch_seconds
    if n <= MOST_DENSE:
        dense_seconds, dense = timed(lambda: edge_scores(inner.weights, outer.weights, dense=True))
        ours, theirs = fast.nodes("mean", n), dense.nodes("mean", n)
        row |= {"dense": dense_seconds, "differs": float(np.max(np.abs(ours - theirs)) / np.max(theirs))}
        full_seconds, full = timed(lambda: edge_scores(inner.weights, outer.weights, form="full", dense=True))
        row |= {"full": full_seconds, "tau": float(kendalltau(sketch.nodes("mean", n), full.nodes("mean", n))[0])}
    approximate_seconds, found = timed(lambda: approximate_graph(column))
    shared = inner.weights.multiply(found.weights > 0).nnz / inner.weights.nnz
    return row | {"approximate": approximate_seconds, "recall": float(shared)}


def _own_process(n: int, pipe: Any) -> None:
    row = measure(n)
    pipe.send(row | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})


def alone(n: int) -> dict[str, float]:
    """`measure` in a process of its own, with its peak memory in GiB."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_own_process, args=(n, theirs))
    process.start()
    theirs.close()
    row = ours.recv()
    process.join()
    return row


def main(words: list[str] | None = None) -> int:
    """Measure, write the page and its picture."""
    parser = argparse.ArgumentParser(prog="python -m simulations.spectral_benchmark", description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(words)
    rows = []
    for n in options.widths:
        rows.append(alone(n))
        print({key: round(value, 4) for key, value in rows[-1].items()}, flush=True)
    write(rows, options.out)
    return 0


def write(rows: list[dict[str, float]], folder: Path) -> None:
    """spectral-cost.md and spectral-cost.svg."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def cell(row: dict[str, float], key: str) -> str:
        return f"{row[key]:.3g}" if key in row else "–"

    keys = ("gemm", "graph", "fast", "whole", "dense", "differs", "full", "sketch", "tau", "approximate", "recall", "peak")
    head = (
        "neurons", "one Gram product, s", "one graph, s", "pencil, fast, s", "score, whole, s", "pencil, dense, s",
        "largest relative difference", "full form, dense, s", f"sketch of {SKETCH} rows, s", "Kendall tau of sketch",
        "approximate graph, s", "edges it shares", "peak of all, GiB",
    )  # fmt: skip
    cells = [(int(row["n"]), *(cell(row, key) for key in keys)) for row in rows]
    large = rows[-1]
    text = [
        "# Cost of the spectral score against the width of a layer",
        "",
        "Written by `OMP_NUM_THREADS=1 python -m simulations.spectral_benchmark`: one thread, a process for each width, "
        f"{SAMPLES:,} samples, 10 neighbours, min(10, n/8) pairs.",
        "",
        "![Seconds against width](spectral-cost.svg)",
        "",
        *table(head, cells),
        f"The floor is one Gram product for each graph: at {int(large['n']):,} neurons the whole score takes "
        f"{large['whole'] / (2 * large['gemm']):.1f} times the two. Memory is n^2 numbers (distances) a few times over; the "
        "pencil itself needs n k. Fast: Lanczos with solves by conjugate gradients; dense: LAPACK. The last columns are the "
        "road without a table of distances: it saves memory, not time, and serves layers above 16,384 neurons.",
    ]
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6.5, 4.0), layout="constrained")
        names = (
            ("gemm", "one Gram product"),
            ("graph", "one graph"),
            ("fast", "pencil, fast"),
            ("dense", "pencil, dense"),
            ("sketch", "full form, sketch"),
            ("full", "full form, dense"),
        )
        for (key, label), colour in zip(names, COLOURS, strict=True):
            known = [(row["n"], row[key]) for row in rows if key in row]
            axes.loglog(*zip(*known, strict=True), marker="o", markersize=4, label=label, color=colour)
        axes.set(xlabel="neurons of the layer", ylabel="seconds, one thread")
        axes.set_xticks([row["n"] for row in rows], [f"{int(row['n']):,}" for row in rows])
        axes.minorticks_off()
        axes.legend(frameon=False)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    atomic_write(folder / "spectral-cost.svg", buffer.getvalue())
    atomic_write(folder / "spectral-cost.md", ("\n".join(text) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
