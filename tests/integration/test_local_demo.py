"""``make demo`` as a user runs it: a whole replay, Ctrl-C, kill -9, and its errors if something is missing.

The folder's name has every allowed character. During the whole replay, every variable that the programs of a run read
has an absurd value.
"""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
import pytest

from ops.common import child_environment
from ops.local import passwords, postgres, service_settings
from ops.local.child_records import MARK, ChildRecords
from ops.local.run_folders import RunFolders
from ops.local.trade_counts import merged_ids
from ops.setup.environments import demo_dir
from tests.absurd_environment import absurd_environment
from tests.servers import ROOT

HARDEST = "ä 'q' %41 #;=,&(é)中文🚀!*?[x]~{{y}}"
HARDEST_FOR_SPARK = "ä 'q' %41 #;=&(é)中文🚀!~"
PORTS = dict.fromkeys(("KAFKA_PORT", "POSTGRES_PORT", "SIM_PORT", "SPARK_UI_PORT"), "0")


class Demo(NamedTuple):
    """A folder for the run, and the environment that names it. Port 0 is any free port."""

    folder: Path
    env: dict[str, str]

    def start(self, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "ops.local", "demo"],
            cwd=ROOT,
            env=self.env | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, **settings: str) -> tuple[int, str]:
        with self.start(**settings) as process:
            output, _ = process.communicate(timeout=240)
        return process.returncode, output

    def left_behind(self) -> list[str]:
        """Return the processes of a run in the folder, including PostgreSQL's."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                marked = str(self.folder) in words or process.environ().get(MARK, "").startswith(str(self.folder))
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(words)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def connect(self) -> psycopg.Connection:
        """Return a connection to the database of a FOREVER run."""
        folders = RunFolders(self.folder, "forever")
        setup = service_settings.RunConfig.load(folders.run_file)
        password = passwords.load(folders.secrets).superuser
        server = postgres.PostgresServer(folders.postgres, setup.addresses.postgres, password)
        return psycopg.connect(server.conninfo(service_settings.DATABASE))

    def merged(self) -> int:
        """Return how many trades a FOREVER run has merged; 0 before its database exists."""
        try:
            with self.connect() as connection:
                return merged_ids(connection)[0]
        except (FileNotFoundError, psycopg.Error):
            return 0


def make(environment: dict[str, str]) -> tuple[int, str]:
    """Run ``make demo`` in ``environment``; return its exit code and output."""
    command = ["make", "--silent", "demo", f"PYTHON={shutil.which('python3') or sys.executable}"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        output, _ = process.communicate(timeout=240)
    return process.returncode, output


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    with_spark = request.node.get_closest_marker("spark") is not None
    hardest = HARDEST_FOR_SPARK if with_spark else HARDEST
    if request.node.get_closest_marker("bi") is not None:
        hardest = hardest.replace("%", "")  # Superset does not work in such a folder
    folder = tmp_path / hardest
    folder.mkdir()
    if (demo_dir() / "venv").is_dir():  # created by `make test`
        (folder / "venv").symlink_to(demo_dir() / "venv")
    path = {"DEMO_DIR": str(folder), "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
    running = Demo(folder, child_environment.tests(os.environ) | PORTS | path | {"PYTHONUNBUFFERED": "1"})
    yield running
    assert running.left_behind() == []


def wait_for(condition: Callable[[], bool], seconds: float, process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            pytest.fail(f"it ended with {process.returncode}: {process.communicate()[0]}")
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.1)


def candles_of(path: Path) -> dict[str, tuple[object, ...]]:
    """Compute an archive's candles in plain Python, by open time in seconds."""
    minutes: dict[int, list[list[str]]] = {}
    for row in csv.reader(path.open()):
        minutes.setdefault(int(row[4]) // 60_000_000, []).append(row)
    candles = {}
    for minute, rows in minutes.items():
        prices = [Decimal(row[1]) for row in rows]
        volume, quote = sum(Decimal(row[2]) for row in rows), sum(Decimal(row[1]) * Decimal(row[2]) for row in rows)
        opened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute * 60))
        candles[opened] = (prices[0], max(prices), min(prices), prices[-1], volume, quote, len(rows))
    return candles


@pytest.mark.parametrize("variant", ["python", pytest.param("spark", marks=pytest.mark.spark)])
def test_a_recording_becomes_exact_candles_and_leaves_its_evidence(
    variant: str, demo: Demo, recorded_data: Path
) -> None:
    recording = recorded_data / "TRXUSDT-trades-2025-03-04.csv"
    settings = {"REPLAY": str(recording), "VARIANT": variant}
    if variant == "python":
        code, output = make(absurd_environment(**PORTS, DEMO_DIR=str(demo.folder), **settings))
    else:
        code, output = demo.run(**settings)
    assert code == 0, output
    report = json.loads((demo.folder / "report" / "report.json").read_text())
    counted = {name: report[name] for name in ("trades_sent", "produced", "merged", "archived", "archive_trade_ids")}
    assert set(counted.values()) == {10_000}
    clean = ("archive_repeated_ids", "duplicates", "dead_letters", "gaps_found", "gaps_open", "missing_trades")
    assert {name: report[name] for name in clean} == dict.fromkeys(clean, 0)
    assert report["variant"] == variant
    assert (report["candles"], report["complete_candles"], report["symbols"]) == (48, 46, ["TRXUSDT"])
    assert (report["reconciliation"]["equal"], report["reconciliation"]["different"]) == (46, 0)
    assert set(report["lag"].values()) == {0}
    assert set(report["seconds"]) == {"servers", "streaming", "batch", "total"}

    names = ("open", "high", "low", "close", "volume", "quote_volume", "trade_count")
    with (demo.folder / "report" / "candles_1m.csv").open() as file:
        rows = list(csv.DictReader(file))
    ours = {row["open_time"]: tuple(Decimal(row[name]) for name in names) for row in rows}
    assert ours == candles_of(recording)
    assert [row["is_complete"] for row in rows] == ["f", *["t"] * 46, "f"]
    assert len((demo.folder / "report" / "gold_klines_5m.csv").read_text().splitlines()) == 1 + report["gold_rows"]
    assert report["gold_rows"] == 9
    assert "model.crypto_analytics.gold_klines_5m" in RunFolders(demo.folder, "play").dbt_docs.read_text()
    for text in (
        f"From trade to gold, candles by {variant}",
        "Newest 5-minute candles",
        "46 of 48 candles complete",
        "46 equal, 0 different",
    ):
        assert text in output


def test_ctrl_c_ends_a_run_in_order(demo: Demo) -> None:
    process = demo.start(FOREVER="1")
    wait_for(lambda: demo.merged() > 0, 90, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert json.loads((demo.folder / "forever" / "report" / "report.json").read_text())["merged"] > 0
    assert demo.left_behind() == []


def test_ctrl_c_while_it_starts_leaves_nothing(demo: Demo) -> None:
    process = demo.start()
    wait_for((demo.folder / "run" / "children" / "kafka.json").exists, 90, process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert demo.left_behind() == []


def test_a_run_killed_with_9_leaves_nothing_and_does_not_hinder_the_next(demo: Demo) -> None:
    process = demo.start(FOREVER="1")
    wait_for(lambda: demo.merged() > 0, 90, process)
    with demo.connect() as connection:
        connection.execute("insert into trade_id_ranges values ('KEPT', 1, 1)")
    before = demo.merged()
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: demo.left_behind() == [], 30)

    process = demo.start(FOREVER="1")
    state = demo.folder / "forever"
    wait_for(lambda: demo.merged() > before, 90, process)
    with demo.connect() as connection:
        assert connection.execute("select count(*) from trade_id_ranges where symbol = 'KEPT'").fetchone() == (1,)
    before = demo.merged()
    for name in ("consumer", "postgres"):
        victim = next(record for record in ChildRecords(state).read() if record.name == name)
        os.kill(victim.pid, signal.SIGKILL)
    wait_for(lambda: demo.merged() > before, 90, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    report = json.loads((state / "report" / "report.json").read_text())
    assert (report["restarts"]["consumer"], report["restarts"]["postgres"]) == (1, 1)
    assert report["archive_repeated_ids"] == 0
    assert report["archive_trade_ids"] == report["merged"] - 1  # the planted one
    assert "restarting it" in output


def test_a_port_in_use_is_one_line_before_anything_starts(demo: Demo) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, output = demo.run(KAFKA_PORT=str(port))
    assert code == 2
    assert output.splitlines() == [line for line in output.splitlines() if line.startswith(f"port {port} is in use: ")]
    assert "make demo KAFKA_PORT=" in output
    assert not (demo.folder / "postgres").exists()


def test_missing_passwords_of_kept_data_are_one_line_before_anything_starts(demo: Demo) -> None:
    folders = RunFolders(demo.folder, "forever")
    (folders.postgres / "data").mkdir(parents=True)
    code, output = demo.run(FOREVER="1")
    assert code == 2
    assert output.startswith(f"{folders.secrets} is missing: ")
    assert len(output.splitlines()) == 1
    assert not folders.secrets.exists()
    assert not folders.kafka.exists()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"JAVA_HOME": "/nonexistent"}, "Java is missing: /nonexistent/bin/java was not found; "),
        ({"REPLAY": "/nonexistent.csv"}, "/nonexistent.csv is no file: REPLAY names it; "),
        ({"REPLAY": str(ROOT / "pyproject.toml")}, "REPLAY is no recording: "),
        ({"SYMBOLS": "BTCUSDT,btc/usdt"}, "SYMBOLS cannot be used: 'btc/usdt' is not a valid symbol: "),
    ],
)
def test_what_is_missing_is_one_line_before_anything_starts(demo: Demo, settings: dict[str, str], line: str) -> None:
    code, output = demo.run(**settings)
    assert code == 2
    assert output.startswith(line)
    assert len(output.splitlines()) == 1
    assert not (demo.folder / "postgres").exists()


def test_missing_java_is_reported_before_anything_is_installed(tmp_path: Path) -> None:
    done = bootstrap(DEMO_DIR=str(tmp_path / "demo"), JAVA_HOME="/nonexistent")
    assert done.returncode == 2
    assert done.stderr.startswith("Java is missing: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a:b", "DEMO_DIR cannot be used: '{tmp_path}/a:b' holds a colon; make demo DEMO_DIR=/another/folder"),
        ("a\nb", "DEMO_DIR cannot be used: '{tmp_path}/a\\nb' holds a character that cannot be printed; make demo"),
        (os.fsdecode(b"a\xffb"), "DEMO_DIR cannot be used: '{tmp_path}/a\\udcffb' holds bytes that are no UTF-8; "),
        (
            "file/demo",
            "{tmp_path}/file/demo cannot be made: {tmp_path}/file is no folder; make demo DEMO_DIR=/a/folder",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line_before_anything_is_installed(
    tmp_path: Path, name: str, line: str
) -> None:
    (tmp_path / "file").touch()
    done = bootstrap(DEMO_DIR=str(tmp_path / name))
    assert done.returncode == 2
    assert done.stderr.startswith(line.format(tmp_path=tmp_path))
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def bootstrap(**settings: str) -> "subprocess.CompletedProcess[str]":
    command = [shutil.which("python3") or sys.executable, "-m", "ops.setup.environments", "--java", "services"]
    env = child_environment.tests(os.environ) | settings
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
