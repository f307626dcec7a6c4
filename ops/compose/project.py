"""The Compose project: calls of docker compose, and the project's containers, volumes and addresses."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeInt
from rich.console import Console

from crypto_analytics.batch.step_definitions import STEPS
from crypto_analytics.runtime.settings import HttpUrl, SettingsGroup, WebSocketUrl, load
from ops.common import secret_files
from ops.common.errors import Problem
from ops.common.external_programs import path_of, run, succeeds
from ops.common.paths import ROOT, STATE
from ops.compose import env_file
from ops.platform import airflow
from ops.platform.endpoints import ENDPOINTS, Installation

FILE = ROOT / "docker-compose.yml"
TAGS = STATE / "images.env"
STEPS_OF_BATCH = tuple(step.name.replace("_", "-") for step in STEPS)  # the services of the steps, in order
_LABEL = "com.docker.compose.project"
_EXCHANGE = {
    "BINANCE_WS_URL": "binanceWsUrl",
    "BINANCE_REST_URL": "binanceRestUrl",
}  # the values of environments/base.yaml

# The variables of docker-compose.yml beside passwords and tags. `make compose-up` saves those that are set, so that
# later commands, even from another shell, use the same project and do not recreate its containers.
VARIABLES = (
    "KAFKA_PORT",
    "POSTGRES_PORT",
    "MINIO_PORT",
    "MINIO_CONSOLE_PORT",
    "AIRFLOW_PORT",
    "SIM_PORT",
    "SPARK_UI_PORT",
    "SUPERSET_PORT",
    "API_PORT",
    "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT",
    "SCRAPE_TARGETS",
    "AIRFLOW_METRICS",
    "SYMBOLS",
    "SIM_TRADES_PER_MINUTE",
    "BINANCE_WS_URL",
    "BINANCE_REST_URL",
    "IMAGE_REGISTRY",
    "ANONYMOUS_READ",
    "DOCKER_SOCKET",
    "DOCKER_SOCKET_GID",
    "OBJECT_STORE_SERVER",
)

ObjectStoreServer = Literal["minio", "versitygw"]


_NOT_PASSED_ON = {*env_file.NAMES, *env_file.OPTIONAL, *VARIABLES}


class ComposeSettings(SettingsGroup):
    """Settings of the Compose targets, beside the ports."""

    COMPOSE_PROJECT_NAME: str = Field(
        "crypto-analytics",
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="prefix of the names of containers and volumes",
    )
    PROFILE: Literal["core", "stream"] = Field(
        "stream", description="core: only the stores; stream: with the streaming services"
    )
    BI: bool = Field(False, description="start Superset with the dashboard too")
    MONITORING: bool = Field(True, description="start Prometheus and Alertmanager too")
    AIRFLOW: bool = Field(False, description="start Airflow too, which runs the batch every five minutes")
    DOCKER_SOCKET: str = Field(
        "/var/run/docker.sock",
        description="socket of the Docker engine, for Airflow's tasks; rootless Docker has another",
    )
    FEED: Literal["simulator", "binance"] = Field("simulator", description="source of the trades")
    BINANCE_WS_URL: WebSocketUrl | None = Field(None, description="WebSocket host of another exchange")
    BINANCE_REST_URL: HttpUrl | None = Field(None, description="its REST host")
    IMAGE_REGISTRY: str = Field("", description="registry of the images, with its path; empty: built on this machine")
    OBJECT_STORE_SERVER: ObjectStoreServer = Field("minio", description="S3 server: minio or versitygw")
    EVERY: NonNegativeInt = Field(0, description="minutes from one batch run to the next; 0: run once")
    VOLUMES: bool = Field(False, description="remove the data too")


@dataclass(frozen=True)
class Project:
    """A Compose project: its name and the values of ``VARIABLES``."""

    name: str
    variables: Mapping[str, str]

    @property
    def replaced_object_store(self) -> ObjectStoreServer:
        """The S3 server that is not part of the project."""
        return "minio" if self.variables.get("OBJECT_STORE_SERVER") else "versitygw"

    def command(self, *arguments: str, profile: str = "*") -> list[str]:
        """Return the command line of ``docker compose`` for one or more comma-separated profiles; it has no secret."""
        files = [file for file in (env_file.FILE, TAGS) if file.is_file()]
        return [
            path_of("docker"),
            "compose",
            *("--project-name", self.name, "--project-directory", str(ROOT), "--file", str(FILE)),
            *(part for file in files for part in ("--env-file", str(file))),
            *(part for one in profile.split(",") for part in ("--profile", one)),
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of ``docker compose``, without passwords: these come from .env only."""
        env = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        return env | dict(self.variables)

    def call(self, *arguments: str, profile: str = "*") -> bool:
        """Run ``docker compose`` with its own output on the terminal; return whether it succeeded."""
        command = self.command(*arguments, profile=profile)
        return subprocess.run(command, check=False, cwd=ROOT, env=self.environment()).returncode == 0

    def ask(self, *arguments: str, profile: str = "*") -> str:
        """Return the output of ``docker compose``.

        Raises:
            Problem: it fails.
        """
        return run(*self.command(*arguments, profile=profile), env=self.environment(), fix="make compose-up")

    def save(self) -> None:
        """Save the variables for later commands."""
        STATE.mkdir(exist_ok=True)
        _kept(self.name).write_text("".join(secret_files.line(*one) for one in self.variables.items()))


def requested(settings: ComposeSettings, environment: Mapping[str, str] = os.environ) -> Project:
    """Return the project that the user requests now.

    Raises:
        Problem: only one of the exchange's two hosts is set, so trades of two exchanges would be mixed.
    """
    given = [name for name in _EXCHANGE if environment.get(name)]
    if len(given) == 1:
        (missing,) = set(_EXCHANGE) - set(given)
        cause = f"{given[0]} is set and {missing} is not: gaps would be repaired with another exchange's trades"
        both = f"{given[0]}={environment[given[0]]} {missing}=…"
        fix = f"make compose-up {both}; for Binance's own hosts: FEED=binance alone"
        raise Problem("one of the exchange's two hosts is missing", cause, fix)
    return _named(settings, environment)


def _named(settings: ComposeSettings, environment: Mapping[str, str]) -> Project:
    named = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if settings.OBJECT_STORE_SERVER == "minio":
        named.pop("OBJECT_STORE_SERVER", None)  # docker-compose.yml distinguishes only a set variable from an empty one
    if settings.FEED == "binance":
        values = yaml.safe_load((ROOT / "environments" / "base.yaml").read_text())
        named = {name: values[value] for name, value in _EXCHANGE.items()} | named
    if registry := named.get("IMAGE_REGISTRY"):
        named["IMAGE_REGISTRY"] = registry.rstrip("/") + "/"
    return Project(settings.COMPOSE_PROJECT_NAME, named)


def running(settings: ComposeSettings) -> Project:
    """Return the project as last started, or as requested now if it was never started."""
    kept = _kept(settings.COMPOSE_PROJECT_NAME)
    if not kept.is_file():
        return _named(settings, os.environ)
    return Project(settings.COMPOSE_PROJECT_NAME, secret_files.values(kept.read_text()))


def saved_projects() -> list[str]:
    """Return the names of all projects started from this checkout whose data was not removed."""
    return sorted(file.stem.removeprefix("compose-") for file in STATE.glob("compose-*.env"))


def _kept(name: str) -> Path:
    return STATE / f"compose-{name}.env"


@dataclass(frozen=True)
class Container:
    """A container of the project. ``health`` is empty without a check; ``ports`` are host ports by container port."""

    name: str
    service: str
    state: str
    health: str
    exit_code: int
    tries: int
    seconds: float
    ports: Mapping[int, int]

    @property
    def failed(self) -> bool:
        """Whether the container exited with an error, restarts repeatedly, or is unhealthy."""
        has_failed = self.state in {"exited", "dead"} and self.exit_code != 0
        return has_failed or self.state == "restarting" or self.health == "unhealthy"


def containers(name: str) -> list[Container]:
    """Return the project's containers in any state, ordered by service."""
    listed = run("docker", "ps", "--all", "--quiet", "--filter", f"label={_LABEL}={name}", fix="make doctor").split()
    if not listed:
        return []
    return parse(json.loads(run("docker", "inspect", *listed, fix="run the same command again")))


def parse(inspected: Iterable[Mapping[str, Any]]) -> list[Container]:
    """Return the containers from the output of ``docker inspect``, without those of ``docker compose run``."""
    found = []
    for one in inspected:
        labels, state = one["Config"]["Labels"], one["State"]
        if labels.get("com.docker.compose.oneoff") == "True":
            continue
        published = (one["NetworkSettings"].get("Ports") or {}).items()
        found.append(
            Container(
                name=one["Name"].lstrip("/"),
                service=labels["com.docker.compose.service"],
                state=state["Status"],
                health=state.get("Health", {}).get("Status", ""),
                exit_code=state["ExitCode"],
                tries=one["RestartCount"] + 1,
                seconds=_seconds(state["StartedAt"], state["FinishedAt"]),
                ports={int(port.partition("/")[0]): int(at[0]["HostPort"]) for port, at in published if at},
            )
        )
    return sorted(found, key=lambda container: container.service)


def _seconds(started: str, finished: str) -> float:
    """Return the seconds that a container ran; 0 if it still runs or never started. Docker writes nanoseconds."""
    first, last = (datetime.fromisoformat(moment[:19]) for moment in (started, finished))
    return max(0.0, (last - first).total_seconds())


def wait_until_ended(name: str, services: Iterable[str]) -> bool:
    """Wait until the containers of these services have exited; return whether all of them succeeded.

    Raises:
        Problem: docker does not answer.
    """
    wanted = set(services)
    names = [one.name for one in containers(name) if one.service in wanted]
    if names:
        run("docker", "wait", *names, fix="docker ps --all")
    return not any(one.failed for one in containers(name) if one.service in wanted)


def last_lines(container: str, count: int) -> list[str]:
    """Return the last lines of a container's log, from both of its streams."""
    command = [path_of("docker"), "logs", "--tail", str(count), container]
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ).stdout.splitlines()


def volumes(name: str) -> list[str]:
    """Return the names of the project's volumes."""
    return run("docker", "volume", "ls", "--quiet", "--filter", f"label={_LABEL}={name}", fix="make doctor").split()


def installation() -> Installation | None:
    """Return the access to the running project from this machine; None if it does not run.

    Raises:
        Problem: the project runs, but .env with its passwords is missing.
    """
    if shutil.which("docker") is None or not succeeds("docker", "info"):
        return None
    name = load(ComposeSettings, "compose").COMPOSE_PROJECT_NAME
    return installation_of([one for one in containers(name) if one.state == "running"])


def installation_of(found: Iterable[Container]) -> Installation | None:
    """Return the access to these containers; None if none of them publishes a known port."""
    ports = {one.service: one.ports for one in found}
    reachable = [end for end in ENDPOINTS if end.pod_port in ports.get(end.component, {})]
    if not reachable:
        return None
    passwords = env_file.load(env_file.FILE)
    return Installation(
        title="Compose",
        ports={end.setting: ports[end.component][end.pod_port] for end in reachable},
        passwords={
            "KAFKA_SASL_PASSWORD": passwords["KAFKA_PASSWORD_READER"],
            "POSTGRES_PASSWORD": passwords["READER_PASSWORD"],
            "S3_SECRET_KEY": passwords["S3_SECRET_KEY_READER"],
            "SUPERSET_ADMIN_PASSWORD": passwords["SUPERSET_ADMIN_PASSWORD"],
            airflow.LOGIN_KEY: passwords["AIRFLOW_ADMIN_PASSWORD"],
        },
        components=frozenset(end.component for end in reachable),
    )


def remove(out: Console) -> None:
    """Remove the project's containers, networks and volumes, if it has any.

    Raises:
        Problem: docker fails.
    """
    settings = load(ComposeSettings, "compose")
    take_down(running(settings))
    for volume in (names := volumes(settings.COMPOSE_PROJECT_NAME)):
        run("docker", "volume", "rm", volume, fix=f"docker ps --all --filter volume={volume}")
    if names:
        out.print(f"removed the volumes {', '.join(names)}", markup=False, soft_wrap=True)
    _kept(settings.COMPOSE_PROJECT_NAME).unlink(missing_ok=True)


def take_down(project: Project) -> None:
    """Stop and remove the project's containers and its network; keep its volumes.

    Raises:
        Problem: docker fails.
    """
    # Compose interpolates the whole file even for `down`, which must work without .env and with an older one.
    blanks = dict.fromkeys(env_file.missing(env_file.FILE), "unused")
    if not Project(project.name, {**project.variables, **blanks}).call("down", "--remove-orphans"):
        raise Problem("docker compose down failed", "its message is above", "make compose-down")
