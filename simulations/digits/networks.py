"""Networks trained on the 1,797 digits of scikit-learn: vision transformers, a small ResNet with batch norm, MLPs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache, partial

import torch
from torch import nn

from certify.data.sources import Samples, load_samples
from certify.data.splitting import split
from certify.networks.evidence import STREAMED, collect
from certify.networks.loading import build, digest, load_state, preprocessing, state_of
from certify.networks.sensitivity import sense
from certify.networks.targets import describe
from certify.networks.vision import import_timm
from certify.pipeline.environment import environment, from_cache, to_cache
from certify.records import Evidence, Splits, Target
from certify.records.hashing import sha256_json
from certify.records.recipe import DataRecipe, ModelRecipe, SplitRecipe, TrainingRecipe
from certify.training.loop import fit

TRANSFORMER = ModelRecipe(
    "vit_tiny_patch16_224",
    num_classes=10,
    kwargs={
        "img_size": 8,
        "patch_size": 2,
        "in_chans": 1,
        "embed_dim": 64,
        "depth": 4,
        "num_heads": 4,
        "global_pool": "avg",
        "class_token": False,
    },
)
# One split for all networks and seeds: what varies is initialisation, batches and augmentation. `certification` is the test set.
SPLITS = SplitRecipe(seed=0, train=900, calibration=150, tuning=200, certification=547)
# The same test set, and more images for whatever searches on the tuning split.
SEARCH_SPLITS = SplitRecipe(seed=0, train=750, calibration=150, tuning=350, certification=547)
WANTED = 0.97


# For whoever has it, and a GPU: torchvision's CIFAR-10 under data/cifar10, 64 tokens of 384 numbers.
SMALL = ModelRecipe("vit_small_patch16_224", num_classes=10, kwargs={"img_size": 32, "patch_size": 4})
DIGITS, CIFAR10 = DataRecipe("digits"), DataRecipe("cifar10", dir="data/cifar10")
CIFAR10_SPLITS = SplitRecipe(seed=0, train=44_000, calibration=1_000, tuning=5_000, certification=10_000)


@dataclass(frozen=True)
class Kind:
    """An architecture, how it is trained, on what and where."""

    make: Callable[[], nn.Module]
    training: TrainingRecipe
    splits: SplitRecipe = SPLITS
    data: DataRecipe = DIGITS
    preprocessed_for: ModelRecipe = TRANSFORMER
    device: str = "cpu"


def _vision(depth: int) -> Callable[[], nn.Module]:
    """A narrower transformer of some depth, for bounds: hidden width 128, 16 tokens of 64 numbers."""
    kwargs = {**TRANSFORMER.kwargs, "depth": depth, "mlp_ratio": 2.0}
    return lambda: build(replace(TRANSFORMER, kwargs=kwargs))


def _gelu_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 10))


def _relu_mlp(width: int = 256) -> nn.Module:
    layers = (nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(*layers)


def _hidden_vision(width: int) -> nn.Module:
    """Three blocks of 16 tokens of 48 numbers, `width` hidden units each: for studies of units, where their number matters."""
    return build(
        replace(TRANSFORMER, kwargs={**TRANSFORMER.kwargs, "embed_dim": 48, "depth": 3, "num_heads": 3, "mlp_ratio": width / 48})
    )


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def _resnet() -> nn.Module:
    import_timm()
    from timm.models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, layers=(1, 1, 1, 1), channels=(24, 32, 48, 64), num_classes=10, in_chans=1, output_stride=8)


KINDS = {
    "vit": Kind(lambda: build(TRANSFORMER), TrainingRecipe(epochs=120, batch_size=32, learning_rate=3e-3)),
    "resnet": Kind(_resnet, TrainingRecipe(epochs=60, batch_size=32, learning_rate=3e-3)),
    "mlp": Kind(_mlp, TrainingRecipe(epochs=120, batch_size=32, learning_rate=2e-3)),
    "vit-2": Kind(_vision(2), TrainingRecipe(epochs=100, batch_size=32, learning_rate=3e-3)),
    "vit-6": Kind(_vision(6), TrainingRecipe(epochs=100, batch_size=32, learning_rate=2e-3)),
    "vit-12": Kind(_vision(12), TrainingRecipe(epochs=100, batch_size=32, learning_rate=1.5e-3)),
    "gelu-mlp": Kind(_gelu_mlp, TrainingRecipe(epochs=60, batch_size=32, learning_rate=2e-3)),
    "relu-mlp": Kind(_relu_mlp, TrainingRecipe(epochs=60, batch_size=32, learning_rate=2e-3)),
}
for _width in (96, 192, 384):
    _training = TrainingRecipe(epochs=120, batch_size=32, learning_rate=3e-3)
    KINDS[f"hidden-vit-{_width}"] = Kind(partial(_hidden_vision, _width), _training, SEARCH_SPLITS)
for _width in (128, 256, 512):
    _training = TrainingRecipe(epochs=120, batch_size=32, learning_rate=2e-3)
    KINDS[f"hidden-mlp-{_width}"] = Kind(partial(_relu_mlp, _width), _training, SEARCH_SPLITS)
KINDS["hidden-cifar10-1536"] = Kind(
    lambda: build(SMALL),
    TrainingRecipe(epochs=200, batch_size=256, learning_rate=1e-3),
    CIFAR10_SPLITS,
    CIFAR10,
    SMALL,
    "cuda",
)


def samples(kind: str = "vit") -> Samples:
    """What networks of a kind are trained and measured on; the digits are preprocessed alike for every kind."""
    return _samples(KINDS[kind].data, KINDS[kind].preprocessed_for.name)


def splits(kind: str = "vit") -> Splits:
    """One split for all networks of a kind; all kinds of digits networks share one test set."""
    return _splits(kind, KINDS[kind].splits)


@cache
def _samples(data: DataRecipe, model: str) -> Samples:
    recipe = next(each for each in (TRANSFORMER, SMALL) if each.name == model)
    return load_samples(data, preprocessing(build(recipe, meta=True), recipe))


@cache
def _splits(kind: str, recipe: SplitRecipe) -> Splits:
    return split(samples(kind), recipe)


@lru_cache(maxsize=2)
def trained(kind: str, seed: int, epochs: int = 0) -> nn.Module:
    """A trained network, kept on this machine under everything its result depends on.

    epochs : 0 trains as KINDS says; a smaller number is for quick looks.
    The caller must not change it.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    about = KINDS[kind]
    settings = about.training if not epochs else TrainingRecipe(**(asdict(about.training) | {"epochs": epochs}))
    torch.manual_seed(seed)
    model = about.make().eval()
    key = sha256_json(
        {
            "network": repr(model),
            "start": digest(state_of(model)),
            "training": asdict(settings),
            "seed": seed,
            "train": splits(kind).digest("train"),
            "environment": environment(1),
        }
    )
    kept = from_cache(key)
    if kept is not None:
        return load_state(model, kept, "cache").eval().to(about.device)
    fit(model.to(about.device), samples(kind), splits(kind).indices["train"], settings, seed=seed, state=None)
    to_cache(key, state_of(model))
    return model.eval()


@lru_cache(maxsize=2)
def evidence_of(kind: str, seed: int, epochs: int = 0) -> tuple[tuple[Target, ...], Evidence]:
    """All targets of a trained network, and everything the methods read, from the calibration split."""
    model = trained(kind, seed, epochs)
    targets = describe(model)
    indices = list(splits(kind).indices["calibration"])
    found = collect(
        model,
        targets,
        [samples(kind).images(indices)],
        split=splits(kind).digest("calibration"),
        parts=STREAMED,
        gram_block=0,
    )
    return targets, sense(model, found, targets, [samples(kind).images(indices)])
