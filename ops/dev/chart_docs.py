"""Write the charts' documentation anew: a README for each chart, docs/reference/chart-values.md, and the icon.

The tables of values come from the comments that begin with ``# --`` in values.yaml, the convention of helm-docs. The
icon of every Chart.yaml is docs/images/icon.svg as a data URL, because the project has no public address to serve it.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.common.paths import ROOT

CHARTS = ROOT / "charts"
PAGE = ROOT / "docs" / "reference" / "chart-values.md"
LIBRARY = "common"
_BASE = ROOT / "environments" / "base.yaml"
_ICON = ROOT / "docs" / "images" / "icon.svg"
_LONGEST_DEFAULT = 100
_ICON_COLUMNS = 110
_WRITTEN = "<!-- Written by `make chart-docs` from the comments in {source}. -->\n"
_KINDS = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
# Without its variable, helmfile removes the release instead of installing it.
_INSTALL_VARIABLES = {"spark-candles": "VARIANT=spark "}
_INSTALL = """\
`helmfile.yaml` installs it as the release `{name}`:

    {variables}helmfile -e lite sync -l name={name}

To change a value, write it under `releases.{name}` into a file of your own and name that file:
`make up VALUES=mine.yaml`, or `helmfile -e lite --state-values-file mine.yaml sync`.
"""
_OVERVIEW = """\
# Chart values

The platform is a chart for each component and one `helmfile.yaml`. A value can be set in three places; a later
one overwrites an earlier one:

1. `charts/<chart>/values.yaml`: the defaults of a chart.
2. `environments/charts/<chart>.yaml.gotmpl`: values that follow from the environment, as addresses and image tags.
3. A file of your own (`make up VALUES=mine.yaml`, or `helmfile -e lite --state-values-file mine.yaml sync`): any value
   of any chart under `releases.<chart>`, and the values of the environment under their own names.

`helm show values charts/<chart>` prints the defaults with their comments. A misspelt name is refused: each chart has a
`values.schema.json`.

"""


@dataclass(frozen=True)
class Value:
    """A documented value.

    Attributes:
        path: names of the value and of the maps that hold it.
        default: its default.
        description: its comment, as one line.
    """

    path: tuple[str, ...]
    default: object
    description: str

    @property
    def name(self) -> str:
        """Its path with dots, as `helm --set` takes it."""
        return ".".join(part.replace(".", r"\.") for part in self.path)

    @property
    def kind(self) -> str:
        """Its type in the words of JSON Schema."""
        return _KINDS[type(self.default)]


def documented(text: str) -> list[Value]:
    """Return the values of ``text``, a values.yaml, that have a comment, in their order."""
    return [Value(path, value, comment) for path, value, comment, _ in _walk(text) if comment]


def undocumented(text: str) -> list[str]:
    """Return the values of ``text`` without a comment, of which no enclosing map has a comment either."""
    return [
        Value(path, value, "").name
        for path, value, _, covered in _walk(text)
        if not covered and not (isinstance(value, dict) and value)
    ]


def _walk(text: str) -> Iterator[tuple[tuple[str, ...], object, str, bool]]:
    """Yield (path, value, own comment, whether it or an enclosing map has a comment) for each key, outermost first."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines()
    waiting = [((), root, yaml.safe_load(text), False)] if isinstance(root, yaml.MappingNode) else []
    while waiting:
        path, node, values, covered = waiting.pop()
        inner: list[tuple[Any, ...]] = []
        for key, value in node.value:
            name = str(key.value)
            own = (*path, name)
            first = not lines[key.start_mark.line][: key.start_mark.column].strip()  # a flow map has several a line
            comment = _comment(lines, key.start_mark.line) if first else ""
            yield own, values[name], comment, covered or bool(comment)
            if isinstance(value, yaml.MappingNode):
                inner.append((own, value, values[name], covered or bool(comment)))
        waiting += reversed(inner)


def _comment(lines: list[str], line: int) -> str:
    """Return the comment that begins with ``# --`` right above ``line``, as one line; empty if there is none."""
    found: list[str] = []
    for above in reversed(lines[:line]):
        text = above.strip()
        if not text.startswith("#"):
            return ""
        found.insert(0, text.removeprefix("#").strip())
        if text.startswith("# --"):
            return " ".join(found).removeprefix("--").strip()
    return ""


def table(text: str, source: str) -> str:
    """Return the table of the values of ``text``; a long default is shown by naming ``source``."""
    rows = ["| value | type | default | meaning |", "|---|---|---|---|"]
    for value in sorted(documented(text), key=lambda one: one.path):
        default = json.dumps(value.default, ensure_ascii=False)
        shown = f"`{_cell(default)}`" if len(default) <= _LONGEST_DEFAULT else f"see {source}"
        rows.append(f"| `{value.name}` | {value.kind} | {shown} | {_cell(value.description)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def names() -> list[str]:
    """Return the names of all charts, the library's too."""
    return sorted(file.parent.name for file in CHARTS.glob("*/Chart.yaml"))


def about(name: str) -> Mapping[str, Any]:
    """Return the content of a chart's Chart.yaml."""
    return dict(yaml.safe_load((CHARTS / name / "Chart.yaml").read_text(encoding="utf-8")))


def readme(name: str) -> str:
    """Return the README of a chart."""
    chart = about(name)
    if name == LIBRARY:
        body = _library()
    else:
        values = (CHARTS / name / "values.yaml").read_text(encoding="utf-8")
        install = _INSTALL.format(name=name, variables=_INSTALL_VARIABLES.get(name, ""))
        body = f"{install}\n## Values\n\n{table(values, '[values.yaml](values.yaml)')}"
    written = _WRITTEN.format(source="Chart.yaml, values.yaml and the templates")
    requires = f"Requires Kubernetes {chart['kubeVersion'].removesuffix('-0')}."
    return f"{written}# {name}\n\n{chart['description']}\n\n{requires}\n\n{body}"


def _library() -> str:
    """Return the list of the library's templates with the first sentence of the comment above each."""
    rows = [
        "Its templates, each with the values that it reads in a comment above it:\n",
        "| template | meaning |",
        "|---|---|",
    ]
    pattern = re.compile(r"\{\{/\*\s*([^*]+?)\s*\*/\}\}\s*\{\{-? define \"([^\"]+)\"")
    for file in sorted((CHARTS / LIBRARY / "templates").glob("_*.tpl")):
        for comment, name in pattern.findall(file.read_text(encoding="utf-8")):
            first = re.split(r"(?<=\.)\s", " ".join(comment.split()))[0]
            rows.append(f"| `{name}` ({file.name}) | {_cell(first)} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """Return docs/reference/chart-values.md."""
    written = _WRITTEN.format(source="charts/*/values.yaml and environments/base.yaml")
    base = (
        f"## Environments\n\n{_environments()}\n{table(_BASE.read_text(encoding='utf-8'), '`environments/base.yaml`')}"
    )
    sections = [base]
    for name in names():
        if name != LIBRARY:
            values = (CHARTS / name / "values.yaml").read_text(encoding="utf-8")
            description = about(name)["description"]
            sections.append(f"## {name}\n\n{description}\n\n{table(values, f'`charts/{name}/values.yaml`')}")
    return written + _OVERVIEW + "\n".join(sections)


def _environments() -> str:
    return (
        "Values of `environments/base.yaml`; the files `default.yaml`, `lite.yaml` and `production.yaml` beside it "
        "overwrite some of them.\n"
    )


def icon() -> str:
    """Return the icon as a data URL."""
    return "data:image/svg+xml;base64," + base64.b64encode(_ICON.read_bytes().strip()).decode()


def chart_yaml(text: str) -> str:
    """Return ``text``, a Chart.yaml, with the icon; the string is broken by escaped line ends."""
    url = icon()
    parts = [url[start : start + _ICON_COLUMNS] for start in range(0, len(url), _ICON_COLUMNS)]
    line = 'icon: "' + "\\\n  ".join(parts) + '"\n'
    kept = re.sub(r'^icon: "[^"]*"\n', "", text, flags=re.MULTILINE)
    return re.sub(r"^(?=type: )", lambda _: line, kept, count=1, flags=re.MULTILINE)


def rendered() -> dict[Path, str]:
    """Return the content of each generated file."""
    files = {CHARTS / name / "README.md": readme(name) for name in names()}
    for name in names():
        file = CHARTS / name / "Chart.yaml"
        files[file] = chart_yaml(file.read_text(encoding="utf-8"))
    return files | {PAGE: page()}


def main() -> int:
    """Write the files."""
    for file, text in rendered().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    print(f"{CHARTS.name}/*/README.md, {CHARTS.name}/*/Chart.yaml, {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
