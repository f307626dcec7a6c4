"""Validate custom resources by the CustomResourceDefinitions of the operators' own releases."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

from tests.charts import go_modules, sparkapplication, strimzi
from tests.charts.rendering import KUBERNETES, Object
from tests.charts.rules import FOREIGN_GROUPS
from tests.servers import ROOT

KINDS = (*strimzi.MODELS, "SparkApplication", "PodMonitor", "PrometheusRule")
_PROMETHEUS_OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.93.0")


def spark_operator() -> Path:
    """Return the folder with the files of the Spark operator, of the version that is installed."""
    version = yaml.safe_load((ROOT / "environments/base.yaml").read_text())["sparkOperator"]["version"]
    return go_modules.folder("github.com/kubeflow/spark-operator/v2", f"v{version}")


def problems(objects: tuple[Object, ...]) -> list[str]:
    """Return the errors of all custom resources, one line each: a version not served, unknown or invalid fields.

    CEL rules (x-kubernetes-validations) need an API server: tests/e2e/test_strimzi_server_side.py.
    """
    return [line for one in objects if one["apiVersion"].startswith(FOREIGN_GROUPS) for line in _problems(one)]


def _problems(resource: Object) -> Iterator[str]:
    name = f"{resource['kind']} {resource['metadata']['name']}"
    versions = _validators()[resource["kind"]]
    if resource["apiVersion"] not in versions:
        yield f"{name}: {resource['apiVersion']} is not served, but {', '.join(versions)}"
        return
    for error in versions[resource["apiVersion"]].iter_errors(resource):
        yield f"{name}: {error.json_path}: {error.message}"
    if resource["kind"] == "SparkApplication":
        yield from (f"{name}: {line}" for line in sparkapplication.problems(resource))
        yield from (f"{name}: {line}" for line in _templates(resource["spec"]))


def _templates(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the errors of the driver's and executors' templates, whose fields the definition leaves open."""
    for role in ("driver", "executor"):
        pod = {"apiVersion": "v1", "kind": "Pod", **spec[role]["template"]}
        try:
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{role}.template.{'.'.join(map(str, error.path))}: {error.message}"


@cache
def _validators() -> dict[str, dict[str, Draft202012Validator]]:
    """Return the validators of each kind by the API versions that are served."""
    prometheus = go_modules.folder(*_PROMETHEUS_OPERATOR) / "example/prometheus-operator-crd"
    with TemporaryDirectory() as folder:
        files = [
            *strimzi.generate_crds(Path(folder)).values(),
            spark_operator() / "config/crd/bases/sparkoperator.k8s.io_sparkapplications.yaml",
            prometheus / "monitoring.coreos.com_podmonitors.yaml",
            prometheus / "monitoring.coreos.com_prometheusrules.yaml",
        ]
        # libyaml's loader is much faster for a megabyte.
        found = [yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["spec"] for file in files]
    return {crd["names"]["kind"]: dict(_versions(crd)) for crd in found}


def _versions(crd: Mapping[str, Any]) -> Iterator[tuple[str, Draft202012Validator]]:
    for version in crd["versions"]:
        if version["served"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # Validated by the API server itself.
            schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
            yield f"{crd['group']}/{version['name']}", Draft202012Validator(schema)


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema that refuses the fields not named in ``schema``, which an API server would prune."""
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if "properties" in schema:
        made["properties"] = {name: strict(field) for name, field in schema["properties"].items()}
    if "items" in schema:
        made["items"] = strict(schema["items"])
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        made["additionalProperties"] = strict(values)
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made
