"""Convert times to microseconds, minutes and datetimes."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.core.minutes import (
    MINUTE,
    from_datetime,
    minute_of,
    to_datetime,
    to_microseconds,
)
from crypto_analytics.core.trades import to_microseconds_column


@pytest.mark.parametrize(
    ("timestamp", "microseconds"),
    [
        (1598850897967, 1598850897967000),
        (1741046401271497, 1741046401271497),
        (10**13, 10**16),
        (10**13 + 1, 10**13 + 1),
    ],
)
def test_milliseconds_and_microseconds_are_distinguished(timestamp: int, microseconds: int) -> None:
    assert to_microseconds(timestamp) == microseconds


@given(st.lists(st.integers(0, 10**16)))
def test_a_column_is_converted_like_its_elements(timestamps: list[int]) -> None:
    column = to_microseconds_column(np.array(timestamps, np.int64))
    assert column.tolist() == [to_microseconds(timestamp) for timestamp in timestamps]


@given(st.integers(0, 2**53))
def test_a_minute_contains_its_microseconds(microseconds: int) -> None:
    assert minute_of(microseconds) % MINUTE == 0
    assert minute_of(microseconds) <= microseconds < minute_of(microseconds) + MINUTE


@given(st.integers(0, 253_402_300_799_999_999))
def test_datetimes_are_exact(microseconds: int) -> None:
    assert from_datetime(to_datetime(microseconds)) == microseconds


def test_a_zone_is_honoured() -> None:
    local = datetime(2025, 3, 4, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_datetime(from_datetime(local)) == datetime(2025, 3, 4, tzinfo=UTC)
