"""Every certificate on one instance: as it stands, and with one hypothesis broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from certify.records import Refused
from simulations.networks import fit, logits, penalised, random_removal
from simulations.networks.network import SyntheticNetwork, build
from simulations.networks.recipe import FAMILIES, NOISES, Recipe
from simulations.networks.removals import Measured

NONE = "none"
CONVOLVED = ("cnn", "transformer")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A certificate as a statement "truth <= bound".

    says     : the statement in words.
    evaluate : (network, generator, broken) -> Measured, and the hypotheses beyond the network's truth.
    recipe   : settings that differ from Recipe's own.
    requires : names in the network's truth; {layer} stands for the first layer that can be traced, {first} for the first.
    broken   : hypotheses that can be broken -> families in which doing so changes anything.
    families : where the certificate can be run.
    level    : largest allowed share of violations: 0 for a deterministic statement, delta for one "with probability".
    """

    says: str
    evaluate: Callable[[SyntheticNetwork, np.random.Generator, str], tuple[Measured, bool]]
    recipe: Mapping[str, object]
    requires: tuple[str, ...]
    broken: Mapping[str, tuple[str, ...]]
    families: tuple[str, ...] = FAMILIES
    level: float = 0.0


def _traced(says: str, function: Callable[..., Measured], broken: Mapping[str, tuple[str, ...]], **recipe: object) -> Case:
    return Case(
        says=says,
        evaluate=lambda network, rng, how: (function(network, rng, how), True),
        recipe=recipe,
        requires=("{layer}.exact_path",) + (("split.mask",) if recipe.get("split") == "mask" else ()),
        broken=broken,
    )


def _random(
    says: str,
    function: Callable[..., Measured],
    requires: tuple[str, ...],
    broken: Mapping[str, tuple[str, ...]],
    **recipe: object,
) -> Case:
    return Case(
        says=says,
        evaluate=lambda network, rng, how: (function(network, rng, how), True),
        recipe={"samples": 10} | recipe,
        requires=requires,
        broken=broken,
        level=random_removal.DELTA,
    )


def _fitted(says: str, function: Callable[..., tuple[Measured, bool]], broken: tuple[str, ...]) -> Case:
    return Case(says=says, evaluate=function, recipe={}, requires=(), broken=dict.fromkeys(broken, ("mlp",)), families=("mlp",))


JACOBIAN = {"end-point Jacobian": FAMILIES}
TOKENS = {"tokens ignored": CONVOLVED}
CONSTANT = {"L_s = 1": FAMILIES}
OVERLAP = {"overlapping supports": FAMILIES}

CASES: Mapping[str, Case] = {
    "D5.0-size": _traced(
        "what R sends on is at most its longest row times the longest token", logits.size, {"operator norm": FAMILIES} | TOKENS
    ),
    "L4.4-logits": _traced("no logit moves by more than L_s times what R sends on", logits.move, JACOBIAN | TOKENS | CONSTANT),
    "X8-variation": _traced("no logit moves by more than the variation of its path", logits.variation, JACOBIAN),
    "L5.1-row-sums": _traced(
        "the loss changes by at most the budget, L_s by row sums", logits.budget_row_sums, CONSTANT | TOKENS
    ),
    "L5.1-smallest": _traced("the loss changes by at most the budget, smallest L_s", logits.budget_smallest, JACOBIAN | TOKENS),
    "X1-sharp": _traced("no sample's loss changes by more than Lambda_p(2 eta)", logits.sharp, JACOBIAN | TOKENS),
    "X2-pairwise": _traced("no sample's loss rises by more than the pairwise form", logits.pairwise, JACOBIAN),
    "C5.2-margin": _traced(
        "only samples with a margin of at most 2 eta in size change",
        logits.margin_published,
        JACOBIAN | TOKENS,
        margin=0.2,
        variance=1.0,
    ),
    "X5-margin": _traced(
        "losses and gains stay in their own sets", logits.margin_signed, JACOBIAN | TOKENS, margin=0.2, variance=1.0
    ),
    "X6-margin": _traced("the same by pairs of logits", logits.margin_pairwise, JACOBIAN, margin=0.2, variance=1.0),
    "T5.4-elastic-net": _traced(
        "the objective falls by the reward less the budget",
        penalised.elastic_net,
        OVERLAP | {"induced 1-norm": FAMILIES} | TOKENS,
        split="mask",
    ),
    "T5.5-prune-restore": _traced(
        "the same when a part is put back", penalised.restored, OVERLAP | {"another checkpoint": FAMILIES}, split="mask"
    ),
    "T5.8-multilayer": _traced(
        "the same over several layers, budgets summed", penalised.multilayer, {"dense budgets": FAMILIES} | OVERLAP, split="mask"
    ),
    "C1.3-multilayer": _traced("logits move by at most the sum of the steps", logits.several, {"dense budgets": FAMILIES}),
    "T5.7-stationarity": _fitted(
        "at a stationary point the reward is at most the budget",
        fit.stationary,
        ("stopped early", "label smoothing", "decoupled decay"),
    ),
    "X13-stationarity": _fitted(
        "the same with the confidence-weighted budget",
        fit.stationary_weighted,
        ("stopped early", "label smoothing", "decoupled decay"),
    ),
    "EMP-T6": _fitted(
        "the loss rises by at most slope and curvature",
        fit.curvature,
        ("published trace", "slope left out", "end-point curvature"),
    ),
    "EMP-T10": _traced(
        "the loss changes by at most the removed mass of the scores",
        penalised.mass,
        {"dense scores": FAMILIES} | CONSTANT | TOKENS,
    ),
    "EMP-T11": _traced("the same row by row, best order", penalised.row_mass, CONSTANT | TOKENS),
    "C5.10-gauss": _random(
        "Gaussian noise sends on at most x standard deviations",
        random_removal.gaussian,
        ("noise.gaussian", "noise.iid", "noise.independent_of_inputs"),
        {"inputs repeat rows": FAMILIES} | TOKENS,
    ),
    "X21-signs": _random(
        "entries with fair signs, masked by size, send on at most x root sums of squares",
        random_removal.signs,
        ("noise.independent_signs", "noise.independent_of_inputs"),
        {"calibration reused for the mask": ("mlp", "transformer")},
        width=128,
    ),
    "B2-drop": _random(
        "accuracy drops by at most the upper limit from samples not used before",
        random_removal.drop,
        (),
        {"calibration reused for the mask": FAMILIES},
    ),
}
SPLIT_OF = {"overlapping supports": "additive"}


def measure(
    certificate: str, family: str, noise: str, aspect: float, broken: str, rng: np.random.Generator
) -> tuple[Measured, bool]:
    """One certificate on one drawn network.

    certificate : a key of CASES.
    family      : of networks, one that the certificate has.
    noise       : law of R (of the inputs, for the regressions).
    aspect      : columns over rows of the second layer, > 0.
    broken      : "none", or a hypothesis that the certificate can break in this family.
    Returns both sides, and whether every hypothesis holds on this instance.
    """
    case = CASES.get(certificate)
    if case is None:
        raise Refused(f"certificate {certificate!r} is not known; known here: {', '.join(CASES)}")
    if family not in case.families or noise not in NOISES:
        raise Refused(f"{certificate}: family {family!r} with noise {noise!r}; it runs on {', '.join(case.families)}")
    if broken != NONE and family not in case.broken.get(broken, ()):
        raise Refused(f"{certificate}: nothing called {broken!r} can be broken in family {family}")
    recipe = replace(Recipe(family=family, noise=noise, aspect=aspect), **case.recipe)  # type: ignore[arg-type]
    if broken in SPLIT_OF:
        recipe = replace(recipe, split=SPLIT_OF[broken])
    if broken == "inputs repeat rows":
        recipe = replace(recipe, dependent=True)
    network = build(recipe, rng)
    found, sound = case.evaluate(network, rng, broken)
    names = (name.format(layer=network.layers[0], first=network.design.targets[0]) for name in case.requires)
    return found, broken == NONE and sound and all(network.truth[name] for name in names)
