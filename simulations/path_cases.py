"""Networks, masks and samples of the benchmarks of bounds along a pruning path; our bounds of them, and the truth on a grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor, nn

from certify.bounds.enclosed import Encloser, Step
from certify.bounds.exact import exact
from certify.networks.evidence import collect
from certify.networks.loading import State, state_of
from certify.networks.masking import masked_state
from certify.networks.segment import Segment
from certify.networks.targets import describe
from certify.pruning import prune
from simulations.digits.networks import samples, splits, trained

GRID = 401


@dataclass(frozen=True)
class Case:
    """One row. layers : those to prune, all block matrices where empty. wanted : ratio and seconds that the issue asks for."""

    name: str
    kind: str
    layers: tuple[str, ...]
    count: int
    anchor: str
    wanted: str
    start: int = 8
    tolerance: float = 1e-2
    road: str = "enclosed"


CASES = (
    Case("ReLU MLP, one layer", "relu-mlp", ("3",), 20, "CROWN 1.0002, 16 ms", "exact, 10 ms", road="exact"),
    Case("GELU MLP, one layer", "gelu-mlp", ("3",), 20, "CROWN 1.0044, 40 ms", "1.0005, 10 ms", 4, 1e-4),
    Case("GELU MLP, all layers", "gelu-mlp", (), 20, "CROWN 1.0075, .15 s; alpha-CROWN 1.000, 25 s", "1.001, 100 ms", 8, 1e-4),
    Case("ResNet, first block's first convolution", "resnet", ("layer1.0.conv1",), 5, "CROWN raises", "exact", road="exact"),
    Case("ReLU MLP, all layers", "relu-mlp", (), 20, "CROWN 1.0037, .12 s; 8 pieces 1.000", "1.001, 100 ms"),
    Case("ResNet, all layers", "resnet", (), 20, "CROWN raises", "1.2"),
    Case("2-block ViT, one layer", "vit-2", ("blocks.0.attn.qkv",), 10, "CROWN, 8 pieces: 1.066, 477 s; IBP 4e9", "1.01, 2 s", 4),
    Case("2-block ViT, all layers", "vit-2", (), 10, "CROWN not run (hours)", "1.01, 3 s", 4),
    Case("6-block ViT, all layers", "vit-6", (), 10, "nothing", "1.02, 20 s"),
    Case("12-block ViT, all 48 matrices", "vit-12", (), 20, "nothing", "1.05 on 15 of 20, 60 s", 16, 2e-2),
)


@dataclass(frozen=True)
class Setting:
    """A trained network, its form with half of the smallest weights of each pruned matrix removed, and test images."""

    model: nn.Module
    reference: State
    shipped: State
    images: Tensor

    @cached_property
    def _segment(self) -> Segment:
        return Segment(self.model, self.reference, self.shipped)

    def path(self, image: Tensor) -> np.ndarray:
        """(GRID, K) logits of one image from theta = 0 to 1, evaluated in float64."""
        return self._segment.path(image[None], np.linspace(0.0, 1.0, GRID))[:, 0]

    def truth(self, image: Tensor) -> np.ndarray:
        """(K,) largest change of each logit on the grid."""
        path = self.path(image)
        return np.abs(path - path[-1]).max(axis=0)


def setting(case: Case, count: int = 0) -> Setting:
    """The case's pair and its first test images, or the first `count`. Leaves torch on one thread."""
    model = trained(case.kind, 0)
    targets = describe(model)
    chosen = [t for t in targets if (t.name in case.layers if case.layers else t.role == "block" or case.kind.endswith("mlp"))]
    images = samples().images(list(splits().indices["certification"][: count or case.count]))
    evidence = collect(model, targets, [images[:1]], split="0" * 64, parts=("moments",))
    plan = prune(chosen, evidence, name="half", method="magnitude", sparsity=0.5, options={"scope": "layer"})
    return Setting(model, state_of(model), masked_state(state_of(model), plan), images)


# Bounds on the change of each logit, pieces or bends, and the half-blocks on the way.
Bound = Callable[[Tensor], tuple[np.ndarray, int, tuple[Step, ...]]]


def ours(case: Case, at: Setting) -> Bound:
    """Our bound of one image; what is done once for a pair is done by the first."""
    if case.road == "exact":

        def traced(image: Tensor) -> tuple[np.ndarray, int, tuple[Step, ...]]:
            found = exact(at.model, at.reference, at.shipped, image[None])
            return found.change[0], int(found.bends[0]), ()

        return traced
    encloser = Encloser(at.model, at.reference, at.shipped)

    def enclosed(image: Tensor) -> tuple[np.ndarray, int, tuple[Step, ...]]:
        found = encloser.enclose(image, start=case.start, tolerance=case.tolerance)
        return found.deviation(), len(found.mid), found.steps

    return enclosed


def ratio_text(value: float) -> str:
    """A ratio of bound and truth; digits where they matter."""
    return f"1 + {value - 1:.1e}" if value < 1.01 else f"{value:.4g}"
