"""One option for each layer: least summed cost at a required count, exactly."""

from __future__ import annotations

from collections.abc import Sequence

from certify.records import Usage

Options = Sequence[tuple[int, float]]


def least_choice(layers: Sequence[Options], required: int) -> tuple[list[int], float]:
    """Pick one option of each layer: least summed cost among picks whose counts sum to at least `required`.

    layers : per layer its options (count, cost).
    Returns the picked position in each layer, and the summed cost. Of equal costs the larger sum of counts.
    Dynamic programming over layers that keeps, of all partial picks, those no other beats in both count and cost; exact, and
    short because pattern counts take few distinct sums. Usage where even the largest counts fall short.
    """
    most = sum(max(count for count, _ in options) for options in layers)
    if most < required:
        raise Usage(f"{required} weights are to go, the patterns given remove {most} at most; add a sparser one")
    # (count, cost, picks as a linked list), counts beyond the requirement are worth no more than the requirement.
    front: list[tuple[int, float, tuple | None]] = [(0, 0.0, None)]
    for options in layers:
        grown = [
            (min(count + more, required), cost + price, (place, picks))
            for count, cost, picks in front
            for place, (more, price) in enumerate(options)
        ]
        grown.sort(key=lambda entry: (-entry[0], entry[1]))
        front, least = [], float("inf")
        for entry in grown:
            if entry[1] < least:
                front.append(entry)
                least = entry[1]
    _, cost, picks = next(entry for entry in front if entry[0] >= required)
    found: list[int] = []
    while picks is not None:
        place, picks = picks
        found.append(place)
    return found[::-1], cost
