"""Remove what the targets for Kubernetes and Compose created on this machine: cluster, volumes, images, state."""

import argparse
import shutil
from collections.abc import Iterable, Mapping

from crypto_analytics.runtime.settings import load
from ops.common.console import console
from ops.common.external_programs import run
from ops.common.paths import STATE
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.compose import project as compose
from ops.kubernetes import down, kind_cluster
from ops.platform import images, state_folder

_REPOSITORY = "crypto-analytics/"


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Remove everything, after confirmation."""
    argparse.ArgumentParser(prog="python -m ops nuke", description=__doc__).parse_args(arguments)
    out = console()
    found = list_images()
    out.print(f"removed: {KIND_CONTEXT} and Compose's containers, with their data; {len(found)} images; .platform/")
    own = load(compose.ComposeSettings, "nuke").COMPOSE_PROJECT_NAME
    for other in (name for name in compose.saved_projects() if name != own):
        out.print(f"         with the saved settings of the Compose project {other}; its containers and data are kept,")
        out.print(f"         to remove these first: make compose-down VOLUMES=1 COMPOSE_PROJECT_NAME={other}")
    out.print("kept:    .env with its passwords, local runs (make clean), docker's build cache (docker builder prune)")
    down.confirm(settings, "nuke")
    with state_folder.exclusive():
        if kind_cluster.node() is not None:
            kind_cluster.delete()
            out.print("cluster removed")
        compose.remove(out)
        if found:
            run("docker", "image", "rm", "--force", *found, fix="docker ps --all; then make nuke again")
            out.print(f"{len(found)} images removed")
        shutil.rmtree(STATE)
    out.print(".platform/ removed")
    return 0


def list_images() -> list[str]:
    """Return the platform's images on this machine as ``repository:tag``."""
    shown = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", fix="make doctor")
    return select_images(shown.split(), images.read_tags())


def select_images(listed: Iterable[str], tags: Mapping[str, str]) -> list[str]:
    """Return the platform's images among the listed ones ("repository:tag").

    These are the names without a registry, and those with a registry that an image of the last build (``tags``: {name:
    tag}) has.
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
