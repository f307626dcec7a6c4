"""Read the state of the broker, plan the changes and apply them: for all that is declared, or for topics alone."""

from collections.abc import Collection, Mapping

from structlog.stdlib import BoundLogger

from crypto_analytics.jobs.reconciliation import NotReady, apply_changes
from crypto_analytics.jobs.topics.access import Access, Topic
from crypto_analytics.jobs.topics.broker import Broker
from crypto_analytics.jobs.topics.plan import Change, Replication, plan_topics, plan_users


def reconcile(
    access: Access, replication: Replication, passwords: Mapping[str, str], broker: Broker, log: BoundLogger
) -> int:
    """Reconcile the broker with ``access`` and return the number of changes. All are planned before the first.

    Raises:
        NotReady: too few brokers answer, or one became unreachable; the changes made so far stay.
        LoginRefused: the broker refuses the administrator's login.
        UnsafeChange: a topic would lose records or replicas; nothing was changed.
        KafkaException: the broker refuses a change.
    """
    _check_number(broker, replication)
    changes: list[Change] = [
        *plan_topics(access.topics, broker.topics(topic.topic_name for topic in access.topics), replication),
        *plan_users(
            access,
            without_login=broker.without_login(passwords),
            existing=broker.permissions([user.name for user in access.users]),
        ),
    ]
    return apply_changes(changes, lambda change: broker.apply(change, passwords), log)


def ensure_topics(topics: Collection[Topic], replication: Replication, broker: Broker) -> list[Change]:
    """Reconcile the topics alone, on a broker without logins, and return the changes.

    Raises the errors of :func:`reconcile`.
    """
    _check_number(broker, replication)
    changes = plan_topics(topics, broker.topics(topic.topic_name for topic in topics), replication)
    for change in changes:
        broker.apply(change, {})
    return changes


def _check_number(broker: Broker, replication: Replication) -> None:
    brokers = broker.count()
    if brokers < replication.factor:
        raise NotReady(f"{brokers} brokers answer, KAFKA_REPLICATION_FACTOR needs at least {replication.factor}")
