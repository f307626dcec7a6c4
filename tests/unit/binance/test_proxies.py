"""Which connections go through a proxy: a table of cases, and both clients against a proxy that records requests."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import serve

from crypto_analytics.binance.errors import Misconfigured, Unavailable
from crypto_analytics.binance.proxies import is_local, proxy_for
from crypto_analytics.binance.rest import BinanceRest
from crypto_analytics.binance.trade_stream import TradeStream
from tests.unit.binance.streaming import QUICK, Recorder, Server
from tests.unit.binance.test_trade_stream import say_hello_and_stay

REST = "https://api.binance.com"
STREAM = "wss://stream.binance.com:9443"
ALL = {"https_proxy": "http://p:1", "http_proxy": "http://q:2", "all_proxy": "http://r:3"}

DECISIONS: list[tuple[str, Mapping[str, str], str | None]] = [
    (REST, {}, None),
    (REST, ALL, "http://p:1"),
    (STREAM, ALL, "http://p:1"),
    ("http://api.example", ALL, "http://q:2"),
    ("ws://api.example", {"http_proxy": "http://q:2", "all_proxy": "http://r:3"}, "http://q:2"),
    (REST, {"http_proxy": "http://q:2"}, None),
    (REST, {"all_proxy": "http://r:3"}, "http://r:3"),
    (STREAM, {"ALL_PROXY": "http://r:3"}, "http://r:3"),
    (STREAM, {**ALL, "wss_proxy": "http://w:4"}, "http://w:4"),
    (REST, {"HTTPS_PROXY": "http://upper:1"}, "http://upper:1"),
    (REST, {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "http://lower:1"),
    (REST, {"HTTPS_PROXY": "http://upper:1", "https_proxy": ""}, None),
    (REST, {"https_proxy": "proxy.example"}, "http://proxy.example:80"),
    (REST, {"https_proxy": "proxy.example:3128"}, "http://proxy.example:3128"),
    (REST, {"https_proxy": " http://proxy.example:3128/ "}, "http://proxy.example:3128"),
    (REST, {"https_proxy": "https://proxy.example"}, "https://proxy.example:443"),
    (REST, {"https_proxy": "http://user:secret@proxy.example:3128"}, "http://user:secret@proxy.example:3128"),
    (REST, {"https_proxy": "http://user@proxy.example:3128"}, "http://user:@proxy.example:3128"),
    (REST, {"https_proxy": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
    (REST, {**ALL, "no_proxy": "*"}, None),
    (REST, {**ALL, "NO_PROXY": "api.binance.com"}, None),
    (REST, {**ALL, "no_proxy": "other.example, .binance.com"}, None),
    (REST, {**ALL, "no_proxy": "binance.com"}, None),
    (REST, {**ALL, "no_proxy": "*.BINANCE.com"}, None),
    (REST, {**ALL, "no_proxy": "nance.com,api.binance.co,com.example"}, "http://p:1"),
    (REST, {**ALL, "no_proxy": "api.binance.com:443"}, None),
    (REST, {**ALL, "no_proxy": "api.binance.com:9443"}, "http://p:1"),
    (STREAM, {**ALL, "no_proxy": "binance.com:9443"}, None),
    (REST, {**ALL, "no_proxy": ",, ,"}, "http://p:1"),
    ("https://8.8.8.8", {**ALL, "no_proxy": "8.8.0.0/16"}, None),
    ("https://8.8.8.8", {**ALL, "no_proxy": "9.0.0.0/8,8.8.8.8.example"}, "http://p:1"),
    ("https://[2600::1]:444", {**ALL, "no_proxy": "[2600::1]:444"}, None),
    ("https://[2600::1]", {**ALL, "no_proxy": "2600::1"}, None),
    ("https://[2600::1]", ALL, "http://p:1"),
]


@pytest.mark.parametrize(("url", "environment", "proxy"), DECISIONS)
def test_the_proxy_of_a_url(url: str, environment: Mapping[str, str], proxy: str | None) -> None:
    decided = proxy_for(url, environment)
    assert (decided.url if decided else None) == proxy
    assert "secret" not in str(decided)


LOCAL = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.8.7", "0.0.0.0", "[::1]",
    "[::ffff:127.0.0.1]", "simulator", "simulator.crypto.svc", "simulator.crypto.svc.cluster.local",
    "simulator.crypto.svc.cluster.local.", "machine.local", "10.96.0.1", "172.17.0.1", "192.168.1.5", "169.254.1.1",
    "[fe80::1]", "[fd00::1]",
]  # fmt: skip
ODD = [
    "absurd", ":::", "http://", "http://:", "://", "http://[", "http://a:99999999", "http://a:b", "socks5://127.0.0.1:1",
    "ftp://a", "http://a b", "ä", "\x7f", "0", "http://http://", "%zz",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_local_hosts_are_never_reached_through_a_proxy(host: str) -> None:
    names = ["http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy"]
    for value in ("http://p:1", *ODD):
        environment = dict.fromkeys([*names, *(name.upper() for name in names)], value)
        for scheme in ("http", "https", "ws", "wss"):
            assert proxy_for(f"{scheme}://{host}:8899/path", environment) is None


@pytest.mark.parametrize(
    "host", ["api.binance.com", "8.8.8.8", "local.example", "svc.example", "2600::1", "a.localdomain"]
)
def test_other_hosts_are_not_local(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("socks5://127.0.0.1:1080", "SOCKS"),
        ("socks4a://127.0.0.1:1080", "SOCKS"),
        ("ftp://proxy.example", "unknown kind"),
        (":::", "not the URL of a proxy"),
        ("http://", "not the URL of a proxy"),
        ("http://a:b", "not the URL of a proxy"),
        ("http://user:secret@a:b", "not the URL of a proxy"),
        ("http://a b:3", "not the URL of a proxy"),
        ("http://prôxy:3128", "not the URL of a proxy"),
    ],
)
def test_an_invalid_proxy_is_rejected_with_the_name_of_its_variable(value: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=text) as caught:
        proxy_for(REST, {"HTTPS_PROXY": value})
    assert str(caught.value).startswith("HTTPS_PROXY ")
    assert "no_proxy" in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_value_gives_a_proxy_or_an_error(proxy: str, exceptions: str) -> None:
    try:
        decided = proxy_for(STREAM, {"https_proxy": proxy, "no_proxy": exceptions})
    except Misconfigured:
        return
    assert decided is None or decided.url.startswith(("http://", "https://"))


@dataclass
class CountingProxy:
    """A proxy that records the first line of each request, and connects to the local port ``target`` or refuses."""

    target: int | None = None
    requests: list[str] = field(default_factory=list)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head.split(b"\r\n")[0].decode())
        if self.target is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_relay(reader, back), _relay(there, writer))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CountingProxy"]:
        async with await asyncio.start_server(self.handle, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
    sink.close()


def name_everywhere(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


async def follow_until_connected(url: str) -> None:
    listener = Recorder()
    stream = TradeStream(url, ["BTCUSDT"], listener, policy=QUICK)
    task = asyncio.create_task(stream.run())
    try:
        await listener.until(lambda heard: bool(heard.frames))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_rest_requests_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with CountingProxy().running() as proxy:
            name_everywhere(monkeypatch, f"http://user:secret@127.0.0.1:{proxy.port}")
            async with BinanceRest(REST, attempts=1) as rest:
                with pytest.raises(
                    Unavailable, match=rf"proxy http://127.0.0.1:{proxy.port} \(https_proxy\)"
                ) as caught:
                    await rest.klines("BTCUSDT", 0)
            assert "secret" not in str(caught.value)
            assert proxy.requests == ["CONNECT api.binance.com:443 HTTP/1.1"]
            stream = TradeStream(STREAM, ["BTCUSDT"], Recorder(), policy=replace(QUICK, open=10))
            task = asyncio.create_task(stream.run())
            async with asyncio.timeout(10):
                while len(proxy.requests) < 2:
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert proxy.requests[1] == "CONNECT stream.binance.com:9443 HTTP/1.1"

    asyncio.run(run())


def test_frames_arrive_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with serve(Server(say_hello_and_stay).handle, "127.0.0.1", 0) as exchange:
            target = exchange.sockets[0].getsockname()[1]
            async with CountingProxy(target).running() as proxy:
                name_everywhere(monkeypatch, f"http://127.0.0.1:{proxy.port}")
                await follow_until_connected("ws://exchange.example:8899")
                assert proxy.requests == ["CONNECT exchange.example:8899 HTTP/1.1"]

    asyncio.run(run())


async def answer_no_klines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
    writer.close()


async def use_this_machine() -> None:
    """Receive a stream and request klines, both from an exchange on this machine."""
    async with serve(Server(say_hello_and_stay).handle, "127.0.0.1", 0) as exchange:
        await follow_until_connected(f"ws://127.0.0.1:{exchange.sockets[0].getsockname()[1]}")
    async with (
        await asyncio.start_server(answer_no_klines, "127.0.0.1", 0) as web,
        BinanceRest(f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}", attempts=1) as rest,
    ):
        assert await rest.klines("BTCUSDT", 0) == []


def test_this_machine_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with CountingProxy().running() as proxy:
            name_everywhere(monkeypatch, f"http://127.0.0.1:{proxy.port}")
            await use_this_machine()
            assert proxy.requests == []

    asyncio.run(run())


@pytest.mark.parametrize("value", ["absurd", ":::", "socks5://127.0.0.1:1", "http://["])
def test_invalid_proxy_variables_do_not_affect_this_machine(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    name_everywhere(monkeypatch, value)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "NETRC", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "/absurd/" + value.replace("/", "_"))
    asyncio.run(use_this_machine())


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_certificates_that_cannot_be_read_are_named_by_their_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/absurd/file")
    with pytest.raises(Misconfigured, match=name):
        BinanceRest(REST)
    if name == "SSLKEYLOGFILE":
        with pytest.raises(Misconfigured, match=name):
            TradeStream(STREAM, ["BTCUSDT"], Recorder())


@pytest.mark.parametrize("value", [":::", "socks5://127.0.0.1:1080"])
def test_both_clients_reject_an_invalid_proxy(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    name_everywhere(monkeypatch, value)
    with pytest.raises(Misconfigured, match="https_proxy"):
        BinanceRest(REST)
    with pytest.raises(Misconfigured, match="wss_proxy"):
        TradeStream(STREAM, ["BTCUSDT"], Recorder())
