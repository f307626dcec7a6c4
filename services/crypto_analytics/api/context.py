"""What the parts of the API share."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Self

from fastapi import Depends
from starlette.requests import HTTPConnection
from structlog.stdlib import BoundLogger

from crypto_analytics.api.database import Database
from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.api.symbols import Symbols
from crypto_analytics.api.trade_archive import TradeArchive
from crypto_analytics.runtime.clock import Clock, clock_for
from crypto_analytics.store.objects import open_store


@dataclass(frozen=True)
class ApiContext:
    """One application's settings, database, clock (microseconds) and log.

    ``stopping`` is set when the server begins to stop: a response that never ends by itself ends then.
    """

    settings: ApiSettings
    database: Database
    clock: Clock
    log: BoundLogger
    symbols: Symbols
    archive: TradeArchive
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def open(cls, settings: ApiSettings, log: BoundLogger) -> Self:
        """Return the context of ``settings``; its database is not opened yet."""
        database = Database(settings)
        archive = TradeArchive(database, open_store(settings), settings.BUCKET_RAW)
        return cls(settings, database, clock_for(settings.AS_OF), log, Symbols(database, settings.SYMBOLS), archive)


def of(connection: HTTPConnection) -> ApiContext:
    """Return the context of the application that serves a request or a WebSocket."""
    context: ApiContext = connection.app.state.context
    return context


Context = Annotated[ApiContext, Depends(of)]
"""The parameter type by which an endpoint gets the context."""
