"""helmfile.yaml: plain YAML, the same objects and releases as committed, its order, and its hooks."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, Environment
from ops.kubernetes import helmfile
from ops.platform import images
from tests.charts import helmfile_calls, inventory
from tests.charts.rendering import NAMESPACE, SITUATIONS, program
from tests.e2e.programs import attempt
from tests.servers import ROOT

# The fields that helmfile renders in a file that does not end in .gotmpl; braces in other fields stay as they are.
RENDERED = re.compile(r"chart|version|installedTemplate|values\.\d+|needs\.\d+|hooks\.\d+\.(command|args\.\d+)")
# Each release, and the installed releases that must be ready before it.
BEFORE = {
    "namespace": set(),
    "strimzi-operator": {"namespace"},
    "kafka": {"namespace", "strimzi-operator"},
    "postgres": {"namespace"},
    "minio": {"namespace"},
    "versitygw": {"namespace"},
    "migrate": {"namespace", "postgres"},
    "simulator": {"namespace"},
    "producer": {"kafka", "migrate", "minio", "versitygw", "simulator"},
    "consumer": {"kafka", "migrate", "minio", "versitygw", "simulator"},
    "publisher": {"kafka", "migrate"},
    "api": {"kafka", "migrate", "minio", "versitygw"},
    "spark-operator": {"namespace"},
    "spark-candles": {"kafka", "migrate", "minio", "versitygw", "spark-operator"},
    "monitoring": {"migrate"},
    "superset": {"migrate"},
    "batch": {"kafka", "migrate", "minio", "versitygw", "simulator"},
    "airflow": {"migrate", "batch"},
}
_CONDITIONS = (
    "KIND:.kind,NAME:.metadata.name,CONDITION:.status.conditions[*].type,STATUS:.status.conditions[*].status,"
    "MESSAGE:.status.conditions[*].message"
)
_STATE = "NAME:.metadata.name,STATE:.status.applicationState.state,ERROR:.status.applicationState.errorMessage"
STRIMZI = [
    *(
        f"wait --for=condition=Ready --timeout=900s {what}"
        for what in ("kafka/crypto", "kafkatopic --all", "kafkauser --all")
    ),
    f"get kafka,kafkatopic,kafkauser --output custom-columns={_CONDITIONS}",
]
WEBHOOK = ["rollout status deployment/spark-operator-webhook --timeout=300s"]
SPARK = [
    "wait sparkapplication/spark-candles --for=jsonpath={.status.applicationState.state}=RUNNING --timeout=600s",
    "wait pod/spark-candles-driver --for=condition=Ready --timeout=600s",
    f"get sparkapplication/spark-candles --output custom-columns={_STATE}",
]
OUTSIDE = "objectStore.server=external,objectStore.endpoint=s3.example.com:443"
MAKE_NAMESPACE = "apply --server-side --filename environments/namespace.yaml"


def texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each string of a document with its path."""
    if isinstance(node, str):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        assert "{{" not in str(key), f"{path}: {key}"
        yield from texts(child, f"{path}.{key}" if path else str(key))


def test_the_file_is_plain_yaml_with_templates_only_where_helmfile_renders_them() -> None:
    assert not list(ROOT.glob("helmfile.yaml.*")), "helmfile refuses to choose between two files"
    environments, releases = yaml.safe_load_all((ROOT / "helmfile.yaml").read_text())
    assert set(environments) == {"environments"}
    assert [text for _, text in texts(environments) if "{{" in text] == []
    templated = [path for path, text in texts(releases) if "{{" in text]
    assert templated
    for path in templated:
        field = re.sub(r"^(releases\.\d+|templates\.\w+)\.", "", path)
        assert RENDERED.fullmatch(field), f"{path} is not rendered"


def test_releases_order_and_objects_are_those_of_the_inventory() -> None:
    found, committed = inventory.collect(), inventory.load()
    for part in ("releases", "objects"):
        changed = {key for key in found[part] | committed[part] if found[part].get(key) != committed[part].get(key)}
        assert not changed, f"{part}; if that is meant: {inventory.COMMAND}"


def installed(situation: str) -> set[str]:
    return {name for its in inventory.load()["releases"][situation] for name in its.split(", ")}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_release_is_installed_after_those_it_needs(situation: str) -> None:
    needs = helmfile_calls.needs(situation)
    assert set(needs) == set(BEFORE)
    here = installed(situation)
    for release, before in BEFORE.items():
        assert before & here <= needs[release], release


@pytest.mark.parametrize(
    ("situation", "absent", "values"),
    [
        ("lite both", {"minio"}, [OUTSIDE]),
        ("lite both", {"minio"}, ["objectStore.server=versitygw"]),
        ("lite both", {"postgres"}, ["postgres.installed=false"]),
        ("lite both", {"simulator"}, ["feed=binance"]),
        (
            "lite both",
            {"minio", "postgres", "simulator"},
            [f"{OUTSIDE},postgres.installed=false,feed=binance"],
        ),
        ("lite both", set(), ["kafka.mode=strimzi,spark.mode=operator"]),
        ("production spark", {"minio", "postgres"}, ["feed=simulator"]),
        ("default both", {"minio"}, [f"feed=simulator,{OUTSIDE}"]),
    ],
)
def test_the_order_holds_with_servers_outside_of_the_cluster(
    situation: str, absent: set[str], values: list[str]
) -> None:
    needs = helmfile_calls.needs(situation, *values)
    flipped = any("kafka.mode" in value for value in values)
    operators = {"strimzi-operator", "spark-operator"}
    absent = absent | (operators if situation.startswith("lite") and not flipped else set())
    absent = absent | (set() if "objectStore.server=versitygw" in values else {"versitygw"})
    for release, before in BEFORE.items():
        if release not in absent:
            assert before - absent <= needs[release], release
            assert not needs[release] & absent, f"{release} needs a release that is not installed"


def hooks(commands: tuple[tuple[str, ...], ...]) -> dict[str, list[str]]:
    """Return the kubectl commands after each release, without the cluster's arguments; earlier ones at ``presync``."""
    found: dict[str, list[str]] = {}
    release = "presync"
    for words in commands:
        if "upgrade" in words:
            release = words[words.index("--install") + 1]
        elif words[0] == "kubectl":
            where = re.compile(rf"kubectl --context \S+ (--namespace {NAMESPACE} )?")
            found.setdefault(release, []).append(where.sub("", " ".join(words), count=1))
    return found


@pytest.mark.parametrize("situation", SITUATIONS)
def test_hooks_wait_for_the_operators_resources(situation: str) -> None:
    expected = {"presync": [MAKE_NAMESPACE]}
    if not situation.startswith("lite"):
        expected["kafka"] = STRIMZI
        if "spark" in situation or "both" in situation:
            expected |= {"spark-operator": WEBHOOK, "spark-candles": SPARK}
    assert hooks(helmfile_calls.commands(situation)) == expected


def test_a_wait_that_fails_is_followed_by_the_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kubectl wait` itself prints no reason."""
    kubectl = 'case "$*" in *" wait "*) exit 1;; *" get "*) echo "broken by a typo";; esac'
    for name, script in (("kubectl", kubectl), ("helm", "echo v3.22.0+g0000000")):
        stub = tmp_path / name
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = attempt(program("helmfile"), "--environment", "default", "--selector", "name=kafka", "sync", seconds=60)
    assert done.code == 1
    assert "broken by a typo" in done.out + done.err


def test_an_existing_namespace_is_left_alone() -> None:
    assert hooks(helmfile_calls.commands("lite", "--state-values-set", "namespace.create=false")) == {}


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ([], {"KUBE_CONTEXT": "theirs"}),
        (["--kube-context", "theirs"], {}),
        (["--state-values-set", "kubeContext=theirs"], {}),
    ],
)
def test_helm_and_the_hooks_work_on_one_cluster(options: list[str], variables: dict[str, str]) -> None:
    contexts = set()
    for words in helmfile_calls.commands("default both", *options, **variables):
        named = [words[place + 1] for place, word in enumerate(words) if word in {"--kube-context", "--context"}]
        assert named or words[1] == "version", words
        contexts |= set(named)
    assert contexts == {"theirs"}


@pytest.mark.parametrize("options", [[], ["--state-values-set", "variant=spork"]])
def test_an_unknown_variant_is_refused(options: list[str]) -> None:
    env = {"VARIANT": "python" if options else "spork"}
    done = attempt(program("helmfile"), "-e", "lite", *options, "list", env=env)
    assert done.code != 0
    assert "variant is spork; next: make it python, spark or both" in done.err


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ("objectStore.server=minoi", "objectStore.server is minoi; next: make it minio, versitygw or external"),
        ("objectStore.server=external", "objectStore.endpoint is empty; next: set it to the service's host:port"),
        ("minio.installed=false", "next: replace it by objectStore.server: external"),
    ],
)
def test_values_that_name_no_s3_server_are_refused(values: str, error: str) -> None:
    done = attempt(program("helmfile"), "-e", "lite", "--state-values-set", values, "list")
    assert done.code != 0
    assert error in done.err


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yaml.gotmpl"])
@pytest.mark.parametrize(
    ("key", "value", "variable"), [("kubeContext", "theirs", "KUBE_CONTEXT"), ("variant", "spark", "VARIANT")]
)
def test_own_values_change_neither_the_cluster_nor_the_variant_of_make_up(
    tmp_path: Path, name: str, key: str, value: str, variable: str
) -> None:
    own = tmp_path / name
    own.write_text(f"{key}: {value}\n" if name.endswith(".yaml") else f'{key}: {{{{ "{value}" }}}}\n')
    env = helmfile.variables(KIND_CONTEXT, "python", {})
    with pytest.raises(
        Problem, match=rf"values set {key}: {value}, but the variable {variable} is .*{variable}={value}"
    ):
        helmfile.values("lite", KIND_CONTEXT, env, "namespace", own=str(own))
    own.write_text("kafkaPort: 19092\n")
    assert set(helmfile.values("lite", KIND_CONTEXT, env, "namespace", own=str(own))) == {"namespace"}


def test_the_variables_are_those_that_the_environments_read() -> None:
    text = (ROOT / "environments/variables.yaml.gotmpl").read_text()
    assert re.findall(r'env "(\w+)"', text) == list(helmfile.VARIABLES)


@pytest.mark.parametrize(
    ("environment", "variant", "feed", "unused"),
    [
        ("lite", "both", "simulator", set()),
        ("lite", "python", "simulator", {"spark"}),
        ("lite", "spark", "binance", {"consumer", "simulator"}),
        ("default", "python", "", {"kafka", "simulator", "spark"}),
        ("production", "both", "", {"kafka", "minio", "postgres", "simulator"}),
    ],
)
def test_only_images_that_run_are_named_by_the_objects(
    environment: Environment, variant: str, feed: str, unused: set[str]
) -> None:
    context = KIND_CONTEXT if environment != "production" else "production"
    env = helmfile.variables(context, variant, {}) | {"FEED": feed}
    named = set(images.named_in(helmfile.objects(environment, context, env)))
    assert named <= set(images.NAMES)
    always = {"airflow", "backfill", "dbt", "exporter", "ge", "monitoring", "producer", "superset", "tools"}
    components = {"consumer", "kafka", "minio", "postgres", "simulator", "spark"}
    assert named & (always | components) == (always | components) - unused
