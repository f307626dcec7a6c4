"""2,000 trades a second while each component is killed and the merging one is replaced: no trade is lost or doubled.

The tests share one heavy feed and run in the order of this file; the last one checks all trades.
"""

import json
from collections.abc import Iterator, Sequence

import pytest

from ops.common.candle_variant import Variant
from tests.e2e.load import TRADES_PER_MINUTE, Load, heavy_load
from tests.e2e.platforms import Platform
from tests.e2e.published_candles import verify_published
from tests.e2e.recomputation import (
    DEFAULT_SYMBOLS,
    complete_minutes,
    dead_letters,
    merged_up_to,
    official_klines,
    verify,
    wait_caught_up,
    window_start,
)
from tests.e2e.report import Report
from tests.e2e.waiting import Stopwatch, wait_until

WHOLE_MINUTES = 3  # of each symbol, to compare with the exchange's klines
SIDE_BY_SIDE_TRADES = 40_000  # that come while consumer and Spark both merge

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def load(platform: Platform) -> Iterator[Load]:
    with heavy_load(platform) as running:
        yield running


@pytest.mark.variant
def test_memory_under_load(platform: Platform, load: Load, report: Report) -> None:
    wait_caught_up(platform, load.symbols)
    report.memory["2,000 trades/s"] = platform.memory()


def test_a_killed_part_comes_back(platform: Platform, load: Load, report: Report, victim: str) -> None:
    before = platform.instances(victim)
    watch = Stopwatch()
    platform.kill(victim)
    platform.wait_replaced(victim, before)
    # From here on, only the new instance can have handled the simulator's trades.
    wait_caught_up(platform, load.symbols)
    report.recovered[victim] = watch.seconds


def test_an_upgrade_of_the_merging_service_drains_the_old_pod(
    platform: Platform, load: Load, report: Report, merger: str
) -> None:
    tag = platform.second_tag(merger)
    before = platform.instances(merger)
    watch = Stopwatch()
    with platform.followed_log(merger) as log:
        platform.change(merger, tag=tag)
        platform.wait_replaced(merger, before)
        lines = [json.loads(line) for line in log.to_the_end() if line.startswith("{")]
        events = [line["event"] for line in lines if "event" in line]  # lines of Java itself have no event
    wait_caught_up(platform, load.symbols)
    report.recovered[f"{merger} (upgrade)"] = watch.seconds
    assert events[-1] == "stopped", events
    assert "batch_abandoned" not in events


def merged_in_all(platform: Platform, symbols: Sequence[str]) -> int:
    """Return the sum of the last ids of ``symbols`` merged without a gap, which grows by one with each trade."""
    with platform.postgres("reader") as connection:
        return sum(merged_up_to(connection, symbols).values())


@pytest.mark.variant
@pytest.mark.with_spark
def test_the_other_variant_takes_over_and_gives_back(platform: Platform, load: Load, report: Report) -> None:
    """Both variants for a while, then the other one alone, then the first one again."""
    symbols = [*DEFAULT_SYMBOLS, *load.symbols]
    steps: tuple[Variant, ...] = ("both", "python", platform.variant)
    for variant in steps:
        watch = Stopwatch()
        platform.merge_by(variant, symbols)
        wait_caught_up(platform, load.symbols)
        report.recovered[f"merged by {variant}"] = watch.seconds
        if variant == "both":
            target = merged_in_all(platform, load.symbols) + SIDE_BY_SIDE_TRADES
            wait_until(
                lambda goal=target: merged_in_all(platform, load.symbols) >= goal, 120, "trades while both are at work"
            )


@pytest.mark.variant
def test_nothing_is_lost_or_doubled(platform: Platform, load: Load, report: Report) -> None:
    wait_until(lambda: complete_minutes(platform, load.symbols) >= WHOLE_MINUTES, 300, "whole minutes under load")
    seconds = load.running.seconds
    wait_caught_up(platform, load.symbols)
    klines = official_klines(platform, load.symbols, window_start())
    verified = verify(platform, load.symbols, klines)
    published = verify_published(platform, load.symbols)
    report.verified["under load"] = verified._asdict() | {"published": published}
    assert verified.trades > seconds * TRADES_PER_MINUTE * len(load.symbols) / 60 * 0.9
    assert verified.official >= WHOLE_MINUTES * len(load.symbols)
    assert dead_letters(platform) == []
