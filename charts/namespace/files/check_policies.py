"""Names resolve, and what no policy allows is out of reach: the cluster's network enforces NetworkPolicies.

The DNS pods are in every cluster: one port of theirs is allowed, the others are not. The API server would be no such
target, because a pod may always call its own node, and on a single one the API server is there.
"""

import os
import socket
import sys

SERVICE, OPEN, CLOSED = os.environ["DNS_SERVICE"], int(os.environ["OPEN_PORT"]), int(os.environ["CLOSED_PORT"])

try:
    address = socket.gethostbyname(SERVICE)
    socket.create_connection((address, OPEN), timeout=10).close()
except OSError as error:
    sys.exit(f"{SERVICE} port {OPEN}: {error}; next: set networkPolicy.dns to where your DNS pods are")
print(f"{SERVICE} is {address}, and port {OPEN} answers")
try:
    socket.create_connection((address, CLOSED), timeout=5).close()
except OSError as error:
    print(f"port {CLOSED} is out of reach, as it should be: {error}")
else:
    sys.exit(
        f"port {CLOSED} answers in spite of default-deny; next: install a network plugin that enforces NetworkPolicies"
    )
