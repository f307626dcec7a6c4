"""Handle frames and connection events: gaps, dead letters, live symbols and readiness."""

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import REGISTRY

from crypto_analytics.binance.errors import Unavailable
from crypto_analytics.binance.rest import HistoricalTrade
from crypto_analytics.binance.trade_decoder import Rules
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer import service
from crypto_analytics.producer.gap_check import GapCheck
from crypto_analytics.producer.gap_reasons import GapReasons
from crypto_analytics.producer.gap_store import MergedGap
from crypto_analytics.producer.repair import Repairer
from crypto_analytics.producer.rest_trades import RestTrades, trade_object
from crypto_analytics.producer.stream_listener import StreamListener
from crypto_analytics.producer.trade_ids import TradeIds
from crypto_analytics.runtime.health import Health
from tests.unit.producer.exchange import TIME, MemoryExchange, trade
from tests.unit.producer.memory_sink import MemorySink

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
RULES = Rules(frozenset(SYMBOLS), TIME + 10**12)


def frame(trade_id: int, symbol: str = "BTCUSDT") -> bytes:
    return b'{"stream":"x","data":' + trade_object(symbol, trade(trade_id)) + b"}"


def listener_for(exchange: MemoryExchange) -> tuple[StreamListener, MemorySink]:
    sink = MemorySink()

    async def no_wait(seconds: float) -> None:
        return None

    return StreamListener(SYMBOLS, sink, exchange, lambda: RULES, sleep=no_wait), sink


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def test_a_trade_goes_to_the_sink_and_a_bad_frame_to_the_dead_letters_whole() -> None:
    async def run() -> None:
        listener, sink = listener_for(MemoryExchange())
        assert await listener.on_frame(frame(5), 17) is False
        assert await listener.on_frame(b"junk", 18) is False
        assert await listener.on_frame(b'{"result":null,"id":1}', 19) is False
        assert [(symbol, t.first_id, source) for symbol, t, source in sink.trades] == [("BTCUSDT", 5, "ws")]
        assert sink.rejected == [(b"junk", "not_json", "ws")]

    asyncio.run(run())


def test_a_bad_trade_with_readable_ids_is_one_dead_letter_and_its_ids_are_a_gap() -> None:
    async def run() -> None:
        listener, sink = listener_for(MemoryExchange())
        bad = frame(6).replace(b'"q":"0.50000000"', b'"q":"0.00000000"')
        await listener.on_frame(frame(5), 1)
        await listener.on_frame(bad, 2)
        await listener.on_frame(bad, 3)
        await listener.on_frame(frame(7), 4)
        assert [(reason, source) for _, reason, source in sink.rejected] == [("bad_quantity", "ws")]
        assert list(listener.ids["BTCUSDT"].gaps) == [(6, 6)]
        rest_trades = RestTrades(Zero(first=0, last=7), aggregated_above=100)
        repairer = Repairer(listener.ids, rest_trades, sink, lambda: RULES, reasons=listener._reasons)
        repairer.queue_due()
        repairer.queue_due()
        while await repairer.fetch_next_page():
            pass
        assert len(sink.rejected) == 1, "REST has the same bad trade"
        assert listener._reasons.unrecorded_reasons()[0].text.startswith("refused: bad_quantity")

    asyncio.run(run())


def test_each_bad_frame_without_readable_ids_is_dead_lettered() -> None:
    async def run() -> None:
        listener, sink = listener_for(MemoryExchange())
        foreign = frame(6, "XXXUSDT")
        for value in (b"junk", b"junk", foreign, foreign, frame(6).replace(b'"t":6', b'"t":-6')):
            await listener.on_frame(value, 1)
        reasons = [reason for _, reason, _ in sink.rejected]
        assert reasons == ["not_json", "not_json", "unknown_symbol", "unknown_symbol", "bad_id"]

    asyncio.run(run())


class Zero(MemoryExchange):
    """An exchange whose trades all have a quantity of zero."""

    async def historical_trades(self, symbol: str, from_id: int, limit: int = 1000) -> list[HistoricalTrade]:
        rows = await super().historical_trades(symbol, from_id, limit)
        return [HistoricalTrade(row.id, row.price, "0.0", row.time, True) for row in rows]


def test_the_server_s_notice_asks_for_a_hand_over() -> None:
    async def run() -> None:
        listener, sink = listener_for(MemoryExchange())
        assert await listener.on_frame(b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', 1) is True
        assert sink.rejected == []

    asyncio.run(run())


def test_a_symbol_is_live_when_connected_and_caught_up_whatever_is_missing() -> None:
    async def run() -> None:
        exchange = MemoryExchange(last=7)
        listener, _ = listener_for(exchange)
        await listener.on_frame(frame(5), 1)
        listener.on_connected(SYMBOLS, "start")
        assert (listener.live(), listener.is_ready()) == (set(), False)
        await listener.catch_up(SYMBOLS)
        listener.tick()
        assert list(listener.ids["BTCUSDT"].gaps) == [(6, 7)]
        assert (listener.live(), listener.is_ready()) == (set(SYMBOLS), True)
        assert REGISTRY.get_sample_value("trade_ids_missing", {"symbol": "BTCUSDT"}) == 2
        assert REGISTRY.get_sample_value("trade_ids_missing", {"symbol": "ETHUSDT"}) == 0
        listener.on_disconnected(["ETHUSDT"], "closed")
        assert (listener.live(), listener.is_ready()) == ({"BTCUSDT"}, False)

    asyncio.run(run())


def test_the_producer_is_ready_while_a_gap_cannot_be_repaired() -> None:
    async def run() -> None:
        listener, _ = listener_for(MemoryExchange(last=200))
        listener.resume({"BTCUSDT": IdRanges([(1, 50), (60, 200)])})
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        health = Health()
        ticking = asyncio.create_task(service._tick(listener, health))
        await until(lambda: health.ready)
        ticking.cancel()
        assert list(listener.ids["BTCUSDT"].gaps) == [(51, 59)]

    asyncio.run(run())


def test_a_symbol_is_live_after_a_disconnect_only_once_caught_up_but_stays_live_at_a_hand_over() -> None:
    async def run() -> None:
        listener, _ = listener_for(MemoryExchange(last=7))
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        listener.on_connected(SYMBOLS, "hand_over")
        assert listener.live() == set(SYMBOLS)
        listener.on_disconnected(SYMBOLS, "closed")
        listener.on_connected(SYMBOLS, "closed")
        assert listener.live() == set()

    asyncio.run(run())


def test_catching_up_goes_on_until_the_exchange_answers() -> None:
    class Shaky(MemoryExchange):
        async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
            self.asked.append("last")
            if len(self.asked) < 4:
                raise Unavailable("away")
            return dict.fromkeys(symbols, IdRange(1, 7))

    async def run() -> None:
        exchange = Shaky()
        listener, _ = listener_for(exchange)
        await listener.on_frame(frame(5), 1)
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        assert len(exchange.asked) == 4
        assert list(listener.ids["BTCUSDT"].gaps) == [(6, 7)]

    asyncio.run(run())


class BlockedExchange(MemoryExchange):
    """An exchange that answers the question for the ids of the last day only after ``release`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_for_ids, self.release = asyncio.Event(), asyncio.Event()

    async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
        self.asked_for_ids.set()
        await self.release.wait()
        return dict.fromkeys(symbols)


def test_a_response_requested_before_the_last_disconnect_makes_no_symbol_live() -> None:
    async def run() -> None:
        exchange = BlockedExchange()
        listener, _ = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        first = asyncio.create_task(listener.catch_up(SYMBOLS))
        await exchange.asked_for_ids.wait()
        listener.on_disconnected(SYMBOLS, "closed")
        listener.on_connected(SYMBOLS, "closed")
        exchange.release.set()
        await first
        assert listener.live() == set()

    asyncio.run(run())


def test_a_response_requested_before_a_disconnect_makes_no_symbol_live_after_a_late_hand_over() -> None:
    async def run() -> None:
        exchange = BlockedExchange()
        listener, _ = listener_for(exchange)
        listener.on_connected(SYMBOLS, "start")
        first = asyncio.create_task(listener.catch_up(SYMBOLS))
        await exchange.asked_for_ids.wait()
        listener.on_disconnected(SYMBOLS, "server_shutdown")
        exchange.release.set()
        await first
        listener.on_connected(SYMBOLS, "server_shutdown")
        assert listener.live() == set()
        await listener.catch_up(SYMBOLS)
        assert listener.live() == set(SYMBOLS)

    asyncio.run(run())


def test_a_disconnect_of_one_connection_keeps_the_response_valid_for_the_others() -> None:
    async def run() -> None:
        class Breaking(MemoryExchange):
            async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
                listener.on_disconnected(["ETHUSDT"], "closed")
                listener.on_connected(["ETHUSDT"], "closed")
                return dict.fromkeys(symbols)

        listener, _ = listener_for(Breaking())
        listener.on_connected(SYMBOLS, "start")
        await listener.catch_up(SYMBOLS)
        assert listener.live() == {"BTCUSDT"}

    asyncio.run(run())


def test_a_stream_that_stops_alone_is_found_without_a_disconnect() -> None:
    async def run() -> None:
        slept: list[float] = []
        time_passes = asyncio.Semaphore(0)

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await time_passes.acquire()

        exchange = MemoryExchange(last=5)
        listener = StreamListener(SYMBOLS, MemorySink(), exchange, lambda: RULES, catch_up_seconds=60, sleep=sleep)
        running = asyncio.create_task(listener.run())
        await listener.on_frame(frame(5), 1)
        await listener.on_frame(frame(5, "ETHUSDT"), 1)
        time_passes.release()
        await until(lambda: len(slept) == 2)
        assert exchange.asked == [], "nothing is connected"
        listener.on_connected(["ETHUSDT"], "start")
        listener.on_connected(["BTCUSDT"], "start")
        await until(lambda: listener.live() == set(SYMBOLS))
        exchange.last = 7
        for trade_id in (6, 7):
            await listener.on_frame(frame(trade_id, "ETHUSDT"), 1)
        time_passes.release()
        await until(lambda: list(listener.ids["BTCUSDT"].gaps) == [(6, 7)])
        assert not listener.ids["ETHUSDT"].gaps
        assert exchange.asked.count("ids_of_last_day") == 3, "one for each connection, then one for all"
        await until(lambda: slept == [60, 60, 60])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_connections_that_come_and_go_while_the_exchange_is_silent_leave_one_request() -> None:
    async def run() -> None:
        waiting = 0

        class Silent(MemoryExchange):
            async def ids_of_last_day(self, symbols: Sequence[str]) -> dict[str, IdRange | None]:
                nonlocal waiting
                waiting += 1
                self.asked.append("ids_of_last_day")
                try:
                    await asyncio.Event().wait()
                finally:
                    waiting -= 1
                raise AssertionError

        exchange = Silent(last=5)
        listener = StreamListener(SYMBOLS, MemorySink(), exchange, lambda: RULES)
        running = asyncio.create_task(listener.run())
        for number in range(1, 51):
            listener.on_connected(SYMBOLS, "stalled")
            await until(lambda number=number: len(exchange.asked) == number)  # type: ignore[misc]
        await until(lambda: waiting == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_without_a_time_the_exchange_is_asked_only_when_a_connection_opens() -> None:
    async def run() -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await asyncio.Event().wait()

        exchange = MemoryExchange(last=5)
        listener = StreamListener(SYMBOLS, MemorySink(), exchange, lambda: RULES, catch_up_seconds=0, sleep=sleep)
        running = asyncio.create_task(listener.run())
        listener.on_connected(SYMBOLS, "start")
        await until(lambda: listener.live() == set(SYMBOLS))
        assert (slept, exchange.asked) == ([], ["ids_of_last_day"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_a_silent_stream_is_behind_only_if_the_exchange_has_more_or_does_not_answer() -> None:
    async def run() -> None:
        exchange = MemoryExchange(last=5)
        listener, _ = listener_for(exchange)
        await listener.on_frame(frame(5), 1)
        await listener.on_frame(frame(5, "ETHUSDT"), 1)
        assert await listener.is_behind(SYMBOLS) is False
        exchange.last = 6
        assert await listener.is_behind(SYMBOLS) is True
        exchange.last, exchange.failing = 5, Unavailable("away")
        assert await listener.is_behind(SYMBOLS) is True

    asyncio.run(run())


def test_listed_gaps_are_reopened_with_growing_pauses_until_they_are_closed() -> None:
    class View:
        def __init__(self) -> None:
            self.gaps = [MergedGap("BTCUSDT", IdRange(5, 6))]

        def read(self, symbols: Sequence[str]) -> list[MergedGap]:
            return self.gaps

    async def run() -> None:
        ids, now, view = {symbol: TradeIds() for symbol in SYMBOLS}, [0.0], View()
        reasons = GapReasons()
        check = GapCheck(view, ids, 60, reasons=reasons, now=lambda: now[0])
        ids["BTCUSDT"].resume(IdRanges([(1, 100)]))
        await check.check()
        assert list(ids["BTCUSDT"].gaps) == [(5, 6)]
        ids["BTCUSDT"].observe(5, 6)
        now[0] = 1
        await check.check()
        assert not ids["BTCUSDT"].gaps, "its repair is on its way to the database"
        now[0] = 121
        await check.check()
        assert list(ids["BTCUSDT"].gaps) == [(5, 6)], "the repair did not get there"
        assert [reason.text for reason in reasons.unrecorded_reasons()] == ["requested, and not merged yet"]
        view.gaps = []
        await check.check()
        view.gaps = [MergedGap("BTCUSDT", IdRange(5, 6))]
        await check.check()
        assert list(ids["BTCUSDT"].gaps) == [(5, 6)]

    asyncio.run(run())
