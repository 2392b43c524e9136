"""The order of inputs in which the groups of a pattern are formed.

An input permutation changes nothing in the network's function: y = W x = W[:, pi] x[pi]. It only changes which weights compete
for the slots of a group, so an order belongs to the pattern, and masks stay in the stored order of the weights.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from certify.pruning.layout import Layout
from certify.records import Evidence, Target

LAYOUTS = ("flattened", "channel-blocked")
ORDERS = ("stored", "bucket", "search")
PASSES = 30
# Kept energies closer than this share are equal: rounding must not choose between exchanges.
EQUAL = 1e-12


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

    energy : (rows, channels, taps) >= 0; groups run over the taps of a channel, then over the next one. Channels beyond the last
             whole stripe are left out, see `stripe_width`.
    """
    width = stripe_width(energy.shape[2], group)
    whole = len(order) // width * width
    return float(_tops(energy[:, order[:whole]].reshape(len(energy), -1, group), keep).sum())


def stripe_width(taps: int, group: int) -> int:
    """n / gcd(taps, n): the least number of whole channels that whole groups of n inputs cover."""
    return group // gcd(taps, group)


def _tops(slots: np.ndarray, keep: int) -> np.ndarray:
    """Sum of the `keep` largest along the last axis."""
    n = slots.shape[-1]
    return np.partition(slots, n - keep, axis=-1)[..., n - keep :].sum(axis=-1)


def swapped(energy: np.ndarray, order: np.ndarray, keep: int, group: int, *, seed: int, passes: int = PASSES) -> np.ndarray:
    """Exchange channels of pairs of stripes while the kept energy rises; an anytime search with a fixed number of passes.

    Arguments as in `kept_energy`. A stripe is a run of whole channels that holds whole groups: one group of a Linear layer.
    Each pass pairs the stripes at random (by seed) and makes in every pair the best of its width^2 exchanges, the first of equal
    ones, where that gains. The kept energy never falls. Stripes of one channel have nothing to exchange.
    In the spirit of Pool and Yu 2021, whose search also looks at all pairs.
    """
    generator = np.random.default_rng(seed)
    width = stripe_width(energy.shape[2], group)
    stripes = len(order) // width
    found = order[: stripes * width].reshape(stripes, width).copy()
    table = np.ascontiguousarray(energy.transpose(1, 0, 2))
    for _ in range(passes if stripes > 1 and width > 1 else 0):
        pairs = generator.permutation(stripes)[: stripes // 2 * 2].reshape(-1, 2)
        left, right = found[pairs[:, 0]], found[pairs[:, 1]]
        now, values = _exchanges(table[left], table[right], keep, group)
        values = values.reshape(len(pairs), -1)
        best = values.max(axis=1)
        moved = np.flatnonzero(best > now * (1.0 + EQUAL))
        place = (values >= best[:, None] * (1.0 - EQUAL)).argmax(axis=1)[moved]
        i, j = np.divmod(place, width)
        found[pairs[moved, 0], i], found[pairs[moved, 1], j] = right[moved, j], left[moved, i]
    return np.concatenate([found.reshape(-1), order[stripes * width :]])


def _exchanges(a: np.ndarray, b: np.ndarray, keep: int, group: int) -> tuple[np.ndarray, np.ndarray]:
    """What pairs of stripes keep, (pairs,), and would keep after channels i of a and j of b change places, (pairs, width, width).

    a, b : (pairs, width, rows, taps).
    """
    pairs, width = a.shape[:2]
    if a.shape[3] == 1:
        one, two = (side[..., 0].transpose(0, 2, 1) for side in (a, b))
        now = _tops(one, keep).sum(axis=1) + _tops(two, keep).sum(axis=1)
        return now, _after(one, two, keep) + _after(two, one, keep).transpose(0, 2, 1)

    def kept(side: np.ndarray) -> np.ndarray:
        return _tops(side.transpose(0, 2, 1, 3).reshape(pairs, -1, group), keep).sum(axis=1)

    values = np.empty((pairs, width, width))
    for i in range(width):
        for j in range(width):
            one, two = a.copy(), b.copy()
            one[:, i], two[:, j] = b[:, j], a[:, i]
            values[:, i, j] = kept(one) + kept(two)
    return kept(a) + kept(b), values


def _after(slots: np.ndarray, others: np.ndarray, keep: int) -> np.ndarray:
    """(pairs, n, n): what groups keep once slot i holds the j-th of `others`, summed over rows.

        top_k(x without x_i, v) = top_k(x) - max(x_i, x_(k)) + max(v, t),   t = x_(k+1) where x_i >= x_(k), else x_(k)

    slots, others : (pairs, rows, n). One comparison an exchange and row, where choosing anew would take n.
    """
    falling = -np.sort(-slots, axis=2)
    kth, following = falling[:, :, keep - 1 : keep], falling[:, :, keep : keep + 1]
    rest = falling[:, :, :keep].sum(axis=(1, 2))[:, None] - np.maximum(slots, kth).sum(axis=1)
    least = np.where(slots >= kth, following, kth)
    entering = [np.maximum(others, least[:, :, i : i + 1]).sum(axis=1) for i in range(slots.shape[2])]
    return rest[:, :, None] + np.stack(entering, axis=1)


def layout_of(
    target: Target, evidence: Evidence, keep: int, group: int, *, order: str, layout: str, seed: int = 0
) -> tuple[Layout, dict[str, float]]:
    """How `target` forms groups: an order of its input channels, and for convolutions the place of their taps.

    order  : "stored"; "bucket" by the energy W_ic^2 E[v_c^2] summed over outputs and taps of channel c; or "search", the best
             of stored, bucket and `swapped` by kept energy.
    layout : "flattened" counts the taps of a channel one after the other; "channel-blocked" the channels at one tap.
    Returns the layout, and the kept energy of each order looked at over that of the stored one.
    """
    channels = target.shape[1]
    stored = np.arange(channels)
    if order == "stored":
        return _layout(target, keep, group, stored, layout), {}
    energy = np.square(evidence.weights[target.name]) * evidence.part("moments", target.name)
    by_channel = energy.reshape(target.rows, channels, -1)
    found = {"stored": stored, "bucket": bucket(by_channel.sum(axis=(0, 2)), group)}
    if order == "search":
        blocked = by_channel.transpose(0, 2, 1).reshape(-1, channels, 1)
        table = by_channel if layout == "flattened" else blocked
        start = max(found.values(), key=lambda each: kept_energy(table, each, keep, group))
        found["search"] = swapped(table, start, keep, group, seed=seed)
    kept = {name: _kept(target, energy, keep, group, each, layout) for name, each in found.items()}
    best = found["bucket"] if order == "bucket" else found[max(kept, key=kept.__getitem__)]
    base = kept.pop("stored")
    gains = {name: value / base if base > 0 else 1.0 for name, value in kept.items()}
    return _layout(target, keep, group, best, layout), gains


def _kept(target: Target, energy: np.ndarray, keep: int, group: int, channels: np.ndarray, layout: str) -> float:
    return float(_tops(_layout(target, keep, group, channels, layout).slots(energy), keep).sum())


def _layout(target: Target, keep: int, group: int, channels: np.ndarray, layout: str) -> Layout:
    columns = np.arange(target.cols).reshape(target.shape[1], -1)[channels]
    found = (columns.T if layout == "channel-blocked" else columns).reshape(-1)
    stored = np.array_equal(found, np.arange(target.cols))
    return Layout(target.name, target.rows, target.cols, keep, group, None if stored else found)
