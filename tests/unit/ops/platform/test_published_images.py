"""A release's images are taken only where all of them are published for this machine; otherwise they are built."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from crypto_analytics import __version__
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import up as compose_up
from ops.compose.project import Project
from ops.kubernetes import helmfile, up
from ops.platform import charts, images, published_images

REGISTRY = "registry.example.com/me"
SINGLE = {"schemaVersion": 2, "config": {}}


def index(*architectures: str) -> dict[str, object]:
    platforms = ({"architecture": one, "os": "linux"} for one in architectures)
    return {"manifests": [{"platform": one, "digest": f"sha256:{one['architecture']}"} for one in platforms]}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Return the manifests by reference that a stub of docker finds; tags are written to a folder of the test."""
    manifests: dict[str, object] = {}

    def run(*command: str, fix: str, timeout: float) -> str:
        if command[:2] == ("docker", "buildx"):
            name = command[-1]
            if name not in manifests:
                raise Problem("docker buildx failed", f"ERROR: {name}: not found", fix)
            return json.dumps(manifests[name])
        assert command[0] == "git"
        return os.environ["ORIGIN"]

    monkeypatch.setattr(published_images, "run", run)
    monkeypatch.setattr(published_images.platform, "machine", lambda: "x86_64")
    written = images.write_tags
    monkeypatch.setattr(images, "write_tags", lambda tags: written(tags, tmp_path))
    monkeypatch.setenv("IMAGE_REGISTRY", REGISTRY)
    return manifests


def reference(name: str, prefix: str = REGISTRY) -> str:
    return f"{prefix}/crypto-analytics/{name}:{__version__}"


@pytest.mark.parametrize("manifest", [SINGLE, index("amd64", "arm64")])
def test_published_images_have_the_version_as_their_tag(
    registry: dict[str, object], tmp_path: Path, manifest: dict[str, object]
) -> None:
    registry |= {reference("ge"): manifest, reference("consumer"): manifest}
    reported: list[str] = []
    assert published_images.find(["ge", "consumer"], reported.append) == REGISTRY
    assert images.read_tags(tmp_path) == {"consumer": __version__, "ge": __version__}
    assert reported == []


@pytest.mark.parametrize(
    ("manifest", "cause"), [(None, "not found"), (index("arm64", "unknown"), "not published for amd64")]
)
def test_one_missing_image_leaves_all_to_be_built(
    registry: dict[str, object], tmp_path: Path, manifest: object, cause: str
) -> None:
    registry |= {reference("ge"): SINGLE} | ({reference("consumer"): manifest} if manifest else {})
    reported: list[str] = []
    assert published_images.find(["ge", "consumer"], reported.append) == ""
    assert images.read_tags(tmp_path) == {}
    (text,) = reported
    assert f"version {__version__} is not published, 1 of 2 images" in text
    assert cause in text


@pytest.mark.parametrize(
    ("origin", "prefix"),
    [
        ("https://github.com/Somebody/Crypto.git\n", "ghcr.io/somebody/crypto"),
        ("git@github.com:somebody/crypto\n", "ghcr.io/somebody/crypto"),
        ("/srv/git/crypto.git\n", ""),
    ],
)
def test_the_registry_is_that_of_the_repository_unless_another_one_is_named(
    registry: dict[str, object], monkeypatch: pytest.MonkeyPatch, origin: str, prefix: str
) -> None:
    monkeypatch.setenv("IMAGE_REGISTRY", "")
    monkeypatch.setenv("ORIGIN", origin)
    registry[reference("ge", prefix)] = SINGLE
    reported: list[str] = []
    assert published_images.find(["ge"], reported.append) == prefix
    assert bool(prefix) is not any("name its registry" in text for text in reported)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (SINGLE, [f"pull --quiet {reference('ge')}"]),
        (
            index("arm64", "amd64", "unknown"),
            [
                f"pull --quiet {REGISTRY}/crypto-analytics/ge@sha256:amd64",
                f"tag {REGISTRY}/crypto-analytics/ge@sha256:amd64 {reference('ge')}",
            ],
        ),
    ],
    ids=["single", "index"],
)
def test_only_the_image_of_this_architecture_is_pulled(
    registry: dict[str, object], monkeypatch: pytest.MonkeyPatch, manifest: dict[str, object], expected: list[str]
) -> None:
    registry[reference("ge")] = manifest
    inspected, ran = published_images.run, list[str]()

    def run(*command: str, fix: str, timeout: float) -> str:
        if command[1] == "buildx":
            return inspected(*command, fix=fix, timeout=timeout)
        ran.append(" ".join(command[1:]))
        return ""

    monkeypatch.setattr(published_images, "run", run)
    monkeypatch.setattr(published_images, "succeeds", lambda *_: False)
    published_images.pull(["ge"], REGISTRY, lambda _: None)
    assert ran == expected
    ran.clear()
    monkeypatch.setattr(published_images, "succeeds", lambda *command: command[-1] == reference("ge"))
    published_images.pull(["ge"], REGISTRY, lambda _: None)
    assert ran == [], "it is on this machine"


class Steps:
    """Records what `make up` does with images."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: str) -> None:
        self.done: list[object] = []
        monkeypatch.setattr(helmfile, "objects", lambda *_: "image: crypto-analytics/tools:0.1.0\n")
        monkeypatch.setattr(published_images, "find", lambda names, report: found)
        monkeypatch.setattr(published_images, "pull", lambda *_: self.done.append("pull"))
        monkeypatch.setattr(images, "build", lambda names, registry: self.done.append(("build", registry)))
        monkeypatch.setattr(images, "load_into_kind", lambda _, registry, names: self.done.append(("load", registry)))


@pytest.mark.parametrize(
    ("mode", "found", "named", "expected"),
    [
        ("published", REGISTRY, "", ["pull", ("load", REGISTRY)]),
        ("published", "", "mirror.example.com", [("build", ""), ("load", "")]),
        ("built", REGISTRY, "mirror.example.com", [("build", "mirror.example.com"), ("load", "mirror.example.com")]),
    ],
)
def test_make_up_pulls_what_is_published_and_builds_the_rest(
    monkeypatch: pytest.MonkeyPatch, mode: str, found: str, named: str, expected: list[object]
) -> None:
    steps = Steps(monkeypatch, found)
    monkeypatch.setenv("IMAGE_REGISTRY", named)
    env = helmfile.variables("kind-crypto-analytics", "python", {})
    up._images(OpsSettings(IMAGES=mode), env, up.Phases(Console(quiet=True)))  # type: ignore[arg-type]
    assert steps.done == expected
    assert (env["IMAGE_REGISTRY"],) == expected[-1][1:]  # type: ignore[index]


@pytest.mark.parametrize("found", [REGISTRY, ""])
def test_another_cluster_needs_published_images_that_exist(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    Steps(monkeypatch, found)
    settings, env = OpsSettings(IMAGES="published", KUBE_CONTEXT="theirs"), helmfile.variables("theirs", "python", {})
    if found:
        up._require_published(settings, env, print)
        assert env["IMAGE_REGISTRY"] == REGISTRY
    else:
        with pytest.raises(Problem, match="make images PUSH=1"):
            up._require_published(settings, env, print)


@pytest.mark.parametrize(("found", "expected"), [(REGISTRY, f"{REGISTRY}/"), ("", None)])
def test_compose_takes_published_images(monkeypatch: pytest.MonkeyPatch, found: str, expected: str | None) -> None:
    Steps(monkeypatch, found)
    project = Project("x", {"IMAGE_REGISTRY": "mirror.example.com/", "SYMBOLS": "BTCUSDT"})
    changed = compose_up.with_published_images(project, "stream", Console(quiet=True))
    assert changed.variables.get("IMAGE_REGISTRY") == expected
    assert changed.variables["SYMBOLS"] == "BTCUSDT"


def test_a_release_is_pushed_under_its_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[str] = []
    monkeypatch.setattr(images, "run", lambda *command, fix: pushed.append(command[-1]))
    built = images.BuiltImage("ge", f"localhost:5000/me/crypto-analytics/ge:{__version__}-abc", 1, "", 0.0)
    images.push([built], lambda _: None)
    assert pushed == [built.reference]
    images.push([built], lambda _: None, release=True)
    assert pushed[1:] == [built.reference, f"localhost:5000/me/crypto-analytics/ge:{__version__}"]


def test_a_release_that_is_not_pushed_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["images", "--release"])
    monkeypatch.setattr(images, "build", lambda *_: pytest.fail("nothing is built"))
    with pytest.raises(SystemExit):
        images.main()
    assert "make images PUSH=1 RELEASE=1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("registry_named", "options"),
    [("127.0.0.1:5001", ["--plain-http"]), ("localhost/x", ["--plain-http"]), ("registry.example.com/me", [])],
)
def test_charts_are_pushed_beside_the_images(
    monkeypatch: pytest.MonkeyPatch, registry_named: str, options: list[str]
) -> None:
    pushed: list[list[str]] = []
    record: Callable[..., None] = lambda *command, fix: pushed.append([str(word) for word in command])  # noqa: E731
    monkeypatch.setattr(charts, "run", record)
    charts.push([Path("ge-0.1.0.tgz")], registry_named, lambda _: None)
    expected = ["helm", "push", *options, "ge-0.1.0.tgz", f"oci://{registry_named}/crypto-analytics/charts"]
    assert pushed == [expected]
    assert {chart.name for chart in charts.charts()} >= {"consumer", "kafka"}
    assert "common" not in {chart.name for chart in charts.charts()}, "each archive contains the library"
