"""Rows of the exchange's REST responses."""

from collections.abc import Callable
from decimal import Decimal

from exchange_simulator.klines import ZERO, Kline, eight_decimals, quote_of
from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade

Unit = Callable[[int], int]  # converts microseconds to the requested unit


def trade_row(trade: Trade, unit: Unit) -> dict[str, object]:
    """Return a row of ``/trades`` and ``/historicalTrades``."""
    return {
        "id": trade.id,
        "price": trade.price,
        "qty": trade.quantity,
        "quoteQty": eight_decimals(quote_of(trade)),
        "time": unit(trade.time),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": trade.is_best_match,
    }


def aggregate_row(aggregate: AggregateTrade, unit: Unit) -> dict[str, object]:
    """Return a row of ``/aggTrades``."""
    return {
        "a": aggregate.id,
        "p": aggregate.price,
        "q": aggregate.quantity,
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": unit(aggregate.time),
        "m": aggregate.buyer_is_maker,
        "M": aggregate.is_best_match,
    }


def kline_row(kline: Kline, unit: Unit) -> list[object]:
    """Return a row of ``/klines``."""
    return [
        unit(kline.open_time),
        *map(eight_decimals, (kline.open, kline.high, kline.low, kline.close, kline.volume)),
        unit(kline.open_time + kline.length - 1),
        eight_decimals(kline.quote_volume),
        kline.trades,
        *map(eight_decimals, (kline.taker_buy_volume, kline.taker_buy_quote_volume)),
        "0",
    ]


def ticker_row(symbol: str, day: Kline, first: AnyTrade | None, last: AnyTrade | None, unit: Unit) -> dict[str, object]:
    """Return ``/ticker/24hr`` for the kline ``day`` and its ``first`` and ``last`` trades (None without trades)."""
    change = day.close - day.open
    return {
        "symbol": symbol,
        "priceChange": eight_decimals(change),
        "priceChangePercent": f"{change * 100 / day.open if day.open else ZERO:.3f}",
        "weightedAvgPrice": eight_decimals(day.quote_volume / day.volume if day.volume else ZERO),
        "lastPrice": eight_decimals(day.close),
        "lastQty": eight_decimals(ZERO if last is None else Decimal(last.quantity)),
        "openPrice": eight_decimals(day.open),
        "highPrice": eight_decimals(day.high),
        "lowPrice": eight_decimals(day.low),
        "volume": eight_decimals(day.volume),
        "quoteVolume": eight_decimals(day.quote_volume),
        "openTime": unit(day.open_time),
        "closeTime": unit(day.open_time + day.length),
        "firstId": -1 if first is None else first.first_id,
        "lastId": -1 if last is None else last.last_id,
        "count": day.trades,
    }
