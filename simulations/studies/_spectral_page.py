"""The page of spectral structural distortion: verdicts of the protocol, and beside them what was only looked at."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from statsmodels.stats.multitest import multipletests

from simulations.digits.damage import PLANTED
from simulations.studies._page import COLOURS, GROUND, INK, Results, standard_error, table
from simulations.studies._protocol import Contrast, Protocol, seed_values
from simulations.studies._verdicts import POINTS, effect, mixed_terms, networks

CONTROLS = ("rms", "std", "magnitude", "contribution", "taylor", "random", "reversed", "degree", "local", "permuted", "duplicate")
FORMS = ("spectral", "spectral:log", "spectral:full")
RELIABLE = 0.5


def secondary_lines(results: Results, protocol: Protocol) -> list[str]:
    """What was not registered as a test, or describes: labelled so."""
    return [
        "# Beside the registered tests: description, nothing here is a confirmation",
        "",
        "## Which control does as well?",
        "",
        *_against(results, protocol),
        "## Accuracy by share of units removed",
        "",
        *_curves(results, protocol, "test"),
        "## The same after one recovery",
        "",
        *_curves(results, protocol, "recovered"),
        "## Single units: does a low score mean little damage?",
        "",
        *_damage(results),
        "## Planted redundancy: which score finds it?",
        "",
        *_planted(results),
        "## Settings of the score",
        "",
        *_settings(results, protocol),
        "## Pooled model",
        "",
        *_pooled(results, protocol),
    ]


def _against(results: Results, protocol: Protocol) -> list[str]:
    """Spectral against every other arm at every share, false discovery rate within a network."""
    lines: list[str] = []
    for network in networks(results, protocol):
        rows = results.where(network=network)
        found = []
        for at in _shares(rows):
            for other in (*CONTROLS, *FORMS[1:]):
                values = seed_values(rows, Contrast(((1.0, "spectral", at), (-1.0, other, at))), "test", protocol)
                if len(values) > 1:
                    found.append((at, other, effect(values, "greater", 0.0), effect(values, "less", 0.0)))
        if not found:
            continue
        sides = [multipletests([each[side].p for each in found], alpha=0.05, method="fdr_bh")[1] for side in (2, 3)]
        cells = [
            (at, other, *(value * POINTS for value in (more.mean, more.low, more.high)), float(up), float(down), _word(up, down))
            for (at, other, more, _), up, down in zip(found, *sides, strict=True)
        ]
        head = ("share removed", "against", "spectral is better by, points", "low", "high", "p better", "p worse", "")
        lines += [f"**{network}** (Benjamini-Hochberg, each side)", "", *table(head, cells)]
    return lines or ["Not in this sweep.", ""]


def _word(up: float, down: float) -> str:
    return "better" if up <= 0.05 else "worse" if down <= 0.05 else "not told apart"


def _shares(rows: Results) -> list[float]:
    return sorted(set(rows.where(arm="spectral")["sparsity"].tolist()))


def _curves(results: Results, protocol: Protocol, column: str) -> list[str]:
    lines: list[str] = []
    for network in networks(results, protocol):
        rows = results.where(network=network)
        shares = [at for at in _shares(rows) if np.any(np.isfinite(rows.where(arm="spectral", sparsity=at)[column]))]
        cells = []
        for arm in (*FORMS, *CONTROLS):
            parts = [rows.where(arm=arm, sparsity=at)[column] for at in shares]
            if any(len(part) and np.all(np.isfinite(part)) for part in parts):
                cells.append((arm, *(_pm(part) for part in parts)))
        if not cells:
            continue
        dense = float(rows["dense_test"].mean()) * POINTS
        about = f"**{network}** (test accuracy, %, mean and standard error over seeds; dense {dense:.2f})"
        lines += [about, "", *table(("arm", *(f"{at:g}" for at in shares)), cells)]
    return lines or ["Not in this sweep.", ""]


def _pm(values: Any, scale: float = POINTS) -> str:
    if not len(values) or not np.all(np.isfinite(values)):
        return "–"
    return f"{values.mean() * scale:.2f} ± {standard_error(values) * scale:.2f}"


def _damage(results: Results) -> list[str]:
    rows = []
    for (network,), part in results.where(arm="damage").groups("network"):
        columns = ("spearman", "partial", "partial_mean", "matched", "tau")
        rows.append((network, len(part), *(_pm(part[name], 1.0) for name in columns), int(np.sum(part["tau"] < RELIABLE))))
    if not rows:
        return ["Not in this sweep.", ""]
    head = (
        "network",
        "seeds",
        "Spearman with damage",
        "partial, Fisher z",
        "partial, mean ablation",
        "higher score, higher damage in matched pairs",
        "tau of two calibration halves",
        f"seeds below {RELIABLE}",
    )
    about = (
        "Damage is the rise of the cross-entropy on held-out images when one unit is set to 0. Partial: ranks of RMS, std, "
        "magnitude and contribution are taken out. Matched pairs: units of one 5 % bin of contribution, opposite thirds of the "
        "score; half is chance. A network whose score agrees between halves of its calibration images by less than "
        f"{RELIABLE} is limited by noise."
    )
    return [about, "", *table(head, rows)]


def _planted(results: Results) -> list[str]:
    lines = [
        "AUC of each score for planted units, mean over layers and seeds: 1 finds them all, .5 is blind. Twins: the spectral "
        "score gives equal ones to both (SSD-T6). Silent units differ in outgoing weights alone, which it cannot see (SSD-T5).",
        "",
    ]
    for network in sorted(set(results["network"])):
        rows = results.where(network=network)
        kinds = [kind for kind in PLANTED if len(rows.where(arm=f"planted-{kind}"))]
        if not kinds:
            continue
        names = [name for name in rows.columns if name.startswith("auc_")]
        cells = [(name[4:], *(_pm(rows.where(arm=f"planted-{kind}")[name], 1.0) for kind in kinds)) for name in names]
        drift = max(float(rows.where(arm=f"planted-{kind}")["drift"].max()) for kind in kinds)
        lines += [f"**{network}** (logits of the planted networks differ by at most {drift:.1e})", ""]
        lines += table(("score", *kinds), cells)
    return lines


def _settings(results: Results, protocol: Protocol) -> list[str]:
    lines: list[str] = []
    for network in networks(results, protocol):
        rows = results.where(network=network, sparsity=0.5)
        cells = []
        for arm in sorted({name for name in rows["arm"] if name.startswith("spectral:")}):
            values = seed_values(rows, Contrast(((1.0, arm, 0.5), (-1.0, "spectral", 0.5))), "test", protocol)
            if len(values) > 1:
                found = effect(values, "greater", 0.0)
                cells.append((arm, *(value * POINTS for value in (found.mean, found.low, found.high)), len(values)))
        if cells:
            head = ("variant", "better than the primary form by, points", "low", "high", "seeds")
            lines += [f"**{network}**, half of the units removed", "", *table(head, cells)]
    return lines or ["Not in this sweep.", ""]


def _pooled(results: Results, protocol: Protocol) -> list[str]:
    lines: list[str] = []
    for network in (name for name in networks(results, protocol) if name in protocol.primary):
        rows = results.where(network=network)
        rows = rows.where(np.isin(rows["arm"], ("spectral", *CONTROLS)) & (rows["sparsity"] > 0))
        if len(set(rows["seed"])) < 3:
            continue
        arms = "C(arm, Treatment('spectral'))"
        terms, converged = mixed_terms(rows, f"test ~ {arms} * fraction", {"fraction": rows["sparsity"] - 0.5})
        cells = [
            (name.replace(f"{arms}[T.", "").replace("]", ""), value, error, p)
            for name, value, error, p in terms
            if name not in ("Intercept", "Group Var") and math.isfinite(error)
        ]
        about = f"**{network}** (points over spectral at half removed; slopes per unit of share; converged: {converged})"
        lines += [about, "", *table(("term", "points", "standard error", "p"), cells)]
    return lines or ["Fewer than three seeds.", ""]


def draw(figure: Any, results: Results, protocol: Protocol) -> None:
    """Accuracy against share removed with intervals, and how well planted units are found."""
    shown = [name for name in networks(results, protocol) if name in protocol.primary] or networks(results, protocol)[:1]
    axes = figure.subplots(2, len(shown), squeeze=False)
    marked = ("spectral", "reversed", "random", "rms", "contribution", "taylor", "local")
    colours = dict(zip(marked, (COLOURS[0], COLOURS[1], GROUND, *COLOURS[2:5], INK), strict=True))
    for column, network in enumerate(shown):
        rows = results.where(network=network)
        top = axes[0, column]
        for place, arm in enumerate(marked):
            parts = [(at, rows.where(arm=arm, sparsity=at)["test"]) for at in _shares(rows)]
            known = [(at, part) for at, part in parts if len(part) > 1]
            at = np.array([share for share, _ in known]) + 0.004 * (place - 3)
            means = [float(part.mean()) * POINTS for _, part in known]
            spread = [1.96 * standard_error(part) * POINTS for _, part in known]
            top.errorbar(at, means, spread, color=colours[arm], label=arm, marker="o", markersize=3, linewidth=1.2, capsize=2)
        top.set(title=network, xlabel="share of hidden units removed, in rounds", ylabel="test accuracy, %")
        top.legend(frameon=False, fontsize=8)
        bottom = axes[1, column]
        names = [name for name in results.columns if name.startswith("auc_")]
        for place, kind in enumerate(PLANTED):
            part = rows.where(arm=f"planted-{kind}")
            if len(part):
                heights = [float(np.nanmean(part[name])) for name in names]
                bottom.bar(np.arange(len(names)) + 0.27 * (place - 1), heights, 0.25, color=COLOURS[place], label=kind)
        bottom.axhline(0.5, color=INK, linewidth=0.8)
        bottom.set_xticks(np.arange(len(names)), [name[4:] for name in names], rotation=60, ha="right", fontsize=7)
        bottom.set(ylabel="AUC for planted units", ylim=(0, 1.25))
        bottom.legend(frameon=False, fontsize=8, ncols=3)
