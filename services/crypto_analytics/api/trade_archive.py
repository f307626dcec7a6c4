"""Single trades from the raw archive, in the order of their ids.

The candles of the last seven days tell in which hours and between which ids the wanted trades are, the table
``raw_objects`` tells in which objects, and only as many objects are read as the answer needs.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from crypto_analytics.api.database import Database, StoreUnavailable
from crypto_analytics.api.intervals import LATEST
from crypto_analytics.core.minutes import MINUTE, minute_of, to_datetime, to_microseconds
from crypto_analytics.store.archived_values import values_in
from crypto_analytics.store.objects import ObjectNotFound, ObjectStore

KEPT = timedelta(days=7)
_READERS = 8
_HOUR = timedelta(hours=1)

# Parameters: symbol, start, end, from_id. The hours as keys, like objects: their ids are those of their candles.
_HOURS = """
select date_trunc('hour', open_time, 'UTC'), min(first_trade_id), max(last_trade_id)
from fact_realtime_trades_1m
where symbol = %(symbol)s and open_time >= %(start)s and open_time <= %(end)s and last_trade_id >= %(from_id)s
group by 1
"""

_OBJECTS = """
select object_key, first_id, last_id
from raw_objects
where hour = %(hour)s and symbol = %(symbol)s and last_id >= %(from_id)s
"""

_NEW_OBJECTS = """
select symbol, object_key
from raw_objects
where hour >= %(hour)s and symbol = any (%(symbols)s::text[]) and created_at > %(since)s
"""


class ArchivedTrade(NamedTuple):
    """A trade as received: ids ``first_id``..``last_id``, price and quantity as text, time in microseconds."""

    first_id: int
    last_id: int
    price: str
    quantity: str
    time: int
    buyer_is_maker: bool
    is_best_match: bool


class _Value(msgspec.Struct, gc=False):
    """A stored value: ``t`` is the id of a trade; an aggregated trade has the ids ``f``..``l`` instead."""

    p: str
    q: str
    T: int
    m: bool
    t: int = -1
    f: int = -1
    l: int = -1  # noqa: E741  # the exchange's name
    M: bool = True


_decoder = msgspec.json.Decoder(_Value)


class TradeQuery(NamedTuple):
    """Which trades are wanted, times in microseconds, included; without ``from_id`` and ``start`` the newest."""

    symbol: str
    limit: int
    from_id: int | None = None
    start: int | None = None
    end: int | None = None

    @property
    def is_newest_first(self) -> bool:
        """Return whether the newest trades are wanted, and not the first ones."""
        return self.from_id is None and self.start is None

    def includes(self, trade: ArchivedTrade) -> bool:
        """Return whether ``trade`` is one of those that are counted."""
        return (
            (self.from_id is None or trade.first_id >= self.from_id)
            and (self.start is None or trade.time >= self.start)
            and (self.end is None or trade.time <= self.end)
        )


class TradeArchive:
    """Reads trades from the object store ``store``."""

    def __init__(self, database: Database, store: ObjectStore, bucket: str) -> None:
        self._database = database
        self._store = store
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="archive")

    async def trades(self, query: TradeQuery, now: int) -> list[ArchivedTrade]:
        """Return up to ``query.limit`` trades in the order of their ids.

        Raises:
            StoreUnavailable, QueryTooSlow: PostgreSQL or the object store does not answer.
        """
        found: list[ArchivedTrade] = []
        parameters = {
            "symbol": query.symbol,
            "start": max(to_datetime(minute_of(min(query.start or 0, LATEST))), to_datetime(now) - KEPT),
            "end": to_datetime(min(LATEST if query.end is None else query.end, LATEST)),
            "from_id": query.from_id or 0,
        }
        for hour in _in_order(await self._database.rows(_HOURS, parameters), query):
            if _is_enough(found, hour, query):
                break
            listed = await self._database.rows(_OBJECTS, parameters | {"hour": hour.key})
            objects = _in_order(listed, query)
            for at in range(0, len(objects), _READERS):
                if _is_enough(found, objects[at], query):
                    break
                for trades in await self.read([part.key for part in objects[at : at + _READERS]]):
                    found += filter(query.includes, trades)
                found = sorted(found, reverse=query.is_newest_first)[: query.limit]
        return sorted(found)

    async def read(self, keys: Sequence[str]) -> list[list[ArchivedTrade]]:
        """Return the trades of the objects ``keys``. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.gather(*(loop.run_in_executor(self._threads, self._read, key) for key in keys))
        except (OSError, MinioException, HTTPError, ObjectNotFound) as error:
            raise StoreUnavailable(f"the raw archive cannot be read: {error}; check OBJECT_STORE* and S3_*") from error

    def _read(self, key: str) -> list[ArchivedTrade]:
        data = self._store.get(self._bucket, key)
        return [_trade(_decoder.decode(value)) for part in values_in(data) for value in part]

    async def listed_since(self, symbols: Sequence[str], since: datetime, now: int) -> list[tuple[str, str]]:
        """Return symbol and key of the objects of this hour and the one before that are listed since ``since``."""
        hour = to_datetime(now - now % (60 * MINUTE)) - _HOUR
        parameters = {"symbols": list(symbols), "hour": hour, "since": since}
        return [(symbol, key) for symbol, key in await self._database.rows(_NEW_OBJECTS, parameters)]


def _trade(value: _Value) -> ArchivedTrade:
    first_id, last_id = (value.f, value.l) if value.t < 0 else (value.t, value.t)
    return ArchivedTrade(first_id, last_id, value.p, value.q, to_microseconds(value.T), value.m, value.M)


class _Part(NamedTuple):
    """An hour or an object, with the smallest and the largest id in it."""

    key: Any
    first_id: int
    last_id: int


def _in_order(rows: list[tuple[Any, ...]], query: TradeQuery) -> list[_Part]:
    """Return the parts in the order in which they are to be read."""
    parts = [_Part(*row) for row in rows]
    if query.is_newest_first:
        return sorted(parts, key=lambda part: part.last_id, reverse=True)
    return sorted(parts, key=lambda part: part.first_id)


def _is_enough(found: list[ArchivedTrade], following: _Part, query: TradeQuery) -> bool:
    """Return whether neither ``following`` nor a part after it can have one of the wanted trades."""
    if len(found) < query.limit:
        return False
    if query.is_newest_first:
        return following.last_id < found[-1].first_id
    return following.first_id > found[-1].first_id
