"""The admin logs in, a wrong password is refused, all parts are healthy, and the pipeline is there and not paused."""

import json
import os
import sys
from http.client import HTTPConnection
from secrets import token_hex
from urllib.parse import urlsplit

URL = os.environ["AIRFLOW_URL"]
LOGS = "kubectl -n crypto-analytics logs airflow-0 --all-containers --prefix --tail=50"


def ask(method, path, body=None, token=""):
    """Return the status and what was said."""
    connection = HTTPConnection(urlsplit(URL).netloc, timeout=20)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or "{}")


try:
    status, login = ask("POST", "/auth/token", {"username": "admin", "password": os.environ["AIRFLOW_ADMIN_PASSWORD"]})
    if status >= 300:
        sys.exit(f"admin's login: HTTP {status}; a changed password counts from the pod's next start; next: {LOGS}")
    refused, _ = ask("POST", "/auth/token", {"username": "admin", "password": token_hex()})
    _, health = ask("GET", "/api/v2/monitor/health")
    found, dag = ask("GET", "/api/v2/dags/crypto_batch_pipeline", token=login["access_token"])
except OSError as error:
    sys.exit(f"{URL}: {error}; next: {LOGS}")
if refused != 401:
    sys.exit(f"a wrong password is answered with {refused}; next: {LOGS}")
unwell = [name for name in ("metadatabase", "scheduler", "dag_processor") if health[name]["status"] != "healthy"]
if unwell or found != 200 or dag["has_import_errors"]:
    sys.exit(f"unwell: {unwell}, the pipeline: HTTP {found} {dag}; next: {LOGS}")
print(f"{dag['dag_id']} is loaded{', but paused' if dag['is_paused'] else ''}; next run {dag['next_dagrun_run_after']}")
