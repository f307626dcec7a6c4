"""Calls of docker compose, and the project's containers parsed from docker's output."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from rich.console import Console

from crypto_analytics.batch.step_definitions import RETRIES, STEPS
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import batch as compose_batch
from ops.compose import env_file
from ops.compose import project as compose
from ops.compose import status as compose_status
from ops.compose import up as compose_up
from ops.compose.batch import StepRun
from ops.compose.project import ComposeSettings, Container
from ops.platform import images


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the checkout's own .env and .platform out of the tests."""
    monkeypatch.setattr(compose, "STATE", tmp_path)
    monkeypatch.setattr(compose, "TAGS", tmp_path / "images.env")
    monkeypatch.setattr(env_file, "FILE", tmp_path / ".env")
    for name in (*compose.VARIABLES, *ComposeSettings.model_fields, *env_file.NAMES):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def container(service: str, **changed: Any) -> Container:
    one = {
        "name": f"crypto-analytics-{service}-1",
        "service": service,
        "state": "running",
        "health": "healthy",
        "exit_code": 0,
        "tries": 1,
        "seconds": 0.0,
        "ports": {},
    }
    return Container(**(one | changed))


def test_only_variables_that_are_set_are_passed_on() -> None:
    given = {"KAFKA_PORT": "19092", "SYMBOLS": "", "PATH": "/bin", "READER_PASSWORD": "from the shell"}
    project = compose.requested(ComposeSettings(), given)

    assert project == compose.Project("crypto-analytics", {"KAFKA_PORT": "19092"})


def test_passwords_of_the_shell_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READER_PASSWORD", "from the shell")
    monkeypatch.setenv("KAFKA_PORT", "1")

    environment = compose.Project("crypto-analytics", {"KAFKA_PORT": "19092"}).environment()

    assert "READER_PASSWORD" not in environment
    assert environment["KAFKA_PORT"] == "19092"


def test_the_feed_of_the_exchange_names_its_hosts() -> None:
    settings = ComposeSettings(FEED="binance")

    assert compose.requested(settings, {}).variables == {
        "BINANCE_WS_URL": "wss://stream.binance.com:9443",
        "BINANCE_REST_URL": "https://api.binance.com",
    }
    hosts = {"BINANCE_WS_URL": "wss://example.com", "BINANCE_REST_URL": "https://api.example.com"}
    assert compose.requested(settings, hosts).variables == hosts


@pytest.mark.parametrize("feed", ["simulator", "binance"])
@pytest.mark.parametrize(
    ("name", "host", "missing"),
    [
        ("BINANCE_WS_URL", "wss://example.com", "BINANCE_REST_URL"),
        ("BINANCE_REST_URL", "https://api.example.com", "BINANCE_WS_URL"),
    ],
)
def test_one_host_of_an_exchange_without_the_other_is_refused(feed: Any, name: str, host: str, missing: str) -> None:
    with pytest.raises(Problem, match=f"{missing} is not: .*; make compose-up {name}={host} {missing}="):
        compose.requested(ComposeSettings(FEED=feed), {name: host})


@pytest.mark.parametrize("registry", ["registry.example.com/team", "registry.example.com/team/"])
def test_a_registry_may_end_in_a_slash_or_not(registry: str) -> None:
    project = compose.requested(ComposeSettings(), {"IMAGE_REGISTRY": registry})
    assert project.variables == {"IMAGE_REGISTRY": "registry.example.com/team/"}


def test_later_commands_use_the_project_as_it_was_started() -> None:
    compose.Project("crypto-analytics", {"KAFKA_PORT": "19092", "SYMBOLS": "A,B"}).save()

    assert compose.running(ComposeSettings()).variables == {"KAFKA_PORT": "19092", "SYMBOLS": "A,B"}
    assert compose.running(ComposeSettings(COMPOSE_PROJECT_NAME="other")).variables == {}


def test_saved_values_of_any_content_are_read_back() -> None:
    texts = (" A, B ", "a#b", "a #b", "'a'", '"a"', "it's", "$HOME ${HOME}", "a\\b\\'c\\n", "\\", "a=b", "", "a\nb")
    variables = {f"NAME_{number}": text for number, text in enumerate(texts)}
    compose.Project("crypto-analytics", variables).save()
    assert compose.running(ComposeSettings()).variables == variables


def test_the_command_names_the_existing_files_and_no_secret(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "path_of", lambda program: program)
    project = compose.Project("crypto-analytics", {})
    assert "--env-file" not in project.command("up")

    env_file.ensure(env_file.FILE)
    (state / "images.env").write_text("CONSUMER_TAG=0.1.0-abc\n")
    command = project.command("up", "--detach", profile="core")

    assert command[-4:] == ["--profile", "core", "up", "--detach"]
    assert [word for word in command if word.endswith(".env")] == [str(state / ".env"), str(state / "images.env")]
    assert not set(env_file.load(env_file.FILE).values()) & set(command)


def test_containers_are_read_from_docker() -> None:
    inspected = [
        {
            "Name": "/crypto-analytics-migrate-1",
            "Config": {"Labels": {"com.docker.compose.service": "migrate"}},
            "State": {
                "Status": "exited",
                "ExitCode": 1,
                "StartedAt": "2026-11-23T10:00:00.123456789Z",
                "FinishedAt": "2026-11-23T10:00:04.987654321Z",
            },
            "RestartCount": 2,
            "NetworkSettings": {"Ports": {}},
        },
        {
            "Name": "/crypto-analytics-kafka-1",
            "Config": {"Labels": {"com.docker.compose.service": "kafka"}},
            "State": {
                "Status": "running",
                "ExitCode": 0,
                "Health": {"Status": "healthy"},
                "StartedAt": "2026-11-23T10:00:00.1Z",
                "FinishedAt": "0001-01-01T00:00:00Z",
            },
            "RestartCount": 0,
            "NetworkSettings": {"Ports": {"9092/tcp": None, "9094/tcp": [{"HostPort": "19092"}]}},
        },
        {
            "Name": "/crypto-analytics-sweep-run-1",
            "Config": {"Labels": {"com.docker.compose.service": "sweep", "com.docker.compose.oneoff": "True"}},
            "State": {},
        },
    ]

    kafka, migrate = compose.parse(inspected)

    assert kafka == container("kafka", ports={9094: 19092})
    assert migrate == container("migrate", state="exited", health="", exit_code=1, tries=3, seconds=4.0)


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, False),
        ({"health": "starting"}, False),
        ({"state": "exited", "health": "", "exit_code": 0}, False),
        ({"state": "exited", "health": "", "exit_code": 1}, True),
        ({"state": "restarting", "health": ""}, True),
        ({"health": "unhealthy"}, True),
    ],
)
def test_failed_containers_are_recognised(changed: dict[str, Any], failed: bool) -> None:
    assert container("consumer", **changed).failed is failed


def test_endpoints_are_the_published_ports() -> None:
    env_file.ensure(env_file.FILE)
    passwords = env_file.load(env_file.FILE)

    installation = compose.installation_of(
        [container("kafka", ports={9094: 19092}), container("postgres", ports={5432: 15432})]
    )

    assert installation is not None
    assert installation.ports == {"KAFKA_PORT": 19092, "POSTGRES_PORT": 15432}
    assert installation.components == {"kafka", "postgres"}
    assert installation.passwords["POSTGRES_PASSWORD"] == passwords["READER_PASSWORD"]
    assert not any(password in repr(installation) for password in passwords.values())


def test_without_containers_there_is_no_endpoint_and_no_password_is_needed() -> None:
    assert compose.installation_of([]) is None
    with pytest.raises(Problem, match="make env"):
        compose.installation_of([container("kafka", ports={9094: 19092})])


def test_a_failure_shows_the_last_lines_and_names_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "last_lines", lambda name, count: [f"the last line of {name}"])
    out = Console(record=True, width=120)
    found = [container("kafka"), container("migrate", state="exited", health="", exit_code=1)]

    problem = compose_up.failure(found, "make compose-up", out)

    assert "the last line of crypto-analytics-migrate-1" in out.export_text()
    assert "migrate exited with code 1" in str(problem)
    assert str(problem).endswith("docker logs crypto-analytics-migrate-1; fix the cause, then: make compose-up")


def test_changed_images_are_built_although_old_ones_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(compose_up, "check", lambda *_: [])
    monkeypatch.setattr(compose_up, "missing_images", lambda *_: [])
    monkeypatch.setattr(compose_up.images, "build", lambda names, registry: built.extend(names))
    compose_up.prepare(OpsSettings(), compose.Project("x", {}), "stream", Console(record=True))
    assert {"consumer", "dbt"} <= set(built)
    built.clear()
    registry = compose.Project("x", {"IMAGE_REGISTRY": "registry.example.com/"})
    compose_up.prepare(OpsSettings(), registry, "stream", Console(record=True))
    assert built == []


@pytest.mark.parametrize(
    ("profile", "left_out"),
    [
        ("stream", {"spark", "superset", "airflow", "engineproxy", "monitoring"}),
        ("stream,monitoring", {"spark", "superset", "airflow", "engineproxy"}),
        ("spark,bi", {"consumer", "airflow", "engineproxy", "monitoring"}),
        ("stream,bi,airflow", {"spark", "monitoring"}),
        (
            "batch,monitoring",
            {"spark", "superset", "airflow", "engineproxy", "consumer", "producer", "publisher", "api"},
        ),
    ],
)
def test_only_the_images_of_the_profiles_are_built(profile: str, left_out: set[str]) -> None:
    for replaced in get_args(compose.ObjectStoreServer):
        assert set(images.NAMES) - set(compose_up.needed_images(profile, replaced)) == left_out | {replaced}


def test_the_group_of_the_engines_socket_is_asked_in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(compose.Project, "ask", lambda self, *arguments, profile: asked.append(arguments) or "998\n")

    project = compose_up.with_socket_group(compose.Project("x", {"AIRFLOW_PORT": "1"}))

    assert project.variables == {"AIRFLOW_PORT": "1", "DOCKER_SOCKET_GID": "998"}
    assert asked[0][-3:] == ("engine-proxy", "--format=%g", "/var/run/docker.sock")


class Docker:
    """The exit codes of a step's tries, in order; commands in ``ran``."""

    def __init__(self, *exit_codes: int) -> None:
        self.left = list(exit_codes)
        self.ran: list[str] = []

    def run(self, *command: str, fix: str) -> str:
        self.ran.append(command[1])
        return f"{self.left.pop(0)}\n" if command[1] == "wait" else ""


@pytest.mark.parametrize(
    ("exit_codes", "tries", "succeeded"), [((0,), 1, True), ((1, 137, 0), 3, True), ((1,) * 9, RETRIES + 1, False)]
)
def test_a_step_is_retried(
    monkeypatch: pytest.MonkeyPatch, exit_codes: tuple[int, ...], tries: int, *, succeeded: bool
) -> None:
    docker = Docker(*exit_codes)
    monkeypatch.setattr(compose_batch.external_programs, "run", docker.run)
    monkeypatch.setattr(compose_batch, "_FIRST_RETRY_SECONDS", 0.001)

    ran = compose_batch.run_step("dbt-gold", "x-dbt-gold-1", threading.Event())

    assert (ran.tries, ran.succeeded) == (tries, succeeded)
    assert docker.ran == ["start", "wait"] * tries


def test_a_stopped_batch_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_batch.external_programs, "run", Docker(1).run)
    stop = threading.Event()
    stop.set()
    assert compose_batch.run_step("dbt-gold", "x-dbt-gold-1", stop).tries == 1


def test_a_stopped_batch_runs_no_further_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    ran = []

    def run_step(service: str, container: str, stop: threading.Event) -> StepRun:
        ran.append(service)
        stop.set()
        return StepRun(service, 1, 1.0, True)

    project = SimpleNamespace(name="x", ask=lambda *_, **__: "kafka", call=lambda *_, **__: True)
    named = [container(service) for service in compose.STEPS_OF_BATCH]
    monkeypatch.setattr(compose, "containers", lambda _: named)
    monkeypatch.setattr(compose, "wait_until_ended", lambda *_: True)
    monkeypatch.setattr(compose_batch.compose_up, "create_steps", lambda _: None)
    monkeypatch.setattr(compose_batch, "run_step", run_step)

    with pytest.raises(Problem, match="the batch was stopped: dbt-silver and the steps after it did not run"):
        compose_batch.run(project, Console(record=True), stop)  # type: ignore[arg-type]
    assert ran == ["backfill-recent"]


def test_the_steps_of_a_batch_are_listed_in_order() -> None:
    out = Console(record=True, width=120)

    out.print(compose_batch.table(StepRun(service, 1, 2.0, True) for service in compose.STEPS_OF_BATCH))

    text = out.export_text()
    places = [text.index(service) for service in compose.STEPS_OF_BATCH]
    assert places == sorted(places)
    assert str(2 * len(STEPS)) in text


def test_containers_of_steps_that_wait_for_airflow_are_not_listed() -> None:
    out = Console(record=True, width=120)
    waiting = container("dbt-gold", state="created", health="")

    out.print(compose_status.table([container("kafka"), waiting], {}))

    assert "dbt-gold" not in out.export_text()


def test_memory_is_read_from_docker() -> None:
    rows = [{"Name": "a", "MemUsage": "53.5MiB / 384MiB"}, {"Name": "b", "MemUsage": "1.5GiB / 2GiB"}]
    used = compose_status.parse("\n".join(map(json.dumps, rows)))
    assert used == {"a": int(53.5 * 1024**2), "b": int(1.5 * 1024**3)}


def test_minio_is_the_s3_server_unless_another_one_is_named() -> None:
    for named, left in (
        ({}, None),
        ({"OBJECT_STORE_SERVER": "minio"}, None),
        ({"OBJECT_STORE_SERVER": "versitygw"}, "versitygw"),
    ):
        project = compose.requested(compose.ComposeSettings.model_validate(named), named)
        assert project.variables.get("OBJECT_STORE_SERVER") == left
        assert project.replaced_object_store == ("minio" if left else "versitygw")
