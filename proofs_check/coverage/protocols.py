"""The four Monte Carlo protocols. Each returns a Finding that says what was measured and how often it fails a true claim.

MC-V  `held`         a bound that may fail with probability at most delta
MC-E  `exact_level`  a bound that fails with probability delta
MC-S  `slope`        a power law in the size
MC-M  `mean`         an expectation
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from proofs_check.checks import Check, Finding

SEED = 20260608
FALSE_ALARM = 1e-6
LOOSE = 1e-3
ERRORS = 5.0


def held(failures: int, draws: int, delta: float, *, loose: bool = False) -> Finding:
    """MC-V: fails when the draws refute "the bound fails with probability at most delta".

    The lower Clopper–Pearson limit at level 1e-6 must not exceed delta. With `loose`, for a bound known to be far from
    its level, the upper limit at level 1e-3 must not exceed delta either: the draws then prove the bound, not only
    fail to refute it.
    failures : draws in which the bound failed.
    draws    : independent draws.
    delta    : the stated error probability.
    """
    lower = clopper_pearson_lower(failures, draws, FALSE_ALARM)
    upper = clopper_pearson_upper(failures, draws, LOOSE)
    said = f"{failures}/{draws} failures against {delta:g}, lower limit {lower:.3g}, upper 99.9 % limit {upper:.3g}"
    said += f"; false-alarm rate {FALSE_ALARM:g}"
    if not lower <= delta:
        return Finding(said)
    if loose and not upper <= delta:
        return Finding(f"{said}; the upper limit of a loose bound exceeds its level")
    return Finding("", said)


def exact_level(failures: int, draws: int, delta: float) -> Finding:
    """MC-E: fails when the draws refute "the event has probability delta".

    delta must lie in the two-sided Clopper–Pearson interval at level 1e-6.
    failures, draws, delta : as in `held`, the event in place of the failure.
    """
    lower = clopper_pearson_lower(failures, draws, FALSE_ALARM / 2.0)
    upper = clopper_pearson_upper(failures, draws, FALSE_ALARM / 2.0)
    said = f"{failures}/{draws} = {failures / draws:.4g} against {delta:.4g}, interval [{lower:.4g}, {upper:.4g}]"
    said += f"; false-alarm rate {FALSE_ALARM:g}"
    return Finding("", said) if lower <= delta <= upper else Finding(said)


def slope(
    sizes: Sequence[float],
    rms: Sequence[float],
    wanted: float,
    cap: float,
    window: float = 0.15,
    *,
    draws: int | None = None,
) -> Finding:
    """MC-S: fails when log rms over log N has another slope, or the last rms lies above a cap.

    sizes  : N, at least two different ones, > 0.
    rms    : root mean square of the statistic at each size, > 0.
    wanted : the stated slope, met within `window`.
    cap    : largest allowed last value.
    draws  : draws behind each rms; with it the false-alarm rate of the slope is stated, for Gaussian statistics of that
             very slope (relative error of an rms: 1/sqrt(2 draws)).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = np.log(np.asarray(sizes, dtype=np.float64)), np.log(np.asarray(rms, dtype=np.float64))
    if x.shape != y.shape or x.ndim != 1 or not np.ptp(x) > 0.0 or not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return Finding(f"sizes {list(sizes)} and rms {list(rms)} have no slope")
    spread = x - x.mean()
    found = float(spread @ y / (spread @ spread))
    last = float(rms[-1])
    said = f"slope {found:.3f} against {wanted:g} within {window:g}, last value {last:.3g} against {cap:g}; false-alarm rate "
    if draws is None:
        said += "not stated (seed fixed)"
    else:
        error = 1.0 / math.sqrt(2.0 * draws * float(spread @ spread))
        said += f"{2.0 * float(ndtr(-window / error)):.1g} for Gaussian statistics"
    return Finding("", said) if abs(found - wanted) <= window and last <= cap else Finding(said)


def mean(values: npt.ArrayLike, wanted: float) -> Finding:
    """MC-M: fails when the average of independent draws is more than 5 standard errors from the stated expectation.

    values : independent draws, at least two.
    wanted : the expectation.
    """
    drawn = np.asarray(values, dtype=np.float64)
    if drawn.ndim != 1 or drawn.size < 2 or not np.all(np.isfinite(drawn)):
        return Finding(f"draws of shape {drawn.shape}, {int(np.sum(~np.isfinite(drawn)))} not finite: no mean")
    average, error = float(drawn.mean()), float(drawn.std(ddof=1)) / math.sqrt(drawn.size)
    away = abs(average - wanted)
    said = f"mean {average:.6g} against {wanted:.6g}, standard error {error:.2g}, {drawn.size} draws; false-alarm rate "
    said += f"{2.0 * float(ndtr(-ERRORS)):.1g} by the normal approximation"
    return Finding("", said) if away <= ERRORS * error + 1e-12 * abs(wanted) else Finding(said)


def together(findings: Mapping[str, Finding]) -> Finding:
    """Several findings as one, each under its name: it fails when one does."""
    failed = "; ".join(f"{name}: {found.failure}" for name, found in findings.items() if found.failure)
    return Finding(failed, "; ".join(f"{name}: {found.detail}" for name, found in findings.items() if not found.failure))


def stream(name: str) -> np.random.Generator:
    """The random numbers of one test: a stream of its own for each name, the same on every run."""
    return np.random.default_rng([SEED, *name.encode()])


def monte_carlo(id: str, statement: str, claims: tuple[str, ...], function: Callable[[], Finding]) -> Check:
    """A check of kind `coverage` that draws from `stream`."""
    return Check(f"coverage/{id}", "Monte Carlo", f"{statement} (seed {SEED})", claims, function)
