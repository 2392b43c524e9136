"""Grids: lazy, sorted, every cell once; wrong ones are answered by one sentence."""

import itertools
import random

import pytest
from sweep_tools import call, grid_file

from certify.records import Usage
from simulations.engine.grid import load_grid, read_grid
from simulations.engine.study import cell, generator_of, load
from simulations.engine.sweep import Shard
from simulations.studies import STUDIES

STUDY = load("largest-singular-value")
AXES = {"rows": [3, 1, 2], "cols": [5, 4], "draws": 2}


def test_a_product_is_sorted_and_complete():
    grid = read_grid(STUDY, {"grid": AXES, "replicates": 2}, "grid")
    found = [(entry.values, entry.replicate) for entry in grid.cells(STUDY)]
    assert found == sorted(itertools.product(itertools.product((1, 2, 3), (4, 5), (2,)), (0, 1)))
    assert len(grid) == len(found) == 12


def test_a_union_names_each_cell_once():
    tables = [AXES, AXES | {"rows": [2, 7]}, {"rows": 7, "cols": 4, "draws": 2}]
    grid = read_grid(STUDY, {"grid": tables}, "grid")
    points = list(grid.points())
    assert points == sorted({point for rows in ((1, 2, 3), (2, 7)) for point in itertools.product(rows, (4, 5), (2,))})
    assert len(grid) == len(points) == 8


def test_the_order_in_the_file_means_nothing():
    shuffled = {
        name: random.Random(0).sample(values, len(values)) if isinstance(values, list) else values
        for name, values in AXES.items()
    }
    assert read_grid(STUDY, {"grid": dict(reversed(shuffled.items()))}, "a") == read_grid(STUDY, {"grid": [AXES]}, "b")


def test_whole_numbers_and_fractions_name_the_same_fraction():
    study = load("sweep_studies.mixed")
    grids = [read_grid(study, {"grid": {"word": "a", "flag": True, "ratio": ratio}}, "grid") for ratio in (1, 1.0, [1])]
    assert len({next(grid.cells(study)).key for grid in grids}) == 1
    zero, minus = (read_grid(study, {"grid": {"word": "a", "flag": True, "ratio": ratio}}, "grid") for ratio in (0.0, -0.0))
    assert next(zero.cells(study)).key == next(minus.cells(study)).key


def test_a_large_grid_is_not_made_to_be_counted():
    grid = read_grid(
        STUDY, {"grid": {"rows": list(range(1, 1001)), "cols": list(range(1, 1001)), "draws": 2}, "replicates": 10**6}, "grid"
    )
    assert len(grid) == 10**12
    assert next(grid.cells(STUDY)).values == (1, 1, 2)


def test_shards_share_the_cells_out():
    grid = read_grid(STUDY, {"grid": AXES, "replicates": 3}, "grid")
    parts = [[entry.key for entry in Shard(number, 4).cells(STUDY, grid)] for number in (1, 2, 3, 4)]
    assert sorted(itertools.chain(*parts)) == sorted(entry.key for entry in grid.cells(STUDY))
    assert {len(part) for part in parts} == {4, 5}


def test_a_key_and_its_first_number_never_change():
    """Results of earlier days stay usable only while keys and seeds mean the same."""
    one = cell(STUDY, 0, (16, 32, 20), 1)
    assert one.key.hex() == "13140f13d7fc82ced9285a46b8bca239"
    assert generator_of(one.key).random() == 0.04273716031626207
    others = [cell(STUDY, 1, (16, 32, 20), 1), cell(STUDY, 0, (16, 32, 20), 0), cell(STUDY, 0, (32, 16, 20), 1)]
    assert len({one.key, *(other.key for other in others)}) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("replicates = 2\nfoo = 1\n[grid]\nrows = 1\ncols = 1\ndraws = 2", "unknown key foo"),
        ("[grid]\nrows = 1\ncols = 1\ndraws = 2\nwide = 3", "unknown key grid.wide"),
        ("[grid]\nrows = 1\ncols = 1", "grid.draws is missing"),
        ("[grid]\nrows = []\ncols = 1\ndraws = 2", "grid.rows is an empty list"),
        ("[grid]\nrows = [1, 2, 1]\ncols = 1\ndraws = 2", "grid.rows names 1 twice"),
        ("[grid]\nrows = nan\ncols = 1\ndraws = 2", "must be of type int"),
        ("[grid]\nrows = 1.5\ncols = 1\ndraws = 2", "must be of type int"),
        ("[grid]\nrows = true\ncols = 1\ndraws = 2", "must be of type int"),
        ("[grid]\nrows = [[1]]\ncols = 1\ndraws = 2", "must be of type int"),
        ("[grid]\nrows = 9223372036854775808\ncols = 1\ndraws = 2", "does not fit in 64 bits"),
        ("replicates = 0\n[grid]\nrows = 1\ncols = 1\ndraws = 2", "replicates = 0 is not"),
        ("seed = -1\n[grid]\nrows = 1\ncols = 1\ndraws = 2", "seed = -1 is not"),
        ("grid = 3", "needs a [grid] table"),
        ("grid = []", "needs a [grid] table"),
        ("", "needs a [grid] table"),
        ("[grid\n", "not TOML"),
    ],
)
def test_a_wrong_grid_is_one_sentence(text, said, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("largest-singular-value", "--grid", grid_file(tmp_path, text), "--out", out) == 2
    answer = capsys.readouterr()
    assert said in answer.err and answer.err.count("\n") == 1 and "Traceback" not in answer.err and not answer.out
    assert not out.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "one", True])
def test_a_fraction_is_finite(value):
    with pytest.raises(Usage, match="ratio"):
        read_grid(load("sweep_studies.mixed"), {"grid": {"word": "a", "flag": True, "ratio": [0.5, value]}}, "grid")


def test_other_wrong_calls_are_one_sentence(tmp_path, capsys):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for code, words in (
        (3, ("busy", "--grid", tmp_path / "absent.toml")),
        (2, ("busy", "--grid", binary)),
        (2, ("no-such-study",)),
        (2, ("no.such.study",)),
        (2, ("certify.records",)),
        (2, ("busy", "--workers", "0")),
        (2, ("busy", "--shard", "3/2")),
        (2, ("busy", "--shard", "x")),
        (3, ("busy", "--out", binary)),
        (3, ("merge", tmp_path, "--out", tmp_path / "out")),
    ):
        assert call(*words) == code, words
        answer = capsys.readouterr()
        assert answer.err.count("\n") == 1 and not answer.out, words


def test_every_registered_study_has_its_name_and_a_good_grid(capsys):
    assert call("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(STUDIES)
    for name in STUDIES:
        study = load(name)
        assert study.name == name and len(load_grid(study, study.grid_path)) > 0
