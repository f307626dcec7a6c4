"""Options of Spark's Kafka source for the trades topic."""

import json
from collections.abc import Mapping

from crypto_analytics.spark_candles.settings import SparkCandlesSettings

_EARLIEST = -2  # the source's number for the earliest offset


def options(settings: SparkCandlesSettings, start: Mapping[int, int]) -> dict[str, str]:
    """Return the options of a source that starts at the offsets ``start`` of the topic's partitions.

    They do not include the password: Kafka's client reads it from the environment of the driver and of each executor.

    The job continues after retention removed records that were not read (``failOnDataLoss``): their trade ids are
    missing, ``trade_id_gaps`` lists them, and the producer repairs them.
    """
    return {
        "kafka.bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "kafka.security.protocol": settings.KAFKA_SECURITY_PROTOCOL,
        **_login(settings),
        "subscribe": settings.KAFKA_TOPIC_TRADES,
        "groupIdPrefix": f"{settings.KAFKA_CONSUMER_GROUP}-spark",  # its offsets are never used
        "startingOffsets": json.dumps({settings.KAFKA_TOPIC_TRADES: {str(part): at for part, at in start.items()}}),
        "maxOffsetsPerTrigger": str(settings.SPARK_MAX_OFFSETS_PER_TRIGGER),
        "failOnDataLoss": "false",
    }


def _login(settings: SparkCandlesSettings) -> dict[str, str]:
    login: dict[str, str] = {}
    if settings.KAFKA_SSL_CA_LOCATION is not None:
        login |= {
            "kafka.ssl.truststore.type": "PEM",
            "kafka.ssl.truststore.location": str(settings.KAFKA_SSL_CA_LOCATION),
        }
    if settings.KAFKA_SECURITY_PROTOCOL.startswith("SASL"):
        module = "plain.PlainLoginModule" if settings.KAFKA_SASL_MECHANISM == "PLAIN" else "scram.ScramLoginModule"
        login |= {
            "kafka.sasl.mechanism": settings.KAFKA_SASL_MECHANISM,
            "kafka.config.providers": "env",
            "kafka.config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            "kafka.sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
            f'username="{settings.KAFKA_SASL_USERNAME}" password="${{env:KAFKA_SASL_PASSWORD}}";',
        }
    return login


def start_offset(committed: int, low: int, high: int) -> int:
    """Return the offset to start at in a partition with the offsets ``low`` to ``high`` (exclusive).

    It is the committed offset, or the earliest one where nothing is committed, retention removed the record, or the
    topic was created again. Trades that are read twice change nothing.
    """
    return committed if low <= committed <= high else _EARLIEST
