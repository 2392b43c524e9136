"""How much each sharper form gains over the published one: on random networks with known constants, and on a run's network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from certify.laws.maxima import MaxAbsGaussian
from certify.records import Ladder
from certify.theory import budget as budgets
from certify.theory import cross_entropy as ce
from certify.theory import gaussian, gaussian_network, margins, patterns, perturbation, thresholds
from certify.theory.emp import data_path_scores
from certify.theory.emp.effective_number import kept_count, retained_mass
from certify.theory.emp.mass_bounds import cell_retained_mass_infimum
from certify.theory.exact import relu_path
from certify.theory.stationarity import slope_upper

SEEDS = range(20)
SAMPLES, COLS, ROWS, CLASSES, DELTA = 24, 24, 16, 5, 0.01


@dataclass(frozen=True)
class Network:
    """z = W relu(A v) with half of A removed by magnitude; every constant of the theorems is known exactly."""

    seed: int

    @cached_property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(weights A, removed R, inputs V, head W)."""
        rng = np.random.default_rng(self.seed)
        weights = rng.standard_normal((ROWS, COLS)) / np.sqrt(COLS)
        keep = np.abs(weights) > np.median(np.abs(weights))
        head = 2.0 * rng.standard_normal((CLASSES, ROWS)) / np.sqrt(ROWS)
        return weights, np.where(keep, 0.0, weights), rng.standard_normal((SAMPLES, COLS)), head

    @cached_property
    def logits(self) -> np.ndarray:
        weights, _, inputs, head = self.parts
        return np.maximum(inputs @ weights.T, 0.0) @ head.T

    @cached_property
    def labels(self) -> np.ndarray:
        """The network's own decisions, one in six replaced by the runner-up."""
        order = np.argsort(-self.logits, axis=1)
        wrong = np.random.default_rng(self.seed + 1000).random(SAMPLES) < 1 / 6
        return np.where(wrong, order[:, 1], order[:, 0])

    @cached_property
    def paths(self) -> list:
        """Exact polygons of the logits, from S v (pruned) to A v (dense)."""
        weights, removed, inputs, head = self.parts
        layers = [(head, np.zeros(CLASSES))]
        return [relu_path((weights - removed) @ v, removed @ v, layers) for v in inputs]

    @cached_property
    def sizes(self) -> np.ndarray:
        _, removed, inputs, _ = self.parts
        return budgets.data_path_size(removed, inputs[:, None, :])

    @cached_property
    def row_sums(self) -> np.ndarray:
        return np.full(SAMPLES, budgets.lipschitz_by_row_sums([self.parts[3]]))

    @cached_property
    def best(self) -> np.ndarray:
        return budgets.smallest_lipschitz([float(path.speed_sup) for path in self.paths], self.sizes)

    @cached_property
    def variation(self) -> np.ndarray:
        return np.array([float(path.max_norm) for path in self.paths])

    @cached_property
    def log_pair(self) -> tuple[np.ndarray, np.ndarray]:
        return ce.log_probabilities(self.logits, self.labels)


class Gain(NamedTuple):
    """Two bounds on one thing. `values` gives (wide, narrow) on one network."""

    what: str
    wide: str
    narrow: str
    claim: str
    values: Callable[[Network], tuple[float, float]]


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _pairwise(net: Network) -> np.ndarray:
    return np.array([[float(x) for x in path.pairwise(int(c))] for path, c in zip(net.paths, net.labels, strict=True)])


def _oscillation(net: Network) -> np.ndarray:
    return np.array([float(path.oscillation) for path in net.paths])


def _counts(net: Network) -> tuple[float, float, float]:
    """(published, signed, pairwise) counts of samples whose correctness may change, the larger of losses and gains."""
    margin, pairs = margins.true_margin(net.logits, net.labels), _pairwise(net)
    signed = max(margins.may_lose(margin, net.variation).sum(), margins.may_gain(margin, net.variation).sum())
    both = (margins.may_lose_pairwise, margins.may_gain_pairwise)
    return (
        float(margins.may_change_published(margin, net.variation).sum()),
        float(signed),
        float(max(rule(net.logits, net.labels, pairs).sum() for rule in both)),
    )


def _noise(net: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs = net.parts[2]
    return net.row_sums, np.linalg.norm(inputs, axis=1), np.ones(SAMPLES, dtype=int)


def _published_noise(net: Network) -> float:
    return gaussian.gaussian_budget(*_noise(net), rows=ROWS, entry_variance=1 / COLS, delta=DELTA, method="paper")


def _sidak(net: Network) -> float:
    return gaussian.gaussian_budget(*_noise(net), rows=ROWS, entry_variance=1 / COLS, delta=DELTA)


def _concentrated(net: Network) -> float:
    lipschitz, norms, _ = _noise(net)
    kappa = gaussian.budget_frobenius_lipschitz(lipschitz, net.parts[2][:, None, :])
    average = gaussian.budget_mean(lipschitz, norms, np.full(SAMPLES, MaxAbsGaussian(ROWS).mean()), 1 / COLS)
    return average + gaussian.budget_deviation(kappa, 1 / COLS, DELTA)


def _affine(net: Network) -> tuple[float, float]:
    """An affine tail (the same head without its ReLU): max-norm route against the Euclidean one."""
    _, norms, _ = _noise(net)
    narrow = 2.0 * _mean(gaussian_network.affine_tail_change(net.parts[3], norms, entry_variance=1 / COLS, delta=DELTA))
    return _sidak(net), narrow


def _scores(net: Network) -> tuple[float, float]:
    _, removed, inputs, _ = net.parts
    bounds = [data_path_scores.budget_upper_rows(removed, inputs, net.row_sums, order) for order in data_path_scores.ORDERS]
    return bounds[0], min(bounds)


def _mass(net: Network) -> tuple[float, float]:
    """Removed mass of magnitude EMP: the largest its cell allows, against the measured one."""
    values = net.parts[0].ravel()
    nu = kept_count(values)
    return 1.0 - cell_retained_mass_infimum(values.size, nu), 1.0 - retained_mass(values, nu)


def _energy(net: Network) -> tuple[float, float]:
    """The budget by the output energy of the removed part, against the budget itself."""
    _, removed, inputs, _ = net.parts
    wide = patterns.budget_upper_by_energy(float(net.row_sums[0]), np.mean((inputs @ removed.T) ** 2, axis=0))
    return wide, budgets.budget(net.row_sums, net.sizes)


def _tail(net: Network) -> tuple[float, float]:
    """Energy beyond rank 4 after adding the removed part to a rank-8 signal."""
    _, removed, inputs, _ = net.parts
    signal = np.linalg.svd(inputs[:ROWS], full_matrices=False)
    kept = (signal[0][:, :8] * signal[1][:8]) @ signal[2][:8]
    narrow = perturbation.tail_upper(kept, removed, 4)
    return float(np.sqrt(2.0 * perturbation.tail_energy(kept, 4) + 2.0 * np.sum(removed**2))), narrow


GAINS = (
    Gain(
        "cross-entropy, given eta = V",
        "2 eta (L5.1)",
        "exact worst case",
        "X1-ce-sharp",
        lambda n: (_mean(ce.increase_published(n.variation)), _mean(ce.increase_upper(*n.log_pair, n.variation))),
    ),
    Gain(
        "cross-entropy, given one eta and mean p alone",
        "2 eta (L5.1)",
        "at the mean probability",
        "X3-ce-average",
        lambda n: (2.0 * float(n.variation.max()), ce.increase_upper_average(*n.log_pair, float(n.variation.max()))),
    ),
    Gain(
        "cross-entropy",
        "exact worst case (X1)",
        "oscillation of the path",
        "X2-ce-pairwise",
        lambda n: (
            _mean(ce.increase_upper(*n.log_pair, n.variation)),
            _mean(ce.increase_upper_oscillation(*n.log_pair, _oscillation(n))),
        ),
    ),
    Gain(
        "cross-entropy",
        "oscillation (X2)",
        "pairwise variation",
        "X2-ce-pairwise",
        lambda n: (
            _mean(ce.increase_upper_oscillation(*n.log_pair, _oscillation(n))),
            _mean(ce.increase_upper_pairwise(n.logits, n.labels, _pairwise(n))),
        ),
    ),
    Gain("samples that may change", "|margin| <= 2 eta (C5.2b)", "signed margins", "X5-margin-signed", lambda n: _counts(n)[:2]),
    Gain("samples that may change", "signed margins (X5)", "pairwise margins", "X6-margin-pairwise", lambda n: _counts(n)[1:]),
    Gain(
        "budget",
        "L_s by row sums (D5.0)",
        "smallest L_s",
        "X9-best-L",
        lambda n: (budgets.budget(n.row_sums, n.sizes), budgets.budget(n.best, n.sizes)),
    ),
    Gain(
        "budget",
        "smallest L_s (X9)",
        "path variation",
        "X8-path-variation",
        lambda n: (budgets.budget(n.best, n.sizes), 2.0 * _mean(n.variation)),
    ),
    Gain(
        "slope at the dense network",
        "B_T with the smallest L_s",
        "weighted by 1 - p",
        "X13-stationarity-gradient",
        lambda n: (budgets.budget(n.best, n.sizes), slope_upper(n.log_pair[1], 2.0 * n.best * n.sizes)),
    ),
    Gain(
        "Gaussian budget", "published multiplier (C5.10)", "Šidák", "X15-gauss-exact", lambda n: (_published_noise(n), _sidak(n))
    ),
    Gain(
        "Gaussian budget",
        "published multiplier (C5.10)",
        "mean and concentration",
        "X16-gauss-mean",
        lambda n: (_published_noise(n), _concentrated(n)),
    ),
    Gain(
        "Gaussian multiplier at 50,000 vectors of rank 8",
        "published",
        "rank-uniform",
        "X17-rank-uniform",
        lambda n: (gaussian.gaussian_multiplier(ROWS, 50_000, DELTA, "paper"), gaussian.rank_multiplier(ROWS, 8, DELTA)),
    ),
    Gain("Gaussian budget, affine tail", "max norm (X15c)", "Euclidean", "X20-l2-tails", _affine),
    Gain(
        "support threshold",
        "published t (T3.20)",
        "exact t*",
        "X28-threshold-exact",
        lambda n: (
            thresholds.support_threshold(ROWS, COLS, 1 / COLS, DELTA, "paper"),
            thresholds.support_threshold(ROWS, COLS, 1 / COLS, DELTA),
        ),
    ),
    Gain("energy beyond rank k", "factor-2 form (C4.10)", "distance to rank k", "X26-perturbation-constants", _tail),
    Gain("budget from scores", "sum of entries (EMP-T10)", "best order", "EMP-T11", _scores),
    Gain("mass removed by EMP", "largest of its cell (EMP-C5)", "measured", "EMP-D3", _mass),
    Gain("budget", "output energy (X30)", "B_T itself", "D5.0-budget", _energy),
)

# Of a run's ladder of the masked pair: what is bounded, the wide rung, the narrow one, the claim of the narrow one.
RUNGS = (
    ("cross-entropy, given V", "ce_published", "ce_sharp", "X1-ce-sharp"),
    ("cross-entropy", "ce_sharp", "ce_oscillation", "X2-ce-pairwise"),
    ("cross-entropy", "ce_oscillation", "ce_pairwise", "X2-ce-pairwise"),
    ("cross-entropy, all together", "ce_budget", "ce_pairwise", "X2-ce-pairwise"),
    ("logits, all layers at once", "path_speed", "path_variation", "X8-path-variation"),
    ("logits, layer by layer", "layer_speed", "layer_variation", "X9-best-L"),
    ("logits", "layer_variation", "path_variation", "X14-multilayer"),
    ("cross-entropy, layer by layer", "ce_budget", "ce_layers", "X14-multilayer"),
    ("samples that may change", "may_change_published", "may_lose_signed", "X5-margin-signed"),
    ("samples that may change", "may_lose_signed", "may_lose_pairwise", "X6-margin-pairwise"),
)


def random_rows() -> list[tuple[Gain, np.ndarray]]:
    """Per gain, (seeds, 2) values of the wide and the narrow bound."""
    networks = [Network(seed) for seed in SEEDS]
    return [(gain, np.array([gain.values(network) for network in networks])) for gain in GAINS]


def _factor(values: np.ndarray) -> str:
    """Median and range of wide / narrow; totals where a count may be 0."""
    wide, narrow = values.T
    if np.any(narrow == 0.0):
        return f"{wide.sum() / narrow.sum():.3g} (totals)" if narrow.sum() else f"{wide.sum():g} against 0"
    ratio = wide / narrow
    return f"{np.median(ratio):.3g} ({ratio.min():.3g} to {ratio.max():.3g})"


def to_markdown(run: Path | None = None) -> str:
    """The looseness table; with a run folder also the ladders of its masked pairs."""
    text = [
        "# Looseness",
        "",
        f"Written by `python -m proofs_check report`. Factor = wider bound / narrower bound. {len(SEEDS)} random networks"
        f" z = W relu(A v), A {ROWS} x {COLS}, half of A removed by magnitude, {CLASSES} classes, {SAMPLES} samples;"
        " median (least to largest). Path variations are exact rational numbers.",
        "",
        "| what is bounded | wider | narrower | factor | claim |",
        "|---|---|---|---|---|",
    ]
    text += [
        f"| {g.what} | {g.wide} | {g.narrow} | {_factor(values)} | {g.claim} |".replace("|margin|", r"\|margin\|")
        for g, values in random_rows()
    ]
    ladders = sorted(run.glob("plans/*/masked.ladder.parquet")) if run else []
    for path in ladders:
        ladder = Ladder.load(path)
        text += [
            "",
            f"## {path.parent.name}, nothing retrained, {len(ladder.samples)} calibration samples (tier `resolved`)",
            "",
            "| what is bounded | wider | narrower | mean, wider | mean, narrower | factor | claim |",
            "|---|---|---|---|---|---|---|",
        ]
        for what, wide, narrow, claim in RUNGS:
            w, n = _mean(ladder[wide].upper), _mean(ladder[narrow].upper)
            factor = f"{w / n:.3g}" if n else "–"
            text.append(f"| {what} | {ladder[wide].label} | {ladder[narrow].label} | {w:.4g} | {n:.4g} | {factor} | {claim} |")
    return "\n".join(text) + "\n"
