"""``make demo BI=1 VIEW=1`` as a user runs it: dashboard and live page after the replay, the export, and Ctrl-C."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from ops.dev.dashboard_bundle import bundle
from ops.dev.dashboard_export import export
from ops.local import passwords
from tests.dashboard import ASSETS, CHARTS, Superset
from tests.integration.test_local_demo import Demo, demo  # noqa: F401  # a fixture

pytestmark = [pytest.mark.bi, pytest.mark.timeout(400)]

PLACES = re.compile(
    r"dashboard: +(http://[0-9.:]+)/\S*\nuser: +admin\npassword: +(.+)\nlive page: +(http://[0-9.:]+)\n"
)


class Shown(NamedTuple):
    """A run with its pages: the process, Superset's address, the admin's password, and the live page's address."""

    process: subprocess.Popen[str]
    base: str
    password: str
    live_page: str


@pytest.fixture
def shown(demo: Demo) -> Iterator[Shown]:  # noqa: F811
    with demo.start(BI="1", VIEW="1", SUPERSET_PORT="0") as process:
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if found := PLACES.search(output):
                break
        else:
            pytest.fail(output)
        base, file, live_page = found.groups()
        yield Shown(process, base, passwords.load(Path(file)).superset_admin, live_page)
        if process.poll() is None:
            process.kill()


def test_the_pages_of_a_finished_play(shown: Shown, demo: Demo) -> None:  # noqa: F811
    superset = Superset(shown.base)
    try:
        assert superset.log_in("not-the-password") == httpx.codes.UNAUTHORIZED
        assert superset.log_in(shown.password) == httpx.codes.OK
        rows = superset.rows()
        assert rows.keys() == CHARTS
        assert [name for name, its in rows.items() if not its] == []
        assert rows["Equal"] == [{"equal_minutes": 84}]
        prices = rows["Crypto 5m Prices"]
        assert len(prices) == 18
        assert {prices[0][symbol] for symbol in ("BNBUSDT", "BTCUSDT", "ETHUSDT")} == {0}
        assert rows["Complete"] == [{"complete_share": 1}]  # without the candles at both ends
    finally:
        superset.close()
    with httpx.Client(base_url=shown.live_page, timeout=60, trust_env=False) as client:
        assert '<script type="module" src="main.js">' in client.get("/").text
        assert client.get("/vendor/lightweight-charts.mjs").status_code == httpx.codes.OK
        assert len(client.get("/v1/candles", params={"symbol": "BTCUSDT", "interval": "1m"}).json()) >= 30
    # The export equals the imported files byte for byte.
    with httpx.Client(base_url=shown.base, timeout=60, trust_env=False) as client:
        body = {"username": "admin", "password": shown.password, "provider": "db"}
        token = client.post("/api/v1/security/login", json=body).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        exported = bundle(export(client))
    assert exported == {str(path.relative_to(ASSETS)): path.read_text() for path in sorted(ASSETS.rglob("*.yaml"))}

    shown.process.send_signal(signal.SIGINT)
    output, _ = shown.process.communicate(timeout=30)
    assert shown.process.returncode == 0, output
    assert demo.left_behind() == []
