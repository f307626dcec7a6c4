"""Minutes without trades: after every change, dbt's rows equal those that plain Python computes from the trades.

The trades of two quiet symbols come in any order, and some never come; some of those are verified absent at the
exchange. A few have a time that does not fit their id, so that a minute known to be empty is empty no more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

import psycopg
import pytest

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from tests.batch_run import MEASURES, Batch, Key, Row, expected_silver, put_official, rolled_up, values
from tests.servers import MIGRATIONS, Servers
from tests.stores import MemoryStore, merge_batch
from tests.unit.trade_json import trade_json

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
BOTH = ("run", "--select", "tag:silver", "tag:gold")
TRADES = 120
NOTHING = ("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")


@dataclass(frozen=True)
class Made:
    """A generated trade."""

    symbol: str
    trade_id: int
    seconds: int
    price: int

    @property
    def minute(self) -> datetime:
        return START + timedelta(minutes=self.seconds // 60)

    @property
    def value(self) -> bytes:
        time = int(START.timestamp() * 1000) + self.seconds * 1000
        return trade_json(self.trade_id, symbol=self.symbol, price=f"{self.price}.00000000", time=time)


def made(random: Random, symbol: str) -> list[Made]:
    """Return trades with ids from 1 on and a pause of two days; the times of a few do not fit their ids."""
    trades, seconds = [], 0
    for trade_id in range(1, TRADES + 1):
        seconds += random.choice([1, 30, 90, 200, 400]) + (2 * 86_400 if trade_id == TRADES // 2 else 0)
        shift = random.choice([-600, 600]) if random.random() < 0.06 else 0
        trades.append(Made(symbol, trade_id, max(0, seconds + shift), random.randrange(10, 99)))
    return trades


def empty_minutes(trades: Sequence[Made], absent: set[tuple[str, int]]) -> dict[Key, int]:
    """Return the last price before each minute that the ids prove to be empty."""
    found: dict[Key, int] = {}
    for symbol in SYMBOLS:
        ids: dict[datetime, dict[int, int]] = {}
        for trade in trades:
            if trade.symbol == symbol:
                ids.setdefault(trade.minute, {})[trade.trade_id] = trade.price
        times = sorted(ids)
        for before, after in pairwise(times):
            last, first = max(ids[before]), min(ids[after])
            if last < first and all((symbol, between) in absent for between in range(last + 1, first)):
                minute = before + MINUTE
                while minute < after:
                    found[symbol, minute] = ids[before][last]
                    minute += MINUTE
    return found


def empty(price: int) -> Row:
    prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(price))
    return prices | dict.fromkeys(NOTHING, Decimal(0)) | {"vwap": None}


@pytest.fixture
def batch(servers: Servers, tmp_path: Path) -> Iterator[Batch]:
    with servers.database() as database:
        yield Batch(database, tmp_path)


def merge(connection: psycopg.Connection, trades: Sequence[Made]) -> None:
    decoded = decode_batch([trade.value for trade in trades], Rules(frozenset(SYMBOLS), 2**60))
    assert not decoded.bad
    merge_batch(connection, RawArchive(MemoryStore(), "raw"), decoded.by_symbol())


def assert_exact(batch: Batch, empties: dict[Key, int]) -> set[Key]:
    """Compare silver, gold and the reconciliation with plain Python; return the empty realtime minutes."""
    official = batch.rows("raw_klines")
    known = {key: empty(price) for key, price in empties.items()}
    silver = {key: {**row, "source": "realtime"} for key, row in known.items()} | expected_silver(batch)
    built = batch.built()
    assert values(built["silver_klines_1m"], "source") == silver
    assert values(built["gold_klines_5m"]) == rolled_up(silver, 5)
    assert values(built["gold_klines_1h"]) == rolled_up(silver, 60)
    candles = batch.rows("fact_realtime_trades_1m")
    assert not candles.keys() & known.keys()
    statuses = dict.fromkeys(official, "official_only")
    statuses |= {key: "realtime_only" if row["is_complete"] else "incomplete" for key, row in candles.items()}
    for key in known:
        if key not in official:
            statuses[key] = "realtime_only"
        else:
            same = all(official[key][name] == known[key][name] for name in MEASURES[:-1])
            statuses[key] = "equal" if same else "different"
    found = {key: row["status"] for key, row in built["reconciliation_klines_1m"].items()}
    assert {key for key in found if found[key] != statuses.get(key)} == set()
    assert found == statuses
    return known.keys() - official.keys()


def test_every_run_finds_the_minutes_that_the_ids_prove_empty(batch: Batch) -> None:
    random = Random(7)
    trades = [trade for symbol in SYMBOLS for trade in made(random, symbol)]
    never = {(trade.symbol, trade.trade_id) for trade in random.sample(trades, 20)}
    coming = [trade for trade in trades if (trade.symbol, trade.trade_id) not in never]
    late = random.sample(coming, 8)
    random.shuffle(coming)
    coming = [trade for trade in coming if trade not in late]
    came: list[Made] = []
    absent: set[tuple[str, int]] = set()
    seen: list[set[Key]] = []

    def run(arriving: Sequence[Made]) -> None:
        with batch.database.connect("writer") as writer:
            for start in range(0, len(arriving), 25):
                merge(writer, arriving[start : start + 25])
        came.extend(arriving)
        batch.dbt(*BOTH)
        seen.append(assert_exact(batch, empty_minutes(came, absent)))

    run(coming[: len(coming) // 2])

    absent |= set(random.sample(sorted(never), 12))
    with batch.database.connect("producer") as producer:
        for symbol, trade_id in sorted(absent):
            producer.execute("select record_absent_ids(%s, %s, %s, 'test', '')", [symbol, trade_id, trade_id])
    run(coming[len(coming) // 2 :])

    # Late trades, two of them recorded as absent, and klines of the exchange for some of the empty minutes, a few
    # of them invalid.
    klines = []
    for number, (symbol, minute) in enumerate(sorted(random.sample(sorted(seen[-1]), 300))):
        price = empty_minutes(came, absent)[symbol, minute] + (number % 50 == 0)
        row = {name: value for name, value in empty(price).items() if name != "vwap"}
        klines.append({"symbol": symbol, "open_time": minute, **row})
    with batch.database.connect("writer") as writer:
        put_official(writer, *klines)
    wrongly = sorted(absent)[::6]
    absent -= set(wrongly)
    run(late + [trade for trade in trades if (trade.symbol, trade.trade_id) in wrongly])

    assert len(seen[0]) > 0
    assert seen[1] - seen[0], "minutes became known to be empty"
    official = set(batch.rows("raw_klines"))
    assert seen[1] - seen[2] - official, "minutes were given up again"
    quiet = [key for key in seen[1] if key[1] - START > timedelta(days=1)]
    assert len(quiet) > 100, "the silence of two days is known"

    # Rows built by a version without empty minutes: the migration makes the next run read all of them.
    minutes = ([symbol for symbol, _ in seen[2]], [open_time for _, open_time in seen[2]])
    with batch.database.connect() as superuser:
        for table in ("silver_klines_1m", "reconciliation_klines_1m"):
            removed = superuser.execute(
                f"delete from analytics.{table} as built"
                " using unnest(%s::text[], %s::timestamptz[]) as empty (symbol, open_time)"
                " where built.symbol = empty.symbol and built.open_time = empty.open_time",
                minutes,
            )
            assert removed.rowcount == len(seen[2])
        superuser.execute((MIGRATIONS / "0007_empty_minutes.sql").read_text())
    batch.dbt(*BOTH)
    assert_exact(batch, empty_minutes(came, absent))

    before = batch.built()
    batch.dbt(*BOTH, "--full-refresh")
    assert_exact(batch, empty_minutes(came, absent))
    for table, rows in batch.built().items():
        times = {"updated_at": None, "source_updated_at": None}
        assert {key: row | times for key, row in rows.items()} == {
            key: row | times for key, row in before[table].items()
        }, table
