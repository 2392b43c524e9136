"""Options of recovery: each optimizer, averages, autocast and batch norms keep masks at 0 and resume bit for bit."""

import copy
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_loop import INDICES, Killed, Stripes, bits, half, killed_after, network
from torch import nn

from certify.records import Refused, Usage
from certify.records.recipe import RecoveryRecipe
from certify.training import fit, loop, reestimate_batch_norm, steps_of
from certify.training.masks import check_zero, mask_gradients, removed_of, zero
from certify.training.movement import LEAST_STEPS, RATE, movement, selection_steps
from certify.training.optimizers import Average, optimizer_of
from certify.training.state import MOMENTS

OPTIONS = {
    "sgd": {"opt": "sgd", "learning_rate": 0.05},
    "plain sgd": {"opt": "sgd", "momentum": 0.0, "learning_rate": 0.05},
    "average": {"model_ema_decay": 0.8},
    "sgd and average": {"opt": "sgd", "model_ema_decay": 0.8, "amp_dtype": "float16", "learning_rate": 0.05},
    "bfloat16": {"amp_dtype": "bfloat16"},
    "float16": {"amp_dtype": "float16"},
    "unclipped float16": {"amp_dtype": "float16", "clip_norm": 0.0},
    "frozen norms": {"batch_norm": "frozen"},
    "norms again": {"batch_norm": "reestimate", "model_ema_decay": 0.5},
}


def settings(name, **more):
    return RecoveryRecipe(**({"epochs": 8, "batch_size": 16, "learning_rate": 0.01} | OPTIONS[name] | more))


def kept_zero(model, masks):
    weights = dict(model.named_parameters())
    return all(not torch.any(weights[name][~mask.reshape(weights[name].shape)]) for name, mask in masks.items())


@pytest.fixture
def stripes():
    return Stripes()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_learns_and_keeps_the_masks(name, stripes):
    losses, start = [], network()
    model = fit(
        copy.deepcopy(start),
        stripes,
        INDICES,
        settings(name, epochs=15),
        seed=1,
        state=None,
        teacher=network(1),
        masks=half(start),
        progress=lambda *event: losses.append(event[2]),
    )
    assert losses[-1] < losses[0] and kept_zero(model, half(start))
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert bits(model) != bits(start)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_killed_recovery_resumes_bit_for_bit(name, stripes, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_STEPS", 7)
    start, teacher = network(), network(1)

    def go(state, progress=None):
        model = copy.deepcopy(start)
        return fit(
            model, stripes, INDICES, settings(name), seed=4, state=state, teacher=teacher, masks=half(start), progress=progress
        )

    whole = bits(go(tmp_path / "whole"))
    with pytest.raises(Killed):
        go(tmp_path / "cut", killed_after(5))
    assert bits(go(tmp_path / "cut")) == whole == bits(go(None))


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
def test_a_thousand_steps_with_momentum_decay_and_average_revive_nothing(opt, stripes):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.Linear(4, 2))
    masks = {"1.weight": torch.rand(4, 36, generator=torch.Generator().manual_seed(0)) < 0.3}
    recipe = RecoveryRecipe(
        epochs=250, batch_size=11, learning_rate=0.02, weight_decay=0.1, opt=opt, model_ema_decay=0.9, augment=False
    )
    assert steps_of(recipe, len(INDICES)) == 1000
    fit(model, stripes, INDICES, recipe, seed=0, state=None, masks=masks)
    assert kept_zero(model, masks)


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
def test_moments_revive_weights_that_were_masked_alone(opt, stripes):
    """A mask set while moments are alive: zeroed moments leave its weights at 0, and masking the weights alone does not."""
    for moments, survives in ((MOMENTS, True), ((), False)):
        model = network()
        recipe = RecoveryRecipe(opt=opt, learning_rate=0.01)
        optimizer, removed = optimizer_of(model, recipe), removed_of(model, half(model))

        def step(model=model, optimizer=optimizer, mask=lambda: None):
            optimizer.zero_grad()
            model(stripes.images(list(INDICES))).square().mean().backward()
            mask()
            optimizer.step()

        step()
        zero(optimizer, removed, moments)
        check_zero(removed)
        step(mask=lambda removed=removed: mask_gradients(removed))
        if survives:
            check_zero(removed)
        else:
            with pytest.raises(Refused, match=r"conv\.weight: .* removed weights are not 0"):
                check_zero(removed)


def test_a_mask_set_before_each_step_alone_is_caught(stripes, monkeypatch):
    """Negative control: weights zeroed before each step, gradients and moments left alone; the check at the epoch's end tells."""

    def weights_alone(removed):
        for parameter, gone in removed.values():
            parameter.data.masked_fill_(gone, 0)

    monkeypatch.setattr(loop, "zero", lambda optimizer, removed, moments: weights_alone(removed) if not moments else None)
    monkeypatch.setattr(loop, "mask_gradients", weights_alone)
    for name in ("sgd", "average"):
        with pytest.raises(Refused, match="removed weights are not 0"):
            fit(network(), stripes, INDICES, settings(name), seed=0, state=None, masks=half(network()))


def test_an_average_that_lives_where_weights_are_removed_is_caught(stripes, monkeypatch):
    """Negative control: an average that is not masked, begun from the dense network."""
    dense = network()

    def unmasked(self, model):
        for average, weight in zip(self.model.parameters(), dense.parameters(), strict=True):
            average.data.copy_(weight.data)

    monkeypatch.setattr(Average, "update", unmasked)
    with pytest.raises(Refused, match=r"conv\.weight: .* removed weights are not 0"):
        fit(network(), stripes, INDICES, settings("average"), seed=0, state=None, masks=half(network()))


def test_the_average_is_its_formula(stripes):
    """One epoch of one step: decay · start + (1 - decay) · stepped, buffers of whole numbers copied."""
    start = network()
    plain = RecoveryRecipe(epochs=1, batch_size=41, learning_rate=0.01)
    stepped = fit(copy.deepcopy(start), stripes, INDICES, plain, seed=0, state=None)
    averaged = fit(
        copy.deepcopy(start),
        stripes,
        INDICES,
        RecoveryRecipe(epochs=1, batch_size=41, learning_rate=0.01, model_ema_decay=0.75),
        seed=0,
        state=None,
    )
    for name, tensor in averaged.state_dict().items():
        one, two = start.state_dict()[name], stepped.state_dict()[name]
        expected = two if not tensor.is_floating_point() else 0.75 * one + 0.25 * two
        assert torch.allclose(tensor, expected, atol=1e-6)


def test_frozen_norms_keep_their_statistics_and_others_do_not(stripes):
    start = network()
    for name, moves in (("frozen norms", False), ("sgd", True)):
        model = fit(copy.deepcopy(start), stripes, INDICES, settings(name), seed=0, state=None)
        assert torch.equal(model.norm.running_mean, start.norm.running_mean) != moves


def test_statistics_taken_again_are_those_of_the_batches(stripes):
    model = network()
    assert reestimate_batch_norm(model, stripes, INDICES, batch_size=21) == 1
    with torch.no_grad():
        parts = [model.conv(stripes.images(list(INDICES[a:b]))) for a, b in ((0, 21), (21, 41))]
    mean = torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
    spread = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in parts]).mean(0)
    assert torch.allclose(model.norm.running_mean, mean, atol=1e-5) and torch.allclose(model.norm.running_var, spread, atol=1e-4)
    assert model.training and model.norm.momentum == 0.1
    assert reestimate_batch_norm(nn.Linear(2, 2), stripes, INDICES) == 0
    with pytest.raises(Refused, match="1 samples; statistics need at least 2"):
        reestimate_batch_norm(model, stripes, [0])


def test_movement_trains_removed_weights_alone(stripes):
    model, masks = network(), half(network())
    before, used = bits(model), []
    model.register_forward_pre_hook(lambda module, _: used.append(module))
    recipe = RecoveryRecipe(batch_size=16, learning_rate=0.002)
    found = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1))
    assert bits(model) == before, "the model is left as it is"
    assert used[-1] is not model and [name for name, data in bits(used[-1]).items() if data != before[name]] == list(masks)
    for name, mask in masks.items():
        moved = found[name].reshape(mask.shape)
        end, start = (network.get_parameter(name).detach().reshape(mask.shape) for network in (used[-1], model))
        assert torch.equal(end[mask], start[mask]), "kept weights do not move"
        assert np.array_equal(moved[~mask.numpy()], end[~mask].abs().double().numpy()), "removed weights start at 0"
        assert not moved[mask.numpy()].any() and (moved[~mask.numpy()] > 0).mean() > 0.9 and moved.dtype == np.float64
    again = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    origin = {name: network(2).get_parameter(name).detach() for name in masks}
    other = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1), origin=origin)
    assert any(not np.array_equal(found[name], other[name]) for name in found)


@pytest.mark.parametrize("start", [None, 2])
def test_one_step_of_movement_is_the_rate(start, stripes):
    """The first step of AdamW is the rate where there is a gradient at all, and the rate is RATE times the recovery's."""
    masks = {"fc.weight": half(network())["fc.weight"]}
    origin = None if start is None else {"fc.weight": network(start).fc.weight.detach()}
    recipe = RecoveryRecipe(batch_size=41, learning_rate=0.001, augment=False)
    found = movement(network(), stripes, INDICES, masks, recipe, steps=1, seed=0, teacher=network(1), origin=origin)
    moved = found["fc.weight"][~masks["fc.weight"].numpy()]
    assert (moved > 0).mean() > 0.9 and moved[moved > 0] == pytest.approx(RATE * 0.001, rel=1e-3)


def test_movement_that_cannot_be_measured_is_refused(stripes):
    model, masks, recipe = network(), half(network()), RecoveryRecipe()

    def refuse(words, kind, **more):
        options = {"kept": masks, "steps": 3, "seed": 0, "teacher": network(1)} | more
        with pytest.raises(kind, match=words):
            movement(model, stripes, INDICES, options.pop("kept"), recipe, **options)

    refuse("0 steps", Usage, steps=0)
    refuse("no masks", Usage, kept={})
    refuse(r"no values for conv\.weight", Usage, origin={"fc.weight": model.fc.weight.detach()})
    model.fc.bias.data[0] = float("nan")
    refuse("the loss is nan in step 1", Refused)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**6))
def test_the_length_of_a_selection(trainable, total, steps_an_epoch):
    exact = math.ceil(Fraction(2 * trainable, total) * steps_an_epoch)
    assert selection_steps(trainable, total, steps_an_epoch) == max(LEAST_STEPS, exact)


def test_a_selection_is_not_rounded_up_twice():
    assert selection_steps(7, 100, 5000) == 700  # 701 in floating point
    assert selection_steps(1, 100, 10) == LEAST_STEPS


@pytest.fixture(scope="module")
def parallel(tmp_path_factory):
    """Optimizer -> the folder where one process and two wrote the weights of the same fit; see parallel_fit.py."""

    def run(opt, decay):
        folder = tmp_path_factory.mktemp(opt)
        worker = Path(__file__).with_name("parallel_fit.py")
        environment = {name: value for name, value in os.environ.items() if name != "RANK"} | {"OMP_NUM_THREADS": "1"}
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        for start, out in (([sys.executable], "one"), (launch, "two")):
            command = [*start, str(worker), str(folder / out), opt, decay]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr[-2000:]
        return folder

    return {"adamw": run("adamw", "0.0"), "sgd": run("sgd", "0.9")}


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
def test_two_processes_are_one_up_to_the_order_of_sums(opt, parallel):
    one, two = (load_file(parallel[opt] / name) for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    assert torch.equal(one["1.weight"] == 0, two["1.weight"] == 0) and int((one["1.weight"] == 0).sum()) > 200


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
def test_two_processes_resume_bit_for_bit(opt, parallel):
    for count in ("one", "two"):
        whole, resumed = (load_file(parallel[opt] / f"{count}{end}") for end in ("", ".resumed"))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("opt", ["adamw", "sgd"])
def test_processes_that_differ_are_refused_by_all(opt, parallel):
    for rank in (0, 1):
        told = (parallel[opt] / f"two.refused.{rank}").read_text().splitlines()
        assert told == [
            "batches of 1 for 2 processes; each needs a sample, so raise batch_size or start fewer",
            "process 1 has other weights, data or settings than process 0; every process must make the same call",
            "process 1 has other state file than process 0; every process must make the same call",
        ]


def test_a_process_takes_its_part_of_each_batch(monkeypatch):
    from certify.training import distributed

    for count in (1, 2, 3, 5):
        taken = []
        for rank in range(count):
            monkeypatch.setattr(distributed, "processes", lambda rank=rank, count=count: (rank, count))
            taken += list(range(7))[distributed.own_part(torch.zeros(7))]
        assert taken == list(range(7))
    with pytest.raises(Refused, match="norm: a batch norm would normalise"):
        distributed.check_model(network(), frozen_batch_norm=False)

    class Depth(nn.Module):
        drop_prob = 0.2

    for dropping in (nn.Dropout(0.1), nn.MultiheadAttention(4, 2, dropout=0.1), Depth()):
        with pytest.raises(Refused, match="drop: dropout draws anew"):
            distributed.check_model(nn.ModuleDict({"drop": dropping}), frozen_batch_norm=True)
    distributed.check_model(
        nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.0), nn.MultiheadAttention(4, 2)), frozen_batch_norm=True
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"opt": "lion"}, "recovery.opt = 'lion' is none of"),
        ({"amp_dtype": "float8"}, "recovery.amp_dtype"),
        ({"batch_norm": "gone"}, "recovery.batch_norm"),
        ({"model_ema_decay": 1.0}, "recovery.model_ema_decay"),
        ({"momentum": -0.1}, "recovery.momentum"),
    ],
)
def test_wrong_options_of_recovery_are_one_sentence(options, words):
    with pytest.raises(Usage) as error:
        RecoveryRecipe(**options)
    assert words in str(error.value)
