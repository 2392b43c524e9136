"""Singular values: exact where they are known, accurate on both roads, refused by name where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from certify.networks.devices import device_of, solvers_on
from certify.records import Refused, Usage
from certify.spectra import singular_values
from certify.spectra.values import ACCURACY, lower

SIZE = 64


def known(smallest: int) -> tuple[np.ndarray, np.ndarray]:
    """A 64 x 64 matrix whose entries and singular values are exact in float64: H D H^T / 64, H Sylvester–Hadamard, D integer."""
    values = np.unique(np.geomspace(smallest, 2**20, SIZE).astype(np.int64))
    values = np.concatenate([np.arange(smallest, smallest + SIZE - len(values)) + 2**19, values])
    basis = hadamard(SIZE).astype(np.int64)
    return (basis @ np.diag(values) @ basis.T).astype(np.float64) / SIZE, np.sort(values)[::-1].astype(np.float64)


def worst(matrix: np.ndarray, values: np.ndarray, accuracy: float) -> float:
    return float(np.max(np.abs(singular_values(matrix, accuracy=accuracy) / values - 1.0)))


def test_the_gram_road_is_as_accurate_as_it_says_and_the_full_one_takes_over() -> None:
    """Measured: condition 1e3, Gram below 1e-10; condition 1e6, Gram alone loses digits and the full road keeps 1e-8."""
    easy, hard = known(1000), known(1)
    assert worst(*easy, 1.0) < SIZE * 2.0**-53 * 1049**2
    assert worst(*easy, ACCURACY) < 1e-9
    assert worst(*hard, ACCURACY) < 1e-8, "the default falls back"
    assert worst(*hard, 1.0) > 100 * worst(*hard, 0.0), "negative control: the Gram matrix alone"


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64), (1, 7), (7, 1)])
@pytest.mark.parametrize("exponent", [-900, -500, 0, 500, 900])
def test_agrees_with_numpy_at_any_shape_and_scale(shape: tuple[int, int], exponent: int) -> None:
    matrix = np.random.default_rng(0).normal(size=shape)
    found = singular_values(np.ldexp(matrix, exponent))
    assert np.allclose(np.ldexp(found, -exponent), np.linalg.svd(matrix, compute_uv=False), rtol=1e-9, atol=0)


def test_singular_matrices_keep_their_zeros() -> None:
    found = singular_values(np.outer(np.arange(1.0, 6), np.ones(9)))
    assert found[0] == pytest.approx(np.sqrt(55 * 9)) and np.all(found[1:] < 1e-14 * found[0])
    assert singular_values(np.zeros((3, 5))).tolist() == [0.0] * 3
    assert singular_values(np.zeros((0, 5))).shape == (0,)


def test_a_kernel_is_lowered_and_its_kind_told() -> None:
    kernel = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    matrix, kind = lower("c", kernel)
    assert matrix.shape == (2, 12) and kind == "conv" and np.array_equal(matrix[1], kernel[1].ravel())
    assert lower("d", np.ones((8, 1, 3, 3)))[1] == "depthwise"
    assert lower("p", np.ones((8, 4, 1, 1)))[1] == "linear"
    assert lower("l", np.ones((8, 4), dtype=np.float16))[0].dtype == np.float64


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0]]), r"blocks\.0\.fc: 1 of 4 weights are not finite, the first at row 0, column 1"),
        (np.array([[1.0, 2.0], [-np.inf, np.nan]]), r"blocks\.0\.fc: 2 of 4 weights .* row 1, column 0 \(-inf\)"),
        (np.ones(5), r"blocks\.0\.fc: weight of shape \(5,\)"),
        (np.array([["a", "b"]]), "no array of real numbers"),
        (np.ones((2, 2)) * 1j, "no array of real numbers"),
        ([[1.0], [1.0, 2.0]], "no array of real numbers"),
    ],
)
def test_bad_weights_are_refused_by_name(weight: object, words: str) -> None:
    with pytest.raises(Refused, match=words):
        lower("blocks.0.fc", weight)


@pytest.mark.parametrize("smallest", [1, 1000])
def test_a_torch_device_gives_the_same_values(smallest: int) -> None:
    """Through torch.linalg, here on the CPU: the same two roads, the same accuracy on each."""
    matrix, values = known(smallest)
    assert float(np.max(np.abs(singular_values(matrix, solvers=solvers_on(device_of("cpu"))) / values - 1.0))) < 1e-8
    assert np.array_equal(singular_values(np.zeros((3, 4)), solvers=solvers_on(device_of("cpu"))), np.zeros(3))


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    for device in ("meta", "toaster"):
        with pytest.raises(Usage, match=f"device {device}: torch cannot compute"):
            device_of(device)
