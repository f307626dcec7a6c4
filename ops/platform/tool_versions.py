"""The oldest version of each tool that the targets work with, and the version in what a tool prints."""

import re

# The oldest version of each tool that is known to do what is asked of it.
VERSIONS: dict[str, tuple[int, ...]] = {
    "docker": (20, 10),
    "docker engine": (20, 10),
    "buildx": (0, 12),
    "compose": (2, 20),
    "kind": (0, 31),
    "helm": (3, 14),
    "helmfile": (1, 0),
    "kubectl": (1, 34),
}


def version_of(said: str) -> tuple[int, ...] | None:
    """Return the first dotted version in what a tool says; None where it was built without one ('0.0.0-dev')."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    numbers = tuple(int(part) for part in found.groups() if part is not None) if found else ()
    return numbers if any(numbers) else None
