"""Trials of the outward-rounded twins: the exact value, in rationals or enclosed by mpmath, rounded towards the bound.

x <= b for a float64 b if and only if x rounded up is <= b, so no tolerance is needed: it is 0 throughout.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from certify.theory import exact, outward
from certify.theory._arrays import finite
from certify.theory.elastic_net import is_improvement
from certify.theory.emp.effective_number import rounded_up
from proofs_check.trials.core import Field, Side, Trial

REMOVED = Field("R, the removed weights", ("rows", "cols"))
INPUTS = Field("what each token of each sample sends into the layer", ("samples", "tokens", "cols"))
LOGITS = Field("logits of the dense network, one row per sample", ("samples", "classes"))
LABELS = Field("true class of each sample", ("samples",), kind="label")
ETA = Field("proved bound on the largest move of a logit, per sample", ("samples",), low=0.0)
PENALTY = Field("weight of a penalty", low=0.0)
BITS = 2000


def _fractions(array) -> Any:
    return np.vectorize(Fraction, otypes=[object])(finite(array, "array"))


def _down(value: Fraction) -> float:
    return -rounded_up(-value)


def _root(square: Fraction) -> Fraction:
    """A rational just below the root."""
    return Fraction(isqrt((square.numerator << 2 * BITS) // square.denominator), 1 << BITS)


def _dot(removed, inputs):
    true, found = exact.data_path_size(removed, inputs), outward.data_path_size_upper(removed, inputs)
    return [Side(f"||R V|| of sample {s}, exactly", rounded_up(true[s]), float(found[s])) for s in range(len(found))]


def _inputs(removed, inputs, removed_error, input_error, removed_share, input_share):
    found = outward.data_path_size_upper(removed, inputs, removed_error=removed_error, input_error=input_error)
    weights = _fractions(removed) + _fractions(removed_error) * _fractions(removed_share)
    tokens = _fractions(inputs) + _fractions(input_error) * _fractions(input_share)
    true = exact.data_path_size(weights, tokens)
    return [Side(f"||R* V*|| of sample {s}, exactly", rounded_up(true[s]), float(found[s])) for s in range(len(found))]


def _norms(removed, inputs):
    rows, squared = exact.data_path_upper_rows(removed, inputs), exact.data_path_upper_euclidean_squared(removed, inputs)
    by_rows, by_norms = outward.data_path_upper_rows(removed, inputs), outward.data_path_upper_euclidean(removed, inputs)
    for s in range(len(by_rows)):
        yield Side(f"row-sum bound of sample {s}, exactly", rounded_up(rows[s]), float(by_rows[s]))
        yield Side(f"row-norm bound of sample {s}, root rounded down first", rounded_up(_root(squared[s])), float(by_norms[s]))
    constant = exact.lipschitz_by_row_sums([removed])
    yield Side("largest row sum, exactly", rounded_up(constant), outward.lipschitz_by_row_sums([removed]))


def _reward(removed, l2, l1):
    true = _down(exact.reward(removed, l2, l1))
    nearest = float(l2 * np.sum(np.square(removed)) + l1 * np.sum(np.abs(removed)))
    a_priori = outward.reward_lower_a_priori(nearest, removed.size, l2)
    return [
        Side("reward rounded down <= the exact one", outward.reward_lower(removed, l2, l1), true),
        Side("fl(reward) (1 - gamma) - underflow <= the exact one", a_priori, true),
    ]


def _float(removed, keep, inputs, lipschitz, l2, l1, theta):
    kept, gone = np.where(keep, removed, 0.0), np.where(keep, 0.0, removed)
    bound = outward.budget_upper(lipschitz, outward.data_path_size_upper(gone, inputs))
    true = exact.budget(lipschitz, exact.data_path_size(gone, inputs))
    change = exact.change_upper(theta, true, gone, kept, l2, l1)
    said = is_improvement(bound, outward.reward_lower(gone, l2, l1))
    yield Side("budget, exactly", rounded_up(true), bound)
    yield Side("bound on the change, exactly", rounded_up(change), outward.change_upper(theta, bound, gone, kept, l2, l1))
    yield Side("certified in float64 <= certified exactly", said, exact.is_improvement(true, exact.reward(gone, l2, l1)))


def _lambda(logits, labels, eta):
    low, high = outward.cross_entropy(logits, labels)
    bounds = outward.log_probabilities(logits, labels)
    upper, lower = outward.increase_upper(bounds[1], bounds[3], eta), outward.increase_lower(bounds[0], bounds[2], eta)
    for s, label in enumerate(labels):
        against = sum(_exp(z) for z in _fractions(logits[s]) - Fraction(logits[s][label])) - 1
        yield from _between(f"cross-entropy of sample {s}", low[s], _log1p(against), high[s])
        yield Side(f"Lambda(2 eta) of sample {s}", rounded_up(_low(_cumulant(against, 2 * eta[s]))), float(upper[s]))
        yield Side(f"Lambda(-2 eta) of sample {s}", float(lower[s]), _down(_high(_cumulant(against, -2 * eta[s]))))


def _cumulant(against, x):
    """log(p + (1 - p) e^x) from the odds against; the quotient form where most of the probability is lost."""
    excess = (_exp(x) - 1) * against / (1 + against)
    return _log1p(excess) if excess.a > -0.5 else _log1p(against * _exp(x)) - _log1p(against)


def _elementary(x, e, a):
    for name, bounds, value, true in (
        ("exp", outward.exp_bounds, x, lambda: _exp(x)),
        ("expm1", outward.expm1_bounds, x, lambda: _exp(x) - 1),
        ("log1p", outward.log1p_bounds, e, lambda: _log1p(_interval(e))),
        ("softplus", outward.softplus_bounds, a, lambda: _log1p(_exp(a))),
    ):
        low, high = bounds(np.array([value]))
        yield from _between(name, low[0], true(), high[0])


def _margin(logits, labels, eta, logit_error, dense_share, move_share):
    real = _fractions(logits) + _fractions(logit_error) * _fractions(dense_share)
    pruned = real + _fractions(eta)[:, None] * _fractions(move_share)
    low, high = outward.true_margin(logits, labels)
    before, after = exact.true_margin(real, labels) > 0, exact.true_margin(pruned, labels) > 0
    lost, won = outward.may_lose(low, high, eta, logit_error), outward.may_gain(low, high, eta, logit_error)
    yield Side("losses that were not announced", float(np.sum(before & ~after & ~lost)), 0.0)
    yield Side("gains that were not announced", float(np.sum(~before & after & ~won)), 0.0)
    stable = outward.predicted_label_stable(outward.predicted_margin_lower(logits), eta, logit_error)
    moved = [int(np.argmax(pruned[s]) != np.argmax(logits[s])) for s in np.flatnonzero(stable)]
    yield Side("stable labels that changed", float(sum(moved)), 0.0)


def _between(name, low, true, high):
    yield Side(f"lower end of {name}", float(low), _down(_high(true)))
    yield Side(f"upper end of {name}", rounded_up(_low(true)), float(high))


def _context() -> Any:
    from mpmath.ctx_iv import MPIntervalContext

    context = MPIntervalContext()
    context.prec = BITS
    return context


_IV = _context()


def _interval(value) -> Any:
    value = Fraction(value)
    return _IV.mpf(value.numerator) / _IV.mpf(value.denominator)


def _exp(value) -> Any:
    return _IV.exp(_interval(value))


def _log1p(y) -> Any:
    """log(1 + y); where y is below the precision, between y - y^2 and y."""
    return _IV.mpf([(y - y * y).a, y.b]) if abs(y).b < _IV.mpf(2) ** -600 else _IV.log(1 + y)


def _low(x) -> Fraction:
    return _end(x._mpi_[0])


def _high(x) -> Fraction:
    return _end(x._mpi_[1])


def _end(raw) -> Fraction:
    from mpmath.libmp import to_rational

    return Fraction(*map(int, to_rational(raw)))


def _shares(**shares):
    return {"shares lie in [-1, 1]": all(np.all(np.abs(share) <= 1.0) for share in shares.values())}


def _share(about, *sizes):
    return Field(about, sizes, low=-1.0, high=1.0)


TRIALS = (
    Trial("X29-dot", {"removed": REMOVED, "inputs": INPUTS}, lambda **i: _dot(**i), tolerance=0.0),
    Trial(
        "X29-inputs",
        {
            "removed": REMOVED,
            "inputs": INPUTS,
            "removed_error": Field("E >= |R* - R|", ("rows", "cols"), low=0.0),
            "input_error": Field("e >= |v* - v|", ("samples", "tokens", "cols"), low=0.0),
            "removed_share": _share("(R* - R) / E", "rows", "cols"),
            "input_share": _share("(v* - v) / e", "samples", "tokens", "cols"),
        },
        lambda **i: _inputs(**i),
        lambda removed_share, input_share, **_: _shares(r=removed_share, v=input_share),
        tolerance=0.0,
    ),
    Trial("X29-norms", {"removed": REMOVED, "inputs": INPUTS}, lambda **i: list(_norms(**i)), tolerance=0.0),
    Trial("X29-reward", {"removed": REMOVED, "l2": PENALTY, "l1": PENALTY}, lambda **i: _reward(**i), tolerance=0.0),
    Trial(
        "X29-float",
        {
            "removed": Field("A, the weights before the removal", ("rows", "cols")),
            "keep": Field("1 where the weight stays", ("rows", "cols"), kind="mask"),
            "inputs": INPUTS,
            "lipschitz": Field("L_s, proved", ("samples",), low=0.0),
            "l2": PENALTY,
            "l1": PENALTY,
            "theta": Field("share of the removed part that stays", low=0.0, high=1.0),
        },
        lambda **i: list(_float(**i)),
        tolerance=0.0,
    ),
    Trial("X29-lambda", {"logits": LOGITS, "labels": LABELS, "eta": ETA}, lambda **i: list(_lambda(**i)), tolerance=0.0),
    Trial(
        "X29-elementary",
        {
            "x": Field("argument of exp", low=-760.0, high=700.0),
            "e": Field("argument of log(1 + e)", low=-0.5),
            "a": Field("log-odds", low=-760.0, high=760.0),
        },
        lambda **i: list(_elementary(**i)),
        tolerance=0.0,
    ),
    Trial(
        "X29-margin",
        {
            "logits": LOGITS,
            "labels": LABELS,
            "eta": ETA,
            "logit_error": Field("e_z, bound on the error of each computed logit", low=0.0),
            "dense_share": _share("(z - computed z) / e_z", "samples", "classes"),
            "move_share": _share("(z' - z) / eta", "samples", "classes"),
        },
        lambda **i: list(_margin(**i)),
        lambda dense_share, move_share, **_: _shares(dense=dense_share, move=move_share),
        tolerance=0.0,
    ),
)
