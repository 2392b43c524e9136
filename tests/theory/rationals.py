"""Fractions of float arrays, their comparison with rounded values, and enclosures of cross-entropies by mpmath."""

from fractions import Fraction

import numpy as np
from mpmath import iv

U = Fraction(1, 2**53)
TINY = Fraction(1, 2**1040)


def fractions(array):
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array, dtype=float))


def size(value):
    return np.vectorize(lambda x: abs(Fraction(x)), otypes=[object])(value)


def assert_close(found, true, magnitude, terms):
    """|fl - exact| <= (terms + 8) u (sum of magnitudes), entry by entry."""
    slack = (terms + 8) * U * np.asarray(magnitude, dtype=object) + TINY
    assert np.all(np.abs(np.vectorize(Fraction, otypes=[object])(found) - true) <= slack)


def interval(value):
    value = Fraction(value)
    return iv.mpf(value.numerator) / iv.mpf(value.denominator)


def loss(logits, label):
    """Enclosure of the cross-entropy of rational logits."""
    return iv.log(sum(iv.exp(interval(z)) for z in logits)) - interval(logits[label])
