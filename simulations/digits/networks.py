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


@dataclass(frozen=True)
class Kind:
    """An architecture and how it is trained."""

    make: Callable[[], nn.Module]
    training: TrainingRecipe
    splits: SplitRecipe = SPLITS


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


@cache
def samples() -> Samples:
    """The digits, preprocessed alike for every kind."""
    return load_samples(DataRecipe("digits"), preprocessing(build(TRANSFORMER, meta=True), TRANSFORMER))


@cache
def splits(recipe: SplitRecipe = SPLITS) -> Splits:
    """One split for all networks of a kind; the test set is the same in both recipes."""
    return split(samples(), recipe)


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
            "train": splits(about.splits).digest("train"),
            "environment": environment(1),
        }
    )
    kept = from_cache(key)
    if kept is not None:
        return load_state(model, kept, "cache").eval()
    fit(model, samples(), splits(about.splits).indices["train"], settings, seed=seed, state=None)
    to_cache(key, state_of(model))
    return model.eval()


@lru_cache(maxsize=2)
def evidence_of(kind: str, seed: int, epochs: int = 0) -> tuple[tuple[Target, ...], Evidence]:
    """All targets of a trained network, and everything the methods read, from the calibration split."""
    model, own = trained(kind, seed, epochs), splits(KINDS[kind].splits)
    targets = describe(model)
    indices = list(own.indices["calibration"])
    found = collect(
        model,
        targets,
        [samples().images(indices)],
        split=own.digest("calibration"),
        parts=STREAMED,
        gram_block=0,
    )
    return targets, sense(model, found, targets, [samples().images(indices)])
