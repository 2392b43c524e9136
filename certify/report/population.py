"""Tables of what is said of the population beyond one limit a statement: classes, shifts, the choice of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from certify.records import Choice, Guarantee
from certify.report.formats import number, percent, whole
from certify.report.tables import STATEMENT, Cell, Column, Table

VACUOUS = ("VACUOUS", "bad")
DIVERGENCE = {"kl": "Kullback–Leibler, {} nats", "chi_square": "chi-square, {}"}


def group_table(guarantees: Sequence[tuple[str, Guarantee]]) -> Table:
    """The limit in every class, all of them together within the share of their statement."""
    rows = []
    for plan, entry in guarantees:
        for row in entry.details.get("groups", ()):
            words, kind = (percent(row["limit"], up=True), "strong") if row["limit"] < 1 else VACUOUS
            seen, failures = row["samples"], row["failures"]
            rows.append(
                (
                    Cell(f"class {row['group']}", int(row["group"])),
                    Cell(plan, plan),
                    Cell(words, row["limit"], kind),
                    Cell(f"{whole(failures)} of {whole(seen)}", failures / seen if seen else None),
                )
            )
    head = (Column("Class", "the true label, by its number"), Column("Plan"), Column("Disagreement at most"), Column("Observed"))
    return Table("Disagreement, class by class", head, tuple(rows))


def shift_table(guarantees: Sequence[tuple[str, Guarantee]]) -> Table:
    """Every limit within every radius that was asked for."""
    rows = []
    for plan, entry in guarantees:
        for divergence, found in entry.shift.items():
            words, kind = (percent(found["limit"], up=True), "strong") if found["limit"] < 1 else VACUOUS
            said = DIVERGENCE.get(divergence, f"{divergence}, {{}}").format(number(found["radius"], 6, exact=True))
            statement = STATEMENT.get(entry.statement, entry.statement)
            here = percent(entry.limit, up=True)
            rows.append(
                (
                    Cell(statement, statement),
                    Cell(plan, plan),
                    Cell(said, said),
                    Cell(words, found["limit"], kind),
                    Cell(here, entry.limit),
                )
            )
    head = (
        Column("Statement"),
        Column("Plan"),
        Column("Population within", "a radius that is assumed; nothing here measures it"),
        Column("At most"),
        Column("Without shift"),
    )
    return Table("Limits under shift", head, tuple(rows))


def choice_table(choice: Choice) -> Table:
    """Every plan with its p-value, and which was taken."""
    rows = []
    for row in choice.plans:
        counts = ", ".join(f"{key} {whole(value)}" for key, value in row["counts"].items())
        said = "chosen" if row["plan"] == choice.chosen else "passed" if row["passed"] else "not shown"
        rows.append(
            (
                Cell(row["plan"], row["plan"]),
                Cell(said, said, "strong" if said == "chosen" else ""),
                Cell(number(row["p_value"]), row["p_value"]),
                Cell(percent(row["score"]), row["score"]),
                Cell(counts, counts),
            )
        )
    risk = STATEMENT.get(choice.statement, choice.statement).lower()
    about = f"of the risk being {percent(choice.level)} or more"
    head = (Column("Plan"), Column("Outcome"), Column("p-value", about), Column(choice.prefer.capitalize()), Column("Counts"))
    return Table(f"Choice of a plan: {risk} below {percent(choice.level)}, {choice.procedure}", head, tuple(rows))
