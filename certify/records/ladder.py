"""Bound and Ladder: how far one pair can differ on one set of samples, as a partial order per unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused
from certify.records.fields import TIERS, UNITS, finite, frozen, one_of
from certify.records.files import read_table, write_table
from certify.records.networks import Pair, check_digest


@dataclass(frozen=True)
class Bound:
    """Upper (and where known lower) values of one named quantity, one per sample.

    quantity  : unique name within a ladder, such as "path_variation".
    label     : the same in words, for the report.
    unit      : "logit", "nat" or "decision" (0 = cannot change, 1 = may change).
    tier      : see `certify.records.fields.TIERS`.
    semantics : which arithmetic the values speak of.
    claim     : ID of the theorem that makes it a bound.
    upper     : (T,) values; `tolerance` (T,) is the stated error of a `resolved` value, same unit. inf, of tier `proved` alone,
                says that nothing is known: the bound is vacuous there.
    modelled  : rests on a random model of the removed weights; drawn hatched, never asserted.
    first     : it was computed for so many samples, from the first, and is inf beyond; None for all of them.
    """

    quantity: str
    label: str
    unit: str
    tier: str
    semantics: str
    claim: str
    upper: np.ndarray
    tolerance: np.ndarray
    lower: np.ndarray | None = None
    modelled: bool = False
    first: int | None = None

    def __post_init__(self) -> None:
        one_of(self.unit, UNITS, f"bound {self.quantity}: unit")
        one_of(self.tier, TIERS, f"bound {self.quantity}: tier")
        for name in ("upper", "tolerance", "lower"):
            value = getattr(self, name)
            if value is not None:
                value = frozen(value, np.float64)
                known = value[value != np.inf] if name == "upper" and self.tier == "proved" else value
                finite(known, f"bound {self.quantity}: {name}")
                object.__setattr__(self, name, value)
        shapes = {value.shape for value in (self.upper, self.tolerance, self.lower) if value is not None}
        if len(shapes) != 1 or self.upper.ndim != 1:
            raise Refused(f"bound {self.quantity}: one value per sample expected, found shapes {sorted(shapes)}")
        if np.any(self.tolerance < 0):
            raise Refused(f"bound {self.quantity}: a tolerance is negative")
        if self.first is not None and not (0 <= self.first <= len(self.upper) and np.all(np.isinf(self.upper[self.first :]))):
            raise Refused(f"bound {self.quantity}: states values beyond the first {self.first} samples it was computed for")

    @property
    def asked(self) -> np.ndarray:
        """`upper` of the samples it was computed for."""
        return self.upper if self.first is None else self.upper[: self.first]

    def about(self) -> dict[str, Any]:
        return {
            "quantity": self.quantity,
            "label": self.label,
            "unit": self.unit,
            "tier": self.tier,
            "semantics": self.semantics,
            "claim": self.claim,
            "modelled": self.modelled,
            **({} if self.first is None else {"first": self.first}),
        }

    def summary(self) -> dict[str, Any]:
        """Median and largest value over the samples it was computed for; null where that is vacuous."""
        asked = self.asked if len(self.asked) else np.array([np.inf])
        median, largest = float(np.median(asked)), float(asked.max())
        return {
            "unit": self.unit,
            "tier": self.tier,
            "median": median if np.isfinite(median) else None,
            "largest": largest if np.isfinite(largest) else None,
            "tolerance": float(np.max(self.tolerance)),
            **({} if self.first is None else {"samples": self.first, "vacuous": int(np.sum(np.isinf(self.asked)))}),
            **({"total": int(np.sum(self.asked))} if self.unit == "decision" else {}),
        }


@dataclass(frozen=True)
class Edge:
    """`below <= above` on every sample, by `claim`, under `hypotheses`.

    asserted : the hypotheses hold on this network, so a violation is an error; otherwise the edge is only drawn.
    """

    below: str
    above: str
    claim: str
    hypotheses: tuple[str, ...] = ()
    asserted: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "below": self.below,
            "above": self.above,
            "claim": self.claim,
            "hypotheses": list(self.hypotheses),
            "asserted": self.asserted,
        }


@dataclass(frozen=True)
class Ladder:
    """Bounds of one pair on one set of samples, with the edges between them.

    layers    : one row per edited target (data-path sizes, X9(b) Lipschitz value, budget, break-even regulariser).
    objective : the elastic-net account of the pair (reward, summed budget, lambda2*), or empty.
    """

    pair: Pair
    split: str
    samples: tuple[str, ...]
    bounds: tuple[Bound, ...]
    edges: tuple[Edge, ...]
    layers: tuple[Mapping[str, Any], ...] = ()
    objective: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_digest(self.split, "ladder.split")
        for name in ("samples", "bounds", "edges", "layers", "notes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        quantities = [bound.quantity for bound in self.bounds]
        if len(set(quantities)) != len(quantities):
            raise Refused("ladder: a quantity stands twice")
        for bound in self.bounds:
            if len(bound.upper) != len(self.samples):
                raise Refused(f"bound {bound.quantity}: {len(bound.upper)} values for {len(self.samples)} samples")
        for edge in self.edges:
            below, above = self[edge.below], self[edge.above]
            if below.unit != above.unit:
                raise Refused(f"ladder: edge {edge.below} <= {edge.above} compares {below.unit} with {above.unit}")
            if edge.asserted and (below.modelled or above.modelled):
                raise Refused(f"ladder: edge {edge.below} <= {edge.above} asserts a rung that rests on a random model")

    def __getitem__(self, quantity: str) -> Bound:
        for bound in self.bounds:
            if bound.quantity == quantity:
                return bound
        raise Refused(f"ladder: no bound named {quantity}")

    def excess(self, edge: Edge) -> np.ndarray:
        """(T,) by how much `below` exceeds `above` beyond both tolerances and 1e-12 relative; <= 0 where the edge holds."""
        below, above = self[edge.below], self[edge.above]
        known = np.isfinite(above.upper)
        over = np.where(known, above.upper, 0.0)
        rounding = 1e-12 * np.maximum(np.abs(np.where(known, below.upper, 0.0)), np.abs(over))
        return np.where(known, below.upper - over - below.tolerance - above.tolerance - rounding, -np.inf)

    def violations(self) -> tuple[str, ...]:
        """One sentence for each asserted edge that fails, naming the worst sample."""
        found = []
        for edge in self.edges:
            excess = self.excess(edge)
            if edge.asserted and not np.all(excess <= 0):
                worst = int(np.argmax(excess))
                found.append(
                    f"{edge.below} <= {edge.above} ({edge.claim}) fails on {int(np.sum(excess > 0))} of {len(excess)} samples, "
                    f"worst sample {worst}: {self[edge.below].upper[worst]:.6g} > {self[edge.above].upper[worst]:.6g}"
                )
        return tuple(found)

    def summary(self) -> dict[str, Any]:
        """What a certificate says of a ladder: tiers, claims, medians and largest values per rung, edges and violations."""
        return {
            "pair": self.pair.to_json(),
            "split": self.split,
            "samples": len(self.samples),
            "edges_asserted": sum(edge.asserted for edge in self.edges),
            "violations": len(self.violations()),
            "tiers": sorted({bound.tier for bound in self.bounds if not bound.modelled}),
            "claims": sorted({bound.claim for bound in self.bounds} | {edge.claim for edge in self.edges}),
            "rungs": {bound.quantity: bound.summary() for bound in self.bounds},
            "objective": dict(self.objective),
        }

    def save(self, path: Path) -> None:
        """Write one Parquet file: a row per sample, and everything else in its metadata."""
        columns: dict[str, Any] = {"sample": list(self.samples)}
        for bound in self.bounds:
            columns[f"{bound.quantity}.upper"] = bound.upper
            columns[f"{bound.quantity}.tolerance"] = bound.tolerance
            if bound.lower is not None:
                columns[f"{bound.quantity}.lower"] = bound.lower
        about = {
            "pair": self.pair.to_json(),
            "split": self.split,
            "bounds": [bound.about() for bound in self.bounds],
            "edges": [edge.to_json() for edge in self.edges],
            "layers": [dict(row) for row in self.layers],
            "objective": dict(self.objective),
            "notes": list(self.notes),
        }
        write_table(path, columns, about)

    @classmethod
    def load(cls, path: Path) -> Ladder:
        columns, about = read_table(path)
        try:
            bounds = tuple(
                Bound(
                    **entry,
                    upper=np.asarray(columns[f"{entry['quantity']}.upper"]),
                    tolerance=np.asarray(columns[f"{entry['quantity']}.tolerance"]),
                    lower=np.asarray(columns[f"{entry['quantity']}.lower"]) if f"{entry['quantity']}.lower" in columns else None,
                )
                for entry in about["bounds"]
            )
            edges = tuple(Edge(**{**entry, "hypotheses": tuple(entry["hypotheses"])}) for entry in about["edges"])
            return cls(
                pair=Pair.from_json(about["pair"]),
                split=about["split"],
                samples=tuple(columns["sample"]),
                bounds=bounds,
                edges=edges,
                layers=tuple(about["layers"]),
                objective=about["objective"],
                notes=tuple(about["notes"]),
            )
        except (KeyError, TypeError) as error:
            raise Refused(f"{path}: not a ladder ({type(error).__name__}: {error})") from None
