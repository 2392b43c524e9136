"""SYM-18 to SYM-20 are proved; wrong versions of them are not."""

import pytest
import sympy as sp

from proofs_check.checks import PROVED, run, unsatisfiable, zero
from proofs_check.ledger import BY_ID
from proofs_check.symbolic.laws import CHECKS


def test_every_check_names_a_claim():
    assert {claim for item in CHECKS for claim in item.claims} <= set(BY_ID)


@pytest.mark.parametrize("item", CHECKS, ids=lambda item: item.id)
def test_obligation(item):
    if item.tool == "z3":
        pytest.importorskip("z3")
    outcome = run("symbolic", item)
    assert outcome.verdict == PROVED, outcome.detail


def test_wrong_versions_fail():
    """The overlaps exchanged, the threshold without its root, the correction with one g."""
    g, c, theta, s, root = sp.symbols("g c theta s root", positive=True)
    left = (theta**4 - c * g**2) / (theta**2 * (theta**2 + c * g))
    assert zero(left - (1 - g * (theta**2 + c * g) / (theta**2 * (theta**2 + g))))
    assert zero(s - (s + root) / 2 - (s**2 - root**2) / 4 / (s + root))
    z3 = pytest.importorskip("z3")
    t, noise, k = z3.Reals("t g k")
    conclusion = (t + noise) * (t + noise * k * k) > noise * (1 + k) * (1 + k) * t
    assert unsatisfiable([t > 0, noise > 0, k > 0], conclusion).startswith("negation sat")
