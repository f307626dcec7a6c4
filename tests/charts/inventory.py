"""List what each environment installs with each variant: the releases in order, and the objects of our charts.

``python -m tests.charts.inventory`` writes inventory.yaml; its diff shows what a change adds, removes or reorders.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.charts import helmfile_calls
from tests.charts.rendering import SITUATIONS, environment, name_of

FILE = Path(__file__).with_name("inventory.yaml")
COMMAND = "PYTHONPATH=services:. .demo/venv/dev/bin/python -m tests.charts.inventory"
_HEAD = f"""\
# Written by: {COMMAND}
# Which releases a first `helmfile sync` installs in each environment (with VARIANT=python where none is named), a group
# after the other, and where each object of our charts is part of it.
"""


def collect() -> dict[str, Any]:
    """Return the inventory of all environments, rendered by helmfile."""
    objects: dict[str, list[str]] = {}
    for situation in SITUATIONS:
        for one in environment(situation):
            objects.setdefault(_lasting(name_of(one)), []).append(situation)
    return {
        "releases": {situation: [", ".join(its) for its in _groups(situation)] for situation in SITUATIONS},
        "objects": {name: _words(objects[name]) for name in sorted(objects)},
    }


def _lasting(name: str) -> str:
    """Return a name without the hash of the spec at the end of a Job's name."""
    return re.sub(r"^(Job/.+)-[0-9a-f]{10}$", r"\1-<hash>", name)


def _groups(situation: str) -> list[list[str]]:
    upgraded = [
        words[words.index("--install") + 1] for words in helmfile_calls.commands(situation) if "upgrade" in words
    ]
    groups = helmfile_calls.groups(situation)
    return [[name for name in upgraded if name in its] for its in groups]


def _words(situations: list[str]) -> str:
    return "everywhere" if len(situations) == len(SITUATIONS) else ", ".join(situations)


def load() -> dict[str, Any]:
    """Return the content of inventory.yaml."""
    return dict(yaml.safe_load(FILE.read_text()))


def write() -> None:
    """Write inventory.yaml."""
    FILE.write_text(_HEAD + yaml.safe_dump(collect(), sort_keys=False, width=1000))


if __name__ == "__main__":
    write()
