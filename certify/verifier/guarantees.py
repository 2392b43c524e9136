"""The arithmetic of guarantees, from the raw logits up and by a second derivation of the limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from certify.records import Certificate, Check, Guarantee, Outcomes, Recipe, Refused
from certify.records.hashing import canonical_json
from certify.verifier.limits import (
    drop_limit,
    increase_limit,
    loss_ceiling,
    lower_limit,
    upper_limit,
    within_chi_square,
    within_kl,
)

RELATIVE = 1e-9
RANGE = "range of the loss"
WITHIN = {"kl": within_kl, "chi_square": within_chi_square}
NEEDED = {
    "disagreement": ("samples", "disagreements"),
    "disagreement_by_class": ("samples", "disagreements"),
    "accuracy_drop": ("samples", "losses", "gains"),
    "accuracy_drop_betting": ("samples", "losses", "gains"),
    "ce_increase": ("samples",),
}


def counts(outcomes: Outcomes) -> dict[str, int]:
    """Disagreements, losses and gains counted sample by sample from the logits.

    A tie at the top is no decision: it is wrong, and it disagrees.
    """
    found = {"samples": 0, "disagreements": 0}
    if outcomes.labels is not None:
        found |= {"correct_reference": 0, "correct_shipped": 0, "losses": 0, "gains": 0}
    for index in range(len(outcomes.samples)):
        before, after = _decided(outcomes.reference[index]), _decided(outcomes.shipped[index])
        found["samples"] += 1
        found["disagreements"] += before is None or after is None or before != after
        if outcomes.labels is not None:
            label = int(outcomes.labels[index])
            right, right_after = before == label, after == label
            found["correct_reference"] += right
            found["correct_shipped"] += right_after
            found["losses"] += right and not right_after
            found["gains"] += right_after and not right
    return found


def _decided(logits: np.ndarray) -> int | None:
    order = np.sort(logits)
    return int(np.flatnonzero(logits == order[-1])[0]) if order[-1] > order[-2] else None


def classes(outcomes: Outcomes) -> list[tuple[int, int]]:
    """(samples, disagreements) of every true class, counted sample by sample; one class per logit, seen or not."""
    if outcomes.labels is None:
        raise Refused("guarantee disagreement_by_class: the outcomes are unlabelled, so there are no classes")
    found = [[0, 0] for _ in range(outcomes.reference.shape[1])]
    for label, reference, shipped in zip(outcomes.labels, outcomes.reference, outcomes.shipped, strict=True):
        before, after = _decided(reference), _decided(shipped)
        found[int(label)][0] += 1
        found[int(label)][1] += before is None or before != after
    return [(size, failures) for size, failures in found]


def recompute(
    statement: str, found: Mapping[str, int], share: float, groups: Sequence[tuple[int, int]] = ()
) -> tuple[float, float, float]:
    """Estimate, limit, and the size against which rounding is measured.

    disagreement           U(k, n; share)
    disagreement_by_class  the largest U(k_c, n_c; share / K); `groups` holds (n_c, k_c)
    accuracy_drop          U(losses, n; share / 2) - L(gains, n; share / 2)
    accuracy_drop_betting  the drop at which mean capital is 1 / share
    """
    size = found["samples"]
    if statement == "disagreement":
        limit = upper_limit(found["disagreements"], size, share)
        return found["disagreements"] / size, limit, limit
    if statement == "disagreement_by_class":
        limit = max(class_limit(failures, seen, share / len(groups)) for seen, failures in groups)
        return max(failures / seen for seen, failures in groups if seen), limit, limit
    estimate = (found["losses"] - found["gains"]) / size
    if statement == "accuracy_drop_betting":
        return estimate, drop_limit(found["losses"], found["gains"], size, share), 1.0
    worst = upper_limit(found["losses"], size, share / 2)
    return estimate, worst - lower_limit(found["gains"], size, share / 2), worst


def class_limit(failures: int, seen: int, share: float) -> float:
    """`upper_limit`, and 1 where a class was not seen."""
    return upper_limit(failures, seen, share) if seen else 1.0


def check_guarantee(guarantee: Guarantee, outcomes: Outcomes, found: Mapping[str, int]) -> None:
    """Refuse a guarantee whose counts, estimate, limits or sentence do not follow from the outcomes."""
    name = f"guarantee {guarantee.statement}"
    if guarantee.split != outcomes.split:
        raise Refused(f"{name}: speaks of split {guarantee.split[:12]}, its outcomes are of {outcomes.split[:12]}")
    for key in dict.fromkeys((*NEEDED[guarantee.statement], *guarantee.counts)):
        stated = guarantee.counts.get(key)
        if key not in found:
            raise Refused(f"{name}: counts {key}, which the outcomes do not hold (are they unlabelled?)")
        if isinstance(stated, bool) or not isinstance(stated, int) or stated != found[key]:
            raise Refused(f"{name}: states {stated} {key}, the logits give {found[key]}")
    groups = classes(outcomes) if guarantee.statement == "disagreement_by_class" else []
    if guarantee.statement == "ce_increase":
        estimate, limit, size = _increase(guarantee, outcomes)
    else:
        _check_groups(name, guarantee.details, groups, guarantee.share)
        estimate, limit, size = recompute(guarantee.statement, found, guarantee.share, groups)
    if not abs(guarantee.estimate - estimate) <= RELATIVE:
        raise Refused(f"{name}: states the estimate {guarantee.estimate!r}, the counts give {estimate!r}")
    if not abs(guarantee.limit - limit) <= RELATIVE * size:
        raise Refused(f"{name}: states the limit {guarantee.limit!r}, the counts give {limit!r}")
    _check_shift(name, guarantee)
    if canonical_json(dict(guarantee.arithmetic)) != canonical_json(dict(outcomes.arithmetic)):
        raise Refused(f"{name}: its arithmetic {dict(guarantee.arithmetic)} is not its outcomes' {dict(outcomes.arithmetic)}")
    if not says(guarantee.sentence, guarantee.limit):
        raise Refused(f"{name}: its sentence does not hold the limit {guarantee.limit:.3g}: {guarantee.sentence!r}")


def _increase(guarantee: Guarantee, outcomes: Outcomes) -> tuple[float, float, float]:
    """Estimate, limit and size of the increase in cross-entropy within the range the record states."""
    name, details = "guarantee ce_increase", guarantee.details
    if outcomes.labels is None or set(details) != {"low", "high"}:
        raise Refused(f"{name}: labelled outcomes and a range (low, high) are expected, its details hold {', '.join(details)}")
    low, high = (_number(details[key], f"{name}: {key}") for key in ("low", "high"))
    increases = []
    for label, before, after in zip(outcomes.labels, outcomes.reference, outcomes.shipped, strict=True):
        losses = [math.log(math.fsum(np.exp(z - z.max()))) + float(z.max()) - float(z[label]) for z in (before, after)]
        increases.append(losses[1] - losses[0])
    if not low <= min(increases) <= max(increases) <= high:
        raise Refused(f"{name}: increases from {min(increases):.6g} to {max(increases):.6g} leave its range [{low:g}, {high:g}]")
    limit = increase_limit(increases, low, high, guarantee.share)
    return math.fsum(increases) / len(increases), limit, high - low


def check_ceilings(guarantees: Sequence[Guarantee], reference: Any, shipped: Any) -> tuple[Check, ...]:
    """The range of ce_increase from the last normalisation and the head of both checkpoints, found by their names."""
    stated = next((entry.details for entry in guarantees if entry.statement == "ce_increase"), None)
    if stated is None:
        return ()
    if reference is None or shipped is None:
        return (Check(RANGE, False, "a checkpoint is absent, not checked"),)
    found = [_ceiling(checkpoint) for checkpoint in (reference, shipped)]
    for key, value in (("low", -found[0]), ("high", found[1])):
        if not abs(stated[key] - value) <= RELATIVE * abs(value):
            raise Refused(
                f"guarantee ce_increase: states the end {key} of its range as {stated[key]!r}, the weights give {value!r}"
            )
    return (Check(RANGE, True, f"[{-found[0]:.6g}, {found[1]:.6g}] nats from the last normalisation and the head"),)


def _ceiling(checkpoint: Any) -> float:
    last = "fc_norm" if "fc_norm.weight" in checkpoint else "norm"
    names = ("head.weight", f"{last}.weight")
    for key in names:
        if key not in checkpoint:
            raise Refused(f"guarantee ce_increase: the checkpoint holds no {key}, from which its range would follow")
    weight, gamma = (checkpoint[key].values().astype(float) for key in names)
    bias, beta = (
        checkpoint[key].values().astype(float) if key in checkpoint else np.zeros(size)
        for key, size in (("head.bias", len(weight)), (f"{last}.bias", len(gamma)))
    )
    return loss_ceiling(weight, bias, gamma, beta)


def _check_groups(name: str, details: Mapping[str, Any], groups: Sequence[tuple[int, int]], share: float) -> None:
    """Every class in its order with its counts and its limit, and no detail that nothing recomputes."""
    if set(details) != ({"groups"} if groups else set()):
        raise Refused(
            f"{name}: its details hold {', '.join(details) or 'nothing'}; {'groups' if groups else 'nothing'} is expected"
        )
    rows = details.get("groups", ())
    if len(rows) != len(groups):
        raise Refused(f"{name}: lists {len(rows)} groups, the networks have {len(groups)} classes")
    for number, (row, (seen, failures)) in enumerate(zip(rows, groups, strict=True)):
        limit = class_limit(failures, seen, share / len(groups))
        stated = _number(row["limit"], f"{name}: limit of group {number}")
        expected = {"group": str(number), "samples": seen, "failures": failures, "limit": stated}
        if canonical_json(dict(row)) != canonical_json(expected):
            raise Refused(f"{name}: group {number} is {dict(row)}, the logits give {failures} of {seen}")
        if not abs(stated - limit) <= RELATIVE * limit:
            raise Refused(f"{name}: states the limit {stated!r} of group {number}, the counts give {limit!r}")


def _check_shift(name: str, guarantee: Guarantee) -> None:
    """The limit within every radius, from the limit; the sentence tells it."""
    for divergence, stated in guarantee.shift.items():
        if divergence not in WITHIN or set(stated) != {"radius", "limit"}:
            raise Refused(f"{name}: shift {divergence!r} holds {', '.join(stated)}; kl or chi_square with radius, limit expected")
        radius, limit = (_number(stated[key], f"{name}: shift {divergence}: {key}") for key in ("radius", "limit"))
        if not radius > 0 or not 0 <= guarantee.limit <= 1 or not guarantee.statement.startswith("disagreement"):
            raise Refused(f"{name}: shift {divergence} has radius {radius!r}; a positive one for a rate is expected")
        found = WITHIN[divergence](guarantee.limit, radius)
        if not abs(limit - found) <= RELATIVE * found:
            raise Refused(f"{name}: states {limit!r} within {divergence} radius {radius:g}, its limit gives {found!r}")
        if limit < 1 and not says(guarantee.sentence, limit):
            raise Refused(f"{name}: its sentence does not hold the limit {limit:.3g} under shift: {guarantee.sentence!r}")


def says(sentence: str, limit: float) -> bool:
    """True when the sentence holds the limit, or its size in per cent, to three significant digits."""
    numbers = [float(text) for text in re.findall(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", sentence)]
    size = abs(limit)
    if size == 0:
        return 0.0 in numbers
    unit = 10.0 ** (math.floor(math.log10(size)) - 2)
    return any(abs(number * scale - size) <= unit * (1 + 1e-6) for number in numbers for scale in (1, 0.01))


def check_family(certificate: Certificate, recipe: Recipe, name: str) -> str:
    """Refuse a job whose statements together spend more than delta, or that hides one of them."""
    family = certificate.about["family"]
    delta, statements = _number(family["delta"], "family.delta"), family["statements"]
    shares: dict[tuple[str, str], float] = {}
    for entry in statements:
        key = (entry["plan"], entry["statement"])
        if key in shares:
            raise Refused(f"family: {key[1]} of plan {key[0]} stands twice")
        shares[key] = _number(entry["share"], f"family: share of {key[1]} of plan {key[0]}")
        if not shares[key] > 0:
            raise Refused(f"family: share of {key[1]} of plan {key[0]} is {shares[key]!r}; a share is positive")
    choice = family.get("choice", 0.0)
    spent = math.fsum((*shares.values(), _number(choice, "family.choice")))
    if not spent <= delta * (1 + 1e-12):
        raise Refused(f"family: its shares sum to {spent!r}, more than delta = {delta!r}")
    if delta != recipe.guarantees.delta:
        raise Refused(f"family: states delta = {delta!r}, the recipe {recipe.guarantees.delta!r}")
    plans = [plan.name for plan in recipe.plan] or [name]
    for key in [(plan, statement) for plan in plans for statement in recipe.guarantees.statements]:
        if key not in shares:
            raise Refused(f"family: leaves out {key[1]} of plan {key[0]}, which the recipe asks for")
    if (recipe.guarantees.choose is None) != ("choice" not in family) or choice < 0:
        raise Refused(
            f"family: the choice spends {choice!r}, the recipe asks for {'none' if not recipe.guarantees.alpha else 'one'}"
        )
    _check_shares(certificate.guarantees, shares, delta, name)
    _check_radii(certificate.guarantees, recipe)
    chosen = " and a choice" if "choice" in family else ""
    return f"{len(shares)} statements{chosen} of the job spend {spent:.6g} of delta = {delta:g}"


def _check_radii(guarantees: Sequence[Guarantee], recipe: Recipe) -> None:
    """Every rate within the radii the recipe asks for, and no others."""
    wanted = {"kl": recipe.guarantees.shift_kl, "chi_square": recipe.guarantees.shift_chi_square}
    for guarantee in guarantees:
        stated = {divergence: entry["radius"] for divergence, entry in guarantee.shift.items()}
        rate = guarantee.statement.startswith("disagreement")
        expected = {divergence: radius for divergence, radius in wanted.items() if radius and rate}
        if stated != expected:
            raise Refused(f"guarantee {guarantee.statement}: is limited within {stated}, the recipe asks for {expected}")


def _check_shares(guarantees: Sequence[Guarantee], shares: Mapping[tuple[str, str], float], delta: float, name: str) -> None:
    stated = [guarantee.statement for guarantee in guarantees]
    owed = [statement for plan, statement in shares if plan == name]
    if sorted(stated) != sorted(owed):
        raise Refused(
            f"family: lists {', '.join(owed) or 'nothing'} for plan {name}, "
            f"the certificate holds {', '.join(stated) or 'nothing'}"
        )
    for guarantee in guarantees:
        if guarantee.share != shares[name, guarantee.statement]:
            raise Refused(
                f"guarantee {guarantee.statement}: spends {guarantee.share!r}, "
                f"the family gives it {shares[name, guarantee.statement]!r}"
            )
        if guarantee.delta != delta:
            raise Refused(f"guarantee {guarantee.statement}: states delta = {guarantee.delta!r}, the family {delta!r}")
        if guarantee.family != len(shares):
            raise Refused(f"guarantee {guarantee.statement}: states a family of {guarantee.family}, {len(shares)} are listed")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(f"{what}: {value!r} is not a finite number")
    return float(value)
