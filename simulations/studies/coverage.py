"""How often the guarantees of `certify.risk` fail on data sets drawn from populations that are known.

python -m simulations coverage; python -m simulations.studies.coverage
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from certify.risk.betting import SLACK, log_capital, log_portfolio
from certify.risk.choosing import fixed_sequence, graph, holm, largest, rate_p_value
from certify.risk.rates import rate_upper
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper, paired_drop_upper
from simulations.engine.study import Scalar, Study
from simulations.studies._page import INK, OURS, PUBLISHED, Array, Results, command, table, write

# Chance that a page of valid guarantees shows any violation at all.
FALSE_ALARM = 1e-3
PLANS, WANTED, RADIUS, CLUSTER = 8, 0.2, 0.1, 10
GROUPS = ((0.9, 0.02), (0.05, 0.2), (0.04, 0.5), (0.01, 1.0), (0.0, 0.5))
INCREASES = (-1.0, 3.0)
# Cases outside the hypotheses: they must be flagged, or the study could not see a violation.
WRONG = ("clustered", "order seen first")
Draw = np.random.Generator


def rate(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """Clopper–Pearson limit of a rate; "clustered": samples of one source fail together, which breaks independence."""
    if case == "clustered":
        return _of_counts(CLUSTER * rng.binomial(n // CLUSTER, 0.1, sets), n, alpha) < 0.1
    return float(case) > _of_counts(rng.binomial(n, float(case), sets), n, alpha)


def segment(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """Disagreement with "not shown on the segment" as loss; the bounds miss a share of the agreeing samples."""
    differs, unshown = map(float, case.split("/"))
    return differs > _of_counts(rng.binomial(n, differs + (1.0 - differs) * unshown, sets), n, alpha)


def drop(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """Difference of the two Clopper–Pearson limits."""
    losses, gains, truth = discordant(case, n, sets, rng)
    pairs, place = np.unique(np.stack([losses, gains]), axis=1, return_inverse=True)
    limits = np.array([paired_drop_upper(int(lost), int(won), n, alpha) for lost, won in pairs.T])
    return truth > limits[place.ravel()]


def portfolio(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """`drop_betting_upper`: the limit lies below the truth exactly where the truth is rejected."""
    losses, gains, truth = discordant(case, n, sets, rng)
    return _rejected(log_portfolio(losses, gains, n, truth, alpha) if truth < 1.0 else np.zeros(sets), alpha)


def betting(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """`betting_upper` on the differences of each sample."""
    losses, gains, truth = discordant(case, n, sets, rng)
    place = np.arange(n)
    values = np.where(place < losses[:, None], 1.0, np.where(place < (losses + gains)[:, None], 0.0, 0.5))
    return _plug_in(rng.permuted(values, axis=1), (truth + 1.0) / 2.0, alpha)


def increase(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """`increase_upper` of a cross-entropy increase in INCREASES."""
    if case == "beta":
        return _plug_in(rng.beta(0.3, 2.7, (sets, n)), 0.1, alpha)
    share = float(case)
    return _plug_in((rng.random((sets, n)) < share).astype(float), share, alpha)


def groups(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """Any of five limits below its rate; one group is rare, one never seen."""
    sizes = rng.multinomial(n, [share for share, _ in GROUPS], sets)
    missed = np.zeros(sets, dtype=bool)
    for size, (_, risk) in zip(sizes.T, GROUPS, strict=True):
        failures = rng.binomial(size, risk)
        pairs, place = np.unique(np.stack([failures, size]), axis=1, return_inverse=True)
        missed |= risk > np.array([rate_upper(int(k), int(m), alpha / len(GROUPS)) for k, m in pairs.T])[place.ravel()]
    return missed


def chosen(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """An unsafe plan chosen from PLANS of them, the allowed rate WANTED.

    case : "method/grid". independent: every rate is WANTED, own samples. shared: same samples, one order of difficulty.
           half: the first half is safe. unsafe first: the first plan is worse than allowed, the others better.
    """
    method, grid = case.split("/")
    risks = np.full(PLANS, WANTED)
    if grid == "half":
        risks[: PLANS // 2] = WANTED / 4.0
    elif grid == "unsafe first":
        risks[1:] = WANTED / 4.0
    difficulty = rng.random((sets, n, 1)) if grid == "shared" else rng.random((sets, n, PLANS))
    failures = (difficulty < risks).sum(axis=1)
    p = np.array([rate_p_value(k, n, WANTED) for k in range(n + 1)])[failures]
    sparsities = np.arange(PLANS) / PLANS
    order = np.roll(np.eye(PLANS), 1, axis=1)
    rules: dict[str, Callable[[Array], Array]] = {
        "fixed sequence": lambda row: fixed_sequence(row, alpha),
        "holm": lambda row: holm(row, alpha),
        "graph": lambda row: graph(row, np.full(PLANS, 1.0 / PLANS), order, alpha),
        "order seen first": lambda row: fixed_sequence(np.sort(row), alpha)[np.argsort(np.argsort(row))],
    }
    picks = (largest(list(sparsities), rules[method](row)) for row in p)
    return np.array([pick is not None and bool(risks[pick] >= WANTED) for pick in picks])


def shift(case: str, n: int, alpha: float, sets: int, rng: Draw) -> Array:
    """The limit within a radius against the worst population there."""
    name, risk = case.split("/")
    worst = {"kl": kl_shifted, "chi-square": chi_square_shifted}[name]
    k, place = np.unique(rng.binomial(n, float(risk), sets), return_inverse=True)
    limits = np.array([worst(clopper_pearson_upper(int(each), n, alpha), RADIUS) for each in k])
    return worst(float(risk), RADIUS) > limits[place]


GUARANTEES = {
    function.__name__: function for function in (rate, segment, drop, portfolio, betting, increase, groups, chosen, shift)
}


def discordant(case: str, n: int, sets: int, rng: Draw) -> tuple[Array, Array, float]:
    """(sets,) losses and gains, and the true drop. case : "loss/gain" rates, or "copula rho" of accuracies 0.9 and 0.85."""
    if case.startswith("copula"):
        rho = float(case.split()[1])
        first = rng.standard_normal((sets, n))
        second = rho * first + math.sqrt(1.0 - rho**2) * rng.standard_normal((sets, n))
        before, after = first < norm.ppf(0.9), second < norm.ppf(0.85)
        return (before & ~after).sum(axis=1), (~before & after).sum(axis=1), 0.9 - 0.85
    loss, gain = map(float, case.split("/"))
    counts = rng.multinomial(n, [loss, gain, max(0.0, 1.0 - loss - gain)], sets)
    return counts[:, 0], counts[:, 1], loss - gain


def _of_counts(counts: Array, n: int, alpha: float) -> Array:
    k, place = np.unique(counts, return_inverse=True)
    return np.array([rate_upper(int(each), n, alpha) for each in k])[place]


def _plug_in(y: Array, mean: float, alpha: float) -> Array:
    return _rejected(log_capital(y, mean, alpha) if mean < 1.0 else np.zeros(len(y)), alpha)


def _rejected(log_wealth: Array, alpha: float) -> Array:
    return log_wealth >= SLACK - math.log(alpha)


def run(parameters: Mapping[str, Scalar], generator: Draw) -> dict[str, int]:
    """Data sets on which the guarantee fails.

    parameters : guarantee (of GUARANTEES), case (its words), n >= 1, confidence in (0, 1), sets >= 1 data sets.
    """
    function, alpha = GUARANTEES[str(parameters["guarantee"])], 1.0 - float(parameters["confidence"])
    missed = function(str(parameters["case"]), int(parameters["n"]), alpha, int(parameters["sets"]), generator)
    return {"missed": int(np.sum(missed))}


STUDY = Study(
    name="coverage",
    version=1,
    run=run,
    parameters={"guarantee": str, "case": str, "n": int, "confidence": float, "sets": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="how often the guarantees fail on data sets from known populations",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write coverage.md and coverage.svg."""
    return write(STUDY, results, folder, "Coverage of the guarantees", findings(results), draw)


def outside(results: Results) -> Array:
    """Rows of a case outside the hypotheses."""
    return np.array([case.split("/")[0] in WRONG for case in results["case"]])


def interval(missed: int, sets: int, cells: int) -> tuple[float, float]:
    """Clopper–Pearson limits of a miss rate, each of error FALSE_ALARM / cells."""
    error = FALSE_ALARM / cells
    return clopper_pearson_lower(missed, sets, error), clopper_pearson_upper(missed, sets, error)


def violations(results: Results) -> Array:
    """Rows whose lower limit of the miss rate exceeds 1 - confidence."""
    lower = [interval(int(k), int(sets), len(results))[0] for k, sets in zip(results["missed"], results["sets"], strict=True)]
    return np.array(lower) > 1.0 - results["confidence"] + 1e-12


def findings(results: Results) -> list[str]:
    """A sentence of verdict, the worst sample size of every case, and the controls."""
    flagged, wrong = violations(results), outside(results)
    head = ("guarantee", "case", "confidence", "largest miss rate", "at n", "its interval", "flagged")
    return [
        f"{int(np.sum(~wrong))} cells inside the hypotheses, **{int(np.sum(flagged & ~wrong))} flagged**; "
        f"{int(np.sum(wrong))} outside, {int(np.sum(flagged & wrong))} flagged. A cell is flagged where the Clopper–Pearson "
        f"lower limit of its miss rate, at error {FALSE_ALARM} over all {len(results)} cells, exceeds 1 - confidence: "
        f"if all guarantees hold, any flag at all has probability at most {FALSE_ALARM}. "
        f"{int(results['sets'].min())} data sets a cell.",
        "",
        "## Inside the hypotheses",
        "",
        *table(head, _worst(results, flagged, ~wrong)),
        "## Outside: must be flagged",
        "",
        "Samples that fail in clusters of ten; a sequence ordered after the p-values were seen.",
        "",
        *table(head, _worst(results, flagged, wrong)),
    ]


def _worst(results: Results, flagged: Array, rows: Array) -> list[tuple[Any, ...]]:
    """One row per guarantee, case and confidence: that of the sample size with most misses."""
    found: dict[tuple[Any, ...], int] = {}
    for i in np.flatnonzero(rows):
        key = (results["guarantee"][i], results["case"][i], float(results["confidence"][i]))
        if key not in found or results["missed"][i] > results["missed"][found[key]]:
            found[key] = int(i)
    shown = []
    for key, i in sorted(found.items()):
        missed, sets = int(results["missed"][i]), int(results["sets"][i])
        low, high = interval(missed, sets, len(results))
        ends = f"{low:.4f} to {high:.4f}"
        shown.append((*key, f"{missed / sets:.4f}", int(results["n"][i]), ends, "yes" if flagged[i] else "no"))
    return shown


def draw(figure: Any, results: Results) -> None:
    """Miss rate over level of every cell, by guarantee; 1 is what is allowed."""
    axes, wrong = figure.subplots(), outside(results)
    names = sorted(set(results["guarantee"]))
    for mask, colour, label in ((~wrong, OURS, "inside the hypotheses"), (wrong, PUBLISHED, "outside")):
        part = results.where(mask)
        x = np.array([names.index(name) for name in part["guarantee"]], dtype=float)
        axes.plot(x, part["missed"] / part["sets"] / (1.0 - part["confidence"]), "_", ms=14, color=colour, label=label)
    axes.axhline(1.0, color=INK, lw=0.6)
    axes.set(xticks=range(len(names)), ylabel="miss rate / (1 - confidence)")
    axes.set_xticklabels(names)
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page, folder=Path("reports/risk")))
