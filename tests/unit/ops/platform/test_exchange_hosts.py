"""Where the exchange refuses this machine's location: its market-data hosts, then the simulator, never mixed."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK, free_port
from ops.common.settings import OpsSettings
from ops.compose import up as compose_up
from ops.compose.project import Project
from ops.kubernetes import feed, helmfile
from ops.local import exchange as local_exchange
from ops.local.settings import DemoSettings
from ops.platform import exchange_hosts
from ops.platform.exchange_hosts import Hosts, Refused, Unreachable
from tests.stub_server import serving

MAIN = Hosts("wss://stream.binance.com:9443", "https://api.binance.com")
DATA = Hosts("wss://data-stream.binance.vision", "https://data-api.binance.vision")
SIMULATOR = Hosts("ws://simulator:8899", "http://simulator:8899")
MIRROR = Hosts("wss://mirror.example.com", "https://mirror.example.com")


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Serve ``status`` to every GET on this machine; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with serving(HTTPServer((LOOPBACK, 0), Handler)) as server:
        yield f"http://{LOOPBACK}:{server.server_port}"


@pytest.mark.parametrize(("status", "error"), [(451, Refused), (403, Refused), (500, Unreachable)])
def test_a_refusal_is_told_from_a_failure(status: int, error: type[Problem]) -> None:
    with answering(status) as url, pytest.raises(error, match=f"/api/v3/ping answered {status} .*; .*make demo"):
        exchange_hosts.ping(url)


def test_an_exchange_that_answers_is_served() -> None:
    with answering(200) as url:
        exchange_hosts.ping(url)
    with pytest.raises(Unreachable, match="cannot be reached"):
        exchange_hosts.ping(f"http://{LOOPBACK}:{free_port()}")


def refusing(monkeypatch: pytest.MonkeyPatch, *refused: str, unreachable: str = "") -> None:
    """Make the exchange refuse the URLs ``refused``, and ``unreachable`` not answer."""

    def ping(url: str) -> None:
        if url in refused:
            raise Refused("the exchange refuses this location", f"{url} answered 451", "FEED=simulator")
        if url == unreachable:
            raise Unreachable("the exchange cannot be reached", url, "curl")

    monkeypatch.setattr(exchange_hosts, "ping", ping)


def test_the_market_data_hosts_take_the_place_of_those_that_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch)
    assert exchange_hosts.choose(MAIN) == MAIN
    refusing(monkeypatch, MAIN.rest)
    assert exchange_hosts.choose(MAIN) == DATA
    monkeypatch.setenv("BINANCE_DATA_WS_URL", "wss://data-stream.example.com")
    monkeypatch.setenv("BINANCE_DATA_REST_URL", "https://data-api.example.com")
    assert exchange_hosts.choose(MAIN) == ("wss://data-stream.example.com", "https://data-api.example.com")


def test_another_exchange_has_no_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, MIRROR.rest)
    with pytest.raises(Refused):
        exchange_hosts.choose(MIRROR)


def test_an_exchange_whose_market_data_hosts_do_not_answer_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, MAIN.rest, unreachable=DATA.rest)
    with pytest.raises(Refused):
        exchange_hosts.choose(MAIN)


def make_up(monkeypatch: pytest.MonkeyPatch, installed: str | None = None, own: Hosts | None = None) -> dict[str, str]:
    """Return the variables that `make up` changes; ``own``: the hosts that the user's own values name."""

    def values(*arguments: Any, **_: Any) -> dict[str, Any]:
        env = arguments[2]
        hosts = SIMULATOR if env.get("FEED") == "simulator" else MAIN
        return {"producer": {"settings": (own or hosts).variables | {k: v for k, v in env.items() if v and not own}}}

    monkeypatch.setattr(helmfile, "values", values)
    monkeypatch.setattr(feed.upgrade_check, "installed_feed", lambda _: installed)
    cluster: Any = SimpleNamespace()
    said: list[str] = []
    settings = OpsSettings(VALUES="mine.yaml" if own else "")
    changed = feed.fallback(settings, cluster, {}, said.append)
    assert bool(changed) <= bool(said), "changed without a word"
    return changed


def test_make_up_falls_back_to_the_market_data_hosts_then_to_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch)
    assert make_up(monkeypatch) == {}
    refusing(monkeypatch, unreachable=MAIN.rest)
    assert make_up(monkeypatch) == {}
    refusing(monkeypatch, MAIN.rest)
    assert make_up(monkeypatch) == DATA.variables
    assert make_up(monkeypatch, installed=MAIN.stream) == DATA.variables
    refusing(monkeypatch, MAIN.rest, DATA.rest)
    assert make_up(monkeypatch)["FEED"] == "simulator"
    assert make_up(monkeypatch, installed=SIMULATOR.stream)["FEED"] == "simulator"


def test_a_platform_with_trades_of_the_exchange_never_gets_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, MAIN.rest, DATA.rest)
    for stream in (MAIN.stream, DATA.stream):
        with pytest.raises(Refused):
            make_up(monkeypatch, installed=stream)


def test_hosts_of_the_users_own_values_are_not_replaced_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, MAIN.rest)
    with pytest.raises(Problem, match=r"mine.yaml names https://api.binance.com; set feed: simulator in mine.yaml"):
        make_up(monkeypatch, own=MAIN)
    refusing(monkeypatch, MIRROR.rest)
    assert make_up(monkeypatch, own=MIRROR) == {}


def compose(monkeypatch: pytest.MonkeyPatch, *volumes: str) -> dict[str, str]:
    monkeypatch.setattr(compose_up.compose, "volumes", lambda _: list(volumes))
    project = Project("crypto", {**MAIN.variables, "SYMBOLS": "BTCUSDT"})
    return dict(compose_up.serving(project, Console(file=io.StringIO())).variables)


def test_compose_falls_back_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, MAIN.rest)
    assert compose(monkeypatch, "crypto_postgres_exchange") == {**DATA.variables, "SYMBOLS": "BTCUSDT"}
    refusing(monkeypatch, MAIN.rest, DATA.rest)
    assert compose(monkeypatch, "crypto_postgres") == {"SYMBOLS": "BTCUSDT"}
    with pytest.raises(Refused):
        compose(monkeypatch, "crypto_postgres_exchange")


def test_the_local_run_falls_back_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    live = DemoSettings(LIVE=True, SYMBOLS="BTCUSDT")  # type: ignore[arg-type]
    refusing(monkeypatch, unreachable=MAIN.rest)
    assert local_exchange.serving(live, said.append) == live
    assert said == []
    refusing(monkeypatch, MAIN.rest)
    source = local_exchange.real(local_exchange.serving(live, said.append))
    assert (source.ws_url, source.rest_url) == DATA
    refusing(monkeypatch, MAIN.rest, DATA.rest)
    assert local_exchange.serving(live, said.append).mode == "forever"
    assert len(said) == 2
