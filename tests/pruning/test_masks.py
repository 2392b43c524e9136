"""Masks remove exactly what was asked for, the same entries every time."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certify.pruning import prune
from certify.pruning.layout import Layout
from certify.pruning.masks import group_top, keep_largest
from certify.records import Evidence, Plan, Refused, Target, Usage

SHAPES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=3)
# Few values, so that most scores are tied.
TIED = st.integers(0, 3).map(float)


def removed(kept: dict[str, np.ndarray]) -> int:
    return sum(int((~mask).sum()) for mask in kept.values())


def by_groups(scores: np.ndarray, keep: int, group: int) -> np.ndarray:
    """(rows, cols) mask of the largest of each group of consecutive inputs."""
    layout = Layout("w", scores.shape[0], scores.shape[1], keep, group)
    return layout.matrix(group_top(layout.slots(scores), keep))


@pytest.mark.parametrize(
    ("sparsity", "total", "count"),
    [
        (0.29, 100, 29),
        (0.57, 100, 57),
        (0.58, 100, 58),
        (0.1, 10, 1),
        (0.7, 10, 7),
        (0.3, 10, 3),
        (0.5, 7, 3),
        (1e-9, 1000, 0),
        (0, 9, 0),
    ],
)
def test_the_count_is_that_of_the_decimal(sparsity: float, total: int, count: int) -> None:
    """0.29 · 100 is 28.999… in floating point, and 29 to the person who wrote it."""
    assert removed(keep_largest({"a": np.arange(total, dtype=float).reshape(1, -1)}, sparsity)) == count


@given(data=st.data(), shapes=SHAPES, hundredths=st.integers(0, 99))
def test_the_smallest_go_over_all_targets_together(data: Any, shapes: list[tuple[int, int]], hundredths: int) -> None:
    scores = {str(number): data.draw(arrays(float, shape, elements=TIED)) for number, shape in enumerate(shapes)}
    kept = keep_largest(scores, hundredths / 100)
    total = sum(score.size for score in scores.values())
    assert removed(kept) == Fraction(hundredths, 100) * total // 1
    gone = [score[~kept[name]] for name, score in scores.items()]
    stay = [score[kept[name]] for name, score in scores.items()]
    largest_gone = max((part.max() for part in gone if part.size), default=-1.0)
    assert all(part.min() >= largest_gone for part in stay if part.size)
    tied = np.concatenate([(score == largest_gone).reshape(-1) for score in scores.values()])
    among_tied = np.concatenate([kept[name].reshape(-1) for name in scores])[tied]
    assert np.all(np.diff(among_tied.astype(int)) >= 0), "of equal scores the earlier go first"


@given(data=st.data(), rows=st.integers(1, 4), groups=st.integers(1, 3), group=st.integers(2, 5))
def test_each_group_keeps_its_best(data: Any, rows: int, groups: int, group: int) -> None:
    """No other choice of as many entries has a larger sum; of choices with the same sum the earliest is taken."""
    keep = data.draw(st.integers(1, group - 1))
    scores = data.draw(arrays(float, (rows, groups * group), elements=TIED))
    kept = by_groups(scores, keep, group)
    for row in range(rows):
        for start in range(0, groups * group, group):
            part = scores[row, start : start + group]
            chosen = tuple(np.flatnonzero(kept[row, start : start + group]).tolist())
            best = max(sum(part[list(choice)]) for choice in combinations(range(group), keep))
            assert chosen == next(choice for choice in combinations(range(group), keep) if sum(part[list(choice)]) == best)


def test_of_equal_entries_the_earlier_stay() -> None:
    assert by_groups(np.ones((1, 8)), 2, 4).tolist() == [[True, True, False, False] * 2]
    assert by_groups(np.array([[1.0, 2.0, 2.0, 2.0]]), 2, 4).tolist() == [[False, True, True, False]]


def evidence(**weights: np.ndarray) -> Evidence:
    return Evidence("a" * 64, "b" * 64, 1, weights)


def targets(**shapes: tuple[int, ...]) -> list[Target]:
    """One target per shape; the first is the stem, the last the classifier."""
    roles = ["stem", *["block"] * (len(shapes) - 2), "classifier"]
    return [Target(name, "linear", shape, role) for (name, shape), role in zip(shapes.items(), roles, strict=True)]


RNG = np.random.default_rng(0)
WEIGHTS = {name: RNG.normal(size=shape) for name, shape in {"a": (4, 8), "b": (6, 8), "c": (8, 6), "d": (3, 8)}.items()}
TARGETS = targets(**{name: weight.shape for name, weight in WEIGHTS.items()})


def make(**settings: Any) -> Plan:
    about: dict[str, Any] = {"name": "p", "method": "magnitude"}
    return prune(TARGETS, evidence(**WEIGHTS), **(about | settings))


def test_global_magnitude_is_one_threshold_for_all() -> None:
    plan = make(sparsity=0.5)
    assert (plan.removed, plan.total) == (76, 152)
    cut = np.sort(np.abs(np.concatenate([weight.reshape(-1) for weight in WEIGHTS.values()])))[76]
    for edit in plan.edits:
        assert np.array_equal(edit.kept, np.abs(WEIGHTS[edit.target]) >= cut)
    assert (plan.sparsity, plan.pattern, plan.skipped, plan.reference) == (0.5, None, (), "a" * 64)


def test_a_pattern_edits_the_blocks_it_divides_and_says_why_not_the_others() -> None:
    plan = make(pattern="2:4")
    assert [edit.target for edit in plan.edits] == ["b"]
    assert (plan.removed, plan.total) == (24, 48)
    assert dict(plan.skipped) == {
        "a": "the stem stays dense under a k:n pattern",
        "c": "6 inputs do not divide into groups of 4",
        "d": "the classifier stays dense under a k:n pattern",
    }


def test_a_target_that_describe_skipped_keeps_its_reason() -> None:
    named = [TARGETS[0], Target("b", "linear", (6, 8), "block", "excluded by b"), *TARGETS[2:]]
    plan = prune(named, evidence(**WEIGHTS), name="p", method="magnitude", sparsity=0.5)
    assert plan.skipped == (("b", "excluded by b"),)
    assert plan.total == 152 - 48


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pattern": "3:7"}, "pattern 3:7 applies to no target"),
        ({"pattern": "5:4"}, "K must be smaller than N"),
        ({"sparsity": 0.5, "method": "dowsing"}, "known here: magnitude, "),
        ({}, "only one of them"),
        ({"sparsity": 0.5, "options": {"spoce": "row"}}, "no option 'spoce'; known here: scope"),
        ({"sparsity": 0.5, "options": {"scope": 3}}, "option scope = 3 is not a str such as 'global'"),
        ({"sparsity": 0.5, "options": {"scope": "column"}}, "is none of global, layer, row"),
        ({"pattern": "2:4", "options": {"remainder": "error"}}, "c: 6 inputs do not divide into groups of 4"),
        ({"pattern": "2:4", "options": {"remainder": "drop"}}, "is none of skip, error, pad"),
        ({"pattern": "2:4", "options": {"order": "best"}}, "order = 'best' is none of"),
        ({"pattern": "2:4", "options": {"classifier": "yes"}}, "is none of False, True"),
        ({"sparsity": 0.5, "pattern": "2:4"}, "only one of them"),
    ],
)
def test_a_wrong_call_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage) as error:
        make(**settings)
    assert words in str(error.value)


def test_nan_cannot_get_in() -> None:
    with pytest.raises(Refused, match="a: weights hold NaN"):
        evidence(a=np.full((2, 2), np.nan))
