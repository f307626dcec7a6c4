"""The queue of a client: a slow one is dropped and delays nobody; a message is encoded once for all."""

import asyncio
import time

import pytest

from crypto_analytics.api.live.clients import Client, Hub
from crypto_analytics.api.live.messages import Pushed
from crypto_analytics.api.live.streams import parse

STREAM = parse("btcusdt@trade")


def message(number: int = 0) -> Pushed:
    return Pushed(STREAM, f'{{"n":{number}}}', time.monotonic())


def test_a_slow_client_is_dropped_and_others_get_all_messages() -> None:
    async def run() -> None:
        hub, received = Hub(), []
        slow, fast = Client("websocket", lambda pushed: pushed.raw, most=10), Client("sse", lambda pushed: pushed.event)
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


def test_a_connection_ends_with_the_first_of_its_parts_and_raises_its_defect() -> None:
    async def run() -> None:
        async def defect() -> None:
            raise ValueError("defect")

        async def send(_: object) -> None: ...

        client = Client("websocket", lambda pushed: pushed.raw)
        await client.serve(send, asyncio.sleep(0))
        with pytest.raises(ValueError, match="defect"):
            await client.serve(send, defect(), asyncio.Event().wait())

    asyncio.run(run())


def test_a_message_is_encoded_once() -> None:
    pushed = message()
    assert pushed.raw is pushed.raw
    assert pushed.combined is pushed.combined
    assert pushed.combined["text"] == '{"stream":"btcusdt@trade","data":{"n":0}}'
    assert pushed.event is pushed.event


def test_streams_without_clients_are_forgotten() -> None:
    hub, client = Hub(), Client("websocket", lambda pushed: pushed.raw)
    hub.follow(client, [STREAM, parse("btcusdt@kline_1m")])
    assert hub.symbols_with("trade") == ["btcusdt"]
    hub.leave(client, [STREAM, parse("ethusdt@trade")])
    assert hub.symbols_with("trade") == []
    hub.leave(client, client.streams)
    assert hub.streams("btcusdt") == []
    assert not client.streams
