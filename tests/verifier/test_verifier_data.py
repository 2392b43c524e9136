"""The plain loader reads what the producing loader reads, and sees when a picture changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from verifier_run import DIGITS, PREPROCESSING, Forge, build, recipe_text

from certify.data.sources import load_samples
from certify.records import Recipe, Refused
from certify.verifier import verify
from certify.verifier.data import check_samples, reload


def digits_as_files(folder: Path, count: int = 400) -> Path:
    """Grey pictures in one folder per class, with names that sort differently by number and by letter."""
    bunch = load_digits()
    for index in range(count):
        place = (folder if index % 7 else folder / "more") / f"Class{int(bunch.target[index])}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = (bunch.images[index] * 15.9).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{index}.{'PNG' if index % 3 else 'png'}")
    (folder / "readme.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_as_files(tmp_path_factory.mktemp("pictures") / "data")


def recipe(data: str) -> Recipe:
    return Recipe.from_toml(recipe_text(data, "recovered"), "test")


@pytest.mark.parametrize("labels", ["given", "none"])
def test_digits_as_the_producing_side_reads_them(labels: str):
    job = recipe(DIGITS + f'labels = "{labels}"\n') if labels == "given" else _unlabelled('source = "digits"')
    ours, theirs = reload(job, PREPROCESSING, None), load_samples(job.data, PREPROCESSING)
    assert ours.digests == theirs.digests
    assert (ours.labels is None) == (labels == "none") and (ours.labels is None or np.array_equal(ours.labels, theirs.labels))
    assert np.array_equal(ours.images([3, 900, 1796]), theirs.images([3, 900, 1796]).numpy())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("split", ["", "validation"])
def test_folder_as_the_producing_side_reads_it(tmp_path: Path, channels: int, split: str):
    root = digits_as_files(tmp_path / "root" / ("val" if split else ""), 40)
    root = root.parent if split else root
    preprocessing = PREPROCESSING | {
        "input_size": [channels, 8, 8],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "crop_pct": 0.875,
    }
    job = recipe(f'\n[data]\nsource = "folder"\ndir = "{root}"\nsplit = "{split}"\n')
    ours, theirs = reload(job, preprocessing, None), load_samples(job.data, preprocessing)
    assert ours.digests == theirs.digests and len(set(ours.digests)) == 40
    assert ours.labels is not None and np.array_equal(ours.labels, theirs.labels)
    assert np.array_equal(ours.images(range(40)), theirs.images(range(40)).numpy())


def test_flat_unlabelled_folder(tmp_path: Path):
    for index in (10, 9, 100):
        Image.fromarray(np.full((8, 8), index, dtype=np.uint8)).save(tmp_path / f"{index}.png")
    job = _unlabelled(f'source = "folder"\ndir = "{tmp_path}"')
    ours, theirs = reload(job, PREPROCESSING, None), load_samples(job.data, PREPROCESSING)
    assert ours.digests == theirs.digests and ours.labels is None


def test_replay_on_a_folder_and_a_changed_picture(pictures: Path, tmp_path: Path):
    data = shutil.copytree(pictures, tmp_path / "data")
    run: Forge = build(tmp_path / "run", data=f'\n[data]\nsource = "folder"\ndir = "{data}"\n')
    verify(run.certificate, level="replay")
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(Refused, match="no such folder"):
        verify(run.certificate, level="replay")
    verify(run.certificate, level="replay", data_dir=moved)

    picture = sorted(moved.rglob("*.png"))[5]
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-3] + bytes([whole[-3] ^ 4]) + whole[-2:])
    with pytest.raises(Refused, match=r"sample \d+ \(\w+\) has content \w+, the splits state|its samples hash to"):
        verify(run.certificate, level="replay", data_dir=moved)
    picture.write_bytes(whole)

    picture.rename(moved / "Class1" / "away.png")
    with pytest.raises(Refused):
        verify(run.certificate, level="replay", data_dir=moved)
    verify(run.certificate)


def test_data_that_lost_samples(issued: Forge):
    from certify.records import Splits
    from certify.records.files import read_json

    source = reload(recipe(DIGITS), PREPROCESSING, None)
    splits = Splits.from_json(read_json(issued.folder / "splits.json"))
    fewer = type(source)(source.name, source.digests[:100], source.labels, source.images)
    with pytest.raises(Refused, match=r"holds 100 samples, the .* split uses number"):
        check_samples(fewer, splits)


def test_unreadable_picture(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"no picture")
    source = reload(recipe(f'\n[data]\nsource = "folder"\ndir = "{tmp_path}"\n'), PREPROCESSING, None)
    with pytest.raises(Refused, match="not a readable image"):
        source.images([0])


def _unlabelled(data: str) -> Recipe:
    text = recipe_text(f'\n[data]\n{data}\nlabels = "none"\n', "recovered", 'checkpoint = "x"\n')
    return Recipe.from_toml(text + '\n[guarantees]\nstatements = ["disagreement"]\n', "test")
