"""Journals: what is whole is read, what is torn is dropped, what differs is refused."""

import math
import os

import pytest

from certify.records import Refused
from simulations.engine import journal as journal_module
from simulations.engine.index import read_index
from simulations.engine.journal import Writer, decode, encode, journals, new_journal, records
from simulations.engine.study import Outcome


def key(number):
    return number.to_bytes(16, "big")


def outcome(number, **more):
    return Outcome(key(number), 0.25, **({"row": {"x": number / 3, "n": number, "word": "ä\n", "yes": True}} | more))


def written(folder, *outcomes):
    path = new_journal(folder)
    with Writer(path) as writer:
        for one in outcomes:
            writer.append(one)
    return path


def test_what_is_written_is_read(tmp_path):
    failed = outcome(2, row={}, error="ValueError: ä", attempt=3)
    path = written(tmp_path, outcome(1), failed)
    assert [record.outcome for record in records(path)] == [outcome(1), failed]


def test_numbers_that_json_does_not_know_come_back():
    row = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 5e-324, "e": 0.1 + 0.2, "f": -0.0}
    back = decode(encode(outcome(1, row=row))).row
    assert list(map(repr, (back[name] for name in row))) == list(map(repr, row.values()))


def test_a_torn_tail_is_dropped_at_every_length(tmp_path):
    path = written(tmp_path, outcome(1), outcome(2))
    whole, last = path.read_bytes(), len(encode(outcome(2)))
    for length in range(last):
        path.write_bytes(whole[: len(whole) - last + length])
        assert [record.outcome.key for record in records(path)] == [key(1)], length


def test_every_changed_byte_is_seen():
    line = encode(outcome(1))
    for place in range(len(line)):
        for change in (1, 0x20, 0x80):
            broken = line[:place] + bytes([line[place] ^ change]) + line[place + 1 :]
            back = decode(broken)
            # The checksum's own letters may change between a and A.
            assert back is None or (back == outcome(1) and broken.lower() == line.lower()), (place, change)


def test_a_broken_line_costs_no_other(tmp_path):
    path = written(tmp_path, outcome(1), outcome(2), outcome(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00" * 40 + b"\n" + lines[2])
    assert [record.outcome.key for record in records(path)] == [key(1), key(3)]
    index = read_index([path])
    assert list(index.places([key(1), key(2), key(3)])) == [0, -1, 1]
    assert dict(index.read([0, 1])) == {0: outcome(1), 1: outcome(3)}


def test_a_full_disk_is_one_sentence_and_leaves_no_part(tmp_path, monkeypatch):
    path = written(tmp_path, outcome(1))
    with Writer(path) as writer:
        write = os.write
        with monkeypatch.context() as patch:
            patch.setattr(journal_module.os, "write", lambda handle, data: write(handle, data[:7]))
            with pytest.raises(Refused, match=r"7 of .* bytes written"):
                writer.append(outcome(2))
        writer.append(outcome(3))
    assert [record.outcome.key for record in records(path)] == [key(1), key(3)]
    assert path.read_bytes() == encode(outcome(1)) + encode(outcome(3))


def test_no_two_processes_get_one_journal(tmp_path):
    (tmp_path / "000007.jsonl").touch()
    paths = [new_journal(tmp_path) for _ in range(3)]
    assert [path.stem for path in paths] == ["000008", "000009", "000010"]
    assert journals(tmp_path)[1:] == paths


def test_an_empty_journal_is_removed(tmp_path):
    assert not written(tmp_path).exists()
    index = read_index(journals(tmp_path))
    assert index.recorded == 0 and list(index.places([key(1)])) == [-1]


def test_one_record_stands_for_a_cell(tmp_path):
    """A row counts more than an error, a later error more than an earlier one; equal rows are one."""
    paths = [
        written(tmp_path, outcome(1, row={}, error="first"), outcome(2, row={}, error="first"), outcome(3)),
        written(tmp_path, outcome(1, row={}, error="second", attempt=2), outcome(2), outcome(3)),
        written(tmp_path, outcome(3, row={}, error="late", attempt=9)),
    ]
    for order in (paths, paths[::-1]):
        index = read_index(order)
        assert index.recorded == 7 and index.columns["attempt"].tolist() == [2, 0, 0]
        found = [one for _, one in sorted(index.read([0, 1, 2]))]
        assert [one.error for one in found] == ["second", "", ""] and found[1:] == [outcome(2), outcome(3)]


def test_keys_that_agree_in_half_are_two(tmp_path):
    near = [key(5 << 64 | low) for low in (3, 1, 2)]
    index = read_index([written(tmp_path, *(Outcome(one, 0.0, {"x": 1}) for one in near))])
    assert list(index.places([key(5 << 64 | low) for low in range(5)])) == [-1, 0, 1, 2, -1]


def test_two_rows_of_one_cell_are_refused(tmp_path):
    paths = [written(tmp_path, outcome(1), outcome(2)), written(tmp_path, outcome(2, row={"x": 1.0}))]
    with pytest.raises(Refused, match=f"{key(2).hex()} has one row in .*00000[12].jsonl and another in"):
        read_index(paths)
