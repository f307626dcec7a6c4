"""Memory of every pod: the working set, which the kubelet compares with the limit."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from ops.common.console import console
from ops.common.settings import NAMESPACE, OpsSettings
from ops.common.units import MIB, quantity
from ops.kubernetes.kube_api import KubeApi
from ops.kubernetes.pods import Object, component


@dataclass(frozen=True)
class Usage:
    """A pod's working set and memory limit in bytes; ``limit`` is 0 if a container has none."""

    pod: str
    component: str
    used: int
    limit: int


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m ops memory", description=__doc__).parse_args(arguments)
    console().print(table(read(KubeApi(settings.KUBE_CONTEXT))))
    return 0


def working_sets(summaries: Iterable[Object], namespace: str = NAMESPACE) -> dict[str, int]:
    """Return each pod's working set in bytes from the kubelets' summaries, for pods with running containers."""
    used: dict[str, int] = {}
    for summary in summaries:
        for pod in summary.get("pods", []):
            reference = pod["podRef"]
            sizes = [one.get("memory", {}).get("workingSetBytes") for one in pod.get("containers", [])]
            counted = [size for size in sizes if size is not None]
            if reference["namespace"] == namespace and counted:
                used[reference["name"]] = sum(counted)
    return used


def node_working_set(summaries: Iterable[Object]) -> int:
    """Return the working set of all nodes in bytes, with Kubernetes itself."""
    return sum(summary["node"]["memory"]["workingSetBytes"] for summary in summaries)


def usages(pods: Iterable[Object], summaries: Iterable[Object]) -> list[Usage]:
    """Return the usage of each running pod, largest first."""
    used = working_sets(summaries)
    found = [
        Usage(pod["metadata"]["name"], component(pod["metadata"]), used[pod["metadata"]["name"]], _limit(pod))
        for pod in pods
        if pod["metadata"]["name"] in used
    ]
    return sorted(found, key=lambda usage: (-usage.used, usage.pod))


def read(cluster: KubeApi) -> list[Usage]:
    """Return the current usage of each running pod of the platform.

    Raises:
        ApiUnavailable: the cluster does not answer.
    """
    return usages(cluster.items("pods"), cluster.stats())


def table(found: Iterable[Usage]) -> Table:
    """Return a table of the pods' memory with the total."""
    shown = Table("pod", "MiB", "limit", title="Memory (working set)", title_justify="left", show_footer=True)
    rows = list(found)
    for usage in rows:
        shown.add_row(usage.pod, f"{usage.used / MIB:,.0f}", f"{usage.limit / MIB:,.0f}" if usage.limit else "none")
    for column, total in ((1, sum(usage.used for usage in rows)), (2, sum(usage.limit for usage in rows))):
        shown.columns[column].justify = "right"
        shown.columns[column].footer = f"{total / MIB:,.0f}"
    shown.columns[0].footer = "total"
    return shown


def _limit(pod: Object) -> int:
    limits = [one.get("resources", {}).get("limits", {}).get("memory") for one in pod["spec"]["containers"]]
    return sum(map(quantity, limits)) if all(limits) else 0
