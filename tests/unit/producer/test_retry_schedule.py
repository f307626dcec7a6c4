"""Schedule the retries of gaps with a growing backoff."""

from random import Random

from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.retry_schedule import RetrySchedule


def test_the_backoff_of_failed_ids_grows_and_others_have_none() -> None:
    schedule = RetrySchedule(first_retry=4, random=Random(3))
    gaps = IdRanges([(1, 5), (10, 12)])
    waits = []
    now = 0.0
    for _ in range(12):
        assert list(schedule.due(gaps, now)) == [(1, 5), (10, 12)]
        waits.append(schedule.defer(IdRange(1, 5), now))
        assert list(schedule.due(gaps, now)) == [(10, 12)]
        now += waits[-1]
    assert 0.4 <= waits[0] <= 4
    assert all(wait <= 900 for wait in waits)
    assert max(waits) > 90


def test_a_part_of_a_tried_gap_counts_as_tried_and_is_forgotten_once_closed() -> None:
    schedule = RetrySchedule(first_retry=4, random=Random(3))
    schedule.defer(IdRange(1, 9), 0)
    assert schedule.was_tried(IdRange(4, 4))
    assert not schedule.was_tried(IdRange(10, 11))
    assert not schedule.due(IdRanges([(4, 4)]), 0)
    assert schedule.due(IdRanges([(4, 4)]), 4)
    schedule.due(IdRanges(), 4)
    assert not schedule.was_tried(IdRange(4, 4))
