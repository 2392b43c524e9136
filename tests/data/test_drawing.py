"""A balanced draw takes the same number of each class as far as there are any, and always the same samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.data.drawing import balanced
from certify.records import Usage


@st.composite
def draws(draw):
    labels = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=40)))
    indices = draw(st.lists(st.integers(0, len(labels) - 1), min_size=1, unique=True))
    return labels, indices, draw(st.integers(1, len(indices))), draw(st.integers(0, 99))


@given(draws())
def test_no_class_is_ahead_of_one_that_has_samples_left(case) -> None:
    labels, indices, count, seed = case
    found = balanced(labels, indices, count, seed)
    assert len(found) == len(set(found)) == count
    assert [index for index in indices if index in found] == list(found)
    there, taken = Counter(labels[indices].tolist()), Counter(labels[list(found)].tolist())
    for label, number in there.items():
        if taken[label] < number:
            assert taken[label] >= max(taken.values()) - 1, "a class with samples left is at most one behind"


@given(draws(), st.randoms())
def test_the_order_of_the_indices_does_not_matter(case, chance) -> None:
    labels, indices, count, seed = case
    shuffled = list(indices)
    chance.shuffle(shuffled)
    assert set(balanced(labels, shuffled, count, seed)) == set(balanced(labels, indices, count, seed))


def test_a_sorted_folder_is_not_two_classes() -> None:
    """Negative control: the first images of class folders are of one class."""
    labels = np.repeat(np.arange(10), 50)
    found = balanced(labels, range(500), 64, 0)
    assert sorted(Counter(labels[list(found)].tolist()).values()) == [6] * 6 + [7] * 4
    assert len(set(labels[:64].tolist())) == 2


def test_seeds_draw_different_samples_and_different_classes_get_one_more() -> None:
    labels = np.repeat(np.arange(3), 20)
    found = {seed: balanced(labels, range(60), 10, seed) for seed in range(20)}
    assert len(set(found.values())) == 20 and found[3] == balanced(labels, range(60), 10, 3)
    assert {max(Counter(labels[list(draw)].tolist()).items(), key=lambda item: item[1])[0] for draw in found.values()} == {
        0,
        1,
        2,
    }


def test_every_sample_is_as_likely_as_another_without_labels() -> None:
    """4,000 draws of 3 of 10: each expected 1,200 times, standard deviation 29; six of them."""
    counts = Counter(index for seed in range(4000) for index in balanced(None, range(10), 3, seed))
    assert all(abs(counts[index] - 1200) < 175 for index in range(10))


@pytest.mark.parametrize("count", [0, -1, 6])
def test_a_draw_that_cannot_be_made_is_refused(count: int) -> None:
    with pytest.raises(Usage, match=f"{count} samples are to be drawn from 5"):
        balanced(None, range(5), count, 0)
