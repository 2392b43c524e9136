"""Files that are whole or absent: every write goes to a temporary neighbour and is renamed into place."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy

from certify.records.errors import Refused
from certify.records.hashing import canonical_json, network_digest

METADATA_KEY = "certify"
UNFINISHED = ".part"


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` so that a crash leaves the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; refused by name when it is not there."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value for people and machines: sorted keys, two spaces, finite numbers only."""
    canonical_json(value)
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON value; NaN, infinity, repeated keys and broken text are refused."""
    return parse_json(read_bytes(path), path)


def parse_json(text: bytes | str, path: Path) -> Any:
    """The JSON value of `text`, read as `read_json` reads a file."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path}: not a JSON record ({error}); restore the file or rerun the stage that wrote it") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text} is not finite")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"the number {name} is not allowed")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], about: Any = None) -> None:
    """Write arrays as safetensors. `about` is a JSON value kept in one metadata key, so that equal content gives equal bytes."""
    metadata = {METADATA_KEY: canonical_json(about).decode()} if about is not None else None
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    atomic_write(path, safetensors.numpy.save(arrays, metadata))


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read every array of a safetensors file; a truncated or foreign file is refused."""
    try:
        return safetensors.numpy.load(read_bytes(path))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise Refused(f"{path}: not a whole safetensors file ({error})") from None


def tensors_about(path: Path) -> Any:
    """The JSON value stored beside the arrays, or None."""
    header = safetensors_header(read_bytes(path), path)
    metadata = header.get("__metadata__", {})
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else ""
    return parse_json(str(text), path) if text is not None else None


def safetensors_header(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, checked against the file's length."""
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise Refused(f"{path}: not a safetensors file; its header cannot be read") from None
    if len(data) != 8 + size + max(ends, default=0):
        raise Refused(
            f"{path}: {len(data)} bytes found, {8 + size + max(ends, default=0)} expected; the file is truncated or padded"
        )
    return header


def checkpoint_digest(path: Path) -> str:
    """`network_digest` of a safetensors checkpoint, read from its bytes alone (no model, no torch)."""
    data = read_bytes(path)
    header = safetensors_header(data, path)
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    try:
        return network_digest(
            (name, entry["dtype"], tuple(entry["shape"]), data[slice(*(start + int(end) for end in entry["data_offsets"]))])
            for name, entry in tensors.items()
        )
    except (KeyError, TypeError, ValueError):
        raise Refused(f"{path}: not a safetensors file; a tensor has no number format, shape or place") from None


def write_table(path: Path, columns: Mapping[str, Any], about: Any = None) -> None:
    """Write columns as Parquet. `about` is a JSON value kept in the schema's metadata."""
    table = pa.table(dict(columns))
    if about is not None:
        table = table.replace_schema_metadata({METADATA_KEY: canonical_json(about).decode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    atomic_write(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> tuple[dict[str, list[Any]], Any]:
    """Columns as lists, and the JSON value stored beside them."""
    try:
        table = pq.read_table(pa.BufferReader(read_bytes(path)))
        metadata = table.schema.metadata or {}
        text = metadata.get(METADATA_KEY.encode())
        about = parse_json(text, path) if text is not None else None
        return table.to_pydict(), about
    except (pa.ArrowException, OSError, ValueError) as error:
        sentence = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(f"{path}: not a whole Parquet file ({sentence})") from None
