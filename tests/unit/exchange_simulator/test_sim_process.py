"""The simulator as a process: help, settings, start and stop."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from exchange_simulator.faults import Drop
from exchange_simulator.startup import load_settings

SERVICES = Path(__file__).parents[3] / "services"


def start(*arguments: str, **settings: str) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIM_")}
    env |= {"PYTHONPATH": str(SERVICES), "SIM_PORT": "0"} | settings
    command = [sys.executable, "-m", "exchange_simulator", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_help_lists_the_settings() -> None:
    process = start("--help")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "SIM_TRADES_PER_MINUTE" in out
    assert "/sim/faults" in out


def test_it_listens_answers_and_stops_on_sigterm() -> None:
    process = start()
    assert process.stderr is not None
    try:
        listening = next(event for line in process.stderr if (event := json.loads(line))["event"] == "listening")
        base = f"http://127.0.0.1:{listening['port']}"
        with urllib.request.urlopen(f"{base}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{base}/readyz", timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
            assert b"simulator_trades_streamed_total" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"SIM_FAULTS": '[{"type": "drop", "when": 1}]'}, "SIM_FAULTS: faults: Object contains unknown field `when`"),
        ({"SIM_START": "2026-01-05T00:00:30Z"}, "SIM_START: "),
        ({"SIM_START": "now", "SIM_RATE": "5"}, "leave SIM_RATE=0"),
        ({"SIM_REST_FILE": "x.csv"}, "SIM_REST_FILE goes with SIM_FILE"),
        ({"SIM_RATE": "-1"}, "SIM_RATE: "),
        ({"SIM_TRADES_PER_MINUTE": "0"}, "SIM_TRADES_PER_MINUTE: "),
    ],
)  # fmt: skip
def test_invalid_settings_are_reported_at_the_start(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        load_settings()
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SIM_START": "now", "SIM_MINUTES": "0", "SIM_FAULTS": '[{"type": "drop"}]'}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.SIM_START, settings.SIM_MINUTES, settings.faults()) == ("now", 0, [Drop()])


def test_a_missing_recording_and_a_port_in_use_are_reported_in_one_line(tmp_path: Path) -> None:
    process = start(SIM_FILE=str(tmp_path / "none.csv"))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.splitlines()[-1].endswith(f"none.csv: no such file; look at it: ls -l {tmp_path}")
    first = start()
    assert first.stderr is not None
    try:
        port = next(event for line in first.stderr if (event := json.loads(line))["event"] == "listening")["port"]
        second = start(SIM_PORT=str(port))
        _, err = second.communicate(timeout=30)
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}" in err
    finally:
        first.kill()
        first.communicate()
