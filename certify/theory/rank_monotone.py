"""Which scorers must give the same mask, before anything is evaluated.

A score s is strictly rank-monotone for a base m on a comparison set if m_i < m_j implies s_i < s_j and m_i = m_j
implies s_i = s_j; weakly, if the first conclusion is s_i <= s_j. A mask keeps the K best of the comparison set, ties
decided by position (the index rule) or by the base, then position (the base rule). Whatever two scorers with one mask
measure, they measure it on one network: any spread between them is a bug, ties, or noise of a recovery.
"""

from __future__ import annotations

import numpy as np

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, finite, whole
from certify.theory.emp.effective_number import Mask


def top_mask(scores: ArrayLike, kept: int, base: ArrayLike | None = None) -> Mask:
    """The K best entries.

        first K in the order of (-s_i, i), or of (-s_i, -m_i, i) with a base

    scores : (N,) without NaN; infinities are values like any other, -0.0 equals 0.0.
    kept   : K, 0..N.
    base   : (N,) m for the base rule; None for the index rule. The base rule hides ties that a saturating score makes.
    Returns (N,) bool with K entries True.
    Claim SEL-T1, SEL-T2 (Section 1.4 of methods/selection-plateau.md).
    """
    s = _scores(scores, "scores")
    keys = (-s,) if base is None else (-_scores(base, "base", s.size), -s)
    mask = np.zeros(s.size, dtype=np.bool_)
    mask[np.lexsort(keys)[: whole(kept, "kept", 0, s.size)]] = True
    return mask


def is_rank_monotone(scores: ArrayLike, base: ArrayLike, *, strictly: bool = True) -> bool:
    """Whether a score orders the comparison set as its base does.

        strictly: m_i < m_j => s_i < s_j;   weakly: m_i < m_j => s_i <= s_j;   both: m_i = m_j => s_i = s_j

    Strictly rank-monotone scores give the masks of the base for every K under either tie rule, and are the only ones
    that do so for every K under the index rule, up to equal sorted orders. Non-negative sums of such scores, not all
    weights 0, are such scores in real arithmetic; in floats they are weakly so.
    scores, base : (N,) without NaN.
    Returns True or False.
    Claim SEL-T1, SEL-T5 (Theorems 1 and 5 of methods/selection-plateau.md), SEL-signed-fusion, SEL-smoothing.
    """
    m = _scores(base, "base")
    s = _scores(scores, "scores", m.size)
    order = np.lexsort((s, m))
    same = m[order][1:] == m[order][:-1]
    rise = s[order][1:] > s[order][:-1]
    level = s[order][1:] == s[order][:-1]
    return bool(np.all(np.where(same, level, rise | (level & (not strictly)))))


def tie_difference_upper(scores: ArrayLike, kept: int) -> int:
    """Most entries by which the mask of a weakly rank-monotone score differs from its base's, index rule.

        |keep(s) symdiff keep(m)|  <=  2 min(a, |T| - a),   T = {s_i = tau}, a = K - #{s_i > tau}, tau K-th largest

    scores : (N,) s, weakly rank-monotone for the base (unchecked here; `is_rank_monotone`).
    kept   : K, 1..N.
    Returns a whole number; 0 where no tie crosses the cut. With the base rule the masks are equal.
    Claim SEL-T2 (Theorem 2 of methods/selection-plateau.md).
    """
    s = _scores(scores, "scores")
    tau = np.sort(s)[::-1][whole(kept, "kept", 1, s.size) - 1]
    inside = kept - int(np.count_nonzero(s > tau))
    return 2 * min(inside, int(np.count_nonzero(s == tau)) - inside)


def cut_is_clean(scores: ArrayLike, kept: int) -> bool:
    """Whether no tie of the score crosses the cut.

        s_(K) != s_(K+1),   scores sorted downwards;   True at K = 0 and K = N

    scores : (N,) without NaN.
    kept   : K, 0..N.
    Returns True or False. Ties of the base are harmless.
    Claim SEL-T3 (Theorem 3 of methods/selection-plateau.md, hypothesis by the errata).
    """
    s = np.sort(_scores(scores, "scores"))[::-1]
    count = whole(kept, "kept", 0, s.size)
    return count in (0, s.size) or bool(s[count - 1] != s[count])


def separates_top(scores: ArrayLike, base: ArrayLike, kept: int) -> bool:
    """The criterion for one K: does the score put the base's top K above all others?

        min {s_i : i in top-K(m)}  >  max {s_i : i not in top-K(m)}

    It implies keep(s) = keep(m) always, and is equivalent to it if s_(K) != s_(K+1) (`cut_is_clean`). With a tie of s
    at the cut the masks may agree by the tie rule alone: m = (5,3,5,6), s = (3,3,2,5), K = 2.
    scores, base : (N,) without NaN.
    kept         : K, 0..N.
    Returns True or False; True at K = 0 and K = N.
    Claim SEL-T3 (Theorem 3 of methods/selection-plateau.md, hypothesis by the errata), ER-SEL-T3-ties.
    """
    m = _scores(base, "base")
    s = _scores(scores, "scores", m.size)
    top = top_mask(m, kept)
    return bool(top.all() or not top.any() or s[top].min() > s[~top].max())


def same_ranking(table: ArrayLike) -> tuple[tuple[int, ...], ...]:
    """Scorers that must coincide at every sparsity, as classes.

        k ~ l  iff  s^k_i < s^k_j <=> s^l_i < s^l_j for all i, j

    table : (scorers, N) one scorer per row, without NaN.
    Returns the classes, each in ascending order, ordered by their first member.
    Claim SEL-T1 (Theorem 1 of methods/selection-plateau.md).
    """
    return _classes([np.unique(row, return_inverse=True)[1].tobytes() for row in _table(table)])


def same_mask(table: ArrayLike, kept: int, base: ArrayLike | None = None) -> tuple[tuple[int, ...], ...]:
    """Scorers that coincide at one K, as classes.

        k ~ l  iff  keep(s^k; K) = keep(s^l; K)

    table : (scorers, N) one scorer per row, without NaN.
    kept  : K, 0..N.
    base  : (N,) for the base rule, None for the index rule.
    Returns the classes; one evaluation per class serves all its scorers. Never finer than `same_ranking`.
    Claim SEL-T3 (Theorem 3 of methods/selection-plateau.md).
    """
    return _classes([top_mask(row, kept, base).tobytes() for row in _table(table)])


def scores_for_allocation(bases: list[ArrayLike], kept: list[int]) -> list[Array]:
    """Scores, each increasing in its layer's base, for which one global pool keeps any wished number per layer.

        s_l = (dense rank of m_l) - (rank of the K_l-th largest) + 1/2:  positive exactly for the top K_l

    So "independent of the functional form" is false across layers: monotone maps per layer reach every allocation.
    bases : layers of (n_l,) values without NaN and without ties at the cuts.
    kept  : K_l, 0..n_l.
    Returns layers of (n_l,) scores, strictly rank-monotone for their layer; sum K_l of them are positive.
    Claim SEL-T4 (Theorem 4 of methods/selection-plateau.md), SEL-global-transform.
    """
    if len(bases) != len(kept):
        raise Refused(f"bases, kept: {len(bases)} layers and {len(kept)} counts; one count per layer is expected")
    scores = []
    for layer, count in zip(bases, kept, strict=True):
        m = _scores(layer, "base")
        if not cut_is_clean(m, count):
            raise Refused(f"base: the values of rank {count} and {count + 1} are equal; no increasing map separates them")
        rank = np.unique(m, return_inverse=True)[1].astype(np.float64)
        lowest_kept = np.sort(rank)[m.size - count] if count else rank.max() + 1.0
        scores.append(rank - lowest_kept + 0.5)
    return scores


def global_rank_counts(layers: int, width: int, kept: int) -> tuple[int, int]:
    """What a global pool of per-layer ranks keeps in each layer.

        floor(K / L) or ceil(K / L) channels of every layer: ranking per layer is uniform allocation

    layers : L >= 1, all of one width and scored by the same increasing function of the rank inside the layer.
    width  : n >= 1.
    kept   : K, 0..L n.
    Returns (floor, ceil).
    Claim SEL-T6 (Theorem 6 of methods/selection-plateau.md).
    """
    count = whole(layers, "layers", 1)
    low, rest = divmod(whole(kept, "kept", 0, count * whole(width, "width", 1)), count)
    return low, low + (rest > 0)


def logistic_iterate(z: ArrayLike, times: int) -> Array:
    """The logistic map F(z) = 4 z (1 - z), iterated: a feature of known complexity.

        F^t has degree 2^t;   1 - 2 F^t(z) = T_{2^t}(1 - 2 z),   T_k the Chebyshev polynomial

    z     : real numbers in [0, 1].
    times : t >= 0, at most 30: rounding grows about twofold with each.
    Returns values in [0, 1].
    Claim SEL-T7 (Theorem 7 of methods/selection-plateau.md).
    """
    values = finite(z, "z")
    if values.size and (values.min() < 0.0 or values.max() > 1.0):
        raise Refused(f"z: from {values.min()} to {values.max()}; the map acts on [0, 1]")
    for _ in range(whole(times, "times", 0, 30)):
        values = 4.0 * values * (1.0 - values)
    return values


def _scores(values: ArrayLike, name: str, size: int | None = None) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not array.size or size not in (None, array.size):
        wanted = "(any,)" if size is None else f"({size},)"
        raise Refused(f"{name}: {array.dtype} {array.shape}; real numbers of shape {wanted} are expected")
    array = array.astype(np.float64)
    if np.any(np.isnan(array)):
        raise Refused(f"{name}: {int(np.isnan(array).sum())} of {array.size} entries are NaN; NaN has no rank")
    return array


def _table(table: ArrayLike) -> list[Array]:
    rows = np.asarray(table)
    if rows.ndim != 2 or not rows.size:
        raise Refused(f"table: shape {rows.shape}; (scorers, entries) is expected")
    return [_scores(row, "table") for row in rows]


def _classes(keys: list[bytes]) -> tuple[tuple[int, ...], ...]:
    found: dict[bytes, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return tuple(map(tuple, found.values()))
