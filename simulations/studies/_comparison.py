"""Paired comparison of methods over seeds: tables, tests with Holm's correction, curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr, ttest_rel
from statsmodels.stats.multitest import multipletests

from certify.records.recipe import RecoveryRecipe
from simulations.studies._page import COLOURS, GROUND, INK, Array, Results, standard_error, table

LEVEL = 0.05
BASELINE = "magnitude"
OWN, CONTROL = "own", "nothing removed"
OURS = ("budget-measured", "budget-surgeon", "budget-least-squares")
# Drawn in colour; the others stay grey.
SHOWN = ("magnitude", "lamp", "sparsegpt", "seb", "budget-measured", "budget-least-squares")


def paired(results: Results, column: str, method: str, other: str) -> tuple[float, float, float]:
    """Mean difference method - other over the seeds that both have, its standard error, two-sided p-value of a paired t-test.

    p is 1 where all differences are 0, and where there are fewer than two seeds.
    """
    one, two = (results.where(method=name).by_seed(column) for name in (method, other))
    difference = np.array([one[seed] - two[seed] for seed in sorted(one.keys() & two.keys())])
    if len(difference) < 2 or np.all(difference == difference[0]):
        constant = len(difference) >= 2 and bool(difference[0] != 0)
        return float(difference.mean()) if len(difference) else math.nan, 0.0, 0.0 if constant else 1.0
    found: Any = ttest_rel(difference, np.zeros(len(difference)))
    return float(difference.mean()), standard_error(difference), float(found.pvalue)


def comparisons(results: Results, column: str, pairs: Iterable[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """(network, amount, method, other, difference, standard error, p, Holm-adjusted p) of all pairs present.

    The family of Holm's correction is everything returned.
    """
    rows: list[tuple[Any, ...]] = []
    for (network, amount), group in results.groups("network", "amount"):
        methods = set(group["method"])
        for method, other in pairs:
            if {method, other} <= methods and method != other:
                rows.append((network, amount, method, other, *paired(group, column, method, other)))
    if not rows:
        return []
    adjusted = multipletests([row[-1] for row in rows], alpha=LEVEL, method="holm")[1]
    return [(*row, float(p)) for row, p in zip(rows, adjusted, strict=True)]


def means(results: Results, column: str, scale: float = 1.0) -> list[str]:
    """One table a network: methods down, amounts across, mean and standard error over seeds."""
    lines: list[str] = []
    for (network,), group in results.groups("network"):
        amounts = sorted(set(group["amount"]), key=lambda amount: (":" in amount, amount))
        rows = []
        for (method,), part in group.groups("method"):
            cells = [part.where(amount=amount)[column] * scale for amount in amounts]
            rows.append((method, *(_mean(values) for values in cells)))
        lines += [f"**{network}**", "", *table(("method", *amounts), rows)]
    return lines


def _mean(values: Array) -> str:
    if not len(values):
        return "–"
    spread = standard_error(values)
    return f"{values.mean():.3g}" + (f" ± {spread:.1g}" if not math.isnan(spread) else "")


def counted(rows: Sequence[tuple[Any, ...]], better: int) -> list[str]:
    """Per pair: in how many settings the first is better, worse, or not told apart, after Holm's correction."""
    pairs = sorted({(row[2], row[3]) for row in rows})
    found = []
    for pair in pairs:
        mine = [row for row in rows if (row[2], row[3]) == pair]
        sure = [np.sign(row[4]) * better if row[-1] <= LEVEL else 0 for row in mine]
        differences = [row[4] for row in mine]
        found.append((*pair, len(mine), sure.count(1), sure.count(-1), sure.count(0), float(np.median(differences))))
    return table(("method", "against", "settings", "better", "worse", "not told apart", "median difference"), found)


def best(results: Results, column: str, better: int) -> list[str]:
    """Per network and amount: the method with the best mean, and those whose paired difference to it is not significant."""
    rows = []
    for (network, amount), group in results.groups("network", "amount"):
        names = sorted(set(group["method"]))
        order = sorted(names, key=lambda name: -better * float(group.where(method=name)[column].mean()))
        first = order[0]
        ps = [paired(group, column, name, first)[2] for name in order[1:]]
        adjusted = multipletests(ps, alpha=LEVEL, method="holm")[1] if ps else []
        ties = [name for name, p in zip(order[1:], adjusted, strict=True) if p > LEVEL]
        rows.append((network, amount, first, float(group.where(method=first)[column].mean()), ", ".join(ties) or "none"))
    return table(("network", "amount", "best", "mean", "not told apart from it"), rows)


def findings(results: Results) -> list[str]:
    """Tables and tests of masks alone; the words about them stand in the README beside the page."""
    asked = results.where(results["amount"] != OWN)
    methods = sorted(set(asked["method"]))
    loss = comparisons(asked, "loss", [(method, BASELINE) for method in methods])
    controls = [("seb", other) for other in methods if other.startswith("seb-")]
    edges = comparisons(
        asked, "loss", [*controls, ("seb-edge", "seb-std"), ("seb-edge", "seb-shuffled"), ("seb-edge/std", "seb-zero")]
    )
    ours = [(one, other) for one in OURS for other in methods if other not in OURS]
    return [
        *_opening(results),
        "## Best at each amount, by loss",
        "",
        *best(asked, "loss", -1),
        "## Against global magnitude: loss",
        "",
        *counted(loss, -1),
        "## Our allocations against the others: loss",
        "",
        *counted(comparisons(asked, "loss", ours), -1),
        "## Does the Marchenko-Pastur edge say more than the scale of a layer?",
        "",
        *(counted(edges, -1) if edges else ["No such contender in this sweep.", ""]),
        "## Does the budget tell which mask loses less?",
        "",
        *_rank_correlations(asked),
        "## Loss (nats)",
        "",
        *means(asked, "loss"),
        "## Loss with batch norms taken again (nats)",
        "",
        *means(asked.where(asked["loss_batch_norm"] != asked["loss"]), "loss_batch_norm"),
        "## Accuracy (%)",
        "",
        *means(asked, "accuracy", 100.0),
        "## Measured budget (logit units)",
        "",
        *means(asked, "measured_budget"),
        "## Resolved budget (logit units, tier resolved)",
        "",
        *means(asked, "resolved_budget"),
        "## Share of removed weights that global magnitude removes too",
        "",
        *means(asked, "overlap"),
        *_own(results),
    ]


def recovery_findings(results: Results, recipe: RecoveryRecipe) -> list[str]:
    """Tables and tests after recovery."""
    methods = sorted(set(results["method"]))
    loss = comparisons(results, "loss", [(method, BASELINE) for method in methods])
    controls = [("seb", other) for other in ("seb-std", "seb-shuffled")]
    controls += [("ser", other) for other in ("ser-zero", "ser-weight", "seb")]
    return [
        *_opening(results),
        f"Recovery: {recipe.epochs} epochs of batches of {recipe.batch_size}, AdamW at {recipe.learning_rate:g}, distillation "
        f"{recipe.distill_loss_weight:g}, mask frozen; the steps of a selection count and shorten it.",
        "",
        "## Best at each amount, by loss",
        "",
        *best(results.where(results["method"] != CONTROL), "loss", -1),
        "## Against global magnitude: loss",
        "",
        *counted(loss, -1),
        "## Spectral budgets and reallocation against their controls: loss",
        "",
        *counted(comparisons(results, "loss", controls), -1),
        "## Loss (nats)",
        "",
        *means(results, "loss"),
        "## Accuracy (%)",
        "",
        *means(results, "accuracy", 100.0),
        "## Loss before recovery (nats)",
        "",
        *means(results, "masked_loss"),
        "## Measured budget of the recovered pair (logit units)",
        "",
        *means(results, "recovered_budget"),
        "## Steps of recovery",
        "",
        *means(results, "recovery_steps"),
    ]


def _opening(results: Results) -> list[str]:
    return [
        f"Dense: {_dense(results)}. One fixed test set of 547 images. ± is one standard error over seeds. Paired t-tests over "
        "the seeds that both methods have, Holm-corrected over the whole table they stand in, level 5 %.",
        "",
    ]


def _rank_correlations(results: Results) -> list[str]:
    """Spearman correlation over methods between the mean budget and the mean loss, at equal network and amount."""
    rows = []
    for (network, amount), group in results.groups("network", "amount"):
        names = sorted(set(group["method"]) - {"random"})
        if len(names) > 3:
            columns = [[group.where(method=name)[key].mean() for name in names] for key in ("measured_budget", "loss")]
            found: Any = spearmanr(*columns)
            rows.append((network, amount, len(names), float(found.statistic)))
    return [
        "Rank correlation, over the methods at one amount (without the random control), of the measured budget on calibration "
        "samples with the loss on the test set.",
        "",
        *table(("network", "amount", "methods", "Spearman"), rows),
    ]


def _own(results: Results) -> list[str]:
    """Methods that find the amount themselves, beside what they removed."""
    own = results.where(amount=OWN)
    if not len(own):
        return []
    columns = ("removed", "accuracy", "loss", "measured_budget", "overlap")
    rows = [
        (network, method, *(_mean(part[column]) for column in columns))
        for (network, method), part in own.groups("network", "method")
    ]
    return ["## Methods that find the amount themselves", "", *table(("network", "method", *columns), rows)]


def _dense(results: Results) -> str:
    said = []
    for (network,), group in results.groups("network"):
        seeds = [float(part["dense_accuracy"][0]) for _, part in group.groups("seed")]
        said.append(f"{network} {100 * np.mean(seeds):.1f} % (least {100 * min(seeds):.1f} %, {len(seeds)} seeds)")
    return ", ".join(said)


def draw(figure: Any, results: Results) -> None:
    """Loss and accuracy over the share of zeros, one column a network."""
    plain = results.where(np.array([":" not in amount and amount != OWN for amount in results["amount"]]))
    networks = sorted(set(plain["network"])) or sorted(set(results["network"]))
    axes = figure.subplots(2, len(networks), squeeze=False, sharex=True)
    for column, network in enumerate(networks):
        for row, (name, scale) in enumerate((("loss", 1.0), ("accuracy", 100.0))):
            _curves(axes[row, column], plain.where(network=network), name, scale)
        axes[0, column].set(title=network, yscale="log")
        axes[1, column].set(xlabel="share of zeros")
    axes[0, 0].set(ylabel="cross-entropy, nats")
    axes[1, 0].set(ylabel="accuracy, %")
    axes[1, 0].legend(frameon=False, fontsize=8)


def _curves(axes: Any, results: Results, column: str, scale: float) -> None:
    colours = dict(zip(SHOWN, COLOURS, strict=False))
    for (method,), part in results.groups("method"):
        amounts = sorted(set(part["amount"]))
        values = [part.where(amount=amount)[column].mean() * scale for amount in amounts]
        shown = method in SHOWN
        axes.plot(
            [float(amount) for amount in amounts],
            values,
            color=colours.get(method, INK) if shown else GROUND,
            lw=1.8 if shown else 0.8,
            marker="o" if shown else "",
            ms=3,
            zorder=2 if shown else 1,
            label=method if shown else None,
        )
