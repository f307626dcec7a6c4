"""Each alert has a runbook, a test that it fires and one that it stays quiet, and reads metrics that exist."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ops.dev import alerts_page
from ops.dev.alerts_page import Alert
from tests.promql import exported, metrics
from tests.servers import ROOT

ALERTS = list(alerts_page.read())
RUNBOOKS = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
SEVERITIES = {"critical", "warning", "info", "none"}


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def title(alert: Alert) -> str:
    return f"{alert.name} {alert.cause}".strip()


def rule_tests() -> Iterator[dict[str, Any]]:
    for file in sorted((ROOT / "tests" / "rules").glob("*.yaml")):
        yield from yaml.safe_load(file.read_text())["tests"]


def expected(test: dict[str, Any], alert: Alert) -> list[bool]:
    """Return, for each time at which ``test`` asks for ``alert``, whether it is to fire."""
    named = [f'alertname="{alert.name}"', *([f'cause="{alert.cause}"'] if alert.cause else [])]
    asked = [one for one in test["promql_expr_test"] if all(label in one["expr"] for label in named)]
    return [bool(one["exp_samples"]) for one in asked]


def given(test: dict[str, Any]) -> set[str]:
    return {one["series"].partition("{")[0] for one in test["input_series"]}


def test_every_file_of_rules_is_read() -> None:
    assert {file.stem for file in alerts_page.RULES.iterdir()} == set(alerts_page.FILES)
    assert {file.stem for file in (ROOT / "tests" / "rules").glob("*.yaml")} == set(alerts_page.FILES)


@pytest.mark.parametrize("alert", ALERTS, ids=title)
def test_an_alert_says_what_it_means_and_what_to_do_next(alert: Alert) -> None:
    assert alert.labels["severity"] in SEVERITIES
    assert set(alert.annotations) == {"summary", "description", "runbook_url", "dashboard"}
    assert alert.annotations["summary"][0].isupper() or alert.annotations["summary"].startswith("{{")
    assert "Next: " in alert.annotations["description"]


@pytest.mark.parametrize("alert", ALERTS, ids=title)
def test_an_alert_and_its_runbook_share_a_name(alert: Alert) -> None:
    page, _, section = alert.annotations["runbook_url"].partition("#")
    text = (ROOT / page).read_text()
    if alert.group == "market":
        assert page == "docs/runbooks/market.md"
        sections = [kebab(heading.replace(" ", "-")) for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
        assert section == kebab(alert.name)
        assert section in sections
    else:
        assert (page, section) == (f"docs/runbooks/{kebab(alert.name)}.md", "")


def test_each_runbook_has_an_alert_and_is_in_the_list() -> None:
    assert {alert.runbook.partition(".")[0].removeprefix("runbooks/") for alert in ALERTS} == RUNBOOKS
    listed = re.findall(r"\]\(([a-z-]+)\.md\)", (ROOT / "docs/runbooks/README.md").read_text())
    assert sorted(listed) == sorted(RUNBOOKS)


def test_rules_of_one_alert_differ_in_their_cause() -> None:
    titles = [title(alert) for alert in ALERTS]
    assert len(titles) > 20
    assert sorted(set(titles)) == sorted(titles)


@pytest.mark.parametrize("alert", ALERTS, ids=title)
def test_an_alert_is_tested_to_fire_and_to_stay_quiet(alert: Alert) -> None:
    asked = [(test, expected(test, alert)) for test in rule_tests()]
    firing = [test for test, results in asked if any(results)]
    assert firing
    if alert.name == "Watchdog":
        return
    # A test without the rule's metrics would be quiet whatever the rule says.
    quiet = [test for test, results in asked if results and not any(results)]
    assert any(given(test) >= metrics(alert.expression) - optional(alert) for test in quiet), title(alert)
    assert metrics(alert.expression) - optional(alert) <= set().union(*(given(test) for test in firing))


def optional(alert: Alert) -> set[str]:
    """Return the metrics that have series only in some cases: those of symbols that the exchange does not list."""
    return {"symbols_not_trading"} if alert.name == "StreamNotLive" else set()


@pytest.mark.parametrize("alert", ALERTS, ids=title)
def test_an_alert_reads_metrics_that_exist(alert: Alert) -> None:
    assert metrics(alert.expression) - exported() == set()


def test_metrics_are_found_in_an_expression() -> None:
    rate = 'sum by (job, le) (rate(a_total{job="x"}[5m]))'
    expression = f"{rate} / on (job) group_left b:c offset 5m > 1e6 and time() - max(d) < 20 * 86400"
    assert metrics(expression) == {"a_total", "b:c", "d"}
