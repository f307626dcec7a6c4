"""Follow the logs of one component or of all, each line prefixed with the pod's name."""

import argparse
import os

from ops.common.errors import Problem
from ops.common.external_programs import path_of
from ops.common.settings import NAMESPACE, OpsSettings
from ops.kubernetes.kube_api import KubeApi
from ops.kubernetes.pods import component

# All pods: the namespace is the platform's alone, and pods that operators make (Kafka) lack our labels. kubectl needs a
# selector that is not empty; this one matches every pod, because none has the label.
_ALL = "!no-such-label"
_TAIL = 100


def command(settings: OpsSettings, *, follow: bool) -> list[str]:
    """Return kubectl's command line."""
    selector = f"app.kubernetes.io/name={settings.SERVICE}" if settings.SERVICE else _ALL
    where = ["--context", settings.KUBE_CONTEXT, "--namespace", NAMESPACE]
    how = ["--all-containers", "--prefix", "--ignore-errors", "--max-log-requests=50", f"--tail={_TAIL}"]
    return [path_of("kubectl"), *where, "logs", "--selector", selector, *how, *(["--follow"] if follow else [])]


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Replace this process by kubectl.

    Raises:
        Problem: the component has no pod.
    """
    parser = argparse.ArgumentParser(prog="python -m ops logs", description=__doc__)
    parser.add_argument("--no-follow", action="store_true", help="print the existing lines and exit")
    follow = not parser.parse_args(arguments).no_follow
    components = sorted({component(pod["metadata"]) for pod in KubeApi(settings.KUBE_CONTEXT).items("pods")})
    if settings.SERVICE and settings.SERVICE not in components:
        cause = f"components with pods: {', '.join(components) or 'none'}"
        raise Problem(f"{settings.SERVICE} has no pod", cause, f"make logs SERVICE={(components or ['consumer'])[0]}")
    line = command(settings, follow=follow)
    os.execv(line[0], line)  # noqa: S606  # no shell is wanted
