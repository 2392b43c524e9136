"""Draws until an interval is narrow enough: deterministic, and covering what it says although it looks several times."""

import math

import numpy as np
import pytest

from certify.records import CertifyError, Refused
from certify.theory.binomial import clopper_pearson_lower, clopper_pearson_upper
from simulations import until, until_share
from simulations.engine.study import generator_of

FALSE_ALARM = 1e-6
DELTA = 0.1
TRIALS = 3000


def share(generator, probability):
    return lambda size: generator.random(size) < probability


def test_the_same_generator_gives_the_same_answer():
    answers = []
    for key in (b"a" * 16, b"a" * 16, b"b" * 16):
        generator = generator_of(key)
        answers.append((until(0.2, generator.standard_normal), until_share(0.1, share(generator, 0.2))))
    assert answers[0] == answers[1] != answers[2]


def test_it_stops_at_the_wanted_width_and_not_later():
    generator = generator_of(b"c" * 16)
    one = until(0.1, generator.standard_normal, first=50)
    assert one.reached and one.upper - one.lower <= 0.1 and one.draws in (50 * 2**look for look in range(20))
    # Half as many draws would not do: the width scales as 1 / sqrt(n), sd is 1 to within 10 %.
    assert one.draws >= (2 * 1.96 / 0.1) ** 2 / 1.3
    two = until_share(0.02, share(generator, 0.5), most=1000)
    assert not two.reached and two.draws == 1000 and two.upper - two.lower > 0.02


def test_the_mean_is_that_of_all_draws():
    drawn = []

    def draw(size):
        drawn.append(np.random.default_rng(len(drawn)).normal(1e6, 1.0, size))
        return drawn[-1]

    one = until(0.3, draw)
    everything = np.concatenate(drawn)
    assert one.draws == len(everything) > 64
    assert one.value == pytest.approx(everything.mean(), rel=1e-14)
    look = round(math.log2(one.draws / 64)) + 1
    from scipy.stats import t

    half = t.isf(0.05 / (look * (look + 1)) / 2, one.draws - 1) * everything.std(ddof=1) / math.sqrt(one.draws)
    assert (one.upper - one.lower) / 2 == pytest.approx(half, rel=1e-7)


def test_the_limits_of_a_share_are_those_of_its_look():
    one = until_share(0.2, lambda size: np.arange(size) % 4 == 0, first=8, delta=DELTA)
    look = round(math.log2(one.draws / 8)) + 1
    level, events = DELTA / (look * (look + 1)) / 2, one.draws // 4
    assert look > 2 and one.value == 0.25
    assert one.lower == clopper_pearson_lower(events, one.draws, level)
    assert one.upper == clopper_pearson_upper(events, one.draws, level)


@pytest.mark.parametrize(("probability", "precision"), [(0.3, 0.2), (0.02, 0.08), (0.97, 0.1)])
def test_a_share_is_covered(probability, precision):
    """Seed by key; refuted at level 1e-6 only."""
    generator = generator_of(b"d" * 16)
    missed = sum(
        not one.lower <= probability <= one.upper
        for one in (until_share(precision, share(generator, probability), delta=DELTA, first=8) for _ in range(TRIALS))
    )
    assert clopper_pearson_lower(missed, TRIALS, FALSE_ALARM) <= DELTA


@pytest.mark.parametrize("precision", [1.0, 0.5])
def test_a_normal_mean_is_covered(precision):
    """Exact for normal draws; seed by key, refuted at level 1e-6 only."""
    generator = generator_of(b"e" * 16)
    ends = [until(precision, generator.standard_normal, delta=DELTA, first=4) for _ in range(TRIALS)]
    missed = sum(not one.lower <= 0.0 <= one.upper for one in ends)
    assert clopper_pearson_lower(missed, TRIALS, FALSE_ALARM) <= DELTA


def test_stopping_at_the_first_narrow_interval_of_full_level_is_seen():
    """Control: the interval that spends delta at every look misses too often, and the check above says so."""
    generator = generator_of(b"f" * 16)
    missed = 0
    for _ in range(TRIALS):
        draws = generator.standard_normal(4)
        while True:
            half = 1.6448536269514722 * draws.std(ddof=1) / math.sqrt(len(draws))
            if 2 * half <= 1.0 or len(draws) > 4096:
                break
            draws = np.concatenate([draws, generator.standard_normal(len(draws))])
        missed += abs(draws.mean()) > half
    assert clopper_pearson_lower(missed, TRIALS, FALSE_ALARM) > DELTA


def test_draws_that_are_all_equal_need_one_look():
    one = until(1e-9, lambda size: np.full(size, 3.0))
    assert (one.value, one.lower, one.upper, one.draws, one.reached) == (3.0, 3.0, 3.0, 64, True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: until(0.0, np.zeros),
        lambda: until(math.nan, np.zeros),
        lambda: until(0.1, np.zeros, delta=1.0),
        lambda: until(0.1, np.zeros, first=10, most=5),
        lambda: until_share(-0.1, np.zeros),
    ],
)
def test_wrong_wishes_are_refused(wrong):
    with pytest.raises(CertifyError):
        wrong()


@pytest.mark.parametrize("draw", [lambda size: np.zeros(size + 1), lambda size: np.full(size, np.nan)])
def test_wrong_draws_are_refused(draw):
    with pytest.raises(Refused, match="draw"):
        until(0.1, draw)
    with pytest.raises(Refused, match="truth values"):
        until_share(0.1, draw)
