"""Read the quality gate's settings."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from ge.settings import GateSettings

GOOD = {
    "POSTGRES_USER": "gate",
    "POSTGRES_PASSWORD": "p@ss:w/rd%$",
    "AS_OF": "2025-03-04T00:48:00Z",
    "S3_ACCESS_KEY": "gate",
    "S3_SECRET_KEY": "s3cr/t",
}


def test_settings_are_read_with_the_services_names() -> None:
    settings = GateSettings.model_validate(GOOD)
    assert settings.as_of == datetime(2025, 3, 4, 0, 48, tzinfo=UTC)
    assert (settings.GE_DATA_DOCS_RUNS, settings.BUCKET_DATA_DOCS) == (50, "data-docs")
    assert "://gate:p%40ss%3Aw%2Frd%25%24@127.0.0.1:5432/crypto_analytics?" in settings.connection_url


def test_no_secret_is_ever_shown() -> None:
    settings = GateSettings.model_validate(GOOD)
    shown = settings.without_secrets(
        f"cannot reach {settings.connection_url} with {GOOD['POSTGRES_PASSWORD']} or {GOOD['S3_SECRET_KEY']}"
    )
    for text in (repr(settings), shown):
        for secret in ("p@ss", "p%40ss", "s3cr"):
            assert secret not in text
    nothing = GateSettings.model_validate(
        {**GOOD, "OBJECT_STORE": "directory", "OBJECT_STORE_DIR": "x", "S3_SECRET_KEY": ""}
    )
    assert nothing.without_secrets("as it is") == "as it is"


def test_without_as_of_the_clock_is_the_real_one() -> None:
    before = datetime.now(UTC)
    assert before <= GateSettings.model_validate({**GOOD, "AS_OF": None}).as_of <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AS_OF", "yesterday", "AS_OF"),
        ("AS_OF", "2025-03-04T00:48:00", "AS_OF"),
        ("POSTGRES_PORT", "many", "POSTGRES_PORT"),
        ("GE_DATA_DOCS_RUNS", "0", "GE_DATA_DOCS_RUNS"),
        ("GE_HISTORY_DAYS", "0", "GE_HISTORY_DAYS"),
        ("S3_SECRET_KEY", "", "needs S3_ACCESS_KEY and S3_SECRET_KEY"),
        ("OBJECT_STORE", "directory", "needs OBJECT_STORE_DIR"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GateSettings.model_validate({**GOOD, name: value})
