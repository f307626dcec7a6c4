"""Pushed data: the exchange's WebSocket streams and server-sent events, from one reader of the change feed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.live import sse, websocket
from crypto_analytics.api.live.service import Live

router = APIRouter(tags=["push"])
router.include_router(websocket.router)
router.include_router(sse.router)


@asynccontextmanager
async def running(app: FastAPI, context: ApiContext) -> AsyncIterator[None]:
    """Follow the change feed while the application runs."""
    live = app.state.live = Live(context)
    task = asyncio.create_task(live.run())
    task.add_done_callback(_raise_failure)
    try:
        yield
    finally:
        live.trades.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _raise_failure(task: "asyncio.Task[None]") -> None:
    """End the process after a defect in the feed, so that it is started again: without it nothing is pushed."""
    if not task.cancelled() and (error := task.exception()) is not None:
        raise SystemExit(1) from error
