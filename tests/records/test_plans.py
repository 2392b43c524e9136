"""A plan comes back from its two files as it went, and a damaged one is refused in one sentence or is the same plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import Edit, Plan, Refused, check_pattern
from certify.records.errors import CertifyError
from certify.records.files import read_json, read_tensors, write_json, write_tensors
from certify.records.hashing import sha256_json

REFERENCE = sha256_json("reference")
PATTERNS = ("1:2", "2:4", "3:4", "4:8", "2:3")


def thinned(kept: np.ndarray, pattern: str, order: np.ndarray | None) -> np.ndarray:
    """`kept` without what the pattern forbids, group by group."""
    allowed, group = (int(number) for number in pattern.split(":"))
    places = np.arange(kept.shape[1]) if order is None else order
    found = kept.copy()
    for row in found:
        for start in range(0, len(places), group):
            inside = places[start : start + group]
            row[inside[row[inside]][allowed:]] = False
    return found


@st.composite
def edits(draw, name: str = "fc", pattern: str | None = None) -> Edit:
    rows, cols = draw(st.integers(1, 4)), draw(st.integers(1, 11))
    own = draw(st.sampled_from([None, *PATTERNS]))
    wanted = own or pattern
    padded = wanted is not None and cols % int(wanted.split(":")[1]) != 0
    order = np.array(draw(st.permutations(range(cols)))) if draw(st.booleans()) else None
    kept = draw(arrays(bool, (rows, cols)))
    if wanted is not None:
        kept = thinned(kept, wanted, order)
    values = draw(st.none() | arrays(np.float32, (rows, cols), elements=st.floats(-4, 4, width=32)))
    return Edit(name, kept, values, order, own, padded)


@st.composite
def plans(draw) -> Plan:
    pattern = draw(st.sampled_from([None, *PATTERNS]))
    found = tuple(draw(edits(f"blocks.{number}.fc", pattern)) for number in range(draw(st.integers(1, 3))))
    facts = draw(
        st.dictionaries(st.text(max_size=3), st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=2)
    )
    skipped = draw(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=2))
    return Plan(
        "half", "magnitude", REFERENCE, found, draw(st.none() | st.floats(0, 0.99)), pattern, facts, tuple(skipped), facts
    )


def same(one: Plan, two: Plan) -> bool:
    def facts(plan: Plan) -> list[Any]:
        return [plan.name, plan.method, plan.reference, plan.sparsity, plan.pattern, plan.options, plan.skipped, plan.facts]

    def bits(array: np.ndarray | None) -> Any:
        return None if array is None else (array.dtype.str, array.shape, array.tobytes())

    def whole(edit: Edit) -> list[Any]:
        return [edit.target, edit.pattern, edit.padded, bits(edit.kept), bits(edit.values), bits(edit.order)]

    return facts(one) == facts(two) and [whole(edit) for edit in one.edits] == [whole(edit) for edit in two.edits]


def example() -> Plan:
    """Masks of 24 and 15 entries, an order, changed values, a pattern of its own with a short last group."""
    kept = np.arange(24).reshape(3, 8) % 2 == 0
    short = thinned(np.ones((3, 5), dtype=bool), "2:3", None)
    return Plan(
        "half",
        "magnitude",
        REFERENCE,
        (
            Edit("fc1", kept, values=np.arange(24.0).reshape(3, 8) / 7, order=np.array([7, 1, 2, 0, 4, 5, 6, 3])),
            Edit("fc2", short, pattern="2:3", padded=True),
        ),
        pattern="2:4",
    )


@given(plan=plans())
def test_a_plan_comes_back_bit_for_bit(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("plan")
    plan.save(folder)
    again = Plan.load(folder)
    assert same(plan, again)
    before = [(folder / file).read_bytes() for file in ("plan.json", "plan.safetensors")]
    again.save(folder)
    assert before == [(folder / file).read_bytes() for file in ("plan.json", "plan.safetensors")]


@given(plan=plans())
def test_counts_are_exact_and_masks_take_a_bit_an_entry(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("plan")
    plan.save(folder)
    stored, about = read_tensors(folder / "plan.safetensors"), read_json(folder / "plan.json")
    for edit, entry in zip(plan.edits, about["edits"], strict=True):
        packed = stored[f"{edit.target}.kept"]
        assert packed.dtype == np.uint8 and packed.size == -(-edit.kept.size // 8)
        gone = sum(1 for row in edit.kept.tolist() for entry in row if not entry)
        assert entry["removed"] == gone == plan.counts()[edit.target]["removed"]
    assert about["removed"] == sum(entry["removed"] for entry in about["edits"]) and about["total"] == plan.total


@given(plan=plans(), at=st.tuples(st.integers(0, 3), st.integers(0, 10)))
def test_one_entry_too_many_is_named_with_group_and_counts(plan: Plan, at: tuple[int, int]) -> None:
    edit = plan.edits[0]
    pattern = edit.pattern or plan.pattern
    row, col = at[0] % edit.kept.shape[0], at[1] % edit.kept.shape[1]
    if pattern is None or edit.kept[row, col]:
        return
    allowed, group = (int(number) for number in pattern.split(":"))
    places = np.arange(edit.kept.shape[1]) if edit.order is None else edit.order
    slot = int(np.flatnonzero(places == col)[0]) // group
    inside = places[slot * group : (slot + 1) * group]
    kept = edit.kept.copy()
    kept[row, col] = True
    if np.count_nonzero(kept[row, inside]) <= allowed:
        replace(edit, kept=kept, values=None, pattern=pattern)
        return
    words = rf"{edit.target}: group {slot} of row {row} keeps {allowed + 1} of {group}; pattern {pattern} allows {allowed}\."
    with pytest.raises(Refused, match=words):
        replace(edit, kept=kept, values=None, pattern=pattern)


def test_a_short_last_group_needs_the_word_for_it() -> None:
    kept = thinned(np.ones((2, 5), dtype=bool), "2:3", None)
    check_pattern("fc", kept, "2:3", padded=True)
    with pytest.raises(Refused, match="fc: 5 inputs do not divide into groups of 3"):
        check_pattern("fc", kept, "2:3")


def test_a_pattern_in_one_order_is_none_in_another() -> None:
    order = np.array([0, 2, 1, 3])
    kept = np.array([[1, 0, 1, 0]], dtype=bool)
    check_pattern("fc", kept, "1:2")
    with pytest.raises(Refused, match="group 0 of row 0 keeps 2 of 2"):
        check_pattern("fc", kept, "1:2", order=order)


def loaded(folder: Path) -> Plan | str:
    """The plan, or the one sentence that refuses it."""
    try:
        return Plan.load(folder)
    except CertifyError as error:
        assert "\n" not in str(error)
        return str(error)


def test_every_flipped_bit_of_the_masks_is_refused_or_harmless(tmp_path: Path) -> None:
    plan = example()
    plan.save(tmp_path)
    path = tmp_path / "plan.safetensors"
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    read = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found = loaded(tmp_path)
        if isinstance(found, Plan):
            read += 1
            assert same(plan, found) and bit < 8 * header, "only a flip in the header's own words can be harmless"
    assert read < 8 * header


def test_every_truncated_file_is_refused(tmp_path: Path) -> None:
    example().save(tmp_path)
    for file in ("plan.safetensors", "plan.json"):
        path = tmp_path / file
        data = path.read_bytes()
        for length in range(len(data) - 1):
            path.write_bytes(data[:length])
            assert isinstance(loaded(tmp_path), str), f"{file} cut to {length} of {len(data)} bytes"
        path.write_bytes(data)


def test_every_changed_character_of_the_json_is_read_or_refused_but_never_a_crash(tmp_path: Path) -> None:
    example().save(tmp_path)
    path = tmp_path / "plan.json"
    text = path.read_text()
    for position in range(len(text)):
        for other in "0-}":
            path.write_text(text[:position] + other + text[position + 1 :])
            loaded(tmp_path)


Tensors = dict[str, np.ndarray]


def swapped(stored: Tensors) -> Tensors:
    """Another mask of equal count: only the pattern or the hash can tell."""
    bits = np.unpackbits(stored["fc1.kept"])
    bits[[0, 1]] = bits[[1, 0]]
    return stored | {"fc1.kept": np.packbits(bits)}


def without(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda stored: {name: array for name, array in stored.items() if name not in names}


def with_order(*order: float, kind: str = "i4") -> Callable[[Tensors], Tensors]:
    return lambda stored: stored | {"fc1.order": np.array(order, dtype=kind)}


# Rewritten by a tool of one's own, so that there is no hash in the header: names, sizes, counts and patterns still speak.
REWRITTEN: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "mask lost": (without("fc2.kept"), "plan.safetensors lacks fc2.kept"),
    "order lost": (without("fc1.order"), "plan.safetensors lacks fc1.order"),
    "values lost": (without("fc1.values"), "plan.safetensors lacks fc1.values"),
    "order added": (lambda stored: stored | {"fc2.order": np.arange(5)}, "plan.safetensors holds an unknown fc2.order"),
    "one bit": (lambda stored: stored | {"fc2.kept": stored["fc2.kept"] & 0x7F}, "mask removes 5 entries, the plan states 3"),
    "short mask": (lambda stored: stored | {"fc1.kept": stored["fc1.kept"][:2]}, "mask holds 2 bytes, 3 expected"),
    "mask of floats": (lambda stored: stored | {"fc1.kept": stored["fc1.kept"].astype("f4")}, "not a plan (TypeError"),
    "values short": (lambda stored: stored | {"fc1.values": stored["fc1.values"][1:]}, "11 changed weights for 12 kept entries"),
    "values NaN": (lambda stored: stored | {"fc1.values": stored["fc1.values"] * np.nan}, "12 of 24 numbers are NaN or infinite"),
    "twice": (with_order(0, 1, 2, 3, 4, 5, 6, 6), "order names input 6 2 times"),
    "outside": (with_order(0, 1, 2, 3, 4, 5, 6, 8), "order names input 8"),
    "negative": (with_order(0, 1, 2, 3, 4, 5, 6, -1), "order names input -1"),
    "wrapped": (with_order(2**32, 1, 2, 3, 4, 5, 6, 7, kind="i8"), "order names input 4294967296"),
    "halves": (with_order(0.5, 1, 2, 3, 4, 5, 6, 7, kind="f4"), "8 numbers of type float32"),
    "too short": (with_order(0, 1, 2, 3), "4 numbers of type int32"),
    "wrong order": (with_order(0, 2, 4, 6, 1, 3, 5, 7), "fc1: group 0 of row 0 keeps 4 of 4; pattern 2:4 allows 2"),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_a_file_rewritten_without_its_hash_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, words = REWRITTEN[name]
    example().save(tmp_path)
    path = tmp_path / "plan.safetensors"
    write_tensors(path, change(read_tensors(path)))
    found = loaded(tmp_path)
    assert isinstance(found, str) and words in found


def test_a_swap_of_two_entries_is_told_by_the_hash_alone(tmp_path: Path) -> None:
    plan = replace(example(), pattern=None)
    plan.save(tmp_path)
    path = tmp_path / "plan.safetensors"
    data, before = path.read_bytes(), read_tensors(path)["fc1.kept"].tobytes()
    after = swapped(read_tensors(path))["fc1.kept"].tobytes()
    assert data.count(before) == 1
    path.write_bytes(data.replace(before, after))
    found = loaded(tmp_path)
    assert isinstance(found, str) and "do not hash to what its header states" in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about: about["edits"][0].update(pattern="1:4"), "pattern 1:4 allows 1"),
        (lambda about: about["edits"][1].update(padded=False), "5 inputs do not divide into groups of 3"),
        (lambda about: about["edits"][0].update(shape=[-3, -8]), "not a plan (ValueError"),
        (lambda about: about["edits"].append(about["edits"][0]), "a target is edited twice"),
        (lambda about: about["edits"].pop(), "holds an unknown fc2.kept"),
        (lambda about: about.update(edits=3), "not a plan (TypeError"),
        (lambda about: about.update(reference="f" * 63), "is not a SHA-256 digest"),
    ],
)
def test_a_changed_statement_is_refused(change: Callable[[Any], Any], words: str, tmp_path: Path) -> None:
    example().save(tmp_path)
    about = read_json(tmp_path / "plan.json")
    change(about)
    write_json(tmp_path / "plan.json", about)
    found = loaded(tmp_path)
    assert isinstance(found, str) and words in found


def test_a_foreign_json_is_no_plan(tmp_path: Path) -> None:
    example().save(tmp_path)
    for value in ([], {}, 3, None, {"edits": [[]]}, {"edits": [{"target": 1, "arrays": 2}]}):
        (tmp_path / "plan.json").write_text(json.dumps(value))
        found = loaded(tmp_path)
        assert isinstance(found, str) and "not a plan" in found


def test_changed_weights_fit_their_mask() -> None:
    kept = np.eye(3, dtype=bool)
    with pytest.raises(Refused, match=r"fc: changed weights of shape \(3,\) for a mask of \(3, 3\)"):
        Edit("fc", kept, values=np.ones(3))
    found = Edit("fc", kept, values=np.full((3, 3), 2.0)).values
    assert found is not None and np.array_equal(found, 2 * np.eye(3)), "nothing outside the mask"
