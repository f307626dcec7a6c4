"""The trades topic as Spark's Kafka source reads it."""

import json
from collections.abc import Mapping

from crypto_analytics.spark_candles.settings import SparkCandlesSettings

_EARLIEST = -2  # the source's own word for it


def options(settings: SparkCandlesSettings, start: Mapping[int, int]) -> dict[str, str]:
    """Return the options of the source, which begins at the offsets ``start`` of the topic's partitions.

    The password is none of them: Kafka's client looks it up in the environment of the driver and of each executor.

    Records that retention removed before they were read do not end the job for ever: the ids of their trades are
    missing then, which ``trade_id_gaps`` lists and the producer repairs.
    """
    return {
        "kafka.bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "kafka.security.protocol": settings.KAFKA_SECURITY_PROTOCOL,
        **_login(settings),
        "subscribe": settings.KAFKA_TOPIC_TRADES,
        "groupIdPrefix": f"{settings.KAFKA_CONSUMER_GROUP}-spark",  # nothing is asked about it
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


def beginning(committed: int, low: int, high: int) -> int:
    """Return the offset to begin at in a partition that holds the offsets ``low`` to ``high`` (exclusive).

    What the group has committed, where that is an offset of this partition; else its beginning: nothing was committed
    yet, retention was faster, or the topic is another one than then. Trades read twice change nothing.
    """
    return committed if low <= committed <= high else _EARLIEST
