"""Journals to Parquet: sorted by parameters and replicate, the same bytes whatever the schedule was."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from certify.records import Refused
from certify.records.files import METADATA_KEY, UNFINISHED
from certify.records.hashing import canonical_json
from simulations.engine.grid import Grid
from simulations.engine.index import Index
from simulations.engine.study import Outcome, Scalar, Study

RESULTS = "results.parquet"
FAILURES = "failures.parquet"
GROUP = 4096
ARROW = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def places(study: Study, grid: Grid, index: Index) -> np.ndarray:
    """Position in the index of every cell of the grid, in the grid's order; -1 where there is none."""
    size = len(grid)
    if index.recorded == 0:
        return np.full(size, -1)
    return np.fromiter(index.places(cell.key for cell in grid.cells(study)), dtype=np.int64, count=size)


def attempts(index: Index, where: np.ndarray) -> np.ndarray:
    """Per cell of the grid: -1 never recorded, 0 has a row, else how often it has failed.

    where : what `places` returned.
    """
    tried = np.full(len(where), -1)
    tried[where >= 0] = index.columns["attempt"][where[where >= 0]]
    return tried


def compact(folder: Path, study: Study, grid: Grid, index: Index) -> np.ndarray:
    """Write results.parquet, and failures.parquet when cells of the grid have failed.

    Columns: the parameters, replicate, then for results the row's entries in alphabetical order, for failures error and
    attempts; last the cell's key. A result column of whole numbers and fractions is float; an entry that some rows lack is
    null there. Two passes over the journals, GROUP rows in memory at a time.
    Returns `attempts` of the grid's cells.
    """
    about = {"study": study.name, "version": study.version, **grid.to_json(study)}
    where = places(study, grid, index)
    tried = attempts(index, where)
    kinds: dict[str, set[type]] = {}
    for _, _, outcome in selected(grid, index, where, tried == 0):
        for name, value in outcome.row.items():
            kinds.setdefault(name, set()).add(type(value))
    columns = {name: _joined(name, kinds[name]) for name in sorted(kinds)}
    _write(folder / RESULTS, _schema(study, columns, about), _rows(study, grid, index, where, tried == 0))
    if np.any(tried > 0):
        schema = _schema(study, {"error": str, "attempts": int}, about)
        _write(folder / FAILURES, schema, _rows(study, grid, index, where, tried > 0))
    else:
        (folder / FAILURES).unlink(missing_ok=True)
    return tried


def selected(
    grid: Grid, index: Index, where: np.ndarray, wanted: np.ndarray
) -> Iterator[tuple[tuple[Scalar, ...], int, Outcome]]:
    """Parameter values, replicate and outcome of the recorded cells among those wanted, in the grid's order.

    where, wanted : what `places` returned, and a truth value per cell of the grid.
    """
    cells = itertools.compress(zip(grid.repeated(), where, strict=True), wanted)
    while group := list(itertools.islice(cells, GROUP)):
        outcomes = dict(index.read([place for _, place in group]))
        for (values, replicate), place in group:
            yield values, replicate, outcomes[place]


def _joined(name: str, kinds: set[type]) -> type:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {int, float}:
        return float
    words = " and ".join(sorted(kind.__name__ for kind in kinds))
    raise Refused(f"column {name} holds {words} in different cells; make the study return one type and raise its version")


def _schema(study: Study, columns: Mapping[str, type], about: Any) -> pa.Schema:
    fields = [(name, ARROW[kind]) for name, kind in study.parameters.items()]
    fields += [("replicate", pa.int64())] + [(name, ARROW[kind]) for name, kind in columns.items()] + [("cell", pa.string())]
    return pa.schema(fields, metadata={METADATA_KEY: canonical_json(about).decode()})


def _rows(study: Study, grid: Grid, index: Index, where: np.ndarray, wanted: np.ndarray) -> Iterator[dict[str, Scalar]]:
    for values, replicate, outcome in selected(grid, index, where, wanted):
        row = dict(zip(study.parameters, values, strict=True)) | {"replicate": replicate, "cell": outcome.key.hex()}
        yield row | ({"error": outcome.error, "attempts": outcome.attempt} if outcome.error else dict(outcome.row))


def _write(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Scalar]]) -> None:
    """Write rows as groups of one Parquet, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                stream = iter(rows)
                while group := list(itertools.islice(stream, GROUP)):
                    arrays = [pa.array([_cast(row.get(entry.name), entry.type) for row in group], entry.type) for entry in schema]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise Refused(
            f"{path}: cannot be written ({error.strerror or error}); make room and give the same command again"
        ) from None
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _cast(value: Scalar | None, kind: pa.DataType) -> Scalar | None:
    return float(value) if value is not None and kind == pa.float64() else value
