"""Compute klines with decimals in a plain loop, independently of the code that clients compute candles with.

As on the exchange, each trade's quote volume is truncated to 8 decimals before it is added, and a minute without trades
has the last price as open, high, low and close, and no volume.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import NamedTuple

from exchange_simulator.trades import AnyTrade

_EIGHT = Decimal("0.00000001")
_DIGITS = 100  # precision of the sums: far more than any product of two prices has
ZERO = Decimal(0)


class Kline(NamedTuple):
    """A kline from ``open_time``, ``length`` microseconds long; the columns of ``/api/v3/klines``."""

    open_time: int
    length: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal


def quote_of(trade: AnyTrade) -> Decimal:
    """Return price times quantity, truncated to 8 decimals."""
    with localcontext(prec=_DIGITS):
        return (Decimal(trade.price) * Decimal(trade.quantity)).quantize(_EIGHT, ROUND_DOWN)


def kline_of(open_time: int, length: int, trades: Sequence[AnyTrade]) -> Kline:
    """Return the kline of ``trades``: at least one, in order, all within the kline."""
    first = Decimal(trades[0].price)
    high = low = close = first
    volume = quote_volume = taker_volume = taker_quote = ZERO
    count = 0
    with localcontext(prec=_DIGITS):
        for trade in trades:
            close = Decimal(trade.price)
            quantity = Decimal(trade.quantity)
            quote = (close * quantity).quantize(_EIGHT, ROUND_DOWN)
            high = max(high, close)
            low = min(low, close)
            volume += quantity
            quote_volume += quote
            count += trade.last_id - trade.first_id + 1
            if not trade.buyer_is_maker:
                taker_volume += quantity
                taker_quote += quote
    return Kline(open_time, length, first, high, low, close, volume, quote_volume, count, taker_volume, taker_quote)


def flat_kline(open_time: int, length: int, price: Decimal) -> Kline:
    """Return the kline of an interval without trades; ``price`` is the last price before it."""
    return Kline(open_time, length, price, price, price, price, ZERO, ZERO, 0, ZERO, ZERO)


def combine(open_time: int, length: int, klines: Iterable[Kline]) -> Kline:
    """Return the kline of a longer interval, which consists of ``klines`` (at least one, in order)."""
    parts = iter(klines)
    total = next(parts)._replace(open_time=open_time, length=length)
    with localcontext(prec=_DIGITS):
        for part in parts:
            total = total._replace(
                high=max(total.high, part.high),
                low=min(total.low, part.low),
                close=part.close,
                volume=total.volume + part.volume,
                quote_volume=total.quote_volume + part.quote_volume,
                trades=total.trades + part.trades,
                taker_buy_volume=total.taker_buy_volume + part.taker_buy_volume,
                taker_buy_quote_volume=total.taker_buy_quote_volume + part.taker_buy_quote_volume,
            )
    return total


def eight_decimals(value: Decimal) -> str:
    """Return ``value`` truncated to 8 decimals, with exactly 8 decimals."""
    with localcontext(prec=_DIGITS):
        return f"{value.quantize(_EIGHT, ROUND_DOWN):f}"
