"""The platform in Compose, driven by docker and docker compose."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from crypto_analytics.runtime.settings import load
from ops.common.candle_variant import MERGERS, Variant, replaced_by
from ops.common.console import console
from ops.compose import batch as compose_batch
from ops.compose import env_file
from ops.compose import project as compose
from tests.e2e.alert_receiver import AlertReceiver
from tests.e2e.platforms import Platform, Server, Simulator
from tests.e2e.programs import ProgramFailed, attempt, run

SECOND_TAG = "-second"
_SETTINGS: dict[Server, str] = {
    "kafka": "KAFKA_PORT",
    "postgres": "POSTGRES_PORT",
    "minio": "MINIO_PORT",
    "simulator": "SIM_PORT",
    "superset": "SUPERSET_PORT",
    "airflow": "AIRFLOW_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "api": "API_PORT",
}
_KEYS = {
    ("kafka", "admin"): "KAFKA_ADMIN_PASSWORD",
    ("postgres", "superuser"): "POSTGRES_SUPERUSER_PASSWORD",
    ("minio", "root"): "MINIO_ROOT_PASSWORD",
    ("superset", "admin"): "SUPERSET_ADMIN_PASSWORD",
    ("airflow", "admin"): "AIRFLOW_ADMIN_PASSWORD",
}
_KEY_PATTERNS: dict[Server, str] = {
    "kafka": "KAFKA_PASSWORD_{}",
    "postgres": "{}_PASSWORD",
    "minio": "S3_SECRET_KEY_{}",
}
_UNITS = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0, "kB": 1e3 / 1024**2, "MB": 1e6 / 1024**2, "B": 1 / 1024**2}


class Compose(Platform):
    """The Compose project of the last `make compose-up`; changes are a further Compose file on standard input."""

    name = "compose"

    def __init__(self, variant: Variant) -> None:
        super().__init__(variant, Simulator(self))
        self._project = compose.running(load(compose.ComposeSettings, "e2e"))
        self._changed: dict[str, dict[str, Any]] = {}
        self._second: list[str] = []

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Run docker compose with the changes so far and return its output."""
        changes = json.dumps({"services": self._changed}) if self._changed else None
        files = ["--file", "-"] if changes else []
        command = self._project.command(*files, *arguments)
        return run(*command, stdin=changes, env=self._project.environment(), seconds=seconds)

    def containers(self, component: str, *options: str) -> list[dict[str, Any]]:
        """Return docker's description of each container of ``component``."""
        ids = self.compose("ps", "--quiet", *options, component).split()
        inspected: list[dict[str, Any]] = json.loads(run("docker", "inspect", *ids)) if ids else []
        return inspected

    def container_name(self, service: str) -> str:
        """Return the name of the container of ``service``."""
        return f"{self._project.name}-{service}-1"

    def is_running(self, service: str) -> bool:
        """Return whether the container of ``service`` runs, healthy or not."""
        return any(container["State"]["Running"] for container in self.containers(service, "--all"))

    def find_port(self, server: Server) -> int:
        """See :class:`Platform`, as for all below."""
        installation = compose.installation()
        assert installation is not None, "nothing of the project runs: make compose-up"
        return installation.ports[_SETTINGS[server]]

    def find_password(self, server: Server, user: str) -> str:
        key = _KEYS.get((server, user)) or _KEY_PATTERNS[server].format(user.upper())
        return env_file.load(env_file.FILE)[key]

    def instances(self, component: str) -> frozenset[str]:
        return frozenset(
            f"{container['Id']} {container['State']['StartedAt']}"
            for container in self.containers(component)
            if container["State"].get("Health", {}).get("Status") == "healthy"
        )

    def is_settled(self, component: str) -> bool:
        containers = self.containers(component, "--all")
        return len(containers) == len(self.instances(component)) == 1

    def kill(self, component: str) -> None:
        (container,) = self.containers(component)
        run("docker", "kill", container["Id"])
        run("docker", "start", container["Id"])  # docker does not restart a container killed by a command

    def change(self, component: str, *, settings: Mapping[str, str] | None = None, tag: str | None = None) -> None:
        change = self._changed.setdefault(component, {})
        change.setdefault("environment", {}).update(settings or {})
        if tag:
            (container,) = self.containers(component)
            change["image"] = f"{_repository(container['Config']['Image'])}:{tag}"
        self._roll_out(component)

    def _roll_out(self, component: str) -> None:
        self.compose("up", "--detach", "--no-deps", "--no-build", component)
        self.wait_settled(component)

    def change_step(self, step: str, program: Sequence[str]) -> None:
        """Create the container of ``step`` anew with another program."""
        self._changed[step] = {"entrypoint": list(program), "command": []}
        self._create(step)

    def change_step_back(self, step: str) -> None:
        """Create the container of ``step`` as defined."""
        if self._changed.pop(step, None) is not None:
            self._create(step)

    def _create(self, step: str) -> None:
        self.compose("up", "--no-start", "--no-deps", step)

    def change_back(self, *components: str) -> None:
        for component in components:
            if self._changed.pop(component, None) is not None:
                self._roll_out(component)
        used = {container["Config"]["Image"] for name in self.streaming for container in self.containers(name)}
        for image in [image for image in self._second if image not in used]:
            run("docker", "rmi", image)
            self._second.remove(image)

    def merge_by(self, variant: Variant, symbols: Sequence[str]) -> None:
        if replaced := [name for name in replaced_by(variant) if self.containers(name, "--all")]:
            self.compose("rm", "--stop", "--force", *replaced)
        for name in MERGERS[variant]:
            self._changed.pop(name, None)
            self.change(name, settings={"SYMBOLS": ",".join(symbols)})

    def second_tag(self, component: str) -> str:
        (container,) = self.containers(component)
        image = container["Config"]["Image"]
        second = f"{image}{SECOND_TAG}"
        run("docker", "tag", image, second)
        self._second.append(second)
        return second.rpartition(":")[2]

    def run_batch(self) -> None:
        compose_batch.run(self._project, console())

    def restart(self) -> None:
        before = {component: self.instances(component) for component in self.streaming}
        self.compose("kill", *self.streaming)
        self.compose("start", *self.streaming)
        for component in self.streaming:
            self.wait_replaced(component, before[component])

    def memory(self) -> dict[str, float]:
        sizes = {}
        for component in self.streaming:
            (container,) = self.containers(component)
            line = run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", container["Id"])
            sizes[component] = _mebibytes(line.partition("/")[0].strip())
        return sizes

    @property
    def network(self) -> str:
        """Return the Docker network of the containers."""
        return f"{self._project.name}_default"

    @contextmanager
    def stopped(self, component: str) -> Iterator[None]:
        """Stop ``component`` as an administrator does, and start it again at the end."""
        self.compose("stop", component)
        try:
            yield
        finally:
            self.compose("start", component)
            self.wait_settled(component)

    @contextmanager
    def alerting(self, receiver: AlertReceiver) -> Iterator[None]:
        """Send alerts to ``receiver`` until the end."""
        self.change("alertmanager", settings={"ALERTMANAGER_WEBHOOK_URL": receiver.url})
        try:
            yield
        finally:
            self.change_back("alertmanager")

    def log_command(self, component: str) -> list[str]:
        (container,) = self.containers(component)
        return ["docker", "logs", "--follow", container["Id"]]

    def diagnosis(self) -> str:
        try:
            return self.compose("ps", "--all") + self.compose("logs", "--tail=15", *self.streaming)
        except ProgramFailed as error:
            return f"{error}\n{attempt('docker', 'ps', '--all').out}"


def _repository(image: str) -> str:
    return image.rpartition(":")[0]


def _mebibytes(text: str) -> float:
    """Parse a size printed by docker stats ("52.13MiB") and return it in MiB."""
    number = text.rstrip("BKMGikTe")
    return round(float(number) * _UNITS[text.removeprefix(number)], 1)
