"""Merge partial candles in plain Python, as a reference for tests.

The product merges candles in the database (crypto_analytics.store.merge_sql); tests/integration/test_merge.py tests it.
"""

from collections.abc import Iterable

from crypto_analytics.core.candles import PartialCandle
from crypto_analytics.core.trades import Trade

# The candle of no trades, recognised by its ``trade_count`` alone: an id of 0 is also the id of a real trade.
EMPTY = PartialCandle(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def merge(left: PartialCandle, right: PartialCandle) -> PartialCandle:
    """Return the candle of the trades of both. The two must not share a trade id."""
    if not left.trade_count:
        return right
    if not right.trade_count:
        return left
    opening = left if left.open_id < right.open_id else right
    closing = left if left.close_id > right.close_id else right
    return PartialCandle(
        open=opening.open,
        open_id=opening.open_id,
        close=closing.close,
        close_id=closing.close_id,
        high=max(left.high, right.high),
        low=min(left.low, right.low),
        volume=left.volume + right.volume,
        quote_volume=left.quote_volume + right.quote_volume,
        trade_count=left.trade_count + right.trade_count,
        taker_buy_volume=left.taker_buy_volume + right.taker_buy_volume,
        taker_buy_quote_volume=left.taker_buy_quote_volume + right.taker_buy_quote_volume,
    )


def candle_of(trade: Trade) -> PartialCandle:
    """Return the partial candle of one trade; an aggregated trade counts as many trades as it covers ids."""
    quote = trade.price * trade.quantity
    return PartialCandle(
        open=trade.price,
        open_id=trade.first_id,
        close=trade.price,
        close_id=trade.last_id,
        high=trade.price,
        low=trade.price,
        volume=trade.quantity,
        quote_volume=quote,
        trade_count=trade.last_id - trade.first_id + 1,
        taker_buy_volume=0 if trade.buyer_is_maker else trade.quantity,
        taker_buy_quote_volume=0 if trade.buyer_is_maker else quote,
    )


def merge_all(candles: Iterable[PartialCandle]) -> PartialCandle:
    """Return all ``candles`` merged, :data:`EMPTY` for none."""
    merged = EMPTY
    for candle in candles:
        merged = merge(merged, candle)
    return merged
