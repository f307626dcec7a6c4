"""The queue of a client: a slow one is dropped and delays nobody; a message is encoded once for all."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from crypto_analytics.api.live.clients import EventClient, Hub, SocketClient
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.sockets import MOST_UNSENT_BYTES, FrameSocket
from crypto_analytics.api.live.streams import parse

STREAM = parse("btcusdt@trade")


def message(number: int = 0) -> Pushed:
    return Pushed(STREAM, f'{{"n":{number}}}', time.monotonic())


def test_a_slow_reader_of_events_is_dropped_and_others_get_all() -> None:
    async def run() -> None:
        hub, received = Hub(), []
        slow, fast = EventClient(most=10), EventClient()
        never = asyncio.Event()

        async def send_slowly(_: object) -> None:
            await never.wait()

        async def send(data: bytes) -> None:
            received.append(data)

        for client in (slow, fast):
            hub.follow(client, [STREAM])
        serving = asyncio.create_task(slow.serve(send_slowly, never.wait()))
        other = asyncio.create_task(fast.serve(send, never.wait()))
        for number in range(50):
            hub.publish(message(number))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await serving  # it ends, although its socket takes nothing
            while len(received) < 50:
                await asyncio.sleep(0)
        assert slow.is_slow
        assert not fast.is_slow
        assert received == [message(number).event for number in range(50)]
        other.cancel()

    asyncio.run(run())


class Transport:
    """A transport whose peer reads nothing, or all."""

    def __init__(self, *, reads: bool) -> None:
        self.written: list[bytes] = []
        self.is_aborted = False
        self._reads = reads

    def is_closing(self) -> bool:
        return self.is_aborted

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return 0 if self._reads else sum(map(len, self.written))

    def abort(self) -> None:
        self.is_aborted = True


def test_a_slow_websocket_is_aborted_and_others_get_the_same_bytes() -> None:
    hub, slow, fast = Hub(), Transport(reads=False), Transport(reads=True)
    for transport in (slow, fast):
        socket = FrameSocket(SimpleNamespace(transport=transport, close_sent=False))  # type: ignore[arg-type]
        hub.follow(SocketClient(socket, has_envelope=False), [STREAM])
    messages = [Pushed(STREAM, "x" * 100_000, time.monotonic()) for _ in range(20)]
    for pushed in messages:
        hub.publish(pushed)
    assert slow.is_aborted
    assert sum(map(len, slow.written)) < MOST_UNSENT_BYTES + 200_000
    assert not fast.is_aborted
    assert all(ours is theirs.raw for ours, theirs in zip(fast.written, messages, strict=True))


def test_nothing_is_written_after_a_close() -> None:
    transport = Transport(reads=True)
    socket = FrameSocket(SimpleNamespace(transport=transport, close_sent=True))  # type: ignore[arg-type]
    assert socket.write(b"frame")
    assert transport.written == []


def test_a_connection_ends_with_the_first_of_its_parts_and_raises_its_defect() -> None:
    async def run() -> None:
        async def defect() -> None:
            raise ValueError("defect")

        async def send(_: object) -> None: ...

        await EventClient().serve(send, asyncio.sleep(0))
        with pytest.raises(ValueError, match="defect"):
            await EventClient().serve(send, defect(), asyncio.Event().wait())

    asyncio.run(run())


def test_a_message_is_encoded_once() -> None:
    pushed = message()
    assert pushed.raw is pushed.raw
    assert pushed.combined is pushed.combined
    assert pushed.combined == b'\x81\x29{"stream":"btcusdt@trade","data":{"n":0}}'
    assert pushed.event is pushed.event


def test_streams_without_clients_are_forgotten() -> None:
    hub, client = Hub(), EventClient()
    hub.follow(client, [STREAM, parse("btcusdt@kline_1m")])
    assert hub.symbols_with("trade") == ["btcusdt"]
    hub.leave(client, [STREAM, parse("ethusdt@trade")])
    assert hub.symbols_with("trade") == []
    hub.leave(client, client.streams)
    assert hub.streams("btcusdt") == []
    assert not client.streams
