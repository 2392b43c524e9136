"""Recipe: everything that determines a run, as frozen dataclasses read from TOML."""

from __future__ import annotations

import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from certify.records.errors import Refused, Usage
from certify.records.fields import as_floats as _as_floats
from certify.records.fields import between as _between
from certify.records.guaranteeing import GuaranteeRecipe
from certify.records.hashing import canonical_json, sha256_json
from certify.records.plans import parse_pattern


def _check_fit(settings: TrainingRecipe | RecoveryRecipe, table: str) -> None:
    """Ranges of what training and recovery have in common."""
    _as_floats(settings)
    _between(settings.batch_size, 1, 1e6, f"{table}.batch_size")
    _between(settings.learning_rate, 0, 10, f"{table}.learning_rate", open_low=True)
    _between(settings.label_smoothing, 0, 1, f"{table}.label_smoothing", open_high=True)
    _between(settings.weight_decay, 0, 10, f"{table}.weight_decay")
    _between(settings.warmup, 0, 1, f"{table}.warmup")
    _between(settings.clip_norm, 0, 1e9, f"{table}.clip_norm")


@dataclass(frozen=True)
class ModelRecipe:
    """A timm model. Without `checkpoint` it is trained by the `training` table."""

    name: str
    checkpoint: str = ""
    num_classes: int = 0
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            canonical_json(dict(self.kwargs))
        except (TypeError, Refused):
            raise Usage("recipe: model.kwargs holds a date or a number that is not finite") from None


# Value of `split` -> the parts of CIFAR-10 that are read, True for its training part.
CIFAR10_PARTS = {"": (True, False), "train": (True,), "test": (False,)}


@dataclass(frozen=True)
class DataRecipe:
    """`source` = "digits" (embedded), "folder" (`dir`, read as timm's create_dataset reads it), or "cifar10" (`dir`, as
    torchvision keeps it on disk).

    split  : of a folder, its subfolder; of CIFAR-10 "train" or "test"; "" takes everything.
    labels : "given", or "none" for images without trusted labels.
    """

    source: str = "folder"
    dir: str = ""
    split: str = ""
    labels: str = "given"

    def __post_init__(self) -> None:
        if self.source not in ("digits", "folder", "cifar10"):
            raise Usage(f"recipe: data.source = {self.source!r} is not digits, folder or cifar10")
        if self.labels not in ("given", "none"):
            raise Usage(f"recipe: data.labels = {self.labels!r} is not given or none")
        if self.source != "digits" and not self.dir:
            raise Usage("recipe: data.dir is missing; name the image folder")
        if self.source == "cifar10" and self.split not in CIFAR10_PARTS:
            raise Usage(f"recipe: data.split = {self.split!r} is no part of CIFAR-10; give train, test, or nothing for both")


@dataclass(frozen=True)
class SplitRecipe:
    """Samples of each purpose: counts (>= 1, whole) or shares (< 1) of the data set."""

    seed: int = 0
    train: float = 0.5
    calibration: float = 0.1
    tuning: float = 0.1
    certification: float = 0.3

    def __post_init__(self) -> None:
        _as_floats(self)
        for name in ("train", "calibration", "tuning", "certification"):
            value = getattr(self, name)
            if not 0 <= value <= 1e9 or (value >= 1 and value != int(value)):
                raise Usage(f"recipe: splits.{name} = {value} is neither a share in [0, 1) nor a whole count")


@dataclass(frozen=True)
class TrainingRecipe:
    """Training from scratch, for jobs that bring no checkpoint. AdamW, one-cycle with warm-up, label smoothing."""

    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.15
    label_smoothing: float = 0.05
    clip_norm: float = 1.0
    augment: bool = True
    accuracy: float = 0.0

    def __post_init__(self) -> None:
        _check_fit(self, "training")
        _between(self.epochs, 1, 1e6, "training.epochs")
        _between(self.accuracy, 0, 1, "training.accuracy")


@dataclass(frozen=True)
class PlanRecipe:
    """One plan: a method with a sparsity or a pattern, or with neither where the method finds the amount itself.

    include, exclude : globs over target names. options : of the method and the pattern, see `certify.pruning.prune`.
    steps            : rising sparsities below `sparsity` at which the network is fine-tuned before it is pruned further.
    updates          : false leaves the weights between steps as they are: evidence is taken again, nothing is trained.
    drop             : with steps and a reallocating method: magnitude until accuracy falls by it, see `certify.pipeline.gradual`.
    """

    name: str
    method: str = "magnitude"
    sparsity: float | None = None
    pattern: str | None = None
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[float, ...] = ()
    drop: float = 0.0
    updates: bool = True

    def __post_init__(self) -> None:
        _as_floats(self)
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "include", tuple(self.include))
        object.__setattr__(self, "exclude", tuple(self.exclude))
        if not self.name or any(not (c.isalnum() or c in "-_.") for c in self.name) or self.name.startswith("."):
            raise Usage(f"recipe: plan name {self.name!r} may hold letters, digits, '-', '_' and '.' only")
        if self.sparsity is not None and self.pattern is not None:
            raise Usage(f"recipe: plan {self.name} has a sparsity and a pattern; keep one of them")
        try:
            canonical_json(dict(self.options))
        except (TypeError, Refused):
            raise Usage(f"recipe: plan {self.name}: options hold a date or a number that is not finite") from None
        if self.sparsity is not None:
            _between(self.sparsity, 0, 1, f"plan {self.name}: sparsity", open_high=True)
        if self.pattern is not None:
            parse_pattern(self.pattern)
        rising = [0.0, *self.steps, 1.0 if self.sparsity is None else self.sparsity]
        if self.steps and (self.sparsity is None or not all(a < b for a, b in pairwise(rising))):
            raise Usage(f"recipe: plan {self.name}: steps rise between 0 and its sparsity, and need one; got {list(self.steps)}")
        _between(self.drop, 0, 1, f"plan {self.name}: drop")
        if not self.updates and (self.drop or not self.steps):
            raise Usage(f"recipe: plan {self.name}: updates = false is about steps, and goes without drop")
        if self.drop and not self.steps:
            raise Usage(f"recipe: plan {self.name}: drop = {self.drop} says when steps change, and there are no steps")


@dataclass(frozen=True)
class EvidenceRecipe:
    """What is learned from the calibration split before pruning. Which parts are collected follows from the plans' methods.

    samples : class-balanced draw of so many calibration samples; 0 takes all of them.
    """

    samples: int = 0

    def __post_init__(self) -> None:
        _between(self.samples, 0, 1e9, "evidence.samples")


# Ways to proved bounds; auto takes the first that knows the network.
ROADS = ("auto", "exact", "enclosed")


@dataclass(frozen=True)
class BoundsRecipe:
    """`samples` calibration samples get a ladder (0 = all of them); `layers` adds the layer-by-layer part.

    proved    : so many of them, from the first, also get proved rungs, by `road` (see `certify.bounds.prove`).
    tolerance : wanted error of a `resolved` path variation, relative to its size.
    max_order : highest Chebyshev order tried (a power of two).
    l1, l2    : the elastic-net weights the objective account is written for.
    """

    samples: int = 0
    layers: bool = True
    tolerance: float = 1e-3
    max_order: int = 64
    l1: float = 0.0
    l2: float = 1e-4
    proved: int = 16
    road: str = "auto"

    def __post_init__(self) -> None:
        _as_floats(self)
        _between(self.proved, 0, 1e9, "bounds.proved")
        if self.road not in ROADS:
            raise Usage(f"recipe: bounds.road = {self.road!r} is none of {', '.join(ROADS)}")
        _between(self.tolerance, 0, 1, "bounds.tolerance", open_low=True, open_high=True)
        if self.max_order < 8 or self.max_order & (self.max_order - 1):
            raise Usage(f"recipe: bounds.max_order = {self.max_order} is not a power of two of at least 8")
        _between(self.samples, 0, 1e9, "bounds.samples")
        _between(self.l1, 0, 1e9, "bounds.l1")
        _between(self.l2, 0, 1e9, "bounds.l2")


@dataclass(frozen=True)
class RecoveryRecipe:
    """Frozen-mask fine-tuning with distillation from the reference network. `epochs = 0` ships the masked network.

    opt                 : adamw, or sgd with Nesterov momentum `momentum`.
    distill_loss_weight : a of the loss (1 - a) CE + a tau^2 KL, tau = temperature. Unlike timm's of this name, which leaves the
                          labels' weight at 1 when it stands alone, the two weights sum to 1.
    amp_dtype           : "", or bfloat16 or float16 for autocast; float16 scales its gradients.
    model_ema_decay     : 0, or the decay of an exponential average of the weights, which is then what is shipped.
    batch_norm          : "train" moves running statistics with the batches; "frozen" leaves them; "reestimate" also takes them
                          again on the train split before the first step and after the last.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    label_smoothing: float = 0.05
    clip_norm: float = 1.0
    augment: bool = True
    distill_loss_weight: float = 0.5
    temperature: float = 2.0
    opt: str = "adamw"
    momentum: float = 0.9
    amp_dtype: str = ""
    model_ema_decay: float = 0.0
    batch_norm: str = "train"

    def __post_init__(self) -> None:
        _check_fit(self, "recovery")
        _between(self.epochs, 0, 1e6, "recovery.epochs")
        _between(self.distill_loss_weight, 0, 1, "recovery.distill_loss_weight")
        _between(self.momentum, 0, 1, "recovery.momentum", open_high=True)
        _between(self.model_ema_decay, 0, 1, "recovery.model_ema_decay", open_high=True)
        for name, known in (
            ("opt", ("adamw", "sgd")),
            ("amp_dtype", ("", "bfloat16", "float16")),
            ("batch_norm", ("train", "frozen", "reestimate")),
        ):
            if getattr(self, name) not in known:
                raise Usage(f"recipe: recovery.{name} = {getattr(self, name)!r} is none of {', '.join(map(repr, known))}")
        _between(self.temperature, 0, 100, "recovery.temperature", open_low=True)


# How a shipped network runs: in torch in that number format, or its graph through onnxruntime. The reference runs in float32.
RUNS = ("float32", "bfloat16", "float16", "onnxruntime")


@dataclass(frozen=True)
class Recipe:
    """One job: plans to make and certify, or a `shipped` checkpoint to compare with the reference as it is.

    `seed` fixes initialisation, batches and augmentation; `splits.seed` fixes the splits. `runs` says how the shipped network
    is deployed, and so how it is run here. `merge` = tokens the shipped network merges in each block (`networks.merging`), one
    number for all blocks or one per block; the reference merges none. Both stand in the file and in the recipe's name only where
    they are not the default.
    """

    model: ModelRecipe
    data: DataRecipe
    plan: tuple[PlanRecipe, ...] = ()
    shipped: str = ""
    seed: int = 0
    threads: int = 1
    splits: SplitRecipe = field(default_factory=SplitRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    evidence: EvidenceRecipe = field(default_factory=EvidenceRecipe)
    bounds: BoundsRecipe = field(default_factory=BoundsRecipe)
    recovery: RecoveryRecipe = field(default_factory=RecoveryRecipe)
    guarantees: GuaranteeRecipe = field(default_factory=GuaranteeRecipe)
    runs: str = RUNS[0]
    merge: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", tuple(self.plan))
        object.__setattr__(self, "merge", tuple(self.merge))
        if bool(self.plan) == bool(self.shipped):
            raise Usage("recipe: give [[plan]] tables to prune by, or a shipped checkpoint to compare with, and not both")
        if self.runs not in RUNS or (self.plan and self.runs != RUNS[0]):
            raise Usage(f"recipe: runs = {self.runs!r}; one of {', '.join(RUNS)} is expected, and plans run in {RUNS[0]}")
        if self.runs != RUNS[0] and "ce_increase" in self.guarantees.statements:
            raise Usage(f"recipe: ce_increase rests on a range in exact arithmetic, which runs = {self.runs!r} may leave")
        if self.merge and (not all(0 <= count <= 1e6 for count in self.merge) or not any(self.merge)):
            raise Usage(f"recipe: merge = {list(self.merge)}; counts of tokens are expected, one of them above 0")
        if self.merge and self.runs == "onnxruntime":
            raise Usage("recipe: merge belongs to a network of weights; an ONNX graph merges by itself or not at all")
        names = [plan.name for plan in self.plan]
        if len(set(names)) != len(names):
            raise Usage("recipe: two plans have the same name")
        _between(self.threads, 1, 1024, "threads")
        _between(self.seed, 0, 2**63 - 1, "seed")
        if self.data.labels == "none":
            if not self.model.checkpoint:
                raise Usage("recipe: data.labels = none needs model.checkpoint; nothing can be trained without labels")
            for name in self.guarantees.labelled:
                raise Usage(f"recipe: {name} needs labels; with data.labels = none ask for disagreement only")
        if self.guarantees.choose is not None:
            self.guarantees.choose.check_plans(len(self.plan))

    @property
    def digest(self) -> str:
        return sha256_json(self.to_json())

    def digest_as_written(self, text: str) -> str:
        """`digest` of a recipe written out as `text` by a version that may not have known every key there is now.

        A key that is not in the text and has a value now is left out, as it was then. TOML has no None and no empty list of
        tables, so neither can be the default of a new key.
        """
        return sha256_json(_known_to(tomllib.loads(text), self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """The value that names the recipe."""
        return self._tables() | json.loads(json.dumps({"guarantees": self.guarantees.to_json()}))

    def _tables(self) -> dict[str, Any]:
        tables = json.loads(json.dumps(asdict(self)))
        defaults = {"runs": RUNS[0], "merge": []}
        return {key: value for key, value in tables.items() if key not in defaults or value != defaults[key]}

    def to_toml(self) -> str:
        """The recipe with every default written out."""
        tables = self._tables()
        lines = [f"{key} = {_toml(value)}" for key, value in tables.items() if key != "plan" and not isinstance(value, dict)]
        for key, value in tables.items():
            for table, header in [(value, f"[{key}]")] if isinstance(value, dict) else []:
                lines += ["", header, *_toml_lines(table)]
        for plan in tables["plan"]:
            lines += ["", "[[plan]]", *_toml_lines(plan)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, source: str) -> Recipe:
        """Parse TOML; unknown keys, wrong types and values out of range are named."""
        try:
            value = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Usage(f"{source}: not TOML ({error})") from None
        return _from_table(cls, _written_out(value, source), source, "")

    @classmethod
    def load(cls, path: Path) -> Recipe:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise Refused(f"{path}: recipe cannot be read ({error.strerror or error})") from None
        except UnicodeDecodeError:
            raise Usage(f"{path}: not a text file; a recipe is TOML in UTF-8") from None
        return cls.from_toml(text, str(path))


# Keys that may stand at the top, as the flags of the command line do: key -> (table, key in it).
SHORT_KEYS = {
    "checkpoint": ("model", "checkpoint"),
    "num_classes": ("model", "num_classes"),
    "model_kwargs": ("model", "kwargs"),
    "data_dir": ("data", "dir"),
    "split": ("data", "split"),
    "labels": ("data", "labels"),
}
DEFAULT_PLANS = ({"name": "magnitude-50", "sparsity": 0.5}, {"name": "magnitude-2-4", "pattern": "2:4"})


def _written_out(value: dict[str, Any], source: str) -> dict[str, Any]:
    """A recipe with its short forms (`model = "NAME"`, `data-dir = "DIR"`) in their tables, and plans if it names none."""
    found = {key.replace("-", "_"): entry for key, entry in value.items()}
    if isinstance(found.get("model"), str):
        found["model"] = {"name": found["model"]}
    for short, (table, key) in SHORT_KEYS.items():
        if short in found:
            entry = found.setdefault(table, {})
            if not isinstance(entry, dict) or key in entry:
                raise Usage(f"{source}: {short} stands at the top and {table}.{key} too; keep one of them")
            found[table] = entry | {key: found.pop(short)}
    if type(found.get("merge")) is int:
        found["merge"] = [found["merge"]]
    if "plan" not in found and "shipped" not in found:
        found["plan"] = list(DEFAULT_PLANS)
    return found


def _known_to(written: Any, now: Any) -> Any:
    """`now` without the keys of tables that `written` lacks."""
    if isinstance(now, dict):
        kept = {key: entry for key, entry in now.items() if key in written or entry is None or entry == []}
        return {key: _known_to(written[key], entry) if key in written else entry for key, entry in kept.items()}
    if isinstance(now, list) and isinstance(written, list) and len(now) == len(written):
        return [_known_to(then, entry) for then, entry in zip(written, now, strict=True)]
    return now


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    # JSON text is TOML text but for characters beyond the 16-bit plane, which JSON escapes in halves, and DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _from_table(cls: type, table: Any, source: str, path: str) -> Any:
    if not isinstance(table, dict):
        raise Usage(f"{source}: {path or 'the recipe'} must be a table")
    known = {entry.name: entry for entry in fields(cls)}
    hints = typing.get_type_hints(cls)
    for key in table:
        if key not in known:
            raise Usage(f"{source}: unknown key {path}{key}; known here: {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, entry in known.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], source, f"{path}{name}")
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise Usage(f"{source}: {path}{name} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, source: str, path: str) -> Any:
    """`value` as the type `hint` of a recipe field; a wrong type is named."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _from_table(hint, value, source, f"{path}.")
    if origin is tuple:
        if not isinstance(value, list):
            raise Usage(f"{source}: {path} must be a list")
        return tuple(_convert(arguments[0], entry, source, path) for entry in value)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(kind for kind in arguments if kind is not type(None)), value, source, path)
    if origin is not None:
        if not isinstance(value, dict):
            raise Usage(f"{source}: {path} must be a table")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise Usage(f"{source}: {path} = {value!r} must be of type {hint.__name__}")
    return value
