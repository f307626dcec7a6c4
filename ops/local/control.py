"""What can be done beside a run, or after one: stop it, look at it, run the batch steps, open the database."""

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
from ops.local.run_folders import Layout
from ops.local.settings import DemoSettings, Mode
from ops.local.supervisor import Supervisor, run_lock
from ops.setup import preflight

MODES: tuple[Mode, ...] = ("play", "forever", "live")
STOP_SECONDS = 60.0


def stop(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Stop every run and what killed runs left behind."""
    for mode in MODES:
        layout = Layout(settings.DEMO_DIR.resolve(), mode)
        holder = run_lock(layout.state).signal(signal.SIGTERM)
        if holder is not None:
            display.say(f"stopping the {mode} run (process {holder})")
            _wait_until_free(layout, holder)
        if (layout.state / "run").is_dir():
            with Supervisor(layout.state) as supervisor:
                for name in supervisor.leftovers:
                    display.say(f"stopped {name}, left behind by a {mode} run that was killed")
    display.say("nothing is running")
    return 0


def status(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Print which runs there are, and how many trades are at each hop of those that go on."""
    for mode in MODES:
        layout = Layout(settings.DEMO_DIR.resolve(), mode)
        holder = run_lock(layout.state).holder()
        if holder is None:
            kept = "its stores are kept" if layout.postgres.is_dir() else "never ran"
            display.say(f"{mode:<8} not running, {kept}")
        else:
            display.say(f"{mode:<8} running as process {holder}{_story(layout)}")
    return 0


def run_batch(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Run the batch steps for a run that goes on, or on the stores that one left; return their exit code."""
    with _with_database(settings, stop_event, display) as layout:
        logins = passwords.load(layout.secrets)
        program = batch.program(layout, logins)
        return subprocess.run(program.command, env=program.env, cwd=program.folder, check=False).returncode


def psql(settings: DemoSettings, stop_event: threading.Event, display: Display) -> int:
    """Open psql as the superuser; return its exit code."""
    with _with_database(settings, stop_event, display) as layout:
        setup = service_settings.Setup.load(layout.run_file)
        env = {
            **child_environment.psql(os.environ),
            "PGHOST": LOOPBACK,
            "PGPORT": str(setup.addresses.postgres),
            "PGDATABASE": service_settings.DATABASE,
            "PGUSER": SUPERUSER,
            "PGPASSWORD": passwords.load(layout.secrets).superuser,
            "PGOPTIONS": "-c search_path=public,analytics -c timezone=UTC",
        }
        return subprocess.run([str(postgres.binaries() / "psql")], env=env, check=False).returncode


@contextmanager
def _with_database(settings: DemoSettings, stop_event: threading.Event, display: Display) -> Iterator[Layout]:
    """Yield the run that is meant while its database is up; one that does not run is brought up for the time."""
    layout = choose(settings)
    if run_lock(layout.state).holder() is not None:
        yield layout
        return
    setup = service_settings.Setup.load(layout.run_file)
    logins = passwords.load(layout.secrets)
    server = postgres.PostgresServer(layout.postgres, setup.addresses.postgres, logins.superuser)
    with Supervisor(layout.state, stop=stop_event, on_death=display.restarted) as supervisor:
        preflight.port("POSTGRES_PORT", server.port)
        programs = [postgres.program(server)]
        if setup.simulator:  # the backfill asks it
            simulator = exchange.Simulator(int(setup.simulator["SIM_PORT"]))
            preflight.port("SIM_PORT", simulator.port)
            programs.append(exchange.program(simulator, service("simulator", setup.simulator, metrics_port=0)))
        supervisor.start(*programs)
        supervisor.wait_ready(*(program.name for program in programs))
        yield layout


def choose(settings: DemoSettings) -> Layout:
    """Return the run that is meant: what LIVE or FOREVER say, else one that goes on, else the last play.

    Raises:
        Problem: there was none yet.
    """
    root = settings.DEMO_DIR.resolve()
    layouts = [Layout(root, mode) for mode in MODES]
    going_on = [layout for layout in layouts if run_lock(layout.state).holder() is not None]
    asked = Layout(root, settings.mode)
    chosen = asked if settings.mode != "play" or not going_on else going_on[0]
    if not chosen.run_file.is_file():
        raise Problem("there is no run yet", f"{chosen.state} holds none", "make demo")
    return chosen


def _wait_until_free(layout: Layout, holder: int) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while run_lock(layout.state).holder() == holder:
        if time.monotonic() > deadline:
            raise Problem("the run does not stop", f"process {holder} is still there", f"kill -9 {holder}; make stop")
        time.sleep(0.1)


def _story(layout: Layout) -> str:
    try:
        setup = service_settings.Setup.load(layout.run_file)
        logins = passwords.load(layout.secrets)
        server = postgres.PostgresServer(layout.postgres, setup.addresses.postgres, logins.superuser)
        with psycopg.connect(server.conninfo(service_settings.DATABASE)) as connection:
            merged, missing = trade_counts.merged_ids(connection)
    except (FileNotFoundError, psycopg.Error):
        return ", just starting"
    kafka = KafkaSettings(**service_settings.kafka(setup.addresses))  # type: ignore[arg-type]
    topic = trade_counts.Topic(kafka, service_settings.CONSUMER_GROUP)
    try:
        produced, lag = topic.count()
    finally:
        topic.close()
    return f": {produced:,} records in Kafka, lag {lag:,}, {merged:,} trades merged, {missing:,} missing between them"
