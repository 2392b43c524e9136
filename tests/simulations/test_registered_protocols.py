"""Protocols of studies: what is read, what is refused, and that the tests have the size and the power they are said to have."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from certify.records import Refused
from simulations.engine.grid import load_grid
from simulations.engine.study import load
from simulations.studies import _protocol
from simulations.studies._page import Results
from simulations.studies._protocol import Contrast, confirmatory, included, load_protocol, protocol_of, seed_values
from simulations.studies._verdicts import effect, judge, sentence

PROTOCOL = """
study = "s"
claim = "c"
alpha = 0.05
primary = ["net"]
[seeds]
net = [1, 2, 3, 4, 5, 6]
[exclusion]
least = { dense = 0.9 }
most = 1
[best_of]
chosen_by = "validation"
B = ["B1", "B2"]
[[hypothesis]]
name = "P1"
says = "B gains."
contrast = "B@0.7 - A@0.7"
test = "greater"
[[hypothesis]]
name = "P2"
says = "B1 stays."
contrasts = ["B1@0.7 - A@0.7", "B2@0.7 - A@0.7"]
test = "equivalent"
margin = 0.5
[[hypothesis]]
name = "E1"
family = "extra"
says = "A is below B1."
contrast = "A@0.7 - B1@0.7"
test = "less"
[[verdict]]
word = "supported"
all_supported = ["P1"]
[[verdict]]
word = "refuted"
any_refuted = ["P1"]
"""


@pytest.fixture
def protocol(tmp_path: Path):
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL)
    return load_protocol(path)


def results(digest: str, gain: float = 0.1, dense: float = 1.0) -> Results:
    rows = []
    for seed in range(1, 7):
        noise = 0.01 * np.sin(seed)
        for arm, test, validation in (("A", 0.5, 0.0), ("B1", 0.5 + gain + noise, 0.2), ("B2", 0.4, 0.3 if seed == 6 else 0.1)):
            rows.append((digest, "net", seed, arm, 0.7, test, validation, dense))
    names = ("protocol", "network", "seed", "arm", "sparsity", "test", "validation", "dense")
    return Results({name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}, {})


def test_a_contrast_is_a_signed_sum():
    found = Contrast.parse("B@0.7 - C@0.7 - B@0.8 + C:equal@.8", 0.5)
    assert found.terms == ((1.0, "B", 0.7), (-1.0, "C", 0.7), (-1.0, "B", 0.8), (1.0, "C:equal", 0.8))
    assert found.scale == 0.5
    for bad in ("", "B - A", "B@0.7 * A@0.7", "B@0.7 A@0.7", "2 B@0.7"):
        with pytest.raises(Refused, match="contrast"):
            Contrast.parse(bad)


def test_the_best_by_validation_stands_for_a_class_and_the_test_column_is_read(protocol):
    values = seed_values(results(protocol.digest), protocol.hypotheses[0].contrasts[0], "test", protocol)
    assert values[:5] == pytest.approx([0.1 + 0.01 * np.sin(seed) for seed in range(1, 6)])
    assert values[5] == pytest.approx(-0.1)  # on seed 6 the class with the better validation accuracy is the worse one on test


def test_an_effect_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 1.0, 20), rng.normal(0.0, 1.0, 20)
    found = effect(one - other, "greater", 0.0)
    assert found.p == pytest.approx(ttest_rel(one, other, alternative="greater").pvalue)
    assert found.low < found.mean < found.high
    shifted = effect(one - other, "less", 0.2)
    assert shifted.p == pytest.approx(ttest_rel(one - other, np.full(20, 0.2), alternative="less").pvalue)


def test_equivalence_takes_the_larger_of_two_one_sided_tests():
    values = np.random.default_rng(1).normal(0.2, 0.5, 20)
    found = effect(values, "equivalent", 0.6)
    sides = (
        ttest_rel(values, np.full(20, -0.6), alternative="greater").pvalue,
        ttest_rel(values, np.full(20, 0.6), alternative="less").pvalue,
    )
    assert found.p == pytest.approx(max(sides))


def test_equal_values_are_compared_not_tested():
    assert effect(np.zeros(20), "greater", 0.0).p == 1.0
    assert effect(np.zeros(20), "equivalent", 0.01).p == 0.0
    assert effect(np.full(20, 0.1), "greater", 0.0).p == 0.0
    assert math.isnan(effect(np.array([0.1]), "greater", 0.0).p)


def test_several_contrasts_pass_together_or_not_at_all(protocol):
    judged = {each.hypothesis.name: each for each in judge(results(protocol.digest), protocol)}
    assert judged["P2"].effect.mean == pytest.approx(0.1, abs=0.01)  # that of B1: B2 never varies, its p-value is 0
    assert judged["E1"].verdict == "supported" and judged["E1"].adjusted == judged["E1"].effect.p  # a family of one


def words(judged) -> dict[str, str]:
    return {each.hypothesis.name: each.verdict for each in judged}


def test_verdicts(protocol):
    clear = replace(protocol, best_of={"B": ("B1",)})
    supported = judge(results(protocol.digest), clear)
    assert supported[0].verdict == "supported" and clear.verdict(words(supported)) == "supported"
    refuted = judge(results(protocol.digest, gain=-0.1), clear)
    assert refuted[0].verdict == "refuted" and clear.verdict(words(refuted)) == "refuted"
    unclear = judge(results(protocol.digest, gain=0.0), clear)
    assert unclear[0].verdict == "inconclusive" and clear.verdict(words(unclear)) == "inconclusive"
    for judged in (supported, refuted, unclear):
        said = sentence(judged[0], clear)
        assert judged[0].verdict in said and "after Holm" in said and "95 %" in said


def test_holm_multiplies_the_smallest_by_the_size_of_the_family(protocol):
    judged = judge(results(protocol.digest), replace(protocol, best_of={"B": ("B1",)}))
    family = [each for each in judged if not each.hypothesis.family]
    smallest = min(family, key=lambda each: each.effect.p)
    assert smallest.adjusted == pytest.approx(min(1.0, 2 * smallest.effect.p))


def test_results_of_another_text_or_seed_are_refused(protocol):
    assert len(confirmatory(results(protocol.digest), protocol)) == 18
    with pytest.raises(Refused, match="do not share a table"):
        confirmatory(results(_protocol.EXPLORATORY), protocol)
    with pytest.raises(Refused, match="seed 4 is not"):
        confirmatory(results(protocol.digest), replace(protocol, seeds={"net": (1, 2, 3)}))


def test_weak_networks_are_left_out_and_too_many_end_the_study(protocol):
    weak = results(protocol.digest)
    weak.columns["dense"][weak["seed"] == 3] = 0.5
    kept, out = included(weak, protocol)
    assert out == {3: "dense 0.500 is below 0.9"} and set(kept["seed"]) == {1, 2, 4, 5, 6}
    with pytest.raises(Refused, match="6 seeds are excluded"):
        included(results(protocol.digest, dense=math.nan), protocol)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('test = "greater"', 'test = "bigger"', "bigger"),
        ('name = "P2"', 'name = "P1"', "names of their own"),
        ("margin = 0.5", "margin = 0.0", "margin above 0"),
        ('all_supported = ["P1"]', 'all_supported = ["P9"]', "P9"),
        ('primary = ["net"]', 'primary = ["other"]', "no seeds"),
        ("alpha = 0.05", "", "alpha"),
        ("[exclusion]", "[exclusions]", "exclusion"),
    ],
)
def test_a_protocol_that_is_not_one_is_refused(tmp_path, old, new, words):
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL.replace(old, new, 1))
    with pytest.raises(Refused, match=words):
        load_protocol(path)


def test_the_protocols_on_file_are_read():
    for path in sorted(Path(_protocol.__file__).with_name("protocols").glob("*.toml")):
        protocol = load_protocol(path)
        assert all(len(protocol.seeds[network]) == 20 for network in protocol.primary)
        assert min(min(seeds) for seeds in protocol.seeds.values()) >= 100  # exploratory seeds lie below


def test_exchangeable_arms_are_told_apart_at_the_stated_rate():
    """Of 2,000 pairs of 20 seeds without any difference, 3 to 7 % pass at .05 (chance of leaving that: below 1e-4)."""
    rng = np.random.default_rng(20)
    values = rng.binomial(547, 0.9, (2000, 20)) / 547 - rng.binomial(547, 0.9, (2000, 20)) / 547
    p = ttest_rel(values, np.zeros_like(values), axis=1, alternative="greater").pvalue
    assert 0.03 <= np.mean(p <= 0.05) <= 0.07
    own = [effect(row, "greater", 0.0).p for row in values[:20]]
    assert own == pytest.approx(p[:20])


@pytest.mark.parametrize("name", ["selection-plateau", "spectral-distortion"])
@pytest.mark.parametrize("where", ["", "-cifar10"])
def test_the_grid_on_file_is_the_one_the_protocol_registered(name, where):
    study = load(name)
    protocol = load_protocol(Path(_protocol.__file__).with_name("protocols") / f"{name}{where}.toml")
    assert protocol.study == name
    path = study.grid_path.with_name(study.grid_path.stem + where.replace("-", "_") + ".toml")
    names = list(study.parameters)
    seeds: dict[str, set[int]] = {}
    for point in load_grid(study, path).points():
        cell = dict(zip(names, point, strict=True))
        assert cell["protocol"] == protocol.digest
        seeds.setdefault(cell["network"], set()).add(cell["seed"])
    assert seeds == {network: set(planned) for network, planned in protocol.seeds.items()}


def test_results_find_the_protocol_they_name(tmp_path, protocol):
    first, second = tmp_path / "p.toml", tmp_path / "p-other.toml"
    second.write_text(PROTOCOL.replace('claim = "c"', 'claim = "d"'))
    for path in (first, second):
        assert protocol_of(results(load_protocol(path).digest), first) == load_protocol(path)
    assert protocol_of(results(_protocol.EXPLORATORY), first) == protocol
    with pytest.raises(Refused, match="on file are"):
        protocol_of(results("0" * 16), first)
