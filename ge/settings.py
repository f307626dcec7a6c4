"""Settings of the gate, from the same environment variables as the services'."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

DEFAULT_SYMBOLS = "BTCUSDT,ETHUSDT,BNBUSDT"
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}")


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the text names it."""


@dataclass(frozen=True)
class GateSettings:
    """Where silver is, what it may hold, and where the Data Docs go.

    ``password`` is quoted as in ``connection_url``; neither is ever printed. ``as_of`` is the time after which no
    candle may open. ``kept_runs`` is how many runs the Data Docs show; older ones are removed.
    """

    connection_url: str = field(repr=False)
    password: str = field(repr=False)
    symbols: tuple[str, ...]
    as_of: datetime
    data_docs_dir: Path
    kept_runs: int

    def without_password(self, text: str) -> str:
        """Return ``text``, an error's perhaps, with the password masked."""
        return text.replace(self.password, "***").replace(unquote(self.password), "***")


def load(env: Mapping[str, str] = os.environ) -> GateSettings:
    """Return the settings that ``env`` holds.

    Raises:
        SettingsError: one is missing or wrong.
    """
    symbols = tuple(part.strip() for part in (env.get("SYMBOLS") or DEFAULT_SYMBOLS).split(",") if part.strip())
    if not symbols or not all(map(_SYMBOL.fullmatch, symbols)):
        raise SettingsError("SYMBOLS: name symbols in capitals, separated by commas, as in BTCUSDT,ETHUSDT")
    user, password = (quote(_required(env, name), safe="") for name in ("POSTGRES_USER", "POSTGRES_PASSWORD"))
    host, port = env.get("POSTGRES_HOST") or "127.0.0.1", _whole(env, "POSTGRES_PORT", "5432")
    database = quote(env.get("POSTGRES_DB") or "crypto_analytics", safe="")
    query = f"sslmode={env.get('POSTGRES_SSLMODE') or 'prefer'}&application_name=silver_gate&connect_timeout=10"
    return GateSettings(
        connection_url=f"postgresql+psycopg2://{user}:{password}@{host}:{port}/{database}?{query}",
        password=password,
        symbols=symbols,
        as_of=_time(env.get("AS_OF", "")),
        data_docs_dir=Path(_required(env, "GE_DATA_DOCS_DIR")).resolve(),
        kept_runs=_whole(env, "GE_DATA_DOCS_RUNS", "50"),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _whole(env: Mapping[str, str], name: str, default: str) -> int:
    text = env.get(name) or default
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{name}: {text!r} is not a whole number above zero")
    return int(text)


def _time(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"AS_OF: {text!r} is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise SettingsError(f"AS_OF: {text!r} has no zone; write it as 2026-01-05T12:00:00Z")
    return moment.astimezone(UTC)
