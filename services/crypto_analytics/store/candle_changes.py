"""The change feed of the candles: which changed after a known revision, as they are now.

The revisions of one symbol are committed in increasing order (migrations/0008_candle_changes.sql), so a reader that
remembers the newest revision of each symbol misses no change. The statements serve psycopg's synchronous and
asynchronous connections alike, with ``args_row(CandleChange)`` or ``args_row(NewestRevision)`` as row factory.
"""

from typing import NamedTuple

CHANNEL = "candle_changes"
"""The channel of LISTEN. A notification's payload is a symbol with changed candles, sent when they are committed."""


class CandleChange(NamedTuple):
    """A candle after its last change.

    Times are microseconds since the epoch. Decimals are plain strings as PostgreSQL prints them, with all 8 decimals,
    or 16 for the quote volumes.
    """

    symbol: str
    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_volume: str
    trade_count: int
    taker_buy_volume: str
    taker_buy_quote_volume: str
    vwap: str
    first_trade_id: int
    last_trade_id: int
    is_complete: bool
    verified_absent_count: int
    revision: int
    updated_at: int


class NewestRevision(NamedTuple):
    """The revision of a symbol's last change."""

    symbol: str
    revision: int


# Parameters: symbols and revisions, two lists of one length; limit: rows of one symbol at most. A symbol with ``limit``
# rows may have more.
CHANGES = """
select changed.*
from unnest(%(symbols)s::text[], %(revisions)s::bigint[]) as known (symbol, revision)
cross join lateral (
    select
        symbol, (extract(epoch from open_time) * 1000000)::bigint as open_time,
        open::text, high::text, low::text, close::text, volume::text, quote_volume::text, trade_count,
        taker_buy_volume::text, taker_buy_quote_volume::text, vwap::text, first_trade_id, last_trade_id,
        is_complete, verified_absent_count, revision, (extract(epoch from updated_at) * 1000000)::bigint as updated_at
    from fact_realtime_trades_1m as candle
    where candle.symbol = known.symbol and candle.revision > known.revision
    order by candle.revision
    limit %(limit)s
) as changed
order by changed.symbol, changed.revision
"""

# Steps from symbol to symbol through the index, so it takes no longer with more candles.
NEWEST_REVISIONS = """
with recursive newest (symbol, revision) as (
    (
        select symbol, revision
        from fact_realtime_trades_1m
        order by symbol desc, revision desc
        limit 1
    )
    union all
    select previous.symbol, previous.revision
    from newest
    cross join lateral (
        select candle.symbol, candle.revision
        from fact_realtime_trades_1m as candle
        where candle.symbol < newest.symbol
        order by candle.symbol desc, candle.revision desc
        limit 1
    ) as previous
)
select symbol, revision from newest order by symbol
"""
