"""Files of public Go modules, fetched once into Go's own cache and verified by Go's checksum database."""

import json
import subprocess
from functools import cache
from pathlib import Path

from tests.charts.rendering import program

_SECONDS = 300


@cache
def folder(module: str, version: str) -> Path:
    """Return the folder with all files of a module at a version, such as ``v2.5.2``."""
    command = [program("go"), "mod", "download", "-json", f"{module}@{version}"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return Path(json.loads(done.stdout)["Dir"])
