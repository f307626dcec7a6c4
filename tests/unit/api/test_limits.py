"""Request weights are the exchange's, and each address has its own limit in each minute."""

import pytest

from crypto_analytics.api.limits import WeightMeter, weight_of


@pytest.mark.parametrize(
    ("path", "query", "weight"),
    [
        ("/api/v3/ping", b"", 1),
        ("/api/v3/klines", b"symbol=BTCUSDT", 2),
        ("/api/v3/aggTrades", b"", 4),
        ("/api/v3/historicalTrades", b"", 25),
        ("/api/v3/exchangeInfo", b"", 20),
        ("/api/v3/ticker/price", b"symbol=BTCUSDT", 2),
        ("/api/v3/ticker/price", b"symbols=[]", 4),
        ("/api/v3/ticker/24hr", b"symbol=BTCUSDT", 2),
        ("/api/v3/ticker/24hr", b"symbols=%5B%22A%22%2C%22B%22%5D", 2),
        ("/api/v3/ticker/24hr", b"symbols=" + b"%2C".join([b"A"] * 21), 40),
        ("/api/v3/ticker/24hr", b"symbols=" + b"%2C".join([b"A"] * 101), 80),
        ("/api/v3/ticker/24hr", b"", 80),
        ("/api/v3/ticker/24hr", b"\xff&=&&%zz", 80),
        ("/v1/candles", b"", 2),
    ],
)
def test_the_weight_is_the_exchanges(path: str, query: bytes, weight: int) -> None:
    assert weight_of(path, query) == weight


def test_addresses_are_counted_apart_and_anew_each_minute() -> None:
    now = 119.0
    meter = WeightMeter(lambda: now)
    assert [meter.charge("a", 2), meter.charge("b", 5), meter.charge("a", 3)] == [2, 5, 5]
    assert meter.seconds_left() == 1
    now = 120.0
    assert meter.charge("a", 1) == 1
    assert meter.seconds_left() == 60
