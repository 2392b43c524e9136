"""Wrong edits of the random-matrix laws and of the perturbation constants."""

from __future__ import annotations

from proofs_check.mutation.edit import Edit


def _law(module: str, text: str, wrong: str, what: str, *tests: str) -> Edit:
    """`tests`: file::function below tests/laws, without "test_" and ".py"."""
    paths = (test.partition("::") for test in tests)
    return Edit(
        f"certify/laws/{module}.py",
        text,
        wrong,
        what,
        tuple(f"tests/laws/test_{file}.py::test_{name}" for file, _, name in paths),
    )


def _shift(text: str, wrong: str, what: str) -> Edit:
    return Edit("certify/theory/perturbation.py", text, wrong, what, ("tests/theory/test_perturbation.py",))


_MP, _TW = "marchenko_pastur", "tracy_widom"
_DIGITS = "marchenko_pastur_laws::distribution_at_thirty_digits"
_PUBLISHED = "tracy_widom_laws::published_values"
_PAINLEVE = "tracy_widom_laws::painleve"

EDITS = (
    _law(
        _MP,
        "return self.rows * self.entry_variance",
        "return self.cols * self.entry_variance",
        "m v for n v",
        "marchenko_pastur::known_moments",
    ),
    _law(
        _MP,
        "max(0.0, (self.cols - self.rows) / self.cols)",
        "max(0.0, (self.rows - self.cols) / self.rows)",
        "atom of the transpose",
        "marchenko_pastur::at_and_beyond_the_edges",
    ),
    _law(
        _MP,
        "slope / (2.0 * math.pi * self.cols",
        "slope / (2.0 * math.pi * self.rows",
        "n for m in the density",
        "marchenko_pastur::cdf_is_the_integral_of_the_density",
    ),
    _law(_MP, "for k in range(2, POWERS)", "for k in range(3, POWERS)", "first term of a series dropped", _DIGITS),
    _law(_MP, "SMALL, POWERS = 1.0 / 16.0, 16", "SMALL, POWERS = 1.0 / 16.0, 6", "a series cut short", _DIGITS),
    _law(
        _MP,
        "np.arctan2(np.sqrt(w), np.sqrt(u)) - angle - excess",
        "np.arctan2(np.sqrt(w), np.sqrt(u)) + angle - excess",
        "sign of an angle",
        "marchenko_pastur_laws::survival_and_quantiles",
    ),
    _law(
        _MP,
        "direct = np.abs(minus) >= np.abs(plus)",
        "direct = np.abs(minus) >= 0.0",
        "the form that cancels",
        "marchenko_pastur_laws::stieltjes_where_forms_cancel",
    ),
    _law(
        _MP,
        "-np.sqrt(np.abs(real - low))",
        "np.sqrt(np.abs(real - low))",
        "branch of the root left of the bulk",
        "marchenko_pastur_laws::stieltjes",
    ),
    _law(_MP, "// (j + 1)) for j", "// (j + 2)) for j", "Narayana denominator", "marchenko_pastur_laws::narayana_numbers"),
    _law(_MP, "17 * n * m", "16 * n * m", "a coefficient of order 4", "marchenko_pastur_laws::finite_moments_by_pairings"),
    _law(
        _MP, "3 * (n + m) + 4", "3 * (n + m) + 3", "a coefficient of order 3", "marchenko_pastur_laws::finite_moments_by_pairings"
    ),
    _law(_MP, "- 1.0 - rest", "- 1.0 + rest", "sign in the log moment", "marchenko_pastur_laws::moments_at_thirty_digits"),
    _law(
        _MP,
        "MarchenkoPastur(self.cols, self.rows, self.entry_variance)",
        "MarchenkoPastur(self.rows, self.cols, self.entry_variance)",
        "companion that is not transposed",
        "marchenko_pastur_laws::stieltjes",
    ),
    _law(_TW, "total = float(np.sum(minus))", "total = float(np.sum(plus))", "the other determinant", _PUBLISHED),
    _law(_TW, "NODES, CHECK = 56, 44", "NODES, CHECK = 24, 20", "too few nodes", _PUBLISHED),
    _law(_TW, "for _ in range(3):", "for _ in range(0):", "nodes left unpolished", _PUBLISHED, _PAINLEVE),
    _law(_TW, "REACH = 64.0", "REACH = 16.0", "operator cut too early", _PUBLISHED, _PAINLEVE),
    _law(
        _TW,
        "math.sqrt(2.0) * s if beta == 4",
        "2.0 ** (2.0 / 3.0) * s if beta == 4",
        "another normalisation of beta 4",
        "tracy_widom_laws::known_quantiles",
    ),
    _law(_TW, "-math.expm1(total), float(-np.sum(", "1.0 - math.exp(total), float(-np.sum(", "1 - F by subtraction", _PAINLEVE),
    _law(_TW, "-2.0 * np.sum(mu * change", "-np.sum(mu * change", "a factor 2 in a density", _PUBLISHED),
    _law(_TW, "math.sinh(0.5 * b) ** 2", "math.sinh(b) ** 2", "half an angle", _PAINLEVE),
    _law(
        _TW,
        "math.sqrt(2.0) * float(np.sum(change",
        "float(np.sum(change",
        "chain rule of beta 4",
        "tracy_widom_laws::density_is_the_slope",
    ),
    _law(
        _TW,
        "1.607781034581,",
        "1.268034058,",
        "root for square: deviation as variance",
        "tracy_widom_laws::moments_against_quadrature",
    ),
    _law(
        "wishart", "_edge(rows - 1.0, float(cols)", "_edge(float(rows), cols - 1.0", "Johnstone transposed", "wishart::as_printed"
    ),
    _law("wishart", "(1.0 / 3.0)", "(1.0 / 6.0)", "exponent of the scale", "wishart::as_printed"),
    _law("wishart", "np.exp(-0.5 * t * t)", "np.exp(-t * t)", "a factor 2 in a tail", "wishart::nonasymptotic_edge"),
    _law("wishart", "rows - 0.5, cols - 0.5", "rows - 0.5, cols + 0.5", "sign of a half", "wishart::as_printed"),
    _law("wishart", "0.5 * rows * cols, 0.5", "rows * cols, 0.5", "degrees of freedom doubled", "wishart::norm_exceedance_known"),
    _law(
        "wishart",
        "beside = rng.chisquare(np.arange(short - 1",
        "beside = rng.chisquare(np.arange(short, 1",
        "chi beside the diagonal",
        "wishart::bidiagonal_model",
    ),
    _law("edge", "long ** (-2 / 3)", "long ** (-1 / 3)", "exponent of the fluctuation", "tracy_widom::threshold_formulas"),
    _law("spikes", "(rows * cols) ** 0.25", "(rows * cols) ** 0.5", "root for fourth root", "spikes::formulas_as_printed"),
    _law("spikes", "np.sqrt(t + aspect / t)", "np.sqrt(t + 1.0 / t)", "aspect forgotten", "spikes::formulas_as_printed"),
    _law(
        "spikes",
        "(1.0 + math.sqrt(rows / cols) * t**-2)",
        "(1.0 + math.sqrt(cols / rows) * t**-2)",
        "overlaps exchanged",
        "spikes::formulas_as_printed",
    ),
    _law(
        "spikes",
        "np.where(s >= high, 0.5 * root, 0.0)",
        "np.where(s >= high, root, 0.0)",
        "a factor 1/2",
        "spikes::formulas_as_printed",
    ),
    _law("spikes", "return -2.0 * d_transform", "return -d_transform", "a factor 2 in a slope", "spikes::d_transform_shape"),
    _law("spikes", "np.expm1(-0.5 * np.log1p", "np.expm1(-np.log1p", "a root dropped", "spikes::strength_error"),
    _law(
        "spikes",
        "return edge - detection_threshold",
        "return edge + detection_threshold",
        "a loose shift",
        "spikes::most_that_the_inverse_takes_off",
    ),
    _law(
        "spikes",
        "abs(roots[0] - roots[1]) * (math.sqrt(rows) + math.sqrt(cols))",
        "abs(roots[0] - roots[1]) * math.sqrt(rows + cols)",
        "root of a sum for a sum of roots",
        "spikes::change_of_a_spike_known",
    ),
    _law("shrinkage", "8.0 * ratio / (", "4.0 * ratio / (", "a factor 2 in the threshold", "shrinkage::printed_constants"),
    _law(
        "shrinkage",
        "MarchenkoPasturSingular(rows, cols, 1.0).median()",
        "MarchenkoPasturSingular(rows, cols, 1.0).mean()",
        "mean for median",
        "shrinkage::printed_constants",
    ),
    _law(
        "shrinkage",
        "np.sqrt((square + aspect) / (square + 1.0 / aspect))",
        "np.ones_like(square)",
        "the published operator shrinker",
        "shrinkage::operator_shrinker_published_for_square_matrices_alone",
    ),
    _law(
        "shrinkage", "- np.sqrt((1.0 - left) * (1.0 - right))", "- (1.0 - left)", "one overlap for both", "shrinkage::forms_agree"
    ),
    _law(
        "maxima",
        "return self.count * np.log1p(-erfc(",
        "return self.count * np.log1p(-0.5 * erfc(",
        "one-sided maximum",
        "maxima::ends_and_density",
    ),
    _law("maxima", "float(2.0 * (weights * x)", "float((weights * x)", "a factor 2 in the variance", "maxima::printed_means"),
    _law(
        "bulk_fit",
        "(np.arange(count) + 0.5)",
        "(np.arange(count) + 1.0)",
        "ranks without the half",
        "wishart::variance_by_quantiles",
    ),
    _law(
        "bulk_fit",
        "chi2.isf(half, rows * cols)",
        "chi2.isf(half, rows + cols)",
        "degrees of freedom",
        "wishart::variance_by_norm",
    ),
    _law(
        "bulk_fit",
        "(1.0 + float(np.sum(drawn >= found)))",
        "float(np.sum(drawn >= found))",
        "a p-value of 0",
        "wishart::fit_p_value_known",
    ),
    _law("bulk_fit", "np.sum(drawn >= found)", "np.sum(drawn > found)", "ties for the fit", "wishart::fit_p_value_known"),
    _law(
        "bulk_fit", "fitted - steps - 1.0 / len(ordered)", "fitted - steps", "one side of a step", "wishart::fit_distance_known"
    ),
    _shift('[whole(rank, "rank", 0) :]\n    with', '[whole(rank, "rank", 0) + 1 :]\n    with', "one value too few in the tail"),
    _shift(
        'return float(_values(removed, "removed")[0])',
        'return float(_values(removed, "removed")[-1])',
        "smallest for largest value",
    ),
    _shift(
        "_length(beyond) + spectrum_shift_upper(r)", "_length(beyond) + value_shift_upper(r)", "operator norm for Frobenius norm"
    ),
    _shift("+ ratio * ratio)", "+ ratio)", "tail / epsilon for its square"),
    _shift("values[k - 1] - values[k]", "values[k - 1] - values[-1]", "gap to 0 for gap to the next"),
    _shift("min(1.0, error / (room - error))", "min(1.0, error / room)", "Wedin without the moved value"),
    _shift("math.sqrt(2.0) * error", "error", "the root of 2 dropped"),
    _shift('math.sqrt(number(noise, "noise", 0.0))', 'number(noise, "noise", 0.0)', "g for its root"),
    _shift("top = values[out].max(initial=0.0)", "top = values[~out].max(initial=0.0)", "largest value that stays"),
    _shift(
        "(left[:, ~out] * values[~out]) @ right[~out], (left[:, out]",
        "(left[:, out] * values[out]) @ right[out], (left[:, out]",
        "R for S",
    ),
    _shift("v @ right[out].T, axis=-1", "v, axis=-1", "whole input for its projection"),
    _shift("lengths.max(axis=-1)", "lengths.mean(axis=-1)", "tokens averaged"),
    _shift("return min(whole(rows", "return max(whole(rows", "long side for the short one"),
    _shift("x[: count - i] - y[i:]", "y[: count - i] - x[i:]", "one side of a distance"),
    _shift("** (2.0 / 3.0) / len(values) ** (1.0 / 3.0)", "** (2.0 / 3.0) / len(values)", "count outside the cube root"),
    _shift("return min(1.0, bulk_shift_upper(rank, *s.shape) + _cube", "return min(1.0, _cube", "the rank term dropped"),
)
