"""Bring the platform up in Compose: check, passwords, images, containers, and wait until all are well."""

import argparse

import psutil
from rich.console import Console

from crypto_analytics.runtime.settings import load
from ops.common import commands, variant
from ops.common.commands import run, succeeds
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.loopback import free_or_move, is_free
from ops.common.settings import OpsSettings
from ops.common.units import GIB
from ops.compose import env_file
from ops.compose import project as compose
from ops.compose.project import ComposeSettings, Container, Project
from ops.platform import exposed_ports, images, url_table

MEMORY_FREE = 2 * GIB
JOBS = ("migrate", "topics", "buckets", "superset-prepare")
_WAIT_SECONDS = 300
_SHOWN_LOG_LINES = 8


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Bring PROFILE up and print the table of addresses; return 1 where one of them is not well."""
    parser = argparse.ArgumentParser(prog="python -m ops compose-up", description=__doc__)
    url_table.add_no_passwords(parser)
    chosen = parser.parse_args(arguments)
    asked = load(ComposeSettings, "compose-up")
    project = compose.asked(asked)
    out = console()
    profile = variant.PROFILES[settings.VARIANT] if asked.PROFILE == "stream" else asked.PROFILE
    if asked.BI:
        profile += f",{variant.BI_PROFILE}"
    prepare(settings, project, profile, out)
    project.remember()
    if asked.PROFILE == "stream":
        remove_other_variant(project, settings.VARIANT)
    up(project, profile, out)
    installed = compose.installation()
    if installed is None:
        raise Problem("nothing can be reached", "the containers are gone again", "make compose-up")
    return url_table.show(installed, out, hide=url_table.hidden(out, asked=chosen.no_passwords))


def prepare(settings: OpsSettings, project: Project, profile: str, out: Console) -> None:
    """Check the machine, make missing passwords, and images that are missing or changed.

    Raises:
        Problem: something has to be mended first.
    """
    problems = check(settings, project, profile)
    for problem in problems[1:]:
        out.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise problems[0]
    out.print(f".env: {env_file.ensure(env_file.FILE)}", markup=False, soft_wrap=True)
    if project.variables.get("IMAGE_REGISTRY"):
        return  # Compose pulls them
    out.print("images: build what changed", markup=False, soft_wrap=True)
    bi = variant.BI_PROFILE in profile.split(",")
    needed = variant.images("spark" if "spark" in profile else "python", images.NAMES, bi=bi)
    images.build(name for name in needed if name not in images.NOT_IN_COMPOSE)
    if missing := missing_images(project, profile):
        raise Problem("images are missing", ", ".join(missing), "make images")


def check(settings: OpsSettings, project: Project, profile: str) -> list[Problem]:
    """Return what has to be mended before anything of ``profile`` starts."""
    if (problem := _docker()) is not None:
        return [problem]
    own = [one for one in compose.containers(project.name) if one.state == "running"]
    unused = {name for word, name in (("spark", "SPARK_UI_PORT"), ("bi", "SUPERSET_PORT")) if word not in profile}
    found = [*_ports(settings, {port for one in own for port in one.ports.values()}, unused)]
    free = psutil.virtual_memory().available
    if not own and free < MEMORY_FREE:
        cause = f"{free / GIB:.1f} GiB are free and {MEMORY_FREE / GIB:.0f} are needed"
        found.append(Problem("too little memory", cause, "close programs (ps aux --sort=-rss), or: make down"))
    try:
        images.check_readable()  # files of charts/ are mounted
    except Problem as unreadable:
        found.append(unreadable)
    if not env_file.FILE.exists() and (names := compose.volumes(project.name)):
        cause = f"the data in {', '.join(names)} was made with the passwords in it"
        found.append(Problem(".env is missing", cause, "put it back; or begin anew: make compose-down VOLUMES=1"))
    return found


def _docker() -> Problem | None:
    if not succeeds("docker", "info"):
        return Problem("docker does not answer", "it is missing, not started, or not yours to use", "make doctor")
    if not succeeds("docker", "compose", "version"):
        return Problem("docker compose is missing", "the plugin is not installed", "make doctor")
    output = run("docker", "compose", "version", "--short", fix="make doctor")
    version, needed = commands.version_of(output), commands.VERSIONS["compose"]
    if version is not None and version < needed:
        least = ".".join(map(str, needed))
        return Problem("docker compose is too old", f"{output.strip()}, and {least} or newer is needed", "make doctor")
    return None


def _ports(settings: OpsSettings, own: set[int], unused: set[str]) -> list[Problem]:
    """Return a problem for each port of Compose that somebody else has, but for the ``unused`` ones."""
    wanted = exposed_ports.effective(settings)
    found = []
    for name in (name for name in compose.VARIABLES if name.endswith("_PORT") and name not in unused):
        number = wanted[name]
        if number in own or is_free(number):
            continue
        fix = free_or_move(name, number, "make compose-up", "kind: make down")
        found.append(Problem(f"port {number} is in use", f"{name} is {number} and another program listens there", fix))
    return found


def missing_images(project: Project, profile: str) -> list[str]:
    """Return the images of a profile that this machine lacks."""
    wanted = set(project.ask("config", "--images", profile=profile).split())
    return sorted(image for image in wanted if not succeeds("docker", "image", "inspect", image))


def remove_other_variant(project: Project, chosen: variant.Variant) -> None:
    """Remove what merges trades and is not part of the chosen variant; trades wait in Kafka meanwhile.

    Raises:
        Problem: docker refuses.
    """
    there = {one.service for one in compose.containers(project.name)} & set(variant.replaced_by(chosen))
    if there and not project.call("rm", "--stop", "--force", *sorted(there)):
        raise Problem("the other variant cannot be removed", "docker's message is above", "make compose-up")


def up(project: Project, profile: str, out: Console) -> None:
    """Start what is missing or changed, and wait until the jobs are done and the services are well.

    Raises:
        Problem: a container does not come up; its last lines are printed.
    """
    # `--wait` takes a job that still runs for a service that is well: services alone are waited for with it.
    services = set(project.ask("config", "--services", profile=profile).split()) - set(JOBS)
    waited = ("--detach", "--no-deps", "--wait", "--wait-timeout", str(_WAIT_SECONDS), *sorted(services))
    if (
        project.call("up", "--detach", "--remove-orphans", profile=profile)
        and compose.ended(project.name, JOBS)
        and project.call("up", *waited, profile=profile)
    ):
        return
    raise failure(compose.containers(project.name), "make compose-up", out)


def failure(found: list[Container], again: str, out: Console) -> Problem:
    """Print the last lines of the containers that failed and return what to say of them."""
    failed = [one for one in found if one.failed]
    for one in failed:
        output = compose.last_lines(one.name, _SHOWN_LOG_LINES)
        out.print(f"{one.name}:", *(f"  {line}" for line in output), sep="\n", markup=False, soft_wrap=True)
    if not failed:
        return Problem("docker compose failed", "its message is above", again)
    summary = ", ".join(f"{one.service} {_how(one)}" for one in failed)
    return Problem("not everything came up", summary, f"docker logs {failed[0].name}; mend that, then: {again}")


def _how(one: Container) -> str:
    return f"ended with exit code {one.exit_code}" if one.state == "exited" else one.health or one.state
