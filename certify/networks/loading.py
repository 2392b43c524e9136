"""Building timm models and reading checkpoints. No pickles: a `.pth` is read with weights_only=True or refused."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from certify.networks.vision import import_timm
from certify.records import Refused
from certify.records.files import atomic_write, read_bytes, safetensors_header
from certify.records.hashing import network_digest
from certify.records.recipe import ModelRecipe

State = dict[str, Tensor]

SAFETENSORS_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def build(recipe: ModelRecipe, *, meta: bool = False) -> nn.Module:
    """The timm model of a recipe with random weights, in eval mode. `meta` builds the shapes alone, which costs nothing."""
    timm = import_timm()
    options = dict(recipe.kwargs) | ({"num_classes": recipe.num_classes} if recipe.num_classes else {})
    if not timm.is_model(recipe.name):
        near = ", ".join(timm.list_models(f"*{recipe.name.split('_')[0]}*")[:3])
        raise Refused(f"model {recipe.name!r} is not known to timm {timm.__version__}" + (f"; near: {near}" if near else ""))
    try:
        with torch.device("meta" if meta else "cpu"):
            model = timm.create_model(recipe.name, pretrained=False, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refused(f"model {recipe.name}: timm cannot build it with {options} ({first})") from None
    return model.eval()


def preprocessing(model: nn.Module, recipe: ModelRecipe) -> dict[str, Any]:
    """Input size, normalisation and crop as timm resolves them from the model, as a JSON value."""
    timm = import_timm()
    default = timm.data.resolve_data_config({}, model=model)
    channels, height, width = default["input_size"]
    size = recipe.kwargs.get("img_size", (height, width))
    height, width = (size, size) if isinstance(size, int) else size
    channels = int(recipe.kwargs.get("in_chans", channels))
    config = timm.data.resolve_data_config({"input_size": (channels, int(height), int(width))}, model=model)
    config["mean"], config["std"] = tuple(config["mean"])[:channels], tuple(config["std"])[:channels]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}


def read_checkpoint(path: Path) -> State:
    """Tensors of a `.safetensors` or `.pth` checkpoint, by name; NaN and infinity are refused."""
    if path.suffix == ".safetensors":
        state = _read_safetensors(path)
    elif path.suffix in (".pth", ".pt", ".tar"):
        state = _read_pickle(path)
    else:
        raise Refused(f"{path}: checkpoints are .safetensors or .pth, found {path.suffix or 'no suffix'!r}")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise Refused(f"{path}: {name} holds {bad} NaN or infinite numbers; nothing can be certified about them")
    return state


def _read_safetensors(path: Path) -> State:
    data = read_bytes(path)
    safetensors_header(data, path)
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}: not a whole safetensors file ({error})") from None


def _read_pickle(path: Path) -> State:
    read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a pickle of another protocol is read or refused below
            value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "foreign object")
        raise Refused(f"{path}: holds a pickle that is more than tensors and is not executed ({reason.strip()[:200]})") from None
    except Exception as error:  # torch's readers let almost any exception through
        raise Refused(f"{path}: not a whole .pth file ({str(error).splitlines()[0][:200] if str(error) else 'empty'})") from None
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
            break
    if not isinstance(value, Mapping) or not value or not all(isinstance(entry, Tensor) for entry in value.values()):
        raise Refused(f"{path}: holds no table of tensors (expected a state_dict)")
    return {str(name).removeprefix("module."): tensor.detach().contiguous() for name, tensor in value.items()}


def load_state(model: nn.Module, state: Mapping[str, Tensor], source: str) -> nn.Module:
    """Put every tensor of `state` into `model`; missing, unexpected or misshapen tensors are refused by name."""
    own = model.state_dict()
    missing = sorted(set(own) - set(state))
    unexpected = sorted(set(state) - set(own))
    misshapen = [name for name in own if name in state and own[name].shape != state[name].shape]
    if misshapen:
        name = misshapen[-1]
        raise Refused(
            f"{source}: {name} has shape {tuple(state[name].shape)}, the model wants {tuple(own[name].shape)}"
            + ("; check num_classes" if state[name].shape[1:] == own[name].shape[1:] else "; check the model's name and kwargs")
        )
    if missing or unexpected:
        raise Refused(
            f"{source}: does not fit the model: {len(missing)} tensors missing"
            + (f" (first: {missing[0]})" if missing else "")
            + f", {len(unexpected)} unexpected"
            + (f" (first: {unexpected[0]})" if unexpected else "")
        )
    model.load_state_dict(dict(state), strict=True)
    return model


def state_of(model: nn.Module) -> State:
    """A copy of every parameter and buffer, by name."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}


def digest(state: Mapping[str, Tensor]) -> str:
    """The name of a network: see `certify.records.hashing.network_digest`."""
    return network_digest(
        (name, SAFETENSORS_NAMES[tensor.dtype], tuple(tensor.shape), _bytes(tensor)) for name, tensor in state.items()
    )


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def save_state(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a network as safetensors under timm's own keys. Tensors that share memory are written once each."""
    atomic_write(
        path, safetensors.torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})
    )
