"""Trades become candles and archived objects with the default feed, and the memory that this takes."""

import pytest

from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, dead_letters, gaps, verify, wait_caught_up
from tests.e2e.report import Report

_MIB_IN_GB = 1000**3 / 1024**2

pytestmark = pytest.mark.variant


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
    limits = platform.memory_limits
    assert sum(sizes[name] for name in platform.streaming) < limits.streaming * _MIB_IN_GB, sizes
    assert sum(sizes.values()) < limits.all * _MIB_IN_GB, sizes
    assert sizes.get("spark-candles", 0.0) < limits.spark * _MIB_IN_GB, sizes
