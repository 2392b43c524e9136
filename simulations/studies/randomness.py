"""Do "randomness scores" tell a trained layer from its own entries shuffled? Networks trained on the digits of scikit-learn.

python -m simulations randomness; python -m simulations.studies.randomness
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from certify.spectra import fit_bulk
from simulations.engine.study import Scalar, Study
from simulations.studies._page import COLOURS, INK, PUBLISHED, Array, Results, command, table, write
from simulations.studies.bulk_fit import release_fit
from simulations.studies.collapse import Network, objective

WIDTH, CLASSES, BATCH, RATE = 128, 10, 100, 0.1
LAYERS = ("first", "middle")
NUMBERS = ("release", "refit", "error", "largest")
LEVEL = 0.05
CHANCE = 1e-3


@cache
def digits() -> tuple[Array, Array]:
    """(1797, 64) pixels in [0, 1] less their mean, (1797,) labels."""
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    inputs = data.data / 16.0
    return inputs - inputs.mean(axis=0), data.target


def train(l2: float, epochs: int, rng: np.random.Generator) -> tuple[Network, float]:
    """A network 64 - WIDTH - WIDTH - 10 after `epochs` of stochastic gradient descent, and its accuracy on all digits.

    Weights start iid N(0, 2 / cols): exchangeable entries, so that a permutation test is exact at 0 epochs.
    """
    inputs, labels = digits()
    shapes = ((WIDTH, inputs.shape[1]), (WIDTH, WIDTH), (CLASSES, WIDTH))
    network = Network(tuple(rng.standard_normal(shape) * math.sqrt(2.0 / shape[1]) for shape in shapes))
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for chosen in np.array_split(order, len(labels) // BATCH):
            gradient = objective(network, inputs[chosen], labels[chosen], l2)[2]
            network = Network(tuple(w - RATE * d for w, d in zip(network.weights, gradient, strict=True)))
    return network, objective(network, inputs, labels, l2)[1]


def scores(weight: Array) -> dict[str, float]:
    """The numbers of one layer that are tested against its permutations.

        score = (1 - fit error) x bulk share

    release : the score by `release_fit`.   refit : by `fit_bulk`.   error : the refit's fit error.   largest : s_1.
    """
    fit = fit_bulk("layer", weight)
    published = release_fit(np.array(fit.singular_values), *weight.shape)
    return {
        "release": (1.0 - published.error) * published.share,
        "refit": (1.0 - fit.fit_error) * fit.bulk_share,
        "error": fit.fit_error,
        "largest": fit.singular_values[0],
    }


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """Scores of two layers of one network, and their ranks among `draws` permutations of the layer's own entries.

        p = (1 + #{null at least as extreme}) / (draws + 1),   P(p <= a) <= a for exchangeable entries

    Extreme is low for the two scores and high for the error and s_1: less random than the shuffled layer.
    parameters : l2 >= 0; epochs >= 0, 0 leaves the network untrained; draws >= 1.
    Returns per layer and number its value, the median of its null and the p-value, and the accuracy.
    Claim M10-fit-statistic (its null by simulation; randomness scores of the long preprint of arXiv:2606.02608).
    """
    l2, epochs, draws = float(parameters["l2"]), int(parameters["epochs"]), int(parameters["draws"])
    if l2 < 0.0 or epochs < 0 or draws < 1:
        raise ValueError(f"l2 = {l2}, epochs = {epochs}, draws = {draws}: need >= 0, >= 0 and >= 1")
    network, accuracy = train(l2, epochs, generator)
    row = {"accuracy": accuracy}
    for layer, weight in zip(LAYERS, network.weights, strict=False):
        found = scores(weight)
        null = [scores(generator.permutation(weight.ravel()).reshape(weight.shape)) for _ in range(draws)]
        for name in NUMBERS:
            drawn = np.array([one[name] for one in null])
            beyond = drawn <= found[name] if name in ("release", "refit") else drawn >= found[name]
            row |= {
                f"{layer}_{name}": found[name],
                f"{layer}_{name}_null": float(np.median(drawn)),
                f"{layer}_{name}_p": (1.0 + float(beyond.sum())) / (draws + 1.0),
            }
    return row


STUDY = Study(
    name="randomness",
    version=1,
    run=run,
    parameters={"l2": float, "epochs": int, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="randomness scores of layers trained on digits against their permutation null",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write randomness.md and randomness.svg."""
    return write(STUDY, results, folder, "Randomness scores against their permutation null", findings(results), draw)


def findings(results: Results) -> list[str]:
    """What the numbers say."""
    untrained, trained = results.where(epochs=0), results.where(results["epochs"] > 0)
    rows = []
    for layer in LAYERS:
        for name in NUMBERS:
            column = f"{layer}_{name}"
            shown = [float(np.mean(part[c])) for part in (untrained, trained) for c in (column, f"{column}_null") if len(part)]
            share = [_rejected(part[f"{column}_p"]) for part in (untrained, trained)]
            rows.append((layer, name, *shown, *share))
    ps = np.concatenate([untrained[f"{layer}_{name}_p"] for layer in LAYERS for name in NUMBERS])
    low = int(np.sum(ps <= LEVEL))
    per_network = [sum(untrained[f"{layer}_{name}_p"] <= LEVEL) for layer in LAYERS for name in NUMBERS]
    worst = max(per_network, default=0)
    chance = min(1.0, len(per_network) * float(binom.sf(worst - 1, max(len(untrained), 1), LEVEL)))
    by_epoch = []
    for (l2, epochs), group in results.groups("l2", "epochs"):
        medians = [float(np.median(group[f"middle_{name}_p"])) for name in NUMBERS]
        by_epoch.append((l2, epochs, float(np.mean(group["accuracy"])), float(np.mean(group["middle_refit"])), *medians))
    return [
        "## Against the layer's own entries, shuffled",
        "",
        "`release` and `refit` are the score (1 - fit error) x bulk share by the published fit and by `fit_bulk`; "
        "`error` the fit "
        f"error alone, `largest` s_1. Means over networks, and in how many of them p <= {LEVEL}.",
        "",
        *table(("layer", "number", "untrained", "its null", "trained", "its null", "untrained, p low", "trained, p low"), rows),
        f"**Untrained** layers have exchangeable entries: of {ps.size} p-values {low} are at most {LEVEL}; the most for "
        f"one number is {worst} of {len(untrained)} networks, probability {chance:.2g} "
        f"({'within chance' if chance >= CHANCE else 'MORE THAN CHANCE'}).",
        "",
        *_verdicts(trained),
        "## Over the training, middle layer",
        "",
        *table(("lambda", "epochs", "accuracy", "score (refit)", *(f"median p, {name}" for name in NUMBERS)), by_epoch),
    ]


def _rejected(p: Array) -> str:
    return f"{int(np.sum(p <= LEVEL))} of {len(p)}"


def _verdicts(trained: Results) -> list[str]:
    lines = []
    for name, what in (
        ("release", "the published score"),
        ("refit", "the refitted score"),
        ("error", "the fit error"),
        ("largest", "s_1"),
    ):
        share = float(np.mean(np.concatenate([trained[f"{layer}_{name}_p"] for layer in LAYERS]) <= LEVEL))
        gap = [float(np.mean(trained[f"{layer}_{name}_null"] - trained[f"{layer}_{name}"])) for layer in LAYERS]
        lines.append(
            f"- {what} is beyond its null in {share:.0%} of trained layers; null less value: {gap[0]:.3f} (first), {gap[1]:.3f}."
        )
    return ["**Trained** layers:", "", *lines, ""]


def draw(figure: Any, results: Results) -> None:
    """Scores and their null medians over epochs, by layer."""
    for axes, layer in zip(figure.subplots(1, 2), LAYERS, strict=True):
        x = results["epochs"] + 0.0
        for name, colour in (("release", PUBLISHED), ("refit", COLOURS[0])):
            axes.plot(x, results[f"{layer}_{name}"], "o", ms=4, color=colour, label=name, alpha=0.7)
            axes.plot(x, results[f"{layer}_{name}_null"], "_", ms=10, color=colour)
        axes.plot([], [], "_", ms=10, color=INK, label="median of the shuffled layer")
        axes.set(xlabel="epochs", ylabel="(1 - fit error) x bulk share", xscale="symlog", title=f"{layer} layer")
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
