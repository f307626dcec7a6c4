"""Plan the requests of a backfill: each missing minute, few requests, and open klines left out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_analytics.backfill.planner import (
    KlineRequest,
    answered_minutes,
    closed,
    missing_count,
    next_request,
    settled,
    window,
)
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import MINUTE

FIRST = 29_000_000
WANTED = IdRange(FIRST, FIRST + 2879)


def kline(minute: int) -> Kline:
    opened = minute * MINUTE
    return Kline(opened, "1.0", "1.0", "1.0", "1.0", "0.0", opened + 59_999_000, "0.0", 0, "0.0", "0.0", "0")


def answer(exchange: IdRanges, page: KlineRequest) -> list[Kline]:
    """Return the answer to ``page`` of an exchange that has klines for the minutes ``exchange``."""
    minutes = (minute for first, last in exchange for minute in range(max(first, page.start), last + 1))
    return [kline(minute) for minute, _ in zip(minutes, range(page.limit), strict=False)]


def run(held: IdRanges, exchange: IdRanges) -> tuple[IdRanges, int]:
    """Return the minutes in the table after a run, and its number of requests."""
    known, held, requests = settled(held), IdRanges(held), 0
    while (page := next_request(known, WANTED)) is not None:
        rows = answer(exchange, page)
        for row in closed(rows, WANTED, (WANTED.last + 1) * MINUTE):
            held.add(row.open_time // MINUTE, row.open_time // MINUTE)
        known.add(*answered_minutes(page, rows, WANTED))
        requests += 1
    return held, requests


def test_the_window_ends_with_the_last_closed_minute() -> None:
    now = (FIRST + 2880) * MINUTE
    assert window(now, 2) == WANTED
    assert window(now + MINUTE - 1, 2) == WANTED
    assert window(now - 1, 2) == IdRange(FIRST - 1, FIRST + 2878)


def test_an_empty_table_is_filled_with_full_pages() -> None:
    exchange = IdRanges([(FIRST - 5000, FIRST + 5000)])
    held, requests = run(IdRanges(), exchange)
    assert list(held) == [WANTED]
    assert requests == 3


def test_the_newest_ten_minutes_held_are_never_settled() -> None:
    held = IdRanges([(FIRST, FIRST + 99), (FIRST + 105, FIRST + 106)])
    assert list(settled(held)) == [(FIRST, FIRST + 96)]
    assert list(held) == [(FIRST, FIRST + 99), (FIRST + 105, FIRST + 106)]
    assert list(settled(IdRanges([(FIRST, FIRST + 3)]))) == []
    assert list(settled(IdRanges())) == []


def test_nothing_missing_costs_one_request_for_the_newest_ten_minutes() -> None:
    assert next_request(settled(IdRanges([WANTED])), WANTED) == KlineRequest(WANTED.last - 9, 10)
    assert run(IdRanges([WANTED]), IdRanges([WANTED])) == (IdRanges([WANTED]), 1)


def test_a_second_run_requests_only_new_minutes_and_the_ten_before_them() -> None:
    held = IdRanges([(FIRST, FIRST + 2874)])
    assert next_request(settled(held), WANTED) == KlineRequest(FIRST + 2865, 15)
    assert run(held, IdRanges([WANTED]))[1] == 1


def test_a_halted_market_costs_one_request_a_run() -> None:
    exchange = IdRanges([(FIRST, FIRST + 100), (FIRST + 2000, WANTED.last)])
    held, _ = run(IdRanges(), exchange)
    assert held == exchange
    assert run(held, exchange) == (exchange, 1)


def test_a_symbol_listed_today_costs_one_request_a_run() -> None:
    exchange = IdRanges([(WANTED.last - 500, WANTED.last)])
    held, requests = run(IdRanges(), exchange)
    assert (held, requests) == (exchange, 1)
    assert run(held, exchange)[1] == 1


def test_a_newest_kline_that_is_not_there_yet_is_no_trouble() -> None:
    exchange = IdRanges([(FIRST, WANTED.last - 1)])
    held, requests = run(IdRanges([(FIRST, WANTED.last - 1)]), exchange)
    assert (held, requests) == (exchange, 1)


def test_open_klines_and_those_outside_the_window_are_left_out() -> None:
    rows = [kline(minute) for minute in (FIRST - 1, FIRST, FIRST + 1, WANTED.last, WANTED.last + 1)]
    now = (FIRST + 1) * MINUTE + 30_000_000
    assert [row.open_time // MINUTE for row in closed(rows, WANTED, now)] == [FIRST]


SPANS = st.lists(st.tuples(st.integers(-100, 3000), st.integers(0, 900)), max_size=6)


@settings(max_examples=200, deadline=None)
@given(held=SPANS, exchange=SPANS)
def test_a_run_ends_with_everything_the_exchange_has_at_a_request_a_thousand_minutes(
    held: list[tuple[int, int]], exchange: list[tuple[int, int]]
) -> None:
    available = IdRanges((FIRST + start, FIRST + start + length) for start, length in exchange)
    before = IdRanges((FIRST + start, FIRST + start + length) for start, length in held)
    after, requests = run(before, available)
    for first, last in available:
        low, high = max(first, WANTED.first), min(last, WANTED.last)
        assert low > high or after.covers(low, high)
    assert requests <= 3
    assert missing_count(after, WANTED) <= missing_count(before, WANTED)
