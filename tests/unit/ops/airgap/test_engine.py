"""An engine that refuses this user is reported at once, with the next command."""

import os
import re
import subprocess
from pathlib import Path

from tests.unit.ops.airgap.scripts import AIRGAP


def test_a_user_outside_of_dockers_group_is_reported(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    docker.write_text("#!/bin/sh\necho 'permission denied while trying to connect to the docker API' >&2; exit 1\n")
    docker.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"source {AIRGAP}/lib/common.sh; require_membership"],
        env={**os.environ, "AIRGAP_CACHE": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "not in the group docker; sudo usermod -aG docker $USER; newgrp docker" in done.stderr


def test_the_check_precedes_starting_and_waiting_for_the_engine() -> None:
    text = (AIRGAP / "engine").read_text()
    assert re.search(r"until engine_answers; do\n +require_membership\n", text)
    assert re.search(r"if ! engine_answers; then\n +require_membership\n", text)
