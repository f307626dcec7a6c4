"""How many closed minutes of a day are complete: for ``/v1/completeness`` and ``/v1/live``."""

from collections.abc import Sequence
from typing import NamedTuple

from crypto_analytics.api import candle_sql
from crypto_analytics.api.database import Database
from crypto_analytics.api.intervals import DAY
from crypto_analytics.core.minutes import MINUTE, to_datetime

# Parameters: symbols, start and until (the window; until is excluded), minutes (of a day).
# A symbol's minutes begin with the first one of which it has a candle or a kline.
_OF_EACH = """
select
    named.symbol,
    extract(epoch from greatest(%(until)s - greatest(%(start)s, first.minute), interval '0'))::bigint / 60,
    counted.*
from unnest(%(symbols)s::text[]) with ordinality as named (symbol, place)
cross join lateral (
    select coalesce(
        least(
            (select min(open_time) from fact_realtime_trades_1m as candle where candle.symbol = named.symbol),
            (select min(open_time) from raw_klines as kline where kline.symbol = named.symbol)
        ),
        %(until)s
    ) as minute
) as first
cross join lateral (
"""
_COUNTED = """
    select
        (select count(*) from minute left join candle on candle.open_time = minute.open_time
         where minute.source <> 'realtime' or candle.is_complete),
        (select count(*) from candle where open_time >= %(start)s and open_time < %(until)s),
        (select count(*) from candle where is_complete and open_time >= %(start)s and open_time < %(until)s),
        (select count(*) from minute where source = 'empty'),
        (select count(*) from official)
) as counted
order by named.place
"""
_OF_DAY = _OF_EACH + candle_sql.minutes(newest_first=False, symbol="named.symbol") + _COUNTED


class DayCompleteness(NamedTuple):
    """The closed minutes of a symbol's day, counted from its first candle or kline on.

    ``complete``: those that are official, or realtime with every trade, or proved to be without any trade.
    """

    symbol: str
    minutes: int
    complete: int
    realtime_candles: int
    realtime_complete: int
    empty_minutes: int
    official_klines: int


async def of_day(database: Database, symbols: Sequence[str], start: int, minute: int) -> list[DayCompleteness]:
    """Return the completeness of the UTC day that begins at ``start``, up to ``minute``, the one that is open.

    Raises StoreUnavailable and QueryTooSlow.
    """
    parameters = {
        "symbols": list(symbols),
        "start": to_datetime(start),
        "until": to_datetime(max(start, min(start + DAY, minute))),
        "minutes": DAY // MINUTE,
    }
    return [DayCompleteness(*row) for row in await database.rows(_OF_DAY, parameters)]
