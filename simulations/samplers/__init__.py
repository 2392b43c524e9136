"""Exact fast samplers of Gaussian random matrices: what a study needs of R, without drawing R.

Reading order: `bands` (narrow matrices with the right singular values, and why), `values` (all or the leading ones, with the
truncation justified), `overlaps` (their vectors against a signal), `data_paths` (R on given data), `two_sample` (how the laws
are compared with dense ones), `benchmark`. Everything takes (rows, cols, entry_variance) and a numpy Generator.
"""

from simulations.samplers.bands import Band, noise_band, value_band, vector_band
from simulations.samplers.data_paths import GramFactor, gram_factor, largest_noise_size, noise_sizes, span_suprema
from simulations.samplers.overlaps import Overlaps, leading_overlaps
from simulations.samplers.two_sample import Comparison, compare
from simulations.samplers.values import leading_singular_values, leading_size, singular_values, truncation_upper

__all__ = [
    "Band",
    "Comparison",
    "GramFactor",
    "Overlaps",
    "compare",
    "gram_factor",
    "largest_noise_size",
    "leading_overlaps",
    "leading_singular_values",
    "leading_size",
    "noise_band",
    "noise_sizes",
    "singular_values",
    "span_suprema",
    "truncation_upper",
    "value_band",
    "vector_band",
]
