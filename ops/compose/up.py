"""Start the platform in Compose: checks, passwords, images, containers; wait until all are healthy."""

import argparse
from collections.abc import Iterable
from typing import get_args

import psutil
import yaml
from rich.console import Console

from crypto_analytics.runtime.settings import load
from ops.common import candle_variant, external_programs
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.external_programs import run, succeeds
from ops.common.loopback import free_or_move, is_free
from ops.common.settings import OpsSettings
from ops.common.units import GIB
from ops.compose import env_file
from ops.compose import project as compose
from ops.compose.project import ComposeSettings, Container, Project
from ops.platform import images, kind_node_ports, published_images, url_table
from ops.platform.exchange_hosts import Hosts, Refused, Unreachable, choose, exchange
from ops.platform.health import AFTER_START_SECONDS

MEMORY_FREE = 2 * GIB
AIRFLOW_MEMORY_FREE = 1 * GIB  # beside it
JOBS = ("migrate", "topics", "buckets", "superset-prepare", "airflow-prepare")
SOCKET = "/var/run/docker.sock"  # in the container engine-proxy
_WAIT_SECONDS = 300
_SHOWN_LOG_LINES = 8


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Start PROFILE and print the table of endpoints; return 1 if one of them is unhealthy."""
    parser = argparse.ArgumentParser(prog="python -m ops compose-up", description=__doc__)
    url_table.add_no_passwords(parser)
    chosen = parser.parse_args(arguments)
    requested = load(ComposeSettings, "compose-up")
    out = console()
    project = serving(compose.requested(requested), out)
    profile = candle_variant.PROFILES[settings.VARIANT] if requested.PROFILE == "stream" else requested.PROFILE
    if requested.BI:
        profile += f",{candle_variant.BI_PROFILE}"
    if requested.AIRFLOW:
        profile += f",{candle_variant.AIRFLOW_PROFILE}"
    if requested.MONITORING:
        profile += f",{candle_variant.MONITORING_PROFILE}"
    project = monitored(project, profile)
    if settings.IMAGES == "published":
        project = with_published_images(project, profile, out)
    prepare(settings, project, profile, out)
    if requested.AIRFLOW:
        project = with_socket_group(project)
        create_steps(project)
    project.save()
    replaced = candle_variant.replaced_by(settings.VARIANT) if requested.PROFILE == "stream" else ()
    remove_replaced(project, {project.replaced_object_store, *replaced})
    up(project, profile, out)
    installed = compose.installation()
    if installed is None:
        raise Problem("no endpoint can be reached", "the containers have stopped again", "make compose-up")
    hide = url_table.hide_passwords(out, requested=chosen.no_passwords)
    return url_table.show(installed, out, hide=hide, seconds=AFTER_START_SECONDS)


def monitored(project: Project, profile: str) -> Project:
    """Return the project with the targets that Prometheus scrapes for the comma-separated profiles."""
    profiles = profile.split(",")
    if candle_variant.MONITORING_PROFILE not in profiles:
        return Project(project.name, {**project.variables, "AIRFLOW_METRICS": "False"})
    jobs = {"alertmanager": "alertmanager:9093", "kafka": "kafka:9404", "postgres": "postgres-exporter:9187"}
    if "OBJECT_STORE_SERVER" not in project.variables:  # versitygw has no metrics for Prometheus
        jobs["minio"] = "minio:9000/minio/v2/metrics/cluster"
    if streaming := {"stream", "spark"} & set(profiles):
        jobs |= {job: f"{job}:8000" for job in ("api", "producer", "publisher")}
        if "BINANCE_WS_URL" not in project.variables:
            jobs["simulator"] = "simulator:8899"
    if "stream" in streaming:
        jobs["consumer"] = "consumer:8000"
    if "spark" in streaming:
        jobs["spark-candles"] = "spark-candles:8000"
    jobs["prometheus"] = "localhost:9090"
    targets = " ".join(f"{job}={address}" for job, address in sorted(jobs.items()))
    return Project(project.name, {**project.variables, "SCRAPE_TARGETS": targets})


def serving(project: Project, out: Console) -> Project:
    """Return ``project``, with other hosts or the simulator if the exchange refuses this machine's location.

    The simulator has volumes of its own, but a running platform keeps its exchange. An exchange that does not answer is
    only reported: the producer waits for it.

    Raises:
        Problem: the exchange of the running platform refuses.
    """
    variables = dict(project.variables)
    if "BINANCE_WS_URL" not in variables:
        return project
    wanted = Hosts(variables["BINANCE_WS_URL"], variables["BINANCE_REST_URL"])
    try:
        chosen = choose(wanted)
    except Unreachable as problem:
        out.print(str(problem), markup=False, soft_wrap=True)
        return project
    except Refused as problem:
        if exchange(wanted.stream) != "binance" or _follows_exchange(project.name):
            raise
        out.print(f"{problem}; the trades come from the simulator instead", markup=False, soft_wrap=True)
        return Project(project.name, {name: value for name, value in variables.items() if name not in wanted.variables})
    if chosen != wanted:
        refused = f"the exchange refuses this location at {wanted.rest}; its market-data hosts answer: {chosen.rest}"
        out.print(refused, markup=False, soft_wrap=True)
    return Project(project.name, variables | chosen.variables)


def _follows_exchange(name: str) -> bool:
    """Return whether the data of the project comes from the exchange: it has its volumes."""
    return any(volume.endswith("_exchange") for volume in compose.volumes(name))


def prepare(settings: OpsSettings, project: Project, profile: str, out: Console) -> None:
    """Check the machine, generate missing passwords, and build images that are missing or changed.

    Raises:
        Problem: a check failed.
    """
    problems = check(settings, project, profile)
    for problem in problems[1:]:
        out.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise problems[0]
    out.print(f".env: {env_file.ensure(env_file.FILE)}", markup=False, soft_wrap=True)
    if project.variables.get("IMAGE_REGISTRY"):
        return  # Compose pulls them
    out.print("images: building those that changed", markup=False, soft_wrap=True)
    images.build(needed_images(profile, project.replaced_object_store), registry="")
    if missing := missing_images(project, profile):
        raise Problem("images are missing", ", ".join(missing), "make images")


def needed_images(profile: str, replaced: compose.ObjectStoreServer) -> list[str]:
    """Return the names of the images that the comma-separated profiles and the batch's steps need.

    ``replaced`` is the S3 server that is not part of the project.
    """
    wanted = {*profile.split(","), "batch"}
    services = yaml.safe_load(compose.FILE.read_text())["services"].values()
    # The profile of a service may end in a variable: that of the simulator, which is another exchange's at times.
    enabled = (one["image"] for one in services if wanted & {name.partition("$")[0] for name in one["profiles"]})
    return sorted({*images.named_in("\n".join(enabled)), *get_args(compose.ObjectStoreServer)} - {replaced})


def with_published_images(project: Project, profile: str, out: Console) -> Project:
    """Return the project with the registry of the release's images, or with none where they are not published."""
    needed = needed_images(profile, project.replaced_object_store)
    registry = published_images.find(needed, lambda text: out.print(text, markup=False, soft_wrap=True))
    others = {name: value for name, value in project.variables.items() if name != "IMAGE_REGISTRY"}
    return Project(project.name, others | ({"IMAGE_REGISTRY": f"{registry}/"} if registry else {}))


def check(settings: OpsSettings, project: Project, profile: str) -> list[Problem]:
    """Return the problems to fix before ``profile`` can start."""
    if (problem := _docker()) is not None:
        return [problem]
    own = [one for one in compose.containers(project.name) if one.state == "running"]
    ports = {
        "SPARK_UI_PORT": "spark",
        "SUPERSET_PORT": "bi",
        "AIRFLOW_PORT": "airflow",
        "PROMETHEUS_PORT": candle_variant.MONITORING_PROFILE,
        "ALERTMANAGER_PORT": candle_variant.MONITORING_PROFILE,
    }
    unused = {name for name, word in ports.items() if word not in profile.split(",")}
    if not {"stream", "spark"} & set(profile.split(",")):
        unused.add("API_PORT")
    if project.replaced_object_store == "minio":
        unused.add("MINIO_CONSOLE_PORT")
    found = [*_ports(settings, {port for one in own for port in one.ports.values()}, unused)]
    free = psutil.virtual_memory().available
    needed = MEMORY_FREE + (0 if "AIRFLOW_PORT" in unused else AIRFLOW_MEMORY_FREE)
    if not own and free < needed:
        cause = f"{free / GIB:.1f} GiB are free and {needed / GIB:.0f} are needed"
        found.append(Problem("too little memory", cause, "close programs (ps aux --sort=-rss), or: make down"))
    try:
        images.check_readable()  # files of charts/ are mounted
    except Problem as unreadable:
        found.append(unreadable)
    if not env_file.FILE.exists() and (names := compose.volumes(project.name)):
        cause = f"the data in {', '.join(names)} needs its passwords"
        found.append(Problem(".env is missing", cause, "restore it; or remove the data: make compose-down VOLUMES=1"))
    return found


def _docker() -> Problem | None:
    if not succeeds("docker", "info"):
        return Problem(
            "docker does not answer", "it is missing, not started, or you have no permission to use it", "make doctor"
        )
    if not succeeds("docker", "compose", "version"):
        return Problem("docker compose is missing", "the plugin is not installed", "make doctor")
    output = run("docker", "compose", "version", "--short", fix="make doctor")
    version, needed = external_programs.version_of(output), external_programs.VERSIONS["compose"]
    if version is not None and version < needed:
        least = ".".join(map(str, needed))
        return Problem("docker compose is too old", f"{output.strip()}, and {least} or newer is needed", "make doctor")
    return None


def _ports(settings: OpsSettings, own: set[int], unused: set[str]) -> list[Problem]:
    """Return a problem for each port of Compose that another program has bound, except the ``unused`` ones."""
    wanted = kind_node_ports.effective(settings)
    found = []
    for name in (name for name in compose.VARIABLES if name.endswith("_PORT") and name not in unused):
        number = wanted[name]
        if number in own or is_free(number):
            continue
        fix = free_or_move(name, number, "make compose-up", "kind: make down")
        found.append(Problem(f"port {number} is in use", f"{name} is {number}, and another program listens on it", fix))
    return found


def missing_images(project: Project, profile: str) -> list[str]:
    """Return the images of a profile that are missing on this machine."""
    wanted = set(project.ask("config", "--images", profile=profile).split())
    return sorted(image for image in wanted if not succeeds("docker", "image", "inspect", image))


def remove_replaced(project: Project, services: Iterable[str]) -> None:
    """Remove those of ``services`` that run; their data is kept, and trades stay in Kafka meanwhile.

    Raises:
        Problem: docker fails.
    """
    leftovers = {one.service for one in compose.containers(project.name)} & set(services)
    if leftovers and not project.call("rm", "--stop", "--force", *sorted(leftovers)):
        raise Problem("what was replaced cannot be removed", "docker's message is above", "make compose-up")


def with_socket_group(project: Project) -> Project:
    """Return the project with the group that can use the engine's socket, as containers see it.

    Raises:
        Problem: no container can be started with the socket.
    """
    # Asked in a container, because the socket that the engine mounts may be that of a virtual machine.
    stat = ("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "stat", "engine-proxy", "--format=%g", SOCKET)
    group = project.ask(*stat, profile=candle_variant.AIRFLOW_PROFILE).strip()
    return Project(project.name, {**project.variables, "DOCKER_SOCKET_GID": group})


def create_steps(project: Project) -> None:
    """Create the containers of the batch's steps where they are missing or changed, without starting them.

    Raises:
        Problem: docker fails.
    """
    if not project.call("up", "--no-start", "--no-deps", *compose.STEPS_OF_BATCH, profile="batch"):
        raise Problem("the steps' containers cannot be created", "docker's message is above", "make compose-up")


def up(project: Project, profile: str, out: Console) -> None:
    """Start missing and changed containers, and wait until the jobs have succeeded and the services are healthy.

    Raises:
        Problem: a container fails; the end of its log is printed.
    """
    # `--wait` treats a running job as a healthy service, so it is used for services only.
    services = set(project.ask("config", "--services", profile=profile).split()) - set(JOBS)
    waited = ("--detach", "--no-deps", "--wait", "--wait-timeout", str(_WAIT_SECONDS), *sorted(services))
    if (
        project.call("up", "--detach", "--remove-orphans", profile=profile)
        and compose.wait_until_ended(project.name, JOBS)
        and project.call("up", *waited, profile=profile)
    ):
        return
    raise failure(compose.containers(project.name), "make compose-up", out)


def failure(found: list[Container], again: str, out: Console) -> Problem:
    """Print the end of the log of each failed container, and return the error."""
    failed = [one for one in found if one.failed]
    for one in failed:
        output = compose.last_lines(one.name, _SHOWN_LOG_LINES)
        out.print(f"{one.name}:", *(f"  {line}" for line in output), sep="\n", markup=False, soft_wrap=True)
    if not failed:
        return Problem("docker compose failed", "its message is above", again)
    summary = ", ".join(f"{one.service} {_state(one)}" for one in failed)
    return Problem("containers failed", summary, f"docker logs {failed[0].name}; fix the cause, then: {again}")


def _state(one: Container) -> str:
    return f"exited with code {one.exit_code}" if one.state == "exited" else one.health or one.state
