"""Settings of the run, from the variables of make."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ops.local.exchange import simulator_settings
from ops.local.settings import DemoSettings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DemoSettings.model_fields:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("variable", "mode"), [("SYMBOLS", "play"), ("LIVE", "live"), ("FOREVER", "forever")])
def test_the_kind_of_run_follows_the_variables(monkeypatch: pytest.MonkeyPatch, variable: str, mode: str) -> None:
    monkeypatch.setenv(variable, "BTCUSDT" if variable == "SYMBOLS" else "1")
    assert DemoSettings().mode == mode


@pytest.mark.parametrize("both", [("LIVE", "FOREVER"), ("LIVE", "REPLAY")])
def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch, both: tuple[str, str]) -> None:
    for name in both:
        monkeypatch.setenv(name, "1")
    with pytest.raises(ValidationError, match="exclude each other"):
        DemoSettings()


def test_klines_need_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLINES", "klines.csv")
    with pytest.raises(ValidationError, match="REPLAY=file"):
        DemoSettings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY", "")
    assert DemoSettings().REPLAY is None


def test_a_recording_is_played_from_an_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPLAY", "trades.csv")
    monkeypatch.setenv("REST_FILE", "whole.csv")
    env = simulator_settings(DemoSettings())
    assert env["SIM_FILE"] == str(tmp_path / "trades.csv")
    assert env["SIM_REST_FILE"] == str(tmp_path / "whole.csv")
    assert env["SIM_KLINES_FILE"] == ""


def test_forever_plays_in_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREVER", "1")
    env = simulator_settings(DemoSettings())
    assert (env["SIM_START"], env["SIM_MINUTES"], env["SIM_RATE"]) == ("now", "0", "0")
