"""Every certificate of the theory on synthetic networks: does it hold, how tight is it, and which broken hypothesis shows.

python -m simulations certificates; python -m simulations.studies.certificates
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from simulations.engine.study import Scalar, Study
from simulations.networks import CASES, measure
from simulations.networks.cases import NONE
from simulations.studies._page import GROUND, INK, OURS, PUBLISHED, Results, command, table, write

# Confidence of each end of an interval; level at which a stated probability counts as refuted.
END, REFUTED = 0.025, 1e-4


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | bool]:
    """One certificate on one drawn network, as it stands or with one hypothesis broken.

        truth <= bound

    parameters : certificate, family, noise, aspect, broken, as `simulations.networks.measure` takes them.
    Returns bound and truth (their units are the certificate's), tightness = bound / truth (nan where truth <= 0: any bound
    >= 0 holds there), violated, and holds: whether every hypothesis is true of this instance.
    """
    found, holds = measure(
        str(parameters["certificate"]),
        str(parameters["family"]),
        str(parameters["noise"]),
        float(parameters["aspect"]),
        str(parameters["broken"]),
        generator,
    )
    tightness = found.bound / found.truth if found.truth > 0.0 else math.nan
    return {"bound": found.bound, "truth": found.truth, "tightness": tightness, "violated": found.violated, "holds": holds}


STUDY = Study(
    name="certificates",
    version=1,
    run=run,
    parameters={"certificate": str, "family": str, "noise": str, "aspect": float, "broken": str},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="every certificate on synthetic networks, as it stands and with one hypothesis broken",
)


@dataclass(frozen=True)
class Rate:
    """How often a statement failed.

    violations, rows : counts.
    low, high        : Clopper–Pearson limits at 95 %.
    tightness        : median of bound / truth where truth > 0, with its lower and upper tenth; nan where there is none.
    """

    violations: int
    rows: int
    low: float
    high: float
    tightness: tuple[float, float, float]

    @property
    def share(self) -> float:
        """Violations per row."""
        return self.violations / self.rows


def rate(results: Results) -> Rate:
    """The rate of violations in some rows."""
    violations, rows = int(results["violated"].sum()), len(results)
    ratios = results["tightness"][np.isfinite(results["tightness"].astype(np.float64))].astype(np.float64)
    tenths = tuple(float(part) for part in np.quantile(ratios, [0.1, 0.5, 0.9])) if ratios.size else (math.nan,) * 3
    low, high = clopper_pearson_lower(violations, rows, END), clopper_pearson_upper(violations, rows, END)
    return Rate(violations, rows, low, high, (tenths[0], tenths[1], tenths[2]))


def kinds(results: Results) -> Iterator[tuple[str, str, Results]]:
    """(certificate, what is broken, rows) in the order of CASES: "none" first, then the noise's law, then the rest."""
    for name, case in CASES.items():
        rows = results.where(certificate=name)
        for broken in (NONE, "law of the noise", *case.broken):
            wanted = NONE if broken == "law of the noise" else broken
            part = rows.where(rows["holds"].astype(bool) == (broken == NONE), broken=wanted)
            if len(part):
                yield name, broken, part


def refuted(name: str, found: Rate) -> bool:
    """Whether the rows refute the certificate: any violation of a deterministic one, a rate surely above its level of others."""
    level = CASES[name].level
    return clopper_pearson_lower(found.violations, found.rows, REFUTED) > level if level else found.violations > 0


def findings(results: Results) -> list[str]:
    """What the rows say, in words and two tables."""
    measured = {(name, broken): rate(part) for name, broken, part in kinds(results)}
    standing = {name: found for (name, broken), found in measured.items() if broken == NONE}
    broken = {key: found for key, found in measured.items() if key[1] != NONE}
    return [
        *_standing_words(standing),
        *table(
            ["certificate", "statement", "violated", "rows", "allowed", "bound / truth: median", "lowest tenth", "highest tenth"],
            [
                [n, CASES[n].says, f.violations, f.rows, CASES[n].level, f.tightness[1], f.tightness[0], f.tightness[2]]
                for n, f in standing.items()
            ],
        ),
        "## With one hypothesis broken",
        "",
        *_broken_words(broken),
        *table(
            ["certificate", "broken", "violated", "rows", "rate", "95 % interval", "allowed", "bound / truth: median"],
            [
                [name, how, f.violations, f.rows, f.share, f"{f.low:.3f} to {f.high:.3f}", CASES[name].level, f.tightness[1]]
                for (name, how), f in broken.items()
            ],
        ),
        "`law of the noise`: a probability stated for one law (independent entries, fair signs) on noise of another. "
        "`bound / truth` is taken where the truth is above 0. The sample nearest to failing stands for all of a row's.",
        "",
    ]


def _standing_words(standing: Mapping[str, Rate]) -> list[str]:
    fixed = {name: found for name, found in standing.items() if not CASES[name].level}
    chance = {name: found for name, found in standing.items() if CASES[name].level}
    wrong = [name for name, found in standing.items() if refuted(name, found)]
    rows = sum(found.rows for found in fixed.values())
    lines = [
        f"{len(fixed)} deterministic certificates were run on {rows} networks in which every hypothesis holds: "
        f"{sum(found.violations for found in fixed.values())} violations.",
    ]
    if chance:
        said = "; ".join(f"{n}: {f.violations} of {f.rows}, {CASES[n].level:g} allowed" for n, f in chance.items())
        lines[0] += f" Certificates with a stated probability failed so often: {said}."
    lines += ["", f"Refuted on these networks: {', '.join(wrong)}." if wrong else "Nothing is refuted on these networks."]
    known = {name: found.tightness[1] for name, found in standing.items() if math.isfinite(found.tightness[1])}
    if known:
        near, far = min(known, key=lambda n: known[n]), max(known, key=lambda n: known[n])
        lines[-1] += f" Tightest is {near} (median bound / truth {known[near]:.3g}), loosest {far} ({known[far]:.3g})."
    if {"L5.1-row-sums", "L5.1-smallest"} <= known.keys():
        gain = known["L5.1-row-sums"] / known["L5.1-smallest"]
        lines += ["", f"The smallest L_s in place of row sums makes the budget {gain:.3g} times tighter at the median."]
    return [*lines, ""]


def _broken_words(broken: Mapping[tuple[str, str], Rate]) -> list[str]:
    failed = {key for key, found in broken.items() if refuted(key[0], found)}
    shows = sorted(failed, key=lambda key: (-broken[key].share, key))
    hidden = [key for key in broken if key not in failed]
    lines = []
    if shows:
        said = ", ".join(f"{name} with {how} ({broken[name, how].share:.0%})" for name, how in shows[:8])
        lines += [f"Of {len(broken)} broken statements {len(shows)} fail on these networks. Most often: {said}.", ""]
    if hidden:
        said = ", ".join(f"{name} with {how}" for name, how in hidden)
        lines += [
            f"{len(hidden)} do not fail (or not more often than their stated probability allows), which proves nothing for them: "
            f"slack elsewhere hides the mistake, or it takes an adversary. They are: {said}.",
            "",
        ]
    return lines


def picture(figure: Any, results: Results) -> None:
    """Tightness of the certificates that hold, and how often the broken ones fail."""
    measured = [(name, how, rate(part)) for name, how, part in kinds(results)]
    standing = [(name, found) for name, how, found in measured if how == NONE and math.isfinite(found.tightness[1])]
    broken = [(f"{name}: {how}", found, refuted(name, found)) for name, how, found in measured if how != NONE]
    left, right = figure.subplots(1, 2)
    for place, (_, found) in enumerate(standing):
        low, middle, high = found.tightness
        left.plot([max(low, 1e-3), max(high, 1e-3)], [place, place], color=GROUND, lw=4, solid_capstyle="butt")
        left.plot(max(middle, 1e-3), place, "o", color=OURS, ms=4)
    left.axvline(1.0, color=INK, lw=0.8)
    left.set_yticks(range(len(standing)), [name for name, _ in standing])
    left.set(xscale="log", xlabel="bound / truth: median and inner 80 %", ylim=(len(standing) - 0.5, -0.5))
    left.set_title("Hypotheses hold", loc="left")
    for place, (_, found, failed) in enumerate(broken):
        right.plot([found.low, found.high], [place, place], color=GROUND, lw=4, solid_capstyle="butt")
        right.plot(found.share, place, "o", color=PUBLISHED if failed else INK, ms=4)
    right.set_yticks(range(len(broken)), [label for label, _, _ in broken], fontsize=7)
    right.set(xlabel="share of violations, 95 % interval", xlim=(-0.02, 1.02), ylim=(len(broken) - 0.5, -0.5))
    right.set_title("One hypothesis broken", loc="left")


def page(results: Results, folder: Path) -> list[Path]:
    """Write the page of findings and its picture; their paths."""
    return write(STUDY, results, folder, "Certificates on synthetic networks", findings(results), picture, (11.0, 9.0))


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
