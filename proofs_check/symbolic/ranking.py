"""SYM-71 to SYM-75: logistic features, selection optimism, and updates of graph Laplacians.

Laplacian identities are decided on general weighted graphs of four nodes, the update for every size by one coefficient.
"""

from __future__ import annotations

import mpmath
import sympy as sp

from proofs_check.checks import Check, prover, unsatisfiable, zero

PAIRS = [(p, q) for p in range(4) for q in range(p + 1, 4)]


def logistic() -> str:
    """F(z) = 4 z (1 - z): 1 - 2 F^t(z) = T_(2^t)(1 - 2 z), of degree 2^t, t = 1..4; each step is 1 - 2 F = T_2(1 - 2 z)."""
    z, y = sp.symbols("z y", real=True)
    iterate, rests = z, []
    for t in range(1, 5):
        iterate = sp.expand(4 * iterate * (1 - iterate))
        rests.append(sp.expand(1 - 2 * iterate - sp.chebyshevt(2**t, 1 - 2 * z)))
        if sp.degree(iterate, z) != 2**t:
            return f"F^{t} has degree {sp.degree(iterate, z)}"
    step = 1 - 2 * (4 * z * (1 - z)) - (2 * (1 - 2 * z) ** 2 - 1)
    doubling = sp.chebyshevt(2, sp.cos(y)) - sp.cos(2 * y)
    return zero(*rests, sp.expand(step), sp.expand_trig(doubling))


def fusion() -> str:
    """T5: sums with weights w >= 0, not all 0, of two strictly increasing features increase strictly; (1, -2) does not."""
    z3 = prover()
    w, rise = [z3.Real(f"w{k}") for k in range(2)], [z3.Real(f"rise{k}") for k in range(2)]
    total = sum(a * b for a, b in zip(w, rise, strict=True))
    hypotheses = [*(x >= 0 for x in w), sum(w) > 0, *(x > 0 for x in rise)]
    signed = unsatisfiable([*(x > 0 for x in rise)], rise[0] - 2 * rise[1] > 0)
    return unsatisfiable(hypotheses, total > 0) or ("" if signed.startswith("negation sat") else "signed weights stand")


def optimism() -> str:
    """2 B e^(-2 n x^2) = delta at x = sqrt(log(2 B/delta)/(2 n)); .072 and .023 for B = 900, delta = .05, n = 1000 and 10000.

    The mean of the largest of 900 normal errors is 3.21 standard deviations: .049 and .016 at accuracy .62.
    """
    b, n, delta = sp.symbols("B n delta", positive=True)
    level = sp.sqrt(sp.log(2 * b / delta) / (2 * n))
    found = zero(2 * b * sp.exp(-2 * n * level**2) - delta)
    with mpmath.workdps(20):

        def above(x):
            return 1 - mpmath.ncdf(x) ** 900

        mean = mpmath.quad(above, [0, 2, 3, 4, 5, 9]) - mpmath.quad(lambda x: mpmath.ncdf(x) ** 900, [-9, -1, 0])
        for count, gap, largest in ((1000, 0.072, 0.049), (10_000, 0.023, 0.016)):
            value = float(level.subs({b: 900, delta: sp.Rational(1, 20), n: count}))
            error = float(mean * mpmath.sqrt(mpmath.mpf("0.62") * mpmath.mpf("0.38") / count))
            if round(value, 3) != gap or round(error, 3) != largest:
                return f"n = {count}: {value}, {error}"
    return found


def _laplacian(weights):
    matrix = sp.zeros(4, 4)
    for (p, q), weight in zip(PAIRS, weights, strict=True):
        matrix[p, p] += weight
        matrix[q, q] += weight
        matrix[p, q] -= weight
        matrix[q, p] -= weight
    return matrix


def _pinv(matrix):
    """The pseudo-inverse of a connected graph's Laplacian: (L + J)^(-1) - J, J the projector on constants."""
    ones = sp.ones(4, 4) / 4
    return (matrix + ones).inv() - ones


def _difference(p, q):
    return sp.Matrix([int(i == p) - int(i == q) for i in range(4)])


def deletion() -> str:
    """(L - w e e^T)^+ = L^+ + w L^+ e e^T L^+ / (1 - w R).

    For every size: L M = M L = P, P e = e, P M = M and M symmetric leave in (L - w e e^T)(M + a M e e^T M) - P one coefficient of
    e (M e)^T, a - w - w a R, which vanishes at a = w/(1 - w R). By hand on four nodes, the last weight general.
    """
    a, w, r = sp.symbols("a w R", positive=True)
    coefficient = (a - w - w * a * r).subs(a, w / (1 - w * r))
    last = sp.symbols("w", positive=True)
    laplacian = _laplacian([2, sp.Rational(1, 2), 1, 3, 1, last])
    inverse, edge = _pinv(laplacian), _difference(*PAIRS[-1])
    resistance = (edge.T * inverse * edge)[0]
    updated = inverse + last * inverse * edge * edge.T * inverse / (1 - last * resistance)
    direct = _pinv(laplacian - last * edge * edge.T)
    return zero(coefficient, *(sp.simplify(entry) for entry in updated - direct))


def foster() -> str:
    """sum w R = n - 1 on a connected graph of four nodes; w R = 1 on every edge of a tree, below 1 on a cycle."""
    weight = sp.symbols("w", positive=True)
    weights = [weight, 2, sp.Rational(1, 3), 1, sp.Rational(5, 2), 3]
    inverse = _pinv(_laplacian(weights))

    def share(pair, of, inverse):
        edge = _difference(*pair)
        return of * (edge.T * inverse * edge)[0]

    total = sum(share(pair, of, inverse) for pair, of in zip(PAIRS, weights, strict=True))
    tree = [weight, 2, 0, 0, 0, 5]  # 0-1, 0-2, 2-3
    branches = _pinv(_laplacian(tree))
    bridges = [share(pair, of, branches) - 1 for pair, of in zip(PAIRS, tree, strict=True) if of != 0]
    cycle = [weight, 0, 1, 1, 0, 1]  # 0-1, 0-3, 1-2, 2-3
    ring = share(PAIRS[0], weight, _pinv(_laplacian(cycle)))
    return zero(sp.simplify(total - 3), *map(sp.simplify, bridges), sp.simplify(ring - 3 * weight / (3 * weight + 1)))


def node_removal() -> str:
    """L' = L[-p, -p] - diag(w_p): the Laplacian without node 3, general weights."""
    weights = sp.symbols("w0:6", positive=True)
    laplacian = _laplacian(weights)
    without = _laplacian([0 if 3 in pair else weight for pair, weight in zip(PAIRS, weights, strict=True)])
    lost = sp.diag(*(-laplacian[i, 3] for i in range(3)))
    return zero(*(laplacian[:3, :3] - lost - without[:3, :3]))


def resistance_ratio() -> str:
    """T2 in the common eigenbasis, three directions: sum y^2 / sum (y^2/l) lies between the least and the largest l.

    There L_in = diag(l) and L_out = 1, so R_out = sum y^2 and R_in = sum y^2/l.
    """
    z3 = prover()
    y, value, inverse = ([z3.Real(f"{name}{i}") for i in range(3)] for name in ("y", "l", "i"))
    low, high, into = z3.Reals("low high R_in")
    pairs = zip(value, inverse, strict=True)
    hypotheses = [low > 0, *(z3.And(low <= ratio, ratio <= high, one * ratio == 1, one > 0) for ratio, one in pairs)]
    out = sum(x * x for x in y)
    hypotheses.append(into == sum(x * x * i for x, i in zip(y, inverse, strict=True)))
    return unsatisfiable(hypotheses, z3.And(low * into <= out, out <= high * into))


def twins() -> str:
    """Equal weights u, v towards the two others: e_p - e_q is an eigenvector, of value d + w, w the twin edge."""
    u, v, w, x = sp.symbols("u v w x", positive=True)
    laplacian = _laplacian([w, u, v, u, v, x])  # 0-1 twins; 0-2, 0-3, 1-2, 1-3; 2-3
    edge = _difference(0, 1)
    return zero(*(laplacian * edge - ((u + v + w) + w) * edge))


def disconnection() -> str:
    """K_6 over two triangles: L_out^+ L_in has {2, 2, 2, 2, 0, 0}; with L_out + eps the top is 6/eps."""
    eps, value = sp.symbols("eps", positive=True), sp.symbols("x")
    complete = 6 * sp.eye(6) - sp.ones(6, 6)
    triangle = 3 * sp.eye(3) - sp.ones(3, 3)
    triangles = sp.diag(triangle, triangle)
    pinv = sp.diag(triangle / 9, triangle / 9)
    penrose = triangles * pinv * triangles - triangles
    spectrum = (pinv * complete).charpoly(value).as_expr() - value**2 * (value - 2) ** 4
    split = sp.Matrix([1, 1, 1, -1, -1, -1])
    top = complete * split - 6 / eps * ((triangles + eps * sp.eye(6)) * split)
    others = complete * sp.Matrix([1, -1, 0, 0, 0, 0]) - 6 / (3 + eps) * (
        (triangles + eps * sp.eye(6)) * sp.Matrix([1, -1, 0, 0, 0, 0])
    )
    return zero(*penrose, sp.expand(spectrum), *map(sp.simplify, top), *map(sp.simplify, others))


CHECKS = (
    Check("SYM-71", "sympy", "1 - 2 F^t = T_(2^t)(1 - 2 z), degree 2^t", ("SEL-T7",), logistic, whole=("SEL-T7",)),
    Check("SYM-78", "z3", "nonnegative weights keep strict increase, signed ones do not", ("SEL-T5",), fusion),
    Check("SYM-72", "sympy", "the level of selection optimism and its numbers", ("SEL-T8",), optimism),
    Check("SYM-73a", "sympy", "the pseudo-inverse after deleting an edge", ("SSD-T10",), deletion),
    Check("SYM-73b", "sympy", "sum w R = n - 1; w R = 1 on bridges", ("SSD-T10",), foster),
    Check("SYM-73c", "sympy", "the Laplacian after removing a node", ("SSD-T10",), node_removal),
    Check("SYM-74", "z3", "resistance ratios lie in the spectrum", ("SSD-T2",), resistance_ratio),
    Check("SYM-75a", "sympy", "twins: eigenvector and value", ("SSD-T6",), twins),
    Check("SYM-75b", "sympy", "a complete graph over two triangles", ("SSD-T9",), disconnection),
)
