"""Partial candles, which form a commutative monoid under :func:`merge`.

A *partial candle* aggregates a set of trades of one symbol in one minute. :func:`merge` takes the open of the smaller
id, the close of the larger id, the extremes and the sums; with unique trade ids it is associative and commutative and
has :data:`EMPTY` as its identity. Therefore batches, partitions, late trades, replays and repairs give the same candle
in any order and any grouping.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crypto_analytics.core.exact_sums import exact_sum, exact_sum_of_products
from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.core.trades import Trade, TradeColumns


class PartialCandle(NamedTuple):
    """The aggregate of some trades of one symbol in one minute.

    Prices and base volumes are scaled by 10^8, quote volumes by 10^16. ``open_id`` and ``close_id`` are the smallest
    and the largest trade id included. ``taker_buy_*`` sum the trades whose taker bought (``m`` is false).
    """

    open: int
    open_id: int
    close: int
    close_id: int
    high: int
    low: int
    volume: int
    quote_volume: int
    trade_count: int
    taker_buy_volume: int
    taker_buy_quote_volume: int


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


def aggregate(trades: TradeColumns) -> dict[int, PartialCandle]:
    """Return the partial candle of each minute that has trades, by the minute's open time (microseconds).

    The result equals merging :func:`candle_of` of every trade, in a hundredth of the time.
    """
    return {open_time: _candle_of_columns(part) for open_time, part in trades.by_period(MINUTE)}


def _candle_of_columns(trades: TradeColumns) -> PartialCandle:
    """Return the candle of one or more ``trades`` of the same minute."""
    opening, closing = trades.first_ids.argmin(), trades.last_ids.argmax()
    taker_bought = np.where(trades.buyer_is_maker, 0, trades.quantities)
    return PartialCandle(
        open=int(trades.prices[opening]),
        open_id=int(trades.first_ids[opening]),
        close=int(trades.prices[closing]),
        close_id=int(trades.last_ids[closing]),
        high=int(trades.prices.max()),
        low=int(trades.prices.min()),
        volume=exact_sum(trades.quantities),
        quote_volume=exact_sum_of_products(trades.prices, trades.quantities),
        trade_count=trades.id_count(),
        taker_buy_volume=exact_sum(taker_bought),
        taker_buy_quote_volume=exact_sum_of_products(trades.prices, taker_bought),
    )


def merge_all(candles: Iterable[PartialCandle]) -> PartialCandle:
    """Return all ``candles`` merged, :data:`EMPTY` for none."""
    merged = EMPTY
    for candle in candles:
        merged = merge(merged, candle)
    return merged
