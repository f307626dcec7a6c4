"""Settings of the API."""

from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import NoDecode

from crypto_analytics.core.spot_market import SYMBOL_RULE, is_symbol
from crypto_analytics.runtime.settings import (
    ClockSettings,
    KafkaSettings,
    LogSettings,
    ObjectStoreSettings,
    Port,
    PostgresSettings,
)

Words = Annotated[tuple[str, ...], NoDecode]


class ApiSettings(LogSettings, ClockSettings, PostgresSettings, ObjectStoreSettings, KafkaSettings):
    """The address, who may read, the limits, and the page's links."""

    API_HOST: str = Field("127.0.0.1", description="address that everything of the API listens on, /metrics too")
    API_PORT: Port = Field(8000, description="port of the API; 0 takes a free one")
    API_TOKEN: SecretStr = Field(
        SecretStr(""),
        description="token that clients send as Authorization: Bearer, or as password of HTTP Basic; empty: no login",
    )
    API_CORS_ORIGINS: Words = Field(
        (),
        description="comma-separated origins of web pages that may read the API, as in https://example.com; or *",
    )
    API_TRUSTED_PROXIES: str = Field(
        "",
        description="comma-separated addresses of proxies whose X-Forwarded-For names the client; empty: none",
    )
    API_WEIGHT_PER_MINUTE: PositiveInt = Field(
        6000, description="request weight that each client address may use per minute, as at the exchange"
    )
    API_QUERY_SECONDS: PositiveFloat = Field(10.0, description="PostgreSQL cancels a query of the API after this")
    API_POSTGRES_CONNECTIONS: PositiveInt = Field(6, description="most connections to PostgreSQL for requests")
    API_STATE_SECONDS: NonNegativeFloat = Field(
        15.0, description="/metrics reads the platform's state from PostgreSQL at most this often"
    )
    KAFKA_BOOTSTRAP_SERVERS: str = Field(
        "", description="comma-separated host:port of the brokers; empty: no streams of single trades (@trade)"
    )
    SYMBOLS: Words = Field((), description="comma-separated symbols to serve; empty: all that have data")
    PAGE_DIR: str = Field("", description="folder of the built live page; empty: / says where the page is missing")
    DASHBOARD_URL: str = Field("", description="address of Superset's dashboard, for the live page; empty: no link")
    AIRFLOW_URL: str = Field("", description="address of Airflow, for the live page; empty: no link")
    DATA_DOCS_URL: str = Field(
        "", description="address of the gate's Data Docs, with dbt docs beside them, for the live page; empty: no links"
    )
    DOCS_URL: str = Field("", description="address of the documentation, for the live page; empty: no link")

    @field_validator("API_CORS_ORIGINS", "SYMBOLS", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("SYMBOLS")
    @classmethod
    def _check_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            if not is_symbol(symbol):
                raise ValueError(f"{symbol!r} is not a valid symbol: {SYMBOL_RULE}, as in BTCUSDT")
        return tuple(dict.fromkeys(symbols))
