"""SYM-25 to SYM-29: the extremal formulas of effective-number pruning. The laws of independent scores are in `score_laws`.

On the edge [zeta_k, zeta_1], x = 1/k, shares of concentration c have g(x) = K x + (1 - K x) h, h^2 = (c - x)/(1 - x).
"""

from __future__ import annotations

import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero


def _on_edge(kept, k, c):
    return kept / k + (1 - kept / k) * sp.sqrt((k * c - 1) / (k - 1))


def edges_of_the_simplex() -> str:
    """(1 - t) zeta_k + t zeta_j, j <= K < k: squared norm 1/k + t^2 (1/j - 1/k), K largest K/k + (1 - K/k) t; N = 6."""
    t, kept, k, c = sp.symbols("t K k c", positive=True)
    rests = []
    for low, middle, high in ((1, 2, 5), (2, 3, 6), (1, 1, 4)):
        far, near, share = sp.Rational(1, high), sp.Rational(1, low), sp.Rational(middle, high)
        point = [(1 - t) * (far if i < high else 0) + t * (near if i < low else 0) for i in range(6)]
        rests.append(sp.expand(sum(x**2 for x in point) - (far + t**2 * (near - far))))
        rests.append(sp.expand(sum(point[:middle]) - (share + (1 - share) * t)))
    inside = sp.simplify((c - 1 / k) / (1 - 1 / k) - (k * c - 1) / (k - 1))
    return zero(*rests, inside, _on_edge(kept, k, sp.Integer(1)) - 1)


def concave_edge() -> str:
    """With y^2 = (k c - 1)/(k - 1): K/k + (1 - K/k) y = y + K (c - y^2)/(1 + y), of curvature 2 K (c - 1)/(1 + y)^3 <= 0."""
    y, kept, c = sp.symbols("y K c", positive=True)
    share = (c - y**2) / (1 - y**2)  # 1/k
    held = y + kept * (c - y**2) / (1 + y)
    return zero(kept * share + (1 - kept * share) * y - held, sp.diff(held, y, 2) - 2 * kept * (c - 1) / (1 + y) ** 3)


def last_edge() -> str:
    """At k = j + 1, [zeta_k, zeta_1] is above [zeta_k, zeta_j] by (1 - 2 K/k) sqrt((k c - 1)/(k - 1)), so for k >= 2 K."""
    kept, j, c = sp.symbols("K j c", positive=True)
    k = j + 1
    root = sp.symbols("root", positive=True)  # (k c - 1)/(k - 1)
    inside = sp.simplify((c - 1 / k) / (j * k) - (k * c - 1) / (k - 1) / k**2)
    first, second = kept / k + (1 - kept / k) * root, kept / k + kept / k * root
    return zero(inside, first - second - (1 - 2 * kept / k) * root)


def convexity() -> str:
    """(i) 4 h^3 (1 - x)^4 g''/(1 - c) = 4 (K - 1)(c - x) - (1 - K x)(1 - c), with a slope in x below 0."""
    x, c, kept = sp.symbols("x c K", positive=True)
    h = sp.sqrt((c - x) / (1 - x))
    held = kept * x + (1 - kept * x) * h
    kappa = 4 * (kept - 1) * (c - x) - (1 - kept * x) * (1 - c)
    rest = sp.simplify(4 * h**3 * (1 - x) ** 4 * sp.diff(held, x, 2) / (1 - c) - kappa)
    z3 = prover()
    k, level = z3.Reals("K c")
    sign = unsatisfiable([k >= 2, level > 0, level <= 1], -4 * (k - 1) + k * (1 - level) < 0)
    return zero(rest, sp.diff(kappa, x) - (-4 * (kept - 1) + kept * (1 - c))) or sign


def slope_at_zero() -> str:
    """(ii) g'(0) = (1 - sqrt c)(K - (1 + sqrt c)/(2 sqrt c)) >= 0 for c >= 1/(K + 1), K >= 2."""
    x, s, kept = sp.symbols("x s K", positive=True)  # s = sqrt c
    held = kept * x + (1 - kept * x) * sp.sqrt((s**2 - x) / (1 - x))
    stated = (1 - s) * (kept - (1 + s) / (2 * s))
    z3 = prover()
    k, root = z3.Reals("K s")
    sign = unsatisfiable([k >= 2, root > 0, root <= 1, root * root * (k + 1) >= 1], 2 * root * k >= 1 + root)
    return (
        zero(sp.diff(held, x).subs(x, 0) - stated, sp.expand((2 * kept - 1) ** 2 - (kept + 1) - (4 * kept**2 - 5 * kept))) or sign
    )


def difference() -> str:
    """(iii) Delta(c) = g_K(K + 1) - g_K(K + 2): its value at 1/(K + 1) and at 1, and the sign of its slope."""
    kept, c = sp.symbols("K c", positive=True)
    delta = _on_edge(kept, kept + 1, c) - _on_edge(kept, kept + 2, c)
    one, two = ((kept + 1) * c - 1) / kept, ((kept + 2) * c - 1) / (kept + 1)
    slope = 1 / (2 * kept * sp.sqrt(one)) - 1 / ((kept + 1) * sp.sqrt(two))
    turn = (3 * kept - 1) / ((kept + 1) * (3 * kept - 2))
    squares = (kept + 1) ** 2 * two - 4 * kept**2 * one
    at_least = delta.subs(c, 1 / (kept + 1)) - (kept - 2) / ((kept + 1) * (kept + 2))
    return zero(
        sp.simplify(at_least),
        delta.subs(c, 1),
        sp.simplify(sp.diff(delta, c) - slope),
        sp.simplify(squares - (kept + 1) * (3 * kept - 2) * (turn - c)),
    )


def never_lower() -> str:
    """SYM-25: k (k + 1)(g_K(k) - g_K(k + 1)) = K + (k - K)(k + 1) r - (k + 1 - K) q, r = sqrt((k c - 1)/(k - 1)), q^2 = 1 +
    (k^2 - 1) r^2. As q is convex in r, q <= 1 + (k - 1) r, so it is at least (2 K - 1 - k)(1 - r), >= 0 for k <= 2 K - 1.
    """
    kept, k, r, q = sp.symbols("K k r q", positive=True)
    c = ((k - 1) * r**2 + 1) / k
    next_root = ((k + 1) * c - 1) / k - (1 + (k**2 - 1) * r**2) / k**2
    first = kept / k + (1 - kept / k) * r
    second = kept / (k + 1) + (1 - kept / (k + 1)) * q / k
    stated = kept + (k - kept) * (k + 1) * r - (k + 1 - kept) * q
    chord = sp.expand(stated.subs(q, 1 + (k - 1) * r) - (2 * kept - 1 - k) * (1 - r))
    z3 = prover()
    size, share, root = z3.Reals("k r q")
    hypotheses = [size >= 1, share >= 0, share <= 1, root >= 0, root * root == 1 + (size * size - 1) * share * share]
    return zero(
        sp.simplify((k * c - 1) / (k - 1) - r**2),
        sp.simplify(next_root),
        sp.expand(k * (k + 1) * (first - second) - stated),
        chord,
    ) or unsatisfiable(hypotheses, root <= 1 + (size - 1) * share)


def single() -> str:
    """SYM-26: K = 1: g' = 1 - ((1 - x) + (c - x))/(2 sqrt((1 - x)(c - x))) <= 0 by AM-GM, and g(1/2) = (1 + sqrt(2 c - 1))/2."""
    x, c = sp.symbols("x c", positive=True)
    y, gap = sp.symbols("y d", positive=True)  # c - x = y, 1 - c = gap
    held = x + (1 - x) * sp.sqrt((c - x) / (1 - x))
    plain = x + sp.sqrt((1 - x) * (c - x))
    slope = 1 - ((1 - x) + (c - x)) / (2 * sp.sqrt((1 - x) * (c - x)))
    place = {x: 1 - gap - y, c: 1 - gap}
    z3 = prover()
    one, two, root = z3.Reals("a b root")
    means = unsatisfiable([one > 0, two > 0, root > 0, root * root == one * two], one + two >= 2 * root)
    return (
        zero(
            sp.simplify((held - plain).subs(place, simultaneous=True)),
            sp.simplify((sp.diff(plain, x) - slope).subs(place, simultaneous=True)),
            sp.simplify(plain.subs(x, sp.Rational(1, 2)) - (1 + sp.sqrt(2 * c - 1)) / 2),
        )
        or means
    )


def attained() -> str:
    """(1 - t) zeta_N + t e_1, (a, 1 - a, 0, ..) and [zeta_K, zeta_N] have concentration c and the stated masses."""
    n, kept, c, t = sp.symbols("N K c t", positive=True)
    least = sp.sqrt((n * c - 1) / (n - 1))
    norm = 1 / n + least**2 * (1 - 1 / n)
    single_mass = (1 + sp.sqrt(2 * c - 1)) / 2
    phi = kept / n + sp.sqrt((c - 1 / n) * kept * (n - kept) / n)
    square = phi**2 / kept + (1 - phi) ** 2 / (n - kept)
    top, mass = 1 / n + t**2 * (1 / kept - 1 / n), kept / n + (1 - kept / n) * t
    return zero(
        sp.simplify(norm - c),
        sp.simplify(single_mass**2 + (1 - single_mass) ** 2 - c),
        sp.simplify(square - c),
        sp.expand(sp.simplify((mass - kept / n) ** 2 * n / (kept * (n - kept)) - (top - 1 / n))),
    )


def largest() -> str:
    """Theorem 3: phi^2/K + (1 - phi)^2/(N - K) = 1/N + (phi - K/N)^2 N/(K (N - K)), at most c by Cauchy-Schwarz."""
    n, kept, phi = sp.symbols("N K phi", positive=True)
    left = phi**2 / kept + (1 - phi) ** 2 / (n - kept)
    right = 1 / n + (phi - kept / n) ** 2 * n / (kept * (n - kept))
    pairs = []
    for count in (2, 3, 4):
        a = sp.symbols(f"a0:{count}", real=True)
        rest = sum((a[i] - a[j]) ** 2 for i in range(count) for j in range(i))
        pairs.append(sp.expand(count * sum(x**2 for x in a) - sum(a) ** 2 - rest))
    return zero(sp.simplify(left - right), *pairs)


def cells() -> str:
    """Corollary 5 is Theorem 2 at c = 1/(nu + 1); 1/sqrt(nu + 1) far out; the tie at nu = 2, N = 4; (P1) at nu = 1."""
    n, nu = sp.symbols("N nu", positive=True)
    cell = nu / n + (1 - nu / n) * sp.sqrt((n - nu - 1) / ((nu + 1) * (n - 1)))
    published = 1 - (n - 1) / n * (1 - sp.sqrt((n - 2) / (2 * (n - 1))))
    inside = sp.simplify((n / (nu + 1) - 1) / (n - 1) - (n - nu - 1) / ((nu + 1) * (n - 1)))
    two_thirds = sp.Rational(2, 3)
    rests = [
        inside,
        sp.limit(cell.subs(nu, 3), n, sp.oo) - sp.Rational(1, 2),
        cell.subs({nu: 2, n: 4}) - two_thirds,
        (1 + sp.sqrt(2 * sp.Rational(1, 2) - 1)) / 2 - sp.Rational(1, 2),
        published.subs(n, 3) - two_thirds,
        sp.limit(published, n, sp.oo) - 1 / sp.sqrt(2),
    ]
    shares = [sp.Rational(51, 100), sp.Rational(49, 100)]
    number = 1 / sum(x**2 for x in shares)
    fails = 1 < number < 2 and shares[0] < two_thirds
    return zero(*rests) or ("" if fails else f"the counterexample has D = {number}")


CHECKS = (
    Check("SYM-27a", "sympy", "concentration and mass along an edge", ("EMP-T1",), edges_of_the_simplex),
    Check("SYM-27b", "sympy", "the mass on [zeta_k, zeta_1] is concave in its root", ("EMP-X1",), concave_edge),
    Check("SYM-27c", "sympy", "[zeta_k, zeta_1] above [zeta_k, zeta_(k-1)] iff k >= 2 K", ("EMP-X1", "EMP-T1"), last_edge),
    Check("SYM-28a", "sympy", "(i) the sign of g'': convex, then concave", ("EMP-T2",), convexity),
    Check("SYM-28b", "sympy", "(ii) g'(0) >= 0", ("EMP-T2",), slope_at_zero),
    Check("SYM-28c", "sympy", "(iii) Delta(1/(K + 1)), Delta(1), the turn of Delta", ("EMP-T2",), difference),
    Check("SYM-25", "sympy", "g_K(k) >= g_K(k + 1) for k <= 2 K - 1", ("EMP-T2", "EMP-X1"), never_lower),
    Check("SYM-26", "sympy", "K = 1: g falls", ("EMP-T2", "EMP-X1"), single),
    Check("SYM-29a", "sympy", "the extremal shares have concentration c", ("EMP-X1", "EMP-T2", "EMP-T3"), attained),
    Check("SYM-29b", "sympy", "Theorem 3 by Cauchy-Schwarz on both blocks", ("EMP-T3",), largest),
    Check("SYM-29c", "sympy", "cells, their limit and tie; (P1) at nu = 1", ("EMP-C5", "EMP-P1"), cells),
)
