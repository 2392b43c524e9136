"""A study that only spends time: the load that the engine itself is measured with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simulations.engine.study import Scalar, Study


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | int]:
    """`rounds` rounds of SHA-256 on one drawn number, without sleeping.

    parameters : rounds, a whole number >= 0; about 2.5 million a second on one core.
    Returns the number drawn, and four bytes of the last hash.
    """
    drawn = generator.random()
    state = np.float64(drawn).tobytes()
    for _ in range(int(parameters["rounds"])):
        state = hashlib.sha256(state).digest()
    return {"drawn": drawn, "hash": int.from_bytes(state[:4], "little")}


STUDY = Study(
    name="busy",
    version=1,
    run=run,
    parameters={"rounds": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="spends time and draws one number; measures the engine itself",
)
