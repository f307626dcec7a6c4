"""Access to the platform in the cluster from this machine: its ports and the passwords of its readers."""

from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.kubernetes import kind_cluster
from ops.kubernetes.kube_api import ApiUnavailable, KubeApi
from ops.kubernetes.pods import component
from ops.platform import airflow, kind_node_ports, make_command
from ops.platform.endpoints import READER, Installation


def find(settings: OpsSettings) -> Installation | None:
    """Return the access to the platform in the cluster; None if the cluster or the platform is not installed.

    A cluster other than kind is reached through ``make forward``, which uses the same ports.
    """
    bound = None
    if settings.is_kind:
        found = kind_cluster.node()
        if found is None or found.state != "running":
            return None
        bound = found.bound
    try:
        cluster = KubeApi(settings.KUBE_CONTEXT)
        components = frozenset(component(pod["metadata"]) for pod in cluster.items("pods"))
        passwords = cluster.secret(READER)
        if airflow.COMPONENT in components:
            passwords |= {airflow.LOGIN_KEY: cluster.secret(airflow.COMPONENT).get(airflow.LOGIN_KEY, "")}
    except LookupError:
        return None
    except ApiUnavailable as error:
        raise Problem(f"{settings.KUBE_CONTEXT} does not answer", str(error), make_command.make_up()) from error
    where = settings.KUBE_CONTEXT if settings.is_kind else f"{settings.KUBE_CONTEXT}, while make forward runs"
    return Installation(f"Kubernetes ({where})", kind_node_ports.mapped(settings, bound), passwords, components)
