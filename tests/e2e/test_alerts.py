"""Prometheus collects the metrics of every component, and an alert reaches a webhook and ends there."""

import httpx
import pytest

from ops.common.loopback import LOOPBACK
from tests.e2e import alert_receiver
from tests.e2e.compose import Compose
from tests.e2e.platforms import Platform
from tests.e2e.report import Report
from tests.e2e.waiting import Stopwatch, wait_until

ARRIVES_SECONDS = 120
ENDS_SECONDS = 150  # the component's start, a scrape, and Alertmanager's group_interval


def test_every_component_is_scraped(platform: Platform) -> None:
    expected = {"alertmanager", "api", "kafka", "postgres", "prometheus", "producer", "publisher", *platform.mergers}

    def jobs() -> bool:
        return expected <= {series["job"]: value for series, value in platform.query("up == 1")}.keys()

    wait_until(jobs, 60, f"{expected} are up", every=2)
    assert [series for series, _ in platform.query("up == 0")] == []
    assert [series for series, _ in platform.query("pg_up == 0")] == []


def test_prometheus_has_a_page(platform: Platform) -> None:
    address = f"http://{LOOPBACK}:{platform.port('prometheus')}/"
    answer = httpx.get(address, follow_redirects=True, timeout=10, trust_env=False).raise_for_status()
    assert "<h2>Targets</h2>" in answer.text


@pytest.mark.compose
@pytest.mark.timeout(600)
def test_an_alert_reaches_a_webhook_and_ends(platform: Compose, report: Report) -> None:
    component = platform.mergers[0]
    labels = {"alertname": "TargetDown", "job": component}
    with alert_receiver.receiving(platform.network) as receiver, platform.alerting(receiver):
        clock = Stopwatch()
        with platform.stopped(component):
            alert = receiver.wait_for("firing", labels, ARRIVES_SECONDS)
            report.recovered["TargetDown arrives"] = clock.seconds
        assert alert["annotations"]["runbook_url"].startswith("docs/runbooks/")
        receiver.wait_for("resolved", labels, ENDS_SECONDS)
