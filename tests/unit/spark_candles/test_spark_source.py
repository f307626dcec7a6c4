"""The options of Spark's Kafka source: the start offsets, and no password."""

import json

import pytest
from pydantic import ValidationError

from crypto_analytics.spark_candles.settings import SparkCandlesSettings
from crypto_analytics.spark_candles.source import options, start_offset

SECRET = "not-to-be-seen"


def settings(**changes: str) -> SparkCandlesSettings:
    values = {"POSTGRES_USER": "writer", "POSTGRES_PASSWORD": SECRET, "OBJECT_STORE": "directory",
              "OBJECT_STORE_DIR": "/objects", **changes}  # fmt: skip
    return SparkCandlesSettings(**values)  # type: ignore[arg-type]


def login(password: str) -> SparkCandlesSettings:
    return settings(
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA_SASL_USERNAME="consumer", KAFKA_SASL_PASSWORD=password
    )


def test_the_password_is_read_from_the_environment_and_is_no_option() -> None:
    found = options(login(SECRET), {})
    assert SECRET not in json.dumps(found)
    assert "${env:KAFKA_SASL_PASSWORD}" in found["kafka.sasl.jaas.config"]
    assert "kafka.sasl.jaas.config" not in options(settings(), {})


@pytest.mark.parametrize("password", ['a"b', "a\\b", "a\nb"])
def test_a_password_that_java_cannot_quote_is_refused(password: str) -> None:
    with pytest.raises(ValidationError, match="KAFKA_SASL_PASSWORD") as refused:
        login(password)
    assert "another password" in str(refused.value)


def test_the_source_starts_at_the_groups_offsets() -> None:
    found = options(settings(), {0: 17, 1: -2})
    assert json.loads(found["startingOffsets"]) == {"crypto.trades.raw": {"0": 17, "1": -2}}


@pytest.mark.parametrize(
    ("committed", "low", "high", "begins"),
    [
        (17, 0, 40, 17),
        (40, 0, 40, 40),
        (0, 0, 0, 0),
        (-1001, 0, 40, -2),  # nothing is committed
        (17, 20, 40, -2),  # retention was faster
        (41, 0, 40, -2),  # the topic is another one than then
    ],
)
def test_an_offset_outside_the_partition_means_its_earliest_one(
    committed: int, low: int, high: int, begins: int
) -> None:
    assert start_offset(committed, low, high) == begins
