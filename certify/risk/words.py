"""How limits are told: a sentence must not promise more than was shown."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext


def confidence(delta: float) -> str:
    """1 - delta, every digit of it."""
    return str(1 - Decimal(repr(delta)))


def percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def percent_up(limit: float) -> str:
    """A limit in per cent, rounded up at the third significant digit."""
    with localcontext(prec=3, rounding=ROUND_CEILING):
        return f"{float(+(100 * Decimal(limit))):g} %"
