"""The pictures of reports/theory: what the sharper forms gain, and how a bound that ignores tokens fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from certify.theory import cross_entropy, gaussian
from certify.theory.emp.effective_number import effective_number, kept_count, retained_mass
from certify.theory.emp.mass_bounds import cell_retained_mass_infimum, extremal_shares, removed_mass_published
from proofs_check.coverage.gaussian import token_failure_rates

INK, PUBLISHED, OURS, GROUND = "#333333", "#b5442b", "#1f6f8b", "#c9c9c9"
SEED = 20260


def cross_entropy_worst_case(axes: Any) -> None:
    """Lambda_p(2 eta) against 2 eta for four confidences."""
    eta = np.linspace(0.0, 2.0, 201)
    axes.plot(eta, cross_entropy.increase_published(eta), color=PUBLISHED, label="published: 2 eta")
    for p, shade in ((0.01, 1.0), (0.5, 0.75), (0.9, 0.55), (0.99, 0.4)):
        log_p, log_not_p = np.full_like(eta, np.log(p)), np.full_like(eta, np.log1p(-p))
        bound = cross_entropy.increase_upper(log_p, log_not_p, eta)
        axes.plot(eta, bound, color=OURS, alpha=shade)
        axes.annotate(f"p = {p:g}", (eta[-1], bound[-1]), xytext=(4, 0), textcoords="offset points", va="center", color=OURS)
    axes.plot([], [], color=OURS, label="exact worst case (X1)")
    axes.set(xlabel="largest move of a logit, eta", ylabel="cross-entropy increase, nats", xlim=(0.0, 2.3), ylim=(0.0, None))
    axes.legend(frameon=False, loc="upper left")


def effective_mass(axes: Any) -> None:
    """Effective mass of sampled score vectors, the corrected infimum of each cell, and the published bound."""
    entries, rng = 24, np.random.default_rng(SEED)
    vectors = [rng.dirichlet(np.full(entries, alpha)) for alpha in np.geomspace(0.004, 8.0, 3000)]
    vectors += [np.concatenate([[a, 1.0 - a], np.zeros(entries - 2)]) for a in np.linspace(0.5001, 0.95, 60)]
    numbers = np.array([effective_number(v) for v in vectors])
    masses = np.array([retained_mass(v, kept_count(v)) for v in vectors])
    axes.scatter(numbers, masses, s=5, color=GROUND, label="3,060 score vectors, N = 24")
    cells = np.arange(1, entries)
    least = [extremal_shares(entries, int(nu), 1.001 / (nu + 1))[0] for nu in cells]
    axes.scatter([effective_number(v) for v in least], [retained_mass(v, kept_count(v)) for v in least], s=14, color=INK)
    axes.scatter([], [], s=14, color=INK, label="extremal vectors (EMP-T2)")
    corrected = [cell_retained_mass_infimum(entries, int(nu)) for nu in cells]
    published = [1.0 - removed_mass_published(entries, int(nu)) for nu in cells]
    for values, colour, label, style in (
        (published, PUBLISHED, "published (P1), reconstructed", "--"),
        (corrected, OURS, "corrected (EMP-C5)", "-"),
    ):
        axes.hlines(values, cells, cells + 1, colors=colour, linestyles=style, label=label)
    axes.set(xlabel="effective number D", ylabel="retained mass s_eff", xlim=(1.0, entries), ylim=(0.0, 1.02))
    axes.annotate("false here", (1.5, published[0]), xytext=(4.0, 0.62), arrowprops={"arrowstyle": "->"}, color=PUBLISHED)
    axes.legend(frameon=False, loc="lower right")


def gaussian_multipliers(axes: Any) -> None:
    """Multipliers over the number of vectors, 768 rows, delta = .01."""
    counts = np.unique(np.geomspace(1, 2e6, 60).astype(int))
    for method, label, colour, style in (
        ("paper", "published", PUBLISHED, "-"),
        ("drop2", "X15(a)", INK, ":"),
        ("bonferroni", "X15(b)", INK, "--"),
        ("sidak", "X15(c)", OURS, "-"),
    ):
        axes.plot(
            counts, [gaussian.gaussian_multiplier(768, int(k), 0.01, method) for k in counts], color=colour, ls=style, label=label
        )
    for rank, shade in ((8, 1.0), (16, 0.6)):
        level = gaussian.rank_multiplier(768, rank, 0.01)
        axes.axhline(level, color="#5b8c3e", alpha=shade, label=f"X17, rank {rank}")
    axes.set(xscale="log", xlabel="vectors |T|, tokens counted", ylabel="multiplier x of the standard deviation")
    axes.legend(frameon=False, loc="upper left")


def ignored_tokens(axes: Any) -> None:
    """Failure rate of the level with and without tokens, over tokens per sample, delta = .1."""
    tokens = (1, 3, 10, 30, 100)
    rates = [token_failure_rates(tokens=p, draws=2000, seed=SEED + p) for p in tokens]
    counted = [found[0] for found in rates]
    ignored = [found[1] for found in rates]
    axes.plot(tokens, ignored, "o-", color=PUBLISHED, label="tokens ignored (F2)")
    axes.plot(tokens, counted, "o-", color=OURS, label="tokens counted (X19)")
    axes.axhline(0.1, color=INK, ls="--", label="allowed: delta = .1")
    axes.set(xscale="log", xlabel="tokens per sample", ylabel="failure rate in 2,000 draws", ylim=(-0.02, 1.02))
    axes.legend(frameon=False, loc="center left")


FIGURES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "cross-entropy": ("Worst increase of the cross-entropy", cross_entropy_worst_case),
    "effective-mass": ("Mass retained by effective-number pruning", effective_mass),
    "gaussian-multipliers": ("Gaussian multipliers", gaussian_multipliers),
    "ignored-tokens": ("A bound that forgets tokens", ignored_tokens),
}


def draw(folder: Path) -> list[Path]:
    """Write every picture as SVG, the same bytes for the same numbers."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context(
        {"svg.hashsalt": "certify", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    ):
        for name, (title, paint) in FIGURES.items():
            figure, axes = pyplot.subplots(figsize=(7.0, 4.2), layout="constrained")
            paint(axes)
            axes.set_title(title, loc="left")
            paths.append(folder / f"{name}.svg")
            figure.savefig(paths[-1], metadata={"Date": None})
            pyplot.close(figure)
    return paths
