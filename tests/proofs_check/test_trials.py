"""Every trial on Hypothesis instances; each refuses NaN; examples survive JSON; and the search does find a violation."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from certify.records import Refused
from proofs_check import __main__ as program
from proofs_check.commands import _example
from proofs_check.ledger import BY_ID
from proofs_check.trials import ALL, TRIALS
from proofs_check.trials.core import Field, Side, Trial, attack, draw, evaluate, read, violated, written
from tests.strategies import instances


def by_claim(trial):
    return pytest.param(trial, marks=pytest.mark.claim(trial.claim), id=trial.claim)


@pytest.mark.parametrize("trial", [by_claim(trial) for trial in ALL])
def test_holds_on_every_instance(trial):
    @settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(instances(trial))
    def check(instance):
        try:
            found = evaluate(trial, instance)
        except Refused:
            assume(False)
            raise
        assume(found.meets)
        assert not violated(trial, found)

    check()


@pytest.mark.parametrize("trial", ALL, ids=lambda trial: trial.claim)
def test_random_instances_meet_the_hypotheses_often_enough(trial):
    rng = np.random.default_rng(0)
    met = 0
    for _ in range(60):
        try:
            met += evaluate(trial, draw(trial, rng)).meets
        except Refused:
            continue
    assert met >= 6


@pytest.mark.parametrize("trial", ALL, ids=lambda trial: trial.claim)
def test_nan_never_passes(trial):
    """A field of NaN is refused, fails a hypothesis or breaks a comparison, unless the instance makes no use of it."""
    instance = read(trial, _example(trial))
    sides = evaluate(trial, instance).sides
    for name, entry in trial.fields.items():
        if entry.kind == "real" and instance[name] is not None:
            broken = np.full(np.shape(instance[name]), np.nan) if entry.sizes else float("nan")
            try:
                found = evaluate(trial, instance | {name: broken})
            except (Refused, np.linalg.LinAlgError):
                continue
            assert not found.meets or violated(trial, found) or found.sides == sides, f"{name}: NaN passed"


@pytest.mark.parametrize("trial", ALL, ids=lambda trial: trial.claim)
def test_example_survives_json(trial):
    assert trial.claim in BY_ID
    assert TRIALS[trial.claim] is trial
    instance = read(trial, json.loads(json.dumps(_example(trial))))
    found = evaluate(trial, instance)
    assert found.meets and found.sides and not violated(trial, found)
    again = evaluate(trial, read(trial, json.loads(json.dumps(written(instance)))))
    assert again.slack == found.slack


NARROW = Trial("X", {"x": Field("a number", low=0.0, high=1.0)}, lambda x: [Side("x^2 <= 0.98", x * x, 0.98)])


def test_the_search_finds_what_random_draws_rarely_do():
    found = attack(NARROW, np.random.default_rng(0), starts=10, steps=100)
    assert found.slack < 0.0
    assert violated(NARROW, evaluate(NARROW, found.instance))


def test_equality_is_two_sided():
    for left, right in ((1.0, 1.1), (1.1, 1.0)):
        assert Side("", left, right, equal=True).slack < -0.05
    assert not Side("", float("nan"), 1.0).slack >= -1.0


@pytest.mark.parametrize(
    "stated, word",
    [
        ({}, "missing"),
        ({"logits": [[0.0, 1.0]], "labels": [0], "moves": [[0.0]], "eta": None}, "classes"),
        ({"logits": [[0.0, 1.0]], "labels": [2], "moves": [[0.0, 0.0]]}, "0 to 1"),
        ({"logits": [[0.0, 1.0]], "labels": [0.5], "moves": [[0.0, 0.0]]}, "fraction"),
        ({"logits": [[0.0, 1.0], [1.0]], "labels": [0], "moves": [[0.0, 0.0]]}, "length"),
        ({"logits": [["a", 1.0]], "labels": [0], "moves": [[0.0, 0.0]]}, "type"),
        ({"logits": [[0.0, 1.0]], "labels": [0], "moves": [[0.0, 0.0]], "etas": 1}, "no such field"),
    ],
)
def test_a_wrong_instance_is_one_sentence(stated, word):
    with pytest.raises(Refused, match=word):
        read(TRIALS["X1-ce-sharp"], stated)


def test_verbs(tmp_path, capsys):
    path = tmp_path / "instance.json"
    assert program.main(["try", "X1-ce-sharp", "--example"]) == 0
    path.write_text(capsys.readouterr().out)
    assert program.main(["try", "X1-ce-sharp", str(path)]) == 0
    assert "holds" in capsys.readouterr().out
    stated = json.loads(path.read_text())
    path.write_text(
        json.dumps(stated | {"eta": [0.0] * len(stated["labels"]), "moves": [[1.0] * len(r) for r in stated["moves"]]})
    )
    assert program.main(["try", "X1-ce-sharp", str(path)]) == 1
    assert "FAILS" in capsys.readouterr().out
    path.write_text('{"logits": ')
    assert program.main(["try", "X1-ce-sharp", str(path)]) == 3
    assert program.main(["try", "no-such-claim", "--example"]) == 3
    capsys.readouterr()
    assert program.main(["attack", "X1-ce-sharp", "--starts", "2", "--steps", "20"]) == 0
    assert "smallest relative slack" in capsys.readouterr().out
