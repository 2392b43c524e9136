"""Does a channel selection escape the plateau of one magnitude ranking, and by more than a search over noise does?

python -m simulations selection-plateau --workers 2; python -m simulations.studies.selection_plateau
The protocol, simulations/studies/protocols/selection-plateau.toml, was frozen before these cells were computed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from certify.pruning.ranking.complexity import runs_of
from certify.pruning.ranking.features import FEATURES, Layer, feature, fused
from certify.pruning.ranking.masks import keep
from certify.pruning.ranking.search import Evaluated, dung_beetle, equal_weights, random_search
from simulations.digits.hidden import Measured, PerLayer, base_scores
from simulations.engine.study import Scalar, Study
from simulations.studies._page import Results, command
from simulations.studies._plateau_page import draw, secondary_lines
from simulations.studies._verdicts import registered_page

FOLDER = Path("reports/studies")
PROTOCOL = Path(__file__).parent / "protocols" / "selection-plateau.toml"
BASE = "mean"
# Classes fused as a whole.
CLASSES = {"A": ("A1", "A2", "A3"), "all-B": ("B1", "B2", "B3"), "all-C": ("C1", "C2"), "all-N": ("N1", "N2", "N3")}
# What follows a colon in an arm: how weights are found, or how kept channels are shared out.
SEARCHES = {"": (dung_beetle, 0.0), "random": (random_search, 0.0), "signed": (dung_beetle, -1.0)}


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | bool]:
    """One arm at one sparsity on one network.

    parameters : network, a hidden-* kind of KINDS; seed of its training, of the chaotic networks and of the noise; epochs of its
                 training, 0 for the kind's own; sparsity; arm; candidates of a search; protocol, its hash, or "exploratory".
    arm        : a feature or a class of CLASSES, fused with A1, its weights searched; with :random, :signed, :equal or
                 :global-rank after it, searched and shared out otherwise; FEATURE:alone, A1, A2 and A3 are not fused. Or a base
                 (mean, l2, act, wanda, taylor, random), or BASE:global, one pool of raw scores; A1:global and A1:global-max are
                 pools of the plateau's base as it is, and divided by each layer's largest.
    Returns accuracy on the images of the search and of the test, of the dense network too; evaluations requested and distinct
    masks; runs of kept ranks (mean over layers); channels by which the mask differs from the plateau's; least channels of a
    layer; test images gained and lost against the plateau's mask, and whether all logits equal its own bit for bit.
    """
    kind, seed, epochs = str(parameters["network"]), int(parameters["seed"]), int(parameters["epochs"])
    arm, sparsity = str(parameters["arm"]), float(parameters["sparsity"])
    searched, test = measured(kind, seed, "tuning", epochs), measured(kind, seed, "certification", epochs)
    bases = base_scores(kind, seed, epochs)
    plateau = keep(bases[BASE], bases[BASE], sparsity)
    found = Evaluated(lambda weights: (), searched)
    if arm.partition(":")[0] in FEATURES.keys() | CLASSES.keys():
        found = _of_features(arm, kind, seed, epochs, sparsity, int(parameters["candidates"]), searched, generator)
        kept = found.best_masks
    else:
        kept = _of_base(arm, bases, sparsity, generator)
    own, reference = test.logits(kept), test.logits(plateau)
    right, before = (np.argmax(logits, axis=1) == test.labels for logits in (own, reference))
    ranks = [Layer(base).rank for base in bases[BASE]]
    return {
        "validation": searched(kept),
        "test": float(np.mean(right)),
        "dense_validation": searched.dense,
        "dense_test": test.dense,
        "requested": found.requested,
        "distinct": found.distinct,
        "runs": float(np.mean([runs_of(mask[np.argsort(rank)]) for mask, rank in zip(kept, ranks, strict=True)])),
        "differs": sum(int(np.sum(mask != other)) for mask, other in zip(kept, plateau, strict=True)) // 2,
        "least_kept": min(int(mask.sum()) for mask in kept),
        "gained": int(np.sum(right & ~before)),
        "lost": int(np.sum(before & ~right)),
        "identical": bool(np.array_equal(own, reference)),
    }


@lru_cache(maxsize=4)
def measured(kind: str, seed: int, purpose: str, epochs: int) -> Measured:
    """Accuracy of sub-networks on one split."""
    return Measured(kind, seed, purpose, epochs)


def _of_features(
    arm: str,
    kind: str,
    seed: int,
    epochs: int,
    sparsity: float,
    candidates: int,
    searched: Measured,
    generator: np.random.Generator,
) -> Evaluated:
    name, _, how = arm.partition(":")
    alone = how == "alone" or name in CLASSES["A"]
    names = [name] if alone else list(CLASSES["A"]) if name == "A" else ["A1", *CLASSES.get(name, (name,))]
    base = base_scores(kind, seed, epochs)[BASE]
    layers = [
        Layer(scores, weights=rows, sparsity=sparsity, chaos=seed, noise=seed, index=index)
        for index, (scores, rows) in enumerate(zip(base, searched.incoming, strict=True))
    ]
    tables = [np.stack([feature(each, layer) for each in names]) for layer in layers]
    if how in ("global", "global-max") and len(names) == 1:
        tables = [(scores if how == "global" else scores / scores.max())[None] for scores in base]
    allocation = "global" if how.startswith("global") else "per-layer"

    def masks_of(weights: np.ndarray) -> PerLayer:
        return keep([fused(table, weights) for table in tables], base, sparsity, allocation=allocation)

    found = Evaluated(masks_of, searched)
    if len(names) == 1 or how == "equal":
        equal_weights(found, len(names))
    else:
        search, low = SEARCHES["" if how == "global-rank" else how]
        search(found, len(names), candidates, low, generator)
    return found


def _of_base(arm: str, bases: Mapping[str, PerLayer], sparsity: float, generator: np.random.Generator) -> PerLayer:
    name, _, how = arm.partition(":")
    scores = [generator.random(len(base)) for base in bases[BASE]] if name == "random" else bases[name]
    return keep(scores, bases[BASE], sparsity, allocation="global" if how == "global" else "per-layer")


STUDY = Study(
    name="selection-plateau",
    version=1,
    run=run,
    parameters={
        "network": str,
        "seed": int,
        "epochs": int,
        "sparsity": float,
        "arm": str,
        "candidates": int,
        "protocol": str,
    },
    grid_path=Path(__file__).with_suffix(".toml"),
    about="selection plateau and its escapes on digits networks, a registered test",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write selection-plateau.md and .svg of confirmatory results; exploratory ones go into a page of their own."""
    return registered_page(STUDY, results, folder, PROTOCOL, "The selection plateau", secondary_lines, draw)


if __name__ == "__main__":
    sys.exit(command(STUDY, page, folder=FOLDER))
