"""What a pruning method is: a function from a request (evidence and an amount) to edits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from certify.pruning.layout import Layout
from certify.pruning.masks import group_top, keep_largest, share_of
from certify.records import Edit, Evidence, Target, Usage

Scores = Mapping[str, np.ndarray]
SCOPES = ("global", "layer", "row")


@dataclass(frozen=True)
class Request:
    """What a method is asked for.

    targets  : those to edit, in module order; evidence holds the weights of each.
    sparsity : wanted share of zeros over all targets, where an amount of this kind is asked for.
    layouts  : target name -> how its inputs form the groups of a k:n pattern, where a pattern is asked for.
    seed     : of methods that draw.
    dense    : weights before any pruning, where those of the evidence have been pruned already; spectral signals come from them.
    """

    targets: tuple[Target, ...]
    evidence: Evidence
    sparsity: float | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    seed: int = 0
    dense: Scores | None = None

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Target name -> (rows, cols) float64, of the targets to edit."""
        return {target.name: self.evidence.weights[target.name] for target in self.targets}

    @property
    def dense_weights(self) -> dict[str, np.ndarray]:
        """The same before any pruning."""
        whole = self.evidence.weights if self.dense is None else self.dense
        return {target.name: whole[target.name] for target in self.targets}


@dataclass(frozen=True)
class Made:
    """What a method returns: an edit of every target asked for, and what it found on the way (a JSON value)."""

    edits: tuple[Edit, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method under its name.

    make    : (request, **options) -> Made. Its keyword-only arguments are the method's options, with their defaults.
    about   : one line for people.
    amounts : what it can be asked for: "sparsity", "pattern", or "own" where the method finds the amount itself.
    needs   : parts of the evidence it reads beside the weights; of some methods they depend on the option `score`, and `by_score`
              adds them: score -> parts.
    whole   : whether it reads second moments of all inputs of a target together, and not within blocks alone.
    """

    name: str
    about: str
    make: Callable[..., Made]
    amounts: tuple[str, ...] = ("sparsity", "pattern")
    needs: tuple[str, ...] = ()
    whole: bool = False
    by_score: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Name of each option -> its default."""
        parameters = inspect.signature(self.make).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}

    def needed(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Parts of the evidence it reads under these options."""
        return self.needs + self.by_score.get((self.options | dict(options)).get("score", ""), ())

    def chosen(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with defaults filled in; an unknown name or a wrong kind of value is refused."""
        known = self.options
        for name, value in options.items():
            if name not in known:
                raise Usage(f"method {self.name}: no option {name!r}; known here: {', '.join(known) or 'none'}")
            if not _fits(value, known[name]):
                kind = type(known[name]).__name__
                raise Usage(f"method {self.name}: option {name} = {value!r} is not a {kind} such as {known[name]!r}")
        return known | {name: float(value) if isinstance(known[name], float) else value for name, value in options.items()}


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def by_scores(request: Request, scores: Scores, *, scope: str = "global") -> Made:
    """Keep the highest scores: in each group under a pattern, else over all targets, each layer, or each row.

    Under a sparsity s exactly floor(s · entries) go, of all targets ("global"), of each ("layer") or of each row of each ("row").
    Of equal scores the earlier go first; in a group the earlier stay.
    """
    if request.layouts:
        layouts = request.layouts.items()  # filled-up slots lose against every weight
        return Made(tuple(layout.edit(group_top(layout.slots(scores[name], fill=-1), layout.keep)) for name, layout in layouts))
    assert request.sparsity is not None
    if scope not in SCOPES:
        raise Usage(f"scope = {scope!r} is none of {', '.join(SCOPES)}")
    names = [target.name for target in request.targets]
    if scope == "global":
        kept = keep_largest({name: scores[name] for name in names}, request.sparsity)
    elif scope == "layer":
        kept = {name: keep_largest({name: scores[name]}, request.sparsity)[name] for name in names}
    else:
        kept = {name: _largest_of_rows(scores[name], request.sparsity) for name in names}
    return Made(tuple(Edit(name, kept[name]) for name in names))


def _largest_of_rows(scores: np.ndarray, sparsity: float) -> np.ndarray:
    gone = np.argsort(scores, axis=1, kind="stable")[:, : share_of(scores.shape[1], sparsity)]
    kept = np.ones(scores.shape, dtype=bool)
    np.put_along_axis(kept, gone, False, axis=1)
    return kept
