"""Records come back from their files as they went, cannot be changed, and refuse what they do not mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.records import (
    PURPOSES,
    Bound,
    Certificate,
    Edge,
    Edit,
    Evidence,
    Guarantee,
    Ladder,
    Outcomes,
    Pair,
    Plan,
    Refused,
    Spectrum,
    Splits,
    Target,
    Usage,
    check_pattern,
    decision,
    load_spectra,
    parse_pattern,
    save_spectra,
)
from certify.records.files import read_json, write_json
from certify.records.hashing import sha256_json

HEX = {name: sha256_json(name) for name in ("reference", "shipped", "split", "other")}
PAIR = Pair(HEX["reference"], HEX["shipped"], "resnet18", "masked")
NAN = float("nan")


def bound(quantity: str = "low", upper: Any = (1.0, 2.0), **more: Any) -> Bound:
    about = {
        "label": quantity,
        "unit": "logit",
        "tier": "resolved",
        "semantics": "float64",
        "claim": "X8",
        "tolerance": np.zeros(2),
    }
    return Bound(quantity, upper=np.asarray(upper), **(about | more))


def ladder(**more: Any) -> Ladder:
    about: dict[str, Any] = {
        "pair": PAIR,
        "split": HEX["split"],
        "samples": ("a", "b"),
        "bounds": (bound(lower=np.array([0.5, 1.0])), bound("high", (3.0, 2.0), tolerance=np.array([0.0, 0.1]))),
        "edges": (Edge("low", "high", "X8", ("smooth",)),),
        "layers": ({"target": "fc", "size_max": 1.5, "lipschitz_max": None},),
        "objective": {"reward": 0.1, "holds": False},
        "notes": ("one", "two"),
    }
    return Ladder(**(about | more))


def outcomes(**more: Any) -> Outcomes:
    about: dict[str, Any] = {
        "pair": PAIR,
        "split": HEX["split"],
        "samples": ("a", "b"),
        "labels": np.array([0, 1]),
        "reference": np.array([[1.0, 0.1], [0.0, -1.0]]),
        "shipped": np.array([[0.5, 0.6], [0.0, 3.0]]),
        "arithmetic": {"numbers": "float32", "threads": 1},
    }
    return Outcomes(**(about | more))


def guarantee(**more: Any) -> Guarantee:
    about: dict[str, Any] = {
        "statement": "disagreement",
        "pair": PAIR,
        "split": HEX["split"],
        "counts": {"samples": 100, "disagreements": 3},
        "estimate": 0.03,
        "limit": 0.09,
        "delta": 0.05,
        "share": 0.025,
        "family": 2,
        "method": "Clopper–Pearson",
        "claim": "B1-clopper-pearson",
        "assumptions": ("independent",),
        "arithmetic": {"numbers": "float32"},
        "sentence": "Guaranteed.",
    }
    return Guarantee(**(about | more))


def plan(**more: Any) -> Plan:
    kept = np.arange(24).reshape(3, 8) % 2 == 0
    about: dict[str, Any] = {
        "name": "half",
        "method": "magnitude",
        "reference": HEX["reference"],
        "edits": (
            Edit("fc1", kept, values=np.arange(24.0).reshape(3, 8) / 7),
            Edit("fc2", ~kept[:, :4], order=np.array([2, 0, 3, 1])),
        ),
        "pattern": "2:4",
        "skipped": (("head", "stays dense"),),
    }
    return Plan(**(about | more))


def splits(**more: Any) -> Splits:
    indices = {name: (2 * position, 2 * position + 1) for position, name in enumerate(PURPOSES)}
    samples = {name: tuple(sha256_json(index) for index in indices[name]) for name in PURPOSES}
    about: dict[str, Any] = {
        "dataset": HEX["other"],
        "seed": 3,
        "indices": indices,
        "samples": samples,
        "groups": "writers unknown",
    }
    return Splits(**(about | more))


def evidence(**more: Any) -> Evidence:
    about: dict[str, Any] = {
        "reference": HEX["reference"],
        "split": HEX["split"],
        "samples": 16,
        "weights": {"b": np.ones((2, 3)), "a": np.arange(4.0).reshape(2, 2)},
        "parts": {"moments": {"b": np.array([1.0, 2.0, 3.0])}},
    }
    return Evidence(**(about | more))


def same(left: Any, right: Any) -> bool:
    """Equality of records that hold arrays."""
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if hasattr(left, "__dataclass_fields__"):
        return type(left) is type(right) and all(
            same(getattr(left, name), getattr(right, name)) for name in left.__dataclass_fields__
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def through_file(save: Callable[[Any, Path], None], load: Callable[[Path], Any], record: Any, path: Path) -> None:
    save(record, path)
    first = path.read_bytes() if path.is_file() else b""
    assert same(load(path), record)
    save(load(path), path)
    assert not path.is_file() or path.read_bytes() == first, "saving what was loaded gives the same bytes"


def test_records_come_back_from_their_files(tmp_path: Path) -> None:
    through_file(lambda record, path: record.save(path), Evidence.load, evidence(), tmp_path / "evidence.safetensors")
    through_file(lambda record, path: record.save(path), Ladder.load, ladder(), tmp_path / "ladder.parquet")
    through_file(lambda record, path: record.save(path), Outcomes.load, outcomes(), tmp_path / "outcomes.parquet")
    through_file(lambda record, path: record.save(path), Outcomes.load, outcomes(labels=None), tmp_path / "unlabelled.parquet")
    through_file(lambda record, path: record.save(path), Plan.load, plan(), tmp_path / "plan")
    through_file(
        lambda record, path: write_json(path, record.to_json()),
        lambda path: Splits.from_json(read_json(path)),
        splits(),
        tmp_path / "splits.json",
    )
    certificate = Certificate(PAIR, {"recipe.toml": HEX["other"]}, (guarantee(),), ("X8",), {"looks": 1})
    through_file(lambda record, path: record.save(path), Certificate.load, certificate, tmp_path / "certificate.json")
    assert list(Evidence.load(tmp_path / "evidence.safetensors").weights) == ["b", "a"], "targets keep their order"
    target = Target("fc", "conv2d", (8, 3, 2, 2))
    assert Target.from_json(target.to_json()) == target
    assert (target.rows, target.cols, target.size, target.weight) == (8, 12, 96, "fc.weight")
    assert Guarantee.from_json(guarantee().to_json()) == guarantee()


def test_the_layer_table_comes_back(tmp_path: Path) -> None:
    row = Spectrum("fc", 16, 16, (3.0, 1.0), 0.1, 1.2, 1.5, 0.1, 0.05, 0.5, (3.0,), 2, True, True, "", (0.0, 1.0), (0.5, 0.25))
    rows = (
        row,
        replace(row, target="head", fitted=False, note="rank 1; no bulk to fit", spikes=(), curve_x=(), curve_density=()),
    )
    save_spectra(tmp_path / "spectra.parquet", rows)
    assert load_spectra(tmp_path / "spectra.parquet") == rows
    with pytest.raises(Refused, match="NaN"):
        replace(row, tw_edge=NAN)


@given(kept=arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 13))))
def test_masks_are_packed_without_loss(kept: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "packed"
    made = Plan("p", "magnitude", HEX["reference"], (Edit("fc", kept),), sparsity=0.5)
    made.save(folder)
    found = Plan.load(folder)
    assert np.array_equal(found.edits[0].kept, kept)
    assert (found.removed, found.total) == (int((~kept).sum()), kept.size)


def test_arrays_of_records_are_read_only_copies() -> None:
    mine = np.ones((2, 2))
    logits = evidence(weights={"a": mine}, parts={}), outcomes(), plan(), ladder()
    mine[0, 0] = 7
    assert logits[0].weights["a"][0, 0] == 1
    for array in (logits[0].weights["a"], logits[1].reference, logits[1].labels, logits[2].edits[0].kept, logits[3]["low"].upper):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(FrozenInstanceError):
        logits[2].name = "other"  # type: ignore[misc]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "pair": (lambda: Pair("abc", HEX["shipped"], "m", "masked"), "not a SHA-256"),
    "vector": (lambda: Target("bias", "linear", (3,)), "not a matrix"),
    "nan weights": (lambda: evidence(weights={"a": np.array([[NAN]])}, parts={}), "NaN"),
    "flat weights": (lambda: evidence(weights={"a": np.ones(3)}, parts={}), "(rows, cols)"),
    "nan part": (lambda: evidence(parts={"moments": {"b": np.array([1.0, NAN, 1.0])}}), "b: its moments hold NaN"),
    "unknown part": (lambda: evidence(parts={"auras": {}}), "'auras' is none of moments"),
    "part of nothing": (lambda: evidence(parts={"moments": {"c": np.ones(3)}}), "c: evidence holds its moments"),
    "lacking part": (lambda: evidence().part("grams", "b"), "b: the evidence lacks its grams (holds moments)"),
    "unit": (lambda: bound(unit="metre"), "'metre'"),
    "tier": (lambda: bound(tier="certified"), "'certified'"),
    "nan bound": (lambda: bound(upper=(NAN, 1.0)), "1 of 2 numbers"),
    "negative tolerance": (lambda: bound(tolerance=np.array([0.0, -1.0])), "negative"),
    "bound of tables": (lambda: bound(upper=np.ones((2, 2)), tolerance=np.ones((2, 2))), "one value per sample"),
    "lengths": (lambda: bound(tolerance=np.zeros(3)), "one value per sample"),
    "two of a name": (lambda: ladder(bounds=(bound(), bound()), edges=()), "stands twice"),
    "samples": (lambda: ladder(samples=("a",)), "2 values for 1 samples"),
    "unknown rung": (lambda: ladder(edges=(Edge("low", "sky", "X8"),)), "no bound named sky"),
    "two units": (lambda: ladder(bounds=(bound(), bound("high", unit="nat"))), "compares logit with nat"),
    "modelled edge": (lambda: ladder(bounds=(bound(), bound("high", modelled=True))), "random model"),
    "nan logits": (lambda: outcomes(reference=np.full((2, 2), NAN)), "NaN"),
    "one class": (lambda: outcomes(reference=np.ones((2, 1)), shipped=np.ones((2, 1))), "shape (2, 1)"),
    "classes": (lambda: outcomes(shipped=np.ones((2, 3))), "reference has 2 classes, shipped 3"),
    "label": (lambda: outcomes(labels=np.array([0, 2])), "labels must be"),
    "no outcome": (lambda: outcomes(samples=(), reference=np.ones((0, 2)), shipped=np.ones((0, 2)), labels=None), "empty"),
    "statement": (lambda: guarantee(statement="happiness"), "'happiness'"),
    "share": (lambda: guarantee(share=0.06), "share <= delta"),
    "nan limit": (lambda: guarantee(limit=NAN), "limit is not a finite"),
    "another pair": (
        lambda: Certificate(replace(PAIR, shipped=HEX["other"]), {}, (guarantee(),), (), {}),
        "another pair",
    ),
    "schema": (lambda: Certificate(PAIR, {}, (), (), {}, schema=3), "schema 3"),
    "no edit": (lambda: plan(edits=()), "no target is edited"),
    "edited twice": (lambda: plan(edits=plan().edits[:1] * 2), "edited twice"),
    "empty mask": (lambda: Edit("fc", np.ones((0, 4))), "shape (0, 4)"),
    "dense group": (lambda: plan(edits=(Edit("fc", np.ones((2, 8))),)), "group 0 of row 0 keeps 4 of 4; pattern 2:4 allows 2"),
    "ragged": (lambda: plan(edits=(Edit("fc", np.zeros((2, 6))),)), "6 inputs do not divide"),
    "no certification": (lambda: splits(indices={"train": ()}, samples={"train": ()}), "expected train, calibration"),
    "lengths of a split": (lambda: splits(samples=dict(splits().samples) | {"train": ()}), "2 positions and 0 samples"),
    "same position": (lambda: splits(indices=dict(splits().indices) | {"tuning": (0, 5)}), "serves train and tuning"),
    "same content": (
        lambda: splits(samples=dict(splits().samples) | {"certification": (sha256_json(2), sha256_json(7))}),
        "serves calibration and certification",
    ),
    "twice in one split": (lambda: splits(indices=dict(splits().indices) | {"train": (0, 0)}), "stands twice in train"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_record_refuses_what_it_does_not_mean(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(Refused) as error:
        make()
    assert words in str(error.value)


def test_a_duplicate_within_one_split_is_no_overlap() -> None:
    twin = sha256_json(0)
    assert splits(samples=dict(splits().samples) | {"train": (twin, twin)}).samples["train"] == (twin, twin)


TAMPERED: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "plan count": (
        "plan/plan.json",
        lambda value: value["edits"][0].update(removed=11),
        "removes 12 entries, the plan states 11",
    ),
    "plan total": ("plan/plan.json", lambda value: value.update(total=37), "states 18 of 37, masks say 18 of 36"),
    "plan shape": ("plan/plan.json", lambda value: value["edits"][0].update(shape=[4, 8]), "mask holds 3 bytes, 4 expected"),
    "plan pattern": ("plan/plan.json", lambda value: value.update(pattern="1:4"), "pattern 1:4 allows 1"),
    "plan target": ("plan/plan.json", lambda value: value["edits"][0].update(target="fc9"), "not a plan"),
    "plan field": ("plan/plan.json", lambda value: value.pop("method"), "not a plan (KeyError: 'method')"),
    "certificate": ("certificate.json", lambda value: value["about"].update(looks=0), "it was changed after issue"),
    "certificate hash": ("certificate.json", lambda value: value.pop("content_hash"), "not a certificate"),
    "splits": ("splits.json", lambda value: value["samples"]["train"].reverse(), "does not hash to the digest"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_counts_and_hashes_are_checked_and_not_believed(name: str, tmp_path: Path) -> None:
    file, change, words = TAMPERED[name]
    plan().save(tmp_path / "plan")
    Certificate(PAIR, {}, (guarantee(),), (), {"looks": 1}).save(tmp_path / "certificate.json")
    write_json(tmp_path / "splits.json", splits().to_json())
    value = read_json(tmp_path / file)
    change(value)
    write_json(tmp_path / file, value)
    with pytest.raises(Refused) as error:
        if name.startswith("plan"):
            Plan.load(tmp_path / "plan")
        elif name.startswith("certificate"):
            Certificate.load(tmp_path / file)
        else:
            Splits.from_json(read_json(tmp_path / file))
    assert words in str(error.value)


def test_predictions_must_follow_from_the_logits_beside_them(tmp_path: Path) -> None:
    from certify.records.files import read_table, write_table

    outcomes().save(tmp_path / "outcomes.parquet")
    columns, about = read_table(tmp_path / "outcomes.parquet")
    columns["shipped_prediction"][0] = 0
    write_table(tmp_path / "outcomes.parquet", columns, about)
    with pytest.raises(Refused, match="predictions do not follow"):
        Outcomes.load(tmp_path / "outcomes.parquet")


def test_files_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    ladder().save(tmp_path / "ladder.parquet")
    evidence().save(tmp_path / "evidence.safetensors")
    for load in (Outcomes.load, load_spectra):
        with pytest.raises(Refused, match=r"ladder\.parquet: not a"):
            load(tmp_path / "ladder.parquet")
    outcomes().save(tmp_path / "outcomes.parquet")
    with pytest.raises(Refused, match=r"outcomes\.parquet: not a ladder"):
        Ladder.load(tmp_path / "outcomes.parquet")


@pytest.mark.parametrize("pattern", ["5:4", "4:4", "0:4", "2:0", "2-4", "2:4:8", " 2:4", "02:4", "", "-1:4", "2:4\n"])
def test_patterns_that_remove_nothing_or_are_none(pattern: str) -> None:
    with pytest.raises(Usage):
        parse_pattern(pattern)


def test_a_mask_with_fewer_than_allowed_obeys_its_pattern() -> None:
    assert parse_pattern("2:4") == (2, 4)
    check_pattern("fc", np.array([[1, 0, 0, 0, 1, 1, 0, 0]], dtype=bool), "2:4")
    with pytest.raises(Refused, match=r"group 1 of row 0 keeps 3 of 4"):
        check_pattern("fc", np.array([[1, 0, 0, 0, 1, 1, 0, 1]], dtype=bool), "2:4")


def test_an_edge_is_violated_beyond_both_tolerances_only() -> None:
    high = bound("high", (0.9, 2.0))
    assert "worst sample 0: 1 > 0.9" in ladder(bounds=(bound(), high)).violations()[0]
    room = np.array([0.1, 0.0])
    assert not ladder(bounds=(bound(tolerance=room), high)).violations()
    assert not ladder(bounds=(bound(), bound("high", (0.9, 2.0), tolerance=room))).violations()
    assert ladder(bounds=(bound(), high)).summary()["violations"] == 1
    drawn = ladder(bounds=(bound(), high), edges=(Edge("low", "high", "X8", asserted=False),))
    assert not drawn.violations() and drawn.summary()["edges_asserted"] == 0


def test_a_tie_at_the_top_decides_nothing() -> None:
    logits = np.array([[1.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0], [-1.0, -5.0, -1.5]])
    assert decision(logits).tolist() == [1, -1, -1, 0]


def test_counts_by_hand() -> None:
    """Six samples: right both, lost, gained, wrong both the same, tie before, tie after (a tie is wrong, and a disagreement)."""
    a, b, tie = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]
    found = outcomes(
        samples=tuple("abcdef"),
        labels=np.array([0, 0, 0, 0, 0, 0]),
        reference=np.array([a, a, b, b, tie, a]),
        shipped=np.array([a, b, a, b, a, tie]),
    ).counts()
    assert found == {"samples": 6, "disagreements": 4, "correct_reference": 3, "correct_shipped": 3, "losses": 2, "gains": 2}
