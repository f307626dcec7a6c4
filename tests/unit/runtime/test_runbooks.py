"""Runbooks name metrics that exist, and give them the help texts of /metrics."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from crypto_analytics.api import metrics as api_metrics
from crypto_analytics.runtime import metrics

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
SOURCES = {
    "services": ("*.py",),
    "migrations": ("*.sql",),
    "dbt": ("*.sql", "*.yml"),
    "ge": ("*.py",),
    "dags": ("*.py",),
}
WORD = re.compile(r"`([a-z]+(?:_[a-z0-9]+)+)`")
ROW = re.compile(r"^\| `(\w+)` \| (.*) \|$", re.MULTILINE)


def meanings() -> dict[str, str]:
    """Return the help text of each metric, by the name that /metrics and the runbooks use."""
    found = {}
    for metric in (*vars(metrics).values(), *vars(api_metrics).values()):
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            found[family.name + ("_total" if family.type == "counter" else "")] = family.documentation
    return found


@cache
def words_of_the_sources() -> frozenset[str]:
    """Return the names of tables, steps, events and settings; those of metrics are not among them."""
    texts: Iterator[str] = (
        path.read_text()
        for folder, patterns in SOURCES.items()
        for pattern in patterns
        for path in (ROOT / folder).rglob(pattern)
        if path not in {Path(module.__file__).resolve() for module in (metrics, api_metrics)}
    )
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    return frozenset(
        words | set(map(_in_snake_case, words))
    )  # Great Expectations names an expectation so in its results


def metrics_of_other_programs() -> set[str]:
    exported: dict[str, list[str]] = yaml.safe_load((ROOT / "tests" / "exported_metrics.yaml").read_text())
    return {name for names in exported.values() for name in names}


def _in_snake_case(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_name_in_a_runbook_is_a_metric_or_is_in_the_sources(path: Path) -> None:
    names = set(WORD.findall(path.read_text()))
    assert names - meanings().keys() - metrics_of_other_programs() - words_of_the_sources() == set()


def test_the_runbook_of_the_lag_gives_each_metric_its_own_help_text() -> None:
    rows = dict(ROW.findall((ROOT / "docs" / "runbooks" / "consumer-lag.md").read_text()))
    assert {"consumer_lag_trades", "consumer_lag_seconds", "consumer_end_offsets_age_seconds"} < rows.keys()
    assert rows == {name: meanings()[name] for name in rows}
