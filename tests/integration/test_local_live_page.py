"""``make demo FOREVER=1`` as a user runs it: the live page's address comes first, and a browser sees candles move."""

import re
import signal

import httpx
import pytest

from tests.integration.test_local_demo import Demo, demo, wait_for  # noqa: F401  # a fixture
from tests.live_page import check_live_page, incomplete_candle

pytestmark = [pytest.mark.bi, pytest.mark.timeout(400)]


def test_a_browser_sees_the_candles_of_a_run_that_follows(demo: Demo) -> None:  # noqa: F811
    with demo.start(FOREVER="1") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.fullmatch(r"live page: +(http://127\.0\.0\.1:\d+)\n", first)
        assert found, first
        url = found[1]
        wait_for(lambda: has_candles(url), 90, process)
        with demo.connect() as connection, incomplete_candle(connection, "BTCUSDT") as symbol:
            check_live_page(url, incomplete=symbol)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def has_candles(url: str) -> bool:
    """Return whether the API answers with a candle."""
    try:
        answer = httpx.get(f"{url}/v1/candles?symbol=BTCUSDT&interval=1m", trust_env=False, timeout=10)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK and bool(answer.json())
