"""Windows rolled up in memory equal a plain sum over all minutes, after any changes and any loads."""

from decimal import Decimal
from random import Random

import pytest

from crypto_analytics.api.intervals import INTERVALS, Calendar
from crypto_analytics.api.live.bars import DAY, HOUR, Bar, History, combined, scaled
from crypto_analytics.core.minutes import MINUTE

START = 1_767_225_600_000_000  # 2026-01-01
MINUTES = 3 * DAY // MINUTE


def bar(random: Random, minute: int, revision: int) -> Bar:
    low, high = sorted(random.sample(range(1, 10**14), 2))
    return Bar(
        open=random.randrange(low, high), high=high, low=low, close=random.randrange(low, high),
        volume=random.randrange(1, 10**18), quote_volume=random.randrange(1, 10**34),
        trade_count=random.randrange(1, 100), taker_buy_volume=0, taker_buy_quote_volume=0,
        first_trade_id=minute * 100, last_trade_id=minute * 100 + 99, is_complete=random.random() < 0.9,
        verified_absent_count=random.randrange(2), missing_id_count=random.randrange(3), revision=revision,
    )  # fmt: skip


class Table:
    """The table as PostgreSQL has it, from which a history loads what it lacks."""

    def __init__(self) -> None:
        self.rows: dict[int, Bar] = {}
        self.loads = 0

    def plain(self, start: int, end: int) -> Bar | None:
        return combined(self.rows[time] for time in sorted(self.rows) if start <= time < end)

    def fill(self, history: History, start: int, end: int) -> None:
        while any(missing := history.missing(start, end)):
            for span in missing.hours:
                self.loads += 1
                hours = {
                    hour: found
                    for hour in range(span.start, span.end, HOUR)
                    if (found := self.plain(hour, hour + HOUR)) is not None
                }
                history.add_hours(span, hours)
            for hour in missing.minutes:
                self.loads += 1
                its = {time: row for time, row in sorted(self.rows.items()) if hour <= time < hour + HOUR}
                history.add_minutes(hour, its)


@pytest.mark.parametrize("seed", range(4))
def test_windows_equal_a_plain_sum_after_any_changes(seed: int) -> None:
    random = Random(seed)
    table, history = Table(), History()
    minutes = [minute for minute in range(MINUTES) if random.random() < 0.1]
    for revision, minute in enumerate(minutes):
        table.rows[START + minute * MINUTE] = bar(random, minute, revision)
    calendars = [Calendar(INTERVALS[name]) for name in ("3m", "15m", "1h", "4h", "1d", "3d", "1w", "1M")]
    calendars.append(Calendar(INTERVALS["1d"], 8 * HOUR))
    for revision in range(len(minutes), len(minutes) + 60):
        minute = random.choice([random.choice(minutes), random.randrange(MINUTES), minutes[-1]])
        time, changed = START + minute * MINUTE, bar(random, minute, revision)
        table.rows[time] = changed
        if random.random() < 0.9:
            history.apply(time, changed)
        else:
            # A load between the commit and the arrival of the change has it already.
            table.fill(history, time - time % HOUR, time - time % HOUR + MINUTE)
            history.apply(time, changed)
        calendar = random.choice(calendars)
        start = calendar.start_of(time)
        end = min(calendar.end_of(start), START + MINUTES * MINUTE)
        table.fill(history, start, end)
        assert history.bar(start, end) == table.plain(start, end)


@pytest.mark.parametrize("seed", range(4))
def test_official_klines_stay_whatever_changes_around_them(seed: int) -> None:
    random = Random(seed)
    table, history = Table(), History()
    for minute in range(0, MINUTES, 7):
        table.rows[START + minute * MINUTE] = bar(random, minute, minute)
    for revision in range(MINUTES, MINUTES + 60):
        minute = random.choice([random.choice(range(0, MINUTES, 7)), random.randrange(MINUTES)])
        time, changed = START + minute * MINUTE, bar(random, minute, revision)
        known = table.rows.get(time)
        if random.random() < 0.4:  # an official kline, with or without a candle of the same minute
            ids = {} if known is not None else {"first_trade_id": None, "last_trade_id": None}
            table.rows[time] = changed._replace(**ids, revision=known.revision if known else 0, is_official=True)
            history.forget(time - time % HOUR)
        else:
            if known is not None and known.is_official:
                own = {name: getattr(changed, name) for name in ("first_trade_id", "last_trade_id", "revision")}
                table.rows[time] = known._replace(**own)
            else:
                table.rows[time] = changed
            history.apply(time, changed)
        calendar = Calendar(INTERVALS[random.choice(["3m", "1h", "4h", "1d", "1w", "1M"])])
        start = calendar.start_of(time)
        end = min(calendar.end_of(start), START + MINUTES * MINUTE)
        table.fill(history, start, end)
        assert history.bar(start, end) == table.plain(start, end)


def test_a_change_of_a_month_loads_nothing_more() -> None:
    random = Random(1)
    table, history = Table(), History()
    minutes = range(MINUTES - 30)
    for minute in minutes:
        table.rows[START + minute * MINUTE] = bar(random, minute, minute)
    end = START + len(minutes) * MINUTE
    table.fill(history, START, end)
    last = end - MINUTE
    for revision in range(MINUTES, MINUTES + 20):
        table.rows[last] = bar(random, minutes[-1], revision)
        history.apply(last, table.rows[last])
        table.fill(history, START, end)
        assert history.bar(START, end) == table.plain(START, end)
    assert table.loads == 2  # all whole hours at once, and the minutes of the last one


def test_an_older_state_of_a_minute_never_replaces_a_newer_one() -> None:
    random = Random(2)
    history = History()
    newer, older = bar(random, 0, 9), bar(random, 0, 8)
    history.add_minutes(START, {START: newer})
    history.apply(START, older)
    assert history.bar(START, START + MINUTE) == newer


def test_decimals_are_scaled_to_the_digit() -> None:
    assert scaled("92233720368.54775807") == int(Decimal("92233720368.54775807") * 10**8)
    assert scaled("0.0000000000000001") == 1
