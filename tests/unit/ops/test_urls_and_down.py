"""The table of endpoints, confirmation before removal, one change at a time, and errors that name their fix."""

import contextlib
import io
import json
import socket
import sys
import threading
import webbrowser
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops import __main__ as ops_main
from ops import nuke, urls
from ops.common import external_programs
from ops.common.errors import Problem
from ops.common.loopback import free_port
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.compose import project as compose
from ops.compose import up as compose_up
from ops.kubernetes import access, down, logs, up
from ops.platform import endpoints, health, kind_node_ports, state_folder, url_table
from ops.platform.endpoints import ENDPOINTS, Installation
from ops.platform.health import Health

INSTALLATION = Installation(
    "Kubernetes",
    kind_node_ports.effective(OpsSettings(KAFKA_PORT=19092)),
    {"KAFKA_SASL_PASSWORD": "k-word", "POSTGRES_PASSWORD": "p-word", "S3_SECRET_KEY": "s-word"},
    frozenset({"kafka", "postgres", "minio", "simulator", "consumer"}),
)
HEALTHY = {endpoint.name: Health("", 0.02) for endpoint in ENDPOINTS}


def shown(table: object) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(table)
    return out.getvalue()


def test_the_table_lists_every_endpoint() -> None:
    text = shown(url_table.table(INSTALLATION, {**HEALTHY, "PostgreSQL": Health("the login is refused", 0.1)}))
    for words in ("127.0.0.1:19092", "postgresql://127.0.0.1:5432/crypto_analytics", "http://127.0.0.1:9001"):
        assert words in text
    for words in ("k-word", "p-word", "s-word", "reader", "ok, 20 ms", "the login is refused"):
        assert words in text


def test_passwords_can_be_hidden() -> None:
    text = shown(url_table.table(INSTALLATION, HEALTHY, hide=True))
    assert "-word" not in text
    assert url_table.HIDDEN in text


def test_programs_read_the_endpoints_as_json() -> None:
    checked = [(INSTALLATION, {**HEALTHY, "PostgreSQL": Health("the login is refused", 0.1)})]
    found = {one["name"]: one for one in json.loads(url_table.as_json(checked))}
    assert found["PostgreSQL"] == {
        "platform": "Kubernetes",
        "name": "PostgreSQL",
        "url": "postgresql://127.0.0.1:5432/crypto_analytics",
        "user": "reader",
        "password": "p-word",
        "healthy": False,
        "health": "the login is refused",
    }
    assert (found["Simulator"]["user"], found["Simulator"]["password"]) == (None, None)
    assert "-word" not in url_table.as_json(checked, hide=True)


def test_a_shell_reads_the_endpoints_as_variables() -> None:
    strange = replace(INSTALLATION, passwords={**INSTALLATION.passwords, "KAFKA_SASL_PASSWORD": "it's $HOME `x`"})
    lines = url_table.as_env([(strange, HEALTHY)])
    script = f'{lines}\nprintf "%s|" "$KAFKA_URL" "$KAFKA_USER" "$KAFKA_PASSWORD" "$MINIO_S3_URL" "$SIMULATOR_USER"'
    assert external_programs.run("sh", "-c", script, fix="") == (
        "127.0.0.1:19092|reader|it's $HOME `x`|http://127.0.0.1:9000||"
    )
    assert "PASSWORD" not in url_table.as_env([(strange, HEALTHY)], hide=True)
    with pytest.raises(Problem, match="make urls FORMAT=json"):
        url_table.as_env([(strange, HEALTHY), (INSTALLATION, HEALTHY)])


@pytest.mark.parametrize(("failures", "seconds", "problem"), [(2, 60, ""), (1, 0, "reset"), (10**9, 0.02, "reset")])
def test_what_is_unhealthy_is_checked_again_within_the_time(
    monkeypatch: pytest.MonkeyPatch, failures: int, seconds: float, problem: str
) -> None:
    checked: list[str] = []

    def check(name: str, port: int, password: str) -> Health:
        checked.append(name)
        return Health("reset" if name == "Kafka" and checked.count(name) <= failures else "", 0.1)

    monkeypatch.setattr(health, "check", check)
    monkeypatch.setattr(health, "_AGAIN_SECONDS", 0)
    found = health.check_all(INSTALLATION, seconds)
    assert {name: one.problem for name, one in found.items() if one.problem} == ({"Kafka": problem} if problem else {})
    assert found.keys() == {endpoint.name for endpoint in INSTALLATION.endpoints}
    if seconds != 0.02:
        assert checked.count("Kafka") == (failures + 1 if seconds else 1)
    assert checked.count("PostgreSQL") == 1


@pytest.mark.parametrize("unhealthy", ["", "Kafka"])
@pytest.mark.parametrize("form", ["json", "env"])
def test_urls_for_programs_print_nothing_else_and_fail_with_an_unhealthy_endpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str, unhealthy: str
) -> None:
    monkeypatch.setattr(urls, "find", lambda settings: INSTALLATION)
    monkeypatch.setattr(compose, "installation", lambda: None)
    results = {name: Health("away" if name == unhealthy else "", 0.1) for name in HEALTHY}
    monkeypatch.setattr(urls, "check_all", lambda installed: results)
    assert urls.main(OpsSettings(), ["--format", form, "--no-passwords"]) == bool(unhealthy)
    output = capsys.readouterr().out
    assert "-word" not in output
    assert json.loads(output) if form == "json" else all("=" in line for line in output.splitlines())


@pytest.mark.parametrize("has_browser", [True, False])
def test_open_opens_the_pages_for_people(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], has_browser: bool
) -> None:
    opened: list[str] = []
    installed = replace(INSTALLATION, components=frozenset({"superset", "airflow", "kafka"}))
    monkeypatch.setattr(urls, "find", lambda settings: installed)
    monkeypatch.setattr(compose, "installation", lambda: None)
    monkeypatch.setattr(url_table, "check_all", lambda installed, seconds: HEALTHY)
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or has_browser)
    assert urls.open_pages(OpsSettings(), []) == (0 if has_browser else 1)
    assert opened == [f"http://127.0.0.1:8088{endpoints.DASHBOARD}", "http://127.0.0.1:8080"]
    output = capsys.readouterr().out
    assert "19092" not in output
    assert ("open http://127.0.0.1:8080" in output) is not has_browser
    monkeypatch.setattr(urls, "find", lambda settings: INSTALLATION)
    with pytest.raises(Problem, match="compose-up BI=1"):
        urls.open_pages(OpsSettings(), [])


@pytest.mark.parametrize("has_pages", [(True, False), (False, True)])
def test_open_leaves_out_a_platform_without_pages(
    monkeypatch: pytest.MonkeyPatch, has_pages: tuple[bool, bool]
) -> None:
    opened: list[str] = []
    cluster, compose_project = (
        replace(INSTALLATION, components=frozenset({"kafka", *(["airflow"] if has else [])})) for has in has_pages
    )
    monkeypatch.setattr(urls, "find", lambda settings: cluster)
    monkeypatch.setattr(compose, "installation", lambda: compose_project)
    monkeypatch.setattr(url_table, "check_all", lambda installed, seconds: HEALTHY)
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert urls.open_pages(OpsSettings(), []) == 0
    assert opened == ["http://127.0.0.1:8080"]


@pytest.mark.parametrize(
    ("is_terminal", "asked", "hides"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_passwords_are_printed_to_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, asked: bool, hides: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # colours in a log do not make a terminal of it
    monkeypatch.setattr(url_table, "check_all", lambda installed, seconds: HEALTHY)
    file = Terminal() if is_terminal else Pipe()
    out = Console(file=file, width=160)
    assert url_table.hide_passwords(out, requested=asked) is hides
    url_table.show(INSTALLATION, out, hide=hides)
    assert ("k-word" not in file.getvalue()) is hides
    assert ("make urls" in file.getvalue()) is hides


@pytest.mark.parametrize("module", [up, compose_up])
def test_up_and_compose_up_hide_passwords_in_a_log(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    shown: list[tuple[bool, float]] = []
    monkeypatch.setattr(url_table, "show", lambda _, out, *, hide, seconds: shown.append((hide, seconds)) or 0)
    monkeypatch.setattr(module, "console", lambda: Console(file=Pipe(), width=160))
    if module is compose_up:
        monkeypatch.setattr(compose_up, "prepare", lambda *_: None)
        monkeypatch.setattr(compose_up, "remove_replaced", lambda *_: None)
        monkeypatch.setattr(compose_up, "up", lambda *_: None)
        monkeypatch.setattr(compose.Project, "save", lambda self: None)
        monkeypatch.setattr(compose, "installation", lambda: INSTALLATION)
    else:
        without_machine(monkeypatch)
        monkeypatch.setattr(state_folder, "save_last_up", lambda last_up: None)
    assert module.main(OpsSettings(ENV="lite"), []) == 0
    assert shown == [(True, health.AFTER_START_SECONDS)]


def without_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce `make up` to what it saves and prints."""
    monkeypatch.setattr(up.machine, "inspect", lambda settings: None)
    monkeypatch.setattr(up.doctor, "examine", lambda *_, **__: [])
    monkeypatch.setattr(up, "_cluster", lambda *_: dict(INSTALLATION.ports))
    monkeypatch.setattr(up, "KubeApi", lambda context: None)
    monkeypatch.setattr(up.feed, "fallback", lambda *_: {})
    for step in ("check_unchanged", "_images", "recover", "_releases"):
        monkeypatch.setattr(up, step, lambda *_: None)
    monkeypatch.setattr(access, "find", lambda settings: INSTALLATION)
    monkeypatch.setattr(state_folder, "exclusive", contextlib.nullcontext)


def test_make_up_is_saved_before_anything_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise Problem("helmfile failed", "x", "y")

    without_machine(monkeypatch)
    save_last_up = state_folder.save_last_up
    monkeypatch.setattr(state_folder, "save_last_up", lambda last_up: save_last_up(last_up, tmp_path))
    monkeypatch.setattr(up, "_releases", fail)
    with pytest.raises(Problem, match="helmfile failed"):
        up.main(OpsSettings(ENV="lite"), [])
    last = state_folder.load_last_up(tmp_path)
    assert (last["environment"], last["context"]) == ("lite", KIND_CONTEXT)


@pytest.mark.parametrize(
    ("named", "environment"),
    [
        ({"KUBE_CONTEXT": "theirs"}, "production"),
        ({"KUBE_CONTEXT": "theirs", "ENV": "lite"}, "lite"),
        ({"KUBE_CONTEXT": "another"}, "default"),
    ],
)
def test_the_environment_saved_for_another_cluster_is_ignored(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], environment: str
) -> None:
    monkeypatch.delenv("ENV", raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert down.environment_of(OpsSettings(), {"environment": "production", "context": "theirs"}) == environment


@pytest.mark.parametrize(
    ("named", "own"),
    [
        ({"KUBE_CONTEXT": "theirs"}, "/x/mine.yaml"),
        ({"KUBE_CONTEXT": "theirs", "VALUES": "other.yaml"}, "other.yaml"),
        ({"KUBE_CONTEXT": "theirs", "ENV": "lite"}, ""),
        ({"KUBE_CONTEXT": "another"}, ""),
    ],
)
def test_own_values_are_saved_for_down(monkeypatch: pytest.MonkeyPatch, named: dict[str, str], own: str) -> None:
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    last = {"environment": "production", "context": "theirs", "values": "/x/mine.yaml"}
    assert down.values_of(OpsSettings(), last) == own


@pytest.mark.parametrize(("mode", "prints"), [("strimzi", True), ("kraft", False)])
def test_down_prints_how_to_delete_strimzis_resources_in_order(
    monkeypatch: pytest.MonkeyPatch, mode: str, prints: bool
) -> None:
    out = Pipe()
    monkeypatch.setattr(down.state_folder, "load_last_up", dict)
    monkeypatch.setattr(down.state_folder, "exclusive", contextlib.nullcontext)
    monkeypatch.setattr(down.helmfile, "values", lambda *_, **__: {"kafka": {"mode": mode}})
    monkeypatch.setattr(down, "console", lambda: Console(file=out, width=160))
    monkeypatch.setattr(sys, "stdin", Pipe())
    with pytest.raises(Problem, match="nothing was removed"):
        down.main(OpsSettings(KUBE_CONTEXT="theirs"), [])
    output = out.getvalue()
    order = ["delete kafkatopics", "delete kafka/crypto", "delete kafkanodepools", "finalizers", "delete namespace"]
    found = [output.find(f"kubectl --context theirs --namespace crypto-analytics {word}") for word in order[:3]]
    assert (min(found) > 0) is prints
    assert not prints or [output.index(word) for word in order] == sorted(output.index(word) for word in order)


def test_nuke_finds_our_images_under_the_registry_of_the_last_build() -> None:
    tags = {"kafka": "0.1.0-abc", "dbt": "0.1.0-def"}
    own = [
        "crypto-analytics/kafka:0.1.0",
        "localhost:5000/team/crypto-analytics/dbt:0.1.0-old",
        "localhost:5000/team/crypto-analytics/kafka:0.1.0-abc",
    ]
    others = [
        "crypto-analytics/kafka:<none>",
        "debian:bookworm-slim",
        "registry.example.com/crypto-analytics/kafka:2",
        "my-crypto-analytics/kafka:0.1.0-abc",
    ]
    assert nuke.select_images([*own, *others], tags) == sorted(own)
    assert nuke.select_images([*own, *others], {}) == own[:1]


def test_nuke_names_the_projects_whose_saved_settings_it_removes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("crypto-analytics", "other"):
        (tmp_path / f"compose-{name}.env").touch()
    out = Pipe()
    monkeypatch.delenv("COMPOSE_PROJECT_NAME", raising=False)
    monkeypatch.setattr(compose, "STATE", tmp_path)
    monkeypatch.setattr(nuke, "list_images", list)
    monkeypatch.setattr(nuke, "console", lambda: Console(file=out, width=160))
    monkeypatch.setattr(sys, "stdin", Pipe())
    with pytest.raises(Problem, match="nothing was removed"):
        nuke.main(OpsSettings(), [])
    assert "make compose-down VOLUMES=1 COMPOSE_PROJECT_NAME=other" in out.getvalue()
    assert "COMPOSE_PROJECT_NAME=crypto-analytics" not in out.getvalue()


def test_only_running_components_are_listed() -> None:
    only_postgres = Installation("x", INSTALLATION.ports, {}, frozenset({"postgres"}))
    assert [endpoint.name for endpoint in only_postgres.endpoints] == ["PostgreSQL"]


def test_every_endpoint_has_a_check_and_a_port() -> None:
    settings = {port.setting for port in kind_node_ports.EXPOSED}
    for endpoint in endpoints.ENDPOINTS:
        assert endpoint.setting in settings
        assert health.check(endpoint.name, free_port(), "x").problem, "nobody listens there"


@pytest.mark.parametrize(
    ("status", "shown_as"),
    [
        (200, "ok, "),
        (404, "ok, the quality gate has not run yet"),
        (403, "ok, anonymous access is disabled"),
        (503, "HTTP 503"),
    ],
)
@pytest.mark.parametrize(("name", "page"), [("Data Docs", "index.html"), ("dbt docs", "dbt/index.html")])
def test_the_data_docs_are_requested_as_by_a_browser(status: int, shown_as: str, name: str, page: str) -> None:
    class Store(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == f"/data-docs/site/{page}"
            assert "Authorization" not in self.headers
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.handle_request).start()
        found = health.check(name, server.server_port, "")
    assert str(found).startswith(shown_as)
    assert bool(found.problem) is (status == 503)


def test_a_port_with_another_protocol_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        assert health.check("Simulator", free_port(), "").problem
        server.close()
        assert "refused" in health.check("PostgreSQL", port, "x").problem.lower()


class Pipe(io.StringIO):
    def isatty(self) -> bool:
        return False


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_removed_without_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe())
    with pytest.raises(Problem, match="make down YES=1"):
        down.confirm(OpsSettings(), "down")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(Problem, match="the answer was no"):
        down.confirm(OpsSettings(), "down")
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    down.confirm(OpsSettings(), "down")
    down.confirm(OpsSettings(YES=True), "down")


def test_one_target_at_a_time_changes_the_cluster(tmp_path: Path) -> None:
    with (
        state_folder.exclusive(tmp_path),
        pytest.raises(Problem, match="is changing the cluster"),
        state_folder.exclusive(tmp_path),
    ):
        pass
    with state_folder.exclusive(tmp_path):
        pass


def test_the_last_up_is_saved(tmp_path: Path) -> None:
    assert state_folder.load_last_up(tmp_path) == {}
    state_folder.save_last_up({"environment": "lite", "seconds": {"load": 12.5}}, tmp_path / "new")
    assert state_folder.load_last_up(tmp_path / "new")["seconds"] == {"load": 12.5}


def test_a_missing_program_is_reported_with_its_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"kind is missing: .*kind.sigs.k8s.io.*make airgap"):
        external_programs.run("kind", "version", fix="make doctor")
    assert not external_programs.succeeds("kind", "version")


def test_a_failed_program_is_reported_with_its_last_lines_and_the_fix() -> None:
    with pytest.raises(Problem, match="sh -c failed: no such cluster; make up"):
        external_programs.run("sh", "-c", "echo no such cluster >&2; exit 3", fix="make up")
    with pytest.raises(Problem, match="exit code 4"):
        external_programs.run("sh", "-c", "exit 4", fix="make up")
    with pytest.raises(Problem, match="longer than"):
        external_programs.run("sleep", "5", fix="make up", timeout=0.1)
    assert external_programs.run("sh", "-c", "echo $WORD", fix="", env={"WORD": "yes"}) == "yes\n"


def test_logs_follow_one_component_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "path_of", lambda name: f"/bin/{name}")
    one = logs.command(OpsSettings(SERVICE="consumer", KUBE_CONTEXT="kind-x"), follow=True)
    assert one[:3] == ["/bin/kubectl", "--context", "kind-x"]
    assert "app.kubernetes.io/name=consumer" in one
    assert one[-1] == "--follow"
    everything = logs.command(OpsSettings(), follow=False)
    assert everything[everything.index("--selector") + 1] == "!no-such-label", "Strimzi's pods have no label of ours"
    assert "--follow" not in everything


@pytest.mark.parametrize("ended", [KeyboardInterrupt, EOFError])
def test_ctrl_c_and_ctrl_d_at_a_question_end_a_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: type[BaseException]
) -> None:
    def asking(settings: OpsSettings, arguments: list[str]) -> int:
        raise ended

    monkeypatch.setitem(ops_main.COMMANDS, "up", asking)
    monkeypatch.setattr("sys.argv", ["ops", "up"])
    assert ops_main.main() == 130
    assert capsys.readouterr().err == "interrupted; make up can be run again\n"
