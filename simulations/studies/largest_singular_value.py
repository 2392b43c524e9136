"""Largest singular value of an iid Gaussian matrix beside the edge of its bulk: the example of how a study is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simulations.engine.study import Scalar, Study


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """Mean and standard error of the largest singular value of R, and the edge it tends to.

        R in R^{rows x cols},  R_ij ~ N(0, 1 / rows) iid,   sigma_1(R) -> 1 + sqrt(cols / rows)

    parameters : rows, cols, draws >= 2, all whole numbers.
    Returns mean, standard_error and edge, all in units of the entries. Drawn densely, one matrix at a time.
    """
    rows, cols, draws = (int(parameters[name]) for name in ("rows", "cols", "draws"))
    if min(rows, cols) < 1 or draws < 2:
        raise ValueError(f"rows = {rows}, cols = {cols}, draws = {draws}: need at least 1, 1 and 2")
    largest = np.array([np.linalg.norm(generator.standard_normal((rows, cols)), 2) for _ in range(draws)]) / math.sqrt(rows)
    return {
        "mean": largest.mean(),
        "standard_error": largest.std(ddof=1) / math.sqrt(draws),
        "edge": 1.0 + math.sqrt(cols / rows),
    }


STUDY = Study(
    name="largest-singular-value",
    version=1,
    run=run,
    parameters={"rows": int, "cols": int, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="largest singular value of an iid Gaussian matrix against the bulk edge",
)
