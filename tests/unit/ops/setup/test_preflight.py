"""Missing requirements are reported before anything starts, in one line that ends with the next command."""

import socket
import stat
import sys
from collections import namedtuple
from functools import partial
from pathlib import Path

import pytest

from ops.common.errors import Problem
from ops.common.loopback import another_port, is_free
from ops.setup import preflight


def a_java(folder: Path, output: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{output}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("bash: java: command not found", None),
    ],
)
def test_javas_version_is_parsed(output: str, version: int | None) -> None:
    assert preflight.java_version(output) == version


def test_a_java_that_is_new_enough_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path, 'openjdk version "21.0.1"')))
    preflight.java()


@pytest.mark.parametrize(
    ("output", "message"),
    [('java version "1.8.0_392"', r"Java is too old: .* is version 8 and 17 or newer is needed; "), ("oh", "not run")],
)
def test_an_old_or_broken_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, message: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path, output)))
    with pytest.raises(Problem, match=message) as caught:
        preflight.java()
    assert "\n" not in str(caught.value)


def test_a_missing_java_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(Problem, match=r"Java is missing: .*/bin/java was not found; .*install"):
        preflight.java()


def test_maven_is_needed_only_while_the_jars_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    preflight.maven(tmp_path)
    with pytest.raises(Problem, match="Maven is missing"):
        preflight.maven(tmp_path / "not-there")


def test_an_old_python_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(Problem, match=r"this is 3.9 and 3.11 or newer is needed; .* make demo PYTHON=python3.11"):
        preflight.python()


def test_a_port_in_use_is_reported_with_the_setting_that_moves_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        assert not is_free(number)
        with pytest.raises(Problem, match=rf"port {number} is in use: .*make demo KAFKA_PORT={another_port(number)}$"):
            preflight.port("KAFKA_PORT", number)
    preflight.port("KAFKA_PORT", number)
    preflight.port("KAFKA_PORT", 0)  # a free one is taken


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage(10, 9, 1024**3))
    with pytest.raises(Problem, match=r"the disk is full: .* has 1.0 GB free where 2 GB are needed"):
        preflight.disk(tmp_path / "not" / "there" / "yet")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    preflight.readable("REPLAY", None)
    with pytest.raises(Problem, match="REPLAY names it"):
        preflight.readable("REPLAY", tmp_path / "trades.csv")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    checks = [partial(preflight.readable, name, tmp_path / name) for name in ("REPLAY", "KLINES")]
    assert len(preflight.problems(checks)) == 2
