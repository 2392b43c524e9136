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
    return f"{_up(100 * Decimal(limit)):g} %"


def nats_up(limit: float) -> str:
    """A limit in nats, rounded up at the third significant digit."""
    return f"{_up(Decimal(limit)):g} nats"


def _up(value: Decimal) -> float:
    with localcontext(prec=3, rounding=ROUND_CEILING):
        return float(+value)
