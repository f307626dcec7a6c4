"""``/v1/live``: server-sent events with the changed candles of a symbol and interval, for browsers."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crypto_analytics.api import context
from crypto_analytics.api.errors import RESPONSES
from crypto_analytics.api.live.clients import EventClient, connected
from crypto_analytics.api.live.service import Live
from crypto_analytics.api.live.streams import Stream, candle_stream, status_stream
from crypto_analytics.api.parameters import IntervalName

_RETRY = b"retry: 2000\n\n"
_KEEP_ALIVE = b": keep-alive\n\n"
_KEEP_ALIVE_SECONDS = 15.0

router = APIRouter()


class EventStream(Response):
    """A response that sends the events of ``streams`` until the client has gone or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, live: Live, streams: list[Stream], stopping: asyncio.Event) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._live = live
        self._streams = streams
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""

        async def send_bytes(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async def keep_alive() -> None:
            while True:
                await asyncio.sleep(_KEEP_ALIVE_SECONDS)
                await send_bytes(_KEEP_ALIVE)

        async def disconnected() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        client = EventClient()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send_bytes(_RETRY)
        with connected(self._live, client):
            self._live.follow(client, self._streams)
            await client.serve(send_bytes, keep_alive(), disconnected(), self._stopping.wait())
        if not client.is_slow:
            await send({"type": "http.response.body", "body": b""})


@router.get(
    "/v1/live",
    summary="Changed candles as server-sent events",
    response_class=EventStream,
    status_code=200,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **RESPONSES,
    },
)
async def live(
    request: Request,
    symbol: Annotated[str, Query(min_length=1, max_length=60, description="a symbol, in letters of either case")],
    interval: Annotated[IntervalName, Query(description="length of a candle")] = "1m",
) -> Any:
    """Send events ``candle`` (as of /v1/candles) and ``status`` until the client has gone."""
    streams = [candle_stream(symbol, interval), status_stream(symbol)]
    return EventStream(request.app.state.live, streams, context.of(request).stopping)
