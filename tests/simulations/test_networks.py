"""Synthetic networks: the truth they claim about themselves, checked by roads that do not build them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from certify.records import Refused
from certify.theory.margins import true_margin
from simulations.networks import CASES, Recipe, build, exact_paths, measure, row_sums, traced
from simulations.networks.architectures import patches
from simulations.networks.parts import noise
from simulations.networks.recipe import FAMILIES, NOISES
from simulations.networks.regression import train

SEED = 20260608
RECIPES = [
    Recipe(family=family, noise=law, split=split) for family in FAMILIES for law in NOISES for split in ("additive", "mask")
]


def rng(*words: object) -> np.random.Generator:
    return np.random.default_rng([SEED, *"/".join(map(str, words)).encode()])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: f"{r.family}-{r.noise}-{r.split}")
def test_truth_about_split_tokens_margin_and_rank(recipe: Recipe) -> None:
    network = build(recipe, rng(recipe.family, recipe.noise, recipe.split))
    disjoint = all(not np.any(network.signal[n] * network.noise[n]) for n in network.design.targets)
    assert network.truth["split.mask"] == disjoint == (recipe.split == "mask")
    for layer in network.design.targets:
        assert network.truth[f"{layer}.one_vector"] == (network.data_path(layer).shape[1] == 1)
    margins = true_margin(network.forward(network.signal), network.labels)
    assert np.abs(margins).min() == pytest.approx(recipe.margin, rel=1e-9)
    assert (margins < 0.0).sum() == int(recipe.errors * recipe.samples)
    ranks = {np.linalg.matrix_rank(network.signal[n]) for n in network.design.targets if n != "head"}
    assert network.truth["signal.low_rank"] == (ranks == {len(recipe.strengths)})


def test_low_rank_signals_have_the_strengths_asked_for() -> None:
    network = build(Recipe(strengths=(5.0, 3.0, 1.0), width=9), rng("strengths"))
    values = np.linalg.svd(network.signal["fc1"], compute_uv=False)
    np.testing.assert_allclose(values[:4], [5.0, 3.0, 1.0, 0.0], atol=1e-12)


def test_narrow_networks_with_dead_units_are_drawn_again_and_hopeless_ones_refused() -> None:
    """About three in four signal networks of this recipe are tied on a sample; every network gets its margin all the same."""
    recipe = Recipe(width=2, aspect=1.0, split="mask", structure="blocks")
    for i in range(100):
        network = build(recipe, rng("narrow", i))
        assert np.abs(true_margin(network.forward(network.signal), network.labels)).min() == pytest.approx(recipe.margin)
    with pytest.raises(Refused, match="tied"):
        build(replace(recipe, strengths=(1e-200,)), rng("hopeless"))


def test_aspect_ratio_is_that_of_the_second_layer() -> None:
    for aspect in (0.5, 2.0):
        network = build(Recipe(width=12, aspect=aspect), rng("aspect"))
        rows, cols = network.noise["fc2"].shape
        assert cols / rows == aspect


@pytest.mark.parametrize("law", NOISES)
def test_noise_has_the_variance_and_the_dependence_it_says(law: str) -> None:
    """Mean of squares and of products of neighbours in a row, each within 6 standard errors: false-alarm rate about 1e-8."""
    drawn = np.stack([noise(law, 4, 5, 2.0, rng(law, i)) for i in range(3000)]) / math.sqrt(0.5)
    for values, wanted in ((drawn[:, 0, 0] ** 2, 1.0), (drawn[:, 0, 0] * drawn[:, 0, 1], 0.5 if law == "correlated" else 0.0)):
        assert abs(values.mean() - wanted) <= 6.0 * values.std() / math.sqrt(len(values)) + 1e-12
    assert abs((drawn[:, 0, 0] * drawn[:, 1, 0]).mean()) <= 6.0 * 1.01 / math.sqrt(3000)


def test_dependent_inputs_are_seen_by_the_noise_and_independent_ones_are_not() -> None:
    """||R v||_inf / (||v|| sqrt(g / rows)) over 40 networks. Independent inputs: every one of 240 vectors keeps below the union
    bound at 1e-6; inputs that repeat rows pass it in most networks of width 48."""
    limit = math.sqrt(2.0 * math.log(2.0 * 48 * 240 / 1e-6))
    largest = {}
    for dependent in (False, True):
        found = []
        for i in range(40):
            network = build(Recipe(width=48, dependent=dependent), rng("dependent", i))
            v = network.data_path("fc1")[:, 0]
            sizes = np.abs(v @ network.noise["fc1"].T).max(axis=1) / np.linalg.norm(v, axis=1)
            found.append(sizes.max() / math.sqrt(network.entry_variance("fc1")))
        assert network.truth["noise.independent_of_inputs"] != dependent
        largest[dependent] = np.array(found)
    assert np.all(largest[False] <= limit)
    assert np.median(largest[True]) > limit


@pytest.mark.parametrize("family", FAMILIES)
def test_float_tracing_agrees_with_rational_tracing(family: str) -> None:
    for i in range(2):
        network = build(Recipe(family=family, samples=2, width=6, split="mask"), rng("exact", family, i))
        for layer in network.layers:
            found = traced(network, layer, network.noise[layer])
            paths = exact_paths(network, layer, network.noise[layer])
            for name, wanted in (("variation", "max_norm"), ("speed", "speed_sup"), ("endpoint", "endpoint")):
                np.testing.assert_allclose(
                    getattr(found, name), [float(getattr(p, wanted)) for p in paths], rtol=1e-9, atol=1e-11
                )
            pairs = [p.pairwise(int(c)).astype(float) for p, c in zip(paths, network.labels, strict=True)]
            np.testing.assert_allclose(found.pairwise, pairs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES)
def test_tail_is_the_network_and_constants_are_in_order(family: str) -> None:
    """On the way from S to A: forward passes lie on the traced path, sampled slopes below sup speed, that below the row sums."""
    for i in range(5):
        network = build(Recipe(family=family), rng("tail", family, i))
        for layer in network.layers:
            removed = network.noise[layer]
            found = traced(network, layer, removed)
            grid = np.linspace(0.0, 1.0, 41)
            logits = np.stack([network.forward({layer: network.signal[layer] + t * removed}) for t in grid])
            steps = np.abs(np.diff(logits, axis=0)).max(axis=2)
            assert np.all(steps.max(axis=0) * 40.0 <= found.speed * (1.0 + 1e-9))
            assert np.all(steps.sum(axis=0) <= found.variation * (1.0 + 1e-9))
            np.testing.assert_allclose(np.abs(logits[-1] - logits[0]).max(axis=1), found.endpoint, rtol=1e-9, atol=1e-12)
            assert np.all(found.lipschitz <= row_sums(network, layer) * (1.0 + 1e-12))


def test_convolution_is_lowered_as_torch_does_it() -> None:
    import torch

    images, kernel = rng("images").standard_normal((2, 3, 6, 6)), rng("kernel").standard_normal((4, 3, 3, 3))
    wanted = torch.nn.functional.conv2d(torch.from_numpy(images), torch.from_numpy(kernel)).numpy()
    found = patches(images) @ kernel.reshape(4, -1).T
    np.testing.assert_allclose(found.transpose(0, 2, 1).reshape(2, 4, 4, 4), wanted, atol=1e-12)


def test_no_constant_is_claimed_after_attention() -> None:
    network = build(Recipe(family="transformer"), rng("attention"))
    assert not any(network.truth[f"{name}.exact_path"] for name in ("query", "key", "value", "out"))
    with pytest.raises(Refused, match="softmax"):
        row_sums(network, "query")


def test_training_reaches_stationarity_and_few_steps_do_not() -> None:
    draw = rng("regression")
    inputs, labels = draw.standard_normal((30, 4)), draw.integers(0, 3, 30)
    start = draw.standard_normal((3, 4))
    trained = train(inputs, labels, 3, 0.05, 0.02, start=start)
    assert trained.stationary
    value = trained.loss(trained.weights) + 0.05 * np.sum(trained.weights**2) + 0.02 * np.sum(np.abs(trained.weights))
    for _ in range(200):
        other = trained.weights + 0.01 * draw.standard_normal((3, 4))
        assert trained.loss(other) + 0.05 * np.sum(other**2) + 0.02 * np.sum(np.abs(other)) >= value
    assert not train(inputs, labels, 3, 0.05, 0.02, start=start, steps=3).stationary
    assert not train(inputs, labels, 3, 0.05, 0.02, start=start, smoothing=0.2).stationary


@pytest.mark.parametrize("certificate", [name for name, case in CASES.items() if not case.level])
def test_deterministic_certificates_hold_on_every_law_and_family(certificate: str) -> None:
    for family in CASES[certificate].families:
        for law in NOISES:
            found, holds = measure(certificate, family, law, 1.0, "none", rng(certificate, family, law))
            assert holds
            assert not found.violated, (family, law, found)


@pytest.mark.parametrize(
    ("certificate", "family", "broken"),
    [
        ("L4.4-logits", "cnn", "end-point Jacobian"),
        ("L4.4-logits", "cnn", "tokens ignored"),
        ("D5.0-size", "cnn", "tokens ignored"),
        ("T5.4-elastic-net", "transformer", "overlapping supports"),
        ("T5.8-multilayer", "transformer", "overlapping supports"),
        ("X13-stationarity", "mlp", "stopped early"),
        ("EMP-T6", "mlp", "published trace"),
    ],
)
def test_broken_hypotheses_are_caught(certificate: str, family: str, broken: str) -> None:
    failed = 0
    for i in range(12):
        found, holds = measure(certificate, family, "gaussian", 1.0, broken, rng(certificate, broken, i))
        assert not holds
        failed += found.violated
    assert failed >= 4


@pytest.mark.parametrize(
    "setting",
    [
        {"family": "resnet"},
        {"noise": "cauchy"},
        {"split": "svd"},
        {"samples": 0},
        {"classes": 1},
        {"margin": 0.0},
        {"aspect": math.nan},
        {"variance": -1.0},
        {"errors": 1.0},
        {"strengths": ()},
    ],
)
def test_bad_recipes_are_refused_in_one_sentence(setting: dict) -> None:
    with pytest.raises(Refused, match=next(iter(setting))):
        replace(Recipe(), **setting)


def test_unknown_certificates_layers_and_breaks_are_refused() -> None:
    draw = rng("refused")
    network = build(Recipe(), draw)
    for call in (
        lambda: measure("T9.9", "mlp", "gaussian", 1.0, "none", draw),
        lambda: measure("EMP-T6", "cnn", "gaussian", 1.0, "none", draw),
        lambda: measure("L4.4-logits", "mlp", "gaussian", 1.0, "tokens ignored", draw),
        lambda: network.data_path("fc9"),
        lambda: network.forward({"fc1": np.zeros((1, 1))}),
    ):
        with pytest.raises(Refused):
            call()
