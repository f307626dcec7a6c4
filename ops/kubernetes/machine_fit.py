"""Whether an environment with a variant fits Docker's machine, and which one does."""

from ops.common.candle_variant import Variant
from ops.common.settings import Environment
from ops.common.units import MIB
from ops.kubernetes import pod_resources
from ops.kubernetes.machine import MachineFacts

KERNEL_SHARE = 0.05  # of a machine's memory, which its kernel reserves
COMFORTABLE_SHARE = 0.85  # of the CPUs; where pods request more, a burst of one slows down the others


def has_cpus(found: MachineFacts, environment: Environment, variant: Variant, share: float = 1.0) -> bool:
    """Return whether all pods fit in ``share`` of the CPUs; an unknown number of CPUs is enough."""
    return found.cpus is None or pod_resources.needed_cpu(environment, variant) <= share * found.cpus * 1000


def has_memory(found: MachineFacts, environment: Environment, variant: Variant) -> bool:
    """Return whether the machine has the memory for all pods, free or not."""
    return found.memory_total >= needed_bytes(environment, variant) * (1 - KERNEL_SHARE)


def has_free_memory(found: MachineFacts, environment: Environment, variant: Variant) -> bool:
    """Return whether that memory is free. A running cluster has it already; a virtual machine does not tell."""
    if found.memory_free is None or found.cluster_runs:
        return True
    return found.memory_free >= needed_bytes(environment, variant) * (1 - KERNEL_SHARE)


def needed_bytes(environment: Environment, variant: Variant) -> int:
    """Return the memory that Docker's machine must have."""
    return pod_resources.needed_memory(environment, variant) * MIB


def fits(found: MachineFacts, environment: Environment, variant: Variant) -> bool:
    """Return whether all pods fit with some CPU to spare."""
    return (
        has_cpus(found, environment, variant, COMFORTABLE_SHARE)
        and has_memory(found, environment, variant)
        and has_free_memory(found, environment, variant)
    )


def fitting(found: MachineFacts, variant: Variant) -> Environment:
    """Return the environment that fits: default, otherwise lite."""
    return "default" if fits(found, "default", variant) else "lite"


def lighter(found: MachineFacts, environment: Environment, variant: Variant) -> str:
    """Return the command that installs a smaller platform, which fits; make demo needs no Kubernetes at all."""
    given = pod_resources.needed_cpu(environment, variant)
    candidates: tuple[tuple[Environment, Variant], ...] = (("lite", variant), ("lite", "python"))
    for env, its in candidates:
        is_lighter = pod_resources.needed_cpu(env, its) < given
        if is_lighter and has_cpus(found, env, its, COMFORTABLE_SHARE) and has_memory(found, env, its):
            return f"make up ENV={env}" + (f" VARIANT={its}" if its != "python" else "")
    return "make demo needs no Kubernetes"
