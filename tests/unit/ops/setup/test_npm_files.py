"""Files of npm packages: fetched once, refused where they are not the expected ones; the live page built with them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from ops.common.errors import Problem
from ops.setup import live_page, npm_files
from ops.setup.npm_files import NpmFile
from tests.servers import ROOT

CONTENT = b"export {};\n"
FILE = NpmFile("@scope/thing", "1.2.3", "dist/thing.js", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put an npm first in PATH that packs what is in the returned folder, and counts its calls there."""
    folder = tmp_path / "registry"
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{folder}/calls"\n'
        "for option; do case $option in --pack-destination=*) "
        f'cp "{folder}/package.tgz" "${{option#*=}}/";; esac; done\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", str(tmp_path / "cache"))
    return folder


def publish(registry: Path, member: str, content: bytes) -> None:
    with tarfile.open(registry / "package.tgz", "w:gz") as package:
        entry = tarfile.TarInfo(f"package/{member}")
        entry.size = len(content)
        package.addfile(entry, io.BytesIO(content))


def test_a_file_is_fetched_once(registry: Path) -> None:
    publish(registry, FILE.member, CONTENT)
    for _ in range(2):
        assert (npm_files.ensure([FILE]) / FILE.path).read_bytes() == CONTENT
    (call,) = (registry / "calls").read_text().splitlines()
    assert "--ignore-scripts" in call
    assert call.endswith("@scope/thing@1.2.3")


def test_a_changed_file_of_the_cache_is_fetched_again(registry: Path) -> None:
    publish(registry, FILE.member, CONTENT)
    cached = npm_files.ensure([FILE]) / FILE.path
    cached.write_bytes(b"changed")
    npm_files.ensure([FILE])
    assert cached.read_bytes() == CONTENT


def test_a_file_with_another_hash_is_refused_and_not_cached(registry: Path, tmp_path: Path) -> None:
    publish(registry, FILE.member, b"evil")
    with pytest.raises(Problem, match="is not the expected package"):
        npm_files.ensure([FILE])
    assert list((tmp_path / "cache").rglob("*.js")) == []


def test_a_package_without_the_file_is_refused(registry: Path) -> None:
    publish(registry, "dist/other.js", CONTENT)
    with pytest.raises(Problem, match=r"its dist/thing\.js is missing or has another SHA-256"):
        npm_files.ensure([FILE])


def test_a_missing_npm_is_reported_with_the_next_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"npm is missing: .*@scope/thing@1\.2\.3; install Node\.js with npm"):
        npm_files.ensure([FILE])


def test_the_live_page_is_built_instead_of_an_older_one(
    registry: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = tmp_path / "npm-files.json"
    listed.write_text(json.dumps([{**FILE._asdict(), "target": "vendor/library.mjs"}]))
    monkeypatch.setattr(live_page, "LIST", listed)
    publish(registry, FILE.member, CONTENT)
    page = tmp_path / "page"
    page.mkdir()
    (page / "old.js").touch()
    live_page.build(page)
    assert not (page / "old.js").exists()
    assert (page / "vendor" / "library.mjs").read_bytes() == CONTENT
    assert (page / "index.html").is_file()
    assert list(page.rglob("*.d.mts")) == []


def test_the_page_is_built_with_the_version_that_its_types_are_checked_against() -> None:
    wanted = {file.package: file.version for file in npm_files.listed(live_page.LIST)}
    package = json.loads((ROOT / "services" / "live_page" / "package.json").read_text())
    assert wanted == package["dependencies"]
