"""What the peers decode and add up: the fields and the measures of variant A.

In floats, as most of their users have them, or exactly (BENCH_EXACT=1), as variant A does.
"""

import os
from decimal import Decimal

import msgspec

Number = Decimal if os.environ.get("BENCH_EXACT") == "1" else float
Candle = list[Decimal] | list[float]

# All contenders fetch alike. By default librdkafka pauses for a second when its queue is full, and that pause is then
# all that is measured: 170,000 records/s instead of a million.
FETCH = {"fetch.queue.backoff.ms": "10"}


class Trade(msgspec.Struct, gc=False):
    """One trade."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


def add(candle: Candle, trade: Trade) -> Candle:
    """Add a trade to [open, high, low, close, volume, quote, count, taker volume, taker quote]; empty at first."""
    price, quantity = Number(trade.p), Number(trade.q)
    quote = price * quantity
    if not candle:
        zero = Number(0)
        candle += [price, price, price, price, zero, zero, 0, zero, zero]
    candle[1] = max(candle[1], price)
    candle[2] = min(candle[2], price)
    candle[3] = price
    candle[4] += quantity
    candle[5] += quote
    candle[6] += 1
    if not trade.m:
        candle[7] += quantity
        candle[8] += quote
    return candle
