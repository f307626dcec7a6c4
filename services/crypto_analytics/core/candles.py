"""Candles are a commutative monoid, and everything exact about this platform rests on that.

A *partial candle* is what a set of trades of one symbol in one minute adds up to. :func:`merge` takes the open of the
smaller id, the close of the larger id, the extremes and the sums; with unique trade ids it is associative and
commutative and has :data:`EMPTY` as identity. So batches, partitions, late trades, replays and repairs may come
in any order and any grouping and give the same candle.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.core.totals import total, total_of_products
from crypto_analytics.core.trades import Trade, TradeColumns


class PartialCandle(NamedTuple):
    """What some trades of one symbol in one minute add up to.

    Prices and base volumes are scaled by 10^8, quote volumes by 10^16. ``open_id`` and ``close_id`` are the smallest
    and the largest trade id held. ``taker_buy_*`` count the trades whose taker bought (the exchange's ``m`` is false).
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


# The candle of no trades. Only ``trade_count`` says so: its ids of 0 stand for none here, and 0 is a trade's id too.
EMPTY = PartialCandle(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def merge(left: PartialCandle, right: PartialCandle) -> PartialCandle:
    """Return what the trades of both add up to. The two must not share a trade id."""
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
    """Return the partial candle of every minute (its open time in microseconds) that ``trades`` touch.

    The same as merging :func:`candle_of` each trade, in a hundredth of the time.
    """
    return {open_time: _add_up(part) for open_time, part in trades.by_period(MINUTE)}


def _add_up(trades: TradeColumns) -> PartialCandle:
    """Return the candle of ``trades``, which share a minute and are at least one."""
    opening, closing = trades.first_ids.argmin(), trades.last_ids.argmax()
    taker_bought = np.where(trades.buyer_is_maker, 0, trades.quantities)
    return PartialCandle(
        open=int(trades.prices[opening]),
        open_id=int(trades.first_ids[opening]),
        close=int(trades.prices[closing]),
        close_id=int(trades.last_ids[closing]),
        high=int(trades.prices.max()),
        low=int(trades.prices.min()),
        volume=total(trades.quantities),
        quote_volume=total_of_products(trades.prices, trades.quantities),
        trade_count=trades.covered(),
        taker_buy_volume=total(taker_bought),
        taker_buy_quote_volume=total_of_products(trades.prices, taker_bought),
    )


def merge_all(candles: Iterable[PartialCandle]) -> PartialCandle:
    """Return what all ``candles`` add up to, :data:`EMPTY` for none."""
    total = EMPTY
    for candle in candles:
        total = merge(total, candle)
    return total
