"""Partial candles, which form a commutative monoid: they can be merged in any order and any grouping.

A *partial candle* aggregates a set of trades of one symbol in one minute. A merge takes the open of the smaller id, the
close of the larger id, the extremes and the sums; with unique trade ids it is associative and commutative, and the
candle of no trades is its identity. Therefore batches, partitions, late trades, replays and repairs give the same
candle. The database does the merge (:mod:`crypto_analytics.store.merge_sql`), and tests/integration/test_merge.py
compares it with a plain recomputation.
"""

from typing import NamedTuple

import numpy as np

from crypto_analytics.core.exact_sums import exact_sum, exact_sum_of_products
from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.core.trades import TradeColumns


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


def aggregate(trades: TradeColumns) -> dict[int, PartialCandle]:
    """Return the partial candle of each minute that has trades, by the minute's open time (microseconds).

    It equals the merge of the single trades' candles, in a hundredth of the time.
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
