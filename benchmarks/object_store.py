"""Run ``python -m benchmarks.object_store``: compare the S3 servers, each as its image with the limits of Compose.

The servers run side by side and take turns, with objects of the sizes that the platform writes. Prints Markdown. Needs
Docker and the images of ``make images``.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from os import urandom
from statistics import median, quantiles
from urllib.request import urlopen

import yaml
from minio import Minio
from pydantic import SecretStr

from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import S3Store, s3_client
from ops.common.paths import ROOT
from ops.platform import images

SIZES = (5_000, 50_000, 500_000)  # bytes: a raw object of a quiet second, of a busy one, and an hour of bronze
THREADS = (1, 8)
OBJECTS = 200  # of one measurement
ROUNDS = 3
_BUCKET = "raw"
_PASSWORD = "only of this benchmark"
_START_SECONDS = 120.0
_MEMORY_UNITS = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


@dataclass(frozen=True)
class Server:
    """A server under test."""

    name: str
    container: str
    client: Minio

    def memory(self) -> float:
        """Return the memory of the container in MiB, without the page cache."""
        text = _docker("stats", "--no-stream", "--format", "{{.MemUsage}}", self.container).partition("/")[0].strip()
        return float(text[:-3]) * _MEMORY_UNITS[text[-3:]]


def main() -> None:
    """Print the memory at rest and under load, and rates and latencies of puts and gets."""
    with started("minio") as minio, started("versitygw") as versitygw:
        servers = (minio, versitygw)
        time.sleep(10)  # what a server does at its start is no part of its rest
        memory = {server.name: [server.memory()] for server in servers}
        seconds: dict[tuple[str, str, int, int], list[float]] = {}
        for round_number, threads, size, server in product(range(ROUNDS), THREADS, SIZES, servers):
            store, data = S3Store(server.client), urandom(size)
            keys = [f"trades/symbol=A/hour={number % 24}/{round_number}-{size}-{number}" for number in range(OBJECTS)]
            put = _timed(threads, keys, lambda key, to=store, what=data: to.put(_BUCKET, key, what))
            seconds.setdefault((server.name, "put", threads, size), []).extend(put)
            memory[server.name].append(server.memory())
            get = _timed(threads, keys, lambda key, of=store: of.get(_BUCKET, key))
            seconds.setdefault((server.name, "get", threads, size), []).extend(get)
        print("| MiB | at rest | under load, highest |\n|---|---:|---:|")
        for name, (at_rest, *loaded) in memory.items():
            print(f"| {name} | {at_rest:.0f} | {max(loaded):.0f} |")
        print("\n| | threads | size | minio: per s | p50 ms | p99 ms | versitygw: per s | p50 ms | p99 ms |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for action, threads, size in product(("put", "get"), THREADS, SIZES):
            cells = [_cells(threads, seconds[server.name, action, threads, size]) for server in servers]
            print(f"| {action} | {threads} | {size // 1000} KB | {' | '.join(cells)} |")


def _cells(threads: int, seconds: list[float]) -> str:
    rate, tail = threads * len(seconds) / sum(seconds), quantiles(seconds, n=100)[98]
    return f"{rate:.0f} | {median(seconds) * 1e3:.1f} | {tail * 1e3:.1f}"


def _timed(threads: int, keys: list[str], request: Callable[[str], object]) -> list[float]:
    """Return the seconds of each request."""

    def timed(key: str) -> float:
        started_at = time.perf_counter()
        request(key)
        return time.perf_counter() - started_at

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(timed, keys))


@contextmanager
def started(name: str) -> Iterator[Server]:
    """Run the image of ``name`` with the limits and settings of docker-compose.yml, on a volume of its own."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    settings = service["environment"] | {
        key: _PASSWORD for key, value in service["environment"].items() if ":?" in str(value)
    }
    container = _docker(
        *("run", "--detach", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp:mode=1777,size=64m"),
        *(f"--memory={service['mem_limit']}", f"--cpus={service['cpus']}", "--publish=127.0.0.1::9000"),
        *(f"--env={key}={value}" for key, value in settings.items()),
        f"--volume={service['volumes'][0].partition(':')[2]}",
        images.reference(name, images.read_tags()[name]),
    )
    try:
        endpoint = _docker("port", container, "9000")
        path = {"minio": "/minio/health/ready", "versitygw": "/health"}[name]
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"http://{endpoint}{path}"):
            assert time.monotonic() < deadline, _docker("logs", container)
            time.sleep(0.1)
        login = {"S3_ACCESS_KEY": "root", "S3_SECRET_KEY": SecretStr(_PASSWORD)}
        client = s3_client(ObjectStoreSettings(S3_ENDPOINT=endpoint, S3_SECURE=False, **login))
        client.make_bucket(_BUCKET)
        yield Server(name, container, client)
    finally:
        _docker("rm", "--force", "--volumes", container)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
