"""The evidence of reports/theory beside the ledger: looseness, accuracy of the laws, pictures."""

from __future__ import annotations

from pathlib import Path

from certify.laws.accuracy import SHAPES, published_comparison, quadrature_error, tail_errors
from proofs_check import figures, looseness


def laws_markdown() -> str:
    """Marchenko–Pastur against quadrature, Tracy–Widom against published values and against the Painlevé equation."""
    rows = published_comparison()
    text = [
        "# Accuracy of the laws",
        "",
        "Written by `python -m proofs_check report`.",
        "",
        f"**Marchenko–Pastur.** cdf and sf, both scales, {len(SHAPES)} shapes from 1 x 1 to 1,000,000 x 1, inside the bulk,",
        f"at and beyond its edges, against quadrature of the density at 30 digits: largest error {quadrature_error():.2g}.",
        "",
        "**Tracy–Widom tails** against the Painlevé II equation at 50 digits.",
        "",
        "| beta | 1 - F, relative, down to 1e-12 | F, absolute | quantiles, absolute |",
        "|---|---|---|---|",
        *(f"| {beta} | {e.upper:.1e} | {e.lower:.1e} | {e.quantile:.1e} |" for beta, e in tail_errors().items()),
        "",
        f"**Tracy–Widom** against the {len(rows)} values published by Prähofer and Spohn.",
        "",
        "| beta | s | value | published | difference |",
        "|---|---|---|---|---|",
        *(f"| {row.beta} | {row.s:g} | {row.what} | {row.published!r} | {row.difference:.1e} |" for row in rows),
    ]
    return "\n".join(text) + "\n"


def write(folder: Path, run: Path | None) -> list[Path]:
    """Write everything of this module; with a run folder its network joins the looseness table."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in (("looseness.md", looseness.to_markdown(run)), ("laws.md", laws_markdown())):
        paths.append(folder / name)
        paths[-1].write_text(text, encoding="utf-8")
    return paths + figures.draw(folder)
