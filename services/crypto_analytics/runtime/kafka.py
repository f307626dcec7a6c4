"""The Kafka clients' configuration and the dead-letter record: one place for each."""

from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.settings import KafkaSettings

DeliveryCallback = Callable[[KafkaError | None, Message], None]

# What no retry mends: the login, this user's rights, or a name that another member of the group has taken.
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,  # another consumer has this one's KAFKA_GROUP_INSTANCE_ID
    }
)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # what the dead-letter topic takes, so that a whole bad frame fits


def is_refused(error: KafkaError) -> bool:
    """Whether no retry mends ``error``, so that a service has to end with it."""
    return error.fatal() or error.code() == KafkaError._FATAL or error.code() in REFUSED


def client_config(settings: KafkaSettings) -> dict[str, str | int | float | bool]:
    """Return what every client needs: address and login."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "security.protocol": settings.KAFKA_SECURITY_PROTOCOL,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "log_level": 4,  # warnings: one step below, clients tell of harmless events when they close
    }
    if settings.KAFKA_SECURITY_PROTOCOL.startswith("SASL"):
        config |= {
            "sasl.mechanism": settings.KAFKA_SASL_MECHANISM,
            "sasl.username": settings.KAFKA_SASL_USERNAME,
            "sasl.password": settings.KAFKA_SASL_PASSWORD.get_secret_value(),
        }
    if settings.KAFKA_SSL_CA_LOCATION is not None:
        config["ssl.ca.location"] = str(settings.KAFKA_SSL_CA_LOCATION)
    return config


def _end_where_login_is_refused(error: KafkaError) -> None:
    """Raise from the next poll, consume or flush: the client library itself would try a wrong password for ever."""
    if error.code() == KafkaError._AUTHENTICATION:
        raise KafkaException(error)


def producer(settings: KafkaSettings, **overrides: str | int | float | bool) -> Producer:
    """Return an idempotent producer that waits for all replicas and keys as Java's clients do (murmur2).

    Its ``poll`` and ``flush`` raise KafkaException where the broker refuses the login.
    """
    return Producer(
        client_config(settings)
        | {
            "error_cb": _end_where_login_is_refused,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "message.timeout.ms": 0,  # never give up: the queue fills, and that holds the stream back
            "queue.buffering.max.kbytes": 65536,
        }
        | overrides
    )


def consumer(settings: KafkaSettings, group: str, **overrides: object) -> Consumer:
    """Return a consumer whose offsets move only by an explicit commit.

    Its ``poll`` and ``consume`` raise KafkaException where the broker refuses the login.
    """
    return Consumer(
        client_config(settings)
        | {
            "error_cb": _end_where_login_is_refused,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10000,
            "heartbeat.interval.ms": 2000,
            # What the client keeps ahead: the library's own limits are 64 MB and 100,000 records, to no further gain.
            "queued.max.messages.kbytes": 8192,
            "queued.min.messages": 20_000,
            "fetch.wait.max.ms": 100,
            # How long fetching pauses once the local queue is full; the default of a second starves a fast reader.
            "fetch.queue.backoff.ms": 10,
        }
        | overrides
    )


def consume(client: Consumer, count: int, seconds: float) -> list[Message]:
    """Return up to ``count`` records and errors that come within ``seconds``.

    Raises:
        KafkaException: the broker refuses the login. The library's own ``consume`` hides it in a SystemError.
    """
    try:
        messages: list[Message] = client.consume(count, seconds)
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise
    return messages


def dead_letter(
    kafka: Producer,
    topic: str,
    value: bytes,
    *,
    reason: str,
    detail: str,
    headers: Sequence[tuple[str, str]] = (),
    on_delivery: DeliveryCallback | None = None,
) -> None:
    """Queue ``value`` for the dead-letter topic with its reason in the headers; the caller flushes.

    Raises BufferError where the client's queue is full: poll, and call again.
    A value too large even for that topic is cut, and a header tells its full size.
    """
    limit = MAX_MESSAGE_BYTES - 65536
    cut = [("truncated_from_bytes", str(len(value)))] if len(value) > limit else []
    kafka.produce(
        topic,
        value=value[:limit],
        headers=[("reason", reason), ("detail", detail[:500]), *headers, *cut],
        on_delivery=on_delivery,
    )
    metrics.DEAD_LETTERS.labels(reason).inc()
