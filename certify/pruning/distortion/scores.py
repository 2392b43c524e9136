"""Scores of the units of one layer, low ones first to go: spectral distortion, and every control it has to beat.

Source: methods/spectral-distortion.md 1.4, 1.5 and 3. The spectral score says nothing about removability by itself (SSD-T8): it
is a function of the two graphs, and outgoing weights do not enter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from certify.pruning.distortion.graphs import (
    NEIGHBOURS,
    Graph,
    approximate_graph,
    constant_units,
    directions,
    distances,
    neighbour_graph,
)
from certify.pruning.distortion.pencils import edge_scores
from certify.records import Refused, Usage

# Above so many units neighbours are approximate: the table of all distances takes 2 GiB there, and a few copies of it are made.
EXACT_NEIGHBOURS = 16_384


@dataclass(frozen=True)
class Settings:
    """How a layer's graphs and scores are made.

    similarity, k, weight, ties : of the graphs (`graphs.neighbour_graph`).
    form, pairs, node           : of the score (`pencils.edge_scores`); pairs = 0 takes min(10, n / 8).
    dense, exact                : force a road (tests, benchmarks); None decides by size.
    """

    similarity: str = "pearson"
    k: int = NEIGHBOURS
    weight: str = "unit"
    ties: str = "index"
    form: str = "spade"
    pairs: int = 0
    node: str = "mean"
    dense: bool | None = None
    exact: bool | None = None


@dataclass(frozen=True)
class Units:
    """What is known of the n units of one layer.

    before, after : (N, n) states on both sides of the activation; of heads, values and context, their dimensions being samples.
    incoming      : (n,) norms of the weights that write each unit, nan where they are not at hand.
    outgoing      : (n,) norms of the weights that read it. A unit nobody reads (0) has been removed already.
    taylor        : (n,) first-order answers of the loss, nan where they were not collected.
    seed          : of `random` and `permuted`.
    """

    before: np.ndarray
    after: np.ndarray
    incoming: np.ndarray
    outgoing: np.ndarray
    taylor: np.ndarray
    seed: int = 0

    @property
    def contribution(self) -> np.ndarray:
        """std(A_j) ||W_out[:, j]||, which also decides ties."""
        return self.after.std(axis=0) * self.outgoing


@dataclass(frozen=True)
class Scored:
    """Scores of the units of a layer and the classes that go before any score is asked.

    scores   : (n,) nan for units that have none. gone : removed already. constant : the same value on every sample.
    fallback : (n,) contributions, for ties. facts : what a plan reports, a JSON value.
    """

    scores: np.ndarray
    gone: np.ndarray
    constant: np.ndarray
    fallback: np.ndarray
    facts: dict[str, Any] = field(default_factory=dict)

    def order(self, *, reverse: bool = False) -> np.ndarray:
        """Units in the order of removal: gone, constant, by score; of equal ones the smaller contribution, then the earlier."""
        score = np.nan_to_num(-self.scores if reverse else self.scores)
        gone_first = np.where(self.gone, 0, np.where(self.constant, 1, 2))
        return np.lexsort((np.arange(len(score)), self.fallback, score, gone_first))


def score_units(units: Units, score: str, settings: Settings | None = None) -> Scored:
    """Scores by one of SCORES. Units that are gone or constant have none and do not enter the graphs.

    A constant unit's value stands in the facts: folded into the reader's bias it would make the removal exact on these samples,
    which a plan, made of weights, does not do.
    """
    if score not in SCORES:
        raise Usage(f"score = {score!r} is none of {', '.join(SCORES)}")
    if not (np.all(np.isfinite(units.before)) and np.all(np.isfinite(units.after))):
        raise Refused("states hold NaN or infinity; look at the calibration images")
    gone = units.outgoing == 0.0
    constant = constant_units(units.after) & ~gone
    frozen = constant_units(units.before) & ~gone & ~constant
    if frozen.any():
        raise Refused(
            f"unit {int(np.argmax(frozen))} is constant before its activation and not after: no activation by unit does that"
        )
    alive = ~gone & ~constant
    found, facts = np.full(len(gone), np.nan), {}
    if alive.sum() > 1:
        found[alive], facts = SCORES[score](_part(units, alive), settings or Settings())
        if not np.all(np.isfinite(found[alive])):
            raise Refused(f"score {score}: not finite; the evidence lacks what it reads")
    elif alive.any():
        found[alive] = 0.0
    facts = {"alive": int(alive.sum()), **facts}
    if constant.any():
        facts["constant"] = {str(unit): float(units.after[0, unit]) for unit in np.flatnonzero(constant)}
    return Scored(found, gone, constant, units.contribution, facts)


def _part(units: Units, alive: np.ndarray) -> Units:
    return Units(
        units.before[:, alive],
        units.after[:, alive],
        units.incoming[alive],
        units.outgoing[alive],
        units.taylor[alive],
        units.seed,
    )


Score = Callable[[Units, Settings], tuple[np.ndarray, dict[str, Any]]]


def graphs_of(units: Units, settings: Settings) -> tuple[Graph, Graph]:
    """Input and output graph. On all neighbours with equal weights both are complete, and a warning says that nothing is left."""
    n = units.after.shape[1]
    exact = n <= EXACT_NEIGHBOURS if settings.exact is None else settings.exact
    if settings.k >= n - 1 and settings.weight == "unit":
        warnings.warn(f"{n} units with {settings.k} neighbours: both graphs are complete and say nothing", stacklevel=2)

    def graph(states: np.ndarray) -> Graph:
        columns = directions(states, settings.similarity)
        if not exact:
            return approximate_graph(columns, k=settings.k, weight=settings.weight)
        table = distances(columns, settings.similarity)
        return neighbour_graph(table, k=settings.k, weight=settings.weight, ties=settings.ties)

    return graph(units.before), graph(units.after)


def _spectral(units: Units, settings: Settings, inner: Graph, outer: Graph) -> tuple[np.ndarray, dict[str, Any]]:
    found = edge_scores(inner.weights, outer.weights, form=settings.form, count=settings.pairs, dense=settings.dense)
    samples, n = units.after.shape
    facts: dict[str, Any] = {
        "pairs": found.pairs,
        "tree_edges": [inner.tree_edges, outer.tree_edges],
        "components": [inner.components, outer.components],
    }
    if samples < 2 * n:
        facts["few_samples"] = samples  # many distances coincide: correlations have rank samples - 1
    return found.nodes(settings.node, n), facts


def _distortion(units: Units, settings: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    return _spectral(units, settings, *graphs_of(units, settings))


def _permuted(units: Units, settings: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """The output graph's nodes under other names: both spectra of graphs are kept, what corresponds to what is not."""
    inner, outer = graphs_of(units, settings)
    order = np.random.default_rng(units.seed).permutation(units.after.shape[1])
    moved = Graph(outer.weights[order][:, order].tocsr(), outer.tree_edges, outer.components)
    return _spectral(units, settings, inner, moved)


def _local(units: Units, settings: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """Mean over input edges of d_out / d_in, no eigenvector; where d_in is 0 the edge does not count."""
    inner, _ = graphs_of(units, settings)
    edges = inner.weights.tocoo()
    ratio, counts = np.zeros(inner.weights.shape[0]), np.zeros(inner.weights.shape[0])
    one, two = (_lengths(states, settings.similarity, edges.row, edges.col) for states in (units.before, units.after))
    known = one > 0.0
    np.add.at(ratio, edges.row[known], np.sqrt(two[known] / one[known]))
    np.add.at(counts, edges.row[known], 1.0)
    return ratio / np.maximum(counts, 1.0), {}


def _lengths(states: np.ndarray, similarity: str, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    columns = directions(states, similarity)
    if similarity == "euclid":
        return np.sum((columns[:, rows] - columns[:, cols]) ** 2, axis=0)
    inner = np.einsum("ij,ij->j", columns[:, rows], columns[:, cols])
    return np.maximum(2.0 - 2.0 * (np.abs(inner) if similarity == "abs" else inner), 0.0)


def _duplicate(units: Units, settings: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """1 - max |corr| with another unit after the activation: ordinary duplicate redundancy."""
    columns = directions(units.after, "pearson")
    gram = np.abs(columns.T @ columns)
    np.fill_diagonal(gram, 0.0)
    return 1.0 - np.minimum(gram.max(axis=1), 1.0), {}


def _simple(function: Callable[[Units], np.ndarray]) -> Score:
    return lambda units, settings: (np.asarray(function(units), dtype=np.float64), {})


# Name -> score of alive units. spectral is the claim; the others are its controls C1 to C11.
SCORES: dict[str, Score] = {
    "spectral": _distortion,
    "rms": _simple(lambda units: np.sqrt(np.mean(np.square(units.after), axis=0))),
    "std": _simple(lambda units: units.after.std(axis=0)),
    "magnitude": _simple(lambda units: units.incoming * units.outgoing),
    "contribution": _simple(lambda units: units.contribution),
    "taylor": _simple(lambda units: units.taylor),
    "random": _simple(lambda units: np.random.default_rng(units.seed).random(units.after.shape[1])),
    "degree": lambda units, settings: (graphs_of(units, settings)[0].degrees, {}),
    "local": _local,
    "permuted": _permuted,
    "duplicate": _duplicate,
}
