"""The application: one port for the exchange's protocol, /v1, the pushed data, the live page, metrics and health."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from structlog.stdlib import BoundLogger

from crypto_analytics import __version__
from crypto_analytics.api import docs_page, errors, exchange, health, live, page, v1
from crypto_analytics.api.access import OriginAllowed, TokenRequired
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.limits import RequestLimits
from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.api.state_metrics import StateMetrics

TITLE = "Real-Time Crypto Analytics"


def create_app(settings: ApiSettings, log: BoundLogger) -> FastAPI:
    """Return the application. Its state has the context that all parts share (see :mod:`.context`)."""
    app = FastAPI(
        title=TITLE,
        version=__version__,
        description="Candles, trades and their quality, read only.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = ApiContext.open(settings, log)
    app.state.state_metrics = StateMetrics(app.state.context)
    errors.add_handlers(app)
    _add_parts(app)
    _add_middleware(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the parts need while the application runs, and close it in reverse order."""
    context: ApiContext = app.state.context
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(context.database.opened())
        await stack.enter_async_context(live.running(app, context))
        yield


def _add_parts(app: FastAPI) -> None:
    """Add the endpoints of each part, in one line each. The page is last: it answers what no other part does."""
    app.include_router(health.router)
    app.include_router(exchange.router)
    app.include_router(v1.router)
    app.include_router(live.router)
    app.include_router(docs_page.router)
    app.router.routes.extend(page.routes(app.state.context.settings.PAGE_DIR))


def _add_middleware(app: FastAPI, settings: ApiSettings) -> None:
    """Add the middleware; the one that is added last is the first to see a request."""
    if token := settings.API_TOKEN.get_secret_value():
        app.add_middleware(TokenRequired, token=token)
    app.add_middleware(OriginAllowed, origins=settings.API_CORS_ORIGINS)
    app.add_middleware(RequestLimits, limit=settings.API_WEIGHT_PER_MINUTE)
    if settings.API_CORS_ORIGINS:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.API_CORS_ORIGINS),
            allow_methods=["GET"],
            allow_headers=["Authorization", "X-MBX-TIME-UNIT"],
            expose_headers=["Retry-After", "X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"],
        )
