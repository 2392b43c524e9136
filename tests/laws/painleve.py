"""The Hastings–McLeod solution of Painleve II at 50 digits: an independent road to all three Tracy–Widom laws.

    q'' = s q + 2 q^3,  q ~ Ai at infinity;   U = int_s^inf q,   V = int_s^inf (x - s) q^2,   W = -V' = int_s^inf q^2
    F_1 = e^(-(U + V)/2),   F_2 = e^(-V),   F_4(s / sqrt 2) = e^(-V/2) cosh(U/2)

Taylor series of order 40 in steps of 1/8 from s = 16, where q and Ai differ by 1e-38 relative.
"""

import mpmath as mp


def hastings_mcleod(places):
    """{s: (q, U, V, W)} for decreasing binary fractions s below 16."""
    with mp.workdps(50):
        return _integrate(sorted(places, reverse=True))


def _integrate(places, order=40):
    s = mp.mpf(16)
    q, slope = mp.airyai(s), mp.airyai(s, derivative=1)
    w = slope**2 - s * q**2
    v = (2 * s**2 * q**2 - 2 * s * slope**2 - q * slope) / 3
    u = mp.quad(mp.airyai, [s, s + 2, s + 6, s + 20, s + 40])
    found, left = {}, list(places)
    while left:
        if s == left[0]:
            found[left.pop(0)] = (q, u, v, w)
            continue
        step = max(-mp.mpf(1) / 8, mp.mpf(left[0]) - s)
        c, square = [q, slope], []
        for k in range(order):
            square.append(mp.fsum(c[i] * c[k - i] for i in range(k + 1)))
            cube = mp.fsum(square[i] * c[k - i] for i in range(k + 1))
            c.append((s * c[k] + (c[k - 1] if k else 0) + 2 * cube) / ((k + 1) * (k + 2)))
        w_series = [w] + [-square[k] / (k + 1) for k in range(order)]
        v_series = [v] + [-w_series[k] / (k + 1) for k in range(order)]
        u_series = [u] + [-c[k] / (k + 1) for k in range(order)]
        slopes = [(k + 1) * c[k + 1] for k in range(order)]
        q, slope, u, v, w = (mp.polyval(series[::-1], step) for series in (c, slopes, u_series, v_series, w_series))
        s += step
    return found


def laws(values):
    """{beta: (F, 1 - F, F')} at s, for beta = 4 at s / sqrt 2."""
    q, u, v, w = values
    with mp.workdps(50):
        one, two, root = mp.exp(-(u + v) / 2), mp.exp(-v), mp.exp(-v / 2)
        four = root * mp.cosh(u / 2)
        density = root * (w * mp.cosh(u / 2) - q * mp.sinh(u / 2)) / mp.sqrt(2)
        return {
            1: (one, -mp.expm1(-(u + v) / 2), one * (q + w) / 2),
            2: (two, -mp.expm1(-v), two * w),
            4: (four, 1 - four, density),
        }
