"""Names resolve, and nothing else answers: the cluster's network enforces NetworkPolicies."""

import os
import socket
import sys

SERVER = "kubernetes.default.svc"  # the API server is in every cluster, and no pod of ours may call it

try:
    address = socket.gethostbyname(SERVER)
except OSError as error:
    sys.exit(f"{SERVER} does not resolve: {error}; next: set networkPolicy.dns to where your DNS pods are")
try:
    socket.create_connection((address, int(os.environ["API_PORT"])), timeout=5).close()
except OSError as error:
    print(f"{SERVER} is {address} and cannot be reached, as it should be: {error}")
else:
    sys.exit(
        f"{SERVER} answers in spite of the default-deny policy; next: install a network plugin with NetworkPolicies"
    )
