"""A simulator outside of the kind cluster, on its Docker network: an exchange for environments that follow `binance`.

`make e2e-exchange` starts it and prints the command that installs the platform with it.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from ops.common.errors import Problem
from ops.common.external_programs import run
from ops.common.loopback import LOOPBACK
from ops.common.paths import ROOT, STATE
from ops.platform import images, make_command
from tests.e2e.exchange import Exchange
from tests.e2e.waiting import wait_until

CONTAINER = "crypto-analytics-exchange"  # also its name in the network, which the cluster's DNS resolves
VALUES = STATE / "e2e-exchange.yaml"
_NETWORK = "kind"
_PORT = 9443  # one of the value binancePorts
_FIX = "make e2e-exchange"
_SETTINGS = {"SIM_HOST": "0.0.0.0", "SIM_PORT": str(_PORT), "SIM_START": "now", "SIM_MINUTES": "0"}
_RESTRICTED = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=10001:10001",
    "--memory=384m",
)


class OutsideExchange(Exchange):
    """The container, which is made again with each change of its settings."""

    def __init__(self) -> None:
        self._is_changed = False

    @classmethod
    def at(cls, ws_url: str) -> "OutsideExchange":
        """Return the exchange whose streams are at ``ws_url``.

        Raises:
            Problem: it is another one, such as the real exchange.
        """
        if urlsplit(ws_url).hostname != CONTAINER:
            cause = f"the platform follows {ws_url}, and the tests need a simulator"
            raise Problem("the tests cannot steer the exchange", cause, f"make down, then {_FIX}")
        return cls()

    def url(self) -> str:
        """See :class:`Exchange`, as for all below."""
        address = run("docker", "port", CONTAINER, f"{_PORT}/tcp", fix=_FIX).split()[0]
        return f"http://{address}"

    def change(self, settings: Mapping[str, str]) -> None:
        self._is_changed = True
        self._replace(_image(), settings)

    def change_back(self) -> None:
        if self._is_changed:
            self._replace(_image(), {})
            self._is_changed = False

    def start(self, image: str) -> None:
        """Start the container with ``image``, instead of an older one."""
        self._replace(image, {})

    def _replace(self, image: str, settings: Mapping[str, str]) -> None:
        run("docker", "rm", "--force", CONTAINER, fix=_FIX)
        variables = [f"--env={name}={value}" for name, value in {**_SETTINGS, **settings}.items()]
        where = (f"--name={CONTAINER}", f"--network={_NETWORK}", f"--publish={LOOPBACK}::{_PORT}")
        run("docker", "run", "--detach", "--restart=unless-stopped", *where, *_RESTRICTED, *variables, image, fix=_FIX)
        wait_until(lambda: self.get("/sim/status"), 60, f"{CONTAINER} answers")


def _image() -> str:
    return run("docker", "inspect", "--format", "{{.Config.Image}}", CONTAINER, fix=_FIX).strip()


def values(network: str) -> dict[str, object]:
    """Return the values with which the platform follows the container, from ``docker network inspect``."""
    subnets = [config["Subnet"] for config in json.loads(network)[0]["IPAM"]["Config"]]
    address = f"{CONTAINER}:{_PORT}"
    urls = {"binanceWsUrl": f"ws://{address}", "binanceRestUrl": f"http://{address}"}
    return {"feed": "binance", **urls, "binanceCidrs": subnets}


def save(content: Mapping[str, object], file: Path = VALUES) -> None:
    """Write the values file for ``make up``."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))


def main() -> int:
    """Build and start the container, and write its values file; return 1 on an error that the user can fix."""
    try:
        save(values(run("docker", "network", "inspect", _NETWORK, fix="make cluster")))
        (built,) = images.build(["simulator"])
        OutsideExchange().start(built.reference)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"next: {next_command(os.environ)}; to remove it: docker rm -f {CONTAINER}")
    return 0


def next_command(environment: Mapping[str, str]) -> str:
    """Return the command that installs the platform with the container as its exchange."""
    chosen = {"ENV": environment.get("ENV") or "default", "VALUES": str(VALUES.relative_to(ROOT))}
    return make_command.make_up(environment={**environment, **chosen})


if __name__ == "__main__":
    raise SystemExit(main())
