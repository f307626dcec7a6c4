"""Compare containers of Compose and of the charts in one form."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

_UNITS = {"": 1, "b": 1, "k": 1024, "ki": 1024, "m": 1024**2, "mi": 1024**2, "g": 1024**3, "gi": 1024**3}


@dataclass(frozen=True)
class Secret:
    """A secret value, of which only the source is known. Equal sources are the same password."""

    source: str


@dataclass(frozen=True)
class Component:
    """One container.

    Attributes:
        image: registry, name and tag.
        argv: program and arguments; those of the image if the container sets none.
        environment: plain values as text, secret ones as their source.
        user: ``uid:gid``.
        read_only: whether the root file system is.
        unprivileged: whether all capabilities are dropped and privilege escalation is forbidden.
        memory: the limit in bytes.
        cpus: the limit in CPUs; None: no limit.
        tmp: the size limit of /tmp in bytes.
        grace: the seconds from SIGTERM to SIGKILL; None: the default.
        data: the mount path of its volume; empty: no volume.
        access: the content of the file that ACCESS_FILE names; None: no such setting.
        ports: ``{port of this machine: port of the container}``.
    """

    image: str
    argv: tuple[str, ...]
    environment: Mapping[str, str | Secret]
    user: str
    read_only: bool
    unprivileged: bool
    memory: int
    cpus: float | None
    tmp: int
    grace: int | None
    data: str
    access: object
    ports: Mapping[int, int]


Components = Mapping[str, Component]


@dataclass(frozen=True)
class Deviation:
    """An intended difference: the component, the field (or field and key), and the reason."""

    component: str
    field: str
    reason: str


def differences(charts: Components, compose: Components, meant: tuple[Deviation, ...] = ()) -> list[str]:
    """Return the unintended differences, one line each, and the intended ones that do not exist."""
    found = dict(_differences(charts, compose))
    excused = {(deviation.component, deviation.field) for deviation in meant}
    unexcused = [
        f"{name}: {field}: {difference}" for (name, field), difference in found.items() if (name, field) not in excused
    ]
    idle = [f"{name}: {field}: listed as meant, but there is no difference" for name, field in excused - set(found)]
    return sorted([*unexcused, *idle, *_secrets(charts, compose)])


def _differences(charts: Components, compose: Components) -> dict[tuple[str, str], str]:
    found = {}
    for name in charts.keys() ^ compose.keys():
        found[name, "component"] = f"only in {'the charts' if name in charts else 'Compose'}"
    for name in charts.keys() & compose.keys():
        one, other = charts[name], compose[name]
        for field in fields(Component):
            left, right = getattr(one, field.name), getattr(other, field.name)
            if field.name == "environment":
                for key in left.keys() | right.keys():
                    if (difference := _setting(left.get(key), right.get(key))) is not None:
                        found[name, f"environment {key}"] = difference
            elif left != right:
                found[name, field.name] = f"{left!r} in the charts, {right!r} in Compose"
    return found


def _setting(left: str | Secret | None, right: str | Secret | None) -> str | None:
    """Return how a setting differs; secrets only by being secret, because their sources have different names."""
    if isinstance(left, Secret) and isinstance(right, Secret):
        return None
    words = ["a secret" if isinstance(side, Secret) else "not set" if side is None else side for side in (left, right)]
    return None if words[0] == words[1] else f"{words[0]} in the charts, {words[1]} in Compose"


def _secrets(charts: Components, compose: Components) -> list[str]:
    """Return the cases where one side uses the same password for two passwords of the other side."""
    pairs = [
        (f"{name}: environment {key}", value, other)
        for name in charts.keys() & compose.keys()
        for key, value in charts[name].environment.items()
        if isinstance(value, Secret) and isinstance(other := compose[name].environment.get(key), Secret)
    ]
    found = []
    for where, here, there in pairs:
        for elsewhere, here_too, there_too in pairs:
            if where < elsewhere and (here == here_too) != (there == there_too):
                same, apart = ("the charts", "Compose") if here == here_too else ("Compose", "the charts")
                found.append(f"{where}: the same password as of {elsewhere} in {same}, another one in {apart}")
    return found


def size(text: str | int) -> int:
    """Return the bytes of a size in the notation of Compose (512m) or Kubernetes (512Mi)."""
    word = str(text).strip().lower()
    number = word.rstrip("bgikm")
    return int(float(number) * _UNITS[word[len(number) :]])


def seconds(text: str | int) -> int:
    """Return the seconds of a duration in the notation of Compose (2m, 30s) or Kubernetes (30)."""
    word = str(text)
    return int(word[:-1]) * {"s": 1, "m": 60}[word[-1]] if word[-1] in "sm" else int(word)
