"""The open connections. Each has a bounded buffer; a batch is encoded once for all connections with the same view."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from exchange_simulator import metrics
from exchange_simulator.frames import AggregateEnd, Encoder, Frames, View
from exchange_simulator.trades import AnyTrade

ROOM_BYTES = 256 * 1024  # a connection with more buffered bytes has no room
OVERFLOW_BYTES = 64 * 1024 * 1024  # a pace that does not wait for clients closes a connection with more buffered bytes


class _Pause(float):
    """A pause of so many seconds."""


class Connection:
    """One client and the buffer of its frames.

    ``write`` sends bytes and returns when the socket has room for more. ``abort`` breaks the connection at once,
    ``close`` closes it with a handshake that has the reason. ``now`` returns seconds.
    """

    def __init__(
        self,
        view: View,
        *,
        write: Callable[[bytes], Awaitable[None]],
        abort: Callable[[], None],
        close: Callable[[str], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self.view = view
        self.last_alive = now()
        self.abort = abort
        self.close = close
        self._write = write
        self._now = now
        self._waiting: deque[bytes | _Pause] = deque()
        self._waiting_bytes = 0
        self._has_data = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_over = False

    def put(self, data: bytes) -> None:
        """Add whole frames to the buffer; breaks the connection of a client that reads too slowly."""
        if self._is_over or not data:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._has_data.set()
        if self._waiting_bytes > OVERFLOW_BYTES:
            self.abort()
        elif self._waiting_bytes > ROOM_BYTES:
            self._has_room.clear()

    @property
    def has_room(self) -> bool:
        """Whether the buffer has room."""
        return self._has_room.is_set()

    async def room(self) -> None:
        """Return as soon as the buffer has room, or the connection is closed."""
        await self._has_room.wait()

    def stall(self, seconds: float) -> None:
        """Pause for ``seconds`` after the frames that are buffered now."""
        self._waiting.append(_Pause(seconds))
        self._has_data.set()

    def alive(self) -> None:
        """Set the time at which the client last read or sent data."""
        self.last_alive = self._now()

    def finish(self) -> None:
        """Release all waiters: the connection is closed."""
        self._is_over = True
        self._waiting.clear()
        self._has_room.set()
        self._has_data.set()

    async def pump(self) -> None:
        """Send the buffered frames until the connection is closed."""
        while not self._is_over:
            await self._has_data.wait()
            data = self._take()
            if data:
                try:
                    await self._write(data)
                except ConnectionError:
                    self.abort()
                    return
                self.alive()
                self._waiting_bytes -= len(data)
                if self._waiting_bytes <= ROOM_BYTES:
                    self._has_room.set()
            elif self._waiting:
                await asyncio.sleep(float(self._waiting.popleft()))
            else:
                self._has_data.clear()

    def _take(self) -> bytes:
        """Return all frames up to the next pause."""
        frames: list[bytes] = []
        while self._waiting and isinstance(frame := self._waiting[0], bytes):
            frames.append(frame)
            self._waiting.popleft()
        return b"".join(frames)


class Hub:
    """All connections. ``frames_sent`` counts the frames added to the buffers of all connections."""

    def __init__(self, aggregate_ended_by: AggregateEnd) -> None:
        self._connections: set[Connection] = set()
        self._encoders: dict[View, Encoder] = {}
        self._aggregate_ended_by = aggregate_ended_by
        self._has_connection = asyncio.Event()
        self.frames_sent = 0

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Add ``connection``, which gets the trades from now on."""
        self._connections.add(connection)
        self._has_connection.set()
        metrics.CONNECTIONS.set(len(self))

    def remove(self, connection: Connection) -> None:
        """Remove ``connection``."""
        self._connections.discard(connection)
        if not self._connections:
            self._has_connection.clear()
        views = {other.view for other in self._connections}
        self._encoders = {view: encoder for view, encoder in self._encoders.items() if view in views}
        metrics.CONNECTIONS.set(len(self))

    async def has_connection(self) -> None:
        """Return as soon as a client is connected."""
        await self._has_connection.wait()

    async def room(self) -> None:
        """Return as soon as there is a connection, and all connections have room."""
        while not self._connections or not all(connection.has_room for connection in self._connections):
            await self._has_connection.wait()
            for connection in tuple(self._connections):
                await connection.room()  # others may come and go meanwhile

    def send(self, trades: Sequence[AnyTrade]) -> None:
        """Send ``trades`` to all connections, filtered by the streams of each."""
        self.send_frames(lambda view: self._encoder(view).encode(trades))

    def send_frames(self, make: Callable[[View], Frames]) -> None:
        """Send the frames that ``make`` returns for a view to the connections with that view."""
        made: dict[View, Frames] = {}
        for connection in tuple(self._connections):
            frames = made.get(connection.view)
            if frames is None:
                frames = made[connection.view] = make(connection.view)
            connection.put(frames.data)
            self.frames_sent += frames.number
            metrics.FRAMES_SENT.inc(frames.number)

    def open_now(self) -> tuple[Connection, ...]:
        """Return the connections that are open now."""
        return tuple(self._connections)

    def _encoder(self, view: View) -> Encoder:
        encoder = self._encoders.get(view)
        if encoder is None:
            encoder = self._encoders[view] = Encoder(view, self._aggregate_ended_by)
        return encoder
