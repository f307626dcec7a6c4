"""A folder is accepted, or refused in one line before anything starts."""

import os
from pathlib import Path

import pytest

from ops.common import paths
from ops.common.errors import Problem
from tests.absurd_environment import NOWHERE

HARDEST = "ä 'q' %41 #;=,&(é)中文🚀!*?[x]~{{y}}"


def test_every_other_character_is_accepted_in_a_folder() -> None:
    paths.check_name("DEMO_DIR", Path("/") / HARDEST)


@pytest.mark.parametrize("character", [":", '"', "$", "`", "\\", "\n", "\r", "\t", "\x7f", "\u2028", "\udcff"])
def test_a_refused_folder_is_reported_in_one_line(character: str) -> None:
    with pytest.raises(Problem) as caught:
        paths.check_name("DEMO_DIR", Path(f"/a{character}b"))
    text = str(caught.value)
    assert text.startswith("DEMO_DIR cannot be used: '/a")
    assert text.endswith("; make demo DEMO_DIR=/another/folder")
    assert text.isascii()
    assert text.isprintable()
    with pytest.raises(Problem, match="this checkout cannot be used"):
        paths.check_name("", Path(f"/a{character}b"))


@pytest.mark.parametrize("character", ",*?[]{}")
def test_a_folder_that_spark_refuses_is_reported_in_one_line(character: str) -> None:
    paths.check_for_spark(Path("/ä 'q' %41 #;=&(é)中文🚀!~"))
    with pytest.raises(Problem, match=r"^Spark cannot work in DEMO_DIR: '/a.b' holds .; make demo DEMO_DIR="):
        paths.check_for_spark(Path(f"/a{character}b"))


def test_a_folder_that_superset_refuses_is_reported_in_one_line() -> None:
    paths.check_for_superset(Path("/ä 'q' 41 #;=,&(é)中文🚀!*?[x]~{y}"))
    with pytest.raises(Problem, match=r"^Superset cannot work in DEMO_DIR: '/a%b' holds %; make demo DEMO_DIR="):
        paths.check_for_superset(Path("/a%b"))


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    paths.check_writable(tmp_path / "a" / "b")
    with pytest.raises(Problem, match=r"^/dev/null/absurd cannot be made: /dev/null is no folder; make demo DEMO_DIR="):
        paths.check_writable(Path(NOWHERE))


def test_another_users_folder_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(Problem, match=rf"{tmp_path}/demo cannot be made: {tmp_path} cannot be written by this user; "):
        paths.check_writable(tmp_path / "demo")
