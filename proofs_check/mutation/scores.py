"""Wrong edits of effective-number pruning, masks, graph spectra and rates."""

from __future__ import annotations

from proofs_check.mutation.edit import theory_edit as _edit

_NUMBER, _MASS, _LOSS, _PATHS, _LAWS = (
    "emp/effective_number",
    "emp/mass_bounds",
    "emp/retained_loss",
    "emp/data_path_scores",
    "emp/score_laws",
)

EDITS = (
    _edit(_NUMBER, "return total * total / square", "return total / square", "P for P^2", "effective_number"),
    _edit(
        _NUMBER,
        "max(1, math.floor(share * total * total / square))",
        "max(1, math.floor(float(share) * float(total) ** 2 / float(square)))",
        "a float floor for the exact one",
        "effective_number",
    ),
    _edit(_NUMBER, "max(1, math.floor(share", "max(0, math.floor(share", "at least none kept", "effective_number"),
    _edit(_NUMBER, "ratio * ratio))", "ratio))", "1/omega for 1/omega^2", "effective_number"),
    _edit(
        _NUMBER,
        "rounded_up(sums_exact(size[~mask])",
        "float(sums_exact(size[~mask])",
        "removed mass not rounded up",
        "effective_number",
    ),
    _edit(
        _NUMBER, "math.fsum(share * share / numbers)", "math.fsum(share / numbers)", "pi for pi^2 in pooling", "effective_number"
    ),
    _edit(
        _NUMBER,
        "return rounded_up(square / total)",
        "return rounded_up(square / total / 2)",
        "half the threshold",
        "effective_number",
    ),
    _edit(
        _NUMBER,
        'np.argsort(-size, kind="stable")',
        'np.argsort(-size, kind="stable")[::-1]',
        "smallest first",
        "effective_number",
    ),
    _edit(
        _MASS,
        "return -rounded_up(-low), rounded_up(high)",
        "return float(low), float(high)",
        "ends rounded to nearest",
        "mass_bounds",
    ),
    _edit(_MASS, "* k * (n - k) / n, up=True)", "* k * (n - k) / (n - 1), up=True)", "n - 1 for n in Theorem 3", "mass_bounds"),
    _edit(
        _MASS, "return [(n, 1), (j + 1, j)] if j < n else [(n, 1)]", "return [(n, 1)]", "the second edge forgotten", "mass_bounds"
    ),
    _edit(
        _MASS, "Fraction(n - nu - 1, (nu + 1) * (n - 1))", "Fraction(n - nu - 1, nu * (n - 1))", "nu for nu + 1", "mass_bounds"
    ),
    _edit(_MASS, "        return 0.5\n", "        return 1.0 / 3.0\n", "the cell nu = 1", "mass_bounds"),
    _edit(_MASS, "return 2 * phi > 1", "return 3 * phi > 2", "2/3 for 1/2 in the first cell", "mass_bounds"),
    _edit(_LOSS, "return min(lost * energy,", "return max(lost * energy,", "the larger of two bounds", "retained_loss"),
    _edit(
        _LOSS, "slope + 0.5 * number(curvature", "slope + 0.25 * number(curvature", "a factor 2 of the curvature", "retained_loss"
    ),
    _edit(_LOSS, "return _total(0.5 * mass * mass)", "return _total(0.5 * mass)", "mass for mass^2", "retained_loss"),
    _edit(
        _PATHS,
        "return representable(2.0 * np.mean(table * constants",
        "return representable(np.mean(table * constants",
        "factor 2 of the budget",
        "data_path_scores",
    ),
    _edit(_PATHS, "np.abs(v).max(axis=1)\n", "np.abs(v)[:, 0]\n", "first token only", "data_path_scores"),
    _edit(
        _PATHS,
        "return float(representable(2.0 * _power_sum(rows, _order(order))",
        "return float(representable(_power_sum(rows, _order(order))",
        "factor 2 of the row bound",
        "data_path_scores",
    ),
    _edit(_PATHS, "(1.0 - phi) * totals", "phi * totals", "retained for removed", "data_path_scores"),
    _edit(_PATHS, "return 2.0 * alpha <=", "return alpha <=", "factor 2 of the free entries", "data_path_scores"),
    _edit(_PATHS, "np.mean(size <= 2.0 * half)", "np.mean(size < 2.0 * half)", "a margin of exactly 2 tau", "data_path_scores"),
    _edit(_LAWS, "4 * r**2 * one - 4 * r**3", "4 * r**2 * one - 2 * r**3", "cross term of the variance", "score_laws"),
    _edit(_LAWS, "max(0.0, 2.0 - 2.0 / a)", "max(0.0, 2.0 - 1.0 / a)", "exponent of heavy tails", "score_laws"),
    _edit(_LAWS, "float(0.75 * np.sum(n * width)", "float(0.5 * np.sum(n * width)", "3/4 of uniform weights", "score_laws"),
    _edit(
        "rank_monotone", "return 2 * min(inside,", "return min(inside,", "factor 2 of the symmetric difference", "rank_monotone"
    ),
    _edit("rank_monotone", "s[top].min() > s[~top].max()", "s[top].min() >= s[~top].max()", "a tie at the cut", "rank_monotone"),
    _edit("rank_monotone", "return low, low + (rest > 0)", "return low, low + 1", "ceiling of a whole quotient", "rank_monotone"),
    _edit(
        "rank_monotone",
        "values = 4.0 * values * (1.0 - values)",
        "values = 2.0 * values * (1.0 - values)",
        "logistic factor",
        "rank_monotone",
    ),
    _edit(
        "graph_spectra",
        "return float(values[-1]), float(values[0])",
        "return float(values[0]), float(values[-1])",
        "ends swapped",
        "graph_spectra",
    ),
    _edit(
        "graph_spectra", "return table + (w / rest)", "return table - (w / rest)", "sign of the rank-one update", "graph_spectra"
    ),
    _edit(
        "graph_spectra",
        "return np.sum(w * e, axis=1) / degree",
        "return np.sum(w * e, axis=1)",
        "share for mean",
        "graph_spectra",
    ),
    _edit(
        "graph_spectra",
        "weight = (pairs.values if form",
        "weight = (np.sqrt(pairs.values) if form",
        "root of the eigenvalue",
        "graph_spectra",
    ),
    _edit(
        "binomial", "_upper(losses, n, alpha / 2.0) - _lower", "_upper(losses, n, alpha) - _lower", "alpha not shared", "binomial"
    ),
    _edit("binomial", "np.exp(math.log(alpha) / n)", "np.exp(math.log(alpha / 2.0) / n)", "one-sided level halved", "binomial"),
    _edit("binomial", "math.log(2.0 * count)", "math.log(count)", "one tail for two", "binomial"),
)
