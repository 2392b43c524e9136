"""The two-sample test: its level under one law, its sight of laws that differ in one respect only."""

from __future__ import annotations

import numpy as np
import pytest

from certify.records import Refused
from certify.theory.binomial import clopper_pearson_lower
from simulations.samplers import compare


def test_level_under_one_law() -> None:
    """At level 5 %: the lower Clopper–Pearson limit (1e-6) of the rate over 400 pairs of skewed samples stays below it."""
    rng = np.random.default_rng(1)
    low = sum(compare(rng.gamma(2.0, size=(60, 3)), rng.gamma(2.0, size=(60, 3))).p_value <= 0.05 for _ in range(400))
    assert clopper_pearson_lower(low, 400, 1e-6) <= 0.05


@pytest.mark.parametrize("kind", ["mean", "spread", "correlation", "tail"])
def test_sees_a_difference(kind: str) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((3000, 3)), rng.standard_normal((3000, 3))
    if kind == "mean":
        y[:, 1] += 0.25
    elif kind == "spread":
        y[:, 1] *= 1.3
    elif kind == "correlation":
        y[:, 1] = 0.6 * y[:, 0] + 0.8 * y[:, 1]
    else:
        y[:, 1] = rng.standard_t(2.0, size=3000)
    assert compare(x, y).p_value < 1e-6


def test_one_column_and_constant_columns() -> None:
    rng = np.random.default_rng(3)
    assert compare(rng.standard_normal((50, 1)), rng.standard_normal((50, 1))).count == 2
    same = np.column_stack([rng.standard_normal(50), np.ones(50)])
    assert 0.0 < compare(same, same).p_value <= 1.0


@pytest.mark.parametrize(
    ("x", "y"),
    [(np.ones((9, 2)), np.ones((9, 3))), (np.ones((3, 1)), np.ones((9, 1))), (np.full((9, 1), np.nan), np.ones((9, 1)))],
)
def test_bad_input_is_refused(x: np.ndarray, y: np.ndarray) -> None:
    with pytest.raises(Refused, match="samples"):
        compare(x, y)
