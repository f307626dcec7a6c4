"""2,000 trades a second while each part is killed and the consumer is upgraded: nothing is lost or doubled.

The tests share one heavy feed and come in the order in which they stand here; the last one checks all of it.
"""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.load import TRADES_PER_MINUTE, Load, heavy_load
from tests.e2e.platforms import Platform
from tests.e2e.report import Report
from tests.e2e.streaming import (
    complete_minutes,
    dead_letters,
    official_klines,
    verify,
    wait_caught_up,
    window_start,
)
from tests.e2e.waiting import Stopwatch, wait_until

WHOLE_MINUTES = 3  # of each symbol, that the exchange's own klines are compared with
VICTIMS = ("consumer", "producer", "kafka", "postgres", "minio")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def load(platform: Platform) -> Iterator[Load]:
    with heavy_load(platform) as running:
        yield running


def test_memory_under_load(platform: Platform, load: Load, report: Report) -> None:
    wait_caught_up(platform, load.symbols)
    report.memory["2,000 trades/s"] = platform.memory()


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_part_comes_back(platform: Platform, load: Load, report: Report, victim: str) -> None:
    before = platform.instances(victim)
    watch = Stopwatch()
    platform.kill(victim)
    platform.wait_replaced(victim, before)
    # From here on the simulator streams trades that only the new one can have handled.
    wait_caught_up(platform, load.symbols)
    report.recovered[victim] = watch.seconds


def test_an_upgrade_of_the_consumer_drains_the_old_one(platform: Platform, load: Load, report: Report) -> None:
    tag = platform.second_tag("consumer")
    before = platform.instances("consumer")
    watch = Stopwatch()
    with platform.followed_log("consumer") as log:
        platform.change("consumer", tag=tag)
        platform.wait_replaced("consumer", before)
        events = [json.loads(line)["event"] for line in log.to_the_end() if line.startswith("{")]
    wait_caught_up(platform, load.symbols)
    report.recovered["consumer (upgrade)"] = watch.seconds
    assert events[-1] == "stopped", events
    assert "stopped_while_store_away" not in events


def test_nothing_is_lost_or_doubled(platform: Platform, load: Load, report: Report) -> None:
    wait_until(lambda: complete_minutes(platform, load.symbols) >= WHOLE_MINUTES, 300, "whole minutes under load")
    seconds = load.running.seconds
    wait_caught_up(platform, load.symbols)
    klines = official_klines(platform, load.symbols, window_start())
    verified = verify(platform, load.symbols, klines)
    report.verified["under load"] = verified._asdict()
    assert verified.trades > seconds * TRADES_PER_MINUTE * len(load.symbols) / 60 * 0.9
    assert verified.official >= WHOLE_MINUTES * len(load.symbols)
    assert dead_letters(platform) == []
