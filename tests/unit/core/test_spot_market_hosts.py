"""Which hosts serve futures, and that the settings reject them."""

import pytest
from pydantic import ValidationError

from crypto_analytics.core.spot_market import is_futures_host
from crypto_analytics.runtime.settings import MarketSettings

FUTURES = [
    "fapi.binance.com", "FAPI.binance.com.", "dapi.binance.com", "fstream.binance.com", "dstream.binance.com",
    "fstream-auth.binance.com", "ws-fapi.binance.com", "eapi.binance.com", "nbstream.binance.com", "papi.binance.com",
    "testnet.binancefuture.com", "stream.binancefuture.com", "binancefuture.com",
]  # fmt: skip
SPOT = [
    "api.binance.com", "api1.binance.com", "api-gcp.binance.com", "stream.binance.com", "data-api.binance.vision",
    "data-stream.binance.vision", "testnet.binance.vision", "api.binance.us", "simulator", "127.0.0.1", "fapi",
    "fapi.example", "notbinancefuture.com", "localhost", "",
]  # fmt: skip


@pytest.mark.parametrize("host", FUTURES)
def test_a_host_of_the_futures_markets(host: str) -> None:
    assert is_futures_host(host)


@pytest.mark.parametrize("host", SPOT)
def test_any_other_host(host: str) -> None:
    assert not is_futures_host(host)


@pytest.mark.parametrize(
    ("name", "url"),
    [("BINANCE_REST_URL", "https://fapi.binance.com"), ("BINANCE_WS_URL", "wss://fstream.binance.com:443/market")],
)
def test_a_futures_host_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(ValidationError, match="futures markets; the platform reads the spot market"):
        MarketSettings()
