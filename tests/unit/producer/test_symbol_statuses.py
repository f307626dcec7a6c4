"""Symbols that the exchange does not list, does not trade, or lists while the producer runs."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from crypto_analytics.binance.errors import Rejected, Unavailable
from crypto_analytics.binance.rest import SymbolInfo
from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.producer.rest_trades import trade_object
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.producer.symbol_statuses import SymbolStatuses
from tests.unit.producer.exchange import TIME, MemoryExchange, trade
from tests.unit.producer.memory_sink import MemorySink

SYMBOLS = ["BTCUSDT", "NEWUSDT", "ETHUSDT"]
RULES = Rules(frozenset(SYMBOLS), TIME + 10**12)


class Market(MemoryExchange):
    """Lists ``symbols`` with the trade ids of their last 24 hours."""

    def __init__(self, **symbols: IdRange | None) -> None:
        super().__init__()
        self.symbols: dict[str, IdRange | None] = symbols

    def _check(self, symbols: Sequence[str]) -> None:
        if not self.symbols.keys() >= set(symbols):
            raise Rejected("Invalid symbol.", 400, -1121)

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        self._ask(",".join(symbols))
        self._check(symbols)
        return {symbol: self.symbols[symbol] for symbol in symbols}


def listener_for(exchange: MemoryExchange) -> StreamListener:
    async def no_wait(seconds: float) -> None:
        raise AssertionError("the exchange answers")

    return StreamListener(SYMBOLS, MemorySink(), exchange, lambda: RULES, sleep=no_wait)


def frame(trade_id: int, symbol: str) -> bytes:
    return b'{"stream":"x","data":' + trade_object(symbol, trade(trade_id)) + b"}"


def status(symbol: str, name: str) -> float | None:
    return REGISTRY.get_sample_value("symbols_not_trading", {"symbol": symbol, "status": name})


def test_an_unknown_symbol_is_reported_once_and_the_others_are_caught_up() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=IdRange(0, 7), ETHUSDT=IdRange(2, 9))
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        assert not listener.is_ready()
        with capture_logs() as logs:
            await listener.catch_up(SYMBOLS)
            await listener.catch_up(SYMBOLS)
            assert await listener.is_behind(SYMBOLS) is False
        named = [(entry["event"], entry["symbol"]) for entry in logs]
        assert named == [("symbol_not_found", "NEWUSDT")]
        assert listener.live() == {"BTCUSDT", "ETHUSDT"}
        assert listener.is_ready()
        assert status("NEWUSDT", "UNKNOWN") == 1
        assert exchange.asked[-1] == "BTCUSDT,ETHUSDT", "the unknown one does not spoil later requests"

    asyncio.run(run())


def test_without_any_known_symbol_it_is_not_ready() -> None:
    async def run() -> None:
        listener = listener_for(Market())
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        assert not listener.is_ready()

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 100), st.data())
def test_isolating_the_unknown_ones_asks_at_most_twice_for_each_symbol(count: int, data: st.DataObject) -> None:
    symbols = [f"S{number}" for number in range(count)]
    known = data.draw(st.sets(st.sampled_from(symbols)))
    exchange = Market(**{symbol: IdRange(0, 5) for symbol in known})
    statuses = SymbolStatuses(exchange)
    assert asyncio.run(statuses.ids_of_last_day(symbols)).keys() == known
    assert statuses.unknown == set(symbols) - known
    assert len(exchange.asked) < 2 * count
    exchange.asked.clear()
    assert asyncio.run(statuses.find_listed()) == set()
    assert len(exchange.asked) <= 2 * (count - len(known))
    exchange.symbols = dict.fromkeys(symbols)
    assert asyncio.run(statuses.find_listed()) == set(symbols) - known
    assert statuses.unknown == set()


def test_an_exchange_that_refuses_for_another_reason_is_not_asked_symbol_by_symbol() -> None:
    exchange = Market()
    exchange.failing = Rejected("not served here", 403, 0)
    with pytest.raises(Rejected):
        asyncio.run(SymbolStatuses(exchange).ids_of_last_day(SYMBOLS))
    assert len(exchange.asked) == 1


def test_a_symbol_listed_during_the_run_is_caught_up_from_id_0_and_its_connection_is_replaced() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=IdRange(0, 7), ETHUSDT=IdRange(2, 9))
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        assert await listener.on_frame(frame(8, "BTCUSDT"), 1) is False
        exchange.symbols["NEWUSDT"] = IdRange(0, 4)
        await listener._check_statuses(SYMBOLS)
        await listener.catch_up(SYMBOLS)
        assert list(listener.ids["NEWUSDT"].gaps) == [(0, 4)]
        assert "NEWUSDT" not in listener.live(), "nothing comes over a connection opened before it was listed"
        assert await listener.is_behind(SYMBOLS) is True, "a silent connection is replaced too"
        assert await listener.on_frame(frame(9, "BTCUSDT"), 1) is True
        assert await listener.on_frame(frame(10, "ETHUSDT"), 1) is False, "asked for once"
        assert listener.live() == {"BTCUSDT", "ETHUSDT"}
        listener.on_connected(SYMBOLS, "server_shutdown")
        await listener.catch_up(SYMBOLS)
        assert listener.live() == set(SYMBOLS)
        assert status("NEWUSDT", "UNKNOWN") is None

    asyncio.run(run())


@pytest.mark.parametrize("known", [True, False], ids=["without trades before", "unknown before"])
def test_a_symbol_whose_first_frame_precedes_the_response_has_a_gap_from_id_0(known: bool) -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=None, ETHUSDT=None, **({"NEWUSDT": None} if known else {}))
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        exchange.symbols["NEWUSDT"] = IdRange(0, 5)
        listener.on_disconnected(SYMBOLS, "closed")
        listener.on_connected(SYMBOLS, "closed")
        await listener.on_frame(frame(5, "NEWUSDT"), 1)
        await listener._check_statuses(SYMBOLS)
        await listener.catch_up(SYMBOLS)
        assert list(listener.ids["NEWUSDT"].gaps) == [(0, 4)]

    asyncio.run(run())


def test_without_regular_catch_ups_a_new_connection_asks_again_for_unknown_symbols() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=None, ETHUSDT=None)
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        exchange.symbols["NEWUSDT"] = IdRange(0, 4)
        await listener._catch_up_opened(SYMBOLS)
        assert list(listener.ids["NEWUSDT"].gaps) == [(0, 4)]

    asyncio.run(run())


def test_a_refused_status_request_of_one_symbol_hides_no_other() -> None:
    class Contradicting(Market):
        async def exchange_info(self, symbols: Sequence[str]) -> dict[str, SymbolInfo]:
            if "NEWUSDT" in symbols:
                raise Rejected("unknown", 400, -1121)
            return {symbol: SymbolInfo(symbol, "HALT") for symbol in symbols}

    async def run() -> None:
        statuses = SymbolStatuses(Contradicting(BTCUSDT=None, NEWUSDT=None, ETHUSDT=None))
        await statuses.find_resumed(SYMBOLS)
        assert {symbol for symbol in SYMBOLS if status(symbol, "HALT")} == {"BTCUSDT", "ETHUSDT"}

    asyncio.run(run())


def test_a_symbol_that_the_exchange_rejected_for_a_while_is_not_fetched_from_its_first_trade() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=None, ETHUSDT=None)
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        exchange.symbols["NEWUSDT"] = IdRange(4_000_000, 9_000_000)
        await listener._check_statuses(SYMBOLS)
        await listener.catch_up(SYMBOLS)
        assert not listener.ids["NEWUSDT"].gaps

    asyncio.run(run())


def test_a_symbol_without_trades_has_a_gap_from_its_first_trade_on() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=None, NEWUSDT=None, ETHUSDT=None)
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        assert listener.live() == set(SYMBOLS)
        exchange.symbols |= {"NEWUSDT": IdRange(0, 0), "ETHUSDT": IdRange(500, 502)}
        await listener.catch_up(SYMBOLS)
        assert list(listener.ids["NEWUSDT"].gaps) == [(0, 0)]
        assert list(listener.ids["ETHUSDT"].gaps) == [(500, 502)]

    asyncio.run(run())


@pytest.mark.parametrize("name", ["HALT", "BREAK"])
def test_a_symbol_that_is_not_traded_is_reported_once_and_does_not_delay_readiness(name: str) -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=IdRange(0, 7), NEWUSDT=None, ETHUSDT=IdRange(0, 7))
        exchange.statuses["NEWUSDT"] = name
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        with capture_logs() as logs:
            await listener._check_statuses(SYMBOLS)
            await listener._check_statuses(SYMBOLS)
            assert status("NEWUSDT", name) == 1
            assert listener.is_ready()
            assert await listener.on_frame(frame(8, "BTCUSDT"), 1) is False
            exchange.statuses.clear()
            await listener._check_statuses(SYMBOLS)
        assert [entry["event"] for entry in logs] == ["symbol_not_traded", "symbol_resumed"]
        assert status("NEWUSDT", name) is None
        assert await listener.on_frame(frame(9, "BTCUSDT"), 1) is True, "its stream may not have begun by itself"
        assert listener.is_ready()

    asyncio.run(run())


def test_a_status_that_cannot_be_read_changes_nothing() -> None:
    async def run() -> None:
        exchange = Market(BTCUSDT=None, NEWUSDT=None, ETHUSDT=None)
        listener = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        exchange.failing = Unavailable("away")
        await listener._check_statuses(SYMBOLS)
        assert listener.is_ready()

    asyncio.run(run())
