"""Write a page of docs/dashboards for each Grafana dashboard."""

from collections.abc import Iterator, Sequence

from ops.common.paths import ROOT
from ops.dev.alerts_page import read
from ops.dev.grafana.panels import Dashboard, Panel

FOLDER = ROOT / "docs" / "dashboards"
_WRITTEN = "<!-- Written by `make grafana` from ops/dev/grafana. -->\n\n"
_OVERVIEW = """\
# Grafana dashboards

The platform brings dashboards for a Grafana of yours; the dashboard of the candles is [Superset's](../dashboard.md).
They read the Prometheus that the variable *Prometheus* at the top names.

| page | shows |
| --- | --- |
"""
_INSTALL = """
## Install them

- **On our Kubernetes**: `make up GRAFANA=1` installs Grafana with all of them ([monitoring](../monitoring.md#grafana)).
- **Grafana's chart, or kube-prometheus-stack**: `releases: {monitoring: {dashboards: {enabled: true}}}` in `mine.yaml`,
  then `make up VALUES=mine.yaml`, makes a ConfigMap for each dashboard with the label `grafana_dashboard: "1"`, which
  Grafana's sidecar loads. `dashboards.labels` sets other labels.
- **Any other Grafana**: *Dashboards*, *New*, *Import*, and the files of `charts/monitoring/files/dashboards`.

To change a dashboard, change its module in `ops/dev/grafana`, then `make grafana`. A test fails where a panel reads a
metric that does not exist, and the end-to-end test sends every query to the running Prometheus.
"""


def description(panel: Panel) -> str:
    """Return the text that Grafana shows at a panel."""
    parts = [panel.meaning]
    if panel.limit is not None and panel.limit.runbook:
        parts.append(f"Runbook: docs/runbooks/{panel.limit.runbook}.md")
    return " ".join(parts)


def overview(dashboards: Sequence[Dashboard]) -> str:
    """Return docs/dashboards/README.md."""
    rows = (f"| [{_title(one)}]({one.name}.md) | {one.text} |\n" for one in dashboards)
    return "".join((_WRITTEN, _OVERVIEW, *rows, _INSTALL))


def page(dashboard: Dashboard) -> str:
    """Return the page of a dashboard: each panel with its meaning, its limit and its runbook, and the alerts."""
    lines = [_WRITTEN, f"# {_title(dashboard)}\n\n{dashboard.text}\n"]
    for row in dashboard.rows:
        lines.append(f"\n## {row.title}\n\n| panel | meaning | bad |\n| --- | --- | --- |\n")
        lines += (f"| {panel.title} | {_meaning(panel)} | {_limit(panel)} |\n" for panel in row.panels)
    if alerts := list(_alerts(dashboard)):
        lines += ["\n## Alerts that lead here\n\n", *alerts]
    return "".join(lines)


def _alerts(dashboard: Dashboard) -> Iterator[str]:
    seen = dict.fromkeys(
        (one.name, one.runbook) for one in read() if one.annotations["dashboard"] == f"d/{dashboard.uid}"
    )
    return (f"- [{name}](../{runbook})\n" for name, runbook in seen)


def _title(dashboard: Dashboard) -> str:
    return dashboard.title.partition(": ")[2].capitalize()


def _meaning(panel: Panel) -> str:
    return f"{panel.meaning} No data: {panel.often_empty}." if panel.often_empty else panel.meaning


def _limit(panel: Panel) -> str:
    if panel.limit is None:
        return ""
    where = f"{'below' if panel.limit.below else 'from'} {_value(panel.limit.value, panel.unit)}"
    runbook = panel.limit.runbook
    return f"{where}: [{runbook}](../runbooks/{runbook}.md)" if runbook else where


def _value(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s" and value >= 86400:
        return f"{value / 86400:g} days"
    return f"{value:,g} s" if unit == "s" else f"{value:,g}"
