"""The restrictions of every pod of the namespace, in its definition and inside the running container."""

import json
from typing import Any

import pytest

from ops.common.settings import NAMESPACE
from tests.e2e.kubernetes import Kubernetes

pytestmark = pytest.mark.kind

# The pods of finished Jobs are included: their definition is checked, but no container runs.
Object = dict[str, Any]


def is_own(number: int) -> bool:
    """Return whether a user or group id is not one of a usual machine; 185 is that of Spark's image."""
    return number > 10_000 or number == 185


def all_containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


@pytest.fixture(scope="module")
def pods(kubernetes: Kubernetes) -> list[Object]:
    return kubernetes.get("pods")


def test_nothing_runs_as_root_or_writes_to_its_root(kubernetes: Kubernetes, component: str) -> None:
    for pod in kubernetes.pods(component):
        name = pod["metadata"]["name"]
        status = kubernetes.kubectl("exec", name, "--", "cat", "/proc/1/status")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        assert all(is_own(int(number)) for number in fields["Uid"].split()), f"{name}: uid {fields['Uid']}"
        assert all(is_own(int(number)) for number in fields["Gid"].split()), f"{name}: gid {fields['Gid']}"
        capabilities = {kind: int(fields[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert not any(capabilities.values()), f"{name}: {capabilities}"
        assert fields["NoNewPrivs"].strip() == "1"
        for folder in ("/", "/etc", "/usr/bin", "/app", "/opt"):
            tried = kubernetes.tries("exec", name, "--", "sh", "-c", f"test ! -d {folder} || touch {folder}/e2e")
            is_refused = tried.code == 0 or "Read-only file system" in tried.err
            assert is_refused, f"{name} {folder}: {tried}"
            absent = kubernetes.tries("exec", name, "--", "test", "!", "-e", f"{folder}/e2e")
            assert absent.code == 0, f"{name} could write to {folder}"
        token = kubernetes.tries("exec", name, "--", "test", "!", "-e", "/var/run/secrets/kubernetes.io")
        assert token.code == 0, f"{name} has a service account token"


def test_every_definition_is_restricted(pods: list[Object]) -> None:
    assert pods
    for pod in pods:
        spec = pod["spec"]
        name = pod["metadata"]["name"]
        assert spec["automountServiceAccountToken"] is False, name
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), name
        assert who_has_a_token(pod) <= {"airflow/scheduler"}, name
        for container in all_containers(pod):
            where = f"{name}/{container['name']}"
            security = spec.get("securityContext", {}) | container["securityContext"]
            assert security["runAsNonRoot"] is True, where
            assert is_own(security["runAsUser"]), where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where
            assert not container["image"].endswith(":latest"), where
            assert ":" in container["image"], where


def who_has_a_token(pod: Object) -> set[str]:
    """Return the containers that mount a Kubernetes API token, with the name of their component."""
    component = pod["metadata"]["labels"]["app.kubernetes.io/name"]
    tokens = {its["name"] for its in pod["spec"].get("volumes", []) if "serviceAccountToken" in json.dumps(its)}
    return {
        f"{component}/{container['name']}"
        for container in all_containers(pod)
        if tokens & {mount["name"] for mount in container.get("volumeMounts", [])}
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"securityContext": {"privileged": True}}, "privileged"),
        ({"securityContext": {"runAsUser": 0}}, "runAsUser=0"),
        ({}, "allowPrivilegeEscalation"),
    ],
    ids=["privileged", "root", "default"],
)
def test_the_namespace_refuses_pods_with_rights(kubernetes: Kubernetes, change: Object, complaint: str) -> None:
    (running, *_) = kubernetes.pods("simulator")
    image = running["spec"]["containers"][0]["image"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "e2e-with-rights", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "it", "image": image, **change}]},
    }
    # A dry run: the server runs all admission checks and stores nothing.
    tried = kubernetes.tries("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    assert tried.code != 0
    assert 'violates PodSecurity "restricted' in tried.err
    assert complaint in tried.err


def test_nothing_is_open_by_default(kubernetes: Kubernetes) -> None:
    policies = [policy["spec"] for policy in kubernetes.get("networkpolicies")]
    closed = [
        spec
        for spec in policies
        if not spec["podSelector"] and set(spec["policyTypes"]) == {"Ingress", "Egress"}
        and not spec.get("ingress") and not spec.get("egress")
    ]  # fmt: skip
    assert closed, "no policy denies everything to every pod"
    named = {spec["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") for spec in policies}
    assert set(kubernetes.streaming) <= named


def test_the_platform_may_do_nothing_to_the_cluster(kubernetes: Kubernetes) -> None:
    """No account of the namespace has a role, except Airflow's for the pods of its steps."""
    assert [binding["metadata"]["name"] for binding in kubernetes.get("rolebindings")] == ["airflow"]
    bindings = json.loads(kubernetes.kubectl("get", "clusterrolebindings", "-o", "json"))["items"]
    subjects = [subject for binding in bindings for subject in binding.get("subjects", [])]
    assert [subject for subject in subjects if subject.get("namespace") == NAMESPACE] == []


def test_no_secret_is_in_a_definition(kubernetes: Kubernetes, pods: list[Object]) -> None:
    passwords = kubernetes.passwords()
    assert len(set(passwords.values())) == len(passwords), "two logins share a password"
    kinds = "configmaps,deployments,statefulsets,cronjobs,jobs,services"
    described = json.dumps([pods, kubernetes.get(kinds)])
    assert [login for login, password in passwords.items() if password in described] == []
