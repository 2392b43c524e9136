"""Ends its own process without a word on number 1."""

import os
import signal
from pathlib import Path

from simulations.engine.study import Study


def run(parameters, generator):
    if parameters["number"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"drawn": generator.random()}


STUDY = Study(
    name=__name__, version=1, run=run, parameters={"number": int}, grid_path=Path(__file__).with_suffix(".toml"), about=""
)
