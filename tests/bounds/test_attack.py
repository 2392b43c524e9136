"""Random networks attacked along their segments: everything lies inside, and each bound planted too small lets something out.

240 networks and 115,200 evaluations under HYPOTHESIS_PROFILE=nightly, 15 and 7,200 otherwise.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from certify.bounds import proved
from certify.bounds.enclosed import Enclosure, elementary, operations, road
from certify.bounds.exact import road as traced
from simulations.bounds_attack import STARTS, STEPS, Tally, attack

NETWORKS = 240 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 15


def attacked(*seeds: int) -> Tally:
    tally = Tally()
    for seed in seeds:
        attack(seed, tally)
    return tally


@pytest.mark.slow
def test_nothing_lies_outside() -> None:
    found = attacked(*range(NETWORKS))
    assert not found.outside, "\n".join(found.outside)
    assert found.networks == NETWORKS and found.evaluations == 2 * STARTS * STEPS * NETWORKS == 2 * found.ascended
    assert found.finite >= 0.9 * NETWORKS and found.enclosed >= 0.6 * NETWORKS, "most bounds are finite: they could fail"
    assert 0 < found.slack < 1e-9 and 0 < found.inner < 0.9, "bounds so tight that a shrunk one would fail"


CHAINS, KINKED, BENT, VISION = (0, 8, 16), (1, 5, 17), (6, 26), (19, 23)


@pytest.mark.parametrize(
    ("planted", "seeds"),
    [
        ("change of an enclosure", CHAINS),
        ("change of a traced path", KINKED),
        ("margin", CHAINS + KINKED),
        ("remainders of a chain", CHAINS),
        ("remainders of a transformer", VISION),
        ("remainders of a bent path", BENT),
        ("change of a bent path", BENT),
        ("rem of a traced path", KINKED),
        ("Lagrange term of GELU", CHAINS),
        ("errors before the head", VISION),
        ("error of z(1)", CHAINS),
        ("activations that are not read", CHAINS),
    ],
)
def test_what_is_too_small_is_found(planted: str, seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not attacked(*seeds).outside
    plant(planted, monkeypatch)
    assert attacked(*seeds).outside


def plant(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The comparison with the network as run would refuse most of these: what the attack finds is tested.
    monkeypatch.setattr(road, "_compare", lambda *a: None)
    deviation, last, walk, head = Enclosure.deviation, Enclosure.last_logits, road._walk, road.head_gain
    extent, path, lead = traced.extent, traced._path, proved._lead
    if what in ("change of an enclosure", "change of a bent path"):
        monkeypatch.setattr(Enclosure, "deviation", lambda self, w=None: deviation(self, w) * (1 - 1e-9))
    elif what == "change of a traced path":
        monkeypatch.setattr(traced, "extent", lambda *a: extent(*a)._replace(change=extent(*a).change * (1 - 1e-9)))
    elif what == "margin":
        monkeypatch.setattr(proved, "_lead", lambda *a: replace(lead(*a), least=1.001 * lead(*a).least))
    elif what.startswith("remainders"):
        monkeypatch.setattr(road, "_walk", lambda *a: [replace(piece, rem=0.05 * piece.rem) for piece in walk(*a)])
    elif what == "rem of a traced path":
        monkeypatch.setattr(traced, "_path", lambda *a: (path(*a)[0], path(*a)[1]._replace(rem=0.05 * path(*a)[1].rem)))
    elif what == "Lagrange term of GELU":
        monkeypatch.setattr(elementary, "sup_gelu", lambda n: 0.0)
    elif what == "errors before the head":
        monkeypatch.setattr(road, "head_gain", lambda *a: 0.0 * head(*a))
    elif what == "error of z(1)":
        monkeypatch.setattr(Enclosure, "last_logits", lambda self: (last(self)[0], last(self)[1] - 1e-9))
    else:
        monkeypatch.setattr(operations.Gelu, "model", lambda self, at, x: x)
