"""The suggested `make up` can be run as it is: with the variables that are set, or those of the last run."""

from typing import Any

import pytest

from ops.common.errors import Problem
from ops.kubernetes import doctor, helmfile, kind_cluster
from ops.platform import make_command
from tests.unit.ops.kubernetes.test_doctor import GOOD

LITE = {"context": "kind-crypto-analytics", "environment": "lite", "variant": "both"}


@pytest.mark.parametrize(
    ("asked", "last", "command"),
    [
        ({}, {}, "make up"),
        ({"ENV": "lite"}, {}, "make up ENV=lite"),
        ({"ENV": "lite", "VARIANT": "python"}, {}, "make up ENV=lite"),
        ({"ENV": "lite", "VARIANT": "spark", "FEED": "binance"}, {}, "make up ENV=lite VARIANT=spark FEED=binance"),
        ({"ENV": "lite", "OBJECT_STORE_SERVER": "versitygw"}, {}, "make up ENV=lite OBJECT_STORE_SERVER=versitygw"),
        ({"ENV": "lite", "OBJECT_STORE_SERVER": "minio"}, {}, "make up ENV=lite"),
        ({}, LITE, "make up ENV=lite VARIANT=both"),
        ({"ENV": "default", "VARIANT": "python"}, LITE, "make up ENV=default"),
        ({"ENV": "lite", "VALUES": "mine.yaml"}, LITE, "make up ENV=lite VARIANT=both VALUES=mine.yaml"),
        ({}, LITE | {"values": "/x/mine.yaml"}, "make up ENV=lite VARIANT=both VALUES=/x/mine.yaml"),
        ({"KUBE_CONTEXT": "theirs"}, LITE, "make up KUBE_CONTEXT=theirs"),
        (
            {"KUBE_CONTEXT": "theirs", "IMAGE_REGISTRY": "r.example.com"},
            {"context": "theirs", "environment": "production"},
            "make up ENV=production KUBE_CONTEXT=theirs IMAGE_REGISTRY=r.example.com",
        ),
    ],
)
def test_make_up_has_the_variables_that_are_set_or_were_saved(
    asked: dict[str, str], last: dict[str, Any], command: str
) -> None:
    assert make_command.make_up(environment=asked, last=last) == command
    assert make_command.make_up("KAFKA_PORT=1", environment=asked, last=last) == f"{command} KAFKA_PORT=1"


def test_other_targets_name_a_cluster_other_than_kind() -> None:
    assert make_command.target("urls", "kind-crypto-analytics") == "make urls"
    assert make_command.target("urls", "theirs") == "make urls KUBE_CONTEXT=theirs"


def test_errors_suggest_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("ENV", "lite")
    monkeypatch.setattr(helmfile, "path_of", lambda name: name)
    with pytest.raises(Problem, match="then make up ENV=lite again"):
        helmfile.run(["false"], {}, tmp_path / "log", limit=9)
    assert doctor.examine(GOOD, "lite", is_kind=False)
    monkeypatch.setattr(kind_cluster, "run", lambda *_, fix, **__: fix)
    assert kind_cluster._names("x") == "make up ENV=lite"
