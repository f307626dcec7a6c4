"""The one table of what can be reached: name, URL, user, password, health."""

import argparse

from rich.console import Console
from rich.table import Table

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.kubernetes import kind
from ops.kubernetes.cluster import ApiAway, Cluster, component
from ops.platform import airflow, exposed_ports, make_command
from ops.platform.endpoints import READER, Way, url
from ops.platform.health import Health, check_all

HIDDEN = "(hidden)"


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the table of every way that runs; return 1 where something is not well."""
    parser = argparse.ArgumentParser(prog="python -m ops urls", description=__doc__)
    add_no_passwords(parser)
    hide = parser.parse_args(arguments).no_passwords
    found = [way for way in (in_cluster(settings), compose.way()) if way is not None]
    if not found:
        raise Problem(
            "nothing is running", f"neither in {settings.KUBE_CONTEXT} nor in Compose", make_command.make_up()
        )
    return max(show(way, console(), hide=hide) for way in found)


def add_no_passwords(parser: argparse.ArgumentParser) -> None:
    """Let the passwords be left out."""
    parser.add_argument("--no-passwords", action="store_true", help="leave the passwords out")


def hidden(out: Console, *, asked: bool) -> bool:
    """Whether a target that was not asked for the passwords leaves them out: a log or a pipe keeps what it gets."""
    return asked or not out.file.isatty()


def show(way: Way, out: Console, *, hide: bool = False) -> int:
    """Check and print one way; return 1 where something is not well."""
    health = check_all(way)
    out.print(table(way, health, hide=hide))
    if hide:
        out.print("passwords: make urls")
    return 1 if any(one.problem for one in health.values()) else 0


def table(way: Way, health: dict[str, Health], *, hide: bool = False) -> Table:
    """Return the table of one way of running."""
    shown = Table("", "URL", "user", "password", "health", title=way.title, title_justify="left")
    for column in shown.columns:
        column.overflow = "fold"  # a password that is cut is of no use
    for endpoint in way.endpoints:
        password = way.passwords.get(endpoint.secret, "") if endpoint.secret else ""
        state = health[endpoint.name]
        colour = "red" if state.problem else "green"
        secret = HIDDEN if hide and password else password
        shown.add_row(endpoint.name, url(endpoint, way.ports), endpoint.user, secret, f"[{colour}]{state}[/{colour}]")
    return shown


def in_cluster(settings: OpsSettings) -> Way | None:
    """Return how the platform in the cluster is reached; None where there is no cluster, or nothing in it.

    A cluster of others is reached through ``make forward``, which uses the same ports.
    """
    bound = None
    if settings.is_kind:
        found = kind.node()
        if found is None or found.state != "running":
            return None
        bound = found.bound
    try:
        cluster = Cluster(settings.KUBE_CONTEXT)
        components = frozenset(component(pod["metadata"]) for pod in cluster.items("pods"))
        passwords = cluster.secret(READER)
        if airflow.COMPONENT in components:
            passwords |= {airflow.LOGIN_KEY: cluster.secret(airflow.COMPONENT).get(airflow.LOGIN_KEY, "")}
    except LookupError:
        return None
    except ApiAway as error:
        raise Problem(f"{settings.KUBE_CONTEXT} does not answer", str(error), make_command.make_up()) from error
    where = settings.KUBE_CONTEXT if settings.is_kind else f"{settings.KUBE_CONTEXT}, while make forward runs"
    return Way(f"Kubernetes ({where})", exposed_ports.effective(settings, bound), passwords, components)
