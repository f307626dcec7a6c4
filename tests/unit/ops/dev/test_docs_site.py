"""The documentation site: the scripts that it names, and which addresses count as requests to other hosts."""

from pathlib import Path

from ops.dev import docs_site
from tests.servers import ROOT


def test_requests_to_other_hosts_are_found(tmp_path: Path) -> None:
    page = tmp_path / "sub" / "page.html"
    page.parent.mkdir()
    page.write_text(
        '<script src=https://cdn.example/a.js></script><link rel="stylesheet" href="//fonts.example/b.css">'
        '<script async src="../assets/c.js"></script><a href="https://example.org">a link is no request</a>'
    )
    assert docs_site.external_requests(tmp_path) == ["//fonts.example/b.css", "https://cdn.example/a.js"]


def test_each_script_is_one_that_mkdocs_names() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    for script in docs_site.SCRIPTS:
        assert f"assets/javascripts/{script.target}" in config
