"""PostgreSQL is killed during the batch's steps: the retries succeed, and no reader sees a half-written state."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from crypto_analytics.store.objects import DirectoryStore
from tests.batch_run import Batch, expected_gold, expected_silver, kline, put_official, values
from tests.servers import ROOT, Servers

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
STEPS = "dbt_silver,dbt_gold,export_lake"
TABLES = ("silver_klines_1m", "gold_klines_5m")
_WAITING = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and %s in (usename::text, application_name)"


class Watcher(threading.Thread):
    """Reads tables and lake repeatedly, as Superset does, and keeps every state of each."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(name="watcher")
        self._batch = batch
        self.stop = threading.Event()
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.looks = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.wait(0.05):
                for name, state in look(self._batch).items():
                    self.seen[name].add(state)
                self.looks += 1
        except BaseException as error:
            self.error = error
            raise


def look(batch: Batch) -> dict[str, str]:
    """Return the state of each table, if the server answers, and of each Parquet object."""
    states = {}
    lake = DirectoryStore(batch.folder / "objects")
    for bucket in ("silver", "gold"):
        for item in lake.list(bucket):
            content = lake.get(bucket, item.key)
            if item.key.endswith(".parquet"):
                assert pq.read_table(BytesIO(content)).num_rows > 0
                states[f"{bucket}/{item.key}"] = sha256(content).hexdigest()
    try:
        with batch.database.connect("reader") as reader:
            for table in TABLES:
                query = f"select md5(string_agg(t::text, ' ' order by symbol, open_time)) from analytics.{table} as t"
                (states[table],) = reader.execute(query.encode()).fetchone() or ("",)
    except psycopg.OperationalError:
        pass  # the server was killed and is not ready again
    return states


class Killer:
    """Blocks a step at a lock, and kills PostgreSQL there."""

    def __init__(self, servers: Servers, batch: Batch) -> None:
        self._supervisor = servers.supervisor
        self._batch = batch

    def kill_at(self, table: str, mode: str, waiter: str, then: Callable[[], None] = lambda: None) -> None:
        """Lock ``table`` until ``waiter``, a role or a program, waits for it; kill and restart the server."""
        with psycopg.connect(**self._login()) as holder:
            holder.execute(f"lock table analytics.{table} in {mode} mode".encode())
            then()
            with self._batch.database.connect() as looker:
                self._supervisor.wait_until(
                    lambda: looker.execute(_WAITING, [waiter]).fetchone() is not None,
                    60,
                    f"{waiter} does not wait for {table}",
                )
            restarts = self._supervisor.restarts["postgres"]
            os.kill(self._supervisor.pid("postgres"), signal.SIGKILL)
            holder.close()
        self._supervisor.wait_until(
            lambda: self._supervisor.restarts["postgres"] > restarts, 30, "PostgreSQL is not started again", every=0.01
        )
        self._supervisor.wait_ready("postgres")

    def _login(self) -> dict[str, str | int]:
        database = self._batch.database
        return {"host": database.host, "port": database.port, "dbname": database.database,
                "user": database.user("superuser"), "password": database.passwords["superuser"]}  # fmt: skip


@pytest.mark.timeout(300)
def test_no_half_written_state_is_ever_seen(private_servers: Servers, tmp_path: Path) -> None:
    with private_servers.database() as database:
        batch = Batch(database, tmp_path)
        put(batch, price=1000, minutes=60)
        assert batch.run("--steps", STEPS).returncode == 0
        before = look(batch)
        put(batch, price=2000, minutes=120)  # every row changes, and the same number is new

        watcher, killer = Watcher(batch), Killer(private_servers, batch)
        watcher.start()
        report = tmp_path / "report.json"
        run = Run(batch, report)
        try:
            killer.kill_at("silver_klines_1m", "share row exclusive", "transformer", run.start)
            killer.kill_at("gold_klines_1h", "share row exclusive", "transformer")
            run.wait_for("== export_lake")
            killer.kill_at("gold_klines_1h", "access exclusive", "exporter")
            run.join()
        finally:
            watcher.stop.set()
            watcher.join()
            run.end()
        assert run.code == 0, "\n".join(run.lines)
        assert all(step["tries"] > 1 for step in json.loads(report.read_text())["steps"])

        after = look(batch)
        assert watcher.error is None
        assert watcher.looks > 20
        for name, states in watcher.seen.items():
            assert states <= {before.get(name), after[name]}, f"{name} was seen half-written"
        assert all(after[name] in watcher.seen[name] for name in TABLES)
        assert values(batch.rows("analytics.silver_klines_1m"), "source") == expected_silver(batch)
        assert values(batch.rows("analytics.gold_klines_5m")) == expected_gold(batch, 5)
        assert values(batch.rows("analytics.gold_klines_1h")) == expected_gold(batch, 60)


def put(batch: Batch, *, price: int, minutes: int) -> None:
    with batch.database.connect("writer") as writer, writer.transaction():
        for symbol in ("BTCUSDT", "ETHUSDT"):
            times = (START + timedelta(minutes=number) for number in range(minutes))
            put_official(writer, *(kline(time, price + number, symbol) for number, time in enumerate(times)))


class Run:
    """The batch as a process beside the test, with its output lines."""

    def __init__(self, batch: Batch, report: Path) -> None:
        self._batch = batch
        self._command = [sys.executable, "-m", "crypto_analytics.batch", "--steps", STEPS, "--report", str(report)]
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []
        self.code: int | None = None

    def start(self) -> None:
        env = self._batch.env(BATCH_RETRIES="5", BATCH_RETRY_SECONDS="0.5")
        self._process = subprocess.Popen(
            self._command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, name="lines")
        self._reader.start()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()

    def wait_for(self, words: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in line for line in self.lines), 60), self.lines

    def join(self) -> None:
        assert self._process is not None
        self.code = self._process.wait(90)
        self._reader.join()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self.join()
