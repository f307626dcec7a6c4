"""Settings from environment variables, which have the same names in every way of running the platform.

Each class below is a group of settings that several services share. The settings class of a service inherits the groups
it uses and adds its own. ``.env.example`` lists all names, defaults and meanings; a test keeps it complete.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AnyUrl,
    AwareDatetime,
    Field,
    NonNegativeInt,
    SecretStr,
    UrlConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from crypto_analytics.core.spot_market import SYMBOL_RULE, is_futures_host, is_symbol

Port = Annotated[int, Field(ge=0, le=65535)]
HttpUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["http", "https"])]
WebSocketUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["ws", "wss"])]


class SettingsGroup(BaseSettings):
    """Base of all groups: an empty variable counts as not set, and settings are immutable."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)


class LogSettings(SettingsGroup):
    """Logging."""

    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
    LOG_FORMAT: Literal["json", "console"] = Field("json", description="json: one object per line; console: for people")


class CommonSettings(LogSettings):
    """The port of /metrics and /healthz."""

    METRICS_HOST: str = Field("127.0.0.1", description="address that /metrics and /healthz listen on")
    METRICS_PORT: Port = Field(0, description="port of /metrics and /healthz; 0 takes a free one")


class ClockSettings(SettingsGroup):
    """The clock of the platform."""

    AS_OF: AwareDatetime | None = Field(
        None, description="fixed time of the clock, for replays (ISO 8601 with zone); empty: the real time"
    )


class MarketSettings(ClockSettings):
    """The symbols to follow and the hosts of the exchange."""

    SYMBOLS: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTCUSDT", "ETHUSDT", "BNBUSDT"), description="comma-separated symbols"
    )
    BINANCE_WS_URL: WebSocketUrl = Field(
        AnyUrl("wss://stream.binance.com:9443"),
        description="WebSocket host of the exchange, or of the simulator; https_proxy is used for the exchange",
    )
    BINANCE_REST_URL: HttpUrl = Field(
        AnyUrl("https://api.binance.com"),
        description="REST host of the exchange, or of the simulator; https_proxy is used for the exchange",
    )
    MAX_FUTURE_SECONDS: NonNegativeInt = Field(
        60, description="a trade whose time is further in the future than this is invalid"
    )

    @field_validator("SYMBOLS", mode="before")
    @classmethod
    def _split_symbols(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("SYMBOLS")
    @classmethod
    def _check_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if not symbols:
            raise ValueError("name at least one symbol, for example SYMBOLS=BTCUSDT")
        for symbol in symbols:
            if not is_symbol(symbol):
                raise ValueError(f"{symbol!r} is not a valid symbol: {SYMBOL_RULE}, as in BTCUSDT")
        return tuple(dict.fromkeys(symbols))

    @field_validator("BINANCE_WS_URL", "BINANCE_REST_URL")
    @classmethod
    def _check_market(cls, url: AnyUrl) -> AnyUrl:
        if is_futures_host(url.host or ""):
            raise ValueError(f"{url.host} is a host of the futures markets; the platform reads the spot market")
        return url


class KafkaSettings(SettingsGroup):
    """Brokers, credentials and topics."""

    KAFKA_BOOTSTRAP_SERVERS: str = Field("127.0.0.1:9092", description="comma-separated host:port of the brokers")
    KAFKA_SECURITY_PROTOCOL: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        "PLAINTEXT", description="protocol; PLAINTEXT only if the listener is bound to this machine"
    )
    KAFKA_SASL_MECHANISM: str = Field("SCRAM-SHA-512", description="used with the SASL_ protocols")
    KAFKA_SASL_USERNAME: str = Field("", description="login of this service at the broker")
    KAFKA_SASL_PASSWORD: SecretStr = Field(SecretStr(""), description="password of KAFKA_SASL_USERNAME")
    KAFKA_SSL_CA_LOCATION: Path | None = Field(None, description="certificate authority of the broker, PEM")
    KAFKA_TOPIC_TRADES: str = Field("crypto.trades.raw", description="topic of the trades as received")
    KAFKA_TOPIC_DLQ: str = Field(
        "crypto.trades.dlq", description="dead-letter topic: invalid values with the reason in a header"
    )
    KAFKA_TOPIC_CANDLES: str = Field("crypto.candles.1m", description="topic of the changed candles")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        needs_login = self.KAFKA_SECURITY_PROTOCOL.startswith("SASL")
        if needs_login and not (self.KAFKA_SASL_USERNAME and self.KAFKA_SASL_PASSWORD.get_secret_value()):
            raise ValueError("KAFKA_SECURITY_PROTOCOL is a SASL one: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return self


class PostgresSettings(SettingsGroup):
    """Connection and role of this service in PostgreSQL."""

    POSTGRES_HOST: str = Field("127.0.0.1", description="host of PostgreSQL")
    POSTGRES_PORT: Port = Field(5432, description="port of PostgreSQL")
    POSTGRES_DB: str = Field("crypto_analytics", description="database")
    POSTGRES_USER: str = Field(description="role: writer, transformer, gate, producer or reader")
    POSTGRES_PASSWORD: SecretStr = Field(description="password of POSTGRES_USER")
    POSTGRES_SSLMODE: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", description="libpq's sslmode"
    )


class ObjectStoreSettings(SettingsGroup):
    """The object store: a directory or an S3 service."""

    OBJECT_STORE: Literal["directory", "s3"] = Field("s3", description="kind of object store")
    OBJECT_STORE_DIR: Path | None = Field(None, description="root folder, for OBJECT_STORE=directory")
    S3_ENDPOINT: str = Field("127.0.0.1:9000", description="host:port of the S3 service")
    S3_SECURE: bool = Field(True, description="use TLS")
    S3_REGION: str = Field("us-east-1", description="region")
    S3_ACCESS_KEY: str = Field("", description="access key")
    S3_SECRET_KEY: SecretStr = Field(SecretStr(""), description="secret key")
    BUCKET_RAW: str = Field("raw", description="bucket of the trades as received")
    BUCKET_BRONZE: str = Field("bronze", description="bucket of the hourly compacted trades")
    BUCKET_SILVER: str = Field("silver", description="bucket of the silver tables in Parquet")
    BUCKET_GOLD: str = Field("gold", description="bucket of the gold tables in Parquet")
    BUCKET_DATA_DOCS: str = Field("data-docs", description="bucket of the quality gate's results and Data Docs")

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if self.OBJECT_STORE == "directory" and self.OBJECT_STORE_DIR is None:
            raise ValueError("OBJECT_STORE=directory needs OBJECT_STORE_DIR")
        if self.OBJECT_STORE == "s3" and not (self.S3_ACCESS_KEY and self.S3_SECRET_KEY.get_secret_value()):
            raise ValueError("OBJECT_STORE=s3 needs S3_ACCESS_KEY and S3_SECRET_KEY")
        return self


Settings = TypeVar("Settings", bound=BaseSettings)


def load(settings: type[Settings], service: str) -> Settings:
    """Return the validated settings of ``service`` from the environment.

    Exits with code 2 and one line per invalid setting: its name and the cause, never the value of a secret.
    """
    try:
        return settings()
    except ValidationError as error:
        fail_settings(service, error)


def fail_settings(service: str, error: ValidationError) -> NoReturn:
    """Print one line per invalid setting and exit with code 2."""
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        cause = "is not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        print(f"{service}: {name + ': ' if name else ''}{cause}", file=sys.stderr)
    print(f"{service}: correct these environment variables; .env.example lists all of them", file=sys.stderr)
    raise SystemExit(2)


def effective(settings: BaseSettings) -> dict[str, object]:
    """Return the effective configuration for the first log line, with secrets masked."""
    return {name: _plain(value) for name, value in settings if name.isupper()}


def _plain(value: object) -> object:
    match value:
        case SecretStr():
            return "***" if value.get_secret_value() else ""
        case None | bool() | int() | float():
            return value
        case datetime():
            return value.isoformat()
        case tuple():
            return [_plain(part) for part in value]
        case _:
            return str(value)


def command_line(service: str, description: str | None, settings: type[BaseSettings]) -> ArgumentParser:
    """Return the argument parser of a service, whose ``--help`` also lists the settings."""
    return ArgumentParser(
        prog=f"python -m crypto_analytics.{service}",
        description=description,
        epilog=describe(settings),
        formatter_class=RawDescriptionHelpFormatter,
    )


def describe(settings: type[BaseSettings]) -> str:
    """Return a table of the settings (name, default, meaning) for ``--help``."""
    lines = ["Settings are environment variables:"]
    for name, info in settings.model_fields.items():
        default = "required" if info.is_required() else f"default {_plain(info.default)!r}"
        lines.append(f"  {name:<28} {info.description} ({default})")
    return "\n".join(lines)
