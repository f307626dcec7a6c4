"""Pack programs and image archives as a Kubernetes release, as ``kind build node-image --type file`` reads it.

Usage: release.py VERSION OUTPUT FILE...   (FILE: a program, or an archive of ``docker save`` that ends in .tar)
"""

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO

# The files of an image archive that name its tags. kind reads the one that comes first, and of a manifest only the
# first image: "repositories" has to come first.
TAG_FILES = ("repositories", "manifest.json")


def qualify(archive: IO[bytes], qualified: IO[bytes]) -> None:
    """Copy an archive with all tags first, and with Docker Hub's name in them, as kind expects."""
    with tarfile.open(fileobj=archive) as old, tarfile.open(fileobj=qualified, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name != TAG_FILES[0]):
            data = old.extractfile(member) if member.isfile() else None
            if data is not None and member.name in TAG_FILES:
                text = json.dumps(json.load(data)).replace('"kindest/', '"docker.io/kindest/').encode()
                member.size = len(text)
                data = io.BytesIO(text)
            new.addfile(member, data)


def pack(version: str, output: Path, files: list[Path]) -> None:
    """Write the release to ``output``: gzip, which kind wants, without compressing, because it is unpacked at once."""
    with tarfile.open(output, "w:gz", compresslevel=0) as release:

        def add(name: str, content: IO[bytes]) -> None:
            member = tarfile.TarInfo(f"kubernetes/{name}")
            member.size = content.seek(0, io.SEEK_END)
            member.mode = 0o755
            content.seek(0)
            release.addfile(member, content)

        add("version", io.BytesIO(version.encode()))
        for file in files:
            with file.open("rb") as content:
                if file.suffix == ".tar":
                    with tempfile.TemporaryFile(dir=output.parent) as qualified:
                        qualify(content, qualified)
                        add(f"server/bin/{file.name}", qualified)
                else:
                    add(f"server/bin/{file.name}", content)


if __name__ == "__main__":
    pack(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
