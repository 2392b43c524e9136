"""Rates on unseen data: agreement that was shown on the whole segment, and limits per class or group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certify.records import Refused
from certify.risk.choosing import holm, rate_p_value
from certify.theory._arrays import level, number
from certify.theory.binomial import clopper_pearson_upper


@dataclass(frozen=True)
class GroupLimit:
    """The limit of a rate in one class or group; `limit` is 1 and vacuous where no sample was seen."""

    group: str
    samples: int
    failures: int
    limit: float
    share: float

    @property
    def vacuous(self) -> bool:
        return not self.limit < 1.0

    def __str__(self) -> str:
        text = f"{self.group}: {self.failures} of {self.samples} seen, at most {self.limit:.6g}"
        return f"VACUOUS: {text}" if self.vacuous else text


def rate_upper(failures: int, n: int, alpha: float) -> float:
    """`clopper_pearson_upper`, and 1 from no sample. Claim B1-clopper-pearson."""
    return clopper_pearson_upper(failures, n, alpha) if n else 1.0


def segment_disagreement_upper(agreed: npt.ArrayLike, alpha: float) -> float:
    """Upper confidence limit of the rate at which decisions differ, from samples whose agreement was shown on the segment.

        P(decisions differ) <= P(not shown) <= U(#{not shown}; alpha)

    agreed : (n,) truth values: agreement on the whole segment was shown. Not shown counts as a failure, whatever the
             reason, so slack in the bounds costs coverage and never validity. The bound must be a function of the sample
             alone. The tier of the statement is that of the bounds behind `agreed`.
    alpha  : one-sided error probability in (0, 1).
    Returns a rate. Vacuous (1) when none was shown, and from no sample.
    Claim B1-clopper-pearson.
    """
    error, shown = level(alpha, "alpha"), _truth(agreed, "agreed")
    return rate_upper(int(np.sum(~shown)), shown.size, error)


def group_limits(failed: npt.ArrayLike, group: npt.ArrayLike, groups: Sequence[str], alpha: float) -> tuple[GroupLimit, ...]:
    """Limits of the failure rate in every group, all at once.

        P(for all g: r_g <= U(k_g of n_g; alpha / G)) >= 1 - alpha

    failed : (n,) truth values.    group : (n,) numbers 0 .. G - 1 of the groups, given with the sample.
    groups : G names, fixed beforehand, those without a sample included; each has the share alpha / G (Bonferroni).
    Returns one limit a group; vacuous (1) where no sample was seen. Given the groups, counts are binomial.
    Claim B1-clopper-pearson (and a union bound).
    """
    error = level(alpha, "alpha")
    counts = _counts(failed, group, len(groups))
    share = error / max(1, len(groups))
    return tuple(
        GroupLimit(name, size, failures, rate_upper(failures, size, share), share)
        for name, (failures, size) in zip(groups, counts, strict=True)
    )


def groups_within(failed: npt.ArrayLike, group: npt.ArrayLike, groups: Sequence[str], wanted: float, alpha: float) -> np.ndarray:
    """Which groups are shown to have a failure rate of less than `wanted`, by Holm: never fewer than the limits show.

        P(some group marked has a rate >= wanted) <= alpha

    failed, group, groups, alpha : as in `group_limits`.    wanted : rate in (0, 1].
    Returns (G,) truth values; a group without a sample is never marked.
    Claim B1-clopper-pearson, B5-graph (Holm is the graph of equal weights).
    """
    rate = number(wanted, "wanted", 0.0, 1.0)
    counts = _counts(failed, group, len(groups))
    return holm([rate_p_value(failures, size, rate) for failures, size in counts], alpha)


def _truth(values: npt.ArrayLike, name: str) -> np.ndarray:
    found = np.asarray(values)
    if found.size == 0:
        found = found.astype(bool)
    if found.dtype.kind != "b" or found.ndim != 1:
        raise Refused(f"{name}: type {found.dtype} and shape {found.shape}; one truth value per sample is expected")
    return found


def _counts(failed: npt.ArrayLike, group: npt.ArrayLike, groups: int) -> list[tuple[int, int]]:
    """(failures, samples) of every group."""
    fails, members = _truth(failed, "failed"), np.asarray(group)
    if members.shape != fails.shape:
        raise Refused(f"group: shape {members.shape}; {fails.shape} is expected, one group per sample")
    if members.size == 0:
        return [(0, 0)] * groups
    if members.dtype.kind not in "iu" or members.min() < 0 or members.max() >= groups:
        raise Refused(f"group: from {members.min()} to {members.max()}; whole numbers from 0 to {groups - 1} are allowed")
    size, bad = np.bincount(members, minlength=groups), np.bincount(members[fails], minlength=groups)
    return [(int(failures), int(total)) for failures, total in zip(bad, size, strict=True)]
