"""The resolved road on paths that are known in closed form: values within the error it states, at every order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinked import FIELDS, exact_path, relu_pair, segment_of
from torch import nn

from certify.bounds import ResolvedPath, measure, resolve
from certify.bounds.measured import evaluation_error
from certify.networks.segment import Segment
from certify.theory.path import clenshaw_curtis_nodes, variation

ORDERS = (8, 16, 32, 64)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_straight_path_is_as_long_as_its_ends_are_apart(seed: int, scale: float) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(5, 4))
    reference, shipped = ({"1.weight": scale * torch.randn(4, 5), "1.bias": scale * torch.randn(4)} for _ in range(2))
    images, labels = torch.randn(3, 5), np.array([0, 1, 3])
    found = resolve(Segment(model, reference, shipped), images, labels, tolerance=1e-3, max_order=64)
    change = found.reference - found.shipped
    against = change - change[np.arange(3), labels][:, None]
    expected = (np.abs(change).max(axis=1), change.max(axis=1) - change.min(axis=1), np.abs(against), np.abs(change).max(axis=1))
    for name, value in zip(FIELDS, expected, strict=True):
        assert np.allclose(getattr(found, name), value, rtol=1e-10), name
        assert np.all(getattr(found, f"{name}_error") <= 1e-5 * np.abs(change).max()), name
    assert found.converged.all() and np.all(found.order == 4), "the first doubling shows that nothing moves"


def kinked_errors(order: int, seeds: range) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(true error, stated error, change at the last doubling) of every sample of many one-hidden-layer ReLU networks."""
    rows: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in FIELDS}
    for seed in seeds:
        pair = relu_pair(seed)
        images = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed))
        labels = np.arange(6) % 4
        exact = exact_path(*pair[1:], images, labels)
        segment = segment_of(pair)
        found = resolve(segment, images, labels, tolerance=1e-12, max_order=order)
        coarse = variation(segment.path(images, clenshaw_curtis_nodes(order // 2)), labels)
        for name in FIELDS:
            value = getattr(found, name)
            true = np.abs(value - getattr(exact, name))
            changed = np.abs(value - getattr(coarse, name))
            rows[name].append((true.ravel(), getattr(found, f"{name}_error").ravel(), changed.ravel()))
    return {name: tuple(map(np.concatenate, zip(*row, strict=True))) for name, row in rows.items()}  # type: ignore[misc]


@pytest.mark.parametrize("order", ORDERS)
def test_the_error_on_a_kinked_path_is_below_the_one_stated(order: int) -> None:
    """240 samples whose variation is a finite sum. `resolved` is an estimate: nodes that straddle two kinks see neither, so a
    few samples may lie outside at low orders, and none does from order 32 on.

    The change between two orders alone would be no estimate at all: they agree by accident more than once in twenty.
    """
    found = kinked_errors(order, range(40))
    for name, (true, stated, _) in found.items():
        outside = np.mean(true > stated + 1e-12)
        assert outside <= {8: 0.02, 16: 0.005}.get(order, 0.0), f"{name}: {outside:.2%} outside"
    true, _, changed = found["max_norm"]
    assert np.mean(true > changed) > 0.05


def test_the_stated_error_falls_with_the_order() -> None:
    """A kink costs 1/n; many small ones add up like a rough path, which costs n^(-1/2)."""
    found = [kinked_errors(order, range(20))["max_norm"] for order in ORDERS]
    stated = [np.mean(each[1]) for each in found]
    assert all(after < 0.9 * before for before, after in pairwise(stated)), stated
    assert stated[-1] < stated[0] / 2.5
    assert np.mean(found[-1][0]) < np.mean(found[0][0]) / 3


def smooth(seed: int) -> Segment:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    reference, shipped = ({name: 0.5 * torch.randn_like(tensor) for name, tensor in model.state_dict().items()} for _ in range(2))
    return Segment(model, reference, shipped)


def test_a_smooth_path_is_resolved_to_its_tolerance() -> None:
    images, labels = torch.randn(8, 6), np.zeros(8, dtype=int)
    for seed in range(10):
        found = resolve(smooth(seed), images, labels, tolerance=1e-6, max_order=128)
        fine = variation(smooth(seed).path(images, clenshaw_curtis_nodes(512)), labels)
        assert found.converged.all()
        for name in FIELDS:
            off = np.abs(getattr(found, name) - getattr(fine, name))
            assert np.all(off <= getattr(found, f"{name}_error") + 1e-9), name
        assert np.all(np.abs(found.max_norm - fine.max_norm) <= 1e-5 * fine.max_norm)
        assert np.all(found.max_norm_error <= 1e-4 * found.max_norm)


def test_only_samples_that_still_move_go_on() -> None:
    """An image of zeros sees the biases alone; with equal biases its path is a point, and stops at the first order."""
    model, reference, shipped = relu_pair(1)
    shipped = shipped | {"1.bias": reference["1.bias"]}
    found = resolve(
        Segment(model, reference, shipped), torch.stack([torch.zeros(6), torch.ones(6)]), None, tolerance=1e-9, max_order=32
    )
    assert found.order.tolist() == [4, 32]
    assert found.converged.tolist() == [True, False]
    assert found.max_norm[0] == 0 and found.max_norm_error[0] < 1e-9


def test_samples_do_not_see_each_other() -> None:
    pair, images, labels = relu_pair(3), torch.randn(5, 6), np.array([0, 1, 2, 3, 0])
    whole = resolve(segment_of(pair), images, labels, tolerance=1e-4, max_order=32)
    for one in range(5):
        alone = resolve(segment_of(pair), images[[one]], labels[[one]], tolerance=1e-4, max_order=32)
        for name in (*FIELDS, *(f"{name}_error" for name in FIELDS)):
            assert np.allclose(getattr(alone, name)[0], getattr(whole, name)[one], rtol=1e-9, atol=1e-12), name


def test_the_ends_are_the_two_networks_and_no_label_means_the_reference_decides() -> None:
    pair, images = relu_pair(4), torch.randn(5, 6)
    found = resolve(segment_of(pair), images, None, tolerance=1e-2, max_order=8)
    for state, logits in ((pair[1], found.reference), (pair[2], found.shipped)):
        network = pair[0].double()
        network.load_state_dict(state)
        with torch.no_grad():
            assert np.allclose(network(images.double()).numpy(), logits, rtol=1e-12)
    decided = found.reference.argmax(axis=1)
    assert np.all(found.pairwise[np.arange(5), decided] == 0)
    assert np.allclose(found.pairwise, resolve(segment_of(pair), images, decided, tolerance=1e-2, max_order=8).pairwise)


def test_evaluation_error_enters_every_stated_error() -> None:
    pair, images = relu_pair(5), torch.randn(4, 6)
    without, with_error = (
        resolve(segment_of(pair), images, None, tolerance=1e-2, max_order=8, evaluation=e) for e in (0.0, 1e-3)
    )
    for name in FIELDS:
        gap = getattr(with_error, f"{name}_error") - getattr(without, f"{name}_error")
        assert np.all(gap >= 2 * 8**2 * 1e-3 * (1 - 1e-9)), "a polynomial of degree n is steeper than its values by up to 2 n^2"


def test_the_error_of_one_evaluation_is_estimated_from_single_precision() -> None:
    """It is far below the gap to float32 and not below what adding in another order changes in float64."""
    pair, images = relu_pair(6, inputs=300, hidden=200), torch.randn(20, 300)
    double = segment_of(pair).path(images, np.array([0.0, 1.0]))
    single = Segment(*pair, torch.float32)
    error = evaluation_error(double, single, images, (0.0, 1.0))
    gap = np.abs(single.path(images, np.array([0.0, 1.0])) - double).max(axis=(0, 2))
    assert np.all(error <= 1e-7 * gap.max()) and np.all(error >= np.spacing(np.abs(double).max(axis=(0, 2))))
    order = torch.randperm(300)
    reference, shipped = (state | {"1.weight": state["1.weight"][:, order]} for state in pair[1:])
    again = Segment(pair[0], reference, shipped).path(images[:, order], np.array([0.0, 1.0]))
    assert np.mean(np.abs(again - double).max(axis=(0, 2)) <= error) >= 0.9


def test_measure_runs_in_batches_and_in_the_networks_own_format() -> None:
    torch.manual_seed(0)
    images = torch.randn(600, 6)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(6, 3)) for _ in range(2)]
    indices = list(range(599, -1, -2))
    found = measure(networks, lambda chosen: images[list(chosen)], indices)
    for network, logits in zip(networks, found, strict=True):
        assert logits.shape == (300, 3) and logits.dtype == np.float64
        with torch.no_grad():
            assert np.allclose(network(images[indices]).double().numpy(), logits, rtol=1e-6)


def test_fields_are_ordered_as_the_theorems_say() -> None:
    for seed in range(10):
        pair, images = relu_pair(seed), torch.randn(6, 6)
        found: ResolvedPath = resolve(segment_of(pair), images, None, tolerance=1e-3, max_order=32)
        room = 1e-9 + found.max_norm_error + found.oscillation_error + found.speed_sup_error
        assert np.all(np.abs(found.reference - found.shipped).max(axis=1) <= found.max_norm + room)
        assert np.all(found.max_norm <= found.speed_sup + room)
        assert np.all(found.oscillation <= 2 * found.max_norm + room)
        assert np.all(found.pairwise.max(axis=1) <= found.oscillation + room)
