"""Samples: what the model sees, how each is named, and the sentence for every input that cannot be used."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from certify.data import check_classes, load_samples, sample_digest
from certify.networks.vision import import_timm
from certify.records import Refused, Usage
from certify.records.hashing import sha256_bytes, sha256_file
from certify.records.recipe import DataRecipe

GREY = {"input_size": (1, 8, 8), "mean": (0.5,) * 3, "std": (0.25,) * 3}
COLOUR = {
    "input_size": (3, 16, 16),
    "interpolation": "bicubic",
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.25, 0.3),
    "crop_pct": 0.8,
    "crop_mode": "center",
}


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits():
    return load_samples(DataRecipe(source="digits"), GREY)


@pytest.fixture
def folder(tmp_path):
    """Two classes of four PNG images."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def load(folder, preprocessing=COLOUR, **options):
    return load_samples(DataRecipe(dir=str(folder), **options), preprocessing)


def test_digits_are_normalised_pixels(digits):
    from sklearn.datasets import load_digits

    raw = load_digits()
    assert len(digits) == 1797 and digits.classes == tuple("0123456789")
    assert digits.labels.dtype == np.int64 and not digits.labels.flags.writeable
    expected = (raw.images[[3, 5]] / 16 - 0.5) / 0.25
    assert torch.equal(digits.images([3, 5]), torch.tensor(expected, dtype=torch.float32)[:, None])
    assert digits.images([]).shape == (0, 1, 8, 8)


def test_digits_are_named_by_pixels_and_label(digits):
    from sklearn.datasets import load_digits

    raw = load_digits()
    picture = sha256_bytes(raw.data[7].astype(np.uint8).tobytes())
    assert digits.digests[7] == sample_digest(picture, str(raw.target[7])) != sample_digest(picture, None)
    unlabelled = load_samples(DataRecipe(source="digits", labels="none"), GREY)
    assert unlabelled.labels is None and unlabelled.classes == ()
    assert unlabelled.digests[7] == sample_digest(picture, None)


def test_digits_refuse_another_shape():
    with pytest.raises(Refused, match=r"shape \(3, 224, 224\), the digits have \(1, 8, 8\)"):
        load_samples(DataRecipe(source="digits"), COLOUR | {"input_size": (3, 224, 224)})


def test_augmentation_is_determined_by_the_generator(digits, folder):
    for samples in (digits, load(folder)):
        indices = range(8)
        plain = samples.images(indices)
        once = samples.augmented(indices, generator(1))
        torch.manual_seed(99)  # the global generator has no say
        assert torch.equal(once, samples.augmented(indices, generator(1)))
        assert not torch.equal(once, samples.augmented(indices, generator(2)))
        assert once.shape == plain.shape and once.dtype == torch.float32
        assert not any(torch.equal(a, b) for a, b in zip(once, plain, strict=True))
        assert plain.min() - 1e-5 <= once.min() and once.max() <= plain.max() + 1e-5


def test_folder_is_what_timm_feeds_a_model(folder):
    from timm.data import create_dataset, create_transform

    samples = load(folder)
    dataset = create_dataset("", root=str(folder), split="", transform=create_transform(**COLOUR, is_training=False))
    assert samples.classes == ("cat", "dog") and list(samples.labels) == [0, 0, 0, 0, 1, 1, 1, 1]
    for index in range(8):
        image, label = dataset[index]
        assert torch.equal(samples.images([index])[0], image) and samples.labels[index] == label


def test_grey_model_reads_colour_files_with_one_mean(folder):
    assert load(folder, COLOUR | {"input_size": (1, 16, 16)}).images([0, 1]).shape == (2, 1, 16, 16)
    with pytest.raises(Refused, match="the model takes 4 channels"):
        load(folder, COLOUR | {"input_size": (4, 16, 16)})


def test_folder_names_hold_content_only(folder):
    before = load(folder)
    assert before.digests[4] == sample_digest(sha256_file(folder / "dog" / "0.png"), "dog")
    (folder / "cat" / "0.png").rename(folder / "cat" / "9.png")
    assert sorted(load(folder).digests) == sorted(before.digests)
    (folder / "dog").rename(folder / "wolf")
    assert load(folder).digests[4:] != before.digests[4:] and load(folder).pictures[4:] == before.pictures[4:]


def test_large_sets_are_decoded_per_batch(folder, monkeypatch):
    cached = load(folder)
    monkeypatch.setattr("certify.data.sources.CACHE_BYTES", 0)
    streamed = load(folder)
    assert torch.equal(cached.images([5, 2]), streamed.images([5, 2]))
    assert torch.equal(cached.augmented([5, 2], generator(0)), streamed.augmented([5, 2], generator(0)))
    Image.new("RGB", (20, 20)).save(folder / "cat" / "1.png")
    with pytest.raises(Refused, match=r"cat/1\.png: its bytes changed"):
        streamed.images([1])


def test_split_folders_are_timms(folder):
    inner = folder / "val"
    inner.mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(inner / name)
    assert len(load(folder, split="validation")) == 8
    with pytest.raises(Refused, match="no folder for the split 'train'"):
        load(folder, split="train")
    with pytest.raises(Refused, match="a part of a folder"):
        load(folder, split="val[:50%]")


def test_flat_folder_needs_no_labels(folder):
    with pytest.raises(Refused, match="all 4 images belong to one class"):
        load(folder / "cat")
    samples = load(folder / "cat", labels="none")
    assert len(samples) == 4 and samples.labels is None and samples.classes == ()


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=["empty", "text", "header"])
def test_unreadable_image_is_named(folder, content):
    (folder / "dog" / "2.png").write_bytes(content)
    with pytest.raises(Refused, match=r"dog/2\.png: not a readable image") as refusal:
        load(folder)
    assert "\n" not in str(refusal.value) and refusal.value.exit_code == 3


def test_truncated_image_is_named(folder):
    path = folder / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(Refused, match=r"dog/3\.png: not a readable image"):
        load(folder)


def test_other_bad_folders(folder, tmp_path):
    with pytest.raises(Refused, match="no such folder"):
        load(tmp_path / "absent")
    (tmp_path / "void").mkdir()
    with pytest.raises(Refused, match="void: no images found"):
        load(tmp_path / "void")
    (folder / "cat" / "0.png").rename(folder / "stray.png")
    with pytest.raises(Refused, match=r"stray\.png: lies beside the class folders"):
        load(folder)


def test_classes_and_outputs_correspond(folder):
    samples = load(folder)
    check_classes(samples, 2)
    for outputs in (1, 1000):
        with pytest.raises(Refused, match=f"2 classes found, the model has {outputs} outputs"):
            check_classes(samples, outputs)
    check_classes(load(folder, labels="none"), 1000)


def cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool = True) -> DataRecipe:
    """Torchvision's layout with four images a file; its list of hashes is that of the real files, so it is not asked."""
    import_timm()
    from torchvision.datasets import CIFAR10

    root = folder / CIFAR10.base_folder
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        batch = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": [0, 1, 2, 9]}
        (root / name).write_bytes(pickle.dumps(batch))
    (root / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({CIFAR10.meta["key"]: [f"class {k}" for k in range(10)]}))
    if whole:
        monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
        monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *names: True)
    return DataRecipe("cifar10", dir=str(folder))


PREPROCESSED = {"input_size": (3, 32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.5, 0.5)}


def test_cifar10_is_read_from_disk_both_parts_or_one(tmp_path, monkeypatch):
    recipe = cifar10(tmp_path, monkeypatch)
    found = load_samples(recipe, PREPROCESSED)
    assert len(found) == 24 and len(set(found.pictures)) == 24 and found.classes[9] == "class 9"
    assert [len(load_samples(replace(recipe, split=part), PREPROCESSED)) for part in ("train", "test")] == [20, 4]
    images = found.images([0, 23])
    assert images.shape == (2, 3, 32, 32) and images.min() >= -2 and images.max() <= 2
    raw = pickle.loads((tmp_path / "cifar-10-batches-py" / "data_batch_1").read_bytes())["data"][0].reshape(3, 32, 32)
    assert torch.allclose(images[0], (torch.tensor(raw) / 255 - 0.5) / torch.tensor([0.25, 0.5, 0.5]).reshape(3, 1, 1))
    assert found.augmented([0], torch.Generator().manual_seed(0)).shape == (1, 3, 32, 32)


def test_cifar10_that_is_absent_damaged_or_of_another_size_is_refused(tmp_path, monkeypatch):
    with pytest.raises(Refused, match="no whole CIFAR-10"):
        load_samples(DataRecipe("cifar10", dir=str(tmp_path / "absent")), PREPROCESSED)
    with pytest.raises(Refused, match="no whole CIFAR-10"):
        load_samples(cifar10(tmp_path / "other", monkeypatch, whole=False), PREPROCESSED)
    with pytest.raises(Refused, match="img_size = 32"):
        load_samples(cifar10(tmp_path / "good", monkeypatch), PREPROCESSED | {"input_size": (3, 224, 224)})
    with pytest.raises(Usage, match="no part of CIFAR-10"):
        DataRecipe("cifar10", dir="somewhere", split="validation")
