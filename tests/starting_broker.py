"""Imitate a starting broker: a proxy whose first answers have an empty list of brokers.

Shortly after its start, a KRaft broker answers before it knows that it is registered: its metadata then has topics and
an empty list of brokers. That moment is too short for a test with a real broker; the proxy extends it. Kafka's
protocol: https://kafka.apache.org/protocol, API key 3 (Metadata).
"""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

from ops.common.loopback import LOOPBACK

_METADATA = 3
_FLEXIBLE = 9  # from this version on, lengths are variable and entries have tags


@dataclass
class StartingBroker:
    """A proxy of the broker at ``target`` that replaces the broker's address with its own.

    While ``unregistered``, the first Metadata answer on each connection has an empty list of brokers.
    """

    target: int
    unregistered: bool = False
    emptied: int = 0
    port: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> "StartingBroker":
        self._thread = threading.Thread(target=self._loop.run_forever, name="starting-broker")
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, LOOPBACK, 0), self._loop).result(10)
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def restart(self) -> None:
        """Close all connections and become unregistered, like a killed broker that starts again."""
        self.unregistered = True
        asyncio.run_coroutine_threadsafe(self._break_all(), self._loop).result(10)

    async def _break_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broker_reader, broker_writer = await asyncio.open_connection(LOOPBACK, self.target)
        versions: dict[int, int] = {}
        self._open.add(writer)

        async def forward() -> None:
            async for request in _frames(reader):
                key, version, correlation = struct.unpack_from(">hhi", request)
                if key == _METADATA:
                    versions[correlation] = version
                broker_writer.write(struct.pack(">i", len(request)) + request)
                await broker_writer.drain()

        async def answer() -> None:
            replaced = False
            async for response in _frames(broker_reader):
                shown = response
                version = versions.pop(struct.unpack_from(">i", response)[0], None)
                if version is not None and self.unregistered and not replaced:
                    shown, replaced = _without_brokers(response, version), True
                    self.emptied += 1
                # Replace the broker's address by the proxy's, in metadata and in answers about a group's coordinator.
                shown = shown.replace(_address(self.target), _address(self.port))
                writer.write(struct.pack(">i", len(shown)) + shown)
                await writer.drain()

        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await asyncio.gather(forward(), answer())
        finally:
            self._open.discard(writer)
            for one in (writer, broker_writer):
                one.transport.abort()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        (length,) = struct.unpack(">i", await reader.readexactly(4))
        yield await reader.readexactly(length)


def _address(port: int) -> bytes:
    return LOOPBACK.encode() + struct.pack(">i", port)


def _without_brokers(response: bytes, version: int) -> bytes:
    """Return a Metadata response with an empty list of brokers."""
    flexible = version >= _FLEXIBLE
    start = 4 + flexible + 4 * (version >= 3)  # correlation id, the header's tags, throttle time
    place, brokers = _length(response, start, flexible, width=4)
    for _ in range(brokers):
        place, host = _length(response, place + 4, flexible)  # after the node's id
        place += host + 4  # and the port
        if version >= 1:
            place, rack = _length(response, place, flexible)
            place += max(rack, 0)
        if flexible:
            assert response[place] == 0, "a broker with tags"
            place += 1
    return response[:start] + (bytes([1]) if flexible else struct.pack(">i", 0)) + response[place:]


def _length(data: bytes, place: int, flexible: bool, width: int = 2) -> tuple[int, int]:
    """Return the offset of the string or array whose length is at ``place``, and that length (-1: null)."""
    if not flexible:
        (length,) = struct.unpack_from(">h" if width == 2 else ">i", data, place)
        return place + width, length
    assert data[place] < 128, "a length of more than one byte"
    return place + 1, data[place] - 1
