"""What is known of a symbol from its messages."""

from random import Random

import pytest

from crypto_analytics.publisher.messages import SCHEMA_VERSION, Published
from crypto_analytics.publisher.published import LiveKeys, PublishedTail, partitions_of_symbols


def message(revision: int, updated_at: str = "t") -> Published:
    return Published(SCHEMA_VERSION, revision, updated_at)


def tail(*added: tuple[int, Published | None]) -> PublishedTail:
    found = PublishedTail()
    for open_time, its in added:
        found.add(open_time, its)
    return found


def test_the_revision_is_that_of_the_last_message() -> None:
    assert tail((60, message(5)), (120, message(6)), (60, message(7))).revision == 7
    # After the table was restored, its revisions start again below those of the older messages.
    assert tail((60, message(5)), (120, message(900)), (60, message(6))).revision == 6


def test_a_symbol_is_in_the_partition_of_its_newest_revision() -> None:
    tails = {
        ("A", 5): tail((60, message(7)), (120, message(9))),
        ("A", 2): tail((60, message(8))),
        ("B", 1): tail((60, message(3)), (60, None)),  # removed
        ("B", 0): tail((60, message(2))),
        ("C", 4): tail((60, None)),
    }
    assert partitions_of_symbols(tails) == {"A": 5, "B": 0, "C": 4}


@pytest.mark.parametrize("last", [None, Published(), Published(SCHEMA_VERSION + 1, 9)])
def test_nothing_counts_as_published_after_a_tombstone_or_another_schema(last: Published | None) -> None:
    found = tail((60, message(5)), (120, last))
    assert (found.revision, found.recent) == (0, {})


def test_recent_candles_are_the_last_changed_ones() -> None:
    found = tail(*((number, message(number)) for number in range(1, 101)), (90, message(101)))
    assert list(found.recent) == [*range(85, 90), *range(91, 101), 90]
    assert found.recent[90].revision == 101


def test_the_topic_is_not_ahead_of_a_table_that_moved_on() -> None:
    found = tail((60, message(5)), (120, message(6)))
    assert not found.is_ahead({60: message(5), 120: message(6)})
    assert not found.is_ahead({60: message(8, "later"), 120: message(7, "later"), 180: message(9)})
    assert not PublishedTail().is_ahead({})


@pytest.mark.parametrize(
    "stored",
    [
        {60: message(5)},  # the newest candle is gone
        {60: message(5), 120: message(4)},
        {60: message(5), 120: message(6, "another change")},
        {60: message(4), 120: message(900)},  # the newest candle was changed often since the restore, another was not
    ],
)
def test_the_topic_is_ahead_of_a_table_that_was_restored(stored: dict[int, Published]) -> None:
    assert tail((60, message(5)), (120, message(6))).is_ahead(stored)


@pytest.mark.parametrize("seed", range(3))
def test_live_keys_are_those_whose_last_message_is_no_tombstone(seed: int) -> None:
    random = Random(seed)
    keys, live = LiveKeys(), set()
    for _ in range(2_000):
        open_time, tombstone = random.randrange(300) * 60_000_000, random.random() < 0.4
        keys.add(open_time, tombstone=tombstone)
        (live.discard if tombstone else live.add)(open_time)
    assert keys.open_times() == sorted(live)
    assert LiveKeys().open_times() == []
