"""From the results of a sweep to a page of findings and a picture, both written by one command."""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from certify.records import CertifyError, Refused
from certify.records.files import atomic_write, read_table
from simulations.engine.study import Study

Array = npt.NDArray[Any]
FOLDER = Path("reports/random-matrices")
INK, PUBLISHED, OURS, GROUND = "#333333", "#b5442b", "#1f6f8b", "#c9c9c9"
COLOURS = (OURS, PUBLISHED, "#5b8c3e", "#8a5a9e", "#c08a1e", INK)
STYLE = {"svg.hashsalt": "certify", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True)
class Results:
    """The rows of results.parquet, one array per column.

    columns : name -> (rows,). Numbers are float64 or int64, words are objects.
    about   : study, version and grid, as the engine stored them.
    """

    columns: Mapping[str, Array]
    about: Mapping[str, Any]

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def where(self, mask: Array | None = None, **values: Any) -> Results:
        """The rows of a mask at which the named columns have these values."""
        kept = np.ones(len(self), dtype=bool) if mask is None else np.array(mask, dtype=bool)
        for name, value in values.items():
            kept &= self.columns[name] == value
        return Results({name: column[kept] for name, column in self.columns.items()}, self.about)

    def by_seed(self, column: str) -> dict[int, float]:
        """Seed -> value of a column, of rows with one for each seed."""
        return dict(zip(self["seed"].tolist(), self[column].tolist(), strict=True))

    def groups(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Results]]:
        """The rows that agree on the named columns, in the order of their values."""
        keys = sorted(set(zip(*(self.columns[name].tolist() for name in names), strict=True)))
        for key in keys:
            yield key, self.where(**dict(zip(names, key, strict=True)))


def load_results(path: Path, study: Study) -> Results:
    """The results of a study; refused where they are those of another study, of another version, or none."""
    columns, about = read_table(path)
    if not isinstance(about, Mapping) or (about.get("study"), about.get("version")) != (study.name, study.version):
        found = f"{about.get('study')!r} version {about.get('version')}" if isinstance(about, Mapping) else "unnamed"
        raise Refused(f"{path}: results of {found}; {study.name!r} version {study.version} is expected")
    if not columns or not next(iter(columns.values())):
        raise Refused(f"{path}: no rows; finish the sweep first")
    return Results({name: np.array(values) for name, values in columns.items()}, about)


def slope(sizes: npt.ArrayLike, values: npt.ArrayLike) -> float:
    """Exponent of a power law by least squares of logarithms; nan from fewer than two sizes, or where a value is 0."""
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if len(np.unique(x)) < 2 or not np.all(y > 0.0):
        return math.nan
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def standard_error(sample: npt.ArrayLike) -> float:
    """Of the mean of independent draws; nan from a single one."""
    values = np.asarray(sample, dtype=np.float64)
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a Markdown table; floats with four digits."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(map(shown, row)) + " |" for row in rows), ""]


def shown(value: Any) -> str:
    """A number as a page shows it; a dash where there is none."""
    if isinstance(value, float | np.floating) and math.isnan(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def write(
    study: Study,
    results: Results,
    folder: Path,
    title: str,
    lines: Sequence[str],
    draw: Callable[[Any, Results], None],
    size: tuple[float, float] = (10.0, 3.8),
) -> list[Path]:
    """Write NAME.md and NAME.svg of a study into the folder; the same results give the same bytes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(figsize=size, layout="constrained")
        draw(figure, results)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        pyplot.close(figure)
    module = study.name.replace("-", "_")
    text = [
        f"# {title}",
        "",
        f"Written by `python -m simulations {study.name}` and `python -m simulations.studies.{module}`: "
        f"{len(results)} cells, study version {study.version}, seed {results.about['seed']}.",
        "",
        f"![{title}]({study.name}.svg)",
        "",
        *lines,
    ]
    pages = {folder / f"{study.name}.svg": buffer.getvalue(), folder / f"{study.name}.md": _joined(text)}
    for path, data in pages.items():
        atomic_write(path, data)
    return list(pages)


def _joined(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def command(
    study: Study,
    page: Callable[[Results, Path], list[Path]],
    words: Sequence[str] | None = None,
    *,
    folder: Path = FOLDER,
) -> int:
    """Read a sweep's folder, write its page; the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m simulations.studies.{study.name.replace('-', '_')}",
        description=f"The page and picture of: {study.about}.",
    )
    parser.add_argument("--sweep", type=Path, default=Path("runs/simulations") / study.name, help="folder of the sweep")
    parser.add_argument("--out", type=Path, default=folder, help=f"where page and picture go, {folder} without it")
    options = parser.parse_args(words)
    try:
        for path in page(load_results(options.sweep / "results.parquet", study), options.out):
            print(path)
    except CertifyError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
