"""Health checks of the endpoints: each logs in and sends a real request."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import urllib3
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from minio import Minio
from minio.error import MinioException

from ops.common.loopback import LOOPBACK
from ops.platform import airflow
from ops.platform.endpoints import GRAFANA_ADMIN, READER, SUPERSET_ADMIN, Installation

TIMEOUT = 5.0
_SUPERSET_SECONDS = 15.0  # the first request loads most of its modules
_SPARK_SECONDS = 30.0  # the first request loads the classes of the pages
_AIRFLOW_SECONDS = 30.0  # a login hashes the password, on a machine that may be busy
DATABASE = "crypto_analytics"
_BUCKET = "raw"
_AGAIN_SECONDS = 1.0

AFTER_START_SECONDS = 60.0
"""How long to wait for endpoints after a start.

A Service reaches a pod some time after the pod is ready: only then does each node change its rules. Until then a
connection to the node's port is accepted on this machine and reset.
"""


class Unhealthy(Exception):
    """An endpoint does not answer, or rejects the request; the text is the reason."""


@dataclass(frozen=True)
class Health:
    """The result of a check: ``problem`` is empty if the endpoint is healthy; ``seconds`` is the response time.

    ``note`` describes a healthy endpoint that has nothing to show yet.
    """

    problem: str
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        return self.problem or f"ok, {self.note or f'{self.seconds * 1000:.0f} ms'}"


def check_all(installed: Installation, seconds: float = 0.0) -> dict[str, Health]:
    """Check all endpoints at the same time; return the results by name.

    What is unhealthy is checked again every second, for ``seconds`` at most.
    """
    deadline = time.monotonic() + seconds
    names = [endpoint.name for endpoint in installed.endpoints]
    found: dict[str, Health] = {}
    while True:
        found |= _check(installed, [name for name in names if name not in found or found[name].problem])
        if not any(one.problem for one in found.values()) or time.monotonic() >= deadline:
            return found
        time.sleep(_AGAIN_SECONDS)


def _check(installed: Installation, names: list[str]) -> dict[str, Health]:
    secrets = {endpoint.name: installed.passwords.get(endpoint.secret, "") for endpoint in installed.endpoints}
    ports = {endpoint.name: installed.ports[endpoint.setting] for endpoint in installed.endpoints}
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as threads:
        return dict(zip(names, threads.map(lambda name: check(name, ports[name], secrets[name]), names), strict=True))


def check(name: str, port: int, password: str) -> Health:
    """Check one endpoint on this machine."""
    started = time.monotonic()
    try:
        note = _CHECKS[name](port, password)
    except Unhealthy as problem:
        return Health(" ".join(str(problem).split()), time.monotonic() - started)
    return Health("", time.monotonic() - started, note or "")


def kafka(port: int, password: str) -> None:
    """List the topics.

    Raises:
        Unhealthy: the broker does not answer or refuses the login.
    """
    errors: list[KafkaError] = []
    config: dict[str, Any] = {
        "bootstrap.servers": f"{LOOPBACK}:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": READER,
        "sasl.password": password,
        "error_cb": errors.append,
        "log_level": 0,
    }
    client = AdminClient(config)
    try:
        topics = client.list_topics(timeout=TIMEOUT).topics
    except KafkaException as error:
        client.poll(0)
        refused = [one for one in errors if one.code() == KafkaError._AUTHENTICATION]
        raise Unhealthy("the login is refused" if refused else _short(error.args[0])) from error
    if not topics:
        raise Unhealthy("no topics are visible to reader")


def postgres(port: int, password: str) -> None:
    """Run a query.

    Raises:
        Unhealthy: the server does not answer or refuses the login.
    """
    try:
        with psycopg.connect(
            host=LOOPBACK, port=port, dbname=DATABASE, user=READER, password=password, connect_timeout=int(TIMEOUT)
        ) as connection:
            connection.execute("select count(*) from completeness")
    except psycopg.Error as error:
        raise Unhealthy(_short(error)) from error


def s3(port: int, password: str) -> None:
    """Check that a bucket exists.

    Raises:
        Unhealthy: the store does not answer, refuses the login, or lacks the bucket.
    """
    pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
    store = Minio(f"{LOOPBACK}:{port}", access_key=READER, secret_key=password, secure=False, http_client=pool)
    try:
        if not store.bucket_exists(_BUCKET):
            raise Unhealthy(f"bucket {_BUCKET} is missing")
    except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise Unhealthy(_short(error)) from error


def minio_console(port: int, password: str) -> None:
    """Log in to the console.

    Raises:
        Unhealthy: the console does not answer or refuses the login.
    """
    login = {"accessKey": READER, "secretKey": password}
    _request("POST", f"http://{LOOPBACK}:{port}/api/v1/login", login)


def data_docs(port: int, password: str) -> str:
    """Request the front page of the Data Docs without a login, as a browser does.

    Raises:
        Unhealthy: the store does not answer.
    """
    return _published(port, "index.html")


def dbt_docs(port: int, password: str) -> str:
    """Request the page of dbt docs without a login.

    Raises:
        Unhealthy: the store does not answer.
    """
    return _published(port, "dbt/index.html")


def _published(port: int, page: str) -> str:
    url = f"http://{LOOPBACK}:{port}/data-docs/site/{page}"
    try:
        status = httpx.get(url, timeout=TIMEOUT, trust_env=False).status_code
    except httpx.HTTPError as error:
        raise Unhealthy(_short(error)) from error
    match status:
        case httpx.codes.OK:
            return ""
        case httpx.codes.NOT_FOUND:
            return "the quality gate has not run yet"
        case httpx.codes.FORBIDDEN:
            return "anonymous access is disabled; read them with the login of the S3 server"
    raise Unhealthy(f"HTTP {status}")


def superset(port: int, password: str) -> None:
    """Log in as admin.

    Raises:
        Unhealthy: Superset does not answer or refuses the login.
    """
    login = {"username": SUPERSET_ADMIN, "password": password, "provider": "db"}
    _request("POST", f"http://{LOOPBACK}:{port}/api/v1/security/login", login, timeout=_SUPERSET_SECONDS)


def live_page(port: int, password: str) -> None:
    """Request the page, as a browser does.

    Raises:
        Unhealthy: the API does not answer, or its image has no page.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/")


def api(port: int, password: str) -> None:
    """Request its readiness, without a token.

    Raises:
        Unhealthy: the API does not answer, or is not ready.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/readyz")


def simulator(port: int, password: str) -> None:
    """Request its health, without a login.

    Raises:
        Unhealthy: the simulator does not answer, or with an error.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/healthz")


def airflow_api(port: int, password: str) -> None:
    """Request the health of each part, then log in as admin and request the pipeline.

    Raises:
        Unhealthy: Airflow does not answer, refuses the login, or has an unhealthy part.
    """
    with airflow.Airflow(port, password, timeout=_AIRFLOW_SECONDS) as api:
        try:
            unhealthy = [f"{part} is {status}" for part, status in api.health().items() if status != "healthy"]
            if not unhealthy and api.pipeline()["has_import_errors"]:
                unhealthy = ["the pipeline has import errors"]
        except httpx.HTTPStatusError as error:
            raise Unhealthy(f"{error.response.status_code} {error.response.reason_phrase}") from error
        except httpx.HTTPError as error:
            raise Unhealthy(_short(error)) from error
    if unhealthy:
        raise Unhealthy(", ".join(unhealthy))


def ready(port: int, password: str) -> None:
    """Request the readiness of Prometheus or Alertmanager, without a login.

    Raises:
        Unhealthy: it does not answer, or is not ready.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/-/ready")


def grafana(port: int, password: str) -> None:
    """Log in as admin and request the dashboard of the stream.

    Raises:
        Unhealthy: Grafana does not answer, refuses the login, or lacks the dashboard.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/api/dashboards/uid/crypto-stream", login=(GRAFANA_ADMIN, password))


def spark_ui(port: int, password: str) -> None:
    """Request the list of applications, without a login.

    Raises:
        Unhealthy: the UI does not answer, or with an error.
    """
    _request("GET", f"http://{LOOPBACK}:{port}/api/v1/applications", timeout=_SPARK_SECONDS)


def _request(
    method: str,
    url: str,
    body: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
    login: tuple[str, str] | None = None,
) -> None:
    try:
        httpx.request(method, url, json=body, auth=login, timeout=timeout, trust_env=False).raise_for_status()
    except httpx.HTTPStatusError as error:
        raise Unhealthy(f"{error.response.status_code} {error.response.reason_phrase}") from error
    except httpx.HTTPError as error:
        raise Unhealthy(_short(error)) from error


def _short(error: object) -> str:
    """Return the first line of an error, at most 120 characters."""
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


_CHECKS: dict[str, Callable[[int, str], str | None]] = {
    "Live page": live_page,
    "API": api,
    "Kafka": kafka,
    "PostgreSQL": postgres,
    "MinIO (S3)": s3,
    "versitygw (S3)": s3,
    "Data Docs": data_docs,
    "dbt docs": dbt_docs,
    "MinIO console": minio_console,
    "Superset": superset,
    "Airflow": airflow_api,
    "Prometheus": ready,
    "Alertmanager": ready,
    "Grafana": grafana,
    "Spark UI": spark_ui,
    "Simulator": simulator,
}
