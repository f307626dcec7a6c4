"""Settings of the simulator."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from exchange_simulator.faults import Fault, InvalidFaults, decode_faults
from exchange_simulator.symbols import SYMBOL_RULE, is_symbol

MAX_TRADES_PER_MINUTE = 1_000_000


class SimulatorSettings(BaseSettings):
    """The play and its pace. SYMBOLS are the symbols of a generated market; a recording has its own.

    A recording's symbols are in its content or its name. If they are in neither, SYMBOLS must be a single one.
    An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
    LOG_FORMAT: Literal["json", "console"] = Field("json", description="json: one object per line; console: for people")
    SYMBOLS: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTCUSDT", "ETHUSDT", "BNBUSDT"), description="comma-separated symbols"
    )
    SIM_HOST: str = Field("127.0.0.1", description="address that the simulator listens on")
    SIM_PORT: Annotated[int, Field(ge=0, le=65535)] = Field(
        8899, description="port of streams, REST, /metrics and /healthz; 0: a free one"
    )
    SIM_SEED: int = Field(42, description="generated market: seed of the trades of each symbol and minute")
    SIM_START: Literal["now"] | AwareDatetime = Field(
        datetime.fromisoformat("2026-01-05T00:00:00+00:00"),
        description="generated market: first minute of the play (ISO 8601 with zone), or 'now' for real time",
    )
    SIM_MINUTES: NonNegativeInt = Field(30, description="generated market: minutes of the play; 0: without end")
    SIM_TRADES_PER_MINUTE: Annotated[PositiveInt, Field(le=MAX_TRADES_PER_MINUTE)] = Field(
        600, description="generated market: trades per symbol and minute"
    )
    SIM_HISTORY_MINUTES: NonNegativeInt = Field(
        60, description="generated market: minutes before the play that REST returns too"
    )
    SIM_RATE: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0, description="trades per second over all symbols; 0: as fast as the slowest client reads"
    )
    SIM_FILE: Path | None = Field(
        None, description="recording to stream: trades or aggTrades archive (csv, zip), or recorded stream (tsv)"
    )
    SIM_REST_FILE: Path | None = Field(None, description="recording that REST answers from; empty: SIM_FILE")
    SIM_KLINES_FILE: Path | None = Field(
        None, description="official one-minute klines to serve for their symbol (csv, zip); empty: computed"
    )
    SIM_FAULTS: str = Field("", description="scripted faults, a JSON list as POST /sim/faults takes it")
    SIM_ENFORCE_WEIGHT: bool = Field(
        False, description="answer 429 to a client that exceeds 6000 request weight per minute, as the exchange does"
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

    @field_validator("SIM_START")
    @classmethod
    def _check_start(cls, start: Literal["now"] | datetime) -> Literal["now"] | datetime:
        if isinstance(start, datetime) and (start.second or start.microsecond):
            raise ValueError(f"a play starts at a whole minute, {start.isoformat()} is none")
        return start

    @field_validator("SIM_FAULTS")
    @classmethod
    def _check_faults(cls, text: str) -> str:
        try:
            decode_faults(text)
        except InvalidFaults as error:
            raise ValueError(str(error)) from error
        return text

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.SIM_FILE is None and self.SIM_REST_FILE is not None:
            raise ValueError("SIM_REST_FILE goes with SIM_FILE: name the recording to stream as well")
        if self.SIM_START == "now" and self.SIM_RATE:
            raise ValueError("SIM_START=now sends each trade at its own time: leave SIM_RATE=0")
        return self

    def faults(self) -> list[Fault]:
        """Return the scripted faults of SIM_FAULTS."""
        return decode_faults(self.SIM_FAULTS)
