"""The documentation site: its scripts from npm, and which addresses count as requests to other hosts."""

import io
import tarfile
from pathlib import Path

import pytest

from ops.common.errors import Problem
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
        assert f"assets/javascripts/{script.package}.js" in config


def test_a_missing_npm_is_reported_with_the_next_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"npm is missing: .*mermaid@.*; install Node\.js with npm .*then make docs"):
        docs_site.add_scripts(tmp_path / "generated")


def test_a_script_with_another_hash_is_refused_and_not_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = docs_site.SCRIPTS[0]
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as package:
        member = tarfile.TarInfo(script.member)
        member.size = 4
        package.addfile(member, io.BytesIO(b"evil"))
    npm = tmp_path / "npm"
    npm.write_text(
        "#!/bin/sh\n"
        f'for option; do case $option in --pack-destination=*) cp "{tmp_path}/package.tgz" '
        f'"${{option#*=}}/{script.package}-{script.version}.tgz";; esac; done\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Problem, match="is not the expected package"):
        docs_site.add_scripts(tmp_path / "generated")
    assert list((tmp_path / "cache").rglob("*.js")) == []
