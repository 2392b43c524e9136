"""Singular values of one layer, from its Gram matrix where that is accurate and from a full decomposition where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from certify.records import Refused, Target

Array = npt.NDArray[np.float64]
Solver = Callable[[Array], npt.NDArray[Any]]

ACCURACY = 1e-5
DEPTHWISE, CONVOLUTION, LINEAR = "depthwise", "conv", "linear"


def lower(name: str, weight: Any) -> tuple[Array, str]:
    """A layer's weight as a float64 matrix (rows = outputs, cols = inputs), and its kind.

    name   : used in every refusal.
    weight : (rows, cols), or a convolution's (out, in, k), (out, in, kh, kw), (out, in, kd, kh, kw): lowered row-major.
    Returns the matrix and "linear", "conv", or "depthwise" where each filter sees one input channel.
    Refused: fewer than two axes, entries that are no real numbers, NaN and infinity.
    """
    try:
        array = np.asarray(weight)
        if array.dtype.kind not in "buif":
            raise TypeError(array.dtype)
        array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise Refused(f"{name}: its weight is no array of real numbers") from None
    if not 2 <= array.ndim <= 5:
        raise Refused(f"{name}: weight of shape {array.shape}; a matrix or a convolution kernel is expected")
    matrix = array.reshape(array.shape[0], math.prod(array.shape[1:]))
    wrong = ~np.isfinite(matrix)
    if wrong.any():
        row, col = (int(index) for index in np.argwhere(wrong)[0])
        raise Refused(
            f"{name}: {int(wrong.sum())} of {matrix.size} weights are not finite, the first at row {row}, column {col} "
            f"({matrix[row, col]})"
        )
    return matrix, kind_of(array.shape)


def kind_of(shape: tuple[int, ...]) -> str:
    """What a weight of this shape is: a kernel of one tap is a linear layer, one input channel per filter is depthwise."""
    return LINEAR if math.prod(shape[2:]) == 1 else DEPTHWISE if shape[1] == 1 else CONVOLUTION


def kinds_of(targets: Iterable[Target]) -> dict[str, str]:
    """The kind of each target by name, for `layer_table(kinds=...)` where kernels have already been lowered."""
    return {target.name: kind_of(target.shape) for target in targets}


def gram_squares(tall: Array) -> npt.NDArray[Any]:
    """Eigenvalues of tall^T tall, largest first."""
    return np.linalg.eigvalsh(tall.T @ tall)[::-1]


def full_values(matrix: Array) -> npt.NDArray[Any]:
    """Singular values, largest first, by a full decomposition."""
    return np.linalg.svd(matrix, compute_uv=False)


def singular_values(
    matrix: npt.ArrayLike, *, accuracy: float = ACCURACY, solvers: tuple[Solver, Solver] = (gram_squares, full_values)
) -> Array:
    """All singular values, largest first, each to a stated relative error.

        s_i = sqrt(lambda_i(W W^T)),   |error of s_i| / s_i about p u (s_1 / s_i)^2,   p = min(rows, cols), u = 2^-53

    so the Gram road is taken where p u (s_1 / s_p)^2 <= accuracy, and a full decomposition (error of s_i about
    p u s_1) elsewhere: also whenever the matrix is singular to working precision. The matrix is scaled by a power of two first,
    so nothing overflows or vanishes in the squares.

    matrix   : (rows, cols), finite.
    accuracy : largest relative error of the smallest value on the Gram road, > 0; 0 always decomposes in full.
    solvers  : the two roads, in float64: `gram_squares` and `full_values`, or another device's
               (`certify.networks.devices.solvers_on`).
    Returns (min(rows, cols),) in weight units. tests/spectra/test_values.py measures the error of both roads.
    """
    weight = np.asarray(matrix, dtype=np.float64)
    count = min(weight.shape)
    largest = float(np.max(np.abs(weight), initial=0.0))
    if largest == 0.0:
        return np.zeros(count)
    exponent = math.frexp(largest)[1]
    scaled = np.ldexp(weight, -exponent)
    if accuracy > 0.0:
        squares = solvers[0](scaled if weight.shape[0] >= weight.shape[1] else scaled.T)
        if squares[-1] * accuracy >= count * 2.0**-53 * squares[0]:
            return np.ldexp(np.sqrt(squares), exponent)
    return np.ldexp(solvers[1](scaled), exponent)


def numerical_rank(values: Array, rows: int, cols: int) -> int:
    """How many singular values (largest first) stand above rounding: s_i > max(rows, cols) 2^-52 s_1."""
    return int(np.sum(values > max(rows, cols) * 2.0**-52 * np.max(values, initial=0.0)))
