"""The page of the selection plateau: verdicts of the protocol, and beside them what was only looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, norm
from statsmodels.stats.multitest import multipletests

from certify.pruning.ranking.complexity import measure, runs
from certify.pruning.ranking.features import Layer, feature
from certify.theory.binomial import hoeffding_gap_upper, noise_maximum
from simulations.digits.networks import KINDS
from simulations.studies._page import COLOURS, GROUND, INK, Array, Results, standard_error, table
from simulations.studies._protocol import Contrast, Protocol, seed_values
from simulations.studies._verdicts import POINTS, effect, mixed_terms, networks

REAL, NULLS = ("B1", "B2", "B3", "C1", "C2"), ("N1", "N2", "N3")
LEVELS = {"B": 1, "C": 2}
DOSE = tuple(f"F{t}" for t in range(7))


def secondary_lines(results: Results, protocol: Protocol) -> list[str]:
    """What was not registered as a test, or describes: labelled so."""
    return [
        "# Beside the registered tests: description, nothing here is a confirmation",
        "",
        "## The lemma, bit for bit",
        "",
        *_lemma(results),
        "## The lemma does not hold for one pool over layers",
        "",
        *_pools(results),
        "## What a search over noise gains, on the images it sees and on others",
        "",
        *_optimism(results),
        "## Escapes by sparsity (points above the plateau)",
        "",
        *_escapes(results, protocol),
        "## Which level escapes where, and does the model matter?",
        "",
        *_thresholds(results, protocol),
        "## Mechanism: features, weights, allocation",
        "",
        *_factorial(results),
        "## Dose: iterates of the logistic map",
        "",
        *_dose(results, protocol),
        "## Measured complexity of the features",
        "",
        *_complexity(results),
        "## All arms",
        "",
        *_arms(results),
        "## Pooled model",
        "",
        *_pooled(results, protocol),
        "## Within a seed (McNemar against the plateau's mask, exact, unadjusted)",
        "",
        *_mcnemar(results),
    ]


def _lemma(results: Results) -> list[str]:
    rows = []
    for (network,), part in results.groups("network"):
        monotone = part.where(np.isin(part["arm"], ("A2", "A3", "A")))
        rows.append((network, len(monotone), int(np.sum(monotone["identical"])), int(monotone["distinct"].max(initial=0))))
    head = (
        "network",
        "monotone arms evaluated",
        "logits equal to the plateau's, bit for bit",
        "most distinct masks of one search",
    )
    return table(head, rows)


def _pools(results: Results) -> list[str]:
    names = ("A1", "A1:global", "l2:global", "A1:global-max", "A1:global-rank")
    rows = []
    for (network, sparsity), part in results.groups("network", "sparsity"):
        means = [part.where(arm=name)["test"] for name in names]
        if all(len(values) for values in means):
            rows.append((network, sparsity, *(float(values.mean()) * POINTS for values in means)))
    about = "All are increasing functions of a magnitude inside each layer. Test accuracy, %."
    return [about, "", *table(("network", "sparsity", *names), rows)]


def _optimism(results: Results) -> list[str]:
    rows = []
    for (network, sparsity), part in results.groups("network", "sparsity"):
        base = part.where(arm="A1").by_seed("validation"), part.where(arm="A1").by_seed("test")
        for name in NULLS:
            arm = part.where(arm=name)
            if not len(arm):
                continue
            seen, unseen = arm.by_seed("validation"), arm.by_seed("test")
            gains = [[values[seed] - plain[seed] for seed in values] for values, plain in ((seen, base[0]), (unseen, base[1]))]
            gap = np.array([(seen[seed] - base[0][seed]) - (unseen[seed] - base[1][seed]) for seed in seen])
            candidates = round(float(arm["distinct"].mean()))
            images = int(KINDS[network].splits.tuning)
            rate = float(arm["test"].mean())
            apart = float(np.mean(arm["gained"] + arm["lost"])) / KINDS[network].splits.certification
            row = [network, sparsity, name, *(float(np.mean(gain)) * POINTS for gain in gains)]
            row += [float(gap.mean()) * POINTS, standard_error(gap) * POINTS]
            row += [normal_maximum(candidates) * math.sqrt(apart / images) * POINTS]
            row += [noise_maximum(candidates, images, rate) * POINTS]
            rows.append((*row, hoeffding_gap_upper(candidates, images, 0.05) * POINTS, candidates))
    head = ("network", "sparsity", "noise", "gain, search images", "gain, test images", "difference", "standard error")
    head += ("predicted", "independent (SEL-T8)", "bound at 95 %", "distinct masks")
    about = (
        "Gains are over the plateau's mask on the same images, in points. Predicted: the best of as many networks that are no "
        "better than the plateau's and differ from it on as many test images as the chosen one does, E max of normals times the "
        "root of that share over the images. Masks that share channels are correlated, so this is an upper reference where the "
        "arm gains nothing real; networks with independent errors would give the next column."
    )
    return [about, "", *table(head, rows)]


def normal_maximum(count: int) -> float:
    """Expected largest of `count` independent standard normals, by the trapezoidal rule on [-9, 9]."""
    x = np.linspace(-9.0, 9.0, 20_001)
    return float(9.0 - np.trapezoid(norm.cdf(x) ** count, x))


def _sparsities(rows: Results) -> list[float]:
    return sorted(set(rows.where(arm="A1")["sparsity"].tolist()))


def _escapes(results: Results, protocol: Protocol) -> list[str]:
    lines: list[str] = []
    for network in networks(results, protocol):
        rows = results.where(network=network)
        cells = []
        for arm in (
            "B",
            "B-null",
            "C",
            "C-null",
            *REAL,
            *NULLS,
            "all-B",
            "all-C",
            "all-N",
            "D1",
            "G",
            "R2",
            "taylor",
            "act",
            "wanda",
            "random",
        ):
            values = [escape(rows, arm, at, protocol) for at in _sparsities(rows)]
            cells.append((arm, *(_pm(found) for found in values)))
        lines += [f"**{network}**", "", *table(("arm", *(f"{at:g}" for at in _sparsities(rows))), cells)]
    return lines


def escape(rows: Results, arm: str, at: float, protocol: Protocol) -> Array:
    """E of an arm at a sparsity, seed by seed: test accuracy over that of the plateau's mask."""
    return seed_values(rows, Contrast(((1.0, arm, at), (-1.0, "A1", at))), "test", protocol)


def _pm(values: Array) -> str:
    return f"{values.mean() * POINTS:+.2f} ± {standard_error(values) * POINTS:.2f}" if len(values) else "–"


def _thresholds(results: Results, protocol: Protocol) -> list[str]:
    """Lowest level whose best arm is above its null after Holm over the sparsities and levels of a network."""
    head, rows, escapes = [], [], False
    for network in networks(results, protocol):
        part = results.where(network=network)
        grid = _sparsities(part)
        pairs = [(level, at) for at in grid for level in LEVELS]
        found = [
            seed_values(part, Contrast(((1.0, level, at), (-1.0, f"{level}-null", at))), "test", protocol) for level, at in pairs
        ]
        ps = [effect(values, "greater", 0.0).p if len(values) > 1 else 1.0 for values in found]
        passed = multipletests(ps, alpha=protocol.alpha, method="holm")[0]
        lowest = dict.fromkeys(grid, 0)
        for (level, at), good in zip(pairs, passed, strict=True):
            lowest[at] = lowest[at] or (LEVELS[level] if good else 0)
        escapes |= any(lowest.values())
        head, rows = [f"{at:g}" for at in grid], [*rows, (network, *(value or "–" for value in lowest.values()))]
    words = (
        "Where levels escape, the rival readings of their thresholds are absolute sparsity and the retained share of accuracy."
        if escapes
        else "No level escapes its null anywhere, so there is no threshold whose place (absolute sparsity, or retained share of "
        "accuracy) could be compared across models."
    )
    return ["Holm over sparsities and levels of one network.", "", *table(("network", *head), rows), words, ""]


def _factorial(results: Results) -> list[str]:
    rows, ps = [], []
    for (network, sparsity), part in results.groups("network", "sparsity"):
        for suffix, words in (
            ("", "searched (DBO)"),
            (":random", "searched (random)"),
            (":equal", "equal"),
            (":global-rank", "DBO, one pool"),
        ):
            real, null = ([f"{arm}{suffix}" for arm in arms] for arms in (REAL, NULLS))
            present = set(part["arm"])
            if not (set(real) & present and set(null) & present):
                continue
            both = [_mean_of(part, [arm for arm in arms if arm in present]) for arms in (real, null)]
            values = np.array([both[0][seed] - both[1][seed] for seed in sorted(both[0].keys() & both[1].keys())])
            if len(values) < 2:
                continue
            found = effect(values, "greater", 0.0)
            ps.append(found.p)
            rows.append(
                [
                    network,
                    sparsity,
                    words,
                    *(float(np.mean(list(arms.values()))) * POINTS for arms in both),
                    found.mean * POINTS,
                    found.low * POINTS,
                    found.high * POINTS,
                ]
            )
    if not rows:
        return ["Not in this sweep.", ""]
    adjusted: Any = multipletests(ps, alpha=0.05, method="fdr_bh")[1]
    head = (
        "network",
        "sparsity",
        "weights",
        "real features, %",
        "noise, %",
        "difference, points",
        "low",
        "high",
        "p (Benjamini-Hochberg)",
    )
    return table(head, [(*row, float(p)) for row, p in zip(rows, adjusted, strict=True)])


def _mean_of(part: Results, arms: Sequence[str]) -> dict[int, float]:
    columns = [part.where(arm=arm).by_seed("test") for arm in arms]
    return {seed: float(np.mean([column[seed] for column in columns])) for seed in set.intersection(*map(set, columns))}


def _complexity(results: Results) -> list[str]:
    """Of the features that need no network, by seed: levels are measured, not assigned."""
    width = 192
    seeds = sorted(set(results["seed"].tolist()))
    rows = []
    for name in ("A1", "A2", "A3", *REAL, *NULLS, "G", *DOSE):
        found = []
        for seed in seeds:
            layer = Layer(np.arange(width, dtype=np.float64), sparsity=0.7, chaos=seed, noise=seed)
            along = feature(name, layer)
            found.append((measure(along), runs(along, 0.7)))
        levels = [complexity.level for complexity, _ in found]
        degrees = [[complexity.degree[place] for complexity, _ in found] for place in range(3)]
        rhos, high = ([getattr(complexity, key) for complexity, _ in found] for key in ("rho", "high"))
        counts = [count for _, count in found]
        row = [name, "/".join(str(levels.count(level)) for level in range(3)), *(_range(column) for column in degrees)]
        rows.append([*row, _range(counts), float(np.mean(np.abs(rhos))), float(np.mean(high))])
    head = (
        "feature",
        "seeds at level 0/1/2",
        "D at .05",
        "D at .1",
        "D at .2",
        "runs at 70 %",
        "mean size of rho",
        "energy above a quarter",
    )
    return [f"On {width} ranks, least to most over the seeds of this table.", "", *table(head, rows)]


def _range(values: Sequence[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)}-{max(values)}"


def _dose(results: Results, protocol: Protocol) -> list[str]:
    rows = []
    for (network, sparsity), part in results.groups("network", "sparsity"):
        if not set(DOSE) <= set(part["arm"]):
            continue
        curves = np.array([escape(part, arm, sparsity, protocol) for arm in DOSE])
        slopes = np.polyfit(np.arange(len(DOSE)), curves, 1)[0]
        found = effect(slopes, "greater", 0.0) if len(slopes) > 1 else None
        means = (f"{value * POINTS:+.2f}" for value in curves.mean(axis=1))
        rows.append(
            (
                network,
                sparsity,
                *means,
                *((found.mean * POINTS, found.low * POINTS, found.high * POINTS, found.p) if found else ("–",) * 4),
            )
        )
    head = ("network", "sparsity", *(f"t = {t}" for t in range(len(DOSE))), "slope, points a step", "low", "high", "p, one-sided")
    return table(head, rows) if rows else ["Not in this sweep.", ""]


def _arms(results: Results) -> list[str]:
    lines: list[str] = []
    for (network,), rows in results.groups("network"):
        grid = _sparsities(rows)
        cells = []
        for (arm,), part in rows.groups("arm"):
            means = [part.where(sparsity=at)["test"] for at in grid]
            cells.append(
                (
                    arm,
                    *(float(values.mean()) * POINTS if len(values) else math.nan for values in means),
                    float(part["runs"].mean()),
                )
            )
        lines += [f"**{network}** (test accuracy, %; runs of kept ranks, mean over layers)", ""]
        lines += table(("arm", *(f"{at:g}" for at in grid), "runs"), cells)
    return lines


def _pooled(results: Results, protocol: Protocol) -> list[str]:
    """Random intercept of a seed, arms and sparsities and their interaction, on the arms of the main family."""
    lines: list[str] = []
    for network in (name for name in networks(results, protocol) if name in protocol.primary):
        rows = results.where(network=network)
        rows = rows.where(np.isin(rows["arm"], ("A1", *REAL, *NULLS)) & np.isin(rows["sparsity"], (0.7, 0.8)))
        if len(set(rows["seed"])) < 3:
            continue
        terms, converged = mixed_terms(rows, "test ~ C(arm) * C(sparsity)", {})
        cells = [
            (name.replace("C(arm)[T.", "").replace("C(sparsity)[T.", "S = ").replace("]", ""), *numbers)
            for name, *numbers in terms
            if name.startswith("C(arm)")
        ]
        lines += [f"**{network}** (points over A1 at 70 %; interaction rows: what 80 % adds; converged: {converged})", ""]
        lines += table(("term", "points", "standard error", "p"), cells)
    return lines or ["Fewer than three seeds.", ""]


def _mcnemar(results: Results) -> list[str]:
    rows = []
    for (network, sparsity), part in results.groups("network", "sparsity"):
        for arm in (name for name in (*REAL, *NULLS) if name in set(part["arm"])):
            found = part.where(arm=arm)
            ps = [_exact(int(gained), int(lost)) for gained, lost in zip(found["gained"], found["lost"], strict=True)]
            up = sum(p <= 0.05 and g > lost for p, g, lost in zip(ps, found["gained"], found["lost"], strict=True))
            down = sum(p <= 0.05 and g < lost for p, g, lost in zip(ps, found["gained"], found["lost"], strict=True))
            rows.append((network, sparsity, arm, len(ps), up, down))
    return table(("network", "sparsity", "arm", "seeds", "better at .05", "worse at .05"), rows)


def _exact(gained: int, lost: int) -> float:
    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def draw(figure: Any, results: Results, protocol: Protocol) -> None:
    """Escapes against sparsity with intervals, and what noise gains on seen and unseen images."""
    shown = [name for name in networks(results, protocol) if name in protocol.primary] or networks(results, protocol)[:1]
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, network in enumerate(shown):
        rows = results.where(network=network)
        grid = _sparsities(rows)
        top = axes[0, column]
        top.axhline(0.0, color=INK, linewidth=0.8)
        for place, (arm, label, colour) in enumerate(
            (
                ("B", "smooth features", COLOURS[0]),
                ("B-null", "noise, as many candidates", GROUND),
                ("C", "raw features", COLOURS[1]),
                ("taylor", "gradient", COLOURS[2]),
            )
        ):
            at, values = (
                zip(*((at, found) for at in grid if len(found := escape(rows, arm, at, protocol)) > 1), strict=True)
                if grid
                else ((), ())
            )
            means = [float(value.mean()) * POINTS for value in values]
            spread = [1.96 * standard_error(value) * POINTS for value in values]
            top.errorbar(
                np.array(at) + 0.006 * (place - 1.5),
                means,
                spread,
                color=colour,
                label=label,
                marker="o",
                markersize=3,
                linewidth=1.2,
                capsize=2,
            )
        top.set(title=network, xlabel="share of hidden units removed", ylabel="points above the plateau")
        bottom = axes[1, column]
        for arm, colour in zip((*NULLS, "B1", "C1"), (*COLOURS[2:5], COLOURS[0], COLOURS[1]), strict=True):
            part, plain = (rows.where(arm=name, sparsity=0.7) for name in (arm, "A1"))
            base = plain.by_seed("validation"), plain.by_seed("test")
            seen = [(value - base[0][seed]) * POINTS for seed, value in part.by_seed("validation").items()]
            unseen = [(value - base[1][seed]) * POINTS for seed, value in part.by_seed("test").items()]
            bottom.scatter(seen, unseen, s=14, color=colour, label=arm)
        high = bottom.get_xlim()[1]
        bottom.plot([0, high], [0, high], color=INK, linewidth=0.8)
        bottom.axhline(0.0, color=GROUND, linewidth=0.8)
        bottom.set(xlabel="gain at 70 % on the images of the search", ylabel="gain on the test images")
        bottom.legend(frameon=False, fontsize=8)
        top.legend(frameon=False, fontsize=8)
