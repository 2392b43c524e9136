"""The additive framework W = S + R, structured part plus noise: what it says at a finite width.

The published statements are limits N -> infinity along a sequence of models. Here stand their cores, which hold at every N:

1. identities of the regularised loss, `remainder` being exactly what the paper calls o_P(1);
2. bounds on the data-path event {||R v_s||_inf <= d1 J(v_s) for all s}, `remainder_upper`;
3. probabilities of that event and of a small cross term <S, R>, under iid Gaussian noise of variance g / rows;
4. what a hypothesis of the limit means at one N: numbers that have to tend to 0 (`three_layer.admissibility`).

That a trained network decomposes so is a supposition; nothing here verifies it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from certify.records import Refused
from certify.theory._arrays import Array, ArrayLike, at_least, finite, number, representable, whole
from certify.theory.budget import _row_norms
from certify.theory.claims.additive import CLAIMS
from certify.theory.elastic_net import frobenius_squared
from certify.theory.margins import may_change_published

# The constant of the published failure bound 1 / N; 2 already gives 1 / (2 N), and 2 sqrt(2) gives 1 / (8 N^3).
PUBLISHED = 2.0 * math.sqrt(2.0)


@dataclass(frozen=True)
class Decomposition:
    """One layer as S + R, with what is supposed about it. The flags are suppositions of a model, never findings.

    kept       : (rows, cols) S.
    removed    : (rows, cols) R.
    is_noise   : R is supposed to be independent random noise (supposition 1).
    is_low_rank: S is supposed to be of low rank, exactly or up to a small tail (supposition 2).
    Claim SUP-1, SUP-2 (suppositions of Section 4 of arXiv:2606.02608), ESM1-D3.12-local-path.
    """

    kept: Array
    removed: Array
    is_noise: bool = False
    is_low_rank: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", finite(self.kept, "kept", (None, None)))
        object.__setattr__(self, "removed", finite(self.removed, "removed", self.kept.shape))


def loss(cross_entropies: ArrayLike, squares: ArrayLike, l2: float) -> float:
    """The regularised loss of the framework.

        L = mean_s ce_s + l2 sum_i ||W_i||_F^2

    cross_entropies : (T,) nats, >= 0.
    squares         : (M,) ||W_i||_F^2 of every layer, >= 0.
    l2              : > 0 in the paper; >= 0 here.
    Returns nats.
    Claim D4.3-loss (Section 4 of arXiv:2606.02608).
    """
    fit = at_least(cross_entropies, "cross_entropies", 0.0, (None,))
    energy = at_least(squares, "squares", 0.0, (None,))
    with np.errstate(over="ignore"):
        return float(representable(fit.mean() + number(l2, "l2", 0.0) * energy.sum(), "loss"))


def remainder(ce_changes: ArrayLike, crosses: ArrayLike, l2: float, theta: float = 0.0) -> float:
    """What is left of the change of the loss when the energy of the noise is set aside: exact, for any split.

        L(alpha_theta) - L(alpha) + l2 (1 - theta^2) sum_j ||R_j||_F^2  =  sum_j (Delta_j CE - 2 l2 (1 - theta) <S_j, R_j>_F)

    ce_changes : (M,) change of the mean cross-entropy at step j, where S_j + R_j becomes S_j + theta R_j after the steps
                 before it; one step for a single layer. Any sample list, growing ones included.
    crosses    : (M,) <S_j, R_j>_F.
    l2         : >= 0.
    theta      : in [0, 1]; 0 is full removal.
    Returns nats, of either sign; the paper shows that it tends to 0 in probability.
    Claim T4.5-loss-reduction (Theorem 4.5 of arXiv:2606.02608), T4.6-telescoping, ESM1-C2.1-growing-set,
    ESM1-C2.2-scaled-loss.
    """
    changes = finite(ce_changes, "ce_changes", (None,))
    cross = finite(crosses, "crosses", changes.shape)
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return float(representable(np.sum(changes - 2.0 * number(l2, "l2", 0.0) * share * cross), "remainder"))


def remainder_upper(radii: ArrayLike, cross: float, l2: float, theta: float = 0.0) -> float:
    """Largest size of the remainder on the data-path event, for every theta at once.

        |remainder| <= (1 - theta) ((2 / |T|) sum_s tau_s + 2 l2 eta),   eta >= |<S, R>_F|

    The event {L_s ||R v_s||_inf <= tau_s for all s} does not mention theta; the event that the end-point logits are within
    tau_s, which the published proof uses, does not control the path (F8).
    radii : (T,) tau_s >= 0, logit units: `scale`, `removal_radius` or `confidence_radius`.
    cross : eta >= 0, squared weight units.
    l2    : >= 0.
    theta : in [0, 1].
    Returns nats. Equality where R reaches no sample and <S, R> = -eta.
    Claim ESM1-C2.3-finiteN-path (Corollary 2.3 of Online Resource 1 of arXiv:2606.02608, event by F8),
    ESM1-T3.18-loss-reduction, ESM1-C3.19-scaled.
    """
    share = 1.0 - number(theta, "theta", 0.0, 1.0)
    drift = 2.0 * number(l2, "l2", 0.0) * number(cross, "cross", 0.0)
    return float(representable(share * (ce_change_upper(radii) + drift), "bound on the remainder"))


def ce_change_upper(radii: ArrayLike) -> float:
    """Largest change of the mean cross-entropy when the logits of sample s stay within tau_s.

        |Delta CE| <= (2 / |T|) sum_s tau_s;   (4 sqrt(2) / |T|) sum_s a(N, s) for tau = `removal_radius`

    radii : (T,) tau_s >= 0, logit units.
    Returns nats. Holds for every N >= 1.
    Claim ESM1-L3.15-ce-perturb (Lemma 3.15 of Online Resource 1 of arXiv:2606.02608).
    """
    with np.errstate(over="ignore"):
        return float(representable(2.0 * np.mean(at_least(radii, "radii", 0.0, (None,))), "change of the cross-entropy"))


def accuracy_change_upper(margins: ArrayLike, radii: ArrayLike) -> float:
    """Largest change of the accuracy when the logits of sample s stay within tau_s.

        |acc(S) - acc(W)| <= #{s: |delta X(s)| <= 2 tau_s} / |T|;   0 when every margin is larger

    margins : (T,) `true_margin` of the dense network, its last activation included: ties at 0 are generic after a ReLU.
    radii   : (T,) tau_s >= 0, logit units.
    Returns a share in [0, 1]. `accuracy_change_interval` is never wider.
    Claim ESM1-C3.14-margin-accuracy (Corollary 3.14 of Online Resource 1 of arXiv:2606.02608).
    """
    return float(np.mean(may_change_published(margins, radii)))


def scale(lipschitz: ArrayLike, norms: ArrayLike, d1: float) -> Array:
    """Largest logit change of each sample on the data-path event.

        a_s = L_s J(v_s) d1;   ||R v_s||_inf <= d1 J(v_s)  implies  ||z_S(s) - z_W(s)||_inf <= a_s

    lipschitz : (T,) L_s >= 0 on the segment {(S + theta R) v_s}; it may depend on R (F5).
    norms     : (T,) J(v_s) >= 0, ||v_s||_2 for Gaussian noise.
    d1        : d1(N) >= 0, `gaussian_scale` for Gaussian noise.
    Returns (T,) logit units. Attained by the identity after the layer.
    Claim D4.3-scale (Definition 4.3 of arXiv:2606.02608), L4.4-remove-R.
    """
    constants = at_least(lipschitz, "lipschitz", 0.0, (None,))
    sizes = at_least(norms, "norms", 0.0, constants.shape)
    with np.errstate(over="ignore"):
        return representable(constants * sizes * number(d1, "d1", 0.0), "scale")


def gaussian_scale(rows: int, constant: float = PUBLISHED) -> float:
    """d1 of Gaussian noise: ||R v||_inf <= d1 ||v||_2 but for `gaussian_failure`, R iid N(0, 1 / rows).

        d1 = constant sqrt(log(2 rows) / rows)

    rows     : N >= 1.
    constant : 2 sqrt(2) as published; 2 suffices for a failure below 1 / rows.
    Returns a number > 0 that tends to 0.
    Claim A4.2-perturbative (Assumption 4.2 of arXiv:2606.02608), E4.2-gauss, ESM1-E2.5-gauss-constant.
    """
    n = whole(rows, "rows", 1)
    return number(constant, "constant", 0.0) * math.sqrt(math.log(2.0 * n) / n)


def gaussian_failure(rows: int, constant: float = PUBLISHED) -> float:
    """Exact probability that Gaussian noise leaves the data-path event at one input.

        P(||R v||_inf > d1 ||v||_2) = 1 - erf(constant sqrt(log(2 rows) / 2))^rows  <=  (2 rows)^(1 - constant^2 / 2)

    for every v != 0, R iid N(0, 1 / rows) independent of v. The right side is 1 / (8 rows^3) at the published 2 sqrt(2) and
    1 / (2 rows) at 2; the paper states 1 / rows for the former (F14).
    rows     : N >= 1.
    constant : of `gaussian_scale`, >= 0.
    Returns a probability, accurate when small.
    Claim E4.2-gauss (the example after Assumption 4.2 of arXiv:2606.02608), ESM1-E2.5-gauss-constant, F14.
    """
    n = whole(rows, "rows", 1)
    missed = float(erfc(number(constant, "constant", 0.0) * math.sqrt(math.log(2.0 * n) / 2.0)))
    return 1.0 if missed >= 1.0 else -math.expm1(n * math.log1p(-missed))


def cross_variance(kept: ArrayLike, g: float) -> float:
    """Variance of the cross term under Gaussian noise.

        <S, R>_F given S is N(0, g ||S||_F^2 / rows),   R iid N(0, g / rows) independent of S

    kept : (rows, cols) S.
    g    : rows times the variance of one entry of R, >= 0; the paper has g <= 1.
    Returns the variance. Tends to 0 when ||S||_F = o(sqrt(rows)).
    Claim ESM1-A3.6-sub-root-N (Assumption 3.6 of Online Resource 1 of arXiv:2606.02608), ESM1-A3.3-gauss-decomp.
    """
    return number(g, "g", 0.0) / np.shape(kept)[0] * frobenius_squared(kept)


def cross_failure(eta: float, variance: float) -> float:
    """Probability that the cross term exceeds eta, exactly.

        P(|<S, R>_F| > eta) = erfc(eta / sqrt(2 variance))  <=  2 exp(-eta^2 / (2 variance))

    The paper states 2 exp(-N eta^2 / (2 B_N^2)) for ||S||_F <= B_N, g <= 1.
    eta      : >= 0.
    variance : `cross_variance`, >= 0; at 0 the cross term is 0 and the probability 0, eta = 0 included.
    Returns a probability.
    Claim ESM1-A3.6-sub-root-N (Assumption 3.6 of Online Resource 1 of arXiv:2606.02608).
    """
    size, spread = number(eta, "eta", 0.0), number(variance, "variance", 0.0)
    return float(erfc(size / math.sqrt(2.0 * spread))) if spread else 0.0


def expected_energy(cols: int, g: float) -> float:
    """Mean energy of Gaussian noise, with which its reward grows; its budget does not know l2.

        E ||R||_F^2 = g cols,   rows ||R||_F^2 / g ~ chi^2 with rows cols degrees of freedom,   R iid N(0, g / rows)

    cols : of R, >= 1.
    g    : rows times the variance of one entry, >= 0.
    Returns squared weight units. At fixed l2 the reward l2 g cols passes log K, the most that any point no worse than zero
    can hold (X25): noise of a Marchenko–Pastur bulk is excluded by energy alone.
    Claim ESM1-R2.7-reg-scaling (Remark 2.7 of Online Resource 1 of arXiv:2606.02608).
    """
    return number(g, "g", 0.0) * whole(cols, "cols", 1)


def union_level(count: int, failure: float, cross: float = 0.0) -> float:
    """Probability with which a statement about several samples and a cross term may fail.

        min(1, count d2 + P(|<S, R>_F| > eta))

    count   : |T| >= 1 samples, each with its own event.
    failure : d2, failure probability of one event, in [0, 1].
    cross   : `cross_failure`, in [0, 1].
    Returns a probability. Vacuous at 1. Needs no independence between the events (F31).
    Claim ESM1-C2.3-finiteN-path (Corollary 2.3 of Online Resource 1 of arXiv:2606.02608), ESM1-T3.18-loss-reduction, F31.
    """
    single = number(failure, "failure", 0.0, 1.0)
    return min(1.0, whole(count, "count", 1) * single + number(cross, "cross", 0.0, 1.0))


def path_distance(now: Decomposition, limit: Decomposition) -> float:
    """How far a decomposition is from its limit along training.

        ||S(t) - S*||_F + ||R(t) - R*||_F  >=  | ||R(t)||_F - ||R*||_F |

    now, limit : decompositions of one layer at two times.
    Returns weight units; local-path convergence is that it tends to 0 in probability at each fixed width.
    Claim ESM1-D3.12-local-path (Definition 3.12 of Online Resource 1 of arXiv:2606.02608).
    """
    if now.kept.shape != limit.kept.shape:
        raise Refused(f"now, limit: shapes {now.kept.shape} and {limit.kept.shape}; one layer is expected")
    with np.errstate(over="ignore"):
        moved = np.stack([np.ravel(now.kept - limit.kept), np.ravel(now.removed - limit.removed)])
        return float(representable(_row_norms(representable(moved, "difference")).sum(), "distance"))


def threshold_interval(below: float, above: float, apart: float) -> tuple[float, float]:
    """What closeness of two random variables says about a threshold when the limit may have an atom there.

        P(X <= c - h) - pi <= P(X_t <= c) <= P(X <= c + h) + pi,   pi = P(|X_t - X| > h)

    As X_t -> X in probability the ends tend to P(X < c) and P(X <= c): a limit without an atom at c, liminf and limsup
    otherwise.
    below, above : P(X <= c - h) and P(X <= c + h).
    apart        : pi.
    Returns (lower, upper) within [0, 1].
    Claim ESM1-R2.8b-no-atom (Remark 2.8 of Online Resource 1 of arXiv:2606.02608), F20.
    """
    low, high = number(below, "below", 0.0, 1.0), number(above, "above", 0.0, 1.0)
    if low > high:
        raise Refused(f"below, above: {low} > {high}; a distribution function does not fall")
    share = number(apart, "apart", 0.0, 1.0)
    return max(0.0, low - share), min(1.0, high + share)


def excess(values: ArrayLike, bounds: ArrayLike, slack: float = 0.0) -> Array:
    """By how much values exceed bounds that are relaxed by a slack.

        (x - y - eta)_+,   (x - y)_+ <= (x - y - eta)_+ + eta,   {x - y > d} lies in {x - y - d/2 > d/2}

    so that an excess which tends to 0 in probability for every fixed eta > 0 does so for eta = 0.
    values, bounds : arrays of one shape.
    slack          : eta >= 0.
    Returns an array of that shape, >= 0.
    Claim ESM1-L4.1-slack (Lemma 4.1 of Online Resource 1 of arXiv:2606.02608, used by no proof there).
    """
    x = finite(values, "values")
    y = finite(bounds, "bounds", x.shape)
    with np.errstate(over="ignore"):
        return representable(np.maximum(x - y - number(slack, "slack", 0.0), 0.0), "excess")


def singular_distribution(matrix: ArrayLike, points: ArrayLike) -> Array:
    """Empirical distribution of the singular values, zeros included.

        nu_G((-inf, x]) = #{i: s_i(G) <= x} / min(rows, cols)

    matrix : (rows, cols) G. Its transpose has the same distribution.
    points : (P,) x.
    Returns (P,) shares in [0, 1]; a singular value within rounding of a point may fall on either side.
    Claim D2.1-esd (Definition 2.1 of arXiv:2606.02608).
    """
    values = np.linalg.svd(finite(matrix, "matrix", (None, None)), compute_uv=False)
    return np.searchsorted(np.sort(values), finite(points, "points", (None,)), side="right") / values.size


def gram_distribution(matrix: ArrayLike, points: ArrayLike) -> Array:
    """Empirical distribution of the eigenvalues of G^T G.

        mu((-inf, x]) = #{i: lambda_i(G^T G) <= x} / cols,   an atom at 0 of mass >= (1 - rows / cols)_+

    matrix : (rows, cols) G.
    points : (P,) x. The zeros that the shape forces count as exactly 0.
    Returns (P,) shares in [0, 1]: on [0, inf) the push-forward of `singular_distribution` under squaring, with cols - rows
    zeros added when cols > rows.
    Claim D2.1-esd (Definition 2.1 of arXiv:2606.02608).
    """
    g = finite(matrix, "matrix", (None, None))
    values = np.linalg.svd(g, compute_uv=False)
    with np.errstate(over="ignore"):
        squares = representable(values**2, "eigenvalues")
    padded = np.sort(np.concatenate([squares, np.zeros(max(g.shape[1] - g.shape[0], 0))]))
    return np.searchsorted(padded, finite(points, "points", (None,)), side="right") / g.shape[1]


def assumptions(id: str) -> tuple[str, ...]:
    """Which assumptions and suppositions a statement of the framework uses.

    id : of a claim of this framework, e.g. "ESM1-T3.18-loss-reduction".
    Returns the IDs of the assumptions, in the order of the paper. The map of Remark 3.29 is reconstructed from the
    hypotheses of each statement.
    Claim ESM1-R3.29-assumption-map (Remark 3.29 of Online Resource 1 of arXiv:2606.02608).
    """
    for entry in CLAIMS:
        if entry.id == id:
            return tuple(name for name in entry.depends_on if name.startswith(("A4.", "SUP-", "ESM1-A3.", "ESM1-D3.")))
    raise Refused(f"{id}: not a claim of the additive framework; certify.theory.claims.additive lists them")
