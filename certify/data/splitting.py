"""Splits: who serves which purpose, decided by content and seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from certify.data.sources import Samples
from certify.records.errors import Refused
from certify.records.hashing import sha256_json
from certify.records.recipe import SplitRecipe
from certify.records.splits import PURPOSES, Splits

# Filled first, so that the certification split does not depend on how many samples the other purposes ask for.
FILLING = tuple(reversed(PURPOSES))


def split(samples: Samples, recipe: SplitRecipe) -> Splits:
    """Four disjoint splits of the wanted sizes; samples with equal pictures share one.

    Samples stand in the order of sha256_json([seed, picture]): a seeded permutation that renaming or reordering files
    leaves alone. Sizes are exact as long as a sample without duplicate is left to fill the gap; `groups` tells what is
    missing.
    """
    total = len(samples)
    wanted = {name: _count(getattr(recipe, name), total) for name in PURPOSES}
    if sum(wanted.values()) > total:
        asked = " + ".join(f"{name} {count}" for name, count in wanted.items())
        raise Refused(f"splits: {asked} = {sum(wanted.values())} samples, {samples.name} has {total}; lower the counts")
    groups = _groups(samples, recipe.seed)
    indices = _fill(groups, wanted)
    if _missing(indices, wanted):
        largest_first = _fill(sorted(groups, key=len, reverse=True), wanted)
        indices = min(indices, largest_first, key=lambda found: sum(_missing(found, wanted).values()))
    note = f"{samples.origin}; exact duplicates share a split"
    for name, count in _missing(indices, wanted).items():
        note += f", which leaves {name} {count} short of {wanted[name]}"
    return Splits(
        dataset=samples.digest,
        seed=recipe.seed,
        indices={name: tuple(indices[name]) for name in PURPOSES},
        samples={name: tuple(samples.digests[i] for i in indices[name]) for name in PURPOSES},
        groups=note,
    )


def _count(value: float, total: int) -> int:
    """A whole count, or a share of `total` rounded down; the small term undoes the rounding of 0.29 * 100."""
    return int(value) if value >= 1 else int(value * total + 1e-9)


def _groups(samples: Samples, seed: int) -> list[list[int]]:
    """Positions of equal pictures, group by group in the seeded order."""
    positions: dict[str, list[int]] = {}
    for index in sorted(range(len(samples)), key=lambda i: (samples.digests[i], i)):
        positions.setdefault(samples.pictures[index], []).append(index)
    return [positions[picture] for picture in sorted(positions, key=lambda picture: sha256_json([seed, picture]))]


def _fill(groups: Sequence[Sequence[int]], wanted: Mapping[str, int]) -> dict[str, list[int]]:
    """Give each purpose the first groups that still fit."""
    indices: dict[str, list[int]] = {}
    left = list(groups)
    for name in FILLING:
        chosen: list[int] = []
        rest = []
        for group in left:
            if len(chosen) + len(group) <= wanted[name]:
                chosen.extend(group)
            else:
                rest.append(group)
        indices[name], left = chosen, rest
    return indices


def _missing(indices: Mapping[str, Sequence[int]], wanted: Mapping[str, int]) -> dict[str, int]:
    return {name: wanted[name] - len(indices[name]) for name in PURPOSES if len(indices[name]) < wanted[name]}
