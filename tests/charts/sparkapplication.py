"""Refusals of a SparkApplication that its definition does not state: the webhook's, Spark's and ours."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Refused by the operator's webhook (2.5.2), because the application has fields for them.
_REFUSED = re.compile(
    r"spark\.master"
    r"|spark\.kubernetes\.(driver\.master|(driver\.|executor\.)?container\.image)"
    r"|spark\.kubernetes\.authenticate\..*(serviceAccountName|oauthToken.*)"
)
_NAMESPACE = "spark.kubernetes.namespace"
# The names by which the operator and Spark identify the container of a template.
_CONTAINERS = {"driver": "spark-kubernetes-driver", "executor": "spark-kubernetes-executor"}
# Spark adds these ports itself: Kubernetes refuses a pod whose template has them too.
_SPARK_PORTS = {"driver-rpc-port", "blockmanager", "spark-ui"}


def problems(application: Mapping[str, Any]) -> list[str]:
    """Return all errors, one line each."""
    return [*_webhook(application), *_templates(application["spec"])]


def _webhook(application: Mapping[str, Any]) -> Iterator[str]:
    spec, name = application["spec"], application["metadata"]["name"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 63:
        yield f"{name} cannot be a Service's name"
    for key, value in spec.get("sparkConf", {}).items():
        if _REFUSED.fullmatch(key):
            yield f"sparkConf {key} is refused: the SparkApplication has a field for it"
        if key == _NAMESPACE and value != application["metadata"]["namespace"]:
            yield f"sparkConf {key} is refused: {value} is not the namespace of the application"
        if re.search(r"password|secret|jaas", f"{key}={value}", re.IGNORECASE):
            yield f"sparkConf {key}: a secret belongs in an environment variable"
    if "pythonVersion" in spec:
        yield "pythonVersion is deprecated"


def _templates(spec: Mapping[str, Any]) -> Iterator[str]:
    for role, name in _CONTAINERS.items():
        containers = spec[role]["template"]["spec"]["containers"]
        if [container["name"] for container in containers] != [name]:
            yield f"{role}: its container is not named {name}"
        ports = {port["name"] for container in containers for port in container.get("ports", [])}
        if ports & _SPARK_PORTS:
            yield f"{role}: {', '.join(sorted(ports & _SPARK_PORTS))} is declared twice"
