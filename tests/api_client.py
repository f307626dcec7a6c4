"""The API in this process, without a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog

from crypto_analytics.api.application import create_app
from crypto_analytics.api.settings import ApiSettings
from tests.servers import Database


def api_settings(database: Database, folder: Path, **others: object) -> ApiSettings:
    """Return settings for ``database`` as ``reader``, with the object store in ``folder``."""
    env = database.env("reader") | {"OBJECT_STORE": "directory", "OBJECT_STORE_DIR": str(folder)}
    return ApiSettings(**(env | others))  # type: ignore[arg-type]


@asynccontextmanager
async def api_client(settings: ApiSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a running application."""
    app = create_app(settings, structlog.get_logger("test"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        yield client
