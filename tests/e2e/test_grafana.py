"""Every query of the Grafana dashboards is accepted by the running Prometheus, and has data."""

from collections.abc import Iterator
from math import isnan
from typing import Any

import httpx
import pytest
import yaml

from ops.common.loopback import LOOPBACK
from ops.dev.grafana.__main__ import DASHBOARDS
from ops.dev.grafana.panels import Panel, Query
from tests.e2e.platforms import Platform
from tests.e2e.test_dashboard import has_run
from tests.e2e.waiting import wait_until
from tests.promql import EXPORTED

SECONDS = 120  # a few scrapes after the start, for rates
QUERIES = [(panel, query) for one in DASHBOARDS for panel in one.panels for query in panel.queries]


class Prometheus:
    """The HTTP API of the platform's Prometheus."""

    def __init__(self, platform: Platform) -> None:
        self._client = httpx.Client(base_url=f"http://{LOOPBACK}:{platform.port('prometheus')}/api/v1", timeout=30)

    def close(self) -> None:
        self._client.close()

    def numbers(self, expression: str) -> list[float]:
        """Return the values of the series that ``expression`` has now, NaN left out; it must be valid."""
        answer = self._client.get("/query", params={"query": expression})
        body: dict[str, Any] = answer.json()
        assert body["status"] == "success", f"{expression}\n{body}"
        found = [float(series["value"][1]) for series in body["data"]["result"]]
        return [number for number in found if not isnan(number)]

    def values(self, label: str) -> set[str]:
        """Return the values of ``label`` in all series."""
        answer = self._client.get(f"/label/{label}/values")
        return set(answer.raise_for_status().json()["data"])


@pytest.fixture(scope="module")
def prometheus(platform: Platform) -> Iterator[Prometheus]:
    if not has_run(platform):
        platform.run_batch()
    found = Prometheus(platform)
    yield found
    found.close()


def empty(prometheus: Prometheus, queries: list[tuple[Panel, Query]]) -> list[str]:
    """Return the queries without data."""
    return [
        f"{panel.title}: {query.expression}" for panel, query in queries if not prometheus.numbers(query.expression)
    ]


def test_every_query_is_valid_and_has_data(prometheus: Prometheus) -> None:
    for panel, query in QUERIES:
        if panel.often_empty:
            prometheus.numbers(query.expression)
    always = [(panel, query) for panel, query in QUERIES if not panel.often_empty]
    last: list[str] = []

    def all_have_data() -> bool:
        last[:] = empty(prometheus, always)
        return not last

    try:
        wait_until(all_have_data, SECONDS, "every panel has data", every=5)
    except AssertionError:
        assert last == []
        raise


def test_the_programs_that_run_export_the_metrics_that_rules_and_panels_read(prometheus: Prometheus) -> None:
    expected: dict[str, list[str]] = yaml.safe_load(EXPORTED.read_text())
    running, known = prometheus.values("job"), prometheus.values("__name__")
    assert {"prometheus", "alertmanager", "kafka", "postgres", "airflow"} <= running
    assert [f"{job}: {name}" for job in expected if job in running for name in expected[job] if name not in known] == []
