"""Orders of inputs: what buckets and the search promise, on Linear layers and on both layouts of a kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import prune
from certify.pruning.structured.orders import _after, _exchanges, bucket, kept_energy, swapped
from certify.records import Evidence, Plan, Target, check_pattern

SHAPES = {"fc": (16, 24), "conv": (8, 12, 3, 3)}
TARGETS = [Target(name, "conv2d" if len(shape) == 4 else "linear", shape, "block") for name, shape in SHAPES.items()]


def evidence() -> Evidence:
    rng = np.random.default_rng(9)
    weights = {target.name: rng.normal(size=(target.rows, target.cols)) for target in TARGETS}
    moments = {target.name: np.repeat(rng.gamma(1.0, size=target.shape[1]), target.cols // target.shape[1]) for target in TARGETS}
    return Evidence("a" * 64, "b" * 64, 1, weights, {"moments": moments})


EVIDENCE = evidence()


def make(**options: str) -> Plan:
    return prune(TARGETS, EVIDENCE, name="p", method="wanda", pattern="2:4", options=options)


def test_buckets_deal_each_part_once() -> None:
    assert bucket(np.array([5.0, 1, 4, 2, 3, 6, 9]), 3).tolist() == [6, 0, 4, 5, 2, 3, 1]
    assert bucket(np.arange(8.0)[::-1], 4).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert bucket(np.ones(6), 3).tolist() == [0, 2, 4, 1, 3, 5], "of equal ones the earlier first"


@given(seed=st.integers(0, 2**16), n=st.sampled_from([2, 4, 7, 16]), ties=st.booleans())
@settings(max_examples=40)
def test_the_price_of_an_exchange_is_brute_force(seed: int, n: int, ties: bool) -> None:
    """One comparison a row against choosing the k largest anew."""
    rng = np.random.default_rng(seed)
    keep = int(rng.integers(1, n))
    a, b = (rng.integers(0, 3, size=(2, 5, n)).astype(float) if ties else rng.gamma(0.5, size=(2, 5, n)) for _ in range(2))
    expected = np.empty((2, n, n))
    for i in range(n):
        for j in range(n):
            changed = a.copy()
            changed[:, :, i] = b[:, :, j]
            expected[:, i, j] = np.sort(changed, axis=2)[:, :, n - keep :].sum(axis=(1, 2))
    assert np.allclose(_after(a, b, keep), expected, rtol=1e-12, atol=1e-14)


def test_stripes_of_one_tap_are_priced_alike() -> None:
    """Three taps alike, 6 of 12: thrice what 2 of 4 keep. The general road gives what the short one gives."""
    a, b = np.random.default_rng(1).gamma(0.5, size=(2, 3, 4, 6, 1))
    short, long = _exchanges(a, b, 2, 4), _exchanges(*(np.concatenate([s, s, s], axis=3) for s in (a, b)), 6, 12)
    assert short[1].shape == long[1].shape == (3, 4, 4)
    assert np.allclose(3 * short[0], long[0]) and np.allclose(3 * short[1], long[1])


@given(
    seed=st.integers(0, 2**16),
    group=st.sampled_from([2, 4, 8]),
    channels=st.integers(1, 30),
    taps=st.sampled_from([1, 2, 9]),
)
@settings(max_examples=40)
def test_the_search_is_a_permutation_and_never_worse(seed: int, group: int, channels: int, taps: int) -> None:
    rng = np.random.default_rng(seed)
    energy = rng.gamma(0.5, size=(6, channels, taps))
    keep = group // 2
    start = rng.permutation(channels)
    found = swapped(energy, start, keep, group, seed=seed, passes=3)
    width = {1: group, 2: group // 2, 9: group}[taps]
    assert sorted(found.tolist()) == list(range(channels))
    assert np.array_equal(found[channels // width * width :], start[channels // width * width :])
    assert kept_energy(energy, found, keep, group) >= kept_energy(energy, start, keep, group) * (1 - 1e-12)
    assert np.array_equal(found, swapped(energy, start, keep, group, seed=seed, passes=3))


def test_the_search_finds_what_buckets_miss() -> None:
    """Four strong channels in two groups of four under 2:4: two to a group, wherever they start."""
    energy = np.ones((5, 8, 1)) + 9 * (np.arange(8) < 4)[:, None]
    found = swapped(energy, np.arange(8), 2, 4, seed=0)
    assert kept_energy(energy, found, 2, 4) == 5 * 40 > kept_energy(energy, np.arange(8), 2, 4)
    rng = np.random.default_rng(2)
    energy = rng.gamma(0.3, size=(20, 32, 1))
    dealt = bucket(energy.sum(axis=(0, 2)), 4)
    found = swapped(energy, dealt, 2, 4, seed=0)
    assert kept_energy(energy, found, 2, 4) > 1.02 * kept_energy(energy, dealt, 2, 4)


def test_channels_whose_taps_fill_whole_groups_have_nothing_to_exchange() -> None:
    energy = np.random.default_rng(3).gamma(0.5, size=(4, 10, 9))
    assert np.array_equal(swapped(energy, np.arange(10), 1, 3, seed=0), np.arange(10))
    moved = swapped(energy, np.arange(10), 2, 4, seed=0)
    assert kept_energy(energy, moved, 2, 4) > kept_energy(energy, np.arange(10), 2, 4)


@pytest.mark.parametrize("layout", ["flattened", "channel-blocked"])
@pytest.mark.parametrize("order", ["bucket", "search"])
def test_plans_in_an_order_obey_their_pattern_in_it(order: str, layout: str) -> None:
    plan = make(order=order, layout=layout)
    gains = plan.facts["kept_energy_over_stored_order"]
    for edit in plan.edits:
        edit.check("2:4")
        assert edit.order is not None and edit.removed * 2 == edit.kept.size
        # What the facts say, from the masks alone.
        energy = np.square(EVIDENCE.weights[edit.target]) * EVIDENCE.parts["moments"][edit.target]
        plain = next(found for found in make(layout=layout).edits if found.target == edit.target)
        assert np.isclose(gains[edit.target][order], energy[edit.kept].sum() / energy[plain.kept].sum())


def test_the_search_reports_every_order_and_takes_the_best() -> None:
    for layout in ("flattened", "channel-blocked"):
        gains = make(order="search", layout=layout).facts["kept_energy_over_stored_order"]
        assert all(set(found) == {"bucket", "search"} for found in gains.values())
        assert all(found["search"] > max(found["bucket"], 1.0) for found in gains.values())


def test_channels_move_with_all_their_taps() -> None:
    for layout in ("flattened", "channel-blocked"):
        edit = next(edit for edit in make(order="search", layout=layout).edits if edit.target == "conv")
        assert edit.order is not None
        places = edit.order.reshape(12, 9) if layout == "flattened" else edit.order.reshape(9, 12).T
        assert np.array_equal(places // 9, np.repeat(places[:, :1] // 9, 9, axis=1))
        assert np.array_equal(places % 9, np.tile(np.arange(9), (12, 1)))
        check_pattern("conv", edit.kept, "2:4", order=edit.order)
