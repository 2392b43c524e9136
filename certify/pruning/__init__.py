"""Evidence in, plan out. A method is a function in a file of its own, registered here by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from certify.pruning.masks import group_top, keep_largest
from certify.pruning.scores import magnitude
from certify.records import Edit, Evidence, Plan, Target, Usage, parse_pattern

Scores = Mapping[str, np.ndarray]
METHODS: dict[str, Callable[[Evidence], Scores]] = {"magnitude": magnitude}


def prune(
    targets: Sequence[Target],
    evidence: Evidence,
    *,
    name: str,
    method: str,
    sparsity: float | None = None,
    pattern: str | None = None,
) -> Plan:
    """The plan that keeps the highest-scoring weights of the prunable targets.

    sparsity : exactly floor(sparsity · total) entries over all prunable targets are removed, lowest scores first,
               ties broken by position.
    pattern  : "K:N", the K highest of each N consecutive inputs are kept in every block target whose inputs divide
               into groups of N. Stem and classifier stay dense.
    """
    if method not in METHODS:
        raise Usage(f"method {method!r} is not registered; known here: {', '.join(METHODS)}")
    if (sparsity is None) == (pattern is None):
        raise Usage(f"plan {name}: give a sparsity or a pattern, and only one of them")
    scores = METHODS[method](evidence)
    chosen, skipped = chosen_targets(targets, pattern, name)
    if sparsity is not None:
        kept = keep_largest({target.name: scores[target.name] for target in chosen}, sparsity)
    else:
        assert pattern is not None
        kept = {target.name: group_top(scores[target.name], *parse_pattern(pattern)) for target in chosen}
    edits = tuple(Edit(target.name, kept[target.name]) for target in chosen)
    return Plan(name, method, evidence.reference, edits, sparsity, pattern, {}, tuple(skipped))


def chosen_targets(targets: Sequence[Target], pattern: str | None, name: str) -> tuple[list[Target], list[tuple[str, str]]]:
    """The targets a plan edits, and (name, reason) of every other one. A plan that edits nothing is a usage error."""
    group = parse_pattern(pattern)[1] if pattern is not None else 1
    chosen, skipped = [], []
    for target in targets:
        if target.skipped:
            skipped.append((target.name, target.skipped))
        elif pattern is not None and target.role != "block":
            skipped.append((target.name, f"the {target.role} stays dense under a k:n pattern"))
        elif target.cols % group:
            skipped.append((target.name, f"{target.cols} inputs do not divide into groups of {group}"))
        else:
            chosen.append(target)
    if not chosen:
        first = f"; first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise Usage(f"plan {name}: {f'pattern {pattern}' if pattern else 'it'} applies to no target{first}")
    return chosen, skipped
