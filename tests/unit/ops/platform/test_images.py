"""Images are tagged by content, tags are written for Compose and helmfile, and a failed build names its fix."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from crypto_analytics import __version__
from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.platform import images

ID = "sha256:0f0e367b27f47acb9279ddb6c936f408d8c2c39e597ecfa38f07060ce924a7d1"


def test_a_tag_is_the_version_and_the_content() -> None:
    assert images.content_tag(ID, "1.2.3") == "1.2.3-0f0e367b27f4"


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("", "crypto-analytics/ge:1"),
        ("registry.example.com/team", "registry.example.com/team/crypto-analytics/ge:1"),
        ("registry.example.com/", "registry.example.com/crypto-analytics/ge:1"),
    ],
)
def test_a_registry_is_a_prefix(registry: str, expected: str) -> None:
    assert images.reference("ge", "1", registry) == expected


def test_tags_are_written_for_compose_and_helmfile_and_other_tags_are_kept(tmp_path: Path) -> None:
    images.write_tags({"consumer": "1-a", "ge": "1-b"}, tmp_path)
    images.write_tags({"consumer": "1-c"}, tmp_path)
    assert (tmp_path / "images.env").read_text() == "CONSUMER_TAG=1-c\nGE_TAG=1-b\n"
    assert yaml.safe_load((tmp_path / "images.yaml").read_text()) == {
        "images": {"consumer": {"tag": "1-c"}, "ge": {"tag": "1-b"}}
    }
    assert images.read_tags(tmp_path) == {"consumer": "1-c", "ge": "1-b"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images.env", "images.yaml"]


def test_without_a_build_there_are_no_tags(tmp_path: Path) -> None:
    assert images.read_tags(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("#18 naming to docker.io/crypto-analytics/kafka:0.1.0 done", "kafka"),
        ("#18 naming to registry.example.com/team/crypto-analytics/ge:0.1.0 0.0s done", "ge"),
        ("#18 exporting layers 0.6s done", None),
    ],
)
def test_a_built_image_is_recognised_in_the_progress(line: str, expected: str | None) -> None:
    assert images.finished(line) == expected


@pytest.mark.parametrize(
    ("output", "what", "fix"),
    [
        ("ERROR: write /x: no space left on device", "the disk is full", "docker builder prune"),
        ("ERROR: pull access denied, repository does not exist", "a base image cannot be pulled", "make airgap"),
        ("ERROR: executor failed running [x]: exit code: 1", "an image could not be built", "make images"),
    ],
)
def test_a_failed_build_names_its_fix(output: str, what: str, fix: str) -> None:
    problem = str(images.failure(output, ROOT / ".platform" / "logs" / "images.log"))
    assert problem.startswith(what)
    assert fix in problem


def test_sizes_are_found_by_id() -> None:
    output = json.dumps([{"ID": ID, "Repository": "crypto-analytics/ge", "Tag": "1", "UniqueSize": "28.93kB"}])
    assert images.unique_sizes(output) == {ID: "28.93kB"}


def test_an_image_is_identified_by_its_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "attestations off: $BUILDX_NO_DEFAULT_ATTESTATIONS, tag $TAG"\n')
    docker.chmod(0o755)
    monkeypatch.setattr(images, "path_of", lambda _: str(docker))
    assert images._bake(["ge"], "", tmp_path / "log", print, 0.0) == {}
    assert (tmp_path / "log").read_text() == f"attestations off: 1, tag {__version__}\n"


def test_an_image_that_the_progress_did_not_report_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        images, "run", lambda *command, **_: "[]" if "df" in command else json.dumps([{"Id": ID, "Size": 7}])
    )
    (image,) = images._describe({"ge": "crypto-analytics/ge:1"}, {})
    assert (image.size, image.seconds) == (7, 0.0)


def test_without_docker_the_error_names_its_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"docker is missing.*make airgap"):
        images.check_docker()


def test_without_a_build_there_is_nothing_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "read_tags", dict)
    with pytest.raises(Problem, match="make images"):
        images.load_into_kind("some-cluster")


@pytest.mark.parametrize(("push", "pushes"), [("1", True), ("", False)])
def test_make_pushes_on_request(push: str, pushes: bool) -> None:
    command = ["make", "--dry-run", "images", f"PUSH={push}", "IMAGE_REGISTRY=registry.example.com/me"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert ("-m ops.platform.images --push" in output) is pushes


def test_a_checkout_that_only_its_owner_can_read_is_refused(tmp_path: Path) -> None:
    for name in ("images/kafka/entrypoint", "charts/kafka/files/access.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch(mode=0o644)
    images.check_readable(tmp_path)
    for name in ("images/kafka/entrypoint", "charts/kafka/files/access.yaml"):
        (tmp_path / name).chmod(0o600)
        with pytest.raises(Problem, match=rf"{name} is readable only by its owner.*; chmod -R go\+rX \.$"):
            images.check_readable(tmp_path)
        (tmp_path / name).chmod(0o644)


def dockerfiles() -> list[Path]:
    return sorted((ROOT / "images").glob("*/Dockerfile"))


def test_every_image_has_a_dockerfile_and_is_baked() -> None:
    assert {file.parent.name for file in dockerfiles()} == {*images.NAMES, "base"}
    baked = (ROOT / images.BAKE_FILE).read_text()
    assert all(f'"{name}"' in baked for name in images.NAMES)


def test_every_image_with_packages_has_its_base_and_its_lock() -> None:
    items = re.findall(r'\{ image = "(\w+)", start = "(\w+)", lock = "(\S+)" \}', (ROOT / images.BAKE_FILE).read_text())
    assert {name for name, _, _ in items} == {*images.WITH_PACKAGES, "npm"}
    for name, start, lock in items:
        assert (ROOT / lock).is_file(), name
        assert f" AS {start}\n" in (ROOT / "images/base/Dockerfile").read_text(), name
    starts = {file.parent.name for file in dockerfiles() if "FROM ${PACKAGES_IMAGE}\n" in file.read_text()}
    assert starts == images.WITH_PACKAGES


@pytest.mark.parametrize(
    ("names", "first"),
    [(["consumer"], ["base"]), (["ge", "kafka"], ["base", "dbt-packages", "ge-packages", "npm-packages"])],
)
def test_base_images_are_built_before_the_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: list[str], first: list[str]
) -> None:
    baked: list[list[str]] = []

    def bake(targets: list[str], *_: object) -> dict[str, float]:
        baked.append(list(targets))
        return {}

    for name, replacement in {
        "STATE": tmp_path,
        "ROOT": tmp_path,
        "_bake": bake,
        "check_docker": lambda: None,
        "check_readable": lambda: None,
        "_image_id": lambda _: ID,
        "run": lambda *_, **__: "",
        "_describe": lambda *_: [],
    }.items():
        monkeypatch.setattr(images, name, replacement)
    monkeypatch.setattr(images, "write_tags", lambda _: None)
    images.build(names, "")
    assert baked == [first, names]


@pytest.mark.parametrize("file", dockerfiles(), ids=lambda file: file.parent.name)
def test_images_run_as_a_numeric_user_and_pin_their_versions(file: Path) -> None:
    text = file.read_text()
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"\d+:\d+", user) for user in users)
    # Without a USER of its own an image has that of the services' image.
    assert users[-1:] == [] or users[-1] != "0:0"
    assert ":latest" not in text
    assert "# syntax" not in text
    if file.parent.name != "base":
        assert re.search(r"^ENTRYPOINT \[", text, re.MULTILINE)
        assert "STOPSIGNAL" in text
        assert all(f"org.opencontainers.image.{label}=" in text for label in ("title", "description", "licenses"))


def test_pythons_images_use_the_systems_certificates() -> None:
    """The OpenSSL in psycopg searches another folder, so sslrootcert=system would find no certificate without it."""
    text = (ROOT / "images/base/Dockerfile").read_text()
    assert "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" in text[: text.index("AS uv\n")]
    last = {file.parent.name: re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)[-1] for file in dockerfiles()}
    without_python = {"engineproxy", "kafka", "minio", "monitoring", "postgres", "versitygw"}
    assert {name for name, start in last.items() if start == "${DEBIAN_IMAGE}"} == without_python
