"""The report of a run: its counts, read from the stores, and the tables as CSV with exact decimals."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from crypto_analytics.core.deduplication import PARTIAL_OVERLAP
from ops.local.archive_check import ArchiveCounts
from ops.local.dead_letters import DeadLetters
from ops.local.settings import DemoSettings

_MEASURES = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count")
_TAKER = ("taker_buy_volume", "taker_buy_quote_volume")
_MERGED = "select coalesce(sum(last_id - first_id + 1), 0) from trade_id_ranges"

# File, schema and table, columns after symbol and open_time. No column holds a build time, so that the same trades give
# the same files.
TABLES = {
    "candles_1m.csv": (
        ("public", "fact_realtime_trades_1m"),
        (*_MEASURES, *_TAKER, "vwap", "first_trade_id", "last_trade_id", "is_complete"),
    ),
    "silver_klines_1m.csv": (("analytics", "silver_klines_1m"), ("source", *_MEASURES, *_TAKER)),
    "gold_klines_5m.csv": (("analytics", "gold_klines_5m"), (*_MEASURES, *_TAKER)),
}


@dataclass(frozen=True)
class Gap:
    """A range of trade ids that are missing between merged ones."""

    symbol: str
    first_missing_id: int
    last_missing_id: int


@dataclass(frozen=True)
class Report:
    """The counts of a run, in the order of the hops."""

    mode: str
    variant: str
    symbols: tuple[str, ...]
    as_of: str
    trades_sent: int | None
    produced: int
    dead_letters: int
    dead_letter_reasons: Mapping[str, int]
    duplicates: int
    merged: int
    archived: int
    archive_objects: int
    archive_trade_ids: int
    archive_repeated_ids: int
    gaps_found: int
    gaps_repaired: int
    gaps_open: int
    missing_trades: int
    gaps: tuple[Gap, ...]
    candles: int
    complete_candles: int
    klines: int
    silver_rows: int
    gold_rows: int
    lag: Mapping[str, int | None]
    reconciliation: Mapping[str, int]
    restarts: Mapping[str, int]
    seconds: Mapping[str, float]

    def write(self, folder: Path) -> None:
        """Write report.json."""
        (folder / "report.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True)
class RunCounts:
    """Counts that the database does not hold: of the simulator, Kafka, the archive, the services and the supervisor."""

    trades_sent: int | None
    produced: int
    uncommitted: int
    dead_letters: DeadLetters
    archived: ArchiveCounts
    gaps_found: int
    gaps_repaired: int
    restarts: Mapping[str, int]
    seconds: Mapping[str, float]


def build(
    connection: psycopg.Connection, counts: RunCounts, *, settings: DemoSettings, symbols: tuple[str, ...], as_of: str
) -> Report:
    """Return the report of ``counts`` and of the database's content."""
    gaps = tuple(
        Gap(*row)
        for row in connection.execute(
            "select symbol, first_missing_id, last_missing_id from trade_id_gaps order by symbol, first_missing_id"
        )
    )
    rejected = len(counts.dead_letters.origins) + counts.dead_letters.reasons[PARTIAL_OVERLAP]
    fact = ("public", "fact_realtime_trades_1m")
    return Report(
        mode=settings.mode,
        variant=settings.VARIANT,
        symbols=symbols,
        as_of=as_of,
        trades_sent=counts.trades_sent,
        produced=counts.produced,
        dead_letters=counts.dead_letters.total,
        dead_letter_reasons=dict(counts.dead_letters.reasons),
        duplicates=counts.produced - counts.archived.values - rejected,
        merged=_number(connection, sql.SQL(_MERGED)),
        archived=counts.archived.values,
        archive_objects=counts.archived.objects,
        archive_trade_ids=counts.archived.trade_ids,
        archive_repeated_ids=counts.archived.repeated_ids,
        gaps_found=counts.gaps_found,
        gaps_repaired=counts.gaps_repaired,
        gaps_open=len(gaps),
        missing_trades=sum(gap.last_missing_id - gap.first_missing_id + 1 for gap in gaps),
        gaps=gaps,
        candles=_rows(connection, fact),
        complete_candles=_number(connection, sql.SQL("select count(*) from fact_realtime_trades_1m where is_complete")),
        klines=_rows(connection, ("public", "raw_klines")),
        silver_rows=_rows(connection, ("analytics", "silver_klines_1m")),
        gold_rows=_rows(connection, ("analytics", "gold_klines_5m")),
        lag=_lag(connection, counts),
        reconciliation=_reconciliation(connection),
        restarts=counts.restarts,
        seconds=counts.seconds,
    )


def write_tables(connection: psycopg.Connection, folder: Path) -> None:
    """Write the tables as CSV, ordered by symbol and time; a table not built yet gives no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (table, columns) in TABLES.items():
        if not _exists(connection, table):
            (folder / name).unlink(missing_ok=True)
            continue
        copy = sql.SQL(
            "copy (select symbol, to_char(open_time at time zone 'UTC', {iso}) as open_time, {columns} "
            "from {table} order by symbol, {table}.open_time) to stdout (format csv, header)"
        ).format(
            iso=sql.Literal('YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            table=sql.Identifier(*table),
        )
        with (folder / name).open("wb") as file, connection.cursor().copy(copy) as rows:
            for chunk in rows:
                file.write(chunk)


def newest_gold(connection: psycopg.Connection, count: int = 9) -> list[tuple[object, ...]]:
    """Return the newest gold candles: symbol, open time, open, high, low, close, volume, trades."""
    if not _exists(connection, ("analytics", "gold_klines_5m")):
        return []
    query = (
        "select symbol, open_time, open, high, low, close, volume, trade_count from analytics.gold_klines_5m "
        "order by open_time desc, symbol limit %s"
    )
    return connection.execute(query, [count]).fetchall()


# Minutes that silver could have and has not; 5-minute buckets that silver has completely and gold has not.
_SILVER_LAG = """
    select count(*) from (
        select symbol, open_time from raw_klines
        union
        select symbol, open_time from fact_realtime_trades_1m where is_complete
        except
        select symbol, open_time from analytics.silver_klines_1m
    ) as missing
"""
_GOLD_LAG = """
    select count(*) from (
        select symbol, date_bin('5 minutes', open_time, 'epoch') from analytics.silver_klines_1m
        group by 1, 2 having count(*) = 5
        except
        select symbol, open_time from analytics.gold_klines_5m
    ) as missing
"""


def _lag(connection: psycopg.Connection, counts: RunCounts) -> dict[str, int | None]:
    """Return the rows that each hop lacks of the one before: trades, and from silver on the hop's own rows.

    None where dbt has not built yet.
    """
    sent = counts.produced if counts.trades_sent is None else counts.trades_sent
    merged = _number(connection, sql.SQL(_MERGED))
    built = _exists(connection, ("analytics", "gold_klines_5m"))
    return {
        "kafka": max(0, sent - counts.produced),
        "candles": counts.uncommitted,
        "archive": merged - counts.archived.trade_ids,
        "silver": _number(connection, sql.SQL(_SILVER_LAG)) if built else None,
        "gold": _number(connection, sql.SQL(_GOLD_LAG)) if built else None,
    }


def _reconciliation(connection: psycopg.Connection) -> dict[str, int]:
    """Return the minutes by status; ``equal`` and ``different`` are always present."""
    verdicts = {"equal": 0, "different": 0}
    if _exists(connection, ("analytics", "reconciliation_klines_1m")):
        query = "select status, count(*) from analytics.reconciliation_klines_1m group by status order by status"
        verdicts.update((str(status), int(count)) for status, count in connection.execute(query))
    return verdicts


def _exists(connection: psycopg.Connection, table: tuple[str, str]) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [".".join(table)]).fetchone()
    assert row is not None
    return bool(row[0])


def _rows(connection: psycopg.Connection, table: tuple[str, str]) -> int:
    if not _exists(connection, table):
        return 0
    return _number(connection, sql.SQL("select count(*) from {}").format(sql.Identifier(*table)))


def _number(connection: psycopg.Connection, query: sql.SQL | sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
