"""A child gets the variables that it is known to need, and no other variable of the caller."""

import ast
from pathlib import Path

import pytest

from ops.common import child_environment
from ops.common.paths import ROOT, demo_dir
from ops.dev import env_example
from tests.absurd_environment import absurd, absurd_environment

FIXED = {"HOME": str(demo_dir() / "home"), "LANG": "C.UTF-8", "TZ": "UTC"}
OURS = {"PYTHONPATH", "PYTHONPYCACHEPREFIX", "DEMO_DIR"}


def test_no_harmful_variable_reaches_a_server() -> None:
    env = child_environment.plain({**absurd(), "PATH": "/bin", "JAVA_HOME": "/java", "LD_LIBRARY_PATH": "/lib"})
    assert env == {**FIXED, "PATH": "/bin", "JAVA_HOME": "/java", "LD_LIBRARY_PATH": "/lib"}


def test_no_harmful_variable_reaches_a_service() -> None:
    env = child_environment.service({**absurd(), "PATH": "/bin"})
    assert env == {**FIXED, "PATH": "/bin", **child_environment.python()}
    assert child_environment.python().keys() == OURS


def test_a_service_gets_the_settings_that_the_user_set() -> None:
    mine = {"SYMBOLS": "BTCUSDT", "LOG_LEVEL": "DEBUG", "BATCH_MAX_TRADES": "5", "BINANCE_WEIGHT_LIMIT": "900"}
    mine["NO_SETTING"] = "1"
    env = child_environment.service(mine)
    assert {name: env.get(name) for name in mine} == {**mine, "NO_SETTING": None}


@pytest.mark.parametrize(
    "name", ["POSTGRES_HOST", "AS_OF", "KAFKA_TOPIC_TRADES", "S3_ENDPOINT", "WRITER_PASSWORD", "BINANCE_REST_URL"]
)
def test_settings_for_another_way_of_running_are_not_inherited(name: str) -> None:
    assert name in child_environment.settings()
    assert name not in child_environment.service({name: "elsewhere"})


def test_all_settings_are_known_without_their_classes() -> None:
    classes = [cls for _, module in env_example.modules() for cls in env_example.classes(module)]
    assert set(child_environment.settings()) == {name for cls in classes for name in cls.model_fields if name.isupper()}


def test_the_launcher_keeps_the_variables_of_its_children() -> None:
    source = {**absurd_environment(SYMBOLS="A", PIP_INDEX_URL="https://index", UV_INDEX_MINE_PASSWORD="x"), "HOME": "/"}
    launcher = child_environment.launcher(source)
    kinds = (child_environment.service, child_environment.outside, child_environment.fetcher, child_environment.psql)
    for kind in (child_environment.plain, *kinds):
        assert kind(launcher) == kind(source)
    assert launcher["UV_INDEX_MINE_PASSWORD"] == "x"
    assert not launcher.keys() & {
        "PGSSLMODE",
        "JAVA_TOOL_OPTIONS",
        "DBT_PROFILES_DIR",
        "GX_HOME",
        "LC_ALL",
        "PIP_TARGET",
    }


def test_proxies_reach_only_fetchers_and_clients_of_the_real_exchange() -> None:
    source = {
        "https_proxy": "http://proxy:3128",
        "wss_proxy": "http://other:3128",
        "no_proxy": "intern",
        "SSL_CERT_FILE": "/ca.pem",
        "HOME": "/",
    }
    assert child_environment.fetcher(source).items() >= source.items()
    outside = child_environment.outside(source)
    assert outside["no_proxy"] == outside["NO_PROXY"] == "intern,127.0.0.1,localhost,::1"
    assert (outside["https_proxy"], outside["SSL_CERT_FILE"]) == ("http://proxy:3128", "/ca.pem")
    assert outside["wss_proxy"] == "http://other:3128"
    for kind in (child_environment.plain, child_environment.service, child_environment.tests):
        assert not kind(source).keys() & {"https_proxy", "wss_proxy", "no_proxy", "SSL_CERT_FILE"}
    assert child_environment.outside({"no_proxy": "intern"}) == {}


def test_a_temporary_folder_is_passed_on_if_it_is_writable(tmp_path: Path) -> None:
    assert child_environment.plain({"TMPDIR": str(tmp_path)})["TMPDIR"] == str(tmp_path)
    assert "TMPDIR" not in child_environment.plain({"TMPDIR": str(tmp_path / "none")})


def test_tests_get_none_of_the_users_settings() -> None:
    env = child_environment.tests(absurd_environment(SYMBOLS="A", RECORDED_DATA_DIR="/data", KAFKA_PORT="1"))
    assert env["RECORDED_DATA_DIR"] == "/data"
    assert not env.keys() & {"SYMBOLS", "KAFKA_PORT"}


def test_tools_keep_all_variables_except_those_of_python_and_make() -> None:
    env = child_environment.tools({"KUBECONFIG": "/k", "https_proxy": "p", "PYTHONHOME": "/x", "MAKEFLAGS": "n"})
    assert env == {"KUBECONFIG": "/k", "https_proxy": "p", **child_environment.python()}


def test_every_child_of_the_local_run_gets_an_explicit_environment() -> None:
    bare = []
    rooms = [path for room in ("common", "setup", "local", "dev") for path in (ROOT / "ops" / room).glob("*.py")]
    # external_programs.py runs the tools of Kubernetes, which need the whole environment.
    for path in sorted(path for path in rooms if path.name != "external_programs.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.run", "subprocess.Popen"}:
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if given.get("env", "os.environ") in {"os.environ", "None"}:
                    bare.append(f"{path.name}:{node.lineno}")
    assert bare == []
