"""From trade to candle and archive with the default feed, and the memory that this takes."""

from tests.e2e.platforms import Platform
from tests.e2e.report import Report
from tests.e2e.streaming import DEFAULT_SYMBOLS, dead_letters, gaps, verify, wait_caught_up

REST_LIMIT_MIB = 1.3 * 1000**3 / 1024**2  # 1.3 GB


def test_trades_become_candles_and_raw_objects(platform: Platform, report: Report) -> None:
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    verified = verify(platform, DEFAULT_SYMBOLS)
    report.verified["at rest"] = verified._asdict()
    assert verified.trades > 0
    with platform.postgres("reader") as connection:
        assert gaps(connection, DEFAULT_SYMBOLS) == []
    assert dead_letters(platform) == []


def test_memory_at_rest(platform: Platform, report: Report) -> None:
    sizes = platform.memory()
    report.memory["at rest"] = sizes
    assert sum(sizes.values()) < REST_LIMIT_MIB, sizes
