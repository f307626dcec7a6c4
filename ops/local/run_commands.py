"""Commands for a run in progress or the last one: stop, status, batch steps, psql."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from crypto_analytics.runtime.settings import KafkaSettings
from ops.common import child_environment
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK
from ops.local import batch, exchange, passwords, postgres, service_settings, trade_counts
from ops.local.display import Display
from ops.local.postgres import SUPERUSER
from ops.local.programs import service
from ops.local.run_folders import RunFolders
from ops.local.settings import DemoSettings, Mode
from ops.local.supervisor import Supervisor, run_lock
from ops.setup import preflight

MODES: tuple[Mode, ...] = ("play", "forever", "live")
STOP_SECONDS = 60.0


def stop(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Stop every run, and the processes that killed runs left behind."""
    for mode in MODES:
        folders = RunFolders(settings.DEMO_DIR.resolve(), mode)
        holder = run_lock(folders.state).signal(signal.SIGTERM)
        if holder is not None:
            display.print(f"stopping the {mode} run (process {holder})")
            _wait_until_free(folders, holder)
        if (folders.state / "run").is_dir():
            with Supervisor(folders.state) as supervisor:
                for name in supervisor.leftovers:
                    display.print(f"stopped {name}, left behind by a {mode} run that was killed")
    display.print("nothing is running")
    return 0


def status(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Print the kinds of run, and the trades at each hop of those in progress."""
    for mode in MODES:
        folders = RunFolders(settings.DEMO_DIR.resolve(), mode)
        holder = run_lock(folders.state).holder()
        if holder is None:
            kept = "its stores are kept" if folders.postgres.is_dir() else "never ran"
            display.print(f"{mode:<8} not running, {kept}")
        else:
            display.print(f"{mode:<8} running as process {holder}{_summary(folders)}")
    return 0


def run_batch(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Run the batch steps for a run in progress, or on the stores of the last one; return their exit code."""
    with _with_database(settings, stop_event, display) as folders:
        logins = passwords.load_of_run(folders)
        program = batch.program(folders, logins)
        return subprocess.run(program.command, env=program.env, cwd=program.folder, check=False).returncode


def psql(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Open psql as the superuser; return its exit code."""
    with _with_database(settings, stop_event, display) as folders:
        config = service_settings.RunConfig.load(folders.run_file)
        env = {
            **child_environment.psql(os.environ),
            "PGHOST": LOOPBACK,
            "PGPORT": str(config.addresses.postgres),
            "PGDATABASE": service_settings.DATABASE,
            "PGUSER": SUPERUSER,
            "PGPASSWORD": passwords.load_of_run(folders).superuser,
            "PGOPTIONS": "-c search_path=public,analytics -c timezone=UTC",
        }
        return subprocess.run([str(postgres.binaries() / "psql")], env=env, check=False).returncode


@contextmanager
def _with_database(settings: DemoSettings, stop_event: threading.Event, display: Display) -> Iterator[RunFolders]:
    """Yield the chosen run while its database is up; the database of a run that has ended is started for that time."""
    folders = choose(settings)
    if run_lock(folders.state).holder() is not None:
        yield folders
        return
    config = service_settings.RunConfig.load(folders.run_file)
    server = _server(folders, config)
    with Supervisor(folders.state, stop=stop_event, on_death=display.restarted) as supervisor:
        preflight.port("POSTGRES_PORT", server.port)
        programs = [postgres.program(server)]
        if config.simulator:  # the backfill reads klines from it
            simulator = exchange.Simulator(int(config.simulator["SIM_PORT"]))
            preflight.port("SIM_PORT", simulator.port)
            programs.append(exchange.program(simulator, service("simulator", config.simulator, metrics_port=0)))
        supervisor.start(*programs)
        supervisor.wait_ready(*(program.name for program in programs))
        yield folders


def choose(settings: DemoSettings) -> RunFolders:
    """Return the run that the settings choose: LIVE or FOREVER, else one in progress, else the last play.

    Raises:
        Problem: there was no run yet.
    """
    root = settings.DEMO_DIR.resolve()
    candidates = [RunFolders(root, mode) for mode in MODES]
    in_progress = [folders for folders in candidates if run_lock(folders.state).holder() is not None]
    asked = RunFolders(root, settings.mode)
    chosen = asked if settings.mode != "play" or not in_progress else in_progress[0]
    if not chosen.run_file.is_file():
        raise Problem("there is no run yet", f"{chosen.state} holds none", "make demo")
    return chosen


def _wait_until_free(folders: RunFolders, holder: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while run_lock(folders.state).holder() == holder:
        if time.monotonic() > deadline:
            raise Problem("the run does not stop", f"process {holder} is still there", f"kill -9 {holder}; make stop")
        time.sleep(0.1)


def _server(folders: RunFolders, config: service_settings.RunConfig) -> postgres.PostgresServer:
    """Return the database server of a run whose database exists.

    Raises:
        Problem: its passwords are missing.
    """
    logins = passwords.load_of_run(folders)
    hint = passwords.restore_hint(folders)
    return postgres.PostgresServer(folders.postgres, config.addresses.postgres, logins.superuser, hint)


def _summary(folders: RunFolders) -> str:
    try:
        config = service_settings.RunConfig.load(folders.run_file)
        server = _server(folders, config)
        if not server.is_ready():
            return ", just starting"
        with psycopg.connect(server.conninfo(service_settings.DATABASE)) as connection:
            merged, missing = trade_counts.merged_ids(connection)
    except (FileNotFoundError, psycopg.Error):
        return ", just starting"
    except Problem as problem:
        return f": {problem}"
    kafka = KafkaSettings(**service_settings.kafka(config.addresses))  # type: ignore[arg-type]
    topic = trade_counts.TradesTopic(kafka, service_settings.CONSUMER_GROUP)
    try:
        produced, lag = topic.count()
    finally:
        topic.close()
    return f": {produced:,} records in Kafka, lag {lag:,}, {merged:,} trades merged, {missing:,} missing between them"
