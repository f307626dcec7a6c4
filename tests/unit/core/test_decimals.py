"""Parse and format decimals as scaled integers, without rounding."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.decimals import MAX_SCALED, format_scaled, parse_scaled

scaled = st.integers(0, MAX_SCALED)


@given(scaled)
def test_a_formatted_number_parses_back(value: int) -> None:
    assert parse_scaled(format_scaled(value)) == value


@given(st.decimals(0, 92233720368, places=8))
def test_parsing_agrees_with_decimal(number: Decimal) -> None:
    assert parse_scaled(f"{number:f}") == int(number * 10**8)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.2312", 23120000), ("83.9", 8390000000), ("11675.35000000", 1167535000000), ("7", 700000000)],
)
def test_recorded_values_are_parsed(text: str, value: int) -> None:
    assert parse_scaled(text) == value


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "+1", "1e5", "1,5", " 1", "1 ", "1\n", "NaN", "Infinity", "0x1", "1_000", "٣",
     "1.123456789", "123456789012", "92233720368.54775808", "3." + "1" * 30],
)  # fmt: skip
def test_a_text_that_is_not_an_exact_decimal_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal|64-bit"):
        parse_scaled(text)


def test_products_keep_sixteen_decimals() -> None:
    assert format_scaled(parse_scaled("0.06436200") * parse_scaled("0.01580000"), 16) == "0.0010169196000000"


def test_negative_differences_are_formatted() -> None:
    assert format_scaled(-5) == "-0.00000005"
