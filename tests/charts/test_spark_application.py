"""The SparkApplication is what Spark on Kubernetes needs, and what the operator's webhook refuses is found."""

import os
import re
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import rendering
from tests.charts.sparkapplication import problems
from tests.servers import ROOT

Application = dict[str, Any]


def _application(objects: tuple[rendering.Object, ...]) -> Application:
    (found,) = rendering.of_kind(objects, "SparkApplication")
    return deepcopy(dict(found))


def _rendered(**values: Any) -> Application:
    return _application(rendering.chart("spark-candles", {"mode": "operator"} | values))


def test_only_one_of_the_two_modes_is_rendered() -> None:
    kinds = {mode: {one["kind"] for one in rendering.chart("spark-candles", {"mode": mode})} for mode in MODES}
    assert {mode: its & {"Deployment", "SparkApplication"} for mode, its in kinds.items()} == MODES


MODES = {"pod": {"Deployment"}, "operator": {"SparkApplication"}}


def test_the_application_is_what_spark_on_kubernetes_needs() -> None:
    spec = _rendered()["spec"]
    assert (spec["type"], spec["mode"], spec["restartPolicy"]) == ("Python", "cluster", {"type": "Always"})
    main = spec["mainApplicationFile"]
    assert main.startswith("local:///")
    assert main.endswith("/crypto_analytics/spark_candles/__main__.py")
    dockerfile = (ROOT / "images/spark/Dockerfile").read_text()
    assert main.removeprefix("local://").partition("/crypto_analytics")[0] in dockerfile
    assert f"pyspark=={spec['sparkVersion']} " in (ROOT / "requirements/images/spark.txt").read_text()
    driver, executor = spec["driver"]["template"]["spec"], spec["executor"]["template"]["spec"]
    # Its position is in the consumer group's committed offsets, so it needs no volume.
    assert not [volume for pod in (driver, executor) for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert driver["serviceAccountName"] == spec["driver"]["serviceAccount"] == "spark-operator-spark"
    assert executor["serviceAccountName"] == spec["executor"]["serviceAccount"] == "spark-candles"


def test_driver_and_executors_have_different_labels() -> None:
    """Policies and the Service select by labels, and the operator overrides the templates' by the application's."""
    spec = _rendered()["spec"]
    for role, name in (("driver", "spark-candles"), ("executor", "spark-candles-executor")):
        assert spec[role]["labels"] == spec[role]["template"]["metadata"]["labels"]
        assert spec[role]["labels"]["app.kubernetes.io/name"] == name


def test_the_driver_has_the_probes_of_the_pod() -> None:
    container = _rendered()["spec"]["driver"]["template"]["spec"]["containers"][0]
    (pod,) = rendering.of_kind(rendering.chart("spark-candles", {"mode": "pod"}), "Deployment")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe] == pod["spec"]["template"]["spec"]["containers"][0][probe]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_executors_connect_to_the_drivers_address_before_it_is_ready(tmp_path: Path) -> None:
    """Spark's Service for the driver has only ready pods, and the driver is ready after its executors."""
    recorder = tmp_path / "spark-submit"
    recorder.write_text('#!/bin/sh\necho "$@"\n')
    recorder.chmod(0o755)
    for address, host in (("10.244.0.7", "10.244.0.7"), ("fd00::7", "[fd00::7]")):
        done = subprocess.run(
            [ROOT / "images/spark/entrypoint", "driver", "--properties-file", "file", "main.py"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SPARK_DRIVER_BIND_ADDRESS": address},
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.split() == [
            "--conf", f"spark.driver.bindAddress={address}", "--conf", f"spark.driver.host={host}",
            "--deploy-mode", "client", "--properties-file", "file", "main.py"
        ]  # fmt: skip


def test_driver_and_executors_work_with_the_same_settings_and_secrets() -> None:
    """Python's workers on the executors log in to Kafka, PostgreSQL and the object store themselves."""
    spec = _rendered()["spec"]
    driver, executor = (spec[role]["template"]["spec"]["containers"][0] for role in ("driver", "executor"))
    assert driver["env"] == executor["env"]
    assert driver["envFrom"] == executor["envFrom"] == [{"secretRef": {"name": "spark"}}]
    assert not {"SPARK_MASTER", "SPARK_DRIVER_MEMORY", "SPARK_UI_PORT"} & {entry["name"] for entry in driver["env"]}


def test_the_operators_chart_is_the_pinned_one() -> None:
    stated = yaml.safe_load((ROOT / "environments/base.yaml").read_text())["sparkOperator"]
    assert stated["version"] == "2.5.2"
    assert re.findall(r"\d+\.\d+\.\d+", stated["chart"]) == [stated["version"]] * 2


# --- a mistake is found


def _python_version(application: Application) -> None:
    application["spec"]["pythonVersion"] = "3"


def _another_container(application: Application) -> None:
    application["spec"]["driver"]["template"]["spec"]["containers"][0]["name"] = "driver"


def _doubled_port(application: Application) -> None:
    container = application["spec"]["driver"]["template"]["spec"]["containers"][0]
    container["ports"].append({"name": "spark-ui", "containerPort": 4040})


def _conf(key: str, value: str = "x") -> Callable[[Application], None]:
    def spoil(application: Application) -> None:
        application["spec"]["sparkConf"][key] = value

    return spoil


MISTAKES = {
    "pythonVersion": _python_version,
    "another container": _another_container,
    "doubled port": _doubled_port,
    "a secret in the configuration": _conf("spark.executorEnv.S3_SECRET_KEY"),
} | {
    key: _conf(key)
    for key in (
        "spark.master",
        "spark.kubernetes.driver.master",
        "spark.kubernetes.container.image",
        "spark.kubernetes.driver.container.image",
        "spark.kubernetes.executor.container.image",
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        "spark.kubernetes.authenticate.executor.serviceAccountName",
        "spark.kubernetes.authenticate.oauthToken",
        "spark.kubernetes.authenticate.driver.oauthTokenFile",
        "spark.kubernetes.namespace",
    )
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    application = _rendered()
    MISTAKES[mistake](application)
    assert len(problems(application)) >= 1


@pytest.mark.parametrize("key", [key for key in MISTAKES if key.startswith("spark.")])
def test_the_chart_refuses_the_same_configuration(key: str) -> None:
    complaint = rendering.template("spark-candles", yaml.safe_dump({"operator": {"sparkConf": {key: "x"}}}), fails=True)
    assert key in complaint
