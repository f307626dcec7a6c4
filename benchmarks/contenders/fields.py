"""Decode and sum the fields of a trade for the peers, with the measures of variant A.

The numbers are floats, as is usual for the peers, or exact decimals (BENCH_EXACT=1), as in variant A.
"""

import os
from decimal import Decimal

import msgspec

Number = Decimal if os.environ.get("BENCH_EXACT") == "1" else float
Candle = list[Decimal] | list[float]

# All contenders fetch with this setting. By default librdkafka pauses for a second when its queue is full, and the
# pause dominates the measurement: 170,000 records/s instead of a million.
FETCH = {"fetch.queue.backoff.ms": "10"}


class Trade(msgspec.Struct, gc=False):
    """A trade in the format of the exchange's stream."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


def add(candle: Candle, trade: Trade) -> Candle:
    """Add a trade to [open, high, low, close, volume, quote, count, taker volume, taker quote] or an empty list."""
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
