"""A small market whose trades and klines are known, in a database and an archive, and the API over them.

The trades of two quiet symbols have gaps, ids that were never issued, minutes without trades, and official klines of
some minutes that differ from them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx

from crypto_analytics.api.intervals import INTERVALS
from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import DirectoryStore
from tests.api_client import api_client, api_settings
from tests.batch_run import put_official
from tests.integration.test_empty_minutes import START, SYMBOLS, empty, empty_minutes, made
from tests.oracle import Oracle
from tests.servers import Database
from tests.stores import merge_batch
from tests.unit.api.test_intervals import expected_start

MINUTE = timedelta(minutes=1)
NOW = START + timedelta(days=2, hours=12)
SUMS = ("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")
Minutes = dict[datetime, dict[str, Any]]


class Market:
    """The database and the archive, and what is expected of them."""

    def __init__(self, database: Database, folder: Path) -> None:
        random = Random(11)
        self.database = database
        self.folder = folder
        trades = [trade for symbol in SYMBOLS for trade in made(random, symbol)]
        never = random.sample([trade for trade in trades if trade.trade_id % 7 == 3], 20)
        self.trades = [trade for trade in trades if trade not in never]
        self.absent = {(trade.symbol, trade.trade_id) for trade in never[:12]}
        arriving = random.sample(self.trades, len(self.trades))
        archive = RawArchive(DirectoryStore(folder), "raw")
        with database.connect("writer") as writer, database.connect("producer") as producer:
            for start in range(0, len(arriving), 40):
                values = [trade.value for trade in arriving[start : start + 40]]
                merge_batch(writer, archive, decode_batch(values, Rules(frozenset(SYMBOLS), 2**60)).by_symbol())
            for symbol, trade_id in sorted(self.absent):
                producer.execute("select record_absent_ids(%s, %s, %s, 'test', '')", [symbol, trade_id, trade_id])
            self.oracle = Oracle()
            self.oracle.add_values(trade.value for trade in self.trades)
            self.official = self._official(random)
            put_official(writer, *self.official)

    def _official(self, random: Random) -> list[dict[str, Any]]:
        """Return klines for some minutes, and for a few before the first trade."""
        minutes = {
            (symbol, START + number * MINUTE) for symbol in SYMBOLS for number in random.sample(range(4000), 150)
        }
        minutes |= {(symbol, START - timedelta(days=40) - number * MINUTE) for symbol in SYMBOLS for number in range(9)}
        rows = []
        for symbol, minute in sorted(minutes):
            row = {name: value for name, value in empty(random.randrange(10, 99)).items() if name != "vwap"}
            row |= {"high": row["high"] + 1, "volume": Decimal(3), "quote_volume": Decimal("1.5"), "trade_count": 2}
            rows.append({"symbol": symbol, "open_time": minute, **row})
        return rows

    def minutes(self, symbol: str) -> Minutes:
        """Return the minutes of ``symbol`` that are known, the official ones before realtime and empty ones."""
        known: Minutes = {
            minute: {**empty(price), "source": "empty", "complete": True}
            for (its, minute), price in empty_minutes(self.trades, self.absent).items()
            if its == symbol
        }
        for (its, minute), candle in self.oracle.candles.items():
            if its == symbol:
                known[minute] = {**candle, "source": "realtime", "complete": self.is_complete((its, minute))}
        for row in self.official:
            if row["symbol"] == symbol:
                known[row["open_time"]] = {**row, "source": "official", "complete": True}
        return known

    def is_complete(self, key: tuple[str, datetime]) -> bool:
        candle, symbol = self.oracle.candles[key], key[0]
        first, last = int(candle["first_trade_id"]), int(candle["last_trade_id"])
        known = self.oracle.ids[symbol] | {trade_id for its, trade_id in self.absent if its == symbol}
        return all(trade_id in known for trade_id in range(first - 1, last + 2))

    def rolled_up(self, symbol: str, name: str, offset: timedelta = timedelta()) -> dict[datetime, dict[str, Any]]:
        """Return the candles of an interval by their open times."""
        zone = timezone(offset)
        buckets: dict[datetime, list[dict[str, Any]]] = {}
        for minute, row in sorted(self.minutes(symbol).items()):
            buckets.setdefault(expected_start(name, minute.astimezone(zone)), []).append(row)
        return {
            start: {
                "open": rows[0]["open"],
                "high": max(row["high"] for row in rows),
                "low": min(row["low"] for row in rows),
                "close": rows[-1]["close"],
                **{measure: sum(row[measure] for row in rows) for measure in SUMS},
                "rows": rows,
            }
            for start, rows in sorted(buckets.items())
        }


def text(value: Decimal) -> str:
    """Return a number of the exchange's answers: cut off after 8 decimals."""
    return f"{Decimal(int(Decimal(value).scaleb(8))).scaleb(-8):.8f}"


def end_of(start: datetime, name: str) -> datetime:
    if name == "1M":
        return (start + timedelta(days=32)).replace(day=1)
    length = INTERVALS[name].length
    assert length is not None
    return start + timedelta(microseconds=length)


def row_of(start: datetime, name: str, candle: dict[str, Any]) -> list[Any]:
    """Return the exchange's twelve columns."""
    return [
        int(start.timestamp() * 1000),
        *(text(candle[measure]) for measure in ("open", "high", "low", "close", "volume")),
        int(end_of(start, name).timestamp() * 1000) - 1,
        text(candle["quote_volume"]),
        int(candle["trade_count"]),
        text(candle["taker_buy_volume"]),
        text(candle["taker_buy_quote_volume"]),
        "0",
    ]


def with_api(market: Market, check: Callable[[httpx.AsyncClient], Awaitable[None]], **settings: object) -> None:
    """Run ``check`` with a client of the API, whose clock stands at NOW."""

    async def run() -> None:
        settings_of_api = api_settings(market.database, market.folder, **({"AS_OF": NOW.isoformat()} | settings))
        async with api_client(settings_of_api) as client:
            await check(client)

    asyncio.run(run())


async def get(client: httpx.AsyncClient, path: str, **parameters: object) -> Any:
    answer = await client.get(path, params={name: str(value) for name, value in parameters.items()})
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
