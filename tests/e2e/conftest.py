"""One platform a run (``--platform kind|compose``), checked to be one to work on, and a report at the end.

Nothing is left out silently: a platform that is not there fails the run with the command that brings it up.
"""

import shutil
from collections.abc import Generator, Iterator

import pytest
from pytest_kind import KindCluster
from rich.console import Console

from embedded.problems import Problem
from ops import state
from ops.settings import CLUSTER, STATE
from tests.e2e.compose import Compose
from tests.e2e.kubernetes import Kubernetes
from tests.e2e.load import PREFIX
from tests.e2e.platforms import STREAMING, Platform
from tests.e2e.programs import attempt, run
from tests.e2e.report import Report

# At rest first, because its memory is measured; what disturbs more comes later.
ORDER = (
    "test_at_rest",
    "test_logins",
    "test_pods",
    "test_releases",
    "test_strimzi_server_side",
    "test_batch",
    "test_under_load",
    "test_restart",
)
_UP = {"kind": "make up ENV=lite", "compose": "make compose-up"}
_REPORT_FILES = {"kind": "e2e-report.json", "compose": "e2e-report-compose.json"}
_REPORT = pytest.StashKey[Report]()
_PLATFORM = pytest.StashKey[Platform]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--platform", choices=list(_UP), default="kind", help="which running platform is tested")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kind: only means something in a cluster; left out for Compose")
    config.stash[_REPORT] = Report(config.getoption("platform"))
    # pytest-kind would download its own programs and remove the cluster at the end: this one is the user's.
    config.option.cluster_name = CLUSTER
    config.option.keep_cluster = True
    config.option.kind_bin = shutil.which("kind")
    config.option.kind_kubectl_bin = shutil.which("kubectl")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem))
    if config.getoption("platform") != "kind":
        of_kind = [item for item in items if item.get_closest_marker("kind")]
        items[:] = [item for item in items if item not in of_kind]
        config.hook.pytest_deselected(items=of_kind)


@pytest.fixture(scope="session")
def running_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make sure that there is a cluster before ``kind_cluster`` would make one, and that nobody else changes it."""
    for program in ("docker", "kind", "kubectl", "helm", "helmfile"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing on the PATH: make doctor", pytrace=False)
    if CLUSTER not in attempt("kind", "get", "clusters").out.split():
        pytest.fail(f"there is no cluster {CLUSTER}: {_UP['kind']}", pytrace=False)
    kubeconfig = tmp_path_factory.mktemp("kind") / "kubeconfig"
    kubeconfig.write_text(run("kind", "get", "kubeconfig", "--name", CLUSTER))
    kubeconfig.chmod(0o600)
    request.config.option.kubeconfig = str(kubeconfig)
    try:
        with state.exclusive():
            yield
    except Problem as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture(scope="session")
def kind_cluster(running_cluster: None, kind_cluster: KindCluster) -> KindCluster:
    """Return the running cluster."""
    return kind_cluster


@pytest.fixture(scope="session")
def kubernetes(kind_cluster: KindCluster) -> Iterator[Kubernetes]:
    """Yield the platform on kind; its batch waits, so that memory and load are what the tests make them."""
    platform = Kubernetes(kind_cluster)
    with platform.batch_suspended():
        yield platform


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Platform:
    """Return the platform under test, streaming its default feed."""
    name = request.config.getoption("platform")
    found: Platform = request.getfixturevalue("kubernetes") if name == "kind" else Compose()
    request.config.stash[_PLATFORM] = found
    unwell = [component for component in STREAMING if not found.instances(component)]
    if unwell:
        pytest.fail(f"not ready: {', '.join(unwell)}: {_UP[name]}", pytrace=False)
    status = found.exchange("/sim/status")
    if any(symbol.startswith(PREFIX) for symbol in status["symbols"]):
        pytest.fail(f"an earlier run was cut off and left its heavy feed: {_UP[name]}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Report:
    """Return what the run has measured so far."""
    return request.config.stash[_REPORT]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note durations; add to a failure what the platform has to say."""
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
    path = STATE / _REPORT_FILES[report.platform]
    report.save(path)
    terminalreporter.section(f"end to end on {report.platform}")
    report.show(Console(file=terminalreporter._tw._file, width=110))
    terminalreporter.write_line(f"all of it: {path.relative_to(STATE.parent)}")
