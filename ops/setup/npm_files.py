"""Files of npm packages that web pages load: fetched once by npm, verified by their hashes, and kept in a cache.

``python -m ops.setup.npm_files LIST.json`` fetches the files of a list and prints their folder;
``python -m ops.setup.npm_files LIST.json FOLDER`` copies each to its target in ``FOLDER``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ops.common import child_environment
from ops.common.errors import Problem
from ops.setup.jars import cache_home, cache_homes

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLDER = Path("crypto-analytics", "npm")


class NpmFile(NamedTuple):
    """A file of an npm package.

    Attributes:
        package: the package's name.
        version: its version.
        member: the file's path in the package.
        sha256: hash of the file.
        target: the file's path in a folder that it is copied to; default: ``path``.
    """

    package: str
    version: str
    member: str
    sha256: str
    target: str = ""

    @property
    def path(self) -> str:
        """Return the file's path in the folder of all files."""
        return f"{self.package.rpartition('/')[2]}-{self.version}/{self.member}"

    def is_in(self, folder: Path) -> bool:
        """Return whether ``folder`` has the file, unchanged."""
        file = folder / self.path
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == self.sha256


def listed(file: Path) -> list[NpmFile]:
    """Return the files of a list: a JSON array of objects, which may have more fields."""
    fields = NpmFile._fields
    entries = json.loads(file.read_text(encoding="utf-8"))
    return [NpmFile(**{name: one[name] for name in fields if name in one}) for one in entries]


def cached(files: Iterable[NpmFile]) -> Path | None:
    """Return the folder that has ``files`` at their paths; None where one of them was not fetched yet."""
    wanted = list(files)
    folders = [home / _FOLDER for home in cache_homes()]
    return next((folder for folder in folders if all(file.is_in(folder) for file in wanted)), None)


def ensure(files: Iterable[NpmFile]) -> Path:
    """Return the folder that has ``files`` at their paths, after fetching what is missing.

    Raises:
        Problem: npm is missing, could not fetch a package, or a file is not the expected one.
    """
    wanted = list(files)
    if (complete := cached(wanted)) is not None:
        return complete
    folder = cache_home() / _FOLDER
    missing = [file for file in wanted if not file.is_in(folder)]
    for package, version in dict.fromkeys((file.package, file.version) for file in missing):
        _fetch(package, version, [file for file in missing if file[:2] == (package, version)], folder)
    return folder


def copy(files: Iterable[NpmFile], folder: Path) -> None:
    """Copy ``files`` to their targets in ``folder``, after fetching what is missing.

    Raises:
        Problem: npm is missing, could not fetch a package, or a file is not the expected one.
    """
    wanted = list(files)
    fetched = ensure(wanted)
    for file in wanted:
        target = folder / (file.target or file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetched / file.path, target)


def _fetch(package: str, version: str, files: list[NpmFile], folder: Path) -> None:
    name = f"{package}@{version}"
    if shutil.which("npm") is None:
        fix = "install Node.js with npm (Debian: apt-get install npm), then run the same command again"
        raise Problem("npm is missing", f"web pages need files of its package {name}", fix)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetched.") as temporary:
        command = ["npm", "pack", "--loglevel=error", "--ignore-scripts", f"--pack-destination={temporary}", name]
        env = child_environment.fetcher(os.environ)
        done = subprocess.run(
            command, cwd=temporary, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
        )
        if done.returncode != 0:
            found = f"npm exited with {done.returncode}, its message is above"
            raise Problem(f"{name} could not be fetched", found, "correct what the message names, then run it again")
        (packed,) = Path(temporary).glob("*.tgz")
        with tarfile.open(packed) as archive:
            packed_names = archive.getnames()
            for file in files:
                packed_name = f"package/{file.member}"
                member = archive.extractfile(packed_name) if packed_name in packed_names else None
                content = member.read() if member else b""
                if hashlib.sha256(content).hexdigest() != file.sha256:
                    found = f"its {file.member} is missing or has another SHA-256 than expected"
                    raise Problem(
                        f"{name} is not the expected package", found, "check the registry: npm config get registry"
                    )
                unfinished = Path(temporary) / "file"
                unfinished.write_bytes(content)
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                unfinished.replace(folder / file.path)


def main(file: Path, folder: Path | None = None) -> int:
    """Fetch the files of the list ``file``, and copy them to ``folder`` where one is given; return the exit code."""
    try:
        if folder is None:
            print(ensure(listed(file)))
        else:
            copy(listed(file), folder)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*map(Path, sys.argv[1:])))
