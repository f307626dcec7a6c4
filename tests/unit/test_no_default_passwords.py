"""No file of the project contains a password: they are generated at the first start, or given by the user."""

import re
import subprocess

import pytest

from tests.servers import ROOT

# Tests have made-up passwords; lock files contain hashes; that file names the Secrets that share a password.
NOT_LOOKED_AT = re.compile(r"^(tests/|requirements/.*\.txt$|charts/namespace/files/secrets\.yaml$|LICENSE$)")

_WORD = r"(?:pass(?:word|wd)?|secret(?:_?key)?|api_?key|token)"
_ASSIGNED = re.compile(
    rf"""
    (?<![a-z]) {_WORD} ["']? (?: \s*:\s*[A-Za-z\[\]|.\ ]+ )? \s* [:=] \s*
    (?: "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s"'(\[{{]+) (?=\s*(?:\#|$)) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_IN_URL = re.compile(r"\w+://[^\s:/@{$]+:(?P<secret>[^\s:/@{$<]+)@")
_WELL_KNOWN = re.compile(r"\b(minioadmin|changeme|admin123|postgres:postgres|admin:admin)\b")
_OTHERWISE = re.compile(rf"""SecretStr\(["'][^"'] | \b{_WORD}\s+'[^'%]+' """, re.VERBOSE | re.IGNORECASE)
_HARMLESS = re.compile(r"""^$ | ^[<$*] | [{}$]""", re.VERBOSE)  # empty, a placeholder, or a reference
_CODE = (".py", ".pyi")


def passwords_in(name: str, text: str) -> list[str]:
    """Return the lines of a file that assign a value to a password."""
    return [line.strip() for line in text.splitlines() if _tells_one(name, line)]


def _tells_one(name: str, line: str) -> bool:
    if _WELL_KNOWN.search(line) or _IN_URL.search(line) or _OTHERWISE.search(line):
        return True
    for found in _ASSIGNED.finditer(line):
        quoted = found["double"] if found["double"] is not None else found["single"]
        if quoted is not None and " " not in quoted and not _HARMLESS.search(quoted):
            return True
        if found["bare"] and not name.endswith((*_CODE, ".md")) and not _HARMLESS.search(found["bare"]):
            return True
    return False


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.py", 'POSTGRES_PASSWORD: SecretStr = Field(SecretStr("hunter2"))'),
        ("a.py", 'password = "hunter2"'),
        ("a.py", 'connect(password="hunter2")'),
        ("a.yml", "  password: hunter2"),
        ("a.yml", 'POSTGRES_PASSWORD: "hunter2"'),
        (".env.example", "S3_SECRET_KEY=minio123"),
        ("a.sql", "alter role writer password 'hunter2'"),
        ("a.md", "postgresql://writer:hunter2@localhost/db"),
        ("Makefile", "export TOKEN = abc123"),
        ("a.yml", "user: minioadmin"),
    ],
)
def test_a_password_is_found(name: str, line: str) -> None:
    assert passwords_in(name, line) == [line.strip()]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (".env.example", "POSTGRES_PASSWORD="),
        ("a.yml", "  password: \"{{ env_var('POSTGRES_PASSWORD') }}\""),
        ("a.sh", 'PGPASSWORD="$WRITER_PASSWORD"'),
        ("a.py", "password=settings.POSTGRES_PASSWORD.get_secret_value(),"),
        ("a.py", 'POSTGRES_PASSWORD: SecretStr = Field(description="its password")'),
        ("a.py", 'KAFKA_SASL_PASSWORD: SecretStr = Field(SecretStr(""), description="its password")'),
        ("a.py", "def connect(password: str) -> None:"),
    ],
)
def test_what_gives_none_away_is_not(name: str, line: str) -> None:
    assert passwords_in(name, line) == []


def test_there_is_none_in_the_project() -> None:
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in names:
        path = ROOT / name
        if not name or NOT_LOOKED_AT.search(name) or not path.is_file():
            continue
        if lines := passwords_in(name, path.read_bytes().decode("utf-8", errors="replace")):
            found[name] = lines
    assert found == {}
