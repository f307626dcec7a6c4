"""Pending releases are recovered, helmfile runs with the right arguments, and the feed and Kafka's mode are kept."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, NAMESPACE, OpsSettings
from ops.kubernetes import helm, helmfile, up, upgrade_check
from ops.kubernetes.helm import Recovery, Revision
from ops.kubernetes.kube_api import Forbidden
from ops.kubernetes.pods import Object
from ops.kubernetes.upgrade_check import Installed


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
        ([("failed", 1), ("pending-upgrade", 2)], [Recovery("kafka", "pending-upgrade", 1)]),
        ([("failed", 1), ("failed", 2), ("pending-upgrade", 3)], [Recovery("kafka", "pending-upgrade", 2)]),
        ([("deployed", 1), ("failed", 2), ("pending-upgrade", 3)], [Recovery("kafka", "pending-upgrade", 1)]),
        ([("uninstalling", 1)], [Recovery("kafka", "uninstalling", None)]),
    ],
)
def test_the_recovery_of_a_pending_release(history: list[tuple[str, int]], expected: list[Recovery]) -> None:
    assert helm.recoveries([Revision("kafka", number, status) for status, number in history]) == expected


def test_releases_that_are_not_ours_are_left_alone() -> None:
    assert helm.recoveries([Revision("somebodys", 1, "pending-install")]) == []


def test_our_releases_are_helmfiles() -> None:
    named = re.findall(r"^ +- name: (\S+)$", helmfile.FILE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(helm.RELEASES)


class ClusterWithPendingRelease:
    """A cluster with one pending release."""

    context = "theirs"

    def helm_secrets(self) -> list[dict[str, object]]:
        return [secret("kafka", 1, "deployed"), secret("kafka", 2, "pending-upgrade")]


def test_only_on_kind_is_a_pending_release_recovered_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(helm, "run", lambda *command, **_: called.extend(command))
    with pytest.raises(Problem, match=r"helm rollback kafka 1 --no-hooks --kube-context theirs .*then make up .*again"):
        up.recover(OpsSettings(KUBE_CONTEXT="theirs"), ClusterWithPendingRelease(), called.append)  # type: ignore[arg-type]
    assert called == []
    up.recover(OpsSettings(KUBE_CONTEXT=KIND_CONTEXT), ClusterWithPendingRelease(), lambda _: None)  # type: ignore[arg-type]
    assert called[:4] == ["helm", "rollback", "kafka", "1"]


def test_a_recovery_describes_its_action() -> None:
    assert Recovery("kafka", "pending-upgrade", 3).summary.endswith("left pending-upgrade: rolling back to revision 3")
    assert Recovery("kafka", "pending-install", None).summary.endswith("left pending-install: uninstalling it")


@pytest.mark.parametrize(
    ("recovery", "words"),
    [
        (Recovery("kafka", "pending-upgrade", 3), ["rollback", "kafka", "3"]),
        (Recovery("kafka", "pending-install", None), ["uninstall", "kafka"]),
    ],
)
def test_helm_gets_the_context(monkeypatch: pytest.MonkeyPatch, recovery: Recovery, words: list[str]) -> None:
    called: list[str] = []
    monkeypatch.setattr(helm, "run", lambda *command, **_: called.extend(command))
    helm.recover(recovery, "kind-x")
    assert called[: 1 + len(words)] == ["helm", *words]
    assert called[called.index("--kube-context") + 1] == "kind-x"


def program(folder: Path, script: str) -> list[str]:
    file = folder / "helmfile"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return [str(file)]


def test_helmfile_is_watched_until_it_exits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helmfile, "_POLL_SECONDS", 0.01)
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


def test_helmfiles_error_is_reported_with_its_log(tmp_path: Path) -> None:
    line = program(tmp_path, "echo noise; echo 'Error: UPGRADE FAILED: timed out' >&2; exit 1")
    with pytest.raises(Problem, match=r"UPGRADE FAILED: timed out; less .*log; then make up again"):
        helmfile.run(line, {}, tmp_path / "log", limit=30)


def test_helmfile_is_stopped_at_the_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helmfile, "_POLL_SECONDS", 0.01)
    line = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(Problem, match="not ready in time"):
        helmfile.run(line, {}, tmp_path / "log", limit=0.3)
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_a_failed_release_is_always_synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr(helmfile, "path_of", lambda name: name)
    monkeypatch.setattr(helm, "has_diff", lambda: True)
    monkeypatch.setattr(helmfile, "run", lambda line, *_, **__: lines.append(line))
    monkeypatch.setattr(up.state_folder, "logs", lambda: tmp_path)
    up._releases(OpsSettings(ENV="lite"), ClusterWithPendingRelease(), {}, up.console())  # type: ignore[arg-type]
    assert lines[0][-1] == "sync"


@pytest.mark.parametrize(("context", "closed"), [(KIND_CONTEXT, False), ("theirs", True)])
def test_a_cluster_other_than_kind_gets_no_open_ports(
    monkeypatch: pytest.MonkeyPatch, context: str, closed: bool
) -> None:
    monkeypatch.setattr(helmfile, "path_of", lambda name: name)
    line = " ".join(helmfile.command("lite", context, "sync"))
    assert ("--state-values-set expose.enabled=false sync" in line) is closed


@pytest.mark.parametrize(
    ("has_diff", "stored", "action"),
    [(True, [], "apply"), (False, [], "sync"), (True, [secret("kafka", 1, "failed")], "sync")],
)
def test_make_up_is_the_plain_call_and_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_diff: bool, stored: list[object], action: str
) -> None:
    """Only a first installation uses `apply`, which skips a failed release where nothing differs."""
    lines: list[list[str]] = []
    monkeypatch.delenv("VARIANT", raising=False)
    monkeypatch.setattr(helmfile, "path_of", lambda name: f"/bin/{name}")
    monkeypatch.setattr(helm, "has_diff", lambda: has_diff)
    monkeypatch.setattr(helmfile, "run", lambda line, *_, **__: lines.append(line))
    monkeypatch.setattr(up.state_folder, "logs", lambda: tmp_path)
    monkeypatch.setattr(ClusterWithPendingRelease, "helm_secrets", lambda self: stored)
    out = Console(file=io.StringIO(), width=80)
    up._releases(OpsSettings(ENV="lite"), ClusterWithPendingRelease(), {"KAFKA_PORT": "9092"}, out)  # type: ignore[arg-type]
    assert lines == [["/bin/helmfile", "-e", "lite", action]]
    assert out.file.getvalue().strip() == f"helmfile -e lite {action}"  # type: ignore[attr-defined]


def test_what_is_shown_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in helmfile.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(helmfile, "path_of", lambda name: f"/bin/{name}")
    usual = {"KUBE_CONTEXT": KIND_CONTEXT, "KAFKA_PORT": "9092", "POSTGRES_PORT": "5433"}
    assert helmfile.shown(helmfile.command("lite", KIND_CONTEXT, "sync"), usual) == "helmfile -e lite sync"
    monkeypatch.setenv("VARIANT", "spark")
    monkeypatch.setenv("SYMBOLS", "A, B")
    moved = {"KUBE_CONTEXT": "theirs", "KAFKA_PORT": "19092"}
    assert helmfile.shown(helmfile.command("lite", "theirs", "sync"), moved) == (
        "KUBE_CONTEXT=theirs VARIANT=spark SYMBOLS='A, B' KAFKA_PORT=19092 helmfile -e lite "
        "--kube-context theirs --state-values-set expose.enabled=false sync"
    )


def test_own_values_reach_helmfile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(helmfile, "path_of", lambda name: name)
    mine = tmp_path / "mine.yaml"
    with pytest.raises(Problem, match="make up VALUES="):
        helmfile.command("lite", "theirs", "sync", own=str(mine))
    mine.touch()
    line = helmfile.command("lite", "theirs", "sync", own=str(mine))
    assert line[line.index("--state-values-file") + 1] == str(mine)
    assert "--state-values-file" not in helmfile.command("lite", "theirs", "sync")


def test_values_are_those_that_helmfile_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = """for file; do :; done; folder=$(dirname "$file"); printf 'mode: kraft' > $folder/kafka.yaml
printf 'settings: {BINANCE_WS_URL: %s}' $FEED > $folder/producer.yaml
printf 'components: {exporter: {settings: {S3_ENDPOINT: "s3:443"}}}' > $folder/batch.yaml"""
    (helmfile_program,) = program(tmp_path, script)
    monkeypatch.setattr(helmfile, "path_of", lambda _: helmfile_program)
    monkeypatch.setattr(helmfile.external_programs, "path_of", lambda name: name)
    found = helmfile.values("lite", KIND_CONTEXT, {"FEED": "wss://x"}, "producer", "kafka", "batch")
    assert upgrade_check.planned(found) == Installed("wss://x", "kraft", "s3:443")


@pytest.mark.parametrize(
    ("registry", "policy", "refused"),
    [("", "IfNotPresent", True), ("", "Never", False), ("registry.example.com", "IfNotPresent", False)],
)
def test_a_cluster_other_than_kind_needs_a_registry(
    monkeypatch: pytest.MonkeyPatch, registry: str, policy: str, refused: bool
) -> None:
    monkeypatch.setenv("KUBE_CONTEXT", "theirs")
    monkeypatch.setenv("ENV", "lite")
    would = {"producer": {"image": {"registry": registry, "pullPolicy": policy}}}
    monkeypatch.setattr(helmfile, "values", lambda *_, **__: would)
    if not refused:
        up.check_registry(OpsSettings(), {})
        return
    given = "IMAGE_REGISTRY=registry.example.com/me"
    hint = f"make images PUSH=1 {given}, then make up ENV=lite KUBE_CONTEXT=theirs {given}$"
    with pytest.raises(Problem, match=hint):
        up.check_registry(OpsSettings(), {})


class ApiStub:
    """A stub of the API with objects by path; objects of missing groups are forbidden."""

    def __init__(self, *groups: str, forbidden: str = "", **objects: Object) -> None:
        self.forbidden = forbidden
        self.groups = {f"/apis/{group}" for group in ("apps/v1", *groups)}
        self.objects = {name.replace("__", "/"): found for name, found in objects.items()}

    def get(self, path: str) -> Any:
        if path in self.groups:
            return {}
        group, found, name = path.partition(f"/namespaces/{NAMESPACE}/")
        if found and (group not in self.groups or name == self.forbidden):
            raise Forbidden(f"{path} may not be read", "403", "")
        if name in self.objects:
            return self.objects[name]
        raise LookupError(path)


def producer(feed: str) -> Object:
    env = [{"name": "SYMBOLS", "value": "A"}, {"name": "BINANCE_WS_URL", "value": feed}]
    return {"spec": {"template": {"spec": {"containers": [{"name": "producer", "env": env}]}}}}


def test_feed_mode_and_s3_server_are_read_from_the_cluster() -> None:
    lite = ApiStub(
        deployments__producer=producer("ws://simulator:8899"), statefulsets__kafka={}, statefulsets__versitygw={}
    )
    found = upgrade_check.installed(lite, "kraft")  # type: ignore[arg-type]
    assert found == Installed("ws://simulator:8899", "kraft", "versitygw:9000")
    default = ApiStub("kafka.strimzi.io/v1", deployments__producer=producer("wss://x"), kafkas__crypto={})
    assert upgrade_check.installed(default, "strimzi") == Installed("wss://x", "strimzi")  # type: ignore[arg-type]
    assert upgrade_check.installed(ApiStub(), "kraft") == Installed(None, None)  # type: ignore[arg-type]


def test_without_permission_to_read_strimzis_kafka_none_is_installed() -> None:
    cluster: Any = ApiStub("kafka.strimzi.io/v1", forbidden="kafkas/crypto")
    assert upgrade_check.installed(cluster, "kraft") == Installed(None, None)
    with pytest.raises(Forbidden):
        upgrade_check.installed(cluster, "strimzi")


@pytest.mark.parametrize(
    ("now", "then", "message"),
    [
        (Installed("ws://simulator", "kraft"), Installed("wss://x", "kraft"), "dropped as duplicates of the other's"),
        (Installed("wss://x", "kraft"), Installed("wss://x", "strimzi"), "Kafka's mode cannot change"),
        (Installed(None, "strimzi"), Installed("wss://x", "kraft"), "Kafka's mode cannot change"),
    ],
)
def test_a_change_of_feed_with_an_existing_database_is_refused(now: Installed, then: Installed, message: str) -> None:
    with pytest.raises(Problem, match=f"{message}.*; .*make down$"):
        upgrade_check.check_unchanged(now, then, KIND_CONTEXT)
    with pytest.raises(Problem, match=f"make down.* KUBE_CONTEXT=theirs, then .* delete namespace {NAMESPACE}$"):
        upgrade_check.check_unchanged(now, then, "theirs")
    upgrade_check.check_unchanged(now, now, KIND_CONTEXT)
    upgrade_check.check_unchanged(Installed(None, None), then, KIND_CONTEXT)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("wss://stream.binance.com:9443", "wss://data-stream.binance.vision", True),
        ("wss://stream.binance.com:443", "wss://stream.binance.com:9443", True),
        ("wss://stream.binance.com:9443", "wss://stream.binance.us:9443", False),
        ("wss://stream.binance.com:9443", "wss://fstream.binance.com", False),
        ("wss://stream.binance.com:9443", "wss://stream.testnet.binance.vision", False),
        ("wss://stream.binance.com:9443", "wss://stream.binance.com.example.com", False),
        ("wss://x", "wss://x:1", False),
    ],
)
def test_an_exchange_may_be_followed_under_another_host(one: str, other: str, same: bool) -> None:
    now, then = Installed(one, "kraft"), Installed(other, "kraft")
    if same:
        upgrade_check.check_unchanged(now, then, KIND_CONTEXT)
        return
    with pytest.raises(Problem, match="the feed cannot change"):
        upgrade_check.check_unchanged(now, then, KIND_CONTEXT)


@pytest.mark.parametrize("then", ["minio:9000", "s3.example.com:443"])
def test_another_s3_server_is_refused_until_the_installed_one_is_uninstalled(then: str) -> None:
    now, wanted = Installed("wss://x", "kraft", "versitygw:9000"), Installed("wss://x", "kraft", then)
    fix = "OBJECT_STORE_SERVER=versitygw; or .* uninstall versitygw "
    with pytest.raises(Problem, match=f"the S3 server cannot change: versitygw is installed.*{fix}"):
        upgrade_check.check_unchanged(now, wanted, KIND_CONTEXT)
    upgrade_check.check_unchanged(Installed("wss://x", "kraft"), wanted, KIND_CONTEXT)


def test_up_refuses_another_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ApiStub(deployments__producer=producer("ws://simulator:8899"), statefulsets__kafka={})
    would = {
        "producer": {"settings": {"BINANCE_WS_URL": "wss://x"}},
        "kafka": {"mode": "kraft"},
        "batch": {"components": {"exporter": {"settings": {"S3_ENDPOINT": "minio:9000"}}}},
    }
    monkeypatch.setattr(helmfile, "values", lambda *_, **__: would)
    with pytest.raises(Problem, match="the feed cannot change"):
        up.check_unchanged(OpsSettings(ENV="lite"), cluster, {})  # type: ignore[arg-type]
