"""Read the alert rules of charts/monitoring/files/rules, and write the page that lists them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.common.paths import ROOT

RULES = ROOT / "charts" / "monitoring" / "files" / "rules"
FILES = ("stream", "batch", "stores", "platform", "market")
_HEAD = """\
# Alerts

Prometheus evaluates these rules every 15 seconds. An alert is sent once its condition has held for the time under
*for*; several conditions of one alert differ in the label `cause`. Each alert names its runbook and a dashboard. How to
be told, to silence an alert and to change a rule: [Be told](../alerts.md).
"""
_SEVERITIES = """
| severity | meaning |
| --- | --- |
| critical | candles, answers or data are at risk now |
| warning | something needs a person today |
| info | the market: nothing is wrong with the platform |
| none | the watchdog, which always fires |
"""


@dataclass(frozen=True)
class Alert:
    """An alert rule: its fields as in the file, and the name of the group that it is in."""

    group: str
    name: str
    expression: str
    lasts: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def cause(self) -> str:
        """The label that tells rules of one alert apart; empty: the alert has one rule."""
        return self.labels.get("cause", "")

    @property
    def runbook(self) -> str:
        """The runbook's path in docs/, with the section where it has one."""
        return self.annotations["runbook_url"].removeprefix("docs/")


def read(folder: Path = RULES) -> Iterator[Alert]:
    """Yield the alerts of all files in ``folder``, in the order in which the page lists them."""
    for name in FILES:
        groups: list[dict[str, Any]] = yaml.safe_load((folder / f"{name}.yaml").read_text())["groups"]
        for group in groups:
            for rule in group["rules"]:
                lasts = rule.get("for", "0s")
                yield Alert(
                    group["name"], rule["alert"], rule["expr"], lasts, rule["labels"], rule.get("annotations", {})
                )


def page() -> str:
    """Return docs/reference/alerts.md."""
    lines = [_HEAD, _SEVERITIES]
    alerts = list(read())
    for group in FILES:
        lines.append(
            f"\n## {group.capitalize()}\n\n| alert | severity | for | condition |\n| --- | --- | --- | --- |\n"
        )
        for alert in (one for one in alerts if one.group == group):
            cause = f": {alert.cause}" if alert.cause else ""
            condition = " ".join(alert.expression.split()).replace("|", "\\|")
            name = f"[{alert.name}](../{alert.runbook}){cause}"
            lines.append(f"| {name} | {alert.labels['severity']} | {alert.lasts} | `{condition}` |\n")
    return "".join(lines)
