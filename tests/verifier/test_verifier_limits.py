"""Second derivations against the producing code: bets, tails, shifts, procedures, classes."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.records import Outcomes, Pair, Refused
from certify.risk.betting import betting_upper, drop_betting_upper, drop_p_value
from certify.risk.choosing import fixed_sequence, graph, holm, rate_p_value
from certify.risk.shift import chi_square_shifted, kl_shifted
from certify.verifier.choices import passes
from certify.verifier.guarantees import class_limit, classes, recompute
from certify.verifier.limits import drop_limit, drop_tail, increase_limit, rate_tail, upper_limit, within_chi_square, within_kl

CELLS = [(n, lost, won) for n in (20, 540, 50_000) for lost in (0, 1, n // 10, n - 1, n) for won in (0, 2, n // 10, n - lost)]
p_values = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 0.06), st.just(0.025)), min_size=1, max_size=6)


@pytest.mark.parametrize("alpha", [0.4, 0.05, 0.00625, 1e-6])
def test_bets_come_to_the_same_limit_and_p_value(alpha: float) -> None:
    for n, lost, won in CELLS:
        if lost + won <= n:
            assert drop_limit(lost, won, n, alpha) == pytest.approx(drop_betting_upper(lost, won, n, alpha), abs=1e-12)
            for level in (-0.5, 0.01, 0.3):
                assert drop_tail(lost, won, n, level, alpha) == pytest.approx(drop_p_value(lost, won, n, level, alpha), rel=1e-9)


@given(
    values=st.lists(st.floats(-1, 3), min_size=1, max_size=60),
    alpha=st.sampled_from([0.4, 0.05, 1e-4]),
    rest=st.tuples(st.floats(0, 5), st.floats(0, 5)),
)
def test_plug_in_bets_come_to_the_same_limit(values: list[float], alpha: float, rest: tuple[float, float]) -> None:
    low, high = -1.0 - rest[0], 3.0 + rest[1]
    assert increase_limit(values, low, high, alpha) == pytest.approx(betting_upper(values, low, high, alpha), abs=1e-9)


def test_tails_of_a_rate() -> None:
    for n, k, level in itertools.product((20, 540, 5000), (0, 1, 7, 20), (0.0, 0.01, 0.05, 0.9)):
        assert rate_tail(k, n, level) == pytest.approx(rate_p_value(k, n, level), rel=1e-9, abs=1e-290)


@given(rate=st.floats(0, 1), kl=st.floats(0, 5), chi=st.floats(0, 50))
def test_shifts_by_duality_and_by_their_equation(rate: float, kl: float, chi: float) -> None:
    rate, kl = (0.0 if each < 1e-12 else each for each in (rate, kl))
    assert within_kl(rate, kl) == pytest.approx(kl_shifted(rate, kl), rel=1e-9)
    assert within_chi_square(rate, chi) == pytest.approx(chi_square_shifted(rate, chi), rel=1e-9)


@given(p=p_values, data=st.data())
def test_procedures_in_exact_arithmetic(p: list[float], data: st.DataObject) -> None:
    k, alpha = len(p), 0.0437
    w = np.array(data.draw(st.lists(st.integers(0, 4), min_size=k, max_size=k)), dtype=float)
    g = np.array(data.draw(st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=k, max_size=k)), dtype=float)
    w, g = w / max(1.0, w.sum()), g * (1 - np.eye(k)) / np.maximum(1.0, (g * (1 - np.eye(k))).sum(axis=1, keepdims=True))
    wanted = {"fixed-sequence": fixed_sequence(p, alpha), "holm": holm(p, alpha), "graph": graph(p, w * (1 - 1e-13), g, alpha)}
    for procedure, expected in wanted.items():
        choice: Any = SimpleNamespace(procedure=procedure, weights=w, transitions=g)
        assert passes(p, choice, alpha) == expected.tolist()


def test_classes_are_counted_from_the_logits_and_one_not_seen_is_vacuous() -> None:
    reference = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=float)
    shipped = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=float)
    pair, samples = Pair("a" * 64, "b" * 64, "toy", "given"), ("0", "1", "2", "3")
    found = Outcomes(pair, "c" * 64, samples, np.array([0, 0, 1, 1]), reference, shipped, {})
    assert classes(found) == [(2, 1), (2, 1), (0, 0)]
    estimate, limit, _ = recompute("disagreement_by_class", {"samples": 4}, 0.06, classes(found))
    assert (estimate, limit) == (0.5, 1.0) and class_limit(0, 0, 0.02) == 1.0
    assert recompute("disagreement_by_class", {"samples": 4}, 0.06, [(2, 1), (2, 0)])[1] == upper_limit(1, 2, 0.03)
    with pytest.raises(Refused, match="unlabelled"):
        classes(Outcomes(pair, "c" * 64, samples, None, reference, shipped, {}))


def test_edges_of_the_bets() -> None:
    assert drop_limit(20, 0, 20, 0.05) == 1.0
    assert -1 < drop_limit(0, 20, 20, 0.05) < 0
    assert drop_tail(20, 0, 20, 0.5, 0.05) == 1.0
    assert within_kl(0.0, 1.0) == 0.0 and within_kl(0.5, math.log(2)) == pytest.approx(1.0, rel=1e-9)
