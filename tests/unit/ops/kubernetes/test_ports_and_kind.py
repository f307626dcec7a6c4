"""Host ports apply when the cluster is created; afterwards the bound ones win. Incomplete clusters are recognised."""

from pathlib import Path

import pytest
import yaml

from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.kubernetes import kind_cluster
from ops.platform import kind_node_ports

CONFIG = {
    "nodes": [
        {
            "role": "control-plane",
            "extraPortMappings": [
                {"containerPort": 30092, "hostPort": 9092, "listenAddress": "127.0.0.1"},
                {"containerPort": 30432, "hostPort": 5432, "listenAddress": "127.0.0.1"},
            ],
        }
    ]
}


def inspected(state: str, bindings: dict[str, list[dict[str, str]]]) -> list[dict[str, object]]:
    return [{"State": {"Status": state}, "HostConfig": {"PortBindings": bindings}}]


def test_one_host_port_is_changed_and_the_others_are_kept() -> None:
    moved = kind_cluster.with_ports(CONFIG, {30092: 19092})
    mappings = moved["nodes"][0]["extraPortMappings"]
    assert [mapping["hostPort"] for mapping in mappings] == [19092, 5432]
    assert CONFIG["nodes"][0]["extraPortMappings"][0]["hostPort"] == 9092  # type: ignore[index]


def test_a_port_without_a_mapping_is_an_error() -> None:
    with pytest.raises(Problem, match="no host port is mapped to NodePort 30899; add it under extraPortMappings"):
        kind_cluster.with_ports(CONFIG, {30899: 8899})


def test_the_projects_configuration_maps_every_port_on_loopback_to_its_default() -> None:
    node = kind_cluster.load_config()["nodes"][0]
    mapped = {mapping["containerPort"]: mapping["hostPort"] for mapping in node["extraPortMappings"]}
    assert mapped == {port.node_port: port.default for port in kind_node_ports.EXPOSED}
    assert {mapping["listenAddress"] for mapping in node["extraPortMappings"]} == {"127.0.0.1"}
    assert len(kind_cluster.load_config()["nodes"]) == 1, "several nodes do not survive a reboot"
    assert "image" not in node, "kind's own default has a digest"


def test_state_and_ports_are_parsed_from_docker_inspect() -> None:
    bindings = {"30092/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19092"}], "6443/tcp": [{"HostPort": ""}]}
    node = kind_cluster.parse_node(inspected("running", bindings))
    assert (node.state, node.bound) == ("running", {30092: 19092})


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (None, kind_cluster.Action.CREATE),
        (kind_cluster.Node("running", {}), kind_cluster.Action.KEEP),
        (kind_cluster.Node("exited", {}), kind_cluster.Action.START),
        (kind_cluster.Node("created", {}), kind_cluster.Action.START),
    ],
)
def test_the_first_step_depends_on_the_nodes_state(
    found: kind_cluster.Node | None, action: kind_cluster.Action
) -> None:
    assert kind_cluster.next_action(found) is action


def test_ports_are_the_clusters_then_the_users_then_the_defaults() -> None:
    settings = OpsSettings(KAFKA_PORT=19092, POSTGRES_PORT=15432)
    numbers = kind_node_ports.effective(settings, {30092: 9092})
    assert (numbers["KAFKA_PORT"], numbers["POSTGRES_PORT"], numbers["MINIO_PORT"]) == (9092, 15432, 9000)


def test_a_port_that_differs_from_the_clusters_is_a_conflict() -> None:
    bound = {30092: 9092, 30432: 5432}
    assert kind_node_ports.conflicts(OpsSettings(KAFKA_PORT=19092, POSTGRES_PORT=5432), bound) == {
        "KAFKA_PORT": (19092, 9092)
    }
    assert kind_node_ports.conflicts(OpsSettings(), bound) == {}


class Machine:
    """A stub of docker, kind and kubectl that records the commands."""

    def __init__(
        self,
        node: kind_cluster.Node | None,
        *,
        whole: bool,
        answers: bool,
        complete: bool,
        has_kubeconfig: bool = True,
        cp_error: str = "",
        airgap_images: str = "",
    ) -> None:
        self.node, self.whole, self.answers, self.complete = node, whole, answers, complete
        self.has_kubeconfig, self.cp_error, self.airgap_images = has_kubeconfig, cp_error, airgap_images
        self.reported: list[str] = []

    def put_in_place(self, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
        monkeypatch.setattr(kind_cluster, "STATE", state)
        monkeypatch.setattr(kind_cluster, "load_config", lambda: CONFIG)
        monkeypatch.setattr(kind_cluster, "node", lambda: self.node)
        monkeypatch.setattr(kind_cluster, "run", self.run)
        monkeypatch.setattr(kind_cluster, "succeeds", self.succeeds)
        monkeypatch.setattr(kind_cluster, "_ANSWER_SECONDS", 0.0)
        monkeypatch.setattr(kind_cluster, "_LAST_RESOURCE_SECONDS", 0.0)
        monkeypatch.setattr(kind_cluster, "_POLL_SECONDS", 0.0)

    def run(self, *command: object, fix: str, timeout: float | None = None) -> str:
        line = " ".join(map(str, command))
        if line.startswith("docker cp"):
            file = line.split()[2].partition(":")[2]
            if self.cp_error:
                raise Problem("docker cp failed", self.cp_error, fix)
            if not (self.whole if file == kind_cluster._COMPLETE_MARKER else self.has_kubeconfig):
                cause = f"Error response from daemon: Could not find the file {file} in container {kind_cluster.NODE}"
                raise Problem("docker cp failed", cause, fix)
            return ""
        if line.startswith("docker image ls"):
            assert f"label={kind_cluster.AIRGAP_LABEL}" in line
            return self.airgap_images
        if "storageclass" in line:
            return "storageclass.storage.k8s.io/standard\n" if self.complete else ""
        if "persistentvolume" in line:
            return ""
        self.reported.append(line)
        if "kind create" in line:
            self.answers = self.complete = True
        self.whole = self.whole or "touch" in line
        return ""

    def succeeds(self, *command: str, timeout: float | None = None) -> bool:
        return self.answers

    def ensure(self) -> kind_cluster.Action:
        return kind_cluster.ensure({30092: 19092}, self.reported.append)

    @property
    def was_deleted(self) -> bool:
        return any("delete" in line for line in self.reported)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".platform"


def test_a_cluster_is_created_with_the_ports(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    machine = Machine(None, whole=False, answers=False, complete=False)
    machine.put_in_place(monkeypatch, state)
    assert machine.ensure() is kind_cluster.Action.CREATE
    assert any(line.startswith("kind create cluster") for line in machine.reported)
    assert machine.whole
    assert "hostPort: 19092" in (state / "kind-config.yaml").read_text()


@pytest.mark.parametrize(
    ("built", "named", "expected"),
    [
        ("", {}, None),
        ("kindest/node:v2\nkindest/node:v1\n", {}, "kindest/node:v2"),
        ("kindest/node:v2\n", {"image": "mirror.example.com/node:v3"}, "mirror.example.com/node:v3"),
    ],
)
def test_the_node_image_is_kinds_default_unless_airgap_built_one_or_the_configuration_names_one(
    monkeypatch: pytest.MonkeyPatch, state: Path, built: str, named: dict[str, str], expected: str | None
) -> None:
    machine = Machine(None, whole=False, answers=False, complete=False, airgap_images=built)
    machine.put_in_place(monkeypatch, state)
    config = {**CONFIG, "nodes": [{**node, **named} for node in CONFIG["nodes"]]}
    monkeypatch.setattr(kind_cluster, "load_config", lambda: config)
    machine.ensure()
    (node,) = yaml.safe_load((state / "kind-config.yaml").read_text())["nodes"]
    assert node.get("image") == expected
    assert any(expected or "kind pulls its node image" in line for line in machine.reported)


def test_a_complete_cluster_is_kept(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    machine = Machine(kind_cluster.Node("running", {}), whole=True, answers=True, complete=True)
    machine.put_in_place(monkeypatch, state)
    assert machine.ensure() is kind_cluster.Action.KEEP
    assert machine.reported == []


def test_a_stopped_cluster_is_started(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    machine = Machine(kind_cluster.Node("exited", {}), whole=True, answers=True, complete=True)
    machine.put_in_place(monkeypatch, state)
    assert machine.ensure() is kind_cluster.Action.START
    assert f"docker start {kind_cluster.NODE}" in machine.reported


@pytest.mark.parametrize(
    ("node_state", "answers", "has_kubeconfig"), [("running", True, True), ("exited", False, False)]
)
def test_an_incomplete_cluster_is_recreated(
    monkeypatch: pytest.MonkeyPatch, state: Path, node_state: str, answers: bool, has_kubeconfig: bool
) -> None:
    machine = Machine(
        kind_cluster.Node(node_state, {}), whole=False, answers=answers, complete=False, has_kubeconfig=has_kubeconfig
    )
    machine.put_in_place(monkeypatch, state)
    assert machine.ensure() is kind_cluster.Action.CREATE
    deleted = next(number for number, line in enumerate(machine.reported) if line.startswith("kind delete"))
    created = next(number for number, line in enumerate(machine.reported) if line.startswith("kind create"))
    assert deleted < created


def test_a_cluster_created_by_hand_is_used(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    machine = Machine(kind_cluster.Node("running", {}), whole=False, answers=True, complete=True)
    machine.put_in_place(monkeypatch, state)
    assert machine.ensure() is kind_cluster.Action.KEEP
    assert machine.whole
    assert not machine.was_deleted


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("node_state", ["running", "exited"])
def test_a_cluster_that_may_hold_data_and_does_not_answer_is_never_deleted(
    monkeypatch: pytest.MonkeyPatch, state: Path, node_state: str, whole: bool
) -> None:
    machine = Machine(kind_cluster.Node(node_state, {}), whole=whole, answers=False, complete=False)
    machine.put_in_place(monkeypatch, state)
    with pytest.raises(Problem, match="if its data may be deleted: make down YES=1"):
        machine.ensure()
    assert not machine.was_deleted


@pytest.mark.parametrize("node_state", ["running", "exited"])
@pytest.mark.parametrize(
    "error",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock",
        "dial unix /var/run/docker.sock: connect: no such file or directory",
        "it took longer than 30 s",
    ],
)
def test_nothing_is_deleted_if_the_marker_file_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, state: Path, node_state: str, error: str
) -> None:
    machine = Machine(kind_cluster.Node(node_state, {}), whole=True, answers=False, complete=False, cp_error=error)
    machine.put_in_place(monkeypatch, state)
    with pytest.raises(Problem, match="make down YES=1"):
        machine.ensure()
    assert machine.reported == []


@pytest.mark.parametrize(
    "error",
    [
        f"Error response from daemon: Could not find the file {kind_cluster._COMPLETE_MARKER} in container "
        f"{kind_cluster.NODE}",
        f"Error: No such container:path: {kind_cluster.NODE}:{kind_cluster._COMPLETE_MARKER}",
        f"lstat /var/lib/docker/overlay2/merged{kind_cluster._COMPLETE_MARKER}: no such file or directory",
    ],
)
def test_dockers_messages_for_a_missing_file(monkeypatch: pytest.MonkeyPatch, state: Path, error: str) -> None:
    machine = Machine(kind_cluster.Node("exited", {}), whole=False, answers=False, complete=False, cp_error=error)
    machine.put_in_place(monkeypatch, state)
    assert not kind_cluster.was_complete()
