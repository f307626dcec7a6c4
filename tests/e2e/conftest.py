"""One platform per run (``--platform kind|compose``), checked to be usable, and a report at the end.

Tests of other folders that are collected together with these are left as they are.

No test is skipped silently: a platform that does not run fails the run, with the command that starts it.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest
from pytest_kind import KindCluster
from rich.console import Console

from ops.common.candle_variant import MERGERS, Variant
from ops.common.errors import Problem
from ops.common.paths import STATE
from ops.common.settings import CLUSTER
from ops.platform import make_command, state_folder
from tests.e2e.compose import Compose
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.load import PREFIX
from tests.e2e.platforms import READERS, UPSTREAM, Platform
from tests.e2e.programs import attempt, run
from tests.e2e.report import Report

# At rest first, because its memory is measured; the tests that disturb the platform come last.
ORDER = (
    "test_at_rest",
    "test_logins",
    "test_pods",
    "test_releases",
    "test_strimzi_server_side",
    "test_airflow",
    "test_airflow_in_compose",
    "test_dashboard",
    "test_grafana",
    "test_api",
    "test_alerts",
    "test_under_load",
    "test_restart",
)
_HERE = Path(__file__).parent
_REPORT_FILES = {"kind": "e2e-report", "compose": "e2e-report-compose"}
_REPORT = pytest.StashKey[Report]()
_PLATFORM = pytest.StashKey[Platform]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--platform", choices=["kind", "compose"], default="kind", help="which running platform is tested")
    parser.addoption(
        "--variant", choices=list(MERGERS), default="python", help="the services that merge trades into candles"
    )


def _option(config: pytest.Config, name: str, default: str) -> str:
    # pytest reads this file too late for its options if the command names only a folder above this one.
    return str(config.getoption(name, default))


def _platform(config: pytest.Config) -> str:
    return _option(config, "platform", "kind")


def _variant(config: pytest.Config) -> Variant:
    return cast(Variant, _option(config, "variant", "python"))


def _up(platform: str, variant: Variant) -> str:
    """Return the command that starts the platform, in the environment of the last ``make up``."""
    if platform == "compose":
        return "make compose-up BI=1 AIRFLOW=1" + (f" VARIANT={variant}" if variant != "python" else "")
    return make_command.make_up(environment={**os.environ, "VARIANT": variant})


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "variant: depends on the service that merges; -m variant for a second variant")
    config.addinivalue_line("markers", "with_spark: needs Spark's image; left out for the variant python")
    config.addinivalue_line("markers", "kind: only means something in a cluster; left out for Compose")
    config.addinivalue_line("markers", "compose: only means something in Compose; left out for kind")
    config.stash[_REPORT] = Report(_platform(config), _variant(config))
    # pytest-kind would download its own programs and remove the cluster at the end, but this cluster is the user's.
    config.option.cluster_name = CLUSTER
    config.option.keep_cluster = True
    config.option.kind_bin = shutil.which("kind")
    config.option.kind_kubectl_bin = shutil.which("kubectl")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests with the components of the variant; for a second variant, only its merging one is tested."""
    mergers = [pytest.param(name, marks=pytest.mark.variant) for name in MERGERS[_variant(metafunc.config)]]
    # The exchange is no victim: without a feed the tests prove nothing.
    for fixture, values in {"victim": [*mergers, *UPSTREAM, *READERS], "merger": mergers}.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, values)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if item.path.parent == _HERE]
    out = {"kind", "compose"} - {_platform(config)}
    out |= {"with_spark"} if _variant(config) == "python" else set()
    left_out = [item for item in own if any(item.get_closest_marker(marker) for marker in out)]
    kept = [item for item in own if item not in left_out]
    kept.sort(key=lambda item: ORDER.index(item.path.stem))
    items[:] = [item for item in items if item.path.parent != _HERE] + kept
    config.hook.pytest_deselected(items=left_out)
    for item in kept:
        # The fixtures of the first test wait for a running batch, which may take longer than any test.
        limit = item.get_closest_marker("timeout")
        seconds = limit.args[0] if limit else float(config.getini("timeout"))
        item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)


@pytest.fixture(scope="session")
def running_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Require a cluster before ``kind_cluster`` would create one, and lock it against other commands."""
    for program in ("docker", "kind", "kubectl", "helm", "helmfile"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing on the PATH: make doctor", pytrace=False)
    if CLUSTER not in attempt("kind", "get", "clusters").out.split():
        pytest.fail(f"there is no cluster {CLUSTER}: {make_command.make_up()}", pytrace=False)
    kubeconfig = tmp_path_factory.mktemp("kind") / "kubeconfig"
    kubeconfig.write_text(run("kind", "get", "kubeconfig", "--name", CLUSTER))
    kubeconfig.chmod(0o600)
    request.config.option.kubeconfig = str(kubeconfig)
    try:
        with state_folder.exclusive():
            yield
    except Problem as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture(scope="session")
def kind_cluster(running_cluster: None, kind_cluster: KindCluster) -> KindCluster:
    """Return the running cluster."""
    return kind_cluster


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest, kind_cluster: KindCluster) -> Iterator[Kubernetes]:
    """Yield the platform on kind; its batch is paused, so that memory and load come from the tests alone."""
    try:
        platform = Kubernetes(kind_cluster, _variant(request.config))
    except LookupError as error:
        pytest.fail(f"{error}: {make_command.make_up()}", pytrace=False)
    except Problem as problem:
        pytest.fail(str(problem), pytrace=False)
    with platform.batch_paused():
        yield platform


@pytest.fixture(scope="session")
def compose(request: pytest.FixtureRequest) -> Iterator[Compose]:
    """Yield the platform in Compose; its batch is paused, as on kind."""
    variant = _variant(request.config)
    platform = Compose(variant)
    if not platform.instances("airflow-scheduler"):
        pytest.fail(f"Airflow does not run: {_up('compose', variant)}", pytrace=False)
    with platform.batch_paused():
        yield platform


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Platform:
    """Return the platform under test, streaming its default feed."""
    name, variant = _platform(request.config), _variant(request.config)
    found: Platform = request.getfixturevalue("kubernetes" if name == "kind" else "compose")
    request.config.stash[_PLATFORM] = found
    not_ready = [component for component in found.streaming if not found.instances(component)]
    if not_ready:
        pytest.fail(f"not ready: {', '.join(not_ready)}: {_up(name, variant)}", pytrace=False)
    status = found.exchange.get("/sim/status")
    if any(symbol.startswith(PREFIX) for symbol in status["symbols"]):
        pytest.fail(f"an earlier run was cut off and left its heavy feed: {_up(name, variant)}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Return the measurements of the run."""
    return request.config.stash[_REPORT]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record durations; add the platform's states, events and logs to a failure."""
    outcome = yield
    config = item.config
    seconds = config.stash[_REPORT].seconds
    seconds[item.name] = round(seconds.get(item.name, 0.0) + call.duration, 1)
    if outcome.failed and _PLATFORM in config.stash:
        outcome.sections.append(("platform", config.stash[_PLATFORM].diagnosis()))
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash[_REPORT]
    if not report.seconds:
        return
    second = "" if report.variant == "python" else f"-{report.variant}"
    path = STATE / f"{_REPORT_FILES[report.platform]}{second}.json"
    report.save(path)
    terminalreporter.section(f"end to end on {report.platform}, {report.variant}")
    report.show(Console(file=terminalreporter._tw._file, width=110))
    terminalreporter.write_line(f"all of it: {path.relative_to(STATE.parent)}")
