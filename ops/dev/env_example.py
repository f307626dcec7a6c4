"""Write .env.example anew from the settings classes: every setting of every service, its default and description."""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import crypto_analytics
from crypto_analytics.runtime import settings as shared
from ge import settings as gate_settings
from ops.common.paths import ROOT
from ops.local import settings as local_settings

PATH = ROOT / ".env.example"
_HEADER = """\
# All settings of all services, with their defaults. They are environment variables, the same in every way of running
# the platform. An empty value means the default; "required" ones have none. The local run (make demo) sets
# addresses, logins and ports of its children by itself.
# Written by `make env-example` from the settings classes.
"""


def modules() -> Iterator[tuple[str, object]]:
    """Yield (title, module) of all modules that define settings: the shared groups first, then each service."""
    yield "shared", shared
    services = Path(crypto_analytics.__path__[0]).parent
    for path in sorted(services.rglob("settings.py")):
        if path.parent.name != "runtime":
            module = ".".join(path.relative_to(services).with_suffix("").parts)
            yield path.parent.name, importlib.import_module(module)
    yield "ge", gate_settings
    yield "local run", local_settings


def classes(module: object) -> list[type[BaseSettings]]:
    """Return the settings classes that ``module`` itself defines, in order."""
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, BaseSettings) and member.__module__ == getattr(module, "__name__", "")
    ]
    return sorted(found, key=lambda cls: inspect.getsourcelines(cls)[1])


def summary(cls: type[BaseSettings]) -> str:
    """Return the first line of a settings class's docstring."""
    return (inspect.getdoc(cls) or "").splitlines()[0]


def own_fields(cls: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Return the settings that ``cls`` defines itself, not those it inherits."""
    return {name: cls.model_fields[name] for name in inspect.get_annotations(cls) if name.isupper()}


def default(info: FieldInfo) -> str:
    """Return a setting's default in the form of an environment variable; empty where there is none."""
    value = info.default
    if info.is_required() or value is None or value == Path(sys.executable):
        return ""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value).removesuffix("/") if "://" in str(value) else str(value)


def render() -> str:
    """Return the content of .env.example. A setting that a service overrides is a comment there."""
    lines, seen = [_HEADER], set()
    for title, module in modules():
        for cls in classes(module):
            fields = own_fields(cls)
            if not fields:
                continue
            lines += [f"\n# == {title}: {summary(cls)}\n"]
            for name, info in fields.items():
                note = " (required)" if info.is_required() else ""
                lines.append(f"# {info.description}{note}\n")
                lines.append(f"{'# here: ' if name in seen else ''}{name}={default(info)}\n")
                seen.add(name)
    return "".join(lines)


def main() -> int:
    """Write the file."""
    PATH.write_text(render(), encoding="utf-8")
    print(PATH.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
