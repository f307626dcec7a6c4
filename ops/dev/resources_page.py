"""Write the page of what each environment requests, from ops/kubernetes/pod_resources.yaml."""

from collections.abc import Iterator

from ops.kubernetes import pod_resources
from ops.kubernetes.pod_resources import KIND, OUTSIDE_OF_PODS

# Working set in MiB of all pods of ours, with a stream at rest and no batch step: docs/benchmarks.md.
MEASURED = {
    "default": "2,439 to 2,496 MiB",
    "default both": "3,558 MiB",
    "lite": "1,738 to 1,810 MiB",
}
_HEAD = f"""\
# Resources

What the pods request and may use, added up from the rendered charts. It includes the pods that operators create, and
the largest pod that runs for a short time beside the others: a batch step, a Job, or the second pod of a rolling
update. Requests are what a pod needs when all are busy. A test fails where `default` or `lite` requests more than
2 CPUs or 6 GB in any variant, and `make doctor` compares Docker's CPUs and memory with this table.

`default` and `lite` are counted with the simulator and with a kind node's own pods ({KIND.cpu:,}m CPU,
{KIND.memory} MiB). *Needs* adds {OUTSIDE_OF_PODS} MiB for what a node runs outside of pods. `production` is for several
nodes, without what its PostgreSQL and its object store need. For a stream of your own: [sizing](../sizing.md).

"""


def page() -> str:
    """Return docs/reference/resources.md."""
    lines = list(_totals())
    for environment in ("default", "lite", "production"):
        lines += ["", f"## Pods of {environment}", "", *_pods(f"{environment} both")]
    return _HEAD + "\n".join(lines) + "\n"


def _totals() -> Iterator[str]:
    yield "| environment, variant | CPU requests | memory requests | needs | memory limits | measured |"
    yield "|---|---:|---:|---:|---:|---:|"
    for situation, pods in pod_resources.load().items():
        environment, _, variant = situation.partition(" ")
        total, node = pod_resources.total(pods), KIND
        needs = f"{total.memory + KIND.memory + OUTSIDE_OF_PODS:,} MiB"
        if environment == "production":
            node, needs = pod_resources.PodResources(0, 0, 0), ""
        requests = f"{total.cpu + node.cpu:,}m | {total.memory + node.memory:,} MiB"
        name = f"`{environment}`, {variant or 'python'}"
        yield f"| {name} | {requests} | {needs} | {total.limit:,} MiB | {MEASURED.get(situation, '')} |"


def _pods(situation: str) -> Iterator[str]:
    """Yield the table of the pods of the variant `both`, which has all of them."""
    yield "| pod | pods | CPU request | memory request | memory limit |"
    yield "|---|---:|---:|---:|---:|"
    for name, one in pod_resources.load()[situation].items():
        yield f"| {name} | {one.pods} | {one.cpu:,}m | {one.memory:,} MiB | {one.limit:,} MiB |"
