"""Files of npm packages: fetched once, refused where they are not the expected ones; the live page built with them."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
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


def test_listed_files_are_copied_to_their_targets(registry: Path, tmp_path: Path) -> None:
    publish(registry, FILE.member, CONTENT)
    listing, folder = tmp_path / "list.json", tmp_path / "out"
    listing.write_text(json.dumps([{**FILE._asdict(), "target": "a/b.js", "urls": []}]))
    assert npm_files.main(listing, folder) == 0
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*.*")} == {"a/b.js"}
    assert (folder / "a" / "b.js").read_bytes() == CONTENT


def test_the_local_run_finds_the_files_of_data_docs_at_their_targets() -> None:
    assert all(file.target == file.path for file in npm_files.listed(ROOT / "ge" / "page_files.json"))


@pytest.mark.parametrize(("image", "package"), [("api", "lightweight-charts"), ("ge", "bootstrap-table")])
def test_an_image_fetches_with_the_modules_that_its_dockerfile_copies(
    registry: Path, tmp_path: Path, image: str, package: str
) -> None:
    text = (ROOT / "images" / image / "Dockerfile").read_text().replace("\\\n", " ")
    stage = text.partition("FROM ${NPM_IMAGE} ")[2].partition("\nFROM ")[0]
    build = tmp_path / "build"
    for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, build / target)
            else:
                (build / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, build / target)
    (module,) = re.findall(r"python -m (\S+.*)$", stage, re.MULTILINE)
    command = [sys.executable, "-m", *module.replace("/out", str(tmp_path / "out")).split()]
    publish(registry, "unexpected", CONTENT)
    env = {name: os.environ[name] for name in ("PATH", "CRYPTO_ANALYTICS_CACHE")}
    done = subprocess.run(command, cwd=build, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{package}@" in done.stderr
    assert "is not the expected package" in done.stderr


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
