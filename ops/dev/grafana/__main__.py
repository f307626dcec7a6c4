"""Write the Grafana dashboards as JSON into charts/monitoring/files/dashboards, and their pages into docs/dashboards.

Grafana's own library makes the JSON, so that its fields are those of Grafana's schema.
"""

from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import common, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphTresholdsStyleMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

from ops.common.paths import ROOT
from ops.dev.grafana import batch, market, pages, stores, stream
from ops.dev.grafana.panels import Dashboard, Limit, Panel, Query

FOLDER = ROOT / "charts" / "monitoring" / "files" / "dashboards"
DASHBOARDS = (stream.DASHBOARD, batch.DASHBOARD, stores.DASHBOARD, market.DASHBOARD)
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_GOOD, _BAD = "green", "red"
P = TypeVar("P", timeseries.Panel, stat.Panel)


def json_of(dashboard: Dashboard) -> str:
    """Return the dashboard as Grafana reads it."""
    source = grafana.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    made = (
        grafana.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.text)
        .tags(["crypto-analytics"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(source)
        .link(
            grafana.DashboardLink("Dashboards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["crypto-analytics"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
        )
    )
    number = count(1)
    for row in dashboard.rows:
        made.with_row(grafana.Row(row.title).id(next(number)))
        for panel in row.panels:
            shown = _number(panel) if panel.shape == "number" else _graph(panel)
            made.with_panel(shown.id(next(number)))
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def _graph(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    made = (
        timeseries.Panel().span(8).height(8).line_width(2).fill_opacity(5).legend(legend.show_legend(show_legend=True))
    )
    if panel.limit is not None:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
    return _filled(made, panel)


def _number(panel: Panel) -> stat.Panel:
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return _filled(stat.Panel().span(4).height(4).reduce_options(newest), panel)


def _filled(made: P, panel: Panel) -> P:
    """Add to ``made`` what panels of every shape have."""
    made.title(panel.title).description(pages.description(panel))
    made.datasource(_SOURCE).unit(panel.unit).thresholds(_thresholds(panel.limit))
    for name, query in zip(ascii_uppercase, panel.queries, strict=False):
        made.with_target(_target(name, query))
    return made


def _target(name: str, query: Query) -> Dataquery:
    return Dataquery().ref_id(name).datasource(_SOURCE).expr(query.expression).legend_format(query.legend or "__auto")


def _thresholds(limit: Limit | None) -> grafana.ThresholdsConfig:
    """Return the colours: the first one is that of all values below the first limit."""
    if limit is None:
        steps = [Threshold(value=None, color=_GOOD)]
    elif limit.below:
        steps = [Threshold(value=None, color=_BAD), Threshold(value=limit.value, color=_GOOD)]
    else:
        steps = [Threshold(value=None, color=_GOOD), Threshold(value=limit.value, color=_BAD)]
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def files() -> dict[Path, str]:
    """Return the text of each file: a dashboard and a page for each, and the list of the pages."""
    texts = {FOLDER / f"{one.name}.json": json_of(one) for one in DASHBOARDS}
    texts |= {pages.FOLDER / f"{one.name}.md": pages.page(one) for one in DASHBOARDS}
    return texts | {pages.FOLDER / "README.md": pages.overview(DASHBOARDS)}


def main() -> int:
    """Write the files."""
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
