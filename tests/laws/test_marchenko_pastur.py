"""M1, M2, M2': against quadrature of the density, exact finite-size moments, transposition, and one large sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from certify.laws.marchenko_pastur import MarchenkoPastur, MarchenkoPasturSingular
from certify.records import Refused

SHAPES = [(400, 20), (1000, 300), (1000, 900), (500, 500), (1000, 1700), (100, 600), (1000, 999), (7, 1), (1, 7), (1, 1)]
VARIANCES = [0.4e-3, 1.0, 2.5]


def edges(law):
    return law.support()


def by_quadrature(law, share):
    """Mass of the continuous part up to a + share (b - a), integrated in an angle that removes the square roots."""
    low, high = edges(law)

    def integrand(angle):
        sine, cosine = np.sin(angle), np.cos(angle)
        return float(law.pdf(low + (high - low) * sine**2)) * (high - low) * 2.0 * sine * cosine

    return quad(integrand, 0.0, np.arcsin(np.sqrt(share)), epsabs=1e-14, epsrel=1e-13, limit=400)[0]


@pytest.mark.claim("M1-density", "M2-cdf", "M2-singular-values")
@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("rows, cols", SHAPES)
@pytest.mark.parametrize("kind", [MarchenkoPastur, MarchenkoPasturSingular])
def test_cdf_is_the_integral_of_the_density(kind, rows, cols, variance):
    law = kind(rows, cols, variance)
    low, high = edges(law)
    for share in (1e-6, 0.01, 0.2, 0.5, 0.9, 0.999, 1.0 - 1e-7):
        x = low + share * (high - low)
        assert float(law.cdf(x)) == pytest.approx(law.atom + by_quadrature(law, share), abs=1e-11)
    assert law.atom + by_quadrature(law, 1.0) == pytest.approx(1.0, abs=1e-11)


@pytest.mark.claim("M1-density", "M2-cdf", "M2-singular-values")
@pytest.mark.parametrize("rows, cols", SHAPES)
def test_at_and_beyond_the_edges(rows, cols):
    law = MarchenkoPastur(rows, cols, 0.5)
    low, high = law.support()
    atom = max(0.0, 1.0 - rows / cols)
    assert law.atom == pytest.approx(atom, abs=1e-15)
    assert law.cdf([-np.inf, -1.0, high, high * 2, np.inf]).tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert law.sf([-1.0, high]).tolist() == [1.0, 0.0]
    assert law.cdf([0.0, 0.5 * low, low]) == pytest.approx([atom] * 3, abs=1e-15)
    assert law.pdf([-1.0, high + 1.0, high]) == pytest.approx(0.0, abs=1e-7)
    if low > 0.0:
        assert law.pdf([0.5 * low, low]) == pytest.approx(0.0, abs=1e-6)
    else:
        assert law.pdf(0.0) == np.inf
    singular = MarchenkoPasturSingular(rows, cols, 0.5)
    assert singular.cdf([-1.0, 0.5 * singular.support()[0], singular.support()[1], 1e9]).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.claim("M1-density", "M2-singular-values")
def test_edges_known():
    assert MarchenkoPastur(400, 100, 0.25).support() == pytest.approx((25.0, 225.0))
    assert MarchenkoPastur(100, 400, 0.25).support() == pytest.approx((25.0, 225.0))
    assert MarchenkoPasturSingular(400, 100, 0.25).support() == pytest.approx((5.0, 15.0))
    # The paper's own scale: entry variance g / rows and eigenvalues of R^T R give g (1 -+ sqrt c)^2.
    assert MarchenkoPastur(400, 100, 2.0 / 400).support() == pytest.approx((0.5, 4.5))
    assert MarchenkoPastur(1000, 999, 1.0).support()[0] == pytest.approx((1 / (np.sqrt(1000) + np.sqrt(999))) ** 2, rel=1e-14)


@pytest.mark.claim("M1-density", "M4-moments")
def test_errata_on_orientation():
    """Shapes (1, 2) and (2, 1) with g = 1 and g = 2: the eigenvalue law is not invariant, the singular-value law is."""
    wide, tall = MarchenkoPastur(1, 2, 1.0), MarchenkoPastur(2, 1, 1.0)
    assert (wide.atom, wide.mean()) == (0.5, 1.0)
    assert (tall.atom, tall.mean()) == (0.0, 2.0)


@pytest.mark.claim("M2-cdf", "M2-singular-values")
@given(st.integers(1, 300), st.integers(1, 300), st.floats(1e-6, 1e3))
def test_transposition(rows, cols, variance):
    """R^T R and R R^T share their bulk; the larger of the two adds zeros."""
    law, turned = MarchenkoPastur(rows, cols, variance), MarchenkoPastur(cols, rows, variance)
    singular = MarchenkoPasturSingular(rows, cols, variance)
    s = np.linspace(0.0, singular.support()[1] * 1.1, 9)
    assert (1.0 - law.cdf(s**2)) * cols == pytest.approx((1.0 - turned.cdf(s**2)) * rows, abs=1e-9 * max(rows, cols))
    assert singular.cdf(s) == pytest.approx(MarchenkoPasturSingular(cols, rows, variance).cdf(s), abs=1e-13)
    assert law.sf(s**2) * cols == pytest.approx(singular.sf(s) * min(rows, cols), abs=1e-9 * max(rows, cols))


@pytest.mark.claim("M2-cdf", "M2-singular-values")
@given(st.integers(1, 300), st.integers(1, 300), st.floats(1e-6, 1e3), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_quantiles_invert(rows, cols, variance, shares):
    q = np.array(shares)
    law, singular = MarchenkoPastur(rows, cols, variance), MarchenkoPasturSingular(rows, cols, variance)
    width = 1e-12 * max(rows, cols) / min(rows, cols) + 1e-12
    assert law.cdf(law.ppf(q)) == pytest.approx(np.maximum(q, law.atom), abs=width)
    assert singular.cdf(singular.ppf(q)) == pytest.approx(q, abs=width)
    assert np.all(np.diff(law.ppf(np.sort(q))) >= 0.0)


@pytest.mark.claim("M2-cdf", "M2-singular-values")
def test_quantiles_at_the_ends():
    law = MarchenkoPastur(100, 400, 0.25)
    assert law.ppf([0.0, 0.5, 0.75, 1.0]) == pytest.approx([0.0, 0.0, 0.0, 225.0])
    assert law.ppf(0.75 + 1e-9) >= 25.0
    assert MarchenkoPastur(400, 100, 0.25).ppf([0.0, 1.0]) == pytest.approx([25.0, 225.0])
    assert MarchenkoPasturSingular(400, 100, 0.25).ppf([0.0, 1.0]) == pytest.approx([5.0, 15.0])


@pytest.mark.claim("M4-moments")
@pytest.mark.parametrize("rows, cols", SHAPES)
def test_moments_against_quantiles(rows, cols):
    """Means over 20,000 equally likely quantiles, the atom included."""
    q = (np.arange(20_000) + 0.5) / 20_000
    for law in (MarchenkoPastur(rows, cols, 0.3), MarchenkoPasturSingular(rows, cols, 0.3)):
        values = law.ppf(q)
        assert law.mean() == pytest.approx(values.mean(), rel=1e-4)
        assert law.var() == pytest.approx(values.var(), rel=1e-3)


@pytest.mark.claim("M4-moments")
def test_known_moments():
    assert MarchenkoPastur(30, 20, 1 / 30).mean() == pytest.approx(1.0)
    assert MarchenkoPastur(30, 20, 1 / 30).var() + 1.0 == pytest.approx(1.0 + 20 / 30)
    assert MarchenkoPasturSingular(50, 50, 0.02).mean() == pytest.approx(8 / (3 * np.pi), rel=1e-13)


@pytest.mark.claim("M2-singular-values")
def test_quarter_circle():
    law, s = MarchenkoPasturSingular(64, 64, 1 / 64), np.linspace(0.0, 2.0, 11)
    assert law.pdf(s) == pytest.approx(np.sqrt(4.0 - s**2) / np.pi, abs=1e-12)


@pytest.mark.claim("T2.2-mp-law")
@pytest.mark.parametrize("rows, cols, cap", [(400, 120, 0.05), (300, 300, 0.02), (150, 400, 0.03)])
def test_one_large_sample(rows, cols, cap):
    """Kolmogorov distance below 6 / min(rows, cols): the spectrum is rigid (T2.2)."""
    rng = np.random.default_rng(3)
    values = np.linalg.svd(np.sqrt(0.37) * rng.standard_normal((rows, cols)), compute_uv=False)[::-1]
    q = MarchenkoPasturSingular(rows, cols, 0.37).cdf(values)
    ranks = np.arange(len(q))
    distance = max(np.max(np.abs(q - ranks / len(q))), np.max(np.abs(q - (ranks + 1) / len(q))))
    assert distance < min(cap, 6 / min(rows, cols))


@pytest.mark.parametrize(
    "call",
    [
        lambda: MarchenkoPastur(0, 1, 1.0),
        lambda: MarchenkoPastur(1, 2.0, 1.0),  # type: ignore[arg-type]
        lambda: MarchenkoPastur(1, 1, 0.0),
        lambda: MarchenkoPastur(1, 1, float("nan")),
        lambda: MarchenkoPasturSingular(1, 1, -1.0),
        lambda: MarchenkoPastur(2, 2, 1.0).cdf(np.nan),
        lambda: MarchenkoPastur(2, 2, 1.0).pdf([np.nan]),
        lambda: MarchenkoPastur(2, 2, 1.0).ppf(1.5),
        lambda: MarchenkoPasturSingular(2, 2, 1.0).ppf(np.nan),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
