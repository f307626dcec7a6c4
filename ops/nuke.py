"""Remove all that the targets for Kubernetes and Compose ever made on this machine: cluster, volumes, images, state."""

import argparse
import shutil

from ops import compose, down, kind, state
from ops.console import console
from ops.programs import run
from ops.settings import KIND_CONTEXT, STATE, OpsSettings

_IMAGES = "crypto-analytics/*"


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Remove everything after asking."""
    argparse.ArgumentParser(prog="python -m ops nuke", description=__doc__).parse_args(arguments)
    out = console()
    images = our_images()
    out.print(f"goes:  {KIND_CONTEXT} and Compose's containers, with their data; {len(images)} images; .platform/")
    out.print("stays: .env with its passwords, embedded runs (make clean), docker's build cache (docker builder prune)")
    down.confirm(settings, "nuke")
    with state.exclusive():
        if kind.node() is not None:
            kind.delete()
            out.print("cluster removed")
        compose.remove(out)
        if images:
            run("docker", "image", "rm", "--force", *images, mend="docker ps --all; then make nuke again")
            out.print(f"{len(images)} images removed")
        shutil.rmtree(STATE)
    out.print(".platform/ removed")
    return 0


def our_images() -> list[str]:
    """Return the platform's images, by name and tag."""
    shape = "{{.Repository}}:{{.Tag}}"
    shown = run("docker", "images", "--filter", f"reference={_IMAGES}", "--format", shape, mend="make doctor")
    return sorted({name for name in shown.split() if not name.endswith(":<none>")})
