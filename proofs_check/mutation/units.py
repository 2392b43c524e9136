"""Wrong edits of units: graphs and pencils of spectral distortion, masks along a ranking, searches, states of hidden layers."""

from __future__ import annotations

from proofs_check.mutation.edit import room_edit as _edit

_GRAPHS, _PENCILS, _SCORES = (f"pruning/distortion/{name}" for name in ("graphs", "pencils", "scores"))
_MASKS, _FEATURES, _COMPLEXITY, _SEARCH = (f"pruning/ranking/{name}" for name in ("masks", "features", "complexity", "search"))
_DISTORTED, _RANKED, _NEURONS, _HIDDEN = (
    "pruning/test_distortion",
    "pruning/test_ranking",
    "pruning/test_neurons",
    "networks/test_hidden",
)

EDITS = (
    _edit(_GRAPHS, "near |= near.T", "near &= near.T", "mutual neighbours for the union", _DISTORTED),
    _edit(_GRAPHS, "np.cumsum(level, axis=1) <= wanted", "np.cumsum(level, axis=1) < wanted", "one tie too few", _DISTORTED),
    _edit(_GRAPHS, "1.0 - lengths / 4.0", "1.0 - lengths / 2.0", "correlations, negative ones too, for weights", _DISTORTED),
    _edit(_GRAPHS, "closer = outside & (", "closer = ~outside & (", "a tree that looks at what it has", _DISTORTED),
    _edit(_PENCILS, "vectors / np.sqrt(turned)", "vectors * np.sqrt(turned)", "the turned pencil's norm", _DISTORTED),
    _edit(_PENCILS, "    while end < len(sizes) and abs(", "    while False and abs(", "a cut inside an eigenspace", _DISTORTED),
    _edit(_PENCILS, "np.log(found.values) ** 2", "np.log(found.values)", "signed logarithms", _DISTORTED),
    _edit(
        _PENCILS,
        "a, b = laplacian(inner), laplacian(outer)",
        "b, a = laplacian(inner), laplacian(outer)",
        "L_in^+ L_out",
        _DISTORTED,
    ),
    _edit(_PENCILS, "return sums / 2.0", "return sums", "a share counted from both ends", _DISTORTED),
    _edit(_SCORES, "np.where(self.gone, 0, ", "np.where(self.gone, 3, ", "removed units come back", _DISTORTED),
    _edit(_SCORES, "outer.weights[order][:, order]", "outer.weights", "labels that are not permuted", _DISTORTED),
    _edit(_MASKS, "np.concatenate(base) if ties", "None if ties", "a pool whose ties forget the base", _RANKED),
    _edit(
        _MASKS, "if all(is_rank_monotone(s, m) for", "if any(is_rank_monotone(s, m) for", "one monotone layer for all", _RANKED
    ),
    _edit(_FEATURES, "(layer.middle - layer.sparsity)", "(layer.middle - 0.5)", "a bump that misses the cut", _RANKED),
    _edit(_FEATURES, "phases[0] = 1.0", "phases[0] = 1.0j", "a surrogate with another mean", _RANKED),
    _edit(_COMPLEXITY, "np.append(tail[1:], 0.0)", "np.append(tail[:-1], 0.0)", "a tail that holds its own degree", _RANKED),
    _edit(_COMPLEXITY, "0 if monotone else 1 if", "1 if", "a monotone step called a bump", _RANKED),
    _edit(_SEARCH, "if self.seen[key] > self.best_value", "if self.seen[key] >= self.best_value", "the last of equals", _RANKED),
    _edit(_SEARCH, "min(count, left)", "count", "a budget overdrawn by the last generation", _RANKED),
    _edit(
        "pruning/units",
        "return total - round(sparsity * total)",
        "return total - int(sparsity * total)",
        "shares rounded down",
        _RANKED,
    ),
    _edit("pruning/units", "masks[group.writer.name][~columns, :] = False", "pass", "a writer that keeps its rows", _NEURONS),
    _edit("pruning/neurons", "[-group.reader.cols :]", "[: group.reader.cols]", "queries for values", _NEURONS),
    _edit("networks/hidden", "layer.offset : layer.offset + width", "0:width", "queries for values", _HIDDEN),
    _edit("networks/hidden", ".sum(0).abs().numpy()", ".abs().sum(0).numpy()", "absolute values inside the sum", _HIDDEN),
    _edit("networks/hidden", "layer.weight[:, unit] * value", "layer.weight[:, unit]", "a constant folded as 1", _NEURONS),
)
