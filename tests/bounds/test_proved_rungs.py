"""Rungs of tier proved: the right formulas, never below what was measured, and vacuous in words where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from certify.bounds import ladder, prove
from certify.bounds.objective import proved_account
from certify.bounds.proved import Lead, ProvedPath
from certify.bounds.rungs.proved import increases, proved_rungs
from certify.networks.loading import State, digest, state_of
from certify.networks.targets import describe
from certify.records import Ladder, Pair, Refused
from certify.records.recipe import BoundsRecipe


def pair(act: type[nn.Module] = nn.GELU, seed: int = 0) -> tuple[nn.Sequential, State]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 10), act(), nn.Linear(10, 8), act(), nn.Linear(8, 4)).eval()
    shipped = {
        name: torch.where(t.abs() > t.abs().median(), t, torch.zeros(())) if t.ndim > 1 else t
        for name, t in state_of(model).items()
    }
    return model, shipped


def hang(model: nn.Module, shipped: State, count: int, **settings: object) -> Ladder:
    reference, generator = state_of(model), torch.Generator().manual_seed(1)
    return ladder(
        model,
        reference,
        shipped,
        torch.randn(count, 6, generator=generator),
        np.arange(count) % 4,
        pair=Pair(digest(reference), digest(shipped), "test", "given"),
        split="c" * 64,
        samples=[str(index) for index in range(count)],
        settings=BoundsRecipe(max_order=16, **settings),  # type: ignore[arg-type]
    )


def test_proved_rungs_stand_tightly_on_the_resolved_ones() -> None:
    found = hang(*pair(), 30, proved=20)
    assert not found.violations() and found["proved_change"].first == 20
    assert np.isinf(found["proved_change"].upper[20:]).all() and np.isfinite(found["proved_change"].asked).all()
    for proven, below in (("proved_change", "path_change"), ("ce_proved", "ce_change"), ("ce_proved_pairwise", "ce_change")):
        assert (found[proven].asked >= found[below].upper[:20] - 1e-12).all(), proven
    assert np.allclose(found["proved_change"].asked, found["path_change"].upper[:20], rtol=1e-4)
    lost, may = found["loses_decision"].upper[:20], found["may_lose_proved"].asked
    assert (may >= lost).all() and 0 < may.sum() < 20
    assert (found["may_change_proved"].asked >= found["changes_label"].upper[:20]).all()
    told = found.summary()["rungs"]["proved_change"]
    assert told["samples"] == 20 and told["vacuous"] == 0 and told["largest"] == found["proved_change"].asked.max()
    assert found.summary()["rungs"]["may_lose_proved"]["total"] == may.sum()


def test_the_same_from_its_file(tmp_path) -> None:
    found = hang(*pair(), 5, proved=3)
    found.save(tmp_path / "ladder.parquet")
    again = Ladder.load(tmp_path / "ladder.parquet")
    assert again["proved_change"].first == 3 and again["path_change"].first is None
    assert np.array_equal(again["proved_change"].upper, found["proved_change"].upper) and again.summary() == found.summary()


def test_no_road_is_a_note_under_auto_and_a_refusal_by_name() -> None:
    model, shipped = pair(nn.Tanh)
    found = hang(model, shipped, 4)
    assert any("nothing proved: no proven road" in note for note in found.notes)
    assert all(bound.tier == "resolved" for bound in found.bounds)
    with pytest.raises(Refused, match="Tanh"):
        hang(model, shipped, 4, road="enclosed")
    assert not any("proved" in note for note in hang(model, shipped, 4, proved=0).notes)


def test_nothing_known_is_vacuous_and_never_a_decision() -> None:
    model, shipped = pair()
    path = prove(model, state_of(model), shipped, torch.randn(3, 6), labels=np.array([0, 1, 2]))
    blind = np.array([True, False, False])

    def without(lead: Lead) -> Lead:
        return replace(lead, change=np.where(blind[:, None], np.inf, lead.change))

    blinded = replace(
        path,
        change=np.where(blind[:, None], np.inf, path.change),
        decided=without(path.decided),
        labelled=without(path.labelled),
    )
    rungs = {bound.quantity: bound for bound in proved_rungs(blinded, 3)}
    for name in ("proved_change", "ce_proved", "ce_proved_pairwise"):
        assert np.isinf(rungs[name].upper).tolist() == [True, False, False], name
        assert rungs[name].summary()["vacuous"] == 1 and rungs[name].summary()["largest"] is None
        assert rungs[name].summary()["median"] is not None
    assert rungs["may_change_proved"].upper[0] == 1
    unknown = replace(path, error=np.full_like(path.error, np.inf))
    assert all(np.isinf(each).all() for each in increases(unknown))


logits = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


@settings(max_examples=100, deadline=None)
@given(logits, logits.map(lambda x: [abs(each) for each in x]), st.floats(0, 1e-3), st.integers(0, 2))
def test_increases_bound_every_network_within(z: list[float], moves: list[float], error: float, label: int) -> None:
    """The worst logits inside: C down, the others up, at every corner of the error box; in 400 digits."""
    change = np.array([moves])
    pairwise = np.nextafter(change + change[:, [label]], np.inf)
    pairwise[0, label] = 0.0
    lead = Lead(np.array([label]), pairwise, pairwise, pairwise)
    path = ProvedPath("enclosed", np.array([z]), np.full((1, 3), error), change, np.zeros(1), lead, lead)
    upper, sharp = (float(each[0]) for each in increases(path))
    assert upper <= sharp

    def loss(values: list[mpmath.mpf]) -> mpmath.mpf:
        return mpmath.log(mpmath.fsum(mpmath.exp(value) for value in values)) - values[label]

    with mpmath.workdps(400):
        for signs in np.ndindex(2, 2, 2):
            before = [mpmath.mpf(a) + (mpmath.mpf(error) if s else -mpmath.mpf(error)) for a, s in zip(z, signs, strict=True)]
            after = [b + (-m if k == label else m) for k, (b, m) in enumerate(zip(before, map(mpmath.mpf, moves), strict=True))]
            assert loss(after) - loss(before) <= upper


def test_a_planted_violation_breaks_an_edge() -> None:
    found = hang(*pair(), 8)
    short = replace(found["proved_change"], upper=0.99 * found["proved_change"].upper)
    broken = replace(found, bounds=tuple(short if bound.quantity == "proved_change" else bound for bound in found.bounds))
    assert any("path_change <= proved_change" in sentence for sentence in broken.violations())


def test_the_account_of_what_is_proved() -> None:
    """Increases from above against the fall from below: certified where it pays, and never where nothing is known."""
    model, shipped = pair(seed=3)
    targets = describe(model)
    settings = BoundsRecipe(l2=0.5, l1=0.25)
    fall = 0.0
    for target in targets:
        before, after = (state[target.weight].double().numpy() for state in (state_of(model), shipped))
        fall += 0.5 * (np.sum(before**2) - np.sum(after**2)) + 0.25 * (np.abs(before).sum() - np.abs(after).sum())
    told = proved_account(state_of(model), shipped, targets, np.array([0.1, 0.2]), settings)
    assert told["reward"] == pytest.approx(fall, rel=1e-12) and told["increase"] == pytest.approx(0.15)
    assert told["holds"] is bool(fall > 0.15) and "certified" in told["sentence"] and told["samples"] == 2
    dear = proved_account(state_of(model), shipped, targets, np.array([2 * fall, 2 * fall]), settings)
    assert dear["holds"] is False and "not shown to pay" in dear["sentence"] and "certified" not in dear["sentence"]
    unknown = proved_account(state_of(model), shipped, targets, np.array([0.0, np.inf]), settings)
    assert unknown["holds"] is False and unknown["increase"] is None and "VACUOUS" in unknown["sentence"]
    grown = proved_account(shipped, state_of(model), targets, np.array([-0.1]), settings)
    assert grown["reward"] == pytest.approx(-fall) and not grown["holds"]


def test_products_of_norms_stand_above_and_are_named() -> None:
    found = hang(*pair(), 12, proved=6)
    assert not found.violations() and any("proved L_s by products of norms" in note for note in found.notes)
    for name in ("norms_change", "box_change"):
        assert np.isfinite(found[name].asked).all() and (found[name].asked > 2 * found["proved_change"].asked).all()
