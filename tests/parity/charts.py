"""Read the charts of environment lite, rendered by helmfile, as components."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.parity import images
from tests.parity.component import Component, Secret, size
from tests.servers import ROOT

Objects = list[dict[str, Any]]

ENVIRONMENT = "lite"
# Compose's services of the containers of Airflow's pod.
_AIRFLOW = {"api-server": "airflow", "scheduler": "airflow-scheduler", "dag-processor": "airflow-dag-processor",
            "prepare": "airflow-prepare"}  # fmt: skip
_RENDER_SECONDS = 240
_SETTINGS = (
    "SYMBOLS",
    "FEED",
    "BINANCE_WS_URL",
    "BINANCE_REST_URL",
    "SIM_TRADES_PER_MINUTE",
    "IMAGE_REGISTRY",
    "KAFKA_PORT",
    "AIRFLOW_PORT",
    "POSTGRES_PORT",
    "MINIO_PORT",
    "MINIO_CONSOLE_PORT",
    "SIM_PORT",
    "SPARK_UI_PORT",
    "SUPERSET_PORT",
    "API_PORT",
    "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT",
    "GRAFANA_PORT",
    "MONITORING",
    "GRAFANA",
    "VARIANT",
    "OBJECT_STORE_SERVER",
)


def render(variables: Mapping[str, str]) -> Objects:
    """Return the objects of all releases except those of `helm test`; ``variables`` are those of helmfile.yaml."""
    inherited = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    command = ["helmfile", "--environment", ENVIRONMENT, "--quiet", "template", "--skip-deps", "--skip-tests"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        # All components; the releases and profiles decide which of them a variant has.
        env={**inherited, "VARIANT": "both", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=_RENDER_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def host_ports(variables: Mapping[str, str]) -> dict[int, int]:
    """Return ``{NodePort: port of this machine}`` of kind-config.yaml, with the ports changed by ``variables``."""
    text = (ROOT / "kind-config.yaml").read_text()
    names = dict(_named_ports(text))
    found = {}
    for mapping in yaml.safe_load(text)["nodes"][0]["extraPortMappings"]:
        assert mapping["listenAddress"] == "127.0.0.1", f"{mapping} is open to other machines"
        moved = variables.get(names[mapping["containerPort"]])
        found[mapping["containerPort"]] = int(moved or mapping["hostPort"])
    return found


def _named_ports(text: str) -> Iterator[tuple[int, str]]:
    """Yield the NodePort and its variable from each comment of kind-config.yaml."""
    for line in text.splitlines():
        if "containerPort:" in line:
            yield int(line.split("containerPort:")[1].split(",")[0]), line.split()[-1]


def components(objects: Objects, ports: Mapping[int, int]) -> dict[str, Component]:
    """Return each container by the name of its pod, those of steps by their own name, Airflow's by Compose's names."""
    secrets = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "Secret"}
    texts = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    found = {}
    for one in objects:
        pod = _pod(one)
        if pod is None:
            continue
        labels = pod["metadata"]["labels"]
        name = labels["app.kubernetes.io/name"]
        containers = pod["spec"]["containers"]
        if name == "airflow":
            containers = [*containers, *pod["spec"]["initContainers"]]
            names = [_AIRFLOW[container["name"]] for container in containers]
        else:
            assert len(containers) == 1, name
            names = [name]
        for service, container in zip(names, containers, strict=True):
            published = _published(objects, labels, container, ports)
            found[service] = _component(container, pod["spec"], secrets, texts, published)
    for pod in steps(objects).values():
        [container] = pod["spec"]["containers"]
        found[container["name"]] = _component(container, pod["spec"], secrets, texts, {})
    return found


def steps(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the Pods of the batch's steps by step, from Airflow's ConfigMap."""
    [held] = [one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "batch-steps"]
    return {file.removesuffix(".yaml"): yaml.safe_load(text) for file, text in held["data"].items()}


def _pod(one: Mapping[str, Any]) -> dict[str, Any] | None:
    match one["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            template: dict[str, Any] = one["spec"]["template"]
        case "CronJob":
            template = one["spec"]["jobTemplate"]["spec"]["template"]
        case _:
            return None
    return template


def _component(
    container: Mapping[str, Any],
    spec: Mapping[str, Any],
    secrets: Mapping[str, Mapping[str, str]],
    texts: Mapping[str, Mapping[str, str]],
    published: Mapping[int, int],
) -> Component:
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes.get(mount["name"], {"data": True}) for mount in container["volumeMounts"]}
    pod, own = spec["securityContext"], container["securityContext"]
    limits = container["resources"]["limits"]
    environment: dict[str, str | Secret] = {one["name"]: one["value"] for one in container.get("env", [])}
    for source in container.get("envFrom", []):
        # The rendered value is random, but the same for each use of the same password.
        environment |= {key: Secret(value) for key, value in secrets[source["secretRef"]["name"]].items()}
    memory = {path: volume["emptyDir"] for path, volume in mounts.items() if "emptyDir" in volume}
    return Component(
        image=container["image"],
        argv=images.argv(container["image"], container.get("command"), container.get("args")),
        environment=environment,
        user=f"{pod['runAsUser']}:{pod['runAsGroup']}",
        read_only=own["readOnlyRootFilesystem"],
        unprivileged=own["capabilities"] == {"drop": ["ALL"]}
        and own["allowPrivilegeEscalation"] is False
        and not own.get("privileged"),
        memory=size(limits["memory"]),
        cpus=_cpus(limits.get("cpu")),
        tmp=size(memory["/tmp"]["sizeLimit"]),
        grace=spec.get("terminationGracePeriodSeconds"),
        data="".join(path for path, volume in mounts.items() if "data" in volume or "persistentVolumeClaim" in volume),
        access=_access(environment.get("ACCESS_FILE"), mounts, texts),
        ports=published,
    )


def _cpus(text: str | int | None) -> float | None:
    if text is None:
        return None
    word = str(text)
    return int(word.removesuffix("m")) / 1000 if word.endswith("m") else float(word)


def _access(
    file: str | Secret | None, mounts: Mapping[str, Mapping[str, Any]], texts: Mapping[str, Mapping[str, str]]
) -> object:
    if file is None:
        return None
    folder, _, name = str(file).rpartition("/")
    return yaml.safe_load(texts[mounts[folder]["configMap"]["name"]][name])


def _published(
    objects: Objects, labels: Mapping[str, str], container: Mapping[str, Any], host: Mapping[int, int]
) -> dict[int, int]:
    """Return the ports of this machine that kind and a NodePort map to a container."""
    names = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    found = {}
    for service in (one for one in objects if one["kind"] == "Service" and one["spec"].get("type") == "NodePort"):
        if service["spec"]["selector"].items() <= labels.items():
            for port in service["spec"]["ports"]:
                target = names.get(port["targetPort"], port["targetPort"])
                if target in names.values():  # not that of another container of the pod
                    found[host[port["nodePort"]]] = target
    return found
