"""``make demo``: check, run the main job on this machine, report, and stop everything in order."""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ops.common import paths
from ops.common.errors import Problem
from ops.local import exchange, monitoring, passwords
from ops.local.display import Display
from ops.local.run import Run
from ops.local.run_folders import RunFolders
from ops.local.settings import DemoSettings, Mode
from ops.local.supervisor import Interrupted, Supervisor
from ops.platform import exchange_hosts
from ops.setup import jars, preflight
from ops.setup.environments import folder_checks

INTERRUPTED = 130
KEPT_MODES: tuple[Mode, ...] = ("forever", "live")  # a play removes the database of the play before it


def check(settings: DemoSettings) -> list[Problem]:
    """Return the problems that the user has to fix before the run can start."""
    checks: list[Callable[[], None]] = [
        preflight.python,
        *folder_checks(settings.DEMO_DIR.resolve()),
        preflight.java,
        partial(preflight.maven, jars.jars_dir()),
        partial(preflight.disk, settings.DEMO_DIR.resolve()),
        *(partial(passwords.check_file, RunFolders(settings.DEMO_DIR.resolve(), mode)) for mode in KEPT_MODES),
        partial(preflight.port, "KAFKA_PORT", settings.KAFKA_PORT),
        partial(preflight.port, "POSTGRES_PORT", settings.POSTGRES_PORT),
    ]
    if settings.with_spark:
        checks.append(partial(paths.check_for_spark, settings.DEMO_DIR.resolve()))
        checks.append(partial(preflight.maven, jars.spark_jars_dir()))
        checks.append(partial(preflight.port, "SPARK_UI_PORT", settings.SPARK_UI_PORT))
    if settings.BI:
        checks.append(partial(paths.check_for_superset, settings.DEMO_DIR.resolve()))
        checks.append(partial(preflight.port, "SUPERSET_PORT", settings.SUPERSET_PORT))
    if settings.MONITORING:
        checks += [partial(monitoring.check, name) for name in ("prometheus", "alertmanager")]
        checks.append(partial(preflight.port, "PROMETHEUS_PORT", settings.PROMETHEUS_PORT))
        checks.append(partial(preflight.port, "ALERTMANAGER_PORT", settings.ALERTMANAGER_PORT))
    if settings.API_PORT is not None:
        checks.append(partial(preflight.port, "API_PORT", settings.API_PORT))
    if settings.LIVE:
        checks.append(partial(exchange_hosts.ping, exchange.real(settings).rest_url))
    else:
        checks.append(partial(preflight.port, "SIM_PORT", settings.SIM_PORT))
    for name in ("REPLAY", "KLINES", "REST_FILE"):
        path = getattr(settings, name)
        checks.append(partial(preflight.readable, name, path))
        if path is not None and path.is_file():
            checks.append(partial(exchange.check_recording, name, path, settings.SYMBOLS))
    return preflight.problems(checks)


def clear(folders: RunFolders) -> None:
    """Remove the stores, report and logs of the last play: each play starts with empty stores.

    Raises:
        Problem: another user owns some of these files.
    """
    try:
        for folder in (
            folders.postgres,
            folders.kafka,
            folders.objects,
            folders.spark,
            folders.superset,
            folders.monitoring,
            folders.report,
        ):
            if folder.exists():
                shutil.rmtree(folder)
        for log in (folders.state / "logs").glob("*.log"):
            log.unlink()
    except PermissionError as error:
        fix = f"remove the folder as its owner: sudo rm -rf {folders.state}"
        raise Problem("the last run's files cannot be removed", str(error), fix) from error


def main(settings: DemoSettings, stop: threading.Event, display: Display) -> int:
    """Run everything; return the exit code: 0, 2 where the user has to fix something first, 130 when interrupted.

    Raises:
        Problem: the run failed.
    """
    settings = exchange.serving(settings, display.print)
    folders = RunFolders(settings.DEMO_DIR.resolve(), settings.mode)
    with Supervisor(folders.state, stop=stop, on_death=display.restarted) as supervisor:
        found = check(settings)
        for problem in found:
            print(problem, file=sys.stderr)
        if found:
            return 2
        run = Run(settings, folders, supervisor, display)
        try:
            _play(run) if settings.mode == "play" else _follow(run)
        except Interrupted:
            display.print("stopping")
            return INTERRUPTED
    display.where(places(folders))
    return 0


def _play(run: Run) -> None:
    """Play from empty stores to the end. The report is also written where a batch step failed."""
    started = time.monotonic()
    clear(run.folders)
    if run.settings.MONITORING:
        run.show_page()
    source = run.start_servers()
    run.play(source)
    failed = None
    try:
        run.batch()
    except Problem as problem:
        failed = problem
    run.settle()
    run.display.seconds["total"] = round(time.monotonic() - started, 2)
    run.report(source)
    if failed:
        raise failed
    if run.settings.BI or run.settings.VIEW:
        with suppress(Interrupted):  # Ctrl-C closes the pages of a complete run
            if run.settings.BI:
                run.start_dashboard()
            run.stay()


def _follow(run: Run) -> None:
    """Follow the trades until MINUTES are over or the user stops the run; both end it well."""
    started = time.monotonic()
    run.show_page()
    source = run.start_servers()
    run.start_services(source)
    if run.settings.BI:
        run.batch()  # fills the tables of the dashboard
        run.start_dashboard()
    run.display.print(f"           following {', '.join(source.symbols)}: Ctrl-C ends it")
    with suppress(Interrupted):
        run.follow()
    run.display.seconds["total"] = round(time.monotonic() - started, 2)
    run.report(source)


def places(folders: RunFolders) -> list[tuple[str, Path | str]]:
    """Return the places to look at after a run, by name."""
    return [
        ("report", folders.report / "report.json"),
        ("tables", folders.report),
        ("data docs", folders.data_docs),
        ("dbt docs", folders.dbt_docs),
        ("raw archive", folders.objects / "raw"),
        ("logs", folders.state / "logs"),
        ("database", f"make psql{'' if folders.mode == 'play' else f' {folders.mode.upper()}=1'}"),
    ]
