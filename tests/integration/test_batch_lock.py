"""The batch's lock: every step holds it, and its loss is noticed."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from crypto_analytics.batch.advisory_lock import AlreadyRunning, batch_lock
from crypto_analytics.batch.advisory_lock import Database as Session
from crypto_analytics.batch.step import database as session_of
from ops.setup.environments import python_of
from tests.batch_run import Batch
from tests.servers import ROOT, Database, Servers

KEY = "crypto_analytics.batch"
_TRY = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
_END_HOLDERS = """
    select count(pg_terminate_backend(pid)) from pg_locks
    where locktype = 'advisory' and granted and pid <> pg_backend_pid()
        and database = (select oid from pg_database where datname = current_database())
"""


@pytest.fixture
def database(servers: Servers) -> Iterator[Database]:
    with servers.database() as database:
        yield database


def session(database: Database, role: str = "reader") -> Session:
    return session_of(database.env(role))


def is_free(database: Database) -> bool:
    with database.connect() as other:
        return other.execute(_TRY, [KEY]).fetchone() == (True,)


@contextmanager
def taken_by_another(database: Database) -> Iterator[psycopg.Connection]:
    """Hold the lock in another session; the present holder loses it."""
    with database.connect() as other:
        while other.execute(_TRY, [KEY]).fetchone() != (True,):
            other.execute(_END_HOLDERS)
        yield other


def until(condition: Callable[[], bool], otherwise: str, seconds: float = 60.0) -> None:
    """Wait for ``condition``."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(otherwise)


def test_one_run_at_a_time_and_the_lock_ends_with_it(database: Database) -> None:
    with batch_lock(session(database)) as problem:
        assert problem() == ""
        assert not is_free(database)
        with pytest.raises(AlreadyRunning), batch_lock(session(database, "transformer")):
            pass
    assert is_free(database)


def test_a_step_waits_until_the_lock_is_free(database: Database) -> None:
    got = threading.Event()

    def wait() -> None:
        with batch_lock(session(database), wait=60):
            got.set()

    with batch_lock(session(database, "writer")):
        thread = threading.Thread(target=wait)
        thread.start()
        with database.connect() as looker:
            waiting = "select count(*) from pg_stat_activity where application_name = 'batch' and datname = %s"
            until(
                lambda: looker.execute(waiting, [database.database]).fetchone() == (2,), "the second one does not wait"
            )
        assert not got.is_set()
    thread.join(60)
    assert got.is_set()


def test_a_lock_that_was_lost_is_taken_again_where_it_is_free(database: Database) -> None:
    printed: list[str] = []
    with batch_lock(session(database), watch_seconds=0.05, out=printed.append) as problem:
        with database.connect() as other:
            other.execute(_END_HOLDERS)
        until(lambda: "batch: the lock is held again" in printed, "the loss is not noticed")
        assert problem() == ""
        assert not is_free(database)
    assert is_free(database)


def test_a_run_that_lost_the_lock_to_another_run_reports_it_and_regains_it(database: Database) -> None:
    with batch_lock(session(database), watch_seconds=0.05, out=lambda line: None) as problem:
        with taken_by_another(database):
            until(lambda: bool(problem()), "the loss is not noticed")
            assert "another batch run has taken the lock" in problem()
        until(lambda: not problem(), "the lock is not taken again")
        assert not is_free(database)


@pytest.mark.timeout(60)
def test_a_run_whose_lock_another_one_took_stops_its_step_and_fails(database: Database, tmp_path: Path) -> None:
    step = tmp_path / "dbt"
    step.write_text("#!/bin/sh\necho the step runs\nexec sleep 600\n")
    step.chmod(0o755)
    report = tmp_path / "report.json"
    report.write_text("of the run before")
    run = subprocess.Popen(
        [sys.executable, "-m", "crypto_analytics.batch", "--steps", "dbt_silver", "--report", str(report)],
        env=Batch(database, tmp_path).env(BATCH_DBT=str(step)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert run.stdout is not None
        lines = iter(run.stdout.readline, "")
        assert "the step runs\n" in lines  # the lines up to this one are read
        assert not report.exists()
        with taken_by_another(database):
            output, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 1, output
    assert "another batch run has taken the lock" in output.splitlines()[-1]
    assert '"succeeded": false' in report.read_text()


def image(name: str, folder: Path) -> Path:
    """Copy the files into ``folder`` that the Dockerfile of ``name`` copies into /app."""
    text = (ROOT / "images" / name / "Dockerfile").read_text().replace("\\\n", " ")
    for line in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE):
        *sources, target = line.split()
        if not target.startswith("/app/"):
            continue  # a file that only the build needs
        place = folder / target.removeprefix("/app/")
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("target", "logs"))
            else:
                file = place / Path(source).name if target.endswith("/") else place
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, file)
    return folder


def in_image(name: str, code: str, database: Database, role: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python ``code`` in the environment of an image, with only the files of the image."""
    python = python_of("services" if name == "exporter" else name)
    env = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), **database.env(role)}
    if name == "exporter":
        env["PYTHONPATH"] = str(ROOT / "services")  # this image has all of the services' code
    else:
        image(name, folder)
    folder.mkdir(exist_ok=True)
    command = [str(python), "-c", code]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


STEP = """
import dataclasses, os, threading
from crypto_analytics.batch import step
one = [one for one in step.STEPS if one.name == {name!r}][0]
one = dataclasses.replace(one, command=("python", "-c", "print('the step runs'); raise SystemExit(7)"))
raise SystemExit(step.run(one, step.database(os.environ), os.environ, threading.Event(), wait=0))
"""


@pytest.mark.parametrize(
    ("name", "step", "role"),
    [
        ("exporter", "export_lake", "reader"),
        ("dbt", "dbt_silver", "transformer"),
        ("ge", "ge_validate", "gate"),
    ],
)
def test_the_container_of_a_step_takes_the_lock(
    database: Database, tmp_path: Path, name: str, step: str, role: str
) -> None:
    code = STEP.format(name=step)
    with batch_lock(session(database)):
        refused = in_image(name, code, database, role, tmp_path / "refused")
    assert refused.returncode == 3, refused.stderr
    assert "another batch run, or a step of one, still held the lock" in refused.stderr
    assert "the step runs" not in refused.stdout
    ran = in_image(name, code, database, role, tmp_path / "ran")
    assert ran.returncode == 7, ran.stderr
    assert "the step runs" in ran.stdout
    assert f"{step}: failed: exit code 7" in ran.stderr


def test_the_gates_image_has_all_of_the_services_code_that_the_gate_imports(database: Database, tmp_path: Path) -> None:
    done = in_image("ge", "import ge.settings, crypto_analytics.store.objects", database, "gate", tmp_path / "image")
    assert done.returncode == 0, done.stderr
