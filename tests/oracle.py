"""Compute the expected candles in plain Python, without the platform's own code (a test oracle)."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext
from pathlib import Path

import psycopg

getcontext().prec = 60

MEASURES = (
    "open", "high", "low", "close", "volume", "quote_volume", "trade_count",
    "taker_buy_volume", "taker_buy_quote_volume", "first_trade_id", "last_trade_id",
)  # fmt: skip
Candle = dict[str, Decimal]
Key = tuple[str, datetime]


@dataclass
class Oracle:
    """Counts each trade id once, the first time it is seen."""

    candles: dict[Key, Candle] = field(default_factory=dict)
    ids: dict[str, set[int]] = field(default_factory=dict)

    def add(self, symbol: str, first: int, last: int, price: str, quantity: str, time: int, maker: bool) -> None:  # noqa: PLR0917
        seen = self.ids.setdefault(symbol, set())
        if first in seen:
            return
        seen.update(range(first, last + 1))
        seconds = time // (1_000_000 if time > 10**13 else 1000)
        minute = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds - seconds % 60)
        p, q = Decimal(price), Decimal(quantity)
        candle = self.candles.setdefault((symbol, minute), {})
        if not candle or first < candle["first_trade_id"]:
            candle |= {"open": p, "first_trade_id": Decimal(first)}
        if last > candle.get("last_trade_id", -1):
            candle |= {"close": p, "last_trade_id": Decimal(last)}
        candle["high"] = max(candle.get("high", p), p)
        candle["low"] = min(candle.get("low", p), p)
        taker = Decimal(0) if maker else Decimal(1)
        for name, value in [("volume", q), ("quote_volume", p * q), ("trade_count", Decimal(last - first + 1)),
                            ("taker_buy_volume", q * taker), ("taker_buy_quote_volume", p * q * taker)]:  # fmt: skip
            candle[name] = candle.get(name, Decimal(0)) + value

    def add_values(self, values: Iterable[bytes]) -> None:
        """Add trade and aggTrade objects in the exchange's format."""
        for value in values:
            t = json.loads(value)
            first, last = (t["t"], t["t"]) if t["e"] == "trade" else (t["f"], t["l"])
            self.add(t["s"], first, last, t["p"], t["q"], t["T"], t["m"])

    def add_trades_csv(self, path: Path) -> None:
        """Add an archive of trades."""
        with path.open(newline="") as file:
            for trade_id, price, quantity, _, time, maker, _ in csv.reader(file):
                symbol = path.name.partition("-")[0]
                self.add(symbol, int(trade_id), int(trade_id), price, quantity, int(time), maker == "True")

    def is_complete(self, key: Key) -> bool:
        """Return whether all ids of the candle, and its two neighbouring ids, were seen."""
        candle, seen = self.candles[key], self.ids[key[0]]
        return all(i in seen for i in range(int(candle["first_trade_id"]) - 1, int(candle["last_trade_id"]) + 2))


def stored_candles(connection: psycopg.Connection) -> dict[Key, Candle]:
    """Return the realtime candles of a database, in the oracle's form."""
    rows = connection.execute(f"select symbol, open_time, {', '.join(MEASURES)} from fact_realtime_trades_1m")
    return {(symbol, time): dict(zip(MEASURES, map(Decimal, its), strict=True)) for symbol, time, *its in rows}


def stored_completeness(connection: psycopg.Connection) -> dict[Key, bool]:
    """Return the keys of the complete realtime candles of a database."""
    rows = connection.execute("select symbol, open_time, is_complete from fact_realtime_trades_1m")
    return {(symbol, time): complete for symbol, time, complete in rows}


def stored_ids(connection: psycopg.Connection) -> dict[str, set[int]]:
    """Return the merged trade ids of a database."""
    ids: dict[str, set[int]] = {}
    for symbol, first, last in connection.execute("select symbol, first_id, last_id from trade_id_ranges"):
        its = set(range(first, last + 1))
        assert ids.setdefault(symbol, set()).isdisjoint(its)
        ids[symbol] |= its
    return ids
