"""What a dashboard consists of, apart from the form that Grafana wants."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and the legend of its series with labels as ``{{label}}``."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Limit:
    """Where a value turns bad: from ``value`` on, or below it; and the runbook to read then."""

    value: float
    runbook: str = ""
    below: bool = False


@dataclass(frozen=True)
class Panel:
    """A graph or a number.

    Attributes:
        title: what is shown, in plain words.
        meaning: a sentence on how to read it.
        queries: what is drawn.
        unit: Grafana's id of the unit.
        limit: where the value turns bad; None: it has no such place.
        shape: a graph over time, or the newest value as a number.
        often_empty: why the queries may rightly have no data; empty: they always have.
    """

    title: str
    meaning: str
    queries: tuple[Query, ...]
    unit: str = "short"
    limit: Limit | None = None
    shape: Literal["graph", "number"] = "graph"
    often_empty: str = ""


@dataclass(frozen=True)
class Row:
    """Panels below a common title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        name: name of its files; with the prefix ``crypto-`` its uid in Grafana.
        title: its title.
        text: what it is for.
        rows: its contents.
    """

    name: str
    title: str
    text: str
    rows: tuple[Row, ...] = field(default=())

    @property
    def uid(self) -> str:
        """Return the uid, which the annotation ``dashboard`` of alerts names."""
        return f"crypto-{self.name}"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Return the panels of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)
