"""Agreement on the segment, and limits per group."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Refused
from certify.risk.rates import group_limits, groups_within, rate_upper, segment_disagreement_upper
from certify.theory.binomial import clopper_pearson_upper

NAMES = ("a", "b", "c")


def test_what_was_not_shown_is_a_failure() -> None:
    shown = np.array([True] * 97 + [False] * 3)
    assert segment_disagreement_upper(shown, 0.05) == clopper_pearson_upper(3, 100, 0.05)
    assert segment_disagreement_upper(~shown[:97], 0.05) == 1.0 == segment_disagreement_upper([], 0.05)
    assert segment_disagreement_upper([True], 0.05) == pytest.approx(0.95)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.data())
def test_slack_costs_coverage_only(shown: list[bool], data: st.DataObject) -> None:
    fewer = [each and data.draw(st.booleans()) for each in shown]
    assert segment_disagreement_upper(fewer, 0.05) >= segment_disagreement_upper(shown, 0.05)


@pytest.mark.parametrize("bad", [[0.0, 1.0], [[True]], [None, True], [math.nan]])
def test_only_truth_values(bad: list) -> None:
    with pytest.raises(Refused):
        segment_disagreement_upper(bad, 0.05)


def test_limits_of_groups_hold_together_and_a_group_not_seen_is_vacuous() -> None:
    found = group_limits([True, False, False, False], [0, 0, 1, 1], NAMES, 0.06)
    assert [(g.failures, g.samples, g.vacuous) for g in found] == [(1, 2, False), (0, 2, False), (0, 0, True)]
    assert found[1].limit == pytest.approx(1 - math.sqrt(0.02)) and found[2].limit == 1.0
    assert str(found[2]) == "VACUOUS: c: 0 of 0 seen, at most 1"
    assert all(g.vacuous for g in group_limits([], [], NAMES, 0.05)) and group_limits([], [], (), 0.05) == ()


def test_together_they_miss_rarely() -> None:
    """Exact for two groups of 6 samples; without the shared level it would fail."""
    n, alpha = 6, 0.1

    def missed(share: float, rates: tuple[float, float]) -> float:
        limit = [rate_upper(k, n, share) for k in range(n + 1)]
        total = 0.0
        for ks in itertools.product(range(n + 1), repeat=2):
            mass = math.prod(math.comb(n, k) * r**k * (1 - r) ** (n - k) for k, r in zip(ks, rates, strict=True))
            total += mass * any(limit[k] < r for k, r in zip(ks, rates, strict=True))
        return total

    edge = 1 - (alpha * 0.999) ** (1 / n)
    grid = [0.05, 0.2, 0.5, 0.9, 1.0, edge]
    assert max(missed(alpha / 2, rates) for rates in itertools.product(grid, repeat=2)) <= alpha
    just_above = rate_upper(0, n, alpha) * (1 + 1e-9)
    assert missed(alpha, (just_above, just_above)) > 1.8 * alpha


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=60), st.sampled_from([0.3, 0.6, 0.9]))
def test_holm_marks_every_group_whose_limit_shows_it(rows: list[tuple[bool, int]], wanted: float) -> None:
    failed, group = [r[0] for r in rows], [r[1] for r in rows]
    limits = group_limits(failed, group, NAMES, 0.1)
    marked = groups_within(failed, group, NAMES, wanted, 0.1)
    for limit, mark in zip(limits, marked, strict=True):
        assert mark or limit.limit > wanted * (1 - 1e-12)
        assert not (mark and limit.samples == 0)


@pytest.mark.parametrize("group", [[0, 3], [-1, 0], [0.5, 1.0], [0]])
def test_groups_nobody_named_are_refused(group: list) -> None:
    with pytest.raises(Refused):
        group_limits([True, False], group, NAMES, 0.05)
