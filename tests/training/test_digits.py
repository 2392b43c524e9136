"""The embedded recipe: readable, complete, and a network that begins to learn by it."""

from dataclasses import replace
from importlib.resources import files

import torch

from certify.data import check_classes, load_samples, split
from certify.networks.vision import import_timm
from certify.records import Recipe
from certify.training import accuracy, fit


def test_embedded_recipe_learns():
    recipe = Recipe.from_toml((files("certify") / "cli" / "digits.toml").read_text(), "digits.toml")
    assert Recipe.from_toml(recipe.to_toml(), "copy") == recipe
    assert recipe.splits.certification >= 500 and recipe.training.accuracy == 0.97
    assert [(plan.sparsity, plan.pattern) for plan in recipe.plan] == [(0.5, None), (None, "2:4")]

    shape = (recipe.model.kwargs["in_chans"], *2 * (recipe.model.kwargs["img_size"],))
    samples = load_samples(recipe.data, {"input_size": shape, "mean": (0.5,), "std": (0.5,)})
    check_classes(samples, recipe.model.num_classes)
    splits = split(samples, recipe.splits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = import_timm().create_model(recipe.model.name, num_classes=recipe.model.num_classes, **recipe.model.kwargs)
    losses = []
    short, train = replace(recipe.training, epochs=6), splits.indices["train"]
    fit(model, samples, train, short, seed=recipe.seed, state=None, progress=lambda *event: losses.append(event[2]))
    assert accuracy(model, samples, splits.indices["tuning"]) >= 0.2
    assert losses[-1] < losses[0] < 2.4
