"""Names resolve, and what no policy allows is out of reach: the cluster's network enforces NetworkPolicies.

The DNS pods are in every cluster: one port of theirs is allowed, the others are not. The API server would be no such
target, because a pod may always call its own node, and on a single one the API server is there.
"""

import os
import socket
import sys
import time

SERVICE, OPEN, CLOSED = os.environ["DNS_SERVICE"], int(os.environ["OPEN_PORT"]), int(os.environ["CLOSED_PORT"])

try:
    address = socket.gethostbyname(SERVICE)
    socket.create_connection((address, OPEN), timeout=10).close()
except OSError as error:
    sys.exit(f"{SERVICE} port {OPEN}: {error}; next: set networkPolicy.dns to where your DNS pods are")
print(f"{SERVICE} is {address}, and port {OPEN} answers")
# A network plugin learns of a new pod a moment after the pod has started, and writes its rules then.
deadline = time.monotonic() + 30
while True:
    try:
        socket.create_connection((address, CLOSED), timeout=3).close()
    except OSError as error:
        print(f"port {CLOSED} is out of reach, as it should be: {error}")
        break
    if time.monotonic() > deadline:
        sys.exit(f"port {CLOSED} answers, though the policies deny it; next: use a network plugin that enforces them")
    time.sleep(1)
