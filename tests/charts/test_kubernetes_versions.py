"""Every chart renders the same objects on each supported version of Kubernetes, and all versions accept them."""

import json
import re
from functools import cache

import pytest

from tests.charts.rendering import CHARTS, ENVIRONMENTS, KUBERNETES, Object, environment, name_of, template
from tests.charts.rules import schema_violations
from tests.servers import ROOT

_RANGE = re.search(r"Kubernetes 1\.(\d+) to 1\.(\d+)", (ROOT / "docs/kubernetes.md").read_text())
assert _RANGE is not None, "docs/kubernetes.md names the supported versions"
OLDEST, NEWEST = map(int, _RANGE.groups())
MINORS = range(OLDEST, NEWEST + 1)
_RANDOM = re.compile(r"^  \w+: \"?[A-Za-z0-9+/=]{20,}\"?$", re.MULTILINE)


@cache
def objects_of_all_environments() -> tuple[Object, ...]:
    """Return the objects of all environments, each once; variant `both` has those of the others."""
    found = (one for name in ENVIRONMENTS for one in environment(f"{name} both"))
    return tuple({json.dumps(one, sort_keys=True): one for one in found}.values())


def rendered(name: str, version: str, *, fails: bool = False) -> str:
    """Return what chart ``name`` renders for a version of Kubernetes, without its random passwords."""
    return _RANDOM.sub("", template(name, "{}", fails=fails, kubernetes=version))


@pytest.mark.parametrize("minor", MINORS)
def test_charts_render_alike_on_each_supported_version(minor: int) -> None:
    for name in CHARTS:
        assert rendered(name, f"1.{minor}.0") == rendered(name, KUBERNETES), name


@pytest.mark.parametrize("minor", MINORS)
def test_each_supported_version_accepts_every_object(minor: int) -> None:
    found = [
        f"{name_of(one)}: {violation}"
        for one in objects_of_all_environments()
        for violation in schema_violations(one, f"1.{minor}")
    ]
    assert found == []


@pytest.mark.parametrize("name", CHARTS)
def test_an_older_version_is_refused(name: str) -> None:
    assert f"requires kubeVersion: >=1.{OLDEST}.0" in rendered(name, f"1.{OLDEST - 1}.9", fails=True)
