"""Second-order methods against the exact optimal brain surgeon, least squares, and plain removal by the same mask."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.pruning import prune
from certify.pruning.unstructured.obs import DEAD, best_values, inverse_factor, no_worse, surgeon
from certify.records import Evidence, Plan, Target

ROWS = 5
DAMPING = 0.01


def gram_of(seed: int, cols: int, *, mixing: float = 1.0, mean: float = 0.0, dead: tuple[int, ...] = ()) -> np.ndarray:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(4 * cols, cols)) @ (np.eye(cols) + mixing * rng.normal(size=(cols, cols))) + mean
    inputs[:, list(dead)] = 0.0
    return inputs.T @ inputs / len(inputs)


def weights_of(seed: int, cols: int) -> np.ndarray:
    return np.random.default_rng(seed + 10_000).normal(size=(ROWS, cols))


def make(weight: np.ndarray, gram: np.ndarray, method: str = "sparsegpt", **amount_and_options: Any) -> Plan:
    amount = {key: amount_and_options.pop(key) for key in ("sparsity", "pattern") if key in amount_and_options}
    parts = {"grams": {"w": gram[None]}, "moments": {"w": np.diag(gram)}}
    evidence = Evidence("a" * 64, "b" * 64, 1, {"w": weight}, parts)
    return prune([Target("w", "linear", weight.shape)], evidence, name="p", method=method, options=amount_and_options, **amount)


def errors(change: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """(rows,) mean squared change of each output."""
    return np.einsum("ij,jk,ik->i", change, gram, change)


def damped(gram: np.ndarray) -> np.ndarray:
    diagonal = np.diag(gram)
    return gram + DAMPING * diagonal[diagonal > 0].mean() * np.eye(len(gram))


def exact_surgeon(weight: np.ndarray, hessian: np.ndarray, count: int) -> np.ndarray:
    """Hassibi and Stork's one at a time: remove the least w_j^2 / [H^-1]_jj, move all others, take j out of H^-1."""
    weight, inverse = weight.copy(), np.linalg.inv(hessian)
    left = list(range(len(weight)))
    for _ in range(count):
        j = min(left, key=lambda k: weight[k] ** 2 / inverse[k, k])
        weight -= weight[j] / inverse[j, j] * inverse[:, j]
        inverse -= np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
        left.remove(j)
        weight[[k for k in range(len(weight)) if k not in left]] = 0.0
    return weight


@given(seed=st.integers(0, 10_000), cols=st.integers(2, 9), data=st.data())
@settings(max_examples=30)
def test_best_values_are_those_of_the_exact_surgeon(seed: int, cols: int, data: st.DataObject) -> None:
    """Removal one at a time ends at the least-squares values of its mask, whatever the order was."""
    count = data.draw(st.integers(0, cols))
    gram, weight = gram_of(seed, cols), weights_of(seed, cols)
    exact = np.array([exact_surgeon(row, damped(gram), count) for row in weight])
    found = best_values(weight, exact != 0, gram, DAMPING)
    assert np.allclose(found, exact, atol=1e-7 * np.abs(weight).max()) and np.sum(exact == 0) == ROWS * count


@given(seed=st.integers(0, 10_000), mixing=st.sampled_from([0.0, 0.3, 2.0]))
@settings(max_examples=20)
def test_masks_and_values_against_all_masks(seed: int, mixing: float) -> None:
    """Brute force over the masks of a row: nobody beats the best one, and best values are never above those of the pass."""
    cols, count = 6, 3
    gram, weight = gram_of(seed, cols, mixing=mixing), weights_of(seed, cols)[:1]
    hessian = damped(gram)
    masks = np.array([[[k not in gone for k in range(cols)]] for gone in combinations(range(cols), count)])
    costs = [errors(weight - best_values(weight, mask, gram, DAMPING), hessian)[0] for mask in masks]
    kept, values = surgeon(weight, inverse_factor(gram, DAMPING), count, None, 128)
    passed = errors(weight - values, hessian)[0]
    refit = errors(weight - best_values(weight, kept, gram, DAMPING), hessian)[0]
    one_at_a_time = errors(weight - exact_surgeon(weight[0], hessian, count), hessian)[0]
    tiny = 1e-9 * errors(weight, hessian)[0]
    assert min(costs) - tiny <= refit <= passed + tiny
    assert min(costs) - tiny <= one_at_a_time <= max(costs) + tiny


@given(
    seed=st.integers(0, 10_000),
    cols=st.integers(1, 5).map(lambda groups: 4 * groups),
    mixing=st.sampled_from([0.0, 1.0, 3.0]),
    mean=st.sampled_from([0.0, 3.0]),
    amount=st.sampled_from([{"sparsity": 0.3}, {"sparsity": 0.8}, {"pattern": "2:4"}, {"pattern": "1:4"}]),
    refit=st.booleans(),
)
@settings(max_examples=60)
def test_no_row_ends_worse_than_by_plain_removal(
    seed: int, cols: int, mixing: float, mean: float, amount: dict[str, Any], refit: bool
) -> None:
    gram, weight = gram_of(seed, cols, mixing=mixing, mean=mean), weights_of(seed, cols)
    plan = make(weight, gram, refit=refit, block=8, **amount)
    edit, found = plan.edits[0], plan.facts["layers"]["w"]
    assert edit.values is not None and not edit.values[~edit.kept].any()
    plain = errors(np.where(edit.kept, 0.0, weight), gram)
    assert np.all(errors(weight - edit.values, gram) <= plain * (1 + 1e-4) + 1e-9), "float32 values"
    assert found["error"] <= found["error_of_plain_removal"] == pytest.approx(plain.sum())


def test_the_pass_alone_can_end_worse() -> None:
    """Negative control: without `no_worse` some rows end worse, because a weight that was moved goes later at its moved value."""
    gram, weight = gram_of(3, 8, mixing=3.0, mean=3.0), weights_of(3, 8)
    kept, values = surgeon(weight, inverse_factor(gram, DAMPING), 32, None, 128)
    moved, plain = errors(weight - values, gram), errors(np.where(kept, 0.0, weight), gram)
    assert np.any(moved > plain) and np.any(moved < plain)
    guarded, found = no_worse(weight, kept, values, gram)
    assert found["rows_left_plain"] == np.sum(moved > plain)
    assert np.allclose(errors(weight - guarded, gram), np.minimum(moved, plain))


def test_the_factor_is_that_of_the_live_inputs() -> None:
    gram = gram_of(0, 7, dead=(1, 4))
    live = [0, 2, 3, 5, 6]
    factor = inverse_factor(gram, DAMPING)
    inside = factor[np.ix_(live, live)]
    assert np.allclose(inside.T @ inside, np.linalg.inv(damped(gram)[np.ix_(live, live)]))
    assert np.array_equal(np.tril(factor, -1), np.zeros((7, 7))) and factor[1, 1] == factor[4, 4] == DEAD
    assert not factor[1, [0, 2, 3, 5, 6]].any() and not factor[[0, 2, 3, 5, 6], 1].any()


@given(
    seed=st.integers(0, 1000), scale=st.sampled_from([1e-6, 1.0, 1e6]), count=st.integers(0, ROWS * 16), block=st.integers(1, 20)
)
@settings(max_examples=60)
def test_inputs_that_are_always_zero_pay_first(seed: int, scale: float, count: int, block: int) -> None:
    """Whatever the scale of the others: no weight that is felt goes while one that is never felt stays."""
    dead = [3, 8, 9, 15]
    gram, weight = scale * gram_of(seed, 16, dead=tuple(dead)), weights_of(seed, 16)
    kept, values = surgeon(weight, inverse_factor(gram, DAMPING), count, None, block)
    felt = np.setdiff1d(np.arange(16), dead)
    assert np.sum(~kept) == count, "exact, whatever the blocks"
    assert kept[:, felt].all() or not kept[:, dead].any()
    assert np.array_equal(values[:, dead], np.where(kept, weight, 0.0)[:, dead]), "nothing makes up for them, nor they for others"
    again, same = surgeon(weight, inverse_factor(gram / scale, DAMPING), count, None, block)
    assert np.array_equal(again, kept) and np.allclose(same, values, atol=1e-6)


def test_a_pattern_takes_what_is_never_felt_first() -> None:
    gram, weight = gram_of(1, 8, dead=(0, 3, 5)), weights_of(1, 8)
    weight[:, [0, 3, 5]] = 100.0
    kept = make(weight, gram, pattern="2:4").edits[0].kept
    assert not kept[:, [0, 3, 5]].any() and kept[:, [1, 2]].all()


def test_a_layer_that_reads_zeros_alone() -> None:
    plan = make(weights_of(0, 8), np.zeros((8, 8)), sparsity=0.5, refit=True)
    assert plan.removed == 20 and plan.facts["layers"]["w"]["error"] == 0.0


@pytest.mark.parametrize("amount", [{"sparsity": 0.5}, {"pattern": "2:4"}, {"pattern": "2:4", "order": "bucket"}])
@pytest.mark.parametrize("score", ["wanda", "magnitude"])
def test_least_squares_keeps_the_mask_of_its_scores(score: str, amount: dict[str, Any]) -> None:
    gram, weight = gram_of(2, 16), weights_of(2, 16)
    scope = {"scope": "row"} if "sparsity" in amount else {}
    plain = make(weight, gram, score, **amount, **scope).edits[0]
    plan = make(weight, gram, "least-squares", score=score, **amount)
    edit = plan.edits[0]
    assert np.array_equal(edit.kept, plain.kept) and edit.values is not None
    slopes = (weight - edit.values) @ damped(gram)
    assert np.abs(slopes[edit.kept]).max() < 1e-4 * np.abs(slopes).max(), "the error does not fall along any kept weight"
    passed = make(weight, gram, "sparsegpt", **amount, refit=True)
    assert passed.facts["layers"]["w"]["error"] <= make(weight, gram, **amount).facts["layers"]["w"]["error"] * (1 + 1e-3)
