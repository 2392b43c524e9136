"""Fails on odd numbers while the environment says FAULTY: a fault outside the study, that goes away."""

import os
from pathlib import Path

from simulations.engine.study import Study


def run(parameters, generator):
    if os.environ.get("FAULTY") and parameters["number"] % 2:
        raise ValueError("odd\nnumber")
    return {"drawn": generator.random()}


STUDY = Study(
    name=__name__, version=1, run=run, parameters={"number": int}, grid_path=Path(__file__).with_suffix(".toml"), about=""
)
