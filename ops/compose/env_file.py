"""Compose's passwords: random ones in .env, made when they are first missing, kept ever after, printed never."""

import argparse
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.common import secret_files
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.common.settings import OpsSettings

FILE = ROOT / ".env"

NAMES = (
    "POSTGRES_SUPERUSER_PASSWORD",
    "WRITER_PASSWORD",
    "TRANSFORMER_PASSWORD",
    "GATE_PASSWORD",
    "PRODUCER_PASSWORD",
    "READER_PASSWORD",
    "SUPERSET_PASSWORD",
    "SUPERSET_ADMIN_PASSWORD",
    "SUPERSET_SECRET_KEY",
    "KAFKA_ADMIN_PASSWORD",
    "KAFKA_PASSWORD_PRODUCER",
    "KAFKA_PASSWORD_CONSUMER",
    "KAFKA_PASSWORD_SPARK",
    "KAFKA_PASSWORD_READER",
    "MINIO_ROOT_PASSWORD",
    "S3_SECRET_KEY_CONSUMER",
    "S3_SECRET_KEY_SPARK",
    "S3_SECRET_KEY_EXPORTER",
    "S3_SECRET_KEY_GATE",
    "S3_SECRET_KEY_SWEEP",
    "S3_SECRET_KEY_READER",
)

_HEADER = """\
# Passwords of the platform in Compose, made by `make env`. Each store keeps those it was first started with, so this
# file belongs to the volumes: without it their data cannot be reached.
"""
_RANDOM_BYTES = 24


@dataclass(frozen=True)
class EnvFileChange:
    """What was done: whether the file is new, and which names were added to it."""

    is_new: bool
    added: tuple[str, ...]

    def __str__(self) -> str:
        if self.is_new:
            return f"made with {len(self.added)} random passwords"
        return f"kept, and added {', '.join(self.added)}" if self.added else "kept as it is"


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Make or complete the file and say what was done."""
    argparse.ArgumentParser(prog="python -m ops env", description=__doc__).parse_args(arguments)
    console().print(f"{FILE.name}: {ensure(FILE)}", markup=False, soft_wrap=True)
    return 0


def ensure(file: Path) -> EnvFileChange:
    """Make ``file`` if there is none, add the passwords that it lacks, and change nothing else.

    Raises:
        Problem: others may read it, or a password in it is empty.
    """
    is_new = not file.exists()
    text = _HEADER if is_new else _read(file)
    missing = tuple(name for name in NAMES if name not in secret_files.values(text))
    if missing:
        if not text.endswith("\n"):
            text += "\n"
        secret_files.write(file, text + "".join(f"{name}={secrets.token_urlsafe(_RANDOM_BYTES)}\n" for name in missing))
    return EnvFileChange(is_new, missing)


def missing(file: Path) -> tuple[str, ...]:
    """Return the passwords that ``file`` does not name: all of them where it is missing."""
    named = secret_files.values(file.read_text()) if file.is_file() else {}
    return tuple(name for name in NAMES if name not in named)


def load(file: Path) -> Mapping[str, str]:
    """Return the passwords by name.

    Raises:
        Problem: the file is missing, others may read it, or a password is missing or empty.
    """
    if not file.exists():
        raise Problem(f"{file.name} is missing", "it holds the passwords", "make env")
    values = secret_files.values(_read(file))
    if missing := [name for name in NAMES if name not in values]:
        raise Problem(f"{file.name} is incomplete", f"{', '.join(missing)} is missing", "make env")
    return {name: values[name] for name in NAMES}


def _read(file: Path) -> str:
    """Return the text of a file that is fit to hold passwords."""
    if not secret_files.is_private(file):
        raise Problem(f"{file.name} can be read by others", "it holds passwords", f"chmod 600 {file.name}")
    text = file.read_text()
    values = secret_files.values(text)
    if empty := [name for name in NAMES if values.get(name) == ""]:
        fix = (
            f"write it back as it was; if nothing was started with it yet: remove the line, then make env ({file.name})"
        )
        raise Problem(f"{file.name} is damaged", f"{', '.join(empty)} is empty", fix)
    return text
