"""The tables of the page as data: columns, and cells that know what they sort by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from certify.records import Edge, Guarantee, Ladder, Plan, Spectrum, Target
from certify.report.formats import NOT_STATED, confidence, flatten, listing, nats, number, percent, short, whole
from certify.report.rungs import UNIT_AXIS, rungs, size_of

NO_LIPSCHITZ = "L_s not available"
STATEMENT = {
    "disagreement": "Disagreement",
    "disagreement_by_class": "Disagreement in every class",
    "accuracy_drop": "Accuracy drop",
    "accuracy_drop_betting": "Accuracy drop, by betting",
    "ce_increase": "Cross-entropy increase",
}


@dataclass(frozen=True)
class Column:
    """A head of a column; `about` explains it to a reader who points at it."""

    title: str
    about: str = ""


@dataclass(frozen=True)
class Cell:
    """What stands in a cell. `sort` is a number, a text, or None for a missing value, which sorts last."""

    text: str
    sort: float | str | None
    kind: str = ""

    @property
    def numeric(self) -> bool:
        return isinstance(self.sort, int | float)


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its head."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = True

    def numeric(self, column: int) -> bool:
        """True when a column holds numbers, missing ones aside."""
        return any(row[column].numeric for row in self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows)


def _text(value: Any, kind: str = "") -> Cell:
    words = str(value)
    return Cell(words or NOT_STATED, words or None, kind)


def _whole(value: int | None) -> Cell:
    return Cell(NOT_STATED if value is None else whole(value), value)


def _number(value: float | None, missing: str = NOT_STATED) -> Cell:
    return Cell(missing if value is None else number(value), value, "gap" if value is None else "")


def _size(value: float) -> Cell:
    """A bound; one that says nothing sorts last."""
    return Cell(size_of(value), value if np.isfinite(value) else None)


def _share(value: float, digits: int = 2) -> Cell:
    return Cell(percent(value, digits), value)


def _columns(*titles: str | tuple[str, str]) -> tuple[Column, ...]:
    return tuple(Column(title) if isinstance(title, str) else Column(*title) for title in titles)


def removal_table(plan: Plan, targets: Sequence[Target]) -> Table:
    """Every target: removed, total and share, or why it was left alone."""
    known = {target.name: target for target in targets}
    edits, skipped = {edit.target: edit for edit in plan.edits}, dict(plan.skipped)
    rows = []
    for name in dict.fromkeys((*known, *edits, *skipped)):
        target, edit = known.get(name), edits.get(name)
        kind = _text(f"{target.kind}, {target.role}" if target else "")
        if edit is not None:
            shape, removed, total, done = edit.kept.shape, edit.removed, edit.kept.size, _text("edited")
        else:
            reason = skipped.get(name) or (target.skipped if target else "") or "not part of this plan"
            shape, removed, total = ((target.rows, target.cols), 0, target.size) if target else ((), 0, None)
            done = _text(f"left alone: {reason}", "note")
        share = _share(removed / total) if total else Cell(NOT_STATED, None)
        shape = _text("×".join(str(size) for size in shape))
        rows.append((_text(name, "name"), kind, shape, _whole(removed), _whole(total), share, done))
    about = ("Rows × columns", "outputs by inputs")
    return Table(
        f"Targets of plan {plan.name}",
        _columns("Target", "Kind", about, "Removed", "Weights", "Share removed", "What was done"),
        tuple(rows),
    )


def rung_table(ladders: Sequence[tuple[str, Ladder]]) -> Table:
    """Every rung of every ladder of a plan in numbers."""
    rows = []
    for kind, ladder in ladders:
        for unit in UNIT_AXIS:
            for rung in rungs(ladder, unit):
                bound = rung.bound
                rows.append(
                    (
                        _text(bound.label),
                        _text(kind),
                        _text(unit),
                        _text(bound.tier + (", modelled" if bound.modelled else ""), bound.tier),
                        _size(rung.median) if unit != "decision" else _share(float(bound.asked.mean())),
                        _size(rung.high),
                        _size(rung.largest),
                        _number(rung.size),
                        _share(rung.not_positive / rung.size, 1),
                        _number(float(bound.tolerance.max())),
                        _text(bound.claim),
                        _text(bound.semantics, "note"),
                    )
                )
    return Table(
        "Every rung in numbers",
        _columns(
            "Rung",
            "Pair",
            "Unit",
            "Tier",
            ("Median", "decision rungs: share of samples"),
            "95 %",
            "Largest",
            "Samples",
            "Samples ≤ 0",
            ("Tolerance", "largest stated error of a resolved value"),
            "Claim",
            "Arithmetic",
        ),
        tuple(rows),
    )


def edge_table(ladders: Sequence[tuple[str, Ladder]]) -> Table:
    """Every edge of the partial order, its worst slack and its violations."""
    rows = [_edge_row(kind, ladder, edge) for kind, ladder in ladders if ladder.samples for edge in ladder.edges]
    return Table(
        "The partial order, edge by edge",
        _columns(
            "Below ≤ above",
            "Pair",
            "Unit",
            "Claim",
            ("Asserted", "its hypotheses hold on this network, so a violation is an error"),
            ("Worst slack", "smallest value of above − below over the samples"),
            ("Tolerance there", "stated errors of both ends on that sample"),
            ("Violations", "samples on which below exceeds above by more than tolerance and rounding"),
            "Hypotheses",
        ),
        tuple(rows),
    )


def _edge_row(kind: str, ladder: Ladder, edge: Edge) -> tuple[Cell, ...]:
    below, above = ladder[edge.below], ladder[edge.above]
    known, excess = np.isfinite(above.upper), ladder.excess(edge)
    slack = np.where(known, np.where(known, above.upper, 0.0) - np.where(known, below.upper, 0.0), np.inf)
    worst = int(np.argmin(slack))
    failing = int(np.sum(excess > 0))
    return (
        _text(f"{below.label} ≤ {above.label}"),
        _text(kind),
        _text(below.unit),
        _text(edge.claim),
        _text("yes" if edge.asserted else "no, drawn only", "" if edge.asserted else "note"),
        _size(float(slack[worst])),
        _number(float(below.tolerance[worst] + above.tolerance[worst])),
        Cell(f"{whole(failing)} of {whole(int(known.sum()))}", failing, "bad" if failing and edge.asserted else ""),
        _text("; ".join(edge.hypotheses), "note"),
    )


LAYER_NUMBERS = (
    ("size_mean", "‖Rv‖∞ mean", "what R would have added to an output, largest over outputs and tokens; mean over samples"),
    ("size_max", "‖Rv‖∞ max", "the same, largest sample"),
    ("row_norm_mean", "row-norm bound", "largest 2-norm of a row of R times the 2-norm of v; mean over samples"),
    ("row_sum_mean", "row-sum bound", "largest absolute row sum of R times the largest entry of v; mean over samples"),
    ("speed_mean", "Speed mean", "largest speed of the logits along this target's segment; mean over samples"),
    ("lipschitz_proved", "L_s proved", "a proved Lipschitz constant of the network behind this target"),
    ("lipschitz_median", "L_s X9(b) median", "smallest constant that works along this segment, speed / ‖Rv‖∞; resolved"),
    ("lipschitz_max", "L_s X9(b) max", "the same, largest sample; resolved"),
    ("budget", "Budget B", "2 × mean over samples of L_s ‖Rv‖∞, with the X9(b) value; nats"),
    ("mass_budget", "Mass budget", "the budget that the removed row masses allow (EMP-T11), least over orders 1, 2, 4, 8 and ∞"),
    ("edge_budget", "Edge budget", "the Gaussian budget with the variance of R's fitted Marchenko–Pastur bulk: a model"),
    ("gauss_budget", "Gaussian budget", "the budget if R were Gaussian noise: a model, not a bound on this network"),
    ("frobenius_squared", "‖R‖²_F", "sum of squares of the removed weights"),
    ("l1", "‖R‖₁", "sum of absolute values of the removed weights"),
    ("reward", "Reward", "λ₂‖R‖²_F + λ₁‖R‖₁"),
    ("break_even_l2", "λ₂*", "smallest λ₂ at which the reward pays for the budget"),
)


def layer_table(ladder: Ladder) -> Table:
    """Data-path sizes, Lipschitz values, budget and break-even regulariser of each edited target."""
    rows = []
    for row in ladder.layers:
        shape = f"{row.get('rows', NOT_STATED)}×{row.get('cols', NOT_STATED)}"
        head = (_text(row.get("target", ""), "name"), _whole(row.get("step")), _text(shape))
        missing = {key: NO_LIPSCHITZ if key.startswith("lipschitz") else NOT_STATED for key, _, _ in LAYER_NUMBERS}
        numbers = [_number(row.get(key), missing[key]) for key in missing]
        rows.append((*head, _whole(row.get("removed")), _whole(row.get("tokens")), *numbers))
    return Table(
        "The edited targets one after another, each in the network left by the steps before it",
        _columns(
            "Target",
            ("Step", "order of removal; each step starts from the network the last one left"),
            "Rows × columns",
            "Removed",
            ("Tokens", "positions of one sample that pass through this matrix"),
            *((title, about) for _, title, about in LAYER_NUMBERS),
        ),
        tuple(rows),
    )


def spectra_table(spectra: Sequence[Spectrum]) -> Table:
    """Edges, fit error, bulk share and spikes of each target."""
    rows = []
    for row in spectra:
        values = [Cell(NOT_STATED, None)] * 6
        note = f"not fitted: {row.note}"
        if row.fitted:
            numbers = (row.entry_variance, row.bare_edge, row.spike_edge, row.fit_error)
            values = [*map(_number, numbers), _share(row.bulk_share, 1), _whole(len(row.spikes))]
            note = row.note or ("converged" if row.converged else "did not converge")
        head = (_text(row.target, "name"), _text(f"{row.rows}×{row.cols}"), _number(max(row.singular_values, default=None)))
        rows.append((*head, *values, _text(note, "note")))
    levels = listing([percent(level, 0) for level in sorted({row.level for row in spectra if row.fitted})])
    return Table(
        "Spectra",
        _columns(
            "Target",
            "Rows × columns",
            "Largest",
            ("Entry variance", "of a bulk entry, fitted"),
            ("Bare edge", "upper end of the fitted law"),
            ("Spike edge", f"noise exceeds it with probability {levels}: Tracy–Widom, in convolutions by permutation"),
            ("Fit error", "Kolmogorov distance between the central window and the fitted law, 0 to 1"),
            ("Bulk share", "share of singular values below the spike edge"),
            ("Spikes", "singular values at or above the spike edge"),
            "Note",
        ),
        tuple(rows),
    )


def limit_in_words(entry: Guarantee) -> str:
    """The limit of a guarantee in its unit, rounded up."""
    return nats(entry.limit) if entry.statement == "ce_increase" else percent(entry.limit, up=True)


def guarantee_table(guarantees: Sequence[tuple[str, Guarantee]]) -> Table:
    """Every guarantee with what it was computed from."""
    rows = []
    for plan, entry in guarantees:
        words, kind = ("VACUOUS", "bad") if entry.vacuous else (limit_in_words(entry), "strong")
        in_nats = entry.statement == "ce_increase"
        counts = ", ".join(f"{key} {whole(value)}" for key, value in entry.counts.items() if key != "samples")
        rows.append(
            (
                _text(STATEMENT.get(entry.statement, entry.statement)),
                _text(plan),
                Cell(words, entry.limit, kind),
                Cell(f"{number(entry.estimate)} nats", entry.estimate) if in_nats else _share(entry.estimate),
                _whole(entry.counts.get("samples")),
                _text(counts),
                Cell(confidence(entry.delta), 1 - entry.delta),
                Cell(number(entry.share, 6, exact=True), entry.share),
                Cell(number(entry.delta, 6, exact=True), entry.delta),
                _whole(entry.family),
                _text(entry.method, "note"),
                _text(entry.claim),
                Cell(short(entry.split), entry.split, "hash"),
            )
        )
    return Table(
        "Guarantees",
        _columns(
            "Statement",
            "Plan",
            ("At most", "upper limit, rounded up"),
            ("Observed", "on the split itself"),
            ("n", "samples"),
            "Counts",
            ("Confidence", "of all statements of the job together"),
            ("Share of δ", "spent on this statement"),
            ("δ", "of the family"),
            ("Family", "statements that share δ"),
            "Method",
            "Claim",
            "Split",
        ),
        tuple(rows),
    )


def key_value_table(caption: str, value: Mapping[str, Any], head: str = "What") -> Table:
    """A JSON object, one row per leaf."""
    return pairs_table(caption, flatten(value) if value else (), head)


def pairs_table(caption: str, rows: Iterable[tuple[str, str]], head: str = "What", second: str = "Value") -> Table:
    """Two columns of text."""
    return Table(caption, _columns(head, second), tuple((_text(key), Cell(text, text, "code")) for key, text in rows), False)
