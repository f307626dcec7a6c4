from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.decimals import MAX_SCALED, format_scaled, parse_scaled, parse_scaled_column

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
def test_recorded_spellings(text: str, value: int) -> None:
    assert parse_scaled(text) == value


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "+1", "1e5", "1,5", " 1", "1 ", "1\n", "NaN", "Infinity", "0x1", "1_000", "٣",
     "1.123456789", "123456789012", "92233720368.54775808", "3." + "1" * 30],
)  # fmt: skip
def test_what_is_no_exact_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal|64-bit"):
        parse_scaled(text)


@given(st.lists(st.one_of(scaled.map(format_scaled), st.text("0123456789.,-e", max_size=24)), max_size=20))
def test_the_fast_column_agrees_with_one_by_one(texts: list[str]) -> None:
    def one_by_one() -> list[int] | None:
        try:
            return [parse_scaled(text) for text in texts]
        except ValueError:
            return None

    expected = one_by_one()
    if expected is None:
        with pytest.raises(ValueError, match=r"decimal|64-bit"):
            parse_scaled_column(texts)
    else:
        assert parse_scaled_column(texts) == expected


def test_a_column_cannot_smuggle_two_numbers_in_one() -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        parse_scaled_column(["1.00000000,2.00000000"])


def test_products_keep_sixteen_decimals() -> None:
    assert format_scaled(parse_scaled("0.06436200") * parse_scaled("0.01580000"), 16) == "0.0010169196000000"


def test_negative_differences_are_formatted() -> None:
    assert format_scaled(-5) == "-0.00000005"
