"""Collecting evidence: one pass over calibration images in float64, reused by every method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certify.networks.loading import digest, state_of
from certify.networks.masking import copied
from certify.records import PARTS, Evidence, Refused, Target, Usage

STREAMED = ("moments", "grams", "inputs")
GRAM_BLOCK = 48  # holds whole groups of 2, 3, 4, 6, 8, 12 and 16 inputs


def collect(
    model: nn.Module,
    targets: Sequence[Target],
    batches: Iterable[Tensor],
    *,
    split: str,
    parts: Sequence[str] = ("moments",),
    gram_block: int = GRAM_BLOCK,
) -> Evidence:
    """Weights of the prunable targets and the `parts` of STREAMED of their inputs, over all samples and tokens.

    batches    : image batches (B, C, H, W) of the calibration split, whose digest is `split`.
    gram_block : inputs per block of the second moments; 0 takes all inputs of a target in one, which orders and compensation
                 need and which costs cols^2 numbers.
    A layer used several times in one forward pass contributes every use. Rows of a grouped convolution read different inputs, so
    its moments are a (rows, cols) matrix; it has neither grams nor inputs. For "inputs" samples run one by one, because the
    first axis of what a layer receives need not be the sample (windows of a Swin transformer).
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise Usage(f"evidence: {unknown[0]!r} is none of {', '.join(PARTS)}")
    if gram_block < 0:
        raise Usage(f"evidence: gram_block = {gram_block} is negative; 0 takes all inputs of a target together")
    prunable = {target.name: target for target in targets if not target.skipped}
    state = state_of(model)
    weights = {name: _matrix(state, target) for name, target in prunable.items()}
    streamed = tuple(part for part in parts if part in STREAMED)
    samples, sums = _stream(model, prunable, batches, streamed, gram_block) if streamed else (sum(map(len, batches)), {})
    unused = next((name for name, found in sums.items() if not found.tokens), None)
    if unused is not None:
        raise Refused(f"{unused}: the forward pass never uses this layer (its parent may read its weight directly); exclude it")
    means = {name: each.means() for name, each in sums.items()}
    found = {part: {name: arrays[part] for name, arrays in means.items() if part in arrays} for part in streamed}
    return Evidence(digest(state), split, samples, weights, {part: arrays for part, arrays in found.items() if arrays})


def _matrix(state: Mapping[str, Tensor], target: Target) -> np.ndarray:
    """(rows, cols) float64 weights of a target; a target of another network is refused."""
    weight = state.get(target.weight)
    if weight is None or tuple(weight.shape) != target.shape:
        found = "no such weight" if weight is None else f"shape {tuple(weight.shape)}"
        raise Refused(f"{target.name}: the target has shape {target.shape}, the network has {found}; describe this network")
    return weight.double().reshape(target.rows, target.cols).numpy()


def _stream(
    model: nn.Module, prunable: Mapping[str, Target], batches: Iterable[Tensor], parts: Sequence[str], gram_block: int
) -> tuple[int, dict[str, _Sums]]:
    """Number of samples, and the running sums of each target after all of them."""
    network = copied(model).cpu().double().eval()
    modules = dict(network.named_modules())
    sums = {name: _Sums(modules[name], target, parts, gram_block) for name, target in prunable.items()}
    handles = [modules[name].register_forward_pre_hook(found.hook, with_kwargs=True) for name, found in sums.items()]
    samples = 0
    try:
        with torch.no_grad():
            for batch in batches:
                bad = torch.nonzero(~torch.isfinite(batch).flatten(1).all(1))
                if len(bad):
                    raise Refused(f"calibration image {samples + int(bad[0])} of the draw holds NaN or infinity; remove it")
                for images in batch.double().cpu().split(1 if "inputs" in parts else max(len(batch), 1)):
                    _run(network, images)
                    for found in sums.values():
                        found.close_sample()
                samples += len(batch)
    finally:
        for handle in handles:
            handle.remove()
    if not samples:
        raise Refused("evidence: no calibration image was given; its means are means of nothing")
    return samples, sums


def _run(network: nn.Module, images: Tensor) -> None:
    try:
        network(images)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        shape = tuple(images.shape[1:])
        raise Refused(f"{type(network).__name__} does not run in float64 on images of shape {shape}: {first}") from error


class _Sums:
    """Running sums over what one target receives."""

    def __init__(self, layer: nn.Module, target: Target, parts: Sequence[str], gram_block: int) -> None:
        self.layer, self.target, self.parts = layer, target, parts
        self.block = min(gram_block or target.cols, target.cols)
        self.tokens = 0
        self.sums: dict[str, Any] = {}
        self.largest: list[np.ndarray] = []
        self.seen: Tensor | None = None

    def hook(self, layer: nn.Module, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
        """Add one use in a forward pass."""
        images = inputs[0] if inputs else named["input"]
        if images.ndim == (3 if isinstance(layer, nn.Conv2d) else 1):
            images = images[None]
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        for index in range(0, len(images), 16):
            rows = self._rows(images[index : index + 16])  # (B, P, groups, cols)
            self.tokens += rows.shape[0] * rows.shape[1]
            if "moments" in self.parts:
                moments = rows.square().sum((0, 1))
                wide = moments[0] if groups == 1 else moments.repeat_interleave(self.target.rows // groups, 0)
                self._add("moments", wide.numpy())
            if groups > 1:
                continue
            if "grams" in self.parts:
                self._add("grams", self._gram(rows[:, :, 0].reshape(-1, self.target.cols)))
            if "inputs" in self.parts:
                largest = rows[:, :, 0].abs().amax((0, 1))
                self.seen = largest if self.seen is None else torch.maximum(self.seen, largest)

    def close_sample(self) -> None:
        """One row of largest inputs, over all uses of the layer by the forward pass that ends here."""
        if self.seen is not None:
            self.largest.append(self.seen.numpy())
            self.seen = None

    def means(self) -> dict[str, np.ndarray]:
        """Part -> array: sums over tokens become means, the largest inputs one row a sample."""
        found = {part: total / self.tokens for part, total in self.sums.items()}
        return found | ({"inputs": np.stack(self.largest)} if self.largest else {})

    def _add(self, part: str, value: np.ndarray) -> None:
        self.sums[part] = self.sums.get(part, 0) + value

    def _rows(self, images: Tensor) -> Tensor:
        """(B, P, groups, cols): the inputs v of each token, or of each output position and group of a convolution."""
        layer = self.layer
        if not isinstance(layer, nn.Conv2d):
            return images.reshape(len(images), -1, 1, images.shape[-1])
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        padded = F.pad(images, layer._reversed_padding_repeated_twice, mode=mode)
        columns = F.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride)
        return columns.reshape(len(images), layer.groups, self.target.cols, -1).permute(0, 3, 1, 2)

    def _gram(self, rows: Tensor) -> np.ndarray:
        """(blocks, b, b) sums of v v^T."""
        blocks = -(-self.target.cols // self.block)
        wide = F.pad(rows, (0, blocks * self.block - self.target.cols)).reshape(len(rows), blocks, self.block).transpose(0, 1)
        return torch.bmm(wide.transpose(1, 2), wide).numpy()
