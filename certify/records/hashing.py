"""Content hashes. A network is named by the hash of every tensor and buffer, a file by the hash of its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from certify.records.errors import Refused


def canonical_json(value: Any) -> bytes:
    """One byte string per value: sorted keys, no spaces, UTF-8, no NaN or infinity."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise Refused(f"a record holds a number that is not finite and is not written: {error}") from None


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; a missing file is refused by name."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hash of a JSON value through its canonical bytes."""
    return sha256_bytes(canonical_json(value))


def network_digest(tensors: Iterable[tuple[str, str, tuple[int, ...], bytes]]) -> str:
    """Name of a network: SHA-256 over (name, dtype, shape, raw little-endian bytes) of every tensor, sorted by name.

    tensors : (name, safetensors dtype such as "F32", shape, bytes) of each parameter and buffer.
    """
    digest = hashlib.sha256()
    for name, dtype, shape, data in sorted(tensors, key=lambda entry: entry[0]):
        header = canonical_json([name, dtype, list(shape), len(data)])
        digest.update(len(header).to_bytes(8, "little") + header)
        digest.update(data)
    return digest.hexdigest()
