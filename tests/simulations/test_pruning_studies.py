"""The comparisons on digits networks, small: every contender, both pages, the same bytes twice; and edges of a KAN."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_fixtures import cache, own_torch
from sweep_tools import call, grid_file

from certify.records.files import read_table
from simulations.digits.contenders import OWN, REALLOCATED, STRUCTURED, UNSTRUCTURED, contender
from simulations.engine.study import load
from simulations.networks.kan import KanLayer, edge_scores, prune_edges
from simulations.studies import _page
from simulations.studies._comparison import best, comparisons, paired

__all__ = ["cache", "own_torch"]


def listed(names) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


HEAD = "[[grid]]\nnetwork = {networks}\nseed = [0, 1]\nepochs = 2\n"
MASKS = (
    HEAD.format(networks='["mlp"]')
    + f'amount = "0.6"\nmethod = {listed(UNSTRUCTURED)}\n'
    + HEAD.format(networks='["mlp"]')
    + f'amount = "2:4"\nmethod = {listed(STRUCTURED)}\n'
    + HEAD.format(networks='["mlp"]')
    + f'amount = "own"\nmethod = {listed(OWN)}\n'
    + HEAD.format(networks='["resnet"]')
    + 'amount = "0.6"\nmethod = ["magnitude", "seb", "seb-std", "budget-measured"]\n'
)
RECOVERY = (
    HEAD.format(networks='["mlp"]') + 'amount = "0.8"\nmethod = ["nothing removed", "magnitude", "ser", "budget-surgeon"]\n'
)


@pytest.mark.parametrize(("name", "grid"), [("pruning-masks", MASKS), ("pruning-recovery", RECOVERY)])
def test_a_comparison_and_its_page(name, grid, tmp_path):
    assert call(name, "--grid", grid_file(tmp_path, grid), "--out", tmp_path / "sweep") == 0
    columns, _ = read_table(tmp_path / "sweep" / "results.parquet")
    if name == "pruning-masks":
        rows = list(zip(*(columns[key] for key in ("amount", "method", "removed")), strict=True))
        exact = [
            removed
            for amount, method, removed in rows
            if amount == "0.6"
            and method not in ("magnitude-layerwise", "wanda", "least-squares", "sparsegpt", "sparsegpt-refit", "prune-restore")
        ]
        assert max(exact) - min(exact) < 1e-3 and {removed for amount, _, removed in rows if amount == "2:4"} == {0.5}
    else:
        steps = dict(zip(columns["method"], zip(columns["selection_steps"], columns["recovery_steps"], strict=True), strict=True))
        whole = steps["magnitude"][1]
        assert steps["ser"][0] + steps["ser"][1] <= whole, "one budget, selections included"
        assert steps["nothing removed"] == (0, whole)
    study, module = load(name), importlib.import_module(f"simulations.studies.{name.replace('-', '_')}")
    written = []
    for out in (tmp_path / "one", tmp_path / "two"):
        assert (
            _page.command(study, module.page, ["--sweep", str(tmp_path / "sweep"), "--out", str(out)], folder=module.FOLDER) == 0
        )
        written.append([(out / f"{name}.{kind}").read_bytes() for kind in ("md", "svg")])
    assert written[0] == written[1] and written[0][0].count(b"\n## ") >= 5


def results(values: dict[str, list[float]]) -> _page.Results:
    rows = [("net", "0.5", method, seed, value) for method, each in values.items() for seed, value in enumerate(each)]
    columns = {
        name: np.array([row[place] for row in rows]) for place, name in enumerate(("network", "amount", "method", "seed", "loss"))
    }
    return _page.Results(columns, {})


def test_pairs_are_compared_seed_by_seed_and_corrected():
    """A shift far below the spread over seeds is seen by pairing, and by nothing else; equal columns differ by nothing."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=10)
    found = results({"magnitude": list(spread), "a": list(spread + 0.1 + 0.01 * rng.normal(size=10)), "b": list(spread)})
    difference, error, p = paired(found, "loss", "a", "magnitude")
    assert difference == pytest.approx(0.1, abs=0.02) and error < 0.01 and p < 1e-6
    assert paired(found, "loss", "b", "magnitude") == (0.0, 0.0, 1.0)
    rows = comparisons(found, "loss", [("a", "magnitude"), ("b", "magnitude")])
    assert [row[-1] for row in rows] == [pytest.approx(2 * rows[0][-2]), 1.0], "Holm: the smallest of two is doubled"
    shuffled = results({"magnitude": list(spread), "a": list(rng.permutation(spread + 0.1))})
    assert paired(shuffled, "loss", "a", "magnitude")[2] > 0.05, "negative control: unpaired seeds"
    assert "| net | 0.5 | b |" in "\n".join(best(found, "loss", -1)) or "| net | 0.5 | magnitude |" in "\n".join(
        best(found, "loss", -1)
    )


def test_contenders_are_methods_with_options_that_exist():
    from certify.pruning import METHODS, PATTERN_OPTIONS

    for amount, names in (("0.5", UNSTRUCTURED | REALLOCATED), ("2:4", STRUCTURED), ("own", OWN)):
        for name in names:
            method, options = contender(name, amount)
            own = {key: value for key, value in options.items() if key not in PATTERN_OPTIONS}
            assert METHODS[method].chosen(own) is not None
    with pytest.raises(ValueError, match="no contender at 2:4"):
        contender("seb", "2:4")


@given(seed=st.integers(0, 500))
@settings(max_examples=20)
def test_edges_of_a_kan_are_pruned_within_their_budget(seed):
    rng = np.random.default_rng(seed)
    layer = KanLayer(rng.normal(size=(3, 5)), rng.standard_t(2, size=(3, 5, 7)))
    inputs, lipschitz = rng.normal(size=(20, 5)) * 1.5, rng.gamma(1.0, size=20)
    assert np.all(np.abs(layer.edges(inputs)) <= layer.edge_bound(inputs) * (1 + 1e-12))
    pruned, kept = prune_edges(layer, inputs, lipschitz)
    scores = edge_scores(layer, inputs, lipschitz)
    moved = 2.0 * np.mean(lipschitz * np.abs(layer(inputs) - pruned(inputs)).max(axis=1))
    assert moved <= (1 - kept.retained) * scores.sum() * (1 + 1e-9) + 1e-12
    assert np.allclose(layer(inputs), layer.edges(inputs).sum(axis=2))
