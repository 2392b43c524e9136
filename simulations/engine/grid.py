"""The grid of a sweep: TOML in, a lazy sorted stream of distinct cells out."""

from __future__ import annotations

import heapq
import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certify.records import Refused, Usage
from simulations.engine.study import INT64, Cell, Scalar, Study, cell

Axes = tuple[tuple[Scalar, ...], ...]
TOP = ("grid", "replicates", "seed")


@dataclass(frozen=True)
class Grid:
    """The parameters at which a study is evaluated: a union of products.

    tables     : per product, the sorted distinct values of each parameter in the study's order.
    replicates : independent repetitions at each point, >= 1.
    seed       : enters every cell's key; another seed is another sweep.
    """

    tables: tuple[Axes, ...]
    replicates: int = 1
    seed: int = 0

    def to_json(self, study: Study) -> dict[str, Any]:
        """The grid as `read` takes it."""
        tables = [dict(zip(study.parameters, map(list, axes), strict=True)) for axes in self.tables]
        return {"grid": tables, "replicates": self.replicates, "seed": self.seed}

    def points(self) -> Iterator[tuple[Scalar, ...]]:
        """Distinct parameter values, sorted, one at a time."""
        streams = [itertools.product(*axes) for axes in self.tables]
        return (point for point, _ in itertools.groupby(heapq.merge(*streams)))

    def repeated(self) -> Iterator[tuple[tuple[Scalar, ...], int]]:
        """Parameter values and replicate of every cell once, sorted, one at a time."""
        return ((point, replicate) for point in self.points() for replicate in range(self.replicates))

    def cells(self, study: Study) -> Iterator[Cell]:
        """Every cell once, in the same order."""
        return (cell(study, self.seed, point, replicate) for point, replicate in self.repeated())

    def __len__(self) -> int:
        if len(self.tables) == 1:
            return math.prod(map(len, self.tables[0])) * self.replicates
        return sum(1 for _ in self.points()) * self.replicates


def load_grid(study: Study, path: Path) -> Grid:
    """The grid in a TOML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path}: grid cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise Usage(f"{path}: not a text file; a grid is TOML in UTF-8") from None
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Usage(f"{path}: not TOML ({error})") from None
    return read_grid(study, value, str(path))


def read_grid(study: Study, value: Mapping[str, Any], source: str) -> Grid:
    """The grid of a parsed file: `replicates`, `seed`, and one `[grid]` table or several `[[grid]]` tables.

    A table gives every parameter of the study one value or a list of values and stands for their product; several tables
    stand for the union of their products.
    """
    for key in value:
        if key not in TOP:
            raise Usage(f"{source}: unknown key {key}; known here: {', '.join(TOP)}")
    tables = value.get("grid")
    tables = [tables] if isinstance(tables, Mapping) else tables
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        raise Usage(f"{source}: needs a [grid] table, or [[grid]] tables, with {', '.join(study.parameters)}")
    return Grid(
        tuple(_axes(study, table, source) for table in tables),
        _whole(value.get("replicates", 1), 1, f"{source}: replicates"),
        _whole(value.get("seed", 0), 0, f"{source}: seed"),
    )


def _whole(value: Any, least: int, what: str) -> int:
    if type(value) is not int or not least <= value < INT64:
        raise Usage(f"{what} = {value!r} is not a whole number of at least {least} in 64 bits")
    return value


def _axes(study: Study, table: Mapping[str, Any], source: str) -> Axes:
    for name in table:
        if name not in study.parameters:
            raise Usage(f"{source}: unknown key grid.{name}; study {study.name} takes {', '.join(study.parameters)}")
    for name in study.parameters:
        if name not in table:
            raise Usage(f"{source}: grid.{name} is missing; study {study.name} takes {', '.join(study.parameters)}")
    return tuple(_axis(table[name], kind, f"{source}: grid.{name}") for name, kind in study.parameters.items())


def _axis(value: Any, kind: type, what: str) -> tuple[Scalar, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise Usage(f"{what} is an empty list; give at least one value")
    plain = [_value(entry, kind, what) for entry in values]
    ordered = tuple(sorted(set(plain)))
    if len(ordered) < len(plain):
        twice = next(entry for entry in ordered if plain.count(entry) > 1)
        raise Usage(f"{what} names {twice!r} twice")
    return ordered


def _value(value: Any, kind: type, what: str) -> Scalar:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise Usage(f"{what} = {value!r} must be of type {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise Usage(f"{what} = {value!r} is not a finite number")
    if kind is int and not -INT64 <= value < INT64:
        raise Usage(f"{what} = {value!r} does not fit in 64 bits")
    return value + 0.0 if kind is float else value
