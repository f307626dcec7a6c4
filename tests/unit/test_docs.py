"""Links and paths in README and docs lead to files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.servers import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "images" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?)`")
# Folders that dbt makes.
_MADE = ("dbt/target", "dbt/logs")
# Pages name files of the services by their paths in the package.
_BASES = (ROOT, ROOT / "services" / "crypto_analytics", ROOT / "services")
_ROOMS = frozenset(
    path.name for base in _BASES for path in base.iterdir() if path.is_dir() and not path.name.startswith(".")
)


def prose(page: Path) -> str:
    """Return the text of ``page`` without its fenced blocks."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def broken_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(prose(page)):
        if "://" not in target and not (page.parent / target).exists():
            yield f"{page.relative_to(ROOT)}: {target}"


def missing_paths(page: Path) -> Iterator[str]:
    for path in _PATH.findall(prose(page)):
        named = path.split("/")[0] in _ROOMS and not path.startswith(_MADE)
        if named and not any((base / path).exists() for base in _BASES):
            yield f"{page.relative_to(ROOT)}: {path}"


def run_on_items(page: Path) -> Iterator[str]:
    """Yield the list items that follow a paragraph without a blank line: Python-Markdown makes them part of it."""
    for block in re.split(r"\n[ \t]*\n", prose(page)):
        first, *others = block.strip("\n").split("\n")
        if not re.match(r"#|\s*(\d+\.|[-*]) ", first):
            yield from (f"{page.relative_to(ROOT)}: {line}" for line in others if re.match(r"(\d+\.|[-*]) ", line))


def test_lists_are_lists_on_the_site() -> None:
    assert [item for page in PAGES if "docs" in page.parts for item in run_on_items(page)] == []


def test_no_link_is_broken() -> None:
    assert [link for page in PAGES for link in broken_links(page)] == []


def test_paths_of_the_checkout_exist() -> None:
    assert [path for page in PAGES if page.name != "CHANGELOG.md" for path in missing_paths(page)] == []


def test_each_promise_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "docs" / "promises.md").read_text(), re.MULTILINE)[1:]
    assert len(rows) > 20
    for promise, tests in rows:
        if not promise.startswith("---"):
            named = re.findall(r"`(tests/[^`]+)`", tests)
            assert named, promise
            assert [name for name in named if not (ROOT / name).exists()] == [], promise


def test_the_list_of_decisions_is_whole_and_has_their_titles() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = dict(re.findall(r"^- \[(.+)\]\((\d{4}-.+\.md)\)", (folder / "README.md").read_text(), re.MULTILINE))
    titles = {page.read_text().splitlines()[0].removeprefix("# "): page.name for page in folder.glob("0*.md")}
    assert listed == titles
