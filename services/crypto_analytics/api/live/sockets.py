"""WebSockets that take whole frames, which are encoded once for all clients.

The server's own ``send`` encodes and waits for each client, which takes three times as long with 1,000 of them.
"""

from typing import cast

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

MOST_UNSENT_BYTES = 512 * 1024
"""A client of which the server holds more, besides what the kernel does, is slow."""
_EXTENSION = "crypto_analytics.frames"
# The library's 8 KiB are too few for the names of as many streams as a client may follow.
http11.MAX_LINE_LENGTH = 64 * 1024


class FrameProtocol(WebSocketsSansIOProtocol):
    """The server's protocol, which also gives the application its socket; for uvicorn's option ``ws``."""

    def handle_connect(self, event: Request) -> None:
        """Add the socket to the connection's scope, before the application begins to run."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            cast(Scope, self.scope)["extensions"][_EXTENSION] = FrameSocket(self)


class FrameSocket:
    """Writes frames to an accepted WebSocket."""

    def __init__(self, protocol: FrameProtocol) -> None:
        self._protocol = protocol

    @classmethod
    def of(cls, scope: Scope) -> "FrameSocket":
        """Return the socket of a connection."""
        socket: FrameSocket = scope["extensions"][_EXTENSION]
        return socket

    def write(self, data: bytes) -> bool:
        """Write a frame without waiting; return whether the client reads fast enough. A closed socket ignores it."""
        transport = self._protocol.transport
        if self._protocol.close_sent or transport.is_closing():
            return True
        transport.write(data)
        return transport.get_write_buffer_size() <= MOST_UNSENT_BYTES

    def abort(self) -> None:
        """End the connection at once, without what is not sent yet."""
        self._protocol.transport.abort()


def frame(text: str) -> bytes:
    """Return the frame of a text message."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
