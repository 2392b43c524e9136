"""Every theorem with a Python function has a test that evaluates both on the same instances."""

from __future__ import annotations

from proofs_check.coq.index import ENTRIES
from tests.coq import (  # noqa: F401
    test_law_statements,
    test_layer_statements,
    test_loss_statements,
    test_score_statements,
    test_stationarity_statements,
)
from tests.coq.exact import COVERED


def test_every_function_is_linked():
    assert {entry.theorem for entry in ENTRIES if entry.function} == COVERED


def test_what_has_no_function():
    assert {entry.theorem for entry in ENTRIES if not entry.function} == {"bound_is_stationary"}
