"""The Compose project: how docker compose is called for it, and what of it is there."""

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

from crypto_analytics.runtime.settings import HttpUrl, SettingsGroup, WebSocketUrl, load
from ops.common import secret_files
from ops.common.commands import path_of, run, succeeds
from ops.common.errors import Problem
from ops.common.paths import ROOT, STATE
from ops.compose import env_file
from ops.platform.endpoints import ENDPOINTS, Installation

FILE = ROOT / "docker-compose.yml"
TAGS = STATE / "images.env"
_LABEL = "com.docker.compose.project"
_EXCHANGE = {
    "BINANCE_WS_URL": "binanceWsUrl",
    "BINANCE_REST_URL": "binanceRestUrl",
}  # as environments/base.yaml calls them

# What docker-compose.yml asks for beside passwords and tags. `make compose-up` keeps those that were set, so that
# later commands, from another shell perhaps, mean the same project and do not make its containers anew.
VARIABLES = (
    "KAFKA_PORT",
    "POSTGRES_PORT",
    "MINIO_PORT",
    "MINIO_CONSOLE_PORT",
    "SIM_PORT",
    "SPARK_UI_PORT",
    "SUPERSET_PORT",
    "SYMBOLS",
    "SIM_TRADES_PER_MINUTE",
    "BINANCE_WS_URL",
    "BINANCE_REST_URL",
    "IMAGE_REGISTRY",
    "ANONYMOUS_READ",
)


class ComposeSettings(SettingsGroup):
    """What the targets for Compose are asked for, beside the ports."""

    COMPOSE_PROJECT_NAME: str = Field(
        "crypto-analytics", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="name before those of containers and volumes"
    )
    PROFILE: Literal["core", "stream"] = Field("stream", description="core: the stores alone; stream: all that streams")
    BI: bool = Field(False, description="bring up Superset with the dashboard too")
    FEED: Literal["simulator", "binance"] = Field("simulator", description="where the trades come from")
    BINANCE_WS_URL: WebSocketUrl | None = Field(None, description="WebSocket host of another exchange")
    BINANCE_REST_URL: HttpUrl | None = Field(None, description="its REST host")
    IMAGE_REGISTRY: str = Field("", description="registry of the images, with its path; empty: built on this machine")
    EVERY: NonNegativeInt = Field(0, description="minutes from one batch run to the next; 0: run once")
    VOLUMES: bool = Field(False, description="remove the data too")


@dataclass(frozen=True)
class Project:
    """A Compose project: its name and the variables that docker-compose.yml asks for."""

    name: str
    variables: Mapping[str, str]

    def command(self, *arguments: str, profile: str = "*") -> list[str]:
        """Return the command line of ``docker compose`` for ``profile``, or several with commas; no secret is in it."""
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
        """Return the environment of ``docker compose``: passwords come from .env and from nowhere else."""
        env = {name: value for name, value in os.environ.items() if name not in (*env_file.NAMES, *VARIABLES)}
        return env | dict(self.variables)

    def call(self, *arguments: str, profile: str = "*") -> bool:
        """Run ``docker compose``, which shows its progress itself; return whether it succeeded."""
        command = self.command(*arguments, profile=profile)
        return subprocess.run(command, check=False, cwd=ROOT, env=self.environment()).returncode == 0

    def ask(self, *arguments: str, profile: str = "*") -> str:
        """Return what ``docker compose`` prints.

        Raises:
            Problem: it fails.
        """
        return run(*self.command(*arguments, profile=profile), env=self.environment(), fix="make compose-up")

    def remember(self) -> None:
        """Keep the variables for later commands."""
        STATE.mkdir(exist_ok=True)
        _kept(self.name).write_text("".join(f"{name}={value}\n" for name, value in self.variables.items()))


def asked(settings: ComposeSettings, environment: Mapping[str, str] = os.environ) -> Project:
    """Return the project as the user asks for it now.

    Raises:
        Problem: one host of another exchange is named without the other: trades of two exchanges would meet.
    """
    given = [name for name in _EXCHANGE if environment.get(name)]
    if len(given) == 1:
        (missing,) = set(_EXCHANGE) - set(given)
        cause = f"{given[0]} is set and {missing} is not: holes would be filled with another exchange's trades"
        both = f"{given[0]}={environment[given[0]]} {missing}=…"
        fix = f"make compose-up {both}; for Binance's own hosts: FEED=binance alone"
        raise Problem("half of an exchange is named", cause, fix)
    return _named(settings, environment)


def _named(settings: ComposeSettings, environment: Mapping[str, str]) -> Project:
    named = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if settings.FEED == "binance":
        values = yaml.safe_load((ROOT / "environments" / "base.yaml").read_text())
        named = {name: values[value] for name, value in _EXCHANGE.items()} | named
    if registry := named.get("IMAGE_REGISTRY"):
        named["IMAGE_REGISTRY"] = registry.rstrip("/") + "/"
    return Project(settings.COMPOSE_PROJECT_NAME, named)


def running(settings: ComposeSettings) -> Project:
    """Return the project as it was brought up last; as it is asked for now, if it never was."""
    kept = _kept(settings.COMPOSE_PROJECT_NAME)
    if not kept.is_file():
        return _named(settings, os.environ)
    return Project(settings.COMPOSE_PROJECT_NAME, secret_files.values(kept.read_text()))


def remembered() -> list[str]:
    """Return the names of all projects that were brought up from this checkout and not removed with their data."""
    return sorted(file.stem.removeprefix("compose-") for file in STATE.glob("compose-*.env"))


def _kept(name: str) -> Path:
    return STATE / f"compose-{name}.env"


@dataclass(frozen=True)
class Container:
    """A container of the project. ``health`` is empty without a health check; ``ports`` are ``{inside: outside}``."""

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
        """Whether it needs looking after: ended badly, starts over and over, or runs without being well."""
        ended_badly = self.state in {"exited", "dead"} and self.exit_code != 0
        return ended_badly or self.state == "restarting" or self.health == "unhealthy"


def containers(name: str) -> list[Container]:
    """Return the project's containers, running or not, in order of their services."""
    listed = run("docker", "ps", "--all", "--quiet", "--filter", f"label={_LABEL}={name}", fix="make doctor").split()
    if not listed:
        return []
    return parse(json.loads(run("docker", "inspect", *listed, fix="run the same command again")))


def parse(inspected: Iterable[Mapping[str, Any]]) -> list[Container]:
    """Return the containers that ``docker inspect`` describes, without those of ``docker compose run``."""
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
    """Return how long a container ran; 0 where it runs still, or never did. Docker writes nanoseconds."""
    first, last = (datetime.fromisoformat(moment[:19]) for moment in (started, finished))
    return max(0.0, (last - first).total_seconds())


def ended(name: str, services: Iterable[str]) -> bool:
    """Wait until these services' containers have ended, and return whether all of them ended well.

    Raises:
        Problem: docker does not answer.
    """
    wanted = set(services)
    names = [one.name for one in containers(name) if one.service in wanted]
    if names:
        run("docker", "wait", *names, fix="docker ps --all")
    return not any(one.failed for one in containers(name) if one.service in wanted)


def last_lines(container: str, count: int) -> list[str]:
    """Return what a container said last, on both its outputs."""
    command = [path_of("docker"), "logs", "--tail", str(count), container]
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ).stdout.splitlines()


def volumes(name: str) -> list[str]:
    """Return the names of the project's volumes, of every feed."""
    return run("docker", "volume", "ls", "--quiet", "--filter", f"label={_LABEL}={name}", fix="make doctor").split()


def installation() -> Installation | None:
    """Return how the running project is reached from this machine; None where nothing of it runs.

    Raises:
        Problem: it runs, but the passwords are missing.
    """
    if shutil.which("docker") is None or not succeeds("docker", "info"):
        return None
    name = load(ComposeSettings, "compose").COMPOSE_PROJECT_NAME
    return installation_of([one for one in containers(name) if one.state == "running"])


def installation_of(found: Iterable[Container]) -> Installation | None:
    """Return how these containers are reached; None where there is no way in."""
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
        },
        components=frozenset(end.component for end in reachable),
    )


def remove(out: Console) -> None:
    """Remove the project's containers, networks and volumes; nothing where there are none.

    Raises:
        Problem: docker refuses.
    """
    settings = load(ComposeSettings, "compose")
    take_down(running(settings))
    for volume in (names := volumes(settings.COMPOSE_PROJECT_NAME)):
        run("docker", "volume", "rm", volume, fix=f"docker ps --all --filter volume={volume}")
    if names:
        out.print(f"removed the volumes {', '.join(names)}", markup=False, soft_wrap=True)
    _kept(settings.COMPOSE_PROJECT_NAME).unlink(missing_ok=True)


def take_down(project: Project) -> None:
    """Stop and remove the project's containers and its network; volumes stay.

    Raises:
        Problem: docker refuses.
    """
    # Compose fills in the whole file even to take things down; that must work without .env or with an older one, too.
    blanks = dict.fromkeys(env_file.missing(env_file.FILE), "unused")
    if not Project(project.name, {**project.variables, **blanks}).call("down", "--remove-orphans"):
        raise Problem("docker compose down failed", "its message is above", "make compose-down")
