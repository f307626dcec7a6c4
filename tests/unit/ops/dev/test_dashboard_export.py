"""The export normalises Superset's files, and replaces those in the folder."""

import json
from pathlib import Path

import yaml

from ops.dev import dashboard_bundle
from ops.dev.dashboard_export import write

UUID = "c12e3b92-29c6-5c65-a934-f92b8eeef651"


def exported(chart_id: int) -> dict[str, str]:
    """Return an export of a chart and its dashboard from an installation that gave the chart this id."""
    context = {
        "datasource": {"id": 7, "type": "table"},
        "form_data": {"slice_id": chart_id},
        "queries": [{"columns": ["symbol"], "datasource": {"id": 7, "type": "table"}}],
    }
    chart = {
        "slice_name": "My Chart",
        "uuid": UUID,
        "params": {"viz_type": "table", "datasource": "7__table", "slice_id": chart_id, "dashboards": [3]},
        "query_context": json.dumps(context),
    }
    dashboard = {
        "dashboard_title": "Real-time Crypto Analytics",
        "metadata": {
            "refresh_frequency": 30,
            "chart_configuration": {str(chart_id): {}},
            "timed_refresh_immune_slices": [chart_id],
            "native_filter_configuration": [
                {
                    "name": "Time",
                    "chartsInScope": [chart_id],
                    "scope": {"excluded": [chart_id], "rootPath": ["ROOT_ID"]},
                }
            ],
        },
        "position": {
            "DASHBOARD_VERSION_KEY": "v2",
            "CHART-a": {"type": "CHART", "meta": {"uuid": UUID, "chartId": chart_id, "sliceName": "My Chart"}},
        },
    }
    database = {"database_name": "Crypto analytics", "sqlalchemy_uri": "postgresql://reader:XX@db.example:6432/other"}
    return {
        "metadata.yaml": yaml.safe_dump({"version": "1.0.0", "type": "Dashboard", "timestamp": "2026-01-05"}),
        f"charts/My_Chart_{chart_id}.yaml": yaml.safe_dump(chart),
        "dashboards/x_3.yaml": yaml.safe_dump(dashboard),
        "databases/x.yaml": yaml.safe_dump(database),
    }


def test_two_installations_export_the_same_bytes() -> None:
    assert dashboard_bundle.bundle(exported(12)) == dashboard_bundle.bundle(exported(99))


def test_fields_of_one_installation_are_left_out() -> None:
    files = dashboard_bundle.bundle(exported(99))
    assert list(files) == [
        "charts/my_chart.yaml",
        "dashboards/real_time_crypto_analytics.yaml",
        "databases/crypto_analytics.yaml",
        "metadata.yaml",
    ]
    assert "99" not in "".join(files.values())
    assert "db.example" not in files["databases/crypto_analytics.yaml"]
    chart = yaml.safe_load(files["charts/my_chart.yaml"])
    assert chart["params"] == {"viz_type": "table"}
    assert json.loads(chart["query_context"]) == {
        "datasource": {"id": 1, "type": "table"},
        "queries": [{"columns": ["symbol"]}],
    }
    assert "query_context: |" in files["charts/my_chart.yaml"]  # readable in a diff


def test_the_folder_holds_the_exported_files_and_no_others(tmp_path: Path) -> None:
    files = dashboard_bundle.bundle(exported(12))
    assert set(write(files, tmp_path).values()) == {"new"}
    assert write(files, tmp_path) == {}
    (tmp_path / "charts" / "old.yaml").write_text("uuid: x\n")
    (tmp_path / "charts" / "my_chart.yaml").write_text("uuid: y\n")
    assert write(files, tmp_path) == {"charts/old.yaml": "removed", "charts/my_chart.yaml": "changed"}
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")} == set(files)
