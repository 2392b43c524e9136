"""The loop: removed weights stay removed, an interrupted fit ends with the same bytes, bad inputs are told."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from certify.data import Samples
from certify.records import Refused
from certify.records.files import read_tensors
from certify.records.recipe import RecoveryRecipe, TrainingRecipe
from certify.training import accuracy, fit, loop, optimizers

INDICES = tuple(range(41))


class Stripes(Samples):
    """Noisy 6x6 images of horizontal (0) or vertical (1) stripes."""

    def __init__(self, labelled=True):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, 60)
        stripe = np.tile([1.0, -1.0], 3)
        pixels = rng.normal(0, 0.7, (60, 1, 6, 6)) + np.where(labels[:, None, None], stripe[None, :], stripe[:, None])[:, None]
        self._pixels = torch.tensor(pixels, dtype=torch.float32)
        names = [str(i) for i in range(60)]
        super().__init__("stripes", names, labels if labelled else None, ("flat", "tall"), {}, "made up")

    def images(self, indices):
        return self._pixels[torch.as_tensor(indices)]

    def augmented(self, indices, generator):
        images = self.images(indices)
        return images + 0.1 * torch.randn(images.shape, generator=generator)


def network(seed=0):
    """Convolution, batch normalisation, dropout, and a position embedding: everything the loop treats apart."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 6, 3)
            self.norm = nn.BatchNorm2d(6)
            self.drop = nn.Dropout(0.1)
            self.pos_embed = nn.Parameter(torch.zeros(1, 6, 4, 4))
            self.fc = nn.Linear(6 * 16, 2)

        def forward(self, x):
            x = torch.relu(self.norm(self.conv(x))) + self.pos_embed
            return self.fc(self.drop(x).flatten(1))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network()


def half(model):
    """Masks that keep about half of the two matrices; the convolution's is lowered to (rows, cols)."""
    generator = torch.Generator().manual_seed(3)
    return {
        "conv.weight": torch.rand(6, 9, generator=generator) < 0.5,
        "fc.weight": torch.rand(2, 96, generator=generator) < 0.5,
    }


def bits(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


class Killed(Exception):
    pass


def killed_after(epoch):
    def progress(done, epochs, loss):
        if done == epoch:
            raise Killed

    return progress


@pytest.fixture(scope="module")
def stripes():
    return Stripes()


def test_training_learns_and_reports(stripes):
    seen = []
    settings = TrainingRecipe(epochs=15, batch_size=16, learning_rate=0.02)
    model = fit(network(), stripes, INDICES, settings, seed=0, state=None, progress=lambda *event: seen.append(event))
    assert not model.training
    assert accuracy(model, stripes, range(41, 60)) >= 0.9
    assert [event[:2] for event in seen] == [(epoch, 15) for epoch in range(1, 16)]
    assert seen[-1][2] < seen[0][2]


def test_result_depends_on_the_seed_only(stripes):
    settings = TrainingRecipe(epochs=2, batch_size=16)
    first = bits(fit(network(), stripes, INDICES, settings, seed=5, state=None))
    assert bits(fit(network().eval(), stripes, INDICES, settings, seed=5, state=None)) == first
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    assert bits(fit(network(), stripes, INDICES, settings, seed=5, state=None)) == first
    assert torch.equal(torch.get_rng_state(), before)
    assert bits(fit(network(), stripes, INDICES, settings, seed=6, state=None)) != first


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("killed", [1, 4, 7, 8])
def test_killed_fit_resumes_bit_for_bit(stripes, tmp_path, monkeypatch, masked, killed):
    monkeypatch.setattr(loop, "SAVE_STEPS", 7)  # three steps an epoch: saved after epochs 3, 5, 7 and 8
    teacher = network(1).eval()
    settings = RecoveryRecipe(epochs=8, batch_size=16, learning_rate=0.02)
    options = {"seed": 2, "teacher": teacher, "masks": half(teacher) if masked else None}
    whole = bits(fit(network(), stripes, INDICES, settings, state=None, **options))

    state = tmp_path / "fit.state"
    with pytest.raises(Killed):
        fit(network(), stripes, INDICES, settings, state=state, progress=killed_after(killed), **options)
    assert state.exists() == (killed >= 3)
    epochs = []
    resumed = fit(network(), stripes, INDICES, settings, state=state, progress=lambda done, *_: epochs.append(done), **options)
    assert bits(resumed) == whole
    assert epochs == list(range({1: 0, 4: 3, 7: 7, 8: 8}[killed] + 1, 9))


def test_state_of_another_fit_is_left_aside(stripes, tmp_path):
    state = tmp_path / "fit.state"
    settings = TrainingRecipe(epochs=2, batch_size=16)
    fit(network(), stripes, INDICES, settings, seed=0, state=state)
    for model, seed, indices in ((network(1), 0, INDICES), (network(), 1, INDICES), (network(), 0, INDICES[:-1])):
        alone = bits(fit(copy.deepcopy(model), stripes, indices, settings, seed=seed, state=None))
        assert bits(fit(model, stripes, indices, settings, seed=seed, state=state)) == alone


def test_frozen_masks_stay_zero_under_momentum_and_decay(stripes):
    model, masks = network(), half(network())
    kept_before = model.fc.weight.detach().clone()
    settings = RecoveryRecipe(epochs=3, batch_size=16, learning_rate=0.05, weight_decay=0.5)
    fit(model, stripes, INDICES, settings, seed=0, state=None, teacher=network(1), masks=masks)
    for name, weight in (("conv.weight", model.conv.weight), ("fc.weight", model.fc.weight)):
        kept = masks[name].reshape(weight.shape)
        assert weight.detach()[~kept].numpy().tobytes() == bytes(4 * int((~kept).sum()))  # +0, not -0
        assert torch.count_nonzero(weight.detach()[kept]) == kept.sum()
    assert not torch.equal(model.fc.weight.detach()[masks["fc.weight"]], kept_before[masks["fc.weight"]])


@pytest.mark.parametrize(("opt", "moments"), [("adamw", ("exp_avg", "exp_avg_sq")), ("sgd", ("momentum_buffer",))])
def test_moments_and_averages_of_removed_weights_are_zero(stripes, tmp_path, opt, moments):
    masks = half(network())
    settings = RecoveryRecipe(epochs=2, batch_size=16, opt=opt, model_ema_decay=0.5)
    state = tmp_path / "fit.state"
    fit(network(), stripes, INDICES, settings, seed=0, state=state, masks=masks)
    arrays = read_tensors(state)
    for kind in ("model", "average", *moments):
        found = arrays[f"{kind}.fc.weight"] != 0
        assert not found[~masks["fc.weight"].numpy()].any() and found[masks["fc.weight"].numpy()].all()


def test_removed_weight_that_lives_is_named(stripes, monkeypatch):
    masks = half(network())
    monkeypatch.setattr(loop, "zero", lambda optimizer, removed, moments: None)
    gone = int((~masks["conv.weight"]).sum())
    with pytest.raises(Refused, match=rf"conv\.weight: {gone} of {gone} removed weights are not 0"):
        fit(network(), stripes, INDICES, RecoveryRecipe(epochs=1), seed=0, state=None, masks=masks)


@pytest.mark.parametrize("options", [{}, {"model_ema_decay": 0.5}, {"batch_norm": "reestimate"}])
def test_no_epochs_ships_the_masked_network(stripes, options):
    model, masks = network(), half(network())
    untouched = bits(model)
    fit(model, stripes, INDICES, RecoveryRecipe(epochs=0, **options), seed=0, state=None, masks=masks)
    assert [name for name, data in bits(model).items() if data != untouched[name]] == ["conv.weight", "fc.weight"]


def test_recovery_without_labels(stripes):
    unlabelled = Stripes(labelled=False)
    teacher = fit(network(1), stripes, INDICES, TrainingRecipe(epochs=15, learning_rate=0.02), seed=0, state=None)
    before = bits(teacher)
    settings = RecoveryRecipe(epochs=20, batch_size=16, learning_rate=0.02, distill_loss_weight=0.2)
    student = copy.deepcopy(teacher)
    fit(student, unlabelled, INDICES, settings, seed=0, state=None, teacher=teacher, masks=half(student))
    assert bits(teacher) == before and not teacher.training
    assert accuracy(student, stripes, range(41, 60)) >= 0.9
    with pytest.raises(Refused, match="only learn from a teacher"):
        fit(network(), unlabelled, INDICES, settings, seed=0, state=None)
    with pytest.raises(Refused, match="accuracy needs labels"):
        accuracy(student, unlabelled, INDICES)


def test_decay_spares_vectors_and_embeddings():
    model = network()
    decayed, free = optimizers.parameter_groups(model, 0.1)
    assert {id(weight) for weight in decayed["params"]} == {id(model.conv.weight), id(model.fc.weight)}
    assert decayed["weight_decay"] == 0.1 and free["weight_decay"] == 0
    assert any(weight is model.pos_embed for weight in free["params"]) and len(free["params"]) == 5


def test_no_batch_has_a_single_image(stripes):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    fit(model, stripes, INDICES, TrainingRecipe(epochs=1, batch_size=40), seed=0, state=None)


def test_exploding_loss_is_told(stripes):
    model = network()
    with torch.no_grad():
        model.fc.weight[0, 0] = math.nan
    with pytest.raises(Refused, match=r"training: the loss is nan in epoch 1, step 1; lower training\.learning_rate"):
        fit(model, stripes, INDICES, TrainingRecipe(epochs=1), seed=0, state=None)


def test_masks_must_fit(stripes):
    for name, kept, sentence in (
        ("head.weight", torch.ones(2, 96), "no such parameter"),
        ("fc.weight", torch.ones(96, 2), r"shape \(96, 2\) does not fit the weight's \(2, 96\)"),
    ):
        with pytest.raises(Refused, match=sentence):
            fit(network(), stripes, INDICES, RecoveryRecipe(), seed=0, state=None, masks={name: kept})


def test_empty_sets_are_refused(stripes):
    with pytest.raises(Refused, match="no training samples"):
        fit(network(), stripes, (), TrainingRecipe(), seed=0, state=None)
    with pytest.raises(Refused, match="on no samples"):
        accuracy(network(), stripes, ())


def test_tie_is_wrong(stripes):
    class Constant(nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor(logits))

        def forward(self, x):
            return self.logits.expand(len(x), -1)

    share = float(np.mean(stripes.labels == 0))
    assert accuracy(Constant([0.0, 0.0]), stripes, range(60)) == 0
    assert accuracy(Constant([1.0, 0.0]), stripes, range(60), batch_size=7) == pytest.approx(share)
