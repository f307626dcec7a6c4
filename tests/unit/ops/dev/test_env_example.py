""".env.example lists every setting, and nothing else."""

import re
import subprocess

import pytest

from crypto_analytics.runtime.settings import PostgresSettings
from ops.dev import env_example
from tests.servers import ROOT


def listed() -> set[str]:
    return set(re.findall(r"^(?:# here: )?([A-Z][A-Z0-9_]*)=", env_example.PATH.read_text(), re.MULTILINE))


def test_every_setting_is_listed_and_nothing_else() -> None:
    classes = [cls for _, module in env_example.modules() for cls in env_example.classes(module)]
    known = {name for cls in classes for name in cls.model_fields if name.isupper()}
    assert listed() == known
    assert len(known) > 60


def programs() -> dict[str, str]:
    """Return the module of each program of the services by the name of its package."""
    files = (ROOT / "services").rglob("__main__.py")
    return {file.parent.name: ".".join(file.parent.relative_to(ROOT / "services").parts) for file in files}


def module_of(service: str) -> str:
    """Return the module whose help `make settings` shows."""
    command = ["make", "--dry-run", "settings", f"SERVICE={service}"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = re.search(r"-m (\S+) --help", output)
    assert found is not None
    return found[1]


def test_make_settings_accepts_the_headings() -> None:
    headings = set(re.findall(r"^# == (\w+):", env_example.PATH.read_text(), re.MULTILINE)) & set(programs())
    assert len(headings) > 9
    assert {heading: module_of(heading) for heading in headings} == {name: programs()[name] for name in headings}


@pytest.mark.parametrize(
    ("service", "program"),
    [
        ("simulator", "exchange_simulator"),
        ("spark-candles", "spark_candles"),
        ("sweep", "orphan_cleanup"),
        ("orphan-cleanup", "orphan_cleanup"),
    ],
)
def test_make_settings_accepts_the_names_of_the_components(service: str, program: str) -> None:
    assert module_of(service) == programs()[program]


def test_the_file_is_up_to_date() -> None:
    assert env_example.PATH.read_text() == env_example.render(), "type: make env-example"


def test_every_setting_has_a_description() -> None:
    for _, module in env_example.modules():
        for cls in env_example.classes(module):
            assert [name for name, info in env_example.own_fields(cls).items() if not info.description] == []


def test_settings_that_dbt_and_the_gate_read_are_listed() -> None:
    """dbt and Great Expectations read the same names without the classes."""
    dbt = "".join(path.read_text() for path in (ROOT / "dbt").glob("*.yml"))
    gate = (ROOT / "ge" / "settings.py").read_text()
    names = set(re.findall(r"env_var\('([A-Z_]+)'", dbt)) | set(
        re.findall(r"(?:get|_required|_whole)\((?:env, )?\"([A-Z_]+)\"", gate)
    )
    assert len(names) > 5
    assert names <= listed()


def test_required_settings_have_no_value() -> None:
    text = env_example.render()
    for name, info in env_example.own_fields(PostgresSettings).items():
        if info.is_required():
            assert re.search(rf"\(required\)\n{name}=\n", text)
