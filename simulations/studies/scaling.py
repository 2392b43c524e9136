"""The additive theory along growing widths: where its remainders vanish, at which rate, and where its hypotheses do not hold.

python -m simulations scaling; python -m simulations.studies.scaling
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from certify.laws.spikes import strength
from certify.theory.additive import cross_failure, remainder, remainder_upper
from certify.theory.stationarity import noise_energy_upper
from certify.theory.three_layer import removal_radius
from simulations.engine.study import Scalar, Study
from simulations.samplers import leading_singular_values
from simulations.studies._page import COLOURS, PUBLISHED, Array, Results, command, shown, slope, table, write

SCALINGS = ("mean-field", "fan-in", "layer-norm")
CLASSES, SAMPLES = 4, 8
SPIKE = 1.0
OUTER = 4.0
FAILURE = 1e-3


@dataclass(frozen=True)
class Draw:
    """One network and what removing the noise of its middle layers did.

    remainder : L(S) - L(W) + l2 sum_j ||R_j||_F^2, nats.
    change    : mean |Delta CE| over samples, nats.
    moved     : largest change of a logit.
    energy    : sum_j ||R_j||_F^2.
    cross     : sum_j <S_j, R_j>_F.
    radii     : (T,) published 2 sqrt(2) a(N, s) of the last middle layer.
    """

    remainder: float
    change: float
    moved: float
    energy: float
    cross: float
    radii: Array


def draw_network(width: int, scaling: str, layers: int, g: float, l2: float, rng: np.random.Generator) -> Draw:
    """X = relu(W_3 relu((S_k + R_k) .. relu((S_1 + R_1) relu(W_1 s)))), the noise removed from one layer after another.

        S_j = u_j v_j^T of norm SPIKE with u_j, v_j >= 0,   R_j iid N(0, g / N),   ||W_1 s||_2 = 1, or sqrt(N) with layer-norm
        W_3 : +-OUTER / N (mean-field),  N(0, 1 / N) (fan-in, layer-norm)

    R_j is never drawn: it acts on the span V_j of v_j and the inputs of layer j in the networks whose first 0 .. j - 1 noises
    are gone, of dimension at most r = j T + 1. R_j Q is (N, r) Gaussian for an orthonormal basis Q of V_j, and the energy
    beyond the span is g / N times chi^2 with N (N - r) degrees of freedom, independent.
    """
    inner = rng.standard_normal((SAMPLES, width))
    inner *= (math.sqrt(width) if scaling == "layer-norm" else 1.0) / np.linalg.norm(inner, axis=1)[:, None]
    outer = rng.standard_normal((CLASSES, width)) / math.sqrt(width)
    if scaling == "mean-field":
        outer = OUTER / width * np.sign(outer)
    states = [np.maximum(inner, 0.0)]
    energy, crosses, dense = 0.0, [], inner
    for _ in range(layers):
        left, right = (np.abs(rng.standard_normal(width)) for _ in range(2))
        left, right = left / np.linalg.norm(left), right / np.linalg.norm(right)
        seen = np.concatenate([*states, right[None, :]])
        basis = np.linalg.qr(seen.T)[0]
        noise = math.sqrt(g / width) * rng.standard_normal((width, basis.shape[1]))
        rest = width * (width - basis.shape[1])
        energy += float(np.sum(noise**2)) + (g / width * float(rng.chisquare(rest)) if rest else 0.0)
        crosses.append(SPIKE * float(left @ (noise @ (basis.T @ right))))
        dense = states[0]
        kept = [SPIKE * (state @ right)[:, None] * left for state in states]
        noisy = [signal + (state @ basis) @ noise.T for signal, state in zip(kept, states, strict=True)]
        states = [np.maximum(h, 0.0) for h in (*noisy, kept[-1])]
    logits = [np.maximum(state @ outer.T, 0.0) for state in states]
    labels = np.arange(SAMPLES) % CLASSES
    losses = np.array([np.mean(cross_entropies(z, labels)) for z in logits])
    change = cross_entropies(logits[-1], labels) - cross_entropies(logits[0], labels)
    return Draw(
        remainder(np.diff(losses), crosses, l2),
        float(np.mean(np.abs(change))),
        float(np.max(np.abs(logits[-1] - logits[0]))),
        energy,
        float(sum(crosses)),
        removal_radius(outer, dense),
    )


def cross_entropies(logits: Array, labels: Array) -> Array:
    """(T,) nats of (T, K) logits."""
    return logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]


def middle_layers(width: int, layers: int) -> int:
    """How many middle layers: `layers`, or ceil(N^(1/4)) of a growing family when it is 0."""
    return layers if layers else math.ceil(width**0.25)


def run(parameters: Mapping[str, Scalar], generator: np.random.Generator) -> dict[str, float | int]:
    """Remainder of the loss reduction over draws of networks of one width; collapse and spikes at that width.

    parameters : width N > layers SAMPLES + 1; scaling, one of SCALINGS; layers >= 1, or 0 for ceil(N^(1/4)) of them (T4.6(b));
                 g in [0, 1]; l2 > 0; draws >= 2.
    Returns, over draws: rms of the remainder, of the cross term, mean |Delta CE|, mean and largest logit move, mean of the
    published radius, and how often |remainder| exceeds `remainder_upper` (one middle layer; else nan) with the level of the
    cross term's part; energy over g N, mean and deviation (T4.8: 1 and sqrt(2) / N); the energy that T4.7 leaves to a stationary
    point with these radii over g N, and the g at which the two are equal; at g = N^(-3/2), one spike of strength SPIKE in an
    N x N layer: rms error of s_1 and of `strength` (C4.12).
    Claim T4.5-loss-reduction, T4.6-telescoping, T4.7-stationarity-collapse, T4.8-gauss-collapse, C4.12-bbp-persistent, F12.
    """
    width, draws, scaling = int(parameters["width"]), int(parameters["draws"]), str(parameters["scaling"])
    g, l2, layers = float(parameters["g"]), float(parameters["l2"]), middle_layers(width, int(parameters["layers"]))
    if scaling not in SCALINGS or layers < 1 or not 0.0 < g <= 1.0 or not l2 > 0.0 or draws < 2:
        raise ValueError(f"scaling {scaling!r}, layers {layers}, g {g}, l2 {l2}, draws {draws}: one is outside its range")
    if width <= layers * SAMPLES + 1:
        raise ValueError(f"scaling {scaling!r}: width {width} does not exceed {layers} layers x {SAMPLES} samples + 1")
    drawn = [draw_network(width, scaling, layers, g, l2, generator) for _ in range(draws)]
    found = np.array([d.remainder for d in drawn])
    spread = SPIKE**2 * g / width
    eta = _cross_level(spread)
    over = [abs(d.remainder) > remainder_upper(d.radii, eta, l2) for d in drawn] if layers == 1 else [math.nan]
    budget = float(np.mean([2.0 * np.mean(d.radii) for d in drawn]))
    room = noise_energy_upper(budget, eta, l2)
    ratios = np.array([d.energy for d in drawn]) / (layers * g * width)
    small = width**-1.5
    values = leading_singular_values(width, width, small / width, 1, draws, generator, (SPIKE,))[:, 0]
    return {
        "depth": layers,
        "remainder_rms": _rms(found),
        "cross_rms": _rms(np.array([d.cross for d in drawn])),
        "ce_change": float(np.mean([d.change for d in drawn])),
        "moved": float(np.mean([d.moved for d in drawn])),
        "moved_most": float(np.max([d.moved for d in drawn])),
        "radius": float(np.mean([d.radii.mean() for d in drawn])),
        "over": float(np.mean(over)),
        "energy_mean": float(ratios.mean()),
        "energy_deviation": float(ratios.std(ddof=1)) * width * math.sqrt(layers / 2.0),
        "room": room / (g * width),
        "critical_g": (budget / (2.0 * l2)) / width,
        "plain_rms": _rms(values - SPIKE),
        "strength_rms": _rms(strength(values, width, width, small / width) - SPIKE),
    }


def _cross_level(variance: float) -> float:
    """A cross term that is exceeded with probability below FAILURE: its deviation doubled until it is."""
    eta = math.sqrt(variance)
    while cross_failure(eta, variance) > FAILURE:
        eta *= 1.25
    return eta


def _rms(values: Array) -> float:
    return math.sqrt(float(np.mean(values**2)))


STUDY = Study(
    name="scaling",
    version=1,
    run=run,
    parameters={"scaling": str, "layers": int, "width": int, "g": float, "l2": float, "draws": int},
    grid_path=Path(__file__).with_suffix(".toml"),
    about="remainders and radii of the additive theory over widths, with scalings that break its hypothesis as controls",
)


def page(results: Results, folder: Path) -> list[Path]:
    """Write scaling.md and scaling.svg."""
    return write(STUDY, results, folder, "The additive theory along growing widths", findings(results), draw)


def findings(results: Results) -> list[str]:
    """What the numbers say."""
    return [*_remainders(results), *_collapse(results), *_spikes(results)]


def _remainders(results: Results) -> list[str]:
    rows = []
    for (scaling, layers), group in results.groups("scaling", "layers"):
        last = group.where(width=group["width"].max())
        rows.append(
            (
                scaling,
                layers or "ceil(N^(1/4))",
                slope(group["width"], group["remainder_rms"]),
                slope(group["width"], group["ce_change"]),
                slope(group["width"], group["radius"]),
                *(float(last[name][0]) for name in ("remainder_rms", "radius", "moved_most")),
            )
        )
    single = results.where(layers=1)
    over = {name: float(single.where(scaling=name)["over"].max()) for name in sorted(set(single["scaling"].tolist()))}
    field, fan, norm = (_exponent(single, name) for name in SCALINGS)
    return [
        "## T4.5 and T4.6: is the loss reduced by the energy of the noise?",
        "",
        f"{CLASSES} classes, {SAMPLES} samples, S of rank one; widths {min(results['width']):,} to {max(results['width']):,}; "
        "exponents of N, and numbers at the largest width.",
        "",
        *table(
            (
                "scaling",
                "middle layers",
                "remainder",
                "change of CE",
                "radius",
                "remainder, last",
                "radius, last",
                "logit move, last",
            ),
            rows,
        ),
        f"**Mean-field** meets the hypothesis a(N, s) -> 0, its radius goes like N^{field[1]:.2f}: the remainder "
        f"{_trend(field[0])} (published: o(1); the cross term alone gives -1/2).",
        "",
        f"**Fan-in** breaks it (F12): the radius {_trend(fan[1])}, so the published theorem says nothing. The remainder itself "
        f"{_trend(fan[0])}, W_3 being independent of R; a radius that knows this is X20's.",
        "",
        "**Layer-norm** (fan-in with a norm of v of sqrt(N), as a transformer feeds its layers): the remainder "
        f"{_trend(norm[0])}.",
        "",
        "With several middle layers the radius in the table is that of the last of them; the row sums of the others grow.",
        "",
        "|Remainder| above its published bound, share of draws, one middle layer: "
        + ", ".join(f"{name} {shown(value)}" for name, value in over.items())
        + f" (allowed: 8 / (8 N^3) + {FAILURE:g}).",
        "",
    ]


def _trend(exponent: float) -> str:
    """In words; -1/4 is half of the slowest rate that the theory has."""
    return f"{'falls, like' if exponent < -0.25 else 'does NOT vanish, it goes like'} N^{exponent:.2f}"


def _exponent(results: Results, scaling: str) -> tuple[float, float]:
    group = results.where(scaling=scaling)
    if len(group) == 0:
        return math.nan, math.nan
    return slope(group["width"], group["remainder_rms"]), slope(group["width"], group["radius"])


def _collapse(results: Results) -> list[str]:
    single = results.where(layers=1)
    rows = []
    for (scaling,), group in single.groups("scaling"):
        order = np.argsort(group["width"])
        room, critical = group["room"][order], group["critical_g"][order]
        widths = group["width"][order]
        rows.append((scaling, slope(widths, room), float(room[-1]), slope(widths, critical), float(critical[-1])))
    mean, deviation = results["energy_mean"], results["energy_deviation"]
    return [
        "## T4.7, T4.8, C4.9: noise that a stationary point may hold",
        "",
        "At an exactly stationary point ||R||_F^2 <= abar / (2 l2) + eta. Over the energy g N of Gaussian noise: below 1 such "
        "noise is excluded. `critical g` is the largest variance parameter that is not.",
        "",
        *table(
            ("scaling", "exponent of bound / (g N)", "at the largest width", "exponent of critical g", "at the largest width"),
            rows,
        ),
        f"T4.8: energy over g N has means from {mean.min():.5f} to {mean.max():.5f}; its deviation over the one of "
        "chi^2 lies between "
        f"{deviation.min():.2f} and {deviation.max():.2f}.",
        "",
        f"Excluded at the largest width: {', '.join(row[0] for row in rows if row[2] < 1.0) or 'none'}. Where the "
        "radius does not "
        "vanish this comes from the growth of g N at fixed l2 alone, for which X25 needs no hypothesis.",
        "",
    ]


def _spikes(results: Results) -> list[str]:
    rows = []
    for (width,), group in results.groups("width"):
        plain, read = _rms(group["plain_rms"]), _rms(group["strength_rms"])
        rows.append((f"{width:,}", plain, read, plain / read))
    widths = sorted(set(results["width"].tolist()))
    plain, read = (slope(widths, [row[column] for row in rows]) for column in (1, 2))
    return [
        "## C4.12: is the spike correction needed under collapse?",
        "",
        f"One spike of strength {SPIKE:g} at g = N^(-3/2): root mean square error of the singular value itself and of "
        f"`strength`; exponents {plain:.2f} and {read:.2f}. "
        "F21: once g N -> 0 the correction is smaller than the fluctuation, and the plain singular value is as good.",
        "",
        *table(("N", "error of s_1", "error of `strength`", "ratio"), rows),
    ]


def draw(figure: Any, results: Results) -> None:
    """Remainder, radius, and room for noise over the width."""
    left, middle, right = figure.subplots(1, 3)
    single = results.where(layers=1)
    for scaling, colour in zip(SCALINGS, COLOURS, strict=False):
        group = single.where(scaling=scaling)
        if len(group):
            order = np.argsort(group["width"])
            for axes, name in ((left, "remainder_rms"), (middle, "radius"), (right, "room")):
                axes.plot(group["width"][order], group[name][order], "o-", ms=3.5, color=colour, label=scaling)
    right.axhline(1.0, color=PUBLISHED, lw=0.8, ls=":")
    for axes, name in (
        (left, "rms of the remainder, nats"),
        (middle, "published radius, logit units"),
        (right, "energy bound / (g N)"),
    ):
        axes.set(xscale="log", yscale="log", xlabel="width N", ylabel=name)
    left.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    sys.exit(command(STUDY, page))
