"""Stop the platform in Compose and remove its containers; say what stays."""

import argparse

from crypto_analytics.runtime.settings import load
from ops.common.console import console
from ops.common.settings import OpsSettings
from ops.compose import env_file
from ops.compose import project as compose


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Take everything down; with VOLUMES=1 the data too."""
    argparse.ArgumentParser(prog="python -m ops compose-down", description=__doc__).parse_args(arguments)
    asked = load(compose.ComposeSettings, "compose-down")
    out = console()
    if asked.VOLUMES:
        compose.remove(out)
    else:
        compose.take_down(compose.running(asked))
    stays = [f"the images ({compose.TAGS.parent.name}/{compose.TAGS.name} names them)"]
    if kept := compose.volumes(asked.COMPOSE_PROJECT_NAME):
        stays.insert(0, f"the data, in the volumes {', '.join(kept)}: make compose-down VOLUMES=1 removes it")
    if env_file.FILE.is_file():
        stays.append(f"{env_file.FILE.name}, the passwords that the data was made with")
    out.print("Compose is down. What stays:", *(f"  {line}" for line in stays), sep="\n", markup=False, soft_wrap=True)
    return 0
