"""Stop the platform in Compose and remove its containers; list the kept volumes and files."""

import argparse

from crypto_analytics.runtime.settings import load
from ops.common.console import console
from ops.common.settings import OpsSettings
from ops.compose import env_file
from ops.compose import project as compose


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Remove the containers; with VOLUMES=1 the data too."""
    argparse.ArgumentParser(prog="python -m ops compose-down", description=__doc__).parse_args(arguments)
    requested = load(compose.ComposeSettings, "compose-down")
    out = console()
    if requested.VOLUMES:
        compose.remove(out)
    else:
        compose.take_down(compose.running(requested))
    kept_items = [f"the images ({compose.TAGS.parent.name}/{compose.TAGS.name} names them)"]
    if kept := compose.volumes(requested.COMPOSE_PROJECT_NAME):
        kept_items.insert(0, f"the data, in the volumes {', '.join(kept)}: make compose-down VOLUMES=1 removes it")
    if env_file.FILE.is_file():
        kept_items.append(f"{env_file.FILE.name}, with the passwords of the data")
    out.print("Compose is down. Kept:", *(f"  {line}" for line in kept_items), sep="\n", markup=False, soft_wrap=True)
    return 0
