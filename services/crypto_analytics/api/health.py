"""/healthz (the event loop answers), /readyz (PostgreSQL answers too) and /metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crypto_analytics.api.context import Context

router = APIRouter(tags=["operations"])

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that need no token: probes and scrapers have none."""


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """Return 200 while the service runs."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "PostgreSQL is unreachable"}})
async def readyz(context: Context) -> Response:
    """Return 200 while PostgreSQL answers, else 503."""
    if await context.database.is_reachable():
        return PlainTextResponse("ok\n")
    return PlainTextResponse("not ok: PostgreSQL does not answer; check POSTGRES_*\n", 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return all metrics in Prometheus' text format."""
    await request.app.state.state_metrics.update()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
