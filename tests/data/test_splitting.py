"""Splits: disjoint by content, exact in size, decided by content and seed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from certify.data import Samples, load_samples, split
from certify.records import PURPOSES, Refused, Splits
from certify.records.recipe import DataRecipe, SplitRecipe

RECIPE = SplitRecipe(seed=0, train=900, calibration=150, tuning=200, certification=547)


class Named(Samples):
    """Samples that are only names; label = position of the picture's last letter."""

    def __init__(self, pictures):
        super().__init__("named", pictures, None, (), {}, "sources unknown")

    def images(self, indices):
        return torch.zeros(len(indices), 1, 1, 1)

    def augmented(self, indices, generator):
        return self.images(indices)


@pytest.fixture(scope="module")
def digits():
    return load_samples(DataRecipe(source="digits"), {"input_size": (1, 8, 8), "mean": (0.5,), "std": (0.5,)})


def sizes(splits):
    return {name: len(splits.indices[name]) for name in PURPOSES}


def test_digits_sizes_and_names(digits):
    splits = split(digits, RECIPE)
    assert sizes(splits) == {"train": 900, "calibration": 150, "tuning": 200, "certification": 547}
    assert sorted(i for name in PURPOSES for i in splits.indices[name]) == list(range(1797))
    assert splits.samples["tuning"] == tuple(digits.digests[i] for i in splits.indices["tuning"])
    assert splits.dataset == digits.digest
    assert splits.groups.startswith("writers unknown") and splits.groups.endswith("exact duplicates share a split")
    assert Splits.from_json(splits.to_json()) == splits


def test_seed_decides(digits):
    assert split(digits, RECIPE) == split(digits, RECIPE)
    other = split(digits, replace(RECIPE, seed=1))
    shared = set(other.indices["certification"]) & set(split(digits, RECIPE).indices["certification"])
    assert 120 < len(shared) < 215  # hypergeometric: mean 166.5, standard deviation 9


def test_certification_does_not_depend_on_the_other_sizes(digits):
    fewer = split(digits, replace(RECIPE, train=100, calibration=20))
    assert fewer.digest("certification") == split(digits, RECIPE).digest("certification")


@given(st.integers(0, 2**16), st.permutations(range(12)))
def test_order_of_files_does_not_matter(seed, order):
    pictures = [str(i // 2) for i in range(12)]
    recipe = SplitRecipe(seed=seed)
    shuffled = split(Named([pictures[i] for i in order]), recipe)
    assert shuffled.samples == split(Named(pictures), recipe).samples


def test_shares_are_rounded_down():
    assert sizes(split(Named(map(str, range(100))), SplitRecipe(train=0.29, calibration=0, tuning=0.005, certification=60))) == {
        "train": 29,
        "calibration": 0,
        "tuning": 0,
        "certification": 60,
    }
    for total in range(1, 200):
        assert sum(sizes(split(Named(map(str, range(total))), SplitRecipe())).values()) <= total


def test_too_few_samples(digits):
    with pytest.raises(Refused, match=r"train 900 .* = 1798 samples, digits has 1797"):
        split(digits, replace(RECIPE, tuning=201))


@given(st.integers(0, 2**16), st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_duplicates_share_a_split_and_sizes_are_exact(seed, repeats):
    pictures = [f"twin {number}" for number, count in enumerate(repeats) for _ in range(count)]
    pictures += [f"single {number}" for number in range(24)]
    total = len(pictures)
    recipe = SplitRecipe(seed=seed, train=total - 16, calibration=3, tuning=5, certification=8)
    samples = Named(pictures)
    splits = split(samples, recipe)
    assert sizes(splits) == {"train": total - 16, "calibration": 3, "tuning": 5, "certification": 8}
    homes = {}
    for name in PURPOSES:
        for index in splits.indices[name]:
            assert homes.setdefault(pictures[index], name) == name


def test_sizes_that_duplicates_forbid_are_told():
    splits = split(Named([str(i // 2) for i in range(20)]), SplitRecipe(train=8, calibration=3, tuning=2, certification=4))
    assert sizes(splits) == {"train": 8, "calibration": 2, "tuning": 2, "certification": 4}
    assert splits.groups.endswith("exact duplicates share a split, which leaves calibration 1 short of 3")


def test_one_picture_under_two_labels_stays_in_one_split(digits):
    class Twice(Named):
        def __init__(self):
            Samples.__init__(self, "twice", [str(i // 2) for i in range(20)], [i % 2 for i in range(20)], "ab", {}, "")

    samples = Twice()
    assert len(set(samples.digests)) == 20
    splits = split(samples, SplitRecipe(train=10, calibration=2, tuning=2, certification=6))
    for name in PURPOSES:
        found = sorted(splits.indices[name])
        assert [i ^ 1 for i in found] == [j for i in range(0, len(found), 2) for j in (found[i + 1], found[i])]


def test_overlap_is_refused(digits):
    value = split(digits, RECIPE).to_json()
    value["indices"]["train"][0] = value["indices"]["certification"][0]
    value["samples"]["train"][0] = value["samples"]["certification"][0]
    with pytest.raises(Refused, match="splits overlap"):
        Splits.from_json(value)
