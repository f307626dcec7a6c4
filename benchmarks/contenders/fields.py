"""What the peers decode and add up: the fields and the measures of variant A, in floats, as their users have them."""

import msgspec

Candle = list[float]

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
    price, quantity = float(trade.p), float(trade.q)
    quote = price * quantity
    if not candle:
        candle += [price, price, price, price, 0.0, 0.0, 0, 0.0, 0.0]
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
