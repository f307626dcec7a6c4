"""The symbols that the API serves: those with data, or those of SYMBOLS."""

from datetime import datetime
from typing import NamedTuple

from crypto_analytics.api.cached import Cached
from crypto_analytics.api.database import Database

_LIVES_SECONDS = 5.0
_DECIMALS_SECONDS = 60.0
MOST_DECIMALS = 8

# Symbols with candles or klines are found by steps from symbol to symbol through the primary keys.
_SYMBOLS = """
with recursive traded (symbol) as (
    select min(symbol) from fact_realtime_trades_1m
    union all
    select (select min(candle.symbol) from fact_realtime_trades_1m as candle where candle.symbol > traded.symbol)
    from traded
    where traded.symbol is not null
),
official (symbol) as (
    select min(symbol) from raw_klines
    union all
    select (select min(kline.symbol) from raw_klines as kline where kline.symbol > official.symbol)
    from official
    where official.symbol is not null
)
select symbol, coalesce(symbols.status, 'followed'), followed_since, retired_at
from (
    select symbol from traded union select symbol from official union select symbol from symbols
    union select unnest(%s::text[])
) as named
left join symbols using (symbol)
where symbol is not null and (cardinality(%s::text[]) = 0 or symbol = any (%s::text[]))
order by symbol
"""


# Decimals of prices and quantities in the newest candles: the exchange's tick and lot size show in them.
_DECIMALS = """
select
    named.symbol,
    coalesce(max(greatest(scale(trim_scale(high)), scale(trim_scale(low)), scale(trim_scale(close)))), %(most)s),
    coalesce(max(scale(trim_scale(volume))), %(most)s)
from unnest(%(symbols)s::text[]) as named (symbol)
left join lateral (
    (
        select high, low, close, volume from fact_realtime_trades_1m as candle where candle.symbol = named.symbol
        order by open_time desc limit 500
    )
    union all
    (
        select high, low, close, volume from raw_klines as kline where kline.symbol = named.symbol
        order by open_time desc limit 500
    )
) as newest on true
group by named.symbol
"""


class SymbolLife(NamedTuple):
    """A symbol: followed or retired, and since when; None if that is not recorded."""

    symbol: str
    status: str
    followed_since: datetime | None
    retired_at: datetime | None


class Decimals(NamedTuple):
    """Decimals of a symbol's prices and quantities."""

    price: int
    quantity: int


class Symbols:
    """The symbols, as PostgreSQL listed them seconds ago. Every method raises StoreUnavailable and QueryTooSlow."""

    def __init__(self, database: Database, configured: tuple[str, ...]) -> None:
        self._database = database
        self._configured = list(configured)
        self._lives = Cached(self._read_lives, _LIVES_SECONDS)
        self._decimals = Cached(self._read_decimals, _DECIMALS_SECONDS)

    async def known(self) -> dict[str, SymbolLife]:
        """Return all symbols by name."""
        return await self._lives.get()

    async def decimals_of(self, symbol: str) -> Decimals:
        """Return the decimals of ``symbol``: the most possible ones if it is new."""
        return (await self._decimals.get()).get(symbol, Decimals(MOST_DECIMALS, MOST_DECIMALS))

    async def _read_lives(self) -> dict[str, SymbolLife]:
        rows = await self._database.rows(_SYMBOLS, [self._configured] * 3)
        return {row[0]: SymbolLife(*row) for row in rows}

    async def _read_decimals(self) -> dict[str, Decimals]:
        names = list(await self.known())
        rows = await self._database.rows(_DECIMALS, {"symbols": names, "most": MOST_DECIMALS})
        return {symbol: Decimals(price, quantity) for symbol, price, quantity in rows}
