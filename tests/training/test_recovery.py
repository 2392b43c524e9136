"""Options of recovery: each optimizer, averages, autocast and batch norms keep masks at 0 and resume bit for bit."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_loop import INDICES, Killed, Stripes, bits, half, killed_after, network
from torch import nn

from certify.records import Refused, Usage
from certify.records.recipe import RecoveryRecipe
from certify.training import fit, loop, reestimate_batch_norm, steps_of
from certify.training.movement import LEAST_STEPS, movement, selection_steps

OPTIONS = {
    "sgd": {"opt": "sgd", "learning_rate": 0.05},
    "plain sgd": {"opt": "sgd", "momentum": 0.0, "learning_rate": 0.05},
    "average": {"model_ema_decay": 0.8},
    "bfloat16": {"amp_dtype": "bfloat16"},
    "float16": {"amp_dtype": "float16"},
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


def test_masking_weights_alone_would_let_moments_revive_them(stripes, monkeypatch):
    """Negative control: gradients unmasked and weights zeroed only before the loop; the check at the epoch's end tells."""
    monkeypatch.setattr(loop, "zero", lambda optimizer, removed, moments: None)
    monkeypatch.setattr(loop, "mask_gradients", lambda removed: None)
    with pytest.raises(Refused, match="removed weights are not 0"):
        fit(network(), stripes, INDICES, settings("sgd"), seed=0, state=None, masks=half(network()))


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
    for name, mask in masks.items():
        weight = model.get_parameter(name)
        weight.data[~mask.reshape(weight.shape)] = 0
    before = bits(model)
    recipe = RecoveryRecipe(batch_size=16, learning_rate=0.002)
    found = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1))
    assert bits(model) == before, "the model is left as it is"
    for name, mask in masks.items():
        moved = found[name].reshape(mask.shape)
        assert not moved[mask.numpy()].any() and (moved[~mask.numpy()] > 0).mean() > 0.9 and moved.dtype == np.float64
    again = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    origin = {name: network(2).get_parameter(name).detach() for name in masks}
    other = movement(model, stripes, INDICES, masks, recipe, steps=5, seed=0, teacher=network(1), origin=origin)
    assert any(not np.array_equal(found[name], other[name]) for name in found)
    with pytest.raises(Usage, match="0 steps"):
        movement(model, stripes, INDICES, masks, recipe, steps=0, seed=0, teacher=network(1))


def test_the_length_of_a_selection() -> None:
    assert selection_steps(10, 100, 1000) == 200 and selection_steps(1, 100, 10) == LEAST_STEPS


@pytest.mark.parametrize("options", [("adamw", "0.0"), ("sgd", "0.9")])
def test_two_processes_are_one_up_to_the_order_of_sums(options, tmp_path):
    worker = Path(__file__).with_name("parallel_fit.py")
    environment = {name: value for name, value in os.environ.items() if name != "RANK"} | {"OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for start, out in (([sys.executable], "one"), (launch, "two")):
        done = subprocess.run(
            [*start, str(worker), str(tmp_path / out), *options], env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (load_file(tmp_path / name) for name in ("one", "two"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    assert torch.equal(one["1.weight"] == 0, two["1.weight"] == 0) and int((one["1.weight"] == 0).sum()) > 200


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
    with pytest.raises(Refused, match="drop: dropout draws anew"):
        distributed.check_model(network(), frozen_batch_norm=True)


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
