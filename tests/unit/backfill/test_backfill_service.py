import pytest
from msgspec.structs import replace

from crypto_analytics.backfill.progress import BarProgress, LoggedProgress, shown
from crypto_analytics.backfill.service import MisalignedKline, _check
from tests.unit.backfill.test_planner import FIRST, kline


def test_a_kline_that_begins_within_a_minute_is_refused() -> None:
    good = kline(FIRST)
    _check("BTCUSDT", [good])
    with pytest.raises(MisalignedKline, match="whole minute"):
        _check("BTCUSDT", [good, replace(good, open_time=good.open_time + 1)])


def test_bars_on_a_terminal_and_log_lines_elsewhere() -> None:
    with shown(terminal=False) as progress:
        assert isinstance(progress, LoggedProgress)
    with shown(terminal=True) as progress:
        assert isinstance(progress, BarProgress)
        progress.begin("BTCUSDT", 5)
        progress.advance("BTCUSDT", 5)
