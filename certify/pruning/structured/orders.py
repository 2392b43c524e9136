"""The order of inputs in which the groups of a pattern are formed.

An input permutation changes nothing in the network's function: y = W x = W[:, pi] x[pi]. It only changes which weights compete
for the slots of a group, so an order belongs to the pattern, and masks stay in the stored order of the weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from certify.pruning.layout import Layout
from certify.records import Evidence, Target, Usage

Order = Callable[[np.ndarray, int, int], np.ndarray]
LAYOUTS = ("flattened", "channel-blocked")


def bucket(importance: np.ndarray, group: int) -> np.ndarray:
    """pi(g n + j) = order[j G + g]: channels sorted by falling importance, dealt so that each group has one of each n-th part.

    importance : (channels,). Of equal ones the earlier comes first. Channels beyond the last whole group stay at the tail.
    Returns (channels,) permutation. Source: methods/mp-pruning 1.13.
    """
    falling = np.argsort(-importance, kind="stable")
    groups = len(importance) // group
    whole = falling[: groups * group].reshape(group, groups).T.reshape(-1)
    return np.concatenate([whole, falling[groups * group :]])


def layout_of(target: Target, evidence: Evidence, keep: int, group: int, *, order: str, layout: str) -> Layout:
    """How `target` forms groups: an order of its input channels, and for convolutions the place of their taps.

    order  : "stored", or "bucket" by the importance |W_:c|^2 E[v_c^2] summed over the taps of channel c.
    layout : "flattened" counts the taps of a channel one after the other; "channel-blocked" the channels at one tap.
    """
    if order not in ORDERS:
        raise Usage(f"order = {order!r} is none of {', '.join(ORDERS)}")
    if layout not in LAYOUTS:
        raise Usage(f"layout = {layout!r} is none of {', '.join(LAYOUTS)}")
    channels = target.shape[1]
    taps = target.cols // channels
    columns = np.arange(target.cols).reshape(channels, taps)
    if order == "bucket":
        energy = (np.square(evidence.weights[target.name]) * evidence.part("moments", target.name)).sum(axis=0)
        columns = columns[bucket(energy.reshape(channels, taps).sum(axis=1), group)]
    found = (columns.T if layout == "channel-blocked" else columns).reshape(-1)
    stored = np.array_equal(found, np.arange(target.cols))
    return Layout(target.name, target.rows, target.cols, keep, group, None if stored else found)


ORDERS = ("stored", "bucket")
