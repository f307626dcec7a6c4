"""The page that Prometheus serves in place of its own."""

import re

from tests.servers import ROOT

IMAGE = ROOT / "images" / "monitoring"
PAGE = (IMAGE / "static/mantine-ui/index.html").read_text()


def test_it_requests_nothing_outside_of_prometheus() -> None:
    assert re.findall(r"https?:|//\w", PAGE) == []
    assert set(re.findall(r'href="([^"]+)"', PAGE)) == {"api/v1/rules", "api/v1/status/config", "metrics"}


def test_it_is_in_the_working_directory_that_prometheus_starts_in() -> None:
    (folder,) = re.findall(r"^COPY images/monitoring/static (\S+)/static$", (IMAGE / "Dockerfile").read_text(), re.M)
    start = (IMAGE / "start-prometheus").read_text().splitlines()
    assert start.index(f"cd {folder}") < start.index(next(line for line in start if line.startswith("exec prometheus")))


def test_text_of_metrics_is_never_markup() -> None:
    assert "textContent" in PAGE
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", PAGE) == []
