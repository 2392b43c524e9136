"""Scaling and coverage of the additive framework, on mean-field networks with Gaussian noise in the middle.

X = act(W_3 act((S + R) act(W_1 s))), act = ReLU: W_1 has ||W_1 s|| near 1, S = u v^T has entries of size 1/N, the entries of
W_3 are 4/N in size (the first row all positive, so that rectified noise adds up there), R is iid N(0, g/N). Noise meets the
network through R Q alone, Q an orthonormal basis of the few vectors it is applied to: R Q is iid N(0, g/N) again, and is what
is drawn; the rest of ||R||_F^2 is then an independent chi-square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from certify.theory import additive as split
from certify.theory import three_layer as three
from certify.theory.cross_entropy import cross_entropy
from certify.theory.elastic_net import reward
from certify.theory.gaussian import gaussian_multiplier
from proofs_check.checks import Check, Finding
from proofs_check.coverage import protocols as mc

Array = npt.NDArray[np.float64]
SIZES = (64, 128, 256, 512, 1024)
CLASSES, FEATURES, SAMPLES = 3, 8, 4
PENALTY = 0.2
THETAS = (0.0, 0.25, 0.5, 0.75, 0.9)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _signs(rng: np.random.Generator, *shape: int) -> Array:
    return rng.choice([-1.0, 1.0], shape)


def _outer(rng: np.random.Generator, width: int) -> Array:
    outer = _signs(rng, CLASSES, width) * 4.0 / width
    outer[0] = 4.0 / width
    return outer


def _inner(rng: np.random.Generator, width: int, samples: int) -> Array:
    """W_1 s of `samples` unit vectors s."""
    data = rng.standard_normal((samples, FEATURES))
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    return data @ rng.standard_normal((FEATURES, width)) / np.sqrt(width)


def _through_noise(rng: np.random.Generator, vectors: Array, g: float) -> Array:
    """(k, N) images R v of the rows of `vectors`, jointly as for one R in R^{N x N} with entries N(0, g/N)."""
    width = vectors.shape[1]
    coordinates = np.linalg.qr(vectors.T, mode="r") if len(vectors) < width else vectors.T
    return (rng.standard_normal((width, len(coordinates))) * np.sqrt(g / width) @ coordinates).T


class Layer:
    """One draw of a network with one noisy layer: S x and R x for its hidden vectors x, and <S, R> = u^T R v."""

    def __init__(self, rng: np.random.Generator, width: int, samples: int = SAMPLES, g: float = 1.0) -> None:
        self.outer, self.inner = _outer(rng, width), _inner(rng, width, samples)
        self.labels = rng.integers(0, CLASSES, samples)
        left, right = _signs(rng, width) / np.sqrt(width), _signs(rng, width) / np.sqrt(width)
        hidden = _relu(self.inner)
        images = _through_noise(rng, np.vstack([hidden, right[None, :]]), g)
        self.signal, self.noise = np.outer(hidden @ right, left), images[:-1]
        self.cross = float(left @ images[-1])
        self.dense = self.fit(1.0)

    def logits(self, theta: float) -> Array:
        return _relu(_relu(self.signal + theta * self.noise) @ self.outer.T)

    def fit(self, theta: float) -> float:
        return float(cross_entropy(self.logits(theta), self.labels).mean())

    def remainder(self, theta: float = 0.0) -> float:
        return split.remainder([self.fit(theta) - self.dense], [self.cross], PENALTY, theta)


def _rms(draw: Callable[[np.random.Generator, int], float], sizes: tuple[int, ...], draws: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(np.sqrt(np.mean([draw(rng, width) ** 2 for _ in range(draws)]))) for width in sizes]


def loss_reduction(draws: int = 200) -> Finding:
    """T4.5: both parts of the remainder, and the whole."""
    parts: dict[str, Callable[[np.random.Generator, int], float]] = {
        "remainder": lambda rng, width: Layer(rng, width).remainder(),
        "change of the cross-entropy": lambda rng, width: (layer := Layer(rng, width)).fit(0.0) - layer.fit(1.0),
    }
    findings = {}
    for seed, (name, draw) in enumerate(parts.items()):
        rms = _rms(draw, SIZES, draws, seed)
        findings[name] = mc.slope(SIZES, rms, -0.5, 0.05, draws=draws)
    return mc.together(findings)


def shrunk_noise(draws: int = 150) -> Finding:
    """C2.2: the largest remainder over a grid of theta."""
    rms = _rms(lambda rng, width: max(map(abs, map(Layer(rng, width).remainder, THETAS))), SIZES, draws, 2)
    return mc.slope(SIZES, rms, -0.5, 0.05, draws=draws)


def _stack(rng: np.random.Generator, width: int, depth: int) -> float:
    """Remainder of `depth` noisy layers, replaced from the output to the input: what follows is S, with ||S||_inf = 1."""
    outer, state = _outer(rng, width), _relu(_inner(rng, width, SAMPLES))
    labels = rng.integers(0, CLASSES, SAMPLES)
    lefts, rights = (_signs(rng, depth, width) / np.sqrt(width) for _ in range(2))
    crosses, states = [], [state]
    for left, right in zip(lefts, rights, strict=True):
        images = _through_noise(rng, np.vstack([state, right[None, :]]), 1.0)
        crosses.append(float(left @ images[-1]))
        state = _relu(np.outer(state @ right, left) + images[:-1])
        states.append(state)
    fits = []
    for kept in range(depth, -1, -1):
        state = states[kept]
        for left, right in zip(lefts[kept:], rights[kept:], strict=True):
            state = _relu(np.outer(state @ right, left))
        fits.append(float(cross_entropy(_relu(state @ outer.T), labels).mean()))
    return split.remainder(np.diff(fits), crosses[::-1], PENALTY)


def several_layers(draws: int = 200) -> Finding:
    """T4.6 (a): two and three layers. (b): ceil(N^(1/4)) of them, whose cross terms have the rms 2 l2 sqrt(depth / N)."""
    findings = {}
    for depth in (2, 3):
        rms = _rms(lambda rng, width, depth=depth: _stack(rng, width, depth), SIZES, draws, depth + 1)
        findings[f"{depth} layers"] = mc.slope(SIZES, rms, -0.5, 0.05, draws=draws)
    depths = [int(np.ceil(width**0.25)) for width in SIZES]
    expected = np.polyfit(np.log(SIZES), 0.5 * np.log(np.array(depths) / np.array(SIZES)), 1)[0]
    rms = _rms(lambda rng, width: _stack(rng, width, int(np.ceil(width**0.25))), SIZES, draws, 5)
    findings["N^(1/4) layers"] = mc.slope(SIZES, rms, float(expected), 0.08, draws=draws)
    return mc.together(findings)


def growing_lists(draws: int = 150) -> Finding:
    """C2.1 and C3.17: as many samples as the layer is wide; the published radius at delta = 1/N shrinks as well."""
    sizes = SIZES[:4]
    rms = _rms(lambda rng, width: Layer(rng, width, samples=width).remainder(), sizes, draws, 6)
    findings = {"remainder, |T| = N": mc.slope(sizes, rms, -0.5, 0.05, draws=draws)}
    rng = np.random.default_rng(7)
    radii, beyond = [], 0
    for width in SIZES:
        layer = Layer(rng, width, samples=width)
        radius = three.confidence_radius(layer.outer, layer.inner, 1.0, 1.0 / width)
        radii.append(split.ce_change_upper(radius))
        beyond += bool(abs(layer.fit(0.0) - layer.dense) > radii[-1])
    rates = [0.5 * np.log(np.log(2.0 * width**3) / width) for width in SIZES]
    wanted = float(np.polyfit(np.log(SIZES), rates, 1)[0])
    findings["(2/|T|) sum tau at delta = 1/N, sqrt(log(2 N^3) / N)"] = mc.slope(SIZES, radii, wanted, 2.0, 0.05)
    findings["cross-entropy beyond it"] = Finding(f"{beyond} of 5" if beyond else "", "never")
    return mc.together(findings)


def failure_of_the_example() -> Finding:
    """E4.2 at N = 5: exact levels of both constants; and with it A4.2 for four kinds of v."""
    rng, draws, width = np.random.default_rng(8), 1_000_000, 5
    size = np.abs(rng.standard_normal((draws, width)) / np.sqrt(width)).max(axis=1)
    findings = {}
    for constant in (split.PUBLISHED, 2.0):
        failures = int(np.sum(size > split.gaussian_scale(width, constant)))
        findings[f"constant {constant:.3g}"] = mc.exact_level(failures, draws, split.gaussian_failure(width, constant))
    noise = rng.standard_normal((20_000, width, width)) / np.sqrt(width)
    vectors = {
        "one-hot": np.eye(width)[0],
        "constant": np.ones(width),
        "random": rng.standard_normal(width),
        "zero": np.zeros(width),
    }
    for name, v in vectors.items():
        moved = np.abs(noise @ v).max(axis=1)
        failures = int(np.sum(moved > split.gaussian_scale(width, 2.0) * np.linalg.norm(v)))
        findings[name] = mc.held(failures, len(noise), split.gaussian_failure(width, 2.0))
    return mc.together(findings)


def _draws(count: int, seed: int, width: int, samples: int = SAMPLES, g: float = 1.0) -> Iterator[Layer]:
    rng = np.random.default_rng(seed)
    return (Layer(rng, width, samples, g) for _ in range(count))


def removal(draws: int = 3000) -> Finding:
    """L3.13 and L4.4 at N = 3 with the constant 2, where failures are to be seen at all, and with the published one."""
    width, findings = 3, {}
    for constant in (2.0, split.PUBLISHED):
        event, logit = 0, 0
        for layer in _draws(draws, 9, width, samples=1):
            bound = split.gaussian_scale(width, constant) * np.linalg.norm(_relu(layer.inner))
            event += bool(np.abs(layer.noise).max() > bound)
            radius = three.removal_radius(layer.outer, layer.inner, constant)
            logit += bool(np.abs(layer.logits(0.0) - layer.logits(1.0)).max() > radius[0])
        exact = split.gaussian_failure(width, constant)
        findings[f"data path, constant {constant:.3g}"] = mc.exact_level(event, draws, exact * _seen_share(width))
        findings[f"logits, constant {constant:.3g}"] = mc.held(logit, draws, exact)
    return mc.together(findings)


def _seen_share(width: int) -> float:
    """ReLU sends W_1 s to exactly 0 with probability 2^-N for one sample, and nothing then moves."""
    return 1.0 - 0.5**width


def cross_entropy_and_path(draws: int = 1500) -> Finding:
    """L3.15, C2.3, T3.18, C3.19 at N = 8 with the constant 2, eta at the 10 % point of |<S, R>|, on a grid of theta."""
    width, samples = 8, 3
    spread = split.cross_variance(np.ones((width, width)) / width, 1.0)
    eta = 1.6448536269514722 * np.sqrt(spread)
    event = fit = path = 0
    for layer in _draws(draws, 10, width, samples):
        radii = three.removal_radius(layer.outer, layer.inner, 2.0)
        sizes = np.abs(layer.noise).max(axis=1) * np.abs(layer.outer).sum(axis=1).max()
        event += bool(np.any(sizes > radii) or abs(layer.cross) > eta)
        fit += bool(abs(layer.fit(0.0) - layer.dense) > split.ce_change_upper(radii))
        path += any(abs(layer.remainder(t)) > split.remainder_upper(radii, float(eta), PENALTY, t) * (1 + 1e-12) for t in THETAS)
    single, crossed = split.gaussian_failure(width, 2.0), split.cross_failure(float(eta), spread)
    return mc.together(
        {
            "event": mc.held(event, draws, split.union_level(samples, single, crossed)),
            "cross-entropy": mc.held(fit, draws, split.union_level(samples, single), loose=True),
            "whole path": mc.held(path, draws, split.union_level(samples, single, crossed), loose=True),
        }
    )


def confidence(draws: int = 2000, delta: float = 0.1) -> Finding:
    """T3.16 at N = 16, five samples, g = 2: the events at both multipliers, the logits, the loss with its cross term."""
    width, samples, g = 16, 5, 2.0
    spread = split.cross_variance(np.ones((width, width)) / width, g)
    eta = 1.2815515655446004 * np.sqrt(spread)
    counts = dict.fromkeys(("paper", "sidak", "logits", "loss"), 0)
    for layer in _draws(draws, 11, width, samples, g):
        norms = np.linalg.norm(_relu(layer.inner), axis=1) * np.sqrt(g / width)
        for method in ("paper", "sidak"):
            limit = norms * gaussian_multiplier(width, samples, delta, method)
            counts[method] += bool(np.any(np.abs(layer.noise).max(axis=1) > limit))
        radii = three.confidence_radius(layer.outer, layer.inner, g, delta)
        counts["logits"] += bool(np.any(np.abs(layer.logits(0.0) - layer.logits(1.0)).max(axis=1) > radii))
        counts["loss"] += bool(layer.remainder() > split.ce_change_upper(radii) + 2.0 * PENALTY * eta)
    total = delta + split.cross_failure(float(eta), spread)
    levels = {"paper": delta, "sidak": delta, "logits": delta, "loss": total}
    return mc.together({name: mc.held(counts[name], draws, level, loose=name != "sidak") for name, level in levels.items()})


def energy() -> Finding:
    """R2.7 and T4.8: mean and law of ||R||_F^2 for rows 12, cols 20, g = 0.7, and for the square 16, g = 0.3."""
    rng, findings = np.random.default_rng(12), {}
    for (rows, cols), g in (((12, 20), 0.7), ((16, 16), 0.3)):
        noise = rng.standard_normal((20_000, rows, cols)) * np.sqrt(g / rows)
        square = np.square(noise).sum(axis=(1, 2))
        findings[f"mean, {rows} x {cols}"] = mc.mean(square, split.expected_energy(cols, g))
        for share in (0.1, 0.9):
            above = int(np.sum(rows * square / g > chi2.isf(share, rows * cols)))
            findings[f"chi-square, {rows} x {cols}, {share:g}"] = mc.exact_level(above, len(square), share)
        stated = np.array([reward(matrix, 2.0, 0.0) for matrix in noise[:2000]])
        findings[f"reward, {rows} x {cols}"] = mc.mean(stated, 2.0 * split.expected_energy(cols, g))
    return mc.together(findings)


def cross_term() -> Finding:
    """A3.3 and A3.6: <S, R> is exactly Gaussian given S, for a dense, a rank-one and a one-entry S."""
    rng, draws, g = np.random.default_rng(13), 20_000, 0.6
    rows, cols = 10, 7
    single = np.zeros((rows, cols))
    single[2, 3] = 3.0
    kinds = {
        "dense": rng.standard_normal((rows, cols)),
        "rank one": np.outer(np.arange(rows), np.ones(cols)),
        "one entry": single,
    }
    findings, noise = {}, rng.standard_normal((draws, rows, cols)) * np.sqrt(g / rows)
    for name, kept in kinds.items():
        spread = split.cross_variance(kept, g)
        crosses = np.einsum("dij,ij->d", noise, kept)
        findings[f"{name}: mean"] = mc.mean(crosses, 0.0)
        findings[f"{name}: variance"] = mc.mean(crosses**2, spread)
        for factor in (0.5, 1.5):
            eta = factor * float(np.sqrt(spread))
            above = int(np.sum(np.abs(crosses) > eta))
            findings[f"{name}: beyond {factor:g} sd"] = mc.exact_level(above, draws, split.cross_failure(eta, spread))
    return mc.together(findings)


def scale_free(draws: int = 200) -> Finding:
    """X24: B_T(R)/||R||_F falls like sqrt(log N)/N and <S, R>/||R||_F like ||S||_F/N, at g = 1 and with L_s, ||v_s|| fixed."""

    def parts(rng: np.random.Generator, width: int, which: int) -> float:
        vectors = rng.standard_normal((SAMPLES, width))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        right = rng.standard_normal(width) / np.sqrt(width)
        coordinates = np.linalg.qr(np.vstack([vectors, right[None, :]]).T, mode="r")
        drawn = rng.standard_normal((width, SAMPLES + 1)) / np.sqrt(width)
        square = float(np.sum(drawn**2)) + rng.chisquare(width * (width - SAMPLES - 1)) / width
        images = (drawn @ coordinates).T
        budget = 2.0 * np.abs(images[:-1]).max(axis=1).mean()
        cross = float(np.ones(width) @ images[-1]) / np.sqrt(width)
        return float(budget if which == 0 else cross) / np.sqrt(square)

    findings = {}
    for which, (name, log_power) in enumerate((("budget", 0.5), ("cross term", 0.0))):
        rms = _rms(partial(parts, which=which), SIZES, draws, 14 + which)
        rates = [-np.log(width) + log_power * np.log(np.log(2 * width)) for width in SIZES]
        wanted = float(np.polyfit(np.log(SIZES), rates, 1)[0])
        findings[name] = mc.slope(SIZES, rms, wanted, 0.02, draws=draws)
    return mc.together(findings)


CHECKS = (
    Check(
        "MC-additive-1",
        "Monte Carlo",
        "remainder of the loss reduction: slope -1/2 in log N",
        ("T4.5-loss-reduction",),
        loss_reduction,
    ),
    Check(
        "MC-additive-2", "Monte Carlo", "the largest remainder over theta: slope -1/2", ("ESM1-C2.2-scaled-loss",), shrunk_noise
    ),
    Check("MC-additive-3", "Monte Carlo", "2, 3 and N^(1/4) layers, output first", ("T4.6-telescoping",), several_layers),
    Check(
        "MC-additive-4",
        "Monte Carlo",
        "|T| = N: slope -1/2",
        ("ESM1-C2.1-growing-set", "ESM1-C3.17-growing-gauss"),
        growing_lists,
    ),
    Check(
        "MC-additive-5",
        "Monte Carlo",
        "exact failure of the Gaussian example",
        ("E4.2-gauss", "A4.2-perturbative"),
        failure_of_the_example,
    ),
    Check(
        "MC-additive-6",
        "Monte Carlo",
        "removing the noise moves the logits within the radius",
        ("ESM1-L3.13-remove-R", "L4.4-remove-R"),
        removal,
    ),
    Check(
        "MC-additive-7",
        "Monte Carlo",
        "cross-entropy and whole path within the finite-width bounds",
        ("ESM1-L3.15-ce-perturb", "ESM1-C2.3-finiteN-path", "ESM1-T3.18-loss-reduction", "ESM1-C3.19-scaled"),
        cross_entropy_and_path,
    ),
    Check("MC-additive-8", "Monte Carlo", "radii at confidence 1 - delta", ("ESM1-T3.16-confidence",), confidence),
    Check(
        "MC-additive-9",
        "Monte Carlo",
        "energy of the noise: mean g cols, chi-square law",
        ("ESM1-R2.7-reg-scaling", "T4.8-gauss-collapse"),
        energy,
    ),
    Check(
        "MC-additive-10",
        "Monte Carlo",
        "<S, R> is N(0, g ||S||^2 / N)",
        ("ESM1-A3.6-sub-root-N", "ESM1-A3.3-gauss-decomp"),
        cross_term,
    ),
    Check("MC-additive-11", "Monte Carlo", "scale-free rates 1/N", ("X24-scale-free-collapse",), scale_free),
)
