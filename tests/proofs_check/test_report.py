"""The evidence beside the ledger: each sharper form is not wider on a fresh network, and pictures are the same bytes twice."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from certify.theory.cross_entropy import cross_entropy
from proofs_check import __main__ as program
from proofs_check import figures, looseness, report
from proofs_check.ledger import BY_ID

FRESH = looseness.Network(777)


@pytest.mark.parametrize("gain", looseness.GAINS, ids=lambda gain: f"{gain.narrow} against {gain.wide}")
def test_the_sharper_form_is_not_wider(gain):
    wide, narrow = gain.values(FRESH)
    assert gain.claim in BY_ID
    assert 0.0 <= narrow <= wide * (1 + 1e-9)


def test_every_bound_of_the_table_is_above_the_true_change():
    """The losses themselves, dense and pruned: no row may be sharper than the truth."""
    weights, removed, inputs, head = FRESH.parts
    pruned = np.maximum(inputs @ (weights - removed).T, 0.0) @ head.T
    change = float(np.mean(cross_entropy(pruned, FRESH.labels) - cross_entropy(FRESH.logits, FRESH.labels)))
    for gain in looseness.GAINS:
        if gain.what.startswith("cross-entropy") or gain.what == "budget":
            assert change <= gain.values(FRESH)[1] + 1e-12
    assert float(FRESH.paths[0].endpoint) == pytest.approx(float(np.abs(pruned - FRESH.logits)[0].max()))


def test_factors_in_words():
    assert looseness._factor(np.array([[2.0, 1.0], [6.0, 2.0], [4.0, 1.0]])) == "3 (2 to 4)"
    assert looseness._factor(np.array([[2.0, 0.0], [4.0, 2.0]])) == "3 (totals)"
    assert looseness._factor(np.array([[2.0, 0.0]])) == "2 against 0"


def test_a_run_without_ladders_is_one_sentence(tmp_path, capsys):
    assert program.main(["report", "--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "no ladder of a masked pair" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pictures_are_reproducible(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FIGURES", {name: figures.FIGURES[name] for name in ("cross-entropy", "gaussian-multipliers")})
    for folder in ("one", "two"):
        figures.draw(tmp_path / folder)
    for name in figures.FIGURES:
        one, two = ((tmp_path / folder / f"{name}.svg").read_bytes() for folder in ("one", "two"))
        assert one == two
        assert ElementTree.fromstring(one).tag.endswith("svg")


def test_the_page_of_the_laws_states_measured_errors(monkeypatch):
    monkeypatch.setattr(report, "quadrature_error", lambda: 1.25e-13)
    monkeypatch.setattr(report, "tail_errors", dict)
    page = report.laws_markdown()
    assert "largest error 1.2e-13" in page
    assert page.count("| cdf |") >= 40
