"""What effective-number pruning keeps of independent scores, for light and heavy tails: the constants of EMP-T14 to EMP-T16.

python -m simulations score-laws; python -m simulations.studies.score_laws
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certify.theory.emp import score_laws as theory
from certify.theory.emp.effective_number import effective_number, kept_count, retained_mass
from certify.theory.emp.score_laws import NullRatio
from simulations.engine.study import Scalar, Study
from simulations.studies._page import COLOURS, GROUND, INK, Array, Results, command, shown, slope, standard_error, table, write

FAN_INS = (16, 256, 1024)
CHANCE = 1e-3


@dataclass(frozen=True)
class Law:
    """How scores are drawn, and what is known of them.

    draw     : (generator, N) -> (N,) scores >= 0.
    constant : limits at N -> infinity, or None where the second moment is infinite.
    index    : tail index below 2 of such a law.
    """

    draw: Callable[[np.random.Generator, int], Array]
    constant: NullRatio | None
    index: float = math.nan


def _pareto(index: float) -> Callable[[np.random.Generator, int], Array]:
    return lambda rng, n: (1.0 - rng.random(n)) ** (-1.0 / index)


def _default_init(rng: np.random.Generator, n: int) -> Array:
    """|weights| of untrained layers of equal size, uniform on +-fan_in^(-1/2)."""
    widths = np.resize(1.0 / np.sqrt(FAN_INS), n)
    return rng.random(n) * widths


LAWS: dict[str, Law] = {
    "uniform": Law(lambda rng, n: rng.random(n), theory.uniform_power()),
    "half-normal": Law(lambda rng, n: np.abs(rng.standard_normal(n)), theory.gaussian_power()),
    "squared normal": Law(lambda rng, n: rng.standard_normal(n) ** 2, theory.gaussian_power(2.0)),
    "norm of 64 normals": Law(lambda rng, n: np.sqrt(rng.chisquare(64, n)), theory.gaussian_norm(64)),
    "exponential": Law(lambda rng, n: rng.exponential(size=n), theory.laplace_power()),
    "log-normal 1": Law(lambda rng, n: np.exp(rng.standard_normal(n)), theory.log_normal(1.0)),
    "Student 5": Law(lambda rng, n: np.abs(rng.standard_t(5.0, n)), theory.student(5.0)),
    "Student 3": Law(lambda rng, n: np.abs(rng.standard_t(3.0, n)), theory.student(3.0)),
    "Pareto 5": Law(_pareto(5.0), theory.pareto(5.0)),
    "Pareto 2.5": Law(_pareto(2.5), theory.pareto(2.5)),
    "Pareto 1.5": Law(_pareto(1.5), None, 1.5),
    "Pareto 0.7": Law(_pareto(0.7), None, 0.7),
    "untrained layers": Law(
        _default_init, NullRatio(theory.default_init_ratio([1] * len(FAN_INS), FAN_INS), math.nan, math.nan, math.nan)
    ),
}


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float]:
    """Effective number and effective mass of `draws` vectors of N independent scores, beside the constants of their law.

        D = (sum s)^2 / sum s^2,   s_eff = share of the mass on the floor(D) largest

    parameters : law, a key of LAWS; size N >= 2; draws >= 2.
    Returns mean and standard error of D / N and of s_eff, N var(D / N), the mean of 1 / D, and the constants: ratio, retained,
    variance, bias (nan where the theory has none, inf where it says so), exponent of D for tails of index below 2.
    Claim EMP-T14, EMP-T15, EMP-T16.
    """
    name, size, draws = str(parameters["law"]), int(parameters["size"]), int(parameters["draws"])
    if name not in LAWS or size < 2 or draws < 2:
        raise ValueError(f"law {name!r}, size {size}, draws {draws}: a law of {', '.join(LAWS)}, and at least 2 and 2")
    law = LAWS[name]
    numbers, masses = np.empty(draws), np.empty(draws)
    for i in range(draws):
        scores = law.draw(generator, size)
        numbers[i], masses[i] = effective_number(scores), retained_mass(scores, kept_count(scores))
    known = law.constant or NullRatio(math.nan, math.nan, math.nan, math.nan)
    return {
        "share": float(numbers.mean()) / size,
        "share_error": standard_error(numbers / size),
        "mass": float(masses.mean()),
        "mass_error": standard_error(masses),
        "scaled_variance": size * float(np.var(numbers / size, ddof=1)),
        "inverse": float(np.mean(1.0 / numbers)),
        "inverse_error": standard_error(1.0 / numbers),
        "number": float(np.median(numbers)),
        "ratio": known.ratio,
        "retained": known.retained,
        "variance": known.variance,
        "bias": known.bias,
        "exponent": theory.heavy_tail_exponent(law.index) if law.index < 2.0 else math.nan,
    }


STUDY = Study(
    name="score-laws",
    version=1,
    run=run,
    parameters={"law": str, "size": int, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="effective number and effective mass of independent scores against the constants of their law, heavy tails included",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write score-laws.md and score-laws.svg."""
    return write(STUDY, results, folder, "Effective-number pruning of independent scores", findings(results), draw)


def findings(results: Results) -> list[str]:
    """What the numbers say."""
    return [*_constants(results), *_fluctuations(results), *_heavy(results)]


def _largest(results: Results) -> Results:
    return results.where(size=results["size"].max())


def _constants(results: Results) -> list[str]:
    last = _largest(results)
    known = last.where(np.isfinite(last["ratio"]))
    rows = [
        (
            group["law"][0],
            *(float(group[name][0]) for name in ("share", "ratio", "mass", "retained")),
            float(1.0 - group["share"][0]),
        )
        for _, group in known.groups("ratio", "law")
    ]
    off = np.abs(known["share"] - known["ratio"])
    fast = known.where(np.isfinite(known["variance"]))
    slow = known.where(np.isinf(known["variance"]))
    return [
        "## D / N and s_eff are constants of the law (EMP-T14, EMP-T16)",
        "",
        f"Means at N = {last['size'][0]:,}. The sparsity that the rule reports, 1 - D / N, is what independent scores "
        "of that law "
        "give: without this number beside it a sparsity of a trained network says nothing.",
        "",
        *table(("law of the scores", "D / N", "limit", "s_eff", "limit", "sparsity"), rows),
        f"Largest distance from the limit: {shown(float(np.max(off)))} over all; "
        f"{_most(fast)} where the fourth moment is finite, {_most(slow)} where it is not.",
        "",
    ]


def _most(results: Results) -> str:
    return shown(float(np.max(np.abs(results["share"] - results["ratio"])))) if len(results) else "no law"


def _fluctuations(results: Results) -> list[str]:
    finite = results.where(np.isfinite(results["variance"]))
    last = _largest(finite)
    rows, scores = [], []
    for i in range(len(last)):
        n = int(last["size"][i])
        expected = last["ratio"][i] + last["bias"][i] / n
        scores.append((last["share"][i] - expected) / last["share_error"][i])
        rows.append((last["law"][i], float(last["scaled_variance"][i]), float(last["variance"][i]), float(scores[-1])))
    if not scores:
        return []
    most = max(map(abs, scores))
    chance = 1.0 - math.erf(most / math.sqrt(2.0)) ** len(scores)
    verdict = "within chance" if chance >= CHANCE else "MORE THAN CHANCE"
    return [
        "## The central limit theorem of EMP-T14",
        "",
        "N var(D / N) beside its constant, and how many standard errors the mean lies from limit + bias / N.",
        "",
        *table(("law of the scores", "N var(D / N)", "V", "mean off, standard errors"), rows),
        f"Largest of {len(scores)} deviations: {most:.2f} standard errors, {verdict} (probability {chance:.2g}). A law "
        "whose eighth moment is large reaches V slowly: its draws see too few of the scores that make the variance.",
        "",
    ]


def _heavy(results: Results) -> list[str]:
    rows = []
    for (law,), group in results.where(np.isfinite(results["exponent"])).groups("law"):
        last = _largest(group)
        expected = max(0.0, 1.0 - LAWS[law].index)
        rows.append(
            (
                law,
                slope(group["size"], group["number"]),
                float(last["exponent"][0]),
                float(last["inverse"][0]),
                expected if expected else "-> 0",
                float(1.0 - last["share"][0]),
            )
        )
    return [
        "## Heavy tails (EMP-T15)",
        "",
        "Tail index below 2: D grows like N^(2 - 2 / a) for 1 < a < 2 and stays bounded in law for a < 1, where E[1 / "
        "D] -> 1 - a. "
        "Exponent by the median of D over all N.",
        "",
        *table(("law of the scores", "exponent of D", "theory", "mean of 1 / D", "limit", "sparsity"), rows),
        "The sparsity of such scores tends to 1 for lack of a second moment, whatever the network does.",
        "",
    ]


def draw(figure: Any, results: Results) -> None:
    """Distance of D / N from its limit over N, and s_eff against D / N at the largest N."""
    left, right = figure.subplots(1, 2)
    for (law,), group in results.where(np.isfinite(results["variance"])).groups("law"):
        left.plot(group["size"], np.sqrt(group["scaled_variance"] / group["size"]), "o-", ms=3, lw=0.8, color=GROUND)
        left.plot(group["size"], np.sqrt(group["variance"] / group["size"]), ls=":", lw=0.8, color=INK)
        left.annotate(
            law, (group["size"][-1], math.sqrt(group["scaled_variance"][-1] / group["size"][-1])), fontsize=7, xytext=(3, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    left.set(xscale="log", yscale="log", xlabel="N", ylabel="deviation of D / N")
    left.set_title("dotted: sqrt(V / N)", fontsize=9)
    last = _largest(results)
    right.plot(last["ratio"], last["retained"], "s", ms=6, mfc="none", color=INK, label="limits")
    right.plot(last["share"], last["mass"], "o", ms=3.5, color=COLOURS[0], label=f"means, N = {last['size'][0]:,}")
    order = np.argsort(last["share"])
    for i, (law, x, y) in enumerate(zip(last["law"][order], last["share"][order], last["mass"][order], strict=True)):
        right.annotate(law, (x, y), fontsize=7, xytext=(4, -10 if i % 2 else 5), textcoords="offset points")
    right.set(xlabel="D / N", ylabel="s_eff", xlim=(-0.02, 1.12))
    right.legend(frameon=False, loc="lower right", fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
