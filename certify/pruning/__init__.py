"""Evidence in, plan out. A method is a function in a file of its own, registered here by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from certify.pruning import emp, neurons
from certify.pruning.allocation import budgets, swaps
from certify.pruning.layout import Layout
from certify.pruning.method import Method, Request, Scores
from certify.pruning.ranking import method as ranked
from certify.pruning.structured import cast
from certify.pruning.structured.orders import LAYOUTS, ORDERS, layout_of
from certify.pruning.unstructured import magnitude, obs, rmt, seb, ser
from certify.records import Evidence, Plan, Refused, Target, Usage, parse_pattern

METHODS: dict[str, Method] = {
    method.name: method
    for family in (magnitude, obs, cast, budgets, swaps, emp, neurons, ranked, seb, ser, rmt)
    for method in family.METHODS
}
REMAINDERS = ("skip", "error", "pad")
# Options of every plan under a pattern, with their defaults.
PATTERN_OPTIONS: dict[str, Any] = {"remainder": REMAINDERS[0], "order": ORDERS[0], "layout": LAYOUTS[0], "classifier": False}


def method_of(name: str) -> Method:
    """The method registered under `name`."""
    if name not in METHODS:
        raise Usage(f"method {name!r} is not registered; known here: {', '.join(METHODS)}")
    return METHODS[name]


@dataclass(frozen=True)
class Asked:
    """A wanted plan whose words have been checked: the targets to edit, those left alone and why, and all options."""

    method: Method
    targets: tuple[Target, ...]
    skipped: tuple[tuple[str, str], ...]
    pattern_options: Mapping[str, Any]
    options: Mapping[str, Any]


def prune(
    targets: Sequence[Target],
    evidence: Evidence,
    *,
    name: str,
    method: str,
    sparsity: float | None = None,
    pattern: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    dense: Scores | None = None,
) -> Plan:
    """The plan of one method for the prunable targets.

    sparsity : exactly floor(sparsity · total) entries over all prunable targets are removed, unless the method's scope says less.
    pattern  : "K:N", at most K of each N inputs are kept in every block target; stem and classifier stay dense.
    options  : of the method (see `METHODS[method].options`), and under a pattern
               remainder  what to do where N does not divide the inputs: skip the target, error, or pad the last group;
               order      the order of inputs in which groups are formed, see `structured.orders`;
               layout     of convolutions, flattened (channel, tap) or channel-blocked (tap, channel);
               classifier project the classifier too.
    dense    : weights before any pruning, where the evidence is that of a pruned network; spectral signals come from them.
    """
    asked = check_plan(targets, name, method, sparsity, pattern, options or {})
    layouts: dict[str, Layout] = {}
    gains: dict[str, dict[str, float]] = {}
    if pattern is not None:
        keep, group = parse_pattern(pattern)
        order, layout = asked.pattern_options["order"], asked.pattern_options["layout"]
        for target in asked.targets:
            found = layout_of(target, evidence, keep, group, order=order, layout=layout, seed=seed)
            layouts[target.name], gains[target.name] = found
    made = asked.method.make(Request(asked.targets, evidence, sparsity, layouts, seed, dense), **asked.options)
    missing = {target.name for target in asked.targets} ^ {edit.target for edit in made.edits}
    if missing:
        raise Refused(f"plan {name}: method {method} returned no edit, or one too many, for {sorted(missing)[0]}")
    chosen = {**asked.pattern_options, **asked.options}
    if chosen.get("order", ORDERS[0]) != ORDERS[0]:
        made = replace(made, facts={**made.facts, "kept_energy_over_stored_order": gains})
    return Plan(name, method, evidence.reference, made.edits, sparsity, pattern, chosen, asked.skipped, made.facts)


def check_plan(
    targets: Sequence[Target],
    name: str,
    method: str,
    sparsity: float | None,
    pattern: str | None,
    options: Mapping[str, Any],
) -> Asked:
    """Check everything about a plan that can be known without evidence."""
    known = method_of(method)
    amounts = [word for word, value in (("sparsity", sparsity), ("pattern", pattern)) if value is not None]
    if len(amounts) > 1 or (not amounts and "own" not in known.amounts):
        raise Usage(f"plan {name}: give a sparsity or a pattern, and only one of them")
    if amounts and amounts[0] not in known.amounts:
        raise Usage(f"plan {name}: method {method} takes {' or '.join(known.amounts)}, not a {amounts[0]}")
    common = {key: options.get(key, value) for key, value in PATTERN_OPTIONS.items()} if pattern is not None else {}
    chosen = known.chosen({key: value for key, value in options.items() if key not in common})
    for key, allowed in (("remainder", REMAINDERS), ("order", ORDERS), ("layout", LAYOUTS), ("classifier", (False, True))):
        if common and common[key] not in allowed:
            raise Usage(f"plan {name}: {key} = {common[key]!r} is none of {', '.join(map(str, allowed))}")
    edited, skipped = _chosen_targets(targets, pattern, name, common)
    return Asked(known, tuple(edited), tuple(skipped), common, chosen)


def _chosen_targets(
    targets: Sequence[Target], pattern: str | None, name: str, common: Mapping[str, Any]
) -> tuple[list[Target], list[tuple[str, str]]]:
    """The targets a plan edits, and (name, reason) of every other one. A plan that edits nothing is a usage error."""
    group = parse_pattern(pattern)[1] if pattern is not None else 1
    projected = ("block", "classifier") if common.get("classifier") else ("block",)
    chosen, skipped = [], []
    for target in targets:
        divides = f"{target.cols} inputs do not divide into groups of {group}"
        if target.skipped:
            skipped.append((target.name, target.skipped))
        elif pattern is not None and target.role not in projected:
            skipped.append((target.name, f"the {target.role} stays dense under a k:n pattern"))
        elif target.cols % group and common["remainder"] == "error":
            raise Usage(f"plan {name}: {target.name}: {divides}; exclude it, or set remainder to skip or pad")
        elif target.cols % group and common["remainder"] == "skip":
            skipped.append((target.name, divides))
        else:
            chosen.append(target)
    if not chosen:
        first = f"; first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise Usage(f"plan {name}: {f'pattern {pattern}' if pattern else 'it'} applies to no target{first}")
    return chosen, skipped
