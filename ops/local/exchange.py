"""The exchange of a run: the simulator as a child process, or the real one."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import AnyUrl

from ops.common import loopback
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK
from ops.local.programs import Program
from ops.local.service_settings import TradeSource
from ops.local.settings import DemoSettings
from ops.platform.exchange_hosts import Hosts, Refused, Unreachable, choose


@dataclass(frozen=True)
class SimulatorStatus:
    """What the simulator reports of its play at /sim/status."""

    state: str
    trades_sent: int
    trades_total: int | None
    as_of: str
    ends_at: str | None
    stream_type: str
    symbols: Mapping[str, "SymbolIds"]

    @property
    def is_done(self) -> bool:
        """Whether all of the play was streamed."""
        return self.state == "done"


@dataclass(frozen=True)
class SymbolIds:
    """Trade ids of one symbol: the play's first, the last one streamed, the play's final one; None where not known."""

    first_id: int | None
    last_id: int | None
    final_id: int | None


@dataclass(frozen=True)
class Simulator:
    """A simulator on this machine."""

    port: int

    @property
    def rest_url(self) -> str:
        """The value of BINANCE_REST_URL."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The value of BINANCE_WS_URL."""
        return f"ws://{LOOPBACK}:{self.port}"

    def status(self) -> SimulatorStatus:
        """Return the status of the play.

        Raises:
            OSError: it does not answer.
        """
        with loopback.get(f"{self.rest_url}/sim/status", 5) as answer:
            body: dict[str, Any] = json.load(answer)
        symbols = {
            name: SymbolIds(ids.get("first_id"), ids.get("last_id"), ids.get("final_id"))
            for name, ids in body["symbols"].items()
        }
        return SimulatorStatus(
            body["state"],
            body["trades_sent"],
            body["trades_total"],
            body["as_of"],
            body["ends_at"],
            body["stream_type"],
            symbols,
        )

    def is_ready(self) -> bool:
        """Return whether it answers."""
        try:
            self.status()
        except OSError:
            return False
        return True

    def source(self) -> TradeSource:
        """Return the trade source for the services; a play that ends has its end as the services' clock."""
        play = self.status()
        return TradeSource(self.ws_url, self.rest_url, tuple(play.symbols), play.stream_type, play.ends_at or "")


def simulator_settings(settings: DemoSettings) -> dict[str, str]:
    """Return the simulator's environment for the run that ``settings`` ask for."""
    env = {"SIM_HOST": LOOPBACK, "SIM_PORT": str(settings.SIM_PORT), "SYMBOLS": ",".join(settings.SYMBOLS)}
    if settings.FOREVER:
        env |= {"SIM_START": "now", "SIM_MINUTES": "0", "SIM_RATE": "0"}
    files = {"SIM_FILE": settings.REPLAY, "SIM_REST_FILE": settings.REST_FILE, "SIM_KLINES_FILE": settings.KLINES}
    return env | {name: str(path.resolve()) if path else "" for name, path in files.items()}


def program(simulator: Simulator, service: Program) -> Program:
    """Return ``service``, the simulator's program, ready when /sim/status answers."""
    return replace(service, command=[sys.executable, "-m", "exchange_simulator"], ready=simulator.is_ready)


def real(settings: DemoSettings) -> TradeSource:
    """Return the real exchange as a trade source."""
    stream, rest = (str(url).rstrip("/") for url in (settings.BINANCE_WS_URL, settings.BINANCE_REST_URL))
    return TradeSource(stream, rest, settings.SYMBOLS)


def serving(settings: DemoSettings, report: Callable[[str], None]) -> DemoSettings:
    """Return ``settings``, changed if the exchange of LIVE refuses this machine's location.

    They become LIVE with the exchange's market-data hosts, otherwise FOREVER, which plays the simulator in a folder of
    its own.
    """
    if not settings.LIVE:
        return settings
    source = real(settings)
    wanted = Hosts(source.ws_url, source.rest_url)
    try:
        chosen = choose(wanted)
    except Unreachable:  # the checks report it with the others
        return settings
    except Refused as problem:
        report(f"{problem}; playing the simulator instead (FOREVER=1)")
        return settings.model_copy(update={"LIVE": False, "FOREVER": True})
    if chosen == wanted:
        return settings
    report(f"the exchange refuses this location at {wanted.rest}; its market-data hosts answer: {chosen.rest}")
    return settings.model_copy(update={name: AnyUrl(url) for name, url in chosen.variables.items()})


def check_recording(setting: str, path: Path | None, symbols: Sequence[str] = ()) -> None:
    """Check that a recording is one that the simulator can play; ``symbols`` are the setting SYMBOLS.

    Raises:
        Problem: it is not.
    """
    if path is None:
        return
    from exchange_simulator.recordings import RecordingError, describe  # noqa: PLC0415  # slow to import

    try:
        kind = describe(path, symbols).kind
    except RecordingError as error:
        raise Problem(f"{setting} is no recording", str(error), f"look at it: {error.command}") from None
    if (kind == "klines") != (setting == "KLINES"):
        wanted = "klines" if setting == "KLINES" else "trades, aggTrades or a recorded stream"
        raise Problem(f"{setting} is the wrong file", f"{path} holds {kind}, wanted are {wanted}", "name another one")
