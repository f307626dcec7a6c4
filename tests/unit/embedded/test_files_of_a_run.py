"""What a run keeps on disk: passwords, its setup, the jars, the lock, the records of its children."""

import os
import stat
import subprocess
import sys
from dataclasses import astuple, fields, replace
from pathlib import Path

import psutil
import pytest

from embedded import jars, passwords
from embedded.environment import Addresses, Feed, Setup, inherited, postgres
from embedded.layout import Layout
from embedded.lock import Lock
from embedded.problems import Problem
from embedded.raw_objects import repeated
from embedded.records import Record, Records


def test_passwords_are_random_and_kept_for_their_owner_only(tmp_path: Path) -> None:
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
def test_a_damaged_password_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.env").write_text(text)
    with pytest.raises(Problem, match="a password is missing"):
        passwords.load(tmp_path / "secrets.env")


def test_each_kind_of_run_has_a_state_of_its_own(tmp_path: Path) -> None:
    states = {Layout(tmp_path, mode).state for mode in ("play", "forever", "live")}
    assert len(states) == 3
    assert Layout(tmp_path, "play").report == tmp_path / "report"
    assert {Layout(tmp_path, mode).secrets for mode in ("play", "live")} == {tmp_path / "secrets.env"}


def test_a_setup_is_kept_without_secrets(tmp_path: Path) -> None:
    setup = Setup(Feed("ws://x", "http://x", ("BTCUSDT", "ETHUSDT")), Addresses(1, 2), {"SIM_PORT": "3"})
    setup.save(tmp_path / "run" / "setup.json")
    assert Setup.load(tmp_path / "run" / "setup.json") == setup
    assert "PASSWORD" not in (tmp_path / "run" / "setup.json").read_text()


def test_settings_for_another_way_of_running_are_not_inherited() -> None:
    mine = {"POSTGRES_HOST": "db.example", "AS_OF": "2020-01-01T00:00:00Z", "LOG_LEVEL": "DEBUG", "PATH": "/bin"}
    assert inherited(mine) == {"LOG_LEVEL": "DEBUG", "PATH": "/bin"}


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


def test_a_broken_download_never_counts(cache: Path, tmp_path: Path) -> None:
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


def test_one_run_a_folder(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    assert first.holder() is None
    first.take()
    assert Lock(tmp_path).holder() == os.getpid()
    with pytest.raises(Problem, match=rf"is in use: a run with process id {os.getpid()} has it; make stop"):
        Lock(tmp_path).take()
    first.release()
    Lock(tmp_path).take()


def test_a_record_of_another_process_with_the_same_id_is_not_trusted(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        records = Records(tmp_path)
        true = records.add("mine", innocent.pid)
        assert true.leader() == psutil.Process(innocent.pid)
        assert Record("mine", innocent.pid, true.created - 100).leader() is None
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
