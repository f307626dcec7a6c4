"""Read the combined stream over connections that are probed, replaced and opened again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from crypto_analytics.binance import trade_stream
from crypto_analytics.binance.errors import Blocked, Rejected
from crypto_analytics.binance.rate_limits import ConnectionAttempts
from crypto_analytics.binance.stream_connection import Cause
from crypto_analytics.binance.trade_stream import TradeStream
from crypto_analytics.core.spot_market import is_symbol
from tests.unit.binance.streaming import QUICK, SHUTDOWN, Recorder, Server, following


async def say_hello_and_stay(connection: ServerConnection, number: int) -> None:
    await connection.send(f"hello {number}")
    await connection.wait_closed()


def test_frames_of_the_combined_stream_are_bytes_with_a_receive_time() -> None:
    async def script(connection: ServerConnection, number: int) -> None:
        await connection.send('{"text": "ä"}')
        await connection.send(b"\x00binary")
        await connection.send("")
        await connection.wait_closed()

    async def run() -> None:
        listener, server = Recorder(), Server(script)
        async with following(server, listener):
            await listener.until(lambda heard: len(heard.frames) == 3)
        assert listener.frames == ['{"text": "ä"}'.encode(), b"\x00binary", b""]
        assert all(time > 1_700_000_000_000_000 for time in listener.times)
        assert listener.events == [("connected", "start")]
        assert server.paths == ["/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=MICROSECOND"]

    asyncio.run(run())


def test_more_symbols_need_more_connections() -> None:
    async def run() -> None:
        listener, server = Recorder(), Server(say_hello_and_stay)
        symbols = [f"S{number}USDT" for number in range(5)]
        async with following(server, listener, replace(QUICK, streams_per_connection=2), symbols):
            await listener.until(lambda heard: len(heard.frames) == 3)
        assert sorted(listener.symbols) == [tuple(symbols[0:2]), tuple(symbols[2:4]), tuple(symbols[4:])]

    asyncio.run(run())


def test_a_broken_connection_is_opened_again() -> None:
    async def script(connection: ServerConnection, number: int) -> None:
        await connection.send(f"hello {number}")
        if number == 1:
            connection.transport.abort()
        await connection.wait_closed()

    async def run() -> None:
        listener = Recorder()
        async with following(Server(script), listener):
            await listener.until(lambda heard: heard.frames == [b"hello 1", b"hello 2"])
        assert listener.events == [("connected", "start"), ("disconnected", "closed"), ("connected", "closed")]

    asyncio.run(run())


def test_a_silent_connection_is_replaced_if_the_exchange_has_newer_trades() -> None:
    async def run() -> None:
        listener = Recorder(behind=True)
        async with following(Server(say_hello_and_stay), listener):
            await listener.until(lambda heard: ("connected", "stalled") in heard.events)

    asyncio.run(run())


def test_a_silent_connection_is_replaced_if_the_exchange_does_not_respond_in_time() -> None:
    class Banned(Recorder):
        async def is_behind(self, symbols: Sequence[str]) -> bool:
            await asyncio.Event().wait()
            return False

    async def run() -> None:
        listener = Banned()
        async with following(Server(say_hello_and_stay), listener):
            await listener.until(lambda heard: ("connected", "stalled") in heard.events)

    asyncio.run(run())


def test_a_silent_connection_in_a_quiet_market_stays() -> None:
    async def run() -> None:
        asked = asyncio.Event()

        class Quiet(Recorder):
            async def is_behind(self, symbols: Sequence[str]) -> bool:
                asked.set()
                return False

        listener, server = Quiet(), Server(say_hello_and_stay)
        async with following(server, listener):
            for _ in range(2):
                await asyncio.wait_for(asked.wait(), 10)
                asked.clear()
        assert listener.events == [("connected", "start")]

    asyncio.run(run())


def test_a_dead_connection_gives_no_pong_and_is_replaced() -> None:
    async def script(connection: ServerConnection, number: int) -> None:
        if number == 1:
            connection.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(f"hello {number}")
        await connection.wait_closed()

    async def run() -> None:
        listener = Recorder()
        async with following(Server(script), listener):
            await listener.until(lambda heard: ("connected", "no_pong") in heard.events)

    asyncio.run(run())


def test_a_busy_listener_is_not_taken_for_a_stalled_stream() -> None:
    async def run() -> None:
        release, asked = asyncio.Event(), []

        class Busy(Recorder):
            async def on_frame(self, frame: bytes, received_at: int) -> bool:
                self.frames.append(frame)
                self.changed.set()
                await release.wait()
                return False

            async def is_behind(self, symbols: Sequence[str]) -> bool:
                asked.append(symbols)
                return True

        listener = Busy()
        async with following(Server(say_hello_and_stay), listener, replace(QUICK, stall=0.05)):
            await listener.until(lambda heard: bool(heard.frames))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.3)
            assert asked == []
            release.set()

    asyncio.run(run())


@pytest.mark.parametrize("cause", ["hand_over", "server_shutdown"])
def test_a_hand_over_opens_the_next_connection_before_the_old_one_closes(cause: Cause) -> None:
    async def script(connection: ServerConnection, number: int) -> None:
        if number == 1 and cause == "server_shutdown":
            await connection.send(SHUTDOWN)
        await say_hello_and_stay(connection, number)

    async def run() -> None:
        listener, server = Recorder(), Server(script)
        policy = replace(QUICK, hand_over=0.2) if cause == "hand_over" else QUICK
        async with following(server, listener, policy):
            await listener.until(lambda heard: b"hello 2" in heard.frames)
            async with asyncio.timeout(10):
                while server.open != 1:
                    await asyncio.sleep(0.01)
        assert listener.events[:2] == [("connected", "start"), ("connected", cause)]
        assert "disconnected" not in [event for event, _ in listener.events]
        assert server.most_open == 2

    asyncio.run(run())


def test_an_old_connection_that_closes_before_the_new_one_opens_leaves_a_gap() -> None:
    async def run() -> None:
        listener = Recorder()

        async def script(connection: ServerConnection, number: int) -> None:
            await connection.send(f"hello {number}")
            if number == 1:
                await connection.send(SHUTDOWN)
                connection.transport.abort()
                server.answers.append((503, {}))
            await connection.wait_closed()

        server = Server(script)
        async with following(server, listener):
            await listener.until(lambda heard: ("connected", "server_shutdown") in heard.events)
        assert ("disconnected", "server_shutdown") in listener.events

    asyncio.run(run())


def test_an_old_connection_that_closes_while_new_ones_are_rejected_is_reported_at_once() -> None:
    async def run() -> None:
        listener, refused = Recorder(), asyncio.Event()

        async def script(connection: ServerConnection, number: int) -> None:
            await connection.send(SHUTDOWN)
            await refused.wait()

        class Refusing(Server):
            def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
                answer = super().refuse(connection, request)
                if len(self.paths) == 1:
                    self.answers.append((429, {"Retry-After": "3600"}))
                else:
                    refused.set()
                return answer

        server = Refusing(script)
        async with following(server, listener):
            await listener.until(lambda heard: len(heard.events) == 2)
        assert listener.events == [("connected", "start"), ("disconnected", "server_shutdown")]
        assert len(server.paths) == 2

    asyncio.run(run())


def test_a_closed_old_connection_is_reported_once() -> None:
    async def run() -> None:
        listener = Recorder()

        async def script(connection: ServerConnection, number: int) -> None:
            if number == 1:
                server.answers += [(503, {})] * 3
                await connection.send(SHUTDOWN)
            else:
                await say_hello_and_stay(connection, number)

        server = Server(script)
        async with following(server, listener):
            await listener.until(lambda heard: b"hello 5" in heard.frames)
        assert listener.events == [
            ("connected", "start"),
            ("disconnected", "server_shutdown"),
            ("connected", "server_shutdown"),
        ]

    asyncio.run(run())


def test_a_frame_of_a_megabyte_arrives_and_one_above_the_limit_closes_the_connection() -> None:
    async def script(connection: ServerConnection, number: int) -> None:
        if number == 1:
            await connection.send("x" * 1_000_000)
            await connection.send("x" * 5_000_000)
        else:
            await connection.send("small")
        await connection.wait_closed()

    async def run() -> None:
        listener = Recorder()
        async with following(Server(script), listener):
            await listener.until(lambda heard: b"small" in heard.frames)
        assert len(listener.frames[0]) == 1_000_000
        assert len(listener.frames) == 2
        assert ("connected", "frame_too_large") in listener.events

    asyncio.run(run())


@pytest.mark.parametrize(("status", "kind"), [(451, Blocked), (403, Rejected), (404, Rejected)])
def test_a_permanent_rejection_ends_the_stream_and_names_the_setting(status: int, kind: type[Exception]) -> None:
    async def run() -> None:
        server = Server(say_hello_and_stay, [(status, {})])
        async with following(server, Recorder()) as task:
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(asyncio.shield(task), 10)
        (error,) = caught.value.exceptions
        assert type(error) is kind
        assert "BINANCE_WS_URL" in str(error)

    asyncio.run(run())


def test_a_transient_rejection_is_retried() -> None:
    async def run() -> None:
        listener = Recorder()
        server = Server(say_hello_and_stay, [(503, {}), (429, {"Retry-After": "0"})])
        async with following(server, listener):
            await listener.until(lambda heard: heard.frames == [b"hello 3"])
        assert listener.events == [("connected", "start")]

    asyncio.run(run())


def test_a_retry_after_of_zero_still_pauses() -> None:
    async def run() -> None:
        listener = Recorder()
        server = Server(say_hello_and_stay, [(429, {"Retry-After": "0"})])
        async with following(server, listener):
            await listener.until(lambda heard: heard.frames == [b"hello 2"])
        assert server.asked_at[1] - server.asked_at[0] >= 1

    asyncio.run(run())


def test_a_retry_after_pauses_all_connections() -> None:
    async def run() -> None:
        listener, refused, opened = Recorder(), asyncio.Event(), count(1)

        async def script(connection: ServerConnection, _: int) -> None:
            number = next(opened)
            await connection.send(f"hello {number}")
            if number == 1:  # the first of two is lost, and refused when it comes again
                await listener.until(lambda heard: len(heard.frames) == 2)
                server.answers.append((429, {"Retry-After": "1"}))
                connection.transport.abort()
            elif number == 2:  # then the other one is lost too
                await refused.wait()
                connection.transport.abort()
            await connection.wait_closed()

        class Refusing(Server):
            def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
                answer = super().refuse(connection, request)
                if answer is not None:
                    refused.set()
                return answer

        server = Refusing(script)
        async with following(server, listener, replace(QUICK, stall=60, streams_per_connection=1)):
            await listener.until(lambda heard: len(heard.frames) == 4)
        assert len(server.asked_at) == 5
        refused_at, *later = server.asked_at[2:]
        assert all(asked_at - refused_at >= 1 for asked_at in later)

    asyncio.run(run())


def test_the_longest_pause_of_all_attempts_applies_and_ends_on_time() -> None:
    now, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    async def run() -> None:
        attempts = ConnectionAttempts(now=lambda: now[0], sleep=sleep)
        attempts.pause(30)
        attempts.pause(5)
        await attempts.acquire()
        await attempts.acquire()
        assert slept == [30]

    asyncio.run(run())


@pytest.mark.parametrize(
    "location", ["http://portal.example/login", "ws://other.example/stream", "/elsewhere", "://", ""]
)
def test_a_redirect_ends_the_stream_and_names_both_addresses(location: str) -> None:
    async def run() -> None:
        server = Server(say_hello_and_stay, [(302, {"Location": location})])
        async with following(server, Recorder()) as task:
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(asyncio.shield(task), 10)
        (error,) = caught.value.exceptions
        assert isinstance(error, Rejected)
        assert f"/stream: it redirects to {location or 'an address'}" in str(error)
        assert len(server.paths) == 1

    asyncio.run(run())


@pytest.mark.parametrize("status", [451, 403, 404])
def test_a_rejection_names_the_url_without_query_and_credentials(status: int) -> None:
    async def run() -> None:
        server = Server(say_hello_and_stay, [(status, {})])
        async with serve(server.handle, "127.0.0.1", 0, process_request=server.refuse) as listening:
            place = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            stream = TradeStream(f"ws://user:secret@{place}/mirror", ["BTCUSDT"] * 400, Recorder(), policy=QUICK)
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(stream.run(), 10)
        (error,) = caught.value.exceptions
        assert f"HTTP {status} from ws://{place}/mirror/stream:" in str(error)
        assert len(str(error)) < 400

    asyncio.run(run())


def test_a_header_that_is_sent_twice_is_accepted() -> None:
    class Twice(Server):
        def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
            answer = super().refuse(connection, request)
            if answer is not None:
                answer.headers["Retry-After"] = "1"
            return answer

    async def run() -> None:
        listener = Recorder()
        server = Twice(say_hello_and_stay, [(429, {"Retry-After": "3600"})])
        async with following(server, listener):
            await listener.until(lambda heard: heard.frames == [b"hello 2"])

    asyncio.run(run())


SYMBOLS = ["币安人生USDT", "BTC-USDT", "BTCUSDT_240329", "A.B", "1000SATSUSDT", "ÉTÉUSDT", "ПРИВЕТ"]


def test_every_symbol_that_can_be_listed_has_its_stream() -> None:
    assert all(map(is_symbol, SYMBOLS))

    async def run() -> None:
        listener, server = Recorder(), Server(say_hello_and_stay)
        async with following(server, listener, symbols=SYMBOLS):
            await listener.until(lambda heard: bool(heard.frames))
        (path,) = server.paths
        assert path.isascii()
        streams = parse_qs(urlsplit(path).query)["streams"]
        assert streams == ["/".join(f"{symbol.lower()}@trade" for symbol in SYMBOLS)]

    asyncio.run(run())


def test_an_unreachable_server_is_retried() -> None:
    async def run() -> None:
        listener = Recorder()
        async with serve(Server(say_hello_and_stay).handle, "127.0.0.1", 0) as gone:
            port = gone.sockets[0].getsockname()[1]
        stream = TradeStream(f"ws://127.0.0.1:{port}", ["A"], listener, policy=QUICK)
        task = asyncio.create_task(stream.run())
        server = Server(say_hello_and_stay)
        async with serve(server.handle, "127.0.0.1", port, process_request=server.refuse):
            await listener.until(lambda heard: heard.frames == [b"hello 1"])
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_an_error_of_the_listener_ends_the_stream() -> None:
    async def run() -> None:
        listener = Recorder(error=RuntimeError("sink broken"))
        async with following(Server(say_hello_and_stay), listener) as task:
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(asyncio.shield(task), 10)
        assert caught.value.exceptions[0] is listener.error

    asyncio.run(run())


def test_an_error_of_the_listener_during_a_probe_ends_the_stream() -> None:
    class Broken(Recorder):
        async def is_behind(self, symbols: Sequence[str]) -> bool:
            raise RuntimeError("probe broken")

    async def run() -> None:
        async with following(Server(say_hello_and_stay), Broken()) as task:
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.wait_for(asyncio.shield(task), 10)
        assert str(caught.value.exceptions[0]) == "probe broken"

    asyncio.run(run())


@pytest.mark.parametrize("steps", range(8))
def test_a_cancellation_at_the_moment_of_the_event_is_not_lost(steps: int) -> None:
    async def run() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(trade_stream._wait(event, 10))
        await asyncio.sleep(0.01)
        event.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        was_done = task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or was_done

    asyncio.run(run())


def test_no_more_than_three_hundred_attempts_in_five_minutes() -> None:
    now, slept = [0.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    async def run() -> None:
        attempts = ConnectionAttempts(now=lambda: now[0], sleep=sleep)
        for second in range(300):
            now[0] = second / 10
            await attempts.acquire()
        assert slept == []
        await attempts.acquire()
        assert slept == [pytest.approx(300 - 29.9)]

    asyncio.run(run())
