"""The charts' documentation is generated from the comments of their values, and no value lacks one."""

from pathlib import Path

import pytest
import yaml

from ops.dev import chart_docs

_VALUES = """\
# A heading.
image:
  # -- Name of the image,
  # with its path.
  repository: ours/consumer
  tag: ""
# -- Settings.
settings: {A: 1, B: {C: "x|y"}}
# -- Labels with dots.
labels:
  a.b/c: "1"
"""
_FILES = [*sorted(chart_docs.CHARTS.glob("*/values.yaml")), chart_docs.ROOT / "environments" / "base.yaml"]


def test_a_comment_belongs_to_the_value_below_it() -> None:
    found = {value.name: (value.kind, value.description) for value in chart_docs.documented(_VALUES)}
    assert found == {
        "image.repository": ("string", "Name of the image, with its path."),
        "settings": ("object", "Settings."),
        "labels": ("object", "Labels with dots."),
    }


def test_a_value_without_a_comment_of_its_own_or_of_its_map_is_found() -> None:
    assert chart_docs.undocumented(_VALUES) == ["image.tag"]


def test_cells_of_the_table_hold_no_bar() -> None:
    *_, row = chart_docs.table(_VALUES, "values.yaml").splitlines()
    assert row == r'| `settings` | object | `{"A": 1, "B": {"C": "x\|y"}}` | Settings. |'


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.parent.name)
def test_every_value_has_a_comment(file: Path) -> None:
    assert chart_docs.undocumented(file.read_text()) == []


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.parent.name)
def test_every_comment_is_a_sentence(file: Path) -> None:
    wrong = [value.name for value in chart_docs.documented(file.read_text()) if not value.description.endswith(".")]
    assert wrong == []


def test_generated_files_are_up_to_date() -> None:
    stale = [
        str(file.relative_to(chart_docs.ROOT))
        for file, text in chart_docs.rendered().items()
        if file.read_text() != text
    ]
    assert stale == [], "type: make chart-docs"


@pytest.mark.parametrize("name", chart_docs.names())
def test_chart_has_its_metadata(name: str) -> None:
    about = chart_docs.about(name)
    assert about["maintainers"] == [{"name": "Real-Time Crypto Analytics Platform"}]
    assert about["icon"] == chart_docs.icon()
    assert "crypto-analytics" in about["keywords"]
    assert len(about["keywords"]) > 1
    assert about["description"].endswith(".")
    assert all(url.startswith("https://") for url in [about.get("home", "https://"), *about.get("sources", [])])


def test_library_documents_each_of_its_templates() -> None:
    defined = {
        line.split('"')[1]
        for file in (chart_docs.CHARTS / chart_docs.LIBRARY / "templates").glob("*.tpl")
        for line in file.read_text().splitlines()
        if line.startswith("{{- define ")
    }
    readme = chart_docs.readme(chart_docs.LIBRARY)
    assert [name for name in sorted(defined) if f"`{name}`" not in readme] == []


def test_icon_is_an_svg_of_the_docs() -> None:
    assert chart_docs.icon().startswith("data:image/svg+xml;base64,")
    assert yaml.safe_load(chart_docs.chart_yaml("type: application\n"))["icon"] == chart_docs.icon()
