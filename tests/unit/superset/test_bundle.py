"""The dashboard's files: their references resolve, and the tables have the columns that they use."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ops.dev import dashboard_bundle
from ops.dev.dashboard_export import ASSETS, SLUG
from tests.servers import ROOT

Content = dict[str, Any]

TEXTS = {str(path.relative_to(ASSETS)): path.read_text() for path in sorted(ASSETS.rglob("*.yaml"))}
FILES: dict[str, Content] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}


def of(folder: str) -> dict[str, Content]:
    """Return the contents of a folder by their UUIDs."""
    return {one["uuid"]: one for name, one in FILES.items() if name.startswith(f"{folder}/")}


DATABASES, DATASETS, CHARTS, DASHBOARDS = map(of, ("databases", "datasets", "charts", "dashboards"))
CHART_NAMES = {one["slice_name"]: uuid for uuid, one in CHARTS.items()}
PHYSICAL = [one for one in DATASETS.values() if not one["sql"]]
VIRTUAL = [one for one in DATASETS.values() if one["sql"]]


def table_of(dataset: Content) -> str:
    return str(dataset["table_name"])


def test_the_bundle_equals_an_export_of_it() -> None:
    assert FILES["metadata.yaml"] == {"version": "1.0.0", "type": "assets"}
    assert dashboard_bundle.bundle(TEXTS) == TEXTS


def test_every_uuid_is_one_things_own() -> None:
    named = [one["uuid"] for name, one in FILES.items() if "/" in name]
    assert len(named) == len(set(named)) == len(FILES) - 1


def test_the_database_is_read_by_the_reader_and_carries_no_password() -> None:
    (database,) = DATABASES.values()
    assert database["sqlalchemy_uri"] == dashboard_bundle.ADDRESS
    assert "password" not in database
    assert not any(database[name] for name in ("allow_dml", "allow_ctas", "allow_cvas", "allow_file_upload"))


def test_references_tie() -> None:
    assert {one["database_uuid"] for one in DATASETS.values()} == set(DATABASES)
    assert {one["dataset_uuid"] for one in CHARTS.values()} == set(DATASETS)
    (dashboard,) = DASHBOARDS.values()
    parts = [one for one in dashboard["position"].values() if isinstance(one, dict)]
    holders = [one["meta"] for one in parts if one["type"] == "CHART"]
    assert {one["uuid"] for one in holders} == set(CHARTS)
    assert len(holders) == len(CHARTS)
    for one in holders:
        assert one["sliceName"] == CHARTS[one["uuid"]]["slice_name"]
    numbers = {one["chartId"] for one in holders}
    for one in dashboard["metadata"]["native_filter_configuration"]:
        assert set(one["scope"]["excluded"]) < numbers, one["name"]
        assert {target["datasetUuid"] for target in one["targets"] if target} <= set(DATASETS)


def test_a_row_of_the_dashboard_is_twelve_wide() -> None:
    (dashboard,) = DASHBOARDS.values()
    position = dashboard["position"]
    rows = [one for one in position.values() if isinstance(one, dict) and one["type"] == "ROW"]
    assert rows
    for row in rows:
        assert sum(position[child]["meta"]["width"] for child in row["children"]) == 12, row["id"]


def test_the_dashboard_is_the_promised_one() -> None:
    (dashboard,) = DASHBOARDS.values()
    assert (dashboard["dashboard_title"], dashboard["slug"]) == ("Real-time Crypto Analytics", SLUG)
    assert dashboard["metadata"]["refresh_frequency"] == 30
    assert {"Crypto 5m Prices", "Volume by Symbol"} <= CHART_NAMES.keys()
    prices, volume = (CHARTS[CHART_NAMES[name]] for name in ("Crypto 5m Prices", "Volume by Symbol"))
    assert prices["viz_type"] == "echarts_timeseries_line"
    (metric,) = prices["params"]["metrics"]
    assert metric["sqlExpression"].startswith("AVG(close) / FIRST_VALUE(AVG(close)) OVER (PARTITION BY symbol")
    assert prices["params"]["groupby"] == ["symbol"]
    assert volume["viz_type"] == "echarts_timeseries_bar"
    assert [one["label"] for one in volume["params"]["metrics"]] == ["SUM(volume)"]
    for one in (prices, volume):
        assert (DATASETS[one["dataset_uuid"]]["schema"], DATASETS[one["dataset_uuid"]]["table_name"]) == (
            "analytics",
            "gold_klines_5m",
        )


def test_the_live_pages_address_in_the_files_does_not_depend_on_the_installation() -> None:
    (name,) = (name for name in FILES if name.startswith("dashboards/"))
    elsewhere = TEXTS[name].replace(dashboard_bundle.LIVE_PAGE, "https://live.example.com/")
    assert elsewhere != TEXTS[name]
    assert dashboard_bundle.bundle({**TEXTS, name: elsewhere}) == TEXTS


def test_a_time_range_that_is_not_set_shows_all_there_is() -> None:
    """A recording of last year is shown like a live stream."""
    for one in CHARTS.values():
        for filtered in one["params"]["adhoc_filters"]:
            if filtered["operator"] == "TEMPORAL_RANGE":
                assert filtered["comparator"] == "No filter", one["slice_name"]


def contract(table: str) -> set[str]:
    """Return the columns of a dbt model from its contract."""
    for path in (ROOT / "dbt" / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            if model["name"] == table:
                return {column["name"] for column in model["columns"]}
    raise AssertionError(f"there is no model {table}")


def migrated(table: str) -> set[str]:
    """Return the words of the statement that creates a table or view."""
    for path in sorted((ROOT / "migrations").glob("*.sql")):
        found = re.search(rf"create (?:table|view) {table}\b(.*?);\n", path.read_text(), re.DOTALL)
        if found:
            return set(re.findall(r"[a-z_0-9]+", found.group(1)))
    raise AssertionError(f"no migration makes {table}")


@pytest.mark.parametrize("dataset", PHYSICAL, ids=table_of)
def test_a_datasets_columns_are_those_of_its_table(dataset: Content) -> None:
    names = {column["column_name"] for column in dataset["columns"]}
    known = (contract if dataset["schema"] == "analytics" else migrated)(dataset["table_name"])
    assert names <= known
    if dataset["schema"] == "analytics":
        assert names == known


@pytest.mark.parametrize("dataset", VIRTUAL, ids=table_of)
def test_a_query_names_tables_that_are_there(dataset: Content) -> None:
    tables = re.findall(r"(?:from|join)\s+(analytics|public)\.(\w+)", dataset["sql"], re.IGNORECASE)
    assert tables
    for schema, table in tables:
        assert (contract if schema == "analytics" else migrated)(table)


@pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda one: str(one["slice_name"]))
def test_a_chart_uses_only_columns_of_its_dataset(chart: Content) -> None:
    dataset = DATASETS[chart["dataset_uuid"]]
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    context = json.loads(chart["query_context"])
    assert chart["viz_type"] == chart["params"]["viz_type"]
    assert context["queries"]
    for query in context["queries"]:
        for column in query["columns"]:
            assert (column["sqlExpression"] if isinstance(column, dict) else column) in columns
        assert {one["col"] for one in query["filters"]} <= columns
        for metric in query["metrics"]:
            if isinstance(metric, str):
                assert metric in metrics
            elif metric["expressionType"] == "SIMPLE":
                assert metric["column"]["column_name"] in columns
            else:
                assert set(words(metric["sqlExpression"])) & columns
    # Superset draws the form and the REST API runs the query, so both must be equal.
    drawn = chart["params"].get("metrics") or [chart["params"].get("metric")]
    assert [label(one) for one in drawn if one] == [label(one) for one in context["queries"][0]["metrics"]]


def words(expression: str) -> Iterator[str]:
    yield from re.findall(r"[a-z_]+", expression)


def label(metric: str | Content) -> str:
    return metric if isinstance(metric, str) else str(metric["label"])
