"""A release that a killed helm left half done is rolled back or removed, and others are left alone."""

from pathlib import Path

import pytest

from embedded.problems import Problem
from ops import helm, helmfile
from ops.helm import Recovery, Revision


def secret(name: str, number: int, status: str, owner: str = "helm") -> dict[str, object]:
    labels = {"owner": owner, "name": name, "version": str(number), "status": status}
    return {"metadata": {"name": f"sh.helm.release.v1.{name}.v{number}", "labels": labels}}


def test_revisions_come_from_helms_secrets() -> None:
    found = helm.revisions(
        [secret("kafka", 1, "superseded"), secret("kafka", 2, "deployed"), secret("x", 1, "y", owner="somebody")]
    )
    assert found == [Revision("kafka", 1, "superseded"), Revision("kafka", 2, "deployed")]
    assert helm.newest(found) == {"kafka": Revision("kafka", 2, "deployed")}


def test_the_tenth_revision_is_newer_than_the_ninth() -> None:
    assert helm.newest([Revision("kafka", 10, "deployed"), Revision("kafka", 9, "superseded")])["kafka"].number == 10


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([("deployed", 1)], []),
        ([("superseded", 1), ("deployed", 2)], []),
        ([("failed", 1)], []),  # helm itself upgrades a failed one
        ([("pending-install", 1)], [Recovery("kafka", "pending-install", None)]),
        ([("deployed", 1), ("pending-upgrade", 2)], [Recovery("kafka", "pending-upgrade", 1)]),
        ([("superseded", 1), ("superseded", 2), ("pending-rollback", 3)], [Recovery("kafka", "pending-rollback", 2)]),
        ([("failed", 1), ("pending-upgrade", 2)], [Recovery("kafka", "pending-upgrade", None)]),
        ([("uninstalling", 1)], [Recovery("kafka", "uninstalling", None)]),
    ],
)
def test_what_frees_a_release(history: list[tuple[str, int]], expected: list[Recovery]) -> None:
    assert helm.recoveries([Revision("kafka", number, status) for status, number in history]) == expected


def test_the_story_says_what_is_done() -> None:
    assert Recovery("kafka", "pending-upgrade", 3).story.endswith("left pending-upgrade: going back to revision 3")
    assert Recovery("kafka", "pending-install", None).story.endswith("left pending-install: removing it")


@pytest.mark.parametrize(
    ("recovery", "words"),
    [
        (Recovery("kafka", "pending-upgrade", 3), ["rollback", "kafka", "3"]),
        (Recovery("kafka", "pending-install", None), ["uninstall", "kafka"]),
    ],
)
def test_helm_is_told_the_context(monkeypatch: pytest.MonkeyPatch, recovery: Recovery, words: list[str]) -> None:
    told: list[str] = []
    monkeypatch.setattr(helm, "run", lambda *command, **_: told.extend(command))
    helm.recover(recovery, "kind-x")
    assert told[: 1 + len(words)] == ["helm", *words]
    assert told[told.index("--kube-context") + 1] == "kind-x"


def program(folder: Path, script: str) -> list[str]:
    file = folder / "helmfile"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return [str(file)]


def test_helmfile_is_watched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helmfile, "_LOOK_SECONDS", 0.01)
    looks: list[int] = []
    go = tmp_path / "go"

    def watch() -> None:
        looks.append(1)
        if len(looks) == 3:
            go.touch()

    line = program(tmp_path, f'while ! [ -f {go} ]; do sleep 0.01; done; echo "port $KAFKA_PORT"')
    helmfile.run(line, {"KAFKA_PORT": "19092"}, tmp_path / "log", limit=30, watch=watch)
    assert len(looks) >= 3
    assert (tmp_path / "log").read_text() == "port 19092\n"


def test_helmfiles_error_is_told_and_the_log_named(tmp_path: Path) -> None:
    line = program(tmp_path, "echo noise; echo 'Error: UPGRADE FAILED: timed out' >&2; exit 1")
    with pytest.raises(Problem, match=r"UPGRADE FAILED: timed out; less .*log; then make up again"):
        helmfile.run(line, {}, tmp_path / "log", limit=30)


def test_helmfile_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helmfile, "_LOOK_SECONDS", 0.01)
    line = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(Problem, match="not ready in time"):
        helmfile.run(line, {}, tmp_path / "log", limit=0.3)
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_apply_needs_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "has_diff", lambda: False)
    assert helmfile.upgrade() == ("sync",)
    monkeypatch.setattr(helm, "has_diff", lambda: True)
    assert helmfile.upgrade() == ("apply", "--suppress-secrets")
