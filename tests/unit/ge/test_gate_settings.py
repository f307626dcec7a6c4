from datetime import UTC, datetime
from pathlib import Path

import pytest

from ge.data_docs import RESULTS, SITE, forget_old_runs
from ge.settings import SettingsError, load

GOOD = {
    "POSTGRES_USER": "reader",
    "POSTGRES_PASSWORD": "p@ss:w/rd%$",
    "GE_DATA_DOCS_DIR": "docs",
    "SYMBOLS": "BTCUSDT, ETHUSDT",
    "AS_OF": "2025-03-04T00:48:00Z",
}


def test_settings_are_read_with_the_services_names() -> None:
    settings = load(GOOD)
    assert settings.symbols == ("BTCUSDT", "ETHUSDT")
    assert settings.as_of == datetime(2025, 3, 4, 0, 48, tzinfo=UTC)
    assert settings.data_docs_dir == Path("docs").resolve()
    assert "://reader:p%40ss%3Aw%2Frd%25%24@127.0.0.1:5432/crypto_analytics?" in settings.connection_url


def test_the_password_is_never_shown() -> None:
    settings = load(GOOD)
    assert "p@ss" not in repr(settings)
    assert "p%40ss" not in repr(settings)
    shown = settings.without_password(f"cannot reach {settings.connection_url} with {GOOD['POSTGRES_PASSWORD']}")
    assert "p@ss" not in shown
    assert "p%40ss" not in shown


def test_without_as_of_the_clock_is_the_real_one() -> None:
    before = datetime.now(UTC)
    assert before <= load({**GOOD, "AS_OF": ""}).as_of <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_USER", ""),
        ("POSTGRES_PASSWORD", ""),
        ("GE_DATA_DOCS_DIR", ""),
        ("SYMBOLS", "btcusdt"),
        ("SYMBOLS", ","),
        ("AS_OF", "yesterday"),
        ("AS_OF", "2025-03-04T00:48:00"),
        ("POSTGRES_PORT", "many"),
        ("GE_DATA_DOCS_RUNS", "0"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load({**GOOD, name: value})


@pytest.mark.parametrize(("runs", "keep", "left"), [(3, 5, 3), (5, 5, 5), (9, 5, 5), (1, 0, 0), (0, 5, 0)])
def test_only_the_newest_runs_are_kept(tmp_path: Path, runs: int, keep: int, left: int) -> None:
    parents = [tmp_path / RESULTS / "suite" / "__none__", tmp_path / SITE / "validations" / "suite" / "__none__"]
    names = [f"20260105T00{minute:02}00.000000Z" for minute in range(runs)]
    for parent in parents:
        for name in names:
            (parent / name).mkdir(parents=True)
    forget_old_runs(tmp_path, "suite", keep=keep)
    for parent in parents:
        found = sorted(path.name for path in parent.iterdir()) if parent.exists() else []
        assert found == names[runs - left :]
