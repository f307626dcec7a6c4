"""The batch in Airflow with real pods: up to gold and the lake, and with each kind of failure."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

import httpx
import pytest
import yaml
from pyarrow import parquet

from ops.common.settings import NAMESPACE
from ops.platform.airflow import Airflow
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.pipeline import (
    MEASURES,
    NAMES,
    RECEIVER,
    RECEIVER_PROGRAM,
    RUN_SECONDS,
    Pipeline,
    check_alert,
    check_gold,
    check_stopped_at_the_gate,
    gold,
    poisoned,
)
from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, wait_caught_up
from tests.e2e.report import Report
from tests.e2e.waiting import Stopwatch, wait_until
from tests.e2e.workloads import Object

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]

CONTAINERS = ("api-server", "scheduler", "dag-processor")
STARTUP_SECONDS = 20
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


class PipelineOfPods(Pipeline):
    """The pipeline in the running Airflow, its steps' Pods, and its webhook."""

    def __init__(self, kubernetes: Kubernetes, api: Airflow) -> None:
        super().__init__(api)
        self.kubernetes = kubernetes
        self._templates = self._read()

    def _read(self) -> dict[str, str]:
        data: dict[str, str] = json.loads(self.kubernetes.kubectl("get", "configmap", "batch-steps", "-o", "json"))[
            "data"
        ]
        return data

    def pod_of(self, task: str, number: int) -> Object | None:
        """Return the pod of a running try."""
        found = self.kubernetes.get("pods", "-l", f"task_id={task},try_number={number}")
        return found[0] if found else None

    def change(self, task: str, *, spec: Object | None = None, container: Object | None = None) -> None:
        """Change the Pod of a step, and wait until the scheduler's volume has it."""
        pod = yaml.safe_load(self._templates[f"{task}.yaml"])
        pod["spec"] |= spec or {}
        pod["spec"]["containers"][0] |= container or {}
        self._write({f"{task}.yaml": yaml.safe_dump(pod)})

    def change_back(self) -> None:
        """Restore all Pods as the chart rendered them."""
        self._write(self._templates)

    def _write(self, files: dict[str, str]) -> None:
        self.kubernetes.kubectl("patch", "configmap", "batch-steps", "--type=merge", "-p", json.dumps({"data": files}))

        def seen() -> bool:
            # A changed annotation makes the kubelet update the pod's volumes at once.
            self.kubernetes.kubectl("annotate", "pod", "airflow-0", f"e2e={time.time()}", "--overwrite")
            read = "import pathlib, sys; sys.stdout.write(pathlib.Path(sys.argv[1]).read_text())"
            return all(
                self.kubernetes.kubectl("exec", "airflow-0", "-c", "scheduler", "--", "python", "-c", read,
                                        f"/etc/batch-steps/{name}") == text
                for name, text in files.items()
            )  # fmt: skip

        wait_until(seen, 120, "the scheduler sees the changed Pod", every=2)

    def receiver_log(self) -> str:
        return self.kubernetes.kubectl("logs", RECEIVER)


def _receiver(image: str) -> list[Object]:
    labels = {"app.kubernetes.io/name": RECEIVER}
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    own = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "it",
        "image": image,
        "command": ["python", "-uc", RECEIVER_PROGRAM],
        "securityContext": confined,
    }

    def policy(name: str, pod: Object, direction: str, peer: str, other: Object) -> Object:
        rule = {peer: [{"podSelector": {"matchLabels": other}}], "ports": [{"port": 8000, "protocol": "TCP"}]}
        spec = {"podSelector": {"matchLabels": pod}, "policyTypes": [direction.capitalize()], direction: [rule]}
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}

    airflow = {"app.kubernetes.io/name": "airflow"}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": RECEIVER, "labels": labels},
         "spec": {"containers": [container], "securityContext": own, "automountServiceAccountToken": False}},
        policy(RECEIVER, labels, "ingress", "from", airflow),
        policy(f"{RECEIVER}-airflow", airflow, "egress", "to", labels),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(kubernetes: Kubernetes) -> Iterator[PipelineOfPods]:
    """Yield the pipeline without its schedule, with short waits between tries and a test webhook."""
    (sweep,) = kubernetes.get("cronjobs", "-l", "app.kubernetes.io/name=sweep")
    image = sweep["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"]
    things = json.dumps({"apiVersion": "v1", "kind": "List", "items": _receiver(image)})
    try:
        kubernetes.kubectl("apply", "-f", "-", stdin=things)
        kubernetes.kubectl("wait", "pod", RECEIVER, "--for=condition=Ready", "--timeout=60s")
        address = json.loads(kubernetes.kubectl("get", "pod", RECEIVER, "-o", "json"))["status"]["podIP"]
        url = json.dumps({"stringData": {"ALERT_WEBHOOK_URL": f"http://{address}:8000/"}})
        kubernetes.kubectl("patch", "secret", "airflow", "-p", url)
        quick = {
            "BATCH_SCHEDULE": "0 0 1 1 *",
            "BATCH_RETRY_SECONDS": "1",
            "BATCH_STARTUP_SECONDS": str(STARTUP_SECONDS),
        }
        kubernetes.change("airflow", settings=quick)
        with kubernetes.airflow() as api:
            api.pause(paused=False)
            made = PipelineOfPods(kubernetes, api)
            try:
                yield made
            finally:
                made.change_back()
                kubernetes.wait_no_run(api)
                api.pause(paused=True)
    finally:
        gone = json.dumps([{"op": "remove", "path": "/data/ALERT_WEBHOOK_URL"}])
        kubernetes.tries("patch", "secret", "airflow", "--type=json", "-p", gone)
        kubernetes.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=things)
        kubernetes.change_back("airflow")


def test_a_wrong_login_is_refused(kubernetes: Kubernetes) -> None:
    with kubernetes.airflow("not-the-password") as api, pytest.raises(httpx.HTTPStatusError) as refused:
        api.pipeline()
    assert refused.value.response.status_code == 401


def test_the_account_may_make_pods_and_read_no_secret(kubernetes: Kubernetes) -> None:
    account = f"--as=system:serviceaccount:{NAMESPACE}:airflow"
    asked = {
        "create pods": True,
        "delete pods": True,
        "get pods --subresource=log": True,
        "list events": True,
        "create pods --subresource=exec": False,
        "get secrets": False,
        "list secrets": False,
        "get configmaps": False,
        "create pods --namespace=default": False,
    }
    allowed = {
        permission: kubernetes.tries("auth", "can-i", *permission.split(), account).code == 0 for permission in asked
    }
    assert allowed == asked


def test_only_the_scheduler_has_a_token(kubernetes: Kubernetes) -> None:
    found = [
        name
        for name in CONTAINERS
        if kubernetes.tries("exec", "airflow-0", "-c", name, "--", "test", "-e", TOKEN).code == 0
    ]
    assert found == ["scheduler"]


def test_a_triggered_run_builds_gold_of_all_that_came_while_it_was_paused(
    pipeline: PipelineOfPods, platform: Platform, report: Report
) -> None:
    wait_caught_up(platform, DEFAULT_SYMBOLS)
    started = datetime.now(UTC)
    watch = Stopwatch()
    run, tasks = pipeline.run()
    report.recovered["airflow: trigger to success"] = watch.seconds
    assert run["state"] == "success", {name: its["state"] for name, its in tasks.items()}
    assert sorted(tasks, key=lambda name: str(tasks[name]["start_date"])) == NAMES
    assert watch.seconds < RUN_SECONDS
    found = check_gold(platform, started)
    with platform.postgres("reader") as connection:
        different = connection.execute(
            "select symbol, open_time, status from analytics.reconciliation_klines_1m where status = 'different'"
        ).fetchall()
    assert different == []
    lake = platform.objects("reader")
    exported = [item.key for item in lake.list("gold", "klines_5m/") if item.key.endswith(".parquet")]
    tables = {key: parquet.read_table(BytesIO(lake.get("gold", key))).to_pylist() for key in exported}
    assert {
        (key.partition("symbol=")[2].partition("/")[0], row["open_time"]): {
            name: Decimal(row[name]) for name in MEASURES
        }
        for key, rows in tables.items()
        for row in rows
    } == found
    log = pipeline.api.log(run["dag_run_id"], "dbt_gold", 1)
    assert any("Completed successfully" in line for line in log), log[-20:]
    wait_until(lambda: not pods_of_steps(pipeline), 60, "no pod of a step is left")


def pods_of_steps(pipeline: PipelineOfPods) -> list[str]:
    return [pod["metadata"]["name"] for pod in pipeline.kubernetes.get("pods", "-l", "dag_id=crypto_batch_pipeline")]


def test_a_poisoned_row_stops_at_the_gate_and_the_next_run_recovers_though_postgres_stops(
    pipeline: PipelineOfPods, platform: Platform, report: Report
) -> None:
    """Two runs are triggered at once: the second one waits for the end of the first.

    The first run leaves out dbt's tests of silver, which would find the rows before the gate does.
    """
    before, alerts_before = gold(platform), len(pipeline.alerts())
    pipeline.change("dbt_test_silver", container={"command": ["dbt", "--version"]})
    with poisoned(platform):
        bad, good = pipeline.api.trigger(), pipeline.api.trigger()
        first = pipeline.ended(bad)
        assert first["state"] == "failed"
        check_stopped_at_the_gate(pipeline.api.tasks(bad))
        assert gold(platform) == before
        (alert,) = pipeline.alerts()[alerts_before:]
        check_alert(alert, bad, platform.port("airflow"))
    # PostgreSQL, which also has Airflow's metadata, goes down in the middle of the next run.
    instances = platform.instances("postgres")
    wait_until(lambda: pipeline.pod_of("dbt_silver", 1), 120, "dbt_silver of the good run")
    watch = Stopwatch()
    platform.kill("postgres")
    platform.wait_replaced("postgres", instances)
    assert pipeline.ended(good)["state"] == "success"
    report.recovered["airflow: run with PostgreSQL killed"] = watch.seconds
    assert pipeline.api.run(good)["start_date"] >= first["end_date"], "two runs overlapped"
    assert len(pipeline.alerts()) == alerts_before + 1
    pipeline.change_back()


def test_a_run_over_nothing_new_takes_seconds_a_step(pipeline: PipelineOfPods, report: Report) -> None:
    run, tasks = pipeline.run()
    assert run["state"] == "success"
    report.recovered |= {f"airflow, nothing new: {name}": round(tasks[name]["duration"], 1) for name in NAMES}
    assert max(tasks[name]["duration"] for name in NAMES) < 30


def test_a_pod_that_hangs_needs_too_much_or_fits_nowhere_is_a_failed_try_with_its_reason(
    pipeline: PipelineOfPods, report: Report
) -> None:
    """One run with three tries; the Pod of each try is changed while the try before it runs."""
    step, alerts_before = "backfill_recent", len(pipeline.alerts())
    eat = ["python", "-c", "import time; time.sleep(12); print('eating', flush=True); b'x' * 2**29"]
    pipeline.change(
        step,
        spec={"activeDeadlineSeconds": 15, "terminationGracePeriodSeconds": 1},
        container={"command": ["sleep", "600"]},
    )
    run = pipeline.api.trigger()
    watch = Stopwatch()
    wait_until(lambda: pipeline.pod_of(step, 1), 60, "the pod that hangs")
    little = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    pipeline.change(step, container={"command": eat, "resources": little})
    wait_until(lambda: pipeline.pod_of(step, 2), 60, "the pod that needs too much")
    pipeline.change(
        step, container={"resources": {"requests": {"cpu": "900", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}}
    )
    assert pipeline.ended(run)["state"] == "failed"
    wait_until(lambda: not pods_of_steps(pipeline), 60, "no pod of a failed try is left")
    report.recovered["airflow: three failed tries"] = watch.seconds
    task_logs = ["\n".join(pipeline.api.log(run, step, number)) for number in (1, 2, 3)]
    assert "timed out: it did not finish within" in task_logs[0]
    assert "OOMKilled: it needed more memory than its limit of 64Mi" in task_logs[1]
    assert f"no node could take it within {STARTUP_SECONDS} s: 0/1 nodes are available" in task_logs[2]
    (alert,) = pipeline.alerts()[alerts_before:]
    assert "Insufficient cpu" in alert
    pipeline.change_back()
