"""Does noise collapse during L2-regularised training? A three-layer network with a known W_2 = S + R, and lambda = 0 beside it.

python -m simulations collapse; python -m simulations.studies.collapse
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.laws.spikes import strength
from certify.spectra import fit_bulk
from certify.theory.stationarity import noise_energy_upper
from simulations.engine.study import Scalar, Study
from simulations.studies._page import COLOURS, INK, Array, Results, command, shown, table, write

WIDTH, INPUTS, CLASSES, SAMPLES = 128, 16, 4, 192
STRENGTHS = (6.0, 4.0)
RATE = 0.2
CHECKPOINTS = 8
RANK = CLASSES
GONE = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class Network:
    """W_1 (N, d), W_2 (N, N), W_3 (K, N); logits W_3 relu(W_2 relu(W_1 s)), no biases."""

    weights: tuple[Array, Array, Array]

    def states(self, inputs: Array) -> tuple[Array, Array, Array]:
        """relu(W_1 s), relu(W_2 ..), logits; (T, .) each."""
        first, second, third = self.weights
        lower = np.maximum(inputs @ first.T, 0.0)
        upper = np.maximum(lower @ second.T, 0.0)
        return lower, upper, upper @ third.T


def objective(network: Network, inputs: Array, labels: Array, l2: float) -> tuple[float, float, tuple[Array, Array, Array]]:
    """Cross-entropy plus l2 times all squared weights, accuracy, and the gradient.

    inputs, labels : (T, d), (T,).
    """
    first, second, third = network.weights
    lower, upper, logits = network.states(inputs)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    each = np.arange(len(labels))
    back = np.exp(log_p)
    back[each, labels] -= 1.0
    back /= len(labels)
    back_upper = (back @ third) * (upper > 0.0)
    back_lower = (back_upper @ second) * (lower > 0.0)
    energy = sum(float(np.sum(w**2)) for w in network.weights)
    gradient = (
        back_lower.T @ inputs + 2.0 * l2 * first,
        back_upper.T @ lower + 2.0 * l2 * second,
        back.T @ upper + 2.0 * l2 * third,
    )
    accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    return float(-np.mean(log_p[each, labels])) + l2 * energy, accuracy, gradient


def start(g: float, rng: np.random.Generator) -> tuple[Network, Array, Array]:
    """The network before training, its inputs and labels.

    W_2 = S + R,  S = sum theta_i u_i v_i^T with theta = STRENGTHS sqrt(g),  R iid N(0, g / N);   labels of a linear teacher
    """
    inputs = rng.standard_normal((SAMPLES, INPUTS))
    labels = (inputs @ rng.standard_normal((INPUTS, CLASSES))).argmax(axis=1)
    sides = [np.linalg.qr(rng.standard_normal((WIDTH, len(STRENGTHS))))[0] for _ in range(2)]
    signal = sides[0] @ np.diag(STRENGTHS) @ sides[1].T
    middle = math.sqrt(g) * (signal + rng.standard_normal((WIDTH, WIDTH)) / math.sqrt(WIDTH))
    first = rng.standard_normal((WIDTH, INPUTS)) / math.sqrt(INPUTS)
    third = rng.standard_normal((CLASSES, WIDTH)) / math.sqrt(WIDTH)
    return Network((first, middle, third)), inputs, labels


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | int]:
    """Gradient descent on all samples, and the spectrum of W_2 at CHECKPOINTS + 1 equally spaced steps.

    parameters : l2 >= 0; g > 0, N times the variance of an entry of R; steps, a multiple of CHECKPOINTS, at rate RATE.
    Returns per checkpoint k (names ending in _k): fitted bulk edge and error, spikes found, s_1, s_RANK, the energy beyond rank
    RANK, how far the span of the RANK leading right vectors turned since the last checkpoint (sine, nan at first), loss and
    accuracy. Last: the bulk's factor (1 - 2 RATE l2)^steps if training did nothing but decay; ||gradient||; the split
    S* = leading RANK terms, R* = rest of W_2: ||R*||^2, and its bound of T4.7 from B_T(R*) and the measured slope along R*.
    Claim C4.9-variance-collapse, C4.10-bulk-spike, C4.11-subspace, C4.12-bbp-persistent, T4.7-stationarity-collapse.
    """
    l2, g, steps = float(parameters["l2"]), float(parameters["g"]), int(parameters["steps"])
    if steps < CHECKPOINTS or steps % CHECKPOINTS or l2 < 0.0 or not g > 0.0 or 2.0 * RATE * l2 >= 1.0:
        raise ValueError(f"l2 = {l2}, g = {g}, steps = {steps}: need 0 <= l2 < {0.5 / RATE}, g > 0, steps a multiple of 8")
    network, inputs, labels = start(g, generator)
    row: dict[str, float | int] = {}
    before = None
    for step in range(steps + 1):
        loss, accuracy, gradient = objective(network, inputs, labels, l2)
        if step % (steps // CHECKPOINTS) == 0:
            before = _record(row, step * CHECKPOINTS // steps, network.weights[1], before)
            row |= {f"loss_{step * CHECKPOINTS // steps}": loss, f"accuracy_{step * CHECKPOINTS // steps}": accuracy}
        if step < steps:
            network = Network(tuple(w - RATE * d for w, d in zip(network.weights, gradient, strict=True)))
    norm = math.sqrt(sum(float(np.sum(d**2)) for d in gradient))
    return row | _stationary(network, inputs, gradient[1], l2) | {"decay": (1.0 - 2.0 * RATE * l2) ** steps, "gradient": norm}


def _record(row: dict[str, float | int], k: int, weight: Array, before: Array | None) -> Array:
    """Write the spectrum's numbers under checkpoint k; the leading right vectors (N, RANK)."""
    _, values, right = np.linalg.svd(weight)
    fit = fit_bulk("middle", weight)
    leading = right[:RANK].T
    turned = math.nan
    if before is not None:
        cosine = float(np.linalg.svd(before.T @ leading, compute_uv=False)[-1])
        turned = math.sqrt(max(0.0, 1.0 - cosine**2))
    correction = values[0] - float(strength(values[0], WIDTH, WIDTH, fit.entry_variance)) if fit.fitted else math.nan
    row |= {
        f"edge_{k}": fit.bare_edge,
        f"error_{k}": fit.fit_error,
        f"spikes_{k}": len(fit.spikes),
        f"first_{k}": float(values[0]),
        f"rank_{k}": float(values[RANK - 1]),
        f"tail_{k}": float(np.sum(values[RANK:] ** 2)),
        f"turned_{k}": turned,
        f"correction_{k}": correction,
    }
    return leading


def _stationary(network: Network, inputs: Array, slope_of: Array, l2: float) -> dict[str, float]:
    """||R*||^2 against its bound at the end of training, R* the part of W_2 beyond rank RANK.

    ||R*||^2 <= (B_T(R*) + eps) / (2 l2),   B_T = (2 / T) sum_s ||W_3||_inf ||R* v_s||_inf,   eps = max(0, <gradient, R*>)
    """
    _, middle, third = network.weights
    left, values, right = np.linalg.svd(middle)
    rest = left[:, RANK:] @ np.diag(values[RANK:]) @ right[RANK:]
    lower = network.states(inputs)[0]
    gain = float(np.abs(third).sum(axis=1).max())
    budget = 2.0 * gain * float(np.mean(np.abs(lower @ rest.T).max(axis=1)))
    slack = max(0.0, float(np.sum(slope_of * rest)))
    return {
        "rest_energy": float(np.sum(rest**2)),
        "rest_bound": noise_energy_upper(budget, 0.0, l2, slack),
        "rest_slack": slack,
    }


STUDY = Study(
    name="collapse",
    version=1,
    run=run,
    parameters={"l2": float, "g": float, "steps": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="bulk edge, spikes and noise energy of a layer during L2-regularised training, with l2 = 0 as control",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write collapse.md and collapse.svg."""
    return write(STUDY, results, folder, "Noise collapse during training", findings(results), draw)


def findings(results: Results) -> list[str]:
    """What the numbers say."""
    return [*_bulk(results), *_spikes(results), *_bound(results)]


def _bulk(results: Results) -> list[str]:
    last = CHECKPOINTS
    rows = []
    for (l2, g), group in results.groups("l2", "g"):
        shrunk = group[f"edge_{last}"] / group["edge_0"]
        noise = [WIDTH * group[f"edge_{k}"] ** 2 / 4.0 for k in (0, last)]
        numbers = (shrunk, group["decay"], *noise, group[f"tail_{last}"], group[f"error_{last}"])
        rows.append((l2, g, *(float(np.mean(x)) for x in numbers), float(np.mean(group[f"accuracy_{last}"]))))
    plain = results.where(l2=0.0)
    still = float(np.max(np.abs(plain[f"edge_{last}"] / plain["edge_0"] - 1.0), initial=0.0)) if len(plain) else math.nan
    pulled = results.where((results["l2"] > 0.0) & (results[f"edge_{last}"] > 0.0))
    off = (
        np.abs(np.log(pulled[f"edge_{last}"] / pulled["edge_0"]) / np.log(pulled["decay"]) - 1.0)
        if len(pulled)
        else np.array([math.nan])
    )
    return [
        "## C4.9: the bulk shrinks",
        "",
        f"Three layers, N = {WIDTH}, {SAMPLES} samples, full gradient steps of {RATE}; means over repetitions. `decay` "
        "is what the "
        "weight decay alone does to an entry that the data never touch; g N is the energy of the fitted bulk, what "
        "C4.9 sends to 0.",
        "",
        *table(
            (
                "lambda",
                "g",
                "edge, end / start",
                "decay",
                "g N of the bulk, start",
                "end",
                "energy beyond rank 4, end",
                "fit error, end",
                "accuracy",
            ),
            rows,
        ),
        f"**Control, lambda = 0**: the edge moves by at most {still:.1%}. **With lambda > 0** the logarithm of the edge falls by "
        f"that of the weight decay to within {float(np.max(off)):.1%} at worst, {float(np.median(off)):.1%} in the "
        "median: the bulk "
        "shrinks at the rate of the decay, so what collapses it is the penalty on directions that the data do not use, and it "
        "takes 1 / (2 rate lambda) steps. An edge of 0 (no bulk left to fit) is left out.",
        "",
    ]


def _spikes(results: Results) -> list[str]:
    rows = []
    half, last = CHECKPOINTS // 2, CHECKPOINTS
    for (l2, g), group in results.groups("l2", "g"):
        first = group[f"first_{last}"] / group[f"first_{last - 1}"]
        rows.append(
            (
                l2,
                g,
                *(float(np.mean(group[f"spikes_{k}"])) for k in (0, half, last)),
                float(np.mean(group["first_0"])),
                float(np.mean(group[f"first_{last}"])),
                float(np.mean(first)),
                float(np.mean(group[f"turned_{last}"])),
                float(np.mean(group["correction_0"])),
                float(np.mean(group[f"correction_{last}"])),
            )
        )
    pulled = sorted({row[0] for row in rows if row[0] > 0.0})
    held = [l2 for l2 in pulled if all(abs(row[7] - 1.0) < 0.02 for row in rows if row[0] == l2 and row[6] > GONE * row[5])]
    gone = [l2 for l2 in pulled if all(row[6] <= GONE * row[5] for row in rows if row[0] == l2)]
    rising = [l2 for l2 in pulled if any(row[4] > row[3] + 1.0 for row in rows if row[0] == l2)]
    return [
        "## C4.10 to C4.12: the spikes stabilise",
        "",
        "`last eighth` is s_1 at the end over s_1 an eighth of the training before; `turned` the sine between the spans of the "
        "four leading right vectors at those times; `correction` what `strength` takes off s_1.",
        "",
        *table(
            (
                "lambda",
                "g",
                "spikes, start",
                "half",
                "end",
                "s_1, start",
                "end",
                "last eighth",
                "turned",
                "correction, start",
                "end",
            ),
            rows,
        ),
        f"s_1 moved by less than 2 % in the last eighth at lambda = {_listed([x for x in held if x not in gone])}. The number of "
        f"spikes still rose in the second half of the training at lambda = {_listed(rising)}: the sinking edge uncovers what the "
        "data taught below it, and a count of spikes depends on when one looks.",
        "",
        f"The whole layer is gone, spikes included, at lambda = {_listed(gone)}: a persistent spike is a hypothesis of "
        "C4.12, not a "
        "consequence of training.",
        "",
    ]


def _listed(values: list[float]) -> str:
    return ", ".join(map(shown, values)) or "none"


def _bound(results: Results) -> list[str]:
    rows = []
    for (l2, g), group in results.where(results["l2"] > 0.0).groups("l2", "g"):
        ratio = group["rest_bound"] / group["rest_energy"]
        numbers = (group["gradient"], group["rest_slack"], group["rest_energy"], group["rest_bound"])
        rows.append((l2, g, *(float(np.mean(x)) for x in numbers), float(np.min(ratio))))
    broken = int(np.sum(results["rest_energy"] > (1.0 + ROUNDING) * results["rest_bound"]))
    return [
        "## T4.7 at the end of training",
        "",
        f"Energy of W_2 beyond rank {RANK} against (B_T + eps) / (2 lambda), eps the measured slope along it: **exceeded in "
        f"{broken} of {len(results)} runs** beyond rounding (inf at lambda = 0). Where the data no longer push, the "
        "slope is all of "
        "the penalty and the bound an equality.",
        "",
        *table(("lambda", "g", "gradient", "eps", "energy", "bound", "bound / energy, least"), rows),
    ]


def draw(figure: Any, results: Results) -> None:
    """Edge, leading value and energy beyond the spikes over the training."""
    edge, first, tail = figure.subplots(1, 3)
    g = results["g"].max()
    share = np.arange(CHECKPOINTS + 1) / CHECKPOINTS
    colours = dict(zip(sorted(set(results["l2"].tolist())), (INK, *COLOURS), strict=False))
    for (l2,), group in results.where(g=g).groups("l2"):
        for axes, name in ((edge, "edge"), (first, "first"), (tail, "tail")):
            path = np.array([np.mean(group[f"{name}_{k}"]) for k in range(CHECKPOINTS + 1)])
            axes.plot(share, np.where(path > 0.0, path, np.nan), "o-", ms=3, color=colours[l2], label=f"lambda = {l2:g}")
        decay = group["decay"][0] ** share
        edge.plot(share, np.mean(group["edge_0"]) * decay, ls=":", lw=1, color=colours[l2])
    for axes, column, name, low in (
        (edge, "edge_0", "fitted bulk edge", 1e-4),
        (first, "first_0", "s_1", 1e-1),
        (tail, "tail_0", f"energy beyond rank {RANK}", 1e-6),
    ):
        axes.set(xlabel="share of the training", ylabel=name, yscale="log", ylim=(low, 3.0 * results[column].max()))
    edge.set_title("dotted: weight decay alone", fontsize=9)
    tail.legend(frameon=False, fontsize=8, loc="lower left")


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
