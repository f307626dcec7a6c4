"""Trades become candles and archived objects with the default feed, and the memory that this takes."""

import pytest

from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, dead_letters, gaps, verify, wait_caught_up
from tests.e2e.report import Report

_GB_IN_MIB = 1000**3 / 1024**2
# For the streaming half, for all components, and for Spark's pod, whose limit is higher.
STREAMING_LIMIT_MIB = {"python": 1.3 * _GB_IN_MIB, "spark": 2.0 * _GB_IN_MIB}
REST_LIMIT_MIB = {"python": 2.6 * _GB_IN_MIB, "spark": 3.3 * _GB_IN_MIB}
SPARK_LIMIT_MIB = 1.0 * _GB_IN_MIB

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
    assert sum(sizes[name] for name in platform.streaming) < STREAMING_LIMIT_MIB[platform.variant], sizes
    assert sum(sizes.values()) < REST_LIMIT_MIB[platform.variant], sizes
    assert sizes.get("spark-candles", 0.0) < SPARK_LIMIT_MIB, sizes
