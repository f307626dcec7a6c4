"""The estimate grows with symbols, trades and days as its formulas say."""

import io

import pytest
import yaml
from rich.console import Console

from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.common.units import GIB
from ops.kubernetes import pod_resources, sizing
from ops.kubernetes.sizing import SizingSettings, estimate


def test_the_records_of_seven_days_stay_in_kafka() -> None:
    def kafka(rate: float, days: int) -> float:
        return sum(estimate(3, rate, days).disk["kafka"].values())

    alone = sizing.KAFKA_TRADE + sizing.KAFKA_BATCH
    assert kafka(0.01, 1) == pytest.approx(864 * alone, rel=1e-3)
    assert kafka(100, 7) == pytest.approx(kafka(100, 365)) == pytest.approx(7 * kafka(100, 1))
    assert kafka(1_000_000, 1) == pytest.approx(86_400_000_000 * sizing.KAFKA_TRADE, rel=0.01), "batches are full"


def test_candles_are_per_symbol_and_minute_whatever_the_trades() -> None:
    few, many = (estimate(10, rate, 30).disk["postgres"]["candles, silver, gold"] for rate in (1, 1000))
    assert few == many == 10 * 1440 * 30 * sizing.CANDLE_ROWS


def test_no_more_objects_than_trades_are_listed() -> None:
    def listed(symbols: int, rate: float) -> float:
        return estimate(symbols, rate, 1).disk["postgres"]["list of raw objects"]

    assert listed(1000, 5) == 5 * 86_400 * sizing.OBJECT_ROW
    assert listed(3, 50) == listed(3, 5000) == 3 * sizing.OBJECTS * 86_400 * sizing.OBJECT_ROW


def test_the_raw_archive_and_the_lake_grow_with_the_trades() -> None:
    one, two = (estimate(3, rate, 10).disk["minio"] for rate in (10, 20))
    assert two["raw archive"] - one["raw archive"] == pytest.approx(10 * 864_000 * sizing.RAW_TRADE)
    assert two["lake"] - one["lake"] == pytest.approx(10 * 864_000 * sizing.LAKE_TRADE)


def test_many_objects_take_more_than_their_trades() -> None:
    """The measured run: 30 trades/s of 3 symbols."""
    archive = estimate(3, 30, 1).disk["minio"]["raw archive"]
    assert archive == pytest.approx(86_400 * (30 * sizing.RAW_TRADE + 2.7 * sizing.RAW_OBJECT))


def test_longer_batches_make_fewer_objects() -> None:
    one, ten = (estimate(3, 30, 1, seconds) for seconds in (1, 10))
    assert ten.disk["postgres"]["list of raw objects"] == pytest.approx(
        one.disk["postgres"]["list of raw objects"] / 10
    )
    assert ten.volume("minio") <= one.volume("minio")


def test_cpu_is_for_bursts() -> None:
    cost = sizing.CPU["consumer"]
    assert estimate(3, 100, 1).cpu["consumer"] == pytest.approx(
        cost.rest + sizing.PEAK * 100 * cost.trade / 1000, abs=1
    )


def test_values_name_larger_volumes_and_larger_requests_only() -> None:
    small = estimate(3, 1, 1)
    assert {name: small.volume(name) for name in small.disk} == dict.fromkeys(small.disk, sizing.SMALLEST_VOLUME)
    releases = small.values["releases"]
    assert isinstance(releases, dict)
    assert "resources" not in releases["kafka"]
    large = estimate(100, 10_000, 365).values["releases"]
    assert isinstance(large, dict)
    requested = large["consumer"]["resources"]["requests"]["cpu"]
    assert int(requested.removesuffix("m")) > pod_resources.load()["lite"]["consumer"].cpu
    assert int(large["minio"]["persistence"]["size"].removesuffix("Gi")) > 1000


def test_a_request_above_the_charts_limit_has_a_limit_too() -> None:
    def resources(rate: float, name: str) -> dict[str, dict[str, str]]:
        releases = estimate(3, rate, 1).values["releases"]
        assert isinstance(releases, dict)
        return dict(releases[name]["resources"])

    assert resources(3_000, "producer") == {"requests": {"cpu": "921m"}}
    assert resources(10_000, "producer") == {"requests": {"cpu": "3021m"}, "limits": {"cpu": "3021m"}}
    assert set(resources(10_000, "kafka")) == {"requests"}, "the broker has no limit"


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("2000", 2000), ("BTCUSDT", 1), ("BTCUSDT, ETHUSDT", 2)])
def test_symbols_are_a_number_or_names(text: str, count: int) -> None:
    assert sizing.symbols(text) == count


@pytest.mark.parametrize("text", ["", "0", "-3", "btcusdt", "BTC/USDT"])
def test_anything_else_is_refused_with_the_next_command(text: str) -> None:
    with pytest.raises(Problem, match="make sizing SYMBOLS=3"):
        sizing.symbols(text)


def test_the_command_prints_tables_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBOLS", "BTCUSDT,ETHUSDT")
    monkeypatch.setenv("TRADES_PER_SECOND", "2000")
    monkeypatch.setenv("DAYS", "30")
    out = io.StringIO()
    monkeypatch.setattr(sizing, "console", lambda: Console(file=out, width=160))
    assert sizing.main(OpsSettings(), []) == 0
    text = out.getvalue()
    assert "2000 trades/s on average, 30 days" in text
    found = estimate(2, 2000, 30)
    assert f"{found.volume('minio')} GiB" in text
    values = yaml.safe_load(text[text.index("releases:") :])
    assert values == found.values
    assert found.volume("kafka") * GIB > sum(found.disk["kafka"].values())


def test_the_default_stream_is_the_platforms_own() -> None:
    assert sizing.symbols(SizingSettings().SYMBOLS) == 3
