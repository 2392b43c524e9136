"""Trials of the cross-entropy bounds: the left side is the loss itself, before and after the move."""

from __future__ import annotations

import itertools
import math

import numpy as np

from certify.theory import budget as layer
from certify.theory import cross_entropy as ce
from certify.theory import margins
from proofs_check.trials.budget import INPUTS, KEPT, LABELS, TAIL, THETA, WEIGHT, magnitude, plain_budget, segment
from proofs_check.trials.core import Field, Side, Trial

LOGITS = Field("logits of the dense network, one row per sample", ("samples", "classes"))
MOVES = Field("what is added to the logits", ("samples", "classes"))
EXCESS = Field("pi_j - (d_j - d_C)", ("samples", "classes"), low=0.0)
ETA = Field("bound on the largest move of a logit, per sample", ("samples",), low=0.0, optional=True)
SHARES = Field("move of each logit as a share of eta", ("samples", "classes"), low=-1.0, high=1.0)


def _eta(moves, eta):
    return np.abs(moves).max(axis=1) if eta is None else eta


def _within(moves, eta, **_):
    return {"no logit moves by more than eta": np.all(np.abs(moves) <= _eta(moves, eta)[:, None])}


def _increase(logits, labels, moves):
    return ce.cross_entropy(logits + moves, labels) - ce.cross_entropy(logits, labels)


def _size(logits, moves):
    """Largest loss that cancels in the difference."""
    return float(np.ptp(logits, axis=1).max() + 2.0 * np.abs(moves).max() + 1.0)


def _sharp(logits, labels, moves, eta):
    move = _increase(logits, labels, moves)
    pair = ce.log_probabilities(logits, labels)
    upper, lower = ce.increase_upper(*pair, _eta(moves, eta)), ce.increase_lower(*pair, _eta(moves, eta))
    scale = _size(logits, moves)
    for s in range(len(labels)):
        yield Side(f"increase of sample {s} <= Lambda(2 eta)", move[s], upper[s], scale=scale)
        yield Side(f"Lambda(-2 eta) <= increase of sample {s}", lower[s], move[s], scale=scale)
        yield Side(f"sample {s}: -Lambda(-2 eta) <= Lambda(2 eta)", -lower[s], upper[s])
        yield Side(f"sample {s}: Lambda(2 eta) <= 2 eta", upper[s], 2.0 * _eta(moves, eta)[s])


def _network(inputs, first, first_bias, last, last_bias, activation, labels, shift):
    bend = (np.abs, lambda x: np.maximum(x, 0.0))[int(activation)]
    logits = bend(bend(inputs @ first.T + first_bias) @ last.T + last_bias)
    rho, scale = ce.softmax(logits), float(np.abs(logits).max() + abs(shift) + 1.0)
    loss, margin = ce.cross_entropy(logits, labels), margins.true_margin(logits, labels)
    moved = ce.softmax(logits + shift)
    for s, label in enumerate(labels):
        yield Side(f"sample {s}: sum of rho = 1", math.fsum(rho[s]), 1.0, True)
        yield Side(f"sample {s}: rho(z + c 1) = rho(z)", 0.0, -float(np.abs(moved[s] - rho[s]).max()), True, scale)
        yield Side(f"sample {s}: X >= 0, it ends with its activation", 0.0, logits[s].min())
        if rho[s, label] > 1e-300:
            yield Side(f"sample {s}: -log rho_C = ce", -math.log(rho[s, label]), loss[s], True, scale)
        if logits[s, label] == 0.0:
            yield Side(f"sample {s}: a true logit at 0 is an error (F28)", margin[s], 0.0)


def _loss(logits, labels, moves):
    """The gradient rho - e_C from both sides: convexity below, Hoeffding's lemma above."""
    loss, move, rho = ce.cross_entropy(logits, labels), _increase(logits, labels, moves), ce.softmax(logits)
    log_p, log_not_p = ce.log_probabilities(logits, labels)
    scale = _size(logits, moves)
    for s, label in enumerate(labels):
        top = logits[s].max()
        naive = math.log(math.fsum(math.exp(z - top) for z in logits[s])) + float(top - logits[s, label])
        yield Side(f"sample {s}: ce = -z_C + log sum exp z", naive, loss[s], True, scale)
        yield Side(f"sample {s}: ce = -log p", loss[s], -log_p[s], True)
        yield Side(f"sample {s}: p + (1 - p) = 1", math.exp(log_p[s]) + math.exp(log_not_p[s]), 1.0, True)
        gradient = rho[s] - np.eye(len(rho[s]))[label]
        yield Side(f"sample {s}: ||rho - e_C||_1 = 2 (1 - p)", np.abs(gradient).sum(), 2.0 * math.exp(log_not_p[s]), True, 1.0)
        first, bend = float(gradient @ moves[s]), float(np.ptp(moves[s])) ** 2 / 8.0
        yield Side(f"sample {s}: <rho - e_C, d> <= increase", first, move[s], scale=scale)
        yield Side(f"sample {s}: increase <= <rho - e_C, d> + osc(d)^2 / 8", move[s], first + bend, scale=scale)


def _published(weight, kept, inputs, theta, labels, **after):
    dense, part, removed, constant = segment(weight, kept, inputs, theta, **after)
    change = ce.cross_entropy(part, labels) - ce.cross_entropy(dense, labels)
    sizes = layer.data_path_size(removed, inputs)
    bound = ce.increase_published((1.0 - theta) * constant * sizes)
    scale = magnitude(weight, inputs, after["hidden"], after["readout"]) + 1.0
    for s in range(len(labels)):
        yield Side(f"sample {s}: |change| <= 2 eta", abs(change[s]), bound[s], scale=scale)
    whole = layer.budget(np.full(len(labels), constant), sizes)
    for sign, word in ((1.0, "increase"), (-1.0, "decrease")):
        mean = sign * float(change.mean())
        yield Side(f"{word} of the mean loss <= (1 - theta) B", mean, (1.0 - theta) * whole, scale=scale)
    plain = plain_budget(np.full(len(labels), constant), removed, inputs)
    yield Side("B by definition", (1.0 - theta) * plain, float(bound.mean()), True, scale)


def _pairwise(logits, labels, moves, excess):
    """Excess 0 asks for equality."""
    move, rows = _increase(logits, labels, moves), np.arange(len(labels))
    exact = moves - moves[rows, labels][:, None]
    other = np.arange(logits.shape[1]) != labels[:, None]
    gain, scale, pair = exact + excess, _size(logits, moves) + float(excess.max()), ce.log_probabilities(logits, labels)
    tight = ce.increase_upper_pairwise(logits, labels, exact)
    loose = ce.increase_upper_pairwise(logits, labels, gain)
    omega = np.where(other, gain, -np.inf).max(axis=1)
    span = ce.increase_upper_oscillation(*pair, omega)
    oscillation = ce.increase_upper_oscillation(*pair, np.ptp(moves, axis=1))
    sharp = ce.increase_upper(*pair, np.abs(moves).max(axis=1))
    for s in rows:
        yield Side(f"sample {s}: equality at pi_j = d_j - d_C", move[s], tight[s], True, scale)
        yield Side(f"sample {s}: increase <= log(p + sum q_j e^pi_j)", move[s], loose[s], scale=scale)
        yield Side(f"sample {s}: pairwise <= Lambda(omega)", loose[s], span[s], scale=scale)
        yield Side(f"sample {s}: increase <= Lambda(osc)", move[s], oscillation[s], scale=scale)
        yield Side(f"sample {s}: Lambda(osc) <= Lambda(2 eta)", oscillation[s], sharp[s], scale=scale)
    by_readout = ce.pairwise_by_readout(np.eye(logits.shape[1]), labels, np.abs(moves).max(axis=1))
    yield Side("readout: |d_j - d_C| <= ||w_j - w_C||_1 u", 0.0, float((by_readout - np.abs(exact)).min()), scale=scale)


def _average(logits, labels, shares, eta):
    move, pair = _increase(logits, labels, eta * shares), ce.log_probabilities(logits, labels)
    each = ce.increase_upper(*pair, np.full(len(labels), eta))
    average = ce.increase_upper_average(*pair, eta)
    scale = _size(logits, np.array([eta]))
    yield Side("mean increase <= Lambda_pbar(2 eta)", float(move.mean()), average, scale=scale)
    yield Side("mean of Lambda_p <= Lambda_pbar", float(each.mean()), average)
    yield Side("Lambda_pbar <= 2 eta", average, 2.0 * eta)
    for sign in (1.0, -1.0):
        x = np.full(len(labels), sign * 2.0 * eta)
        sharp, quadratic = ce.increase_upper_oscillation(*pair, x), ce.increase_upper_hoeffding(*pair, x)
        for s in range(len(labels)):
            yield Side(f"sample {s}: Lambda_p({x[s]:.3g}) <= (1 - p) x + x^2 / 8", sharp[s], quadratic[s], scale=abs(x[s]))


def _soft(logits, targets, shares, eta):
    def loss(z, s):
        top = z.max(axis=-1)
        return top + np.log(np.exp(z - top[..., None]).sum(axis=-1)) - z @ targets[s]

    exact, crude = ce.softlabel_upper(logits, targets, eta), ce.softlabel_upper_hoeffding(logits, targets, eta)
    vertices = np.array(list(itertools.product((-1.0, 1.0), repeat=logits.shape[1])))
    for s in range(len(eta)):
        scale = float(np.abs(logits[s]).max() + eta[s] + 1.0)
        worst = float((loss(logits[s] + eta[s] * vertices, s) - loss(logits[s], s)).max())
        inside = float(loss(logits[s] + eta[s] * shares[s], s) - loss(logits[s], s))
        yield Side(f"sample {s}: worst vertex of the box = max over sets", worst, exact[s], True, scale)
        yield Side(f"sample {s}: a move inside the box", inside, exact[s], scale=scale)
        yield Side(f"sample {s}: <= eta ||q - t||_1 + eta^2 / 2 and <= 2 eta", exact[s], crude[s], scale=eta[s])


FIELDS = {"logits": LOGITS, "labels": LABELS, "moves": MOVES, "eta": ETA}
EACH_ETA = Field("bound on the largest move of a logit, per sample", ("samples",), low=0.0)

TRIALS = (
    Trial(
        "D2.0-network",
        {
            "inputs": Field("samples", ("samples", "cols")),
            "first": Field("W_1", ("hidden", "cols")),
            "first_bias": Field("beta_1", ("hidden",)),
            "last": Field("W_2", ("classes", "hidden")),
            "last_bias": Field("beta_2", ("classes",)),
            "activation": Field("0 |.|, 1 ReLU", kind="whole", low=0, high=1),
            "labels": LABELS,
            "shift": Field("c added to every logit"),
        },
        lambda **i: list(_network(**i)),
    ),
    Trial("D2.0-ce", {"logits": LOGITS, "labels": LABELS, "moves": MOVES}, lambda **i: list(_loss(**i))),
    Trial(
        "L5.1-ce-path",
        {"weight": WEIGHT, "kept": KEPT, "inputs": INPUTS, "theta": THETA, "labels": LABELS, **TAIL},
        lambda **i: list(_published(**i)),
    ),
    Trial("X1-ce-sharp", FIELDS, lambda **i: list(_sharp(**i)), _within),
    Trial(
        "X2-ce-pairwise",
        {
            "logits": LOGITS,
            "labels": LABELS,
            "moves": MOVES,
            "excess": EXCESS,
        },
        lambda **i: list(_pairwise(**i)),
    ),
    Trial(
        "X3-ce-average",
        {"logits": LOGITS, "labels": LABELS, "shares": SHARES, "eta": Field("one eta for all samples", low=0.0)},
        lambda **i: list(_average(**i)),
    ),
    Trial(
        "X4-soft-label",
        {
            "logits": LOGITS,
            "targets": Field("target distribution of each sample", ("samples", "classes"), kind="simplex"),
            "shares": SHARES,
            "eta": EACH_ETA,
        },
        lambda **i: list(_soft(**i)),
    ),
)
