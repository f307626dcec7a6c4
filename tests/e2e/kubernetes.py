"""The platform on kind, driven by kubectl, helm and the node's container."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence

from pytest_kind import KindCluster

from ops.common import units
from ops.common.candle_variant import MERGERS, Variant, replaced_by
from ops.common.settings import NAMESPACE
from ops.kubernetes import kind_cluster, memory
from ops.platform import make_command
from ops.platform.airflow import has_ended
from tests.e2e import environment
from tests.e2e.outside_exchange import OutsideExchange
from tests.e2e.platforms import BATCH_SECONDS, MemoryLimits, Platform, Server, Simulator
from tests.e2e.programs import Done, attempt, run
from tests.e2e.waiting import wait_until
from tests.e2e.workloads import Object, Workloads

OPERATORS = (".kafka.strimzi.io", ".core.strimzi.io", ".sparkoperator.k8s.io")  # the API groups of their CRDs
SECOND_TAG = "-second"
_NODE_PORTS: dict[Server, int] = {
    "kafka": 30092, "postgres": 30432, "minio": 30900, "simulator": 30899, "airflow": 30808, "superset": 30888,
    "api": 30800, "prometheus": 30990,
}  # fmt: skip
# The Secret and the key that hold each user's password.
_PASSWORDS: dict[tuple[Server, str], tuple[str, str]] = {
    ("kafka", "admin"): ("kafka", "KAFKA_ADMIN_PASSWORD"),
    ("kafka", "producer"): ("producer", "KAFKA_SASL_PASSWORD"),
    ("kafka", "consumer"): ("consumer", "KAFKA_SASL_PASSWORD"),
    ("kafka", "spark"): ("spark", "KAFKA_SASL_PASSWORD"),
    ("kafka", "publisher"): ("publisher", "KAFKA_SASL_PASSWORD"),
    ("kafka", "api"): ("api", "KAFKA_SASL_PASSWORD"),
    ("kafka", "reader"): ("reader", "KAFKA_SASL_PASSWORD"),
    ("postgres", "superuser"): ("postgres", "POSTGRES_PASSWORD"),
    ("postgres", "writer"): ("consumer", "POSTGRES_PASSWORD"),
    ("postgres", "transformer"): ("dbt", "POSTGRES_PASSWORD"),
    ("postgres", "gate"): ("ge", "POSTGRES_PASSWORD"),
    ("postgres", "producer"): ("producer", "POSTGRES_PASSWORD"),
    ("postgres", "reader"): ("reader", "POSTGRES_PASSWORD"),
    ("superset", "admin"): ("superset-prepare", "SUPERSET_ADMIN_PASSWORD"),
    ("postgres", "airflow"): ("airflow", "PGPASSWORD"),
    ("airflow", "admin"): ("airflow", "AIRFLOW_ADMIN_PASSWORD"),
    ("minio", "root"): ("minio", "MINIO_ROOT_PASSWORD"),
    ("minio", "consumer"): ("consumer", "S3_SECRET_KEY"),
    ("minio", "spark"): ("spark", "S3_SECRET_KEY"),
    ("minio", "exporter"): ("exporter", "S3_SECRET_KEY"),
    ("minio", "gate"): ("ge", "S3_SECRET_KEY"),
    ("minio", "sweep"): ("sweep", "S3_SECRET_KEY"),
    ("minio", "api"): ("api", "S3_SECRET_KEY"),
    ("minio", "reader"): ("reader", "S3_SECRET_KEY"),
}


class Kubernetes(Platform):
    """The namespace of the releases in ``cluster``."""

    name = "kind"

    def __init__(self, cluster: KindCluster, variant: Variant) -> None:
        """Find out what is installed.

        Raises:
            LookupError: nothing is installed.
            Problem: the record of the last ``make up`` does not fit the cluster, or the exchange cannot be steered.
        """
        self.cluster = cluster
        self._kubeconfig = str(cluster.kubeconfig_path)
        self.workloads = Workloads(self.get)
        self.environment = environment.find(self.get, variant)
        super().__init__(
            variant, Simulator(self) if self.environment.simulates else OutsideExchange.at(self.environment.ws_url)
        )
        self._before: dict[str, int] = {}  # the revision of each changed release before its first change
        self._second: list[str] = []

    # Helpers for kubectl and helm

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl in the namespace and return its output."""
        return run(*self._kubectl(*arguments), stdin=stdin, seconds=seconds)

    def tries(self, *arguments: str, stdin: str | None = None) -> Done:
        """Run kubectl in the namespace and return its exit code and output."""
        return attempt(*self._kubectl(*arguments), stdin=stdin)

    def _kubectl(self, *arguments: str) -> list[str]:
        context = f"kind-{self.cluster.name}"
        program = [str(self.cluster.kubectl_path), "--kubeconfig", self._kubeconfig, "--context", context]
        return [*program, "--namespace", NAMESPACE, *arguments]

    def helm(self, *arguments: str, stdin: str | None = None, seconds: float = 300) -> str:
        """Run helm in the namespace and return its output."""
        context = f"kind-{self.cluster.name}"
        where = ["--kubeconfig", self._kubeconfig, "--kube-context", context, "--namespace", NAMESPACE]
        return run("helm", *arguments, *where, stdin=stdin, seconds=seconds)

    def get(self, kind: str, *arguments: str) -> list[Object]:
        """Return the namespace's objects of ``kind``."""
        items: list[Object] = json.loads(self.kubectl("get", kind, *arguments, "-o", "json"))["items"]
        return items

    def custom_resources(self) -> list[Object]:
        """Return the namespace's objects of all kinds that the operators' CRDs define."""
        named = self.kubectl("get", "crds", "-o", "name").split()
        found = [name.partition("/")[2] for name in named if name.endswith(OPERATORS)]
        return self.get(",".join(found)) if found else []

    def secrets(self) -> dict[str, dict[str, str]]:
        """Return the stored data of each Secret except Helm's, by name."""
        return {
            secret["metadata"]["name"]: secret.get("data", {})
            for secret in self.get("secrets")
            if secret["type"] != "helm.sh/release.v1"
        }

    def passwords(self) -> dict[tuple[str, str], str]:
        """Return the password of each login: (server, user)."""
        return {login: self.find_password(*login) for login in _PASSWORDS}

    def pods(self, *components: str) -> list[Object]:
        """Return the pods that keep running, of ``components`` or of all."""
        return self.workloads.pods(*components)

    def helmfile(self, *action: str, variant: Variant, settings: Mapping[str, str] | None = None) -> None:
        """Run helmfile on the installed environment with ``variant`` and further variables."""
        env = {**self.environment.variables(variant), **(settings or {}), "KUBECONFIG": self._kubeconfig}
        run(*self.environment.helmfile(*action), env=env, seconds=540)

    def run_job(self, job: Object, seconds: float) -> None:
        """Create ``job``, wait for its success and remove it.

        Raises:
            AssertionError: it fails or takes longer than ``seconds``; the text has the last lines of its pods' logs.
        """
        name = job["metadata"]["name"]
        self.kubectl("delete", "job", name, "--ignore-not-found", "--cascade=foreground")
        self.kubectl("create", "-f", "-", stdin=json.dumps(job))

        def ended() -> list[Object]:
            status = json.loads(self.kubectl("get", "job", name, "-o", "json"))["status"]
            return [its for its in status.get("conditions", []) if its["type"] in {"Complete", "Failed"}]

        try:
            conditions = wait_until(ended, seconds, f"job {name} ends", every=2)
            assert any(condition["type"] == "Complete" for condition in conditions), conditions
        except AssertionError as error:
            logs = ["logs", "-l", f"job-name={name}", "--all-containers", "--prefix", "--tail=20"]
            raise AssertionError(f"{error}\n{attempt(*self._kubectl(*logs)).out}") from error
        self.kubectl("delete", "job", name, "--cascade=foreground")

    # Platform

    def find_port(self, server: Server) -> int:
        """See :class:`Platform`, as for all below."""
        node = kind_cluster.node()
        assert node is not None, f"there is no container {kind_cluster.NODE}: {make_command.make_up()}"
        again = f"make down && {make_command.make_up()}"
        assert _NODE_PORTS[server] in node.bound, f"no port leads to {server}: {again}"
        return node.bound[_NODE_PORTS[server]]

    def find_password(self, server: Server, user: str) -> str:
        name, key = _PASSWORDS[server, user]
        secret = json.loads(self.kubectl("get", "secret", name, "-o", "json"))
        return b64decode(secret["data"][key]).decode()

    @property
    def memory_limits(self) -> MemoryLimits:
        return self.environment.memory_limits

    def instances(self, component: str) -> frozenset[str]:
        return self.workloads.instances(component)

    def is_settled(self, component: str) -> bool:
        return self.workloads.is_settled(component, self.environment.owners(component))

    def kill(self, component: str) -> None:
        names = [pod["metadata"]["name"] for pod in self.pods(component)]
        assert names, f"no pod of {component}"
        self.kubectl("delete", "pod", *names, "--grace-period=0", "--force", "--wait=false")

    def change(self, component: str, *, settings: Mapping[str, str] | None = None, tag: str | None = None) -> None:
        if component not in self._before:
            self._before[component] = self._revision(component)
        values: Object = {"settings": dict(settings)} if settings else {}
        if tag:
            values["image"] = {"tag": tag}
        chart = f"charts/{component}"
        options = ["--reuse-values", "--values", "-", "--wait", "--timeout", "4m"]
        self.helm("upgrade", component, chart, *options, stdin=json.dumps(values))
        self.wait_settled(component)

    def _revision(self, release: str) -> int:
        return int(json.loads(self.helm("status", release, "-o", "json"))["version"])

    def change_back(self, *components: str) -> None:
        for component in components:
            if component in self._before:
                self.helm("rollback", component, str(self._before.pop(component)), "--wait", "--timeout", "4m")
                self.wait_settled(component)
        self._drop_second_tags()

    def merge_by(self, variant: Variant, symbols: Sequence[str]) -> None:
        both = (part for name in MERGERS["both"] for part in ("--selector", f"name={name}"))
        self.helmfile(*both, "sync", variant=variant, settings={"SYMBOLS": ",".join(symbols)})
        for name in MERGERS["both"]:
            self._before.pop(name, None)
        self.wait_settled(*MERGERS[variant])
        gone = replaced_by(variant)
        wait_until(lambda: not any(map(self.workloads.members, gone)), 60, "the other variant is gone")

    def second_tag(self, component: str) -> str:
        (pod,) = self.pods(component)
        image = pod["spec"]["containers"][0]["image"]
        second = f"{image}{SECOND_TAG}"
        run("docker", "tag", image, second)
        self.cluster.load_docker_image(second)
        self._second.append(second)
        return second.rpartition(":")[2]

    def _drop_second_tags(self) -> None:
        """Remove the second tags, except those that a pod still uses."""
        used = {container["image"] for pod in self.pods() for container in pod["spec"]["containers"]}
        for image in [image for image in self._second if image not in used]:
            run("docker", "rmi", image)
            run("docker", "exec", kind_cluster.NODE, "ctr", "-n", "k8s.io", "images", "rm", f"docker.io/{image}")
            self._second.remove(image)

    def run_batch(self) -> None:
        with self.airflow() as api:
            run = api.trigger()
            api.pause(paused=False)
            ended = wait_until(
                lambda: its if has_ended(its := api.run(run)) else None, BATCH_SECONDS, f"run {run} ends", every=2
            )
            api.pause(paused=True)
            self.wait_no_run(api)
        assert ended["state"] == "success", ended

    def restart(self) -> None:
        before = {component: self.instances(component) for component in self.streaming}
        run("docker", "restart", kind_cluster.NODE)

        def answers() -> bool:
            return attempt(*self._kubectl("get", "--raw", "/readyz"), seconds=10).code == 0

        wait_until(answers, 120, "the API server answers again", every=1)
        for component in self.streaming:
            self.wait_replaced(component, before[component], seconds=240)

    def memory(self) -> dict[str, float]:
        def measured() -> dict[str, float]:
            summary = json.loads(self.kubectl("get", "--raw", f"/api/v1/nodes/{kind_cluster.NODE}/proxy/stats/summary"))
            sizes = memory.working_sets([summary])
            found = {
                component: [
                    sizes.get(pod["metadata"]["name"], 0) / units.MIB for pod in self.workloads.members(component)
                ]
                for component in (*self.streaming, *self.environment.others)
            }
            complete = all(its and all(its) for its in found.values())
            return {component: round(sum(its), 1) for component, its in found.items()} if complete else {}

        return wait_until(measured, 90, "the kubelet knows the memory of every pod", every=3)

    def log_command(self, component: str) -> list[str]:
        (pod,) = self.pods(component)
        return self._kubectl("logs", "--follow", pod["metadata"]["name"])

    def diagnosis(self) -> str:
        commands = [["get", "pods", "-o", "wide"], ["get", "events", "--sort-by=.lastTimestamp"]]
        commands += [
            ["logs", "--tail=15", "--prefix", "-l", f"app.kubernetes.io/name={name}"] for name in self.streaming
        ]
        parts = []
        for command in commands:
            done = attempt(*self._kubectl(*command), seconds=30)
            parts.append("\n".join([f"$ kubectl {' '.join(command)}", *(done.out or done.err).splitlines()[-40:]]))
        return "\n\n".join(parts)
