"""Rows of every kind: whole numbers beside fractions, NaN, infinity, words, truth values, and an entry that some rows lack."""

from pathlib import Path

import numpy as np

from simulations.engine.study import Study

BAD = {
    "list": [1, 2],
    "none": None,
    "row": 3,
    "taken": {"word": 1},
    "huge": {"number": 2**63},
    "array": {"number": np.zeros(2)},
    "empty": {},
    "clash": {"number": "a word"},
}


def run(parameters, generator):
    word, ratio = parameters["word"], parameters["ratio"]
    if word in BAD:
        return BAD[word]
    number = 1 if ratio < 1.0 else np.float32(1.5)
    row = {"number": number, "nan": np.nan, "infinite": -np.inf, "word_back": word, "yes": np.bool_(ratio < 1.0)}
    return row if ratio < 2.0 else row | {"extra": np.int16(7)}


STUDY = Study(
    name=__name__,
    version=3,
    run=run,
    parameters={"word": str, "flag": bool, "ratio": float},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="",
)
