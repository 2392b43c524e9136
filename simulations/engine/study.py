"""What a study and a cell are: a cell's key, its seed, and its result."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from certify.records import Usage
from certify.records.hashing import canonical_json
from simulations.studies import STUDIES

Scalar = bool | int | float | str
KINDS = (bool, int, float, str)
KEY_BYTES = 16
OWN_COLUMNS = ("replicate", "cell", "error", "attempts")
INT64 = 2**63
LONGEST_ERROR = 500
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A pure function of (parameters, random generator), and where it is evaluated by default.

    name       : what `load` finds it by: a key of simulations.studies.STUDIES, or the dotted name of its module.
    version    : raised by hand whenever `run` would return something else; results of two versions never mix.
    run        : (parameters, generator) -> row. One cell gives one row of numbers, words and truth values. It reads nothing
                 else and draws from this generator alone, so that its result depends on neither workers nor order.
    parameters : name -> bool, int, float or str, in the order of the result's columns; the result is sorted by them.
    grid_path  : TOML file with the default grid.
    about      : one line for `list`.
    """

    name: str
    version: int
    run: Callable[[Mapping[str, Scalar], np.random.Generator], Mapping[str, Any]]
    parameters: Mapping[str, type]
    grid_path: Path
    about: str

    def __post_init__(self) -> None:
        if type(self.version) is not int or self.version < 1:
            raise Usage(f"study {self.name}: version = {self.version!r} is not a whole number of at least 1")
        for name, kind in self.parameters.items():
            if kind not in KINDS:
                raise Usage(f"study {self.name}: parameter {name} has type {kind!r}, not bool, int, float or str")
            if name in OWN_COLUMNS:
                raise Usage(f"study {self.name}: the parameter name {name} is taken by the engine")


@dataclass(frozen=True)
class Cell:
    """One evaluation of a study.

    key       : KEY_BYTES bytes of SHA-256 over (study, version, seed, parameters, replicate) in canonical JSON.
    values    : parameter values in the study's order.
    replicate : 0, 1, ...: independent repetitions at equal parameters.
    """

    key: bytes
    values: tuple[Scalar, ...]
    replicate: int


def cell(study: Study, seed: int, values: tuple[Scalar, ...], replicate: int) -> Cell:
    """The cell of these parameters under a grid's seed."""
    named = dict(zip(study.parameters, values, strict=True))
    about = canonical_json([study.name, study.version, seed, named, replicate])
    return Cell(hashlib.sha256(about).digest()[:KEY_BYTES], values, replicate)


def generator_of(key: bytes) -> np.random.Generator:
    """The random generator of a cell: PCG64 seeded by SeedSequence(entropy = key as a whole number)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(key, "big"))))


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: a row, or the error that stopped it.

    seconds : wall time of the study's function, kept in the journal and never in the results.
    """

    key: bytes
    seconds: float
    row: Mapping[str, Scalar] = field(default_factory=dict)
    error: str = ""
    attempt: int = 1


def compute(study: Study, work: Cell, attempt: int = 1) -> Outcome:
    """Evaluate one cell. An exception of the study, and a row that cannot be stored, become an error."""
    named = dict(zip(study.parameters, work.values, strict=True))
    began = time.perf_counter()
    try:
        row, error = checked_row(study, study.run(named, generator_of(work.key))), ""
    except (Exception, SystemExit) as problem:
        row, error = {}, described(problem)
    return Outcome(work.key, time.perf_counter() - began, row, error, attempt)


def checked_row(study: Study, row: Any) -> dict[str, Scalar]:
    """The row as plain Python values. NaN and infinity are results ("no spike", "vacuous"); None, arrays and lists are not."""
    if not isinstance(row, Mapping) or not row:
        raise TypeError(f"the study returned {type(row).__name__}, not a mapping with at least one entry")
    found = {}
    for name, value in row.items():
        if not isinstance(name, str) or name in study.parameters or name in OWN_COLUMNS:
            raise ValueError(f"the study returned a column named {name!r}, which is no word or is taken")
        plain = value.item() if isinstance(value, np.generic) else value
        if type(plain) not in KINDS:
            raise TypeError(f"the study returned {type(value).__name__} for {name}, not a number, word or truth value")
        if type(plain) is int and not -INT64 <= plain < INT64:
            raise ValueError(f"the study returned {name} = {plain}, which does not fit in 64 bits")
        found[name] = plain
    return found


def described(problem: BaseException) -> str:
    """Type, message and place of an exception in one line, without the machine's folders."""
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {message}"[:LONGEST_ERROR] + place


@cache
def load(name: str) -> Study:
    """The study of this name, or the `STUDY` of a module given by its dotted name."""
    module = STUDIES.get(name, name if "." in name else "")
    if not module:
        raise Usage(f"no study is called {name!r}; known here: {', '.join(STUDIES)}, or package.module with a STUDY")
    try:
        study = importlib.import_module(module).STUDY
    except (ImportError, AttributeError) as error:
        raise Usage(f"study {name}: cannot be loaded from {module} ({error})") from None
    if not isinstance(study, Study):
        raise Usage(f"study {name}: {module}.STUDY is {type(study).__name__}, not a Study")
    if study.name != name:
        raise Usage(f"study {name}: calls itself {study.name!r} in {module}; the two names must be one")
    return study


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """BLAS, OpenMP and torch have one thread in this process, and in processes started meanwhile.

    The order of a sum depends on the number of threads, and so do its last bits. What is loaded meanwhile reads the
    environment and keeps to one thread for good.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    torch = sys.modules.get("torch")
    torch_threads = torch.get_num_threads() if torch else 0
    try:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        if torch:
            torch.set_num_threads(1)
        with threadpoolctl.threadpool_limits(limits=1):
            yield
    finally:
        if torch:
            torch.set_num_threads(torch_threads)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
