"""Where the exchange's intervals begin and end, compared with the calendar of the standard library."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.api.intervals import INTERVALS, LATEST, Calendar, parse_offset, window
from crypto_analytics.core.minutes import MINUTE, from_datetime, to_datetime

TIMES = st.integers(
    from_datetime(datetime(2017, 1, 1, tzinfo=UTC)), from_datetime(datetime(2035, 1, 1, tzinfo=UTC))
).map(to_datetime)
OFFSETS = st.integers(-12 * 60, 14 * 60)
HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}


def expected_start(name: str, local: datetime) -> datetime:
    """Return the start of the interval with the local time ``local``."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "1M":
        return midnight.replace(day=1)
    if name == "1w":
        return midnight - timedelta(days=midnight.weekday())
    if name == "3d":
        return midnight - timedelta(days=(midnight.toordinal() - date(1970, 1, 1).toordinal()) % 3)
    length = timedelta(minutes=round(int(name[:-1]) * HOURS[name[-1]] * 60))
    return midnight + (local - midnight) // length * length


@given(st.sampled_from(sorted(INTERVALS)), TIMES, OFFSETS)
def test_an_interval_starts_where_the_calendar_says(name: str, time: datetime, minutes: int) -> None:
    calendar = Calendar(INTERVALS[name], minutes * MINUTE)
    local = time.astimezone(timezone(timedelta(minutes=minutes)))
    start = calendar.start_of(from_datetime(time))
    assert to_datetime(start) == expected_start(name, local)
    end = calendar.end_of(start)
    assert start <= from_datetime(time) < end
    assert calendar.start_of(end) == end
    assert calendar.start_of(end - 1) == start
    assert (end - start) // MINUTE <= calendar.interval.most_minutes


def test_the_lengths_are_those_of_their_names() -> None:
    lengths = {name: interval.length for name, interval in INTERVALS.items()}
    assert lengths.pop("1M") is None
    assert lengths.pop("1w") == 7 * 24 * 60 * MINUTE
    assert lengths == {name: round(int(name[:-1]) * HOURS[name[-1]] * 60) * MINUTE for name in lengths}


@pytest.mark.parametrize(
    ("text", "hours"),
    [("0", 0), ("8", 8), ("-1:00", -1), ("05:45", 5.75), ("+14:00", 14), ("-12:00", -12), ("-0:30", -0.5)],
)
def test_an_offset_is_read_as_the_exchange_reads_it(text: str, hours: float) -> None:
    assert parse_offset(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "14:01", "-12:01", "15", "1:5", "1:60", "a", "--1", "1:00:00", "٣", "1.5", " 1"])
def test_other_offsets_are_refused(text: str) -> None:
    assert parse_offset(text) is None


def test_a_window_has_whole_candles() -> None:
    hours = Calendar(INTERVALS["1h"])
    hour = 60 * MINUTE
    assert window(hours, None, None) == (0, LATEST, True)
    assert window(hours, 5 * hour + 1, 9 * hour + 1) == (6 * hour, 10 * hour, False)
    assert window(hours, 5 * hour, 9 * hour) == (5 * hour, 10 * hour, False)
    assert window(hours, 2**63, None) == (LATEST, LATEST, False)
    assert window(hours, None, 2**63).until <= LATEST
