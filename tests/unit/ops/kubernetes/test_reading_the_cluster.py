"""Pods, events, memory, lag and port forwards, from the API's objects."""

import io
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ops import status
from ops.common import units
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.kubernetes import consumer_lag, memory, port_forward, release_progress, up
from ops.kubernetes.helm import Revision
from ops.kubernetes.kube_api import Forbidden
from ops.kubernetes.pods import Event, Pod, last_warnings, newest_events, pods
from ops.kubernetes.release_progress import ClusterSnapshot, ReleaseProgress
from ops.platform import freshness
from ops.platform.endpoints import ENDPOINTS

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def pod(
    name: str = "consumer-1",
    *,
    phase: str = "Running",
    state: dict[str, object] | None = None,
    ready: bool = False,
    restarts: int = 0,
    init: dict[str, object] | None = None,
    **status: object,
) -> dict[str, object]:
    containers = [{"name": "consumer", "state": state or {"running": {}}, "ready": ready, "restartCount": restarts}]
    inits = [{"name": "wait", "state": init, "ready": False}] if init else []
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-11-23T09:57:00Z",
            "labels": {"app.kubernetes.io/name": "consumer"},
        },
        "spec": {"containers": [{"name": "consumer", "resources": {"limits": {"memory": "384Mi"}}}]},
        "status": {
            "phase": phase,
            "containerStatuses": containers if phase == "Running" or state else [],
            "initContainerStatuses": inits,
            **status,
        },
    }


def test_a_port_is_forwarded_once() -> None:
    settings = [endpoint.setting for endpoint in port_forward.first_of_each_port(ENDPOINTS)]
    assert len(settings) == len(set(settings))
    assert set(settings) == {endpoint.setting for endpoint in ENDPOINTS}


def test_a_ready_pod_has_no_reason() -> None:
    (found,) = pods([pod(ready=True, restarts=2)], NOW)
    assert found == Pod("consumer-1", "consumer", "Running", 1, 1, 2, 180.0, "")
    assert found.is_ready


def test_the_pod_of_a_completed_job_counts_as_ready() -> None:
    assert pods([pod(phase="Succeeded", state={"terminated": {"exitCode": 0}})], NOW)[0].is_ready


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (pod(), "consumer runs, not ready yet"),
        (
            pod(state={"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling\n image "x"'}}),
            'consumer: ImagePullBackOff: Back-off pulling image "x"',
        ),
        (pod(state={"terminated": {"exitCode": 2}}), "consumer: exit code 2"),
        (pod(phase="Pending", init={"terminated": {"exitCode": 1}}), "wait: exit code 1"),
        (pod(phase="Pending", init={"running": {}}, state={"waiting": {"reason": "PodInitializing"}}), "wait runs"),
        (
            pod(
                phase="Pending",
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/1 nodes: Insufficient memory",
                    }
                ],
            ),
            "Unschedulable: 0/1 nodes: Insufficient memory",
        ),
        (pod(phase="Pending"), "starting"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
    ],
)
def test_why_a_pod_is_not_ready(item: dict[str, object], why: str) -> None:
    assert pods([item], NOW)[0].reason.startswith(why)


def test_a_terminating_pod_is_not_ready() -> None:
    item = pod(ready=True)
    item["metadata"]["deletionTimestamp"] = "2026-11-23T09:59:00Z"  # type: ignore[index]
    assert not pods([item], NOW)[0].is_ready


def event(name: str, reason: str, at: str, message: str = "m", kind: str = "Normal") -> dict[str, object]:
    return {
        "involvedObject": {"name": name},
        "reason": reason,
        "message": message,
        "type": kind,
        "lastTimestamp": at,
        "metadata": {},
    }


def test_the_newest_event_counts_and_a_warning_before_others_of_its_second() -> None:
    found = newest_events(
        [
            event("a", "BackOff", "2026-11-23T10:00:05Z", kind="Warning"),
            event("a", "Pulled", "2026-11-23T10:00:05Z"),
            event("a", "Scheduled", "2026-11-23T10:00:00Z"),
            event("b", "Started", "2026-11-23T10:00:09Z"),
        ]
    )
    assert found["a"].reason == "BackOff"
    assert found["b"].reason == "Started"
    assert [one.about for one in last_warnings(found.values(), 5)] == ["a"]


def test_events_of_the_newer_api_have_their_time_in_another_field() -> None:
    newer = event("a", "FailedScheduling", "")
    newer["lastTimestamp"] = None
    newer["eventTime"] = "2026-11-23T10:00:07.123456Z"
    assert newest_events([newer, event("a", "Old", "2026-11-23T10:00:01Z")])["a"].reason == "FailedScheduling"


def test_a_pod_that_is_not_ready_is_listed_with_reason_and_warning() -> None:
    observed = ClusterSnapshot(
        pods=pods([pod("kafka-0"), pod("minio-0", ready=True)], NOW),
        events={"kafka-0": Event("kafka-0", "Unhealthy", "Readiness probe failed", is_warning=True, at="")},
    )
    assert release_progress.troubles(observed) == [
        "kafka-0 0/1: consumer runs, not ready yet (Unhealthy: Readiness probe failed)"
    ]


class ClusterWithLongLogLine:
    """One pod that is not ready, whose log has a line of a Java program's length."""

    def last_log(self, pod: str, lines: int) -> list[str]:
        return ["operator: java -classpath " + "lib/a.jar:" * 1000]


def test_a_long_log_line_is_shortened_in_the_report_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = ClusterSnapshot(pods=[Pod("operator-1", "operator", "Running", 0, 1, 0, 10.0, "not ready")])
    monkeypatch.setattr(up, "snapshot", lambda _: observed)
    output = io.StringIO()
    up.show_failure(ClusterWithLongLogLine(), Console(file=output))  # type: ignore[arg-type]
    line = output.getvalue().splitlines()[-1]
    assert line.startswith("       operator: java -classpath lib/a.jar:")
    assert line.endswith("…")
    assert len(line) < 500


def test_the_headline_names_the_releases_in_progress() -> None:
    releases = {
        "kafka": Revision("kafka", 1, "pending-install"),
        "postgres": Revision("postgres", 2, "deployed"),
        "minio": Revision("minio", 1, "failed"),
    }
    assert (
        release_progress.headline(ClusterSnapshot(releases)) == "1 releases deployed; in progress: kafka; failed: minio"
    )


def test_without_a_terminal_a_line_is_printed_when_something_changes() -> None:
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, width=200)
    with ReleaseProgress(console, clock=lambda: now[0]) as shown:
        for seconds, observed in (
            (0, ClusterSnapshot()),
            (2, ClusterSnapshot()),
            (4, ClusterSnapshot({"kafka": Revision("kafka", 1, "deployed")})),
        ):
            now[0] = float(seconds)
            shown.show(observed)
        now[0] = 6.0
        shown.show(None)
    assert [line.strip() for line in out.getvalue().splitlines()] == [
        "0s  0 releases deployed",
        "4s  1 releases deployed",
        "6s  the API does not answer",
    ]


SUMMARY = {
    "node": {"memory": {"workingSetBytes": 900 * units.MIB}},
    "pods": [
        {
            "podRef": {"name": "consumer-1", "namespace": "crypto-analytics"},
            "containers": [{"memory": {"workingSetBytes": 100 * units.MIB}}, {"memory": {}}],
        },
        {
            "podRef": {"name": "coredns", "namespace": "kube-system"},
            "containers": [{"memory": {"workingSetBytes": 50 * units.MIB}}],
        },
        {"podRef": {"name": "migrate-1", "namespace": "crypto-analytics"}, "containers": []},
    ],
}


def test_memory_is_the_working_set_of_our_pods() -> None:
    assert memory.working_sets([SUMMARY]) == {"consumer-1": 100 * units.MIB}
    assert memory.node_working_set([SUMMARY]) == 900 * units.MIB
    (usage,) = memory.usages([pod(ready=True), pod("gone")], [SUMMARY])
    assert (usage.pod, usage.used, usage.limit) == ("consumer-1", 100 * units.MIB, 384 * units.MIB)


@pytest.mark.parametrize(
    ("text", "size"), [("384Mi", 384 * 1024**2), ("1Gi", 1024**3), ("1.5G", 1_500_000_000), ("128974848", 128974848)]
)
def test_quantities(text: str, size: int) -> None:
    assert units.quantity(text) == size


def shown(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue()


def test_the_status_table_counts_completed_jobs() -> None:
    done = pod("migrate-1", phase="Succeeded", state={"terminated": {"exitCode": 0}})
    text = shown(status.pod_table(pods([pod(ready=True), done], NOW), memory.usages([pod()], [SUMMARY])))
    assert "consumer-1" in text
    assert "migrate-1" not in text
    assert "100 MiB in total; 1 jobs done" in text


class NamespaceOnly:
    """A cluster whose user has permission on the namespace only."""

    def get(self, path: str) -> dict[str, list[object]]:
        return {"groups": []}

    def items(self, kind: str) -> list[dict[str, object]]:
        return [pod(ready=True)] if kind == "pods" else []

    def stats(self) -> list[object]:
        raise Forbidden("/api/v1/nodes may not be read", "403 Forbidden", "kubectl auth can-i")

    def helm_secrets(self) -> list[object]:
        return []


def test_without_permission_on_nodes_only_the_memory_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "KubeApi", lambda context: NamespaceOnly())
    monkeypatch.setattr(status.access, "find", lambda settings: None)
    out = io.StringIO()
    status._kubernetes(OpsSettings(KUBE_CONTEXT="theirs"), Console(file=out, width=160))
    assert "memory unknown: /api/v1/nodes may not be read" in out.getvalue()
    assert "consumer-1" in out.getvalue()


def test_the_release_line_marks_releases_that_are_not_deployed() -> None:
    found = [Revision("kafka", 2, "deployed"), Revision("minio", 1, "failed")]
    assert status.release_line(found) == "releases: kafka 2, minio 1 (failed)"


def test_a_forward_targets_a_ready_pod() -> None:
    found = pods([pod("kafka-1"), pod("kafka-0", ready=True)], NOW)
    assert port_forward.target(found, "consumer") == "kafka-0"
    assert port_forward.target(found, "minio") is None


def metrics(trades: str, age: str = "0.0", end_offsets_age: str = "0.4") -> str:
    """Return a consumer's metrics of its lag."""
    samples = {"consumer_lag_trades": trades, "consumer_lag_seconds": age,
               "consumer_end_offsets_age_seconds": end_offsets_age}  # fmt: skip
    return "".join(f"# HELP {name} x\n# TYPE {name} gauge\n{name} {value}\n" for name, value in samples.items())


def test_lag_is_read_from_the_consumers_metrics() -> None:
    assert consumer_lag.parse(metrics("42.0", "3.5")) == consumer_lag.ConsumerLag(42, 3.5, 0.4)
    assert consumer_lag.parse(metrics("NaN", "NaN", "NaN")) is None
    assert consumer_lag.parse("# TYPE a gauge\na 1\n") is None


@pytest.mark.parametrize(
    ("lag", "line"),
    [
        (consumer_lag.ConsumerLag(0, 0.0, 0.4), "lag 0 trades"),
        (consumer_lag.ConsumerLag(6000, 65.0, 0.4), "lag 6,000 trades, the oldest is 1m05s old"),
        (consumer_lag.ConsumerLag(6000, float("nan"), 0.4), "lag 6,000 trades"),
        (consumer_lag.ConsumerLag(0, 0.0, 61.0), "lag 0 trades (as of 1m01s ago: Kafka does not answer)"),
    ],
)
def test_lag_in_a_line(lag: consumer_lag.ConsumerLag, line: str) -> None:
    assert lag.summary() == line


@pytest.mark.parametrize(
    ("answers", "lag"),
    [
        ([metrics("30.0", "4.0", "0.2"), metrics("12.0", "7.0", "0.9")], consumer_lag.ConsumerLag(42, 7.0, 0.9)),
        ([metrics("30.0"), metrics("NaN")], None),
        ([], None),
    ],
    ids=["shared", "one has no lag", "none"],
)
def test_the_lag_of_consumers_that_share_the_topic_adds_up(
    answers: list[str], lag: consumer_lag.ConsumerLag | None
) -> None:
    cluster: Any = SimpleNamespace(text=lambda path: answers[int(path.partition("consumer-")[2][0])])
    consumers = [pod(f"consumer-{number}") for number in range(len(answers))]
    assert consumer_lag.read(cluster, consumers) == lag


def test_freshness_in_a_line() -> None:
    fresh = freshness.Freshness(NOW, NOW, 1200, 0, 0)
    assert fresh.summary(NOW) == "newest candle 2026-11-23 10:00, changed 0s ago; 1,200 candles, no gap"
    assert "2 gaps, 30 trades missing" in freshness.Freshness(NOW, NOW, 1, 2, 30).summary(NOW)
    assert freshness.Freshness(None, None, 0, 0, 0).summary(NOW) == "no candle yet"


@pytest.mark.parametrize(("ports", "listens"), [([9092, 9094], True), ([9092], False)])
def test_kafka_is_forwarded_if_it_has_the_listener_for_external_clients(ports: list[int], listens: bool) -> None:
    broker = pod("crypto-dual-0") | {
        "spec": {"containers": [{"name": "kafka", "ports": [{"containerPort": port} for port in ports]}]}
    }
    broker["metadata"]["labels"] = {"app.kubernetes.io/name": "kafka"}  # type: ignore[index]
    assert port_forward.has_external_listener([pod(), broker]) is listens


class ClusterWithStrimzi:
    """A cluster with a Kafka by Strimzi that has no listener for external clients."""

    def __init__(self, context: str) -> None:
        self.context = context

    def items(self, kind: str) -> list[dict[str, object]]:
        meta = {"name": "crypto-dual-0", "labels": {"app.kubernetes.io/name": "kafka"}}
        return [{"metadata": meta, "spec": {"containers": [{"name": "kafka", "ports": [{"containerPort": 9092}]}]}}]


def test_forward_prints_why_kafka_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(port_forward, "KubeApi", ClusterWithStrimzi)
    with pytest.raises(Problem, match="no pod to forward to"):
        port_forward.main(OpsSettings(KUBE_CONTEXT="theirs"), [])
    assert "redirects clients to names that only resolve in the cluster" in capsys.readouterr().out


def test_a_forward_with_much_output_is_not_blocked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        "#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' 'x' >&2\necho >&2; echo the last word >&2\nexit 1\n"
    )
    kubectl.chmod(0o755)
    monkeypatch.setattr(port_forward, "path_of", lambda _: str(kubectl))
    reported: list[str] = []
    one = port_forward.PortForward(next(end for end in ENDPOINTS if end.component == "postgres"), 1, "theirs")
    ready = pods([pod("postgres-0", ready=True)], NOW)
    monkeypatch.setattr(port_forward, "target", lambda running, component: "postgres-0")
    one.step(ready, reported.append)
    assert one.process is not None
    assert one.process.wait(10) == 1
    one.step(ready, reported.append)
    one.stop()
    assert any("broken: the last word" in line for line in reported)


def test_kafkas_advertised_port_is_changed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_forward, "is_free", lambda port: False)
    kafka, postgres = (next(one for one in ENDPOINTS if one.component == name) for name in ("kafka", "postgres"))
    with pytest.raises(
        Problem, match=r"make up KAFKA_PORT=19092.*; then make forward KUBE_CONTEXT=theirs KAFKA_PORT=19092$"
    ):
        port_forward.check_port(port_forward.PortForward(kafka, 9092, "theirs"))
    with pytest.raises(Problem, match=r"; make forward KUBE_CONTEXT=theirs POSTGRES_PORT=15432$"):
        port_forward.check_port(port_forward.PortForward(postgres, 5432, "theirs"))
