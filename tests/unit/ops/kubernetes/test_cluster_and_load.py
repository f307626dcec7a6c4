"""`make cluster` only creates the cluster, `make load` only loads the images, and each names the next command."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.kubernetes import doctor, helm, helmfile, kind_cluster, up
from ops.kubernetes.kind_cluster import Node
from ops.platform import images, state_folder

PORTS = {30092: 19092, 30808: 8080}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the recorded calls that change the machine or the cluster."""
    calls: list[Any] = []

    def record(name: str) -> Callable[..., None]:
        return lambda *arguments, **_: calls.append((name, *arguments[:1]))

    for name in helmfile.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(state_folder, "exclusive", contextlib.nullcontext)
    monkeypatch.setattr(state_folder, "load_last_up", dict)
    monkeypatch.setattr(up.machine, "inspect", lambda settings: None)
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: [])
    monkeypatch.setattr(helm, "has_diff", lambda: True)
    monkeypatch.setattr(helmfile, "path_of", lambda name: name)
    monkeypatch.setattr(helmfile, "objects", lambda *_: "image: crypto-analytics/tools:0.1.0\n")
    monkeypatch.setattr(helmfile, "run", record("helmfile"))
    monkeypatch.setattr(kind_cluster, "node", lambda: None)
    monkeypatch.setattr(kind_cluster, "ensure", record("cluster"))
    monkeypatch.setattr(images, "build", record("build"))
    monkeypatch.setattr(images, "load_into_kind", record("load"))
    return calls


def test_make_cluster_only_creates_the_cluster(done: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert up.make_cluster(OpsSettings(KAFKA_PORT=19092), []) == 0
    [(name, mapped)] = done
    assert (name, mapped[30092]) == ("cluster", 19092)
    assert "next: make load" in capsys.readouterr().out


def test_make_load_only_builds_and_loads_and_names_the_plain_call(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kind_cluster, "node", lambda: Node("running", PORTS))
    assert up.load_images(OpsSettings(ENV="lite"), []) == 0
    assert [name for name, *_ in done] == ["build", "load"]
    assert done[0] == ("build", ["tools"])
    assert "next: KAFKA_PORT=19092 helmfile -e lite apply\n" in capsys.readouterr().out


def test_make_load_keeps_the_environment_of_the_last_make_up(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kind_cluster, "node", lambda: Node("running", {}))
    monkeypatch.setattr(state_folder, "load_last_up", lambda: {"context": KIND_CONTEXT, "environment": "lite"})
    assert up.load_images(OpsSettings(), []) == 0
    assert "helmfile -e lite apply\n" in capsys.readouterr().out
    assert up.load_images(OpsSettings(ENV="default"), []) == 0
    assert "-e lite" not in capsys.readouterr().out


def test_make_cluster_suggests_itself_and_checks_no_memory(done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(facts: object, environment: str | None, *_: object, is_kind: bool, again: str) -> list[doctor.Check]:
        assert environment is None
        return [doctor.Check(doctor.Level.FAIL, "disk", "1 GiB", f"free some, then {again}")]

    monkeypatch.setattr(kind_cluster, "node", lambda: Node("running", PORTS))
    with pytest.raises(Problem, match=r"make down && make cluster KAFKA_PORT=29092$"):
        up.make_cluster(OpsSettings(KAFKA_PORT=29092), [])
    monkeypatch.setattr(doctor, "examine", examine)
    with pytest.raises(Problem, match="then run make cluster again"):
        up.make_cluster(OpsSettings(), [])
    assert done == []


def test_make_load_refuses_the_values_that_make_up_refuses(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kind_cluster, "node", lambda: Node("running", PORTS))
    given: list[tuple[dict[str, str], str]] = []
    monkeypatch.setattr(helmfile, "objects", lambda _, __, env, own: str(given.append((env, own))))
    own = tmp_path / "mine.yaml"
    own.write_text("variant: spark\n")
    with pytest.raises(Problem, match="make up VARIANT=spark"):
        up.load_images(OpsSettings(VALUES=str(own)), [])
    assert done == []
    own = tmp_path / "mine.yaml.gotmpl"  # helmfile renders it, and fails by these variables
    own.touch()
    up.load_images(OpsSettings(VALUES=str(own)), [])
    [(env, values)] = given
    assert (env["KUBE_CONTEXT"], env["VARIANT"], values) == (KIND_CONTEXT, "python", str(own))


@pytest.mark.parametrize(("node", "message"), [(None, "is missing"), (Node("exited", PORTS), "is exited")])
def test_nothing_is_built_without_a_running_cluster(
    done: list[Any], monkeypatch: pytest.MonkeyPatch, node: Node | None, message: str
) -> None:
    monkeypatch.setattr(kind_cluster, "node", lambda: node)
    with pytest.raises(Problem, match=f"{message}; make cluster"):
        up.load_images(OpsSettings(), [])
    assert done == []


@pytest.mark.parametrize("target", [up.make_cluster, up.load_images])
def test_another_cluster_is_neither_created_nor_loaded(done: list[Any], target: Callable[..., int]) -> None:
    with pytest.raises(Problem, match=r"theirs is not the kind cluster.*make images PUSH=1"):
        target(OpsSettings(KUBE_CONTEXT="theirs"), [])
    assert done == []
