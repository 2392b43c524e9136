"""Both registered studies, small: exact parts hold, pages are written twice to the same bytes; their tools on hidden units."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from job_fixtures import cache, own_torch
from sweep_tools import call, grid_file

from certify.networks.gathering import gather
from certify.networks.hidden import hidden_layers as general_layers
from certify.networks.loading import state_of
from certify.networks.masking import apply
from certify.networks.targets import describe
from certify.pipeline.gradual import Setting, geometric_steps, gradual
from certify.pruning.distortion.scores import Settings, score_units
from certify.pruning.method import Request
from certify.pruning.neurons import units_of as units_of_request
from certify.pruning.units import groups_of
from certify.records.files import read_table
from certify.records.recipe import EvidenceRecipe, PlanRecipe, RecoveryRecipe
from simulations.digits import rounds
from simulations.digits.damage import PLANTED, ablation_damage, auc, matched_pairs, partial_association, plant
from simulations.digits.hidden import base_scores, hidden_layers, logits_of
from simulations.digits.measure import images
from simulations.digits.networks import KINDS, samples, splits, trained
from simulations.digits.rounds import calibration, parameter_masks, remove_in_rounds, units_of
from simulations.engine.study import load
from simulations.studies import _page

__all__ = ["cache", "own_torch"]

PLATEAU = """
[[grid]]
network = ["hidden-mlp-128", "hidden-vit-96"]
seed = [0, 1, 2]
epochs = 2
sparsity = [0.7, 0.8]
arm = [
    "A1", "A2", "A3", "A", "A:signed", "B1", "B2", "B3", "C1", "C2", "D1", "N1", "N2", "N3", "taylor", "act", "wanda", "random",
    "B2:equal", "N1:equal", "B2:random", "N1:random", "F0", "F1", "F2", "F3", "F4", "F5", "F6", "A1:global", "A1:global-max",
    "A1:global-rank", "l2:global", "R2", "D1:alone", "all-N",
]
candidates = 8
protocol = "exploratory"
"""
SPECTRAL = """
[[grid]]
network = "hidden-mlp-128"
seed = [0, 1, 2]
epochs = 2
sparsity = [0.5, 0.85]
arm = ["spectral", "reversed", "rms", "random", "local", "permuted", "contribution", "taylor", "spectral:log", "spectral:r2"]
protocol = "exploratory"

[[grid]]
network = "hidden-mlp-128"
seed = [0, 1, 2]
epochs = 2
sparsity = 0.0
arm = ["damage", "planted-twins", "planted-silent", "planted-opposite"]
protocol = "exploratory"
"""


@pytest.mark.parametrize(("name", "grid"), [("selection-plateau", PLATEAU), ("spectral-distortion", SPECTRAL)])
def test_a_study_and_its_exploratory_page(name, grid, tmp_path):
    assert call(name, "--grid", grid_file(tmp_path, grid), "--out", tmp_path / "sweep") == 0
    columns, _ = read_table(tmp_path / "sweep" / "results.parquet")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if name == "selection-plateau":
        for row in rows:
            if row["arm"] in ("A1", "A2", "A3", "A", "F0"):  # the lemma, bit for bit, for every reachable weight
                assert row["identical"] and row["distinct"] == 1 and row["differs"] == 0 and row["gained"] == row["lost"] == 0
            assert row["requested"] <= 8 and row["distinct"] <= row["requested"]
        assert any(not row["identical"] for row in rows if row["arm"] == "A:signed"), "signed weights can leave the plateau"
        assert any(not row["identical"] for row in rows if row["arm"] == "A1:global-max"), "one pool can leave it too"
    else:
        planted = {row["arm"]: row for row in rows if row["seed"] == 0 and row["sparsity"] == 0.0}
        assert planted["planted-twins"]["auc_duplicate"] > 0.99 > 0.8 > planted["planted-twins"]["auc_spectral"]
        assert planted["planted-silent"]["auc_contribution"] > 0.99
        assert -1 <= planted["damage"]["spearman"] <= 1 and planted["damage"]["pairs"] > 0
        assert all(np.isfinite(row["recovered"]) for row in rows if row["sparsity"] > 0 and ":" not in row["arm"])
    study, module = load(name), importlib.import_module(f"simulations.studies.{name.replace('-', '_')}")
    written = []
    for out in (tmp_path / "one", tmp_path / "two"):
        words = ["--sweep", str(tmp_path / "sweep"), "--out", str(out)]
        assert _page.command(study, module.page, words, folder=module.FOLDER) == 0
        written.append([(out / "exploratory" / f"{name}.{kind}").read_bytes() for kind in ("md", "svg")])
    assert written[0] == written[1] and written[0][0].count(b"\n## ") >= 5


def network(kind: str = "hidden-mlp-128") -> torch.nn.Module:
    return trained(kind, 0, 2)


def masks(kind: str, share: float = 0.5, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(len(scores)) >= share for scores in base_scores(kind, 0, 2)["mean"]]


@pytest.mark.parametrize("kind", ["hidden-mlp-128", "hidden-vit-96"])
def test_sliced_and_masked_networks_agree(kind):
    net, kept, (batch, _) = network(kind), masks(kind), images("calibration", kind)
    masked = net.__class__.__call__
    with torch.no_grad():
        import copy

        zeroed = copy.deepcopy(net)
        for name, mask in parameter_masks(zeroed, kept).items():
            zeroed.get_parameter(name).data[~mask] = 0.0
        assert np.allclose(logits_of(net, kept, batch), masked(zeroed, batch).double().numpy(), atol=1e-4)
        full = [np.ones(len(mask), dtype=bool) for mask in kept]
        assert np.allclose(logits_of(net, full, batch), net(batch).double().numpy(), atol=1e-5)
        none = [np.zeros(len(mask), dtype=bool) for mask in kept]
        assert np.isfinite(logits_of(net, none, batch)).all()


def test_the_layers_of_the_studies_are_those_of_the_method():
    for kind in ("hidden-mlp-128", "hidden-vit-96"):
        found = general_layers(network(kind), describe(network(kind)), images("calibration", kind)[0][:1])
        assert [(layer.producer, layer.reader) for layer in found if "attn" not in layer.reader] == hidden_layers(network(kind))


def test_units_and_rounds_are_those_of_the_method():
    """The studies' quick loop and a plan in steps without updates remove the same units, scores taken on the same images."""
    kind = "hidden-mlp-128"
    net = network(kind)
    batch, labels = images("calibration", kind)
    evidence = gather(
        net, describe(net), lambda: batch.split(rounds.BATCH), split="c" * 64, parts=("states", "taylor"), labels=labels
    )
    request = Request(tuple(describe(net)), evidence, 0.5)
    full = [np.ones(128, dtype=bool)] * 2
    for group, quick in zip(groups_of(request, "neurons"), units_of(net, full, batch, labels, seed=0, taylor=True), strict=True):
        slow = units_of_request(request, group, "taylor")
        for name in ("before", "after", "incoming", "outgoing"):
            assert np.allclose(getattr(quick, name), getattr(slow, name), atol=1e-4)
        assert np.allclose(quick.taylor, slow.taylor, rtol=1e-2, atol=1e-5)
        assert np.allclose(score_units(quick, "rms").scores, score_units(slow, "rms").scores, rtol=1e-4, equal_nan=True)
    wanted = PlanRecipe("p", "neurons", 0.5, options={"score": "contribution"}, steps=geometric_steps(0.5, 3), updates=False)
    setting = Setting(net, describe(net), samples(kind), splits(kind), EvidenceRecipe(), RecoveryRecipe(), 0)
    plan, start = gradual(setting, wanted)
    kept = remove_in_rounds(net, batch, labels, 0.5, "contribution", Settings(), rounds=3, seed=0)
    for (_, reader), mask in zip(hidden_layers(net), kept, strict=True):
        assert np.array_equal(next(edit.kept for edit in plan.edits if edit.target == reader).any(axis=0), mask)
    applied = state_of(apply(net, plan))
    assert all(torch.equal(value, applied[name]) for name, value in state_of(start).items())


@pytest.mark.parametrize("kind", ["hidden-mlp-128", "hidden-vit-96"])
@pytest.mark.parametrize("planted", PLANTED)
def test_planted_units_leave_the_function_alone(kind, planted):
    net, (batch, _) = network(kind), images("calibration", kind)
    wide, marks = plant(net, planted, 0.1, np.random.default_rng(0))
    with torch.no_grad():
        assert torch.allclose(wide(batch), net(batch), atol=1e-4)
    added = {"twins": 2, "silent": 1, "opposite": 2}[planted]
    sizes = [mark.sum() for mark in marks]
    assert sizes == [added * max(2, round(0.1 * len(scores))) for scores in base_scores(kind, 0, 2)["mean"]]
    full = [np.ones(len(mark), dtype=bool) for mark in marks]
    if planted == "silent":
        assert np.allclose(logits_of(wide, [~mark for mark in marks], batch), logits_of(wide, full, batch), atol=1e-4)
    else:  # half of a pair is missed
        single = [mark.copy() for mark in full]
        single[0][np.flatnonzero(marks[0])[-1]] = False
        assert not np.allclose(logits_of(wide, single, batch), logits_of(wide, full, batch), atol=2e-5, rtol=0)


def test_damage_is_that_of_the_network_without_the_unit():
    kind = "hidden-mlp-128"
    net, (batch, labels) = network(kind), images("tuning", kind)
    calibrating, truth = calibration(kind)
    means = [units.after.mean(axis=0) for units in units_of(net, [np.ones(128, dtype=bool)] * 2, calibrating, truth, seed=0)]
    found = ablation_damage(net, batch, labels, means)
    assert [table.shape for table in found] == [(128, 2)] * 2
    loss = torch.nn.functional.cross_entropy
    with torch.no_grad():
        hidden = torch.relu(net[1](batch.flatten(1)))
        hidden[:, 5] = 0.0
        zeroed = loss(net[5](net[4](net[3](hidden))), torch.from_numpy(labels)) - loss(net(batch), torch.from_numpy(labels))
        hidden[:, 5] = float(means[0][5])
        meant = loss(net[5](net[4](net[3](hidden))), torch.from_numpy(labels)) - loss(net(batch), torch.from_numpy(labels))
    assert np.allclose(found[0][5], [float(zeroed), float(meant)], atol=1e-5)


def test_statistics_of_damage_know_their_answers():
    rng = np.random.default_rng(0)
    control = rng.random(400)
    score, damage = control + 0.1 * rng.random(400), control + 0.1 * rng.random(400)
    assert abs(partial_association(score, damage, control[:, None])) < 0.2 < np.corrcoef(score, damage)[0, 1]
    assert partial_association(score, score, control[:, None]) > 5
    assert auc(np.array([0.0, 1.0, 2.0, 3.0]), np.array([True, True, False, False])) == 1.0
    assert auc(np.ones(4), np.array([True, True, False, False])) == 0.5
    pairs, wins = matched_pairs(np.tile(np.arange(20.0), 20), np.tile(np.arange(20.0), 20), np.repeat(np.arange(20.0), 20))
    assert pairs == wins > 0


def test_partial_association_has_its_size_under_a_permuted_score():
    """Mean over three layers of z under permuted scores, 20 seeds: of 400 one-sided tests 1 to 10 % pass at .05."""
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(4)
    passed = 0
    for _ in range(400):
        z = []
        for _ in range(20):
            control, noise = rng.random((48, 2)), rng.random(48)
            damage = control[:, 0] + 0.3 * noise
            z.append(partial_association(rng.permutation(damage), damage, control))
        passed += ttest_1samp(z, 0.0, alternative="greater").pvalue <= 0.05
    assert 0.01 <= passed / 400 <= 0.10


def test_kinds_share_one_test_set_and_keep_it_apart():
    first, *others = (splits(kind) for kind in KINDS if KINDS[kind].data.source == "digits")
    assert all(found.samples["certification"] == first.samples["certification"] for found in others)
    search = splits("hidden-vit-192")
    used = [set(search.samples[name]) for name in ("train", "calibration", "tuning")]
    assert not set.union(*used) & set(search.samples["certification"]) and len(search.samples["tuning"]) == 350
