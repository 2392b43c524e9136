"""Ladders of a certificate: of the right pairs, on the right samples, with every asserted edge holding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from certify.records import Bound, Certificate, Check, Ladder, Plan, Refused, Splits
from certify.records.hashing import canonical_json
from certify.verifier import tensors
from certify.verifier.tensors import Checkpoint

# Below never exceeds above, by theorems that ask nothing of the network, whether or not the file asserts it.
ORDER = (
    ("logit_change", "path_variation"),
    ("logit_change", "path_change"),
    ("path_change", "path_variation"),
    ("path_variation", "path_speed"),
    ("logit_oscillation", "path_oscillation"),
    ("ce_change", "ce_pairwise"),
    ("ce_pairwise", "ce_oscillation"),
    ("ce_oscillation", "ce_sharp"),
    ("ce_sharp", "ce_published"),
    ("loses_decision", "may_lose_signed"),
    ("may_lose_signed", "may_change_published"),
    ("logit_change", "proved_change"),
    ("path_change", "proved_change"),
    ("path_change", "norms_change"),
    ("path_change", "box_change"),
    ("path_variation", "proved_variation"),
    ("ce_change", "ce_proved_pairwise"),
    ("ce_proved_pairwise", "ce_proved"),
    ("loses_decision", "may_lose_proved"),
    ("changes_label", "may_change_proved"),
)


def check_ladders(
    folder: Path,
    certificate: Certificate,
    splits: Splits,
    plan: Plan | None,
    reference: Checkpoint | None,
    checks: list[Check],
) -> tuple[Ladder, Ladder | None]:
    """The ladder of the shipped pair and, where there is a plan, that of the masked pair."""
    ladder = _ladder(folder / "ladder.parquet", splits)
    if ladder.pair != certificate.pair:
        raise Refused(f"{folder / 'ladder.parquet'}: its pair is not that of the certificate, {certificate.pair.to_json()}")
    _summarised("ladder", ladder, certificate)
    checks.append(_ladder_check("ladder", ladder))
    if plan is None:
        return ladder, None
    path = folder / "masked.ladder.parquet"
    masked = _ladder(path, splits)
    pair = masked.pair
    if (pair.reference, pair.architecture, pair.kind) != (
        certificate.pair.reference,
        certificate.pair.architecture,
        "masked",
    ):
        raise Refused(
            f"{path}: its pair is {pair.kind!r} of network {pair.reference[:12]}; "
            f"'masked' of {certificate.pair.reference[:12]} is expected"
        )
    if certificate.pair.kind == "masked" and pair != certificate.pair:
        raise Refused(f"{path}: its pair is not that of the certificate, whose shipped network is the masked one")
    _summarised("masked.ladder", masked, certificate)
    _account(path, masked)
    checks.append(_ladder_check("masked ladder", masked))
    if reference is None:
        checks.append(Check("masked network", False, "reference.safetensors absent, not checked"))
        return ladder, masked
    found = tensors.digest(tensors.masked(reference, plan, "reference.safetensors"))
    if found != pair.shipped:
        raise Refused(f"{path}: speaks of network {pair.shipped[:12]}; the reference without the plan's entries is {found[:12]}")
    _removed(path, masked, plan, reference)
    checks.append(Check("masked network", True, f"network {found[:12]}, the reference without the removed entries"))
    return ladder, masked


def _ladder(path: Path, splits: Splits) -> Ladder:
    ladder = Ladder.load(path)
    canonical_json({"layers": [dict(row) for row in ladder.layers], "objective": dict(ladder.objective)})
    expected = splits.digest("calibration")
    if ladder.split != expected:
        raise Refused(f"{path}: of split {ladder.split[:12]}, the calibration split is {expected[:12]}")
    strangers = set(ladder.samples) - set(splits.samples["calibration"])
    if strangers or not ladder.samples:
        raise Refused(f"{path}: {len(strangers)} of its {len(ladder.samples)} samples are not in the calibration split")
    for bound in ladder.bounds:
        if bound.lower is not None and not np.all(bound.lower <= bound.upper + bound.tolerance):
            raise Refused(f"{path}: bound {bound.quantity} has a lower value above its upper value")
    present = {bound.quantity for bound in ladder.bounds}
    stated = [(edge.below, edge.above) for edge in ladder.edges if edge.asserted]
    for low, high in dict.fromkeys((*stated, *(pair for pair in ORDER if present.issuperset(pair)))):
        below, above = ladder[low], ladder[high]
        rounding = 1e-12 * np.maximum(np.abs(below.upper), np.abs(above.upper))
        holds = below.upper <= above.upper + below.tolerance + above.tolerance + np.where(np.isinf(rounding), 0.0, rounding)
        if not np.all(holds):
            worst = int(np.argmax(np.subtract(below.upper, above.upper, out=np.full(len(holds), -np.inf), where=~holds)))
            raise Refused(
                f"{path}: edge {low} <= {high} fails on {int(np.sum(~holds))} of {len(holds)} samples, "
                f"worst sample {worst}: {below.upper[worst]:.6g} > {above.upper[worst]:.6g}"
            )
    violated = ladder.violations()
    if violated:
        raise Refused(f"{path}: {violated[0]}")
    return ladder


def _ladder_check(name: str, ladder: Ladder) -> Check:
    asserted = sum(edge.asserted for edge in ladder.edges)
    return Check(name, True, f"{asserted} asserted edges hold on {len(ladder.samples)} samples")


def _summarised(name: str, ladder: Ladder, certificate: Certificate) -> None:
    """What the certificate prints of a ladder is what the ladder holds."""
    named = {bound.claim for bound in ladder.bounds} - set(certificate.claims)
    if named:
        raise Refused(f"certificate: its claims leave out {', '.join(sorted(named))}, on which {name}.parquet rests")
    stated = certificate.about.get("ladders", {}).get(name)
    if stated is None:
        return
    expected: dict[str, Any] = {
        "pair": ladder.pair.to_json(),
        "split": ladder.split,
        "samples": len(ladder.samples),
        "edges_asserted": sum(edge.asserted for edge in ladder.edges),
        "violations": 0,
        "tiers": sorted({bound.tier for bound in ladder.bounds if not bound.modelled}),
        "objective": dict(ladder.objective),
    }
    _compare(f"certificate: {name}", stated, expected)
    for quantity, entry in stated.get("rungs", {}).items():
        bound = ladder[quantity]
        found = {
            "unit": bound.unit,
            "tier": bound.tier,
            "tolerance": float(bound.tolerance.max()),
            **_sizes(bound),
        }
        _compare(f"certificate: {name}, rung {quantity}", entry, found)


def _sizes(bound: Bound) -> dict[str, Any]:
    """Median and largest value of the samples the bound was computed for; None where nothing is known."""
    count = len(bound.upper) if bound.first is None else bound.first
    told = (
        {} if bound.first is None else {"samples": count, "vacuous": int(sum(value == math.inf for value in bound.upper[:count]))}
    )
    values = sorted(float(value) for value in bound.upper[:count]) or [math.inf]
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    told |= {"total": sum(value == 1.0 for value in values)} if bound.unit == "decision" else {}
    return told | {"median": middle if middle < math.inf else None, "largest": values[-1] if values[-1] < math.inf else None}


def _compare(what: str, stated: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """The stated entries are those expected; 0.0 and -0.0 are one number."""
    for key, value in expected.items():
        same = isinstance(value, float) and isinstance(stated.get(key), float) and stated[key] == value
        if key in stated and not same and canonical_json(stated[key]) != canonical_json(value):
            raise Refused(f"{what}: states {key} = {stated[key]!r}, the ladder gives {value!r}")


def _account(path: Path, ladder: Ladder) -> None:
    """The elastic-net account adds up: reward over layers, budget over samples, and the comparison as it stands."""
    told = ladder.objective
    if told.get("form") != "T5.8-multilayer":
        return
    squares, sizes = (math.fsum(row[key] for row in ladder.layers) for key in ("frobenius_squared", "l1"))
    budget = ladder["ce_budget"]
    expected = {
        "reward": told["l2"] * squares + told["l1"] * sizes,
        "budget": float(np.mean(budget.upper + budget.tolerance)),
    }
    for key, value in expected.items():
        if not math.isclose(told[key], value, rel_tol=1e-9, abs_tol=1e-300):
            raise Refused(f"{path}: objective states {key} = {told[key]!r}, its layers and rungs give {value!r}")
    if told["holds"] is not (told["budget"] < told["reward"]):
        raise Refused(
            f"{path}: objective states holds = {told['holds']}, budget {told['budget']!r} and reward {told['reward']!r}"
        )


def _removed(path: Path, ladder: Ladder, plan: Plan, reference: Checkpoint) -> None:
    """The layer rows speak of what the plan takes from the reference: removed entries, and changes of the others."""
    kept = {edit.target: edit.kept for edit in plan.edits}
    shipped = tensors.masked(reference, plan, str(path))
    for row in ladder.layers:
        mask = kept.get(row["target"])
        if mask is None:
            raise Refused(f"{path}: its layer table has {row['target']}, which the plan does not edit")
        name = f"{row['target']}.weight"
        before, after = (state[name].matrix(len(mask)).astype(np.float64) for state in (reference, shipped))
        gone = (before - after).reshape(-1)
        expected = {"removed": int(np.sum(~mask)), "frobenius_squared": float(gone @ gone), "l1": float(np.abs(gone).sum())}
        for key, value in expected.items():
            if key in row and not math.isclose(row[key], value, rel_tol=1e-9, abs_tol=1e-300):
                raise Refused(f"{path}: {row['target']} states {key} = {row[key]!r}, the removed weights give {value!r}")
