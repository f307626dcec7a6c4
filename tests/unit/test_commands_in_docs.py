"""The commands in README and docs exist: make targets, their variables, and Python modules."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.common import child_environment
from ops.setup.environments import STAMP
from tests.servers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=")
_TARGETS = re.compile(r"[a-z][a-z0-9-]*")


class Command(NamedTuple):
    page: str
    text: str


def commands() -> Iterator[Command]:
    """Yield the commands of all pages: the text between backquotes, and the lines of indented blocks."""
    for page in PAGES:
        name, text = str(page.relative_to(ROOT)), page.read_text()
        inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        blocks = [line.strip().split("#")[0] for line in re.findall(r"^ {4}(.+)$", text, re.MULTILINE)]
        fenced = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        yield from (Command(name, line.strip()) for line in (*inline, *blocks, *fenced))


def make_commands() -> list[Command]:
    return [command for command in commands() if re.match(r"([A-Z_]+=\S+ )*make [a-zA-Z]", command.text)]


@cache
def targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def variables() -> frozenset[str]:
    """Return the targets and variables of make's help, and all settings."""
    listed = re.findall(r"\b([A-Z][A-Z0-9_]+)\b", (ROOT / "Makefile").read_text())
    of_ops = re.findall(r"\b([A-Z][A-Z0-9_]+)\b", (ROOT / "ops" / "common" / "settings.py").read_text())
    charts = [*ROOT.glob("*.gotmpl"), *ROOT.glob("environments/*.yaml*"), *ROOT.glob("charts/*.gotmpl")]
    of_charts = [name for path in charts for name in re.findall(r'[eE]nv "([A-Z0-9_]+)"', path.read_text())]
    return frozenset([*listed, *of_ops, *of_charts, *child_environment.settings()])


def test_the_make_targets_and_settings_of_the_docs_exist() -> None:
    commands = make_commands()
    assert len(commands) > 40
    wrong = []
    for command in commands:
        words = re.split(r"\s+", re.split(r"[;,|&)]", command.text.partition("make ")[2])[0])
        for word in words:
            assigned = _ASSIGNMENT.match(word.strip("[]"))
            if assigned and assigned.group(1) not in variables():
                wrong.append(f"{command.page}: {command.text}: nothing reads {assigned.group(1)}")
            elif _TARGETS.fullmatch(word) and word not in targets():
                wrong.append(f"{command.page}: {command.text}: there is no make {word}")
    assert wrong == []


def python_commands() -> list[Command]:
    """Return the commands that start Python on the first pages of the documentation."""
    first = {
        "README.md",
        "docs/local.md",
        "docs/compose.md",
        "docs/kubernetes.md",
        "docs/troubleshooting.md",
        "docs/tour.md",
    }
    return [command for command in commands() if command.page in first and command.text.startswith("python")]


def settings_commands() -> list[Command]:
    return [command for command in commands() if command.text.startswith("make settings")]


def test_no_first_page_starts_python_of_a_fresh_clone_without_its_libraries() -> None:
    assert python_commands() == []
    assert settings_commands()


def in_a_fresh_clone(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
    """Run ``command`` in a clone whose virtual environment is a link to this one."""
    clone = folder / "clone"
    clone.mkdir()
    for path in ROOT.iterdir():
        if path.name not in {".demo", ".git"}:
            (clone / path.name).symlink_to(path)
    for name in ("ops", "Makefile"):  # these find the checkout by their own path
        (clone / name).unlink()
    shutil.copy(ROOT / "Makefile", clone)
    shutil.copytree(ROOT / "ops", clone / "ops", ignore=shutil.ignore_patterns("__pycache__"))
    services = clone / ".demo" / "venv" / "services"
    services.mkdir(parents=True)
    for name in ("bin", "lib", "pyvenv.cfg"):
        (services / name).symlink_to(Path(sys.prefix) / name)
    python = shutil.which("python3") or sys.executable
    version = subprocess.check_output([python, "-c", "import sys; print(sys.version, end='')"])
    lock = (ROOT / "requirements" / "services.txt").read_bytes()
    (services / STAMP).write_text(hashlib.sha256(lock + version).hexdigest())
    env = {"PATH": os.environ["PATH"], "PYTHON": python}
    return subprocess.run(command.split(), cwd=clone, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", settings_commands(), ids=lambda command: command.text)
def test_the_settings_of_a_service_are_shown_in_a_fresh_clone(command: Command, tmp_path: Path) -> None:
    done = in_a_fresh_clone(tmp_path, command.text)
    assert done.returncode == 0, done.stderr
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "BATCH_MAX_TRADES", "LOG_LEVEL"):
        assert f"  {name} " in done.stdout
