"""The configuration of Prometheus that a run writes, and the programs of MONITORING=1."""

from pathlib import Path

import pytest
import yaml

from ops.common.errors import Problem
from ops.local import demo, monitoring
from ops.local.monitoring import FILES, Monitoring
from ops.local.programs import Program
from ops.local.run_folders import RunFolders
from ops.local.settings import DemoSettings

SERVICES = [
    Program(name, [], env={"METRICS_PORT": str(port)})
    for name, port in (("consumer", 1), ("spark_candles", 2), ("publisher", 3), ("api", 4), ("producer", 5))
]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def install(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def folders_of(tmp_path: Path) -> RunFolders:
    return RunFolders(tmp_path / "demo [x]*", "forever")


def written(folder: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((folder / f"{name}.yml").read_text())
    return found


def test_without_monitoring_the_configuration_is_for_a_prometheus_of_the_users(tmp_path: Path) -> None:
    folders = folders_of(tmp_path)
    own = Monitoring(DemoSettings(MONITORING=False), folders)
    assert own.programs(SERVICES, 6) == []
    assert own.places == []
    config = written(folders.monitoring, "prometheus")
    assert config["scrape_configs"] == [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for job, port in {
            "api": 4,
            "consumer": 1,
            "producer": 5,
            "publisher": 3,
            "simulator": 6,
            "spark-candles": 2,
        }.items()
    ]
    assert "alerting" not in config
    assert [path.name for path in folders.monitoring.iterdir()] == ["prometheus.yml"]


def test_jobs_rules_and_intervals_are_those_of_the_chart(tmp_path: Path) -> None:
    folders = folders_of(tmp_path)
    Monitoring(DemoSettings(MONITORING=True), folders).programs(SERVICES, 6)
    config, charts = written(folders.monitoring, "prometheus"), yaml.safe_load((FILES / "prometheus.yml").read_text())
    assert config["global"] == charts["global"]
    assert config["rule_files"] == [str(path) for path in sorted((FILES / "rules").iterdir())]
    values = yaml.safe_load((FILES.parent / "values.yaml").read_text())
    scraped = yaml.safe_load((folders.monitoring / "prometheus.yml").read_text())["scrape_configs"]
    assert {one["job_name"] for one in scraped} == (
        values["targets"].keys() - {"kafka", "postgres", "minio"} | {"simulator", "spark-candles"}
    )
    alerts, wanted = (
        written(folders.monitoring, "alertmanager"),
        yaml.safe_load((FILES / "alertmanager.yml").read_text()),
    )
    assert alerts.pop("templates") == [str(FILES / "messages.tmpl")]
    del wanted["templates"]
    assert alerts == wanted


def test_the_programs_listen_on_loopback_and_keep_their_data_in_the_run_folder(
    tmp_path: Path, bin_folder: Path
) -> None:
    paths = {name: install(bin_folder, name) for name in ("prometheus", "prometheus-alertmanager")}
    folders = folders_of(tmp_path)
    own = Monitoring(DemoSettings(MONITORING=True, PROMETHEUS_PORT=19090, ALERTMANAGER_PORT=0), folders)
    alertmanager, prometheus = own.programs(SERVICES, None)
    assert prometheus.command[0] == paths["prometheus"]
    assert alertmanager.command[0] == paths["prometheus-alertmanager"]
    assert "--web.listen-address=127.0.0.1:19090" in prometheus.command
    assert f"--web.listen-address=127.0.0.1:{own.ports['alertmanager']}" in alertmanager.command
    assert own.ports["alertmanager"] > 0
    assert "--cluster.listen-address=" in alertmanager.command
    assert f"--storage.tsdb.path={folders.monitoring}/prometheus" in prometheus.command
    assert own.places == [
        ("prometheus", "http://127.0.0.1:19090"),
        ("alertmanager", f"http://127.0.0.1:{own.ports['alertmanager']}"),
    ]
    (managers,) = yaml.safe_load((folders.monitoring / "prometheus.yml").read_text())["alerting"]["alertmanagers"]
    assert managers["static_configs"] == [{"targets": [f"127.0.0.1:{own.ports['alertmanager']}"]}]


def test_a_missing_program_is_reported_with_the_command_that_installs_it(bin_folder: Path) -> None:
    install(bin_folder, "prometheus")
    monitoring.check("prometheus")
    with pytest.raises(
        Problem, match=r"^alertmanager is missing: .*MONITORING=1 .* install .*; or: make demo MONITORI"
    ):
        monitoring.check("alertmanager")


def test_only_monitoring_needs_the_programs(tmp_path: Path, bin_folder: Path) -> None:
    def missing(*, asked: bool) -> list[str]:
        found = map(str, demo.check(DemoSettings(DEMO_DIR=tmp_path, MONITORING=asked)))
        return [text.partition(" ")[0] for text in found if "MONITORING=1" in text]

    assert missing(asked=False) == []
    assert missing(asked=True) == ["prometheus", "alertmanager"]
