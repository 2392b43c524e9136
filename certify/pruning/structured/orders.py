"""The order of inputs in which the groups of a pattern are formed.

An input permutation changes nothing in the network's function: y = W x = W[:, pi] x[pi]. It only changes which weights compete
for the slots of a group, so an order belongs to the pattern, and masks stay in the stored order of the weights.
"""

from __future__ import annotations

import numpy as np

from certify.pruning.layout import Layout
from certify.records import Evidence, Target

LAYOUTS = ("flattened", "channel-blocked")
ORDERS = ("stored", "bucket", "search")
PASSES = 30


def bucket(importance: np.ndarray, group: int) -> np.ndarray:
    """pi(g n + j) = order[j G + g]: channels sorted by falling importance, dealt so that each group has one of each n-th part.

    importance : (channels,). Of equal ones the earlier comes first. Channels beyond the last whole group stay at the tail.
    Returns (channels,) permutation. Source: methods/mp-pruning 1.13.
    """
    falling = np.argsort(-importance, kind="stable")
    groups = len(importance) // group
    whole = falling[: groups * group].reshape(group, groups).T.reshape(-1)
    return np.concatenate([whole, falling[groups * group :]])


def kept_energy(energy: np.ndarray, order: np.ndarray, keep: int, group: int) -> float:
    """What a k:n pattern can keep in this order: sum over rows and groups of the `keep` largest.

    energy : (rows, channels) >= 0. Channels beyond the last whole group are left out.
    """
    whole = len(order) // group * group
    return float(_tops(energy[:, order[:whole]].reshape(len(energy), -1, group), keep).sum())


def _tops(slots: np.ndarray, keep: int) -> np.ndarray:
    """Sum of the `keep` largest along the last axis."""
    n = slots.shape[-1]
    return np.partition(slots, n - keep, axis=-1)[..., n - keep :].sum(axis=-1)


def swapped(energy: np.ndarray, order: np.ndarray, keep: int, group: int, *, seed: int, passes: int = PASSES) -> np.ndarray:
    """Exchange channels of pairs of groups while the kept energy rises; an anytime search with a fixed number of passes.

    Each pass pairs the groups at random (by seed) and makes in every pair the best of its group^2 exchanges, where that gains.
    The kept energy never falls. In the spirit of Pool and Yu 2021, whose search also looks at all pairs.
    """
    generator = np.random.default_rng(seed)
    groups = len(order) // group
    found = order[: groups * group].reshape(groups, group).copy()
    table = np.ascontiguousarray(energy.T)
    for _ in range(passes if groups > 1 else 0):
        pairs = generator.permutation(groups)[: groups // 2 * 2].reshape(-1, 2)
        left, right = found[pairs[:, 0]], found[pairs[:, 1]]
        a, b = (table[side].transpose(0, 2, 1) for side in (left, right))  # (pairs, rows, group)
        best = _tops(a, keep).sum(axis=1) + _tops(b, keep).sum(axis=1)
        start, move = best.copy(), np.full((len(pairs), 2), -1)
        for i in range(group):
            for j in range(group):
                one, two = a.copy(), b.copy()
                one[:, :, i], two[:, :, j] = b[:, :, j], a[:, :, i]
                value = _tops(one, keep).sum(axis=1) + _tops(two, keep).sum(axis=1)
                better = value > best * (1.0 + 1e-12)
                best[better], move[better] = value[better], (i, j)
        moved = np.flatnonzero(best > start)
        i, j = move[moved].T
        held = left[moved, i].copy()
        found[pairs[moved, 0], i], found[pairs[moved, 1], j] = right[moved, j], held
    return np.concatenate([found.reshape(-1), order[groups * group :]])


def layout_of(
    target: Target, evidence: Evidence, keep: int, group: int, *, order: str, layout: str, seed: int = 0
) -> tuple[Layout, float]:
    """How `target` forms groups: an order of its input channels, and for convolutions the place of their taps.

    order  : "stored"; "bucket" by the energy W_ic^2 E[v_c^2] summed over outputs and taps of channel c; or "search", the best
             of stored, bucket and `swapped` by kept energy. A convolution whose groups hold several taps of a channel
             ("flattened") has nothing to search: there "search" is the better of stored and bucket.
    layout : "flattened" counts the taps of a channel one after the other; "channel-blocked" the channels at one tap.
    Returns the layout, and its kept energy over that of the stored order.
    """
    channels = target.shape[1]
    taps = target.cols // channels
    stored = np.arange(channels)
    if order == "stored":
        return _layout(target, keep, group, stored, layout), 1.0
    energy = np.square(evidence.weights[target.name]) * evidence.part("moments", target.name)
    by_channel = energy.reshape(target.rows, channels, taps)
    dealt = bucket(by_channel.sum(axis=(0, 2)), group)
    if order == "bucket":
        best = dealt
    else:
        candidates = [stored, dealt]
        if taps == 1 or layout == "channel-blocked":
            table = by_channel.transpose(0, 2, 1).reshape(-1, channels)
            first = max(candidates, key=lambda found: kept_energy(table, found, keep, group))
            candidates.append(swapped(table, first, keep, group, seed=seed))
        best = max(candidates, key=lambda found: _kept(target, energy, keep, group, found, layout))
    base = _kept(target, energy, keep, group, stored, layout)
    gain = _kept(target, energy, keep, group, best, layout) / base if base > 0 else 1.0
    return _layout(target, keep, group, best, layout), gain


def _kept(target: Target, energy: np.ndarray, keep: int, group: int, channels: np.ndarray, layout: str) -> float:
    return float(_tops(_layout(target, keep, group, channels, layout).slots(energy), keep).sum())


def _layout(target: Target, keep: int, group: int, channels: np.ndarray, layout: str) -> Layout:
    columns = np.arange(target.cols).reshape(target.shape[1], -1)[channels]
    found = (columns.T if layout == "channel-blocked" else columns).reshape(-1)
    stored = np.array_equal(found, np.arange(target.cols))
    return Layout(target.name, target.rows, target.cols, keep, group, None if stored else found)
