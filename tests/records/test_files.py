"""Files are whole or absent, hash the same everywhere, and are refused when a byte is not as written."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.records.files import (
    atomic_write,
    checkpoint_digest,
    read_json,
    read_table,
    read_tensors,
    tensors_about,
    write_json,
    write_table,
    write_tensors,
)
from certify.records.hashing import canonical_json, network_digest, sha256_bytes, sha256_file, sha256_json

READERS = (read_tensors, tensors_about, checkpoint_digest)


def safetensors_bytes(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")
    for broken in ("replace", "fsync", "chmod"):
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> None:
                raise OSError("disk full")

            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="disk full"):
                atomic_write(path, b"new")
        assert path.read_bytes() == b"old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("synced"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("named"), replace(*paths)))
    atomic_write(tmp_path / "new" / "folder" / "file", b"content")
    assert done == ["synced", "named"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": ',
        "",
        "[" * 100_000,
        b"\xff\xfe".decode("latin1"),
    ],
)
def test_json_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="latin1")
    with pytest.raises(Refused, match=r"record\.json: not a JSON record"):
        read_json(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, number: float) -> None:
    for write in (
        write_json,
        lambda path, value: write_tensors(path, {}, value),
        lambda path, value: write_table(path, {}, value),
    ):
        with pytest.raises(Refused, match="not finite"):
            write(tmp_path / "file", {"deep": [1, {"er": number}]})
    assert not list(tmp_path.iterdir())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON)
def test_json_comes_back_as_it_went(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    try:
        canonical_json(value)
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return
    write_json(path, value)
    assert read_json(path) == value
    assert sha256_json(read_json(path)) == sha256_json(value)


def test_equal_values_hash_equally_and_others_do_not() -> None:
    assert sha256_json({"a": 1, "b": [1.5, "x"]}) == sha256_json({"b": [1.5, "x"], "a": 1})
    assert len({sha256_json(value) for value in (1, 1.0, "1", True, [1], None, {"1": 1})}) == 7
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_hashes_like_its_bytes(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "large").write_bytes(data)
    assert sha256_file(tmp_path / "large") == hashlib.sha256(data).hexdigest()
    with pytest.raises(Refused, match="gone: cannot be read"):
        sha256_file(tmp_path / "gone")


TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "steps": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 4), dtype=np.float16),
    "strided": np.arange(12, dtype=np.float64).reshape(3, 4).T,
    "mask": np.array([True, False]),
}


def test_tensors_come_back_with_their_record(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    about = {"name": "é", "list": [1, 2.5, None]}
    write_tensors(path, TENSORS, about)
    found = read_tensors(path)
    assert {name: (array.dtype, array.shape) for name, array in found.items()} == {
        name: (array.dtype, array.shape) for name, array in TENSORS.items()
    }
    assert all(np.array_equal(found[name], TENSORS[name]) for name in TENSORS)
    assert tensors_about(path) == about
    first = path.read_bytes()
    write_tensors(path, dict(reversed(TENSORS.items())), dict(reversed(about.items())))
    assert path.read_bytes() == first, "equal content, equal bytes"
    write_tensors(path, TENSORS)
    assert tensors_about(path) is None


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, TENSORS, {"a": 1})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        for read in READERS:
            with pytest.raises(Refused, match=r"file\.safetensors"):
                read(path)
    path.write_bytes(whole + b"\0")
    for read in READERS:
        with pytest.raises(Refused):
            read(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        None,
        {"a": None},
        {"a": {}},
        {"a": {"data_offsets": [0]}},
        {"a": {"data_offsets": ["0", "x"]}},
    ],
)
def test_headers_that_are_no_header_are_refused(tmp_path: Path, header: Any) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(safetensors_bytes(header, b"\0\0\0\0"))
    for read in READERS:
        with pytest.raises(Refused, match=r"file\.safetensors"):
            read(path)


@pytest.mark.parametrize("entry", [{"dtype": "F32", "shape": 3}, {"shape": [1]}, {"dtype": "F32"}])
def test_a_tensor_without_its_parts_is_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(safetensors_bytes({"a": entry | {"data_offsets": [0, 4]}}, b"\0\0\0\0"))
    for read in (read_tensors, checkpoint_digest):
        with pytest.raises(Refused, match=r"file\.safetensors"):
            read(path)


@pytest.mark.parametrize("metadata", [[], {"certify": 3}, {"certify": "{"}])
def test_metadata_that_is_no_record_is_refused_or_plain(tmp_path: Path, metadata: Any) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(safetensors_bytes({"__metadata__": metadata}))
    try:
        assert tensors_about(path) == 3
    except Refused as error:
        assert "not a JSON record" in str(error)


@given(place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_but_never_a_crash(
    place: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutant.safetensors"
    data = bytearray(
        safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in TENSORS.items()}, {"certify": "1"})
    )
    data[place % len(data)] = value
    path.write_bytes(bytes(data))
    for read in READERS:
        try:
            read(path)
        except Refused as error:
            assert "\n" not in str(error)


def test_a_network_is_named_by_every_part_of_every_tensor() -> None:
    base = [("a", "F32", (2,), b"12345678"), ("b", "F32", (1,), b"abcd")]
    changed: tuple[Callable[[], list[tuple[str, str, tuple[int, ...], bytes]]], ...] = (
        lambda: [("A", *base[0][1:]), base[1]],
        lambda: [("a", "I32", (2,), b"12345678"), base[1]],
        lambda: [("a", "F32", (2, 1), b"12345678"), base[1]],
        lambda: [("a", "F32", (2,), b"12345679"), base[1]],
        lambda: base[:1],
        lambda: [("a", "F32", (2,), b"1234"), ("b", "F32", (1,), b"5678abcd")],
    )
    names = {network_digest(base), *(network_digest(make()) for make in changed)}
    assert len(names) == 1 + len(changed)
    assert network_digest(base) == network_digest(reversed(base))


def test_a_checkpoint_has_the_same_name_read_with_and_without_torch(tmp_path: Path) -> None:
    import torch

    from certify.networks.loading import digest, read_checkpoint, save_state

    state = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in TENSORS.items()} | {
        "half": torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
    }
    save_state(tmp_path / "state.safetensors", state)
    assert checkpoint_digest(tmp_path / "state.safetensors") == digest(state)
    assert digest(read_checkpoint(tmp_path / "state.safetensors")) == digest(state)


def test_tables_come_back_with_their_record(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    columns = {"name": ["a", "b"], "value": np.array([0.1, -0.0]), "list": [[1.0], [2.0, 3.0]]}
    write_table(path, columns, {"about": "this"})
    found, about = read_table(path)
    assert found == {"name": ["a", "b"], "value": [0.1, -0.0], "list": [[1.0], [2.0, 3.0]]}
    assert about == {"about": "this"}
    for length in (0, 3, 100, path.stat().st_size - 1):
        (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:length])
        with pytest.raises(Refused, match="not a whole Parquet file"):
            read_table(tmp_path / "cut.parquet")
