"""The pages of docs/reference are those that the code writes."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from crypto_analytics.runtime import metrics
from ops.dev import env_example, reference
from tests.servers import ROOT


@pytest.mark.parametrize("path", reference.PAGES, ids=lambda path: path.name)
def test_a_page_is_up_to_date(path: Path) -> None:
    assert path.read_text() == reference.PAGES[path](), "type: make docs-reference"


def test_each_setting_is_on_its_page() -> None:
    page = reference.settings_page()
    classes = [cls for _, module in env_example.modules() for cls in env_example.classes(module)]
    names = {name for cls in classes for name in env_example.own_fields(cls)}
    assert len(names) > 80
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_each_metric_is_on_its_page_with_its_meaning() -> None:
    page = reference.metrics_page()
    defined = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    assert len(defined) > 30
    for metric in defined:
        (family,) = metric.collect()
        assert f"| `{family.name}{'_total' if family.type == 'counter' else ''}` | {family.type} |" in page
        assert family.documentation.replace("<", "&lt;") in page


def test_each_target_with_a_description_is_on_its_page() -> None:
    page = reference.make_page()
    described = re.findall(r"^([a-z0-9-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(described) > 30
    assert [name for name in described if name != "help" and f"| `make {name}` |" not in page] == []
    assert "| `ENV=default` |" in page
    assert "| `REPLAY=file` |" in page


def test_each_variable_of_make_is_on_its_page_with_its_meaning() -> None:
    variables = dict(re.findall(r"^\| `([^` ]+)` \| (.*?) \|$", reference.make_page(), re.MULTILINE))
    assert variables["TRADES_PER_SECOND=30"] == "sizing: trades of all symbols together, on average"
    assert variables["SIM_PORT=8899"] == variables["UP_TIMEOUT_MINUTES=30"] == ""
    assert all("=" in name for name, meaning in variables.items() if not meaning)
