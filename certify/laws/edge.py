"""Where a noise bulk ends, on the singular-value scale of R itself (weight units)."""

from __future__ import annotations

from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.laws.tracy_widom import tracy_widom_quantile
from certify.records import Refused


def bulk_edge(rows: int, cols: int, entry_variance: float) -> float:
    """The bare edge of the Marchenko–Pastur bulk.

        sqrt(v) (sqrt rows + sqrt cols),   v = entry_variance

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    Returns a singular value. The largest singular value of pure noise lies below it more often than not, so neither is
    an upper bound for the other (F19).
    Claim R2.3-mp-edge, F26 (Section 2 of arXiv:2606.02608).
    """
    return MarchenkoPasturSingular(rows, cols, entry_variance).support()[1]


def spike_threshold(rows: int, cols: int, entry_variance: float, beta: float) -> float:
    """The edge moved by the Tracy–Widom quantile, so that pure noise exceeds it with probability about beta.

        sqrt(v N T),   T = (1 + sqrt r)^2 + t_{1-beta} N^(-2/3) r^(-1/6) (1 + sqrt r)^(4/3),
        N = max(rows, cols),   r = min(rows, cols) / N,   v = entry_variance

    rows, cols     : shape of R, >= 1; the same for the transpose.
    entry_variance : v > 0.
    beta           : probability of exceedance under pure noise, in (0, 1); .1 detects spikes, 1/2 is near the median.
    Returns a singular value. Asymptotic: no finite-size guarantee. Refused where the correction would make T negative.
    Claim M7-tracy-widom (leading order; the BEMA edge of the long preprint of arXiv:2606.02608).
    """
    bare = bulk_edge(rows, cols, entry_variance)
    if not 0.0 < beta < 1.0:
        raise Refused(f"beta: {beta!r}; a probability strictly between 0 and 1 is expected")
    long, ratio = max(rows, cols), min(rows, cols) / max(rows, cols)
    root = 1.0 + ratio**0.5
    total = root**2 + tracy_widom_quantile(1.0 - beta) * long ** (-2 / 3) * ratio ** (-1 / 6) * root ** (4 / 3)
    if total <= 0.0:
        raise Refused(f"{rows} x {cols}: too small for a Tracy-Widom threshold at beta = {beta}")
    return bare * (total / root**2) ** 0.5
