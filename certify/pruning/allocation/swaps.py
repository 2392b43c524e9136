"""Prune and restore: exchange removed and kept weights of a row while the energy the row loses falls."""

from __future__ import annotations

import numpy as np

from certify.pruning.method import Made, Method, Request, by_scores
from certify.pruning.unstructured.obs import whole_gram
from certify.records import Edit, Usage

STARTS = ("magnitude", "wanda")


def prune_restore(request: Request, *, start: str = "wanda", scope: str = "row", passes: int = 100) -> Made:
    """Start from a mask by scores; in every row restore one weight and remove another while the lost energy falls.

        e_i = r_i^T C r_i = mean of ((R v)_i)^2,   r_i the removed part of row i, C = mean v v^T over samples and tokens

    A move is made only where it strictly lowers e_i, so no row ends above its start and the budget bound
    2 L sqrt(P sum_i e_i) (X30) never worsens; the published condition for a restoration to help is C5.6, and X12(b) says why
    a plain restoration may not (F11). Counts per row stay, so the total is that of the start.
    start : "magnitude" or "wanda". scope : of the start. passes : at most so many moves a row.
    Needs whole grams.
    """
    if start not in STARTS or passes < 0:
        raise Usage(f"start = {start!r}, passes = {passes}: known are {', '.join(STARTS)}, and passes >= 0")
    scores = {name: np.abs(weight) for name, weight in request.weights.items()}
    if start == "wanda":
        scores = {name: size * np.sqrt(request.evidence.part("moments", name)) for name, size in scores.items()}
    edits, facts = [], {}
    for edit in by_scores(request, scores, scope=scope).edits:
        weight, gram = request.evidence.weights[edit.target], whole_gram(request, edit.target)
        kept = exchange(weight, edit.kept, gram, passes)
        before, after = (float(energies(np.where(mask, 0.0, weight), gram).sum()) for mask in (edit.kept, kept))
        facts[edit.target] = {"energy": after, "energy_of_start": before, "exchanged": int(np.sum(kept & ~edit.kept))}
        edits.append(Edit(edit.target, kept))
    return Made(tuple(edits), {"layers": facts})


def energies(removed: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """(rows,) r_i^T C r_i."""
    return np.einsum("ij,ij->i", removed @ gram, removed)


def exchange(weight: np.ndarray, kept: np.ndarray, gram: np.ndarray, passes: int) -> np.ndarray:
    """A mask of the same count in every row and of no larger energy in any.

    Exchanging removed j for kept k changes the energy by
        w_k^2 C_kk + 2 w_k (C r)_k  +  w_j^2 C_jj - 2 w_j (C r)_j  -  2 w_j w_k C_jk
    Of every row the best partner of the best restoration and the best partner of the best removal are tried, and the better pair
    is made; a row stops where neither gains beyond rounding.
    """
    kept = kept.copy()
    sent = np.where(kept, 0.0, weight) @ gram
    own = np.square(weight) * np.diag(gram)
    active = np.flatnonzero((~kept).any(axis=1) & kept.any(axis=1))
    for _ in range(passes):
        if not active.size:
            break
        w, mask = weight[active], kept[active]
        restore = np.where(mask, np.inf, own[active] - 2.0 * w * sent[active])
        remove = np.where(mask, own[active] + 2.0 * w * sent[active], np.inf)
        back, gone, change = _pairs(w, restore, remove, gram)
        scale = own[active].max(axis=1) + np.abs(w * sent[active]).max(axis=1)
        better = change < -1e-9 * scale
        active, back, gone = active[better], back[better], gone[better]
        kept[active, back], kept[active, gone] = True, False
        sent[active] += weight[active, gone, None] * gram[gone] - weight[active, back, None] * gram[back]
    return kept


def _pairs(w: np.ndarray, restore: np.ndarray, remove: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per row the exchange to make: (restored column, removed column, change of the energy)."""
    rows = np.arange(len(w))
    first_back, first_gone = restore.argmin(axis=1), remove.argmin(axis=1)
    partner = remove - 2.0 * w * w[rows, first_back, None] * gram[first_back]
    partner_back = restore - 2.0 * w * w[rows, first_gone, None] * gram[first_gone]
    gone, back = partner.argmin(axis=1), partner_back.argmin(axis=1)
    one = restore[rows, first_back] + partner[rows, gone]
    two = remove[rows, first_gone] + partner_back[rows, back]
    takes_one = one <= two
    return np.where(takes_one, first_back, back), np.where(takes_one, gone, first_gone), np.minimum(one, two)


METHODS = (
    Method(
        "prune-restore",
        "scores, then exchanges that lower each row's lost energy",
        prune_restore,
        ("sparsity",),
        ("grams", "moments"),
        whole=True,
    ),
)
