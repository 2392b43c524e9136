"""The studies of random matrices: each on a grid of seconds, laws against dense draws, fits against known spectra.

Seeds are fixed. Comparisons of laws have false-alarm rate 1e-6; 6 standard errors of a mean 2e-9 each.
"""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
from scipy.special import logsumexp
from sweep_tools import call, grid_file

from certify.laws.bulk_fit import fit_distance
from certify.laws.marchenko_pastur import MarchenkoPasturSingular
from certify.spectra import fit_bulk
from simulations.engine.study import load
from simulations.samplers import compare
from simulations.studies import _page, bbp, bulk_fit, collapse, randomness, scaling, score_laws

FALSE_ALARM = 1e-6
FAR = 6.0
TINY = {
    "bbp": "[grid]\nrows = [40, 60]\ncols = [40, 60]\nratio = [0, 1, 2]\ndraws = 4\n",
    "noise-fits": "replicates = 3\n[grid]\nrows = [48, 96]\ncols = 96\n",
    "bulk-fit": "[grid]\nrows = 64\ncols = [64, 96]\nspike_share = [0, 0.27]\nstrength = [3, 6]\n",
    "scaling": '[[grid]]\nscaling = ["mean-field", "fan-in", "layer-norm"]\nlayers = 1\n'
    "width = [32, 64]\ng = 1\nl2 = 0.01\ndraws = 4\n"
    '[[grid]]\nscaling = "mean-field"\nlayers = [0, 2]\nwidth = 64\ng = 1\nl2 = 0.01\ndraws = 2\n',
    "collapse": "replicates = 2\n[grid]\nl2 = [0, 0.01]\ng = 0.5\nsteps = 8\n",
    "score-laws": '[grid]\nlaw = ["half-normal", "Pareto 2.5", "Pareto 1.5", "Pareto 0.7", "untrained layers"]\n'
    "size = [50, 100]\ndraws = 4\n",
    "randomness": "[grid]\nl2 = 0\nepochs = [0, 1]\ndraws = 2\n",
}


def module(name):
    return importlib.import_module(f"simulations.studies.{name.replace('-', '_')}")


@pytest.mark.parametrize("name", TINY)
def test_a_sweep_and_its_page(name, tmp_path, capsys):
    """Every cell has a row; the page and picture come out, the same bytes each time."""
    assert call(name, "--grid", grid_file(tmp_path, TINY[name]), "--out", tmp_path / "sweep") == 0
    study, written = load(name), []
    for out in (tmp_path / "one", tmp_path / "two"):
        words = ["--sweep", str(tmp_path / "sweep"), "--out", str(out)]
        assert _page.command(study, module(name).page, words) == 0
        written.append([(out / f"{name}.{kind}").read_bytes() for kind in ("md", "svg")])
    assert written[0] == written[1]
    text = written[0][0].decode()
    assert text.count("\n## ") >= 2 and f"python -m simulations {name}" in text and b"<svg" in written[0][1]
    tables = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|Rem")]
    assert tables and all(len(line.split("|")) > 3 for line in tables)


@pytest.mark.parametrize("name", TINY)
def test_the_default_grid_is_readable(name, capsys):
    assert call("list") == 0
    assert any(line.startswith(f"{name}  ") for line in capsys.readouterr().out.splitlines())


def test_results_of_another_study_are_refused(tmp_path, capsys):
    assert call("bbp", "--grid", grid_file(tmp_path, TINY["bbp"]), "--out", tmp_path / "sweep") == 0
    words = ["--out", str(tmp_path), "--sweep"]
    assert _page.command(load("scaling"), scaling.page, [*words, str(tmp_path / "sweep")]) == 3
    assert "'scaling' version 1 is expected" in capsys.readouterr().err
    assert _page.command(load("bbp"), bbp.page, [*words, str(tmp_path / "absent")]) == 3
    assert not list(tmp_path.glob("*.md"))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("scaling", {"scaling": "none", "layers": 1, "width": 64, "g": 1.0, "l2": 0.1, "draws": 2}),
        ("scaling", {"scaling": "fan-in", "layers": 3, "width": 25, "g": 1.0, "l2": 0.1, "draws": 2}),
        ("collapse", {"l2": 0.1, "g": 1.0, "steps": 9}),
        ("collapse", {"l2": 9.0, "g": 1.0, "steps": 8}),
        ("score-laws", {"law": "none", "size": 10, "draws": 2}),
        ("randomness", {"l2": -1.0, "epochs": 0, "draws": 2}),
    ],
)
def test_bad_parameters_fail_the_cell(name, parameters):
    with pytest.raises(ValueError, match=str(next(iter(parameters.values())))):
        load(name).run(parameters, np.random.default_rng(0))


def test_exponents_and_selections():
    sizes = np.array([10.0, 100.0, 1000.0])
    assert _page.slope(sizes, 3.0 * sizes**-0.5) == pytest.approx(-0.5, abs=1e-12)
    assert math.isnan(_page.slope([5.0, 5.0], [1.0, 2.0])) and math.isnan(_page.slope(sizes, [1.0, 0.0, 1.0]))
    rows = _page.Results({"a": np.array([2, 1, 2]), "b": np.array([1.0, 2.0, 3.0])}, {})
    assert [(key, group["b"].tolist()) for key, group in rows.groups("a")] == [((1,), [2.0]), ((2,), [1.0, 3.0])]
    assert rows.where(rows["b"] > 1.0, a=2)["b"].tolist() == [3.0]


def test_spikes_meet_their_limits_and_wrong_limits_do_not():
    """At 15000 x 6000 and 2 theta_c the finite-size bias is far below 6 standard errors of 60 draws; left is not right."""
    row = bbp.run({"rows": 15000, "cols": 6000, "ratio": 2.0, "draws": 60}, np.random.default_rng(1))
    for name in ("value", "left", "right"):
        assert abs(row[name] - row[f"{name}_limit"]) <= FAR * row[f"{name}_error"]
    assert abs(row["left"] - row["right_limit"]) > FAR * row["left_error"]
    assert abs(row["strength_bias"]) < 0.01 < row["plain_bias"] and row["detected"] == 1.0
    noise = bbp.run({"rows": 1500, "cols": 600, "ratio": 0.0, "draws": 60}, np.random.default_rng(2))
    assert math.isnan(noise["strength_bias"]) and noise["left_limit"] == 0.0


def quantile_spectrum(rows, cols, spikes=0, factor=3.0):
    """The law's own quantiles at entry variance 1, the highest `spikes` ranks replaced by values beyond the edge."""
    p = min(rows, cols)
    law = MarchenkoPasturSingular(rows - spikes, cols - spikes, 1.0)
    values = law.ppf((np.arange(p - spikes) + 0.5) / (p - spikes))
    return np.concatenate([values, factor * law.support()[1] * np.linspace(1.0, 2.0, spikes)])


@pytest.mark.parametrize(
    ("rows", "cols", "published"),
    [(768, 768, 0.9825), (768, 3072, 0.9948), (2304, 768, 0.9939), (64, 576, 0.9856)],
)
def test_the_release_edge_is_the_published_one(rows, cols, published):
    """methods/mp-pruning.md 1.1, last column but one; the quantiles at i / p cost up to 1 / p of the variance."""
    fit = bulk_fit.release_fit(quantile_spectrum(rows, cols), rows, cols)
    edge = math.sqrt(rows) + math.sqrt(cols)
    assert fit.edge / edge == pytest.approx(published, abs=0.4 / min(rows, cols) + 1e-3)
    mended = math.sqrt(fit.entry_variance)
    assert fit.edge / edge < mended - 0.003


def test_the_artefact_and_its_corrections():
    """73 % bulk: .749 with the slip, 1 - .73 without it, nothing once the spikes are dropped."""
    values = quantile_spectrum(768, 768, spikes=207)
    matrix = np.diag(values)
    assert bulk_fit.release_fit(values, 768, 768).error == pytest.approx(0.749, abs=1e-3)
    assert fit_distance(values, 768, 768, 0.25) == pytest.approx(0.27, abs=0.02)
    fit = fit_bulk("drawn", matrix)
    assert (
        fit.fit_error < 0.01 and fit.bulk_share == pytest.approx(561 / 768) and fit.entry_variance == pytest.approx(1.0, abs=0.02)
    )
    assert bulk_fit.release_fit(quantile_spectrum(768, 768), 768, 768).error < 0.01


def dense_network(width, name, layers, g, l2, rng):
    """`scaling.draw_network` with its noise matrices drawn."""
    inner = rng.standard_normal((scaling.SAMPLES, width))
    inner /= np.linalg.norm(inner, axis=1)[:, None]
    inner *= math.sqrt(width) if name == "layer-norm" else 1.0
    outer = rng.standard_normal((scaling.CLASSES, width)) / math.sqrt(width)
    outer = scaling.OUTER / width * np.sign(outer) if name == "mean-field" else outer
    middle = []
    for _ in range(layers):
        left, right = (np.abs(rng.standard_normal(width)) for _ in range(2))
        signal = scaling.SPIKE * np.outer(left, right) / (np.linalg.norm(left) * np.linalg.norm(right))
        middle.append((signal, math.sqrt(g / width) * rng.standard_normal((width, width))))

    def logits(removed):
        state = np.maximum(inner, 0.0)
        for j, (signal, noise) in enumerate(middle):
            state = np.maximum(state @ (signal if j < removed else signal + noise).T, 0.0)
        return np.maximum(state @ outer.T, 0.0)

    labels = np.arange(scaling.SAMPLES) % scaling.CLASSES

    def loss(removed):
        z = logits(removed)
        ce = np.mean(logsumexp(z, axis=1) - z[np.arange(len(labels)), labels])
        return ce + l2 * sum(np.sum((s if j < removed else s + r) ** 2) for j, (s, r) in enumerate(middle))

    energy = sum(np.sum(r**2) for _, r in middle)
    moved = np.max(np.abs(logits(layers) - logits(0)))
    return loss(layers) - loss(0) + l2 * energy, energy, sum(np.sum(s * r) for s, r in middle), moved


@pytest.mark.parametrize(("name", "layers"), [("mean-field", 1), ("layer-norm", 2)])
def test_noise_that_is_never_drawn_has_the_law_of_the_dense_one(name, layers):
    width, rng = 24, np.random.default_rng([3, layers])
    drawn = [scaling.draw_network(width, name, layers, 0.8, 0.3, rng) for _ in range(600)]
    fast = np.array([(d.remainder, d.energy, d.cross, d.moved) for d in drawn])
    dense = np.array([dense_network(width, name, layers, 0.8, 0.3, rng) for _ in range(600)])
    assert compare(fast, dense).p_value >= FALSE_ALARM
    wrong = np.array([dense_network(width, name, layers, 1.0, 0.3, rng) for _ in range(600)])
    assert compare(fast, wrong).p_value < FALSE_ALARM


def test_remainders_fall_where_the_hypothesis_holds_and_stay_where_it_does_not():
    def rms(name, width):
        parameters = {"scaling": name, "layers": 1, "width": width, "g": 1.0, "l2": 0.01, "draws": 30}
        return scaling.run(parameters, np.random.default_rng([4, width]))

    fields, norms = ([rms(name, width) for width in (64, 1024)] for name in ("mean-field", "layer-norm"))
    assert fields[1]["remainder_rms"] < 0.35 * fields[0]["remainder_rms"] and fields[1]["radius"] < 0.5 * fields[0]["radius"]
    assert norms[1]["remainder_rms"] > 0.6 * norms[0]["remainder_rms"] and norms[1]["radius"] > 2.0 * norms[0]["radius"]
    assert all(row["over"] == 0.0 for row in (*fields, *norms))


def test_gradients_of_the_training():
    rng = np.random.default_rng(5)
    inputs, labels = rng.standard_normal((7, 5)), rng.integers(0, 3, 7)
    shapes = ((6, 5), (6, 6), (3, 6))
    network = collapse.Network(tuple(rng.standard_normal(shape) for shape in shapes))
    gradient = collapse.objective(network, inputs, labels, 0.02)[2]
    for layer, shape in enumerate(shapes):
        step = 1e-6 * rng.standard_normal(shape)
        sides = []
        for sign in (1.0, -1.0):
            moved = [w + sign * step if i == layer else w for i, w in enumerate(network.weights)]
            sides.append(collapse.objective(collapse.Network(tuple(moved)), inputs, labels, 0.02)[0])
        assert (sides[0] - sides[1]) / 2.0 == pytest.approx(float(np.sum(gradient[layer] * step)), rel=1e-4, abs=1e-13)


def test_the_bulk_follows_the_weight_decay_and_stays_without_it():
    rows = [collapse.run({"l2": l2, "g": 1.0, "steps": 80}, np.random.default_rng(6)) for l2 in (0.0, 0.01)]
    last = collapse.CHECKPOINTS
    moved = [row[f"edge_{last}"] / row["edge_0"] for row in rows]
    assert moved[0] == pytest.approx(1.0, abs=0.05) and rows[0]["decay"] == 1.0
    assert rows[1]["decay"] < 0.8 and moved[1] == pytest.approx(rows[1]["decay"], rel=0.05)
    assert rows[0]["rest_bound"] == math.inf and rows[1]["rest_energy"] <= rows[1]["rest_bound"]


@pytest.mark.parametrize("name", [name for name, law in score_laws.LAWS.items() if law.constant and law.constant.variance < 9.0])
def test_effective_numbers_meet_their_constants(name):
    row = score_laws.run({"law": name, "size": 4000, "draws": 40}, np.random.default_rng([7, len(name)]))
    expected, slack = row["ratio"] + row["bias"] / 4000, FAR * math.sqrt(row["variance"] / 4000 / 40)
    assert abs(row["share"] - expected) <= slack
    others = [law.constant.ratio for key, law in score_laws.LAWS.items() if law.constant and key != name]
    assert all(abs(row["share"] - other) > slack for other in others)


def test_untrained_layers_and_heavy_tails():
    pool = score_laws.run({"law": "untrained layers", "size": 30_000, "draws": 10}, np.random.default_rng(8))
    assert pool["share"] == pytest.approx(pool["ratio"], abs=0.01) and pool["ratio"] < 0.5
    small, large = (
        score_laws.run({"law": "Pareto 0.7", "size": n, "draws": 60}, np.random.default_rng(9)) for n in (300, 30_000)
    )
    assert large["number"] < 3.0 * small["number"] and abs(large["inverse"] - 0.3) <= FAR * large["inverse_error"]


def test_a_planted_spike_is_beyond_the_permutation_null():
    """s_1 of a spike at 4 theta_c exceeds that of all 49 permutations, whose own ranks are uniform."""
    rng = np.random.default_rng(10)
    noise = rng.standard_normal((randomness.WIDTH, 64))
    spiked = noise + 4.0 * (randomness.WIDTH * 64) ** 0.25 * np.outer(*(x / np.linalg.norm(x) for x in (noise[:, 0], noise[0])))
    null = [randomness.scores(rng.permutation(spiked.ravel()).reshape(spiked.shape)) for _ in range(49)]
    assert randomness.scores(spiked)["largest"] > max(one["largest"] for one in null)
    assert 0.0 < randomness.scores(spiked)["refit"] < 1.0


def test_training_on_digits_learns():
    before, after = (randomness.train(0.0, epochs, np.random.default_rng(11))[1] for epochs in (0, 5))
    assert before < 0.3 and after > 0.85
