"""Read docker-compose.yml as components, with its variables expanded like docker compose."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.parity import images
from tests.parity.component import Component, Secret, seconds, size
from tests.servers import ROOT

FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<how>:?[-+?])(?P<word>[^}]*))?\})")
_SECRET = re.compile(r"<secret (\w+)>")


class MissingVariable(Exception):
    """A required variable is not set."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with its variables expanded.

    Raises:
        MissingVariable: a required one (``${NAME:?message}``) is not set.
    """

    def fill(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        name, how, word = found["name"], found["how"] or "", found["word"] or ""
        counts = bool(variables.get(name)) if how.startswith(":") else name in variables
        match how[-1:]:
            case "-":
                return variables[name] if counts else word
            case "+":
                return word if counts else ""
            case "?":
                if not counts:
                    raise MissingVariable(f"{name}: {word}")
        return variables.get(name, "")

    return _VARIABLE.sub(fill, text)


def secrets(text: str) -> list[str]:
    """Return the names of the required variables, which are the secrets."""
    return sorted({found["name"] for found in _VARIABLE.finditer(text) if found["how"] == ":?"})


def variables(text: str) -> set[str]:
    """Return the names of all variables."""
    return {found["name"] for found in _VARIABLE.finditer(text) if found["name"]}


def services(variables: Mapping[str, str], text: str | None = None) -> dict[str, Any]:
    """Return the services of the file with anchors and variables expanded; a secret is ``<secret NAME>``."""
    source = FILE.read_text() if text is None else text
    placeholders = {name: f"<secret {name}>" for name in secrets(source)}
    project = yaml.safe_load(source)["name"]
    filled = _fill(yaml.safe_load(source), {"COMPOSE_PROJECT_NAME": project, **variables, **placeholders})
    found: dict[str, Any] = filled["services"]
    return found


def _fill(node: Any, variables: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {key: _fill(value, variables) for key, value in node.items()}
        case list():
            return [_fill(value, variables) for value in node]
        case str():
            return interpolate(node, variables)
        case _:
            return node


def components(variables: Mapping[str, str], profiles: set[str], text: str | None = None) -> dict[str, Component]:
    """Return the services that ``profiles`` start, by name."""
    found = services(variables, text)
    return {name: _component(one) for name, one in found.items() if profiles & set(one["profiles"])}


def _mount(volume: str | Mapping[str, Any]) -> list[str]:
    """Return source and target of a volume in its short or long form, and in the short one its options."""
    return volume.split(":") if isinstance(volume, str) else [volume["source"], volume["target"]]


def _component(service: Mapping[str, Any]) -> Component:
    mounts = [_mount(one) for one in service.get("volumes", [])]
    environment = {name: _value(value) for name, value in service.get("environment", {}).items()}
    tmp = dict(entry.split(":", 1) for entry in service["tmpfs"])
    options = dict(option.partition("=")[::2] for option in tmp["/tmp"].split(","))
    return Component(
        image=service["image"],
        argv=images.argv(service["image"], service.get("entrypoint"), service.get("command")),
        environment=environment,
        user=service["user"],
        read_only=service.get("read_only") is True,
        unprivileged=service.get("cap_drop") == ["ALL"]
        and service.get("security_opt") == ["no-new-privileges:true"]
        and not service.get("privileged")
        and not service.get("cap_add"),
        memory=size(service["mem_limit"]),
        cpus=service.get("cpus"),
        tmp=size(options["size"]),
        grace=seconds(service["stop_grace_period"]) if "stop_grace_period" in service else None,
        data="".join(target for source, target, *_ in mounts if not source.startswith(".")),
        access=_access(environment.get("ACCESS_FILE"), mounts),
        ports=dict(_port(port) for port in service.get("ports", [])),
    )


def _value(value: Any) -> str | Secret:
    assert isinstance(value, str), f"{value!r} is no text: quote it, or YAML changes how it is written"
    found = _SECRET.fullmatch(value)
    assert found or not _SECRET.search(value), "a secret stands in the middle of a setting"
    return Secret(found[1]) if found else value


def _access(file: str | Secret | None, mounts: list[list[str]]) -> object:
    if file is None:
        return None
    path = Path(str(file))
    for source, target, *options in mounts:
        if source.startswith(".") and path.is_relative_to(target):
            assert options == ["ro"], f"{source} can be written to"
            return yaml.safe_load((ROOT / source / path.relative_to(target)).read_text())
    raise AssertionError(f"nothing is mounted where {file} is")


def _port(published: str) -> tuple[int, int]:
    host, outside, inside = published.split(":")
    assert host == "127.0.0.1", f"{published} is open to other machines"
    return int(outside), int(inside)
