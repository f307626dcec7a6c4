"""Debian's image comes from where the machine's own apt has Debian."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.airgap.scripts import AIRGAP

SOURCES = """
http://mirror.example.com/debian/ stable bookworm
http://mirror.example.com/debian/ bookworm-updates bookworm-updates
http://mirror.example.com/security/ bookworm-security bookworm-security
http://later.example.com/debian/ bookworm bookworm
"""


def base_images(folder: Path, sources: str, **settings: str) -> str:
    """Run airgap/base-images where apt has ``sources`` and no engine answers, and return what it says."""
    (folder / "sources").write_text(sources.lstrip())
    (folder / "bin").mkdir()
    for name, script in {"apt-get": f"cat {folder}/sources", "docker": "exit 1"}.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-x", AIRGAP / "base-images"],
        env={**os.environ, "AIRGAP_CACHE": str(folder), **settings},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    return done.stderr


def test_the_mirrors_are_those_of_this_machines_apt(tmp_path: Path) -> None:
    said = base_images(tmp_path, SOURCES)
    assert "+ MIRROR=http://mirror.example.com/debian\n" in said
    assert "+ SECURITY_MIRROR=http://mirror.example.com/security\n" in said
    assert "the Docker engine does not answer" in said


def test_a_sites_own_mirrors_go_first(tmp_path: Path) -> None:
    said = base_images(tmp_path, SOURCES, AIRGAP_DEBIAN_MIRROR="http://a", AIRGAP_SECURITY_MIRROR="http://b")
    assert "+ MIRROR=http://a\n+ SECURITY_MIRROR=http://b\n" in said


@pytest.mark.parametrize("sources", ["", "http://mirror.example.com/debian/ trixie trixie\n"])
def test_a_machine_without_this_debian_is_told_what_to_name(tmp_path: Path, sources: str) -> None:
    said = base_images(tmp_path, sources)
    assert "no mirror of Debian bookworm: this machine's apt has no such release; try: sudo apt-get update" in said
