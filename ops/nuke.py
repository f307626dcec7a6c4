"""Remove all that the targets for Kubernetes and Compose ever made on this machine: cluster, volumes, images, state."""

import argparse
import shutil
from collections.abc import Iterable, Mapping

from crypto_analytics.runtime.settings import load
from ops.common.commands import run
from ops.common.console import console
from ops.common.paths import STATE
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.compose import project as compose
from ops.kubernetes import down, kind
from ops.platform import images, state

_REPOSITORY = "crypto-analytics/"


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Remove everything after asking."""
    argparse.ArgumentParser(prog="python -m ops nuke", description=__doc__).parse_args(arguments)
    out = console()
    found = our_images()
    out.print(f"goes:  {KIND_CONTEXT} and Compose's containers, with their data; {len(found)} images; .platform/")
    own = load(compose.ComposeSettings, "nuke").COMPOSE_PROJECT_NAME
    for other in (name for name in compose.remembered() if name != own):
        out.print(f"       with it what is remembered of the Compose project {other}; its containers and data stay,")
        out.print(f"       to remove these first: make compose-down VOLUMES=1 COMPOSE_PROJECT_NAME={other}")
    out.print("stays: .env with its passwords, embedded runs (make clean), docker's build cache (docker builder prune)")
    down.confirm(settings, "nuke")
    with state.exclusive():
        if kind.node() is not None:
            kind.delete()
            out.print("cluster removed")
        compose.remove(out)
        if found:
            run("docker", "image", "rm", "--force", *found, fix="docker ps --all; then make nuke again")
            out.print(f"{len(found)} images removed")
        shutil.rmtree(STATE)
    out.print(".platform/ removed")
    return 0


def our_images() -> list[str]:
    """Return the platform's images, by name and tag."""
    shown = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", fix="make doctor")
    return ours(shown.split(), images.read_tags())


def ours(listed: Iterable[str], tags: Mapping[str, str]) -> list[str]:
    """Return those of the images ("repository:tag") that are the platform's.

    Names without a registry are; names with one are where an image of the last build (``tags``: {name: tag}) has it.
    """
    parts = [(*image.rpartition(":")[::2], image) for image in listed if not image.endswith(":<none>")]
    registries = {
        repository.removesuffix(f"{_REPOSITORY}{name}")
        for repository, tag, _ in parts
        for name, built in tags.items()
        if tag == built and repository.endswith(f"/{_REPOSITORY}{name}")
    }
    prefixes = tuple(f"{registry}{_REPOSITORY}" for registry in {"", *registries})
    return sorted({image for repository, _, image in parts if repository.startswith(prefixes)})
