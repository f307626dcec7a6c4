"""A webhook that receives alerts, as a container beside the platform: Alertmanager sends to it by its address."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ops.common import secret_files
from ops.compose.project import TAGS
from ops.platform import images
from tests.e2e.programs import attempt, run
from tests.e2e.waiting import wait_until

CONTAINER = "crypto-analytics-alert-receiver"
PORT = 8080
_RESTRICTED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001:10001")
_PROGRAM = f"""\
from http.server import BaseHTTPRequestHandler, HTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()

HTTPServer(("", {PORT}), Receiver).serve_forever()
"""


class AlertReceiver:
    """The running receiver, at an ``address`` of the platform's Docker network."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}:{PORT}/"

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts that have arrived, oldest first."""
        messages = run("docker", "logs", CONTAINER).splitlines()
        return [alert for text in messages if text.startswith("{") for alert in json.loads(text)["alerts"]]

    def wait_for(self, status: str, labels: dict[str, str], seconds: float) -> dict[str, Any]:
        """Return the first alert with this status and these labels."""

        def found() -> dict[str, Any] | None:
            wanted = labels.items()
            alerts = (its for its in self.alerts() if its["status"] == status and wanted <= its["labels"].items())
            return next(alerts, None)

        return wait_until(found, seconds, f"{labels} arrives {status}", every=1)


@contextmanager
def receiving(network: str) -> Iterator[AlertReceiver]:
    """Run the receiver on a Docker network."""
    image = images.reference("tools", secret_files.values(TAGS.read_text())["TOOLS_TAG"])
    attempt("docker", "rm", "--force", CONTAINER)
    where = (f"--name={CONTAINER}", f"--network={network}")
    run("docker", "run", "--detach", *where, *_RESTRICTED, "--entrypoint=python", image, "-c", _PROGRAM)
    try:
        (inspected,) = json.loads(run("docker", "inspect", CONTAINER))
        yield AlertReceiver(inspected["NetworkSettings"]["Networks"][network]["IPAddress"])
    finally:
        run("docker", "rm", "--force", CONTAINER)
