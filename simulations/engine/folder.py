"""The folder of a sweep, and merging several.

sweep.json        study, version and grid
journals/         what was computed: one journal per process that computed
results.parquet   the rows, written when a sweep ends or stops
failures.parquet  the errors, only while there are some
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from certify.records import Refused
from certify.records.files import UNFINISHED, read_json, write_json
from simulations.engine.grid import Grid, read_grid
from simulations.engine.index import Index, read_index
from simulations.engine.journal import encode, journals, new_journal
from simulations.engine.study import Study, load
from simulations.engine.table import attempts, compact, places, selected

SWEEP = "sweep.json"
JOURNALS = "journals"
LOCK = ".lock"


def journal_folder(out: Path) -> Path:
    """Where a sweep's journals lie."""
    return out / JOURNALS


def index_of(out: Path) -> Index:
    """What the sweep of this folder has recorded so far; nothing for a folder that is not there."""
    return read_index(journals(journal_folder(out)))


def stored(out: Path) -> tuple[Study, Grid] | None:
    """Study and grid of the sweep in this folder, or None when there is none."""
    path = out / SWEEP
    if not path.exists():
        return None
    value = read_json(path)
    try:
        name, version = value["study"], value["version"]
        grid = {key: entry for key, entry in value.items() if key not in ("study", "version")}
    except (TypeError, KeyError, AttributeError):
        raise Refused(f"{path}: not the sweep.json of a sweep; choose another --out") from None
    study = load(name)
    if study.version != version:
        raise Refused(
            f"{out}: holds {name} version {version}, and the study is now version {study.version}; choose another --out"
        )
    return study, read_grid(study, grid, str(path))


def prepare(out: Path, study: Study, grid: Grid) -> None:
    """Make the folder, or take up a sweep of the same study; finished cells of another grid are kept and used again."""
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: exists and is not a folder; choose another --out")
    before = stored(out)
    if before is not None and before[0] != study:
        raise Refused(f"{out}: holds a sweep of {before[0].name}, not of {study.name}; choose another --out")
    if before is None and out.exists() and any(not _mere_trace(entry) for entry in out.iterdir()):
        raise Refused(f"{out}: is not empty and holds no {SWEEP}; choose another --out")
    if before is None or before[1] != grid:
        write_json(out / SWEEP, {"study": study.name, "version": study.version, **grid.to_json(study)})


def _mere_trace(entry: Path) -> bool:
    return entry.name == LOCK or entry.name.endswith(UNFINISHED)


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder for one sweep; a second is refused. What a killed one had half-written is removed.

    A file system without locks is used without one: two sweeps then compute cells twice, and still agree.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise Refused(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{out}: another sweep is running in this folder; wait for it or choose another --out") from None
        except OSError:
            pass
        for part in (*out.glob(f".*{UNFINISHED}"), *journal_folder(out).glob(f".*{UNFINISHED}")):
            part.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def merge(sources: Sequence[Path], out: Path) -> np.ndarray:
    """Join folders of one sweep, such as its shards, into one that can be gone on with.

    Records already in `out` stay; each cell of the grid that is new there is added once, in the grid's order.
    Returns how often each cell of the grid was tried, as `compact` does.
    """
    kept = []
    for source in sources:
        sweep = stored(source)
        if sweep is None:
            raise Refused(f"{source}: is not the folder of a sweep (no {SWEEP})")
        if kept and sweep != kept[0]:
            raise Refused(f"{source}: holds another sweep than {sources[0]} (study, version or grid); only equal ones merge")
        kept.append(sweep)
    study, grid = kept[0]
    with alone(out):
        before = stored(out)
        if before is not None and before != (study, grid):
            raise Refused(f"{out}: holds another sweep than {sources[0]}; choose another --out")
        prepare(out, study, grid)
        own = journals(journal_folder(out))
        others = [path for source in sources if source.resolve() != out.resolve() for path in journals(journal_folder(source))]
        known, everything = read_index(own), read_index([*own, *others])
        _add(out, study, grid, known, everything)
        return compact(out, study, grid, index_of(out))


def _add(out: Path, study: Study, grid: Grid, known: Index, everything: Index) -> None:
    """Write what `known` lacks as one new journal, whole or not at all."""
    folder = journal_folder(out)
    target = new_journal(folder)
    part = folder / f".{target.name}{UNFINISHED}"
    mine, where = attempts(known, places(study, grid, known)), places(study, grid, everything)
    with open(part, "wb") as file:
        for _, _, outcome in selected(grid, everything, where, mine != attempts(everything, where)):
            file.write(encode(outcome))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    if target.stat().st_size == 0:
        target.unlink()
