"""Write docs/reference anew from the code: settings, metrics, alerts, targets of make, and resources."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from prometheus_client.metrics import Counter, Histogram, MetricWrapperBase
from pydantic.fields import FieldInfo

from crypto_analytics.api import metrics as api_metrics
from crypto_analytics.runtime import metrics as services_metrics
from exchange_simulator import metrics as simulator_metrics
from ops.common.paths import ROOT
from ops.dev import alerts_page, env_example, resources_page

FOLDER = ROOT / "docs" / "reference"
_MAKEFILE = ROOT / "Makefile"
_WRITTEN = "<!-- Written by `make docs-reference` from {source}. -->\n\n"
_SETTINGS = """\
# Settings

All settings are environment variables, the same in every way of running the platform. They are typed and checked when a
program starts; a wrong one ends it with a message that names the setting. An empty value means the default.

`make settings SERVICE=consumer` prints those of one service. `.env.example` has the same list in the form that Compose
reads. The local run sets addresses, logins and ports of its children by itself. Airflow's settings are in
`charts/airflow/values.yaml`, Superset's in [The dashboard](../dashboard.md#permissions-and-settings).
"""
_METRICS = """\
# Metrics

Each service serves its metrics in Prometheus' text format at `/metrics` on its port `METRICS_PORT`, the API on
`API_PORT`. On Kubernetes the value `podMonitor.enabled` of a chart makes the PodMonitor.

A counter's name ends in `_total`; a histogram has
`_bucket`, `_sum` and `_count`. What to do when a metric is not as it should be: [runbooks](../runbooks/README.md).
"""
_MAKE = """\
# make targets

`make help` prints this list. Variables are given as in `make up ENV=lite KAFKA_PORT=19092`.
"""


def settings_page() -> str:
    """Return the page of all settings, a table for each settings class."""
    lines = [_WRITTEN.format(source="the settings classes"), _SETTINGS]
    for title, module in env_example.modules():
        lines.append(f"\n## {_capitalized(title.replace('_', ' '))}\n")
        for cls in env_example.classes(module):
            fields = env_example.own_fields(cls)
            if fields:
                lines += [f"\n{env_example.summary(cls)}\n", *_header("setting", "default", "meaning")]
            for name, info in fields.items():
                lines.append(_row(f"`{name}`", _default(info), _cell(info.description or "")))
    return "".join(lines)


def metrics_page() -> str:
    """Return the page of all metrics, a table for each part of the services, and of the simulator."""
    lines = [_WRITTEN.format(source="the services' and the simulator's metrics.py"), _METRICS]
    services = (*_metric_groups(services_metrics), *_metric_groups(api_metrics))
    for title, group in (*services, *_metric_groups(simulator_metrics, "simulator")):
        lines += [f"\n## {_capitalized(title)}\n\n", *_header("metric", "type", "labels", "meaning")]
        for metric in group:
            name = f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            lines.append(
                _row(f"`{name}`", str(metric._type), labels, f"{_cell(metric._documentation)}{_buckets(metric)}")
            )
    return "".join(lines)


def make_page() -> str:
    """Return the page of make's targets and variables, as `make help` lists them."""
    text = _MAKEFILE.read_text()
    lines = [_WRITTEN.format(source="the Makefile"), _MAKE]
    for line in text.splitlines():
        if line.startswith("##@ ") and line != "##@ Help":
            lines += [f"\n## {line.removeprefix('##@ ')}\n\n", *_header("target", "what it does")]
        elif (found := re.match(r"([a-z0-9-]+):.*## (.+)", line)) and found[1] != "help":
            lines.append(_row(f"`make {found[1]}`", _cell(found[2])))
    for title, variables in _variables(text):
        lines += [f"\n## {title}\n\n", *_header("variable", "meaning")]
        lines += [_row(f"`{name}`", _cell(meaning)) for name, meaning in variables]
    return "".join(lines)


def resources() -> str:
    """Return the page of what each environment requests."""
    return _WRITTEN.format(source="ops/kubernetes/pod_resources.yaml") + resources_page.page()


def alerts() -> str:
    """Return the page of all alert rules."""
    return _WRITTEN.format(source="charts/monitoring/files/rules") + alerts_page.page()


PAGES: dict[Path, Callable[[], str]] = {
    FOLDER / "settings.md": settings_page,
    FOLDER / "metrics.md": metrics_page,
    FOLDER / "alerts.md": alerts,
    FOLDER / "make.md": make_page,
    FOLDER / "resources.md": resources,
}


def _metric_groups(module: ModuleType, title: str = "") -> Iterator[tuple[str, list[MetricWrapperBase]]]:
    """Yield the comments that begin a part of ``module``, each with the metrics below it; ``title`` is the first."""
    group = list[MetricWrapperBase]()
    for line in Path(str(module.__file__)).read_text().splitlines():
        if line.startswith("# "):
            if group:
                yield title, group
            title, group = line.removeprefix("# "), []
        elif found := re.match(r"([A-Z][A-Z0-9_]*) = ", line):
            group.append(getattr(module, found[1]))
    yield title, group


def _buckets(metric: MetricWrapperBase) -> str:
    if not isinstance(metric, Histogram):
        return ""
    bounds = ", ".join(f"{bound:g}" for bound in metric._upper_bounds if bound != float("inf"))
    return f" (buckets: {bounds})"


def _variables(makefile: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the titles of make's variables in its help, each with (variable with its default, meaning)."""
    title, found = "", list[tuple[str, str]]()
    help_text = makefile.partition("\nhelp: ")[2]
    for line in re.findall(r"'([^']*)'", help_text):
        if line.startswith("Variables"):
            if found:
                yield title, found
            title, found = line.partition(",")[0].rstrip(":"), []
        elif line.startswith("  "):
            name, *words = line.split()
            if all("=" in word for word in words):
                found += [(one, "") for one in (name, *words)]
            else:
                found.append((name, " ".join(words)))
    yield title, found


def _default(info: FieldInfo) -> str:
    text = env_example.default(info)
    if info.is_required():
        return "required"
    return f"`{text}`" if text else ""


def _header(*names: str) -> list[str]:
    return ["\n" if names[0] == "setting" else "", _row(*names), _row(*("---" for _ in names))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def main() -> int:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
