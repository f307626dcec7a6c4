"""The preflight checks name the command that fixes each failure; warnings do not block."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ops.common import external_programs
from ops.common.settings import OpsSettings
from ops.common.units import GIB
from ops.kubernetes import doctor, machine
from ops.kubernetes.doctor import Check, Level
from ops.kubernetes.machine import MachineFacts

GOOD = MachineFacts(
    cpus=4,
    memory_total=16 * GIB,
    memory_free=10 * GIB,
    disk_free=80 * GIB,
    disk_path="/var/lib/docker",
    inotify={"max_user_watches": 524288, "max_user_instances": 512},
    versions={
        "docker": "Docker version 28.2.2, build e6534b4",
        "docker engine": "20.10.24+dfsg1",
        "buildx": "github.com/docker/buildx v0.25.0 faf2b8f",
        "compose": "2.39.1",
        "kind": "kind v0.33.0 go1.26.8 linux/amd64",
        "helm": "v3.18.4+gd80839c",
        "helmfile": "helmfile version 1.1.3",
        "kubectl": "Client Version: v1.36.3\nKustomize Version: v5.8.1",
    },
    ports={"KAFKA_PORT": 9092, "POSTGRES_PORT": 5432},
)


def failed(facts: MachineFacts, environment: str = "lite", *, is_kind: bool = True) -> list[Check]:
    lines = doctor.examine(facts, environment, is_kind=is_kind)  # type: ignore[arg-type]
    assert all(line.fix for line in lines if line.level is not Level.OK), "each failure and warning has a fix"
    assert doctor.blocks(lines) == any(line.level is Level.FAIL for line in lines)
    return [line for line in lines if line.level is Level.FAIL]


def test_a_good_machine_passes() -> None:
    assert failed(GOOD) == []
    assert {line.level for line in doctor.examine(GOOD, "default")} == {Level.OK}


@pytest.mark.parametrize(
    ("change", "name", "fix"),
    [
        ({"memory_total": 3 * GIB}, "memory", "make demo needs no Kubernetes"),
        ({"memory_free": 1 * GIB}, "memory", "must be free"),
        ({"cpus": 1}, "CPUs", "make demo needs no Kubernetes"),
        ({"disk_free": 5 * GIB}, "disk", "docker builder prune"),
        (
            {"inotify": {"max_user_watches": 8192, "max_user_instances": 512}},
            "inotify max_user_watches",
            "sudo sysctl -w fs.inotify.max_user_watches=524288",
        ),
        (
            {"inotify": {"max_user_watches": 524288, "max_user_instances": 128}},
            "inotify max_user_instances",
            "sudo sysctl -w fs.inotify.max_user_instances=512",
        ),
        ({"taken": frozenset({5432})}, "port 5432", "make up POSTGRES_PORT=15432"),
        ({"versions": {**GOOD.versions, "kind": "kind v0.20.0 go1.20"}}, "kind", "0.31 or newer"),
        ({"versions": {**GOOD.versions, "kind": None}}, "kind", "0.31 or newer is needed: install it"),
        ({"versions": {**GOOD.versions, "helmfile": None}}, "helmfile", "install it"),
        ({"versions": {**GOOD.versions, "docker engine": None}}, "docker engine", "systemctl start docker"),
        ({"versions": {**GOOD.versions, "docker": None, "docker engine": None}}, "docker", "install it"),
    ],
)
def test_each_blocking_check_names_its_fix(change: dict[str, object], name: str, fix: str) -> None:
    found = {line.name: line for line in failed(replace(GOOD, **change))}  # type: ignore[arg-type]
    assert name in found
    assert fix in found[name].fix


def test_the_program_that_has_bound_a_port_is_named() -> None:
    (line,) = failed(replace(GOOD, taken=frozenset({9092}), holders={9092: "java (process 4711)"}))
    assert line.found == "bound by java (process 4711)"


@pytest.mark.parametrize(
    "change",
    [
        {"has_diff": False},
        {"disk_free": 15 * GIB},
        {"disk_free": None},
        {"versions": {**GOOD.versions, "compose": None}},
    ],
)
def test_a_warning_does_not_block(change: dict[str, object]) -> None:
    facts = replace(GOOD, **change)  # type: ignore[arg-type]
    assert failed(facts) == []
    assert Level.WARN in {line.level for line in doctor.examine(facts, "lite")}


def test_a_running_cluster_needs_no_free_memory() -> None:
    assert failed(replace(GOOD, memory_free=1 * GIB, cluster_runs=True)) == []


def test_the_operators_need_more_memory_than_lite() -> None:
    small = replace(GOOD, memory_total=3.7 * GIB, memory_free=3.6 * GIB)
    assert failed(small, "lite") == []
    (line,) = failed(small, "default")
    assert line.fix.endswith("make up ENV=lite")


def test_spark_needs_more_than_the_consumer() -> None:
    small = replace(GOOD, cpus=2, memory_total=5 * GIB)
    assert failed(small, "default") == []
    (memory,) = [line for line in doctor.examine(small, "default", "both") if line.level is Level.FAIL]
    assert memory.fix.startswith("ENV=default VARIANT=both needs 5.")


def test_where_the_cpus_are_just_enough_the_lighter_environment_is_named() -> None:
    two = replace(GOOD, cpus=2)
    (cpus,) = [line for line in doctor.examine(two, "default", "spark") if line.level is not Level.OK]
    assert (cpus.name, cpus.level) == ("CPUs", Level.WARN)
    assert cpus.fix.endswith("lighter: make up ENV=lite VARIANT=spark")
    assert {line.level for line in doctor.examine(two, "default")} == {Level.OK}
    assert {line.level for line in doctor.examine(GOOD, "default", "both")} == {Level.OK}


def test_an_unknown_number_of_cpus_is_a_warning() -> None:
    (cpus,) = [line for line in doctor.examine(replace(GOOD, cpus=None), "default") if line.level is not Level.OK]
    assert (cpus.name, cpus.level) == ("CPUs", Level.WARN)


def test_the_free_memory_of_a_virtual_machine_is_unknown() -> None:
    virtual = replace(GOOD, memory_total=6 * GIB * 0.97, memory_free=None)
    assert {line.level for line in doctor.examine(virtual, "default", "both")} == {Level.OK}


def test_without_an_environment_cpus_and_memory_are_not_checked() -> None:
    lines = doctor.examine(replace(GOOD, cpus=1, memory_total=1 * GIB, memory_free=0), None)
    assert {line.level for line in lines} == {Level.OK}
    assert not {"CPUs", "memory"} & {line.name for line in lines}


@pytest.mark.parametrize(
    ("engine", "cpus", "total", "free"),
    [
        ({"NCPU": 2, "MemTotal": 8 * GIB - 1, "DockerRootDir": "/"}, 2, 8 * GIB - 1, 5 * GIB),
        ({"NCPU": 4, "MemTotal": 6 * GIB, "DockerRootDir": "/nowhere"}, 4, 6 * GIB, None),  # in a virtual machine
        ({}, 16, 8 * GIB, 5 * GIB),  # no engine answers
    ],
)
def test_cpus_and_memory_are_those_of_dockers_machine(
    monkeypatch: pytest.MonkeyPatch, engine: dict[str, object], cpus: int, total: int, free: int | None
) -> None:
    answers = {"version": "28.2.2" if engine else None, "info": json.dumps(engine) if engine else None}
    monkeypatch.setattr(machine, "_run_tool", lambda command: answers.get(command[1]))
    monkeypatch.setattr(machine.kind_cluster, "node", lambda: None)
    monkeypatch.setattr(machine.helm, "has_diff", lambda: True)
    monkeypatch.setattr(machine.psutil, "cpu_count", lambda: 16)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * GIB, available=5 * GIB))
    found = machine.inspect(OpsSettings())
    assert (found.cpus, found.memory_total, found.memory_free) == (cpus, total, free)
    assert (found.disk_free is not None) is (engine.get("DockerRootDir") == "/")
    assert not found.cluster_exists


def test_a_cluster_other_than_kind_needs_no_docker_no_ports_and_no_memory() -> None:
    bare = MachineFacts(
        None, 0, 0, None, "", versions={name: GOOD.versions[name] for name in doctor.FOR_A_FOREIGN_CLUSTER}
    )
    assert failed(bare, is_kind=False) == []
    assert [line.name for line in failed(replace(bare, versions={}), is_kind=False)] == ["helm", "helmfile", "kubectl"]


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 33, 0)),
        ("v3.22", (3, 22)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("helmfile version 0.0.0-dev", None),
        ("github.com/docker/buildx v0.0.0+unknown ", None),
        ("dev", None),
    ],
)
def test_versions_are_parsed_from_the_tools_output(output: str, version: tuple[int, ...] | None) -> None:
    assert external_programs.version_of(output) == version


def test_a_build_without_a_version_is_accepted() -> None:
    assert failed(replace(GOOD, versions={**GOOD.versions, "helmfile": "helmfile version 0.0.0-dev"})) == []
