"""The default feed continues after the heavy one, and after a restart of all components, like a reboot."""

import pytest

from tests.e2e.platforms import Platform
from tests.e2e.published_candles import verify_published
from tests.e2e.recomputation import (
    DEFAULT_SYMBOLS,
    dead_letters,
    merged_up_to,
    read_stored,
    verify,
    wait_caught_up,
    window_start,
)
from tests.e2e.report import Report
from tests.e2e.waiting import Stopwatch

pytestmark = pytest.mark.timeout(900)


@pytest.mark.variant
def test_the_default_feed_continues_without_a_gap(platform: Platform, report: Report) -> None:
    """The gap of the default symbols during the heavy feed is repaired from REST."""
    wait_caught_up(platform, DEFAULT_SYMBOLS, seconds=240)
    report.verified["after the load"] = verify(platform, DEFAULT_SYMBOLS)._asdict()


def test_a_restart_keeps_the_data_and_the_stream_continues(platform: Platform, report: Report) -> None:
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    with platform.postgres("reader") as connection:
        before = read_stored(connection, DEFAULT_SYMBOLS, window_start())
        merged = merged_up_to(connection, DEFAULT_SYMBOLS)
    watch = Stopwatch()
    platform.restart()
    wait_caught_up(platform, DEFAULT_SYMBOLS, seconds=300)
    report.recovered["all (restart)"] = watch.seconds
    verified = verify(platform, DEFAULT_SYMBOLS)
    published = verify_published(platform, DEFAULT_SYMBOLS)
    report.verified["after a restart"] = verified._asdict() | {"published": published}
    with platform.postgres("reader") as connection:
        after = read_stored(connection, DEFAULT_SYMBOLS, before.since)
        assert all(merged_up_to(connection, DEFAULT_SYMBOLS)[symbol] > last for symbol, last in merged.items())
    assert set(before.objects) <= set(after.objects)
    kept = [key for key, complete in before.complete.items() if complete]
    assert {key: before.candles[key] for key in kept} == {key: after.candles[key] for key in kept}
    assert dead_letters(platform) == []
