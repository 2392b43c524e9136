"""The methods that are compared, each by the name it has in the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Contenders = dict[str, tuple[str, Mapping[str, Any]]]

# name -> (method, options). Under a share of zeros.
UNSTRUCTURED: Contenders = {
    "magnitude": ("magnitude", {}),
    "magnitude-layerwise": ("magnitude", {"scope": "layer"}),
    "magnitude/std": ("scaled-magnitude", {}),
    "lamp": ("lamp", {}),
    "wanda": ("wanda", {}),
    "wanda-global": ("wanda", {"scope": "global"}),
    "sparsegpt": ("sparsegpt", {}),
    "sparsegpt-refit": ("sparsegpt", {"refit": True}),
    "least-squares": ("least-squares", {}),
    "prune-restore": ("prune-restore", {}),
    "rmt": ("rmt", {}),
    "seb": ("seb", {}),
    "seb-edge": ("seb", {"signal": "edge"}),
    "seb-zero": ("seb", {"strength": 0.0}),
    "seb-shuffled": ("seb", {"signal": "shuffled"}),
    "seb-std": ("seb", {"signal": "std"}),
    "seb-shape": ("seb", {"signal": "shape"}),
    "seb-edge/std": ("seb", {"signal": "edge/std"}),
    "seb-negative": ("seb", {"strength": -1.0}),
    "data-path": ("data-path", {}),
    "row-mass": ("row-mass", {}),
    "budget-measured": ("budget-measured", {}),
    "budget-bounded": ("budget-bounded", {}),
    "budget-surgeon": ("budget-surgeon", {}),
    "budget-least-squares": ("budget-least-squares", {}),
    "random": ("random", {}),
}
# Of these the movement of removed weights is trained first; they are compared after recovery alone.
REALLOCATED: Contenders = {
    "ser": ("ser", {}),
    "ser-weight": ("ser", {"priority": "weight"}),
    "ser-one": ("ser", {"priority": "one"}),
    "ser-zero": ("ser", {"strength": 0.0}),
}
# Under a k:n pattern.
STRUCTURED: Contenders = {
    "magnitude": ("magnitude", {}),
    "magnitude-bucket": ("magnitude", {"order": "bucket"}),
    "magnitude-search": ("magnitude", {"order": "search"}),
    "wanda": ("wanda", {}),
    "wanda-search": ("wanda", {"order": "search"}),
    "cast": ("cast", {}),
    "cast-search": ("cast", {"order": "search"}),
    "cast-compensated": ("cast", {"compensation": True}),
    "sparsegpt": ("sparsegpt", {}),
    "least-squares": ("least-squares", {}),
    "data-path": ("data-path", {}),
    "random": ("random", {}),
}
# Of methods that find the amount themselves.
OWN: Contenders = {
    "emp": ("emp", {}),
    "emp-global": ("emp", {"scope": "global"}),
    "emp-row": ("emp", {"scope": "row"}),
    "emp-wanda": ("emp", {"score": "wanda"}),
    "chi-squared": ("chi-squared", {}),
    "reconstruction": ("reconstruction", {}),
    "haar": ("haar", {}),
}


def contender(name: str, amount: str) -> tuple[str, dict[str, Any]]:
    """Method and options of a contender at an amount: "0.7", "2:4" or "own"."""
    table = OWN if amount == "own" else STRUCTURED if ":" in amount else UNSTRUCTURED | REALLOCATED
    if name not in table:
        raise ValueError(f"{name!r} is no contender at {amount}; known there: {', '.join(table)}")
    method, options = table[name]
    return method, dict(options)


def amount_of(amount: str) -> dict[str, Any]:
    """ "0.7" to {"sparsity": 0.7}, "2:4" to {"pattern": "2:4"}, "own" to nothing."""
    return {} if amount == "own" else {"pattern": amount} if ":" in amount else {"sparsity": float(amount)}
