"""Trials of the decision bounds. Decisions after the move are taken in exact fractions, so a tie is a tie.

The float margins of the functions round to nearest: they decide as the exact ones wherever differences of logits are exact,
and only those samples are compared as decisions. That margins move by at most 2 eta is compared on every sample.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from certify.records import Refused
from certify.theory import budget as layer
from certify.theory import margins
from proofs_check.trials.budget import INPUTS, KEPT, LABELS, TAIL, THETA, WEIGHT, segment
from proofs_check.trials.core import Field, Side, Trial

LOGITS = Field("logits of the dense network; multiples of 1/2 tie exactly", ("samples", "classes"))
MOVES = Field("what is added to the logits", ("samples", "classes"))
EXCESS = Field("pi_j - (d_j - d_C)", ("samples", "classes"), low=0.0)
ETA = Field("bound on the largest move of a logit, per sample", ("samples",), low=0.0, optional=True)


def _eta(moves, eta):
    return np.abs(moves).max(axis=1) if eta is None else eta


def _within(moves, eta, **_):
    return {"no logit moves by more than eta": np.all(np.abs(moves) <= _eta(moves, eta)[:, None])}


def _fractions(*tables):
    """Exact sum of float tables, as rows of fractions."""
    if not all(np.all(np.isfinite(table)) for table in tables):
        raise Refused("logits, moves: NaN or infinite")
    return [[sum(map(Fraction, entries)) for entries in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def _decision(text, left, right, equal=False):
    return Side(text, float(left), float(right), equal)


def _lead(row, label, k=1):
    """z_C minus the k-th largest of the others, exactly."""
    return row[label] - sorted((z for j, z in enumerate(row) if j != label), reverse=True)[k - 1]


def _exact(row):
    """Whether float64 subtracts any two of these logits without rounding."""
    return all(Fraction(a) - Fraction(b) == Fraction(a - b) for a in map(float, row) for b in map(float, row))


def _predicted(logits, labels, moves, eta):
    bound, before, after = _eta(moves, eta), _fractions(logits), _fractions(logits, moves)
    stable = margins.predicted_label_stable(margins.predicted_margin(logits), bound)
    may_change = margins.may_change_published(margins.true_margin(logits, labels), bound)
    tops = [[{j for j, z in enumerate(row) if z == max(row)} for row in rows] for rows in (before, after)]
    scale = float(np.abs(logits).max() + bound.max())
    changed = 0
    for s, label in enumerate(labels):
        moved = abs(_lead(after[s], label) - _lead(before[s], label))
        yield Side(f"sample {s}: the true margin moves by at most 2 eta", float(moved), 2.0 * bound[s], scale=scale)
        differs = len(tops[1][s]) > 1 or tops[0][s] != tops[1][s]
        yield _decision(f"sample {s}: (a) label changed or tied only if not stable", differs, not stable[s])
        changed += (_lead(before[s], label) > 0) != (_lead(after[s], label) > 0)
    yield Side("(b) samples that change correctness", changed, float(may_change.sum()))


def _counted(before, after, labels, margin, bound, exact, k=1):
    """Losses and gains against the sets and the interval; samples whose differences round are left out."""
    lose, gain = margins.may_lose(margin, bound), margins.may_gain(margin, bound)
    change = 0
    for s, label in enumerate(labels):
        was, now = _lead(before[s], label, k) > 0, _lead(after[s], label, k) > 0
        if exact[s]:
            change += int(now) - int(was)
            yield _decision(f"sample {s}: lost only within 0 < Delta <= 2 eta", was and not now, lose[s])
            yield _decision(f"sample {s}: gained only within -2 eta < Delta <= 0", now and not was, gain[s])
    if any(exact):
        low, high = margins.accuracy_change_interval(lose[exact], gain[exact])
        yield Side("lower end of the interval", low, change / sum(exact), scale=1.0)
        yield Side("upper end of the interval", change / sum(exact), high, scale=1.0)
        yield Side(
            "within the published count", max(-low, high), float(margins.may_change_published(margin, bound)[exact].mean())
        )


def _signed(logits, labels, moves, eta):
    bound, before, after = _eta(moves, eta), _fractions(logits), _fractions(logits, moves)
    exact, margin = np.array([_exact(row) for row in logits]), margins.true_margin(logits, labels)
    scale = float(np.abs(logits).max() + bound.max())
    for s, label in enumerate(labels):
        yield Side(f"sample {s}: the margin", float(_lead(before[s], label)), margin[s], True, scale)
        least = float(_lead(before[s], label) - _lead(after[s], label))
        yield Side(f"sample {s}: the margin falls by at most 2 eta", least, 2.0 * bound[s], scale=scale)
    yield from _counted(before, after, labels, margin, bound, exact)
    yield from _attained(logits, labels, bound, exact)


def _attained(logits, labels, bound, exact):
    """Loss by d = +eta (1 - 2 e_C), gain by minus."""
    margin = margins.true_margin(logits, labels)
    direction = bound[:, None] * (1.0 - 2.0 * np.eye(logits.shape[1])[labels])
    before, down, up = _fractions(logits), _fractions(logits, direction), _fractions(logits, -direction)
    for s, label in enumerate(labels):
        if exact[s]:
            was = _lead(before[s], label) > 0
            lost, gained = was and _lead(down[s], label) <= 0, not was and _lead(up[s], label) > 0
            yield _decision(f"sample {s}: the loss is reached", margins.may_lose(margin, bound)[s], lost, True)
            yield _decision(f"sample {s}: the gain is reached", margins.may_gain(margin, bound)[s], gained, True)


def _pairwise(logits, labels, moves, excess):
    """pi_j is the exact gain plus the excess where float64 holds it, so that no rounding makes it smaller."""
    before, after = _fractions(logits), _fractions(logits, moves)
    relative = moves - moves[np.arange(len(labels)), labels][:, None]
    lose = margins.may_lose_pairwise(logits, labels, relative + excess)
    gain = margins.may_gain_pairwise(logits, labels, -relative + excess)
    loose = np.abs(relative).max(axis=1) + excess.max(axis=1)
    margin, scale = margins.true_margin(logits, labels), float(np.abs(logits).max() + np.abs(moves).max() + excess.max())
    for s, label in enumerate(labels):
        was, now = _lead(before[s], label) > 0, _lead(after[s], label) > 0
        allowed = max((relative + excess)[s, j] for j in range(logits.shape[1]) if j != label)
        fall = float(_lead(before[s], label) - _lead(after[s], label))
        yield Side(f"sample {s}: the margin falls by at most max pi_j", fall, allowed, scale=scale)
        if _exact(logits[s]) and _exact(moves[s]):
            yield _decision(f"sample {s}: lost only if z_C - z_j <= pi_j for some j", was and not now, lose[s])
            yield _decision(f"sample {s}: gained only if z_j - z_C < pi_j for all j", now and not was, gain[s])
            yield _decision(f"sample {s}: set of losses within the signed one", lose[s], margins.may_lose(margin, loose)[s])
            yield _decision(f"sample {s}: set of gains within the signed one", gain[s], margins.may_gain(margin, loose)[s])


def _top(logits, labels, moves, eta, k):
    bound, before, after = _eta(moves, eta), _fractions(logits), _fractions(logits, moves)
    margin = margins.topk_margin(logits, labels, k)
    scale = float(np.abs(logits).max() + bound.max())
    for s, label in enumerate(labels):
        exact = _lead(before[s], label, k)
        yield Side(f"sample {s}: the margin by sorting", float(exact), margin[s], True, scale)
        moved = abs(_lead(after[s], label, k) - exact)
        yield Side(f"sample {s}: the k-th margin moves by at most 2 eta", float(moved), 2.0 * bound[s], scale=scale)
        inside = sum(z >= after[s][label] for j, z in enumerate(after[s]) if j != label) < k
        yield _decision(f"sample {s}: Delta > 2 eta keeps C in the top k", margin[s] > 2.0 * bound[s], inside)
    yield from _counted(before, after, labels, margin, bound, np.array([_exact(row) for row in logits]), k)


def _nothing(weight, kept, inputs, dead, theta, labels, **after):
    """R lives on inputs that vanish on every sample: bitwise equal logits, and no decision can change."""
    live = np.where(dead, 0.0, inputs)
    dense, part, removed, constant = segment(weight, kept | ~dead[None, :], live, theta, **after)
    eta = (1.0 - theta) * constant * layer.data_path_size(removed, live)
    margin, moved = margins.true_margin(dense, labels), margins.true_margin(part, labels)
    lose, gain = margins.may_lose(margin, eta), margins.may_gain(margin, eta)
    yield Side("the budget is 0", float(eta.max()), 0.0, True)
    yield Side("no logit moves", float(np.abs(part - dense).max()), 0.0, True)
    low, high = margins.accuracy_change_interval(lose, gain)
    yield Side("nothing can be lost, ties included", low, 0.0, True)
    yield Side("nothing can be gained, ties included", high, 0.0, True)
    yield Side("the accuracy stays", float(np.mean(moved > 0.0)), float(np.mean(margin > 0.0)), True)


FIELDS = {"logits": LOGITS, "labels": LABELS, "moves": MOVES, "eta": ETA}


def _rank(logits, k, **rest):
    return _within(**rest) | {"k <= K - 1": 1 <= k < logits.shape[1]}


TRIALS = (
    Trial("C5.2-margin", FIELDS, lambda **i: list(_predicted(**i)), _within),
    Trial(
        "P5.2-zero-budget",
        {
            "weight": WEIGHT,
            "kept": KEPT,
            "inputs": INPUTS,
            "dead": Field("1 where an input vanishes on every sample; only there weights are removed", ("cols",), kind="mask"),
            "theta": THETA,
            "labels": LABELS,
            **TAIL,
        },
        lambda **i: list(_nothing(**i)),
    ),
    Trial("X5-margin-signed", FIELDS, lambda **i: list(_signed(**i)), _within),
    Trial(
        "X6-margin-pairwise",
        {
            "logits": LOGITS,
            "labels": LABELS,
            "moves": MOVES,
            "excess": EXCESS,
        },
        lambda **i: list(_pairwise(**i)),
    ),
    Trial("X7-topk", FIELDS | {"k": Field("k of top-k", kind="whole", low=1, high=4)}, lambda **i: list(_top(**i)), _rank),
)
