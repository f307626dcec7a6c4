"""Configuration of the Kafka clients, and dead-letter records."""

from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from crypto_analytics.runtime import metrics
from crypto_analytics.runtime.settings import KafkaSettings

DeliveryCallback = Callable[[KafkaError | None, Message], None]

# Not retryable: wrong credentials, missing permissions, or a group instance id that another member uses.
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.FENCED_INSTANCE_ID,  # another consumer uses this KAFKA_GROUP_INSTANCE_ID
    }
)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # limit of the dead-letter topic; a whole bad frame fits


def is_refused(error: KafkaError) -> bool:
    """Return whether ``error`` is not retryable, so that the service has to stop."""
    return error.fatal() or error.code() == KafkaError._FATAL or error.code() in REFUSED


def client_config(settings: KafkaSettings) -> dict[str, str | int | float | bool]:
    """Return the configuration that all clients share: address, credentials, reconnect backoff."""
    config: dict[str, str | int | float | bool] = {
        "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "security.protocol": settings.KAFKA_SECURITY_PROTOCOL,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "log_level": 4,  # warning; on the next level, clients log harmless events when they close
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


def _raise_authentication_error(error: KafkaError) -> None:
    """Raise from the next poll, consume or flush; by default the client retries a wrong password forever."""
    if error.code() == KafkaError._AUTHENTICATION:
        raise KafkaException(error)


def producer(settings: KafkaSettings, **overrides: str | int | float | bool) -> Producer:
    """Return an idempotent producer with acks=all and the partitioner of the Java clients (murmur2).

    Its ``poll`` and ``flush`` raise KafkaException if the broker rejects the credentials.
    """
    return Producer(
        client_config(settings)
        | {
            "error_cb": _raise_authentication_error,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "message.timeout.ms": 0,  # no timeout: the queue fills up, which applies backpressure to the stream
            "queue.buffering.max.kbytes": 65536,
        }
        | overrides
    )


def consumer(settings: KafkaSettings, group: str, **overrides: object) -> Consumer:
    """Return a consumer that commits offsets only explicitly.

    Its ``poll`` and ``consume`` raise KafkaException if the broker rejects the credentials.
    """
    return Consumer(
        client_config(settings)
        | {
            "error_cb": _raise_authentication_error,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10000,
            "heartbeat.interval.ms": 2000,
            # Prefetched records: the library's defaults of 64 MB and 100,000 records use more memory and are no faster.
            "queued.max.messages.kbytes": 8192,
            "queued.min.messages": 20_000,
            "fetch.wait.max.ms": 100,
            # Pause of fetching when the local queue is full; the default of one second starves a fast consumer.
            "fetch.queue.backoff.ms": 10,
        }
        | overrides
    )


def consume(client: Consumer, count: int, seconds: float) -> list[Message]:
    """Return up to ``count`` records and errors that arrive within ``seconds``.

    Raises:
        KafkaException: the broker rejects the credentials. The library's ``consume`` wraps this in a SystemError.
    """
    try:
        messages: list[Message] = client.consume(count, seconds)
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise
    return messages


def is_repaired(message: Message) -> bool:
    """Return whether the producer fetched the record's trade by REST to repair a gap, instead of from the stream."""
    return ("source", b"rest") in (message.headers() or [])


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
    """Queue ``value`` for the dead-letter topic with the reason in its headers; the caller flushes.

    A value larger than the topic's limit is truncated, and a header has its full size.

    Raises:
        BufferError: the client's queue is full; poll, and call this again.
    """
    limit = MAX_MESSAGE_BYTES - 65536
    truncated = [("truncated_from_bytes", str(len(value)))] if len(value) > limit else []
    kafka.produce(
        topic,
        value=value[:limit],
        headers=[("reason", reason), ("detail", detail[:500]), *headers, *truncated],
        on_delivery=on_delivery,
    )
    metrics.DEAD_LETTERS.labels(reason).inc()
