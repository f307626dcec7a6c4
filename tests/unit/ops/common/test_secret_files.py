"""A file of passwords is private from its first moment, and is read as it was written."""

from pathlib import Path

import pytest

from ops.common import secret_files


def test_a_written_file_is_private_and_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("old")
    file.chmod(0o644)
    assert not secret_files.is_private(file)
    secret_files.write(file, "A=1\n")
    assert secret_files.is_private(file)
    assert file.read_text() == "A=1\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        (" A = b ", "b"),
        ("A=${HOME}", "${HOME}"),
        ("A=$HOME", "$HOME"),
        ("A=b#c", "b#c"),
        ("A='b c'", "b c"),
        ("A=x=y", "x=y"),
        ("A=", ""),
    ],
)
def test_values_are_read_without_interpolation(line: str, value: str) -> None:
    assert secret_files.values(f"# comment\n{line}\nno assignment\n") == {"A": value}
