"""Compose and the charts of lite run the same components, with the same images, settings, users and limits."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from crypto_analytics import __version__
from crypto_analytics.batch.step_definitions import STEPS, Step
from ops.compose import env_file
from ops.compose.project import VARIABLES, ComposeSettings, requested
from ops.compose.up import monitored
from tests.parity import charts, compose_file
from tests.parity.component import Component, Components, Deviation, Secret, differences, size
from tests.servers import ROOT
from tests.step_resources import STEP_RESOURCES

# The intended differences. Grafana is on Kubernetes only (off by default, no image of ours); these tests do not see it.
MEANT: tuple[Deviation, ...] = (
    *(
        Deviation("alertmanager", f"environment {setting}", "a key of a Secret that the user creates")
        for setting in ("ALERTMANAGER_WEBHOOK_URL", "ALERTMANAGER_SLACK_URL")
    ),
    Deviation("engine-proxy", "component", "Kubernetes has a Role for Airflow's permissions instead"),
    *(
        Deviation(service, f"environment {setting}", reason)
        for service in ("airflow", "airflow-scheduler", "airflow-dag-processor", "airflow-prepare")
        for setting, reason in (
            ("BATCH_POD_TEMPLATES", "the pods that Airflow creates"),
            ("BATCH_CONTAINER_URL", "the containers that Airflow starts"),
            ("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "the containers of a pod share its address"),
            ("ALERT_WEBHOOK_URL", "a key that the user adds to the Secret"),
        )
    ),
    Deviation("api", "environment API_TOKEN", "a key that the user adds to the Secret"),
)

PROFILES = {"core", "stream", "spark", "batch", "bi", "airflow", "monitoring", "sweep"}
TAGS = ROOT / ".platform" / "images.env"
EXCHANGE = {"BINANCE_WS_URL": "wss://ws.example.com:9443", "BINANCE_REST_URL": "https://rest.example.com"}

SITUATIONS: dict[str, dict[str, str]] = {
    "nothing set": {},
    "symbols and load": {"SYMBOLS": "BTCUSDT,SOLUSDT", "SIM_TRADES_PER_MINUTE": "1000000"},
    "ports moved": {
        "KAFKA_PORT": "19092",
        "POSTGRES_PORT": "15432",
        "MINIO_PORT": "19000",
        "MINIO_CONSOLE_PORT": "19001",
        "AIRFLOW_PORT": "18080",
        "SIM_PORT": "18899",
        "SPARK_UI_PORT": "14040",
        "SUPERSET_PORT": "18088",
        "PROMETHEUS_PORT": "19090",
        "ALERTMANAGER_PORT": "19093",
        "API_PORT": "18000",
    },
    "another registry": {"IMAGE_REGISTRY": "registry.example.com/team"},
    "the exchange": {"FEED": "binance"},
    "another exchange": {"FEED": "binance", **EXCHANGE},
    "another S3 server": {"OBJECT_STORE_SERVER": "versitygw"},
}


@cache
def _rendered(situation: str) -> charts.Objects:
    return charts.render(SITUATIONS[situation])


def _charts(situation: str = "nothing set") -> dict[str, Component]:
    return charts.components(_rendered(situation), charts.host_ports(SITUATIONS[situation]))


def _compose(situation: str = "nothing set", text: str | None = None) -> dict[str, Component]:
    return compose_file.components(_tags() | _variables(SITUATIONS[situation]), PROFILES, text)


def _variables(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment that `make compose-up` passes to docker compose for these variables."""
    given = {name: environment[name] for name in ("FEED", "OBJECT_STORE_SERVER") if name in environment}
    project = requested(ComposeSettings.model_validate(given), environment)
    return dict(monitored(project, ",".join(PROFILES)).variables)


def _tags() -> dict[str, str]:
    """Return the tags of the last `make images`, which helmfile reads from its file."""
    return dict(line.split("=", 1) for line in TAGS.read_text().split()) if TAGS.is_file() else {}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_both_ways_run_the_same(situation: str) -> None:
    assert differences(_charts(situation), _compose(situation), MEANT) == []


def test_every_component_is_compared() -> None:
    assert set(_compose()) | set(_compose("another S3 server")) == set(compose_file.services({}))
    assert len(_charts()) == 22 + len(STEPS)
    assert set(_charts()) ^ set(_charts("another S3 server")) == {"minio", "versitygw"}


@pytest.mark.parametrize("name", sorted(compose_file.services({})))
def test_every_container_is_locked_down(name: str) -> None:
    component = (_compose() | _compose("another S3 server"))[name]
    assert component.read_only
    assert component.unprivileged
    uid, _, gid = component.user.partition(":")
    assert uid == gid
    assert int(uid) >= 10001 or (name, uid) == ("spark-candles", "185")  # Spark's own


# --- a difference is found


def _environment(name: str, **changed: str | Secret) -> Callable[[dict[str, Component]], None]:
    def change(found: dict[str, Component]) -> None:
        found[name] = replace(found[name], environment=dict(found[name].environment) | changed)

    return change


def _without(name: str, key: str) -> Callable[[dict[str, Component]], None]:
    def change(found: dict[str, Component]) -> None:
        left = {setting: value for setting, value in found[name].environment.items() if setting != key}
        found[name] = replace(found[name], environment=left)

    return change


def _field(name: str, **changed: Any) -> Callable[[dict[str, Component]], None]:
    def change(found: dict[str, Component]) -> None:
        found[name] = replace(found[name], **changed)

    return change


def _gone(name: str) -> Callable[[dict[str, Component]], None]:
    def change(found: dict[str, Component]) -> None:
        del found[name]

    return change


MUTATIONS = {
    "consumer: environment SYMBOLS": _environment("consumer", SYMBOLS="BTCUSDT"),
    "consumer: environment BATCH_SECONDS": _environment("consumer", BATCH_SECONDS="2"),
    "producer: environment KAFKA_SASL_USERNAME": _without("producer", "KAFKA_SASL_USERNAME"),
    "exporter secret in plain text": _environment("export-lake", S3_SECRET_KEY="plain"),
    "consumer: environment POSTGRES_PASSWORD": _environment("consumer", POSTGRES_PASSWORD=Secret("another")),
    "minio: image": _field("minio", image="crypto-analytics/minio:0.0.1"),
    "kafka: memory": _field("kafka", memory=1),
    "postgres: cpus": _field("postgres", cpus=1.0),
    "kafka: grace": _field("kafka", grace=10),
    "minio: data": _field("minio", data=""),
    "buckets: environment ANONYMOUS_READ": _environment("buckets", ANONYMOUS_READ="false"),
    "dbt-gold: argv": _field("dbt-gold", argv=("dbt", "run")),
    "simulator: user": _field("simulator", user="0:0"),
    "simulator: read_only": _field("simulator", read_only=False),
    "simulator: unprivileged": _field("simulator", unprivileged=False),
    "simulator: ports": _field("simulator", ports={8899: 8000}),
    "publisher: environment KAFKA_SASL_USERNAME": _environment("publisher", KAFKA_SASL_USERNAME="producer"),
    "api: environment S3_ACCESS_KEY": _environment("api", S3_ACCESS_KEY="reader"),
    "api: ports": _field("api", ports={8000: 8001}),
    "topics: access": _field("topics", access={}),
    "topics: tmp": _field("topics", tmp=1),
    "spark-candles: environment SPARK_MASTER": _environment("spark-candles", SPARK_MASTER="local[1]"),
    "spark-candles: memory": _field("spark-candles", memory=1),
    "spark-candles: component": _gone("spark-candles"),
    "sweep: component": _gone("sweep"),
    "airflow-scheduler: memory": _field("airflow-scheduler", memory=1),
    "airflow: environment AIRFLOW__CORE__PARALLELISM": _environment("airflow", AIRFLOW__CORE__PARALLELISM="8"),
    "airflow-dag-processor: environment PGPASSWORD": _environment("airflow-dag-processor", PGPASSWORD="plain"),
    "airflow: data": _field("airflow", data=""),
    "airflow-prepare: component": _gone("airflow-prepare"),
    "superset: memory": _field("superset", memory=1),
    "superset-prepare: argv": _field("superset-prepare", argv=("python", "-m", "gunicorn")),
    "superset: environment READER_PASSWORD": _environment("superset", READER_PASSWORD=Secret("another")),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("side", ["charts", "compose"])
def test_a_difference_on_either_side_is_found(side: str, mutation: str) -> None:
    left, right = _charts(), _compose()
    MUTATIONS[mutation](left if side == "charts" else right)

    found = differences(left, right, MEANT)

    assert found != []
    if ":" in mutation:
        assert all(mutation.split(": ", maxsplit=1)[0] in line for line in found)
        assert any(mutation in line for line in found)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('SIM_MINUTES: "0"', 'SIM_MINUTES: "30"', "simulator: environment SIM_MINUTES"),
        ("mem_limit: 768m", "mem_limit: 700m", "kafka: memory"),
        ("SIM_TRADES_PER_MINUTE:-600", "SIM_TRADES_PER_MINUTE:-601", "simulator: environment SIM_TRADES_PER_MINUTE"),
        ("S3_SECRET_KEY: *s3-spark", "S3_SECRET_KEY: *s3-consumer", "spark-candles: environment S3_SECRET_KEY"),
        ("S3_SECRET_KEY: *s3-gate", "S3_SECRET_KEY: *s3-exporter", "ge-validate: environment S3_SECRET_KEY"),
        ("S3_SECRET_KEY: *s3-exporter", "S3_SECRET_KEY: *s3-consumer", "export-lake: environment S3_SECRET_KEY"),
        ("POSTGRES_USER: transformer", "POSTGRES_USER: writer", "dbt-gold: environment POSTGRES_USER"),
    ],
)
def test_a_changed_line_of_the_compose_file_is_found(before: str, after: str, expected: str) -> None:
    text = compose_file.FILE.read_text()
    assert before in text

    found = differences(_charts(), _compose(text=text.replace(before, after, 1)), MEANT)

    assert any(expected in line for line in found), found


def test_a_listed_deviation_is_accepted_and_an_unused_one_is_reported() -> None:
    left, right = _charts(), dict(_compose())
    _field("kafka", memory=1)(right)

    assert differences(left, right, (*MEANT, Deviation("kafka", "memory", "for the test"))) == []
    idle = differences(left, _compose(), (*MEANT, Deviation("kafka", "memory", "for the test")))
    assert idle == ["kafka: memory: listed as meant, but there is no difference"]


# --- the batch


def _service(step: Step) -> str:
    return step.name.replace("_", "-")


def test_the_steps_run_in_the_order_of_their_definition() -> None:
    wanted = [_service(step) for step in STEPS]
    assert set(charts.steps(_rendered("nothing set"))) == {step.name for step in STEPS}

    services = compose_file.services({})
    for earlier, later in pairwise(wanted):
        assert services[later]["depends_on"][earlier] == {"condition": "service_completed_successfully"}
    assert [name for name in services if services[name]["profiles"] == ["batch"]] == wanted


@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step.name))
@pytest.mark.parametrize("builder", [_charts, _compose], ids=["charts", "compose"])
def test_a_step_equals_its_definition(builder: Callable[[], Components], step: Step) -> None:
    component = builder()[_service(step)]
    image = component.image.rpartition("/")[2].partition(":")[0]
    images = {"dbt": "dbt", "ge": "ge", "services": step.command[-1].rpartition(".")[2]}

    assert component.argv == ("python", "-m", "crypto_analytics.batch.step", step.name)
    assert component.environment["POSTGRES_USER"] == step.role
    assert image == images[step.component]
    assert component.memory == size(STEP_RESOURCES[step.name].memory_limit)
    assert component.cpus == float(STEP_RESOURCES[step.name].cpu_limit)


def test_docker_does_not_retry_a_step_beside_airflow() -> None:
    services = compose_file.services({})
    assert {services[_service(step)]["restart"] for step in STEPS} == {"no"}


def test_the_engines_proxy_allows_the_containers_of_the_steps() -> None:
    rules = (ROOT / "images/engineproxy/haproxy.cfg").read_text()
    (names,) = re.findall(r'"\^/containers/\$\{COMPOSE_PROJECT_NAME\}-\((.*)\)-1/\[a-z\]\+\\\$"', rules)
    assert names.split("|") == [_service(step) for step in STEPS]


def test_only_the_engines_proxy_has_the_engines_socket() -> None:
    services = compose_file.services({})
    (mount,) = services["engine-proxy"]["volumes"]
    assert (mount["source"], mount["target"]) == ("/var/run/docker.sock", "/var/run/docker.sock")
    assert (mount["read_only"], mount["bind"]) == (True, {"create_host_path": False})
    others = [one for name, one in services.items() if name != "engine-proxy"]
    assert "docker.sock" not in str([one.get("volumes") for one in others])
    with_network = {name for name, one in services.items() if "engine" in one.get("networks", ())}
    assert with_network == {"engine-proxy", "airflow-scheduler"}


# --- only in Compose


def test_secrets_come_from_the_env_file_alone_and_all_of_it_is_used() -> None:
    assert sorted(env_file.NAMES) == compose_file.secrets(compose_file.FILE.read_text())


def test_a_missing_secret_stops_compose_with_the_command_that_makes_it() -> None:
    with pytest.raises(compose_file.MissingVariable, match=r"WRITER_PASSWORD: run make env"):
        compose_file.interpolate("${WRITER_PASSWORD:?run make env}", {})


def test_images_without_a_tag_of_their_own_have_the_version() -> None:
    for name, component in compose_file.components({}, PROFILES).items():
        assert component.image.endswith(f":{__version__}"), name


def test_the_stores_of_another_exchange_are_others() -> None:
    text = compose_file.FILE.read_text()
    assert text.count("${BINANCE_WS_URL:+_exchange}") == 7
    assert "simulator" in compose_file.components({}, {"stream"})
    assert "simulator" not in compose_file.components(EXCHANGE, PROFILES)


@pytest.mark.parametrize(("server", "other"), [("minio", "versitygw"), ("versitygw", "minio")])
def test_each_profile_contains_its_dependencies_and_one_s3_server(server: str, other: str) -> None:
    services = compose_file.services({"OBJECT_STORE_SERVER": server} if server != "minio" else {})
    for profile in PROFILES - {"sweep"}:
        started = {name for name in services if profile in services[name]["profiles"]}
        assert server in started
        for name in started:
            assert set(services[name].get("depends_on", {})) - {other} <= started, name


def test_the_file_uses_only_variables_that_the_targets_pass() -> None:
    found = compose_file.variables(compose_file.FILE.read_text())
    tags = {name for name in found if name.endswith("_TAG")}
    assert tags == {f"{name.upper()}_TAG" for name in _image_names()}
    assert found - tags - set(env_file.NAMES) == {*VARIABLES, *env_file.OPTIONAL, "COMPOSE_PROJECT_NAME"}


def _image_names() -> set[str]:
    return {
        component.image.rpartition("/")[2].partition(":")[0]
        for component in (_compose() | _compose("another S3 server")).values()
    }
