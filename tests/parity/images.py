"""Read ENTRYPOINT and CMD of the Dockerfiles."""

import json
import re
from functools import cache

from tests.servers import ROOT


@cache
def start_of(image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the entry point and the default arguments of an image, given by its full name."""
    name = image.rpartition("/")[2].partition(":")[0]
    text = (ROOT / "images" / name / "Dockerfile").read_text()
    return _last("ENTRYPOINT", text), _last("CMD", text)


def _last(instruction: str, text: str) -> tuple[str, ...]:
    found = re.findall(rf"^{instruction} (\[.*\])$", text, re.MULTILINE)
    return tuple(json.loads(found[-1])) if found else ()


def argv(image: str, program: list[str] | None, arguments: list[str] | None) -> tuple[str, ...]:
    """Return program and arguments; a container's values replace those of the image, a program its arguments too."""
    entrypoint, command = start_of(image)
    if program:
        return (*program, *(arguments or ()))
    return (*entrypoint, *(arguments or command))
