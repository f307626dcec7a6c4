"""Fixtures: a new migrated database and new topics for each test, the simulator, and the recorded market data."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import ROOT, Broker, Database, Servers, SimulatedExchange, running_servers

RECORDED_DATA = Path(os.environ.get("RECORDED_DATA_DIR") or ROOT.parent / "shared" / "data").resolve()
RECORDED_FAULTS = Path(os.environ.get("RECORDED_FAULTS_DIR") or RECORDED_DATA.parent / "faults").resolve()
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that need recorded data if there is none, with a message; in CI the fixture fails instead."""
    if IN_CI:
        return
    for fixture, folder in (("recorded_data", RECORDED_DATA), ("recorded_faults", RECORDED_FAULTS)):
        if folder.is_dir():
            continue
        without = [item for item in items if fixture in getattr(item, "fixturenames", ())]
        if without:
            items[:] = [item for item in items if item not in without]
            config.hook.pytest_deselected(items=without)
            reporter = config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"{len(without)} tests left out: no {fixture} in {folder} ({fixture.upper()}_DIR)")


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Return the folder with the recorded market data."""
    if not RECORDED_DATA.is_dir():
        pytest.fail(f"no recorded data in {RECORDED_DATA}: set RECORDED_DATA_DIR")
    return RECORDED_DATA


@pytest.fixture(scope="session")
def recorded_faults() -> Path:
    """Return the folder with the recorded inputs that once failed."""
    if not RECORDED_FAULTS.is_dir():
        pytest.fail(f"no faulty recordings in {RECORDED_FAULTS}: set RECORDED_FAULTS_DIR")
    return RECORDED_FAULTS


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Yield the Kafka and the PostgreSQL that all tests share; each is started at its first use."""
    with running_servers(tmp_path_factory.mktemp("shared")) as shared:
        yield shared


@pytest.fixture
def private_servers(tmp_path: Path) -> Iterator[Servers]:
    """Yield a Kafka and a PostgreSQL for this test alone, for tests that kill them."""
    with running_servers(tmp_path / "private") as own:
        yield own


@pytest.fixture
def postgres(servers: Servers) -> Iterator[Database]:
    """Yield a new migrated database for this test."""
    with servers.database() as database:
        yield database


@pytest.fixture
def kafka(servers: Servers) -> Broker:
    """Return the broker with new, empty topics for this test."""
    return servers.broker()


@pytest.fixture
def simulator(servers: Servers) -> Iterator[Callable[..., SimulatedExchange]]:
    """Yield a function that starts a simulator with the given settings: ``simulator(SIM_SEED="7")``."""
    with ExitStack() as stack:
        yield lambda **env: stack.enter_context(servers.simulator(env))
