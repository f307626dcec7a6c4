"""``/v1/symbols`` and ``/v1/links``."""

from urllib.parse import urljoin

from fastapi import APIRouter
from pydantic import BaseModel

from crypto_analytics.api.context import Context
from crypto_analytics.api.responses import milliseconds

router = APIRouter()


class SymbolDetails(BaseModel):
    """A symbol, whether it is followed or retired, and since when (milliseconds; null: not recorded)."""

    symbol: str
    status: str
    followedSince: int | None  # noqa: N815
    retiredAt: int | None  # noqa: N815
    priceDecimals: int  # noqa: N815
    quantityDecimals: int  # noqa: N815


class SymbolList(BaseModel):
    """The names of all symbols, the followed ones first, and their details."""

    symbols: list[str]
    details: list[SymbolDetails]


class Link(BaseModel):
    """A page of the platform."""

    name: str
    url: str


class LinkList(BaseModel):
    """The pages of the platform whose addresses are set."""

    links: list[Link]


@router.get("/symbols", summary="Symbols")
async def symbols(context: Context) -> SymbolList:
    """Return the symbols that are served."""
    lives = sorted((await context.symbols.known()).values(), key=lambda life: life.status == "retired")
    details = []
    for life in lives:
        decimals = await context.symbols.decimals_of(life.symbol)
        details.append(
            SymbolDetails(
                symbol=life.symbol,
                status=life.status,
                followedSince=milliseconds(life.followed_since),
                retiredAt=milliseconds(life.retired_at),
                priceDecimals=decimals.price,
                quantityDecimals=decimals.quantity,
            )
        )
    return SymbolList(symbols=[life.symbol for life in lives], details=details)


@router.get("/links", summary="Pages of the platform")
async def links(context: Context) -> LinkList:
    """Return the addresses of the platform's other pages."""
    settings = context.settings
    pages = {
        "Superset": settings.DASHBOARD_URL,
        "Airflow": settings.AIRFLOW_URL,
        "Data Docs": settings.DATA_DOCS_URL,
        "dbt docs": settings.DATA_DOCS_URL and urljoin(settings.DATA_DOCS_URL, "dbt/index.html"),
        "Documentation": settings.DOCS_URL,
        "API": "/docs",
    }
    return LinkList(links=[Link(name=name, url=url) for name, url in pages.items() if url])
