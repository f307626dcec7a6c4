"""The table of URLs, questions before removal, one change at a time, and errors that say what to do."""

import io
import socket
import sys
from pathlib import Path

import pytest
from rich.console import Console

from embedded.ports import free_port
from embedded.problems import Problem
from ops import down, endpoints, health, logs, ports, programs, state, urls
from ops.endpoints import ENDPOINTS, Way
from ops.health import Health
from ops.settings import OpsSettings

WAY = Way(
    "Kubernetes",
    ports.effective(OpsSettings(KAFKA_PORT=19092)),
    {"KAFKA_SASL_PASSWORD": "k-word", "POSTGRES_PASSWORD": "p-word", "S3_SECRET_KEY": "s-word"},
    frozenset({"kafka", "postgres", "minio", "simulator", "consumer"}),
)
WELL = {endpoint.name: Health("", 0.02) for endpoint in ENDPOINTS}


def shown(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue()


def test_the_table_names_every_way_in() -> None:
    text = shown(urls.table(WAY, {**WELL, "PostgreSQL": Health("the login is refused", 0.1)}))
    for words in ("127.0.0.1:19092", "postgresql://127.0.0.1:5432/crypto_analytics", "http://127.0.0.1:9001"):
        assert words in text
    for words in ("k-word", "p-word", "s-word", "reader", "ok, 20 ms", "the login is refused"):
        assert words in text


def test_passwords_can_be_left_out() -> None:
    text = shown(urls.table(WAY, WELL, hide=True))
    assert "-word" not in text
    assert urls.HIDDEN in text


def test_only_what_runs_is_listed() -> None:
    way = Way("x", WAY.ports, {}, frozenset({"postgres"}))
    assert [endpoint.name for endpoint in way.endpoints] == ["PostgreSQL"]


def test_every_endpoint_has_a_check_and_a_port() -> None:
    settings = {port.setting for port in ports.EXPOSED}
    for endpoint in endpoints.ENDPOINTS:
        assert endpoint.setting in settings
        assert health.check(endpoint.name, free_port(), "x").problem, "nobody listens there"


def test_a_port_that_talks_something_else_is_not_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        assert health.check("Simulator", free_port(), "").problem
        server.close()
        assert "refused" in health.check("PostgreSQL", port, "x").problem.lower()


class Nobody(io.StringIO):
    def isatty(self) -> bool:
        return False


class Somebody(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_removed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Nobody())
    with pytest.raises(Problem, match="make down YES=1"):
        down.confirm(OpsSettings(), "down")
    monkeypatch.setattr(sys, "stdin", Somebody("n\n"))
    with pytest.raises(Problem, match="the answer was no"):
        down.confirm(OpsSettings(), "down")
    monkeypatch.setattr(sys, "stdin", Somebody("y\n"))
    down.confirm(OpsSettings(), "down")
    down.confirm(OpsSettings(YES=True), "down")


def test_one_at_a_time_changes_the_cluster(tmp_path: Path) -> None:
    with state.exclusive(tmp_path), pytest.raises(Problem, match="just being changed"), state.exclusive(tmp_path):
        pass
    with state.exclusive(tmp_path):
        pass


def test_the_story_of_the_last_up_is_kept(tmp_path: Path) -> None:
    assert state.recall(tmp_path) == {}
    state.remember({"environment": "lite", "seconds": {"load": 12.5}}, tmp_path / "new")
    assert state.recall(tmp_path / "new")["seconds"] == {"load": 12.5}


def test_a_missing_program_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"kind is missing: .*kind.sigs.k8s.io.*make airgap"):
        programs.run("kind", "version", mend="make doctor")
    assert not programs.succeeds("kind", "version")


def test_a_failed_program_says_its_last_words_and_the_next_command() -> None:
    with pytest.raises(Problem, match="sh -c failed: no such cluster; make up"):
        programs.run("sh", "-c", "echo no such cluster >&2; exit 3", mend="make up")
    with pytest.raises(Problem, match="exit code 4"):
        programs.run("sh", "-c", "exit 4", mend="make up")
    with pytest.raises(Problem, match="longer than"):
        programs.run("sleep", "5", mend="make up", timeout=0.1)
    assert programs.run("sh", "-c", "echo $WORD", mend="", env={"WORD": "yes"}) == "yes\n"


def test_logs_are_of_one_component_or_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "path_of", lambda name: f"/bin/{name}")
    one = logs.command(OpsSettings(SERVICE="consumer", KUBE_CONTEXT="kind-x"), follow=True)
    assert one[:3] == ["/bin/kubectl", "--context", "kind-x"]
    assert "app.kubernetes.io/name=consumer" in one
    assert one[-1] == "--follow"
    everything = logs.command(OpsSettings(), follow=False)
    assert "app.kubernetes.io/part-of=crypto-analytics" in everything
    assert "--follow" not in everything
