"""The restrictions of every pod of the namespace, in its definition and inside the running container."""

import json

import pytest

from ops.common.settings import NAMESPACE
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.workloads import Object, component, containers

pytestmark = pytest.mark.kind

# Prints a line for each of these folders that exists: that it was written to, or why it was not.
TOUCH = """
for folder in / /etc /usr/bin /app /opt; do
  test ! -d $folder || { touch $folder/e2e && echo "wrote to $folder"; } 2>&1
done
exit 0
"""


def is_wanted(number: int, wanted: int | None) -> bool:
    """Return whether a user or group id is ``wanted``; None: any that is not one of a usual machine."""
    return number > 10_000 if wanted is None else number == wanted


@pytest.fixture(scope="module")
def pods(kubernetes: Kubernetes) -> list[Object]:
    """Return all pods. Those of finished Jobs are included: their definition is checked, but no container runs."""
    return kubernetes.get("pods")


@pytest.mark.variant
def test_nothing_runs_as_root_or_writes_to_its_root(kubernetes: Kubernetes) -> None:
    running = kubernetes.pods()
    wanted = {*kubernetes.streaming, *kubernetes.environment.others}
    assert wanted <= {component(pod) for pod in running}
    for pod in running:
        confinement = kubernetes.environment.confinement(component(pod))
        for container in pod["spec"]["containers"]:
            name = f"{pod['metadata']['name']}/{container['name']}"
            inside = ("exec", pod["metadata"]["name"], "-c", container["name"], "--")
            status = kubernetes.kubectl(*inside, "cat", "/proc/1/status")
            fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            users, groups = (map(int, fields[kind].split()) for kind in ("Uid", "Gid"))
            assert all(is_wanted(number, confinement.user) for number in users), f"{name}: uid {fields['Uid']}"
            assert all(is_wanted(number, confinement.group) for number in groups), f"{name}: gid {fields['Gid']}"
            capabilities = {kind: int(fields[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
            assert not any(capabilities.values()), f"{name}: {capabilities}"
            assert fields["NoNewPrivs"].strip() == "1"
            answers = kubernetes.kubectl(*inside, "sh", "-c", TOUCH).splitlines()
            assert answers, f"{name}: no folder was tried"
            assert [line for line in answers if "Read-only file system" not in line] == [], name
            token = kubernetes.tries(*inside, "test", "-e", "/var/run/secrets/kubernetes.io")
            assert (token.code == 0) is (container["name"] in confinement.tokens), f"{name}: {token}"


def test_every_definition_is_restricted(kubernetes: Kubernetes, pods: list[Object]) -> None:
    assert pods
    for pod in pods:
        spec = pod["spec"]
        name = pod["metadata"]["name"]
        confinement = kubernetes.environment.confinement(component(pod))
        assert spec.get("automountServiceAccountToken", True) is confinement.automount, name
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), name
        # The pods of one component have different containers: controller and webhook of the Spark operator.
        names = {container["name"] for container in containers(pod)}
        assert containers_with_a_token(pod) == confinement.tokens & names, name
        for container in containers(pod):
            where = f"{name}/{container['name']}"
            security = spec.get("securityContext", {}) | container["securityContext"]
            assert security["runAsNonRoot"] is True, where
            # The images of Strimzi and of the Spark operator set the user themselves.
            assert is_wanted(security.get("runAsUser", confinement.user or 0), confinement.user), where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where
            assert not container["image"].endswith(":latest"), where
            assert ":" in container["image"], where


def containers_with_a_token(pod: Object) -> set[str]:
    """Return the names of the containers that mount a Kubernetes API token."""
    tokens = {its["name"] for its in pod["spec"].get("volumes", []) if "serviceAccountToken" in json.dumps(its)}
    return {
        container["name"]
        for container in containers(pod)
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
    (running, *_) = kubernetes.pods("producer")
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
    selectors = [spec["podSelector"].get("matchLabels", {}).items() for spec in policies]
    own = [labels for labels in selectors if labels]
    without = {
        component(pod)
        for pod in kubernetes.pods()
        if not any(labels <= pod["metadata"]["labels"].items() for labels in own)
    }
    assert without == set()


@pytest.mark.variant
def test_the_platform_may_do_nothing_to_the_cluster(kubernetes: Kubernetes) -> None:
    """No account has a role, except Airflow's for the pods of its steps, and those of installed operators."""
    bindings = {one["metadata"]["name"]: accounts(one) for one in kubernetes.get("rolebindings")}
    assert bindings == {name: {account} for name, account in kubernetes.environment.role_bindings.items()}
    everywhere = json.loads(kubernetes.kubectl("get", "clusterrolebindings", "-o", "json"))["items"]
    found = {one["metadata"]["name"]: its for one in everywhere if (its := accounts(one))}
    assert found == {name: {account} for name, account in kubernetes.environment.cluster_role_bindings.items()}


def accounts(binding: Object) -> set[str]:
    """Return the service accounts of the namespace that a binding gives a role."""
    return {its["name"] for its in binding.get("subjects", []) if its.get("namespace") == NAMESPACE}


def test_no_secret_is_in_a_definition(kubernetes: Kubernetes, pods: list[Object]) -> None:
    passwords = kubernetes.passwords()
    assert len(set(passwords.values())) == len(passwords), "two logins share a password"
    kinds = ["configmaps", "deployments", "statefulsets", "cronjobs", "jobs", "services"]
    described = json.dumps([pods, kubernetes.get(",".join(kinds)), kubernetes.custom_resources()])
    assert [login for login, password in passwords.items() if password in described] == []
