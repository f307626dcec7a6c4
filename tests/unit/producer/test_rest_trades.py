"""REST methods that fetch the trades of a gap: individual, recent and aggregated."""

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_analytics.binance.rest import AggTrade, HistoricalTrade
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.rest_trades import FetchMethod, RestTrades, agg_trade_object, trade_object
from tests.unit.producer.exchange import TIME, MemoryExchange


def covered(method: FetchMethod, gap: IdRange) -> IdRanges:
    async def collect() -> IdRanges:
        ids = IdRanges()
        async for page in method("BTCUSDT", gap):
            for value in page.values:
                row = msgspec.json.decode(value)
                first, last = (row["t"], row["t"]) if row["e"] == "trade" else (row["f"], row["l"])
                assert not ids.overlaps(first, last), "twice"
                ids.add(first, last)
        return ids

    return asyncio.run(collect())


def test_a_trade_has_the_json_of_the_stream() -> None:
    row = HistoricalTrade(348656870, "0.2312", "2619.4", 1741046401271497, True, True)
    assert trade_object("TRXUSDT", row) == (
        b'{"e":"trade","E":1741046401271497,"s":"TRXUSDT","t":348656870,"p":"0.2312","q":"2619.4",'
        b'"T":1741046401271497,"m":true,"M":true}'
    )


def test_an_aggregated_trade_has_the_json_of_the_stream() -> None:
    row = AggTrade(26129, "0.01633102", "4.70443515", 27781, 27783, 1498793709153, True, False)
    assert agg_trade_object("BNBBTC", row) == (
        b'{"e":"aggTrade","E":1498793709153,"s":"BNBBTC","a":26129,"p":"0.01633102","q":"4.70443515",'
        b'"f":27781,"l":27783,"T":1498793709153,"m":true,"M":false}'
    )


def test_individual_trades_are_requested_page_by_page() -> None:
    exchange = MemoryExchange(first=1, last=10_000)
    ids = covered(RestTrades(exchange, aggregated_above=100_000).individual, IdRange(500, 3200))
    assert list(ids) == [(500, 3200)]
    assert exchange.asked == ["historical_trades"] * 3


def test_ids_that_the_exchange_lacks_are_not_returned() -> None:
    exchange = MemoryExchange(first=1, last=100, lacking=IdRanges([(20, 25)]))
    rest_trades = RestTrades(exchange, aggregated_above=100_000)
    assert list(covered(rest_trades.individual, IdRange(10, 30))) == [(10, 19), (26, 30)]
    assert list(covered(rest_trades.individual, IdRange(90, 130))) == [(90, 100)]
    assert list(covered(rest_trades.individual, IdRange(20, 25))) == []


def test_only_recent_trades_inside_the_gap_are_returned() -> None:
    exchange = MemoryExchange(first=1, last=5000)
    rest_trades = RestTrades(exchange, aggregated_above=100_000)
    assert list(covered(rest_trades.recent, IdRange(4990, 4995))) == [(4990, 4995)]
    assert list(covered(rest_trades.recent, IdRange(3999, 4005))) == [(4001, 4005)]


@settings(max_examples=60, deadline=None)
@given(
    span=st.tuples(st.integers(1, 5000), st.integers(1, 9000)),
    per_aggregate=st.integers(1, 7),
    gap=st.tuples(st.integers(0, 9500), st.integers(0, 3000)),
    lacking=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 200)), max_size=3),
    voids=st.booleans(),
)
def test_only_aggregates_wholly_inside_the_gap_are_returned(
    span: tuple[int, int], per_aggregate: int, gap: tuple[int, int], lacking: list[tuple[int, int]], voids: bool
) -> None:
    first, count = span
    exchange = MemoryExchange(
        first=first,
        last=first + count,
        per_aggregate=per_aggregate,
        lacking=IdRanges((first + low, first + low + length) for low, length in lacking),
        void_aggregates=voids,
    )
    wanted = IdRange(first + gap[0], first + gap[0] + gap[1])
    expected = IdRanges((a.f, a.l) for a in exchange.aggregates() if wanted.first <= a.f and a.l <= wanted.last)
    assert covered(RestTrades(exchange, aggregated_above=1).aggregated, wanted) == expected


def test_a_long_run_of_void_aggregates_hides_no_gap() -> None:
    """Aggregates 2000 to 3499 are void, so a page of them is empty, and the later trade ids are lower by 1500."""

    class Void(MemoryExchange):
        async def agg_trades(self, symbol: str, *, from_id: int | None = None, limit: int = 1000) -> list[AggTrade]:
            numbers = range(5000)[-limit:] if from_id is None else range(5000)[from_id : from_id + limit]
            trades = [(a, a if a < 2000 else a - 1500) for a in numbers if not 2000 <= a < 3500]
            return [AggTrade(a, "1.0", "1.0", i, i, TIME, True) for a, i in trades]

    found = covered(RestTrades(Void(), aggregated_above=1).aggregated, IdRange(1901, 1999))
    assert list(found) == [(1901, 1999)]


@pytest.mark.parametrize(
    ("gap", "aggregated_stream", "first_method"),
    [
        (IdRange(1, 100), False, "individual"),
        (IdRange(1, 101), False, "aggregated"),
        (IdRange(1, 2), True, "aggregated"),
    ],
)
def test_large_gaps_and_aggregated_streams_are_filled_aggregated_first(
    gap: IdRange, aggregated_stream: bool, first_method: str
) -> None:
    rest_trades = RestTrades(MemoryExchange(), aggregated_above=100, aggregated_stream=aggregated_stream)
    names = [method.__name__ for method in rest_trades.methods(gap)]
    assert names[0] == first_method
    assert sorted(names) == ["aggregated", "individual", "recent"]
