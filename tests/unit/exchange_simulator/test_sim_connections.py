"""Connections and the hub, with fake sockets."""

import asyncio

import pytest

from exchange_simulator.connections import OVERFLOW_BYTES, ROOM_BYTES, Connection, Hub
from exchange_simulator.frames import Frames, View
from tests.unit.exchange_simulator.harness import SECONDS

pytestmark = pytest.mark.asyncio

VIEW = View(frozenset({"btcusdt@trade"}), combined=True, microseconds=False)


class Socket:
    """Takes bytes only while ``open`` is set."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.aborted = False
        self.open = asyncio.Event()

    async def write(self, data: bytes) -> None:
        await self.open.wait()
        if self.aborted:
            raise ConnectionResetError
        self.taken.append(data)

    def abort(self) -> None:
        self.aborted = True
        self.open.set()

    async def close(self, reason: str) -> None:
        self.abort()

    def connection(self) -> Connection:
        return Connection(VIEW, write=self.write, abort=self.abort, close=self.close, now=lambda: 0.0)


async def turns() -> None:
    """Let everything that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_room_needs_a_connection_and_room_in_all_of_them() -> None:
    hub, slow = Hub(lambda _: None), Socket()
    room = asyncio.create_task(hub.room())
    await turns()
    assert not room.done()
    connection = slow.connection()
    pump = asyncio.create_task(connection.pump())
    hub.add(connection)
    connection.put(b"x" * (ROOM_BYTES + 1))
    room.cancel()
    room = asyncio.create_task(hub.room())
    await turns()
    assert not room.done()
    slow.open.set()
    await asyncio.wait_for(room, SECONDS)
    connection.finish()
    await asyncio.wait_for(pump, SECONDS)


async def test_a_closed_connection_does_not_count_for_room() -> None:
    hub, stuck, next_one = Hub(lambda _: None), Socket(), Socket()
    connection = stuck.connection()
    hub.add(connection)
    connection.put(b"x" * (ROOM_BYTES + 1))
    room = asyncio.create_task(hub.room())
    await turns()
    hub.remove(connection)
    connection.finish()
    await turns()
    assert not room.done()
    hub.add(next_one.connection())
    await asyncio.wait_for(room, SECONDS)


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    socket = Socket()
    connection = socket.connection()
    for _ in range(OVERFLOW_BYTES // 2**20):
        connection.put(b"x" * 2**20)
    assert not socket.aborted
    connection.put(b"x")
    assert socket.aborted
    await asyncio.wait_for(connection.pump(), SECONDS)


async def test_a_pause_starts_after_the_frames_that_were_buffered_before() -> None:
    socket = Socket()
    socket.open.set()
    connection = socket.connection()
    connection.put(b"a")
    connection.put(b"b")
    connection.stall(3600)
    connection.put(b"c")
    pump = asyncio.create_task(connection.pump())
    await turns()
    assert socket.taken == [b"ab"]
    pump.cancel()


async def test_frames_are_encoded_once_for_each_view() -> None:
    hub, sockets = Hub(lambda _: None), [Socket(), Socket()]
    for socket in sockets:
        hub.add(socket.connection())
    made: list[View] = []

    def make(view: View) -> Frames:
        made.append(view)
        return Frames(b"frame", 3)

    hub.send_frames(make)
    assert made == [VIEW]
    assert hub.frames_sent == 6
