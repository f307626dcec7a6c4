"""Files of a run: passwords, configuration, jars, lock, and the records of its children."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import astuple, fields, replace
from pathlib import Path

import psutil
import pytest

from ops.common import child_environment, file_lock
from ops.common.errors import Problem
from ops.common.processes import ProcessRecord
from ops.local import demo, passwords
from ops.local.archive_check import repeated
from ops.local.child_records import ChildRecords
from ops.local.run_folders import RunFolders
from ops.local.service_settings import Addresses, RunConfig, TradeSource, postgres
from ops.local.settings import DemoSettings, Mode
from ops.local.supervisor import run_lock
from ops.setup import jars
from tests.absurd_environment import NOWHERE


def test_passwords_are_random_kept_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    first = passwords.load(tmp_path / "a" / "secrets.env")
    assert passwords.load(tmp_path / "a" / "secrets.env") == first
    assert stat.S_IMODE((tmp_path / "a" / "secrets.env").stat().st_mode) == 0o600
    assert first.writer not in repr(first)
    assert passwords.load(tmp_path / "b" / "secrets.env") != first
    assert len(set(astuple(first))) == len(fields(first))


def test_a_role_that_is_newer_than_the_file_gets_its_password(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    first = passwords.load(file)
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "GATE" not in line))
    second = passwords.load(file)
    assert replace(second, gate=first.gate) == first
    assert second.gate != first.gate
    assert passwords.load(file) == second


@pytest.mark.parametrize("text", ["WRITER_PASSWORD=x\n", "SUPERUSER_PASSWORD=x\nWRITER_PASSWORD=\n"])
def test_a_damaged_password_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.env").write_text(text)
    with pytest.raises(Problem, match="a password is missing"):
        passwords.load(tmp_path / "secrets.env")


def with_database(folders: RunFolders) -> RunFolders:
    (folders.postgres / "data").mkdir(parents=True)
    return folders


@pytest.mark.parametrize(
    ("mode", "command"), [("play", "make demo"), ("forever", "rm -rf '{}'"), ("live", "rm -rf '{}'")]
)
def test_a_missing_password_file_of_a_database_is_reported_and_not_made_anew(
    tmp_path: Path, mode: Mode, command: str
) -> None:
    root = tmp_path / "a folder"
    folders = with_database(RunFolders(root, mode))
    with pytest.raises(Problem) as caught:
        passwords.load_of_run(folders)
    assert str(caught.value).startswith(f"{root / 'secrets.env'} is missing: the database in {folders.postgres} ")
    assert f"; restore {root / 'secrets.env'}, or " in str(caught.value)
    assert str(caught.value).endswith(f": {command.format(folders.state)}")
    assert not folders.secrets.exists()


def test_without_a_database_or_with_its_passwords_nothing_is_missing(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path, "forever")
    first = passwords.load_of_run(folders)
    assert passwords.load_of_run(with_database(folders)) == first


@pytest.mark.parametrize("mode", ["forever", "live"])
@pytest.mark.parametrize("variable", ["FOREVER", "SYMBOLS"])
def test_no_run_starts_without_the_passwords_of_a_database_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, mode: Mode
) -> None:
    """Not even a play: it would make new passwords for all kinds of run."""
    monkeypatch.setenv("DEMO_DIR", str(tmp_path))
    monkeypatch.setenv(variable, "BTCUSDT" if variable == "SYMBOLS" else "1")
    settings = DemoSettings()
    missing = f"{tmp_path / 'secrets.env'} is missing"
    with_database(RunFolders(tmp_path, "play"))
    assert not any(missing in str(problem) for problem in demo.check(settings))
    with_database(RunFolders(tmp_path, mode))
    assert sum(missing in str(problem) for problem in demo.check(settings)) == 1


def test_each_kind_of_run_has_its_own_state_folder(tmp_path: Path) -> None:
    states = {RunFolders(tmp_path, mode).state for mode in ("play", "forever", "live")}
    assert len(states) == 3
    assert RunFolders(tmp_path, "play").report == tmp_path / "report"
    assert {RunFolders(tmp_path, mode).secrets for mode in ("play", "live")} == {tmp_path / "secrets.env"}


def test_the_run_configuration_is_kept_without_secrets(tmp_path: Path) -> None:
    setup = RunConfig(TradeSource("ws://x", "http://x", ("BTCUSDT", "ETHUSDT")), Addresses(1, 2), {"SIM_PORT": "3"})
    setup.save(tmp_path / "run" / "setup.json")
    assert RunConfig.load(tmp_path / "run" / "setup.json") == setup
    assert "PASSWORD" not in (tmp_path / "run" / "setup.json").read_text()


def test_a_role_gets_its_own_password(tmp_path: Path) -> None:
    roles = replace(passwords.load(tmp_path / "secrets.env"), transformer="t")
    assert postgres(Addresses(1, 2), roles, "transformer")["POSTGRES_PASSWORD"] == "t"
    assert postgres(Addresses(1, 2), roles, "superuser")["POSTGRES_USER"] == "postgres"


def a_maven(folder: Path, script: str) -> None:
    program = folder / "mvn"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "bin"


def test_a_failed_download_leaves_no_jars(cache: Path, tmp_path: Path) -> None:
    a_maven(cache, 'for last; do :; done; echo half > "${last#*=}/kafka.jar"; exit 1')
    with pytest.raises(Problem, match="mvn exited with 1"):
        jars.ensure_jars(tmp_path / "maven.log")
    assert not jars.jars_dir().exists()
    assert list(jars.jars_dir().parent.iterdir()) == []


def test_the_jars_are_fetched_once(cache: Path, tmp_path: Path) -> None:
    a_maven(cache, 'for last; do :; done; echo whole > "${last#*=}/kafka.jar"')
    assert (jars.ensure_jars(tmp_path / "maven.log") / "kafka.jar").read_text() == "whole\n"
    a_maven(cache, "exit 1")
    assert jars.ensure_jars(tmp_path / "maven.log") == jars.jars_dir()


def test_a_state_folder_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    first = run_lock(tmp_path)
    assert first.holder() is None
    first.take()
    assert run_lock(tmp_path).holder() == os.getpid()
    with pytest.raises(Problem, match=rf"is in use: a run with process id {os.getpid()} has it; make stop"):
        run_lock(tmp_path).take()
    first.release()
    assert (tmp_path / "run" / "lock").read_text() == ""
    run_lock(tmp_path).take()


def test_a_lock_that_is_released_while_its_holder_is_looked_up_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = run_lock(tmp_path), run_lock(tmp_path)
    first.take()
    find = second.holder

    def release_and_find() -> int | None:
        first.release()
        return find()

    monkeypatch.setattr(second, "holder", release_and_find)
    second.take()
    assert first.holder() == os.getpid()
    second.release()
    assert first.holder() is None


def test_a_lock_that_is_held_and_names_no_holder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "_WRITES_WITHIN_SECONDS", 0.1)
    first, second = run_lock(tmp_path), run_lock(tmp_path)
    first.take()
    monkeypatch.setattr(second, "holder", lambda: None)
    with pytest.raises(Problem, match="holder of the lock is unknown"):
        second.take()


def locked(folder: Path, text: str) -> "subprocess.Popen[str]":
    """Return a process that holds the lock of ``folder``, whose file holds ``text``, until its input is closed."""
    (folder / "run").mkdir()
    (folder / "run" / "lock").write_text(text)
    code = "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(folder / "run" / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def record_of(pid: int, *, older: float = 0.0) -> str:
    return json.dumps({"name": "run", "pid": pid, "created": psutil.Process(pid).create_time() - older})


def test_the_lock_of_a_run_never_names_a_process_that_got_the_id_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file still holds the record of a killed run, whose id another process has now."""
    monkeypatch.setattr(file_lock, "_WRITES_WITHIN_SECONDS", 0.3)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        with locked(tmp_path, record_of(innocent.pid, older=100)) as holder:
            with pytest.raises(Problem, match="holder of the lock is unknown"):
                run_lock(tmp_path).signal(signal.SIGTERM)
            (tmp_path / "run" / "lock").write_text(record_of(holder.pid))
            assert run_lock(tmp_path).holder() == holder.pid
            assert run_lock(tmp_path).signal(signal.SIGTERM) == holder.pid
            assert holder.wait(10) == -signal.SIGTERM
        assert innocent.poll() is None
        innocent.communicate(b"\n")
    assert run_lock(tmp_path).signal(signal.SIGTERM) is None


def test_a_lock_file_of_the_previous_version_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "_WRITES_WITHIN_SECONDS", 0.3)
    with locked(tmp_path, "") as holder:
        file = tmp_path / "run" / "lock"
        file.write_text(str(holder.pid))
        assert run_lock(tmp_path).holder() == holder.pid
        os.utime(file, (0, 0))  # written before that process was there
        with pytest.raises(Problem, match="holder of the lock is unknown"):
            run_lock(tmp_path).holder()
        holder.communicate("\n")


def test_a_reader_waits_for_a_holder_that_has_not_written_its_id_yet(tmp_path: Path) -> None:
    with locked(tmp_path, "") as holder:
        writer = threading.Timer(0.2, (tmp_path / "run" / "lock").write_text, [record_of(holder.pid)])
        writer.start()
        assert run_lock(tmp_path).holder() == holder.pid
        writer.join()
        holder.communicate("\n")


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave HOME as the only place for caches."""
    monkeypatch.delenv("CRYPTO_ANALYTICS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_cache_is_in_the_first_writable_folder(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jars.cache_home() == homes / "home" / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(homes / "xdg"))
    assert jars.cache_home() == homes / "xdg"
    monkeypatch.setenv("XDG_CACHE_HOME", NOWHERE)
    assert jars.cache_home() == homes / "home" / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert jars.cache_home() == homes / "home" / ".cache"


def test_without_a_usable_home_the_one_of_the_password_database_is_used(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", NOWHERE)
    monkeypatch.setattr(child_environment, "listed_home", lambda: homes / "home")
    assert jars.cache_home() == homes / "home" / ".cache"


def test_an_unwritable_cache_is_reported_in_one_line_with_the_setting(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (homes / "home" / ".cache").touch()
    with pytest.raises(Problem) as caught:
        jars.ensure_jars(homes / "maven.log")
    assert str(caught.value) == (
        f"no cache folder can be written: {homes}/home/.cache: File exists; "
        "make demo CRYPTO_ANALYTICS_CACHE=/a/folder/of/yours"
    )
    monkeypatch.setenv("CRYPTO_ANALYTICS_CACHE", NOWHERE)
    with pytest.raises(Problem, match=r"no cache folder can be written: /dev/null/absurd: Not a directory; "):
        jars.ensure_jars(homes / "maven.log")


def test_jars_in_a_read_only_cache_are_used(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", NOWHERE)
    existing = homes / "home" / ".cache" / jars.jars_dir().relative_to(NOWHERE)
    existing.mkdir(parents=True)
    assert jars.ensure_jars(homes / "maven.log") == existing


def test_mavens_own_cache_moves_where_it_cannot_be_written(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_maven(cache, 'echo "$@" > kafka.jar')
    monkeypatch.setattr(child_environment, "listed_home", lambda: Path(NOWHERE))
    content = (jars.ensure_jars(tmp_path / "maven.log") / "kafka.jar").read_text()
    assert f"-Dmaven.repo.local={tmp_path}/cache/crypto-analytics/maven " in content


def test_a_record_does_not_match_a_later_process_with_the_same_id(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        records = ChildRecords(tmp_path)
        true = records.add("mine", innocent.pid)
        assert true.process() == psutil.Process(innocent.pid)
        assert ProcessRecord("mine", innocent.pid, true.created - 100).process() is None
        records.remove("mine")
        assert records.stop_leftovers() == []
        assert innocent.poll() is None
        innocent.communicate(b"\n")


@pytest.mark.parametrize(
    ("pairs", "count"),
    [([], 0), ([(1, 5), (6, 9)], 0), ([(6, 9), (1, 6)], 1), ([(1, 9), (2, 3), (5, 12)], 7), ([(4, 4), (4, 4)], 1)],
)
def test_ids_archived_twice_are_counted(pairs: list[tuple[int, int]], count: int) -> None:
    assert repeated(pairs) == count
