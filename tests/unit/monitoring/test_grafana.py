"""The Grafana dashboards are those that the code writes, and their panels read metrics that exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops.dev import alerts_page
from ops.dev.grafana import __main__ as grafana
from ops.dev.grafana.panels import Dashboard, Panel
from tests.promql import exported, metrics
from tests.servers import ROOT

FILES = grafana.files()
PANELS = [(dashboard, panel) for dashboard in grafana.DASHBOARDS for panel in dashboard.panels]


def title(value: Dashboard | Panel) -> str:
    return value.name if isinstance(value, Dashboard) else value.title


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == FILES[path], "type: make grafana"


def test_no_file_is_left_over() -> None:
    for folder in {path.parent for path in FILES}:
        assert set(folder.iterdir()) <= FILES.keys()


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=title)
def test_a_panel_reads_metrics_that_exist(dashboard: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        found = metrics(query.expression)
        assert found
        assert found - exported() == set()


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=title)
def test_a_legend_names_labels_that_the_query_keeps(dashboard: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        for label in re.findall(r"{{(\w+)}}", query.legend):
            assert label in query.expression or dashboard.name == "market"


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=title)
def test_a_panel_says_what_it_means_and_what_to_read(dashboard: Dashboard, panel: Panel) -> None:
    assert panel.title[0].isupper()
    assert panel.meaning.endswith(".")
    assert len({one.title for one in dashboard.panels}) == len(dashboard.panels)
    if panel.limit is not None and panel.limit.runbook:
        assert (ROOT / "docs" / "runbooks" / f"{panel.limit.runbook}.md").is_file()


def test_each_alert_names_a_dashboard() -> None:
    known = {f"d/{dashboard.uid}" for dashboard in grafana.DASHBOARDS}
    assert {alert.annotations["dashboard"] for alert in alerts_page.read()} == known


@pytest.mark.parametrize("dashboard", grafana.DASHBOARDS, ids=title)
def test_grafana_finds_every_query_and_asks_the_chosen_prometheus(dashboard: Dashboard) -> None:
    content: dict[str, Any] = json.loads(grafana.json_of(dashboard))
    shown = [panel for panel in content["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in shown] == [panel.title for panel in dashboard.panels]
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    for panel, ours in zip(shown, dashboard.panels, strict=True):
        assert [target["expr"] for target in panel["targets"]] == [query.expression for query in ours.queries]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [variable["name"] for variable in content["templating"]["list"]] == ["datasource"]
