"""Cross-entropy and softmax inequalities on boxes. Lambda_p(x) = log(p + (1 - p) e^x)."""

from __future__ import annotations

from fractions import Fraction

from proofs_check.ball.arithmetic import partial
from proofs_check.ball.engine import every, positive
from proofs_check.checks import Check, Finding

SMALL = Fraction(1, 64)
PROBABILITY = (0, 1)
INSIDE = (SMALL, 1 - SMALL)


def cumulant(a, p, x):
    return a.log(p + (1 - p) * a.exp(x))


def slope(a, p, x):
    """d Lambda / dx, the share of the others after the move."""
    return partial(a, cumulant, (p, x), 1)


def chain() -> Finding:
    """0 <= -Lambda(-x) <= Lambda(x) < x.

    At x = 0 all are 0. There the slopes decide: Lambda' lies in (0, 1), and (Lambda(x) + Lambda(-x))'' > 0 with slope 0 at 0.
    For x > 32 the first two slopes serve as well, and Lambda'(x) >= Lambda'(-x) since Lambda' increases. At p = 0 and
    p = 1 the terms are x, x, x and 0, 0, 0.
    """
    box = {"p": INSIDE, "x": (SMALL, 32)}
    near = {"p": INSIDE, "x": (-SMALL, SMALL)}
    return every(
        positive(lambda a, p, x: -cumulant(a, p, -x), box),
        positive(lambda a, p, x: cumulant(a, p, x) + cumulant(a, p, -x), box),
        positive(lambda a, p, x: x - cumulant(a, p, x), box),
        positive(slope, near),
        positive(lambda a, p, x: 1 - slope(a, p, x), near),
        positive(lambda a, p, x: partial(a, slope, (p, x), 1), near),
    )


def hoeffding() -> Finding:
    """Lambda_p(x) <= (1 - p) x + x^2 / 8.

    For x < 1/4 the second derivative of the gap is (Lambda' - 1/2)^2 (SYM-03), a square, and the gap and its slope vanish at
    x = 0. For x > 16 the gap is at least x^2/8 - x > 0, because Lambda_p(x) <= x.
    """
    return positive(
        lambda a, p, x: (1 - p) * x + a.square(x) / 8 - cumulant(a, p, x),
        {"p": PROBABILITY, "x": (Fraction(1, 4), 16)},
    )


def concave() -> Finding:
    """d^2 Lambda / dp^2 < 0 for x > 0; Lambda is constant in p at x = 0."""

    def curvature(a, p, x):
        return partial(a, lambda b, q, y: partial(b, cumulant, (q, y), 0), (p, x), 0)

    return positive(lambda a, p, x: -curvature(a, p, x), {"p": PROBABILITY, "x": (SMALL, 8)})


def _gained(a, w, mass):
    """What a set of classes of this mass gains when its logits rise by E and the others fall by E, w = e^E."""
    return mass * a.square(w) / (mass * a.square(w) + 1 - mass) - mass


def _tanh_half(a, move):
    return 1 - 2 / (1 + a.exp(move))


def softmax_variation() -> Finding:
    """TV(softmax(z), softmax(z + d)) <= tanh(E/2) for max |d| <= E.

    TV is the largest gain p'(A) - p(A) of a set A of classes, which increases in the moves of A and decreases in the others:
    it is largest at d = E on A and -E off it, where it depends on the mass of A alone. The bound is attained on the curve
    mass (1 + e^E) = 1; nearer to it than an eighth, for E < 1/8 and for E > 3, SYM-22 writes the gap as a square.
    """
    move = (Fraction(1, 8), 3)
    eighth = Fraction(1, 8)

    def below(a, part, e):
        w = a.exp(e)
        return _tanh_half(a, e) - _gained(a, w, part / (1 + w))

    def above(a, part, e):
        w = a.exp(e)
        return _tanh_half(a, e) - _gained(a, w, (1 + part * w) / (1 + w))

    return every(
        positive(below, {"mass (1 + e^E)": (0, 1 - eighth), "E": move}),
        positive(above, {"(mass (1 + e^E) - 1) / e^E": (eighth, 1), "E": move}),
    )


def hyperbolic() -> Finding:
    """cosh(t) <= exp(t^2/2).

    For |t| < 1/4 the second derivative of t^2/2 - log cosh t is tanh^2 t, a square, and the gap and its slope vanish at 0.
    For |t| > 4, cosh t <= e^|t| <= e^(t^2/2).
    """

    def gap(a, t):
        return a.square(t) / 2 - t - a.log((1 + a.exp(-2 * t)) / 2)

    return positive(gap, {"|t|": (Fraction(1, 4), 4)})


CHECKS = (
    Check(
        "BALL-01",
        "flint",
        "0 <= -Lambda_p(-x) <= Lambda_p(x) < x",
        ("X1-ce-sharp", "L5.1-ce-path", "EMP-L9"),
        chain,
    ),
    Check("BALL-02", "flint", "Lambda_p(x) <= (1 - p) x + x^2/8", ("X3-ce-average", "X4-soft-label"), hoeffding),
    Check("BALL-03", "flint", "Lambda_p(x) is concave in p", ("X3-ce-average",), concave),
    Check("BALL-04", "flint", "TV of softmax <= tanh(E/2)", ("PE-softmax-tv",), softmax_variation),
    Check("BALL-05", "flint", "cosh(t) <= exp(t^2/2)", ("EMP-H1", "X21-sign-symmetric", "X22-magnitude-threshold"), hyperbolic),
)
