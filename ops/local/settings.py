"""Settings of the local run: ``make demo NAME=value``, or environment variables."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator
from pydantic_settings import SettingsConfigDict

from crypto_analytics.runtime.settings import MarketSettings, Port
from ops.common.candle_variant import Variant

Mode = Literal["play", "forever", "live"]
API_PORT = 8000  # of the read API, where the user names none


class DemoSettings(MarketSettings):
    """What the local run plays, its ports and its folder."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    DEMO_DIR: Path = Field(Path(".demo"), description="the only folder that the local run writes to")
    REPLAY: Path | None = Field(None, description="recording to play instead of the generated market")
    KLINES: Path | None = Field(None, description="official klines of the recording (csv, zip), to reconcile with")
    REST_FILE: Path | None = Field(None, description="recording that REST answers from; empty: REPLAY")
    LIVE: bool = Field(False, description="follow the real exchange until Ctrl-C")
    FOREVER: bool = Field(False, description="play the generated market in real time until Ctrl-C")
    MINUTES: NonNegativeInt = Field(0, description="end LIVE or FOREVER after so many minutes; 0: at Ctrl-C")
    BATCH_EVERY_MINUTES: PositiveFloat = Field(5, description="pause between batch runs of LIVE and FOREVER")
    VARIANT: Variant = Field(
        "python", description="consumer that makes the candles: python, spark, or both in parallel"
    )
    SPARK_UI_PORT: Port = Field(4040, description="port of Spark's UI, for VARIANT=spark and both")
    KAFKA_PORT: Port = Field(9092, description="port of the local run's Kafka")
    POSTGRES_PORT: Port = Field(5432, description="port of the local run's PostgreSQL")
    API_PORT: Port | None = Field(
        None, description="port of the read API and the live page; unset: 8000, or a free one if that is in use"
    )
    SIM_PORT: Port = Field(8899, description="port of the simulator")
    BI: bool = Field(False, description="start Superset with the dashboard, and stay until Ctrl-C")
    VIEW: bool = Field(False, description="keep the live page open after a play, until Ctrl-C")
    MONITORING: bool = Field(False, description="start Prometheus and Alertmanager, which must be installed")
    PROMETHEUS_PORT: Port = Field(9090, description="port of Prometheus, for MONITORING=1")
    ALERTMANAGER_PORT: Port = Field(9093, description="port of Alertmanager, for MONITORING=1")
    SUPERSET_PORT: Port = Field(8088, description="port of Superset, for BI=1")

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        chosen = [name for name in ("REPLAY", "LIVE", "FOREVER") if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other: keep one")
        if self.REPLAY is None and (self.KLINES or self.REST_FILE):
            raise ValueError("KLINES and REST_FILE belong to a recording: name it with REPLAY=file")
        return self

    @property
    def consumers(self) -> tuple[str, ...]:
        """The services that make the candles."""
        return {"python": ("consumer",), "spark": ("spark_candles",), "both": ("consumer", "spark_candles")}[
            self.VARIANT
        ]

    @property
    def with_spark(self) -> bool:
        """Whether Spark runs."""
        return "spark_candles" in self.consumers

    @property
    def mode(self) -> Mode:
        """The kind of run; each kind has a state folder of its own."""
        if self.LIVE:
            return "live"
        return "forever" if self.FOREVER else "play"
