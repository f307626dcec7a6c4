"""Debian's image comes from the mirror of the machine's own apt."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.ops.airgap.scripts import AIRGAP

SOURCES = """
mirror+file:/etc/apt/mirrors/debian.list bookworm bookworm
http://mirror.example.com/debian/ stable bookworm
http://mirror.example.com/debian/ bookworm-updates bookworm-updates
http://mirror.example.com/security/ bookworm-security bookworm-security
http://later.example.com/debian/ bookworm bookworm
"""
PROGRAMS = {
    "apt-get": "cat sources",
    "docker": "test $1 = info",  # an engine without any image
    "debootstrap": "echo $*; exit 1",
    "sudo": 'exec "$@"',
}


def base_images(folder: Path, sources: str, **settings: str) -> str:
    """Run ops/airgap/base-images where apt has ``sources`` and debootstrap fails, and return its output."""
    (folder / "sources").write_text(sources.lstrip())
    (folder / "bin").mkdir()  # which the scripts search first
    for name, script in PROGRAMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRGAP_")}
    done = subprocess.run(
        [AIRGAP / "base-images"],
        cwd=folder,
        env={**env, "AIRGAP_CACHE": str(folder), **settings},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    return done.stderr


def test_the_mirror_is_that_of_this_machines_apt(tmp_path: Path) -> None:
    output = base_images(tmp_path, SOURCES)
    assert f"bookworm {tmp_path}/work/rootfs http://mirror.example.com/debian/; read on" in output


def test_mirrors_named_by_the_user_are_preferred(tmp_path: Path) -> None:
    output = base_images(tmp_path, SOURCES, AIRGAP_DEBIAN_MIRROR="http://a", AIRGAP_SECURITY_MIRROR="http://b")
    assert f"bookworm {tmp_path}/work/rootfs http://a; read on" in output


@pytest.mark.parametrize(
    "sources", ["", "http://x/ trixie trixie\n", "http://x/ bookworm bookworm\n"], ids=["none", "other", "no security"]
)
def test_a_machine_without_this_debian_release_is_refused_with_the_next_command(tmp_path: Path, sources: str) -> None:
    output = base_images(tmp_path, sources)
    assert "no mirror of Debian bookworm: this machine's apt has no such release; try: sudo apt-get update" in output
