"""Status of the local runs, the cluster and Compose: pods, memory, newest candle, gaps, lag."""

import argparse
import threading
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from crypto_analytics.runtime.settings import load
from ops.common import units
from ops.common.console import console
from ops.common.settings import OpsSettings
from ops.common.units import duration
from ops.compose import project as compose
from ops.compose import status as compose_status
from ops.kubernetes import access, consumer_lag, custom_resources, helm, kind_cluster, memory
from ops.kubernetes.kube_api import ApiUnavailable, Forbidden, KubeApi
from ops.kubernetes.pods import Pod, pods
from ops.local import run_commands
from ops.local.display import Display
from ops.local.settings import DemoSettings
from ops.platform import freshness, make_command
from ops.platform.endpoints import Installation


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the status of all three."""
    argparse.ArgumentParser(prog="python -m ops status", description=__doc__).parse_args(arguments)
    out = console()
    out.print("[bold]Local runs")
    run_commands.status(load(DemoSettings, "local run"), threading.Event(), Display(out))
    out.print("\n[bold]Kubernetes")
    _kubernetes(settings, out)
    out.print("\n[bold]Compose")
    _compose(out)
    return 0


def _kubernetes(settings: OpsSettings, out: Console) -> None:
    if settings.is_kind:
        found = kind_cluster.node()
        if found is None or found.state != "running":
            stopped = found and f"the node is {found.state}: {make_command.make_up()} starts it"
            out.print(stopped or "no kind cluster exists", markup=False, soft_wrap=True)
            return
    cluster = KubeApi(settings.KUBE_CONTEXT)
    try:
        items = cluster.items("pods")
        try:
            usages = memory.usages(items, cluster.stats())
        except Forbidden as problem:  # of a user with permissions on the namespace only
            usages = None
            out.print(f"memory unknown: {problem}", markup=False, soft_wrap=True)
        out.print(release_line(helm.newest(helm.revisions(cluster.helm_secrets())).values()), soft_wrap=True)
        for line in custom_resources.unready_lines(custom_resources.read(cluster)):
            out.print(line, markup=False, soft_wrap=True)
        out.print(pod_table(pods(items), usages))
        installed = access.find(settings)
        if installed is not None:
            lag = consumer_lag.read(cluster, items)
            behind = "lag unknown: no consumer reports it, or Kafka does not answer" if lag is None else lag.summary()
            out.print(f"{_fresh(installed)}; {behind}", markup=False, soft_wrap=True)
    except ApiUnavailable as error:
        out.print(f"{settings.KUBE_CONTEXT} does not answer: {error}", markup=False, soft_wrap=True)


def _compose(out: Console) -> None:
    installed = compose.installation()
    if installed is None:
        out.print("not running")
        return
    found = compose.containers(load(compose.ComposeSettings, "compose").COMPOSE_PROJECT_NAME)
    out.print(compose_status.table(found, compose_status.memory(found)))
    if "postgres" in installed.components:
        out.print(_fresh(installed), markup=False, soft_wrap=True)


def _fresh(installed: Installation) -> str:
    return freshness.describe(installed.ports["POSTGRES_PORT"], installed.passwords.get("POSTGRES_PASSWORD", ""))


def release_line(found: Iterable[helm.Revision]) -> str:
    """Return the releases in one line, with the status of those that are not deployed."""
    words = [
        f"{one.release} {one.number}" if one.status == "deployed" else f"{one.release} {one.number} ({one.status})"
        for one in found
    ]
    return f"releases: {', '.join(words) or 'none'}"


def pod_table(found: Iterable[Pod], usages: Iterable[memory.Usage] | None) -> Table:
    """Return a table of the pods with their memory (None: unknown); pods of completed jobs are counted, not listed."""
    used = {usage.pod: usage for usage in usages or ()}
    table = Table("pod", "ready", "restarts", "age", "MiB", "limit", "", title_justify="left")
    for column in table.columns[1:6]:
        column.justify = "right"
    done = 0
    for pod in found:
        if pod.state == "Succeeded":
            done += 1
            continue
        usage = used.get(pod.name)
        size = f"{usage.used / units.MIB:,.0f}" if usage else ""
        limit = f"{usage.limit / units.MIB:,.0f}" if usage and usage.limit else ""
        ready = f"{pod.ready}/{pod.containers}"
        table.add_row(pod.name, ready, str(pod.restarts), duration(pod.age), size, limit, pod.reason)
    total = sum(usage.used for usage in used.values())
    memory_in_all = "memory unknown" if usages is None else f"{total / units.MIB:,.0f} MiB in total"
    table.caption = f"{memory_in_all}; {done} jobs done"
    table.caption_justify = "left"
    return table
