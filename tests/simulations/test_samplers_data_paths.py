"""Noise on given data: the law of dense R on the same tokens, the pruning's exactness, suprema over a span.

Every comparison of laws has false-alarm rate 1e-6 (Bonferroni over its statistics), seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from certify.laws.maxima import MaxAbsGaussian
from certify.records import Refused
from certify.theory.gaussian import rank_multiplier
from simulations.samplers import compare, gram_factor, largest_noise_size, noise_sizes, span_suprema
from simulations.samplers.data_paths import pruned_maxima

FALSE_ALARM, DRAWS = 1e-6, 2000


def data(samples: int, tokens: int, cols: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    basis = rng.standard_normal((rank, cols))
    return rng.standard_normal((samples, tokens, rank)) @ basis * rng.gamma(1.0, size=(samples, 1, 1))


def dense(inputs, rows: int, variance: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, T) sizes from drawn matrices, sample by sample."""
    noise = math.sqrt(variance) * rng.standard_normal((draws, rows, len(inputs[0][0])))
    return np.stack([np.abs(noise @ np.asarray(sample).T).max(axis=(1, 2)) for sample in inputs], axis=1)


def differ(first: np.ndarray, second: np.ndarray) -> bool:
    return compare(first, second).p_value < FALSE_ALARM


@pytest.mark.parametrize(
    ("rows", "samples", "tokens", "cols", "rank"),
    [(200, 6, 1, 12, 3), (7, 5, 3, 9, 9), (150, 4, 2, 6, 1), (9, 3, 1, 40, 3), (130, 2, 60, 30, 20), (1, 2, 2, 4, 2)],
)
def test_sizes_have_the_law_of_dense_noise(rows: int, samples: int, tokens: int, cols: int, rank: int) -> None:
    rng = np.random.default_rng([1, rows, cols])
    inputs = data(samples, tokens, cols, rank, rng)
    factor = gram_factor(inputs)
    assert factor.rank == min(rank, samples * tokens)
    reference = dense(inputs, rows, 0.3, DRAWS, rng)
    assert not differ(noise_sizes(factor, rows, 0.3, DRAWS, rng), reference)
    largest = largest_noise_size(factor, rows, 0.3, DRAWS, rng)
    assert not differ(largest[:, None], dense(inputs, rows, 0.3, DRAWS, rng).max(axis=1)[:, None])


def test_wrong_laws_are_seen() -> None:
    rng = np.random.default_rng(2)
    inputs = data(4, 3, 10, 4, rng)
    reference = dense(inputs, 30, 1.0, DRAWS, rng)
    factor = gram_factor(inputs)
    assert not differ(noise_sizes(factor, 30, 1.0, DRAWS, rng), reference)
    assert differ(noise_sizes(gram_factor(inputs[:, :1]), 30, 1.0, DRAWS, rng), reference)
    assert differ(noise_sizes(factor, 20, 1.0, DRAWS, rng), reference)
    alone = np.column_stack([noise_sizes(gram_factor(inputs[s : s + 1]), 30, 1.0, DRAWS, rng) for s in range(4)])
    near = np.repeat(inputs[:1], 4, axis=0)
    together = noise_sizes(gram_factor(near), 30, 1.0, DRAWS, rng)
    apart = np.column_stack([noise_sizes(gram_factor(near[:1]), 30, 1.0, DRAWS, rng) for _ in range(4)])
    assert np.allclose(together, together[:, :1]) and differ(together, apart)
    assert alone.shape == reference.shape


def test_ragged_tokens() -> None:
    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal((count, 5)) for count in (1, 4, 2)]
    factor = gram_factor(inputs)
    assert factor.starts.tolist() == [0, 1, 5] and factor.norms.size == 7
    assert not differ(noise_sizes(factor, 12, 1.0, DRAWS, rng), dense(inputs, 12, 1.0, DRAWS, rng))


@given(st.integers(0, 10**6), st.integers(1, 400), st.integers(1, 6), st.integers(1, 8), st.integers(1, 12))
def test_pruning_skips_no_maximum(seed: int, rows: int, samples: int, tokens: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = data(samples, tokens, 12, rank, rng)
    inputs[rng.random((samples, tokens)) < 0.2] = 0.0
    factor = gram_factor(inputs)
    noise = rng.standard_normal((rows, factor.rank)) * rng.gamma(0.5, size=(rows, 1))
    every = np.abs(noise @ factor.directions * factor.norms).max(axis=0).reshape(samples, tokens).max(axis=1)
    np.testing.assert_allclose(pruned_maxima(noise, factor, np.repeat(np.arange(samples), tokens)), every, rtol=1e-12)


@given(st.integers(0, 10**6), st.floats(-150, 150))
def test_the_factor_has_the_gram_matrix(seed: int, power: float) -> None:
    """At every scale of the tokens, large and small ones side by side."""
    rng = np.random.default_rng(seed)
    tokens = rng.standard_normal((7, 2)) @ rng.standard_normal((2, 5))
    tokens[3:] *= 10.0**power
    factor = gram_factor(tokens[:, None])
    assert factor.rank == 2
    unit = tokens / np.linalg.norm(tokens, axis=1)[:, None]
    np.testing.assert_allclose(factor.directions.T @ factor.directions, unit @ unit.T, atol=1e-13)
    np.testing.assert_allclose(factor.norms, np.linalg.norm(tokens, axis=1), rtol=1e-14)


def test_a_zero_token_sends_nothing() -> None:
    inputs = np.zeros((3, 2, 4))
    rng = np.random.default_rng(4)
    assert np.all(noise_sizes(gram_factor(inputs), 5, 1.0, 2, rng) == 0.0)
    assert np.all(largest_noise_size(gram_factor(inputs), 5, 1.0, 2, rng) == 0.0)
    inputs[1, 1] = 1.0
    sizes = noise_sizes(gram_factor(inputs), 5, 1.0, 50, rng)
    assert np.all(sizes[:, [0, 2]] == 0.0) and np.all(sizes[:, 1] > 0.0)


@pytest.mark.parametrize(("rows", "rank"), [(40, 1), (40, 6), (1, 3), (7, 30)])
def test_suprema_over_a_span_are_largest_row_norms(rows: int, rank: int) -> None:
    rng = np.random.default_rng([5, rows, rank])
    drawn = np.linalg.norm(math.sqrt(0.4) * rng.standard_normal((DRAWS, rows, rank)), axis=2).max(axis=1)
    assert not differ(span_suprema(rows, rank, 0.4, DRAWS, rng)[:, None], drawn[:, None])
    assert differ(span_suprema(rows, rank + max(1, rank // 5), 0.4, DRAWS, rng)[:, None], drawn[:, None])


def test_suprema_meet_the_exact_laws() -> None:
    rng = np.random.default_rng(6)
    assert kstest(span_suprema(768, 1, 1.0, 4000, rng), MaxAbsGaussian(768).cdf).pvalue >= FALSE_ALARM
    draws = span_suprema(768, 8, 1.0, 100_000, rng)
    above = np.count_nonzero(draws > rank_multiplier(768, 8, 0.01))
    assert abs(above - 1000) < 5.0 * math.sqrt(990)


def test_the_span_dominates_its_vectors() -> None:
    """In law, sup over the span >= the largest size of unit tokens in it: means, ten standard errors apart."""
    rng = np.random.default_rng(7)
    tokens = data(200, 1, 20, 5, rng)
    tokens /= np.linalg.norm(tokens, axis=2, keepdims=True)
    largest = largest_noise_size(gram_factor(tokens), 50, 1.0, 1000, rng)
    over = span_suprema(50, 5, 1.0, 1000, rng)
    assert over.mean() > largest.mean() + 5.0 * largest.std() / math.sqrt(1000)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros((0, 1, 3)), "inputs"),
        (np.zeros((2, 3)), "inputs"),
        ([np.ones((1, 3)), np.ones((1, 4))], "columns"),
        (np.full((1, 1, 2), math.inf), "not finite"),
        (np.full((1, 1, 4), 1e308), "overflows"),
    ],
)
def test_bad_data_is_refused(inputs, said: str) -> None:
    with pytest.raises(Refused, match=said):
        gram_factor(inputs)


def test_bad_models_are_refused() -> None:
    factor, rng = gram_factor(np.ones((1, 1, 2))), np.random.default_rng(0)
    for call in (
        lambda: noise_sizes(factor, 0, 1.0, 1, rng),
        lambda: largest_noise_size(factor, 1, -1.0, 1, rng),
        lambda: noise_sizes(factor, 1, 1.0, 0, rng),
        lambda: span_suprema(1, 0, 1.0, 1, rng),
    ):
        with pytest.raises(Refused):
            call()
