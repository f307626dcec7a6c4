"""Run kubectl port-forward for all components at once, for a cluster without ports on this machine.

Each forward targets a pod, not a Service: no Service inside of the cluster has Kafka's listener for external clients. A
forward that breaks, because the pod was replaced or the network failed, is restarted to the component's current pod.
"""

import argparse
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO

from ops.common.console import console
from ops.common.errors import Problem
from ops.common.external_programs import last_lines, path_of
from ops.common.loopback import LOOPBACK, another_port, is_free
from ops.common.processes import stop
from ops.common.settings import NAMESPACE, OpsSettings
from ops.kubernetes.kube_api import ApiUnavailable, KubeApi
from ops.kubernetes.pods import Object, Pod, component, pods
from ops.platform import kind_node_ports, make_command
from ops.platform.endpoints import ENDPOINTS, Endpoint, url

_POLL_SECONDS = 1.0
_STOP_SECONDS = 5.0
_RETRY_SECONDS = 3.0  # between two attempts
_KAFKA_PORT = next(endpoint.pod_port for endpoint in ENDPOINTS if endpoint.component == "kafka")
_NO_KAFKA = (
    "not forwarded: it has no listener for external clients, because expose.enabled is false, and the internal one "
    "redirects clients to names that only resolve in the cluster; use Kafka from a pod in the cluster"
)


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", errors="replace")  # open as long as its forward exists


@dataclass
class PortForward:
    """The forward from one port on this machine to one component."""

    endpoint: Endpoint
    port: int
    context: str
    process: subprocess.Popen[bytes] | None = None
    pod: str = ""
    last_message: str = field(default="", repr=False)
    # A file, not a pipe: it is read only after kubectl has ended, and a full pipe would block kubectl.
    output: IO[str] = field(default_factory=_file, repr=False)

    def command(self, pod: str) -> list[str]:
        """Return kubectl's command line."""
        where = ["--context", self.context, "--namespace", NAMESPACE]
        return [
            path_of("kubectl"),
            *where,
            "port-forward",
            f"--address={LOOPBACK}",
            f"pod/{pod}",
            f"{self.port}:{self.endpoint.pod_port}",
        ]

    def step(self, running: list[Pod], report: Callable[[str], None]) -> None:
        """Start the forward unless it runs, and report changes."""
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.output.seek(0)
            self._report_change(report, f"broken: {last_lines(self.output.read(), 1) or 'no message'}")
            self.process = None
        pod = target(running, self.endpoint.component)
        if pod is None:
            self._report_change(report, f"waits for a ready pod of {self.endpoint.component}")
            return
        if pod != self.pod or self.last_message:
            self._report_change(report, f"forwarded to {pod}")
        self.pod = pod
        self.output.seek(0)
        self.output.truncate()
        self.process = subprocess.Popen(
            self.command(pod), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.output
        )

    def stop(self) -> None:
        """Stop kubectl."""
        if self.process is not None:
            stop(self.process, grace_seconds=_STOP_SECONDS)

    def _report_change(self, report: Callable[[str], None], message: str) -> None:
        if message != self.last_message:
            self.last_message = message
            report(f"{self.endpoint.name:<14} {message}")


def target(running: list[Pod], component: str) -> str | None:
    """Return the name of a ready pod of a component that is not terminating; None if there is none."""
    ready = [
        pod for pod in running if pod.component == component and pod.state == "Running" and pod.ready == pod.containers
    ]
    return min(ready, key=lambda pod: pod.name).name if ready else None


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Forward until Ctrl-C.

    Raises:
        Problem: a port is taken, or the cluster has no pod of the platform.
    """
    argparse.ArgumentParser(prog="python -m ops forward", description=__doc__).parse_args(arguments)
    out = console()
    cluster = KubeApi(settings.KUBE_CONTEXT)
    numbers = kind_node_ports.effective(settings)
    items = cluster.items("pods")
    components = {component(item["metadata"]) for item in items}
    if "kafka" in components and not has_external_listener(items):
        components.remove("kafka")
        out.print(f"{'Kafka':<14} {_NO_KAFKA}", soft_wrap=True)
    forwarded = [endpoint for endpoint in ENDPOINTS if endpoint.component in components]
    forwards = [
        PortForward(endpoint, numbers[endpoint.setting], settings.KUBE_CONTEXT)
        for endpoint in first_of_each_port(forwarded)
    ]
    if not forwards:
        raise Problem(
            "there is no pod to forward to",
            f"{settings.KUBE_CONTEXT} has no pod of the platform",
            make_command.make_up(),
        )
    for forward in forwards:
        check_port(forward)
    for endpoint in forwarded:
        out.print(f"{endpoint.name:<14} {url(endpoint, numbers)}", soft_wrap=True)
    urls = make_command.target("urls", settings.KUBE_CONTEXT)
    out.print(f"forwarding until Ctrl-C; users and passwords: {urls}", markup=False, soft_wrap=True)
    keep_running(forwards, cluster, lambda text: out.print(text, markup=False, soft_wrap=True), threading.Event())
    return 0


def first_of_each_port(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the first endpoint of each port, as several endpoints can share one."""
    first: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        first.setdefault(endpoint.setting, endpoint)
    return list(first.values())


def has_external_listener(items: Iterable[Object]) -> bool:
    """Return whether a pod of Kafka has the listener for external clients."""
    brokers = [item for item in items if component(item["metadata"]) == "kafka"]
    containers = [container for broker in brokers for container in broker["spec"]["containers"]]
    return any(port["containerPort"] == _KAFKA_PORT for one in containers for port in one.get("ports", []))


def check_port(forward: PortForward) -> None:
    """Check that a forward's port is free.

    Raises:
        Problem: it is taken.
    """
    if not is_free(forward.port):
        setting = forward.endpoint.setting
        moved = f"{setting}={another_port(forward.port)}"
        fix = f"{make_command.target('forward', forward.context)} {moved}"
        if forward.endpoint.component == "kafka":  # the broker advertises its configured port
            fix = f"change the advertised port first: {make_command.make_up(moved)}; then {fix}"
        raise Problem(f"port {forward.port} is in use", f"{forward.endpoint.name} needs it", fix)


def keep_running(
    forwards: list[PortForward], cluster: KubeApi, report: Callable[[str], None], stop: threading.Event
) -> None:
    """Keep all forwards running until ``stop`` is set or the user interrupts, then stop all of them."""
    try:
        while not stop.is_set():
            broken = [one for one in forwards if one.process is None or one.process.poll() is not None]
            if broken:
                try:
                    running = pods(cluster.items("pods"))
                except ApiUnavailable as error:
                    report(f"the cluster does not answer: {error}")
                else:
                    for forward in broken:
                        forward.step(running, report)
            stop.wait(_RETRY_SECONDS if broken else _POLL_SECONDS)
    finally:
        for forward in forwards:
            forward.stop()
