"""Normalise an export of Superset into the files of superset/assets: the same dashboard gives the same bytes.

An export holds ids of Superset's own database, times and defaults. They are removed or made constant, so that a
difference in the files is a change of the dashboard.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from ops.common.errors import Problem

DASHBOARDS, CHARTS, DATASETS, DATABASES = "dashboards", "charts", "datasets", "databases"
# The server's address in Compose and the charts; `superset/prepare.py` replaces it by the one in the settings.
ADDRESS = "postgresql+psycopg2://reader@postgres:5432/crypto_analytics"

# The live page's address in the same places; `superset/prepare.py` replaces it too.
LIVE_PAGE = "http://127.0.0.1:8000/"
_LIVE_LINK = re.compile(r"(?<=\[Live page\]\()[^)]*")

# Fields that hold for one installation only, or repeat another field.
_DROPPED_PARAMS = {"datasource", "slice_id", "dashboards", "dashboardId", "url_params", "force", "result_format"}
_DROPPED_PARAMS |= {
    "result_type",
    "chart_id",
    "label_colors",
    "shared_label_colors",
    "map_label_colors",
    "cache_timeout",
}
_DROPPED_METADATA = {"chart_configuration", "global_chart_configuration", "color_scheme_domain", "map_label_colors"}
_DROPPED_METADATA |= {"shared_label_colors", "filter_scopes"}
_DROPPED_FILTER = {"chartsInScope", "tabsInScope"}

Content = dict[str, Any]


class _Text(str):
    """Text of several lines, written as a literal block."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def bundle(exported: Mapping[str, str]) -> dict[str, str]:
    """Return the files of the bundle by name, from an export's files; names are relative to its outermost folder."""
    contents = {name: yaml.safe_load(text) for name, text in exported.items() if name.count("/")}
    charts = {one["uuid"]: one for name, one in contents.items() if name.startswith(f"{CHARTS}/")}
    numbers = {uuid: number for number, uuid in enumerate(sorted(charts), start=1)}
    files: dict[str, Content] = {"metadata.yaml": {"version": "1.0.0", "type": "assets"}}
    for name, content in contents.items():
        match name.split("/")[0]:
            case "dashboards":
                file, plain = f"{DASHBOARDS}/{slug(content['dashboard_title'])}.yaml", dashboard(content, numbers)
            case "charts":
                file, plain = f"{CHARTS}/{slug(content['slice_name'])}.yaml", chart(content)
            case "datasets":
                file, plain = f"{DATASETS}/{slug(content['table_name'])}.yaml", dataset(content)
            case "databases":
                file = f"{DATABASES}/{slug(content['database_name'])}.yaml"
                plain = {**content, "sqlalchemy_uri": ADDRESS}
            case _:
                continue
        if file in files:
            raise Problem(
                "two objects have one name", f"both would be {file}", "give one of them another title in Superset"
            )
        files[file] = plain
    return {name: written(content) for name, content in sorted(files.items())}


def slug(name: str) -> str:
    """Return the file name for a title."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def written(content: Content) -> str:
    """Return ``content`` as YAML: keys sorted, texts of several lines as literal blocks."""
    return yaml.dump(_texts(content), Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=110)


def dashboard(content: Content, numbers: Mapping[str, int]) -> Content:
    """Return a dashboard whose charts are numbered in the order of their UUIDs, in place of the installation's ids."""
    position = content["position"]
    holders = [one for one in position.values() if isinstance(one, dict) and one.get("type") == "CHART"]
    renumbered = {one["meta"]["chartId"]: numbers[one["meta"]["uuid"]] for one in holders}
    for one in holders:
        one["meta"]["chartId"] = renumbered[one["meta"]["chartId"]]
    for one in position.values():
        if isinstance(one, dict) and one.get("type") == "MARKDOWN":
            one["meta"]["code"] = _LIVE_LINK.sub(LIVE_PAGE, one["meta"]["code"])
    metadata = {name: value for name, value in content["metadata"].items() if name not in _DROPPED_METADATA}
    filters = metadata.get("native_filter_configuration", [])
    metadata["native_filter_configuration"] = [_filter(one, renumbered) for one in filters]
    immune = metadata.get("timed_refresh_immune_slices", [])
    metadata["timed_refresh_immune_slices"] = sorted(renumbered[one] for one in immune if one in renumbered)
    return {**content, "position": position, "metadata": metadata}


def _filter(content: Content, renumbered: Mapping[int, int]) -> Content:
    kept = {name: value for name, value in content.items() if name not in _DROPPED_FILTER}
    if excluded := kept.get("scope", {}).get("excluded"):
        kept["scope"]["excluded"] = sorted(renumbered[one] for one in excluded if one in renumbered)
    return kept


def chart(content: Content) -> Content:
    """Return a chart without the fields of its installation; its query is kept once, indented."""
    params = {name: value for name, value in content["params"].items() if name not in _DROPPED_PARAMS}
    query = content.get("query_context")
    if query:
        context = json.loads(query)
        context.pop("form_data", None)
        context["datasource"] = {"id": 1, "type": "table"}  # the import sets the right one
        for one in context.get("queries", []):
            one.pop("datasource", None)
        query = json.dumps(context, indent=2, sort_keys=True) + "\n"
    return {**content, "params": params, "query_context": query}


def dataset(content: Content) -> Content:
    """Return a dataset with its columns and metrics sorted by name."""
    columns = sorted(content["columns"], key=lambda one: str(one["column_name"]))
    metrics = sorted(content["metrics"], key=lambda one: str(one["metric_name"]))
    return {**content, "columns": columns, "metrics": metrics}


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, str) and "\n" in value:
        return _Text("".join(f"{line.rstrip()}\n" for line in value.splitlines()))
    return value
