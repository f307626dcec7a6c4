"""What the pods of each environment and variant request, from pod_resources.yaml, and what a node must offer for them.

`python -m tests.charts.pod_resources` writes pod_resources.yaml from the rendered charts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from ops.common.candle_variant import Variant
from ops.common.settings import Environment

FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class PodResources:
    """The requests and the memory limit of one pod, and how many such pods there are.

    Attributes:
        cpu: CPU request in millicores.
        memory: memory request in MiB.
        limit: memory limit in MiB.
        pods: number of pods.
    """

    cpu: int
    memory: int
    limit: int
    pods: int = 1


# Requests of a kind node's own pods: API server 250m, controller manager 200m, scheduler, etcd and kindnet 100m each,
# CoreDNS 2 x 100m; memory of etcd 100, kindnet 50, CoreDNS 2 x 70.
KIND = PodResources(cpu=950, memory=290, limit=0)
# MiB for what a kind node runs outside of pods (kubelet, containerd), the API server, and Docker itself.
OUTSIDE_OF_PODS = 512


@cache
def load() -> Mapping[str, Mapping[str, PodResources]]:
    """Return the pods of each situation, an environment with a variant ("default both"), by component."""
    content = yaml.safe_load(FILE.read_text())
    return {
        situation: {name: PodResources(**fields) for name, fields in pods.items()}
        for situation, pods in content.items()
    }


def situation(environment: Environment, variant: Variant) -> str:
    """Return the key of an environment with a variant."""
    return environment if variant == "python" else f"{environment} {variant}"


def total(pods: Mapping[str, PodResources]) -> PodResources:
    """Return the sum over all pods, as one pod."""
    return PodResources(
        cpu=sum(one.pods * one.cpu for one in pods.values()),
        memory=sum(one.pods * one.memory for one in pods.values()),
        limit=sum(one.pods * one.limit for one in pods.values()),
        pods=sum(one.pods for one in pods.values()),
    )


def needed_cpu(environment: Environment, variant: Variant) -> int:
    """Return the millicores that a kind node must have for all pods, its own included."""
    return total(load()[situation(environment, variant)]).cpu + KIND.cpu


def needed_memory(environment: Environment, variant: Variant) -> int:
    """Return the MiB that Docker's machine must have for a kind node with all pods."""
    return total(load()[situation(environment, variant)]).memory + KIND.memory + OUTSIDE_OF_PODS
