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
    prunable = [target for target in targets if not target.skipped]
    skipped = [(target.name, target.skipped) for target in targets if target.skipped]
    if sparsity is not None:
        chosen = prunable
        kept = keep_largest({target.name: scores[target.name] for target in chosen}, sparsity)
    else:
        assert pattern is not None
        chosen, left = _divisible(prunable, pattern)
        skipped += left
        if not chosen:
            raise Usage(f"plan {name}: pattern {pattern} applies to no target; first: {left[0][0]}: {left[0][1]}")
        kept = {target.name: group_top(scores[target.name], *parse_pattern(pattern)) for target in chosen}
    edits = tuple(Edit(target.name, kept[target.name]) for target in chosen)
    return Plan(name, method, evidence.reference, edits, sparsity, pattern, {}, tuple(skipped))


def _divisible(targets: Sequence[Target], pattern: str) -> tuple[list[Target], list[tuple[str, str]]]:
    group = parse_pattern(pattern)[1]
    chosen, left = [], []
    for target in targets:
        if target.role != "block":
            left.append((target.name, f"the {target.role} stays dense under a k:n pattern"))
        elif target.cols % group:
            left.append((target.name, f"{target.cols} inputs do not divide into groups of {group}"))
        else:
            chosen.append(target)
    return chosen, left
