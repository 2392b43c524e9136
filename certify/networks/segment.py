"""A network along the straight segment between two sets of weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from certify.networks.loading import State
from certify.records import Refused


class Segment:
    """W(theta) = shipped + theta (reference − shipped), theta in [0, 1], over every floating tensor that differs.

    Evaluated in `dtype` (float64 unless told otherwise) on a copy of `model`; the argument is untouched.
    The end points are the two networks exactly: no arithmetic is done on the weights at theta = 0 and theta = 1.
    """

    def __init__(
        self, model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], dtype: torch.dtype = torch.float64
    ) -> None:
        if set(reference) != set(shipped):
            raise Refused("segment: the two networks do not have the same tensors; a pair is two networks of one architecture")
        self.dtype = dtype
        self.network = copy.deepcopy(model).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.network.load_state_dict({name: tensor.clone() for name, tensor in reference.items()})
        self.network.to(dtype)
        self.place(reference, shipped)

    def place(self, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor]) -> None:
        """Move to another segment of the same architecture."""
        own = self.network.state_dict(keep_vars=True)
        self._ends: list[tuple[Tensor, Tensor, Tensor]] = []
        for name, tensor in own.items():
            start, end = shipped[name], reference[name]
            with torch.no_grad():
                tensor.copy_(end)
            if start.is_floating_point() and not torch.equal(start, end):
                self._ends.append((tensor, start.to(self.dtype), end.to(self.dtype)))

    def logits(self, images: Tensor, theta: float) -> np.ndarray:
        """(B, K) float64 logits of `images` at `theta`."""
        with torch.no_grad():
            for tensor, start, end in self._ends:
                tensor.copy_(start if theta == 0 else end if theta == 1 else start + theta * (end - start))
            out = self.network(images.to(self.dtype))
        if out.ndim != 2:
            raise Refused(f"segment: the network returns shape {tuple(out.shape)}; class logits (batch, classes) are expected")
        return out.double().numpy()

    def path(self, images: Tensor, thetas: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """(len(thetas), B, K) logits at each theta."""
        return np.stack(
            [
                np.concatenate([self.logits(images[i : i + batch_size], float(theta)) for i in range(0, len(images), batch_size)])
                for theta in thetas
            ]
        )


def between(reference: State, shipped: State, names: set[str]) -> State:
    """`reference` with the tensors of `names` taken from `shipped`: the intermediate network of a layer-by-layer plan."""
    return {name: shipped[name] if name in names else tensor for name, tensor in reference.items()}
