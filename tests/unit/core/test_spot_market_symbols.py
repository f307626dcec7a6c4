"""Which texts are valid symbols of the exchange."""

import pytest

from crypto_analytics.core.spot_market import is_symbol


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "1000SATSUSDT", "币安人生USDT", "BTCUSDT_240329", "BTC-USDT", "Z" * 50, "4"]
)
def test_a_listed_symbol_is_valid(text: str) -> None:
    assert is_symbol(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "_",
        "btcusdt",
        "BTCUSDt",
        "ßUSDT",
        "BTC/USDT",
        "BTC USDT",
        "BTCUSDT\n",
        "A=B",
        'A"B',
        "A'B",
        "Z" * 51,
    ],
)
def test_another_text_is_not_a_symbol(text: str) -> None:
    assert not is_symbol(text)
