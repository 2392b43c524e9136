"""Outcomes and Guarantee: what a pair did on a split, and what follows for the population it was drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from certify.records.errors import Refused
from certify.records.fields import finite, frozen, one_of
from certify.records.files import read_table, write_table
from certify.records.networks import Pair, check_digest

STATEMENTS = ("disagreement", "accuracy_drop", "accuracy_drop_betting", "disagreement_by_class", "ce_increase")
DEFAULT_STATEMENTS = ("disagreement", "accuracy_drop")
# Statements that need true classes.
LABELLED = tuple(name for name in STATEMENTS if name != "disagreement")


@dataclass(frozen=True)
class Outcomes:
    """Per-sample results of a pair on a split, written once.

    labels     : (n,) true classes, or None when the images are unlabelled.
    reference, shipped : (n, K) logits of the two networks.
    arithmetic : number format, device and thread count the logits were computed with.
    """

    pair: Pair
    split: str
    samples: tuple[str, ...]
    labels: np.ndarray | None
    reference: np.ndarray
    shipped: np.ndarray
    arithmetic: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_digest(self.split, "outcomes.split")
        object.__setattr__(self, "samples", tuple(self.samples))
        for name in ("reference", "shipped"):
            logits = finite(frozen(getattr(self, name), np.float64), f"outcomes: {name} logits")
            if logits.ndim != 2 or logits.shape[0] != len(self.samples) or logits.shape[1] < 2:
                raise Refused(f"outcomes: {name} logits of shape {logits.shape} for {len(self.samples)} samples")
            object.__setattr__(self, name, logits)
        if not self.samples:
            raise Refused("outcomes: the split is empty; nothing can be guaranteed from it")
        if self.reference.shape != self.shipped.shape:
            raise Refused(f"outcomes: reference has {self.reference.shape[1]} classes, shipped {self.shipped.shape[1]}")
        if self.labels is not None:
            labels = frozen(self.labels, np.int64)
            if labels.shape != (len(self.samples),) or labels.min() < 0 or labels.max() >= self.reference.shape[1]:
                raise Refused(f"outcomes: labels must be {len(self.samples)} integers in [0, {self.reference.shape[1]})")
            object.__setattr__(self, "labels", labels)

    @property
    def size(self) -> int:
        return len(self.samples)

    @property
    def disagrees(self) -> np.ndarray:
        """(n,) truth values: the two decisions differ, or either network ties at the top."""
        reference, shipped = decision(self.reference), decision(self.shipped)
        return (reference != shipped) | (reference < 0)

    def counts(self) -> dict[str, int]:
        """Samples, disagreements, and with labels the two discordant cells.

        losses: reference right, shipped wrong. gains: reference wrong, shipped right. A tie at the top counts as wrong,
        and a sample on which either network ties at the top counts as a disagreement.
        """
        reference, shipped = decision(self.reference), decision(self.shipped)
        found = {"samples": self.size, "disagreements": int(np.sum(self.disagrees))}
        if self.labels is not None:
            right, right_shipped = reference == self.labels, shipped == self.labels
            found |= {
                "correct_reference": int(np.sum(right)),
                "correct_shipped": int(np.sum(right_shipped)),
                "losses": int(np.sum(right & ~right_shipped)),
                "gains": int(np.sum(~right & right_shipped)),
            }
        return found

    def save(self, path: Path) -> None:
        columns: dict[str, Any] = {"sample": list(self.samples)}
        if self.labels is not None:
            columns["label"] = self.labels
        columns["reference_prediction"] = decision(self.reference)
        columns["shipped_prediction"] = decision(self.shipped)
        columns["reference_logits"] = self.reference.tolist()
        columns["shipped_logits"] = self.shipped.tolist()
        write_table(path, columns, {"pair": self.pair.to_json(), "split": self.split, "arithmetic": dict(self.arithmetic)})

    @classmethod
    def load(cls, path: Path) -> Outcomes:
        columns, about = read_table(path)
        try:
            outcomes = cls(
                pair=Pair.from_json(about["pair"]),
                split=about["split"],
                samples=tuple(columns["sample"]),
                labels=np.asarray(columns["label"]) if "label" in columns else None,
                reference=np.asarray(columns["reference_logits"], dtype=np.float64),
                shipped=np.asarray(columns["shipped_logits"], dtype=np.float64),
                arithmetic=about["arithmetic"],
            )
            stated = columns["reference_prediction"], columns["shipped_prediction"]
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"{path}: not an outcomes table ({type(error).__name__}: {error})") from None
        for logits, predictions in zip((outcomes.reference, outcomes.shipped), stated, strict=True):
            if not np.array_equal(decision(logits), np.asarray(predictions)):
                raise Refused(f"{path}: predictions do not follow from the logits beside them")
        return outcomes


def decision(logits: np.ndarray) -> np.ndarray:
    """(n,) index of the strictly largest logit, -1 where the largest is tied."""
    top = logits.max(axis=1, keepdims=True)
    best = logits.argmax(axis=1)
    return np.where((logits == top).sum(axis=1) == 1, best, -1)


@dataclass(frozen=True)
class Guarantee:
    """A statement about the population the split was drawn from, at confidence 1 - delta for the whole family.

    statement : "disagreement" (share of decisions that differ), "disagreement_by_class" (the largest such share of any true
                class), "accuracy_drop" (reference minus shipped accuracy), "accuracy_drop_betting" (the same by betting) or
                "ce_increase" (mean cross-entropy, shipped minus reference).
    limit     : the guaranteed upper limit, a share in [-1, 1]; nats for ce_increase.
    share     : the part of the family's delta spent on this statement.
    counts    : the integers the limit was computed from; enough to recompute it by hand, with `details`.
    details   : by class "groups": one row per class, {group, samples, failures, limit}; for ce_increase "low" and "high", the
                range of one sample's increase, known beforehand. Empty for other statements.
    shift     : divergence -> {radius, limit}: the limit in every population within that radius. Empty where none was asked for.
    """

    statement: str
    pair: Pair
    split: str
    counts: Mapping[str, int]
    estimate: float
    limit: float
    delta: float
    share: float
    family: int
    method: str
    claim: str
    assumptions: tuple[str, ...]
    arithmetic: Mapping[str, Any]
    sentence: str
    details: Mapping[str, Any] = field(default_factory=dict)
    shift: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of(self.statement, STATEMENTS, "guarantee")
        object.__setattr__(self, "assumptions", tuple(self.assumptions))
        for name in ("estimate", "limit", "delta", "share"):
            if not np.isfinite(getattr(self, name)):
                raise Refused(f"guarantee {self.statement}: {name} is not a finite number")
        if not 0 < self.share <= self.delta < 1:
            raise Refused(
                f"guarantee {self.statement}: share {self.share} and delta {self.delta} do not satisfy 0 < share <= delta < 1"
            )

    @property
    def vacuous(self) -> bool:
        """True when the limit says nothing: a share can never exceed 1, an increase never the end of its range."""
        return not self.limit < self.details.get("high", 1)

    def to_json(self) -> dict[str, Any]:
        """The record; `details` and `shift` stand in it only where they hold something, as in files that never knew them."""
        found = asdict(self) | {"pair": self.pair.to_json(), "counts": dict(self.counts), "assumptions": list(self.assumptions)}
        return {key: value for key, value in found.items() if value or key not in ("details", "shift")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Guarantee:
        try:
            return cls(**{**value, "pair": Pair.from_json(value["pair"]), "assumptions": tuple(value["assumptions"])})
        except (KeyError, TypeError) as error:
            raise Refused(f"guarantee: not a guarantee record ({type(error).__name__}: {error})") from None
